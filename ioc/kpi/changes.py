"""What changed since yesterday, by rules: a status, a value far from the same weekday, a published value, a feed that fell silent.

Every value is the engine's own, asked of two instants, or the ledger's; nothing is computed here but differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from ioc.kpi.tile import State, Tile
from ioc.store.ledger import Restatement

# A value is far from its reference from here on: a share of it, and not less than this much of it.
FAR_SHARE = 0.3
FAR_LEAST = {"%": 5.0}  # points
FAR_COUNT = 5.0
RESTATED = 10_000  # lines of a day at most; a new formula restates hundreds of days
WEEK = 7  # days, and points of a daily spark, back to the same weekday
_BAD = {"good": 0, "unknown": 0, "watch": 1, "alarm": 2}


class Change(Struct, frozen=True):
    """One KPI that changed. `was`: its value then (status) or on the same weekday before (move); `better`: for whoever asks."""

    rule: Literal["status", "move"]
    tile: Tile
    was: float | None
    was_status: str = ""
    worse: bool | None = None


class Silent(Struct, frozen=True):
    """A feed that is stale or lost. `as_of`: the time of its newest fact."""

    feed: str
    state: State
    as_of: datetime | None


class Restated(Struct, frozen=True):
    """A published value that became another one. `tile`: the KPI's own now, for its words and unit."""

    tile: Tile
    line: Restatement


class Changes(Struct, frozen=True):
    """`since`: the earlier instant. `moves`: of the last whole day. `restated`: the newest first, at most `RESTATED`."""

    now: datetime
    since: datetime
    statuses: list[Change]
    moves: list[Change]
    silent: list[Silent]
    restated: list[Restated] = []


def statuses(now: Mapping[str, Tile], then: Mapping[str, Tile]) -> list[Change]:
    """Return the KPIs whose status is another one than it was, the worst first; unknown then or now is no change."""
    found = []
    for kpi, tile in now.items():
        was = then.get(kpi)
        if was is None or "unknown" in (tile.status, was.status) or tile.status == was.status:
            continue
        found.append(Change("status", tile, was.value, was.status, _BAD[tile.status] > _BAD[was.status]))
    return sorted(found, key=lambda c: (not c.worse, -_BAD[c.tile.status]))


def moves(day: Iterable[Tile]) -> list[Change]:
    """Return the KPIs of a whole day that are far from the same weekday of the week before, the farthest first."""
    found = []
    for tile in day:
        was = tile.spark[-1 - WEEK] if len(tile.spark) > WEEK else None
        if tile.value is None or not tile.period.complete or was is None or not far(tile.value, was, tile.unit):
            continue
        up = tile.value > was
        found.append(Change("move", tile, was, worse=None if tile.better == "band" else up == (tile.better == "down")))
    return sorted(found, key=lambda c: -_share(c.tile.value or 0.0, c.was or 0.0))


def far(value: float, was: float, unit: str) -> bool:
    """Is `value` so far from `was` that it is worth a sentence?"""
    moved = abs(value - was)
    if unit in FAR_LEAST:
        return moved >= FAR_LEAST[unit]
    return moved >= FAR_SHARE * abs(was) and (moved >= FAR_COUNT or not unit.startswith("{"))


def _share(value: float, was: float) -> float:
    return abs(value - was) / max(abs(was), 1.0)
