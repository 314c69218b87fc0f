"""Kafka: topics, the producer everybody publishes through, and where a topic's identity comes from.

A feed's facts go to PREFIX.FEED, keyed by subject, so that one thing's events stay in order. What could not be read
goes to PREFIX.dead-letters. The producer is idempotent and waits for all replicas (acks=all).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import structlog
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient

from ioc.config import Broker
from ioc.errors import Unavailable
from ioc.events import MAX_EVENT_BYTES, DeadLetter, Event, encode

log = structlog.get_logger(__name__)

HEARTBEAT = "ioc-heartbeat"
DEAD_LETTERS = "dead-letters"
REQUEST_TIMEOUT_MS = 15_000  # a request to a broker that went away ends within this
RECONNECT_MAX_MS = 2_000  # a broker that is back is noticed within this; kafka-python waits up to 30 s
LINGER_MS = 100  # nobody waits this long: all senders flush, which sends at once; a long page goes out in fewer, larger requests
BOOTSTRAP_MS = 10_000  # how long a new client looks for a broker before it says that there is none


def topic_of(broker: Broker, feed: str) -> str:
    """Return the topic of a feed."""
    return f"{broker.prefix}.{feed}"


def feed_of(broker: Broker, topic: str) -> str:
    """Return the feed of a topic."""
    return topic.removeprefix(f"{broker.prefix}.")


def client_options(broker: Broker) -> dict[str, Any]:
    """Return what every client of this broker needs."""
    return {
        "bootstrap_servers": broker.bootstrap.split(","),
        "client_id": "ioc",
        "reconnect_backoff_max_ms": RECONNECT_MAX_MS,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        **broker.security,
    }


def opened(kind: Callable[..., Any], broker: Broker, **options: Any) -> Any:
    """Return a client of this broker: a `kind` of kafka-python's. Raise what it raises when no broker answers.

    kafka-python (3.0) then leaves a thread and its sockets behind, each time; they are closed here.
    """
    made: list[KafkaNetClient] = []

    def network(**given: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**given))
        return made[-1]

    try:
        return kind(kafka_client=network, **options, **client_options(broker))
    except BaseException:
        for client in made:
            client.close()
        raise


class Topics:
    """Creates topics and tells their ids. An id changes when a topic is deleted and made again."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None

    def _client(self) -> Any:
        if self._admin is None:
            self._admin = opened(KafkaAdminClient, self._broker, request_timeout_ms=REQUEST_TIMEOUT_MS)
        return self._admin

    def ensure(self, feeds: list[str]) -> None:
        """Create the topics of these feeds, and that of dead letters, where they are missing."""
        wanted = [topic_of(self._broker, feed) for feed in (*feeds, DEAD_LETTERS)]
        with self._lock:
            try:
                missing = [name for name in wanted if not self._describe([name])]
                for name in missing:
                    partitions = 1 if name.endswith(f".{DEAD_LETTERS}") else self._broker.partitions
                    with suppress(TopicAlreadyExistsError):  # another process was quicker
                        self._client().create_topics([NewTopic(name, partitions, self._broker.replication)])
            except (KafkaError, OSError) as exc:
                self._forget()
                raise Unavailable(f"the broker at {self._broker.bootstrap} is away: {exc}") from exc

    def ids(self, topics: list[str]) -> dict[str, str]:
        """Return topic -> id for those that exist."""
        with self._lock:
            try:
                return self._describe(topics)
            except (KafkaError, OSError) as exc:
                self._forget()
                raise Unavailable(f"the broker at {self._broker.bootstrap} is away: {exc}") from exc

    def _describe(self, topics: list[str]) -> dict[str, str]:
        if not topics:
            return {}
        found = self._client().describe_topics(topics)
        return {t["name"]: str(t["topic_id"]) for t in found if not t["error_code"]}

    def _forget(self) -> None:
        if self._admin is not None:
            try:
                self._admin.close()
            except (KafkaError, OSError) as exc:
                log.debug("closing an admin client failed", reason=str(exc))
            self._admin = None

    def close(self) -> None:
        with self._lock:
            self._forget()


class Publisher:
    """Hands events to the broker. Thread-safe; each thread's `flush` covers what that thread sent."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._lock = threading.Lock()
        self._producer: KafkaProducer | None = None
        self._mine = threading.local()
        self._ensured: dict[str, str] = {}  # feed -> its topic, which is there
        self.topics = Topics(broker)

    def _client(self) -> Any:
        producer = self._producer
        return producer if producer is not None else self._opened()

    def _opened(self) -> Any:
        with self._lock:
            if self._producer is None:
                try:
                    self._producer = opened(
                        KafkaProducer, self._broker,
                        acks="all",
                        linger_ms=LINGER_MS,
                        batch_size=262_144,
                        max_request_size=4 * MAX_EVENT_BYTES,
                        request_timeout_ms=REQUEST_TIMEOUT_MS,
                        delivery_timeout_ms=2 * REQUEST_TIMEOUT_MS,
                        max_block_ms=REQUEST_TIMEOUT_MS,
                    )  # fmt: skip
                except (KafkaError, OSError) as exc:
                    raise Unavailable(f"the broker at {self._broker.bootstrap} is away: {exc}") from exc
            return self._producer

    def _pending(self) -> list[Any]:
        if not hasattr(self._mine, "futures"):
            self._mine.futures = []
        futures: list[Any] = self._mine.futures
        return futures

    def _send(self, topic: str, **record: Any) -> None:
        try:
            self._pending().append(self._client().send(topic, **record))
        except (KafkaError, OSError) as exc:
            raise Unavailable(f"the broker at {self._broker.bootstrap} is away: {exc}") from exc
        except (ValueError, TypeError) as exc:  # so kafka-python says that it does not know the topic's partitions (yet)
            self._ensured.clear()
            raise Unavailable(f"the broker at {self._broker.bootstrap} does not tell the partitions of {topic}: {exc}") from exc

    def send(self, feed: str, event: Event) -> None:
        """Buffer one event; it counts as delivered only after `flush`. The feed's topic is made when it is missing."""
        self._send(self._topic(feed), key=event.subject.encode(), value=encode(event))

    def dead_letter(self, letter: DeadLetter) -> None:
        """Buffer one dead letter."""
        self._send(topic_of(self._broker, DEAD_LETTERS), key=letter.feed.encode(), value=msgspec.json.encode(letter))

    def heartbeat(self, feed: str, at: datetime) -> None:
        """Say that the feed was asked at `at` and answered, whether or not it had news."""
        self._send(self._topic(feed), key=feed.encode(), partition=0, headers=[(HEARTBEAT, at.isoformat().encode())])

    def flush(self, timeout_s: float = 30) -> None:
        """Return when all that this thread sent is acknowledged; raise `Unavailable` otherwise. Send it again then."""
        futures, self._mine.futures = self._pending(), []
        if not futures:
            return
        try:
            self._client().flush(timeout=timeout_s)
            for future in futures:
                if not future.succeeded():
                    future.get(timeout=timeout_s)
        except (KafkaError, OSError, AssertionError) as exc:
            self._replace()
            raise Unavailable(f"the broker at {self._broker.bootstrap} did not acknowledge: {exc}") from exc

    def _replace(self) -> None:
        """Drop a producer that failed: an idempotent producer cannot go on after a broker that lost its memory."""
        with self._lock:
            old, self._producer = self._producer, None
            self._ensured.clear()
        if old is not None:
            _abandon(old)

    def ensure_topics(self, feeds: list[str]) -> None:
        """Make the topics of these feeds where they are missing."""
        self.topics.ensure(feeds)
        self._ensured.update((feed, topic_of(self._broker, feed)) for feed in feeds)

    def _topic(self, feed: str) -> str:
        """Return the feed's topic, made where it is missing."""
        if feed not in self._ensured:
            self.ensure_topics([feed])
        return self._ensured.get(feed) or topic_of(self._broker, feed)  # `_replace` of another thread may have forgotten it

    def topic_id(self, feed: str) -> str:
        """Return the id of the feed's topic ('' when it does not exist)."""
        name = topic_of(self._broker, feed)
        return self.topics.ids([name]).get(name, "")

    def close(self) -> None:
        with self._lock:
            old, self._producer = self._producer, None
        if old is not None:
            try:
                old.close(timeout=5)
            except (KafkaError, OSError) as exc:
                log.debug("closing a producer failed", reason=str(exc))
                _abandon(old)
        self.topics.close()


def _abandon(producer: Any) -> None:
    """End a producer whose records may never be acknowledged; whoever waits for one of them gets an error at once.

    kafka-python's close() flushes first, so it raises exactly when it is needed; its thread would live on, and send.
    """
    producer._sender.force_close()
    producer._sender.join(5)
    with suppress(KafkaError, OSError):
        producer.close(timeout=0)
