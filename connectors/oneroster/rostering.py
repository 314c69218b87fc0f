"""Reading a list of the rostering service: all of it once, then what changed since, by dateLastModified.

The cursor of a list: {"since": newest dateLastModified, "from": where the next filter starts, "seen": marks}; while
a reading is under way also {"offset": records read, "filter": what it started with}.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ioc.connect import Answer, Context, Page, Record, Seen, Skip, Unreadable, Walk, fields
from ioc.events import MAX_AHEAD

if TYPE_CHECKING:
    from connectors.oneroster.connector import OneRoster


def poll(connector: OneRoster, context: Context[Any], cursor: dict[str, Any], name: str) -> Iterator[Page]:
    """Yield what changed in the list `name`."""
    saved = cursor.get(name) or {}
    offset = int(saved.get("offset", 0))
    since = saved.get("filter") if offset else saved.get("from")
    seen = Seen(saved.get("seen"), datetime.fromisoformat(since) if since else None)
    newest = datetime.fromisoformat(saved["since"]) if "since" in saved else None
    walk = Walk()
    while True:
        params = {"limit": context.options.page_size, "offset": offset, "filter": f"dateLastModified>='{since}'" if since else None}
        answer = context.http.get(f"{context.options.rostering_path.strip('/')}/{name}", params, accept="application/json")
        records = connector.read(connector.document(answer), context)
        total = _total(answer)
        if not walk.new([record.value for record in records]):
            if total is not None:
                raise Unreadable("endless_paging", "the next page holds the same records as one before, and X-Total-Count says there are more", repair="honour offset, or correct X-Total-Count")
            records = []  # a server that knows no offset shows the same again: that was all
        times = [at for at in (_time(record, context) for record in records) if at is not None]
        newest = max([*times, *([newest] if newest else [])], default=None)
        fresh = [record for record in records if seen.new(record.value, _time(record, context))]
        offset += min(len(records), context.options.page_size)  # more than asked for: some are there twice
        last = not records or (total is not None and offset >= total)
        cursor[name] = _saved(newest, seen, context) if last else {**_saved(newest, seen, context), "offset": offset, "filter": since}
        yield Page(fresh, dict(cursor))
        if last:
            return


def _total(answer: Answer) -> int | None:
    """Return how many there are; None without X-Total-Count: then only an empty page ends the list."""
    said = answer.headers.get("x-total-count", "")
    return int(said) if said.isdigit() else None


def _saved(newest: datetime | None, seen: Seen, context: Context[Any]) -> dict[str, Any]:
    if newest is None:  # nothing has a time: the list is read whole each time, and remembered
        return {"seen": seen.save(datetime.fromtimestamp(0, UTC))}
    since = newest - timedelta(seconds=context.options.overlap_s)
    marks = seen.save(since)
    kept = [int(key) for key in marks if key != "0"]
    start = max(since, datetime.fromtimestamp(min(kept), UTC)) if seen.full and kept else since
    return {"since": newest.isoformat(), "from": start.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"), "seen": marks}


def _time(record: Record, context: Context[Any]) -> datetime | None:
    value = record.value
    try:
        at = fields.moment(value.get("dateLastModified"), "dateLastModified") if isinstance(value, dict) else None
    except Skip:
        return None  # said when the record is mapped
    return at if at is not None and at <= context.now + MAX_AHEAD else None
