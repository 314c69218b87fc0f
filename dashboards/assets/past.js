// Looking back: the banner that says so, the slider, a day at 60 times its speed, "as it looked then" or "as known now".
// Values come over the live link (live.js), one frame for each wish (ioc/playback.py). The moment named in the banner is
// always that of the values on the screen, never the one that was only asked for.
(function () {
  "use strict";

  const SPEED = 60;
  const FRAME_MS = 1000; // at most one frame in this time
  const DRAG_MS = 150; // while the slider is dragged
  const DAY_S = 86400;

  let wall = null;
  let bar = null;
  let words = {};
  let send = null; // puts a wish on the link
  let known = "then";
  let wanted = 0; // the moment asked for, ms
  let shown = null; // the moment of the values on the screen, ms
  let waiting = false;
  let askedAt = 0;
  let playing = null; // {real, at}: where the replay began
  let dragging = null;

  const clock = () => (window.ioc_live ? window.ioc_live.now().getTime() : Date.now());
  const part = (name) => bar.querySelector(`[data-past=${name}]`);

  // ---- times of the province ------------------------------------------------------------------------------------

  const formats = {};
  function format(options) {
    const key = JSON.stringify(options) + wall.dataset.zone + wall.lang;
    formats[key] = formats[key] || new Intl.DateTimeFormat(wall.lang === "en" ? "en-GB" : "vi-VN", { ...options, timeZone: wall.dataset.zone });
    return formats[key];
  }
  const timeOf = (ms) => format({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(ms);
  const dayOf = (ms) => format({ weekday: "long", day: "2-digit", month: "2-digit", year: "numeric" }).format(ms);

  // Seconds since midnight there.
  function second(ms) {
    const [hours, minutes, seconds] = timeOf(ms).split(":").map(Number);
    return hours * 3600 + minutes * 60 + seconds;
  }
  const midnight = (ms) => Math.floor(ms / 1000) * 1000 - second(ms) * 1000;

  // ---- the link ---------------------------------------------------------------------------------------------------

  function ask(ms) {
    wanted = Math.min(ms, clock());
    askedAt = performance.now();
    waiting = true;
    say();
    if (send) send(JSON.stringify({ at: new Date(wanted).toISOString(), known }));
  }

  function opened(sender) {
    send = sender;
    if (wanted) ask(wanted);
  }

  function got(message) {
    waiting = false;
    if (message.problem) {
      playing = null;
      tell(words[message.problem.kind], message.problem.since);
    } else {
      shown = Date.parse(message.now);
      tell("");
    }
    say();
  }

  function play(on) {
    playing = on ? { real: performance.now(), at: wanted } : null;
    say();
    if (!on) remember();
  }

  function seek(ms) {
    playing = null;
    wanted = Math.min(ms, clock());
    say();
    clearTimeout(dragging);
    dragging = setTimeout(() => {
      ask(wanted);
      remember();
    }, DRAG_MS);
  }

  function step() {
    if (!wall || !wall.isConnected || !playing || waiting || performance.now() - askedAt < FRAME_MS) return;
    const end = Math.min(midnight(playing.at) + DAY_S * 1000 - 1000, clock());
    const next = playing.at + (performance.now() - playing.real) * SPEED;
    if (next >= end) play(false);
    ask(Math.min(next, end));
  }

  // The address names the moment, so that it can be sent to somebody.
  function remember() {
    const address = new URL(location.href);
    address.searchParams.set("at", new Date(wanted).toISOString());
    if (known === "now") address.searchParams.set("known", "now");
    else address.searchParams.delete("known");
    history.replaceState(history.state, "", address);
  }

  function leave() {
    const address = new URL(location.href);
    address.searchParams.delete("at");
    address.searchParams.delete("known");
    location.assign(address);
  }

  function enter() {
    const address = new URL(location.href);
    address.searchParams.set("at", new Date(Math.floor(clock() / 1000) * 1000 - 3600000).toISOString());
    location.assign(address);
  }

  // ---- the bar ----------------------------------------------------------------------------------------------------

  function element(name, kind, properties, ...children) {
    const node = document.createElement(kind);
    if (name) node.dataset.past = name;
    Object.assign(node, properties);
    node.append(...children);
    return node;
  }

  function choice(value) {
    const input = element("", "input", { type: "radio", name: "past-known", value, checked: known === value });
    input.addEventListener("change", () => {
      known = value;
      ask(wanted);
      remember();
    });
    return element("", "label", {}, input, words["as_" + value]);
  }

  function button(name, text, label, work) {
    const node = element(name, "button", { type: "button", textContent: text, title: label });
    if (label !== text) node.setAttribute("aria-label", label);
    node.addEventListener("click", work);
    return node;
  }

  function build() {
    const slider = element("slider", "input", { type: "range", min: "0", max: String(DAY_S - 60), step: "60" });
    slider.setAttribute("aria-label", words.slider);
    slider.addEventListener("input", () => seek(midnight(wanted) + Number(slider.value) * 1000));
    const modes = element("modes", "div", { role: "radiogroup" }, choice("then"), choice("now"));
    modes.setAttribute("aria-label", words.mode);
    bar.replaceChildren(
      element("banner", "p", { role: "status" }, element("title", "strong", { textContent: words.title }), element("time", "strong", {}), element("day", "span", {}), element("as", "span", {}), element("not", "span", { textContent: words.not_now })),
      element("problem", "p", { hidden: true, role: "alert" }),
      element(
        "controls", "div", {},
        button("play", "", words.play, () => play(!playing)),
        button("before", "◂", words.day_before, () => seek(wanted - DAY_S * 1000)),
        slider,
        element("wanted", "output", {}),
        button("after", "▸", words.day_after, () => seek(wanted + DAY_S * 1000)),
        modes,
        button("live", words.live, words.live, leave),
      ),
    );
  }

  function set(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  function say() {
    if (!bar || !bar.firstChild) return;
    set(part("time"), shown === null ? "…" : timeOf(shown));
    set(part("day"), shown === null ? "" : dayOf(shown));
    set(part("as"), shown === null ? "" : words["as_" + known]);
    set(part("wanted"), waiting && wanted !== shown ? `${timeOf(wanted)} ${words.fetching}` : timeOf(wanted));
    set(part("play"), playing ? "❚❚" : `▶ ${SPEED}×`);
    part("play").setAttribute("aria-label", playing ? words.stop : words.play);
    const slider = part("slider");
    const value = String(Math.min(Math.floor(second(wanted) / 60) * 60, DAY_S - 60));
    if (slider.value !== value) slider.value = value;
    slider.setAttribute("aria-valuetext", timeOf(wanted));
    wall.dataset.waiting = String(waiting);
    if (shown !== null) wall.dataset.shown = new Date(shown).toISOString();
    wall.dataset.playing = String(Boolean(playing));
  }

  function tell(sentence, since) {
    const node = part("problem");
    node.hidden = !sentence;
    set(node, (sentence || "").replace("{since}", since ? `${timeOf(Date.parse(since))} ${dayOf(Date.parse(since))}` : ""));
    wall.dataset.problem = String(Boolean(sentence));
  }

  function key(event) {
    if (!document.getElementById("scene") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLInputElement && event.target.type === "search") return;
    if (event.key === "r") (wall ? leave : enter)();
  }

  // ---- begin ------------------------------------------------------------------------------------------------------

  function begin(found) {
    wall = found;
    bar = document.getElementById("past");
    words = JSON.parse(bar.dataset.words);
    known = new URLSearchParams(location.search).get("known") === "now" ? "now" : "then";
    shown = playing = null;
    wanted = Date.parse(wall.dataset.at) || 0;
    build();
    if (!wanted) {
      wanted = clock();
      say();
      wanted = 0;
      tell(words.bad_time);
    } else if (send) ask(wanted);
    say();
  }

  function look() {
    const found = document.getElementById("scene");
    if (found === wall) return;
    if (found && found.dataset.at !== undefined) begin(found);
    else wall = bar = null;
  }

  new MutationObserver(look).observe(document, { childList: true, subtree: true });
  window.addEventListener("keydown", key);
  setInterval(step, 100);
  // Of a screen that looks back: the moment it shows. Null on a live one.
  window.ioc_past = { at: () => (wall && shown !== null ? new Date(shown) : null), opened, got, toggle: () => play(!playing) };
  look();
})();
