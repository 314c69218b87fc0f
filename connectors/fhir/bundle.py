"""Taking FHIR JSON apart: bundles of any type, single resources, NDJSON of a bulk export, its manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.fhir import measures
from connectors.fhir.resources import commune_code
from ioc.connect import Context, Defect, Document, Record, Retriable, Skip, fields, rows, shown, unknown_layout

_LAST = re.compile(r"[:/]([A-Za-z0-9\-.]{1,64})$")  # of urn:uuid:..., or of an address


def split(document: Document, context: Context[Any]) -> list[Record]:
    """Return the resources of a document, MeasureReports by their cells; learn on the way in which commune each facility lies."""
    records = [part for record in _split(document) for part in (measures.cells(record, context) if record.kind == "MeasureReport" and record.defect is None else [record])]
    areas = facility_areas(context)
    for record in records:
        if record.kind == "Location" and isinstance(record.value, dict):
            _learn(record.value, areas, context)
    return records


def _split(document: Document) -> list[Record]:
    if document.kind == "ndjson":
        found = rows(document)
        for record in found:
            record.kind = kind_of(record.value)
        return found
    value = document.value
    if document.kind == "json" and isinstance(value, list) and value and all(isinstance(item, dict) and "resourceType" in item for item in value):
        return [Record(item, kind_of(item)) for item in value]
    if document.kind != "json" or not isinstance(value, dict):
        raise unknown_layout(document, "FHIR JSON")
    if value.get("resourceType") == "Bundle":
        return _entries(value)
    if "resourceType" in value:
        return [Record(value, kind_of(value))]
    if "transactionTime" in value and isinstance(value.get("output"), list):
        return [Record(value, "manifest")]
    raise unknown_layout(document, "FHIR JSON (no resourceType)")


def _entries(bundle: Mapping[str, Any]) -> list[Record]:
    entries = bundle.get("entry")
    if entries is None:
        return []
    if not isinstance(entries, list):
        return [Record(entries, "Bundle", defect=Defect("wrong_type", f"Bundle.entry is {shown(entries)}, not a list", "entry"))]
    entries = [_identified(entry) for entry in entries]
    references = {entry["fullUrl"]: _own_reference(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("fullUrl"), str)}
    return [_entry(entry, references) for entry in entries]


def _identified(entry: Any) -> Any:
    """Return the entry; a resource without an id of its own (of a document, of a transaction) is told by its fullUrl."""
    resource, url = (entry.get("resource"), entry.get("fullUrl")) if isinstance(entry, dict) else (None, None)
    if not isinstance(resource, dict) or resource.get("id") or not isinstance(url, str) or not (found := _LAST.search(url)):
        return entry
    return {**entry, "resource": resource | {"id": found[1]}}


def _own_reference(entry: Mapping[str, Any]) -> str:
    resource = entry.get("resource")
    return f"{resource.get('resourceType')}/{resource.get('id')}" if isinstance(resource, dict) and "id" in resource else ""


def _entry(entry: Any, references: dict[str, str]) -> Record:
    if not isinstance(entry, dict):
        return Record(entry, "Bundle", defect=Defect("wrong_type", f"an entry of the Bundle is {shown(entry)}, not an object", "entry"))
    request = entry.get("request")
    if isinstance(request, dict) and request.get("method") == "DELETE" and isinstance(request.get("url"), str):
        return Record({"request": request, "response": entry.get("response")}, "deleted")
    resource = entry.get("resource")
    if not isinstance(resource, dict):
        return Record({"fullUrl": entry.get("fullUrl")}, "Bundle", defect=Defect("missing_resource", "an entry of the Bundle has no resource", "entry.resource", "ask for full resources, not summaries"))
    return Record(resource, kind_of(resource), {"references": references})


def kind_of(value: Any) -> str:
    """Return the resourceType when it is a plausible one."""
    name = value.get("resourceType") if isinstance(value, dict) else None
    return name if isinstance(name, str) and name.isascii() and name.isalpha() and len(name) < 60 else ""


def next_link(document: Document) -> str | None:
    """Return the url of the next page as it stands, None on the last."""
    links = document.value.get("link") if isinstance(document.value, dict) else None
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str) and link["url"].strip():
            return str(link["url"])
    return None


def refuse_outcome(document: Document) -> None:
    """Raise when the whole answer is an OperationOutcome. Anything else `split` knows may come from a plain web server."""
    value = document.value
    if isinstance(value, dict) and value.get("resourceType") == "OperationOutcome":
        raise Retriable(f"the server answers with an OperationOutcome: {outcome_words(value)}")


def outcome_words(value: Mapping[str, Any]) -> str:
    """Return severity and code of an OperationOutcome's issues; its free text may name persons."""
    issues = value.get("issue")
    said = [f"{shown(i.get('severity'))} {shown(i.get('code'))}" for i in (issues if isinstance(issues, list) else [])[:5] if isinstance(i, dict)]
    return ", ".join(said) or "no issue"


def facility_areas(context: Context[Any]) -> dict[str, str]:
    """Return facility -> commune as known so far; the same dict during one poll."""
    areas: dict[str, str] = context.memory.setdefault("areas", dict(context.cursor.get("areas") or {}))
    return areas


def _learn(location: Mapping[str, Any], areas: dict[str, str], context: Context[Any]) -> None:
    try:
        subject = fields.identifier(location, "id")
        area = context.area(commune_code(location, context), "commune")
    except Skip:
        return  # said when the record is mapped
    if area is not None:
        areas[subject] = area


