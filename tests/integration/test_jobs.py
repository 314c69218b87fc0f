"""What happens by the clock: retention on every edition, housekeeping, the nightly audit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from ioc import config
from ioc.clock import FrozenClock
from ioc.config import Config, Database, Feed, Words
from ioc.events import Observation, make
from ioc.jobs import Jobs, retain, tidy
from ioc.store.auditlog import entries
from ioc.store.writer import Record, Writer

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def feed(name: str, days: int) -> Feed:
    return Feed(feed=name, connector="push", title=Words(vi=name, en=name), retention_days=days)


def store(conn: psycopg.Connection[Any], name: str, ages: list[int]) -> None:
    writer = Writer(conn)
    topic = f"ioc.{name}"
    writer.assign(topic, 0, "id", name)
    events = [make("/o", "s", NOW - timedelta(days=age), Observation(metric="m", value=Decimal(age))) for age in ages]
    writer.write([Record(topic, 0, i, name, NOW, event=e) for i, e in enumerate(events)], {topic: "id"})


def ages(conn: psycopg.Connection[Any], name: str) -> list[int]:
    return [int(row[0]) for row in conn.execute("SELECT value FROM event WHERE feed = %s ORDER BY 1", (name,)).fetchall()]


def test_raw_events_go_after_their_feeds_retention_and_rollups_stay(each_database: str) -> None:
    settings = Config(feeds=[feed("short", 10), feed("long", 400)])
    with psycopg.connect(each_database) as conn:
        store(conn, "short", [1, 9, 11, 300, 500])
        store(conn, "long", [1, 300, 500])
        retain(conn, settings, NOW)
        assert ages(conn, "short") == [1, 9]
        assert ages(conn, "long") == [1, 300]
        row = conn.execute("SELECT sum(total) FROM rollup_observation").fetchone()
        assert row == (Decimal(821 + 801),)


def test_gone_processes_and_old_dead_letters_are_forgotten(database: str) -> None:
    with psycopg.connect(database) as conn:
        for name, age in (("old", 30), ("new", 0)):
            conn.execute("INSERT INTO service (name, instance, started_at, seen_at) VALUES (%s, 'x', %s, %s)", (name, NOW, NOW - timedelta(days=age)))
        for name, age in (("old", 200), ("new", 100)):
            conn.execute(
                "INSERT INTO dead_letter (id, feed, cause, message, first_at, last_at) VALUES (%s, 'f', 'c', 'm', %s, %s)",
                (name, NOW, NOW - timedelta(days=age)),
            )
        conn.commit()
        tidy(conn, NOW)
        assert conn.execute("SELECT name FROM service").fetchall() == [("new",)]
        assert conn.execute("SELECT id FROM dead_letter").fetchall() == [("new",)]


@pytest.fixture
def jobs(database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(ROOT)
    settings = config.load(ROOT / "config.yaml").model_copy(update={"database": Database(dsn=database)})
    with ConnectionPool(database, min_size=1, max_size=2, open=True) as pool:
        yield Jobs(settings, pool, FrozenClock(NOW))


def test_each_job_leaves_its_outcome_and_the_audit_finds_nothing_wrong(jobs: Jobs) -> None:
    for work in (jobs.retention, jobs.housekeeping, jobs.nightly_audit, jobs.entries):
        work()
    assert set(jobs.outcomes) == {"retention", "housekeeping", "audit", "entries"}
    assert "difference 0" in jobs.outcomes["audit"]


def test_the_nightly_audit_names_a_number_that_somebody_changed(jobs: Jobs, database: str) -> None:
    with psycopg.connect(database) as conn:
        store(conn, "health", [0])
        conn.execute("UPDATE rollup_observation SET total = total + 1")
        conn.commit()
    jobs.nightly_audit()
    assert "difference 1" in jobs.outcomes["audit"]


def test_another_configuration_is_written_down_once_and_the_log_is_followed_every_night(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs.configuration()
    jobs.configuration()
    monkeypatch.setattr("ioc.reload.stamp", lambda config: "another")
    jobs.configuration()
    with jobs._pool.connection() as conn:
        assert [row["detail"]["mark"] == "another" for row in entries(conn, action="configuration")] == [True, False]
    jobs.audit_log()
    assert "2 rows, 0 problems, head 2:" in jobs.outcomes["audit_log"]
    with jobs._pool.connection() as conn:
        conn.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
        conn.execute("UPDATE audit_log SET actor = 'eve' WHERE seq = 1")
    jobs.audit_log()
    assert "1 problems" in jobs.outcomes["audit_log"]


def test_jobs_are_due_at_night_where_the_province_is(jobs: Jobs) -> None:
    scheduler = jobs.schedule()
    due = {job.id: str(job.trigger) for job in scheduler.get_jobs()}
    assert due == {
        "retention": "cron[hour='2', minute='15']",
        "housekeeping": "cron[hour='2', minute='45']",
        "audit": "cron[hour='3', minute='0']",
        "audit_log": "cron[hour='3', minute='30']",
        "configuration": "interval[0:10:00]",
        "entries": "interval[0:01:00]",
        "ledger": "cron[hour='*', minute='7']",
    }
    assert str(scheduler.timezone) == "Asia/Ho_Chi_Minh"


def test_a_job_that_fails_says_so_and_stops_nothing(jobs: Jobs) -> None:
    def broken(conn: psycopg.Connection[Any]) -> str:
        conn.execute("SELECT * FROM no_such_table")
        return ""

    jobs.run("broken", broken)
    assert "failed" in jobs.outcomes["broken"]
