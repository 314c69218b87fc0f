"""The envelope: what is a fact, and what is refused with which cause."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ioc.events import (
    CASE,
    MAX_EVENT_BYTES,
    MAX_SHAPE,
    OBSERVATION,
    Asset,
    BadEvent,
    Case,
    DeadLetter,
    Observation,
    decode,
    encode,
    make,
)

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "specversion": "1.0", "id": "1", "source": "/s", "type": OBSERVATION, "subject": "st1", "time": "2026-11-22T07:00:00Z",
    "data": {"metric": "pm25", "value": 25.40, "unit": "ug/m3"},
}  # fmt: skip


def body(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


@pytest.mark.parametrize(
    "data",
    [
        Observation(metric="pm25", value=Decimal("25.40"), unit="ug/m3", area="05443"),
        Case(status="closed", closed_at=NOW, rating=5, dims={"signed": "yes"}),
        Case(closed_at=None),
        Case(status="open", shape={"type": "Polygon", "coordinates": [[[105.7, 21.5], [105.9, 21.5], [105.9, 21.7], [105.7, 21.5]]]}),
        Case(shape=None),
        Asset(kind="school", name="Trường Tiểu học Đức Xuân", lat=22.1, lon=105.8),
    ],
)
def test_it_reads_back_what_it_wrote(data: Observation | Case | Asset) -> None:
    event = make("/s", "subject", NOW, data)
    assert decode(encode(event), NOW) == event


def test_numbers_stay_exact() -> None:
    event = decode(body(data={"metric": "m", "value": 0.1}), NOW)
    assert isinstance(event.data, Observation)
    assert event.data.value == Decimal("0.1")


def test_the_same_fact_gets_the_same_id_and_another_fact_another() -> None:
    one = make("/s", "a", NOW, Case(status="open"))
    assert one.id == make("/s", "a", NOW, Case(status="open")).id
    assert one.id != make("/s", "a", NOW, Case(status="closed")).id
    assert one.id != make("/s", "b", NOW, Case(status="open")).id


def test_absent_and_null_are_two_things() -> None:
    assert b"closed_at" not in encode(make("/s", "a", NOW, Case(status="open")))
    assert b'"closed_at":null' in encode(make("/s", "a", NOW, Case(status="open", closed_at=None)))


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (b"<html>", "bad_json"),
        (b"[" * 100_000, "bad_envelope"),
        (b'{"id":' + b"[" * 100_000, "bad_envelope"),
        (body(data={"metric": "m", "value": 1}).replace(b'"value": 1', b'"value": NaN'), "bad_json"),
        (body(id=""), "missing_id"),
        (body(id=7), "bad_envelope"),
        (body(subject=" "), "missing_id"),
        (body(subject="x" * 201), "text_too_long"),
        (body(specversion="0.3"), "bad_envelope"),
        (body(type="com.example"), "unknown_type"),
        (body(time=None), "missing_time"),
        (body(time="2026-11-22T07:00:00"), "no_zone"),
        (body(time="2027-11-22T07:00:00Z"), "time_ahead"),
        (body(time="1800-01-01T00:00:00Z"), "bad_time"),
        (body(time="yesterday"), "bad_envelope"),
        (body(data={"metric": "m", "value": "many"}), "bad_data"),
        (body(data={"metric": "m", "value": "NaN"}), "not_a_number"),
        (body(data={"metric": "m", "value": "1e999"}), "not_a_number"),
        (body(data={"metric": "", "value": 1}), "bad_data"),
        (body(data={"metric": "m", "value": 1, "lat": 200}), "out_of_range"),
        (body(data={"metric": "m", "value": 1, "unit": "x" * 3000}), "text_too_long"),
        (body(data={"metric": "m", "value": 1, "attributes": {"a": "\x00"}}), "bad_text"),
        (body(type="vn.ioc.case.v1", data={"rating": 9}), "out_of_range"),
        (body(type="vn.ioc.case.v1", data={"status": "done"}), "bad_data"),
        (body(type="vn.ioc.case.v1", data={"opened_at": "2026-11-22T07:00:00"}), "no_zone"),
        (body(data={"metric": "x" * MAX_EVENT_BYTES, "value": 1}), "too_large"),
        (b'{"specversion":"1.0","id":"\\ud800"}', "bad_json"),
    ],
)
def test_it_refuses_what_is_no_fact_and_names_the_cause(raw: bytes, cause: str) -> None:
    with pytest.raises(BadEvent) as caught:
        decode(raw, NOW)
    assert caught.value.cause == cause


def test_a_clock_a_little_ahead_is_forgiven_and_due_dates_may_lie_ahead() -> None:
    decode(body(time=(NOW + timedelta(hours=20)).isoformat()), NOW)
    decode(body(type="vn.ioc.case.v1", data={"due_at": "2028-01-01T00:00:00Z"}), NOW)


def test_a_dead_letter_met_again_has_the_same_id() -> None:
    one = DeadLetter(feed="f", cause="c", message="first", record="bytes", at=NOW)
    again = DeadLetter(feed="f", cause="c", message="second", record="bytes", at=NOW + timedelta(days=1))
    assert one.id == again.id != DeadLetter(feed="f", cause="c", message="first", record="other").id


RING = [[105.7, 21.5], [105.9, 21.5], [105.9, 21.7], [105.7, 21.5]]


@pytest.mark.parametrize(
    ("shape", "cause"),
    [
        ({"type": "Point", "coordinates": [105.7, 21.5]}, "bad_shape"),
        ({"type": "Polygon", "coordinates": [RING], "properties": {"name": "Nguyễn Văn A"}}, "bad_shape"),
        ({"type": "Polygon"}, "bad_shape"),
        ({"type": "Polygon", "coordinates": []}, "bad_shape"),
        ({"type": "Polygon", "coordinates": [RING[:3]]}, "bad_shape"),
        ({"type": "Polygon", "coordinates": [[*RING[:3], [105.8, 21.6]]]}, "bad_shape"),
        ({"type": "MultiPolygon", "coordinates": [RING]}, "bad_shape"),
        ({"type": "MultiPolygon", "coordinates": [7]}, "bad_shape"),
        ({"type": "Polygon", "coordinates": [[[21.5, 105.7], [21.5, 105.9], [21.7, 105.9], [21.5, 105.7]]]}, "out_of_range"),
        ({"type": "Polygon", "coordinates": [[["0912345678", 21.5], *RING[1:3], ["0912345678", 21.5]]]}, "out_of_range"),
        ({"type": "Polygon", "coordinates": [[*RING[:3] * MAX_SHAPE, RING[0]]]}, "too_large"),
    ],
)
def test_a_shape_is_an_outline_on_earth_and_nothing_else(shape: Any, cause: str) -> None:
    with pytest.raises(BadEvent) as refused:
        decode(body(type=CASE, data={"status": "open", "shape": shape}), NOW)
    assert refused.value.cause == cause and refused.value.field == "shape"
