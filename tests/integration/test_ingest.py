"""Bus -> store, on a real broker: exactly once through restarts, rebalances and an absent database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.structs import MemberState
from structlog.testing import capture_logs

from ioc import ingest
from ioc.bus import Publisher, topic_of
from ioc.config import Broker, Config, Database, Feed, Words
from ioc.embedded.broker import Tansu
from ioc.embedded.process import free_port
from ioc.events import Case, DeadLetter, Event, Observation, make
from ioc.store.writer import Result

T0 = datetime(2026, 11, 22, 1, tzinfo=UTC)
FEED = "push"


def config_for(dsn: str, broker: Broker) -> Config:
    return Config(database=Database(dsn=dsn), broker=broker, feeds=[Feed(feed=FEED, connector="push", title=Words(vi="Đẩy", en="Push"))])


@pytest.fixture
def config(database: str, broker: Broker) -> Config:
    return config_for(database, broker)


@pytest.fixture
def publisher(config: Config) -> Iterator[Publisher]:
    publisher = Publisher(config.broker)
    publisher.ensure_topics([FEED])
    yield publisher
    publisher.close()


@contextmanager
def running(config: Config) -> Iterator[ingest.Ingest]:
    stop = threading.Event()
    one = ingest.Ingest(config, stop)
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield one
    finally:
        stop.set()
        thread.join(timeout=60)
        assert not thread.is_alive()


def until(what: Callable[[], bool], within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def obs(i: int) -> Event:
    return make("/o", f"st{i % 10}", T0 + timedelta(seconds=i), Observation(metric="m", value=Decimal(i), area="05443"))


def scalar(config: Config, query: str) -> Any:
    with psycopg.connect(config.database.dsn) as conn:
        row = conn.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def send(publisher: Publisher, events: list[Event]) -> None:
    for event in events:
        publisher.send(FEED, event)
    publisher.flush()


def stored(config: Config) -> int:
    return int(scalar(config, "SELECT count(*) FROM event"))


def test_every_record_is_an_event_or_a_dead_letter_and_restarts_repeat_nothing(config: Config, publisher: Publisher) -> None:
    send(publisher, [obs(i) for i in range(500)])
    with KafkaProducer(bootstrap_servers=config.broker.bootstrap) as raw:
        for body in (b"{", b"<html></html>", b"\xff" * 10, b"[" * 100_000):
            raw.send(topic_of(config.broker, FEED), value=body)
    publisher.send(FEED, make("/c", "c1", T0, Case(status="open", area="1840")))  # a leading zero that a spreadsheet dropped
    publisher.dead_letter(DeadLetter(feed=FEED, cause="bad_row", message="m", record="r", at=T0))
    publisher.heartbeat(FEED, T0)
    publisher.flush()
    with running(config):
        until(lambda: stored(config) == 500 and scalar(config, "SELECT count(*) FROM dead_letter") == 6)
        until(lambda: scalar(config, "SELECT max(checked_at) FROM consumer_offset") == T0)
    send(publisher, [obs(i) for i in range(450, 600)])
    with running(config):
        until(lambda: stored(config) == 600 and scalar(config, "SELECT sum(duplicates) FROM consumer_offset") == 50)
    assert scalar(config, "SELECT sum(total) FROM rollup_observation") == sum(range(600))
    with psycopg.connect(config.database.dsn) as conn:
        causes = dict(conn.execute("SELECT cause, count(*) FROM dead_letter GROUP BY 1").fetchall())
    assert causes == {"bad_json": 3, "bad_envelope": 1, "unknown_area": 1, "bad_row": 1}


def test_two_members_share_the_partitions_and_count_nothing_twice(config: Config, publisher: Publisher) -> None:
    with running(config):
        send(publisher, [obs(i) for i in range(300)])
        until(lambda: stored(config) > 0)
        with running(config):
            send(publisher, [obs(i) for i in range(300, 2000)])
            until(lambda: stored(config) == 2000)
        send(publisher, [obs(i) for i in range(2000, 2300)])
        until(lambda: stored(config) == 2300)
    assert scalar(config, "SELECT sum(total) FROM rollup_observation") == sum(range(2300))


def test_a_topic_made_again_is_read_from_its_beginning(config: Config, publisher: Publisher) -> None:
    with running(config):
        send(publisher, [obs(i) for i in range(100)])
        until(lambda: stored(config) == 100)
        admin = KafkaAdminClient(bootstrap_servers=config.broker.bootstrap)
        admin.delete_topics([topic_of(config.broker, FEED)])
        admin.close()
        until(lambda: not publisher.topic_id(FEED))
        publisher.ensure_topics([FEED])
        second = Publisher(config.broker)
        send(second, [obs(i) for i in range(50, 150)])
        second.close()
        until(lambda: stored(config) == 150)
    assert scalar(config, "SELECT sum(total) FROM rollup_observation") == sum(range(150))


def test_what_the_database_forgot_is_read_again(config: Config, publisher: Publisher) -> None:
    with running(config):
        send(publisher, [obs(i) for i in range(100)])
        until(lambda: stored(config) == 100)
        with psycopg.connect(config.database.dsn) as conn:  # as after a crash that took the last commits, or a backup
            conn.execute("TRUNCATE event, rollup_observation")
            conn.execute("UPDATE consumer_offset SET next_offset = 0, events = 0")
        send(publisher, [obs(i) for i in range(100, 150)])
        until(lambda: stored(config) == 150)
    assert scalar(config, "SELECT sum(total) FROM rollup_observation") == sum(range(150))


def test_an_absent_database_stops_nothing_for_ever(own_database: Any, broker: Broker) -> None:
    from ioc.store.migrate import migrate

    migrate(own_database.dsn())
    config = config_for(own_database.dsn(), broker)
    publisher = Publisher(broker)
    publisher.ensure_topics([FEED])
    with running(config):
        send(publisher, [obs(i) for i in range(100)])
        until(lambda: stored(config) == 100)
        own_database.process.kill()
        send(publisher, [obs(i) for i in range(100, 300)])
        time.sleep(3)
        own_database.start()
        own_database.wait_ready()
        until(lambda: stored(config) == 300)
    publisher.close()
    assert scalar(config, "SELECT sum(total) FROM rollup_observation") == sum(range(300))
    assert scalar(config, "SELECT sum(events) FROM consumer_offset") == 300


def test_what_the_database_refuses_becomes_a_dead_letter_and_the_rest_goes_on(config: Config, publisher: Publisher) -> None:
    with psycopg.connect(config.database.dsn, autocommit=True) as conn:
        conn.execute("ALTER TABLE event ADD CONSTRAINT no_thirteen CHECK (value <> 13)")
    send(publisher, [obs(i) for i in range(40)])
    with running(config):
        until(lambda: stored(config) == 39)
        until(lambda: scalar(config, "SELECT count(*) FROM dead_letter WHERE cause = 'database_refused'") == 1)
    assert scalar(config, "SELECT sum(total) FROM rollup_observation") == sum(range(40)) - 13


def test_a_batch_that_another_process_outran_is_written_again_at_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def put(self: ingest.Sink, records: list[Any], batch: Any, rows: Any = None) -> Result:
        tries.append(len(records))
        if len(tries) == 1:
            raise psycopg.errors.UniqueViolation("duplicate key value")
        return Result(events=1)

    monkeypatch.setattr(ingest.Sink, "_put", put)
    monkeypatch.setattr(ingest, "RETRY_MIN_S", 3600.0)  # a test that waits would not end
    with capture_logs() as said:
        assert ingest.Sink(config, threading.Event()).put(ingest.Batch([], {}, {}, {}, [])).events == 1
    assert tries == [0, 0]
    assert [line["log_level"] for line in said] == ["info"]


@contextmanager
def slow_member(config: Config) -> Iterator[None]:
    """Another member of the group, which looks at it every other second: so long a join takes."""
    other = KafkaConsumer(
        bootstrap_servers=config.broker.bootstrap, group_id=config.broker.group, enable_auto_commit=False, session_timeout_ms=6_000, heartbeat_interval_ms=500
    )
    other.subscribe(pattern=rf"^{config.broker.prefix}\..+")
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(2):
            other.poll(timeout_ms=500)

    other.poll(timeout_ms=500)
    thread = threading.Thread(target=look)
    thread.start()
    until(lambda: bool(other.assignment()))
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=60)
        other.close()


def test_a_join_that_outlasts_a_poll_makes_nobody_deaf(config: Config, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """kafka-python forgets a join that a new topic brought about when it takes longer than a poll."""
    monkeypatch.setattr(ingest, "POLL_MS", 100)
    monkeypatch.setattr(ingest, "METADATA_MS", 500)
    monkeypatch.setattr(ingest, "JOIN_S", 4.0)
    with running(config):
        send(publisher, [obs(i) for i in range(100)])
        until(lambda: stored(config) == 100)
        with slow_member(config):
            publisher.send("later", obs(1000))
            publisher.flush()
            time.sleep(3)  # the group joins anew
        until(lambda: stored(config) == 101, 30)


@pytest.fixture
def memory_only(tmp_path: Path) -> Iterator[Broker]:
    """The broker of `make up`, one of its own."""
    tansu = Tansu(tmp_path, port=free_port())
    tansu.prepare()
    tansu.start()
    try:
        tansu.wait_ready()
        yield Broker(bootstrap=tansu.bootstrap, kind="embedded")
    finally:
        tansu.stop()


def test_who_is_stopped_while_it_joins_leaves_no_group_behind_that_nobody_can_join(database: str, memory_only: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tansu waits for ever for a leader that left while the group was forming: so `make up` stayed deaf once its broker had been killed."""
    config = config_for(database, memory_only)
    publisher = Publisher(memory_only)
    publisher.ensure_topics([FEED])
    send(publisher, [obs(i) for i in range(100)])
    publisher.close()
    stop = threading.Event()

    def stopped_in_the_middle(_: ingest.Ingest, consumer: Any) -> None:
        group = consumer.group_metadata()
        if group.state == MemberState.REBALANCING and group.member_id:
            stop.set()

    with monkeypatch.context() as patch:
        patch.setattr(ingest.Ingest, "_check_group", stopped_in_the_middle)
        ingest.Ingest(config, stop).run()
    assert stop.is_set()
    with running(config):
        until(lambda: stored(config) == 100)
