"""Recognising what a document holds: REST answers by their key, CSV (OneRoster, Microsoft SDS 2.1) by their header."""

from __future__ import annotations

from typing import Any

from ioc.connect import Document, Record, rows, source_error, unknown_layout

PERSONS = frozenset({"users", "demographics", "relationships", "roles", "results", "userProfiles", "userResources"})
LEFT_OUT = frozenset({"courses", "lineItems", "categories", "resources", "classResources", "courseResources", "scoreScales", "assessments", "manifest"})
# Keys of REST answers, plural and single -> kind.
_KEYS = {
    "orgs": "orgs", "org": "orgs", "schools": "orgs",
    "classes": "classes", "class": "classes",
    "academicSessions": "academicSessions", "academicSession": "academicSessions", "terms": "academicSessions", "term": "academicSessions",
    "gradingPeriods": "academicSessions", "gradingPeriod": "academicSessions",
    "enrollments": "enrollments", "enrollment": "enrollments",
    "users": "users", "user": "users", "students": "users", "student": "users", "teachers": "users", "teacher": "users",
    "demographics": "demographics",
    "courses": "courses", "course": "courses",
    "results": "results", "result": "results", "assessmentResults": "results",
    "lineItems": "lineItems", "lineItem": "lineItems", "categories": "categories", "category": "categories", "scoreScales": "scoreScales", "scoreScale": "scoreScales",
    "assessmentLineItems": "assessments", "assessmentLineItem": "assessments", "resources": "resources", "resource": "resources",
}  # fmt: skip
# (columns that must be there, kind); the first match counts, so what is about persons comes first.
_HEADERS = (
    ({"school_id", "date", "enrolled", "present"}, "attendance"),
    ({"username"}, "users"),
    ({"givenName"}, "users"),
    ({"birthDate"}, "demographics"),
    ({"relationshipRole"}, "relationships"),
    ({"studentSourcedId"}, "results"),
    ({"userSourcedId", "resourceSourcedId"}, "userResources"),
    ({"profileId", "userSourcedId"}, "userProfiles"),
    ({"classSourcedId", "resourceSourcedId"}, "classResources"),
    ({"courseSourcedId", "resourceSourcedId"}, "courseResources"),
    ({"vendorResourceId"}, "resources"),
    ({"assignDate", "dueDate"}, "lineItems"),
    ({"assessmentType"}, "assessments"),
    ({"propertyName", "value"}, "manifest"),
    ({"classSourcedId", "userSourcedId", "role"}, "enrollments"),
    ({"userSourcedId", "orgSourcedId", "role"}, "roles"),
    ({"sourcedId", "title", "startDate", "endDate"}, "academicSessions"),
    ({"sourcedId", "title", "courseSourcedId"}, "classes"),
    ({"sourcedId", "title", "schoolYearSourcedId"}, "courses"),
    ({"sourcedId", "name", "type"}, "orgs"),
    ({"sourcedId", "title", "scoreScaleValue"}, "scoreScales"),
)
COLUMNS = (
    "school_id", "date", "enrolled", "present", "absent_excused", "absent_unexcused", "late", "sourcedId", "status", "dateLastModified", "name", "title",
    "type", "role", "startDate", "endDate", "classSourcedId", "schoolSourcedId", "orgSourcedId", "courseSourcedId", "schoolYearSourcedId", "userSourcedId",
)  # fmt: skip


def split(document: Document) -> list[Record]:
    """Return the records of a document, each with its kind; raise `Unreadable`."""
    if document.kind == "csv":
        return _split_csv(document)
    value = document.value
    if document.kind == "json" and isinstance(value, dict):
        for key, kind in _KEYS.items():
            if key in value and isinstance(value[key], list | dict):
                inner = value[key]
                return [Record(item, kind) for item in (inner if isinstance(inner, list) else [inner])]
        said = value.get("statusInfoSet", value)
        said = said[0] if isinstance(said, list) and said else said
        if isinstance(said, dict) and said.get("imsx_codeMajor") == "failure":
            minor = said.get("imsx_CodeMinor") or said.get("imsx_codeMinor")
            fields = minor.get("imsx_codeMinorField") if isinstance(minor, dict) else None
            first = fields[0] if isinstance(fields, list) and fields and isinstance(fields[0], dict) else {}
            raise source_error(document, first.get("imsx_codeMinorFieldValue") or said.get("imsx_severity"))
    raise unknown_layout(document, "a OneRoster answer or an attendance table", COLUMNS)


def _split_csv(document: Document) -> list[Record]:
    header = set(document.header)
    for needed, kind in _HEADERS:
        if needed <= header:
            return rows(document, kind)
    if header in ({"sourcedId", "status", "dateLastModified", "title"}, {"sourcedId", "status", "dateLastModified", "title", "weight"}):
        return rows(document, "categories")
    raise unknown_layout(document, "a OneRoster or attendance table (its header is none we know)", COLUMNS)


def reference(value: dict[str, Any], name: str) -> str | None:
    """Return the sourcedId a record refers to: {"school": {"sourcedId": ...}} or a column schoolSourcedId."""
    found = value.get(name)
    if isinstance(found, dict):
        found = found.get("sourcedId")
    found = found if found is not None else value.get(f"{name}SourcedId")
    return str(found).strip() or None if isinstance(found, str | int) and not isinstance(found, bool) else None
