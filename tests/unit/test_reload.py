"""config.yaml changes while the system runs: another configuration is served, a broken one is told and changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from ioc import reload
from ioc.config import Config
from ioc.errors import UserError

FEED = "  - {feed: %s, connector: push, title: {vi: a, en: a}}\n"


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


class Served:
    """What was served, by names of feeds; a feed called `bad` is what only the process itself finds wrong."""

    def __init__(self) -> None:
        self.feeds: list[list[str]] = []
        self.now: list[str] | None = None

    def __call__(self, config: Config, stop: threading.Event) -> None:
        names = [feed.feed for feed in config.feeds]
        if "bad" in names:
            raise UserError("feed bad: no connector is called so")
        self.feeds.append(names)
        self.now = names
        stop.wait()
        self.now = None


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("feeds:\n" + FEED % "a")
    monkeypatch.setenv("IOC_CONFIG", str(path))
    return path


@contextmanager
def serving(served: Served, problem: reload.Problem | None = None) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=reload.serve, args=(served, stop, problem), kwargs={"look_s": 0.02})
    with structlog.testing.capture_logs():
        thread.start()
        yield
        stop.set()
        thread.join(10)
    assert not thread.is_alive() and served.now is None


def test_a_feed_comes_and_goes_without_a_restart(file: Path) -> None:
    served = Served()
    with serving(served):
        until(lambda: served.now == ["a"])
        file.write_text("feeds:\n" + FEED % "a" + FEED % "b")
        until(lambda: served.now == ["a", "b"])
        file.write_text("feeds:\n" + FEED % "b")
        until(lambda: served.now == ["b"])
    assert served.feeds == [["a"], ["a", "b"], ["b"]]


def test_a_broken_file_is_told_and_the_last_good_one_stays(file: Path) -> None:
    served, problem = Served(), reload.Problem()
    with serving(served, problem):
        until(lambda: served.now == ["a"])
        file.write_text("feeds:\n  - {feed: A, connector: push, title: {vi: a, en: a}}\n")
        until(lambda: "line 2" in problem())
        assert served.now == ["a"]
        file.write_text("feeds:\n" + FEED % "a")
        until(lambda: problem() == "")
        time.sleep(0.1)
    assert served.feeds == [["a"]]


def test_what_only_the_process_finds_wrong_goes_back_to_the_last_good_one(file: Path) -> None:
    served, problem = Served(), reload.Problem()
    with serving(served, problem):
        until(lambda: served.now == ["a"])
        file.write_text("feeds:\n" + FEED % "bad")
        until(lambda: "no connector" in problem() and served.now == ["a"])
        file.write_text("feeds:\n" + FEED % "c")
        until(lambda: served.now == ["c"])
        assert problem() == ""
    assert served.feeds == [["a"], ["a"], ["c"]]


def test_a_start_with_a_wrong_configuration_ends_with_its_sentence(file: Path) -> None:
    file.write_text("feeds:\n" + FEED % "bad")
    with pytest.raises(UserError, match="no connector"):
        reload.serve(Served(), threading.Event(), look_s=0.02)


def test_a_touched_file_with_the_same_content_changes_nothing(file: Path) -> None:
    served = Served()
    with serving(served):
        until(lambda: served.now == ["a"])
        file.write_text(file.read_text())
        time.sleep(0.2)
    assert served.feeds == [["a"]]
