"""One indicator's own page: value, trend, communes ranked, sources with their freshness, and how it is computed.

The explanation is asked for by the page itself (`assets/explain.js`, GET /api/kpis/{kpi}/explain); the rest is live.
"""

from __future__ import annotations

import json
from datetime import datetime

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import frame
from dashboards.figures.numbers import clock_time_s, in_words, iso, number
from dashboards.figures.parts import props_of, state_chip, to_json
from dashboards.figures.ranking import ranking
from dashboards.figures.spark import spark
from dashboards.figures.tile import empty_tile, tile, tile_id
from dashboards.words import Lang, pick, say
from ioc.kpi.tile import Tile
from ioc.live import Props, Render, Snapshot


def view_name(kpi: str, lang: Lang) -> str:
    return f"kpi/{kpi}:{lang}"


def layout(kpi: str, context: Context, lang: Lang) -> Component:
    """Return the frame of the KPI's page, or a page that says there is none of that name."""
    back = html.A(say("nav.back", lang), href=f"/?lang={lang}", className="back")
    path = f"/kpi/{kpi}"
    if kpi not in context.kpis:
        content: list[Component] = [back, html.P(say("kpi.unknown", lang, kpi=kpi), className="unknown")]
        return frame.page(content, context, lang, view="", path="/", current="kpi")
    found = context.kpis[kpi]
    content = [
        back,
        html.Div([html.H1(pick(found.title, lang)), html.P(pick(found.description, lang), className="description")], className="page-title"),
        html.Div(
            [
                html.Div(
                    [
                        html.Div(
                            [
                                html.Div([empty_tile(kpi, lang), html.Div(id="kpi-facts", className="facts")], className="kpi-main"),
                                html.Section([html.H2(say("kpi.trend", lang)), html.Div(id="kpi-trend", className="trend")], className="card"),
                            ],
                            className="kpi-top",
                        ),
                        html.Section([html.H2(say("kpi.sources", lang)), html.Div(id="kpi-sources")], className="card"),
                        html.Section([html.H2(say("kpi.explain", lang)), _explain(kpi, context, lang)], className="card"),
                    ],
                    className="kpi-left",
                ),
                html.Section([html.H2(say("kpi.ranking", lang)), html.Div(id="kpi-ranking", className="ranking")], className="card"),
            ],
            className="kpi-grid",
        ),
    ]
    return frame.page(content, context, lang, view=view_name(kpi, lang), path=path, current="kpi")


_EXPLAINED = ("numerator", "denominator", "watch", "alarm", "target", "version", "since", "sql", "events", "time", "feed", "subject", "data", "unavailable")


def _explain(kpi: str, context: Context, lang: Lang) -> Component:
    """The place of the explanation, and the words its script labels it with."""
    words = json.dumps({name: say(f"kpi.{name}", lang) for name in _EXPLAINED}, ensure_ascii=False)
    data = {"data-explain": kpi, "data-lang": lang, "data-zone": context.config.timezone, "data-words": words}
    return html.Div(say("kpi.loading", lang), id="kpi-explain", className="explain", **data)


def render(kpi: str, context: Context, lang: Lang) -> Render:
    """Return the function that turns a snapshot into the page's properties."""
    titles = context.feed_titles(lang)

    def props(snapshot: Snapshot) -> Props:
        t = snapshot.tiles.get(kpi)
        if t is None:
            return {}
        values = snapshot.by_area.get(kpi, {})
        return {
            tile_id(kpi): props_of(tile(t, lang, snapshot.now, context.zone, titles, "page")),
            "kpi-facts": {"children": to_json(_facts(t, context, snapshot.now, lang))},
            "kpi-trend": {"children": to_json(_trend(t, lang))},
            "kpi-ranking": {"children": to_json(ranking(values, context.areas, t.unit, t.decimals, lang))},
            "kpi-sources": {"children": to_json(_sources(t, snapshot, context, lang))},
        }

    return props


def _trend(t: Tile, lang: Lang) -> list[Component]:
    """The sparkline, large, with its lowest and highest value in words."""
    line = spark(t.spark, say("trend", lang, title=pick(t.title, lang)), "light", width=640, height=170)
    known = [value for value in t.spark if value is not None]
    if line is None:
        return [html.Div(say("kpi.no_trend", lang), className="rank-none")]
    low, high = (in_words(value, t.unit, lang, t.decimals) for value in (min(known), max(known)))
    return [line, html.Div(say("kpi.range", lang, low=low, high=high), className="rank-none")]


def _facts(t: Tile, context: Context, now: datetime, lang: Lang) -> Component:
    start, end = (at.astimezone(context.zone).strftime("%d/%m/%Y %H:%M") for at in (t.period.start, t.period.end))
    period = f"{start} – {end}" + ("" if t.period.complete else f" ({say('incomplete', lang)})")
    rows = [(say("kpi.period", lang), period), (say("kpi.as_of", lang), clock_time_s(t.as_of, now, context.zone, lang) or say("no_data", lang))]
    if t.numerator is not None:
        rows.append((say("kpi.numerator", lang), number(t.numerator, lang)))
    if t.denominator is not None:
        rows.append((say("kpi.denominator", lang), number(t.denominator, lang)))
    return html.Dl([part for name, text in rows for part in (html.Dt(name), html.Dd(text))])


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
