// What a page looks like by its computed styles. Each function returns what is wrong, or what there is to judge.
(() => {
  const rgb = (text) => { const [r, g, b, a] = (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number); return [r, g, b, a === undefined ? 1 : a]; };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const chroma = (c) => Math.max(c[0], c[1], c[2]) - Math.min(c[0], c[1], c[2]);
  const SATURATED = 100; // of 255; the greys and blue-greys of the tokens are below 75
  const ABNORMAL = ".status-watch, .status-alarm, .chip-watch, .chip-alarm, .mark-watch, .mark-alarm, .shape-map-overdue, .shape-map-off, .shape-map-frozen, .shape-map-down, .aqi, .still[data-still='frozen']";
  const AQI = ["0,228,0", "255,255,0", "255,126,0", "255,0,0", "143,63,151", "126,0,35"];

  const visible = (node) => node.getClientRects().length && getComputedStyle(node).visibility !== "hidden" && !node.closest("[hidden], .skip");
  const all = () => [...document.querySelectorAll("body *")].filter(visible);
  const owns = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  const named = (node) => `${node.className || node.tagName} "${node.textContent.trim().slice(0, 40)}"`;

  // What lies behind a node, and how much of the node is left by its and its ancestors' opacity.
  function behind(node) {
    let under = null;
    let share = 1;
    for (let up = node; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (!under) {
        const c = rgb(style.backgroundColor);
        if (c[3] === 1) under = c;
        if (!under) share *= Number(style.opacity);
      }
    }
    return [under || [255, 255, 255, 1], share];
  }

  function paints(node) {
    const style = getComputedStyle(node);
    const found = [];
    if (owns(node)) found.push(style.color);
    found.push(style.backgroundColor);
    for (const side of ["Top", "Right", "Bottom", "Left"]) if (parseFloat(style[`border${side}Width`]) > 0 && style[`border${side}Style`] !== "none") found.push(style[`border${side}Color`]);
    found.push(...(style.boxShadow.match(/rgba?\([^)]*\)/g) || []));
    return [...new Set(found)].map(rgb).filter((c) => c[3] > 0.1);
  }

  return {
    // Text below 4.5:1 and graphics that carry a meaning below 3:1. Shades of a scale are told by their order and legend.
    contrast() {
      const poor = [];
      for (const node of all()) {
        const style = getComputedStyle(node);
        if (owns(node)) {
          const [under, share] = behind(node);
          const ink = rgb(style.color);
          const found = ratio(over([...ink.slice(0, 3), ink[3] * share], under), under);
          if (found < 4.5) poor.push([named(node), Math.round(found * 100) / 100]);
        }
        if (node.matches(".shape, .key-line, .key-band, .swatch, .flow-arrow, .column, .tile.status-watch, .tile.status-alarm, .state-stale.tile, .state-lost.tile")) {
          const [under, share] = behind(node.parentElement);
          const edge = parseFloat(style.borderTopWidth) > 0 ? rgb(style.borderTopColor) : rgb(style.backgroundColor);
          const found = ratio(over([...edge.slice(0, 3), edge[3] * share * Number(style.opacity)], under), under);
          const hatched = style.backgroundImage !== "none" && parseFloat(style.borderTopWidth) === 0;
          if (found < 3 && !hatched) poor.push([node.className, Math.round(found * 100) / 100]);
        }
      }
      return poor;
    },

    // Everything in a saturated colour: is it of something abnormal, is there a shape, is there a word (or a name for it)?
    coloured() {
      const found = [];
      for (const node of all()) {
        if (node.closest("a, summary, .gallery-head") && !node.closest(".tile, .breakdown")) continue; // links of pages are blue
        const strong = paints(node).filter((c) => chroma(c) > SATURATED);
        if (!strong.length) continue;
        const root = node.closest(ABNORMAL);
        const old = node.closest(".state-stale, .state-lost");
        const whole = root && (root.closest(".tile, .cell, .flow-stage, .legend-symbols > div, .legend-step, .specimen, .still") || root);
        found.push({
          node: named(node), colours: strong.map(String), abnormal: Boolean(root) && !(old && !node.closest(".aqi, .legend-side")),
          shape: Boolean(whole && whole.querySelector(".shape, .aqi")),
          word: Boolean(whole && (whole.textContent.trim() || whole.querySelector("[aria-label]"))),
        });
      }
      return found;
    },

    // Everything in a colour of VN_AQI: as small as a letter?
    regulated() {
      return all().filter((node) => paints(node).some((c) => AQI.includes(c.slice(0, 3).join()))).map((node) => {
        const box = node.getBoundingClientRect();
        const em = parseFloat(getComputedStyle(node.parentElement).fontSize);
        return { node: named(node), small: node.classList.contains("aqi") && box.width <= 1.2 * em && box.height <= em };
      });
    },

    async saturated_pixels(bytes) {
      const data = await pixels(bytes);
      let n = 0;
      for (let i = 0; i < data.length; i += 4) n += chroma([data[i], data[i + 1], data[i + 2]]) > SATURATED ? 1 : 0;
      return n;
    },

    // How much of two pictures differs when both are taken for grey: 0 to 1.
    async difference([one, other]) {
      const [a, b] = [await pixels(one, 40), await pixels(other, 40)];
      let n = 0;
      for (let i = 0; i < a.length; i += 4) n += Math.abs(light([a[i], a[i + 1], a[i + 2]]) - light([b[i], b[i + 1], b[i + 2]])) > 0.25 ? 1 : 0;
      return n / (a.length / 4);
    },
  };

  async function pixels(bytes, side) {
    const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
    const canvas = new OffscreenCanvas(side || image.width, side || image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  }
})()
