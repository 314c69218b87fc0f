"""Open311 over a real local server: new requests, changes the standard cannot ask for, nothing said twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from unit.connect_rig import NOW, Asked, Bus, Memory, Reply, poll, pump_of, serving

from ioc.clock import FrozenClock
from ioc.events import Case


class City:
    """A small Open311 server; `pages` False ignores page and page_size, as the standard allows."""

    def __init__(self, *, pages: bool = True, most: int = 1000) -> None:
        self.requests: dict[str, dict[str, Any]] = {}
        self.pages, self.most = pages, most

    def add(self, number: int, at: datetime, **more: Any) -> None:
        key = f"SR-{number:05d}"
        self.requests[key] = {
            "service_request_id": key, "status": "open", "service_code": "cay-xanh", "service_name": "Cây xanh",
            "requested_datetime": at.isoformat(), "updated_datetime": at.isoformat(), "lat": 21.59, "long": 105.84, **more,
        }  # fmt: skip

    def __call__(self, asked: Asked) -> Reply:
        q = asked.query
        if "service_request_id" in q:
            found = [self.requests[key] for key in q["service_request_id"].split(",") if key in self.requests]
            return Reply(json.dumps(found), headers={"Content-Type": "application/json"})
        start, end = (datetime.fromisoformat(q[name]) for name in ("start_date", "end_date"))
        assert end - start <= timedelta(days=90)
        rows = [r for r in self.requests.values() if start <= datetime.fromisoformat(r["requested_datetime"]) <= end]
        rows.sort(key=lambda r: r["requested_datetime"], reverse=True)
        rows = rows[: self.most] if not self.pages else rows
        if self.pages:
            size, page = int(q["page_size"]), int(q["page"])
            rows = rows[(page - 1) * size : page * size]
        return Reply(json.dumps(rows), headers={"Content-Type": "application/json"})


def test_it_sees_a_status_change_of_an_old_request_that_the_standard_cannot_ask_for() -> None:
    city, bus, cursors, clock = City(), Bus(), Memory(), FrozenClock(NOW)
    city.add(1, NOW - timedelta(days=30))
    with serving(city) as server:
        pump = pump_of("open311", server.url, clock)
        poll(pump, bus, cursors)
        clock.tick(seconds=5)
        city.requests["SR-00001"] |= {"status": "closed", "updated_datetime": clock().isoformat(), "status_notes": "Trùng với phản ánh khác"}
        poll(pump, bus, cursors)
    assert [(e.data.status, e.data.outcome) for e in bus.events if isinstance(e.data, Case)] == [("open", None), ("closed", "duplicate")]
    assert bus.events[1].data.closed_at == clock().astimezone(UTC)


def test_it_reopens_and_rates_closed_requests() -> None:
    city, bus, cursors, clock = City(), Bus(), Memory(), FrozenClock(NOW)
    city.add(1, NOW - timedelta(hours=3), status="closed")
    with serving(city) as server:
        pump = pump_of("open311", server.url, clock)
        poll(pump, bus, cursors)
        clock.tick(minutes=10)
        city.requests["SR-00001"] |= {"extended_attributes": {"rating": 4}}  # the source does not touch updated_datetime
        poll(pump, bus, cursors)
        clock.tick(minutes=10)
        city.requests["SR-00001"] |= {"status": "open", "updated_datetime": clock().isoformat()}
        poll(pump, bus, cursors)
    assert [(e.data.status, e.data.rating) for e in bus.events] == [("closed", None), ("closed", 4), ("open", 4)]
    assert bus.events[2].data.closed_at is None
    assert bus.events[0].time < bus.events[1].time < bus.events[2].time


def test_it_publishes_nothing_when_the_source_has_nothing_new() -> None:
    city, bus, cursors, clock = City(), Bus(), Memory(), FrozenClock(NOW)
    for number in range(250):
        city.add(number, NOW - timedelta(hours=number))
    city.add(998, NOW, lat="not a number")
    city.add(999, NOW, requested_datetime="2026-11-21 08:00")
    city.requests["SR-00999"]["requested_datetime"] = (NOW - timedelta(days=1)).isoformat()
    city.requests["SR-00999"]["updated_datetime"] = "2026-11-21T08:00:00"
    with serving(city) as server:
        pump = pump_of("open311", server.url, clock, options={"page_size": 100})
        poll(pump, bus, cursors)
        assert (len(bus.events), sorted(letter.cause for letter in bus.letters)) == (250, ["no_zone", "wrong_type"])
        clock.tick(seconds=4000)  # past a sweep
        _, _, report = poll(pump, bus, cursors)
    assert (report.records, len(bus.events), len(bus.letters)) == (0, 250, 2)
    assert len(bus.heartbeats) == 2


@pytest.mark.parametrize("pages", [True, False])
def test_it_reads_every_request_of_a_server_with_or_without_pages(pages: bool) -> None:
    city = City(pages=pages)
    for number in range(2500):
        city.add(number, NOW - timedelta(minutes=20 * number))
    with serving(city) as server:
        bus, _, _ = poll(pump_of("open311", server.url))
    assert {e.subject for e in bus.events} == set(city.requests)


def test_it_reads_a_window_again_when_it_failed_halfway() -> None:
    city, bus, cursors = City(), Bus(), Memory()
    for number in range(30):
        city.add(number, NOW - timedelta(days=40) + timedelta(hours=number))

    def broken(asked: Asked) -> Reply:
        return Reply('[{"service_request_id": "SR-', headers={"Content-Type": "application/json"}) if asked.query.get("page") == "2" else city(asked)

    with serving(broken) as server:
        pump = pump_of("open311", server.url, options={"page_size": 10})
        _, _, report = poll(pump, bus, cursors)
        assert [str(p)[:21] for p in report.problems] and [letter.cause for letter in bus.letters] == ["bad_json"]
        poll(pump, bus, cursors)
        assert len(bus.letters) == 1  # told once, not at each poll
        server.handler = city
        poll(pump, bus, cursors)
    assert {e.subject for e in bus.events} == set(city.requests)
    assert len(bus.heartbeats) == 1
