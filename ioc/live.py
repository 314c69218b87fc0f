"""A change -> one evaluation -> every screen.

`Hub` wakes when ingest commits (NOTIFY), when time itself changes a number (something became overdue, midnight) and
when a feed falls silent. It evaluates what depends on the change once, asks each *view* that somebody is watching to
render itself once, serialises each changed part once, and hands the same bytes to every viewer.

Messages to a viewer (JSON text)::

    {"seq": 7, "v": "0.1.0", "now": "...Z", "snapshot": true, "props": {component id: {prop: value}}}   on every (re)connect
    {"seq": 8, "v": "0.1.0", "now": "...Z", "props": {...only the components that changed, whole...}}
    {"hb": 1, "now": "...Z"}                                                                        at least every 2 s
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from msgspec import Struct

from ioc.kpi.tile import State as Freshness
from ioc.kpi.tile import Tile, Words


class FeedView(Struct, frozen=True):
    """A feed as the screens show it. Rates are records a second over the last minute; `lag` records not yet ingested."""

    feed: str
    connector: str
    title: Words
    state: Freshness
    cadence_s: float
    as_of: datetime | None
    received_at: datetime | None
    checked_at: datetime | None
    events: int
    duplicates: int
    dead_letters: int
    lag: int | None
    rate: float
    last_error: str


class TickerItem(Struct, frozen=True):
    """One of the latest case events: something opened, closed or moved, newest first."""

    feed: str
    subject: str
    title: str
    category: str
    status: str
    area: str | None
    time: datetime
    received_at: datetime


class Point(Struct, frozen=True):
    """Something on the map. `layer`: 'incident' (an open case) or 'asset'."""

    layer: str
    feed: str
    subject: str
    title: str
    category: str
    state: str  # open, paused, overdue, or the asset's state
    area: str | None
    lat: float
    lon: float
    since: datetime | None


class Snapshot(Struct, frozen=True):
    """Everything a screen may show, as of `now`. `by_area`: KPI -> commune code -> value."""

    seq: int
    now: datetime
    tiles: dict[str, Tile]
    by_area: dict[str, dict[str, float | None]]
    feeds: list[FeedView]
    ticker: list[TickerItem]
    points: list[Point]
    services: dict[str, Any]  # database, broker, ingest: as in /healthz


Props: TypeAlias = dict[str, dict[str, Any]]  # component id -> property -> JSON value
Render: TypeAlias = Callable[[Snapshot], Props]
