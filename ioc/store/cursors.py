"""Where each connector goes on, and how its last polls went."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from ioc.errors import Unavailable

REWOUND = "$from"  # in a cursor: nothing is known of the source but from when on it is to be read again


def rewind(conn: psycopg.Connection[Any], feed: str, since: datetime) -> bool:
    """Let the feed's next poll read its source again from `since`; return whether it was ever read."""
    done = conn.execute("UPDATE connector_cursor SET cursor = %s WHERE feed = %s", (json.dumps({REWOUND: since.isoformat()}), feed))
    return done.rowcount > 0


class Cursors:
    """Cursors of all feeds. Thread-safe. Every method raises `Unavailable` while the database is away.

    A cursor belongs to a topic, as offsets do: what was read into a topic that is gone (a memory-only broker that
    restarted) may never have been stored, so the feed is then read again from the start of its late window. That
    costs time only: the facts are recognised as repetitions.
    """

    def __init__(self, pool: ConnectionPool[psycopg.Connection[Any]], topic_id: Callable[[str], str] = lambda feed: "") -> None:
        self._pool = pool
        self._topic_id = topic_id
        self._rewound: dict[str, str] = {}  # feed -> the time to which it was set back, as it was last handed out

    def _run(self, statement: str, params: tuple[Any, ...] | dict[str, Any]) -> tuple[Any, ...] | None:
        try:
            with self._pool.connection() as conn:
                cur = conn.execute(statement.encode(), params)
                return cur.fetchone() if cur.description else None
        except (psycopg.OperationalError, PoolTimeout) as exc:
            raise Unavailable(f"the database is away: {exc}") from exc

    def load(self, feed: str) -> dict[str, Any]:
        """Return the feed's cursor; empty when it never ran, or ran into a topic that is no more."""
        row = self._run("SELECT cursor, topic_id FROM connector_cursor WHERE feed = %s", (feed,))
        cursor = dict(row[0]) if row and row[1] == self._topic_id(feed) else {}
        self._rewound[feed] = str(cursor.get(REWOUND, ""))
        return cursor

    def save(self, feed: str, cursor: dict[str, Any], *, records: int, at: datetime) -> None:
        """Keep the cursor after a successful poll of `records` records; not where the feed was set back meanwhile."""
        self._run(
            "INSERT INTO connector_cursor AS c (feed, cursor, topic_id, saved_at, polls, records, last_poll_at, last_ok_at)"
            " VALUES (%s, %s, %s, %s, 1, %s, %s, %s)"
            " ON CONFLICT (feed) DO UPDATE SET cursor = CASE WHEN coalesce(c.cursor ->> %s, '') NOT IN ('', %s) THEN c.cursor ELSE excluded.cursor END, topic_id = excluded.topic_id, saved_at = excluded.saved_at, polls = c.polls + 1,"
            " records = c.records + excluded.records, last_poll_at = excluded.last_poll_at, last_ok_at = excluded.last_ok_at, last_error = '', last_cause = ''",
            (feed, json.dumps(cursor), self._topic_id(feed), at, records, at, at, REWOUND, self._rewound.get(feed, "")),
        )

    def shape(self, feed: str) -> dict[str, Any]:
        """Return what the feed's records looked like when they were last looked at; {} before that."""
        row = self._run("SELECT shape FROM connector_cursor WHERE feed = %s", (feed,))
        return dict(row[0]) if row else {}

    def keep_shape(self, feed: str, shape: dict[str, Any], change: str, at: datetime) -> None:
        """Remember what the feed's records look like, and what changed ("" nothing)."""
        self._run(
            "INSERT INTO connector_cursor AS c (feed, saved_at, shape, shape_change, shape_changed_at, shape_changes) VALUES (%(feed)s, %(at)s, %(shape)s, %(change)s, %(when)s, %(n)s)"
            " ON CONFLICT (feed) DO UPDATE SET shape = excluded.shape, shape_changes = c.shape_changes + excluded.shape_changes,"
            " shape_change = coalesce(nullif(excluded.shape_change, ''), c.shape_change), shape_changed_at = coalesce(excluded.shape_changed_at, c.shape_changed_at)",
            {"feed": feed, "at": at, "shape": json.dumps(shape), "change": change[:2000], "when": at if change else None, "n": int(bool(change))},
        )

    def counted(self, feed: str, *, bytes_read: int, doubtful: int) -> None:
        """Add what a poll read and marked."""
        self._run("UPDATE connector_cursor SET bytes_read = bytes_read + %s, doubtful = doubtful + %s WHERE feed = %s", (bytes_read, doubtful, feed))

    def failed(self, feed: str, error: str, at: datetime, kind: str = "retriable", cause: str = "") -> None:
        """Count a failed poll, by the kind of error, and keep its reason and cause (ioc/causes.py); the cursor stays where it was."""
        self._run(
            "INSERT INTO connector_cursor AS c (feed, saved_at, polls, errors, last_poll_at, last_error, last_cause, last_error_at, errors_by_type)"
            " VALUES (%(feed)s, %(at)s, 1, 1, %(at)s, %(error)s, %(cause)s, %(at)s, jsonb_build_object(%(kind)s::text, 1))"
            " ON CONFLICT (feed) DO UPDATE SET polls = c.polls + 1, errors = c.errors + 1, last_poll_at = excluded.last_poll_at,"
            " last_error = excluded.last_error, last_cause = excluded.last_cause, last_error_at = excluded.last_error_at,"
            " errors_by_type = c.errors_by_type || jsonb_build_object(%(kind)s::text, coalesce((c.errors_by_type ->> %(kind)s)::bigint, 0) + 1)",
            {"feed": feed, "at": at, "error": error[:2000], "cause": cause[:2000], "kind": kind},
        )
