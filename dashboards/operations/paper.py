"""The page of operations as a file: its tables, numbers and times as such in a spreadsheet, as the page writes them on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dashboards.context import Context
from dashboards.figures.numbers import clock_time_s, number, unit_word
from dashboards.operations import page
from dashboards.pdf import Paper, Part, Table
from dashboards.words import Lang, pick, say
from ioc.kpi.export import Cell, cell_time
from ioc.live import Snapshot

# a column's part of the line, in the order of the page
_FEEDS, _DOUBTS, _DEAD = (30, 14, 20, 20, 20, 14, 18, 14, 14, 14, 46), (24, 34, 24, 70, 22, 22), (24, 26, 66, 24, 50, 14, 22)


@dataclass(frozen=True)
class Listed:
    """A table of the page. Its cells: texts, numbers, and aware times."""

    heading: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | float | datetime | None]]
    widths: Sequence[int]


def listed(snapshot: Snapshot, doubts: Sequence[Mapping[str, Any]], letters: Sequence[Mapping[str, Any]], context: Context, lang: Lang) -> list[Listed]:
    """Return the tables of the page. `doubts`, `letters`: what /api/doubts and /api/dead-letters answer."""
    titles = context.feed_titles(lang)
    feeds = [
        [pick(f.title, lang), say(f"state.{f.state}", lang), f.as_of, f.received_at, f.checked_at, round(f.rate, 1), f.events, f.duplicates, f.dead_letters, f.lag, "; ".join(t for t in (f.last_error, f.change) if t)]
        for f in snapshot.feeds
    ]  # fmt: skip
    asked = [
        [titles.get(d["feed"], d["feed"]), " · ".join(filter(None, (d["subject"], d["metric"]))), _measured(d, lang), d["why"][lang], d["time"], d["received_at"]]
        for d in doubts
    ]  # fmt: skip
    dead = [[titles.get(d["feed"], d["feed"]), d["cause"], d["message"], d["field"] or "", d["repair"] or "", d["times"], d["last_at"]] for d in letters]
    return [
        Listed(say("feeds", lang), page.heads(page.COLUMNS, "", lang), feeds, _FEEDS),
        Listed(say("ops.doubt.title", lang), page.heads(page.DOUBT_COLUMNS, "doubt.", lang), asked, _DOUBTS),
        Listed(say("ops.dead.title", lang), page.heads(page.DEAD_COLUMNS, "dead.", lang), dead, _DEAD),
    ]


def _measured(row: Mapping[str, Any], lang: Lang) -> str:
    if row["value"] is None:
        return ""
    exponent = Decimal(str(row["value"])).normalize().as_tuple().exponent
    written = number(float(row["value"]), lang, max(0, -exponent) if isinstance(exponent, int) else 0)
    return f"{written} {unit_word(row['unit'] or '1', lang, written)}".strip()


def sheet(tables: Sequence[Listed], context: Context) -> list[list[Cell]]:
    """Return the tables one below the other, each under its heading; all rows are of one width."""
    rows: list[list[Cell]] = []
    for table in tables:
        rows += [*([[]] if rows else []), [table.heading], list(table.head)]
        rows += [[cell_time(cell, context.zone) if isinstance(cell, datetime) else cell for cell in row] for row in table.rows]
    width = max(map(len, rows))
    return [row + [None] * (width - len(row)) for row in rows]


def paper(tables: Sequence[Listed], snapshot: Snapshot, context: Context, lang: Lang) -> Paper:
    def text(cell: str | float | datetime | None) -> str:
        if isinstance(cell, datetime):
            return clock_time_s(cell, snapshot.now, context.zone, lang)
        if isinstance(cell, str):
            return cell
        return "–" if cell is None else number(cell, lang, 0 if cell == int(cell) else 1)

    parts = []
    for table in tables:
        right = [i for i in range(len(table.head)) if any(isinstance(row[i], int | float) for row in table.rows)]
        found = Table(table.head, [[text(cell) for cell in row] for row in table.rows], table.widths, right) if table.rows else None
        parts.append(Part(table.heading, [] if found else [say("changes.none", lang)], found))
    made = f"{snapshot.now.astimezone(context.zone):%H:%M %d/%m/%Y}"
    return Paper(say("ops.title", lang), [say("paper.made", lang, made=made)], parts, f"{context.province(lang)} · {say('centre', lang)}", wide=True)
