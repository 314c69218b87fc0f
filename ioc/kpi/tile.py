"""The tile contract: one object for a KPI's value wherever it is shown (wall, page, export, API)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

Kind: TypeAlias = Literal["sum", "last", "mean", "ratio", "rank", "index", "count_now", "duration"]
Better: TypeAlias = Literal["up", "down", "band"]
Status: TypeAlias = Literal["good", "watch", "alarm", "unknown"]
State: TypeAlias = Literal["live", "late", "stale", "lost", "never"]
Versus: TypeAlias = Literal["previous_period", "same_weekday", "same_period_last_year", "plan", "target"]
STATES: tuple[State, ...] = ("live", "late", "stale", "lost", "never")  # best to worst


class Words(Struct, frozen=True):
    vi: str
    en: str


class Target(Struct, frozen=True):
    """What is aimed at, by when, at which level. `retired`: of a level that no longer exists (districts, since 1 July 2025)."""

    value: float
    due: date | None = None
    level: Literal["province", "district", "commune"] = "province"
    retired: bool = False


class Period(Struct, frozen=True):
    """`start` inclusive, `end` exclusive, aware. `complete` is False while the period still runs."""

    start: datetime
    end: datetime
    complete: bool


class Delta(Struct, frozen=True):
    """A difference and what it is against. `value` is in the KPI's unit; for a percentage, in points (điểm %).

    `reference`: the value it is against, of `period` (None: a target's). `percent`: `value` in percent of it; None for
    percentages and ranks, and for a reference that is zero. `fair` False: a day that still runs against a whole one.
    """

    value: float
    versus: Versus
    reference: float | None = None
    percent: float | None = None
    period: Period | None = None
    fair: bool = True


class Report(Struct, frozen=True):
    """A figure as a document has it: its wording, reference period, publication date and what is doubtful about it."""

    metric: str
    period: str
    written: str = ""
    document: str = ""
    published: datetime | None = None
    qualifier: str = "exact"
    unit: str = "1"
    doubt: str = ""


class Quality(Struct, frozen=True):
    state: State
    missing_sources: list[str] = msgspec.field(default_factory=list)


class Tile(Struct, frozen=True):
    """One KPI value. `value` None: no fact yet, or nothing to divide by; then `as_of` says which of the two.

    `numerator`, `denominator`: the parts of a ratio or mean. `spark`: oldest first, its last point equals `value`.
    `as_of`: time of the newest fact of the feeds it reads; None means no fact was ever seen. `targets`: those of other
    levels and years. `reports`: for figures of reports, what the documents say; `written`: the value as its one document has
    it. `doubts`: what the guard asks about. `judged_from`: the denominator is below this, too small to be judged (status "unknown").
    """

    kpi: str
    title: Words
    theme: str
    value: float | None
    unit: str
    kind: Kind
    better: Better
    status: Status
    period: Period
    as_of: datetime | None
    published_at: datetime
    area: str
    source: list[str]
    formula: str
    formula_version: int
    quality: Quality
    numerator: float | None = None
    denominator: float | None = None
    target: Target | None = None
    delta: Delta | None = None
    qualifier: str = "exact"
    decimals: int = 0
    spark: list[float | None] = msgspec.field(default_factory=list)
    targets: list[Target] = msgspec.field(default_factory=list)
    reports: list[Report] = msgspec.field(default_factory=list)
    doubts: list[Words] = msgspec.field(default_factory=list)
    owner: str = ""
    written: str = ""
    judged_from: int | None = None


class History(Struct, frozen=True):
    """A KPI's course: one value a period, oldest first, the running one last; `starts` are the periods' first days.

    Of a KPI of the latest period that has a value, both end with that one.
    """

    starts: list[date]
    values: list[float | None]
