"""One roster record -> one fact. Users, demographics, relationships and roles are never read at all.

Of an enrolment stays that there is one: its role, its class or school, its beginning and end; no user. The subject
is a digest of the enrolment's own id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType

from connectors.oneroster.layouts import LEFT_OUT, PERSONS, reference
from ioc.connect import Context, FieldClass, Record, Skip, fields, shown
from ioc.events import Asset, AssetState, Case, Event, event_id

FIELDS: dict[str, FieldClass] = {
    "sourcedId": "internal",
    "status": "public",
    "dateLastModified": "public",
    "name": "public",
    "title": "public",
    "type": "public",
    "role": "public",
    "startDate": "public",
    "endDate": "public",
    "beginDate": "public",
    "metadata.communeCode": "public",
    "school.sourcedId": "internal",
    "class.sourcedId": "internal",
    "classSourcedId": "internal",
    "schoolSourcedId": "internal",
    "orgSourcedId": "internal",
    "user.sourcedId": "personal",
    "userSourcedId": "personal",
    "givenName": "personal",
    "familyName": "personal",
    "email": "personal",
    "phone": "personal",
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_STATES: dict[str, AssetState] = {"active": "ok", "inactive": "retired"}


def to_events(record: Record, context: Context[Any]) -> list[Event]:
    """Return the fact of a record; raise `Skip`, with the body withheld for persons."""
    if record.kind in PERSONS:
        raise Skip("personal_record", f"{record.kind}: records of persons are never read", repair="leave this list out; the connector does not need it", body=False)
    value = record.value
    if not isinstance(value, dict):
        raise Skip("wrong_type", f"a record is an object, not {shown(value)}", repair="send records as objects")
    if record.kind in LEFT_OUT:
        raise Skip("out_of_scope", f"the list {record.kind} is not read", repair="leave this list out")
    time = _changed(record, context)
    # A source that does not say when a record changed: it is so as we see it.
    seen = time or record.hints.get("modified") or context.now
    if record.kind == "enrollments":
        return [_enrolment(value, time, seen, context)]
    subject = fields.identifier(value, "sourcedId")
    if _status(value) == "tobedeleted":
        return [context.event(subject, seen, Asset(deleted=True))]
    return [context.event(subject, seen, _asset(record.kind, value, subject, context))]


def _changed(record: Record, context: Context[Any]) -> datetime | None:
    """Return dateLastModified: a time with its zone; in files of 1.0 only a day."""
    text = fields.text(record.value, "dateLastModified")
    if text is not None and "line" in record.hints and _DAY.fullmatch(text):
        return fields.start_of(fields.day(text, "dateLastModified"), context.zone)
    return fields.moment(text, "dateLastModified")


def _asset(kind: str, value: Mapping[str, Any], subject: str, context: Context[Any]) -> Asset:
    state = _STATES[_status(value)]
    if kind == "orgs":
        type_ = fields.text(value, "type")
        area = context.area(_commune(value, context), f"metadata.{context.options.commune_field}")
        return Asset(kind="school" if type_ == "school" else "agency", name=fields.text(value, "name"), area=area, state=state)
    if kind == "classes":
        school = reference(dict(value), "school") or reference(dict(value), "org")
        dims = {"school": school} if school else {}
        return Asset(kind="class", name=fields.text(value, "title"), area=school_areas(context).get(school or ""), state=state, dims=dims)
    days = {name: str(fields.day(value[name], name)) for name in ("startDate", "endDate") if value.get(name)}
    return Asset(kind="academic_session", name=fields.text(value, "title"), state=state, dims=days | _typed(value))


def _typed(value: Mapping[str, Any]) -> dict[str, str]:
    type_ = fields.text(value, "type")
    return {"type": type_} if type_ else {}


def _enrolment(value: Mapping[str, Any], time: datetime | None, seen: datetime, context: Context[Any]) -> Event:
    if fields.text(value, "sourcedId") is None:
        # Class, user and role would identify it: a person. A digest of them would still be one.
        raise Skip("missing_id", "the enrolment has no sourcedId of its own; what else identifies it is a person", field="sourcedId", repair="export OneRoster 1.2 with sourcedId", body=False)
    subject = f"enr-{event_id('enrollment', fields.identifier(value, 'sourcedId'))[:16]}"
    role = fields.text(value, "role")
    school, class_ = reference(dict(value), "school"), reference(dict(value), "class")
    status = _status(value)
    begin = value.get("beginDate")
    opened: datetime | UnsetType = fields.start_of(fields.day(begin, "beginDate"), context.zone) if begin else UNSET
    if opened is not UNSET and opened > context.now:
        opened = UNSET  # enrolled for a term that has not begun
    case = Case(
        status="open" if status == "active" else "closed",
        native_status=status,
        outcome=None if status == "active" else "ended",
        area=school_areas(context).get(school or ""),
        agency=school or class_,
        opened_at=opened,
        closed_at=None if status == "active" else seen,
        dims={"resource": "enrollment"} | ({"role": role} if role else {}),
    )
    return context.event(subject, seen, case)


def _status(value: Mapping[str, Any]) -> str:
    """A missing status means active: real answers leave it out."""
    status = (fields.text(value, "status") or "active").lower()
    if status not in ("active", "inactive", "tobedeleted"):
        raise Skip("unknown_status", f"status is {shown(value.get('status'))}; known are active, inactive, tobedeleted", field="status")
    return status


def _commune(value: Mapping[str, Any], context: Context[Any]) -> str | None:
    metadata = value.get("metadata")
    name = context.options.commune_field
    found = fields.text(metadata, name) if isinstance(metadata, dict) else None
    return found or fields.text(value, f"metadata.{name}")


def school_areas(context: Context[Any]) -> dict[str, str]:
    """Return school -> commune as known so far; the same dict during one poll."""
    areas: dict[str, str] = context.memory.setdefault("areas", dict(context.cursor.get("areas") or {}))
    return areas


def learn_areas(records: list[Record], context: Context[Any]) -> None:
    """Note in which commune each org lies, before anything is mapped."""
    areas = school_areas(context)
    for record in records:
        if record.kind != "orgs" or not isinstance(record.value, dict):
            continue
        try:
            area = context.area(_commune(record.value, context), "communeCode")
            if area is not None:
                areas[fields.identifier(record.value, "sourcedId")] = area
        except Skip:
            continue  # said when the record is mapped
