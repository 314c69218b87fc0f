"""Reads what screens, /healthz and the operations page show besides KPIs: feeds, latest events, places, dead letters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import BaseRowFactory, dict_row, tuple_row

from ioc import causes
from ioc.doubts import in_words
from ioc.store.reader import Reader
from ioc.store.sql import queries

_SQL = queries("status")
_Row = TypeVar("_Row")
_COUNTED = ("polls", "records", "errors", "last_error", "last_cause", "shape_changes", "shape_change", "shape_changed_at", "bytes_read", "doubtful", "errors_by_type")  # of a source, by connect
SERVICE_SILENT = timedelta(seconds=30)  # a process not seen for this long is gone
DOUBT_WINDOW = timedelta(days=7)
TICKER_WINDOW = timedelta(days=2)
_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
MOST_POINTS = 100_000  # of a layer; screens group them, see dashboards/maps/points.py


@dataclass(frozen=True)
class FeedFacts:
    """What is stored about a feed. Times are aware; None means never. `errors_by_type`: type of error -> polls that ended so."""

    feed: str
    as_of: datetime | None = None
    received_at: datetime | None = None
    checked_at: datetime | None = None
    events: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    lag: int | None = None
    polls: int = 0
    errors: int = 0
    last_error: str = ""
    last_cause: str = ""
    records: int = 0
    shape_changes: int = 0
    shape_change: str = ""
    shape_changed_at: datetime | None = None
    bytes_read: int = 0
    doubtful: int = 0
    errors_by_type: dict[str, int] = field(default_factory=dict)


def _rows(conn: psycopg.Connection[Any], name: str, **params: Any) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cur:
        return cur.execute(_SQL[name], params).fetchall()


def feed_facts(conn: psycopg.Connection[Any]) -> dict[str, FeedFacts]:
    """Return feed -> what is stored about it."""
    merged: dict[str, dict[str, Any]] = {row["feed"]: row for row in _rows(conn, "feeds")}
    for row in _rows(conn, "dead_letter_counts"):
        merged.setdefault(row["feed"], {"feed": row["feed"]})["dead_letters"] = row["n"]
    for row in _rows(conn, "cursors"):
        merged.setdefault(row["feed"], {"feed": row["feed"]}).update(
            **{name: row[name] for name in _COUNTED}
        )
    return {feed: FeedFacts(**row) for feed, row in merged.items()}


def services(conn: psycopg.Connection[Any], now: datetime) -> list[dict[str, Any]]:
    """Return the processes seen lately: name, instance, started_at, seen_at, info."""
    return _rows(conn, "services", since=now - SERVICE_SILENT)


def ticker(reader: Reader, feeds: list[str], now: datetime, limit: int = 10) -> list[dict[str, Any]]:
    """Return the latest case events until the reader's instant, at most `limit` of a feed, the newest first, one a case."""
    return _shown(reader, "ticker", dict_row, feeds=feeds, since=now - TICKER_WINDOW, until=reader.then.at if reader.then else _FOREVER, limit=limit)


def open_cases(reader: Reader, now: datetime) -> list[tuple[Any, ...]]:
    """Return open cases with a place, newest first: feed, subject, title, category, state, area, lat, lon, since, level, shape, ''."""
    return _shown(reader, "open_cases", tuple_row, now=now, limit=MOST_POINTS)


def assets(reader: Reader) -> list[tuple[Any, ...]]:
    """Return assets with a place: as of open cases, the last what the source says of the picture."""
    return _shown(reader, "assets", tuple_row, limit=MOST_POINTS)


def _shown(reader: Reader, name: str, row_factory: BaseRowFactory[_Row], **params: Any) -> list[_Row]:
    """Ask of what is stored, or of what was so then (`as_then` with `seen`). Of places plain rows: there may be a hundred thousand."""
    then = reader.then
    cases, assets = ("pg_temp", "then_seen_case"), ("pg_temp", "then_asset_state")
    query = sql.SQL(_SQL[name]).format(
        cases=sql.Identifier(*cases) if then else sql.Identifier("case_state"),
        assets=sql.Identifier(*assets) if then else sql.Identifier("asset_state"),
        moment=sql.Identifier("time" if then and then.truncate else "received_at"),
    )
    with reader.conn.cursor(row_factory=row_factory) as cur:
        return cur.execute(query, params, prepare=False if then else None, binary=True).fetchall()


def dead_letters(conn: psycopg.Connection[Any], feed: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """Return the latest dead letters, whole."""
    return _rows(conn, "dead_letters", feed=feed, limit=limit)


def doubts(conn: psycopg.Connection[Any], feeds: list[str], now: datetime, limit: int = 50, metrics: list[str] | None = None) -> list[dict[str, Any]]:
    """Return the facts of the last week (of these metrics) that are marked as doubtful, newest first: feed, subject, metric, time,
    received_at, area, value, unit, doubt as it is kept, why {vi, en}: the doubt in words."""
    found = _rows(conn, "doubts", feeds=feeds, since=now - DOUBT_WINDOW, until=now, metrics=metrics, limit=limit)
    return [row | {"why": in_words(row["doubt"])._asdict()} for row in found]


def dead_letter_causes(conn: psycopg.Connection[Any], limit: int = 100) -> list[dict[str, Any]]:
    """Return dead letters clustered by feed, cause and field: n, times, last_at, newest message and repair, why {vi, en}: the cause in words."""
    return [row | {"why": causes.in_words(row["cause"])._asdict()} for row in _rows(conn, "dead_letter_causes", limit=limit)]
