"""A simulated province at a time of our choosing, asked over HTTP without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from ioc.clock import ICT, FrozenClock
from ioc.simulator.province import Province
from ioc.simulator.server import build

MONDAY = datetime(2026, 11, 16, 10, 0, tzinfo=ICT)


class World:
    """A province, its clock, and a client."""

    def __init__(self, at: datetime = MONDAY, started: datetime | None = None, **options: Any) -> None:
        self.clock = FrozenClock(at)
        self.province = Province(clock=self.clock, started=started, **options)
        self.runner = asyncio.Runner()
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=build(self.province)), base_url="http://127.0.0.1:8051")

    def ask(self, path: str, method: str = "GET", headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """Return the answer to one request."""

        return self.runner.run(self.client.request(method, path, headers=headers, **options))

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON of one request."""
        answer = self.ask(path, params=params) if params else self.ask(path)
        answer.raise_for_status()
        return answer.json()

    def control(self, **wish: Any) -> Any:
        """Ask for a fault and let its second come."""
        answer = self.ask("/control", "POST", json=wish)
        answer.raise_for_status()
        self.clock.at += timedelta(seconds=2)
        return answer.json()

    def truth(self, feed: str, **params: str) -> list[dict[str, Any]]:
        return list(self.get(f"/truth/{feed}", **params)["records"])


    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()


@pytest.fixture(scope="session")
def make_world() -> Iterator[Callable[..., World]]:
    """Make provinces; they are closed at the end."""
    made: list[World] = []

    def make(**options: Any) -> World:
        made.append(World(**options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture(scope="session")
def world(make_world: Callable[..., World]) -> World:
    """A small province on a Monday at ten; nobody moves its clock or breaks it."""
    return make_world(rate=0.5, history_days=5)


@pytest.fixture(scope="session")
def large(make_world: Callable[..., World]) -> World:
    """The same with its whole history."""
    return make_world(rate=0.5)


@pytest.fixture
def fresh(make_world: Callable[..., World]) -> World:
    """A small province to break."""
    return make_world(rate=0.2, history_days=3)
