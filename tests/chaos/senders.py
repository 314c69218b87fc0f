"""Honest senders: each sends until it is told that the system has it, however often something dies meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import groupby
from typing import TypeVar

import httpx
from kafka import KafkaProducer
from kafka.errors import KafkaError

from .truth import Fact, wire

T = TypeVar("T")
BATCH = 200
TIMEOUT_S = 20


class Kafka:
    """Sends records straight to the broker. Not thread-safe."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap, self._prefix = bootstrap, prefix
        self._producer: KafkaProducer | None = None
        self.retries = 0

    def send(self, records: list[tuple[str, bytes, bytes]]) -> None:
        """Return when the broker has acknowledged all (feed, key, value)."""
        while True:
            try:
                if self._producer is None:
                    self._producer = KafkaProducer(bootstrap_servers=self._bootstrap, acks="all", linger_ms=5, request_timeout_ms=10_000, delivery_timeout_ms=20_000, max_block_ms=10_000)
                futures = [self._producer.send(f"{self._prefix}.{feed}", key=key, value=value) for feed, key, value in records]
                self._producer.flush(timeout=TIMEOUT_S)
                for future in futures:
                    future.get(timeout=TIMEOUT_S)
                return
            except (KafkaError, OSError, AssertionError):
                self.retries += 1
                self.close()
                time.sleep(0.5)

    def facts(self, facts: Iterable[Fact]) -> None:
        """Send facts, keyed by their subject."""
        self.send([(fact["feed"], fact["subject"].encode(), wire(fact)) for fact in facts])

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer._sender.force_close()  # close() alone flushes first, and raises when it cannot
            producer._sender.join(5)
            with suppress(KafkaError):
                producer.close(timeout=0)


class Post:
    """Posts batches to /api/events/{feed}. Not thread-safe."""

    def __init__(self, base: str, token: str) -> None:
        self._client = httpx.Client(base_url=base, timeout=TIMEOUT_S, trust_env=False, headers={"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents-batch+json"})
        self.answers: Counter[str] = Counter()
        self.refused: list[str] = []  # reasons of 400; there must be none

    def facts(self, facts: Iterable[Fact]) -> None:
        """Return when all are taken (202) or refused (400)."""
        for feed, mine in groupby(sorted(facts, key=lambda fact: fact["feed"]), key=lambda fact: fact["feed"]):
            body = b"[" + b",".join(wire(fact) for fact in mine) + b"]"
            while not self._post(feed, body):
                time.sleep(0.3)

    def _post(self, feed: str, body: bytes) -> bool:
        try:
            answer = self._client.post(f"/api/events/{feed}", content=body)
        except httpx.HTTPError as exc:
            self.answers[type(exc).__name__] += 1
            return False
        self.answers[str(answer.status_code)] += 1
        if answer.status_code == 400:
            self.refused.append(answer.text[:500])
        return answer.status_code in (202, 400)

    def close(self) -> None:
        self._client.close()


class Pace:
    """How far the sending may go: kills are spread over it, so neither may run away from the other. Thread-safe."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._sent = 0
        self._limit = total
        self._changed = threading.Condition()

    @property
    def sent(self) -> int:
        return self._sent

    def limit(self, limit: int) -> None:
        """Allow sending up to `limit` records."""
        with self._changed:
            self._limit = limit
            self._changed.notify_all()

    def step(self, n: int) -> None:
        """Note `n` records as sent, and wait while that is too far."""
        with self._changed:
            self._sent += n
            self._changed.wait_for(lambda: self._sent <= self._limit)


def disorder(facts: list[Fact], seed: int, window: int = 2000) -> list[Fact]:
    """Return every fact twice, shuffled in windows; some come much later than their neighbours."""
    r = random.Random(seed)
    placed = []
    for copy in range(2):
        for i, fact in enumerate(facts):
            late = r.uniform(0, len(facts)) if r.random() < 0.05 else 0
            placed.append((i + r.uniform(0, window) + copy * r.uniform(0, 3 * window) + late, len(placed), fact))
    placed.sort(key=lambda item: item[:2])
    return [fact for _, _, fact in placed]


def share_out(facts: list[Fact], seed: int, *, posted: float) -> tuple[list[Fact], list[Fact]]:
    """Return (what goes by POST, what goes straight to Kafka): each copy by chance."""
    r = random.Random(seed)
    by_post: list[Fact] = []
    straight: list[Fact] = []
    for fact in facts:
        (by_post if r.random() < posted else straight).append(fact)
    return by_post, straight


class Sending(threading.Thread):
    """Sends all `records`, batch by batch. `failed`: what ended it before its time."""

    def __init__(self, name: str, records: list[T], send: Callable[[list[T]], None], pace: Pace) -> None:
        super().__init__(name=name, daemon=True)
        self._records, self._send, self._pace = records, send, pace
        self.failed: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            for at in range(0, len(self._records), BATCH):
                batch = self._records[at : at + BATCH]
                self._send(batch)
                self._pace.step(len(batch))
        except Exception as exc:
            self.failed = exc
