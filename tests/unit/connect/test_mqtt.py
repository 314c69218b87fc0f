"""Messages of a broker: acknowledged when our bus has them, sent again when not, over a real connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mqtt_broker import Broker, broking
from unit.connect_rig import HERE, NOW, Bus, Memory, feed_of

from ioc.clock import FrozenClock
from ioc.connect.declared import Declared
from ioc.connect.declared.schema import Declaration
from ioc.connect.errors import Fatal, Unreachable
from ioc.connect.mqtt import Mqtt
from ioc.connect.pump import Pump
from ioc.errors import Unavailable

DECLARATION: dict[str, Any] = {
    "about": "stations",
    "source": {"topics": ["stations/+/pm25"]},
    "fields": {
        "station": {"path": "mqtt.levels.1", "class": "public"},
        "value": {"class": "public", "type": "number"},
        "at": {"class": "public", "type": "time"},
    },
    "subject": "$station",
    "time": "$at",
    "facts": [{"observation": {"metric": "pm25", "value": "$value", "unit": "ug/m3"}}],
}


@contextmanager
def session(broker: Broker, url: str = "mqtt://reader@127.0.0.1:{port}", **options: Any) -> Iterator[tuple[Mqtt, Pump]]:
    """A process that reads the broker; another one with the same feed goes on in the same session."""
    connector = Declared("stations", Declaration.model_validate(DECLARATION))
    feed = feed_of("open311", "mqtt://127.0.0.1", cadence_s=0.5).model_copy(update={"connector": "stations"})
    client = Mqtt(url.format(port=broker.port), feed.feed, timeout_s=10, **options)
    try:
        yield client, Pump(feed, connector, connector.options(), HERE, client, FrozenClock(NOW))
    finally:
        client.close()


def message(value: Any, minute: int = 0) -> bytes:
    return json.dumps({"value": value, "at": f"2026-11-22T11:{minute:02d}:00+07:00"}).encode()


def values(bus: Bus) -> list[str]:
    return [str(event.data.value) for event in bus.events]  # type: ignore[union-attr]


def test_a_message_becomes_a_fact_and_is_acknowledged_afterwards() -> None:
    with broking() as broker, session(broker) as (_client, pump):
        bus, cursors = Bus(), Memory()
        pump.poll(bus, cursors)
        for body in (message("12,5"), message("nhiều"), b"\x00\xff rubbish", b"", b"[" * 100_000, b"<html><body>x</body></html>"):
            broker.publish("stations/TN1/pm25", body)
        broker.publish("stations/TN1/noise", message(1))  # not asked for
        report = pump.poll(bus, cursors)
        broker.wait_until(lambda: len(broker.acknowledged) == 6)
    assert [(event.subject, str(event.data.value)) for event in bus.events] == [("TN1", "12.5")]  # type: ignore[union-attr]
    assert report.records == 6 and len(bus.letters) == 5
    assert broker.kept[next(iter(broker.kept))] == {}


def test_what_our_bus_did_not_take_is_handed_out_again() -> None:
    with broking() as broker, session(broker) as (_client, pump):
        bus, cursors = Bus(), Memory()
        pump.poll(bus, cursors)
        broker.publish("stations/TN1/pm25", message(7))
        bus.fail["flush"] = Unavailable("no broker")
        with pytest.raises(Unavailable):
            pump.poll(bus, cursors)
        assert broker.acknowledged == [] and bus.events == []
        bus.fail.clear()
        pump.poll(bus, cursors)
        broker.wait_until(lambda: broker.acknowledged)
    assert set(values(bus)) == {"7"}


def test_what_came_while_we_were_away_and_what_was_not_acknowledged_comes_to_the_next_process() -> None:
    with broking() as broker:
        first, second = Bus(), Bus()
        with session(broker) as (_client, pump):
            pump.poll(first, Memory())
            broker.publish("stations/TN1/pm25", message(1))
            first.fail["flush"] = Unavailable("killed here")
            with pytest.raises(Unavailable):
                pump.poll(first, Memory())
        broker.wait_until(lambda: not broker.connections)
        broker.publish("stations/TN2/pm25", message(2, 5))
        with session(broker) as (_client, pump):
            pump.poll(second, Memory())
            broker.wait_until(lambda: len(broker.acknowledged) == 2)
    assert sorted(values(second)) == ["1", "2"]


def test_a_connection_that_breaks_heals_and_nothing_is_lost() -> None:
    with broking() as broker, session(broker) as (_client, pump):
        bus = Bus()
        pump.poll(bus, Memory())
        broker.hang_up()
        broker.wait_until(lambda: not broker.connections)
        broker.publish("stations/TN1/pm25", message(3))
        broker.wait_until(lambda: broker.connections)
        pump.poll(bus, Memory())
        broker.wait_until(lambda: broker.acknowledged)
    assert set(values(bus)) == {"3"}


def test_a_wrong_password_and_a_forbidden_topic_are_said() -> None:
    with broking(password="right") as broker:
        with session(broker, password="wrong") as (_client, pump), pytest.raises((Fatal, Unreachable), match=r"refuses us|no connection"):
            pump.poll(Bus(), Memory())
        with session(broker, password="right") as (_client, pump):
            assert pump.poll(Bus(), Memory()).records == 0
    with broking(refused="stations/+/pm25") as broker, session(broker) as (_client, pump), pytest.raises(Fatal, match=r"does not let us read stations/\+/pm25") as caught:
        pump.poll(Bus(), Memory())
        pump.poll(Bus(), Memory())
    assert caught.value.cause.startswith("no_right:")


def test_a_message_above_the_limit_is_a_dead_letter() -> None:
    with broking() as broker, session(broker, max_bytes=1000) as (_client, pump):
        bus = Bus()
        pump.poll(bus, Memory())
        broker.publish("stations/TN1/pm25", b" " * 2000)
        pump.poll(bus, Memory())
    assert [letter.cause for letter in bus.letters] == ["too_large"]


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://u:secret@h", "mqtt://h:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Fatal):
        Mqtt(url, "x")


def test_an_absent_broker_is_unreachable() -> None:
    client = Mqtt("mqtt://127.0.0.1:9", "x", timeout_s=0.3)
    try:
        with pytest.raises(Unreachable):
            list(client.batches(["a"], 0))
    finally:
        client.close()
