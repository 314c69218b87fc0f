"""A 311 export as CSV: one row a request, local times, month first. Columns are called as New York City calls them, or otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ioc.connect import Context, Document, Known, Page, Record, Skip, digest, fields, rows, shown, unknown_layout
from ioc.doubts import doubt, together
from ioc.events import Case, Event

if TYPE_CHECKING:
    from connectors.open311.connector import Open311

COLUMNS = ("Unique Key", "Created Date", "Closed Date", "Agency", "Complaint Type", "Status", "Due Date", "Resolution Action Updated Date", "Latitude", "Longitude")
# What else exports call these columns; compared in small letters, with blanks for underscores.
CALLED = {
    "Unique Key": ("sr number", "case enquiry id", "case id", "caseid", "service request id", "service request number"),
    "Created Date": ("open dt", "opened", "open date", "creation date", "requested datetime"),
    "Closed Date": ("closed dt", "closed", "completion date"),
    "Agency": ("owner department", "department", "responsible agency", "agency responsible"),
    "Complaint Type": ("sr type", "type", "category", "service name", "service request type"),
    "Status": ("case status",),
    "Due Date": ("sla target dt", "target dt", "expected datetime"),
    "Resolution Action Updated Date": ("last modified date", "updated", "updated date", "updated datetime"),
    "Latitude": ("lat",),
    "Longitude": ("long", "lng"),
}
NEEDED = ("Unique Key", "Created Date", "Status")
REMEMBERED = 20_000
_OPEN = frozenset({"open", "in progress", "assigned", "pending", "started", "unspecified"})
_CLOSED = {"closed": "resolved", "completed": "resolved", "resolved": "resolved", "canceled": "cancelled", "cancelled": "cancelled", "completed - dup": "duplicate", "open - dup": "duplicate"}
_FORMS = ("%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")


def poll(connector: Open311, context: Context[Any]) -> Iterator[Page]:
    """Yield the rows that are new or changed since the file was read last; ask with ETag and Last-Modified."""
    saved = context.cursor
    answer = context.http.get(known=Known(saved.get("etag", ""), saved.get("modified", "")), accept="text/csv")
    if not answer.changed:
        return
    marks: dict[str, str] = dict(saved.get("rows") or {})
    fresh = []
    for record in connector.read(connector.document(answer), context):
        mark = digest(record.value)
        key = (str(record.value.get("Unique Key") or "") if isinstance(record.value, dict) else "") or mark
        if marks.get(key) == mark:
            continue
        marks.pop(key, None)
        marks[key] = mark  # newest last
        fresh.append(record)
    kept = dict(list(marks.items())[-REMEMBERED:])
    for at in range(0, len(fresh), 2000):
        yield Page(fresh[at : at + 2000])
    yield Page(cursor={"etag": answer.known.etag, "modified": answer.known.last_modified, "rows": kept})


def split(document: Document) -> list[Record]:
    """Return the rows, recognised by their header."""
    names = _names(document.header)
    if missing := [name for name in NEEDED if name not in names.values()]:
        raise unknown_layout(document, f"a 311 export (no column {missing[0]!r})", COLUMNS)
    found = rows(document, "csv")
    for record in found:
        if record.defect is None:
            record.value = {names.get(name, name): cell for name, cell in record.value.items()}
    return found


def _names(header: Sequence[str]) -> dict[str, str]:
    """Return column -> what it is called here; of several columns that could be the same thing the first name in `CALLED` counts."""
    plain = {name.strip().lower().replace("_", " "): name for name in reversed(header)}
    return {plain[said]: name for name in COLUMNS for said in [next((s for s in (name.lower(), *CALLED[name]) if s in plain), "")] if said}


def to_events(record: Record, context: Context[Any]) -> list[Event]:
    """Return the case of a row; its time is the newest one the row names."""
    row: Mapping[str, Any] = record.value
    zone = context.zone
    subject = fields.identifier(row, "Unique Key")
    opened = _time(row, "Created Date", zone)
    if opened is None:
        raise Skip("missing_time", "Created Date is empty", field="Created Date", repair="export the rows with their dates")
    closed_at, touched = _time(row, "Closed Date", zone), _time(row, "Resolution Action Updated Date", zone)
    status = (fields.text(row, "Status") or "").lower()
    if status not in _CLOSED and status not in _OPEN:
        raise Skip("unknown_status", f"Status is {shown(row.get('Status'))}", field="Status", repair="known are " + ", ".join(sorted(s.title() for s in (*_CLOSED, *_OPEN))))
    closed = status in _CLOSED
    place = context.place(fields.number(row, "Latitude"), fields.number(row, "Longitude"))
    doubts = [place.doubt] if place.doubt else []
    if closed_at is not None and closed_at < opened:
        doubts.append(doubt("ended_early"))
    if closed and closed_at is None:
        doubts.append(doubt("no_end"))
    time = max(at for at in (opened, closed_at, touched) if at is not None)
    case = Case(
        status="closed" if closed else "open",
        native_status=fields.text(row, "Status"),
        outcome=_CLOSED.get(status),
        category=fields.text(row, "Complaint Type"),
        title=fields.text(row, "Complaint Type"),
        area=place.area,
        agency=fields.text(row, "Agency"),
        opened_at=opened,
        due_at=_time(row, "Due Date", zone),
        closed_at=(closed_at or touched or opened) if closed else None,
        lat=place.lat,
        lon=place.lon,
        doubt=together(doubts),
    )
    return [context.event(subject, time, case)]


def _time(row: Mapping[str, Any], name: str, zone: ZoneInfo) -> datetime | None:
    """Return a local time of the table (Excel drops the seconds) as UTC."""
    text = fields.text(row, name)
    if text is None:
        return None
    for form in _FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=zone).astimezone(UTC)
        except ValueError:
            continue
    raise Skip("bad_time", f"{name} is {shown(text)}, not a time", field=name, repair="write month/day/year hour:minute, or ISO 8601")
