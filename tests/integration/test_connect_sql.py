"""The SQL source on a real PostgreSQL: types, read-only, time limit, sentences."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ioc.causes import in_words
from ioc.connect.errors import Fatal, Retriable, Unreachable
from ioc.connect.sql import Database


@pytest.fixture
def agency(database: str) -> Iterator[Database]:
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("CREATE SEQUENCE counter")
        conn.execute("CREATE TABLE lots (id int, free numeric(9,3), changed timestamptz, note text, tags text[], day date, on_ bool, ref uuid)")
        conn.execute(
            "INSERT INTO lots SELECT i, i * 1.005, timestamptz '2026-11-22 08:00+07' + i * interval '1 minute', 'ghi chú: a::b', '{x,y}', '2026-11-22', true,"
            " '00000000-0000-0000-0000-000000000001' FROM generate_series(1, 7) i"
        )
    found = Database(url_of(database), password=str(psycopg.conninfo.conninfo_to_dict(database)["password"]), timeout_s=1)
    yield found
    found.close()
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("DROP TABLE lots")
        conn.execute("DROP SEQUENCE counter")


def url_of(dsn: str) -> str:
    """Return the DSN as SQLAlchemy writes addresses."""
    parts = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(dsn).items()}
    named = "&".join(f"{name}={parts[name]}" for name in ("host", "port") if name in parts)
    return f"postgresql://{parts.get('user', '')}@/{parts['dbname']}?{named}"


def test_it_steps_by_time_and_gives_values_as_json_has_them(agency: Database) -> None:
    first = agency.rows("SELECT * FROM lots WHERE note <> ':x'", column="changed", most=4)
    assert [row["id"] for row in first.rows] == [1, 2, 3, 4] and first.full
    assert first.rows[0] == {
        "id": 1, "free": "1.005", "changed": first.rows[0]["changed"], "note": "ghi chú: a::b", "tags": ["x", "y"], "day": "2026-11-22", "on_": True,
        "ref": "00000000-0000-0000-0000-000000000001",
    }  # fmt: skip
    second = agency.rows("SELECT * FROM lots", column="changed", after=first.newest, overlap_s=90, most=10)
    assert [row["id"] for row in second.rows] == [3, 4, 5, 6, 7] and not second.full
    assert [row["id"] for row in agency.rows("SELECT * FROM lots", column="id", after="number 6").rows] == [6, 7]


def test_a_function_that_writes_is_refused_by_the_server(agency: Database) -> None:
    with pytest.raises(Retriable, match="ReadOnlySqlTransaction"):
        agency.rows("SELECT nextval('counter') AS a")


def test_a_query_that_takes_too_long_is_ended_by_the_server(agency: Database) -> None:
    with pytest.raises(Retriable, match="took longer than 1 s") as caught:
        agency.rows("SELECT pg_sleep(5) AS a")
    assert caught.value.cause.startswith("query_slow:")


@pytest.mark.parametrize("select", ["SELECT nothing FROM lots", "SELECT 1 FROM nowhere", "SELECT ) FROM lots"])
def test_a_wrong_query_is_fatal(agency: Database, select: str) -> None:
    with pytest.raises(Fatal, match=r"check source\.sql") as caught:
        agency.rows(select)
    assert in_words(caught.value.cause).en.endswith("cannot run the query")


def test_a_wrong_password_is_fatal_and_not_told(database: str) -> None:
    with pytest.raises(Fatal, match="the feed's secret") as caught:
        Database(url_of(database), password="s3cr3t-wrong").rows("SELECT 1 AS a")
    assert "s3cr3t" not in str(caught.value)
    assert in_words(caught.value.cause).en.endswith("refuses the feed's user or secret")


def test_a_server_that_is_away_is_asked_again_later() -> None:
    with pytest.raises(Unreachable, match=r"the database 127.0.0.1/x"):
        Database("postgresql://u@127.0.0.1:1/x").rows("SELECT 1 AS a")
