"""A KPI over its last periods: columns for what adds up, a line for rates and ranks; the first and the last period named.

The points are the tile's spark, so the last one is the tile's number. A period that still runs is hatched.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import in_words, period_words, plain
from dashboards.figures.parts import Theme
from dashboards.figures.spark import place_x, spark
from dashboards.words import Lang, say
from ioc.kpi.tile import Tile

_ADDS_UP = ("sum", "count_now")
_WIDTH = 640  # of the line, in its own pixels


def trend(t: Tile, title: str, spans: Sequence[tuple[date, date]], lang: Lang, theme: Theme = "light") -> list[Component]:
    """Return the figure and its legend. `spans`: first and last day of each point's period, as many as `t.spark` has."""
    if _too_few(t):
        return [html.Div(say("kpi.no_trend", lang), className="rank-none")]
    names = [period_words(lo, hi + timedelta(days=1), lang) for lo, hi in spans]
    known = [value for value in t.spark if value is not None]
    label = say("trend", lang, title=title)
    figure: Component | None
    if t.kind in _ADDS_UP and min(known) >= 0:
        figure = _columns(t, names, label, lang)
    else:
        figure = spark(t.spark, label, theme, width=_WIDTH, height=150)
    low, high = (in_words(value, t.unit, lang, t.decimals) for value in (min(known), max(known)))
    ends = html.Div([html.Span(names[0]), html.Span(names[-1])], className="trend-ends")
    return [figure, ends, _points(t, spans, lang), html.Div(say("kpi.range", lang, low=low, high=high), className="rank-none")]


def places(t: Tile, n: int) -> list[float]:
    """Return where each of `n` points stands in the figure, in percent of its width."""
    known = [value for value in t.spark if value is not None]
    if t.kind in _ADDS_UP and known and min(known) >= 0:
        return [(i + 0.5) / n * 100 for i in range(n)]
    return [place_x(i, n, _WIDTH) / _WIDTH * 100 for i in range(n)]


def _columns(t: Tile, names: Sequence[str], label: str, lang: Lang) -> Component:
    top = max(value for value in t.spark if value is not None) or 1.0
    last = len(t.spark) - 1
    columns = []
    for i, (value, name) in enumerate(zip(t.spark, names, strict=True)):
        said = name + ": " + (say("no_data", lang) if value is None else in_words(value, t.unit, lang, t.decimals))
        running = " column-running" if i == last and _runs(t) else ""
        height = 0.0 if value is None else 100 * value / top
        columns.append(html.Span(html.Span(className=f"column{running}", style={"height": f"{height:.1f}%"}), className="column-place", title=said, **{"data-value": plain(value)}))
    return html.Div(columns, className="columns", role="img", **{"aria-label": label})


def points(t: Tile, spans: Sequence[tuple[date, date]], lang: Lang) -> list[tuple[str, str]]:
    """Return the points in words, as period and value, the newest first; none where there are too few for a trend."""
    if _too_few(t):
        return []
    names = [period_words(lo, hi + timedelta(days=1), lang) for lo, hi in spans]
    if _runs(t):
        names[-1] = say("so_far", lang, period=names[-1])
    return [(name, say("no_data", lang) if value is None else in_words(value, t.unit, lang, t.decimals)) for name, value in zip(names, t.spark, strict=True)][::-1]


def _too_few(t: Tile) -> bool:
    return sum(value is not None for value in t.spark) < 2


def _runs(t: Tile) -> bool:
    return not t.period.complete and t.kind != "count_now"


def _points(t: Tile, spans: Sequence[tuple[date, date]], lang: Lang) -> Component:
    """The same points as a table: for screen readers, and for whoever wants the figures."""
    rows = [
        html.Tr([html.Th(name, scope="row"), html.Td(text, className="number", **{"data-point": plain(value)})])
        for (name, text), value in zip(points(t, spans, lang), t.spark[::-1], strict=True)
    ]
    return html.Details([html.Summary(say("kpi.points", lang)), html.Table(html.Tbody(rows), className="table")], className="trend-points")
