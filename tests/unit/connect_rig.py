"""What tests of connectors share: a local web server, a bus and a cursor store that only remember."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from ioc import areas
from ioc.clock import Clock
from ioc.config import Feed, Words
from ioc.connect import registry
from ioc.connect.connector import Context
from ioc.connect.http import Http
from ioc.connect.pump import Pump, Report
from ioc.events import DeadLetter, Event, encode

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
HERE = areas.load("19")


@dataclass
class Asked:
    """One request as the server saw it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Reply:
    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    gzipped: bool = False


_CLIENTS: list[Http] = []  # closed when the server of the test goes
Handler = Callable[[Asked], Reply]


@dataclass
class Server:
    url: str
    asked: list[Asked]
    handler: Handler


@contextmanager
def serving(handler: Handler) -> Iterator[Server]:
    """A real HTTP server on 127.0.0.1; `server.handler` may be exchanged while it runs."""
    server = Server("", [], handler)

    class H(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # header and body in one packet

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(parts.path, {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}, {k.lower(): v for k, v in self.headers.items()})
            server.asked.append(asked)
            reply = server.handler(asked)
            body = reply.body.encode() if isinstance(reply.body, str) else reply.body
            self.send_response(reply.status)
            if reply.gzipped:
                body = gzip.compress(body)
                self.send_header("Content-Encoding", "gzip")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    class Threads(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that hung up on purpose

    http = Threads(("127.0.0.1", 0), H)
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        while _CLIENTS:
            _CLIENTS.pop().close()
        http.shutdown()
        http.server_close()
        thread.join(5)


class Bus:
    """A publisher that remembers what was acknowledged; `fail` makes the next calls raise."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.letters: list[DeadLetter] = []
        self.heartbeats: list[datetime] = []
        self.log: list[str] = []
        self.fail: dict[str, Exception] = {}
        self._buffer: list[Any] = []

    def _may(self, what: str) -> None:
        self.log.append(what)
        if what in self.fail:
            raise self.fail[what]

    def send(self, feed: str, event: Event) -> None:
        self._may("send")
        encode(event)
        self._buffer.append(event)

    def dead_letter(self, letter: DeadLetter) -> None:
        self._may("send")
        msgspec.json.encode(letter)
        self._buffer.append(letter)

    def heartbeat(self, feed: str, at: datetime) -> None:
        self._buffer.append(at)

    def flush(self, timeout_s: float = 30) -> None:
        self._may("flush")
        for item in self._buffer:
            kept: list[Any] = self.events if isinstance(item, Event) else self.letters if isinstance(item, DeadLetter) else self.heartbeats
            kept.append(item)
        self._buffer = []

    @property
    def ids(self) -> set[str]:
        return {event.id for event in self.events}

    def written(self) -> str:
        """Everything that left, as text."""
        return "\n".join([encode(event).decode() for event in self.events] + [msgspec.json.encode(letter).decode() for letter in self.letters])


class Memory:
    """Cursors in memory, through JSON as the database would."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.saved: dict[str, bytes] = {}
        self.errors: list[str] = []
        self.log = log if log is not None else []
        self.fail: dict[str, Exception] = {}

    def load(self, feed: str) -> dict[str, Any]:
        if "load" in self.fail:
            raise self.fail["load"]
        value: dict[str, Any] = msgspec.json.decode(self.saved.get(feed, b"{}"))
        return value

    def save(self, feed: str, cursor: dict[str, Any], *, records: int, at: datetime) -> None:
        self.log.append("save")
        if "save" in self.fail:
            raise self.fail["save"]
        self.saved[feed] = msgspec.json.encode(cursor)

    def failed(self, feed: str, error: str, at: datetime) -> None:
        self.errors.append(error)


def feed_of(connector: str, url: str = "", **changes: Any) -> Feed:
    given = {"feed": f"test-{connector}", "connector": connector, "title": Words(vi="x", en="x"), "url": url, "rate_per_s": 10_000, "timeout_s": 5, **changes}
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
