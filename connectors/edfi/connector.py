"""Counting the attendance events of an Ed-Fi interchange by school, day and category; telling its schools.

An event names a pupil. What leaves is how many there were; the pupil, the reason and the lesson are never looked at. Presence
is implied: a school without an event had none, or did not send; the interchange does not say which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

from pydantic import Field

from ioc.connect import (
    Connector,
    Context,
    Document,
    FieldClass,
    Options,
    Page,
    Record,
    Seen,
    Skip,
    each_part,
    fields,
    local,
    shown,
    unknown_layout,
)
from ioc.events import Asset, Event, Observation

# AttendanceEventCategoryDescriptor, its last part -> metric
CATEGORIES = {
    "excused absence": "absent_excused", "unexcused absence": "absent_unexcused", "tardy": "late", "partial": "absent_partial", "early departure": "early_departure",
    "in attendance": "present", "present": "present",
}  # fmt: skip


class EdFiOptions(Options):
    paths: list[str] = Field(["EducationOrganization.xml", "StudentSchoolAttendance.xml"], description="The interchange files, below the feed's url; schools first.")
    areas: dict[str, str] = Field(default_factory=dict, description="SchoolId -> commune; the interchange has addresses, and no codes.")


FIELDS: dict[str, FieldClass] = {
    "AttendanceEvent.EventDate": "public", "AttendanceEvent.AttendanceEventCategory": "public", "SchoolReference.SchoolIdentity.SchoolId": "public",
    "SchoolId": "public", "NameOfInstitution": "public", "EventDate": "public", "Category": "public", "events": "public", "element": "public",
    "StudentReference.StudentIdentity.StudentUniqueId": "personal", "AttendanceEvent.AttendanceEventReason": "personal", "Address.StreetNumberName": "personal",
}  # fmt: skip


class EdFi(Connector[EdFiOptions]):
    name = "edfi"
    version = "1"
    options = EdFiOptions
    fields = FIELDS
    exempt = {"deletions": "an interchange is sent whole; an event that was taken out is a smaller count"}  # noqa: RUF012

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        seen = Seen(context.cursor.get("seen"), limit=20_000)
        yield from each_part([partial(self._file, path, seen, context) for path in context.options.paths])
        yield Page([], {"seen": seen.save(context.oldest)})

    def _file(self, path: str, seen: Seen, context: Context[Any]) -> Iterator[Page]:
        yield Page([record for record in self.read(self.document(context.http.get(path)), context) if seen.new(record.value, None)])

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        root = document.value
        if document.kind != "xml" or not local(root).startswith("Interchange"):
            raise unknown_layout(document, "an Ed-Fi interchange")
        counted: Counter[tuple[str, str, str]] = Counter()
        records: list[Record] = []
        for element in root:
            if local(element) == "StudentSchoolAttendanceEvent":
                # A place by its path: the session names a school, too.
                counted[_at(element, "SchoolReference", "SchoolIdentity", "SchoolId"), _at(element, "AttendanceEvent", "EventDate"), _at(element, "AttendanceEvent", "AttendanceEventCategory").rpartition("#")[2]] += 1
            elif local(element) == "School":
                records.append(Record({"SchoolId": _at(element, "SchoolId"), "NameOfInstitution": _at(element, "NameOfInstitution")}, "school"))
            elif local(element):
                records.append(Record({"element": local(element)}, "other"))
        return records + [Record({"SchoolId": school, "EventDate": day, "Category": category, "events": n}, "attendance") for (school, day, category), n in counted.items()]

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        row, areas = record.value, context.options.areas
        if record.kind == "other":
            raise Skip("out_of_scope", f"{shown(row['element'])} is not read; attendance events and schools are", field="element", repair="nothing to do")
        school = fields.identifier(row, "SchoolId")
        area = context.area(areas.get(school), "areas")
        if record.kind == "school":
            return [context.event(f"school:{school}", context.now, Asset(kind="school", name=fields.text(row, "NameOfInstitution"), area=area, state="ok"))]
        metric = CATEGORIES.get(row["Category"].casefold())
        if metric is None:
            raise Skip("unknown_code", f"the category {shown(row['Category'])} is not known; known are {', '.join(CATEGORIES)}", field="Category", repair="send a category of the Ed-Fi descriptor")
        at = fields.start_of(fields.day(row["EventDate"], "EventDate"), context.zone)
        version = context.now if context.cursor else None  # the interchange does not say when; what differs from the first reading is newer
        return [context.event(f"school:{school}", at, Observation(metric=metric, value=Decimal(row["events"]), unit="{student}", period="P1D", area=area, version=version))]


def _at(element: Any, *path: str) -> str:
    """Return the text at a path of local names, "" where there is none."""
    for name in path:
        element = next((child for child in element if local(child) == name), None)
        if element is None:
            return ""
    return (element.text or "").strip()
