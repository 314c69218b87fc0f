"""The engine at the desk of whoever asks once: pages and files that are made when they are asked for.

Every answer is of one instant of the database. Raises `Unavailable` while the database is away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from ioc.errors import Unavailable
from ioc.kpi.asked import Asked, period_of
from ioc.kpi.engine import Engine
from ioc.kpi.tile import Tile
from ioc.store.reader import Reader, snapshot

T = TypeVar("T")
Values = dict[str, "float | None"]


class Desk:
    def __init__(self, engine: Engine, pool: ConnectionPool[psycopg.Connection[Any]]) -> None:
        self.engine = engine
        self._pool = pool

    def tiles(self, asked: Asked, kpis: Iterable[str] | None = None, at: datetime | None = None) -> dict[str, Tile]:
        """Return the tiles of `kpis` (None: all in use) of an area and period, as of `at` (None: now)."""
        return self._ask(lambda reader: self._tiles(reader, asked, kpis, at or self.engine.clock()))

    def by_area(self, kpi: str, period: str = "") -> Values:
        """Return the KPI's value for every commune, by code."""
        now = self.engine.clock()
        named, days = period_of(period)
        return self._ask(lambda reader: self.engine.by_area(reader, kpi, now, days=days, period=named))

    def _tiles(self, reader: Reader, asked: Asked, kpis: Iterable[str] | None, at: datetime) -> dict[str, Tile]:
        period, days = period_of(asked.period)
        return self.engine.evaluate(reader, kpis, area=asked.area or None, at=at, days=days, period=period)

    def _ask(self, work: Callable[[Reader], T]) -> T:
        try:
            with snapshot(self._pool) as reader:
                return work(reader)
        except (psycopg.OperationalError, PoolTimeout) as exc:
            raise Unavailable(f"the database is away: {exc}") from exc
