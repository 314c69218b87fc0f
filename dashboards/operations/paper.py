"""The page of operations as a file: its tables, numbers and times as such in a spreadsheet, as the page writes them on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from dashboards.context import Context
from dashboards.figures.numbers import clock_time_s, number, unit_word
from dashboards.operations import page
from dashboards.pdf import Paper, Part, Table
from dashboards.words import Lang, pick, say
from ioc.kpi.export import Cell, cell_time
from ioc.live import Snapshot

# a column's part of the line, in the order of the page
_FEEDS, _DOUBTS, _DEAD = (30, 14, 20, 20, 20, 14, 18, 14, 14, 14, 46), (24, 34, 24, 70, 22, 22), (24, 26, 66, 24, 50, 14, 22)


class Measured(NamedTuple):
    """A number with its unit: one cell on the page, two in a spreadsheet."""

    value: Decimal
    unit: str

    def words(self, lang: Lang) -> str:
        exponent = self.value.normalize().as_tuple().exponent
        written = number(float(self.value), lang, max(0, -exponent) if isinstance(exponent, int) else 0)
        return f"{written} {unit_word(self.unit, lang, written)}".strip()


Told: TypeAlias = str | float | datetime | Measured | None  # times are aware


@dataclass(frozen=True)
class Listed:
    """A table of the page."""

    heading: str
    head: Sequence[str]
    rows: Sequence[Sequence[Told]]
    widths: Sequence[int]


def listed(snapshot: Snapshot, doubts: Sequence[Mapping[str, Any]], letters: Sequence[Mapping[str, Any]], context: Context, lang: Lang) -> list[Listed]:
    """Return the tables of the page. `doubts`, `letters`: what /api/doubts and /api/dead-letters answer."""
    titles = context.feed_titles(lang)
    feeds = [
        [pick(f.title, lang), say(f"state.{f.state}", lang), f.as_of, f.received_at, f.checked_at, round(f.rate, 1), f.events, f.duplicates, f.dead_letters, f.lag, "; ".join(f"{why} ({detail})" for why, detail in page.troubles(f, lang))]
        for f in snapshot.feeds
    ]  # fmt: skip
    asked = [
        [titles.get(d["feed"], d["feed"]), " · ".join(filter(None, (d["subject"], d["metric"]))), _measured(d), d["why"][lang], d["time"], d["received_at"]]
        for d in doubts
    ]  # fmt: skip
    dead = [[titles.get(d["feed"], d["feed"]), f"{d['why'][lang]} ({d['cause']})", d["message"], d["field"] or "", d["repair"] or "", d["times"], d["last_at"]] for d in letters]
    return [
        Listed(say("feeds", lang), page.heads(page.COLUMNS, "", lang), feeds, _FEEDS),
        Listed(say("ops.doubt.title", lang), page.heads(page.DOUBT_COLUMNS, "doubt.", lang), asked, _DOUBTS),
        Listed(say("ops.dead.title", lang), page.heads(page.DEAD_COLUMNS, "dead.", lang), dead, _DEAD),
    ]


def _measured(row: Mapping[str, Any]) -> Measured | None:
    return None if row["value"] is None else Measured(Decimal(str(row["value"])), row["unit"] or "1")


def sheet(tables: Sequence[Listed], context: Context, lang: Lang) -> list[list[Cell]]:
    """Return the tables one below the other, each under its heading; all rows are of one width."""
    rows: list[list[Cell]] = []
    for table in tables:
        measured = [any(isinstance(row[i], Measured) for row in table.rows) for i in range(len(table.head))]
        rows += [*([[]] if rows else []), [table.heading]]
        rows.append([cell for name, two in zip(table.head, measured, strict=True) for cell in ((name, say("paper.unit", lang)) if two else (name,))])
        rows += [[cell for told, two in zip(row, measured, strict=True) for cell in _cells(told, two, context)] for row in table.rows]
    width = max(map(len, rows))
    return [row + [None] * (width - len(row)) for row in rows]


def _cells(told: Told, two: bool, context: Context) -> list[Cell]:
    if isinstance(told, Measured):
        return [float(told.value), told.unit]
    cell = cell_time(told, context.zone) if isinstance(told, datetime) else told
    return [cell, ""] if two else [cell]


def paper(tables: Sequence[Listed], snapshot: Snapshot, context: Context, lang: Lang) -> Paper:
    def text(cell: Told) -> str:
        if isinstance(cell, Measured):
            return cell.words(lang)
        if isinstance(cell, datetime):
            return clock_time_s(cell, snapshot.now, context.zone, lang)
        if isinstance(cell, str):
            return cell
        return "–" if cell is None else number(cell, lang, 0 if cell == int(cell) else 1)

    parts = []
    for table in tables:
        right = [i for i in range(len(table.head)) if any(isinstance(row[i], int | float | Measured) for row in table.rows)]
        found = Table(table.head, [[text(cell) for cell in row] for row in table.rows], table.widths, right) if table.rows else None
        parts.append(Part(table.heading, [] if found else [say("changes.none", lang)], found))
    made = f"{snapshot.now.astimezone(context.zone):%H:%M %d/%m/%Y}"
    return Paper(say("ops.title", lang), [say("paper.made", lang, made=made)], parts, f"{context.province(lang)} · {say('centre', lang)}", wide=True)
