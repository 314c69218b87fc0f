"""Rollups and current states once more from raw events, and where what is stored differs. Read-only but for temporary
tables; streamed, so memory does not grow with the number of events.

A case or asset first heard of before the horizon of its feed (now less its retention) may have lost events: its stored
state is taken as it is, and counted as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from itertools import groupby
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from msgspec import Struct
from psycopg import sql
from psycopg.rows import dict_row, tuple_row

from ioc.clock import ICT, local_day
from ioc.events import Asset, Case
from ioc.store.reader import RELATIONS, FeedTimes, Reader, Relations
from ioc.store.rollup import ASSET_FIELDS, CASE_FIELDS, CaseDeltas, State, fold
from ioc.store.sql import queries
from ioc.store.then import ASSET_KIND, CASE_KIND, asset_row, case_row, copy_rows

_SQL = queries("audit")
_FLUSH = 20_000  # rollup rows held in memory before they go to the temporary table
_KEYS = {
    "rollup_case": ("feed", "measure", "day", "area", "dims"),
    "rollup_total": ("feed", "measure", "day", "dims"),
    "rollup_duration": ("feed", "day", "area", "tenths"),
    "rollup_observation": ("feed", "metric", "period", "day", "subject"),
}
_SUMS = {
    "rollup_case": ("n", "n_due", "n_on_time", "seconds", "n_rated", "rating"),
    "rollup_total": ("n", "n_due", "n_on_time", "seconds", "n_rated", "rating"),
    "rollup_duration": ("n",),
    "rollup_observation": ("area", "n", "total", "last_time", "last_value", "said"),
}


class FirstEvent(Struct, frozen=True):
    """The event to look at first."""

    id: str
    subject: str
    time: datetime
    received_at: datetime


class Difference(Struct, frozen=True):
    """Something that is stored otherwise than its events say. `what`: the relation, or "kpi"; `row`: which of it."""

    feed: str
    what: str
    row: dict[str, Any]
    stored: Any
    recomputed: Any
    first_event: FirstEvent | None = None

    def __str__(self) -> str:
        event = self.first_event
        where = f"; first event {event.id} of {event.subject} at {event.time.isoformat()}" if event else "; no event accounts for it"
        return f"{self.feed} {self.what} {self.row}: stored {self.stored}, recomputed {self.recomputed}{where}"


_Event: TypeAlias = tuple[str, str, datetime, Any, datetime, str, str]


class Recomputation:
    """One pass over all events, within the transaction of `conn`. `horizons`: feed -> events before it may be gone."""

    def __init__(self, conn: psycopg.Connection[Any], horizons: Mapping[str, datetime], zone: ZoneInfo = ICT, limit: int = 100) -> None:
        self.conn = conn
        self.horizons = horizons
        self.zone = zone
        self.limit = limit
        self.differences: list[Difference] = []
        self.counts = dict.fromkeys(("events", "cases", "assets", "taken_as_stored", "rollup_rows"), 0)
        self.deltas = CaseDeltas(zone)
        self._open: list[tuple[Any, ...]] = []  # rows of open cases with a due date, on their way
        self._assets: list[tuple[Any, ...]] = []

    def run(self) -> list[Difference]:
        """Recompute everything; return the differences (at most `limit`)."""
        self.conn.execute(_SQL["parts"])
        self.counts["cases"] = self._states("case_state", CASE_KIND, CASE_FIELDS, msgspec.json.Decoder(Case).decode, self._keep_case)
        self.counts["assets"] = self._states("asset_state", ASSET_KIND, ASSET_FIELDS, msgspec.json.Decoder(Asset).decode, self._keep_asset)
        self._flush()
        self.conn.execute(_SQL["sum_parts"])
        feeds = sorted(self.horizons)
        days = [local_day(self.horizons[feed], self.zone) for feed in feeds]
        self.conn.execute(_SQL["sum_observations"], {"zone": self.zone.key, "feeds": feeds, "horizons": days})
        self.conn.execute(_SQL["index_observations"])
        for relation in _KEYS:
            self._compare(relation)
        self._counted()
        return self.differences[: self.limit]

    def reader(self, feeds: dict[str, FeedTimes]) -> Reader:
        """Return a reader of what was recomputed."""
        return Reader(self.conn, Relations(frozenset(RELATIONS)), feeds)

    def _states(
        self, state: str, kind: int, fields: tuple[str, ...], decode: Callable[[str], Any], keep: Callable[[str, str, State], None]
    ) -> int:
        """Fold every case's (asset's) events, compare with its stored state, hand over the recomputed one; return how many."""
        found = 0
        with self.conn.cursor(name=f"audit_{state}", row_factory=dict_row) as rows, self.conn.cursor(name=f"audit_events_{kind}", row_factory=tuple_row) as events:
            rows.itersize = events.itersize = 5000
            rows.execute(sql.SQL(_SQL["states"]).format(state=sql.Identifier(state)))
            events.execute(sql.SQL(_SQL["events"]).format(kind=sql.Literal(kind)))
            for (feed, subject), row, own in _side_by_side(rows, events):
                found += 1
                horizon = self.horizons.get(feed)
                if row is not None and horizon is not None and row["first_at"] < horizon:
                    self.counts["taken_as_stored"] += 1
                    keep(feed, subject, State.load(fields, row))
                    continue
                again = fold(fields, [(time, key.hex, decode(data)) for _, _, time, key, _, _, data in own])
                self._same(state, feed, subject, State.load(fields, row) if row else None, again, own)
                if own:
                    keep(feed, subject, again)
        return found

    def _same(self, state: str, feed: str, subject: str, stored: State | None, again: State, own: list[_Event]) -> None:
        first = min(own, key=lambda e: (e[4], e[2]), default=None)
        event = FirstEvent(first[5], subject, first[2], first[4]) if first else None
        if stored is None or not own:
            self._differ(feed, state, {"subject": subject}, "nothing" if stored is None else "a state", "nothing" if not own else "a state", event)
            return
        names = [n for n in again.fields if stored.values.get(n, _ABSENT) != again.values.get(n, _ABSENT)]
        names += [n for n in ("masks", "first_at", "updated_at") if getattr(stored, n) != getattr(again, n)]
        for name in names[:1]:
            was, now = (getattr(s, name) if hasattr(s, name) else s.values.get(name) for s in (stored, again))
            self._differ(feed, state, {"subject": subject, "field": name}, str(was), str(now), event)

    def _differ(self, feed: str, what: str, row: dict[str, Any], stored: Any, recomputed: Any, event: FirstEvent | None) -> None:
        if len(self.differences) < self.limit:
            self.differences.append(Difference(feed, what, row, stored, recomputed, event))

    def _keep_case(self, feed: str, subject: str, state: State) -> None:
        self.deltas.add(feed, state, 1)
        if (row := case_row(feed, subject, state)) is not None:
            self._open.append(row)
        if len(self.deltas.cases) + len(self._open) > _FLUSH:
            self._flush()

    def _flush(self) -> None:
        copy_rows(self.conn, "part_case", self.deltas.changed_cases())
        copy_rows(self.conn, "part_duration", self.deltas.changed_durations())
        copy_rows(self.conn, "then_case_state", self._open)
        copy_rows(self.conn, "then_asset_state", self._assets)
        self._open.clear()
        self._assets.clear()
        self.deltas = CaseDeltas(self.zone)

    def _keep_asset(self, feed: str, subject: str, state: State) -> None:
        self._assets.append(asset_row(feed, subject, state))
        if len(self._assets) > _FLUSH:
            self._flush()

    def _compare(self, relation: str) -> None:
        stored, again = sql.Identifier(relation), sql.Identifier("pg_temp", f"then_{relation}")
        both = [(sql.Identifier("s", name), sql.Identifier("r", name)) for name in _KEYS[relation]]
        sums = [(sql.Identifier("s", name), sql.Identifier("r", name)) for name in _SUMS[relation]]
        query = sql.SQL(_SQL["different"]).format(
            stored=stored,
            recomputed=again,
            same_key=sql.SQL(" AND ").join(sql.SQL("{} = {}").format(s, r) for s, r in both),
            differs=sql.SQL(" OR ").join(sql.SQL("{} IS DISTINCT FROM {}").format(s, r) for s, r in sums),
            order=sql.SQL(", ").join(sql.SQL("coalesce({}, {})").format(s, r) for s, r in both if s != sql.Identifier("s", "dims")),
        )
        self.counts["rollup_rows"] += self._size(stored)
        with self.conn.cursor(row_factory=tuple_row) as cursor:
            for was, now in cursor.execute(query, {"limit": self.limit}).fetchall():
                row = {name: (was or now)[name] for name in _KEYS[relation]}
                stood, stands = ({name: side[name] for name in _SUMS[relation]} if side else "nothing" for side in (was, now))
                self._differ(row.pop("feed"), relation, row, stood, stands, self._first(relation, was or now))

    def _size(self, relation: sql.Identifier) -> int:
        row = self.conn.execute(sql.SQL(_SQL["size"]).format(relation=relation)).fetchone()
        return int(row[0]) if row else 0

    def _first(self, relation: str, row: Mapping[str, Any]) -> FirstEvent | None:
        """Return the first event of what a row counts, or of its feed's day where nothing accounts for it."""
        given: dict[str, Any] = {"zone": self.zone.key, "area": None, "dims": None, "measure": "closed", **row}
        given["day"] = date.fromisoformat(row["day"])
        if given["dims"] is not None:
            given["dims"] = msgspec.json.encode(given["dims"]).decode()
        if given["area"] == "*":
            given["area"] = None
        blocks = ["first_observation_event" if relation == "rollup_observation" else "first_case_event"]
        for block in (*blocks, "first_event_of_day"):
            found = self.conn.execute(_SQL[block], given).fetchone()
            if found:
                return FirstEvent(*found)
        return None

    def _counted(self) -> None:
        """Compare what ingest counted with what is there; of feeds with events past their retention only the newest time."""
        for feed, counted, as_of, stored, newest, oldest in self.conn.execute(_SQL["counted"], {"zone": self.zone.key}).fetchall():
            self.counts["events"] += stored
            horizon = self.horizons.get(feed)
            whole = horizon is None or oldest is None or oldest > horizon
            if whole and counted != stored:
                self._differ(feed, "consumer_offset", {"column": "events"}, counted, stored, None)
            if stored and as_of != newest:
                self._differ(feed, "consumer_offset", {"column": "as_of"}, str(as_of), str(newest), None)


_ABSENT = object()


def _side_by_side(rows: Iterator[dict[str, Any]], events: Iterator[_Event]) -> Iterator[tuple[tuple[str, str], dict[str, Any] | None, list[_Event]]]:
    """Merge stored states and events, both in the order of feed and subject: (key, state or None, its events)."""
    states = iter(rows)
    groups = groupby(events, key=lambda e: (e[0], e[1]))
    row, group = next(states, None), next(groups, None)
    while row is not None or group is not None:
        key_row = (row["feed"], row["subject"]) if row is not None else None
        key_group = group[0] if group is not None else None
        if key_group is not None and (key_row is None or key_group <= key_row):
            assert group is not None
            yield key_group, row if key_group == key_row else None, list(group[1])
            row = next(states, None) if key_group == key_row else row
            group = next(groups, None)
        else:
            assert key_row is not None
            yield key_row, row, []
            row = next(states, None)
