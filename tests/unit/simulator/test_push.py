"""Sources that post: what they tell is taken, tells no person, comes again until it is taken, and never twice by itself."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from ioc import areas
from ioc.errors import UserError
from ioc.events import BadEvent, Case, Observation
from ioc.ingest import accept
from ioc.simulator.push import Poster
from ioc.simulator.server import mount

FEED = "emergency-calls"
CASES = Path(__file__).parents[3] / "connectors" / "emergency" / "testcases"
PLATFORMS = CASES.parents[1] / "platforms" / "testcases"
World = Any  # conftest.World


def test_calls_are_posted_until_they_are_taken_and_then_only_what_is_new(world: World) -> None:
    took: list[list[Any]] = []
    answers = iter([503, 401, 202, 202, 202, 202, 202, 202])
    token = iter(["", "first"])

    def ask() -> str:
        if not (found := next(token, "first")):
            raise UserError("the secret SIMULATOR_TOKEN is not there yet")
        return found

    def api(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer first" and request.url.path == f"/api/events/{FEED}"
        code = next(answers)
        if code == 202:
            took.append(json.loads(request.content))
        return httpx.Response(code)

    mounted = mount(world.province)
    poster = Poster(world.province, mounted, "http://web/", ask, httpx.MockTransport(api))

    async def story() -> list[bool]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(api)) as client:
            said = [await poster.post(client, FEED) for _ in range(4)]
            batches = len(took)
            said += [await poster.post(client, FEED)]
            assert took[batches:] == [[]], "nothing is new: a sign of life"
            return said

    assert asyncio.run(story()) == [False, False, False, True, True]
    home, now = areas.load("19"), world.province.clock()
    events = [accept(json.dumps(item).encode(), now, home) for batch in took for item in batch]
    cases = {event.subject: event.data for event in events if isinstance(event.data, Case)}
    told = {row["id"]: row for row in mounted[FEED].truth(world.province.now() - 21 * 86_400, world.province.now())}
    assert len(cases) > 200 and {subject: (case.native_status, case.category, case.area) for subject, case in cases.items()} == {
        subject: (row["status"], row["category"], row["area"]) for subject, row in told.items()
    }
    assert Counter(case.category for case in cases.values()).keys() == {"113", "114", "115"}
    assert not [case for case in cases.values() if isinstance(case.lat, float) or isinstance(case.title, str)], "a point would be a home"
    waits = [event.data.value for event in events if isinstance(event.data, Observation)]
    assert len(waits) > 100 and all(value is not None and 0 < value < 60 for value in waits)
    assert all(event.time <= now + timedelta(seconds=1) for event in events)


def test_monitoring_posts_all_states_at_first_and_then_what_changed(make_world: Callable[..., World]) -> None:
    world = make_world(rate=0.5, history_days=5)
    source = mount(world.province)["digital-platforms"]
    assert source.posts is not None
    now = world.province.now()
    first = {event.subject: event for event in source.posts(now - 5 * 86_400, now)}
    assert len(first) == 92 + 8 + 16 and Counter(event.data.kind for event in first.values()) == {"network_link": 92, "platform": 8, "shared_database": 16}  # type: ignore[union-attr]
    assert sum(event.data.state == "degraded" for event in first.values()) >= 3, "databases that are not connected yet"  # type: ignore[union-attr]
    states = {subject: event.data.state for subject, event in first.items()}  # type: ignore[union-attr]
    for step in range(1, 49):  # a day, half an hour at a time: what is posted keeps the picture whole
        until = now + step * 1800
        states |= {event.subject: event.data.state for event in source.posts(until - 1800, until)}  # type: ignore[union-attr]
        assert states == {row["id"]: row["status"] for row in source.truth(until - 1800, until)}


def test_the_recorded_states_of_platforms_are_taken() -> None:
    events = [accept(json.dumps(item).encode(), datetime(2026, 11, 23, tzinfo=UTC), areas.load("19")) for item in json.loads((PLATFORMS / "states.json").read_text())]
    assert [event.subject for event in events] == ["link-05443", "link-05443", "database-05", "platform-09"]


def test_the_recorded_calls_are_taken_or_refused_as_the_readme_says() -> None:
    home, now = areas.load("19"), datetime(2026, 11, 23, tzinfo=UTC)
    taken = [accept(json.dumps(item).encode(), now, home) for item in json.loads((CASES / "call.json").read_text())]
    assert [event.subject for event in taken] == ["CG-1042", "CG-1042", "CG-1042", "CG-1043"]
    causes = []
    for item in json.loads((CASES / "refused.json").read_text()):
        try:
            accept(json.dumps(item).encode(), now, home)
        except BadEvent as exc:
            causes.append(exc.cause)
    assert causes == json.loads((CASES / "expected.json").read_text())
