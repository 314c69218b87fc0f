"""`/gallery`: every figure in every state on one page, drawn by the figures themselves.

Wall figures stand in the wall's own style sheet, page figures in that of the pages; `?theme=dark` or `light` puts both on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import breakdown, charts
from dashboards.figures.feeds import feed_strip
from dashboards.figures.parts import Theme, shape, state_chip, status_chip
from dashboards.figures.ranking import ranking
from dashboards.figures.ticker import area_name, ticker
from dashboards.figures.tile import Place, tile
from dashboards.figures.trend import trend
from dashboards.gallery import samples
from dashboards.gallery.samples import Sample
from dashboards.state import State, address
from dashboards.words import Lang, pick, say
from ioc.kpi.tile import STATES, History, Tile

STYLES = ("tokens.css", "office.css", "wall.css", "gallery.css")
SCRIPTS = ("fit.js",)
_THEMES: dict[str, Theme] = {"dark": "dark", "light": "light"}
_SHAPES = ("case-open", "case-paused", "case-closed", "map-open", "map-overdue", "map-asset", "map-off", "map-frozen", "map-down", "map-vehicle", "up", "down", "running")


def layout(context: Context, state: State) -> Component:
    """Return the page; it has no live link, for its values never change."""
    lang, theme = state.lang, _THEMES.get(state.get("theme"))
    wall, page = (_Board("wall", context, lang, theme or "dark"), _Board("page", context, lang, theme or "light"))
    states, values = samples.states(), samples.values()
    sections = {
        "wall-states": wall.tiles(states, "by-four"),
        "wall-values": wall.tiles(values),
        "wall-charts": wall.charts(),
        "wall-strips": wall.strips(),
        "chips": wall.chips(),
        "page-states": page.tiles(states, "by-four"),
        "page-values": page.tiles(values),
        "page-figures": page.figures(),
    }
    return html.Div(
        [
            html.A(say("nav.skip", lang), href="#main", className="skip"),
            _head(state, list(sections)),
            html.Main([html.Section([html.H2(say(f"gallery.{name}", lang)), board], id=name) for name, board in sections.items()], id="main", tabIndex="-1"),
        ],
        className="gallery",
        lang=lang,
        **{"data-theme": theme or "light"},
    )


def _head(state: State, sections: Sequence[str]) -> Component:
    lang = state.lang
    other: Lang = "en" if lang == "vi" else "vi"
    here = state.get("theme") if state.get("theme") in _THEMES else "own"
    themes = [
        html.A(say(f"gallery.theme.{name}", lang), href=address("/gallery", replace(state, more=() if name == "own" else (("theme", name),))), **({"aria-current": "true"} if name == here else {}))
        for name in ("own", "dark", "light")
    ]
    return html.Header(
        [
            html.H1(say("gallery.title", lang)),
            html.P(say("gallery.note", lang)),
            html.Nav([html.A(say(f"gallery.{name}", lang), href=f"#{name}") for name in sections], **{"aria-label": say("gallery.sections", lang)}),
            html.Nav(
                [html.Span(say("gallery.theme", lang)), *themes, html.A(say("nav.language", lang), href=address("/gallery", replace(state, lang=other)), lang=other), html.A(say("nav.back", lang), href=f"/?lang={lang}")],
                **{"aria-label": say("gallery.theme", lang)},
            ),
        ],
        className="gallery-head",
    )


class _Board:
    """A piece of the wall, or of a page, with specimens on it."""

    def __init__(self, place: Place, context: Context, lang: Lang, theme: Theme) -> None:
        self.place, self.context, self.lang, self.theme = place, context, lang, theme
        self.zone = context.zone
        self.feeds = {samples.FEED: pick(samples.FEED_TITLE, lang)}

    def _board(self, inside: list[Component], className: str) -> Component:
        return html.Div(html.Div(inside, className=className), className=f"{self.place} board", **{"data-theme": self.theme})

    def _specimen(self, caption: str, figure: Component | list[Component]) -> Component:
        return html.Figure([html.Figcaption(caption), figure if isinstance(figure, Component) else html.Div(figure)], className="specimen")

    def tiles(self, found: Sequence[Sample], more: str = "") -> Component:
        return self._board([self._specimen(pick(s.caption, self.lang), self._tile(s)) for s in found], f"tiles {more}".strip())

    def _tile(self, s: Sample) -> Component:
        t = msgspec.structs.replace(s.tile, kpi=f"{self.place}_{s.name}")
        return tile(t, self.lang, samples.NOW, self.zone, self.feeds, self.place, f"#tile-{t.kpi}", self.theme)

    def charts(self) -> Component:
        """Every chart full, empty and with one point; then what each has of its own."""
        t, past = samples.base(), samples.past()
        never, one = samples.aged(t, "never"), samples.base(spark=[1284.0])
        old, zero = samples.aged(t, "stale"), samples.base(value=0.0, spark=[0.0] * 8, delta=None)
        flat = History(past.starts, [0.0] * len(past.starts))
        year, course = samples.years()
        names = [(area.code, area_name(area.code, self.context.areas, self.lang)) for area in list(self.context.areas.communes.values())[:9]]
        long = [(names[0][0], pick(samples.LONG_LABEL, self.lang)), *names[1:]]
        flow = samples.stages(1284, 18342, 137, 1107)
        made = [
            *(("full", self._trend(t, past)), ("empty", self._trend(never, None)), ("one", self._trend(one, None))),
            *(("old", self._trend(old, past)), ("zero", self._trend(zero, flat)), ("years", self._trend(year, course))),
            *(("full", self._calendar(t, past)), ("empty", self._calendar(never, None)), ("one", self._calendar(one, None))),
            *(("full", self._ranked(t, names)), ("empty", self._ranked(never, names)), ("one", self._ranked(t, names[:1]))),
            *(("long", self._ranked(t, long)), ("zero", self._ranked(zero, names, 0.0)), ("lowest", self._ranked(t, names, lowest=True))),
            *(("full", self._flow(flow)), ("empty", self._flow(samples.stages(None, None, None, None))), ("zero", self._flow(samples.stages(0, 0, 0, 0)))),
            *(("full", self._bars(48213, 20110, 812, 3024)), ("empty", self._bars(None, None, None, None)), ("one", self._bars(48213, None, None, None))),
        ]
        return self._board([self._specimen(say(f"gallery.{caption}", self.lang), chart) for caption, chart in made], "gallery-charts")

    def _trend(self, t: Tile, past: History | None) -> Component:
        return charts.root("trend", charts.trend(t, past, self.lang, samples.NOW, self.zone, self.theme), [t])

    def _calendar(self, t: Tile, past: History | None) -> Component:
        return charts.root("calendar", charts.calendar(t, past, self.lang, samples.NOW, self.zone, self.theme), [t])

    def _ranked(self, t: Tile, names: Sequence[tuple[str, str]], each: float = 13.0, *, lowest: bool = False) -> Component:
        values: dict[str, float | None] = {code: each * (len(names) - i) for i, (code, _) in enumerate(names)}
        return charts.root("ranking", charts.ranked(t, values, dict(names), self.lang, samples.NOW, self.zone, 5, lowest), [t])

    def _flow(self, tiles: list[Tile]) -> Component:
        return charts.root("flow", charts.flow(tiles, self.lang, samples.NOW, self.zone), tiles)

    def _bars(self, *values: float | None) -> Component:
        tiles = samples.classes(*values)
        return charts.root("bars", charts.bars("", tiles, self.lang, samples.NOW, self.zone), tiles)

    def strips(self) -> Component:
        events = samples.events(list(self.context.areas.communes)[:2])
        lines = {"full": ticker(events[:5], self.context.areas, self.lang, samples.NOW, self.zone), "empty": ticker([], self.context.areas, self.lang, samples.NOW, self.zone)}
        strips = {name: feed_strip(samples.feeds(n), self.lang, samples.NOW, self.zone) for name, n in (("full", 5), ("many", 9), ("one", 1))}
        return self._board(
            [
                *(self._specimen(say(f"gallery.{name}", self.lang), html.Div(found, className="ticker")) for name, found in lines.items()),
                *(self._specimen(say(f"gallery.{name}", self.lang), html.Div(found, className="feed-strip")) for name, found in strips.items()),
            ],
            "gallery-strips",
        )

    def chips(self) -> Component:
        """Chips, and the shapes they are made of."""
        lang = self.lang
        found = [
            *((f"state-{state}", state_chip(state, lang, "14:32" if state != "never" else "")) for state in STATES),
            *((f"status-{status}", status_chip(status, lang)) for status in samples.STATUSES if status != "unknown"),
            *((f"shape-{name}", shape(name)) for name in _SHAPES),
            *((f"aqi-{i}", html.Span([html.Span(className=f"aqi aqi-{i}"), html.Span(say(f"aqi.{i}", lang))], className="chip")) for i in range(6)),
        ]
        shown = [html.Figure([html.Figcaption(name), figure], className="specimen", **{"data-chip": name}) for name, figure in found]
        return self._board(shown, "gallery-chips")

    def figures(self) -> Component:
        """What only pages have: a trend with its legend, a ranking of communes, a table by category."""
        t, past, communes = samples.base(), samples.past(), self.context.areas.communes
        never, one = samples.aged(t, "never"), samples.base(spark=[1284.0])
        year, course = samples.years()
        values: dict[str, float | None] = {code: 120.0 - 9 * i for i, code in enumerate(list(communes)[:7])}
        made = [
            *(("full", self._page_trend(t, past)), ("empty", self._page_trend(never, past)), ("one", self._page_trend(one, past)), ("years", self._page_trend(year, course))),
            ("full", html.Div(ranking(values, self.context.areas, "{dossier}", 0, self.lang, most=7), className="ranking")),
            ("empty", html.Div(ranking({}, self.context.areas, "{dossier}", 0, self.lang), className="ranking")),
            ("full", self._table()),
        ]
        return self._board([self._specimen(say(f"gallery.{caption}", self.lang), html.Div(figure, className="card")) for caption, figure in made], "gallery-figures")

    def _page_trend(self, t: Tile, past: History) -> Component:
        starts = past.starts[len(past.starts) - len(t.spark) :]
        return html.Div(trend(t, pick(t.title, self.lang), [(start, start) for start in starts], self.lang, self.theme), className="trend")

    def _table(self) -> Component:
        """The cells of a table by category: a row by freshness, a column by status."""
        found = iter(samples.states())
        rows = []
        for state in STATES:
            tiles = [msgspec.structs.replace(s.tile, kpi=f"cell_{s.name}") for s in (next(found) for _ in samples.STATUSES)]
            cells = [breakdown.cell(t, self.lang, samples.NOW, self.zone, f"#tile-{t.kpi}") for t in tiles]
            rows.append(html.Tr([html.Th(say(f"state.{state}", self.lang), scope="row"), *cells]))
        return html.Div(html.Table(html.Tbody(rows), className="table breakdown"), className="scroll", tabIndex="0")
