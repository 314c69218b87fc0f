"""Recognising what a document holds: REST answers by their key, CSV (OneRoster, Microsoft SDS 2.1) by their header."""

from __future__ import annotations

from typing import Any

from ioc.connect import Document, Record, rows, unknown_layout

PERSONS = frozenset({"users", "demographics", "relationships", "roles"})
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
}  # fmt: skip
# (columns that must be there, kind); the first match counts, so what is about persons comes first.
_HEADERS = (
    ({"school_id", "date", "enrolled", "present"}, "attendance"),
    ({"username"}, "users"),
    ({"givenName"}, "users"),
    ({"birthDate"}, "demographics"),
    ({"relationshipRole"}, "relationships"),
    ({"classSourcedId", "userSourcedId", "role"}, "enrollments"),
    ({"userSourcedId", "orgSourcedId", "role"}, "roles"),
    ({"sourcedId", "title", "startDate", "endDate"}, "academicSessions"),
    ({"sourcedId", "title", "courseSourcedId"}, "classes"),
    ({"sourcedId", "title", "schoolYearSourcedId"}, "courses"),
    ({"sourcedId", "name", "type"}, "orgs"),
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
    raise unknown_layout(document, "a OneRoster answer or an attendance table", COLUMNS)


def _split_csv(document: Document) -> list[Record]:
    header = set(document.header)
    for needed, kind in _HEADERS:
        if needed <= header:
            return rows(document, kind)
    raise unknown_layout(document, "a OneRoster or attendance table (its header is none we know)", COLUMNS)


def reference(value: dict[str, Any], name: str) -> str | None:
    """Return the sourcedId a record refers to: {"school": {"sourcedId": ...}} or a column schoolSourcedId."""
    found = value.get(name)
    if isinstance(found, dict):
        found = found.get("sourcedId")
    found = found if found is not None else value.get(f"{name}SourcedId")
    return str(found).strip() or None if isinstance(found, str | int) and not isinstance(found, bool) else None
