// The map: one deck for the life of the page, made by pydeck's own bundle. Shapes are fetched once; afterwards only
// classes and points come in. When WebGL is refused the ranking beside it is shown instead. Places come from map-points.js,
// where words have room and what is hatched from map-plane.js.
(function () {
  "use strict";

  const { drawnLayer, dataOf, joined } = window.ioc_points;
  const { mercator, latitude, at, outer, edges, seen, boxAt, free, laid, hatched } = window.ioc_plane;

  const BUNDLE = "/pydeck-static/index.js";
  const REBUILD_MS = 500;

  let deck = null;
  let shapes = null;
  let starting = null;
  let wanted = null; // the newest {areas, incidents, assets, outlines: see dashboards/maps/panel.py, spec, root: whose spec}
  let drawn = {}; // what the rows were made of
  let rows = {}; // layer -> its data; the same object as long as there is nothing new, so that deck leaves the layer alone
  let beside = [0, 0]; // the legend's width and height when the camera was set, px
  // What the camera shows (map-plane.js); `text`: size of a label, px.
  const plane = { text: 0, world: 1, canvas: { left: 0, right: 0, bottom: 0, top: 0 }, frame: { left: 0, right: 0 } };
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
      return { type: "Feature", geometry: feature.geometry, properties: { code: feature.properties.code, fill: look.fill, line: look.line, width: (look.width * plane.text) / 100, none } };
    }).sort((a, b) => a.properties.none - b.properties.none); // the line around what has no value lies on top
  }

  // Communes without a value are hatched, across the hatching of warnings.
  function blankRows(spec) {
    if (abroad()) return [];
    return rows.areas.filter(({ properties }) => properties.none).flatMap(({ geometry }) => hatched(plane, geometry, spec.no_data, 1));
  }

  // ---- areas a case concerns: outlined, hatched, with its kind and how grave it is in words -----------------------

  function outlineRows(outlines, spec) {
    return outlines.map(([geometry, , grave]) => {
      const look = spec.outlines[grave ? "grave" : "other"];
      return { type: "Feature", geometry, properties: { line: look.line, width: (look.width * plane.text) / 100 } };
    });
  }

  // Where in the country the province lies.
  function frameRow(spec) {
    const [west, south, east, north] = spec.bounds;
    const ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
    return { type: "Feature", geometry: { type: "Polygon", coordinates: [ring] }, properties: { line: spec.outlines.other.line, width: 0.07 * plane.text } };
  }

  function hatchRows(outlines, spec) {
    if (abroad()) return []; // too small there for more than an outline
    return outlines.flatMap(([geometry, , grave]) => hatched(plane, geometry, spec.outlines[grave ? "grave" : "other"], -1));
  }

  // The gravest come last; they keep their place, another one that would touch them is told by the legend alone.
  function noticeRows(outlines, spec, taken) {
    if (abroad()) return [];
    return outlines.filter(([geometry]) => seen(plane, geometry)).reverse().flatMap(([geometry, , grave, name, level, lon, lat]) => {
      const half = Math.max(widthOf(name, "notices", spec), widthOf(level, "notices", spec)) / 2 + 10;
      const tall = 1.35 * plane.text + 6;
      const row = { position: [lon, lat], text: `${name}\n${level}`, ink: grave ? [255, 190, 70, 255] : [245, 248, 250, 255] };
      const above = (edges(plane, geometry)[3] - at(plane, [lon, lat])[1]) / plane.text + 1.7; // the whole area, in letters
      const offset = free(plane, row.position, half, tall, [1.7, -above, 0, -1.7, -3.4], taken);
      return offset ? [{ ...row, offset }] : [];
    });
  }

  const landRows = (spec) => [{ type: "Feature", geometry: { type: "Polygon", coordinates: spec.country.land }, properties: { code: "", fill: spec.palette[1], line: spec.line, width: 5 } }];
  const AQI = ["#00e400", "#ffff00", "#ff7e00", "#ff0000", "#8f3f97", "#7e0023"].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).concat(255));
  const chipRows = (chips) => chips.map(([lon, lat, number, step]) => ({ position: [lon, lat], text: number, fill: AQI[step], ink: step > 3 ? [255, 255, 255, 255] : [0, 0, 0, 255] }));

  // The outlines of the part of the province the scene is about; null when it is about all of it.
  function part() {
    const codes = (scene() || {}).codes;
    if (!codes) return null;
    const rings = shapes.features.filter((feature) => codes.includes(feature.properties.code)).map((feature) => feature.geometry);
    return rings.flatMap(outer);
  }

  // How wide words are in the letters of a layer, px.
  const pen = document.createElement("canvas").getContext("2d");
  function widthOf(words, id, spec) {
    const { fontWeight, fontFamily } = spec.deck.layers.find((layer) => layer.id === id);
    pen.font = `${fontWeight} 100px ${fontFamily}`;
    return (pen.measureText(words).width * SIZES[id] * plane.text) / 100;
  }

  // What the page lays over the map.
  const LAID = [".legend-side", ".legend-note", ".map-scale", ".map-north", ".map-country"].map((name) => "#map " + name).join();

  // Names come most important first; one that would touch what stands there already moves below or above it, or is left out.
  function labelRows(candidates, spec, taken) {
    return candidates.flatMap((row) => {
      const offset = free(plane, row.position, widthOf(row.text, "labels", spec) / 2 + 0.15 * plane.text, 0.7 * plane.text, [0, 1.4, -1.4], taken);
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
      ...laid(plane, [...document.querySelectorAll(LAID)], canvasRoot().getBoundingClientRect()),
      ...(rows.marks.length > MOST_MARKS ? [] : rows.marks).map((row) => boxAt(plane, row.position, row.size * 0.3, row.size * 0.4, 0)), // what fails is seen before a name is read
      ...rows.chips.map((row) => boxAt(plane, row.position, row.text.length * plane.text * 0.22 + 6, plane.text * 0.62, 0)),
      ...rows.clusters.map((row) => boxAt(plane, row.position, row.text.length * plane.text * 0.24 + 8, plane.text * 0.66, row.offset[1])),
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
      if (SIZES[props.id]) props.getSize = SIZES[props.id] * plane.text;
      if (type === "TextLayer" && !rows[props.id].length) props.characterSet = " "; // of no letters no picture can be made
      return new window.deck[type]({ ...props, data: rows[props.id] });
    });
  }

  function field(path) {
    const names = path.split(".");
    return (row) => names.reduce((found, name) => found[name], row);
  }

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
  const resized = () => legendSize().some((size, i) => Math.abs(size - beside[i]) > plane.text / 2);

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
    const taken = Math.max(beside[0], below) + 0.4 * plane.text;
    const room = { width: box.width - taken - right - plane.text, height: box.height - plane.text };
    const [west, south, east, north] = bounds(spec);
    const width = (east - west) / 360;
    const height = mercator(north) - mercator(south);
    const world = Math.max(Math.min(room.width / width, room.height / height), 512); // at least the whole Earth, where the legend leaves no room
    const centre = [(west + east) / 2 - ((taken - right) / 2 / world) * 360, latitude((mercator(north) + mercator(south)) / 2)];
    const [x, y] = at({ world }, centre);
    const canvas = { left: x - box.width / 2, right: x + box.width / 2, bottom: y - box.height / 2, top: y + box.height / 2 };
    Object.assign(plane, { world, canvas, frame: { left: canvas.left + taken, right: canvas.right - right - 0.2 * plane.text } });
    measure(spec, centre[1]);
    return { longitude: centre[0], latitude: centre[1], zoom: Math.log2(world / 512), pitch: 0, bearing: 0 };
  }

  // The scale: the longest round length that takes at most a quarter of the map.
  function measure(spec, lat) {
    const km = (40075 * Math.cos((lat * Math.PI) / 180)) / plane.world; // of a pixel
    const most = Math.max(canvasRoot().getBoundingClientRect().width * 0.22, 4.5 * plane.text) * km; // its words stand within it
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

  const afar = () => document.getElementById("scene").dataset.far === "true"; // its legend has no room for symbols, so none are drawn

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
    const on = { ...((scene() || {}).map || { incidents: true, assets: true, feeds: [] }), ...(afar() ? { incidents: false, assets: false } : {}) };
    const found = say(areas) || { classes: null, chips: [], draw: {} };
    const size = labelSize();
    const now = {
      look: key([on.view, (scene() || {}).codes, size]), areas: key(found.classes), chips: key(found.chips), feeds: key(on.feeds),
      incidents: on.incidents ? incidents : NONE, assets: on.assets ? assets : NONE, old: ["stale", "lost"].includes(found.state), how: key(found.draw), outlines: on.incidents ? outlines : NONE,
    };
    const all = changedAll || now.look !== drawn.look;
    const differs = (...names) => all || names.some((name) => now[name] !== drawn[name]);
    if (!differs(...Object.keys(now))) return;
    plane.text = size;
    // The rows depend on the camera, too: when it has moved, a new one is set by who called.
    if (differs("areas")) rows.areas = abroad() ? landRows(spec) : areaRows(found.classes, spec);
    if (differs("chips")) rows.chips = abroad() ? [] : chipRows(found.chips);
    let { cases, things, shapes: areasOf } = drawn;
    const where = () => ({ feeds: on.feeds, bounds: bounds(spec), part: part() });
    if (differs("incidents", "how", "feeds")) {
      cases = drawnLayer(now.incidents, found.draw.incident, where, spec, plane.text);
      rows.incidents = dataOf(cases.discs);
    }
    if (differs("assets", "how", "feeds")) {
      things = drawnLayer(now.assets, found.draw.asset, where, spec, plane.text);
      rows.assets = dataOf(abroad() ? joined(things.discs, spec.country.islands, { fill: spec.palette[4], line: [0, 0, 0, 0], radius: 12, width: 0 }, plane.text) : things.discs);
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
  window.ioc_map = { takers, drawn: () => count, deck: () => deck, text: () => plane.text };
})();
