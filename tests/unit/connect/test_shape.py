"""The contract of shape: a change is seen at the first page and said in words, once; old fields keep flowing."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import structlog
from unit.connect_rig import NOW, Memory, Reply, feed_of, poll, pump_of, serving

from ioc.connect import Record, runner, shape
from ioc.connect.replay import Collected


def _dossiers(many: int, start: int = 0, **changes: Any) -> list[dict[str, Any]]:
    rows = [{"MaHoSo": f"D{start + n}", "TrangThaiHoSo": "1", "MaXa": "05443", "ThoiDiemCapNhat": "20261120081000", "PhuongXa": {"ten": "x"}} for n in range(many)]
    return [{name: value for name, value in (row | changes).items() if value != "gone"} for row in rows]


def test_a_change_is_said_at_the_first_page_once_and_old_fields_keep_flowing() -> None:
    answer: dict[str, Any] = {"error_code": "00", "hoSo": _dossiers(25)}
    with serving(lambda asked: Reply(json.dumps(answer | {"hoSo": answer["hoSo"] if asked.query.get("trang") == "1" else []}))) as server:
        pump, memory = pump_of("dossiers", server.url), Memory()
        bus, _, report = poll(pump, None, memory)
        assert (report.shape_changes, len(bus.events)) == ([], 25)
        answer["hoSo"] = _dossiers(5, 100, MaXa=5443, PhuongXa="gone", KenhTiepNhan="1", ThongTin={"a": 1, "b": 2})
        bus, _, report = poll(pump, bus, memory)
        assert report.shape_changes == ["the field PhuongXa is gone; every record had it", "the field KenhTiepNhan is new (text)", "the field ThongTin is new (object)", "the field MaXa was text, it is number"]
        assert memory.changes == ["; ".join(report.shape_changes)]
        assert {event.subject for event in bus.events} >= {"D0", "D24"} and bus.letters  # a commune's code as a number is refused, as ever
        answer["hoSo"] = _dossiers(5, 200, PhuongXa="gone", KenhTiepNhan="2", ThongTin={"a": 1, "b": 2})
        bus, _, report = poll(pump, bus, memory)
        assert report.shape_changes == [] and "D204" in {event.subject for event in bus.events}
        assert poll(pump_of("dossiers", server.url), bus, memory)[2].shape_changes == []  # another process, which remembers


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([{"a": 1}] * 3, [{"b": 1}] * 3, []),  # three records: nobody knows yet what the source is like
        ([{"a": 1, "b": None}, {"a": 1}] * 10, [{"a": 2.5}], []),  # b was not in every record
        ([{"a": None}] * 20, [{"a": "x"}], []),
        ([{"a": [{"b": 1}, {"c": 1}]}] * 20, [{"a": [{"b": 1}]}], ["the field a.c is gone; every record had it"]),
        ([{"a": 1}] * 20, [{"a": 1, "Nguyễn Văn An": 1, "0912345678": 2}], ["the field [key] is new (number)"]),  # a name may stand in a key
        ([{"a": 1}] * 20, ["rubbish", 7, None], []),
        ([{"a": 1}] * 20, [{"a": 1} | {f"x{n}": n for n in range(9)}], [*(f"the field x{n} is new (number)" for n in range(6)), "and 3 more"]),
    ],
)
def test_what_counts_as_a_change(before: list[Any], after: list[Any], said: list[str]) -> None:
    known, nothing = shape.check({}, [Record(value) for value in before], set())
    assert nothing == []
    assert shape.check(known, [Record(value) for value in after], set())[1] == said


def test_kinds_of_a_source_are_told_apart_and_looked_at_once_a_poll() -> None:
    records = [Record({"a": 1}, "class"), Record({"b": 1}, "school")]
    known, _ = shape.check({}, records * 20, set())
    done: set[str] = set()
    _, said = shape.check(known, [Record({"a": "x"}, "class")], done)
    assert said == ["class: the field a was number, it is text"]
    assert shape.check(known, [Record({"a": "x"}, "class")], done)[1] == []


def test_a_source_of_any_size_needs_little_room() -> None:
    known, _ = shape.check({}, [Record({f"k{n}.{i}": {"deep": {"er": [{"x": n}]}} for i in range(300)}, f"kind{n}") for n in range(100)], set())
    assert len(json.dumps(known)) < 200_000 and len(known) == shape.MOST_KINDS


def test_a_change_is_counted_and_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    from ioc.areas import load
    from ioc.config import Config

    rows = _dossiers(25)
    with serving(lambda asked: Reply(json.dumps({"error_code": "00", "hoSo": rows if asked.query.get("trang") == "1" else []}))) as server:
        feed = feed_of("dossiers", server.url)
        run = runner.FeedRun(Config(feeds=[feed]), feed, load("19"), Collected(), Memory(), threading.Event(), lambda: NOW)
        run._step()
        rows = _dossiers(3, 50, MaXa="gone")
        with structlog.testing.capture_logs() as logs:
            run._step()
        run._client.close()
    assert [line["changes"] for line in logs if "look different" in line["event"]] == [["the field MaXa is gone; every record had it"]]
    assert runner.SHAPE_CHANGES.labels(feed.feed)._value.get() == 1
