// Every text on the page: is it inside the screen and inside whatever cuts it off? How large are its letters?
() => {
  const out = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const pen = document.createElement("canvas").getContext("2d");
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const text = node.textContent.trim();
    const parent = node.parentElement;
    if (!text || !parent || parent.closest("script, style, [hidden], .skip, footer")) continue;
    const style = getComputedStyle(parent);
    if (style.visibility === "hidden" || style.display === "none" || !parent.getClientRects().length) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (!box.width) continue;
    let cut = "";
    let scrolled = false;
    for (let up = parent; up && up !== document.documentElement; up = up.parentElement) {
      const s = getComputedStyle(up);
      const scrolls = s.overflowX === "auto" || s.overflowX === "scroll";
      if (scrolls) {
        scrolled = true; // what is outside can be reached
        break;
      }
      if (s.overflowX === "hidden" || s.overflowX === "clip") {
        const edge = up.getBoundingClientRect();
        // A line box is a little taller than its letters.
        const slack = parseFloat(style.fontSize) * 0.22;
        if (box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - slack || box.bottom > edge.bottom + slack) {
          cut = up.className || up.tagName;
          break;
        }
      }
    }
    if (!cut && !scrolled && (box.left < -1 || box.right > innerWidth + 1)) cut = "screen";
    out.push({ text, cut, size: parseFloat(style.fontSize), value: parent.classList.contains("value-number") });
  }
  return out;
}
