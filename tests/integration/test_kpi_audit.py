"""`ioc audit`: no difference after any sequence of facts; each kind of tampering is found and named with its first event."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ioc.areas import load as load_areas
from ioc.clock import ICT, FrozenClock
from ioc.config import Config
from ioc.events import Asset, Case, Event, Observation, make
from ioc.kpi import catalogue
from ioc.kpi.audit import Report, audit
from ioc.kpi.engine import Engine
from ioc.store.writer import Record, Writer

NOW = datetime(2026, 11, 20, 10, tzinfo=ICT)
_KPIS = """
theme: test
title: {vi: Thử, en: Test}
kpis:
"""
_ROW = "  - {{kpi: {}, title: {{vi: a, en: a}}, description: {{vi: a, en: a}}, kind: {}, unit: '{}', better: up, period: {}, since: 2026-11-22, formula: {{value: {}}}}}\n"
_ROWS = [
    ("received", "sum", "1", "day", "{cases: f, measure: opened, where: {category: a}}"),
    ("overdue", "count_now", "1", "now", "{cases: f, measure: overdue}"),
    ("median", "duration", "h", "day", "{duration: f}"),
    ("measured", "sum", "1", "day", "{observations: f, metric: m, period: P1D, aggregate: total}"),
    ("schools", "count_now", "1", "now", "{assets: f, kind: school}"),
]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "test.yaml").write_text(_KPIS + "".join(_ROW.format(*row) for row in _ROWS), encoding="utf-8")
    feed = {"feed": "f", "connector": "push", "title": {"vi": "a", "en": "a"}, "retention_days": 30}
    return Engine(catalogue.load(tmp_path), Config(feeds=[feed]), load_areas("19"), FrozenClock(NOW))


@pytest.fixture
def conn(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as conn:
        yield conn


def write(conn: psycopg.Connection[Any], events: list[Event]) -> None:
    writer = Writer(conn)
    start = writer.assign("ioc.f", 0, "1", "f")
    writer.write([Record("ioc.f", 0, start + i, "f", max(NOW - timedelta(hours=1), e.time), event=e) for i, e in enumerate(events)], {"ioc.f": "1"})


def facts(n: int = 60) -> list[Event]:
    rng = random.Random(7)
    events = []
    for i in range(n):
        at = NOW - timedelta(hours=rng.randrange(200))
        due = at + timedelta(hours=rng.randrange(300))
        events.append(make("/t", f"c{i:02}", at, Case(status="open", opened_at=at, due_at=due, category=rng.choice("ab"), agency=rng.choice("pq"), area="05443")))
        if rng.random() < 0.6:
            events.append(make("/t", f"c{i:02}", min(NOW, at + timedelta(hours=5)), Case(status="closed", outcome="done", rating=4)))
        if rng.random() < 0.3:
            events.append(make("/t", f"s{i:02}", at, Asset(kind="school", state="ok", area="05443")))
        events.append(make("/t", f"m{i % 3}", at.replace(minute=0), Observation(metric="m", value=Decimal(i), period="P1D", version=at + timedelta(seconds=i))))
    return events


def differs(report: Report, what: str) -> Any:
    found = [d for d in report.differences if d.what == what]
    assert found, f"no difference of {what} in {report.differences}"
    return found[0]


def test_it_finds_nothing_after_honest_ingest_and_counts_what_it_looked_at(conn: psycopg.Connection[Any], engine: Engine) -> None:
    events = facts()
    random.Random(1).shuffle(events)
    write(conn, events + events[:20])
    report = audit(conn, engine)
    assert report.differences == []
    assert report.difference == 0
    assert (report.events, report.cases) == (len(events), 60)
    assert report.assets == len({e.subject for e in events if isinstance(e.data, Asset)})
    assert report.kpis == len(_ROWS)


def test_it_finds_nothing_in_an_empty_database(conn: psycopg.Connection[Any], engine: Engine) -> None:
    assert audit(conn, engine).difference == 0


def test_it_leaves_the_database_as_it_was(conn: psycopg.Connection[Any], engine: Engine) -> None:
    write(conn, facts())
    before = conn.execute("SELECT count(*) FROM pg_class").fetchone()
    audit(conn, engine)
    assert conn.execute("SELECT count(*) FROM pg_class").fetchone() == before


@pytest.mark.parametrize(
    ("tampering", "what", "kpi"),
    [
        ("UPDATE rollup_case SET n = n + 1 WHERE measure = 'opened' AND day = '2026-11-20'", "rollup_case", None),
        ("UPDATE rollup_total SET n = n + 1 WHERE measure = 'opened' AND day = '2026-11-20' AND dims->>'category' = 'a'", "rollup_total", "received"),
        ("DELETE FROM rollup_total WHERE measure = 'open'", "rollup_total", "overdue"),
        ("UPDATE rollup_duration SET tenths = tenths + 90 WHERE day = '2026-11-20'", "rollup_duration", "median"),
        ("UPDATE rollup_observation SET total = total + 0.01 WHERE day = '2026-11-20'", "rollup_observation", "measured"),
        ("UPDATE case_state SET category = 'z' WHERE subject = 'c01'", "case_state", None),
        ("DELETE FROM case_state WHERE subject = 'c03'", "case_state", None),
        ("DELETE FROM asset_state", "asset_state", "schools"),
        ("UPDATE consumer_offset SET events = events + 1", "consumer_offset", None),
    ],
)
def test_it_names_feed_row_and_first_event_of_a_difference(conn: psycopg.Connection[Any], engine: Engine, tampering: str, what: str, kpi: str | None) -> None:
    write(conn, facts())
    conn.execute(tampering.encode())
    report = audit(conn, engine)
    found = differs(report, what)
    assert found.feed == "f"
    assert found.stored != found.recomputed
    if what != "consumer_offset":
        assert found.first_event is not None
        assert conn.execute("SELECT count(*) FROM event WHERE id = %s", (found.first_event.id,)).fetchone() == (1,)
    if kpi:
        assert differs(report, "kpi").row["kpi"] == kpi


def test_it_finds_an_event_that_was_lost_from_the_raw_events(conn: psycopg.Connection[Any], engine: Engine) -> None:
    write(conn, facts())
    conn.execute("DELETE FROM event WHERE subject = 'c05'")
    report = audit(conn, engine)
    assert differs(report, "case_state").row == {"subject": "c05"}
    assert differs(report, "consumer_offset").row == {"column": "events"}


def test_it_takes_as_stored_what_is_older_than_the_retention(conn: psycopg.Connection[Any], engine: Engine) -> None:
    old = NOW - timedelta(days=40)
    first = make("/t", "old", old, Case(status="open", opened_at=old, category="a", due_at=NOW - timedelta(days=1)))
    measured = make("/t", "m0", old, Observation(metric="m", value=Decimal(3), period="P1D"))
    write(conn, [first, make("/t", "old", NOW - timedelta(days=3), Case(area="05443")), measured, *facts()])
    conn.execute("DELETE FROM event WHERE time < %s", (NOW - timedelta(days=30),))
    report = audit(conn, engine)
    assert report.differences == []
    assert report.taken_as_stored == 1
