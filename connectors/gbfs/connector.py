"""Following a GBFS discovery file to its stations and free vehicles; each file is the whole state, so what is missing has gone.

The cursor: {"here": {file: subjects of its last reading}, "seen": what need not be told again}.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

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
    each_part,
    fields,
    unknown_layout,
)
from ioc.connect.declared.values import moment_of
from ioc.events import Asset, AssetState, Event, Observation

READ = ("station_information", "station_status", "vehicle_status", "free_bike_status")  # the last: its name before 3.0
OTHERS = ("feeds", "versions", "datasets", "alerts", "plans", "regions", "vehicle_types", "geofencing_zones", "system_id", "rental_hours", "calendars")  # other files of the standard
COUNTS = {  # field -> metric; a station's numbers
    "num_vehicles_available": "bikes.available", "num_bikes_available": "bikes.available", "num_vehicles_disabled": "bikes.disabled", "num_bikes_disabled": "bikes.disabled",
    "num_docks_available": "docks.available", "num_docks_disabled": "docks.disabled",
}  # fmt: skip


class GbfsOptions(Options):
    path: str = Field("gbfs.json", description="Path of the discovery file, below the feed's url; what it names is on the same host or in the feed's allowed_hosts.")
    language: str = Field("vi", description="Which names are taken where there are several; and which list of files of a 2.x discovery file.")


FIELDS: dict[str, FieldClass] = dict.fromkeys(
    ("station_id", "vehicle_id", "bike_id", "name", "name.text", "name.language", "lat", "lon", "capacity", "is_installed", "is_renting", "is_returning", "is_disabled", "is_reserved",
     "vehicle_type_id", "last_reported", *COUNTS, "gone"), "public",
)  # fmt: skip


class Gbfs(Connector[GbfsOptions]):
    name = "gbfs"
    version = "1"
    options = GbfsOptions
    fields = FIELDS

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        discovery = self.document(context.http.get(context.options.path))
        files = _files(discovery, context.options.language)
        here: dict[str, list[str]] = dict(context.cursor.get("here") or {})
        seen = Seen(context.cursor.get("seen"))
        yield from each_part([partial(self._file, name, files[name], here, seen, context) for name in READ if name in files])
        yield Page([], {"here": here, "seen": seen.save(context.oldest)})

    def _file(self, name: str, url: str, here: dict[str, list[str]], seen: Seen, context: Context[Any]) -> Iterator[Page]:
        document = self.document(context.http.get(context.http.absolute(url)))
        records = self.read(document, context)
        subjects = {subject for record in records if (subject := self._told(record, context))}
        at = document.value.get("last_updated") if isinstance(document.value, dict) else None
        # A station is there as long as it is described; its numbers may miss for a while.
        gone = set(here.get(name, ())) - subjects if name != "station_status" else set()
        here[name] = sorted(subjects)
        yield Page([record for record in records if seen.new(record.value, context.now)] + [Record({"gone": subject}, "gone", {"at": at}) for subject in sorted(gone)])

    def _told(self, record: Record, context: Context[Any]) -> str | None:
        """Return the subject of what is told of this record, None when nothing is."""
        try:
            return None if record.defect else self.map(record, context)[0].subject
        except Skip:
            return None

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        value = document.value if document.kind == "json" else None
        data = value.get("data") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(data, dict):
            raise unknown_layout(document, "a file of GBFS")
        hints = {"at": value.get("last_updated")}
        for key, kind in (("vehicles", "vehicle"), ("bikes", "vehicle"), ("stations", "station")):
            if isinstance(data.get(key), list):
                return [Record(item, kind, hints) for item in data[key]]
        if any(key in data for key in OTHERS) or _languages(data):
            return [Record({}, "other", hints)]
        raise unknown_layout(document, "a file of GBFS")

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if record.kind == "gone":
            told = moment_of(record.hints.get("at"), "last_updated", context) or context.now
            return [context.event(record.value["gone"], min(told, context.now), Asset(kind="vehicle" if record.value["gone"].startswith("vehicle:") else "bike_station", state="retired"))]
        if record.kind == "other":
            raise Skip("out_of_scope", "this file of GBFS describes the system; stations and vehicles are read", repair="nothing to do")
        row = record.value
        if not isinstance(row, dict):
            raise Skip("wrong_type", "a station or vehicle is an object", repair="send objects")
        at = moment_of(row.get("last_reported"), "last_reported", context) or moment_of(record.hints.get("at"), "last_updated", context)
        if at is None:
            raise Skip("missing_time", "neither last_reported nor last_updated says when", field="last_updated", repair="send last_updated")
        return _vehicle(row, at, context) if record.kind == "vehicle" else _station(row, at, context)


def _files(document: Document, language: str) -> dict[str, str]:
    """Return the addresses of a discovery file: data.feeds (3.0), or data.LANGUAGE.feeds (2.x)."""
    data = document.value.get("data") if document.kind == "json" and isinstance(document.value, dict) else None
    if isinstance(data, dict) and "feeds" not in data:
        data = data.get(language) or next((part for part in data.values() if isinstance(part, dict) and "feeds" in part), None)
    listed = data.get("feeds") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise unknown_layout(document, "a GBFS discovery file (gbfs.json)")
    return {str(item["name"]): str(item["url"]) for item in listed if isinstance(item, dict) and item.get("name") and item.get("url")}


def _languages(data: dict[str, Any]) -> bool:
    return any(isinstance(part, dict) and "feeds" in part for part in data.values())


def _name(row: dict[str, Any], language: str) -> str | None:
    """Return the name: a text (2.x), or one of several languages (3.0)."""
    value = row.get("name")
    if not isinstance(value, list):
        return fields.text(row, "name")
    texts = {str(item.get("language", "")): fields.text(item, "text") for item in value if isinstance(item, dict)}
    return texts.get(language) or next((text for text in texts.values() if text), None)


def _vehicle(row: dict[str, Any], at: datetime, context: Context[Any]) -> list[Event]:
    subject = "vehicle:" + fields.identifier(row if "vehicle_id" in row else {"vehicle_id": row.get("bike_id")}, "vehicle_id")
    place = context.place(fields.number(row, "lat"), fields.number(row, "lon"))
    state: AssetState = "down" if fields.true(row, "is_disabled") else "ok"
    dims = {name: text for name, text in (("type", fields.text(row, "vehicle_type_id")), ("reserved", "yes" if fields.true(row, "is_reserved") else "no")) if text}
    return [context.event(subject, at, Asset(kind="vehicle", area=place.area, state=state, lat=place.lat, lon=place.lon, doubt=place.doubt, dims=dims))]


def _station(row: dict[str, Any], at: datetime, context: Context[Any]) -> list[Event]:
    """A station is described in one file (name, place) and counted in another: each tells what it knows."""
    subject = "station:" + fields.identifier(row, "station_id")
    counts: dict[str, Decimal] = {}
    for name, metric in COUNTS.items():
        if (count := fields.count(row, name)) is not None:
            counts[metric] = count
    if counts or any(name in row for name in ("is_installed", "is_renting", "is_returning")):
        works = [fields.true(row, name) is not False for name in ("is_installed", "is_renting", "is_returning")]
        state: AssetState = "down" if not works[0] else "ok" if all(works) else "degraded"
        events = [context.event(subject, at, Asset(kind="bike_station", state=state))]
        unit = {"bikes": "{bike}", "docks": "{dock}"}
        return events + [context.event(subject, at, Observation(metric=metric, value=count, unit=unit[metric.partition(".")[0]])) for metric, count in counts.items()]
    place = context.place(fields.number(row, "lat"), fields.number(row, "lon"))
    if place.lat is None:
        raise Skip("out_of_scope", "the station has neither a place nor numbers", field="lat", repair="send lat and lon (station_information) or num_... (station_status)")
    return [context.event(subject, at, Asset(kind="bike_station", name=_name(row, context.options.language), area=place.area, lat=place.lat, lon=place.lon, doubt=place.doubt))]
