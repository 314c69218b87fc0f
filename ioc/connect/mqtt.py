"""MQTT as a source: messages of a persistent session, acknowledged only when our own bus has what they became.

QoS 1, one session a feed (client id `ioc-FEED`), kept by the broker while we are away. A message that was handed out
and not acknowledged is handed out again: by us after a failed publish, by the broker after a new connection.
"""

from __future__ import annotations

import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import paho.mqtt.client as paho
from msgspec import Struct
from paho.mqtt.enums import CallbackAPIVersion

from ioc.causes import because
from ioc.connect.errors import Fatal, Unreachable

MOST_WAITING = 10_000  # messages received and not yet handed out; more wait in the broker
MOST_AT_ONCE = 500  # messages of one batch: what a crash repeats
SLICE_S = 0.25  # so often a waiting feed looks whether it shall stop
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class Message(Struct, frozen=True):
    """One message. `too_large`: its size in bytes when it was above the feed's limit; its body is then empty."""

    topic: str
    body: bytes
    mid: int = 0
    qos: int = 0
    connection: int = 0
    too_large: int = 0


class Messages(ABC):
    """Where messages come from: a broker, or a recorded case."""

    bytes_read = 0

    @abstractmethod
    def batches(self, topics: Sequence[str], for_s: float) -> Iterator[list[Message]]:
        """Yield what arrives on `topics` (wildcards + and #) within `for_s`; empty lists in between, to look up.

        Start with what was handed out before and never acknowledged. Raise `Unreachable`, `Fatal`.
        """

    @abstractmethod
    def acknowledge(self, batch: Sequence[Message]) -> None:
        """Tell the broker that these will not be needed again."""

    @abstractmethod
    def close(self) -> None:
        """Hang up; the broker keeps the session."""


class Mqtt(Messages):
    """A session with a broker: `mqtt://user@host:1883`, `mqtts://` for TLS, `?client_id=...` for another name."""

    def __init__(self, url: str, feed: str, *, password: str | None = None, timeout_s: float = 10, max_bytes: int = 32_000_000) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise Fatal(f"{url[:100]!r} is not an address") from exc
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Fatal(f"{url[:100]!r} is not the address of a broker; write mqtt://host:1883 or mqtts://host:8883")
        if parts.password:
            raise Fatal("the url of a broker holds no password; name it with `secret`")
        self._host, self._port = parts.hostname, port or _PORTS[parts.scheme]
        self._timeout_s, self._max_bytes = timeout_s, max_bytes
        name = parse_qs(parts.query).get("client_id", [f"ioc-{feed}"])[0]
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, name, clean_session=False, protocol=paho.MQTTv311, manual_ack=True)
        if parts.username:
            client.username_pw_set(unquote(parts.username), password)
        if parts.scheme == "mqtts":
            client.tls_set()
        client.connect_timeout = timeout_s
        client.reconnect_delay_set(1, 30)
        client.on_connect, client.on_disconnect, client.on_message, client.on_subscribe = self._connected, self._gone, self._message, self._subscribed
        self._waiting: queue.Queue[Message] = queue.Queue(MOST_WAITING)
        self._out: list[Message] = []  # handed out, not acknowledged
        self._topics: list[str] = []
        self._up, self._closed = threading.Event(), threading.Event()
        self._connection = 0
        self._refused: tuple[str, str] | None = None  # (cause, what the broker said)
        self._started = False

    def batches(self, topics: Sequence[str], for_s: float) -> Iterator[list[Message]]:
        self._open(topics)
        self._out = [message for message in self._out if self._still(message)]
        if self._out:
            yield list(self._out)
        ends = time.monotonic() + for_s
        while True:
            self._check()
            batch = self._take(min(SLICE_S, max(0.0, ends - time.monotonic())))
            self._out += batch
            yield batch
            if not batch and time.monotonic() >= ends:
                return

    def acknowledge(self, batch: Sequence[Message]) -> None:
        done = {(message.connection, message.mid) for message in batch}
        for message in batch:
            if message.qos and message.connection == self._connection:  # the broker sends it again on a new connection
                self._client.ack(message.mid, message.qos)
        self._out = [message for message in self._out if (message.connection, message.mid) not in done]

    def close(self) -> None:
        self._closed.set()
        if self._started:
            self._client.disconnect()
            self._client.loop_stop()

    def _open(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)
        if not self._started:
            try:
                self._client.connect_async(self._host, self._port, keepalive=30)
                self._client.loop_start()
            except (OSError, ValueError) as exc:
                raise Fatal(f"{self._host}:{self._port} is no broker's address: {exc}") from exc
            self._started = True
        self._up.wait(self._timeout_s)
        self._check()

    def _check(self) -> None:
        if self._refused:
            (code, said), self._refused = self._refused, None
            raise Fatal(f"{self._host}:{self._port} {said}", cause=because(code, host=f"{self._host}:{self._port}"))
        if not self._up.is_set():
            raise Unreachable(f"{self._host}:{self._port}: no connection to the broker")

    def _take(self, wait_s: float) -> list[Message]:
        batch: list[Message] = []
        try:
            batch.append(self._waiting.get(timeout=wait_s) if wait_s else self._waiting.get_nowait())
            while len(batch) < MOST_AT_ONCE:
                batch.append(self._waiting.get_nowait())
        except queue.Empty:
            pass
        return [message for message in batch if self._still(message)]

    def _still(self, message: Message) -> bool:
        """Is it ours to hand out? What came over an earlier connection is sent again by the broker."""
        return message.connection == self._connection or not message.qos

    # --- called by paho, in its own thread ------------------------------------------------------------------------

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            said = str(reason).lower()
            if "authoriz" in said or "password" in said or "identifier" in said:
                self._refused = "login_refused", f"refuses us ({said}); check the user in the url and the feed's secret"
            return
        self._connection += 1
        client.subscribe([(topic, 1) for topic in self._topics])
        self._up.set()

    def _gone(self, *_said: Any) -> None:
        self._up.clear()

    def _subscribed(self, _client: Any, _data: Any, _mid: Any, reasons: Sequence[Any], _properties: Any) -> None:
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            self._refused = "no_right", f"does not let us read {', '.join(refused)[:200]}; ask for the right, or change source.topics"

    def _message(self, _client: Any, _data: Any, raw: Any) -> None:
        size = len(raw.payload)
        self.bytes_read += size
        too_large = size if size > self._max_bytes else 0
        topic = raw.topic if len(raw.topic) <= 500 else raw.topic[:500]
        message = Message(topic, b"" if too_large else raw.payload, raw.mid, raw.qos, self._connection, too_large)
        while not self._closed.is_set():
            try:
                self._waiting.put(message, timeout=SLICE_S)
                return
            except queue.Full:  # the broker waits, as it should
                continue
