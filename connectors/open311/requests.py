"""One service request -> one case. Descriptions, addresses, reporters and pictures are never read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ioc.connect import (
    Context,
    Document,
    Record,
    Row,
    Skip,
    children,
    fields,
    local,
    rows,
    shown,
    source_error,
    unknown_layout,
)
from ioc.doubts import doubt, together
from ioc.events import Case, Event

LISTS = ("service_requests", "requests", "data")
_DUPLICATE = re.compile(r"\bduplicate|trùng|trung_lap|\btrung\b", re.IGNORECASE)
_REJECTED = re.compile(r"reject|refus|invalid|not accepted|từ chối|tu_choi|tu choi|không tiếp nhận", re.IGNORECASE)


def split(document: Document) -> list[Record]:
    """Return the requests of an answer: a list, one request, XML; services and tokens come as records of their kind."""
    if document.kind == "xml":
        return _split_xml(document)
    if document.kind == "ndjson":
        return rows(document, "request")
    value = document.value
    if isinstance(value, dict):
        inner = next((value[name] for name in LISTS if isinstance(value.get(name), list)), None)
        value = inner if inner is not None else [value]
        if inner is None and not _known(value[0]):
            raise unknown_layout(document, "an Open311 answer")
    if not isinstance(value, list) or (value and not any(_known(item) for item in value)):
        raise unknown_layout(document, "an Open311 answer")
    return [Record(item, _kind(item)) for item in value]


def _split_xml(document: Document) -> list[Record]:
    root = document.value
    if local(root) in ("error", "errors"):
        raise source_error(document, next((inner.text for inner in root.iter() if local(inner) == "code"), None))
    if local(root) in ("service_requests", "requests"):
        return [Record(children(item), "request") for item in root if local(item) == "request"]
    if local(root) == "services":
        return [Record(children(item), "service") for item in root if local(item) == "service"]
    if local(root) in ("request", "service_definition", "service"):
        return [Record(children(root), "request" if local(root) == "request" else "service")]
    raise unknown_layout(document, "an Open311 answer")


def _known(item: Any) -> bool:
    return isinstance(item, dict) and ("service_request_id" in item or "service_code" in item or "token" in item)


def _kind(item: Any) -> str:
    if isinstance(item, dict) and "service_request_id" not in item and "status" not in item and "service_code" in item:
        return "service"
    return "request"


def to_events(record: Record, context: Context[Any]) -> list[Event]:
    """Return the case of a request. Its time is the update; without one, the request, or when we saw the change."""
    value = record.value
    if isinstance(value, Row) or not isinstance(value, dict):
        raise Skip("wrong_type", f"a request is an object, not {shown(value)}", repair="send service requests as objects")
    if record.kind == "service":
        raise Skip("out_of_scope", "this describes a service, not a report", field="service_code", repair="nothing to do: read /requests, not /services")
    subject = fields.identifier(value, "service_request_id")
    if "token" in value and "status" not in value:
        raise Skip("out_of_scope", "this answers a token, it is no report", field="token", repair="nothing to do: read /requests, not /tokens")
    requested = fields.moment(value.get("requested_datetime"), "requested_datetime")
    updated = fields.moment(value.get("updated_datetime"), "updated_datetime")
    if requested is None:
        raise Skip("missing_time", "requested_datetime is missing", field="requested_datetime", repair="send when the report was made, with its zone")
    time = record.hints.get("changed_at") or updated or requested
    return [context.event(subject, time, _case(value, requested, updated, time, context))]


def _case(value: Mapping[str, Any], requested: datetime, updated: datetime | None, time: datetime, context: Context[Any]) -> Case:
    closed = _closed(value)
    more = value.get("extended_attributes")
    more = more if isinstance(more, dict) else {}
    code = fields.text(more, "commune_code") or _area_id(value, context)
    place = context.place(fields.number(value, "lat"), fields.number(value, "long"), context.area(code, "commune_code"))
    doubts = [place.doubt] if place.doubt else []
    if updated is not None and updated < requested:
        doubts.append(doubt("changed_early"))
    if closed and updated is None:
        doubts.append(doubt("no_end"))
    detailed = fields.text(more, "detailed_status")
    return Case(
        status="closed" if closed else "open",
        native_status=detailed or fields.text(value, "status"),
        outcome=_outcome(value, detailed) if closed else None,
        category=fields.text(value, "service_code"),
        title=fields.text(value, "service_name"),
        area=place.area,
        agency=fields.text(value, "agency_responsible"),
        opened_at=requested,
        due_at=fields.moment(value.get("expected_datetime"), "expected_datetime"),
        closed_at=max(updated or time, requested) if closed else None,
        rating=fields.rating(more, "rating"),
        lat=place.lat,
        lon=place.lon,
        doubt=together(doubts),
    )


def _closed(value: Mapping[str, Any]) -> bool:
    status = (fields.text(value, "status") or "").lower()
    if status not in ("open", "closed"):
        raise Skip("unknown_status", f"status is {shown(value.get('status'))}; Open311 has open and closed", field="status", repair="map the native states to open or closed")
    return status == "closed"


def _outcome(value: Mapping[str, Any], detailed: str | None) -> str:
    # The notes are free text: looked at, never kept.
    notes = value.get("status_notes")
    text = f"{detailed or ''} {notes[:500] if isinstance(notes, str) else ''}"
    if _DUPLICATE.search(text):
        return "duplicate"
    return "rejected" if _REJECTED.search(text) else "resolved"


def _area_id(value: Mapping[str, Any], context: Context[Any]) -> str | None:
    """An address_id is a commune code only where it is one; other cities number their addresses."""
    code = fields.text(value, "address_id")
    if code is None or not (code.isdigit() and len(code) == 5):
        return None
    return code
