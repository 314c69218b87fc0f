// Brings a part of a page, the wall too, to what the server says: the JSON of components (as Dash writes it) onto the elements that
// are there. Only what differs is touched, so focus, opened details and the place in a list stay.
(function () {
  "use strict";

  const NAMES = { className: "class", htmlFor: "for" };

  function attributes(node, props) {
    for (const name in props) {
      if (name === "children" || name === "id") continue;
      const written = NAMES[name] || name.toLowerCase();
      const value = props[name];
      if (value === null || value === undefined || value === false) node.removeAttribute(written);
      else {
        const text = value === true ? "" : name === "style" ? Object.entries(value).map(([key, item]) => key + ":" + item).join(";") : String(value);
        if (node.getAttribute(written) !== text) node.setAttribute(written, text);
      }
    }
  }

  const list = (children) => (children === null || children === undefined ? [] : Array.isArray(children) ? children : [children]);

  function made(part) {
    if (part === null || typeof part !== "object") return document.createTextNode(String(part));
    const node = document.createElement(part.type.toLowerCase());
    if (part.props.id) node.id = part.props.id;
    attributes(node, part.props);
    children(node, part.props.children);
    return node;
  }

  function children(node, wanted) {
    const parts = list(wanted).filter((part) => part !== null && part !== undefined);
    parts.forEach((part, i) => {
      const had = node.childNodes[i];
      if (!had) node.append(made(part));
      else if (typeof part !== "object") {
        if (had.nodeType !== 3) had.replaceWith(made(part));
        else if (had.data !== String(part)) had.data = String(part);
      } else if (had.nodeType !== 1 || had.localName !== part.type.toLowerCase() || (part.props.id || "") !== had.id) had.replaceWith(made(part));
      else {
        forget(had, part.props);
        attributes(had, part.props);
        children(had, part.props.children);
      }
    });
    while (node.childNodes.length > parts.length) node.lastChild.remove();
  }

  // An element that is taken for another part must not keep what only the old part said.
  function forget(node, props) {
    const kept = new Set(Object.keys(props).map((name) => NAMES[name] || name.toLowerCase()));
    for (const { name } of [...node.attributes]) if (!kept.has(name) && name !== "id" && name !== "open") node.removeAttribute(name);
  }

  // Show `props` in the element with this id: its attributes, and its children where they are said.
  function paint(id, props) {
    const node = document.getElementById(id);
    if (!node) return;
    attributes(node, props);
    if ("children" in props) children(node, props.children);
  }

  window.ioc_paint = paint;
})();
