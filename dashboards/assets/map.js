// The map: one deck for the life of the page, made by pydeck's own bundle. Shapes are fetched once; afterwards only
// classes and points come in. When WebGL is refused the ranking beside it is shown instead.
(function () {
  "use strict";

  const BUNDLE = "/pydeck-static/index.js";
  const REBUILD_MS = 500;

  let deck = null;
  let shapes = null;
  let starting = null;
  let wanted = null; // the newest {areas, incidents, assets, outlines: see dashboards/maps/panel.py, spec, root: whose spec}
  let drawn = {}; // what the rows were made of
  let rows = {}; // layer -> its data; the same object as long as there is nothing new, so that deck leaves the layer alone
  let text = 0; // size of a label, px
  let world = 1; // px around the Earth at the camera's zoom
  let beside = [0, 0]; // the legend's width and height when the camera was set, px
  let canvas = { left: 0, right: 0, bottom: 0, top: 0 }; // the map's edges, in those px
  let frame = { left: 0, right: 0 }; // of it beside legend and country
  let count = 0;
  let fitted = ""; // the size the camera was set for

  const canvasRoot = () => document.getElementById("map-canvas");

  function script(url) {
    return new Promise((done, failed) => {
      const node = document.createElement("script");
      node.src = url;
      node.onload = done;
      node.onerror = () => failed(new Error(url + " could not be loaded"));
      document.head.appendChild(node);
    });
  }

  async function prepare(spec) {
    const [geometry] = await Promise.all([
      fetch(spec.url).then((answer) => answer.json()),
      window.createDeck ? null : script(BUNDLE),
      // Labels are drawn into an image once; the font must be there before that.
      document.fonts.load("600 32px 'Noto Sans Variable'", "Thái Nguyên ắằểộữđ"),
    ]);
    shapes = geometry;
  }

  // ---- rows -------------------------------------------------------------------------------------------------

  function areaRows(classes, spec) {
    const codes = (scene() || {}).codes; // of a part of the province only that part is drawn
    return shapes.features.filter((feature) => !codes || codes.includes(feature.properties.code)).map((feature) => {
      const found = classes ? classes[feature.properties.code] : null;
      const none = found === null || found === undefined;
      const look = none ? spec.no_data : { fill: spec.palette[found], line: spec.line, width: 5 };
      return { type: "Feature", geometry: feature.geometry, properties: { code: feature.properties.code, fill: look.fill, line: look.line, width: (look.width * text) / 100, none } };
    }).sort((a, b) => a.properties.none - b.properties.none); // the line around what has no value lies on top
  }

  // Communes without a value are hatched, across the hatching of warnings.
  function blankRows(spec) {
    if (abroad()) return [];
    return rows.areas.filter(({ properties }) => properties.none).flatMap(({ geometry }) => hatched(geometry, spec.no_data, 1));
  }

  // ---- points: columns all the way from the server to the graphics card -----------------------------------------

  function bytes(text) {
    const raw = atob(text);
    const out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i += 1) out[i] = raw.charCodeAt(i);
    return out;
  }

  // What one message holds, unpacked once however many scenes draw it.
  const unpackedOf = new WeakMap();
  function unpacked(sent) {
    if (unpackedOf.has(sent)) return unpackedOf.get(sent);
    const [west, south, east, north] = sent.box;
    const at = new Uint16Array(bytes(sent.at).buffer);
    const found = { n: sent.n, lon: new Float32Array(sent.n), lat: new Float32Array(sent.n), style: bytes(sent.style), feed: bytes(sent.feed), feeds: sent.feeds };
    for (let i = 0; i < sent.n; i += 1) {
      found.lon[i] = west + (at[2 * i] / 65535) * (east - west);
      found.lat[i] = south + (at[2 * i + 1] / 65535) * (north - south);
    }
    unpackedOf.set(sent, found);
    return found;
  }

  // Discs on their way to a layer: room for so many.
  const discs = (most) => ({ n: 0, at: new Float32Array(2 * most), fill: new Uint8Array(4 * most), line: new Uint8Array(4 * most), radius: new Float32Array(most), width: new Float32Array(most) });

  function put(to, lon, lat, style) {
    const i = to.n;
    to.n += 1;
    to.at[2 * i] = lon;
    to.at[2 * i + 1] = lat;
    to.fill.set(style.fill, 4 * i);
    to.line.set(style.line, 4 * i);
    to.radius[i] = (style.radius * text) / 100;
    to.width[i] = (style.width * text) / 100;
  }

  const dataOf = (to) => ({
    length: to.n,
    attributes: {
      getPosition: { value: to.at, size: 2 }, getFillColor: { value: to.fill, size: 4, normalized: true }, getLineColor: { value: to.line, size: 4, normalized: true },
      getRadius: { value: to.radius, size: 1 }, getLineWidth: { value: to.width, size: 1 },
    },
  });

  // What the scene shows of a layer: discs, marks (what does not work at all is a letter of its own), clusters, heat.
  function drawnLayer(sent, how, on, spec) {
    const found = { discs: null, marks: [], clusters: [], heat: [] };
    const [mode, name] = how || [];
    if (mode === "points" && sent.points) pointsOf(unpacked(sent.points), on, spec, found);
    else if (mode === "clusters") clustersOf(sent.clusters[name] || [], spec, found);
    else if (mode === "heat" && sent.heat[name]) found.heat = heatOf(sent.heat[name], spec);
    return found;
  }

  function pointsOf(all, on, spec, found) {
    const [west, south, east, north] = bounds(spec);
    const mine = part();
    const mineOf = all.feeds.map((feed) => !on.feeds.length || on.feeds.includes(feed));
    found.discs = discs(all.n);
    for (let i = 0; i < all.n; i += 1) {
      const lon = all.lon[i];
      const lat = all.lat[i];
      if (!mineOf[all.feed[i]] || lon < west || lon > east || lat < south || lat > north) continue;
      if (mine && !mine.some((ring) => inside(ring, lon, lat))) continue;
      single(lon, lat, spec.styles[all.style[i]], found);
    }
  }

  function single(lon, lat, style, found) {
    if (style.text) found.marks.push({ position: [lon, lat], text: style.text, line: style.line, size: (style.size * text) / 100 });
    else put(found.discs, lon, lat, style);
  }

  // A cluster is its number; how many of them are abnormal stands below it. One alone is a point.
  function clustersOf(cells, spec, found) {
    const written = new Intl.NumberFormat(document.documentElement.lang);
    found.discs = discs(cells.length);
    for (const [lon, lat, n, abnormal, style] of cells) {
      if (n === 1) {
        single(lon, lat, spec.styles[spec.style_names.indexOf(style)], found);
        continue;
      }
      found.clusters.push({ position: [lon, lat], text: written.format(n), fill: [16, 22, 28, 255], line: [240, 244, 248, 255], ink: [240, 244, 248, 255], offset: [0, 0] });
      if (abnormal) found.clusters.push({ position: [lon, lat], text: written.format(abnormal), fill: [255, 176, 32, 255], line: [16, 20, 26, 255], ink: [16, 20, 26, 255], offset: [0, 1.4 * text] });
    }
  }

  function heatOf(heat, spec) {
    const [width, height] = heat.cell;
    const classes = heat.edges.length;
    return heat.cells.map(([column, row, step]) => {
      const [west, south, east, north] = [(column + 0.04) * width, (row + 0.04) * height, (column + 0.96) * width, (row + 0.96) * height];
      const shade = classes < 1 ? step : Math.round((step * (spec.heat.length - 1)) / classes);
      return { polygon: [[west, south], [east, south], [east, north], [west, north]], fill: spec.heat[shade] };
    });
  }

  // ---- areas a case concerns: outlined, hatched, with its kind and how grave it is in words -----------------------

  function outlineRows(outlines, spec) {
    return outlines.map(([geometry, , grave]) => {
      const look = spec.outlines[grave ? "grave" : "other"];
      return { type: "Feature", geometry, properties: { line: look.line, width: (look.width * text) / 100 } };
    });
  }

  // Where in the country the province lies.
  function frameRow(spec) {
    const [west, south, east, north] = spec.bounds;
    const ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
    return { type: "Feature", geometry: { type: "Polygon", coordinates: [ring] }, properties: { line: spec.outlines.other.line, width: 0.07 * text } };
  }

  function hatchRows(outlines, spec) {
    if (abroad()) return []; // too small there for more than an outline
    return outlines.flatMap(([geometry, , grave]) => hatched(geometry, spec.outlines[grave ? "grave" : "other"], -1));
  }

  // The rows that hatch a shape as `look` says (dashboards/maps/spec.py).
  function hatched(geometry, look, slant) {
    const lines = polygonsOf(geometry).flatMap((rings) => hatch(rings, (look.gap * text) / 100, slant));
    return lines.map(([from, to]) => ({ from, to, line: look.hatch, width: (look.hatch_width * text) / 100 }));
  }

  const polygonsOf = (geometry) => (geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates);

  // Slanting lines across a polygon where the map shows it, `gap` px apart: by the even-odd rule, so that holes stay free.
  // `slant`: 1 falls to the right, -1 rises.
  function hatch(rings, gap, slant) {
    const turned = ([x, y]) => [(x - slant * y) / Math.SQRT2, (slant * x + y) / Math.SQRT2];
    const back = (u, v) => {
      const [x, y] = [(u + slant * v) / Math.SQRT2, (v - slant * u) / Math.SQRT2];
      return [(x / world) * 360, (360 / Math.PI) * Math.atan(Math.exp((y / world) * 2 * Math.PI)) - 90];
    };
    const around = rings.map((ring) => ring.map(([lon, lat]) => turned([(lon / 360) * world, mercator(lat) * world])));
    const edges = around.flatMap((ring) => ring.slice(1).map((corner, i) => [...ring[i], ...corner]));
    const across = (corners) => corners.map(([, v]) => v);
    const [own, seen] = [across(around.flat()), across([turned([canvas.left, canvas.bottom]), turned([canvas.right, canvas.bottom]), turned([canvas.left, canvas.top]), turned([canvas.right, canvas.top])])];
    const last = Math.min(Math.max(...own), Math.max(...seen));
    const lines = [];
    for (let v = Math.ceil(Math.max(Math.min(...own), Math.min(...seen)) / gap) * gap; v <= last; v += gap) {
      const met = edges.filter(([, v1, , v2]) => v1 > v !== v2 > v).map(([u1, v1, u2, v2]) => u1 + ((v - v1) * (u2 - u1)) / (v2 - v1)).sort((a, b) => a - b);
      for (let i = 0; i + 1 < met.length; i += 2) lines.push([back(met[i], v), back(met[i + 1], v)]);
    }
    return lines;
  }

  // The gravest come last; they keep their place, another one that would touch them is told by the legend alone.
  function noticeRows(outlines, spec, taken) {
    if (abroad()) return [];
    return outlines.filter(([geometry]) => seen(geometry)).reverse().flatMap(([geometry, , grave, name, level, lon, lat]) => {
      const half = Math.max(widthOf(name, "notices", spec), widthOf(level, "notices", spec)) / 2 + 10;
      const tall = 1.35 * text + 6;
      const row = { position: [lon, lat], text: `${name}\n${level}`, ink: grave ? [255, 190, 70, 255] : [245, 248, 250, 255] };
      const above = (edges(geometry)[3] - mercator(lat) * world) / text + 1.7; // the whole area, in letters
      const offset = free(row.position, half, tall, [1.7, -above, 0, -1.7, -3.4], taken);
      return offset ? [{ ...row, offset }] : [];
    });
  }

  // The rectangle around it: [west, south, east, north] in the map's px.
  function edges(geometry) {
    const corners = polygonsOf(geometry).flatMap(([ring]) => ring);
    const [xs, ys] = [corners.map(([lon]) => (lon / 360) * world), corners.map(([, lat]) => mercator(lat) * world)];
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  }

  // Does the map show anything of it?
  function seen(geometry) {
    const [west, south, east, north] = edges(geometry);
    return west < frame.right && east > frame.left && south < canvas.top && north > canvas.bottom;
  }

  const landRows = (spec) => [{ type: "Feature", geometry: { type: "Polygon", coordinates: spec.country.land }, properties: { code: "", fill: spec.palette[1], line: spec.line, width: 5 } }];
  const AQI = ["#00e400", "#ffff00", "#ff7e00", "#ff0000", "#8f3f97", "#7e0023"].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).concat(255));
  const chipRows = (chips) => chips.map(([lon, lat, number, step]) => ({ position: [lon, lat], text: number, fill: AQI[step], ink: step > 3 ? [255, 255, 255, 255] : [0, 0, 0, 255] }));

  // The outlines of the part of the province the scene is about; null when it is about all of it.
  function part() {
    const codes = (scene() || {}).codes;
    if (!codes) return null;
    const rings = shapes.features.filter((feature) => codes.includes(feature.properties.code)).map((feature) => feature.geometry);
    return rings.flatMap((shape) => (shape.type === "Polygon" ? [shape.coordinates[0]] : shape.coordinates.map((polygon) => polygon[0])));
  }

  function inside(ring, lon, lat) {
    let found = false;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
      const [[x, y], [u, v]] = [ring[i], ring[j]];
      if (y > lat !== v > lat && lon < ((u - x) * (lat - y)) / (v - y) + x) found = !found;
    }
    return found;
  }

  // Take a place on the map, `half` px to each side and `tall` up and down, `down` px below a position; false when it is taken.
  function claim(taken, position, half, tall, down) {
    const box = boxAt(position, half, tall, down);
    const free = taken.every((b) => Math.abs(b.x - box.x) > b.half + half || Math.abs(b.y - box.y) > b.tall + tall);
    if (free) taken.push(box);
    return free;
  }

  const boxAt = ([lon, lat], half, tall, down) => ({ x: (lon / 360) * world, y: mercator(lat) * world - down, half, tall });

  // How wide words are in the letters of a layer, px.
  const pen = document.createElement("canvas").getContext("2d");
  function widthOf(words, id, spec) {
    const { fontWeight, fontFamily } = spec.deck.layers.find((layer) => layer.id === id);
    pen.font = `${fontWeight} 100px ${fontFamily}`;
    return (pen.measureText(words).width * SIZES[id] * text) / 100;
  }

  // Where what is so wide and tall may stand, as px from its position: whole on the map, beside the legend unless it is too wide for
  // that, on nothing that stands there already. `downs`: which ways down are tried, in letters. Null when there is no such place.
  function free([lon, lat], half, tall, downs, taken) {
    const [x, y] = [(lon / 360) * world, mercator(lat) * world];
    const first = Math.min(frame.left, frame.right - 2 * half);
    if (first < canvas.left) return null;
    const aside = Math.max(first + half - x, 0) + Math.min(frame.right - half - x, 0);
    const [highest, lowest] = [y - canvas.top + tall + 0.1 * text, y - canvas.bottom - tall - 0.1 * text];
    const place = [lon + (aside / world) * 360, lat];
    const down = downs.map((n) => Math.min(Math.max(n * text, highest), lowest)).find((shift) => claim(taken, place, half, tall, shift));
    return down === undefined ? null : [aside, down];
  }

  // What the page lays over the map.
  const LAID = [".legend-side", ".legend-note", ".map-scale", ".map-north", ".map-country"].map((name) => "#map " + name).join();
  function laid() {
    const box = canvasRoot().getBoundingClientRect();
    return [...document.querySelectorAll(LAID)].map((node) => node.getBoundingClientRect()).filter(({ width }) => width).map((node) => ({
      x: canvas.left + (node.left + node.right) / 2 - box.left, y: canvas.top + box.top - (node.top + node.bottom) / 2, half: node.width / 2 + 0.15 * text, tall: node.height / 2,
    }));
  }

  // Names come most important first; one that would touch what stands there already moves below or above it, or is left out.
  function labelRows(candidates, spec, taken) {
    return candidates.flatMap((row) => {
      const offset = free(row.position, widthOf(row.text, "labels", spec) / 2 + 0.15 * text, 0.7 * text, [0, 1.4, -1.4], taken);
      return offset ? [{ ...row, offset }] : [];
    });
  }

  // Of a part of the province every commune is named; of all of it the main ones.
  function named(main) {
    if (abroad()) return wanted.spec.country.labels;
    const codes = (scene() || {}).codes;
    if (!codes) return main;
    const name = document.documentElement.lang === "en" ? "label_en" : "label";
    return shapes.features.map((feature) => feature.properties).filter((of) => codes.includes(of.code)).map((of) => ({ position: of.centre, text: of[name] }));
  }

  // Everything that is written on the map; earlier ones keep later ones away.
  function writtenRows(spec, outlines, main) {
    const taken = [
      ...laid(),
      ...(rows.marks.length > MOST_MARKS ? [] : rows.marks).map((row) => boxAt(row.position, row.size * 0.3, row.size * 0.4, 0)), // what fails is seen before a name is read
      ...rows.chips.map((row) => boxAt(row.position, row.text.length * text * 0.22 + 6, text * 0.62, 0)),
      ...rows.clusters.map((row) => boxAt(row.position, row.text.length * text * 0.24 + 8, text * 0.66, row.offset[1])),
    ];
    rows.notices = noticeRows(outlines, spec, taken);
    rows.labels = labelRows(named(main), spec, taken);
  }

  const MOST_MARKS = 40; // that names make way for: where more fails, hardly a name would be left
  // Of the text, which is 0.8 of the wall's: names and words are as large as the wall's other words, so that a small letter has the
  // least height for the distance; a number, all of whose signs are tall, has it with less.
  const SIZES = { chips: 0.95, clusters: 0.95, notices: 1.25, labels: 1.25 };

  const WORDS = ["labels", "notices", "clusters", "chips"]; // stay readable when what the map shows is old and pale

  // The layers as pydeck wrote them, with their rows. Made here and not by its converter, which copies every row and column.
  function layers(spec) {
    return spec.deck.layers.map(({ "@@type": type, ...props }) => {
      for (const [name, value] of Object.entries(props)) if (typeof value === "string" && value.startsWith("@@=")) props[name] = field(value.slice(3));
      if (drawn.old && !WORDS.includes(props.id)) props.opacity = 0.5;
      if (SIZES[props.id]) props.getSize = SIZES[props.id] * text;
      if (type === "TextLayer" && !rows[props.id].length) props.characterSet = " "; // of no letters no picture can be made
      return new window.deck[type]({ ...props, data: rows[props.id] });
    });
  }

  function field(path) {
    const names = path.split(".");
    return (row) => names.reduce((found, name) => found[name], row);
  }

  const mercator = (lat) => Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI);

  // ---- camera -----------------------------------------------------------------------------------------------

  // What the camera shows: the part of the province the scene is about, or all of it.
  const abroad = () => ((scene() || {}).map || {}).view === "country";

  function bounds(spec) {
    if (abroad()) return spec.country.bounds;
    const codes = (scene() || {}).codes;
    if (!codes || !shapes) return spec.bounds;
    const edges = [Infinity, Infinity, -Infinity, -Infinity];
    const widen = (part) => {
      if (typeof part[0] !== "number") return part.forEach(widen);
      edges[0] = Math.min(edges[0], part[0]);
      edges[1] = Math.min(edges[1], part[1]);
      edges[2] = Math.max(edges[2], part[0]);
      edges[3] = Math.max(edges[3], part[1]);
    };
    for (const feature of shapes.features) if (codes.includes(feature.properties.code)) widen(feature.geometry.coordinates);
    return edges[0] < edges[2] ? edges : spec.bounds;
  }

  // How large the scene's legend is: [0, 0] when there is none.
  function legendSize() {
    const legend = [...document.querySelectorAll("#map .legend-side")].map((node) => node.getBoundingClientRect()).find(({ width }) => width);
    return legend ? [legend.width, legend.height] : [0, 0];
  }

  // Has a line of the legend come or gone since the camera was set?
  const resized = () => legendSize().some((size, i) => Math.abs(size - beside[i]) > text / 2);

  // The country and the note stand below the legend; where that has many lines they come closer, then the country goes to the right.
  function makeRoom() {
    const map = document.getElementById("map");
    for (const room of ["", "tight", "aside"]) {
      map.dataset.room = room;
      const [[legend], ...others] = [".legend-side", ".legend-note", ".map-country"].map((name) => [...map.querySelectorAll(name)].map((node) => node.getBoundingClientRect()).filter(({ width }) => width));
      if (!legend || others.flat().every((other) => other.left > legend.right || other.top >= legend.bottom)) return;
    }
  }

  // How much the country takes of the left or right side.
  function countryWidth(box) {
    const corner = document.querySelector("#map .map-country").getBoundingClientRect();
    if (!corner.width) return [0, 0];
    return corner.left > box.left + box.width / 2 ? [0, box.right - corner.left] : [corner.right - box.left, 0];
  }

  // All of that in what the legend and the country leave free, with room for names at the edges.
  function camera(spec) {
    document.getElementById("map").dataset.look = abroad() ? "country" : "area"; // whether the corner is there
    makeRoom();
    const box = canvasRoot().getBoundingClientRect();
    beside = legendSize();
    const [below, right] = countryWidth(box);
    const taken = Math.max(beside[0], below) + 0.4 * text;
    const room = { width: box.width - taken - right - text, height: box.height - text };
    const [west, south, east, north] = bounds(spec);
    const width = (east - west) / 360;
    const height = mercator(north) - mercator(south);
    world = Math.min(room.width / width, room.height / height);
    const middle = (mercator(north) + mercator(south)) / 2;
    const latitude = (360 / Math.PI) * Math.atan(Math.exp(middle * 2 * Math.PI)) - 90;
    const longitude = (west + east) / 2 - ((taken - right) / 2 / world) * 360;
    const at = (longitude / 360) * world;
    canvas = { left: at - box.width / 2, right: at + box.width / 2, bottom: middle * world - box.height / 2, top: middle * world + box.height / 2 };
    frame = { left: canvas.left + taken, right: canvas.right - right - 0.2 * text };
    measure(spec, latitude);
    return { longitude, latitude, zoom: Math.log2(world / 512), pitch: 0, bearing: 0 };
  }

  // The scale: the longest round length that takes at most a quarter of the map.
  function measure(spec, latitude) {
    const km = (40075 * Math.cos((latitude * Math.PI) / 180)) / world; // of a pixel
    const most = Math.max(canvasRoot().getBoundingClientRect().width * 0.22, 4.5 * text) * km; // its words stand within it
    const size = 10 ** Math.floor(Math.log10(most));
    const length = [5, 3, 2, 1].map((m) => m * size).find((n) => n <= most);
    const bar = document.getElementById("map-scale");
    bar.textContent = spec.words.scale.replace("{n}", String(length));
    bar.style.width = `${Math.round(length / km)}px`;
    bar.dataset.km = String(length);
  }

  function labelSize() {
    const wall = canvasRoot().closest(".wall");
    const size = parseFloat(getComputedStyle(wall || document.body).fontSize) || 16;
    return size * 0.8;
  }

  // ---- drawing ----------------------------------------------------------------------------------------------

  // Which scene is on, and what of the map belongs to it.
  function scene() {
    const found = window.ioc_scenes && window.ioc_scenes.current();
    return found && found.map ? found : null;
  }

  function say(areas) {
    const map = document.getElementById("map");
    const mine = areas[(scene() || {}).name] || Object.values(areas)[0];
    if (!mine) return null;
    map.dataset.map = mine.kpi;
    map.dataset.state = mine.state;
    map.dataset.asOf = mine.as_of;
    map.setAttribute("aria-label", mine.label);
    return mine;
  }

  const key = (value) => JSON.stringify(value);
  const NONE = { points: null, clusters: {}, heat: {} };
  const NOTHING = [];

  function refresh(changedAll) {
    const { areas, incidents, assets, outlines, spec } = wanted;
    const on = (scene() || {}).map || { incidents: true, assets: true, feeds: [] };
    const found = say(areas) || { classes: null, chips: [], draw: {} };
    const size = labelSize();
    const now = {
      look: key([on.view, (scene() || {}).codes, size]), areas: key(found.classes), chips: key(found.chips), feeds: key(on.feeds),
      incidents: on.incidents ? incidents : NONE, assets: on.assets ? assets : NONE, old: ["stale", "lost"].includes(found.state), how: key(found.draw), outlines: on.incidents ? outlines : NONE,
    };
    const all = changedAll || now.look !== drawn.look;
    const differs = (...names) => all || names.some((name) => now[name] !== drawn[name]);
    if (!differs(...Object.keys(now))) return;
    text = size;
    // The rows depend on the camera, too: when it has moved, a new one is set by who called.
    if (differs("areas")) rows.areas = abroad() ? landRows(spec) : areaRows(found.classes, spec);
    if (differs("chips")) rows.chips = abroad() ? [] : chipRows(found.chips);
    let { cases, things, shapes: areasOf } = drawn;
    if (differs("incidents", "how", "feeds")) {
      cases = drawnLayer(now.incidents, found.draw.incident, on, spec);
      rows.incidents = dataOf(cases.discs || discs(0));
    }
    if (differs("assets", "how", "feeds")) {
      things = drawnLayer(now.assets, found.draw.asset, on, spec);
      rows.assets = dataOf(abroad() ? withIslands(things.discs, spec) : things.discs || discs(0));
    }
    if (differs("incidents", "assets", "how", "feeds")) {
      rows.marks = [...things.marks, ...cases.marks];
      rows.clusters = things.clusters.length || cases.clusters.length ? [...things.clusters, ...cases.clusters] : NOTHING;
      rows.heat = [...things.heat, ...cases.heat];
    }
    if (differs("outlines", "feeds")) {
      areasOf = now.outlines === NONE ? NOTHING : outlines.filter(([, feed]) => !on.feeds.length || on.feeds.includes(feed));
      rows.outlines = abroad() ? [frameRow(spec), ...outlineRows(areasOf, spec)] : outlineRows(areasOf, spec);
    }
    const fills = differs("areas");
    const words = differs("chips", "outlines", "feeds", "assets", "how") || rows.clusters !== drawn.clusters;
    drawn = { ...now, cases, things, shapes: areasOf, clusters: rows.clusters };
    if (!deck) return create(spec);
    if (!all && resized()) return look(spec);
    if (fills) rows.blank = blankRows(spec);
    if (words) written(spec);
    deck.setProps({ layers: layers(spec) });
    count += 1;
  }

  // Set the camera, and draw anew what depends on it.
  function look(spec) {
    const view = camera(spec);
    refresh(true);
    deck.setProps({ initialViewState: view });
  }

  // What stands on the map in px: after the camera was set.
  function written(spec) {
    rows.hatch = hatchRows(drawn.shapes, spec);
    writtenRows(spec, drawn.shapes, spec.deck.layers.find((layer) => layer.id === "labels").data);
  }

  function withIslands(found, spec) {
    const to = discs((found ? found.n : 0) + spec.country.islands.length);
    if (found) {
      for (const name of ["at", "fill", "line", "radius", "width"]) to[name].set(found[name].subarray(0, (found[name].length / (found.radius.length || 1)) * found.n));
      to.n = found.n;
    }
    for (const [lon, lat] of spec.country.islands) put(to, lon, lat, { fill: spec.palette[4], line: [0, 0, 0, 0], radius: 12, width: 0 });
    return to;
  }

  function create(spec) {
    const box = canvasRoot().getBoundingClientRect();
    fitted = Math.round(box.width) + "x" + Math.round(box.height);
    sizes.observe(canvasRoot());
    lines.observe(document.getElementById("map-legend"), { childList: true, characterData: true, subtree: true });
    const holder = document.createElement("div");
    holder.className = "map-deck";
    canvasRoot().appendChild(holder);
    deck = window.createDeck({ container: holder, jsonInput: { ...spec.deck, initialViewState: camera(spec), layers: [] }, tooltip: false });
    rows.blank = blankRows(spec);
    written(spec);
    deck.setProps({ layers: layers(spec) });
    count += 1;
    const map = document.getElementById("map");
    const started = Date.now();
    (function check() {
      const canvas = holder.querySelector("canvas");
      // Asking for the context again returns deck's own; it never makes a second one once deck has it.
      if (deck && deck.isInitialized && canvas) {
        map.dataset.mode = "deck";
        canvas.addEventListener("webglcontextlost", () => setTimeout(rebuild, REBUILD_MS), { once: true });
      } else if (!deck || Date.now() - started > 4000) {
        refuse("WebGL gives no context");
      } else setTimeout(check, 100);
    })();
  }

  function rebuild() {
    try {
      deck.finalize();
    } catch (problem) {
      console.info("the lost map could not be put away", problem);
    }
    canvasRoot().replaceChildren();
    deck = null;
    refresh(true);
  }

  function refuse(reason) {
    const map = document.getElementById("map");
    if (map) map.dataset.mode = "fallback";
    console.info("the map is shown as a ranking:", reason);
  }

  // ---- what the live link brings -----------------------------------------------------------------------------

  const PARTS = { "map-areas": "areas", "map-incidents": "incidents", "map-assets": "assets", "map-outlines": "outlines" };
  const had = { incidents: NONE, assets: NONE, outlines: [] }; // the newest of each part
  let due = false;

  // Take the newest of one of these parts.
  function take(id, { data }) {
    had[PARTS[id]] = data;
    const root = canvasRoot();
    if (!root || !had.areas) return;
    wanted = { ...had, spec: wanted && wanted.root === root ? wanted.spec : JSON.parse(root.dataset.spec), root };
    if (id === "map-areas") say(data);
    if (!starting) starting = prepare(wanted.spec).catch((problem) => refuse(String(problem)));
    if (due) return;
    due = true; // all parts of a message are drawn at once
    starting.then(() =>
      requestAnimationFrame(() => {
        due = false;
        if (shapes) refresh(false);
      }),
    );
  }
  const takers = Object.fromEntries(Object.keys(PARTS).map((id) => [id, (props) => take(id, props)]));

  let looked = ""; // the part of the province the camera was set for
  window.addEventListener("ioc:scene", (event) => {
    if (!wanted || !event.detail.map) return;
    say(wanted.areas);
    if (!shapes) return;
    requestAnimationFrame(() => {
      const part = key([event.detail.codes, event.detail.map.view]);
      if (!deck || part === looked) return refresh(false);
      looked = part;
      look(wanted.spec);
    });
  });

  // The place of the map changed (another screen, a scene without ticker): the province fills it again.
  let resizing = null;
  function fit() {
    clearTimeout(resizing);
    resizing = setTimeout(() => {
      const box = canvasRoot() && canvasRoot().getBoundingClientRect();
      if (!deck || !wanted || !box || !box.width) return;
      const size = Math.round(box.width) + "x" + Math.round(box.height);
      if (size === fitted) return;
      fitted = size;
      look(wanted.spec);
    }, 200);
  }
  const sizes = new ResizeObserver(fit);
  // The words of the legend come by another way than what is drawn, and may be later.
  const lines = new MutationObserver(() => requestAnimationFrame(() => deck && wanted && resized() && look(wanted.spec)));
  window.ioc_map = { takers, drawn: () => count, deck: () => deck, text: () => text };
})();
