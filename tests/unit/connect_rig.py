"""What tests of connectors share: a local web server, a bus and a cursor store that only remember."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from ioc import areas
from ioc.clock import Clock
from ioc.config import Feed, Words
from ioc.connect import registry
from ioc.connect.connector import Context
from ioc.connect.http import Http
from ioc.connect.pump import Pump, Report
from ioc.connect.replay import Asked, Collected, Handler, Kept, Reply, Server
from ioc.connect.replay import serving as source
from ioc.events import encode

__all__ = ["HERE", "NOW", "Asked", "Bus", "Memory", "Reply", "client_of", "context_of", "feed_of", "poll", "pump_of", "serving"]

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
HERE = areas.load("19")


_CLIENTS: list[Http] = []  # closed when the server of the test goes


class Bus(Collected):
    """A bus of a test."""

    @property
    def ids(self) -> set[str]:
        return {event.id for event in self.events}

    def written(self) -> str:
        """Everything that left, as text."""
        return "\n".join([encode(event).decode() for event in self.events] + [msgspec.json.encode(letter).decode() for letter in self.letters])


Memory = Kept


@contextmanager
def serving(handler: Handler) -> Iterator[Server]:
    """A real HTTP server on 127.0.0.1; clients made meanwhile are closed with it."""
    with source(handler) as server:
        try:
            yield server
        finally:
            while _CLIENTS:
                _CLIENTS.pop().close()


def feed_of(connector: str, url: str = "", **changes: Any) -> Feed:
    given = {"feed": f"test-{connector}".replace("_", "-"), "connector": connector, "title": Words(vi="x", en="x"), "url": url, "rate_per_s": 10_000, "timeout_s": 5, **changes}
    return Feed(**given)


def pump_of(connector: str, url: str, clock: Clock = lambda: NOW, **changes: Any) -> Pump:
    feed = feed_of(connector, url, **changes)
    found = registry.get(connector)
    client = client_of(feed)
    return Pump(feed, found, registry.options_of(found, feed), HERE, client, clock)


def client_of(feed: Feed) -> Http:
    client = Http(feed.url, allowed_hosts=feed.allowed_hosts, rate_per_s=feed.rate_per_s, timeout_s=feed.timeout_s, max_bytes=feed.max_response_bytes, sleep=lambda _s: None)
    _CLIENTS.append(client)
    return client


def context_of(connector: str, **changes: Any) -> Context[Any]:
    feed = feed_of(connector, **changes)
    found = registry.get(connector)
    return Context(feed, registry.options_of(found, feed), HERE, NOW, f"/connectors/{connector}/{feed.feed}")


def poll(pump: Pump, bus: Bus | None = None, cursors: Memory | None = None) -> tuple[Bus, Memory, Report]:
    bus, cursors = bus or Bus(), cursors or Memory()
    return bus, cursors, pump.poll(bus, cursors)
