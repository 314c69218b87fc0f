"""Looking back: who may, what is told instead of a frame, what is made once, kept, and broken off."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dashboards.wall.past import moment
from ioc import playback
from ioc.clock import FrozenClock
from ioc.live import Snapshot, View
from ioc.playback import Job, Known, Playback, Player

NOW = datetime(2026, 11, 20, 7, 32, 5, tzinfo=UTC)
NOON = "2026-11-19T05:00:00Z"
KEPT = timedelta(days=30)


class Looks:
    """Makes frames that name what was asked; counts them; holds them back while `hold` is set."""

    def __init__(self) -> None:
        self.asked: list[tuple[datetime, Known]] = []
        self.begun, self.given_up = threading.Event(), threading.Event()
        self.hold = threading.Event()

    def __call__(self, view: View, at: datetime, known: Known, job: Job) -> Snapshot:
        self.asked.append((at, known))
        self.begun.set()
        try:
            while self.hold.is_set():
                job.wait(0.01)
        except playback.Given:
            self.given_up.set()
            raise
        return Snapshot(0, at, {}, {}, [], [], [], {"known": known})


def render(shown: Snapshot) -> dict[str, dict[str, Any]]:
    return {"tile": {"of": shown.now.isoformat(), "known": shown.services["known"]}, "still": {"is": 1}}


def run(test: Callable[[Playback, View, Looks, FrozenClock], Any], most: int = 2) -> None:
    """Run a test on an event loop, with a playback of made-up frames."""
    looks, clock = Looks(), FrozenClock(NOW)

    async def inside() -> None:
        past = Playback(looks, lambda now: now - KEPT, most, clock)
        try:
            await test(past, View("wall:vi", render, ()), looks, clock)
        finally:
            past.stop()

    asyncio.run(inside())


async def told(player: Player) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await asyncio.wait_for(player.viewer.queue.get(), 20))
    return found


def wish(at: str = NOON, known: str = "then") -> str:
    return json.dumps({"at": at, "known": known})


def test_a_frame_carries_its_moment_and_afterwards_only_what_changed() -> None:
    async def test(past: Playback, view: View, looks: Looks, _: FrozenClock) -> None:
        player = past.join(view)
        player.ask(wish())
        first = await told(player)
        assert (first["now"], set(first["props"])) == ("2026-11-19T05:00:00.000Z", {"tile", "still"})
        player.ask(wish(known="now"))
        second = await told(player)
        assert second["props"] == {"tile": {"of": "2026-11-19T05:00:00+00:00", "known": "now"}}
        player.ask(wish(known="now"))
        assert (await told(player))["props"] == {}  # answered, though nothing changed
        assert view.viewers == set()  # the live view knows nothing of it

    run(test)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "bad_time"), ("[]", "bad_time"), ('{"at": "yesterday"}', "bad_time"), ('{"at": "2026-11-19T05:00:00"}', "bad_time"),
        ('{"at": "2026-11-19T05:00:00Z", "known": "never"}', "bad_time"), ('{"at": "0001-01-01T00:00:00+14:00"}', "bad_time"),
        (" " * 500 + '{"at": "2026-11-19T05:00:00Z"}', "bad_time"), ('{"at": "2026-11-21T05:00:00Z"}', "ahead"), ('{"at": "2019-11-19T05:00:00Z"}', "not_kept"),
    ],
)  # fmt: skip
def test_it_says_why_there_is_no_frame(text: str, kind: str) -> None:
    async def test(past: Playback, view: View, looks: Looks, _: FrozenClock) -> None:
        player = past.join(view)
        player.ask(text)
        problem = (await told(player))["problem"]
        assert problem["kind"] == kind
        assert ("since" in problem) == (kind == "not_kept")
        assert looks.asked == []

    run(test)


def test_the_same_frame_is_made_once_for_all_screens() -> None:
    async def test(past: Playback, view: View, looks: Looks, _: FrozenClock) -> None:
        one, two = past.join(view), past.join(view)
        looks.hold.set()
        for player in (one, two):
            player.ask(wish())
        looks.hold.clear()
        assert (await told(one))["props"] == (await told(two))["props"]
        one.ask(wish())
        await told(one)
        assert looks.asked == [(datetime(2026, 11, 19, 5, tzinfo=UTC), "then")]

    run(test)


def test_a_frame_of_a_moment_ago_is_made_again_its_last_facts_may_not_have_come() -> None:
    async def test(past: Playback, view: View, looks: Looks, clock: FrozenClock) -> None:
        player = past.join(view)
        for _ in range(2):
            player.ask(wish((clock() - timedelta(seconds=5)).isoformat()))
            await told(player)
        assert len(looks.asked) == 2

    run(test)


def test_a_newer_wish_breaks_off_the_older_one() -> None:
    async def test(past: Playback, view: View, looks: Looks, _: FrozenClock) -> None:
        player = past.join(view)
        looks.hold.set()
        player.ask(wish())
        await asyncio.to_thread(looks.begun.wait, 20)
        player.ask(wish("2026-11-19T06:00:00Z"))
        assert await asyncio.to_thread(looks.given_up.wait, 20)
        looks.hold.clear()
        assert (await told(player))["now"] == "2026-11-19T06:00:00.000Z"

    run(test)


def test_a_screen_that_leaves_is_not_worked_for_and_gives_its_seat_away() -> None:
    async def test(past: Playback, view: View, looks: Looks, _: FrozenClock) -> None:
        first, second = past.join(view), past.join(view)
        looks.hold.set()
        first.ask(wish())
        await asyncio.to_thread(looks.begun.wait, 20)
        second.ask(wish())
        assert (await told(second))["problem"] == {"kind": "busy"}
        past.leave(first)
        assert await asyncio.to_thread(looks.given_up.wait, 20)
        looks.hold.clear()
        second.ask(wish())
        assert "props" in await told(second)

    run(test, most=1)


def test_a_screen_that_only_stands_there_keeps_no_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(past: Playback, view: View, looks: Looks, _: FrozenClock) -> None:
        for player in (past.join(view), past.join(view)):
            player.ask(wish())
            assert "props" in await told(player)

    monkeypatch.setattr(playback, "SEAT_S", 0.0)
    run(test, most=1)


def test_a_frame_that_cannot_be_drawn_is_told_and_the_next_one_comes() -> None:
    async def test(past: Playback, view: View, looks: Looks, _: FrozenClock) -> None:
        player = past.join(View("wall:vi", lambda shown: 1 / 0 if shown.services["known"] == "now" else render(shown), ()))  # type: ignore[arg-type, return-value]
        player.ask(wish(known="now"))
        assert (await told(player))["problem"] == {"kind": "away"}
        player.ask(wish())
        assert "props" in await told(player)

    run(test)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-11-20T14:30", "2026-11-20T07:30:00Z"), ("2026-11-20T14:30:05+07:00", "2026-11-20T07:30:05Z"), ("2026-11-20T14:30:05 07:00", "2026-11-20T07:30:05Z"),
        ("2026-11-20T07:30:05Z", "2026-11-20T07:30:05Z"), ("2026-11-20 14:30", "2026-11-20T07:30:00Z"), ("2026-11-20", "2026-11-19T17:00:00Z"),
        ("", ""), ("hôm qua", ""), ("2026-02-30", ""), ("0001-01-01", ""),
    ],
)  # fmt: skip
def test_a_moment_may_be_written_as_people_write_it(text: str, found: str) -> None:
    assert moment(text, ZoneInfo("Asia/Ho_Chi_Minh")) == found
