"""Taking edXML apart: with or without prefix, inside SOAP, flat as in the old form. Attachments are never parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ioc.connect import Context, Document, FieldClass, Record, Skip, children, fields, local, unknown_layout

# Attachments, and the links to them: some senders never declare the prefix xlink.
ATTACHMENTS = re.compile(r"<((?:\w+:)?AttachmentEncoded)\b[^>]*>.*?</\1\s*>|\sxlink:\w+=(?:\"[^\"<>]*\"|'[^'<>]*')", re.DOTALL)

FIELDS: dict[str, FieldClass] = {
    "id": "internal",  # of a listed message
    "type": "internal",
    "MessageHeader.From.OrganId": "internal",
    "MessageHeader.To.OrganId": "internal",
    "MessageHeader.Code.CodeNumber": "public",
    "MessageHeader.Code.CodeNotation": "public",
    "MessageHeader.PromulgationInfo.PromulgationDate": "public",
    "MessageHeader.DocumentType.Type": "public",
    "MessageHeader.DocumentType.TypeName": "public",
    "MessageHeader.DueDate": "public",
    "MessageHeader.OtherInfo.Priority": "public",
    "MessageHeader.DocumentId": "public",
    "MessageHeader.ResponseFor.DocumentId": "public",
    "TraceHeaderList.TraceHeader.OrganId": "internal",
    "TraceHeaderList.TraceHeader.Timestamp": "public",
    "TraceHeaderList.Bussiness.BussinessDocType": "public",
    "TraceHeaderList.Bussiness.DocumentId": "public",
    "TraceHeaderList.Bussiness.ReplacementInfoList.ReplacementInfo.DocumentId": "public",
    "Status.ResponseFor.DocumentId": "public",
    "Status.ResponseFor.OrganId": "internal",
    "Status.From.OrganId": "internal",
    "Status.StatusCode": "public",
    "Status.Timestamp": "public",
    # never read
    "MessageHeader.Subject": "personal",
    "MessageHeader.Content": "personal",
    "MessageHeader.SignerInfo.FullName": "personal",
    "MessageHeader.From.Email": "personal",
    "MessageHeader.From.Telephone": "personal",
    "Status.Description": "personal",
    "Status.StaffInfo.Staff": "personal",
}
_PARTS = ("MessageHeader", "TraceHeaderList", "Status")


def split(document: Document) -> list[Record]:
    """Return the messages of a document: one for each envelope, or one for the whole."""
    if document.kind != "xml":
        raise unknown_layout(document, "an edXML message")
    root = document.value
    envelopes = [element for element in root.iter() if local(element).lower() == "edxmlenvelope"] or [root]
    records = [_record(envelope) for envelope in envelopes]
    if not any(record.kind for record in records):
        raise unknown_layout(document, "an edXML message (no MessageHeader, no Status)")
    return records


def _record(envelope: Any) -> Record:
    value: dict[str, Any] = {}
    for element in envelope.iter():
        name = local(element)
        if name in _PARTS and name not in value:
            value[name] = children(element)
        elif name == "Signature" and (len(element) or (element.text or "").strip()):
            value["Signature"] = True
    header = value.get("MessageHeader")
    if isinstance(header, dict) and "StatusCode" in header and "TraceHeaderList" not in value:
        return Record({"Status": header}, "status")  # a status message may say it all in its MessageHeader
    if "MessageHeader" in value:
        return Record(value, "document")
    return Record(value, "status" if "Status" in value else "")


def part(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a nested element as a dict; of a repeated one the first; {} when it is absent or has no children."""
    found = value.get(name)
    if isinstance(found, list):
        found = next((item for item in found if isinstance(item, dict)), None)
    return found if isinstance(found, dict) else {}


def parts(value: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return all nested elements of a name."""
    found = value.get(name)
    return [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]


def document_of(answer: Mapping[str, Any]) -> str | None:
    """Return the DocumentId a ResponseFor names, put together from its parts where it is missing."""
    if (id_ := fields.text(answer, "DocumentId")) is not None:
        return fields.identifier({"DocumentId": id_}, "DocumentId")
    organ, code, day = (fields.text(answer, name) for name in ("OrganId", "Code", "PromulgationDate"))
    return f"{organ},{day},{code}" if organ and code and day else None


def moment(value: Mapping[str, Any], field: str, context: Context[Any]) -> datetime | None:
    """Return a Timestamp (yyyy/MM/dd HH:mm:ss, no zone: ICT)."""
    return fields.slashed(fields.text(value, field), field, context.zone)


def missing_document() -> Skip:
    return Skip("missing_id", "ResponseFor names no document", field="ResponseFor.DocumentId", repair="send the DocumentId the message speaks of")
