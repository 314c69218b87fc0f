// What the office pages ask the server for themselves: how a KPI is computed, and the latest dead letters.
(function () {
  "use strict";

  const AGAIN_MS = 5000;
  const DEAD_EVERY_MS = 5000;

  function node(tag, content, className) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (content !== undefined && content !== null) made.append(...[].concat(content));
    return made;
  }

  async function json(url) {
    const answer = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    const type = answer.headers.get("content-type") || "";
    if (!answer.ok || !type.includes("json")) throw new Error(url + ": " + answer.status);
    return answer.json();
  }

  // ---- explanation -------------------------------------------------------------------------------------------

  function words(value, lang) {
    if (value && typeof value === "object" && ("vi" in value || "en" in value)) return value[lang] || value.vi || value.en;
    return value;
  }

  function value(item, lang) {
    const found = words(item, lang);
    if (found === null || found === undefined || found === "") return document.createTextNode("–");
    if (Array.isArray(found)) {
      if (found.length && typeof found[0] === "object") return table(found, lang);
      return document.createTextNode(found.join(", "));
    }
    if (typeof found === "object") return list(found, lang);
    const text = String(found);
    return text.includes("\n") || /^\s*(select|with)\b/i.test(text) ? node("pre", text) : document.createTextNode(text);
  }

  function list(object, lang) {
    const made = node("dl");
    for (const [key, item] of Object.entries(object)) made.append(node("dt", key.replaceAll("_", " ")), node("dd", value(item, lang)));
    return made;
  }

  function table(items, lang) {
    const keys = [...new Set(items.flatMap((item) => Object.keys(item)))];
    const head = node("thead", node("tr", keys.map((key) => node("th", key.replaceAll("_", " ")))));
    const body = node("tbody", items.map((item) => node("tr", keys.map((key) => node("td", value(item[key], lang))))));
    return node("div", node("table", [head, body], "table"), "scroll");
  }

  // The parts people look for first; whatever else the server says follows.
  const FIRST = ["formula", "formula_version", "numerator", "denominator", "sources", "sql", "events"];
  const HIDDEN = new Set(["kpi", "title", "description"]);

  function explain(place) {
    const lang = place.dataset.lang;
    const label = (key) => place.dataset["word" + key[0].toUpperCase() + key.slice(1)] || key.replaceAll("_", " ");
    json("/api/kpis/" + encodeURIComponent(place.dataset.explain) + "/explain?lang=" + lang).then(
      (found) => {
        const keys = [...FIRST.filter((key) => key in found), ...Object.keys(found).filter((key) => !FIRST.includes(key) && !HIDDEN.has(key))];
        const made = node("dl");
        for (const key of keys) made.append(node("dt", label(key)), node("dd", value(found[key], lang)));
        place.replaceChildren(made);
      },
      () => {
        place.textContent = place.dataset.wordUnavailable;
        setTimeout(() => place.isConnected && explain(place), AGAIN_MS);
      }
    );
  }

  // ---- dead letters -------------------------------------------------------------------------------------------

  function deadLetters(place) {
    const body = place.querySelector("tbody");
    const time = new Intl.DateTimeFormat(place.dataset.lang === "vi" ? "vi-VN" : "en-GB", {
      day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: place.dataset.zone,
    });
    json("/api/dead-letters")
      .then((found) => {
        const rows = found.map((item) =>
          node("tr", [
            node("td", item.feed), node("td", item.cause), node("td", item.message, "error"), node("td", item.field || "–"),
            node("td", item.repair || "–"), node("td", String(item.times), "number"),
            node("td", item.last_at ? time.format(new Date(item.last_at)) : "–", "time"),
          ])
        );
        if (!rows.length) {
          const cell = node("td", place.dataset.wordNone, "none");
          cell.colSpan = 7;
          rows.push(node("tr", cell));
        }
        body.replaceChildren(...rows);
      })
      .catch(() => {}) // the banner says that the link is cut; the table keeps what it had
      .finally(() => setTimeout(() => place.isConnected && deadLetters(place), DEAD_EVERY_MS));
  }

  const seen = new WeakSet();
  new MutationObserver(() => {
    for (const place of document.querySelectorAll("[data-explain], [data-dead-letters]")) {
      if (seen.has(place)) continue;
      seen.add(place);
      if ("explain" in place.dataset) explain(place);
      else deadLetters(place);
    }
  }).observe(document, { childList: true, subtree: true });
})();
