"""KPIs that are one KPI by category, as a table: a row a category, a column a KPI. Every cell is a tile in small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import clock_time, in_words
from dashboards.figures.parts import shape, state_chip
from dashboards.figures.tile import data_attributes, tile_id
from dashboards.words import Lang, pick, say
from ioc.kpi.catalogue import Kpi
from ioc.kpi.tile import Tile


@dataclass(frozen=True)
class Breakdown:
    """`columns`: the whole KPIs. `rows`: (a member that names the category, the KPI of each column or None)."""

    columns: tuple[Kpi, ...]
    rows: tuple[tuple[Kpi, tuple[Kpi | None, ...]], ...]

    @property
    def kpis(self) -> list[str]:
        return [cell.kpi for _, cells in self.rows for cell in cells if cell]


def split(kpis: Sequence[Kpi]) -> tuple[list[Kpi], Breakdown | None]:
    """Return the KPIs that stand for themselves, and the members of those told apart by category.

    A member is called PARENT_CATEGORY and titled 'Parent: Category', as the catalogue's `each` makes them.
    """
    parents = [kpi for kpi in kpis if any(_is_member(other, kpi) for other in kpis)]
    members = {(parent.kpi, kpi.kpi.removeprefix(parent.kpi)): kpi for parent in parents for kpi in kpis if _is_member(kpi, parent)}
    if not parents:
        return list(kpis), None
    categories = list(dict.fromkeys(ending for _, ending in members))
    rows = []
    for ending in categories:
        cells = tuple(members.get((parent.kpi, ending)) for parent in parents)
        rows.append((next(cell for cell in cells if cell), cells))
    whole = [kpi for kpi in kpis if kpi not in members.values()]
    return whole, Breakdown(tuple(parents), tuple(rows))


def _is_member(kpi: Kpi, parent: Kpi) -> bool:
    return kpi.kpi.startswith(parent.kpi + "_") and kpi.title.vi.startswith(parent.title.vi + ": ")


def table(breakdown: Breakdown, lang: Lang) -> Component:
    """Return the table with empty cells."""
    head = html.Tr([html.Td(), *(html.Th(pick(kpi.title, lang), scope="col", className="number") for kpi in breakdown.columns)])
    body = [
        html.Tr([html.Th(pick(named.title, lang).partition(": ")[2], scope="row"), *(_empty(cell) for cell in cells)])
        for named, cells in breakdown.rows
    ]
    return html.Div(html.Table([html.Thead(head), html.Tbody(body)], className="table breakdown"), className="scroll", tabIndex="0")


def _empty(kpi: Kpi | None) -> Component:
    if kpi is None:
        return html.Td("–", className="number")
    empty = {"data-kpi": kpi.kpi, "data-value": "", "data-unit": kpi.unit, "data-as-of": "", "data-formula-version": "", "data-state": "never"}
    return html.Td("…", id=tile_id(kpi.kpi), className="number cell", **empty)


def cell(t: Tile, lang: Lang, now: datetime, zone: ZoneInfo, link: str = "") -> Component:
    """Return a cell: the number with a mark when it passed a threshold, its age when it is not live."""
    inside: list[Component] = []
    if t.value is not None and t.as_of is not None and t.status in ("watch", "alarm"):
        inside.append(html.Span(shape(t.status), className=f"mark mark-{t.status}", title=say(f"status.{t.status}", lang), role="img", **{"aria-label": say(f"status.{t.status}", lang)}))
    shown = say("no_data", lang) if t.value is None or t.as_of is None else in_words(t.value, "1", lang, t.decimals)
    inside.append(html.Span(shown))
    if t.quality.state != "live":
        inside.append(state_chip(t.quality.state, lang, clock_time(t.as_of, now, zone, lang)))
    link = html.A(inside, href=link or f"/kpi/{t.kpi}?lang={lang}", title=pick(t.title, lang))
    return html.Td(link, id=tile_id(t.kpi), className=f"number cell state-{t.quality.state} status-{t.status}", **data_attributes(t))
