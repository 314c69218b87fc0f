"""The ledger of published values: what a period that is over was said to be, and each time that changed, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, TypeAlias

import psycopg
from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from ioc.store.sql import queries

_SQL = queries("ledger")
Key: TypeAlias = tuple[str, date, date]  # KPI, first and last day


class Published(Struct, frozen=True):
    """A value as it was published; None once withdrawn."""

    kpi: str
    first: date
    last: date
    value: float | None
    formula: str
    formula_version: int
    published_at: datetime

    @property
    def key(self) -> Key:
        return self.kpi, self.first, self.last


class Restatement(Struct, frozen=True):
    """A published value that changed: what it was (since when), what it became, and why. `reason`: formula, report, late, moved, unknown.

    `formula_version`: which one gave what it became; None once the value was published anew.
    """

    first: date
    last: date
    restated_at: datetime
    was: float | None
    became: float | None
    since: datetime
    reason: str
    why: dict[str, str]
    kpi: str = ""
    formula_version: int | None = None


class Arrived(Struct, frozen=True):
    """Facts that arrived since: how many, how many `own` to the period, the first of these, the newest document that brought one."""

    n: int
    own: int
    first_id: str | None
    document: str | None
    version: datetime | None


def lock(conn: psycopg.Connection[Any]) -> bool:
    """Take the ledger until the transaction ends; False when another process keeps it."""
    row = conn.execute(_SQL["lock"]).fetchone()
    return bool(row and row[0])


def published(conn: psycopg.Connection[Any]) -> dict[Key, Published]:
    """Return every published value."""
    with conn.cursor(row_factory=class_row(Published)) as cursor:
        return {row.key: row for row in cursor.execute(_SQL["published"])}


def publish(conn: psycopg.Connection[Any], values: Sequence[Published], at: datetime) -> None:
    """Keep these values as published at `at`."""
    columns = {
        "kpi": [v.kpi for v in values], "first": [v.first for v in values], "last": [v.last for v in values], "value": [v.value for v in values],
        "formula": [v.formula for v in values], "version": [v.formula_version for v in values], "at": at,
    }  # fmt: skip
    conn.execute(_SQL["publish"], columns)


def restate(conn: psycopg.Connection[Any], kpi: str, restatement: Restatement) -> None:
    """Add a line to the ledger."""
    r = restatement
    given = {"kpi": kpi, "first": r.first, "last": r.last, "at": r.restated_at, "was": r.was, "became": r.became, "since": r.since}
    conn.execute(_SQL["restate"], given | {"reason": r.reason, "why": Jsonb(r.why)})


def arrived_since(
    conn: psycopg.Connection[Any], feeds: Iterable[str], kinds: Iterable[int], metrics: Iterable[str], since: datetime, span: tuple[datetime, datetime]
) -> Arrived:
    """Return what arrived after `since` of these feeds and kinds of fact; its own are those of `span`, of observations by metric."""
    given = {"feeds": list(feeds), "kinds": list(kinds), "metrics": list(metrics), "since": since, "start": span[0], "end": span[1]}
    row = conn.execute(_SQL["arrived_since"], given).fetchone()
    assert row is not None
    return Arrived(*row)


def restatements(conn: psycopg.Connection[Any], kpi: str, at: datetime, limit: int = 100) -> list[Restatement]:
    """Return how the KPI's published values were restated until `at`, newest first."""
    with conn.cursor(row_factory=class_row(Restatement)) as cursor:
        return cursor.execute(_SQL["restatements"], {"kpi": kpi, "at": at, "limit": limit}).fetchall()


def restated_since(conn: psycopg.Connection[Any], since: datetime, limit: int) -> list[Restatement]:
    """Return what was restated of any KPI after `since`, newest first."""
    with conn.cursor(row_factory=class_row(Restatement)) as cursor:
        return cursor.execute(_SQL["restated_since"], {"since": since, "limit": limit}).fetchall()
