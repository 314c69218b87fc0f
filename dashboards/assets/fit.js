// Nothing on the wall is ever cut off. The style sheet sizes for what usually comes; this catches the rest (an eleven-digit
// number, a very long title): a line that is too long for its place gets narrower letters, then leaves out what is said
// elsewhere, too (the foot of a tile), and only then gets smaller ones, the large number first.
(function () {
  "use strict";

  const LINES = ".wall .tile-head, .wall .tile-main, .wall .tile-foot, .wall .chart-head, .wall .chart-foot, .wall .flow, .wall .chart .ranking";
  const PLACES = ".tile, .chart"; // what changes in one of them moves nothing outside of it
  const OTHERS = ".feed-strip, .stills"; // they have no such lines
  const LEAST = 0.6;
  let waiting = false;
  let all = false;
  const changed = new Set(); // places

  function over(node) {
    if (node.scrollWidth > node.clientWidth + 1) return true;
    if (node.classList.contains("ranking")) return node.scrollHeight > node.clientHeight + 0.2 * parseFloat(getComputedStyle(node).fontSize); // more rows than room; a line is taller than its letters
    return node.classList.contains("tile-head") && node.scrollHeight > node.clientHeight * 1.08 + 1; // a third line of a title
  }

  function fit() {
    waiting = false;
    const nodes = [...document.querySelectorAll(LINES)].filter((node) => all || changed.has(node.closest(PLACES)));
    all = false;
    changed.clear();
    for (const node of nodes) {
      node.style.removeProperty("--fit");
      node.style.removeProperty("--small");
      node.removeAttribute("data-tight");
    }
    let left = nodes.filter(over);
    for (const how of ["narrow", "narrow short"]) {
      for (const node of left) node.setAttribute("data-tight", how);
      left = left.filter(over);
    }
    for (const what of ["--fit", "--small"]) {
      for (let share = 0.92; left.length && share >= LEAST; share -= 0.08) {
        for (const node of left) node.style.setProperty(what, share.toFixed(2));
        left = left.filter(over);
      }
    }
  }

  // `places`: where something changed; without them it may be anywhere.
  function soon(places) {
    if (places) places.forEach((place) => changed.add(place));
    else all = true;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(fit);
  }

  new MutationObserver((changes) => {
    const wall = document.querySelector(".wall .wall-left");
    const nodes = changes.map(({ target }) => (target.nodeType === 1 ? target : target.parentElement)).filter((node) => wall && wall.contains(node) && !node.closest(OTHERS));
    if (!nodes.length) return;
    const places = nodes.map((node) => node.closest(PLACES));
    soon(places.includes(null) ? null : places);
  }).observe(document, { childList: true, subtree: true, characterData: true });
  window.addEventListener("resize", () => soon());
  window.addEventListener("ioc:scene", () => soon()); // what was hidden had no width to measure
  document.fonts.ready.then(() => soon());
})();
