"""Kill a connector between any two steps of its commit: nothing may be lost, and nothing come twice in effect.

The steps of a poll are the calls of the bus and the cursor store (load, send, flush, save); a kill happens before one of
them, after the last, or in the middle of a flush, when the broker has half. Then a new process goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from ioc.connect.conformance import Stage
from ioc.connect.connector import Connector
from ioc.connect.replay import Collected, Kept
from ioc.events import DeadLetter, Event

MOST_KILLS = 14  # of one case: all loads, flushes and saves if there are few, else spread


class Killed(BaseException):
    """kill -9."""


class _Doom:
    """Counts steps; strikes at the one it was told (counted from 0)."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        self.steps.append(name)
        if self.at is not None and len(self.steps) > self.at:
            self.at = None
            raise Killed


class _Bus(Collected):
    def __init__(self, doom: _Doom) -> None:
        super().__init__()
        self.doom = doom

    def send(self, feed: str, event: Event) -> None:
        self.doom.step("send")
        super().send(feed, event)

    def dead_letter(self, letter: DeadLetter) -> None:
        self.doom.step("send")
        super().dead_letter(letter)

    def flush(self, timeout_s: float = 30) -> None:
        self.doom.step("flush")
        whole, self._buffer = self._buffer, self._buffer[: len(self._buffer) // 2]
        super().flush()
        self.doom.step("half flushed")
        self._buffer = whole[len(whole) // 2 :]
        super().flush()

    def gone(self) -> None:
        """What was not acknowledged died with the process."""
        self._buffer = []


class _Store(Kept):
    def __init__(self, doom: _Doom) -> None:
        super().__init__()
        self.doom = doom

    def load(self, feed: str) -> dict[str, Any]:
        self.doom.step("load")
        return super().load(feed)

    def save(self, feed: str, cursor: dict[str, Any], *, records: int, at: datetime) -> None:
        self.doom.step("save")
        super().save(feed, cursor, records=records, at=at)
        self.doom.step("saved")


class _Outcome(Struct):
    events: set[str]
    letters: set[str]
    steps: list[str]


def kills(connector: Connector[Any], folder: Path) -> Iterator[str]:
    """Yield in words what differs from an undisturbed run of the case, for each step it was killed at."""
    whole = _run(connector, folder, None)
    yield from (f"undisturbed, {said}" for said in _differences(whole, whole) if not whole.events)
    for at in _strikes(whole.steps):
        for said in _differences(whole, _run(connector, folder, at)):
            yield f"killed before step {at + 1} ({whole.steps[at]}): {said}"


def _strikes(steps: list[str]) -> list[int]:
    sends = [n for n, name in enumerate(steps) if name == "send"]
    chosen = {sends[0], sends[len(sends) // 2], sends[-1]} if sends else set()
    others = [n for n, name in enumerate(steps) if name != "send"]
    room = MOST_KILLS - len(chosen)
    chosen |= set(others) if len(others) <= room else {others[n * (len(others) - 1) // (room - 1)] for n in range(room)}
    return sorted(chosen)


def _run(connector: Connector[Any], folder: Path, at: int | None) -> _Outcome:
    doom = _Doom(at)
    bus, store = _Bus(doom), _Store(doom)
    with Stage(connector, folder) as stage:
        stage.bus, stage.cursors = bus, store
        for _ in range(stage.case.polls + 1):
            try:
                stage.poll()
            except Killed:
                bus.gone()
                stage.pump()
                stage.poll(again=True)
    return _Outcome({event.id for event in bus.events}, {_told(letter, stage.feed.url) for letter in bus.letters}, doom.steps)


def _told(letter: DeadLetter, url: str) -> str:
    """What a letter says, wherever the source stood."""
    return " ".join((letter.cause, letter.field, letter.message, letter.record)).replace(url.removeprefix("http://"), "SOURCE")


def _differences(whole: _Outcome, got: _Outcome) -> Iterator[str]:
    if lost := len(whole.events - got.events):
        yield f"{lost} of {len(whole.events)} events are lost"
    if more := len(got.events - whole.events):
        yield f"{more} events came that are not the same as before"
    if lost := len(whole.letters - got.letters):
        yield f"{lost} dead letters are lost"
