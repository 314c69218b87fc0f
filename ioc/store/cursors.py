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

    def _run(self, statement: str, params: tuple[Any, ...]) -> tuple[Any, ...] | None:
        try:
            with self._pool.connection(timeout=5) as conn:
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
            " records = c.records + excluded.records, last_poll_at = excluded.last_poll_at, last_ok_at = excluded.last_ok_at, last_error = ''",
            (feed, json.dumps(cursor), self._topic_id(feed), at, records, at, at, REWOUND, self._rewound.get(feed, "")),
        )

    def failed(self, feed: str, error: str, at: datetime) -> None:
        """Count a failed poll and keep its reason; the cursor stays where it was."""
        self._run(
            "INSERT INTO connector_cursor AS c (feed, saved_at, polls, errors, last_poll_at, last_error, last_error_at) VALUES (%s, %s, 1, 1, %s, %s, %s)"
            " ON CONFLICT (feed) DO UPDATE SET polls = c.polls + 1, errors = c.errors + 1, last_poll_at = excluded.last_poll_at,"
            " last_error = excluded.last_error, last_error_at = excluded.last_error_at",
            (feed, at, at, error[:2000], at),
        )
