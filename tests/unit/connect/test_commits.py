"""Published, acknowledged, and only then remembered: killed between any two steps, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from unit.connect_rig import NOW, Asked, Bus, Memory, Reply, poll, pump_of, serving

from ioc.clock import FrozenClock
from ioc.errors import Unavailable


class Killed(BaseException):
    """kill -9."""


class Portal:
    """A dossier list by update time that keeps changing while it is read."""

    def __init__(self, dossiers: int) -> None:
        self.rows = {f"HS-{n:05d}": (NOW - timedelta(minutes=dossiers - n), "2") for n in range(dossiers)}

    def touch(self, key: str, at: datetime, status: str) -> None:
        self.rows[key] = (at, status)

    def __call__(self, asked: Asked) -> Reply:
        since, page, size = asked.query["capNhatTu"], int(asked.query["trang"]), int(asked.query["soLuong"])
        rows = sorted(({"MaHoSo": key, "TrangThaiHoSo": status, "ThoiDiemCapNhat": _stamp(at), "NgayTiepNhan": "20261101080000"} for key, (at, status) in self.rows.items()), key=lambda r: (r["ThoiDiemCapNhat"], r["MaHoSo"]))
        rows = [row for row in rows if row["ThoiDiemCapNhat"] >= since]
        return Reply(json.dumps({"error_code": "00", "tongSo": len(rows), "trang": page, "soLuong": size, "hoSo": rows[(page - 1) * size : page * size]}))


def _stamp(at: datetime) -> str:
    return (at + timedelta(hours=7)).strftime("%Y%m%d%H%M%S")


def test_it_flushes_before_it_saves_and_says_it_is_alive_only_when_all_was_read() -> None:
    bus = Bus()
    cursors = Memory(bus.log)
    with serving(Portal(5000)) as server:
        poll(pump_of("dossiers", server.url), bus, cursors)
    assert len(bus.events) == 5000 and len(bus.heartbeats) == 1
    steps = [step for step in bus.log if step != "send"]
    assert steps == ["flush", "save"] * (len(steps) // 2) and len(steps) >= 4  # several commits, each in this order
    assert bus.log[-2:] == ["flush", "save"]


@pytest.mark.parametrize("step", ["send", "flush", "save", "load"])
@pytest.mark.parametrize("error", [Unavailable("away"), Killed()])
def test_it_loses_nothing_when_killed_or_cut_off_at_any_step(step: str, error: BaseException) -> None:
    portal, bus = Portal(300), Bus()
    cursors = Memory()
    with serving(portal) as server:
        pump = pump_of("dossiers", server.url, options={"page_size": 50})
        for at in (bus, cursors):
            at.fail = {step: error}  # type: ignore[dict-item]
        with pytest.raises(type(error)):
            poll(pump, bus, cursors)
        survivors = Bus()  # what the broker had acknowledged
        survivors.events = list(bus.events)
        cursors.fail = {}
        poll(pump_of("dossiers", server.url, options={"page_size": 50}), survivors, cursors)  # a new process
    assert {event.subject for event in survivors.events} == set(portal.rows)
    assert len(survivors.ids) == 300  # what was published twice is the same event


def test_it_reads_a_list_that_changes_under_its_hands_without_skipping_a_row() -> None:
    portal, clock = Portal(400), FrozenClock(NOW)
    keys: Iterator[str] = iter(sorted(portal.rows))

    def moving(asked: Asked) -> Reply:
        reply = portal(asked)
        for _ in range(3):  # rows already read move to the end: plain paging would skip three of each page
            portal.touch(next(keys), NOW + timedelta(seconds=1), "4")
        return reply

    with serving(moving) as server:
        pump = pump_of("dossiers", server.url, clock, options={"page_size": 50})
        bus, cursors, _ = poll(pump)
        server.handler = portal
        clock.tick(seconds=5)
        poll(pump, bus, cursors)
        newest = {event.subject: event.data.native_status for event in sorted(bus.events, key=lambda e: e.time)}  # type: ignore[union-attr]
        assert newest == {key: status for key, (_, status) in portal.rows.items()}
        before = len(bus.events)
        poll(pump, bus, cursors)
    assert len(bus.events) == before


def test_it_reads_more_changes_in_one_second_than_fit_a_page() -> None:
    portal = Portal(0)
    portal.rows = {f"HS-{n:05d}": (NOW, "2") for n in range(230)}
    with serving(portal) as server:
        pump = pump_of("dossiers", server.url, options={"page_size": 50})
        bus, cursors, _ = poll(pump)
        portal.rows["HS-99999"] = (NOW, "2")  # the same second, after we read it
        poll(pump, bus, cursors)
    assert len(bus.events) == 231 == len(bus.ids)


def test_a_cursor_stays_small_however_much_was_read() -> None:
    with serving(Portal(12_000)) as server:
        _, cursors, _ = poll(pump_of("dossiers", server.url))
    assert sum(map(len, cursors.saved.values())) < 20_000
