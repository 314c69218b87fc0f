"""The engine at the desk of whoever asks once: pages and files that are made when they are asked for.

Every answer is of one instant of the database. Raises `Unavailable` while the database is away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from ioc import rights
from ioc.clock import local_day
from ioc.errors import Unavailable
from ioc.kpi import changes, notes
from ioc.kpi.asked import Asked, geography_of, period_of
from ioc.kpi.changes import Changes
from ioc.kpi.engine import Engine
from ioc.kpi.notes import Note
from ioc.kpi.tile import Tile
from ioc.store import status
from ioc.store.ledger import restated_since
from ioc.store.reader import Reader, snapshot

T = TypeVar("T")
Values = dict[str, "float | None"]
_KEPT = timedelta(minutes=1)  # an answer about yesterday is rebuilt from raw events: not for every reader anew


class Desk:
    def __init__(self, engine: Engine, pool: ConnectionPool[psycopg.Connection[Any]]) -> None:
        self.engine = engine
        self._pool = pool
        self._lock = threading.Lock()
        self._changes: Changes | None = None

    def tiles(self, asked: Asked, kpis: Iterable[str] | None = None, at: datetime | None = None) -> dict[str, Tile]:
        """Return the tiles of `kpis` (None: all in use) of an area and period, as of `at` (None: now)."""
        return self._ask(lambda reader: self._tiles(reader, asked, kpis, at or self.engine.clock()))

    def by_area(self, kpi: str, period: str = "", geography: str = "") -> Values:
        """Return the KPI's value for every commune, or every unit of another geography, by code."""
        now, units = self.engine.clock(), geography_of(geography)
        named, days = period_of(period)
        return self._ask(lambda reader: self.engine.by_area(reader, kpi, now, days=days, period=named, geography=units))

    def notes(self, kpi: str, area: str = "") -> list[Note]:
        """Return what editors noted on the KPI, the latest day first."""
        return self._ask(lambda reader: notes.notes(reader.conn, kpi, area))

    def note_added(self, kpi: str, area: str, day: date | None, body: str) -> Note:
        """Write a note for whoever asks; raise `Problem`."""
        return self._write(lambda conn, now: notes.add(conn, kpi, area, day, body, rights.current(), now))

    def note_changed(self, kpi: str, number: int, version: int, day: date | None, body: str) -> Note:
        """Change a note; raise `Problem`, also where it is not the `version` that was seen."""
        return self._write(lambda conn, now: notes.change(conn, kpi, number, version, day, body, rights.current(), now))

    def note_removed(self, kpi: str, number: int, version: int) -> None:
        """Remove a note; raise `Problem`."""
        self._write(lambda conn, now: notes.remove(conn, kpi, number, version, rights.current(), now))

    def changes(self) -> Changes:
        """Return what changed since this time yesterday; asked again within a minute, the same answer."""
        with self._lock:
            now = self.engine.clock()
            if self._changes is None or now - self._changes.now > _KEPT:
                self._changes = self._ask(lambda reader: self._compare(reader, now))
            return self._changes

    def doubted(self) -> list[dict[str, Any]]:
        """Return the facts of the last week that are marked as doubtful, as `status.doubts` does."""
        return self._write(lambda conn, now: status.doubts(conn, [feed.feed for feed in self.engine.config.feeds], now))

    def letters(self) -> list[dict[str, Any]]:
        """Return dead letters by cause, as `status.dead_letter_causes` does."""
        return self._write(lambda conn, _: status.dead_letter_causes(conn))

    def _compare(self, reader: Reader, now: datetime) -> Changes:
        engine = self.engine
        since = now - timedelta(days=1)
        yesterday = local_day(since, engine.zone)
        daily = [kpi.kpi for kpi in engine.kpis.values() if kpi.period == "day"]
        times = reader.feeds()
        silent = [
            changes.Silent(feed, state, times[feed].as_of if feed in times else None)
            for feed, state in engine.feed_states(times, now).items()
            if state in ("stale", "lost")
        ]
        tiles = engine.evaluate(reader, at=now)
        lines = restated_since(reader.conn, since, changes.RESTATED)
        return Changes(
            now, since,
            changes.statuses(tiles, engine.evaluate(reader, at=since)),
            changes.moves(engine.evaluate(reader, daily, at=now, days=(yesterday, yesterday)).values()),
            silent,
            [changes.Restated(tiles[line.kpi], line) for line in lines if line.kpi in tiles],
        )  # fmt: skip

    def _tiles(self, reader: Reader, asked: Asked, kpis: Iterable[str] | None, at: datetime) -> dict[str, Tile]:
        period, days = period_of(asked.period)
        return self.engine.evaluate(reader, kpis, area=asked.area or None, at=at, days=days, period=period)

    def _write(self, work: Callable[[psycopg.Connection[Any], datetime], T]) -> T:
        try:
            with self._pool.connection() as conn:
                return work(conn, self.engine.clock())
        except (psycopg.OperationalError, PoolTimeout) as exc:
            raise Unavailable(f"the database is away: {exc}") from exc

    def _ask(self, work: Callable[[Reader], T]) -> T:
        try:
            with snapshot(self._pool) as reader:
                return work(reader)
        except (psycopg.OperationalError, PoolTimeout) as exc:
            raise Unavailable(f"the database is away: {exc}") from exc
