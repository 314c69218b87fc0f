// What the office pages ask the server for themselves: how a KPI is computed, the latest dead letters and doubtful values.
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
    const token = new URLSearchParams(location.search).get("token");
    const headers = { Accept: "application/json", ...(token ? { Authorization: "Bearer " + token } : {}) };
    const answer = await fetch(url, { headers, credentials: "same-origin" });
    const type = answer.headers.get("content-type") || "";
    if (!answer.ok || !type.includes("json")) throw new Error(url + ": " + answer.status);
    return answer.json();
  }

  // ---- explanation (its shape: ioc/kpi/explain.py) ---------------------------------------------------------------

  function explain(place) {
    const lang = place.dataset.lang;
    const words = JSON.parse(place.dataset.words);
    json(place.dataset.explain).then(
      (found) => {
        place.replaceChildren(...explained(found, words, lang, place.dataset.zone));
        const records = document.getElementById("kpi-events");
        if (records) records.replaceChildren(events(found.events || [], words, times(lang, place.dataset.zone)));
      },
      () => {
        place.textContent = words.unavailable;
        setTimeout(() => place.isConnected && explain(place), AGAIN_MS);
      }
    );
  }

  function explained(found, words, lang, zone) {
    const number = new Intl.NumberFormat(lang === "vi" ? "vi-VN" : "en-GB", { maximumFractionDigits: 4 });
    const formula = found.formula || {};
    const parts = [];
    if (formula.words) parts.push(node("p", formula.words[lang] || formula.words.vi, "explain-words"));
    if (formula.symbols) parts.push(node("pre", formula.symbols));
    const facts = [
      [words.numerator, found.numerator], [words.denominator, found.denominator],
      [words.watch, found.limits && found.limits.watch], [words.alarm, found.limits && found.limits.alarm],
      [words.judged_from, found.limits && found.limits.judged_from], [words.target, found.limits && found.limits.target],
    ].filter(([, value]) => value !== null && value !== undefined);
    const list = node("dl", facts.flatMap(([name, value]) => [node("dt", name), node("dd", [].concat(value).map((v) => number.format(v)).join(" – "))]));
    if (formula.version) {
      const since = formula.since ? ", " + words.since + " " + day(formula.since) : "";
      list.append(node("dt", words.version), node("dd", formula.version + since));
    }
    if (list.childElementCount) parts.push(list);
    if ((found.doubts || []).length) parts.push(folded(words.doubts + ": " + found.doubts.length, [node("ul", found.doubts.map((item) => node("li", item.subject + ": " + item.why[lang])))]));
    if (formula.sql) parts.push(folded(words.sql, [node("pre", formula.sql), formula.parameters ? node("pre", JSON.stringify(formula.parameters, null, 1)) : ""]));
    if (found.restatements && found.restatements.length) parts.push(folded(words.restated + " (" + found.restatements.length + ")", [restated(found.restatements, words, lang, number, times(lang, zone))]));
    return parts;
  }

  // Each time a published value changed: of which period, when, what it was, what it is, why.
  function restated(items, words, lang, number, moment) {
    const value = (v) => (v === null || v === undefined ? "–" : number.format(v));
    const heads = [words.of_period, words.time, words.was, words.became, words.why].map((word) => node("th", word));
    const rows = items.map((item) =>
      node("tr", [
        node("td", item.first === item.last ? day(item.first) : day(item.first) + " – " + day(item.last)), node("td", moment(item.restated_at), "time"),
        node("td", value(item.was), "number"), node("td", value(item.became), "number"), node("td", (item.why && item.why[lang]) || item.reason),
      ])
    );
    return node("div", node("table", [node("thead", node("tr", heads)), node("tbody", rows)], "table"), "scroll");
  }

  const day = (text) => text.slice(0, 10).split("-").reverse().join("/");
  const folded = (title, content) => node("details", [node("summary", title), ...content]);

  function events(items, words, moment) {
    if (!items.length) return node("p", words.no_events, "rank-none");
    const heads = [words.time, words.feed, words.subject, words.data].map((word) => node("th", word));
    const rows = items.map((item) =>
      node("tr", [
        node("td", moment(item.time), "time"), node("td", item.feed), node("td", [item.subject, item.metric].filter(Boolean).join(" · ")),
        node("td", folded(words.raw, [node("code", JSON.stringify(item.data, null, 1))])),
      ])
    );
    return node("div", node("table", [node("thead", node("tr", heads)), node("tbody", rows)], "table"), "scroll");
  }

  function times(lang, zone) {
    const format = new Intl.DateTimeFormat(lang === "vi" ? "vi-VN" : "en-GB", {
      day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: zone,
    });
    return (text) => (text ? format.format(new Date(text)) : "–");
  }

  // ---- dead letters -------------------------------------------------------------------------------------------

  function deadLetters(place) {
    const body = place.querySelector("tbody");
    const moment = times(place.dataset.lang, place.dataset.zone);
    json("/api/dead-letters")
      .then((found) => {
        const rows = found.map((item) =>
          node("tr", [
            node("td", item.feed), node("td", [item.why[place.dataset.lang], node("small", item.cause)]), node("td", item.message, "error"), node("td", item.field || "–"),
            node("td", item.repair || "–"), node("td", String(item.times), "number"),
            node("td", moment(item.last_at), "time"),
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

  // ---- doubtful values: kept as they came, and asked about -----------------------------------------------------

  function doubts(place) {
    const body = place.querySelector("tbody");
    const moment = times(place.dataset.lang, place.dataset.zone);
    const number = new Intl.NumberFormat(place.dataset.lang === "vi" ? "vi-VN" : "en-GB", { maximumFractionDigits: 6 });
    json("/api/doubts")
      .then((found) => {
        const rows = found.map((item) =>
          node("tr", [
            node("td", item.feed), node("td", [item.subject, item.metric].filter(Boolean).join(" · ")),
            node("td", item.value === null ? "–" : number.format(item.value) + (item.unit && item.unit !== "1" ? " " + item.unit : ""), "number"),
            node("td", item.why[place.dataset.lang], "error"), node("td", moment(item.time), "time"), node("td", moment(item.received_at), "time"),
          ])
        );
        if (!rows.length) {
          const cell = node("td", place.dataset.wordNone, "none");
          cell.colSpan = 6;
          rows.push(node("tr", cell));
        }
        body.replaceChildren(...rows);
      })
      .catch(() => {})
      .finally(() => setTimeout(() => place.isConnected && doubts(place), DEAD_EVERY_MS));
  }

  for (const place of document.querySelectorAll("[data-doubts]")) doubts(place);
  for (const place of document.querySelectorAll("[data-explain]")) explain(place);
  for (const place of document.querySelectorAll("[data-dead-letters]")) deadLetters(place);
})();
