"""Test cases of a connector: recorded answers in, expected events and dead letters out.

`connectors/NAME/testcases/CASE/` holds `case.yaml`, the recorded files, and `expected.json`::

    about: A dossier that is supplemented; its due date moves.
    now: 2026-11-22T05:00:00Z                      # the clock; each further poll comes a minute later
    feed: {options: {page_size: 2}}                # anything a feed of config.yaml may have
    polls: 2                                       # default 1; one more must bring nothing new
    serve:                                         # the first that matches answers; nothing matches: 404
      - {path: /api/hoso, query: {trang: "1"}, file: page1.json, poll: 1}
      - {path: /api/hoso, file: page2.json, headers: {Content-Type: application/json}, status: 200}
      - {path: /onvif/device_service, body: GetDeviceInformation, file: device.xml}    # what is posted must hold this

With `folder: true` the source is a folder instead: `path` is then the name of a file in it (`{path: T11.xlsx, file: t11.xlsx}`).
With `messages: true` it is a message broker: `path` is the topic of a message that is sent once, in poll 1 or the one named.
With `database: true` it is a database: `file` is a script that makes and fills its tables anew before the poll (SQLite reads it).
`{{base}}` in a recorded file becomes the address of the replaying server. Everything is read over real HTTP.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import msgspec
import yaml
from msgspec import Struct
from paho.mqtt.client import topic_matches_sub

from ioc import areas
from ioc.clock import FrozenClock
from ioc.config import Feed, Words
from ioc.connect import registry
from ioc.connect.client import Client, open_client
from ioc.connect.connector import Connector
from ioc.connect.errors import Fatal, Retriable
from ioc.connect.mqtt import Message, Messages
from ioc.connect.pump import Pump
from ioc.connect.replay import Asked, Collected, Kept, Reply, serving
from ioc.errors import UserError
from ioc.events import DeadLetter, Event, encode

Tamper: TypeAlias = Callable[[Asked, Reply], Reply]


class Route(Struct, forbid_unknown_fields=True):
    """One recorded answer. `query`: what the request must have at least; `body`: what must stand in what is posted; `poll`: only in this poll (1 is the first)."""

    path: str
    file: str = ""
    query: dict[str, str] = {}
    body: str = ""
    poll: int | None = None
    status: int = 200
    headers: dict[str, str] = {}


class CaseFile(Struct, forbid_unknown_fields=True):
    about: str
    serve: list[Route]
    now: datetime = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
    feed: dict[str, Any] = {}
    polls: int = 1
    province: str = "19"
    settles: bool = True
    folder: bool = False
    messages: bool = False
    database: bool = False


class Result(Struct):
    """What a case gave: `got` as expected.json would say it, `differences` in words (empty: passed)."""

    case: str
    got: dict[str, Any]
    differences: list[str]


def folders(name: str) -> list[Path]:
    """Return the folders of a connector's test cases, sorted."""
    root = registry.folder(name) / "testcases"
    return sorted(path.parent for path in root.glob("*/case.yaml"))


def run(connector: Connector[Any], folder: Path) -> Result:
    """Replay one case and compare it with its expected.json; raise `UserError` when the case cannot be read."""
    got = _replay(connector, folder)
    file = folder / "expected.json"
    if not file.is_file():
        return Result(folder.name, got, ["expected.json is missing; write it with: ioc connector test NAME --accept, then read it"])
    return Result(folder.name, got, _differences(msgspec.json.decode(file.read_bytes()), got))


def accept(connector: Connector[Any], folder: Path) -> None:
    """Write what the case gives now as expected.json."""
    got = run(connector, folder).got
    (folder / "expected.json").write_bytes(msgspec.json.format(msgspec.json.encode(got), indent=2) + b"\n")


def load(folder: Path) -> CaseFile:
    """Return a folder's case.yaml; raise `UserError`."""
    try:
        raw = yaml.safe_load((folder / "case.yaml").read_text(encoding="utf-8"))
        return msgspec.convert(raw, CaseFile)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as exc:
        raise UserError(f"{folder.name}/case.yaml: {exc}") from exc


class Stage:
    """A case being played: the source served over real HTTP, a clock, a bus and a cursor store that outlive a poll.

    `tamper` changes what the source answers (hostile payloads). `pump()` is a new process: it knows what was saved only.
    """

    def __init__(self, connector: Connector[Any], folder: Path, tamper: Tamper | None = None, **feed: Any) -> None:
        self.connector, self.case, self.folder = connector, load(folder), folder
        self.tamper = tamper
        self.clock, self.bus, self.cursors = FrozenClock(self.case.now.astimezone(UTC)), Collected(), Kept()
        self.number = 0  # of the poll that is going on, from 1
        self._changes = feed
        self._serving = serving(lambda asked: Reply(b"", 404))
        self._clients: list[Client] = []
        self._broker: list[Message] = []  # sent and not acknowledged
        self._dropped = TemporaryDirectory(prefix="ioc-case-")

    def __enter__(self) -> Stage:
        self.server = self._serving.__enter__()
        self.server.handler = self._answer
        url = Path(self._dropped.name).as_uri() if self.case.folder else self.server.url
        url = f"sqlite:///{self._dropped.name}/case.db" if self.case.database else url
        given = {"feed": "test", "connector": self.connector.name, "title": Words(vi="", en=""), "url": url, "rate_per_s": 10_000, **self.case.feed, **self._changes}
        self.feed = Feed(**given)
        self._pump = self.pump()
        return self

    def __exit__(self, *exc: object) -> None:
        for client in self._clients:
            client.close()
        self._serving.__exit__(None, None, None)
        self._dropped.cleanup()

    def _drop(self) -> None:
        """Put the files of this poll into the folder, as if they had lain there for a while."""
        for name in {route.path for route in self.case.serve}:
            reply, file = self._answer(Asked(name, {}, {})), Path(self._dropped.name) / name
            if reply.status != 200:
                file.unlink(missing_ok=True)
                continue
            body = reply.body.encode() if isinstance(reply.body, str) else reply.body
            if not file.is_file() or file.read_bytes() != body:
                file.write_bytes(body)
                os.utime(file, (1_000_000_000 + self.number,) * 2)

    def _answer(self, asked: Asked) -> Reply:
        reply = answer(asked, self.case, self.folder, self.number, self.server.url)
        return self.tamper(asked, reply) if self.tamper else reply

    def pump(self) -> Pump:
        """Return a new process's pump; `poll` uses it from now on."""
        feed = self.feed
        client = self._client(feed)
        self._clients.append(client)
        self._pump = Pump(feed, self.connector, registry.options_of(self.connector, feed), areas.load(self.case.province), client, self.clock)
        return self._pump

    def _client(self, feed: Feed) -> Client:
        if self.case.messages:
            return Recorded(self._broker)
        return open_client(
            feed.url, feed.feed, token=None, allowed_hosts=feed.allowed_hosts,
            rate_per_s=feed.rate_per_s, timeout_s=feed.timeout_s, max_bytes=feed.max_response_bytes, sleep=lambda _s: None,
        )  # fmt: skip

    def _send(self) -> None:
        """Send the messages of this poll."""
        for route in self.case.serve:
            reply = answer(Asked(route.path, {}, {}), CaseFile("", [route]), self.folder, self.number, self.server.url)
            reply = self.tamper(Asked(route.path, {}, {}), reply) if self.tamper else reply
            if (route.poll or 1) == self.number and reply.status == 200:
                body = reply.body.encode() if isinstance(reply.body, str) else reply.body
                self._broker.append(Message(route.path, body, len(self._broker) + 1, 1))

    def _fill(self) -> None:
        """Make the database of this poll."""
        file = Path(self._dropped.name) / "case.db"
        file.unlink(missing_ok=True)
        reply = self._answer(Asked(self.case.serve[0].path, {}, {}))
        script = reply.body.decode("utf-8", "replace") if isinstance(reply.body, bytes) else reply.body
        with closing(sqlite3.connect(file)) as made, suppress(sqlite3.Error, ValueError):
            if reply.status == 200:
                made.executescript(script)

    def poll(self, *, again: bool = False) -> list[str]:
        """Poll once, a minute later than the last; return what went wrong. `again`: the poll that was cut off."""
        if not again:
            self.number += 1
        if self.case.folder:
            self._drop()
        if self.case.database:
            self._fill()
        if self.case.messages and not again:
            self._send()
        try:
            problems = [str(problem) for problem in self._pump.poll(self.bus, self.cursors).problems]
        except (Retriable, Fatal) as exc:
            problems = [str(exc)]
        self.clock.tick(minutes=1)
        return problems


class Recorded(Messages):
    """A broker that has what the case sends, and keeps it until it is acknowledged."""

    def __init__(self, sent: list[Message]) -> None:
        self._sent = sent

    def batches(self, topics: Sequence[str], for_s: float) -> Iterator[list[Message]]:
        yield [message for message in self._sent if any(topic_matches_sub(topic, message.topic) for topic in topics)]

    def acknowledge(self, batch: Sequence[Message]) -> None:
        self._sent[:] = [message for message in self._sent if message not in batch]

    def close(self) -> None:
        """Nothing is open."""


def _replay(connector: Connector[Any], folder: Path) -> dict[str, Any]:
    with Stage(connector, folder) as stage:
        bus, problems = stage.bus, [problem for _ in range(stage.case.polls) for problem in stage.poll()]
        before = len(bus.events)
        again = stage.poll() if stage.case.settles else []
        here = stage.feed.url.removeprefix("http://")
    got: dict[str, Any] = {"events": [_event(e) for e in bus.events[:before]], "dead_letters": [_letter(x, here) for x in bus.letters]}
    if problems or again:
        got["problems"] = [text.replace(here, "SOURCE") for text in problems]
    if len(bus.events) > before:
        got["published_again"] = [_event(e) for e in bus.events[before:]]
    return got


def answer(asked: Asked, case: CaseFile, folder: Path, poll: int, url: str) -> Reply:
    """Return what the case's source answers in this poll."""
    for route in case.serve:
        if route.path == asked.path and route.query.items() <= asked.query.items() and route.body.encode() in asked.body and route.poll in (None, poll):
            body = (folder / route.file).read_bytes().replace(b"{{base}}", url.encode()) if route.file else b""
            return Reply(body, route.status, dict(route.headers))
    return Reply(b"", 404)


def _event(event: Event) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.json.decode(encode(event))
    return {name: shown[name] for name in ("type", "subject", "time", "data")}


def _letter(letter: DeadLetter, here: str) -> dict[str, str]:
    return {"cause": letter.cause, "field": letter.field, "message": letter.message.replace(here, "SOURCE")}


def _differences(expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    found = []
    for part in sorted(expected.keys() | got.keys()):
        want, have = expected.get(part, []), got.get(part, [])
        for n in range(max(len(want), len(have))):
            a, b = (side[n] if n < len(side) else None for side in (want, have))
            if a != b:
                found.append(f"{part}[{n}]: expected {_short(a)}, got {_short(b)}")
    return found


def _short(value: Any) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()[:600]
