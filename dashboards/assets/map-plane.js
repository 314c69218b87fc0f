// The map as a plane in px: where things stand on it, where there is room for words, hatching. Used by map.js.
//
// A plane is {world, canvas, frame, text}: px around the Earth at the camera's zoom; the map's edges in those px {left, right, bottom, top};
// of it what lies beside the legend and the country {left, right}; the map's letters, px. North is up, as y grows.
(function () {
  "use strict";

  const mercator = (lat) => Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI);
  const latitude = (y) => (360 / Math.PI) * Math.atan(Math.exp(y * 2 * Math.PI)) - 90;
  const at = ({ world }, [lon, lat]) => [(lon / 360) * world, mercator(lat) * world];
  const polygonsOf = (geometry) => (geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates);
  const outer = (geometry) => polygonsOf(geometry).map(([ring]) => ring);

  // The rectangle around it: [west, south, east, north].
  function edges(plane, geometry) {
    const corners = outer(geometry).flat().map((position) => at(plane, position));
    const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  }

  // Does the map show anything of it?
  function seen(plane, geometry) {
    const [west, south, east, north] = edges(plane, geometry);
    return west < plane.frame.right && east > plane.frame.left && south < plane.canvas.top && north > plane.canvas.bottom;
  }

  // ---- room ----------------------------------------------------------------------------------------------------

  // A place on the map, `half` px to each side and `tall` up and down, `down` px below a position.
  function boxAt(plane, position, half, tall, down) {
    const [x, y] = at(plane, position);
    return { x, y: y - down, half, tall };
  }

  // Take such a place; false when something stands there.
  function claim(plane, taken, position, half, tall, down) {
    const box = boxAt(plane, position, half, tall, down);
    const free = taken.every((b) => Math.abs(b.x - box.x) > b.half + half || Math.abs(b.y - box.y) > b.tall + tall);
    if (free) taken.push(box);
    return free;
  }

  // Where what is so wide and tall may stand, as px from its position: whole on the map, beside the legend unless it is too wide for
  // that, on nothing that stands there already. `downs`: which ways down are tried, in letters. Null when there is no such place.
  function free(plane, position, half, tall, downs, taken) {
    const { world, canvas, frame, text } = plane;
    const [x, y] = at(plane, position);
    const first = Math.min(frame.left, frame.right - 2 * half);
    if (first < canvas.left) return null;
    const aside = Math.max(first + half - x, 0) + Math.min(frame.right - half - x, 0);
    const [highest, lowest] = [y - canvas.top + tall + 0.1 * text, y - canvas.bottom - tall - 0.1 * text];
    const place = [position[0] + (aside / world) * 360, position[1]];
    const down = downs.map((n) => Math.min(Math.max(n * text, highest), lowest)).find((shift) => claim(plane, taken, place, half, tall, shift));
    return down === undefined ? null : [aside, down];
  }

  // The places that the page itself takes: `nodes` laid over the map, whose rectangle on the page is `box`.
  function laid({ canvas, text }, nodes, box) {
    return nodes.map((node) => node.getBoundingClientRect()).filter(({ width }) => width).map((node) => ({
      x: canvas.left + (node.left + node.right) / 2 - box.left, y: canvas.top + box.top - (node.top + node.bottom) / 2, half: node.width / 2 + 0.15 * text, tall: node.height / 2,
    }));
  }

  // ---- hatching ------------------------------------------------------------------------------------------------

  // The rows that hatch a shape as `look` says (dashboards/maps/spec.py).
  function hatched(plane, geometry, look, slant) {
    const lines = polygonsOf(geometry).flatMap((rings) => hatch(plane, rings, (look.gap * plane.text) / 100, slant));
    return lines.map(([from, to]) => ({ from, to, line: look.hatch, width: (look.hatch_width * plane.text) / 100 }));
  }

  // Slanting lines across a polygon where the map shows it, `gap` px apart: by the even-odd rule, so that holes stay free.
  // `slant`: 1 falls to the right, -1 rises.
  function hatch(plane, rings, gap, slant) {
    const { world, canvas } = plane;
    const turned = ([x, y]) => [(x - slant * y) / Math.SQRT2, (slant * x + y) / Math.SQRT2];
    const back = (u, v) => {
      const [x, y] = [(u + slant * v) / Math.SQRT2, (v - slant * u) / Math.SQRT2];
      return [(x / world) * 360, latitude(y / world)];
    };
    const around = rings.map((ring) => ring.map((position) => turned(at(plane, position))));
    const sides = around.flatMap((ring) => ring.slice(1).map((corner, i) => [...ring[i], ...corner]));
    const across = (corners) => corners.map(([, v]) => v);
    const [own, shown] = [across(around.flat()), across([turned([canvas.left, canvas.bottom]), turned([canvas.right, canvas.bottom]), turned([canvas.left, canvas.top]), turned([canvas.right, canvas.top])])];
    const last = Math.min(Math.max(...own), Math.max(...shown));
    const lines = [];
    for (let v = Math.ceil(Math.max(Math.min(...own), Math.min(...shown)) / gap) * gap; v <= last; v += gap) {
      const met = sides.filter(([, v1, , v2]) => v1 > v !== v2 > v).map(([u1, v1, u2, v2]) => u1 + ((v - v1) * (u2 - u1)) / (v2 - v1)).sort((a, b) => a - b);
      for (let i = 0; i + 1 < met.length; i += 2) lines.push([back(met[i], v), back(met[i + 1], v)]);
    }
    return lines;
  }

  window.ioc_plane = { mercator, latitude, at, outer, edges, seen, boxAt, free, laid, hatched };
})();
