"""The publisher when its broker goes away: it says so in one way, leaves no thread behind, and goes on afterwards."""

from __future__ import annotations

import gc
import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from ioc import bus
from ioc.bus import Publisher
from ioc.config import Broker
from ioc.errors import Unavailable
from ioc.events import Asset, make

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
FACT = make("/s", "a", datetime(2026, 11, 22, tzinfo=UTC), Asset(kind="k"))


def test_a_broker_that_goes_away_while_records_wait_is_unavailable_and_no_thread_is_left(own_broker: Any) -> None:
    publisher = Publisher(Broker(bootstrap=own_broker.bootstrap, kind=own_broker.kind, prefix="b"))
    publisher.ensure_topics(["f"])
    publisher.send("f", FACT)
    publisher.flush()
    sender = publisher._producer._sender
    assert sender.is_alive()
    own_broker.kill()
    with pytest.raises(Unavailable):  # never an error of the client library
        publisher.send("f", FACT)
        publisher.flush(timeout_s=2)
    sender.join(30)
    assert not sender.is_alive()
    own_broker.start()
    own_broker.wait_ready()
    assert goes_on(publisher)
    publisher.close()


def goes_on(publisher: Publisher) -> bool:
    """Try as every caller does: again, as long as the broker is said to be away."""
    for _ in range(20):
        try:
            publisher.ensure_topics(["f"])
            publisher.send("f", FACT)
            publisher.flush()
            return True
        except Unavailable:
            time.sleep(0.5)
    return False


def test_another_thread_that_waits_for_the_same_broker_learns_it_too(own_broker: Any) -> None:
    publisher = Publisher(Broker(bootstrap=own_broker.bootstrap, kind=own_broker.kind, prefix="b"))
    publisher.ensure_topics(["f"])
    publisher.send("f", FACT)
    publisher.flush()
    own_broker.kill()
    said: list[Exception] = []

    def other() -> None:
        publisher.send("f", FACT)
        try:
            publisher.flush(timeout_s=60)
        except Unavailable as exc:
            said.append(exc)

    thread = threading.Thread(target=other)
    thread.start()
    time.sleep(1)
    publisher.send("f", FACT)
    with pytest.raises(Unavailable):
        publisher.flush(timeout_s=1)
    thread.join(15)
    assert not thread.is_alive()
    assert len(said) == 1
    publisher.close()


def test_a_topic_whose_partitions_are_not_told_yet_is_unavailable(own_broker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = Publisher(Broker(bootstrap=own_broker.bootstrap, kind=own_broker.kind, prefix="b"))
    publisher.ensure_topics(["f"])
    publisher.send("f", FACT)
    publisher.flush()
    with monkeypatch.context() as patch:
        patch.setattr(publisher._producer._metadata, "topics", set)  # what a client knows of a broker that lost its memory
        with pytest.raises(Unavailable, match=r"partitions of b\.f"):
            publisher.send("f", FACT)
    assert goes_on(publisher)
    publisher.close()


@pytest.mark.parametrize("kind", [KafkaProducer, KafkaConsumer, KafkaAdminClient])
def test_a_client_that_finds_no_broker_leaves_neither_thread_nor_socket(kind: type, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A broker that is away over a weekend is looked for some twenty thousand times."""
    monkeypatch.setattr(bus, "BOOTSTRAP_MS", 300)
    caplog.set_level(logging.CRITICAL, "kafka")  # pytest keeps records, and with them the connections they tell of
    gc.collect()
    threads, files = set(threading.enumerate()), psutil.Process().num_fds()
    for _ in range(3):
        with pytest.raises(KafkaError):
            bus.opened(kind, Broker(bootstrap="127.0.0.1:9"))
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert psutil.Process().num_fds() <= files
