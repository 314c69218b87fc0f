"""Reading the API. GeoReport v2 can ask for new requests, not for changed ones; so three things are read:

* new      the window of requested_datetime since the newest one, with an overlap, page by page
* watched  open and lately closed requests, by service_request_id, in chunks, in turn
* sweep    now and then the whole late window, for what was published late or forgotten here

The cursor::

    {"since": ISO, "swept": ISO, "turn": id, "sweep": ISO (while a sweep is under way: how far it is),
     "watch": {id: [digest, open 0|1, requested, updated (seconds), changes at that time], or only [digest]}}
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ioc.connect import Context, Page, Record, Skip, Walk, digest, each_part, fields

if TYPE_CHECKING:
    from connectors.open311.connector import Open311

MAX_SPAN = timedelta(days=90)  # the standard's longest window
FULL = 1000  # the standard's largest answer: a window this full may hide more
SMALLEST = timedelta(minutes=1)


class _State:
    """What the cursor holds, and what this poll learns."""

    def __init__(self, context: Context[Any]) -> None:
        cursor = context.cursor
        self.now = context.now
        self.options = context.options
        self.since = _time(cursor.get("since"))
        self.reached = self.since  # becomes `since` only when the newest window was read to its end
        self.swept = _time(cursor.get("swept"))
        self.sweeping = _time(cursor.get("sweep"))
        self.turn = str(cursor.get("turn", ""))
        self.watch: dict[str, list[Any]] = dict(cursor.get("watch") or {})

    def fresh(self, records: list[Record]) -> list[Record]:
        """Return the records whose content we do not know yet, and remember them."""
        return [record for record in records if self._new(record)]

    def _new(self, record: Record) -> bool:
        value = record.value
        key = str(value.get("service_request_id", "")) if isinstance(value, dict) else ""
        mark = digest(value)
        known = self.watch.get(key or mark)
        if known is not None and known[0] == mark:
            return False
        requested, updated = _moment(value, "requested_datetime"), _moment(value, "updated_datetime")
        open_ = isinstance(value, dict) and str(value.get("status", "")).lower() == "open"
        changes = 0
        if known is not None and key and updated is None:
            record.hints["changed_at"] = self.now  # changed, and the source never says when: we saw it now
        elif known is not None and len(known) > 1 and key and updated is not None and _seconds(updated) == known[3]:
            # Changed, and the update time stands still (a rating does that). A little later than before, but by the
            # source's clock, so that its next real update is newer whatever our clock says.
            changes = int(known[4]) + 1
            record.hints["changed_at"] = updated + timedelta(milliseconds=changes)
        if requested is not None and requested <= self.now + timedelta(days=1):
            self.reached = max(self.reached or requested, requested)
        self.watch[key or mark] = [mark, int(open_), _seconds(requested), _seconds(updated), changes]
        return True

    def save(self) -> dict[str, Any]:
        out: dict[str, Any] = {"watch": self._trimmed(), "turn": self.turn}
        for name, at in (("since", self.since), ("swept", self.swept), ("sweep", self.sweeping)):
            if at is not None:
                out[name] = at.isoformat()
        return out

    def _trimmed(self) -> dict[str, list[Any]]:
        """Return what is remembered, at most `watch` requests: those asked again whole, of the others the digest.

        Asked again are open ones, and what was touched within the days of `watch_closed_days`. The others are only
        remembered so that a sweep does not publish them again.
        """
        oldest = _seconds(self.now) - self.options.watch_closed_days * 86_400
        asked: dict[str, list[Any]] = {}
        others: dict[str, list[Any]] = {}
        for key, entry in self.watch.items():
            if len(entry) > 1 and entry[2] and (entry[1] or max(entry[2], entry[3]) >= oldest):
                asked[key] = entry
            else:
                others[key] = entry[:1]
        if len(asked) > self.options.watch:
            newest = sorted(asked.items(), key=lambda item: (item[1][1], max(item[1][2], item[1][3])), reverse=True)
            asked = dict(newest[: self.options.watch])
        room = self.options.watch - len(asked)
        self.watch = dict(list(others.items())[-room:] if room else []) | asked
        return self.watch


def poll(connector: Open311, context: Context[Any]) -> Iterator[Page]:
    """Yield new requests, changed ones, and what a sweep finds."""
    state = _State(context)
    yield from each_part(partial(part, connector, context, state) for part in (_newest, _watched, _sweep))


def _newest(connector: Open311, context: Context[Any], state: _State) -> Iterator[Page]:
    limit = state.now - MAX_SPAN
    start = max(context.oldest, limit) if state.since is None else max(state.since - timedelta(seconds=context.options.overlap_s), limit)
    first = state.since is None
    for records in _window(connector, context, start, min(start + MAX_SPAN, state.now + timedelta(days=1))):
        yield Page(state.fresh(records))
    state.since = state.reached
    if first:
        state.swept = state.now  # the first reading was a sweep
    yield Page(cursor=state.save())


def _watched(connector: Open311, context: Context[Any], state: _State) -> Iterator[Page]:
    chunk_size = context.options.ids_per_request
    ids = sorted(key for key, entry in state.watch.items() if len(entry) > 1 and entry[2])
    after = [key for key in ids if key > state.turn]
    todo = (after + ids[: len(ids) - len(after)])[: context.options.recheck]
    for at in range(0, len(todo), chunk_size):
        chunk = [key for key in todo[at : at + chunk_size] if "," not in key]
        if not chunk:
            continue
        answer = context.http.get(_path(context), {**_common(context), "service_request_id": ",".join(chunk)})
        records = connector.read(connector.document(answer), context)
        state.turn = chunk[-1] if len(todo) < len(ids) else ""
        yield Page(state.fresh(records))
    if todo:
        yield Page(cursor=state.save())


def _sweep(connector: Open311, context: Context[Any], state: _State) -> Iterator[Page]:
    """Read the late window again, a day at a time; a sweep that was broken off goes on where it was."""
    if state.sweeping is None:
        if state.swept is not None and state.now - state.swept < timedelta(seconds=context.options.sweep_every_s):
            return
        state.sweeping = max(context.oldest, state.now - MAX_SPAN)
    while state.sweeping < state.now:
        end = min(state.sweeping + timedelta(days=1), state.now)
        for records in _window(connector, context, state.sweeping, end):
            yield Page(state.fresh(records))
        state.sweeping = end
        yield Page(cursor=state.save())
    state.sweeping, state.swept = None, state.now
    yield Page(cursor=state.save())


def _window(connector: Open311, context: Context[Any], start: datetime, end: datetime) -> Iterator[list[Record]]:
    """Yield the requests made in a window, page by page; halve it where a server without paging hides some."""
    walk, ids, size = Walk(), set[str](), context.options.page_size
    page = 1
    while True:
        params = {**_common(context), "start_date": _stamp(start), "end_date": _stamp(end), "page": page, "page_size": size}
        answer = context.http.get(_path(context), params)
        records = connector.read(connector.document(answer), context)
        walk.step(f"{page}")
        found = {_id(record) for record in records}
        if found <= ids:  # empty, or the server knows no pages and answers the same again
            break
        ids |= found
        yield records
        page += 1
    hidden = page == 2 and records and len(ids) >= FULL and end - start > SMALLEST
    if hidden:
        middle = start + (end - start) / 2
        yield from _window(connector, context, start, middle)
        yield from _window(connector, context, middle, end)


def _path(context: Context[Any]) -> str:
    return f"requests.{context.options.format}"


def _common(context: Context[Any]) -> dict[str, Any]:
    return {"jurisdiction_id": context.options.jurisdiction_id or None, "extensions": "true"}


def _id(record: Record) -> str:
    value = record.value
    return str(value.get("service_request_id", "")) or digest(value) if isinstance(value, dict) else digest(value)


def _stamp(at: datetime) -> str:
    """Whole seconds and Z: some servers fail on anything else."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(saved: Any) -> datetime | None:
    return datetime.fromisoformat(saved) if isinstance(saved, str) else None


def _moment(value: Any, name: str) -> datetime | None:
    try:
        return fields.moment(value.get(name), name) if isinstance(value, dict) else None
    except Skip:
        return None  # said when the record is mapped


def _seconds(at: datetime | None) -> int:
    return int(at.timestamp()) if at else 0
