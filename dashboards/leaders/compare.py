"""Areas compared: chosen indicators by communes and groups, as a table with bars; sorted by the column asked for.

The address says all of it: `/compare?kpis=a,b&areas=05443,song-cong&sort=-a`. The same table goes into the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import frame
from dashboards.figures.numbers import in_words, period_words, plain
from dashboards.figures.picker import chooser, part_name, picker
from dashboards.figures.tile import titled
from dashboards.leaders.page import exports
from dashboards.state import State, address
from dashboards.words import Lang, say
from ioc.errors import UserError
from ioc.kpi.asked import Asked
from ioc.kpi.tile import Tile

MOST = 6  # indicators side by side that can still be read
PATH = "/compare"


class Questions(Protocol):
    def tiles(self, asked: Asked, kpis: Iterable[str] | None = None) -> dict[str, Tile]: ...
    def by_area(self, kpi: str, period: str = "") -> dict[str, float | None]: ...


@dataclass(frozen=True)
class Row:
    """`area`: "" for the province, which stands first whatever the order. `values`: by KPI."""

    area: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Comparison:
    """`tiles`: the province's, by KPI: they carry title, unit and as-of of each column."""

    tiles: Mapping[str, Tile]
    rows: Sequence[Row]


def chosen(context: Context, state: State) -> tuple[list[str], list[str]]:
    """Return the KPIs and the areas asked for; raise `UserError` for one that is none. Default: the first theme, all communes."""
    kpis = [kpi for kpi in state.get("kpis").split(",") if kpi] or context.themes[0][1][:4]
    areas = [area for area in state.get("areas").split(",") if area] or [*(g.group for g in context.config.province.groups), *context.areas.communes]
    if unknown := [kpi for kpi in kpis if kpi not in context.kpis]:
        raise UserError(say("kpi.unknown", state.lang, kpi=unknown[0]))
    if unknown := [area for area in areas if area not in context.parts]:
        raise UserError(context.areas.why_unknown(unknown[0]))
    if len(kpis) > MOST:
        raise UserError(say("compare.most", state.lang, n=len(kpis), most=MOST))
    return list(dict.fromkeys(kpis)), list(dict.fromkeys(areas))


def compare(context: Context, state: State, desk: Questions) -> Comparison:
    """Ask the engine for the table. Raise `UserError` for a choice that is none, `Unavailable` while the database is away."""
    kpis, areas = chosen(context, state)
    tiles = desk.tiles(Asked("", state.period), kpis)
    communes = {kpi: desk.by_area(kpi, state.period) for kpi in kpis} if any(area in context.areas.communes for area in areas) else {}
    rows = []
    for area in areas:
        if area in context.areas.communes:
            rows.append(Row(area, {kpi: communes[kpi].get(area) for kpi in kpis}))
        else:
            rows.append(Row(area, {kpi: t.value for kpi, t in desk.tiles(Asked(area, state.period), kpis).items()}))
    return Comparison(tiles, [Row("", {kpi: t.value for kpi, t in tiles.items()}), *_sorted(rows, state, kpis)])


def _sorted(rows: list[Row], state: State, kpis: Sequence[str]) -> list[Row]:
    """By the column asked for (a minus: from the highest down), areas without a value last; else as they come."""
    name = state.get("sort")
    column = name.removeprefix("-")
    if column not in kpis:
        return rows
    known = [row for row in rows if row.values[column] is not None]
    known.sort(key=lambda row: row.values[column] or 0.0, reverse=name.startswith("-"))
    return [*known, *(row for row in rows if row.values[column] is None)]


def layout(context: Context, state: State, found: Comparison | None) -> Component:
    """Return the page; without an answer (the database is away) it says so."""
    lang = state.lang
    kpis, areas = chosen(context, state)
    whole = len(areas) == len(context.areas.communes) + len(context.config.province.groups)
    head = html.Div([html.H1(say("compare.title", lang)), *([exports("/api/compare", replace(state, area=""), keep=True)] if found else [])], className="page-title")
    table = html.P(say("page.away", lang), className="notice") if found is None else _table(found, context, state)
    content = [head, picker(PATH, replace(state, area=""), context, area=False), chooser(PATH, state, context, kpis, [] if whole else areas, MOST), table]
    return frame.page(content, context, state, view="", path=PATH, current="compare")


def _table(found: Comparison, context: Context, state: State) -> Component:
    lang = state.lang
    # Communes are measured by communes, groups by groups: beside a whole city a commune has no bar.
    tops = {(kpi, kind): _top(found.rows, kpi, kind, context) for kpi in found.tiles for kind in (True, False)}
    heads = [html.Th(say("picker.area", lang), scope="col"), *(_head(t, context, state) for t in found.tiles.values())]
    body = [
        html.Tr(
            [html.Th(html.A(part_name(row.area, context, lang), href=state.href("/", area=row.area)), scope="row"), *(_cell(found.tiles[kpi], value, tops[kpi, row.area in context.areas.communes], row.area, lang) for kpi, value in row.values.items())],
            className="" if row.area else "whole", **{"data-area": row.area or context.areas.province},
        )
        for row in found.rows
    ]  # fmt: skip
    return html.Div(html.Table([html.Thead(html.Tr(heads)), html.Tbody(body)], className="table compare", lang=lang), className="scroll", tabIndex="0")


def _top(rows: Sequence[Row], kpi: str, communes: bool, context: Context) -> float:
    known = [abs(v) for row in rows if row.area and (row.area in context.areas.communes) == communes and (v := row.values[kpi]) is not None]
    return max(known, default=0.0) or 1.0


def of_when(t: Tile, context: Context, state: State) -> str:
    """Of which period a column is, and until when it is known."""
    if t.as_of is None:
        return say("no_data", state.lang)
    start, end, as_of = (at.astimezone(context.zone) for at in (t.period.start, t.period.end, t.as_of))
    known = f"{say('kpi.as_of', state.lang)} {as_of:%H:%M %d/%m}"
    return known if t.kind == "count_now" else f"{period_words(start.date(), end.date(), state.lang)} · {known}"


def _head(t: Tile, context: Context, state: State) -> Component:
    down = state.get("sort") == f"-{t.kpi}"
    up = state.get("sort") == t.kpi
    more = {**dict(state.more), "sort": t.kpi if down else f"-{t.kpi}"}
    link = html.A([html.Span(titled(t, state.lang)), html.Span("▼" if down else "▲" if up else "↕", className="sorted", **{"aria-hidden": "true"})], href=address(PATH, replace(state, more=tuple(sorted(more.items())))))
    return html.Th([link, html.Small(of_when(t, context, state))], scope="col", className="number", **({"aria-sort": "descending" if down else "ascending"} if down or up else {}))


def _cell(t: Tile, value: float | None, top: float, area: str, lang: Lang) -> Component:
    return html.Td(
        [html.Span("–" if value is None else in_words(value, t.unit, lang, t.decimals)), *([html.Meter(value=str(round(abs(value) / top, 4)), min="0", max="1", className="rank-bar", **{"aria-hidden": "true"})] if value is not None and area else [])],
        className="number", **{"data-kpi": t.kpi, "data-value": plain(value)},
    )  # fmt: skip
