"""A document -> the case of that document; a recall, update or replacement -> the case of the document it names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET

from connectors.edxml.envelope import document_of, missing_document, moment, part, parts
from ioc.connect import Context, Skip, fields, shown
from ioc.events import Case, Event

NEW, RECALL, UPDATE, REPLACE = "0", "1", "2", "3"


def to_events(value: Mapping[str, Any], context: Context[Any]) -> list[Event]:
    """Return the events of a document message, one for each document it speaks of; raise `Skip`."""
    header, trace = part(value, "MessageHeader"), part(value, "TraceHeaderList")
    times = [at for item in parts(trace, "TraceHeader") if (at := moment(item, "Timestamp", context)) is not None]
    if not times:
        raise Skip("missing_time", "TraceHeader.Timestamp is missing", field="TraceHeaderList.TraceHeader.Timestamp", repair="send when the document was sent, yyyy/MM/dd HH:mm:ss")
    business = part(trace, "Bussiness")
    kind = fields.text(business, "BussinessDocType") or NEW
    if kind not in (NEW, RECALL, UPDATE, REPLACE):
        raise Skip("unknown_code", f"BussinessDocType is {shown(kind)}; known are 0 to 3", field="TraceHeaderList.Bussiness.BussinessDocType")
    own = _document_id(header)
    ours, direction = _ours(header, context)
    if kind == NEW:
        return [context.event(own, max(times), _new(header, value, ours, direction, min(times), context))]
    # What is meant is named in the header, or in the business part: one document, or all that are replaced.
    named = [part(header, "ResponseFor"), {"DocumentId": business.get("DocumentId")}, *parts(part(business, "ReplacementInfoList"), "ReplacementInfo")]
    old = list(dict.fromkeys(id_ for answer in named if (id_ := document_of(answer)) is not None))
    if not old:
        raise missing_document()
    case = Case(status="closed", outcome="recalled", closed_at=max(times)) if kind == RECALL else _changed(header, value, ours, direction, context)
    return [context.event(id_, max(times), case) for id_ in old]


def _new(header: Mapping[str, Any], value: Mapping[str, Any], ours: str, direction: str, sent: datetime, context: Context[Any]) -> Case:
    return Case(
        status="open",
        native_status=None,
        outcome=None,
        category=fields.text(part(header, "DocumentType"), "Type"),
        title=fields.text(part(header, "DocumentType"), "TypeName"),
        agency=ours,
        level=level_of(ours),
        opened_at=sent,
        due_at=_due(header, context),
        closed_at=None,
        dims=_dims(header, value, direction),
    )


def _changed(header: Mapping[str, Any], value: Mapping[str, Any], ours: str, direction: str, context: Context[Any]) -> Case:
    """An update says what the document is now; it neither opens nor closes it."""
    return Case(
        category=fields.text(part(header, "DocumentType"), "Type"),
        title=fields.text(part(header, "DocumentType"), "TypeName"),
        agency=ours,
        level=level_of(ours),
        due_at=_due(header, context) if fields.text(header, "DueDate") else UNSET,
        dims=_dims(header, value, direction),
    )


def _document_id(header: Mapping[str, Any]) -> str:
    if fields.text(header, "DocumentId") is not None:
        return fields.identifier(header, "DocumentId")
    code = part(header, "Code")
    made = (
        fields.text(part(header, "From"), "OrganId"), fields.text(part(header, "PromulgationInfo"), "PromulgationDate"),
        fields.text(code, "CodeNumber"), fields.text(code, "CodeNotation"),
    )  # fmt: skip
    if not all(made):
        raise Skip("missing_id", "DocumentId is missing, and cannot be put together from OrganId, date, number and notation", field="MessageHeader.DocumentId", repair="send the DocumentId")
    return f"{made[0]},{made[1]},{made[2]}/{made[3]}"


def _ours(header: Mapping[str, Any], context: Context[Any]) -> tuple[str, str]:
    """Return our agency and the direction seen from it; a document between two of ours counts as sent."""
    suffix = "." + context.options.organ_suffix.strip(".")
    sender = fields.text(part(header, "From"), "OrganId")
    if sender is None:
        raise Skip("missing_id", "From.OrganId is missing", field="MessageHeader.From.OrganId", repair="send the sender's OrganId")
    if sender.endswith(suffix):
        return sender, "sent"
    for receiver in parts(header, "To"):
        if (organ := fields.text(receiver, "OrganId")) is not None and organ.endswith(suffix):
            return organ, "received"
    raise Skip("out_of_scope", f"neither sender nor receiver is an agency of {suffix}", field="MessageHeader.To.OrganId", repair="set the option organ_suffix to this province's group")


def _due(header: Mapping[str, Any], context: Context[Any]) -> datetime | None:
    """The last second of the day the document is due."""
    return fields.slashed(fields.text(header, "DueDate"), "DueDate", context.zone, end_of_day=True)


def _dims(header: Mapping[str, Any], value: Mapping[str, Any], direction: str) -> dict[str, str]:
    priority = fields.text(part(header, "OtherInfo"), "Priority") or "0"
    if priority not in ("0", "1", "2", "3", "4"):
        raise Skip("unknown_code", f"Priority is {shown(priority)}; known are 0 to 4", field="MessageHeader.OtherInfo.Priority")
    return {"direction": direction, "signed": "yes" if value.get("Signature") else "no", "priority": priority}


def level_of(organ: str) -> str | None:
    """Return province or commune by the agency's code: 0NN.00.00.H55 is a department, 000.0NN.NN.H55 a commune."""
    groups = organ.split(".")
    if len(groups) < 3 or not all(group.isdigit() for group in groups[:-1]):
        return None
    if groups[0].strip("0"):
        return "province"
    return "commune" if any(group.strip("0") for group in groups[1:-1]) else "province"
