"""Reading the list of dossiers by update time.

Pages of a list that changes while it is read would skip rows; so the walk goes by key: each request starts at the
newest update time seen, and asks for a second page only while one second fills more than a page.

The cursor: {"since": newest update read, "from": where the next poll starts, "seen": what it need not publish again}.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from connectors.dossiers.dossier import FIELDS, LIST, named, to_events
from ioc.connect import (
    Connector,
    Context,
    Document,
    Options,
    Page,
    Record,
    Retriable,
    Seen,
    Skip,
    Unreadable,
    Walk,
    fields,
    rows,
    shown,
    unknown_layout,
)
from ioc.events import MAX_AHEAD, Event

MOST_PAGES = 100_000


class DossierOptions(Options):
    path: str = Field("api/hoso", description="Path of the list, below the feed's url.")
    page_size: int = Field(1000, ge=1, le=10_000, description="soLuong: dossiers a page.")
    overlap_s: int = Field(60, ge=0, le=86_400, description="How far back of the newest update the next poll starts: a portal writes updates late.")
    organ_suffix: str = Field("", description="Only dossiers of agencies whose code ends so (H55); empty takes all.")


class Dossiers(Connector[DossierOptions]):
    name = "dossiers"
    version = "1"
    options = DossierOptions
    fields = FIELDS
    exempt = {"deletions": "the portal never withdraws a dossier: withdrawn (7) and stopped (8) are states that close it"}  # noqa: RUF012
    columns = tuple(FIELDS)

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        return _Reading(self, context).pages()

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        if document.kind in ("ndjson", "csv"):
            if document.kind == "csv" and "mahoso" not in {name.lower() for name in document.header}:
                raise unknown_layout(document, "a list of dossiers (no column MaHoSo)", self.columns)
            return rows(document)
        value = document.value
        if document.kind != "json":
            raise unknown_layout(document, "a list of dossiers")
        if isinstance(value, dict):
            value = _list(value, document)
        if not isinstance(value, list) or (value and not any(isinstance(item, dict) and "MaHoSo" in named(item) for item in value)):
            raise unknown_layout(document, "a list of dossiers")
        return [Record(item) for item in value]

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if not isinstance(record.value, dict):
            raise Skip("wrong_type", f"a dossier is an object, not {shown(record.value)}", repair="send dossiers as objects")
        return to_events(named(record.value), context)


def _list(value: dict[str, Any], document: Document) -> list[Any]:
    """Return the dossiers of an answer; raise `Retriable` for an error of the portal (code neither "00" nor 0)."""
    folded = {key.lower(): item for key, item in value.items()}
    code = folded.get("error_code", folded.get("errorcode", "00"))
    if str(code) not in ("00", "0"):
        raise Retriable(f"the portal answers error_code {shown(code)}")
    found = next((folded[name] for name in LIST if name in folded), None)
    if found is None and "mahoso" in folded:
        return [value]
    if found is None and document.size and "error_code" not in folded:
        raise unknown_layout(document, "a list of dossiers")
    return found if isinstance(found, list) else []


class _Reading:
    """One poll."""

    def __init__(self, connector: Dossiers, context: Context[Any]) -> None:
        self._connector, self._context = connector, context
        self._overlap = timedelta(seconds=context.options.overlap_s)
        saved = context.cursor
        self._newest = datetime.fromisoformat(saved["since"]) if "since" in saved else context.oldest
        self._start = datetime.fromisoformat(saved["from"]) if "from" in saved else context.oldest
        self._seen = Seen(saved.get("seen"), self._start)

    def pages(self) -> Iterator[Page]:
        start, page, walk = self._start, 1, Walk()
        for _ in range(MOST_PAGES):
            records, more = self._ask(start, page)
            if not walk.new([record.value for record in records]):
                if more is not None:
                    raise Unreadable("endless_paging", "the next page holds the same dossiers as one before, and tongSo says there are more", repair="honour trang, or correct tongSo")
                break  # a portal that knows no pages shows the same again: that was all
            newest = max((at for at in map(self._time, records) if at is not None), default=start)
            fresh = [record for record in records if self._seen.new(record.value, self._time(record))]
            self._newest = max(self._newest, newest)
            if fresh:
                yield Page(fresh, self._cursor())
            if not records or more is False:
                break
            if newest > start:
                start, page, walk = newest, 1, Walk()
            else:
                page += 1
        yield Page(cursor=self._cursor())

    def _ask(self, start: datetime, page: int) -> tuple[list[Record], bool | None]:
        """Return a page, and whether there is another (None: the portal does not say)."""
        context, size = self._context, self._context.options.page_size
        since = start.astimezone(context.zone).strftime("%Y%m%d%H%M%S")
        document = self._connector.document(context.http.get(context.options.path, {"capNhatTu": since, "trang": page, "soLuong": size}))
        records = self._connector.read(document, context)
        value = {key.lower(): item for key, item in document.value.items()} if isinstance(document.value, dict) else {}
        total, served = value.get("tongso"), value.get("soluong")
        if isinstance(total, int) and isinstance(served, int) and not isinstance(total, bool):
            return records, (page - 1) * served + min(len(records), served) < total
        return records, None

    def _time(self, record: Record) -> datetime | None:
        return updated(record.value, self._context.zone, self._context.now + MAX_AHEAD)

    def _cursor(self) -> dict[str, Any]:
        since = max(self._newest - self._overlap, self._context.oldest)
        seen = self._seen.save(since)
        kept = [int(key) for key in seen if key != "0"]
        # More than can be remembered: start where the memory starts, rather than publish the rest again.
        start = max(since, datetime.fromtimestamp(min(kept), since.tzinfo)) if self._seen.full and kept else since
        return {"since": self._newest.isoformat(), "from": start.isoformat(), "seen": seen}


def updated(value: Any, zone: ZoneInfo, latest: datetime) -> datetime | None:
    """Return the update time of a record, None when it has none or one of a wrong clock."""
    try:
        at = fields.compact(named(value).get("ThoiDiemCapNhat"), "ThoiDiemCapNhat", zone) if isinstance(value, dict) else None
    except Skip:
        return None  # said when the record is mapped
    return at if at is not None and at <= latest else None
