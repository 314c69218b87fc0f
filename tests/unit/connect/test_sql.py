"""An agency's database as a source: steps along a column that grows, read-only, sentences for what goes wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from unit.connect_rig import HERE, NOW, Bus, Memory, feed_of

from ioc.clock import FrozenClock
from ioc.connect.declared import Declared
from ioc.connect.declared.schema import Declaration
from ioc.connect.errors import Fatal, Unreadable
from ioc.connect.pump import Pump
from ioc.connect.sql import Database


def declaration(**asked: Any) -> dict[str, Any]:
    sql = {"select": "SELECT station, value, at FROM readings", "cursor": "at", "overlap_s": 0, "size": 3, **asked}
    return {
        "about": "readings",
        "source": {"sql": sql},
        "fields": {"station": {"class": "public"}, "value": {"class": "public", "type": "number"}, "at": {"class": "public", "type": "time"}},
        "subject": "$station",
        "time": "$at",
        "facts": [{"observation": {"metric": "level", "value": "$value", "unit": "m"}}],
    }


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str], None]:
    def run(script: str) -> None:
        with closing(sqlite3.connect(tmp_path / "a.db")) as db:
            db.executescript(script)

    run("CREATE TABLE readings (station TEXT, value, at TEXT)")
    return run


@pytest.fixture
def poll(tmp_path: Path) -> Callable[..., tuple[Bus, Any]]:
    memory = Memory()

    def run(**asked: Any) -> tuple[Bus, Any]:
        connector = Declared("readings", Declaration.model_validate(declaration(**asked)))
        feed = feed_of("open311", "sqlite://").model_copy(update={"connector": "readings"})
        database, bus = Database(f"sqlite:///{tmp_path}/a.db"), Bus()
        try:
            report = Pump(feed, connector, connector.options(), HERE, database, FrozenClock(NOW)).poll(bus, memory)
        finally:
            database.close()
        return bus, report

    return run


def readings(*minutes: int, value: Any = 1) -> str:
    return "".join(f"INSERT INTO readings VALUES ('T{m}', {value!r}, '2026-11-22T11:{m:02d}:00+07:00');" for m in minutes)


def subjects(bus: Bus) -> list[str]:
    return [event.subject for event in bus.events]


def test_it_reads_in_steps_and_goes_on_where_it_stopped(put: Callable[[str], None], poll: Callable[..., Any]) -> None:
    put(readings(*range(8)))
    bus, _ = poll()
    assert subjects(bus) == [f"T{m}" for m in range(8)]
    assert subjects(poll()[0]) == []
    put(readings(9, 8))
    assert subjects(poll()[0]) == ["T8", "T9"]


def test_a_row_that_was_committed_late_is_seen_within_the_overlap(put: Callable[[str], None], poll: Callable[..., Any]) -> None:
    put(readings(30))
    poll(overlap_s=600)
    put(readings(25))  # its transaction began before, and ended after
    assert subjects(poll(overlap_s=600)[0]) == ["T25"]


def test_without_a_cursor_all_rows_are_read_and_only_new_ones_told(put: Callable[[str], None], poll: Callable[..., Any]) -> None:
    put(readings(1, 2))
    assert subjects(poll(cursor="")[0]) == ["T1", "T2"]
    put("UPDATE readings SET value = 5 WHERE station = 'T2'")
    assert subjects(poll(cursor="")[0]) == ["T2"]
    put(readings(3, 4))
    with pytest.raises(Unreadable, match="more than 3 rows"):
        poll(cursor="")


def test_a_row_that_is_no_fact_is_a_dead_letter(put: Callable[[str], None], poll: Callable[..., Any]) -> None:
    put(readings(1, value="nhiều") + readings(2, value=float(3)))
    bus, report = poll()
    assert subjects(bus) == ["T2"] and report.records == 2
    assert [(letter.cause, letter.field) for letter in bus.letters] == [("wrong_type", "value")]


def test_more_rows_of_one_instant_than_a_step_has_are_no_endless_loop(put: Callable[[str], None], poll: Callable[..., Any]) -> None:
    put("".join(f"INSERT INTO readings VALUES ('T{i}', 1, '2026-11-22T11:00:00+07:00');" for i in range(9)))
    with pytest.raises(Unreadable, match="more than 3 rows have the same at") as caught:
        poll()
    assert caught.value.cause == "endless_paging"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"select": "SELECT absent FROM readings", "cursor": "at"}, "no such column"),
        ({"select": "SELECT 1 AS a FROM nowhere", "cursor": "a"}, "no such table"),
        ({"select": "SELECT station FROM", "cursor": ""}, "syntax error"),
    ],
)
def test_a_wrong_question_stops_the_feed_with_a_sentence(put: Callable[[str], None], poll: Callable[..., Any], asked: dict[str, Any], says: str) -> None:
    put(readings(1))
    with pytest.raises(Fatal, match=says):
        poll(**asked)


@pytest.mark.parametrize("select", ["DELETE FROM readings", "SELECT 1; DELETE FROM readings", "UPDATE readings SET value = 1"])
def test_only_one_select_may_be_declared(select: str) -> None:
    with pytest.raises(ValueError, match="one SELECT"):
        Declaration.model_validate(declaration(select=select))


def test_it_cannot_write_even_by_a_select(put: Callable[[str], None], poll: Callable[..., Any], tmp_path: Path) -> None:
    put(readings(1))
    database = Database(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(Exception, match=r"readonly|read-only|query_only"), database._reading() as connection:
        connection.exec_driver_sql("DELETE FROM readings")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://reader:secret@h/n", "holds no password"),
        ("mysql+nothing://h/n", "not installed"),
        ("postgresql:", "not the address of a database"),
    ],
)
def test_a_wrong_address_is_refused(url: str, says: str) -> None:
    with pytest.raises(Fatal, match=says) as caught:
        Database(url)
    assert "secret@" not in str(caught.value)
