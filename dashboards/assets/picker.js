// The form that chooses area and days of a leaders' page, made of the browser's own fields; what it says goes into the address.
(function () {
  "use strict";

  function node(tag, attributes, ...content) {
    const made = document.createElement(tag);
    for (const name in attributes) made.setAttribute(name, attributes[name]);
    made.append(...content);
    return made;
  }

  function areas(groups, chosen) {
    const select = node("select", { name: "area" });
    for (const [label, items] of groups) {
      const options = items.map(([code, name]) => node("option", { value: code }, name));
      if (label) select.append(node("optgroup", { label }, ...options));
      else select.append(...options);
    }
    select.value = chosen;
    return select;
  }

  function build(place) {
    const asked = JSON.parse(place.dataset.picker);
    const words = asked.words;
    const select = areas(asked.areas, asked.area);
    const [first, last] = asked.period.includes("..") ? asked.period.split("..") : [asked.period, asked.period];
    const from = node("input", { type: "date", value: first });
    const to = node("input", { type: "date", value: last });
    const days = node(
      "details", { class: "picker-days" }, node("summary", {}, words.days),
      node("div", {}, node("label", {}, words.from, from), node("label", {}, words.to, to), node("button", { type: "submit" }, words.show))
    );
    if (asked.period) days.open = true;
    const form = node("form", { action: asked.action, method: "get" }, node("label", { class: "picker-area" }, words.area, select), days);

    function go(period) {
      const query = new URLSearchParams({ lang: asked.lang });
      if (select.value) query.set("area", select.value);
      if (period) query.set("period", period);
      for (const name in asked.more) query.set(name, asked.more[name]);
      location.assign(asked.action + "?" + query.toString());
    }
    select.addEventListener("change", () => go(asked.keep || asked.period));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (from.value) go(to.value && to.value !== from.value ? from.value + ".." + to.value : from.value);
    });
    place.replaceChildren(form);
  }

  for (const place of document.querySelectorAll("[data-picker]")) build(place);
})();
