"""The runner: every feed on its own, outages survived and said once, nothing polled twice at a time, a graceful stop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import structlog
from unit.connect_rig import NOW, Asked, Bus, Memory, Reply, feed_of, serving

from ioc.config import Config, Feed
from ioc.connect import runner
from ioc.connect.errors import Fatal
from ioc.errors import Unavailable, UserError


def _dossiers(asked: Asked) -> Reply:
    rows = [{"MaHoSo": f"HS-{n}", "TrangThaiHoSo": "2", "ThoiDiemCapNhat": "20261122080000", "NgayTiepNhan": "20261101080000"} for n in range(3)]
    return Reply(json.dumps({"error_code": "00", "tongSo": 3, "soLuong": 1000, "hoSo": rows}))


@contextmanager
def running(feeds: list[Feed], bus: Bus, cursors: Memory) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=runner.run, args=(Config(feeds=feeds), bus, cursors, stop, lambda: NOW))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def until(true: Callable[[], Any], seconds: float = 8) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)


def feed(name: str, url: str, **more: Any) -> Feed:
    return feed_of(more.pop("connector", "dossiers"), url, **{"feed": name, "cadence_s": 0.1, **more})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FIRST_WAIT_S", 0.1)


def test_a_feed_that_fails_does_not_stop_the_others_and_is_logged_once_down_and_once_back() -> None:
    bus, cursors = Bus(), Memory()
    broken: list[bool] = [True]
    with ExitStack() as stack:
        logs = stack.enter_context(structlog.testing.capture_logs())
        good, bad = stack.enter_context(serving(_dossiers)), stack.enter_context(serving(lambda asked: Reply(status=400) if broken else _dossiers(asked)))
        feeds = [feed("good", good.url), feed("bad", bad.url), feed("off", "http://127.0.0.1:1", enabled=False), feed("pushed", "", connector="push")]
        stack.enter_context(running(feeds, bus, cursors))
        until(lambda: len(bus.heartbeats) >= 3 and len(cursors.errors) >= 1)
        assert {e.source.rpartition("/")[2] for e in bus.events} == {"good"}
        broken.clear()
        until(lambda: {e.source.rpartition("/")[2] for e in bus.events} == {"good", "bad"}, 15)
    said = [(line["event"], line.get("feed")) for line in logs if "feed is" in line["event"]]
    assert said == [("feed is down", "bad"), ("feed is back", "bad")]
    assert len(bus.events) == 6  # the good feed said it once, although it was asked again and again


def test_it_pauses_while_broker_or_database_are_away_and_goes_on_by_itself() -> None:
    bus, cursors = Bus(), Memory()
    bus.fail = {"flush": Unavailable("the broker is away")}
    with structlog.testing.capture_logs() as logs, serving(_dossiers) as server, running([feed("a", server.url)], bus, cursors):
        until(lambda: bus.log.count("flush") >= 2)
        assert cursors.saved == {}
        bus.fail = {}
        cursors.fail = {"load": Unavailable("the database is away")}
        time.sleep(0.3)
        cursors.fail = {}
        until(lambda: bus.heartbeats, 10)
    assert {e.subject for e in bus.events} == {"HS-0", "HS-1", "HS-2"}
    assert [line["event"] for line in logs if line.get("feed") == "a"] == ["feed is down", "feed is back"]


def test_nothing_a_connector_does_ends_its_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, cursors, calls = Bus(), Memory(), [0]
    original = runner.Pump.poll

    def poll(self: Any, *args: Any) -> Any:
        calls[0] += 1
        if calls[0] == 1:
            raise ZeroDivisionError("a mistake in a connector")
        return original(self, *args)

    monkeypatch.setattr(runner.Pump, "poll", poll)
    with structlog.testing.capture_logs(), serving(_dossiers) as server, running([feed("a", server.url)], bus, cursors):
        until(lambda: bus.heartbeats)
    assert cursors.errors == ["internal error: ZeroDivisionError"] and len(bus.events) == 3


def test_it_stops_at_once_in_the_middle_of_a_wait() -> None:
    with structlog.testing.capture_logs(), serving(lambda asked: Reply(status=503, headers={"Retry-After": "9"})) as server:
        with running([feed("a", server.url)], Bus(), Memory()):
            until(lambda: server.asked)
            asked = len(server.asked)
        assert len(server.asked) == asked  # it left during the 9 s the server asked for, not after them


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"options": {"page_size": 0}}, "page_size"),
        ({"options": {"pagesize": 5}}, "known options are path, page_size"),
        ({"connector": "nowhere"}, "known are .*dossiers, "),
        ({"url": ""}, "url is missing"),
        ({"url": "ftp://x"}, "not an http"),
        ({"secret": "NO_SUCH_SECRET"}, "NO_SUCH_SECRET"),
    ],
)
def test_a_wrong_option_stops_the_start_with_a_sentence(change: dict[str, Any], says: str) -> None:
    given = {"feed": "a", "connector": "dossiers", "title": {"vi": "", "en": ""}, "url": "http://127.0.0.1:1", **change}
    with pytest.raises(UserError, match=says):
        runner.run(Config(feeds=[Feed.model_validate(given)]), Bus(), Memory(), threading.Event())


def test_a_refused_secret_is_looked_at_again_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FATAL_WAIT_S", 0.1)
    replies = iter([Reply(status=401)])
    bus, cursors = Bus(), Memory()
    with structlog.testing.capture_logs(), serving(lambda asked: next(replies, None) or _dossiers(asked)) as server, running([feed("a", server.url)], bus, cursors):
        until(lambda: bus.heartbeats)
    assert "check the feed's secret" in cursors.errors[0]


def test_the_secret_is_in_no_error_and_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_A", "s3cr3t-value")
    cursors = Memory()
    with structlog.testing.capture_logs() as logs, serving(lambda asked: Reply(status=401)) as server, running([feed("a", server.url, secret="TOKEN_OF_A")], Bus(), cursors):
        until(lambda: cursors.errors)
        assert server.asked[0].headers["authorization"] == "Bearer s3cr3t-value"
    assert "s3cr3t" not in repr(logs) + repr(cursors.errors)
    assert issubclass(Fatal, UserError)
