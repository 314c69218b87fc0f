// What is written on the map of the scene that is on, measured: [what touches something else, what is not whole on the map, the names].
// A row's box is that of its letters as the layer draws them; the page's are those of the legend, the note, the scale and the country.
() => {
  const map = document.querySelector("#map");
  const root = document.querySelector("#map-canvas").getBoundingClientRect();
  const { props, viewManager } = window.ioc_map.deck();
  const [view] = viewManager.getViewports();
  const pen = document.createElement("canvas").getContext("2d");
  const PADDING = { notices: [10, 6], chips: [7, 2], clusters: [10, 4] }; // of their backgrounds, with the border

  const written = ["labels", "notices", "chips", "clusters"].flatMap((layer) => {
    const { data, getSize, fontWeight, fontFamily } = props.layers.find(({ id }) => id === layer).props;
    pen.font = `${fontWeight} ${getSize}px ${fontFamily}`;
    return [...data].map((row) => {
      const lines = row.text.split("\n");
      const [wide, tall] = PADDING[layer] || [0, 0];
      const half = Math.max(...lines.map((line) => pen.measureText(line).width)) / 2 + wide;
      const high = lines.length * getSize * 0.45 + tall; // letters with their marks
      const [x, y] = view.project(row.position).map((at, i) => at + (row.offset || [0, 0])[i] + [root.left, root.top][i]);
      return { layer, text: row.text, left: x - half, right: x + half, top: y - high, bottom: y + high };
    });
  });
  const page = [...map.querySelectorAll(".legend-step > *, .legend-symbols > div, .legend-note, .map-scale, .map-north, .map-country")]
    .map((node) => ({ layer: "page", text: node.textContent || node.className, ...node.getBoundingClientRect().toJSON() })).filter(({ width }) => width);

  const touch = (a, b) => a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top;
  const words = written.filter(({ layer }) => layer === "labels" || layer === "notices");
  const touching = words.flatMap((a) => [...written, ...page].filter((b) => a !== b && touch(a, b)).map((b) => [a.text, b.text]));
  const overlaid = page.flatMap((a, i) => page.slice(i + 1).filter((b) => touch(a, b)).map((b) => [a.text, b.text]));
  const cut = words.filter((box) => box.left < root.left || box.right > root.right || box.top < root.top || box.bottom > root.bottom).map(({ text }) => text);
  return [[...touching, ...overlaid], cut, words.map(({ text }) => text)];
}
