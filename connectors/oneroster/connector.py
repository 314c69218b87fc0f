"""OneRoster: one connector, two readings: the rostering service, and the folder of daily attendance tables.

The cursor: {"orgs" | "classes" | ...: see rostering.py, "attendance": see attendance.py, "areas": {school: commune}}.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, TypeAlias

from pydantic import Field

from connectors.oneroster import attendance, layouts, roster, rostering
from ioc.connect import Connector, Context, Document, Options, Page, Record, each_part
from ioc.events import Event

Resource: TypeAlias = Literal["orgs", "academicSessions", "classes", "enrollments"]
RESOURCES: tuple[Resource, ...] = ("orgs", "academicSessions", "classes", "enrollments")


class OneRosterOptions(Options):
    rostering_path: str = Field("ims/oneroster/rostering/v1p2", description="Path of the rostering service, below the feed's url.")
    attendance_path: str = Field("attendance", description="Path of the folder of attendance tables; empty reads none.")
    resources: list[Resource] = Field(list(RESOURCES), description="Which lists are read; users and demographics cannot be named.")
    page_size: int = Field(1000, ge=1, le=10_000, description="limit: records a page; always sent, servers differ.")
    overlap_s: int = Field(60, ge=0, le=86_400, description="How far back of the newest dateLastModified the next poll starts.")
    commune_field: str = Field("communeCode", description="Key in an org's metadata that holds its commune code.")
    attempts: int = Field(10, ge=1, le=1000, description="Polls in which an attendance table that cannot be read is tried, before it is a dead letter.")
    remember_files: int = Field(10, ge=1, le=100, description="Attendance tables whose rows are remembered; another that changes is published whole.")


class OneRoster(Connector[OneRosterOptions]):
    name = "oneroster"
    version = "1"
    options = OneRosterOptions
    fields = roster.FIELDS | attendance.FIELDS
    columns = layouts.COLUMNS

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        cursor = {key: value for key, value in context.cursor.items() if key != "areas"}
        cursor["areas"] = roster.school_areas(context)  # grows while orgs are read
        names = list(context.options.resources)
        if names[:1] == ["orgs"] and "offset" in cursor.get("orgs", {"offset": 0}):
            # Until all schools were read once, nobody can say where a class or a day's attendance is: no orgs, no rest.
            yield from rostering.poll(self, context, cursor, names.pop(0))
        parts = [partial(rostering.poll, self, context, cursor, name) for name in names]
        if context.options.attendance_path:
            parts.append(partial(attendance.poll, self, context, cursor))
        yield from each_part(parts)

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        records = layouts.split(document)
        roster.learn_areas(records, context)
        return records

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if record.kind == "attendance":
            return attendance.to_events(record, context)
        return roster.to_events(record, context)
