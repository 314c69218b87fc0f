// Nothing on the wall is ever cut off: a line of a tile that is too long for its place gets smaller letters.
// The style sheet sizes for what usually comes; this catches the rest (an eleven-digit number, a very long title).
(function () {
  "use strict";

  const LINES = ".wall .tile-head, .wall .tile-main, .wall .tile-foot, .wall .chart-head, .wall .chart-foot, .wall .flow";
  const LEAST = 0.6;
  let waiting = false;

  function over(node) {
    if (node.scrollWidth > node.clientWidth + 1) return true;
    return node.classList.contains("tile-head") && node.scrollHeight > node.clientHeight * 1.08 + 1; // a third line of a title
  }

  function fit() {
    waiting = false;
    const nodes = [...document.querySelectorAll(LINES)];
    for (const node of nodes) node.style.removeProperty("--fit");
    let left = nodes.filter(over);
    for (let share = 0.92; left.length && share >= LEAST; share -= 0.08) {
      for (const node of left) node.style.setProperty("--fit", share.toFixed(2));
      left = left.filter(over);
    }
  }

  function soon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(fit);
  }

  new MutationObserver((changes) => {
    const wall = document.querySelector(".wall .wall-left");
    if (wall && changes.some((change) => wall.contains(change.target))) soon();
  }).observe(document, { childList: true, subtree: true, characterData: true });
  window.addEventListener("resize", soon);
  window.addEventListener("ioc:scene", soon); // what was hidden had no width to measure
  document.fonts.ready.then(soon);
})();
