"""Pure arithmetic of facts: how events fold into a current state, and what a state adds to the rollups.

Folding is a join of last-writer-wins registers, one per field: commutative, associative, idempotent. Any order, any
repetition of the same events gives the same state; `(time, key)` decides, so two events of one instant do too.

A rollup changes by `contributions(new) - contributions(old)`: exact integers and decimals, no estimate, no rescan.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import UNSET

from ioc.clock import ICT, local_day
from ioc.events import Asset, Case

NO_DAY = date(9999, 12, 31)  # stands for "no due date" in rollup_case.day
PROVINCE = "*"  # rollup_duration.area of the whole province
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CASE_FIELDS: tuple[str, ...] = Case.__struct_fields__
ASSET_FIELDS: tuple[str, ...] = Asset.__struct_fields__
_DEFAULTS: dict[str, Any] = {"status": "open", "deleted": False, "dims": {}, "state": "unknown", "kind": ""}

Version: TypeAlias = tuple[int, str]  # (time in µs since 1970, event key): decides which of two events is newer


def version_of(time: datetime, key: str) -> Version:
    """Return what orders events: their time, then their key."""
    return ((time - _EPOCH) // timedelta(microseconds=1), key)


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

    def apply(self, version: Version, time: datetime, data: Case | Asset) -> None:
        """Take in one event; older or repeated ones change only what nothing newer has set."""
        known: dict[str, Any] = {}
        mask = newer = 0
        for i, name in enumerate(self.fields):
            value = getattr(data, name)
            if value is not UNSET:
                known[name] = value
                mask |= 1 << i
        for other, bits in self.masks.items():
            if other >= version:
                newer |= bits
        mask &= ~newer
        if self.first_at is None or time < self.first_at:
            self.first_at = time
        if self.updated_at is None or time > self.updated_at:
            self.updated_at = time
        if not mask:
            return
        for other in [v for v in self.masks if v < version]:
            self.masks[other] &= ~mask
            if not self.masks[other]:
                del self.masks[other]
        self.masks[version] = self.masks.get(version, 0) | mask
        for i, name in enumerate(self.fields):
            if mask >> i & 1:
                self.values[name] = known[name]

    def time_of(self, name: str) -> datetime | None:
        """Return the time of the event that set the field, or None."""
        bit = 1 << self.fields.index(name)
        for (micros, _), mask in self.masks.items():
            if mask & bit:
                return _EPOCH + timedelta(microseconds=micros)
        return None

    def dump_versions(self) -> str:
        """Return `masks` as the JSON text that the store keeps."""
        return json.dumps({f"{micros}|{key}": mask for (micros, key), mask in self.masks.items()})

    @classmethod
    def load(cls, fields: tuple[str, ...], row: Mapping[str, Any]) -> State:
        """Return the state kept in a row of case_state or asset_state."""
        state = cls(fields)
        known = 0
        for text, mask in row["versions"].items():
            micros, _, key = text.partition("|")
            state.masks[(int(micros), key)] = mask
            known |= mask
        state.values = {name: row[name] for i, name in enumerate(fields) if known >> i & 1}
        state.first_at, state.updated_at = row["first_at"], row["updated_at"]
        return state


# table, then its key columns; the value is a tuple of sums
CaseKey: TypeAlias = tuple[str, str, date, str, str]  # feed, measure, day, area, dims as canonical JSON
DurationKey: TypeAlias = tuple[str, date, str, int]  # feed, day, area, tenths of an hour
Sums: TypeAlias = tuple[int, int, int, Decimal, int, int]  # n, n_due, n_on_time, seconds, n_rated, rating
_COUNTED_DIMS = ("category", "agency", "channel", "level", "outcome")
_ZERO = Decimal(0)


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
    values = state.values
    return _dims(tuple(values.get(name) for name in _COUNTED_DIMS), tuple(state.get("dims").items()))


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
    """Return what one case adds to rollup_case and to rollup_duration. A deleted case adds nothing."""
    if state.get("deleted"):
        return {}, {}
    area, dims = state.values.get("area") or "", dims_of(state)
    due: datetime | None = state.values.get("due_at")
    n_due = 1 if due else 0
    opened, closed = opened_at(state), closed_at(state)
    cases: dict[CaseKey, Sums] = {(feed, "opened", local_day(opened, zone), area, dims): (1, n_due, 0, _ZERO, 0, 0)}
    durations: dict[DurationKey, int] = {}
    if closed is not None:
        seconds = max(closed - opened, timedelta())
        rating: int | None = state.values.get("rating")
        on_time = 1 if due and closed <= due else 0
        day = local_day(closed, zone)
        exact = Decimal(seconds // timedelta(microseconds=1)) / 1_000_000
        cases[(feed, "closed", day, area, dims)] = (1, n_due, on_time, exact, 1 if rating else 0, rating or 0)
        tenths = -(-seconds // timedelta(seconds=360))  # rounded up
        durations[(feed, day, area, tenths)] = 1
        durations[(feed, day, PROVINCE, tenths)] = 1
    else:
        measure = "paused" if state.get("status") == "paused" else "open"
        day = local_day(due, zone) if due and measure == "open" else NO_DAY
        cases[(feed, measure, day, area, dims)] = (1, n_due, 0, _ZERO, 0, 0)
    return cases, durations


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
            numbers: tuple[Any, ...] = sums
            total = self.cases.setdefault(key, [0, 0, 0, _ZERO, 0, 0])
            for i, number in enumerate(numbers):
                total[i] += sign * number
        for duration, n in durations.items():
            self.durations[duration] += sign * n

    def changed_cases(self) -> list[tuple[Any, ...]]:
        """Return (key columns..., sums...) of what really changed, sorted so that locks are taken in one order."""
        return [(*key, *sums) for key, sums in sorted(self.cases.items()) if any(sums)]

    def changed_totals(self) -> list[tuple[Any, ...]]:
        """Return (feed, measure, day, dims without agency, sums...) of what changed, summed over areas and agencies, sorted."""
        totals: dict[tuple[str, str, date, str], list[Any]] = {}
        for (feed, measure, day, _, dims), sums in self.cases.items():
            total = totals.setdefault((feed, measure, day, without_agency(dims)), [0, 0, 0, _ZERO, 0, 0])
            for i, number in enumerate(sums):
                total[i] += number
        return [(*key, *sums) for key, sums in sorted(totals.items()) if any(sums)]

    def changed_durations(self) -> list[tuple[Any, ...]]:
        """Return (feed, day, area, tenths, n) of what really changed, sorted."""
        return [(*key, n) for key, n in sorted(self.durations.items()) if n]


def fold(fields: tuple[str, ...], events: Iterable[tuple[datetime, str, Case | Asset]]) -> State:
    """Return the state after these (time, key, data), in any order."""
    state = State(fields)
    for time, key, data in events:
        state.apply(version_of(time, key), time, data)
    return state
