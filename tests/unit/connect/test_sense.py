"""Units and sense: a doubtful number is kept, marked and never set right."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.connect_rig import HERE, NOW, Bus, Memory, Reply, client_of, feed_of, poll, pump_of, serving

from ioc.connect import registry
from ioc.connect.declared import Declared
from ioc.connect.declared.schema import Declaration
from ioc.connect.pump import Pump
from ioc.connect.sense import Sense, doubted
from ioc.doubts import in_words
from ioc.events import Observation, make

YAML = """
about: Meters of energy.
source: {records: data}
fields:
  id: {class: public, required: true}
  total: {class: public, type: number}
  at: {class: public, type: time}
subject: $id
time: $at
facts: [{observation: {metric: energy.total, value: $total, unit: kW.h}}]
sense:
  energy.total: {low: 0, counter: true, siblings: true}
"""


def _said(values: list[Any], rule: Sense, metric: str = "m") -> list[str | None]:
    page = [[make("/t", f"s{n}", NOW, Observation(metric, None if value is None else Decimal(str(value)), "ug/m3"))] for n, value in enumerate(values)]
    return [outcome[0].data.doubt and in_words(outcome[0].data.doubt).en for outcome in doubted({"m": rule}, page, {})]


def test_a_slip_of_the_unit_is_seen_beside_its_siblings_and_the_value_kept() -> None:
    siblings = Sense(siblings=True)
    assert _said([12, 15, 9, 14, 11], siblings) == [None] * 5
    assert _said([12, 15, 9, 14, "12000"], siblings) == [None] * 4 + ["m 12,000 ug/m3 is about a thousand times what its siblings say: a slip of the unit?"]
    assert _said([12, 15, 9, 14, "0.011"], siblings) == [None] * 4 + ["m 0.011 ug/m3 is about a thousandth of what its siblings say: a slip of the unit?"]
    assert _said([12, 15, 9, 14, 120, 0, None], siblings) == [None] * 7  # ten times may be; nothing is nothing
    assert _said([12, 12000], siblings) == [None] * 2  # who is right?
    assert _said([12, 15, 9, 14, 12000], siblings, "other") == [None] * 5


def test_a_value_out_of_range_is_marked_and_kept() -> None:
    assert _said([-1, 5, 1001], Sense(low=0, high=1000)) == ["m -1 ug/m3 is below 0", None, "m 1,001 ug/m3 is above 1,000"]


def test_a_counter_that_falls_is_marked_once() -> None:
    counters: dict[str, list[str]] = {}

    def read(value: int, minutes: int, subject: str = "a") -> str | None:
        event = make("/t", subject, NOW + timedelta(minutes=minutes), Observation("m", Decimal(value)))
        doubt: str | None = doubted({"m": Sense(counter=True)}, [[event]], counters)[0][0].data.doubt
        return doubt and in_words(doubt).en

    assert [read(10, 1), read(12, 2), read(12, 3), read(3, 4, "b")] == [None] * 4
    assert read(4, 5) == "the counter m fell from 12 to 4: set back, exchanged, or misread?"
    assert read(5, 6) is None  # it begins again from there
    assert read(1, 2) is None  # late: what it was then is not known any more


@pytest.fixture
def meters() -> Declared:
    return Declared("meters", Declaration.model_validate(yaml.safe_load(YAML)))


def _pump(connector: Declared, url: str) -> Pump:
    feed = feed_of("dossiers", url)
    return Pump(feed, connector, registry.options_of(connector, feed), HERE, client_of(feed), lambda: NOW)


def test_what_a_counter_said_outlives_the_process_and_a_record_read_again_is_the_same_event(meters: Declared) -> None:
    rows = [{"id": "m1", "total": 100, "at": "2026-11-20T00:00:00Z"}]
    with serving(lambda asked: Reply(json.dumps({"data": rows}))) as server:
        bus, memory = Bus(), Memory()
        _pump(meters, server.url).poll(bus, memory)
        rows[0] = {"id": "m1", "total": 7, "at": "2026-11-20T01:00:00Z"}
        before = dict(memory.saved)
        report = _pump(meters, server.url).poll(bus, memory)
        assert report.doubts == 1 and "fell from 100 to 7" in in_words(str(bus.events[-1].data.doubt)).en and bus.events[-1].data.value == 7  # type: ignore[union-attr]
        memory.saved = before  # killed before the cursor was saved
        _pump(meters, server.url).poll(bus, memory)
    assert len(bus.events) == 3 and len(bus.ids) == 2


def test_a_rule_for_a_metric_that_no_fact_has_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no fact has this metric"):
        Declaration.model_validate(yaml.safe_load(YAML.replace("  energy.total: {low", "  enrgy.total: {low")))


def test_a_mistake_in_sense_is_told_with_its_line(tmp_path: Path) -> None:
    from ioc.connect.declared import load
    from ioc.errors import UserError

    file = tmp_path / "meters" / "connector.yaml"
    file.parent.mkdir()
    file.write_text(YAML.replace("counter: true", "counter: 7000 "))
    with pytest.raises(UserError, match=r"connector\.yaml: line 12: sense\.energy\.total\.counter"):
        load(file)


def _stations(sent: dict[int, list[float]]) -> Any:
    """A SensorThings service: one station a number, its PM2.5 of two hours."""
    streams = [
        {
            "@iot.id": n, "name": "PM2.5", "unitOfMeasurement": {"name": "", "symbol": "µg/m³", "definition": "ucum:ug/m3"}, "ObservedProperty": {"@iot.id": 1, "name": "PM2.5"},
            "Thing": {"@iot.id": n, "name": f"Trạm {n}", "properties": {"commune_code": "05443"}, "Locations": []},
        }
        for n in sent
    ]  # fmt: skip
    hours = [
        {"@iot.id": f"{n}-{i}", "phenomenonTime": f"2026-11-22T0{i}:00:00Z/2026-11-22T0{i + 1}:00:00Z", "resultTime": f"2026-11-22T0{i + 1}:00:00Z", "result": value, "Datastream": {"@iot.id": n}}
        for n, values in sent.items() for i, value in enumerate(values)
    ]  # fmt: skip
    return lambda asked: Reply(json.dumps({"value": streams if asked.path.endswith("Datastreams") else hours}), headers={"Content-Type": "application/json"})


def test_a_station_that_sends_milligrams_for_micrograms_is_asked_about_and_the_others_are_not() -> None:
    sent = {1: [31, 28], 2: [40, 44], 3: [25, 22], 4: [0.036, 0.031], 5: [38, 35], 6: [33, 620]}
    with serving(_stations(sent)) as server:
        bus, memory, _ = poll(pump_of("sensorthings", server.url))
        doubts = {(event.subject, event.data.value): event.data.doubt for event in bus.events if isinstance(event.data, Observation) and event.data.metric == "pm25"}
        again, _, _ = poll(pump_of("sensorthings", server.url), None, memory)
    assert len(doubts) == 12 and bus.letters == []
    asked = {value: in_words(doubt).en for (_, value), doubt in doubts.items() if doubt}
    assert asked == {
        Decimal("0.036"): "pm25 0.036 ug/m3 is about a thousandth of what its siblings say: a slip of the unit?",
        Decimal("0.031"): "pm25 0.031 ug/m3 is about a thousandth of what its siblings say: a slip of the unit?",
        Decimal("620"): "pm25 620 ug/m3 is above 500",
    }
    assert [event for event in again.events if event.data.doubt] == []  # told once
