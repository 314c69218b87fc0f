"""Daily attendance: a folder of CSV tables, one a school day, one row a school. Corrections change the file.

    school_id,date,enrolled,present,absent_excused,absent_unexcused[,late]

The list of files is asked each time; a file is read when the list says it changed, and only its new or changed rows
are published. The cursor: {"attendance": {file: {"modified", "etag", "rows": {school: mark}}}}, rows for the newest
`remember_files` files; "tries" while a file cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.oneroster.roster import school_areas
from ioc.connect import (
    Answer,
    Context,
    FieldClass,
    Known,
    Missing,
    Page,
    Record,
    Retriable,
    Skip,
    Unreachable,
    Unreadable,
    digest,
    fields,
    unreadable_record,
)
from ioc.doubts import doubt
from ioc.events import Event, Observation

if TYPE_CHECKING:
    from connectors.oneroster.connector import OneRoster

METRICS = ("enrolled", "present", "absent_excused", "absent_unexcused")
FIELDS: dict[str, FieldClass] = dict.fromkeys(("school_id", "date", *METRICS, "late"), "public")
_NAME = re.compile(r"[\w.\-]{1,100}\.csv", re.ASCII)
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def poll(connector: OneRoster, context: Context[Any], cursor: dict[str, Any]) -> Iterator[Page]:
    """Yield the new and changed rows of the files that changed, file by file."""
    folder = context.options.attendance_path.strip("/")
    known: dict[str, Any] = dict(cursor.get("attendance") or {})
    for name, modified in _files(connector, context, folder):
        saved = known.get(name) or {}
        if modified and saved.get("modified") == modified:
            continue
        try:
            answer = context.http.get(f"{folder}/{name}", known=Known(etag=str(saved.get("etag", ""))), accept="text/csv")
        except Missing:
            continue  # the list was quicker than the file, or slower
        except Unreachable:
            raise
        except Retriable as exc:
            yield Page(problems=[exc])  # this file again at the next poll; the others now
            continue
        rows, tries = dict(saved.get("rows") or {}), int(saved.get("tries", 0)) + 1
        fresh: list[Record] = []
        known.pop(name, None)
        known[name] = {"modified": modified, "etag": answer.known.etag or saved.get("etag", ""), "rows": rows}
        if answer.changed:
            records = _rows(connector, answer, context)
            if _broken(records) and tries < context.options.attempts:
                # Perhaps it is just being written, or a proxy is in the way: asked again, not yet a dead letter.
                known[name] = {"modified": "", "etag": "", "rows": rows, "tries": tries}
                records = records[:-1]
            fresh = _fresh(records, rows, answer.modified_at or _moment(modified) or context.now)
        cursor["attendance"] = _bounded(known, context)
        yield Page(fresh, dict(cursor))
    yield Page(cursor=dict(cursor))


def _rows(connector: OneRoster, answer: Answer, context: Context[Any]) -> list[Record]:
    try:
        return connector.read(connector.document(answer), context)
    except Unreadable as exc:  # one bad file is one dead letter
        return [unreadable_record(exc, "attendance")]


def _broken(records: list[Record]) -> bool:
    """Is the file no table, or does it break off in its last row?"""
    return bool(records) and records[-1].defect is not None and (len(records) == 1 or records[-1].defect.cause == "ragged_row")


def _files(connector: OneRoster, context: Context[Any], folder: str) -> list[tuple[str, str]]:
    """Return (name, modified) of the files within the late window, oldest first."""
    document = connector.document(context.http.get(f"{folder}/", accept="application/json"))
    if document.kind != "json" or not isinstance(document.value, list):
        raise Unreadable("unknown_layout", "the folder's list is not a JSON list of files", repair='answer [{"name": ..., "modified": ...}]')
    found = []
    for item in document.value:
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and _NAME.fullmatch(name) and _recent(name, context):
            found.append((name, str(item.get("modified") or "")[:40]))
    return sorted(found)


def _recent(name: str, context: Context[Any]) -> bool:
    day = _DAY.search(name)
    try:
        return day is None or date(int(day[1]), int(day[2]), int(day[3])) >= context.oldest.date()
    except ValueError:
        return False


def _fresh(records: list[Record], rows: dict[str, str], at: datetime) -> list[Record]:
    fresh = []
    for record in records:
        mark = digest(record.value)[:10]
        key = (str(record.value.get("school_id") or "") if isinstance(record.value, dict) else "") or mark
        if rows.get(key) == mark:
            continue
        rows[key] = mark
        record.hints["modified"] = at
        fresh.append(record)
    return fresh


def _bounded(known: dict[str, Any], context: Context[Any]) -> dict[str, Any]:
    """Forget files outside the late window, and the rows of all but the files that changed last."""
    recent = {name: entry for name, entry in known.items() if _recent(name, context)}
    remembered = set(list(recent)[-context.options.remember_files :])
    return {name: entry if name in remembered else {k: v for k, v in entry.items() if k != "rows"} for name, entry in recent.items()}


def to_events(record: Record, context: Context[Any]) -> list[Event]:
    """Return the four observations of a school's day."""
    row: Mapping[str, Any] = record.value
    subject = fields.identifier(row, "school_id")
    day = fields.day(row.get("date"), "date")
    time = fields.start_of(day, context.zone)
    numbers = {name: fields.count(row, name) for name in METRICS}
    if numbers["enrolled"] is None or numbers["present"] is None:
        empty = "enrolled" if numbers["enrolled"] is None else "present"
        raise Skip("missing_value", f"{empty} is empty", field=empty, repair="send the number, 0 when nobody came")
    area = school_areas(context).get(subject)
    asked = _doubt(numbers) or (None if area else doubt("no_area", what="orgs"))
    version = record.hints.get("modified")
    return [
        context.event(subject, time, Observation(f"attendance.{name}", value, "{student}", area, "P1D", version, doubt=asked))
        for name, value in numbers.items()
        if value is not None
    ]


def _doubt(numbers: Mapping[str, Decimal | None]) -> str | None:
    """Present and absent must add up to enrolled."""
    parts = [numbers[name] for name in METRICS[1:]]
    if any(part is None for part in parts):
        present, enrolled = numbers["present"] or 0, numbers["enrolled"] or 0
        return doubt("more_than_all", value=present, all=enrolled) if present > enrolled else None
    total = sum((part for part in parts if part is not None), Decimal(0))
    return None if total == numbers["enrolled"] else doubt("unequal", value=total, all=numbers["enrolled"])


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
