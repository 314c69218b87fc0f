"""Vehicle positions of a GTFS-RT feed: each message is the whole state, so what is no longer in it has gone.

Many agencies use the number plate as the vehicle's id. A plate never leaves: such a vehicle is known by its trip.
The cursor: {"here": subjects of the last message, "seen": what need not be told again}.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import msgspec
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError
from google.transit.gtfs_realtime_pb2 import FeedMessage
from pydantic import Field

from ioc.connect import (
    Connector,
    Context,
    Document,
    FieldClass,
    Options,
    Page,
    Record,
    Seen,
    Skip,
    Unreadable,
    fields,
    scrub,
    unknown_layout,
)
from ioc.connect.declared.values import moment_of
from ioc.doubts import doubt
from ioc.events import Asset, Event, Observation

MOST_MPS = 40.0  # 144 km/h: no bus does that; who sends more sends km/h
_SNAKE = re.compile(r"_([a-z])")


class GtfsOptions(Options):
    path: str = Field("vehicle_positions.pb", description="Path of the vehicle positions, below the feed's url.")
    speed_unit: Literal["m/s", "km/h"] = Field("m/s", description="What `speed` is in; the standard says m/s, some agencies send km/h.")


FIELDS: dict[str, FieldClass] = {
    "id": "public",
    "vehicle.trip.tripId": "public",
    "vehicle.trip.routeId": "public",
    "vehicle.position.latitude": "public",
    "vehicle.position.longitude": "public",
    "vehicle.position.speed": "public",
    "vehicle.timestamp": "public",
    "vehicle.occupancyStatus": "public",
    "vehicle.vehicle.id": "internal",
    "vehicle.vehicle.label": "personal",
    "vehicle.vehicle.licensePlate": "personal",
    "gone": "public",
}


class GtfsRealtime(Connector[GtfsOptions]):
    name = "gtfs_rt"
    version = "1"
    options = GtfsOptions
    fields = FIELDS

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        document = self.document(context.http.get(context.options.path, accept="application/x-protobuf, application/json;q=0.5"))
        seen = Seen(context.cursor.get("seen"))
        records = self.read(document, context)
        here = {subject for record in records if (subject := self._told(record, context))}
        gone = [Record({"gone": subject}, "gone", {"at": record.hints["at"] if (record := next(iter(records), None)) else None}) for subject in sorted(set(context.cursor.get("here", ())) - here)]
        yield Page([record for record in records if seen.new(record.value, context.now)] + gone, {"here": sorted(here), "seen": seen.save(context.oldest)})

    def _told(self, record: Record, context: Context[Any]) -> str | None:
        """Return what the record's vehicle is known by, None when nothing is told of it."""
        try:
            return None if record.kind != "vehicle" or record.defect else self.map(record, context)[0].subject
        except Skip:
            return None

    def decode(self, body: bytes, content_type: str = "", charset: str = "") -> Document:
        if body[:1] == b"\x0a" and body[1:2] not in (b"{", b"[", b"<", b"\x0a", b" ", b"\r"):  # the header, length-delimited
            try:
                text = MessageToJson(FeedMessage.FromString(body))
                return Document("json", msgspec.json.decode(text), text, len(body))
            except (DecodeError, ValueError) as exc:
                raise Unreadable("bad_protobuf", "the bytes are no whole GTFS-RT message", repair="send a FeedMessage, whole") from exc
        return super().decode(body, content_type, charset)

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        message = _camel(document.value) if document.kind == "json" else None
        header = message.get("header") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(header, dict) or not isinstance(message.get("entity", []), list):
            raise unknown_layout(document, "a GTFS-RT message")
        if header.get("incrementality") == "DIFFERENTIAL":
            raise Unreadable("unknown_layout", "the message is DIFFERENTIAL, which the standard does not support yet", repair="send FULL_DATASET")
        trips: Counter[str] = Counter()
        records = []
        for entity in message.get("entity", []):
            vehicle = entity.get("vehicle") if isinstance(entity, dict) else None
            if not isinstance(vehicle, dict):
                records.append(Record(entity, "other", {"at": header.get("timestamp")}))
                continue
            trip = str((vehicle.get("trip") or {}).get("tripId", "")) if isinstance(vehicle.get("trip") or {}, dict) else ""
            trips[trip] += 1
            records.append(Record(_without_plate(entity), "vehicle", {"at": header.get("timestamp"), "nth": trips[trip]}))
        return records

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if record.kind == "gone":
            told = moment_of(record.hints.get("at"), "header.timestamp", context) or context.now
            return [context.event(record.value["gone"], min(told, context.now), Asset(kind="vehicle", state="retired"))]
        if record.kind == "other":
            raise Skip("out_of_scope", "trip updates and alerts are not read; vehicle positions are", repair="ask for vehicle positions")
        vehicle = record.value["vehicle"]
        subject = _subject(record)
        at = moment_of(vehicle.get("timestamp", record.hints.get("at")), "vehicle.timestamp", context)
        if at is None:
            raise Skip("missing_time", "neither the vehicle nor the message says when", field="vehicle.timestamp", repair="send timestamp")
        position = vehicle.get("position") if isinstance(vehicle.get("position"), dict) else {}
        place = context.place(fields.number(position, "latitude"), fields.number(position, "longitude"))
        if place.lat is None:
            raise Skip("missing_value", "the vehicle has no position", field="vehicle.position", repair="send latitude and longitude, or leave the vehicle out")
        trip = vehicle.get("trip") if isinstance(vehicle.get("trip"), dict) else {}
        route, crowd = fields.text(trip, "routeId"), fields.text(vehicle, "occupancyStatus")
        dims = {name: text for name, text in (("route", route), ("occupancy", crowd)) if text}
        events = [context.event(subject, at, Asset(kind="vehicle", name=route, area=place.area, state="ok", lat=place.lat, lon=place.lon, doubt=place.doubt, dims=dims))]
        return events + _speed(position, subject, at, place.area, context)


def _speed(position: dict[str, Any], subject: str, at: datetime, area: str | None, context: Context[Any]) -> list[Event]:
    speed, unit = fields.number(position, "speed"), context.options.speed_unit
    if speed is None:
        return []
    most = MOST_MPS if unit == "m/s" else MOST_MPS * 3.6
    limit = most if speed > most else 0
    asked = None if 0 <= speed <= most else doubt("above" if limit else "below", what="speed", value=f"{speed:g} {unit}", limit=f"{limit:g}")
    return [context.event(subject, at, Observation(metric="vehicle.speed", value=fields.decimal(position, "speed"), unit=unit, area=area, doubt=asked))]


def _subject(record: Record) -> str:
    """Return what the vehicle is known by; raise `Skip`."""
    vehicle = record.value["vehicle"]
    inner, trip = (vehicle.get(name) if isinstance(vehicle.get(name), dict) else {} for name in ("vehicle", "trip"))
    if (known := fields.text(inner, "id")) is not None:
        return fields.identifier({"vehicle.id": known}, "vehicle.id")
    if (known := fields.text(trip, "tripId")) is not None:
        return f"trip:{known}" + (f"#{record.hints['nth']}" if record.hints["nth"] > 1 else "")
    raise Skip("missing_id", "the vehicle has no id (a number plate is none) and is on no trip", field="vehicle", repair="send an id of the fleet, or the trip")


def _without_plate(entity: dict[str, Any]) -> dict[str, Any]:
    """Return the entity without number plates, also where one serves as id or label."""
    inner = entity["vehicle"].get("vehicle")
    if not isinstance(inner, dict):
        return entity
    plate = _bare(inner.get("licensePlate"))
    kept = {name: value for name, value in inner.items() if name == "id" and _bare(value) != plate and scrub(str(value)) == str(value)}
    return {**entity, "vehicle": {**entity["vehicle"], "vehicle": kept}}


def _bare(value: Any) -> str:
    return re.sub(r"[^0-9A-Z]", "", str(value or "").upper())


def _camel(value: Any, depth: int = 0) -> Any:
    """JSON forms write vehicle_id or vehicleId; here all is vehicleId."""
    if depth > 20:
        return value
    if isinstance(value, dict):
        return {_SNAKE.sub(lambda m: m[1].upper(), str(key)): _camel(item, depth + 1) for key, item in value.items()}
    return [_camel(item, depth + 1) for item in value] if isinstance(value, list) else value
