"""A source made of recorded answers, on 127.0.0.1, and a bus and cursor store that only remember.

Used by `ioc connector test`, by the tests, and by authors who want to see what their connector does with an answer.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from ioc.events import DeadLetter, Event, encode


class Asked(Struct):
    """One request as the source saw it; header names in small letters; `body` of a POST."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


class Reply(Struct):
    """What the source answers."""

    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = {}
    gzipped: bool = False


Handler: TypeAlias = Callable[[Asked], Reply]


class Server(Struct):
    """A running source; `handler` may be exchanged while it runs, `asked` grows."""

    url: str
    asked: list[Asked]
    handler: Handler


@contextmanager
def serving(handler: Handler) -> Iterator[Server]:
    """Run a real HTTP server on a free port of 127.0.0.1."""
    server = Server("", [], handler)
    http = _Threads(("127.0.0.1", 0), _handler_class(server))
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)


class _Threads(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is not worth a traceback."""


def _handler_class(server: Server) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # header and body in one packet

        def do_POST(self) -> None:
            self._reply(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def do_GET(self) -> None:
            self._reply(b"")

        def _reply(self, sent: bytes) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            asked = Asked(parts.path, query, {name.lower(): value for name, value in self.headers.items()}, sent)
            server.asked.append(asked)
            reply = server.handler(asked)
            body = reply.body.encode() if isinstance(reply.body, str) else reply.body
            body = gzip.compress(body) if reply.gzipped else body
            self.send_response(reply.status)
            for name, value in (reply.headers | ({"Content-Encoding": "gzip"} if reply.gzipped else {})).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Quiet: what was asked is in `server.asked`."""

    return Answers


class Collected:
    """A publisher that keeps what was flushed. `fail` names calls (send, flush) and what they raise."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.letters: list[DeadLetter] = []
        self.heartbeats: list[datetime] = []
        self.log: list[str] = []
        self.fail: dict[str, Exception] = {}
        self._buffer: list[Event | DeadLetter | datetime] = []

    def _may(self, what: str) -> None:
        self.log.append(what)
        if what in self.fail:
            raise self.fail[what]

    def send(self, feed: str, event: Event) -> None:
        self._may("send")
        encode(event)  # as the bus would
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
            if isinstance(item, Event):
                self.events.append(item)
            elif isinstance(item, DeadLetter):
                self.letters.append(item)
            else:
                self.heartbeats.append(item)
        self._buffer = []


class Kept:
    """Cursors in memory, through JSON as the database would."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.saved: dict[str, bytes] = {}
        self.errors: list[str] = []
        self.shapes: dict[str, dict[str, Any]] = {}
        self.changes: list[str] = []
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

    def shape(self, feed: str) -> dict[str, Any]:
        return self.shapes.get(feed, {})

    def keep_shape(self, feed: str, shape: dict[str, Any], change: str, at: datetime) -> None:
        self.shapes[feed] = shape
        self.changes += [change] if change else []

    def counted(self, feed: str, *, bytes_read: int, doubtful: int) -> None:
        """Nobody asks."""

    def failed(self, feed: str, error: str, at: datetime, kind: str = "retriable", cause: str = "") -> None:
        self.errors.append(error)
