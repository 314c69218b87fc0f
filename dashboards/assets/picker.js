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
    const form = node("form", { action: asked.action, method: "get" }, asked.areas.length ? node("label", { class: "picker-area" }, words.area, select) : "", days);

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

  // Indicators and areas side by side: boxes to tick, in groups.
  function boxes(name, groups, chosen, most) {
    const fields = groups.map(([label, items]) =>
      node("fieldset", {}, node("legend", {}, label), ...items.map(([value, title]) => {
        const box = node("input", { type: "checkbox", name, value });
        box.checked = chosen.includes(value);
        return node("label", {}, box, title);
      }))
    );
    const all = node("div", { class: "boxes" }, ...fields);
    const limit = () => {
      const full = most && all.querySelectorAll(":checked").length >= most;
      for (const box of all.querySelectorAll("input:not(:checked)")) box.disabled = full;
    };
    all.addEventListener("change", limit);
    limit();
    return all;
  }

  function choose(place) {
    const asked = JSON.parse(place.dataset.chooser);
    const kpis = boxes("kpis", asked.themes, asked.kpis, asked.most);
    const areas = boxes("areas", asked.parts, asked.areas, 0);
    const form = node(
      "form", { action: asked.action },
      node("details", {}, node("summary", {}, asked.words.kpis), kpis), node("details", {}, node("summary", {}, asked.words.areas), areas),
      node("button", { type: "submit" }, asked.words.show)
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const ticked = (all) => [...all.querySelectorAll(":checked")].map((box) => box.value).join(",");
      const query = new URLSearchParams({ lang: asked.lang });
      if (asked.period) query.set("period", asked.period);
      if (asked.geography) query.set("geography", asked.geography);
      for (const [name, all] of [["kpis", kpis], ["areas", areas]]) if (ticked(all)) query.set(name, ticked(all));
      location.assign(asked.action + "?" + query.toString().replaceAll("%2C", ","));
    });
    place.replaceChildren(form);
  }

  // The search field of every office page; `/` leads to it.
  function search(place) {
    const field = node("input", { type: "search", name: "q", value: place.dataset.value, placeholder: place.dataset.search, "aria-label": place.dataset.search });
    place.replaceChildren(node("form", { action: "/search", role: "search" }, node("input", { type: "hidden", name: "lang", value: place.dataset.lang }), field));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea")) return;
      event.preventDefault();
      field.focus();
      field.select();
    });
  }

  for (const place of document.querySelectorAll("[data-chooser]")) choose(place);
  for (const place of document.querySelectorAll("[data-search]")) search(place);
  for (const place of document.querySelectorAll("[data-picker]")) build(place);
})();
