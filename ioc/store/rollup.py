"""Pure arithmetic of facts: how events fold into a current state, and what a state adds to the rollups.

Folding is a join of last-writer-wins registers, one per field: commutative, associative, idempotent. Any order, any
repetition of the same events gives the same state; `(time, key)` decides, so two events of one instant do too.

A rollup changes by `contributions(new) - contributions(old)`: exact integers and decimals, no estimate, no rescan.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from msgspec import UNSET
from msgspec.structs import astuple

from ioc.clock import ICT, local_day
from ioc.events import Asset, Case

NO_DAY = date(9999, 12, 31)  # stands for "no due date" in rollup_case.day
PROVINCE = "*"  # rollup_duration.area of the whole province
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND, _TENTH_HOUR, _NOTHING = timedelta(microseconds=1), timedelta(seconds=360), timedelta()

CASE_FIELDS: tuple[str, ...] = Case.__struct_fields__
ASSET_FIELDS: tuple[str, ...] = Asset.__struct_fields__
_DEFAULTS: dict[str, Any] = {"status": "open", "deleted": False, "dims": {}, "state": "unknown", "kind": ""}

Version: TypeAlias = tuple[int, str]  # (time in µs since 1970, event key): decides which of two events is newer


def version_of(time: datetime, key: str) -> Version:
    """Return what orders events: their time, then their key."""
    return ((time - _EPOCH) // _MICROSECOND, key)


class State:
    """The current state of one case or asset.

    `values`: field -> newest known value (fields never heard of are absent). `masks`: version -> bits of the fields
    whose value comes from that event; few entries, since most events carry everything.
    """

    __slots__ = ("fields", "first_at", "masks", "updated_at", "values")

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.fields = fields
        self.values: dict[str, Any] = {}
        self.masks: dict[Version, int] = {}
        self.first_at: datetime | None = None
        self.updated_at: datetime | None = None

    def get(self, name: str) -> Any:
        """Return the field's value or what stands for an unknown one."""
        value = self.values.get(name)
        return _DEFAULTS.get(name) if value is None else value

    def row(self) -> list[Any]:
        """Return the values in the order of the fields, with what stands for an unknown one."""
        return [*(_defaults(self.fields) | self.values).values()]

    def apply(self, version: Version, time: datetime, data: Case | Asset) -> None:
        """Take in one event; older or repeated ones change only what nothing newer has set."""
        known = {name: value for name, value in zip(self.fields, astuple(data), strict=True) if value is not UNSET}
        mask, newer = _bits(self.fields, tuple(known)), 0
        for other, bits in self.masks.items():
            if other >= version:
                newer |= bits
        if self.first_at is None or time < self.first_at:
            self.first_at = time
        if self.updated_at is None or time > self.updated_at:
            self.updated_at = time
        if mask & newer:
            known = {name: value for name, value in known.items() if not _bits(self.fields, (name,)) & newer}
            mask &= ~newer
        if not mask:
            return
        for other in [v for v in self.masks if v < version]:
            self.masks[other] &= ~mask
            if not self.masks[other]:
                del self.masks[other]
        self.masks[version] = self.masks.get(version, 0) | mask
        self.values |= known

    def time_of(self, name: str) -> datetime | None:
        """Return the time of the event that set the field, or None."""
        bit = 1 << self.fields.index(name)
        for (micros, _), mask in self.masks.items():
            if mask & bit:
                return _EPOCH + timedelta(microseconds=micros)
        return None

    def dump_versions(self) -> str:
        """Return `masks` as the JSON text that the store keeps."""
        return "{" + ", ".join([f'"{micros}|{key}": {mask}' for (micros, key), mask in self.masks.items()]) + "}"

    @classmethod
    def load(cls, fields: tuple[str, ...], row: Mapping[str, Any]) -> State:
        """Return the state kept in a row of case_state or asset_state."""
        state = cls(fields)
        known = 0
        for text, mask in row["versions"].items():
            micros, _, key = text.partition("|")
            state.masks[(int(micros), key)] = mask
            known |= mask
        state.values = {name: row[name] for name in _names(fields, known)}
        state.first_at, state.updated_at = row["first_at"], row["updated_at"]
        return state


@cache
def _defaults(fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: _DEFAULTS.get(name) for name in fields}


@lru_cache(maxsize=4096)
def _bits(fields: tuple[str, ...], names: tuple[str, ...]) -> int:
    """Return the bits of these fields; the events of a source nearly all carry the same ones."""
    return sum(1 << fields.index(name) for name in names)


@lru_cache(maxsize=4096)
def _names(fields: tuple[str, ...], bits: int) -> tuple[str, ...]:
    """Return the fields of these bits."""
    return tuple(name for i, name in enumerate(fields) if bits >> i & 1)


# table, then its key columns; the value is a tuple of sums
CaseKey: TypeAlias = tuple[str, str, date, str, str]  # feed, measure, day, area, dims as canonical JSON
DurationKey: TypeAlias = tuple[str, date, str, int]  # feed, day, area, tenths of an hour
Sums: TypeAlias = tuple[int, int, int, Decimal, int, int]  # n, n_due, n_on_time, seconds, n_rated, rating
_COUNTED_DIMS = ("category", "agency", "channel", "level", "outcome")
_ZERO = Decimal(0)
_UNSAID = object()


def opened_at(state: State) -> datetime:
    """Return when the case opened; where no event said so, when it was first heard of."""
    value = state.values.get("opened_at") or state.first_at
    assert isinstance(value, datetime)
    return value


def closed_at(state: State) -> datetime | None:
    """Return when the case closed: said, or else the time of the event that closed it. None while it is not closed."""
    if state.get("status") != "closed":
        return None
    value: datetime | None = state.values.get("closed_at") or state.time_of("status")
    return value


def dims_of(state: State) -> str:
    """Return the case's countable properties as canonical JSON text."""
    get = state.values.get
    own = get("dims")
    return _dims((get("category"), get("agency"), get("channel"), get("level"), get("outcome")), tuple(own.items()) if own else ())


@lru_cache(maxsize=65_536)
def _day(at: datetime, zone: ZoneInfo) -> date:
    return local_day(at, zone)  # of a case the same few instants come up again with each of its events


@lru_cache(maxsize=65_536)
def _dims(counted: tuple[str | None, ...], own: tuple[tuple[str, str], ...]) -> str:
    dims = {name: value for name, value in zip(_COUNTED_DIMS, counted, strict=True) if value is not None}
    return json.dumps(dims | dict(own), sort_keys=True, ensure_ascii=False)


@lru_cache(maxsize=65_536)
def without_agency(dims: str) -> str:
    """Return the canonical JSON of `dims` less the agency."""
    known = json.loads(dims)
    known.pop("agency", None)
    return json.dumps(known, sort_keys=True, ensure_ascii=False)


def case_contributions(feed: str, state: State, zone: ZoneInfo = ICT) -> tuple[dict[CaseKey, Sums], dict[DurationKey, int]]:
    """Return what one case adds to rollup_case and to rollup_duration.

    A deleted case adds nothing, nor does one whose `opened_at` is said to be null: it has not begun (a planned visit).
    """
    if state.values.get("deleted") or state.values.get("opened_at", _UNSAID) is None:
        return {}, {}
    area, dims = state.values.get("area") or "", dims_of(state)
    due: datetime | None = state.values.get("due_at")
    n_due = 1 if due else 0
    opened, closed = opened_at(state), closed_at(state)
    cases: dict[CaseKey, Sums] = {(feed, "opened", _day(opened, zone), area, dims): (1, n_due, 0, _ZERO, 0, 0)}
    durations: dict[DurationKey, int] = {}
    if closed is not None:
        took = max(closed - opened, _NOTHING)
        rating: int | None = state.values.get("rating")
        on_time = 1 if due and closed <= due else 0
        day = _day(closed, zone)
        seconds = Decimal(took.days * 86_400 + took.seconds) if not took.microseconds else Decimal(took // _MICROSECOND) / 1_000_000
        cases[(feed, "closed", day, area, dims)] = (1, n_due, on_time, seconds, 1 if rating else 0, rating or 0)
        tenths = -(-took // _TENTH_HOUR)  # rounded up
        durations[(feed, day, area, tenths)] = 1
        durations[(feed, day, PROVINCE, tenths)] = 1
    else:
        measure = "paused" if state.get("status") == "paused" else "open"
        day = _day(due, zone) if due and measure == "open" else NO_DAY
        cases[(feed, measure, day, area, dims)] = (1, n_due, 0, _ZERO, 0, 0)
    return cases, durations


_Key = TypeVar("_Key")


def _add(sums: dict[_Key, list[Any]], key: _Key, more: Sequence[Any], sign: int) -> None:
    """Add `more` to (`sign` 1), or take it from (-1), the sums of `key`. Written out: it is most of the work of a case."""
    n, n_due, n_on_time, seconds, n_rated, rating = more
    total = sums.get(key)
    if total is None:
        total = sums[key] = [0, 0, 0, _ZERO, 0, 0]
    total[0] += sign * n
    total[1] += sign * n_due
    total[2] += sign * n_on_time
    total[3] += sign * seconds
    total[4] += sign * n_rated
    total[5] += sign * rating


class CaseDeltas:
    """What a batch changes in the case rollups: new contributions minus old ones, summed by key."""

    def __init__(self, zone: ZoneInfo = ICT) -> None:
        self.zone = zone
        self.cases: dict[CaseKey, list[Any]] = {}
        self.durations: dict[DurationKey, int] = defaultdict(int)

    def add(self, feed: str, state: State | None, sign: int) -> None:
        """Add (`sign` 1) or take away (-1) what `state` contributes; None contributes nothing."""
        if state is None or not state.masks:
            return
        cases, durations = case_contributions(feed, state, self.zone)
        for key, sums in cases.items():
            _add(self.cases, key, sums, sign)
        for duration, n in durations.items():
            self.durations[duration] += sign * n

    def changed_cases(self) -> list[tuple[Any, ...]]:
        """Return (key columns..., sums...) of what really changed."""
        return [(*key, *sums) for key, sums in self.cases.items() if any(sums)]

    def changed_totals(self) -> list[tuple[Any, ...]]:
        """Return (feed, measure, day, dims without agency, sums...) of what changed, summed over areas and agencies."""
        totals: dict[tuple[str, str, date, str], list[Any]] = {}
        for (feed, measure, day, _, dims), sums in self.cases.items():
            if any(sums):
                _add(totals, (feed, measure, day, without_agency(dims)), sums, 1)
        return [(*key, *sums) for key, sums in totals.items() if any(sums)]

    def changed_durations(self) -> list[tuple[Any, ...]]:
        """Return (feed, day, area, tenths, n) of what really changed."""
        return [(*key, n) for key, n in self.durations.items() if n]


def fold(fields: tuple[str, ...], events: Iterable[tuple[datetime, str, Case | Asset]]) -> State:
    """Return the state after these (time, key, data), in any order."""
    state = State(fields)
    for time, key, data in events:
        state.apply(version_of(time, key), time, data)
    return state
