// Places on the map, from what the server sends to what a layer draws: discs as columns, marks, clusters, heat. Used by map.js.
(function () {
  "use strict";

  // Columns go all the way from the server to the graphics card.
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

  function put(to, lon, lat, style, text) {
    const i = to.n;
    to.n += 1;
    to.at[2 * i] = lon;
    to.at[2 * i + 1] = lat;
    to.fill.set(style.fill, 4 * i);
    to.line.set(style.line, 4 * i);
    to.radius[i] = (style.radius * text) / 100;
    to.width[i] = (style.width * text) / 100;
  }

  // A layer's data; `found` null: no discs.
  function dataOf(found) {
    const to = found || discs(0);
    return {
      length: to.n,
      attributes: {
        getPosition: { value: to.at, size: 2 }, getFillColor: { value: to.fill, size: 4, normalized: true }, getLineColor: { value: to.line, size: 4, normalized: true },
        getRadius: { value: to.radius, size: 1 }, getLineWidth: { value: to.width, size: 1 },
      },
    };
  }

  // The discs, and one more at each of these places.
  function joined(found, places, style, text) {
    const to = discs((found ? found.n : 0) + places.length);
    if (found) {
      for (const name of ["at", "fill", "line", "radius", "width"]) to[name].set(found[name].subarray(0, (found[name].length / (found.radius.length || 1)) * found.n));
      to.n = found.n;
    }
    for (const [lon, lat] of places) put(to, lon, lat, style, text);
    return to;
  }

  // What a scene shows of a layer: discs, marks (what does not work at all is a letter of its own), clusters, heat.
  // `how`: [mode, name]; `where()`: {feeds, bounds, part} that are shown (feeds []: all; part: rings, null for all), asked for where points are drawn one by one;
  // `text`: the map's letters, px.
  function drawnLayer(sent, how, where, spec, text) {
    const found = { discs: null, marks: [], clusters: [], heat: [] };
    const [mode, name] = how || [];
    if (mode === "points" && sent.points) pointsOf(unpacked(sent.points), where(), spec, text, found);
    else if (mode === "clusters") clustersOf(sent.clusters[name] || [], spec, text, found);
    else if (mode === "heat" && sent.heat[name]) found.heat = heatOf(sent.heat[name], spec);
    return found;
  }

  function pointsOf(all, { feeds, bounds, part }, spec, text, found) {
    const [west, south, east, north] = bounds;
    const mineOf = all.feeds.map((feed) => !feeds.length || feeds.includes(feed));
    found.discs = discs(all.n);
    for (let i = 0; i < all.n; i += 1) {
      const lon = all.lon[i];
      const lat = all.lat[i];
      if (!mineOf[all.feed[i]] || lon < west || lon > east || lat < south || lat > north) continue;
      if (part && !part.some((ring) => inside(ring, lon, lat))) continue;
      single(lon, lat, spec.styles[all.style[i]], text, found);
    }
  }

  function inside(ring, lon, lat) {
    let found = false;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
      const [[x, y], [u, v]] = [ring[i], ring[j]];
      if (y > lat !== v > lat && lon < ((u - x) * (lat - y)) / (v - y) + x) found = !found;
    }
    return found;
  }

  function single(lon, lat, style, text, found) {
    if (style.text) found.marks.push({ position: [lon, lat], text: style.text, line: style.line, size: (style.size * text) / 100 });
    else put(found.discs, lon, lat, style, text);
  }

  // A cluster is its number; how many of them are abnormal stands below it. One alone is a point.
  function clustersOf(cells, spec, text, found) {
    const written = new Intl.NumberFormat(document.documentElement.lang);
    found.discs = discs(cells.length);
    for (const [lon, lat, n, abnormal, style] of cells) {
      if (n === 1) {
        single(lon, lat, spec.styles[spec.style_names.indexOf(style)], text, found);
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

  window.ioc_points = { drawnLayer, dataOf, joined };
})();
