"""The envelope (CloudEvents 1.0, JSON) and the three kinds of fact: observation, case, asset.

A fact on the wire::

    {"specversion": "1.0", "id": "...", "source": "/connectors/open311/incident-reports",
     "type": "vn.ioc.case.v1", "subject": "SR-1042", "time": "2026-11-22T08:00:00Z", "data": {...}}

`subject` is the thing (case id, asset id, station, facility, area); it is also the Kafka key. `time` is when it was
so; the store adds `received_at`, when we learnt it. In `data`, an absent field means "not known from this event" and
leaves what was known; `null` clears it.

Identity (what makes two events speak of the same fact):

* observation: (feed, subject, metric, period, time). The newest `version` counts. `area` is *not* part of it: a
  station moved to its right commune supersedes the wrong row instead of adding a second one.
* case, asset: (feed, subject). Every field keeps its newest value, by (time, id), whatever order events came in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

OBSERVATION = "vn.ioc.observation.v1"
CASE = "vn.ioc.case.v1"
ASSET = "vn.ioc.asset.v1"

MAX_EVENT_BYTES = 262_144  # a fact is small; anything larger is a mistake or an attack
MAX_TEXT = 2_000  # characters of any one text field
MAX_ID = 200
MAX_DIMS = 32  # of a fact's own countable properties
MAX_SHAPE = 1_000  # corners of a shape, all rings together; a wall shows no finer outline
MAX_AHEAD = timedelta(days=1)  # a source's clock may run ahead this much; more is a wrong clock
OLDEST_YEAR = 1900

Qualifier: TypeAlias = Literal["exact", "at_least", "at_most", "about"]
CaseStatus: TypeAlias = Literal["open", "paused", "closed"]
AssetState: TypeAlias = Literal["ok", "degraded", "down", "unknown", "retired"]


class Observation(Struct, omit_defaults=True, frozen=True):
    """A number measured at a time and a place.

    `unit` is UCUM ("1" for a plain count, "%", "ug/m3", "{document}"). `period` is an ISO 8601 duration or reference
    period ("PT1H", "P1D", "2026-03", "2026-Q1"); absent for an instant. `version` is when the source published this
    value (default: the event's time). `value` None means measured but missing; `deleted` withdraws the fact.
    """

    metric: str
    value: Decimal | None
    unit: str = "1"
    area: str | None = None
    period: str = ""
    version: datetime | None = None
    qualifier: Qualifier = "exact"
    deleted: bool = False
    lat: float | None = None
    lon: float | None = None
    doubt: str | None = None
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class Case(Struct, omit_defaults=True, frozen=True):
    """Something with a life: opened, due, moved, closed, rated.

    `status`: open (the clock runs), paused (the clock of the due date stands still), closed. `closed_at` None reopens. `opened_at` None: it has not begun and is not counted; absent: it
    counts from when it was first heard of.
    `rating` is 1 to 5. `dims` are the feed's own countable properties ("direction": "in", "signed": "yes").
    `title` is a short public text for the ticker: never free text typed by a citizen. `shape` is the area it concerns, as
    a GeoJSON Polygon or MultiPolygon (longitude first, WGS 84) of at most `MAX_SHAPE` corners; `lat`, `lon` is its middle.
    New fields go to the end: what is stored knows them by their place (ioc/store/rollup.py).
    """

    status: CaseStatus | UnsetType = UNSET
    native_status: str | None | UnsetType = UNSET
    outcome: str | None | UnsetType = UNSET
    category: str | None | UnsetType = UNSET
    title: str | None | UnsetType = UNSET
    area: str | None | UnsetType = UNSET
    agency: str | None | UnsetType = UNSET
    channel: str | None | UnsetType = UNSET
    level: str | None | UnsetType = UNSET
    opened_at: datetime | None | UnsetType = UNSET
    due_at: datetime | None | UnsetType = UNSET
    closed_at: datetime | None | UnsetType = UNSET
    rating: int | None | UnsetType = UNSET
    lat: float | None | UnsetType = UNSET
    lon: float | None | UnsetType = UNSET
    doubt: str | None | UnsetType = UNSET
    deleted: bool | UnsetType = UNSET
    dims: dict[str, str] | UnsetType = UNSET
    shape: dict[str, Any] | None | UnsetType = UNSET


class Asset(Struct, omit_defaults=True, frozen=True):
    """A thing with a place and a state: school, facility, station, camera, agency."""

    kind: str | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    area: str | None | UnsetType = UNSET
    state: AssetState | UnsetType = UNSET
    lat: float | None | UnsetType = UNSET
    lon: float | None | UnsetType = UNSET
    doubt: str | None | UnsetType = UNSET
    deleted: bool | UnsetType = UNSET
    dims: dict[str, str] | UnsetType = UNSET


Fact: TypeAlias = Observation | Case | Asset
KINDS: dict[str, type[Fact]] = {OBSERVATION: Observation, CASE: Case, ASSET: Asset}
TYPES: dict[type[Fact], str] = {kind: name for name, kind in KINDS.items()}


class Event(Struct, frozen=True):
    """One fact in its envelope, checked. `source`+`id` identify the event (CloudEvents)."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: Fact


class _Envelope(Struct):
    id: str
    source: str
    type: str
    data: msgspec.Raw = msgspec.Raw(b"")
    specversion: str = ""
    subject: str = ""
    time: datetime | None = None
    datacontenttype: str = "application/json"


class BadEvent(ValueError):
    """An event that cannot be a fact. `cause` is a stable word to cluster by; `field`, `repair` are for people."""

    def __init__(self, cause: str, message: str, *, field: str = "", repair: str = "") -> None:
        super().__init__(message)
        self.cause = cause
        self.field = field
        self.repair = repair


_envelope = msgspec.json.Decoder(_Envelope)
_data: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}
_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(event: Event) -> bytes:
    """Return the event as CloudEvents structured JSON, UTF-8."""
    return _encoder.encode(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": event.time,
            "data": event.data,
        }
    )


def decode(body: bytes, now: datetime) -> Event:
    """Return the checked event in `body`; raise `BadEvent` with cause and repair. `now` guards against wrong clocks."""
    if len(body) > MAX_EVENT_BYTES:
        raise BadEvent("too_large", f"{len(body)} bytes; at most {MAX_EVENT_BYTES} are allowed", repair="send one small fact an event")
    try:
        envelope = _envelope.decode(body)
    except msgspec.ValidationError as exc:
        raise BadEvent("bad_envelope", str(exc), repair="send a CloudEvents 1.0 object: id, source, type, subject, time, data") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadEvent("bad_json", f"not readable as JSON: {exc}", repair="send UTF-8 JSON") from exc
    return _check(envelope, now, short=len(body) <= MAX_TEXT and b"\\u0000" not in body)


def _check(e: _Envelope, now: datetime, *, short: bool) -> Event:
    if e.specversion != "1.0":
        raise BadEvent("bad_envelope", f"specversion is {e.specversion!r}, not '1.0'", field="specversion", repair="send CloudEvents 1.0")
    decoder = _data.get(e.type)
    if decoder is None:
        raise BadEvent("unknown_type", f"type {e.type!r} is not known; known are {', '.join(KINDS)}", field="type")
    for name, text in (("id", e.id), ("source", e.source), ("subject", e.subject)):
        if not text.strip():
            raise BadEvent("missing_id", f"{name} is empty", field=name, repair=f"send a {name} that stays the same when the event is sent again")
        if len(text) > MAX_ID:
            raise BadEvent("text_too_long", f"{name} has {len(text)} characters; at most {MAX_ID}", field=name)
    if e.time is None:
        raise BadEvent("missing_time", "time is missing", field="time", repair="send when it was so, RFC 3339 with a zone")
    check_time("time", e.time, now)
    try:
        data: Fact = decoder.decode(e.data)
    except msgspec.ValidationError as exc:
        raise BadEvent("bad_data", f"data: {exc}", field="data") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadEvent("bad_json", f"data is not readable as JSON: {exc}", field="data") from exc
    check_fact(data, now, short=short)
    return Event(id=e.id, source=e.source, type=e.type, subject=e.subject, time=e.time, data=data)


def check_time(field: str, at: datetime, now: datetime, *, may_be_ahead: bool = False) -> None:
    """Refuse a time without zone, before 1900, or (unless `may_be_ahead`) more than a day after `now`."""
    if at.tzinfo is None:
        raise BadEvent("no_zone", f"{field} {at.isoformat()} has no zone", field=field, repair="add the offset, for example +07:00")
    if at.year < OLDEST_YEAR or at.year > 9000:
        raise BadEvent("bad_time", f"{field} {at.isoformat()} is out of range", field=field)
    if not may_be_ahead and at - now > MAX_AHEAD:
        raise BadEvent("time_ahead", f"{field} {at.isoformat()} lies more than a day ahead of {now.isoformat()}", field=field, repair="set the source's clock")


def check_fact(data: Fact, now: datetime, *, short: bool = False) -> None:
    """Refuse numbers that are not finite, texts that are too long, times that cannot be, points that are nowhere.

    `short`: no text in it can be too long or hold a zero byte, since the bytes it was read from are few and hold none.
    """
    if isinstance(data, Observation):
        if data.value is not None and (not data.value.is_finite() or abs(data.value.adjusted()) > 30):
            raise BadEvent("not_a_number", f"value {data.value} is not a usable number", field="value", repair="leave the record out, or send null")
        if not data.metric or len(data.metric) > MAX_ID or "\x00" in data.metric:
            raise BadEvent("bad_data", "metric is empty, too long or holds a zero byte", field="metric")
        if data.version is not None:
            check_time("version", data.version, now)
    elif isinstance(data, Case):
        for name, at in (("opened_at", data.opened_at), ("due_at", data.due_at), ("closed_at", data.closed_at)):
            if isinstance(at, datetime):
                check_time(name, at, now, may_be_ahead=name == "due_at")
        if isinstance(data.rating, int) and not 1 <= data.rating <= 5:
            raise BadEvent("out_of_range", f"rating {data.rating} is not between 1 and 5", field="rating")
        if isinstance(data.shape, dict):
            _check_shape(data.shape)
    for name, bound in (("lat", 90.0), ("lon", 180.0)):
        degrees = getattr(data, name)
        if isinstance(degrees, float) and not -bound <= degrees <= bound:
            raise BadEvent("out_of_range", f"{name} {degrees} is not on Earth", field=name)
    own = data.attributes if isinstance(data, Observation) else data.dims
    if own and len(own) > MAX_DIMS:
        name = "attributes" if isinstance(data, Observation) else "dims"
        raise BadEvent("bad_data", f"{name} has {len(own)} entries; at most {MAX_DIMS}", field=name)
    if not short:
        _check_texts(data)


def _check_texts(data: Fact) -> None:
    for name in data.__struct_fields__:
        value = getattr(data, name)
        if isinstance(value, str):
            if len(value) > MAX_TEXT or "\x00" in value:  # asked of every text of every fact: a call each costs as much as the rest
                _check_text(name, value)
        elif isinstance(value, dict) and name != "shape":  # which holds no text but its type
            for key, text in value.items():
                _check_text(f"{name}.{key}", key)
                _check_text(f"{name}.{key}", text)


def _check_text(field: str, text: str) -> None:
    if len(text) > MAX_TEXT:
        raise BadEvent("text_too_long", f"{field} has {len(text)} characters; at most {MAX_TEXT}", field=field)
    if "\x00" in text:
        raise BadEvent("bad_text", f"{field} holds a zero byte", field=field)


def _check_shape(shape: dict[str, Any]) -> None:
    """Refuse what is no GeoJSON Polygon or MultiPolygon, says more than that, is nowhere on Earth, or is too fine."""
    kind, coordinates = shape.get("type"), shape.get("coordinates")
    if shape.keys() != {"type", "coordinates"} or kind not in ("Polygon", "MultiPolygon") or not isinstance(coordinates, list):
        raise BadEvent("bad_shape", "shape is no GeoJSON Polygon or MultiPolygon", field="shape", repair='send {"type": "Polygon", "coordinates": [...]} and nothing else')
    polygons = coordinates if kind == "MultiPolygon" else [coordinates]
    rings: list[Any] = [ring for polygon in polygons for ring in (polygon if isinstance(polygon, list) else [None])]
    if not rings or any(not isinstance(ring, list) or len(ring) < 4 or ring[0] != ring[-1] for ring in rings):
        raise BadEvent("bad_shape", "a ring of the shape has fewer than four corners, or is not closed", field="shape", repair="send the first corner again at the end of each ring")
    if (n := sum(map(len, rings))) > MAX_SHAPE:
        raise BadEvent("too_large", f"shape has {n} corners; at most {MAX_SHAPE}", field="shape", repair="simplify the outline")
    if not all(_is_place(place) for ring in rings for place in ring):
        raise BadEvent("out_of_range", "shape holds what is no longitude and latitude on Earth", field="shape", repair="send [longitude, latitude], degrees")


def _is_place(place: Any) -> bool:
    if not isinstance(place, list) or len(place) != 2 or any(type(degrees) not in (int, float) for degrees in place):
        return False
    return bool(-180 <= place[0] <= 180 and -90 <= place[1] <= 90)


def event_id(*parts: object) -> str:
    """Return a stable id made of what identifies an event: the same parts give the same id, on any machine."""
    return _digest("\x1f".join(str(part) for part in parts).encode("utf-8", "surrogatepass"))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def make(source: str, subject: str, time: datetime, data: Fact, *id_parts: object) -> Event:
    """Return an event whose id is derived from its content, so that sending the same fact again is a duplicate."""
    about = "\x1f".join((source, subject, time.isoformat(), *map(str, id_parts), ""))
    return Event(
        id=_digest(about.encode("utf-8", "surrogatepass") + _encoder.encode(data)),  # event_id of all parts, the last one encoded already
        source=source,
        type=TYPES[type(data)],
        subject=subject,
        time=time,
        data=data,
    )


def encode_all(events: Iterable[Event]) -> list[bytes]:
    """Encode many events."""
    return [encode(event) for event in events]


class DeadLetter(Struct, omit_defaults=True, frozen=True):
    """What could not be read, with its cause. `record` holds the bytes as received, after the privacy guard.

    `id` is derived from feed, cause and bytes: the same bad record met again is counted, not stored again.
    """

    feed: str
    cause: str
    message: str
    record: str = ""
    field: str = ""
    repair: str = ""
    connector: str = ""
    at: datetime | None = None

    @property
    def id(self) -> str:
        return event_id(self.feed, self.cause, self.field, self.record or self.message)
