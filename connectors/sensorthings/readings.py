"""One Observation -> facts; and the shapes in which SensorThings writes entities."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.sensorthings import vn_aqi
from connectors.sensorthings.streams import Stream, measured
from ioc.connect import Context, Document, Record, Skip, fields, rows, shown, unknown_layout
from ioc.doubts import doubt
from ioc.events import Asset, Event, Observation

HOUR = timedelta(hours=1)
_LINKED = re.compile(r"/(?:Multi)?Datastreams\('?([^')]+)'?\)")
# What tells the kind of an entity: the first of these names that it has.
_KINDS = {
    "result": "observation", "time": "past_location", "unitOfMeasurement": "datastream", "unitOfMeasurements": "multi_datastream", "feature": "feature", "location": "location",
    "metadata": "sensor", "definition": "property", "Locations": "thing", "Locations@iot.navigationLink": "thing", "properties": "thing", "Datastreams": "thing",
}  # fmt: skip
_HELD = {"Datastreams": ("datastream", "Thing"), "MultiDatastreams": ("multi_datastream", "Thing"), "Observations": ("observation", "Datastream")}  # list -> what it holds, and how that names its owner
_LEFT_OUT = {
    "location": "a place without its Thing; Things are read with their Locations", "feature": "a feature of interest; the place of a Thing is read",
    "past_location": "where a Thing was at some time; where it is now is read", "sensor": "this describes an instrument", "property": "this describes what is observed", "multi_datastream": "a MultiDatastream; its Datastreams are read",
}  # fmt: skip


def split(document: Document) -> list[Record]:
    """Return the entities of an answer: a page, an array, one entity, or rows of `dataArray`."""
    if document.kind == "ndjson":
        return rows(document, "observation")
    if document.kind != "json":
        raise unknown_layout(document, "a SensorThings answer")
    page = document.value
    link = ""
    if isinstance(page, dict):
        link = str(page.get("@iot.nextLink") or "")
        inner = next((page[name] for name in ("value", "values") if isinstance(page.get(name), list)), None)
        page = [page] if inner is None else inner
    if not isinstance(page, list) or (page and not any(isinstance(item, dict) and kind_of(item) for item in page)):
        raise unknown_layout(document, "a SensorThings answer")
    asked = _LINKED.search(link)
    found: list[Record] = []
    for item in page:
        if isinstance(item, dict) and isinstance(item.get("dataArray"), list):
            found += _rows(item, asked.group(1) if asked else "")
        else:
            kind = kind_of(item) if isinstance(item, dict) else "observation"
            found += _expanded(item, kind or "observation", {"stream": asked.group(1)} if asked and kind == "observation" else {})
    return found


def _expanded(item: Any, kind: str, hints: dict[str, Any]) -> list[Record]:
    """Return an entity, and those it holds where they were asked for by $expand: a Thing's Datastreams, a Datastream's Observations."""
    inside = {name: item[name] for name in _HELD if isinstance(item, dict) and isinstance(item.get(name), list)} if kind in ("thing", "datastream") else {}
    if not inside:
        return [Record(item, kind, hints)]
    bare = {name: value for name, value in item.items() if name not in inside}
    found = [Record(bare, kind, hints)]
    for name, (inner, back) in _HELD.items():
        for part in inside.get(name, ()):
            found += _expanded(part | {back: bare} if isinstance(part, dict) and kind == back.lower() else part, inner, {})
    return found


def kind_of(item: Mapping[str, Any]) -> str:
    if "dataArray" in item:
        return "observation"
    return next((kind for name, kind in _KINDS.items() if name in item), "thing" if "name" in item and "description" in item else "")


def _rows(item: Mapping[str, Any], asked: str) -> list[Record]:
    """Return the rows of a `dataArray` as Observations."""
    names = ["@iot.id" if name == "id" else str(name) for name in item.get("components") or []]
    stream = _id_in(item.get("Datastream")) or _id_in(item.get("MultiDatastream")) or asked
    for name, link in item.items():
        if not stream and name.endswith("Datastream@iot.navigationLink") and (found := _LINKED.search(str(link))):
            stream = found.group(1)
    return [
        Record(dict(zip(names, row, strict=False)) if isinstance(row, list) else row, "observation", {"stream": stream} if stream else {})
        for row in item["dataArray"]
    ]


def _id_in(value: Any) -> str:
    return str(value.get("@iot.id") or "") if isinstance(value, dict) else ""


def stream_id(record: Record) -> str:
    """Return which Datastream an Observation is of, "" where it does not say."""
    inner = _id_in(record.value.get("Datastream")) if isinstance(record.value, dict) else ""
    return inner or str(record.hints.get("stream", ""))


def left_out(kind: str) -> Skip:
    """Return why an entity that is no measurement is not a fact."""
    return Skip("out_of_scope", f"{_LEFT_OUT[kind]}", field="@iot.id", repair="nothing to do: read /Observations and /Things")


def when(value: Mapping[str, Any]) -> tuple[datetime, str]:
    """Return (instant or begin, period): phenomenonTime is an instant or an interval begin/end."""
    text = fields.text(value, "phenomenonTime") or fields.text(value, "resultTime")
    if text is None:
        raise Skip("missing_time", "phenomenonTime is missing", field="phenomenonTime", repair="send when it was measured, with its zone")
    first, _, last = text.partition("/")
    begin = fields.moment(first, "phenomenonTime")
    end = fields.moment(last, "phenomenonTime") if last else None
    assert begin is not None
    if end is None:
        return begin, ""
    if end < begin:
        raise Skip("bad_time", f"phenomenonTime ends before it begins: {text[:80]}", field="phenomenonTime", repair="send begin/end")
    return begin, duration(end - begin)


def duration(span: timedelta) -> str:
    """Return a span as ISO 8601 writes it: PT1H, PT10M, P1D; '' for none."""
    seconds = round(span.total_seconds())
    for unit, size in (("D", 86_400), ("H", 3600), ("M", 60)):
        if seconds and seconds % size == 0:
            return f"P{seconds // size}D" if unit == "D" else f"PT{seconds // size}{unit}"
    return f"PT{seconds}S" if seconds else ""


def to_events(record: Record, stream: Stream | None, context: Context[Any]) -> list[Event]:
    """Return the observation of a record, and the alarm level where a gauge has them."""
    value = record.value
    if not isinstance(value, dict):
        raise Skip("wrong_type", f"an Observation is an object, not {shown(value)}", repair="send Observations as objects")
    at, period = when(value)
    if stream is None:
        name = stream_id(record) or "?"
        raise Skip("unknown_datastream", f"of the Datastream {shown(name)} nobody said what it measures and in which unit", field="Datastream", repair="ask with $expand=Datastream, and keep /Datastreams readable")
    number = measured(value.get("result"), stream)
    quality = value.get("resultQuality")
    said = str(quality.get("quality") or quality.get("status") or "") if isinstance(quality, dict) else fields.text(value, "resultQuality") or ""
    asked = doubt("marked", what=said[:40]) if said.lower() in ("bad", "suspect", "questionable", "doubtful") else None
    version = fields.moment(value.get("resultTime"), "resultTime") if "/" not in str(value.get("resultTime") or "") else None
    subject = f"thing-{stream.thing}"
    found = [context.event(subject, at, Observation(stream.metric, number, stream.to, stream.area, period, version, doubt=asked))]
    if stream.alarms and number is not None:
        level = sum(number >= Decimal(str(limit)) for limit in stream.alarms)
        found.append(context.event(subject, at, Observation("water_alarm", Decimal(level), "1", stream.area, period, version)))
    return found


class Hours:
    """The hourly means of the pollutants of every station, from which the index follows."""

    def __init__(self, stamped_at_end: bool) -> None:
        self._end = stamped_at_end
        self._values: dict[tuple[str, str, datetime], dict[datetime, Decimal]] = defaultdict(dict)
        self.stations: dict[str, str | None] = {}

    def add(self, stream: Stream, at: datetime, period: str, value: Decimal | None) -> None:
        """Take in a measurement; of two of one instant the later one counts."""
        if stream.metric not in vn_aqi.POLLUTANTS or value is None:
            return
        inside = at - timedelta(microseconds=1) if self._end and not period else at
        self._values[(stream.thing, stream.metric, hour_of(inside))][at] = value
        self.stations[stream.thing] = stream.area

    def mean(self, thing: str, metric: str, hour: datetime) -> Decimal | None:
        values = self._values.get((thing, metric, hour))
        return sum(values.values(), Decimal(0)) / len(values) if values else None

    def of_hour(self, thing: str, hour: datetime) -> tuple[int, str] | None:
        """Return the index of a complete hour."""
        return vn_aqi.of_hour({m: [self.mean(thing, m, hour - i * HOUR) for i in range(vn_aqi.NOWCAST_HOURS)] for m in vn_aqi.POLLUTANTS})

    def of_day(self, thing: str, midnight: datetime) -> tuple[int, str] | None:
        """Return the index of the day that begins at `midnight`."""
        return vn_aqi.of_day({m: [self.mean(thing, m, midnight + i * HOUR) for i in range(24)] for m in vn_aqi.POLLUTANTS})


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def index_event(value: Mapping[str, Any], context: Context[Any]) -> Event:
    """Return the observation of an index that was computed here: metric vn_aqi.hour or vn_aqi.day."""
    at, version = datetime.fromisoformat(value["at"]), datetime.fromisoformat(value["version"])
    more = {"decided_by": value["decided_by"], "band": vn_aqi.band(int(value["index"]))}
    period = {"vn_aqi.hour": "PT1H", "vn_aqi.day": "P1D"}[value["metric"]]
    return context.event(f"thing-{value['thing']}", at, Observation(value["metric"], Decimal(value["index"]), "1", value["area"], period, version, attributes=more))


def state_event(value: Mapping[str, Any], context: Context[Any]) -> Event:
    """Return the asset of a station that fell silent or speaks again."""
    return context.event(f"thing-{value['thing']}", datetime.fromisoformat(value["at"]), Asset(kind="station", state=value["state"]))


def spoken(records: Iterable[Record]) -> list[datetime]:
    """Return the times of those Observations that say one."""
    found = []
    for record in records:
        try:
            found.append(when(record.value)[0])
        except (Skip, AttributeError):
            continue
    return found
