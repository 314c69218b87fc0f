"""A feed is added to config.yaml while real `ioc web` and `ioc ingest` run: nobody restarts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from websockets.sync.client import connect

from ioc import auth
from ioc.config import Broker
from ioc.embedded.process import free_port

ROOT = Path(__file__).parents[2]


class System:
    """`ioc web` and `ioc ingest` by one config.yaml."""

    def __init__(self, folder: Path, dsn: str, broker: Broker) -> None:
        self.path, self.port = folder / "config.yaml", free_port()
        self.common: dict[str, Any] = {
            "database": {"dsn": dsn}, "broker": json.loads(broker.model_dump_json()), "web": {"port": self.port},
            "kpis": {"catalogue": str(ROOT / "dashboards" / "catalogue")}, "scenes": {"folder": str(folder), "use": ["only"]},
        }  # fmt: skip
        (folder / "only.yaml").write_text("title: {vi: a, en: a}\ntiles: [incidents_open]\n")
        self.write("incident-reports")
        env = {k: v for k, v in os.environ.items() if not k.startswith("IOC_")} | {"IOC_CONFIG": str(self.path), "PYTHONPATH": str(ROOT)}
        self.log = folder / "log"
        with self.log.open("a") as out:
            self.processes = [subprocess.Popen([sys.executable, "-m", "ioc", verb], env=env, cwd=folder, stdout=out, stderr=out) for verb in ("web", "ingest")]

    def write(self, *feeds: str, **wrong: Any) -> None:
        listed = [{"feed": feed, "connector": "push", "title": {"vi": feed, "en": feed}} for feed in feeds]
        self.path.write_text(yaml.safe_dump(self.common | {"feeds": listed} | wrong))

    def feeds(self) -> list[str]:
        try:
            return [feed["feed"] for feed in httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5).json()["feeds"]]
        except (httpx.HTTPError, json.JSONDecodeError):
            return []

    def first_message(self, view: str) -> dict[str, Any]:
        with connect(f"ws://127.0.0.1:{self.port}/live?view={view}") as ws:
            return json.loads(ws.recv(timeout=10))  # type: ignore[no-any-return]

    def until(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not what():
            assert time.monotonic() < deadline and all(p.poll() is None for p in self.processes), self.log.read_text()[-4000:]
            time.sleep(0.2)

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(30) for process in self.processes] == [0, 0]


@pytest.fixture
def system(tmp_path: Path, database: str, broker: Broker) -> Iterator[System]:
    running = System(tmp_path, database, broker)
    yield running
    running.stop()


def test_a_feed_is_added_and_its_facts_are_stored_without_a_restart(system: System, database: str) -> None:
    system.until(lambda: system.feeds() == ["incident-reports"])
    system.until(lambda: "partition assigned" in system.log.read_text())
    before = system.first_message("wall/only:vi")["v"]
    pids = [process.pid for process in system.processes]
    system.write("incident-reports", "health")
    system.until(lambda: system.feeds() == ["incident-reports", "health"])
    assert system.first_message("wall/only:vi")["v"] != before  # screens load themselves anew
    with psycopg.connect(database, autocommit=True) as conn:
        token = auth.create(conn, "t", "source", datetime.now(UTC))
        event = {
            "specversion": "1.0", "id": "1", "source": "/t", "type": "vn.ioc.observation.v1", "subject": "s", "time": datetime.now(UTC).isoformat(),
            "data": {"metric": "m", "value": 1},
        }  # fmt: skip
        posted = httpx.post(
            f"http://127.0.0.1:{system.port}/api/events/health", json=event, timeout=30, headers={"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents+json"}
        )
        assert posted.status_code == 202, posted.text
        system.until(lambda: conn.execute("SELECT count(*) FROM event WHERE feed = 'health'").fetchone() == (1,))

    system.write("health", web={"port": "many"})  # a mistake: the last good one stays, and it is told
    system.until(lambda: "config.yaml" in json.dumps(system.first_message("operations:en")["props"].get("ops-note", {})))
    assert system.feeds() == ["incident-reports", "health"]
    system.write("incident-reports")
    system.until(lambda: system.feeds() == ["incident-reports"])
    assert [process.pid for process in system.processes] == pids
