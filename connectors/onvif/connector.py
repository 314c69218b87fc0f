"""Reading the SOAP answers of one camera. Prefixes differ from maker to maker, so only local names are looked at.

A camera's clock is often wrong. PullMessages says it (CurrentTime): an event then gets our time, with the camera's own beside
it and the difference as a doubt. The cursor: {"seen": what was told, "subscription": where the camera keeps events for us}.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from pydantic import Field

from connectors.onvif import soap
from ioc.connect import (
    Answer,
    Connector,
    Context,
    Document,
    FieldClass,
    Options,
    Page,
    Record,
    Retriable,
    Seen,
    Skip,
    Unreachable,
    Unreadable,
    each_part,
    fields,
    local,
    mask_page,
    shown,
    unknown_layout,
)
from ioc.doubts import doubt
from ioc.events import Asset, AssetState, Event, Observation

CLOCK_S = 300  # a camera's clock may be off by this much
# last part of a topic -> (metric, name of the item that says it); states of the picture also say whether the camera works
TOPICS = {
    "motion": ("camera.motion", ("IsMotion", "State")), "motionalarm": ("camera.motion", ("State", "IsMotion")), "signalloss": ("camera.signal_loss", ("State", "IsSignalLoss")),
    "imagetooblurry": ("camera.blurred", ("State",)), "imagetoodark": ("camera.dark", ("State",)), "imagetoobright": ("camera.bright", ("State",)), "globalscenechange": ("camera.covered", ("State",)),
    "tamper": ("camera.covered", ("IsTamper", "State")), "digitalinput": ("camera.input", ("LogicalState",)), "hardwarefailure": ("camera.failure", ("Failed", "State")),
}  # fmt: skip
STATES: dict[str, AssetState] = {"camera.signal_loss": "down", "camera.failure": "down", "camera.blurred": "degraded", "camera.dark": "degraded", "camera.bright": "degraded", "camera.covered": "degraded"}


class OnvifOptions(Options):
    camera: str = Field("camera", description="What the camera is called here, the same each time; its own answers do not say.")
    ask: Literal["camera", "gateway"] = Field("gateway", description="Who is asked. camera: the camera itself, as ONVIF asks (POST; events by a subscription). gateway: somebody who keeps its last answers, by GET.")
    device_path: str = Field("device_service", description="Path of the camera's device service, below the feed's url.")
    events_path: str = Field("event_service", description="Path of the camera's event service, below the feed's url.")
    paths: list[str] = Field(["PullMessages", "GetSystemDateAndTime"], description="Paths of the answers a gateway keeps, below the feed's url.")


FIELDS: dict[str, FieldClass] = {
    "topic": "public", "at": "public", "clock": "public", "operation": "public", "data": "public", "kind": "public", "model": "public",
    "Manufacturer": "public", "Model": "public", "FirmwareVersion": "public", "SerialNumber": "personal", "MediaUri.Uri": "personal", "Username": "personal",
}  # fmt: skip


class Onvif(Connector[OnvifOptions]):
    name = "onvif"
    version = "1"
    options = OnvifOptions
    fields = FIELDS
    exempt = {"deletions": "a camera does not say that it was taken down; its management system does (connector cameras)"}  # noqa: RUF012

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        seen, options = Seen(context.cursor.get("seen")), context.options
        if options.ask == "gateway":
            yield from each_part([partial(self._kept, path, seen, context) for path in options.paths])
            yield Page([], {"seen": seen.save(context.oldest)})
            return
        kept: dict[str, str] = dict(context.cursor.get("subscription", {}))
        asked = [partial(self._asked, question, seen, context) for question in (soap.INFORMATION, soap.CLOCK)]
        yield from each_part([*asked, partial(self._pulled, kept, seen, context)])
        yield Page([], {"seen": seen.save(context.oldest), "subscription": kept})

    def _kept(self, path: str, seen: Seen, context: Context[Any]) -> Iterator[Page]:
        yield Page(_fresh(self._read(context.http.get(path, accept="application/soap+xml"), context), seen, context))

    def _asked(self, question: soap.Question, seen: Seen, context: Context[Any]) -> Iterator[Page]:
        yield Page(_fresh(self._read(soap.ask(context.http, context.options.device_path, question), context), seen, context))

    def _pulled(self, kept: dict[str, str], seen: Seen, context: Context[Any]) -> Iterator[Page]:
        """Yield what the camera kept for us; where it knows nothing of a subscription (any more), there is a new one."""
        records = self._first(kept, context)
        for _ in range(soap.MOST_PULLS):
            yield Page(_fresh(records, seen, context))
            if len(records) < soap.MESSAGES:
                return
            records = self._read(soap.pull(context.http, kept), context)

    def _first(self, kept: dict[str, str], context: Context[Any]) -> list[Record]:
        if kept:
            try:
                soap.renew(context.http, kept)
                return self._read(soap.pull(context.http, kept), context)
            except Unreachable:
                raise
            except Retriable:  # it started anew, or forgot us
                kept.clear()
        document = self.document(soap.ask(context.http, context.options.events_path, soap.SUBSCRIBE))
        if document.kind != "xml":
            raise unknown_layout(document, "a SOAP answer of ONVIF")
        found = soap.subscription(document.value)
        if not found:
            self.split(document, context)  # a fault says so
            raise unknown_layout(document, "a subscription with its address")
        kept |= found | {"address": soap.reachable(context.http, found["address"])}
        return self._read(soap.pull(context.http, kept), context)

    def _read(self, answer: Answer, context: Context[Any]) -> list[Record]:
        return self.read(self.document(answer), context)

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        body = next((element for element in document.value.iter() if local(element) == "Body"), None) if document.kind == "xml" and local(document.value) == "Envelope" else None
        answer = next((element for element in body if local(element)), None) if body is not None else None
        if answer is None:
            raise unknown_layout(document, "a SOAP answer of ONVIF")
        kind = local(answer)
        if kind == "Fault":
            raise Unreadable("source_error", "the camera answers with a fault", repair="look at the camera's user and at what is asked", excerpt=mask_page(document.text))
        if kind == "PullMessagesResponse":
            clock = _text(answer, "CurrentTime")
            return [_notification(element, clock) for element in answer if local(element) == "NotificationMessage"]
        if kind == "GetSystemDateAndTimeResponse":
            return [Record({"kind": "clock", "clock": _clock(answer)}, "clock")]
        if kind == "GetDeviceInformationResponse":
            return [Record({"kind": "device", "model": " ".join(filter(None, (_text(answer, "Manufacturer"), _text(answer, "Model"))))}, "device")]
        return [Record({"kind": kind}, "other")]

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        camera, row = context.options.camera, record.value
        if record.kind == "other":
            raise Skip("out_of_scope", f"{shown(row['kind'])} says nothing of the camera's state", field="kind", repair="leave it out of paths")
        if record.kind == "device":
            return [context.event(camera, context.now, Asset(kind="camera", dims={"model": row["model"]}))]
        if record.kind == "clock":
            off = _off(fields.moment(row["clock"], "clock"), context.now)
            if off is None:
                raise Skip("missing_time", "the camera does not say what time it is", field="clock", repair="set the camera's clock")
            return [context.event(camera, context.now, Observation(metric="camera.clock_off", value=Decimal(round(off)), unit="s", doubt=_wrong(off)))]
        return self._event(row, context)

    def _event(self, row: dict[str, Any], context: Context[Any]) -> list[Event]:
        steps = [step.rpartition(":")[2].lower() for step in str(row["topic"]).split("/")]  # tns1:VideoSource/ImageTooDark/AnalyticsService
        topic = next((step for step in reversed(steps) if step in TOPICS), "")
        metric, names = TOPICS.get(topic, ("", ()))
        if not metric:
            raise Skip("out_of_scope", f"nothing is known of the topic {shown(row['topic'])}", field="topic", repair="nothing to do, or name it in TOPICS")
        said = next((row["data"][name] for name in names if name in row["data"]), None)
        on = fields.true({"data": said}, "data")
        if on is None:
            raise Skip("missing_value", f"the event does not say {' or '.join(names)}", field="data", repair="send the state in its Data")
        at, off = fields.moment(row["at"], "UtcTime"), _off(fields.moment(row["clock"], "CurrentTime"), context.now)
        if at is None:
            raise Skip("missing_time", "the event has no UtcTime", field="at", repair="send UtcTime")
        wrong = _wrong(off) if off is not None else None
        told = {"topic": topic, "at_camera": at.isoformat()} if wrong else {"topic": topic}
        when = context.now if wrong or at > context.now else at
        events = [context.event(context.options.camera, when, Observation(metric=metric, value=Decimal(int(on)), doubt=wrong, attributes=told))]
        if metric in STATES:
            events.append(context.event(context.options.camera, when, Asset(kind="camera", state=STATES[metric] if on else "ok", doubt=wrong)))
        return events


def _fresh(records: list[Record], seen: Seen, context: Context[Any]) -> list[Record]:
    """Return what was not told yet. How wrong the clock is, is told at each look."""
    return [record for record in records if record.kind not in ("event", "device") or seen.new({key: value for key, value in record.value.items() if key != "clock"}, context.now)]


def _notification(element: Any, clock: str | None) -> Record:
    inner = next((e for e in element.iter() if local(e) == "Message" and e.get("UtcTime")), None)
    data: dict[str, str] = {}
    for part in element.iter():
        if local(part) == "Data":
            data |= {str(item.get("Name")): str(item.get("Value")) for item in part.iter() if local(item) == "SimpleItem"}
    return Record(
        {"topic": _text(element, "Topic") or "", "at": inner.get("UtcTime") if inner is not None else None, "operation": inner.get("PropertyOperation") if inner is not None else None, "data": data, "clock": clock},
        "event",
    )


def _text(element: Any, name: str) -> str | None:
    found = next((inner for inner in element.iter() if local(inner) == name), None)
    return (found.text or "").strip() or None if found is not None else None


def _clock(answer: Any) -> str | None:
    """Return the camera's UTC clock as ISO 8601; None when it does not say one, or one that cannot be."""
    utc = next((element for element in answer.iter() if local(element) == "UTCDateTime"), None)
    if utc is None:
        return None
    parts = {local(element): element.text for element in utc.iter()}
    try:
        year, month, day, hour, minute, second = (int(parts[name] or "") for name in ("Year", "Month", "Day", "Hour", "Minute", "Second"))
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).isoformat()
    except (KeyError, ValueError):
        return None


def _off(clock: datetime | None, now: datetime) -> float | None:
    return (clock - now).total_seconds() if clock else None


def _wrong(off: float) -> str | None:
    return doubt("clock_ahead" if off > 0 else "clock_behind", s=f"{abs(off):.0f}") if abs(off) > CLOCK_S else None
