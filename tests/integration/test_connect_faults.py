"""Connectors against the simulated sources, whatever those do wrong: when they recover, nothing is lost, nothing is said twice."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

sys.path.insert(0, str(Path(__file__).parents[1]))

from unit.connect_rig import HERE, Bus, Memory

from ioc.config import Feed, Words
from ioc.connect import registry
from ioc.connect.errors import Retriable
from ioc.connect.http import Http
from ioc.connect.pump import Pump
from ioc.simulator.province import Province
from ioc.simulator.server import build

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)  # a Saturday morning: schools report, offices do little
PATHS = {
    "public-services": ("dossiers", ""),
    "e-documents": ("edxml", ""),
    "health": ("fhir", "/fhir"),
    "education": ("oneroster", ""),
    "incident-reports": ("open311", "/open311/v2"),
}
FAULTS = ("error", "rate_limit", "bad_json", "html", "redirect", "endless_next", "duplicates", "reorder")


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(build(Province(seed=19, rate=2, clock=lambda: NOW, history_days=1)), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def _pump(name: str, url: str) -> tuple[Pump, Http]:
    connector, path = PATHS[name]
    feed = Feed(feed=name, connector=connector, title=Words(vi="", en=""), url=f"{url}/{name}{path}", late_window_days=1)
    found = registry.get(connector)
    client = Http(feed.url, rate_per_s=5000, timeout_s=5, sleep=lambda _s: None)
    return Pump(feed, found, registry.options_of(found, feed), HERE, client, lambda: NOW), client


def _poll(pump: Pump, bus: Bus, cursors: Memory) -> list[Any]:
    try:
        return list(pump.poll(bus, cursors).problems)
    except Retriable as exc:
        return [exc]


@pytest.mark.parametrize("name", PATHS)
def test_nothing_is_lost_and_nothing_is_said_twice_whatever_the_source_did(name: str, simulator: str) -> None:
    pump, client = _pump(name, simulator)
    clean = Bus()
    assert _poll(pump, clean, Memory()) == [] and len(clean.ids) > 50
    client.close()
    hit = 0
    for fault in FAULTS:
        pump, client = _pump(name, simulator)
        bus, cursors = Bus(), Memory()
        assert httpx.post(f"{simulator}/control", json={"feed": name, "fault": fault, "share": 0.3}).is_success
        for _ in range(4):
            hit += len(_poll(pump, bus, cursors))
        assert httpx.delete(f"{simulator}/control").is_success
        assert _poll(pump, bus, cursors) == [], fault
        before = len(bus.events)
        assert _poll(pump, bus, cursors) == [] and len(bus.events) == before, fault
        client.close()
        assert bus.ids == clean.ids, (fault, len(clean.ids - bus.ids), len(bus.ids - clean.ids))
        assert {letter.cause for letter in bus.letters} <= {"bad_json", "bad_xml", "html_page", "other_host", "endless_paging", "wrong_encoding", "unknown_layout"}, fault
    assert hit > 0, "no fault was met: the test would prove nothing"
