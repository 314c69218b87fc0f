"""Where a connector goes on, and that it begins again when the topic it wrote into is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from ioc.errors import Unavailable
from ioc.store import status
from ioc.store.cursors import Cursors, rewind

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.fixture
def pool(database: str) -> Iterator[ConnectionPool[psycopg.Connection[Any]]]:
    with ConnectionPool(database, min_size=1, open=True) as pool:
        yield pool


def test_a_saved_cursor_is_found_again_and_polls_are_counted(pool: ConnectionPool[Any]) -> None:
    cursors = Cursors(pool)
    assert cursors.load("f") == {}
    cursors.failed("f", "timed out", NOW, cause="silent:host=h")
    with pool.connection() as conn:
        assert status.feed_facts(conn)["f"].last_cause == "silent:host=h"
    cursors.save("f", {"page": 3}, records=7, at=NOW)
    cursors.save("f", {"page": 4}, records=1, at=NOW)
    assert cursors.load("f") == {"page": 4}
    with pool.connection() as conn:
        assert conn.execute("SELECT polls, records, errors, last_error, last_cause FROM connector_cursor").fetchone() == (3, 8, 1, "", "")


def test_a_failed_poll_leaves_the_cursor_where_it_was(pool: ConnectionPool[Any]) -> None:
    cursors = Cursors(pool)
    cursors.save("f", {"page": 3}, records=1, at=NOW)
    cursors.failed("f", "HTTP 500", NOW)
    assert cursors.load("f") == {"page": 3}


def test_a_cursor_of_a_topic_that_is_gone_counts_no_more(pool: ConnectionPool[Any]) -> None:
    Cursors(pool, lambda feed: "old").save("f", {"page": 3}, records=1, at=NOW)
    assert Cursors(pool, lambda feed: "old").load("f") == {"page": 3}
    assert Cursors(pool, lambda feed: "new").load("f") == {}


def test_a_feed_that_was_set_back_stays_so_until_a_poll_that_saw_it(pool: ConnectionPool[Any]) -> None:
    running = Cursors(pool)
    running.load("f")
    running.save("f", {"page": 9}, records=1, at=NOW)
    with pool.connection() as conn:
        assert rewind(conn, "f", NOW)
        assert not rewind(conn, "g", NOW)
    running.save("f", {"page": 10}, records=1, at=NOW)  # of a poll that began before
    assert running.load("f") == {"$from": NOW.isoformat()}
    running.save("f", {"page": 1}, records=1, at=NOW)
    running.save("f", {"page": 2}, records=1, at=NOW)
    assert running.load("f") == {"page": 2}


def test_an_absent_database_is_told_apart_from_a_mistake() -> None:
    dsn = "postgresql://nobody@127.0.0.1:1/none"
    with ConnectionPool(dsn, min_size=0, max_size=1, open=True, reconnect_timeout=1, timeout=1) as pool, pytest.raises(Unavailable):
        Cursors(pool).load("f")
