"""One indicator's own page: value, trend, communes ranked, sources with their freshness, how it is computed, raw events.

Of any area and period: the address says which. A commune in the ranking leads to the same page of that commune, whose
raw events are those of the commune. Explanation and events are asked for by the page itself (`assets/explain.js`,
GET /api/kpis/{kpi}/explain); the rest is live.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import frame
from dashboards.figures.numbers import clock_time_s, iso, number
from dashboards.figures.parts import props_of, state_chip, to_json
from dashboards.figures.picker import PERIODS, geographies, part_name, picker, unit_names
from dashboards.figures.ranking import ranking
from dashboards.figures.tile import empty_tile, tile, tile_id, titled, without_today
from dashboards.figures.trend import trend
from dashboards.leaders import notes
from dashboards.leaders.notes import Noted
from dashboards.leaders.page import exports
from dashboards.state import State
from dashboards.words import Lang, pick, say
from ioc.clock import local_day
from ioc.kpi.asked import Asked, period_of
from ioc.kpi.catalogue import Kpi
from ioc.kpi.geography import estimated, is_additive
from ioc.kpi.periods import SPARK, windows
from ioc.kpi.tile import Tile
from ioc.live import Props, Render, Snapshot

TABLES = ("csv", "xlsx")  # of what is no page of its own


def view_name(kpi: str, state: State) -> str:
    return state.view(f"kpi/{kpi}", by_place=True)


def layout(kpi: str, context: Context, state: State, noted: Noted | None = None) -> Component:
    """Return the frame of the KPI's page with what was noted on it, or a page that says there is none of that name."""
    lang, path = state.lang, f"/kpi/{kpi}"
    back = html.A(say("nav.back", lang), href=state.href("/"), className="back")
    if kpi not in context.kpis:
        content: list[Component] = [back, html.P(say("kpi.unknown", lang, kpi=kpi), className="unknown")]
        return frame.page(content, context, state, view="", path="/", current="kpi")
    found = context.kpis[kpi]
    content = [
        html.Nav([back, *_up(path, context, state)], className="crumbs", **{"aria-label": say("kpi.path", lang)}),
        html.Div([html.H1(_heading(found, state)), exports(f"/api/kpis/{kpi}/areas", state), html.P(pick(found.description, lang), className="description")], className="page-title"),
        picker(path, state, context, PERIODS if periods_of(found) else ("",)),
        html.Div(
            [
                html.Div(
                    [
                        html.Div([empty_tile(kpi, lang), html.Div(id="kpi-facts", className="facts")], className="kpi-main card"),
                        html.Section([html.Div([html.H2(say("kpi.trend", lang)), exports(f"/api/kpis/{kpi}/trend", state, forms=TABLES)], className="page-title"), *_marks(found, noted, context, state), html.Div(id="kpi-trend", className="trend")], className="card"),
                        *([notes.section(kpi, context, state, noted)] if noted is not None else []),
                        html.Section([html.H2(say("kpi.sources", lang)), html.Div(id="kpi-sources")], className="card"),
                        html.Section([html.H2(say("kpi.explain", lang)), _explain(kpi, context, state)], className="card"),
                    ],
                    className="kpi-left",
                ),
                html.Section([html.H2(say("geography.ranked" if state.geography else "kpi.ranking", lang)), geographies(path, state), html.Div(id="kpi-ranking", className="ranking")], className="card"),
            ],
            className="kpi-grid",
        ),
        html.Section(
            [
                html.Div([html.H2(say("kpi.events", lang)), exports(f"/api/kpis/{kpi}/records", state, forms=TABLES, what="kpi.records")], className="page-title"),
                html.Div(say("kpi.loading", lang), id="kpi-events", className="events"),
            ],
            className="card kpi-events",
        ),
    ]
    return frame.page(content, context, state, view=view_name(kpi, state), path=path, current="kpi")


def _marks(kpi: Kpi, noted: Noted | None, context: Context, state: State) -> list[Component]:
    if noted is None or noted.tile is None:
        return []
    found = notes.marks(noted, spans(kpi, noted.tile, context, state))
    return [html.Nav(found, className="trend-marks", **{"aria-label": say("notes", state.lang)})] if found else []


def periods_of(kpi: Kpi) -> bool:
    """Can it be asked of another period? What is true now and figures of reports have only their own."""
    return kpi.period != "now" and not kpi.latest


def _heading(kpi: Kpi, state: State) -> str:
    title = pick(kpi.title, state.lang)
    return without_today(title) if state.period not in ("", "today", "day") and periods_of(kpi) else title


def _up(path: str, context: Context, state: State) -> list[Component]:
    """The way up from a part of the province to the whole."""
    if not state.area:
        return []
    whole = say("picker.province", state.lang, name=context.province(state.lang))
    return [html.A(whole, href=state.href(path, area=""), className="up"), html.Span(part_name(state.area, context, state.lang), className="here")]


_EXPLAINED = (
    "numerator", "denominator", "watch", "alarm", "judged_from", "target", "version", "since", "sql", "time", "feed", "subject", "data", "unavailable", "raw", "no_events", "doubts",
    "restated", "was", "became", "why", "of_period",
)  # fmt: skip


def _explain(kpi: str, context: Context, state: State) -> Component:
    """The place of the explanation, and the words its script labels it with."""
    lang = state.lang
    words = json.dumps({name: say(f"kpi.{name}", lang) for name in _EXPLAINED}, ensure_ascii=False)
    asked = state.href(f"/api/kpis/{kpi}/explain")
    data = {"data-explain": asked, "data-lang": lang, "data-zone": context.config.timezone, "data-words": words}
    return html.Div(say("kpi.loading", lang), id="kpi-explain", className="explain", **data)


def of_parts(kpi: str, state: State) -> dict[str, list[str]]:
    """Return what the page asks for beside the tiles every screen shows."""
    return {} if state.plain else {str(state.asked): [kpi]}


def ranked(kpi: str, state: State) -> str:
    """Return what the ranking shows: every commune (every unit of the page's geography), in the page's period."""
    return str(Asked(kpi, state.period, state.geography))


def render(kpi: str, context: Context, state: State) -> Render:
    """Return the function that turns a snapshot into the page's properties."""
    lang = state.lang
    titles = context.feed_titles(lang)
    found = context.kpis[kpi]
    additive = is_additive(found.formula)
    names, unsure = (unit_names(context, state), estimated(context.areas, state.units)) if state.geography else (None, frozenset[str]())

    def link(code: str) -> str:
        return state.href(f"/kpi/{kpi}", area=code)

    def ranked_units(values: Mapping[str, float | None], t: Tile) -> list[Component]:
        # Of a former unit there is no page: facts are kept by today's communes.
        return ranking(values, context.areas, t.unit, t.decimals, lang, link=None if names else link, here=state.area, names=names, estimated=unsure)

    def props(snapshot: Snapshot) -> Props:
        tiles = snapshot.tiles if state.plain else snapshot.parts.get(str(state.asked), {})
        t = tiles.get(kpi)
        if t is None:
            return {}
        values = snapshot.by_area.get(ranked(kpi, state), {})

        return {
            tile_id(kpi): props_of(tile(t, lang, snapshot.now, context.zone, titles, "page")),
            "kpi-facts": {"children": to_json(_facts(t, context, snapshot.now, lang))},
            "kpi-trend": {"children": to_json(trend(t, titled(t, lang), spans(found, t, context, state), lang))},
            "kpi-ranking": {"children": to_json(ranked_units(values, t) if additive or not state.geography else html.P(say("geography.no_sum", lang), className="rank-none"))},
            "kpi-sources": {"children": to_json(_sources(t, snapshot, context, lang))},
        }

    return props


def spans(kpi: Kpi, t: Tile, context: Context, state: State) -> list[tuple[date, date]]:
    """Return the periods of the tile's spark, the tile's own the last."""
    period, days = period_of(state.period) if periods_of(kpi) else (None, None)
    return list(windows(period or kpi.period, local_day(t.period.end - timedelta(microseconds=1), context.zone), days).spans[:SPARK])


def _facts(t: Tile, context: Context, now: datetime, lang: Lang) -> Component:
    return html.Dl([part for name, text in facts(t, context, now, lang) for part in (html.Dt(name), html.Dd(text))])


def facts(t: Tile, context: Context, now: datetime, lang: Lang) -> list[tuple[str, str]]:
    """Return what stands below the number, as name and text: period, as-of, both parts, documents, what is to be asked."""
    start, end = (at.astimezone(context.zone).strftime("%d/%m/%Y %H:%M") for at in (t.period.start, t.period.end))
    period = f"{start} – {end}" + ("" if t.period.complete else f" ({say('incomplete', lang)})")
    rows = [(say("kpi.period", lang), period), (say("kpi.as_of", lang), clock_time_s(t.as_of, now, context.zone, lang) or say("no_data", lang))]
    if t.numerator is not None:
        rows.append((say("kpi.numerator", lang), number(t.numerator, lang)))
    if t.denominator is not None:
        few = "" if t.judged_from is None else f" ({say('few', lang, n=t.judged_from)})"
        rows.append((say("kpi.denominator", lang), number(t.denominator, lang) + few))
    for report in t.reports:
        if report.published is not None:
            written = say("kpi.published", lang, date=f"{report.published.astimezone(context.zone):%d/%m/%Y}", period=report.period, written=report.written)
            rows.append((say("kpi.document", lang), f"{report.document}, {written}" if report.document else written))
    return rows + [(say("kpi.asked", lang), pick(words, lang)) for words in t.doubts]


def _sources(t: Tile, snapshot: Snapshot, context: Context, lang: Lang) -> list[Component]:
    views = {view.feed: view for view in snapshot.feeds}
    rows = []
    for feed in t.source:
        view = views.get(feed)
        name = pick(view.title, lang) if view else feed
        chip = state_chip(view.state, lang, clock_time_s(view.as_of, snapshot.now, context.zone, lang)) if view else state_chip("never", lang)
        attributes = {"data-feed": feed, "data-as-of": iso(view.as_of) if view else ""}
        rows.append(html.Div([html.Span(name), chip], className="source", **attributes))
    return rows
