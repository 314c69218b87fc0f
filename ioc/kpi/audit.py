"""Recompute every rollup, every current state and every KPI from raw events; say what differs from what is shown.

All of it looks at one instant of the database (REPEATABLE READ), beside running ingest, and changes nothing.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import psycopg
from msgspec import Struct

from ioc.kpi.engine import Engine
from ioc.kpi.tile import Tile
from ioc.store.reader import Reader
from ioc.store.recompute import Difference, Recomputation

_RELATIVE = 1e-12  # both sides are exact decimals; only their last conversion to float may round


class Report(Struct, frozen=True):
    """What was looked at and what differs. `taken_as_stored`: cases and assets whose first events are past retention."""

    at: datetime
    difference: int
    differences: list[Difference]
    events: int
    cases: int
    assets: int
    rollup_rows: int
    taken_as_stored: int
    kpis: int
    seconds: float

    def __str__(self) -> str:
        looked_at = f"{self.events} events of {self.cases} cases and {self.assets} assets, {self.rollup_rows} rollup rows, {self.kpis} KPIs"
        return f"difference {self.difference} ({looked_at}; {self.taken_as_stored} older than the retention taken as stored; {self.seconds:.1f} s)"


def audit(source: str | psycopg.Connection[Any], engine: Engine, *, limit: int = 100) -> Report:
    """Audit the database at `source` (a DSN, or an idle connection); return what differs, at most `limit` of it."""
    if isinstance(source, str):
        with psycopg.connect(source) as conn:
            return audit(conn, engine, limit=limit)
    began = time.monotonic()
    now = engine.clock()
    horizons = {feed.feed: now - timedelta(days=feed.retention_days) for feed in engine.config.feeds}
    with source.transaction(force_rollback=True):
        source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        again = Recomputation(source, horizons, engine.zone, limit)
        differences = again.run()
        differences += compare(engine, Reader(source), again, now)[: limit - len(differences)]
    c = again.counts
    return Report(
        now, len(differences), differences, c["events"], c["cases"], c["assets"], c["rollup_rows"], c["taken_as_stored"],
        len(engine.kpis), round(time.monotonic() - began, 3),
    )  # fmt: skip


def compare(engine: Engine, stored: Reader, again: Recomputation, at: datetime) -> list[Difference]:
    """Evaluate every KPI from what is stored and from what was recomputed; return those that differ."""
    shown = engine.evaluate(stored, at=at)
    true = engine.evaluate(again.reader(stored.feeds()), at=at)
    differences = []
    for name, tile in shown.items():
        for field in ("value", "numerator", "denominator", "spark"):
            was, now = getattr(tile, field), getattr(true[name], field)
            if not _same(was, now):
                differences.append(Difference(_feed(tile), "kpi", {"kpi": name, "field": field}, was, now))
                break
    return differences


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if a is None or b is None:
        return a is b
    return bool(abs(a - b) <= _RELATIVE * max(abs(a), abs(b)))


def _feed(tile: Tile) -> str:
    return ", ".join(tile.source)
