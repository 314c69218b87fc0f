"""Areas compared: chosen indicators by communes and groups, as a table with bars; sorted by the column asked for.

The address says all of it: `/compare?kpis=a,b&areas=05443,song-cong&sort=-a`; with `geography=districts` (or `former`)
areas are the units until 30 June 2025, those whose values are estimated marked. The same table goes into the files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import frame
from dashboards.figures.numbers import in_words, period_words, plain
from dashboards.figures.picker import chooser, geographies, part_name, picker, unit_names
from dashboards.figures.tile import shown_value, titled
from dashboards.leaders.page import exports
from dashboards.state import State, address
from dashboards.words import Lang, say
from ioc.errors import UserError
from ioc.kpi.asked import Asked
from ioc.kpi.geography import estimated, is_additive
from ioc.kpi.tile import Tile

MOST = 6  # indicators side by side that can still be read
PATH = "/compare"


class Questions(Protocol):
    def tiles(self, asked: Asked, kpis: Iterable[str] | None = None) -> dict[str, Tile]: ...
    def by_area(self, kpi: str, period: str = "", geography: str = "") -> dict[str, float | None]: ...


@dataclass(frozen=True)
class Row:
    """`area`: "" for the province, which stands first whatever the order. `values`: by KPI; `estimated`: apportioned ones."""

    area: str
    values: Mapping[str, float | None]
    estimated: bool = False


@dataclass(frozen=True)
class Comparison:
    """`tiles`: the province's, by KPI: they carry title, unit and as-of of each column."""

    tiles: Mapping[str, Tile]
    rows: Sequence[Row]


def chosen(context: Context, state: State) -> tuple[list[str], list[str]]:
    """Return the KPIs and the areas asked for; raise `UserError` for one that is none. Default: the first theme, all communes."""
    kpis = [kpi for kpi in state.get("kpis").split(",") if kpi] or context.themes[0][1][:4]
    all_areas = _all_areas(context, state)
    areas = [area for area in state.get("areas").split(",") if area] or all_areas
    if unknown := [kpi for kpi in kpis if kpi not in context.kpis]:
        raise UserError(say("kpi.unknown", state.lang, kpi=unknown[0]))
    if unknown := sorted(set(areas) - set(all_areas)):
        raise UserError(say("geography.unknown", state.lang, code=unknown[0]) if state.geography else context.areas.why_unknown(unknown[0]))
    if len(kpis) > MOST:
        raise UserError(say("compare.most", state.lang, n=len(kpis), most=MOST))
    return list(dict.fromkeys(kpis)), list(dict.fromkeys(areas))


def _all_areas(context: Context, state: State) -> list[str]:
    """Return everything that can stand in the table: groups and communes, or the units of a former geography."""
    groups = [] if state.geography else [group.group for group in context.config.province.groups]
    return [*groups, *unit_names(context, state)]


def compare(context: Context, state: State, desk: Questions) -> Comparison:
    """Ask the engine for the table. Raise `UserError` for a choice that is none, `Unavailable` while the database is away."""
    kpis, areas = chosen(context, state)
    found = desk.tiles(Asked("", state.period), kpis)
    tiles = {kpi: found[kpi] for kpi in kpis}  # columns stand in the order of the address
    names, unsure = unit_names(context, state), estimated(context.areas, state.units)
    units = {kpi: desk.by_area(kpi, state.period, state.geography) for kpi in kpis} if any(area in names for area in areas) else {}
    rows = []
    for area in areas:
        if area in names:
            rows.append(Row(area, {kpi: units[kpi].get(area) for kpi in kpis}, area in unsure))
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
    whole = len(areas) == len(_all_areas(context, state))
    switch = geographies(PATH, replace(state, area="", more=tuple((name, value) for name, value in state.more if name != "areas")))
    head = html.Div([html.H1(say("compare.title", lang)), *([exports("/api/compare", replace(state, area=""), keep=True)] if found else [])], className="page-title")
    table = html.P(say("page.away", lang), className="notice") if found is None else _table(found, context, state)
    content = [head, picker(PATH, replace(state, area=""), context, area=False), switch, chooser(PATH, state, context, kpis, [] if whole else areas, MOST), table]
    return frame.page(content, context, state, view="", path=PATH, current="compare")


def _table(found: Comparison, context: Context, state: State) -> Component:
    lang = state.lang
    # Communes are measured by communes, groups by groups: beside a whole city a commune has no bar.
    names = unit_names(context, state)
    tops = {(kpi, kind): _top(found.rows, kpi, kind, names) for kpi in found.tiles for kind in (True, False)}
    heads = [html.Th(say("picker.area", lang), scope="col"), *(_head(t, context, state) for t in found.tiles.values())]
    body = [
        html.Tr(
            [html.Th(_name(row, context, state), scope="row"), *(_cell(found.tiles[kpi], value, tops[kpi, row.area in names], row, lang) for kpi, value in row.values.items())],
            className="" if row.area else "whole", **{"data-area": row.area or context.areas.province},
        )
        for row in found.rows
    ]  # fmt: skip
    table = html.Div(html.Table([html.Thead(html.Tr(heads)), html.Tbody(body)], className="table compare", lang=lang), className="scroll", tabIndex="0")
    return html.Div([table, *(html.P(text, className="rank-none") for text in notes(found, context, state))])


def notes(found: Comparison, context: Context, state: State) -> list[str]:
    """What a table in a former geography must say below: what is estimated, what has no values there."""
    said = [say("estimated.note", state.lang)] if any(row.estimated for row in found.rows) else []
    if state.geography and not all(is_additive(context.kpis[kpi].formula) for kpi in found.tiles):
        said.append(say("geography.some_no_sum", state.lang))
    return said


def row_name(row: Row, context: Context, state: State) -> str:
    return unit_names(context, state)[row.area] if state.geography and row.area else part_name(row.area, context, state.lang)


def _name(row: Row, context: Context, state: State) -> Component | str:
    """The area's name; of a former unit there is no page."""
    name = row_name(row, context, state)
    return name if state.geography and row.area else html.A(name, href=state.href("/", area=row.area))


def shown(t: Tile, value: float | None, row: Row, lang: Lang) -> str:
    if value is None:
        return "–"
    if not row.area:
        return shown_value(t, lang)
    text = in_words(value, t.unit, lang, t.decimals)
    return say("estimated", lang, value=text) if row.estimated else text


def _top(rows: Sequence[Row], kpi: str, units: bool, names: Collection[str]) -> float:
    known = [abs(v) for row in rows if row.area and (row.area in names) == units and (v := row.values[kpi]) is not None]
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


def _cell(t: Tile, value: float | None, top: float, row: Row, lang: Lang) -> Component:
    return html.Td(
        [html.Span(shown(t, value, row, lang)), *([html.Meter(value=str(round(abs(value) / top, 4)), min="0", max="1", className="rank-bar", **{"aria-hidden": "true"})] if value is not None and row.area else [])],
        className="number", **{"data-kpi": t.kpi, "data-value": plain(value)},
    )  # fmt: skip
