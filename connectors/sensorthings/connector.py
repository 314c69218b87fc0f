"""Reading a SensorThings service: what is new every poll, the last two days once an hour; and the index that follows.

The cursor: {"streams": {id: Stream}, "streams_at": time, "things": {id: mark}, "newest": time, "seen": ..., "reread": the hour of
the last long reading, "told": {"thing metric time": index}, "heard": {thing: time}, "states": {thing: state}}.

Nothing says what was corrected or came late, so the last two days are read again in every new hour; then the index of
each complete hour and of yesterday is computed from what is there, and told when it is new or another.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
from pydantic import Field

from connectors.sensorthings import readings, vn_aqi
from connectors.sensorthings.streams import Stream, measured, named_stream, sensor, station, stream_of
from ioc.clock import day_start, local_day
from ioc.connect import Connector, Context, Document, Options, Page, Record, Seen, Sense, Skip, Walk, digest
from ioc.events import MAX_AHEAD, Event

LONG = timedelta(hours=49)
_STREAMS = "Datastreams"
_THING = "Thing($expand=Locations)"


class SensorThingsOptions(Options):
    path: str = Field("", description="Path of the service below the feed's url, for example FROST-Server/v1.1.")
    page_size: int = Field(1000, ge=1, le=10_000, description="Entities a page ($top); the service may send fewer.")
    overlap_s: int = Field(3600, ge=0, le=604_800, description="How much further back than the newest measurement every poll asks.")
    refresh_s: int = Field(3600, ge=0, le=604_800, description="How often stations and Datastreams are read again.")
    silent_s: int = Field(10_800, ge=60, le=2_678_400, description="A station that sent nothing for so long is down.")
    stamp: str = Field("start", pattern="^(start|end)$", description="Does the time of an hourly value without interval name the hour's start or its end?")
    streams: dict[str, str] = Field(default_factory=dict, description="Id of a Datastream -> its metric and unit ('pressure hPa'), where the service does not tell.")
    metrics: dict[str, str] = Field(default_factory=dict, description="Name of an ObservedProperty or Datastream -> metric, where the name does not tell.")


class SensorThings(Connector[SensorThingsOptions]):
    name = "sensorthings"
    version = "1"
    options = SensorThingsOptions
    fields = {  # noqa: RUF012
        "@iot.id": "internal", "phenomenonTime": "public", "resultTime": "public", "result": "public", "resultQuality": "internal", "resultQuality.quality": "public",
        "resultQuality.status": "public", "Datastream.@iot.id": "internal", "name": "public", "unitOfMeasurement.name": "public", "unitOfMeasurement.symbol": "public", "unitOfMeasurement.definition": "public", "observedArea": "public",
        "ObservedProperty.name": "public", "properties.commune_code": "public",
        "properties.alarm1": "public", "properties.alarm2": "public", "properties.alarm3": "public", "Thing.@iot.id": "internal", "Thing.name": "public",
        "Thing.properties.commune_code": "public", "Thing.Locations.location": "public",
        "Locations.location": "public",
        "thing": "internal", "metric": "public", "at": "public", "version": "public", "index": "public", "decided_by": "public", "area": "public", "state": "public",
    }  # fmt: skip
    # Above the table of VN_AQI a value may be, and is asked about; so is one a thousand times its siblings (mg for µg).
    sense = {metric: Sense(high=vn_aqi.TOP[metric], siblings=True) for metric in vn_aqi.POLLUTANTS}  # noqa: RUF012
    exempt = {"deletions": "SensorThings says nothing of an entity that was deleted, except by MQTT; what was measured stays"}  # noqa: RUF012

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        cursor = dict(context.cursor)
        yield from self._stations(context, cursor)
        yield from self._observations(context, cursor)

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        return readings.split(document)

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if record.kind == "thing":
            return [station(record.value, context)]
        if record.kind == "datastream":
            return [sensor(record.value, context)]
        if record.kind == "unusable":
            raise record.hints["why"]
        if record.kind == "index":
            return [readings.index_event(record.value, context)]
        if record.kind == "state":
            return [readings.state_event(record.value, context)]
        if record.kind in ("location", "past_location", "feature", "sensor", "property", "multi_datastream"):
            raise readings.left_out(record.kind)
        return readings.to_events(record, self._stream(record, context), context)

    def _stream(self, record: Record, context: Context[Any]) -> Stream | None:
        """Return what the record's Datastream measures: known from /Datastreams, or said in the record itself."""
        if "of" in record.hints:
            return record.hints["of"]  # type: ignore[no-any-return]
        inner = record.value.get("Datastream") if isinstance(record.value, dict) else None
        if isinstance(inner, dict) and "unitOfMeasurement" in inner:
            return stream_of(inner, context)
        return named_stream(readings.stream_id(record), context)

    # --- stations and what they measure ---------------------------------------------------------------------------

    def _stations(self, context: Context[Any], cursor: dict[str, Any]) -> Iterator[Page]:
        read_at = cursor.get("streams_at")
        if read_at and context.now - datetime.fromisoformat(read_at) < timedelta(seconds=context.options.refresh_s):
            return
        streams: dict[str, Any] = {}
        things: dict[str, str] = {}
        measures: set[tuple[str, str]] = set()
        records: list[Record] = []
        asked = {"$expand": f"{_THING},ObservedProperty", "$top": context.options.page_size}
        for page in self._pages(context, _STREAMS, asked):
            for record in page:
                value = record.value
                if record.defect or record.kind != "datastream" or not isinstance(value, dict):
                    records += [record] if record.kind != "multi_datastream" else []
                    continue
                try:
                    stream = stream_of(value, context)
                    if (stream.thing, stream.metric) in measures:
                        raise Skip("contradiction", f"two Datastreams of one station measure {stream.metric}", field="ObservedProperty", repair="name one of them otherwise by the option metrics")
                    measures.add((stream.thing, stream.metric))
                    streams[str(value.get("@iot.id"))] = msgspec.to_builtins(stream)
                except Skip as exc:
                    records.append(Record(value, "unusable", {"why": exc}))
                thing = value.get("Thing")
                if isinstance(thing, dict) and things.get(str(thing.get("@iot.id"))) is None:
                    things[str(thing.get("@iot.id"))] = digest(thing)
                    if cursor.get("things", {}).get(str(thing.get("@iot.id"))) != digest(thing):
                        records.append(Record(thing, "thing"))
        cursor |= {"streams": streams, "streams_at": context.now.isoformat(), "things": things}
        yield Page(records)

    # --- what they measured ---------------------------------------------------------------------------------------

    def _observations(self, context: Context[Any], cursor: dict[str, Any]) -> Iterator[Page]:
        streams = {name: msgspec.convert(value, Stream) for name, value in cursor.get("streams", {}).items()}
        newest = datetime.fromisoformat(cursor["newest"]) if cursor.get("newest") else None
        hour = readings.hour_of(context.now)
        long = cursor.get("reread") != hour.isoformat()
        since = context.oldest
        if newest is not None:
            since = newest - timedelta(seconds=context.options.overlap_s)
            since = min(since, hour - LONG) if long else since
        seen = Seen(cursor.get("seen"), since, limit=10_000)
        hours = readings.Hours(context.options.stamp == "end")
        heard: dict[str, str] = dict(cursor.get("heard", {}))
        asked = {
            "$filter": f"phenomenonTime ge {since.strftime('%Y-%m-%dT%H:%M:%SZ')}", "$orderby": "phenomenonTime asc",
            "$expand": "Datastream($select=@iot.id)", "$top": context.options.page_size,
        }  # fmt: skip
        for page in self._pages(context, "Observations", asked):
            fresh: list[Record] = []
            for record in page:
                stream = streams.get(readings.stream_id(record)) or named_stream(readings.stream_id(record), context)
                if stream is not None:
                    record.hints["of"] = stream
                at = self._take(record, stream, hours, heard)
                if at is not None and at <= context.now + MAX_AHEAD:
                    newest = at if newest is None else max(newest, at)
                if seen.new(record.value, at):
                    fresh.append(record)
            yield Page(fresh)
        told: dict[str, int] = dict(cursor.get("told", {}))
        states: dict[str, str] = dict(cursor.get("states", {}))
        records = list(self._indices(hours, hour, told, context)) if long else []
        records += _states(heard, states, context)
        keep = (hour - LONG).isoformat()
        cursor |= {
            "newest": newest.isoformat() if newest else None, "seen": seen.save(hour - LONG), "reread": hour.isoformat(), "heard": heard, "states": states,
            "told": {key: index for key, index in told.items() if key.rpartition(" ")[2] >= keep},
        }  # fmt: skip
        yield Page(records, cursor)

    def _take(self, record: Record, stream: Stream | None, hours: readings.Hours, heard: dict[str, str]) -> datetime | None:
        """Note what the index and the station's state need of a record; return its time."""
        try:
            at, period = readings.when(record.value)
            if stream is not None:
                heard[stream.thing] = max(at.isoformat(), heard.get(stream.thing, ""))
                hours.add(stream, at, period, measured(record.value.get("result"), stream))
        except (Skip, AttributeError):
            return next(iter(readings.spoken([record])), None)  # what is wrong with it is said when it is mapped
        return at

    def _indices(self, hours: readings.Hours, hour: datetime, told: dict[str, int], context: Context[Any]) -> Iterator[Record]:
        """Yield the index of every complete hour of two days, and of yesterday, that was not told like this."""
        midnight = day_start(local_day(context.now, context.zone) - timedelta(days=1), context.zone)
        for thing, area in sorted(hours.stations.items()):
            found = [("vn_aqi.hour", at, hours.of_hour(thing, at)) for at in (hour - i * readings.HOUR for i in range(36, 0, -1))]
            found.append(("vn_aqi.day", midnight, hours.of_day(thing, midnight)))
            for metric, at, index in found:
                key = f"{thing} {metric} {at.isoformat()}"
                if index is None or told.get(key) == index[0]:
                    continue
                told[key] = index[0]
                yield Record(
                    {"thing": thing, "metric": metric, "at": at.isoformat(), "index": index[0], "decided_by": index[1], "area": area, "version": context.now.isoformat()}, "index"
                )

    def _pages(self, context: Context[Any], name: str, asked: dict[str, Any]) -> Iterator[list[Record]]:
        path = f"{context.options.path.strip('/')}/{name}".lstrip("/")
        answer = context.http.get(path, asked)
        walk = Walk()
        while True:
            document = self.document(answer)
            records = self.read(document, context)
            walk.step(answer.url, [record.value for record in records])
            yield records
            link = document.value.get("@iot.nextLink") if isinstance(document.value, dict) else None
            if not isinstance(link, str) or not link:
                return
            answer = context.http.get(context.http.absolute(link, answer.url))


def _states(heard: dict[str, str], states: dict[str, str], context: Context[Any]) -> Iterator[Record]:
    """Yield the stations that fell silent, or speak again."""
    for thing, at in sorted(heard.items()):
        silent = context.now - datetime.fromisoformat(at) > timedelta(seconds=context.options.silent_s)
        state = "down" if silent else "ok"
        if states.get(thing) != state:
            states[thing] = state
            yield Record({"thing": thing, "state": state, "at": context.now.isoformat()}, "state")
