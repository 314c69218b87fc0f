// The live link: one websocket to /live, values put on the page, endless reconnect, a clock that never stops.
// Messages are documented in ioc/live.py. The page names its view in [data-view].
(function () {
  "use strict";

  const SILENCE_MS = 4000; // the server says something every 2 s; twice that is a cut link
  const CLOSED_MS = 1500; // a closed link that is not back after this is worth a banner
  const STOOD_MS = 1000; // a page whose watch is this late stood still (a busy computer); what the server said meanwhile waits to be read:
  const READ_MS = 2000; // for so long, once or twice in a silence: in a hidden tab each look is late
  const RETRY_MS = { first: 500, most: 4000, denied: 30000 };
  const ANSWER_MS = 3000; // a server that is there answers within this
  const DOOR = document.currentScript.src; // what is asked for to see whether it is
  const DENIED = 4403; // close code: this screen has no token, or it was revoked

  let socket = null;
  let view = null;
  let retry = RETRY_MS.first;
  let timer = null;
  let knocks = 0;
  let heard = performance.now(); // when the server last said something; this clock never jumps, whatever is done to the machine's
  let base = Date.now() - performance.now(); // the server's time when this page began, ms; the machine's until it says so
  let watched = heard; // when the link was last looked at
  let stood = 0; // how often this page stood still since the server last said something
  let reading = 0; // until when it reads what was said meanwhile
  let closedAt = null;
  let lostSince = null; // by the server's clock, ms
  let denied = false;
  let shown = new Map(); // component id -> its props as JSON, as the page has them
  const later = new Map(); // tiles of scenes that are not on: id -> newest props
  let newer = null; // a version of the page that waits for its moment

  const root = () => document.querySelector("[data-view]");
  const now = () => new Date(performance.now() + base);
  const silent = () => performance.now() - heard;

  // ---- the link -----------------------------------------------------------------------------------------------

  function connect() {
    const page = root();
    if (!page) return;
    if (view !== page.dataset.view) {
      shown = new Map();
      later.clear();
    }
    view = page.dataset.view;
    clearTimeout(timer);
    knocks += 1;
    const scheme = location.protocol === "https:" ? "wss://" : "ws://";
    const token = new URLSearchParams(location.search).get("token");
    const past = page.dataset.at !== undefined; // this page looks back: it asks for what it shows
    const asked = "/live?view=" + encodeURIComponent(view) + (token ? "&token=" + encodeURIComponent(token) : "") + (past ? "&at=" + encodeURIComponent(page.dataset.at) : "");
    const mine = new WebSocket(scheme + location.host + asked);
    socket = mine;
    timer = setTimeout(() => mine.readyState === WebSocket.CONNECTING && mine.close(), 2 * ANSWER_MS);
    if (past) mine.onopen = () => window.ioc_past.opened((text) => mine === socket && mine.send(text));
    mine.onmessage = (event) => {
      if (mine === socket) receive(JSON.parse(event.data), past);
    };
    mine.onclose = (event) => {
      if (mine !== socket) return;
      socket = null;
      closedAt = closedAt || performance.now();
      denied = event.code === DENIED;
      if (denied) lostSince = lostSince || now().getTime();
      if (denied && signInAgain()) return;
      show();
      again();
    };
  }

  // A session that ended: load an office page anew, once, and the server shows where to sign in. A wall never leaves its place.
  function signInAgain() {
    const page = root();
    if (!page || page.dataset.theme !== "light" || sessionStorage.getItem("ioc-denied")) return false;
    sessionStorage.setItem("ioc-denied", "1");
    location.reload();
    return true;
  }

  function again() {
    const wait = denied ? RETRY_MS.denied : retry;
    timer = setTimeout(knock, wait * (0.7 + 0.6 * Math.random()));
    retry = Math.min(retry * 2, RETRY_MS.most);
  }

  // After some websockets that failed Chromium lets each new one wait up to 5 s; a plain request it does not. So ask
  // whether the server is there before a websocket is made.
  async function knock() {
    const mine = (knocks += 1);
    let there = true;
    try {
      await fetch(DOOR, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    } catch {
      there = false;
    }
    if (mine !== knocks) return; // another page is shown by now
    if (there) connect();
    else again();
  }

  function drop() {
    // A half-open link never closes by itself: let go of it and start anew.
    const old = socket;
    socket = null;
    if (old) old.close();
    again();
  }

  function receive(message, past) {
    heard = performance.now();
    stood = reading = 0;
    closedAt = null;
    retry = RETRY_MS.first;
    denied = false;
    sessionStorage.removeItem("ioc-denied");
    if (past && !message.hb) window.ioc_past.got(message); // its `now` is the moment it shows
    else setClock(message.now);
    if (message.v && otherVersion(message.v)) return;
    if (message.props) apply(message.props);
    if (lostSince !== null) {
      lostSince = null;
      show();
    }
  }

  // After a reconnect everything comes again; what the page shows already is not drawn again. A tile of a scene that is
  // not on waits, only its newest value, until its scene is: a wall has ten times the tiles it shows.
  function apply(props) {
    // What is hidden is asked of all before any is put in: after a change the next question would lay out the whole page.
    const off = new Set(Object.keys(props).filter(hidden));
    for (const id in props) {
      if (off.has(id)) later.set(id, props[id]);
      else put(id, props[id]);
    }
    document.documentElement.dataset.live = String(Date.now());
  }

  function put(id, values) {
    later.delete(id);
    const text = JSON.stringify(values);
    if (shown.get(id) === text) return;
    try {
      const taker = window.ioc_map && window.ioc_map.takers[id];
      if (taker) taker(values);
      else window.ioc_paint(id, values); // not through Dash: see docs/architecture.md, "Pages"
      shown.set(id, text);
    } catch (problem) {
      console.warn("a part of the page could not take its value", id, problem);
    }
  }

  function hidden(id) {
    const node = document.getElementById(id);
    return node !== null && (node.classList.contains("tile") || node.classList.contains("chart")) && node.closest(".wall") !== null && getComputedStyle(node).display === "none";
  }

  // What a component says of itself, also while it waits for its scene.
  function said(id, name) {
    const waits = later.get(id);
    if (waits && waits["data-" + name] !== undefined) return waits["data-" + name];
    const node = document.getElementById(id);
    return node ? node.getAttribute("data-" + name) : null;
  }

  window.addEventListener("ioc:scene", () => {
    for (const [id, values] of [...later].filter(([id]) => !hidden(id))) put(id, values);
  });

  // The server runs another version than the page came from: load the new page, once. A wall that turns scenes does it
  // between two of them (scenes.js asks `boundary`); meanwhile its values go on.
  function otherVersion(version) {
    const page = root();
    if (!page || !page.dataset.version || page.dataset.version === version) return false;
    if (sessionStorage.getItem("ioc-reloaded-for") === version) return false;
    newer = version;
    return turning() ? false : boundary();
  }

  function turning() {
    const scenes = window.ioc_scenes && root().dataset.scenes ? window.ioc_scenes.list() : [];
    return scenes.length > 1 && root().dataset.paused !== "true";
  }

  function boundary() {
    if (newer === null) return false;
    sessionStorage.setItem("ioc-reloaded-for", newer);
    newer = null;
    location.reload();
    return true;
  }

  // ---- what the viewer sees of it ----------------------------------------------------------------------------

  function show() {
    const lost = lostSince !== null && !denied;
    document.documentElement.dataset.link = denied ? "denied" : lost ? "lost" : "live";
    const banner = document.getElementById("link-lost");
    if (banner) {
      banner.hidden = !lost;
      const since = banner.querySelector("[data-link-since]");
      if (lost && since) since.textContent = timeText(new Date(lostSince), banner);
    }
    const refusal = document.getElementById("link-denied");
    if (refusal) refusal.hidden = !denied;
  }

  function watch() {
    const page = root();
    if (page && page.dataset.view !== view) {
      if (socket) socket.close();
      socket = null;
      heard = performance.now();
      connect();
    }
    const late = performance.now() - watched;
    watched = performance.now();
    if (late > STOOD_MS && (stood += 1) <= 2) reading = watched + READ_MS;
    if (!page || watched < reading) return;
    const closed = closedAt !== null && performance.now() - closedAt > CLOSED_MS;
    if (closed || silent() > SILENCE_MS) {
      if (lostSince === null) {
        lostSince = now().getTime() - silent();
        show();
        if (socket && socket.readyState === WebSocket.OPEN) drop();
      } else if (socket && socket.readyState === WebSocket.OPEN && silent() > 2 * SILENCE_MS) {
        heard = performance.now() - SILENCE_MS - 1;
        drop();
      }
    }
  }

  // ---- the clock ----------------------------------------------------------------------------------------------

  function setClock(text) {
    const server = Date.parse(text);
    if (!Number.isFinite(server)) return;
    const found = server - performance.now();
    // The way takes a moment, so a message is never early; only a real difference moves the clock.
    if (Math.abs(found - base) > 1500) base = found;
  }

  const formats = {};
  function format(kind, zone, lang) {
    const key = kind + zone + lang;
    if (!formats[key]) {
      const options =
        kind === "time"
          ? { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: zone }
          : { weekday: "long", day: "2-digit", month: "2-digit", year: "numeric", timeZone: zone };
      formats[key] = new Intl.DateTimeFormat(lang === "vi" ? "vi-VN" : "en-GB", options);
    }
    return formats[key];
  }

  function timeText(date, near) {
    const clock = document.querySelector("[data-clock=time]");
    const zone = clock ? clock.dataset.zone : "Asia/Ho_Chi_Minh";
    return format("time", zone, near.closest("[lang]")?.lang || "vi").format(date);
  }

  function tick() {
    const date = now();
    for (const node of document.querySelectorAll("[data-clock]")) {
      const text = format(node.dataset.clock, node.dataset.zone, node.dataset.lang).format(date);
      if (node.textContent !== text) node.textContent = text;
    }
    setTimeout(tick, 1000 - (date.getTime() % 1000) + 5);
  }

  watch();
  setInterval(watch, 250);
  window.ioc_live = { now, boundary, said };
  tick();
  new MutationObserver(() => {
    const page = root();
    if (page && page.dataset.view !== view) watch();
    for (const node of document.querySelectorAll("[data-clock]:empty")) {
      node.textContent = format(node.dataset.clock, node.dataset.zone, node.dataset.lang).format(now());
    }
    if (page && document.documentElement.dataset.theme !== page.dataset.theme) {
      document.documentElement.dataset.theme = page.dataset.theme;
      document.documentElement.lang = page.lang;
    }
  }).observe(document, { childList: true, subtree: true });
})();
