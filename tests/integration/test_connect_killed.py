"""kill -9 of a real `ioc connect` between fetch, produce, acknowledge and cursor: nothing is lost, nothing counts twice.

The process is the one an operator runs; nothing in it knows of the test. The source holds its answer back, the broker stands
still (SIGSTOP), or the table of cursors is locked: so the process is where it shall be when it dies. After each death it is
started again, at last left alone; then ingest stores what the broker holds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from topics import whole

from ioc import config as config_
from ioc import ingest
from ioc.config import Broker
from ioc.connect.replay import Asked, Reply, serving
from ioc.embedded.broker import Tansu
from ioc.embedded.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

ROOT = Path(__file__).parents[2]
FEED = "meters"
PAGES, SIZE = 3, 900  # the kit flushes after 2,000 records: behind the last page
BAD = 300  # each of these many records is one whose value is a word
CONNECTOR = """
about: Readings of meters, page by page.
source: {path: page-0, records: data, paging: {by: next, value: next}}
fields:
  id: {class: public, required: true}
  value: {class: public, type: number}
  at: {class: public, type: time}
subject: meter-$id
time: $at
facts: [{observation: {metric: power, value: $value, unit: kW}}]
"""
START = datetime(2026, 11, 20, tzinfo=UTC)


def _row(n: int) -> dict[str, str]:
    return {"id": f"{n:05}", "value": "broken" if n % BAD == 0 else f"{n % 977}.5", "at": (START + timedelta(seconds=n)).isoformat()}


class Source:
    """A list in three pages. `at[page]` is done while that page is asked, once."""

    def __init__(self) -> None:
        self.rows = [_row(n) for n in range(PAGES * SIZE)]
        self.at: dict[int, Callable[[], None]] = {}
        self.reached = threading.Event()

    def answer(self, asked: Asked) -> Reply:
        page = int(asked.path.rpartition("-")[2])
        if (then := self.at.pop(page, None)) is not None:
            then()
        following = f"/page-{page + 1}" if page + 1 < PAGES else None
        rows = self.rows[page * SIZE : (page + 1) * SIZE if following else None]
        return Reply(json.dumps({"data": rows, "next": following}), headers={"Content-Type": "application/json"})


class Connect:
    """`ioc connect`, started and killed."""

    def __init__(self, folder: Path, dsn: str, broker: Broker, url: str) -> None:
        self.folder, self.log = folder, folder / "log"
        home = folder / "connectors" / "meters"
        home.mkdir(parents=True)
        (home.parent / "__init__.py").write_text("")
        (home / "connector.yaml").write_text(CONNECTOR)
        feed = {"feed": FEED, "connector": "meters", "title": {"vi": "a", "en": "a"}, "url": url, "cadence_s": 0.5, "timeout_s": 30}
        settings = {"database": {"dsn": dsn}, "broker": json.loads(broker.model_dump_json()), "feeds": [feed]}
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("IOC_")} | {"IOC_CONFIG": str(folder / "config.yaml"), "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        with self.log.open("ab") as out, subprocess.Popen([sys.executable, "-m", "ioc", "connect"], env=self.env, cwd=self.folder, stdout=out, stderr=out) as process:
            try:
                yield process
            finally:
                process.kill()


def _until(what: Callable[[], bool], said: str) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def _cursor(conn: psycopg.Connection[Any]) -> dict[str, Any]:
    row = conn.execute("SELECT cursor FROM connector_cursor WHERE feed = %s", (FEED,)).fetchone()
    return dict(row[0]) if row else {}


def _on_the_broker(broker: Broker, topic: str) -> tuple[list[Any], int]:
    """Return the records of a topic that have a value (signs of life have none), and how many there are of both."""
    records = whole(broker.bootstrap, [topic])
    return [record for record in records if record.value is not None], len(records)


def test_connect_killed_at_any_step_loses_nothing_and_counts_nothing_twice(
    own_broker: Tansu | Kafka, broker_kind: Any, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker(bootstrap=own_broker.bootstrap, kind=broker_kind, prefix="t", group="g")
    broker_pid = own_broker.process.pid
    assert broker_pid is not None
    topic, source, dead = f"{broker.prefix}.{FEED}", Source(), f"{broker.prefix}.dead-letters"
    held, killed = threading.Event(), []

    def hold() -> None:
        """The source says nothing until it is let go."""
        source.reached.set()
        held.wait(60)

    def stop_broker() -> None:
        os.kill(broker_pid, signal.SIGSTOP)
        source.reached.set()

    with psycopg.connect(database, autocommit=True) as conn, psycopg.connect(database) as locking, serving(source.answer) as server:
        connect = Connect(tmp_path, database, broker, server.url)

        def lock_cursors() -> None:
            locking.execute("LOCK TABLE connector_cursor IN SHARE MODE")  # reading goes on
            source.reached.set()

        def at_the_lock() -> bool:
            return conn.execute("SELECT count(*) FROM pg_locks WHERE relation = 'connector_cursor'::regclass AND NOT granted").fetchone() == (1,)

        def kill(step: str, page: int, then: Callable[[], None], ready: Callable[[], bool] | None = None) -> None:
            source.reached.clear()
            source.at[page] = then
            try:
                with connect.running() as process:
                    _until(lambda: source.reached.is_set() or process.poll() is not None, f"{step}: page {page} was never asked for")
                    assert process.poll() is None, connect.log.read_text()
                    if ready is not None:
                        _until(ready, f"{step}: it never came there")
                    else:
                        time.sleep(0.3)  # it takes the answer, and comes to stand where it can go no further
                    process.kill()
                    assert process.wait(10) == -signal.SIGKILL
            finally:
                os.kill(broker_pid, signal.SIGCONT)
            killed.append(step)

        kill("fetched, not produced", 0, stop_broker)
        kill("produced in part, the next page is being fetched", 1, hold)
        kill("produced, not acknowledged", 2, stop_broker)
        assert _cursor(conn) == {}
        kill("acknowledged, the cursor not saved", 2, lock_cursors, at_the_lock)
        locking.rollback()
        _until(lambda: not at_the_lock(), "the killed process still waits")
        there = len({record.value for record in _on_the_broker(broker, topic)[0]})
        assert there == len(source.rows) - len(source.rows) // BAD and _cursor(conn) == {}, "the broker has all, the cursor says nothing of it"

        def saved() -> None:
            source.at[0] = hold  # the second poll
            source.reached.clear()

        kill("the cursor saved, the next poll begun", 0, saved, source.reached.is_set)
        assert _cursor(conn)
        held.set()
        source.rows += [_row(n) for n in range(len(source.rows), len(source.rows) + 10)]
        before = conn.execute("SELECT polls - errors FROM connector_cursor WHERE feed = %s", (FEED,)).fetchone() or (0,)
        with connect.running():
            _until(lambda: (conn.execute("SELECT polls - errors FROM connector_cursor WHERE feed = %s", (FEED,)).fetchone() or (0,))[0] >= before[0] + 2, "it does not go on")

        expected = {(f"meter-{row['id']}", datetime.fromisoformat(row["at"])) for row in source.rows if row["value"] != "broken"}
        letters = sum(row["value"] == "broken" for row in source.rows)
        events, said = _on_the_broker(broker, topic)
        refused = _on_the_broker(broker, dead)[1]
        ids = Counter(json.loads(record.value)["id"] for record in events)
        assert len(ids) == len(expected) and len({record.value for record in events}) == len(expected)
        assert max(ids.values()) > 1, "no step was repeated: the test would prove nothing"

        stop = threading.Event()
        settings = config_.load(connect.folder / "config.yaml")
        thread = threading.Thread(target=ingest.Ingest(settings, stop).run, daemon=True)
        thread.start()
        try:
            _until(lambda: _stored(conn) == said + refused, "ingest does not come to the end")
        finally:
            stop.set()
            thread.join(30)
        stored = conn.execute("SELECT subject, time FROM event WHERE feed = %s", (FEED,)).fetchall()
        assert len(stored) == len(expected) and set(stored) == expected
        assert conn.execute("SELECT sum(n) FROM rollup_observation WHERE feed = %s", (FEED,)).fetchone() == (len(expected),)
        assert conn.execute("SELECT count(*) FROM dead_letter WHERE feed = %s", (FEED,)).fetchone() == (letters,)
    assert len(source.rows) == len(expected) + letters
    with capsys.disabled():
        print(f"\nkilled {len(killed)} times ({'; '.join(killed)}): {len(source.rows)} records = {len(expected)} events + {letters} dead letters; {len(events) - len(ids)} repeated on the broker, none in the store")


def _stored(conn: psycopg.Connection[Any]) -> int:
    """Return how many records of both topics ingest is done with."""
    row = conn.execute("SELECT coalesce(sum(next_offset), 0) FROM consumer_offset").fetchone()
    assert row is not None
    return int(row[0])
