"""A 311 export as CSV, in the layout New York City publishes: one row a request, local times, month first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ioc.connect import Context, Document, Known, Page, Record, Skip, digest, fields, rows, shown, unknown_layout
from ioc.doubts import doubt, together
from ioc.events import Case, Event

if TYPE_CHECKING:
    from connectors.open311.connector import Open311

COLUMNS = ("Unique Key", "Created Date", "Closed Date", "Agency", "Complaint Type", "Status", "Due Date", "Resolution Action Updated Date", "Latitude", "Longitude")
NEEDED = ("Unique Key", "Created Date", "Status")
REMEMBERED = 20_000
_OPEN = frozenset({"open", "in progress", "assigned", "pending", "started", "unspecified"})
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
    if not all(name in document.header for name in NEEDED):
        raise unknown_layout(document, f"a 311 export (no column {next(n for n in NEEDED if n not in document.header)!r})", COLUMNS)
    return rows(document, "csv")


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
    if status != "closed" and status not in _OPEN:
        raise Skip("unknown_status", f"Status is {shown(row.get('Status'))}", field="Status", repair="known are Closed, " + ", ".join(sorted(s.title() for s in _OPEN)))
    closed = status == "closed"
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
        outcome="resolved" if closed else None,
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
