"""A small MQTT 3.1.1 broker for tests: QoS 0 and 1, persistent sessions, wildcards. Told to, it hangs up on everyone.

It keeps what a session has not acknowledged, and sends it again on the next connection, as the standard asks.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from paho.mqtt.client import topic_matches_sub


class Broker:
    """What the broker knows. `kept`: client id -> {number: (topic, body)} sent or to be sent, not acknowledged."""

    def __init__(self, password: str = "", refused: str = "") -> None:
        self.password, self.refused = password, refused
        self.topics: dict[str, list[str]] = {}
        self.kept: dict[str, dict[int, tuple[str, bytes]]] = {}
        self.acknowledged: list[int] = []
        self.sent = 0  # publications, repeats included
        self.connections: dict[str, Any] = {}
        self.changed = threading.Condition()
        self._number = 0
        self.port = 0

    def publish(self, topic: str, body: bytes) -> None:
        """Send a message of QoS 1 to every session that wants it, now or when it is back."""
        with self.changed:
            for client, wanted in self.topics.items():
                if any(topic_matches_sub(each, topic) for each in wanted):
                    self._number = self._number % 65_535 + 1
                    self.kept[client][self._number] = (topic, body)
                    self.send(client, self._number)

    def send(self, client: str, number: int) -> None:
        if connection := self.connections.get(client):
            topic, body = self.kept[client][number]
            name = topic.encode()
            self.sent += 1
            with suppress(OSError):
                connection.packet(0x32, struct.pack("!H", len(name)) + name + struct.pack("!H", number) + body)

    def hang_up(self) -> None:
        with self.changed:
            for connection in list(self.connections.values()):
                with suppress(OSError):
                    connection.request.shutdown(2)

    def wait_until(self, what: Any, seconds: float = 20) -> None:
        with self.changed:
            assert self.changed.wait_for(what, seconds), "the broker waited in vain"


def _length(value: int) -> bytes:
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _handler(broker: Broker) -> type[socketserver.StreamRequestHandler]:
    class Connection(socketserver.StreamRequestHandler):
        client = ""

        def packet(self, kind: int, body: bytes) -> None:
            self.request.sendall(bytes([kind]) + _length(len(body)) + body)

        def read(self) -> tuple[int, bytes] | None:
            first = self.rfile.read(1)
            if not first:
                return None
            size, shift = 0, 0
            while True:
                digit = self.rfile.read(1)[0]
                size |= (digit & 127) << shift
                shift += 7
                if not digit & 128:
                    return first[0], self.rfile.read(size)

        def handle(self) -> None:
            with suppress(OSError, IndexError):
                while (found := self.read()) is not None and found[0] >> 4 != 14:
                    with broker.changed:
                        self.answer(*found)
                        broker.changed.notify_all()
            with broker.changed:
                if broker.connections.get(self.client) is self:
                    del broker.connections[self.client]
                broker.changed.notify_all()

        def answer(self, kind: int, body: bytes) -> None:
            match kind >> 4:
                case 1:
                    self.connect(body)
                case 8:
                    at, topics = 2, []
                    while at < len(body):
                        (size,) = struct.unpack_from("!H", body, at)
                        topics.append(body[at + 2 : at + 2 + size].decode())
                        at += 3 + size
                    broker.topics[self.client] = topics
                    self.packet(0x90, body[:2] + bytes(0x80 if topic == broker.refused else 1 for topic in topics))
                case 4:
                    (number,) = struct.unpack("!H", body)
                    broker.kept[self.client].pop(number, None)
                    broker.acknowledged.append(number)
                case 12:
                    self.packet(0xD0, b"")

        def connect(self, body: bytes) -> None:
            flags, texts, at = body[7], [], 10
            while at < len(body):
                (size,) = struct.unpack_from("!H", body, at)
                texts.append(body[at + 2 : at + 2 + size].decode())
                at += 2 + size
            assert not flags & 2, "the session is not persistent"
            if broker.password and texts[-1] != broker.password:
                self.packet(0x20, b"\x00\x05")
                return
            self.client = texts[0]
            known = self.client in broker.kept
            broker.connections[self.client] = self
            self.packet(0x20, bytes([known, 0]))
            for number in broker.kept.setdefault(self.client, {}):
                broker.send(self.client, number)

    return Connection


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def broking(**options: str) -> Iterator[Broker]:
    """Run a broker on a free port of 127.0.0.1."""
    broker = Broker(**options)
    server = _Server(("127.0.0.1", 0), _handler(broker))
    broker.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield broker
    finally:
        server.shutdown()
        broker.hang_up()
        server.server_close()
        thread.join(5)
