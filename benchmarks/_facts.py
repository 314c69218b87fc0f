"""Made-up facts in bulk, in the order in which they would arrive: sensors that report, cases that live."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError

from ioc import areas
from ioc.events import Case, Event, Observation, encode, make

START = datetime(2026, 6, 1, tzinfo=UTC)
METRICS = ("pm25", "temperature", "humidity", "water_level")
CATEGORIES = tuple(f"c{i:02}" for i in range(10))


def observations(n: int, sensors: int = 500) -> Iterator[Event]:
    """Yield `n` measurements: each sensor four metrics every 15 minutes, all sensors an instant, then the next."""
    dice = random.Random(19)
    codes = sorted(areas.load("19").communes)
    made = 0
    while made < n:
        at = START + timedelta(minutes=15 * (made // (sensors * len(METRICS))))
        for i in range(sensors):
            for metric in METRICS:
                value = Decimal(dice.randrange(0, 100_000)).scaleb(-2)
                yield make("/bench/sensors", f"sensor-{i:04}", at, Observation(metric=metric, value=value, unit="1", area=codes[i % len(codes)]))
                made += 1
                if made == n:
                    return


def case_updates(cases: int) -> Iterator[Event]:
    """Yield three states of each case in the order of time: opened, taken up by another agency with a moved due date, closed and rated."""
    dice = random.Random(19)
    codes = sorted(areas.load("19").communes)
    moments: list[tuple[datetime, int, int]] = []
    for i in range(cases):
        opened = START + timedelta(seconds=i * 30 * 86_400 / cases)
        moved = opened + timedelta(hours=dice.uniform(1, 12))
        closed = moved + timedelta(hours=dice.expovariate(1 / 40) + 0.2)
        moments += [(opened, i, 0), (moved, i, 1), (closed, i, 2)]
    opened_at: dict[int, datetime] = {at_i: at for at, at_i, step in moments if step == 0}
    for at, i, step in sorted(moments):
        opened = opened_at[i]
        fields: dict[str, Any] = {
            "status": ("open", "paused", "closed")[step],
            "native_status": ("1", "2", "9")[step],
            "category": CATEGORIES[i % 10],
            "title": "Đăng ký quyền sử dụng đất lần đầu",
            "area": codes[i * 7 % len(codes)],
            "agency": f"000.00.{i * 7 % len(codes):03}.H55",  # the commune's own office
            "channel": ("online", "paper", "post")[i % 3],
            "level": "province" if i % 4 == 0 else "commune",
            "opened_at": opened,
            "due_at": opened + timedelta(days=2 + (step > 0)),
        }
        if step == 2:
            fields |= {"closed_at": at, "outcome": "resolved", "rating": 1 + i % 5}
        yield make("/bench/dossiers", f"H55-{i:07}", at, Case(**fields))


def publish(bootstrap: str, topic: str, events: Iterator[Event], partitions: int = 4) -> tuple[int, int]:
    """Make the topic, send the events, return (events, bytes of their bodies)."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    with suppress(TopicAlreadyExistsError):
        admin.create_topics([NewTopic(topic, partitions, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap, batch_size=262_144, linger_ms=20, max_block_ms=60_000)
    sent = size = 0
    for event in events:
        body = encode(event)
        producer.send(topic, key=event.subject.encode(), value=body)
        sent, size = sent + 1, size + len(body)
    producer.flush()
    producer.close()
    return sent, size
