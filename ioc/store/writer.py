"""One batch from the bus to the store, in one transaction.

Order, all or nothing:

1. lock the offsets of the batch's partitions, drop what another consumer already committed (fencing);
2. COPY the events of cases and assets into the store; where one is there already, and for observations, go by way of a
   staging table and find what the store knows of their identities;
3. sort out repetitions (counted), contradictions (dead letters) and the rest (new);
4. bring rollups of observations, states of cases and assets, rollups of cases up to date;
5. write dead letters; save offsets and counters;
6. NOTIFY which feeds changed, and commit.

Twice the same batch, or any part of it, changes nothing the second time: step 1 and step 3 see to it.

Several writers may store one feed's facts at once (a group of consumers). One thing's events lie in one partition as a
rule, but need not: a foreign partitioner, partitions that were added. What keeps them apart all the same: the unique
index of events; for observations, a lock on the feed; for cases and assets, a lock on the rows of states that are there,
and the refusal to insert one that somebody else just made (the batch is then written again). Rollups of cases are sums
of differences; they are changed last, by one writer a feed at a time.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from psycopg.rows import dict_row

from ioc.clock import ICT, day_start, local_day
from ioc.events import Asset, Case, DeadLetter, Event, Observation, encode
from ioc.store.rollup import ASSET_FIELDS, CASE_FIELDS, CaseDeltas, State, version_of
from ioc.store.sql import queries
from ioc.store.wire import NULL, array, escaped, line, stamp, texts

CHANNEL = "ioc_facts"
_SQL = queries("ingest")
_EVENT = "kind, time, key, content, received_at, version, value, area, deleted, feed, subject, metric, period, id, source, data"
_KIND = {Observation: 1, Case: 2, Asset: 3}
_OBSERVATIONS, _ROLLUPS = 1, 2  # what one writer a feed does at a time: the first key of its advisory locks
_CASE_KEY, _TOTAL_KEY = ("feed", "measure", "day", "area", "dims"), ("feed", "measure", "day", "dims")
_CASE_SUMS = ("n", "n_due", "n_on_time", "seconds", "n_rated", "rating")
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Fenced(Exception):
    """The partition moved on under us (topic recreated, offsets reset): read the offsets again and seek."""


@dataclass(slots=True)
class Record:
    """One record of the bus: an event, a dead letter, or (neither) a sign of life of the source at `checked_at`."""

    topic: str
    partition: int
    offset: int
    feed: str
    received_at: datetime
    event: Event | None = None
    letter: DeadLetter | None = None
    checked_at: datetime | None = None


@dataclass(slots=True)
class Progress:
    """How far a partition will have been read, and what was met on the way."""

    next_offset: int
    events: int = 0
    duplicates: int = 0
    as_of: datetime | None = None
    received_at: datetime | None = None
    checked_at: datetime | None = None


@dataclass
class Result:
    """What a batch changed. `feeds` maps a feed to the kinds and metrics that moved ("case", "asset", metric names)."""

    events: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    feeds: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def digest(*parts: bytes) -> str:
    """Return 128 bits of BLAKE2 as a hex text that PostgreSQL reads as uuid."""
    return hashlib.blake2b(b"\x1f".join((*parts, b"")), digest_size=16).hexdigest()


States: TypeAlias = dict[tuple[str, str], State]  # (feed, subject) -> state
Identity: TypeAlias = tuple[str, str, str, str, datetime]  # feed, subject, metric, period, time


class Row:
    """An event on its way into the table `event`."""

    __slots__ = ("content", "data", "event", "identity", "key", "kind", "line", "record", "time", "version")

    def __init__(self, record: Record, event: Event) -> None:
        data, time = event.data, event.time
        self.record = record
        self.event = event
        self.data = _encode(data)
        self.time = time.isoformat()
        self.key = digest(event.source.encode(), event.id.encode())
        self.content = digest(self.data, event.subject.encode(), self.time.encode())
        self.kind = _KIND[type(data)]
        metric, period, version = (data.metric, data.period, data.version) if isinstance(data, Observation) else ("", "", None)
        self.version: datetime = version or time
        self.identity: Identity = (record.feed, event.subject, metric, period, time)
        self.line = self._line()

    def _line(self) -> str:
        """Return the row as a line of COPY, in the order of _EVENT."""
        e, d = self.event, self.event.data
        value = d.value if isinstance(d, Observation) else None
        area = d.area if isinstance(d.area, str) else None
        version = self.time if self.version is e.time else stamp(self.version)
        return (
            f"{self.kind}\t{self.time}\t{self.key}\t{self.content}\t{stamp(self.record.received_at)}\t{version}"
            f"\t{NULL if value is None else value}\t{NULL if area is None else escaped(area)}\t{d.deleted is True}"
            f"\t{texts(*self.identity[:4], e.id, e.source, self.data.decode())}\n"
        )


def prepare(records: Sequence[Record]) -> list[Row]:
    """Return the rows of the records that hold events: all that can be made without the database."""
    return [Row(r, r.event) for r in records if r.event is not None]


class Stored(NamedTuple):
    """What the store knows of an identity."""

    key: str
    content: str
    version: datetime
    value: Decimal | None
    deleted: bool


Prior: TypeAlias = dict[int, list[Stored]]  # id() of a row -> what is stored of its identity


@dataclass(slots=True)
class Sorted:
    """The rows of a batch by what is to be done with them. `rejected`: the places of all that are not new."""

    prior: Prior
    new: list[Row] = field(default_factory=list)
    repeated: list[Row] = field(default_factory=list)
    contradicting: list[Row] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)


def sort_out(rows: Sequence[Row], prior: Prior) -> Sorted:
    """Tell new rows from those that came before, in this batch or stored."""
    met: dict[tuple[Identity, str], str] = {}
    found = Sorted(prior)
    for i, row in enumerate(rows):
        name = (row.identity, row.key)
        content = met.get(name)
        if content is None and prior and id(row) in prior:
            content = next((x.content for x in prior[id(row)] if x.key == row.key), None)
        if content is None:
            met[name] = row.content
            found.new.append(row)
            continue
        found.rejected.append(i)
        (found.repeated if content == row.content else found.contradicting).append(row)
    return found


class Writer:
    """Writes batches through one connection. Not thread-safe; make one per thread.

    `gap_s`: feed -> the longest silence between two signs of life that is none, seconds (0 where it is not said).
    """

    def __init__(self, conn: psycopg.Connection[Any], zone: ZoneInfo = ICT, gap_s: Mapping[str, float] | None = None) -> None:
        self.conn = conn
        self.zone = zone
        self.gap_s = gap_s or {}
        self._repeating = False  # did the last batch hold what was stored already?
        conn.autocommit = True
        conn.execute(_SQL["staging"])
        # The staging tables have no statistics, and those of `event` always end before the newest rows: told so, the planner
        # takes a stretch of time for one row and goes through it again and again (45 times the work, once a chunk is
        # analysed). Leave it only what is right here, the look-up of each row by the index that finds the fewest.
        for setting in ("enable_hashjoin = off", "enable_mergejoin = off", "enable_material = off", "cpu_tuple_cost = 1"):
            conn.execute(f"SET {setting}".encode())
        # A statement is prepared after its fifth use and its plan kept: one made while a chunk held twenty rows reads the
        # whole chunk for each row of a batch, an hour later (18 s from event to commit at 1,000 a second; now 0.1 s).
        conn.execute("SET plan_cache_mode = force_custom_plan")
        conn.execute("SET timezone = 'UTC'")

    def assign(self, topic: str, partition: int, topic_id: str, feed: str) -> int:
        """Return the offset at which to go on in this partition."""
        row = self.conn.execute(
            _SQL["assign"], {"topic": topic, "partition": partition, "topic_id": topic_id, "feed": feed}
        ).fetchone()
        assert row is not None
        return int(row[0])

    def write(
        self,
        records: Sequence[Record],
        topic_ids: dict[str, str],
        lags: dict[tuple[str, int], int] | None = None,
        begins: dict[tuple[str, int], int] | None = None,
        prepared: Sequence[Row] | None = None,
    ) -> Result:
        """Store the batch.

        `lags`: records of a partition still to come after this batch; `begins`: the offset up to which the caller took
        everything before this batch to be stored; `prepared`: what `prepare` made of these records. Raise `Fenced` when
        the offsets no longer belong to these topics, or when the database has forgotten what was stored (it crashed, a
        standby took over, a backup was restored).
        """
        with self.conn.transaction():
            if lags and any(lags.values()):
                # Behind: do not wait for the disk. The offsets are in the same transaction, so what a crash takes is read
                # again; the batch that catches up waits, and makes all before it durable.
                self.conn.execute("SET LOCAL synchronous_commit = off")
            progress, fresh = self._lock(records, topic_ids, begins or {})
            result = Result()
            rows = prepare(fresh) if prepared is None or len(fresh) < len(records) else prepared
            letters = [r.letter for r in fresh if r.letter is not None]
            new: list[Row] = []
            if measured := [r for r in rows if r.kind == 1]:
                self._alone(measured)
                sorted_out = self._store(measured)
                self._observations(sorted_out.new, sorted_out.prior)
                new += self._counted(sorted_out, progress, result, letters)
                if len(measured) < len(rows):
                    self.conn.execute("TRUNCATE incoming")
            if alive := [r for r in rows if r.kind != 1]:
                sorted_out = self._append(alive) or self._store(alive)
                new += self._counted(sorted_out, progress, result, letters)
                self._assets([r for r in sorted_out.new if r.kind == 3])
                self._cases([r for r in sorted_out.new if r.kind == 2])
            self._dead_letters(letters)
            self._account(fresh, new, progress, result)
            self._save(progress, lags or {})
            self._alive(fresh)
            result.dead_letters = len(letters)
            for letter in letters:
                result.feeds[letter.feed].add("dead_letter")
            self._notify(result)
        return result

    def _lock(
        self, records: Sequence[Record], topic_ids: dict[str, str], begins: dict[tuple[str, int], int]
    ) -> tuple[dict[tuple[str, int], Progress], list[Record]]:
        last: dict[tuple[str, int], int] = {}
        for r in records:
            last[(r.topic, r.partition)] = max(r.offset, last.get((r.topic, r.partition), -1))
        names = sorted(last)
        found = self.conn.execute(
            _SQL["lock_offsets"], {"topics": [t for t, _ in names], "partitions": [p for _, p in names]}
        ).fetchall()
        stored = {(topic, partition): (topic_id, offset) for topic, partition, topic_id, offset in found}
        for name in names:
            if stored.get(name, ("", 0))[0] != topic_ids[name[0]]:
                raise Fenced(f"partition {name[1]} of {name[0]} is not the one that was assigned")
            if stored[name][1] < begins.get(name, 0):
                raise Fenced(f"the database has partition {name[1]} of {name[0]} only up to {stored[name][1]}, not {begins[name]}")
        fresh = [r for r in records if r.offset >= stored[(r.topic, r.partition)][1]]
        return {name: Progress(max(last[name] + 1, stored[name][1])) for name in names}, fresh

    def _alone(self, rows: Sequence[Row]) -> None:
        """Let one writer at a time store a feed's observations: two would not see each other's versions of one."""
        self._lock_feeds(_OBSERVATIONS, {r.record.feed for r in rows})

    def _lock_feeds(self, what: int, feeds: Iterable[str]) -> None:
        """Wait until no other writer works at `what` of these feeds; nobody else will until we commit."""
        numbers = sorted({zlib.crc32(feed.encode()) - 2**31 for feed in feeds})
        self.conn.execute(_SQL["alone"], {"what": what, "feeds": numbers})

    def _append(self, rows: Sequence[Row]) -> Sorted | None:
        """COPY the rows straight into the store: half the work, if none of them is there already. None: one is.

        Where the last batch had some, this one is likely to have them, too (a source that repeats itself, a cursor that
        went back), and is not tried.
        """
        if self._repeating:
            self._repeating = False
            return None
        found = sort_out(rows, {})
        try:
            with self.conn.transaction(), self.conn.cursor() as cur, cur.copy(f"COPY event ({_EVENT}) FROM STDIN".encode()) as copy:
                copy.write("".join([row.line for row in found.new]))
        except psycopg.errors.UniqueViolation:
            return None
        return found

    def _store(self, rows: Sequence[Row]) -> Sorted:
        """COPY the rows into a staging table, find what is stored of their identities, insert what is new."""
        with self.conn.cursor() as cur:
            with cur.copy(f"COPY incoming (ord, {_EVENT}) FROM STDIN".encode()) as copy:
                copy.write("".join([f"{i}\t{row.line}" for i, row in enumerate(rows)]))
            times = [row.event.time for row in rows]
            known = cur.execute(_SQL["known"], {"oldest": min(times), "newest": max(times)}).fetchall()
        prior: Prior = defaultdict(list)
        for i, key, content, version, value, deleted in known:
            prior[id(rows[i])].append(Stored(key.hex, content.hex, version, value, deleted))
        found = sort_out(rows, prior)
        if found.new:
            self.conn.execute(_SQL["store"], {"rejected": found.rejected})
        return found

    def _counted(self, found: Sorted, progress: dict[tuple[str, int], Progress], result: Result, letters: list[DeadLetter]) -> list[Row]:
        """Count the repetitions, add the dead letters of contradictions; return what is new."""
        for row in found.repeated:
            progress[(row.record.topic, row.record.partition)].duplicates += 1
        result.duplicates += len(found.repeated)
        letters += [_contradiction(row) for row in found.contradicting]
        self._repeating = self._repeating or bool(found.rejected)
        return found.new

    def _observations(self, rows: Sequence[Row], prior: Prior) -> None:
        if not rows:
            return
        sums, corrected = observation_deltas(rows, prior, self.zone)
        if sums:
            self.conn.execute(_SQL["add_observations"], _columns(
                ("feed", "metric", "period", "day", "subject", "n", "total", "last_time", "last_value", "area", "said"),
                [(*key, *delta) for key, delta in sorted(sums.items())],
            ))  # fmt: skip
        if corrected:
            keys = [(*key, day_start(key[3], self.zone), _next_day(key[3], self.zone)) for key in sorted(corrected)]
            arrays = _columns(("feed", "metric", "period", "day", "subject", "start", "end"), keys)
            self.conn.execute(_SQL["refresh_last"], arrays)
            self.conn.execute(_SQL["drop_empty_observations"], arrays)

    def _cases(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        deltas = CaseDeltas(self.zone)
        self._fold("case_state", CASE_FIELDS, rows, deltas)
        self._lock_feeds(_ROLLUPS, {row.record.feed for row in rows})
        for block, columns, changed in (
            ("add_cases", _CASE_KEY + _CASE_SUMS, deltas.changed_cases()),
            ("add_totals", _TOTAL_KEY + _CASE_SUMS, deltas.changed_totals()),
            ("add_durations", ("feed", "day", "area", "tenths", "n"), deltas.changed_durations()),
        ):
            if changed:
                self.conn.execute(_SQL[block], _columns(columns, changed))

    def _assets(self, rows: Sequence[Row]) -> None:
        if rows:
            self._fold("asset_state", ASSET_FIELDS, rows, None)

    def _fold(self, table: str, fields: tuple[str, ...], rows: Sequence[Row], deltas: CaseDeltas | None) -> None:
        """Bring the current states of the rows' subjects up to date; note in `deltas` what that changes.

        The states that are there are taken out and put back changed, which is less work than to lock, read and update them.
        One that another writer makes or changes at the same time stops the COPY by its key: the batch is written again.
        """
        keys = sorted({(row.record.feed, row.event.subject) for row in rows})
        with self.conn.cursor(row_factory=dict_row) as cur:
            cur.execute(
                f"DELETE FROM {table} s USING unnest(%s::text[], %s::text[]) AS k(feed, subject)"  # noqa: S608
                " WHERE s.feed = k.feed AND s.subject = k.subject RETURNING s.*",
                (array([feed for feed, _ in keys]), array([subject for _, subject in keys])),
            )
            states = {(row["feed"], row["subject"]): State.load(fields, row) for row in cur}
        if deltas is not None:
            for (feed, _), state in states.items():
                deltas.add(feed, state, -1)
        for row in rows:
            data = row.event.data
            assert not isinstance(data, Observation)
            key = (row.record.feed, row.event.subject)
            state = states.get(key) or states.setdefault(key, State(fields))
            state.apply(version_of(row.event.time, row.key), row.event.time, data)
        if deltas is not None:
            for (feed, _), state in states.items():
                deltas.add(feed, state, 1)
        columns = ("feed", "subject", *fields, "first_at", "updated_at", "versions")
        with self.conn.cursor() as cur, cur.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
            copy.write("".join([
                line((feed, subject, *state.row(), state.first_at, state.updated_at, state.dump_versions()))
                for (feed, subject), state in states.items()
            ]))  # fmt: skip

    def _dead_letters(self, letters: Iterable[DeadLetter]) -> None:
        unique: dict[str, DeadLetter] = {}
        times: Counter[str] = Counter()
        for letter in letters:
            unique[letter.id] = letter
            times[letter.id] += 1
        if not unique:
            return
        rows = [
            (i, x.feed, x.cause, x.message, x.field, x.repair, x.record.replace("\x00", "\\x00"), x.connector, x.at, x.at, times[i])
            for i, x in sorted(unique.items())
        ]
        columns = ("id", "feed", "cause", "message", "field", "repair", "record", "connector", "first_at", "last_at", "times")
        self.conn.execute(_SQL["dead_letters"], _columns(columns, rows))

    def _account(self, fresh: Sequence[Record], new: Sequence[Row], progress: dict[tuple[str, int], Progress], result: Result) -> None:
        for r in fresh:
            p = progress[(r.topic, r.partition)]
            if r.checked_at is not None:
                p.checked_at = max(r.checked_at, p.checked_at or r.checked_at)
                result.feeds[r.feed].add("checked")
            elif r.event is not None and (p.received_at is None or r.received_at > p.received_at):
                p.received_at = r.received_at
        counted: Counter[tuple[str, int]] = Counter()
        for row in new:
            name, (feed, _, metric, _, time) = (row.record.topic, row.record.partition), row.identity
            counted[name] += 1
            p = progress[name]
            if p.as_of is None or time > p.as_of:
                p.as_of = time
            result.feeds[feed].add(metric if row.kind == 1 else "case" if row.kind == 2 else "asset")
        for name, n in counted.items():
            progress[name].events = n
        result.events = len(new)

    def _save(self, progress: dict[tuple[str, int], Progress], lags: dict[tuple[str, int], int]) -> None:
        rows = [
            (topic, partition, p.next_offset, p.events, p.duplicates, lags.get((topic, partition)), p.as_of, p.received_at, p.checked_at)
            for (topic, partition), p in sorted(progress.items())
        ]
        columns = ("topic", "partition", "next_offset", "events", "duplicates", "lag", "as_of", "received_at", "checked_at")
        self.conn.execute(_SQL["save_offsets"], _columns(columns, rows))

    def _alive(self, fresh: Sequence[Record]) -> None:
        """Keep since when, and until when, a source is heard of without a gap."""
        heard: dict[str, datetime] = {}
        for r in fresh:
            if r.checked_at is not None:
                heard[r.feed] = max(r.checked_at, heard.get(r.feed, r.checked_at))
        if heard:
            rows = [(feed, at, self.gap_s.get(feed, 0.0)) for feed, at in sorted(heard.items())]
            self.conn.execute(_SQL["alive"], _columns(("feed", "at", "gap_s"), rows))

    def _notify(self, result: Result) -> None:
        if result.feeds:
            changed = {feed: sorted(what)[:50] for feed, what in sorted(result.feeds.items())}
            self.conn.execute("SELECT pg_notify(%s, %s)", (CHANNEL, msgspec.json.encode(changed).decode()[:7900]))


ObservationKey: TypeAlias = tuple[str, str, str, date, str]  # feed, metric, period, day, subject


def observation_deltas(
    rows: Sequence[Row], prior: Prior, zone: ZoneInfo
) -> tuple[dict[ObservationKey, tuple[Any, ...]], set[ObservationKey]]:
    """Return (key -> (n, total, last_time, last_value, area, said) to add, keys whose newest value must be read again).

    Of all versions of one observation, stored or in this batch, only the newest by (version, key) stands.
    """
    newest: dict[Identity, Row] = {}
    for row in rows:
        other = newest.get(row.identity)
        if other is None or (row.version, row.key) > (other.version, other.key):
            newest[row.identity] = row
    sums: dict[ObservationKey, list[Any]] = {}
    corrected: set[ObservationKey] = set()
    days: dict[datetime, date] = {}  # many things are measured at the same instant
    for (feed, subject, metric, period, time), row in newest.items():
        data = row.event.data
        assert isinstance(data, Observation)
        day = days.get(time) or days.setdefault(time, local_day(time, zone))
        key: ObservationKey = (feed, metric, period, day, subject)
        value, before = None if data.deleted else data.value, None
        if stored := prior.get(id(row)):
            version, name, before = max((x.version, x.key, None if x.deleted else x.value) for x in stored)
            if (version, name) > (row.version, row.key):
                continue
            corrected.add(key)
        if value is None and before is None:
            continue
        n, change = (value is not None) - (before is not None), (value or 0) - (before or 0)
        delta = sums.get(key)
        if delta is None:
            sums[key] = [n, change, time, value, data.area, said(data)]
            continue
        delta[0] += n
        delta[1] += change
        if time >= delta[2]:
            delta[2:] = [time, value, data.area, said(data)]
    return {key: tuple(delta) for key, delta in sums.items()}, corrected


_SAYING, _OTHERWISE_KEPT = ("qualifier", "doubt", "attributes"), ("metric", "value", "area", "period", "deleted", "lat", "lon")


def said(data: Observation) -> str | None:
    """Return as JSON how a value was reported, None where the source said nothing of the kind; in SQL the same (ingest.sql)."""
    if data.qualifier == "exact" and data.doubt is None and not data.attributes:
        return None
    plain = {name: value for name, value in msgspec.to_builtins(data).items() if name not in _OTHERWISE_KEPT}
    return msgspec.json.encode(plain).decode()


def _contradiction(row: Row) -> DeadLetter:
    e = row.event
    return DeadLetter(
        feed=row.record.feed,
        cause="contradiction",
        message=f"event {e.id} of {e.source} came before with other content",
        field="id",
        repair="give a changed fact a new id, and a newer version (observation) or time (case, asset)",
        record=encode(e).decode(),
        connector=e.source,
        at=row.record.received_at,
    )


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    """Turn rows into one array a column, for unnest()."""
    return {name: array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def _next_day(day: Any, zone: ZoneInfo) -> datetime:
    return day_start(day + timedelta(days=1), zone)


def key_of(source: str, event_id: str) -> UUID:
    """Return the key under which an event is stored."""
    return UUID(digest(source.encode(), event_id.encode()))
