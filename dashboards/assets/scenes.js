// The wall's scenes: which one is on, what belongs to it, keys, burn-in care, dimming at night. The page is never loaded
// anew and nothing is unmounted: what a scene shows is a matter of style rules, made from [data-scenes]; from afar a scene comes in
// parts (far.js).
(function () {
  "use strict";

  const SHIFT_MS = 60000; // how often the picture moves, against burn-in
  const SHIFT_PX = 8; // at most this far from its place, in 1080ths of the height
  const PART_S = 8; // the least a part of a scene stays, whatever the scene's dwell
  const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

  let wall = null;
  let scenes = [];
  let words = {};
  let far = null; // what viewers need that whole scenes have no room for (far.js)
  let since = 0; // when the scene came on, ms of performance.now()
  let paused = false;
  let step = 0;

  const at = () => scenes.findIndex((scene) => scene.name === wall.dataset.scene);
  const clock = () => (window.ioc_live ? window.ioc_live.now() : new Date());
  const moment = () => (window.ioc_past && window.ioc_past.at()) || clock(); // of the values: earlier when one looks back

  // ---- style rules ----------------------------------------------------------------------------------------------

  function rules() {
    const lines = [".wall .tiles > .tile, .wall .charts > .chart, .wall .stills > .still, .scene-title, .legend-of, .ranking-of, .ticker-of { display: none; }"];
    for (const scene of scenes) {
      const on = `.wall[data-scene="${scene.name}"]`;
      lines.push(`${on} .scene-title[data-for="${scene.name}"] { display: inline; }`);
      lines.push(`${on} .legend-of[data-for="${scene.name}"] { display: contents; }`);
      lines.push(`${on} .ranking-of[data-for="${scene.name}"] { display: block; }`);
      lines.push(...(far ? scene.parts.flatMap((part, i) => ofPart(part, `${on}[data-part="${i}"]`)) : whole(scene, on)));
    }
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(lines.join("\n"));
    document.adoptedStyleSheets = [sheet];
  }

  const grid = (n, columns, wide) => `--columns: ${columns}; --columns-wide: ${wide}; --rows: ${Math.ceil(n / columns)}; --rows-wide: ${Math.ceil(n / wide)};`;
  const placed = (ids, on) => ids.map((id, i) => `${on} #${id} { display: grid; order: ${i}; }`);

  // Both columns lie one above the other: the map keeps its size and its one context.
  function ofPart(part, on) {
    const hidden = `${on} ${part.map ? ".wall-left" : ".wall-right"} { visibility: hidden; }`;
    return [hidden, `${on} { ${grid(part.tiles.length || 1, part.columns, part.columns)} }`, ...placed(part.tiles.map((tile) => tile.id), on)];
  }

  function whole(scene, on) {
    const lines = [`${on} { ${grid(scene.tiles.length, scene.columns, scene.columns_wide)} }`, ...placed(scene.charts, on), ...placed(scene.stills, on), ...placed(scene.tiles.map((tile) => tile.id), on)];
    if (!scene.charts.length) lines.push(`${on} .charts { display: none; }`);
    if (!scene.stills.length) lines.push(`${on} .stills { display: none; }`);
    lines.push(`${on} .ticker-of[data-for="${scene.name}"] { display: contents; }`);
    lines.push(`${on} .scene-mark[data-mark="${scene.name}"] { background: var(--text-colour); }`);
    if (!scene.ticker) lines.push(`${on} .ticker { display: none; }`);
    if (!scene.feeds) lines.push(`${on} .feed-strip { display: none; }`);
    // Hidden, never taken out: the map keeps its one context.
    if (!scene.map) lines.push(`${on} .map { position: absolute; visibility: hidden; width: 30vw; height: 60vh; }`);
    if (!scene.map && !scene.ticker) lines.push(`${on} .wall-body { grid-template-columns: minmax(0, 1fr); } ${on} .wall-right { position: absolute; visibility: hidden; }`);
    return lines;
  }

  // ---- turns ----------------------------------------------------------------------------------------------------

  function minutesOf(text) {
    const [hours, minutes] = text.split(":").map(Number);
    return hours * 60 + minutes;
  }

  function within(hours, date) {
    const [from, to] = hours.split("-").map(minutesOf);
    const now = date.getHours() * 60 + date.getMinutes();
    return from <= to ? from <= now && now < to : now >= from || now < to;
  }

  // The province's wall clock as a Date whose local fields can be read.
  function there(date) {
    return new Date(date.toLocaleString("en-US", { timeZone: wall.dataset.zone }));
  }

  function due(scene) {
    const date = there(moment());
    if (!within(scene.hours, date) || (scene.days.length && !scene.days.includes(DAYS[date.getDay()]))) return false;
    return !scene.skip || scene.tiles.some((tile) => window.ioc_live.said(tile.id, "as-of"));
  }

  function show(name, part = 0) {
    if (window.ioc_live && window.ioc_live.boundary()) return; // a new version is loaded now, between two scenes
    since = performance.now();
    if (wall.dataset.scene === name && partOn() === part) return;
    wall.dataset.scene = name;
    wall.dataset.part = String(part);
    state();
    document.documentElement.dataset.turns = String(Number(document.documentElement.dataset.turns || 0) + 1);
    window.dispatchEvent(new CustomEvent("ioc:scene", { detail: scenes[at()] }));
  }

  const partOn = () => Number(wall.dataset.part || 0);
  const partsOf = (scene) => (far ? scene.parts.length : 1);

  function go(by) {
    const now = scenes[at()];
    if (partOn() + by >= 0 && partOn() + by < partsOf(now)) return show(now.name, partOn() + by);
    for (let n = 1; n <= scenes.length; n += 1) {
      const next = scenes[(at() + by * n + scenes.length * n) % scenes.length];
      if (due(next) || n === scenes.length) return show(next.name, by > 0 ? 0 : partsOf(next) - 1);
    }
  }

  function turn() {
    if (!wall || !wall.isConnected) return;
    dim();
    if (paused || !scenes.length) return;
    const scene = scenes[at()];
    const dwell_s = partsOf(scene) > 1 ? Math.max(PART_S, scene.dwell_s / partsOf(scene)) : scene.dwell_s;
    if (performance.now() - since >= dwell_s * 1000) go(1);
  }

  // What viewers need may have changed with the size of the screen.
  function divide() {
    if (!wall || !wall.isConnected) return;
    far = wall.dataset.at === undefined ? window.ioc_far.asked(wall) : null; // who looks back sits at a desk
    for (const scene of scenes) scene.parts = far ? window.ioc_far.parts(scene, far) : [];
    wall.dataset.part = String(Math.min(partOn(), partsOf(scenes[at()]) - 1));
    rules();
    state();
  }

  // Beside the scene's title: that it does not turn, which part it is, that letters are too small.
  function state() {
    const node = document.getElementById("scene-state");
    if (!node) return;
    const part = partsOf(scenes[at()]) > 1 ? `${partOn() + 1}/${partsOf(scenes[at()])}` : "";
    node.textContent = [paused ? "❚❚ " + words.paused : "", part, far && far.short ? words.short : ""].filter(Boolean).join(" · ");
  }

  function pause(on) {
    paused = on;
    since = performance.now();
    state();
    wall.dataset.paused = String(on);
  }

  // ---- care of the panels ------------------------------------------------------------------------------------------

  function shift() {
    if (!wall || !wall.isConnected) return;
    step += 1;
    const unit = window.innerHeight / 1080;
    const x = Math.round(SHIFT_PX * unit * Math.sin(step * 0.7));
    const y = Math.round(SHIFT_PX * unit * Math.sin(step * 1.1));
    wall.style.translate = `${x}px ${y}px`;
  }

  function dim() {
    const settings = JSON.parse(wall.dataset.dimming);
    const dark = settings.level < 1 && within(settings.hours, there(clock()));
    wall.dataset.dimmed = String(dark);
    wall.style.setProperty("--brightness", dark ? String(settings.level) : "1");
  }

  // ---- keys and the list -------------------------------------------------------------------------------------------

  function help() {
    const box = document.getElementById("wall-help");
    if (!box.hidden) return close();
    box.replaceChildren(...[words.help, ...words.keys.split("|")].map((line, i) => element(i ? "p" : "h2", line)));
    box.hidden = false;
  }

  function element(tag, text) {
    const node = document.createElement(tag);
    node.textContent = text;
    return node;
  }

  function close() {
    const box = document.getElementById("wall-help");
    box.hidden = true;
    box.replaceChildren();
  }

  const plain = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").replace(/đ/g, "d");

  function find() {
    const box = document.getElementById("wall-help");
    const input = document.createElement("input");
    input.type = "search";
    input.setAttribute("aria-label", words.find);
    input.placeholder = words.find;
    const list = document.createElement("div");
    box.replaceChildren(element("h2", words.find), input, list);
    box.hidden = false;
    const all = scenes.flatMap((scene) => [{ title: scene.title, scene: scene.name }, ...scene.tiles.map((tile) => ({ title: tile.title, scene: scene.name, id: tile.id, of: scene.title }))]);
    const fill = () => {
      const found = all.filter((item) => plain(item.title).includes(plain(input.value))).slice(0, 8);
      list.replaceChildren(...(found.length ? found.map(entry) : [element("p", words.none)]));
    };
    input.addEventListener("input", fill);
    fill();
    input.focus();
  }

  function entry(item) {
    const node = element("button", item.of ? `${item.title} (${item.of})` : item.title);
    node.type = "button";
    node.addEventListener("click", () => {
      close();
      show(item.scene, item.id && far ? partWith(item) : 0);
      pause(true);
      if (item.id) mark(item.id);
    });
    return node;
  }

  const partWith = (item) => scenes.find((scene) => scene.name === item.scene).parts.findIndex((part) => part.tiles.some((tile) => tile.id === item.id));

  function mark(id) {
    const tile = document.getElementById(id);
    if (!tile) return;
    tile.setAttribute("data-found", "");
    setTimeout(() => tile.removeAttribute("data-found"), 8000);
  }

  function among(buttons, by) {
    const i = buttons.indexOf(document.activeElement);
    const next = buttons[(i + by + buttons.length) % buttons.length];
    if (next) next.focus();
  }

  function key(event) {
    if (!wall || !wall.isConnected || event.ctrlKey || event.metaKey || event.altKey) return;
    // The slider has its own arrows, a button its own space.
    if (event.target instanceof Element && event.target.closest("#past") && (event.target.tagName === "INPUT" || event.key === " ")) return;
    const box = document.getElementById("wall-help");
    if (event.key === "Escape") return close();
    if (!box.hidden && box.querySelector("input")) {
      const buttons = [...box.querySelectorAll("button")];
      if (event.key === "ArrowDown") among(buttons, 1);
      else if (event.key === "ArrowUp") among(buttons, -1);
      else if (event.key === "Enter" && document.activeElement.tagName === "INPUT" && buttons[0]) buttons[0].click();
      else return;
      return event.preventDefault();
    }
    const number = Number(event.key);
    if (event.key === " ") wall.dataset.at === undefined ? pause(!paused) : window.ioc_past.toggle();
    else if (event.key === "ArrowRight") go(1);
    else if (event.key === "ArrowLeft") go(-1);
    else if (event.key === "f") find();
    else if (event.key === "?") help();
    else if (number >= 1 && number <= scenes.length) show(scenes[number - 1].name);
    else return;
    event.preventDefault();
  }

  // ---- begin -------------------------------------------------------------------------------------------------------

  function begin(found) {
    wall = found;
    scenes = JSON.parse(wall.dataset.scenes);
    words = JSON.parse(wall.dataset.words);
    paused = false;
    since = performance.now();
    divide();
    dim();
    if (wall.dataset.at !== undefined) pause(true); // who looks back compares times, not scenes
  }

  function look() {
    const found = document.getElementById("scene");
    if (found === wall) return;
    if (found && found.dataset.scenes) begin(found);
    else if (wall) {
      wall = null;
      document.adoptedStyleSheets = [];
    }
  }

  new MutationObserver(look).observe(document, { childList: true, subtree: true });
  window.addEventListener("keydown", key);
  window.addEventListener("resize", divide);
  setInterval(turn, 250);
  setInterval(shift, SHIFT_MS);
  window.ioc_scenes = { show, go, shift, current: () => scenes[at()], list: () => scenes };
  look();
})();
