// The map: one deck for the life of the page, made by pydeck's own bundle. Shapes are fetched once; afterwards only
// classes and points come in. When WebGL is refused the ranking beside it is shown instead.
(function () {
  "use strict";

  const BUNDLE = "/pydeck-static/index.js";
  const REBUILD_MS = 500;

  let deck = null;
  let shapes = null;
  let starting = null;
  let wanted = null; // the newest [areas by scene, incidents, assets, spec]
  let drawn = [null, null, null, null];
  let rows = { areas: [], incidents: [], assets: [], marks: [], chips: [] };
  let text = 0; // size of a label, px
  let world = 1; // px around the Earth at the camera's zoom
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
      const fill = found === null || found === undefined ? spec.no_data : spec.palette[found];
      return { type: "Feature", geometry: feature.geometry, properties: { code: feature.properties.code, fill } };
    });
  }

  function pointRows(points, spec) {
    const [west, south, east, north] = bounds(spec);
    const mine = part();
    const shown = (points || []).filter(([lon, lat]) => lon >= west && lon <= east && lat >= south && lat <= north && (!mine || mine.some((ring) => inside(ring, lon, lat))));
    return shown.filter(([, , style]) => !spec.styles[style].text).map(([lon, lat, style, , n]) => {
      const s = spec.styles[style];
      const scale = (text / 100) * (n > 1 ? 1 + 0.35 * Math.log2(n) : 1); // a group of points: its area grows slower than its number
      return { position: [lon, lat], fill: s.fill, line: s.line, radius: s.radius * scale, width: s.width * scale };
    });
  }

  const landRows = (spec) => [{ type: "Feature", geometry: { type: "Polygon", coordinates: spec.country.land }, properties: { code: "", fill: spec.palette[1] } }];
  const islandRows = (spec) => spec.country.islands.map((position) => ({ position, fill: spec.palette[4], line: [0, 0, 0, 0], radius: 0.12 * text, width: 0 }));

  // What does not work at all is a letter of its own, not a disc.
  const markRows = (points, spec) => (points || []).filter(([, , style]) => spec.styles[style].text).map(([lon, lat, style]) => ({ position: [lon, lat], text: spec.styles[style].text, line: spec.styles[style].line }));
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

  // Names come most important first; one that would touch an earlier one is left out.
  function labelRows(candidates) {
    const boxes = [];
    return candidates.filter((row) => {
      const x = (row.position[0] / 360) * world;
      const y = mercator(row.position[1]) * world;
      const half = (row.text.length * text * 0.6) / 2;
      const free = boxes.every((b) => Math.abs(b.x - x) > b.half + half || Math.abs(b.y - y) > text * 1.15);
      if (free) boxes.push({ x, y, half });
      return free;
    });
  }

  // Of a part of the province every commune is named; of all of it the main ones.
  function named(main) {
    if (abroad()) return wanted[3].country.labels;
    const codes = (scene() || {}).codes;
    if (!codes) return main;
    const name = document.documentElement.lang === "en" ? "label_en" : "label";
    return shapes.features.map((feature) => feature.properties).filter((of) => codes.includes(of.code)).map((of) => ({ position: of.centre, text: of[name] }));
  }

  function layers(spec) {
    return spec.deck.layers.map((layer) => {
      if (layer.id === "labels") return { ...layer, getSize: text, data: labelRows(named(layer.data)) };
      if (layer.id === "marks") return { ...layer, data: rows.marks, getSize: 0.9 * text };
      if (layer.id === "chips") return { ...layer, data: rows.chips, getSize: 0.72 * text };
      return { ...layer, data: rows[layer.id] };
    });
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

  // All of that in what the legend leaves free, with room for names at the edges.
  function camera(spec) {
    const box = canvasRoot().getBoundingClientRect();
    const legend = [...document.querySelectorAll(".legend-symbols")].find((node) => node.offsetParent);
    const taken = legend ? Math.max(0, legend.getBoundingClientRect().right - box.left) : 0;
    const room = { width: box.width - taken - text, height: box.height - 0.8 * text };
    const [west, south, east, north] = bounds(spec);
    const width = (east - west) / 360;
    const height = mercator(north) - mercator(south);
    world = Math.min(room.width / width, room.height / height);
    const middle = (mercator(north) + mercator(south)) / 2;
    const latitude = (360 / Math.PI) * Math.atan(Math.exp(middle * 2 * Math.PI)) - 90;
    const longitude = (west + east) / 2 - (taken / 2 / world) * 360;
    measure(spec, latitude);
    return { longitude, latitude, zoom: Math.log2(world / 512), pitch: 0, bearing: 0 };
  }

  // The scale: the longest round length that takes at most a quarter of the map.
  function measure(spec, latitude) {
    const km = (40075 * Math.cos((latitude * Math.PI) / 180)) / world; // of a pixel
    const most = canvasRoot().getBoundingClientRect().width * 0.22 * km;
    const size = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((m) => m * size).find((n) => n <= most);
    const bar = document.getElementById("map-scale");
    bar.textContent = spec.words.scale.replace("{n}", String(length));
    bar.style.width = `${Math.round(length / km)}px`;
    bar.dataset.km = String(length);
    document.getElementById("map").dataset.look = abroad() ? "country" : "area";
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
  const NONE = [];

  // The rows of the feeds the scene draws; the same list for the same rows, so that nothing is drawn twice.
  const chosen = new Map();
  function mine(rows, on, spec) {
    if (!rows || !on.feeds || !on.feeds.length) return rows;
    const name = on.feeds.join();
    const kept = chosen.get(name) || {};
    const last = kept[rows === wanted[1] ? "incidents" : "assets"];
    if (last && last.from === rows) return last.found;
    const found = rows.filter((row) => on.feeds.includes(spec.feeds[row[3]]));
    kept[rows === wanted[1] ? "incidents" : "assets"] = { from: rows, found };
    chosen.set(name, kept);
    return found;
  }

  function refresh(changedAll) {
    const [all, allIncidents, allAssets, spec] = wanted;
    const on = (scene() || {}).map || { incidents: true, assets: true };
    const found = say(all) || { classes: null, chips: [] };
    const mode = key([on.view]);
    const areas = key([found.classes, found.chips, mode]);
    const incidents = on.incidents ? mine(allIncidents, on, spec) : NONE;
    const assets = on.assets ? mine(allAssets, on, spec) : NONE;
    let changed = changedAll || mode !== drawn[3];
    const size = labelSize();
    if (size !== text) {
      text = size;
      changed = true;
      drawn = [null, null, null, null];
    }
    if (drawn[0] !== areas || changedAll) {
      rows.areas = abroad() ? landRows(spec) : areaRows(found.classes, spec);
      rows.chips = chipRows(found.chips);
      changed = true;
    }
    if (drawn[1] !== incidents || changedAll || changed) {
      rows.incidents = pointRows(incidents, spec);
      changed = true;
    }
    if (drawn[2] !== assets || changedAll || changed) {
      rows.assets = pointRows(assets, spec);
      rows.marks = markRows(assets, spec);
      if (abroad()) rows.assets = rows.assets.concat(islandRows(spec));
      changed = true;
    }
    drawn = [areas, incidents, assets, mode];
    if (!changed) return;
    if (deck) window.updateDeck({ layers: layers(spec) }, deck);
    else create(spec);
    count += 1;
  }

  function create(spec) {
    const box = canvasRoot().getBoundingClientRect();
    fitted = Math.round(box.width) + "x" + Math.round(box.height);
    sizes.observe(canvasRoot());
    const holder = document.createElement("div");
    holder.className = "map-deck";
    canvasRoot().appendChild(holder);
    deck = window.createDeck({
      container: holder,
      jsonInput: { ...spec.deck, initialViewState: camera(spec), layers: layers(spec) },
      tooltip: false,
    });
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

  // ---- called by Dash when one of the map's stores changed ---------------------------------------------------

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.ioc = {
    map(areas, incidents, assets, spec) {
      if (!spec || areas === undefined || areas === null) return window.dash_clientside.no_update;
      wanted = [areas, incidents, assets, spec];
      say(areas);
      if (!starting) starting = prepare(spec).catch((problem) => refuse(String(problem)));
      starting.then(() => {
        if (shapes) requestAnimationFrame(() => refresh(false));
      });
      return window.dash_clientside.no_update;
    },
  };

  let looked = ""; // the part of the province the camera was set for
  window.addEventListener("ioc:scene", (event) => {
    if (!wanted || !event.detail.map) return;
    say(wanted[0]);
    if (!shapes) return;
    requestAnimationFrame(() => {
      const part = key([event.detail.codes, event.detail.map.view]);
      if (!deck || part === looked) return refresh(false);
      looked = part;
      const view = camera(wanted[3]);
      refresh(true);
      deck.setProps({ initialViewState: view });
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
      const view = camera(wanted[3]);
      refresh(true);
      deck.setProps({ initialViewState: view });
    }, 200);
  }
  const sizes = new ResizeObserver(fit);
  window.ioc_map = { drawn: () => count, deck: () => deck };
})();
