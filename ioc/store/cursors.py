"""Where each connector goes on, and how its last polls went."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from ioc.errors import Unavailable


class Cursors:
    """Cursors of all feeds. Thread-safe. Every method raises `Unavailable` while the database is away."""

    def __init__(self, pool: ConnectionPool[psycopg.Connection[Any]]) -> None:
        self._pool = pool

    def _run(self, statement: str, params: tuple[Any, ...]) -> tuple[Any, ...] | None:
        try:
            with self._pool.connection(timeout=5) as conn:
                cur = conn.execute(statement.encode(), params)
                return cur.fetchone() if cur.description else None
        except (psycopg.OperationalError, PoolTimeout) as exc:
            raise Unavailable(f"the database is away: {exc}") from exc

    def load(self, feed: str) -> dict[str, Any]:
        """Return the feed's cursor; empty when it never ran."""
        row = self._run("SELECT cursor FROM connector_cursor WHERE feed = %s", (feed,))
        return dict(row[0]) if row else {}

    def save(self, feed: str, cursor: dict[str, Any], *, records: int, at: datetime) -> None:
        """Keep the cursor after a successful poll of `records` records."""
        self._run(
            "INSERT INTO connector_cursor AS c (feed, cursor, saved_at, polls, records, last_poll_at, last_ok_at) VALUES (%s, %s, %s, 1, %s, %s, %s)"
            " ON CONFLICT (feed) DO UPDATE SET cursor = excluded.cursor, saved_at = excluded.saved_at, polls = c.polls + 1,"
            " records = c.records + excluded.records, last_poll_at = excluded.last_poll_at, last_ok_at = excluded.last_ok_at, last_error = ''",
            (feed, json.dumps(cursor), at, records, at, at),
        )

    def failed(self, feed: str, error: str, at: datetime) -> None:
        """Count a failed poll and keep its reason; the cursor stays where it was."""
        self._run(
            "INSERT INTO connector_cursor AS c (feed, saved_at, polls, errors, last_poll_at, last_error, last_error_at) VALUES (%s, %s, 1, 1, %s, %s, %s)"
            " ON CONFLICT (feed) DO UPDATE SET polls = c.polls + 1, errors = c.errors + 1, last_poll_at = excluded.last_poll_at,"
            " last_error = excluded.last_error, last_error_at = excluded.last_error_at",
            (feed, at, at, error[:2000], at),
        )
