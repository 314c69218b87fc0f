"""As it was then: a reader of the rollups and states of an earlier instant, for the same statements as always.

Two questions, one answer each:

* "as it looked then": everything received until `known_at`, nothing later.
* "as known now of then" (`known_at` later than `at`): besides, what lies after `at` is left out. What a case *is*
  (category, area, agency, opened_at, ...) is taken as known; what it *went through* (status, outcome, due date,
  closing, rating) as of `at`, unless it is known to have been closed by then.

Only what changed since is rebuilt, from raw events: a case nobody heard of since is stored today as it was then. The
result is the stored rows plus corrections (`pg_temp.then_...`), dropped when the reader is.

A feed was heard of then when a fact had arrived, or when its source answered without news (`feed_alive`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from ioc.clock import ICT
from ioc.events import MAX_AHEAD, Asset, Case
from ioc.store.reader import RELATIONS, FeedTimes, Reader, Relations, Then
from ioc.store.rollup import ASSET_FIELDS, CASE_FIELDS, CaseDeltas, State, closed_at, fold, opened_at
from ioc.store.sql import queries
from ioc.store.wire import line

_SQL = queries("then")
CASE_KIND, ASSET_KIND = 2, 3  # event.kind
_LIFE = ("status", "native_status", "outcome", "closed_at", "rating")
_case = msgspec.json.Decoder(Case).decode
_asset = msgspec.json.Decoder(Asset).decode


@contextmanager
def as_then(reader: Reader, feeds: Sequence[str], at: datetime, known_at: datetime, zone: ZoneInfo = ICT, *, seen: bool = False) -> Iterator[Reader]:
    """Yield a reader of what was so at `at`, as known at `known_at`, of these feeds.

    `seen`: single cases are asked for, too (the map, the latest events), not their numbers alone.
    """
    conn, then = reader.conn, Then(at, known_at)
    given = {"feeds": list(feeds), "at": at, "known_at": known_at, "truncate": then.truncate, "zone": zone.key}
    with conn.transaction(force_rollback=True):
        for block in ("case_keys", "asset_keys", "observation_keys", "observations"):
            conn.execute(_SQL[block], given)
        conn.execute(_SQL["deltas"])
        _cases(conn, given, zone, seen)
        _assets(conn, given)
        conn.execute(_SQL["views"])
        if seen:
            conn.execute(_SQL["seen"])
        yield Reader(conn, Relations(frozenset(RELATIONS)), _feed_times(conn, given), then)


def state_at(full: State, earlier: State, at: datetime) -> State | None:
    """Return a case as it stood at `at`: `full` is all that is known of it, `earlier` what events until `at` said.

    None when it had not been opened.
    """
    if opened_at(full) > at:
        return None
    closed = closed_at(full)
    if closed is not None and closed <= at:
        return full
    then = State(full.fields)
    then.masks, then.first_at, then.updated_at = full.masks, full.first_at, full.updated_at
    then.values = {name: value for name, value in full.values.items() if name not in _LIFE}
    then.values |= {name: earlier.values[name] for name in (*_LIFE, "due_at") if name in earlier.values}
    closed = closed_at(earlier) if earlier.masks else None
    if closed is not None and closed > at:  # a closing announced for later
        closed, then.values["status"] = None, "open"
    then.values["closed_at"] = closed
    return then


def _known(conn: psycopg.Connection[Any], keys: str, kind: int, given: dict[str, Any]) -> Iterator[tuple[str, str, list[tuple[datetime, str, str]]]]:
    """Yield (feed, subject, [(time, key, data)]) of what was known, one case or asset at a time."""
    query = sql.SQL(_SQL["known_events"]).format(keys=sql.Identifier(keys), kind=sql.Literal(kind))
    with conn.cursor(name="then_events") as cursor:
        cursor.itersize = 5000
        cursor.execute(query, given)
        for (feed, subject), rows in groupby(cursor, key=lambda row: (row[0], row[1])):
            yield feed, subject, [(time, key.hex, data) for _, _, time, key, data in rows]


def _cases(conn: psycopg.Connection[Any], given: dict[str, Any], zone: ZoneInfo, seen: bool) -> None:
    deltas = CaseDeltas(zone)
    query = sql.SQL(_SQL["stored_states"]).format(state=sql.Identifier("case_state"), keys=sql.Identifier("then_case_key"))
    with conn.cursor(name="then_states", row_factory=dict_row) as cursor:
        cursor.itersize = 5000
        for row in cursor.execute(query):
            deltas.add(row["feed"], State.load(CASE_FIELDS, row), -1)
    rows, shown = [], []
    for feed, subject, events in _known(conn, "then_case_key", CASE_KIND, given):
        facts = [(time, key, _case(data)) for time, key, data in events]
        state: State | None = fold(CASE_FIELDS, facts)
        assert state is not None
        if given["truncate"]:
            state = state_at(state, fold(CASE_FIELDS, [fact for fact in facts if fact[0] <= given["at"]]), given["at"])
        deltas.add(feed, state, 1)
        if state is not None and (found := case_row(feed, subject, state)) is not None:
            rows.append(found)
        if seen and state is not None and state.values.get("title") is not None:
            shown.append((feed, subject, *(state.get(name) for name in _SEEN_COLUMNS), state.first_at, state.get("shape")))
    copy_rows(conn, "then_delta", deltas.changed_cases())
    copy_rows(conn, "then_delta_total", deltas.changed_totals())
    copy_rows(conn, "then_delta_duration", deltas.changed_durations())
    copy_rows(conn, "then_case", rows)
    copy_rows(conn, "then_seen", shown)


def case_row(feed: str, subject: str, state: State) -> tuple[Any, ...] | None:
    """Return what a KPI asks of a single case: of those open with a due date only (None for any other)."""
    if state.get("status") != "open" or state.get("deleted") or not state.values.get("due_at"):
        return None
    return (feed, subject, *(state.get(name) for name in _CASE_COLUMNS))


def asset_row(feed: str, subject: str, state: State) -> tuple[Any, ...]:
    """Return what a KPI or the map asks of an asset."""
    return (feed, subject, *(state.get(name) for name in _ASSET_COLUMNS))


_CASE_COLUMNS = ("status", "outcome", "category", "area", "agency", "channel", "level", "due_at", "deleted", "dims")
_SEEN_COLUMNS = ("status", "title", "category", "level", "area", "due_at", "opened_at", "lat", "lon", "deleted")
_ASSET_COLUMNS = ("kind", "area", "state", "deleted", "name", "lat", "lon", "dims")


def _assets(conn: psycopg.Connection[Any], given: dict[str, Any]) -> None:
    rows = []
    for feed, subject, events in _known(conn, "then_asset_key", ASSET_KIND, given):
        facts = [(time, key, _asset(data)) for time, key, data in events if not given["truncate"] or time <= given["at"]]
        if facts:
            rows.append(asset_row(feed, subject, fold(ASSET_FIELDS, facts)))
    copy_rows(conn, "then_asset", rows)


def copy_rows(conn: psycopg.Connection[Any], table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """COPY the rows into a temporary table."""
    query = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier("pg_temp", table))
    with conn.cursor() as cursor, cursor.copy(query) as copy:
        for row in rows:
            copy.write(line(row))


def _feed_times(conn: psycopg.Connection[Any], given: dict[str, Any]) -> dict[str, FeedTimes]:
    """Return when each feed had last been heard of.

    A fact is never more than `MAX_AHEAD` ahead of its arrival: so what arrived before the last two such spans cannot be
    newer than a fact of the last span, and only a feed without one is searched whole.
    """
    until = min(given["at"], given["known_at"])
    found: dict[str, FeedTimes] = {}
    for since in (until - 2 * MAX_AHEAD, None):
        lacking = [feed for feed in given["feeds"] if feed not in found]
        with conn.cursor(row_factory=class_row(FeedTimes)) as cursor:
            for row in cursor.execute(_SQL["feed_times"], given | {"feeds": lacking, "since": since}):
                if since is None or (row.as_of and row.as_of > until - MAX_AHEAD):
                    found[row.feed] = row
    return found
