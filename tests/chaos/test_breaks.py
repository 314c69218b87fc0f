"""One thing broken at a time: the clock of a source, the disk of the database, the broker, connect at each step of a poll."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
import yaml
from structlog.testing import capture_logs

from chaos.oracle import CASE_DEFAULTS, fold
from chaos.senders import Post
from chaos.source import Reports, Server
from chaos.system import System
from chaos.truth import ASSET, CASE
from ioc.areas import load as load_areas
from ioc.bus import Publisher
from ioc.config import Broker, Config, Database, Feed, Words
from ioc.errors import Unavailable
from ioc.events import Case, Event, Observation, make
from ioc.ingest import Ingest

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]

FEED = "push"
REPOSITORY = Path(__file__).resolve().parents[2]
SEED = 5


def config_of(dsn: str, broker: Broker) -> Config:
    return Config(database=Database(dsn=dsn), broker=broker, feeds=[Feed(feed=FEED, connector="push", title=Words(vi="Đẩy", en="Push"))])


def number(i: int) -> Event:
    return make("/breaks", f"s{i % 7}", datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=i), Observation(metric="m", value=Decimal(i)))


@contextmanager
def ingesting(config: Config) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=Ingest(config, stop).run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def publish(publisher: Publisher, events: list[Event]) -> None:
    """Send until the broker has them, as every caller does."""
    for _ in range(60):
        try:
            for event in events:
                publisher.send(FEED, event)
            publisher.flush()
            return
        except Unavailable:
            time.sleep(0.5)
    raise AssertionError("the broker did not come back")


def until(what: Callable[[], bool], within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


def scalar(dsn: str, query: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as conn:
        row = conn.execute(query.encode()).fetchone()
        return row[0] if row else None


@pytest.fixture
def publisher(broker: Broker) -> Iterator[Publisher]:
    publisher = Publisher(broker)
    publisher.ensure_topics([FEED])
    yield publisher
    publisher.close()


def test_a_source_with_a_wrong_clock_gets_dead_letters_and_its_feed_goes_on(database: str, broker: Broker, publisher: Publisher) -> None:
    ahead = make("/breaks", "c1", datetime.now(UTC) + timedelta(days=365), Case(status="open"))
    zoneless = make("/breaks", "c2", datetime(2026, 11, 1), Case(status="open"))
    with ingesting(config_of(database, broker)):
        publish(publisher, [number(1), ahead, zoneless, number(2)])
        until(lambda: scalar(database, "SELECT count(*) FROM dead_letter") == 2)
        until(lambda: scalar(database, "SELECT count(*) FROM event") == 2)
    with psycopg.connect(database) as conn:
        assert sorted(conn.execute("SELECT cause, feed, times FROM dead_letter").fetchall()) == [("no_zone", FEED, 1), ("time_ahead", FEED, 1)]


FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file "base/1/2": No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION full_disk()
"""


def test_a_full_disk_pauses_ingest_with_one_clear_sentence_and_it_goes_on_by_itself(database: str, broker: Broker, publisher: Publisher) -> None:
    with capture_logs() as said, ingesting(config_of(database, broker)):
        publish(publisher, [number(i) for i in range(50)])
        until(lambda: scalar(database, "SELECT count(*) FROM event") == 50)
        with psycopg.connect(database, autocommit=True) as conn:
            conn.execute(FULL)
        publish(publisher, [number(i) for i in range(50, 500)])
        until(lambda: any("disk is full" in line.get("reason", "") for line in said))
        time.sleep(3)  # several tries
        assert scalar(database, "SELECT count(*) FROM event") == 50
        with psycopg.connect(database, autocommit=True) as conn:
            conn.execute("DROP TRIGGER full_disk ON event")
        until(lambda: scalar(database, "SELECT count(*) FROM event") == 500)
    errors = [line for line in said if line["log_level"] == "error"]
    assert len(errors) == 1, errors
    assert "goes on by itself" in errors[0]["reason"]
    assert sum("is back" in line["event"] for line in said) == 1
    assert scalar(database, "SELECT sum(total) FROM rollup_observation") == sum(range(500))


@pytest.mark.real_kafka
def test_a_broker_that_is_away_for_a_while_costs_nothing(database: str, own_broker: Any) -> None:
    broker = Broker(bootstrap=own_broker.bootstrap, kind=own_broker.kind, prefix="away", group="away")
    publisher = Publisher(broker)
    publisher.ensure_topics([FEED])
    with ingesting(config_of(database, broker)):
        publish(publisher, [number(i) for i in range(100)])
        until(lambda: scalar(database, "SELECT count(*) FROM event") == 100)
        own_broker.kill()
        with pytest.raises(Unavailable):
            publisher.send(FEED, number(100))
            publisher.flush(timeout_s=5)
        own_broker.start()
        own_broker.wait_ready()
        publish(publisher, [number(i) for i in range(90, 200)])
        until(lambda: scalar(database, "SELECT count(*) FROM event") == 200)
    publisher.close()
    assert scalar(database, "SELECT sum(total) FROM rollup_observation") == sum(range(200))


def test_connect_killed_at_every_step_of_a_poll_loses_nothing(database: str, broker: Broker, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    reports = Reports(SEED, now, sorted(load_areas("19").communes), 120)
    source = Server(reports)
    config = tmp_path / "config.yaml"
    feed = {"feed": "incident-reports", "connector": "open311", "title": {"vi": "P", "en": "R"}, "url": source.url, "cadence_s": 1, "options": {"page_size": 50, "sweep_every_s": 60}}
    config.write_text(yaml.safe_dump({"feeds": [feed], "broker": {"kind": broker.kind, "prefix": broker.prefix, "group": broker.group}}), encoding="utf-8")
    env = dict(os.environ) | {"IOC_DATABASE__DSN": database, "IOC_BROKER__BOOTSTRAP": broker.bootstrap, "PYTHONPATH": str(REPOSITORY)}
    arguments = ["--config", str(config), "--data-dir", str(tmp_path / "none")]
    plan = [("fetched", 1), ("produced", 1), ("produced", 60), ("acknowledged", 1), ("saved", 1), ("fetched", 4), ("acknowledged", 2), ("produced", 5)]
    try:
        for n, (step, nth) in enumerate(plan, 1):
            reports.publish(n / len(plan))
            argv = [sys.executable, str(Path(__file__).with_name("die.py")), step, str(nth), *arguments, "connect"]
            died = subprocess.run(argv, env=env, cwd=REPOSITORY, timeout=90, capture_output=True, text=True)
            assert died.returncode == -signal.SIGKILL, f"{step} {nth}: {died.stderr[-2000:]}"
        with (tmp_path / "connect.log").open("w") as log:
            last = subprocess.Popen([sys.executable, "-m", "ioc", *arguments, "connect"], env=env, cwd=REPOSITORY, stdout=log, stderr=log)
        expected = fold(reports.facts, CASE, CASE_DEFAULTS)
        fields = [*CASE_DEFAULTS, "updated_at"]
        wanted = {subject: tuple(state[name] for name in fields) for (_, subject), state in expected.items()}

        def stored() -> dict[str, tuple[Any, ...]]:
            with psycopg.connect(database) as conn:
                return {row[0]: row[1:] for row in conn.execute(f"SELECT subject, {', '.join(fields)} FROM case_state")}

        try:
            with ingesting(Config(database=Database(dsn=database), broker=broker, feeds=[Feed(**feed)])):  # type: ignore[arg-type]
                until(lambda: stored() == wanted, 120)
        finally:
            last.terminate()
            last.wait(30)
    finally:
        source.close()
    assert scalar(database, "SELECT sum(duplicates) FROM consumer_offset") > 0  # what was read again was known again


def test_every_process_ends_when_asked_to_while_broker_and_database_are_gone(own_broker: Any, own_database: Any, tmp_path: Path) -> None:
    reports = Reports(SEED, datetime.now(UTC), sorted(load_areas("19").communes), 30)
    source = Server(reports)
    system = System(tmp_path, own_broker, own_database, source.url)
    try:
        system.start()
        _, token = system.ioc("token", "create", "t", "--role", "source")
        post = Post(system.url, token.strip())
        post.facts([{"feed": "air", "type": ASSET, "source": "/b", "id": "1", "subject": "a", "time": datetime.now(UTC), "data": {"kind": "k"}}])
        post.close()
        own_broker.kill()
        own_database.kill()
        reports.publish(1)
        time.sleep(4)  # each process has met both absences
        assert system.stop(75) == []  # connect waits for its feeds (20 s), for the last acknowledgement, for its pool
    finally:
        system.stop()
        source.close()
