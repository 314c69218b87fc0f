"""One FHIR resource -> one fact. An encounter or immunisation keeps its class, place, hour and end; no person.

The ids of encounters and immunisations do not leave either: the subject is a digest of the id, so that nobody finds
a patient's record with it. Times of treatment are cut to the hour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from ioc.connect import Context, FieldClass, Record, Skip, fields, shown
from ioc.doubts import doubt, together
from ioc.events import Asset, AssetState, Case, Event, event_id

OPEN = frozenset({"planned", "arrived", "triaged", "in-progress", "onleave", "unknown"})
CLOSED = {"finished": "finished", "cancelled": "cancelled"}
STATES: dict[str, AssetState] = {"active": "ok", "suspended": "degraded", "inactive": "retired"}
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")

FIELDS: dict[str, FieldClass] = {
    "resourceType": "public",
    "id": "internal",  # of an encounter or immunisation: only a digest of it leaves
    "status": "public",
    "class.code": "public",
    "class.system": "public",
    "vaccineCode.coding.code": "public",
    "vaccineCode.coding.system": "public",
    "location.location.reference": "internal",
    "location.reference": "internal",
    "serviceProvider.reference": "internal",
    "meta.lastUpdated": "internal",
    # Location only
    "name": "public",
    "position.latitude": "public",
    "position.longitude": "public",
    "identifier.system": "public",
    "address.extension.url": "public",
    "address.extension.valueCode": "public",
    "address.extension.valueString": "public",
    # MeasureReport only
    "type": "public",
    "date": "internal",
    "reporter.reference": "internal",
    "group.code.coding.code": "public",
    "group.code.coding.system": "public",
    "group.population.code.coding.code": "public",
    "group.stratifier.stratum.value.coding.code": "public",
    "group.stratifier.stratum.value.coding.system": "public",
    "group.stratifier.stratum.component.value.coding.code": "public",
    "group.stratifier.stratum.component.value.coding.system": "public",
    "group.stratifier.stratum.population.code.coding.code": "public",
    # read, but a dead letter must not tell them: a small count never leaves
    "group.population.count": "personal",
    "group.measureScore.value": "personal",
    "group.stratifier.stratum.population.count": "personal",
    "group.stratifier.stratum.measureScore.value": "personal",
    # never read; of a MeasureReport the Location it is about
    "subject.reference": "personal",
    "patient.reference": "personal",
    "participant.individual.reference": "personal",
    "identifier.value": "personal",
    "telecom.value": "personal",
}


def to_events(record: Record, context: Context[Any]) -> list[Event]:
    """Return the fact of a resource; raise `Skip` (body withheld) for whatever may be about a person."""
    value = record.value
    if record.kind == "Encounter":
        return [_encounter(value, record, context)]
    if record.kind == "Immunization":
        return [_immunization(value, record, context)]
    if record.kind == "Location":
        return [_location(value, context)]
    if record.kind == "deleted":
        return [_deleted(value, context)]
    if record.kind == "manifest":
        raise Skip("out_of_scope", "this is the manifest of a bulk export; the records are in the files it names", repair="give the connector the NDJSON files", body=False)
    if record.kind == "OperationOutcome":
        raise Skip("operation_outcome", f"the server reports: {_issues(value)}", repair="ask whoever runs the server", body=False)
    if not record.kind:
        raise Skip("wrong_type", "a FHIR resource says its resourceType; this does not", field="resourceType", body=False)
    raise Skip("out_of_scope", f"{record.kind} is not read: only Encounter, Immunization, Location and summaries (MeasureReport) are, without persons", field="resourceType", repair="leave it out of the search", body=False)


def _issues(value: Mapping[str, Any]) -> str:
    issues = value.get("issue")
    return ", ".join(f"{shown(i.get('severity'))} {shown(i.get('code'))}" for i in (issues if isinstance(issues, list) else [])[:5] if isinstance(i, dict)) or "no issue"


def _encounter(value: Mapping[str, Any], record: Record, context: Context[Any]) -> Event:
    subject = digest_of("enc", "Encounter", fields.identifier(value, "id"))
    status = fields.text(value, "status")
    period = value.get("period")
    period = period if isinstance(period, dict) else {}
    start, start_doubt = when(period.get("start"), "period.start", context)
    end, _ = when(period.get("end"), "period.end", context)
    time = updated(value) or _first(end, start)
    if time is None:
        raise Skip("missing_time", "neither meta.lastUpdated nor period says when", field="period", repair="send meta.lastUpdated")
    if status == "entered-in-error":
        return context.event(subject, time, Case(deleted=True))
    if status not in OPEN and status not in CLOSED:
        raise Skip("unknown_status", f"status is {shown(value.get('status'))}, which R4 does not have", field="status")
    facility = _facility(value, record)
    closed = status in CLOSED
    doubts = [start_doubt] if start_doubt else []
    if start and end and end < start:
        doubts.append(doubt("ended_early"))
    if closed and end is None:
        doubts.append(doubt("no_end"))
    case = Case(
        status="closed" if closed else "open",
        native_status=status,
        outcome=CLOSED.get(status or ""),
        category=_class(value.get("class")),
        area=_area(facility, context),
        agency=facility,
        opened_at=None if status == "planned" else start,  # a planned one has not begun
        closed_at=(end or fields.to_the_hour(time)) if closed else None,
        doubt=together(doubts),
        dims={"resource": "encounter"},
    )
    return context.event(subject, time, case)


def _immunization(value: Mapping[str, Any], record: Record, context: Context[Any]) -> Event:
    subject = digest_of("imm", "Immunization", fields.identifier(value, "id"))
    status = fields.text(value, "status")
    at, at_doubt = when(value.get("occurrenceDateTime"), "occurrenceDateTime", context)
    time = updated(value) or at
    if time is None:
        raise Skip("missing_time", "occurrenceDateTime is missing", field="occurrenceDateTime", repair="send when it was given; a text (occurrenceString) cannot be counted")
    if status == "entered-in-error":
        return context.event(subject, time, Case(deleted=True))
    if status not in ("completed", "not-done"):
        raise Skip("unknown_status", f"status is {shown(value.get('status'))}, which R4 does not have", field="status")
    if at is None:
        raise Skip("missing_time", "occurrenceDateTime is missing", field="occurrenceDateTime", repair="send when it was given; a text (occurrenceString) cannot be counted")
    facility = _facility(value, record)
    case = Case(
        status="closed",
        native_status=status,
        outcome=status,
        category=_coding(value.get("vaccineCode")),
        area=_area(facility, context),
        agency=facility,
        opened_at=at,
        closed_at=at,
        doubt=at_doubt,
        dims={"resource": "immunization"},
    )
    return context.event(subject, time, case)


def _location(value: Mapping[str, Any], context: Context[Any]) -> Event:
    subject = fields.identifier(value, "id")
    position = value.get("position")
    position = position if isinstance(position, dict) else {}
    status = fields.text(value, "status")
    if status is not None and status not in STATES and status != "entered-in-error":
        raise Skip("unknown_status", f"status is {shown(status)}, which a Location does not have", field="status")
    time = updated(value) or context.now  # a Location without a version is so as we see it
    if status == "entered-in-error":
        return context.event(subject, time, Asset(deleted=True))
    area = context.area(commune_code(value, context), "commune")
    place = context.place(fields.number(position, "latitude"), fields.number(position, "longitude"), area)
    asset = Asset(
        kind="health_facility",
        name=fields.text(value, "name"),
        area=place.area,
        state=STATES[status] if status else UNSET,
        lat=place.lat,
        lon=place.lon,
        doubt=place.doubt,
    )
    return context.event(subject, time, asset)


def _deleted(value: Mapping[str, Any], context: Context[Any]) -> Event:
    """An entry of a history: DELETE Encounter/123."""
    kind, _, rest = str(value["request"]["url"]).strip("/").rpartition("/")
    kind = kind.rpartition("/")[2]
    response = value.get("response")
    time = fields.moment(response.get("lastModified"), "response.lastModified") if isinstance(response, dict) else None
    if kind == "Location":
        return context.event(fields.identifier({"url": rest}, "url"), time or context.now, Asset(deleted=True))
    if kind not in ("Encounter", "Immunization"):
        raise Skip("out_of_scope", "a deletion of something that is not read", field="request.url", body=False)
    return context.event(digest_of(kind[:3].lower(), kind, fields.identifier({"url": rest}, "url")), time or context.now, Case(deleted=True))


def digest_of(prefix: str, kind: str, id_: str) -> str:
    """Return the subject of a thing that is about a person: a digest of its id."""
    return f"{prefix}-{event_id(kind, id_)[:16]}"


def commune_code(location: Mapping[str, Any], context: Context[Any]) -> str | None:
    """Return the commune code of a Location: an identifier, or an extension of the address."""
    system = context.options.commune_system
    for identifier in dicts(location.get("identifier")):
        if identifier.get("system") == system:
            return fields.text(identifier, "value")
    address = location.get("address")
    for extension in dicts(address.get("extension") if isinstance(address, dict) else None):
        if extension.get("url") == system:
            coded = extension.get("valueCoding")
            found = coded if isinstance(coded, dict) else extension
            return next((fields.text(found, name) for name in ("code", "valueCode", "valueString", "valueId") if found.get(name) is not None), None)
    return None


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return what of a list are objects."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _class(value: Any) -> str | None:
    """R4 has a Coding, R5 a list of CodeableConcepts."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        return fields.text(value, "code") or _coding(value)
    return None


def _coding(concept: Any) -> str | None:
    codings = dicts(concept.get("coding") if isinstance(concept, dict) else None)
    return next((code for coding in codings if (code := fields.text(coding, "code"))), None)


def _facility(value: Mapping[str, Any], record: Record) -> str | None:
    """Return the id of the first Location named, else of the Organization."""
    location = value.get("location")
    candidates = [item.get("location") for item in dicts(location)] + [location, value.get("serviceProvider")]
    candidates += [item.get("actor") for item in dicts(value.get("performer")) if "Organization" in str(_reference(item.get("actor")))]
    for candidate in candidates:
        if (found := _id(_reference(candidate), record)) is not None:
            return found
    return None


def referred(value: Any, record: Record) -> str | None:
    """Return the id of what a Reference points to."""
    return _id(_reference(value), record)


def _reference(value: Any) -> str | None:
    reference = value.get("reference") if isinstance(value, dict) else None
    return reference.strip() if isinstance(reference, str) else None


def _id(reference: str | None, record: Record) -> str | None:
    """Return the id a reference points to: relative, absolute, inside the bundle, or by identifier."""
    if not reference or reference.startswith("#"):
        return None
    reference = record.hints.get("references", {}).get(reference) or reference
    if "?" in reference:
        return reference.rpartition("|")[2] or None
    reference = reference.partition("/_history/")[0]
    return reference.removeprefix("urn:uuid:").rpartition("/")[2] or None


def _area(facility: str | None, context: Context[Any]) -> str | None:
    areas: dict[str, str] = context.memory.get("areas", {})
    return areas.get(facility or "")


def updated(value: Mapping[str, Any]) -> datetime | None:
    """Return meta.lastUpdated."""
    meta = value.get("meta")
    return fields.moment(meta.get("lastUpdated"), "meta.lastUpdated") if isinstance(meta, dict) else None


def _first(*times: datetime | None) -> datetime | None:
    return next((at for at in times if at is not None), None)


def when(value: Any, field: str, context: Context[Any]) -> tuple[datetime | None, str | None]:
    """Return a FHIR dateTime cut to the hour, and the doubt of a partial one ("2015-03" is its first day)."""
    if isinstance(value, str) and (partial := _PARTIAL.fullmatch(value.strip())):
        year, month, day = (int(part) if part else 1 for part in partial.groups())
        try:
            at = datetime(year, month, day, tzinfo=context.zone).astimezone(UTC)
        except (ValueError, OverflowError) as exc:
            raise Skip("bad_time", f"{field} is {shown(value)}, not a date", field=field) from exc
        missing = "day" if partial[2] and not partial[3] else "month" if not partial[2] else None
        return at, doubt(f"no_{missing}", what=field) if missing else None
    found = fields.moment(value, field)
    return (fields.to_the_hour(found) if found else None), None
