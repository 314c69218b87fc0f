"""A KPI as the catalogue defines it: its words, unit, limits and targets, and the formula that is data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias

from ioc.kpi.tile import Better, Kind, Target, Words
from ioc.store.reader import CaseTerm, ObservationTerm, Term

Period: TypeAlias = Literal["now", "day", "week", "month", "quarter", "year", "ytd"]
Operation: TypeAlias = Literal["sum", "difference", "ratio", "index"]


@dataclass(frozen=True)
class Derived:
    """A formula over other KPIs: their sum, the first less the others, the first over the second, or their weighted mean."""

    operation: Operation
    inputs: tuple[Kpi, ...]
    weights: tuple[Decimal, ...] = ()


@dataclass(frozen=True)
class Formula:
    """`numerator` summed, over `denominator` summed where there is one, times `scale`; or what is `derived` from other KPIs."""

    numerator: tuple[Term, ...]
    denominator: tuple[Term, ...] = ()
    scale: Decimal = Decimal(1)
    derived: Derived | None = None

    @property
    def terms(self) -> tuple[Term, ...]:
        if self.derived:
            return tuple(dict.fromkeys(term for kpi in self.derived.inputs for term in kpi.formula.terms))
        return (*self.numerator, *self.denominator)

    @property
    def divides(self) -> bool:
        return bool(self.denominator) or (self.derived is not None and self.derived.operation == "ratio")


@dataclass(frozen=True)
class Change:
    """What an earlier version of a formula was, and since when."""

    version: int
    since: date
    what: Words


@dataclass(frozen=True)
class Guard:
    """What makes a value questionable: outside `plausible`, unlike the figure the source `printed`, or moved more than `steady` percent."""

    plausible: tuple[float, float] | None = None
    printed: ObservationTerm | None = None
    steady: float | None = None


@dataclass(frozen=True)
class Kpi:
    """One row of the catalogue. `watch` and `alarm` are the last value still better (for band: the last (low, high)).

    `target` is the one that counts now; `targets` those of other years and levels. `overview` False: found by its theme,
    its page and search, not among the first things a leader sees.
    """

    kpi: str
    theme: str
    title: Words
    description: Words
    kind: Kind
    unit: str
    decimals: int
    better: Better
    period: Period
    formula: Formula
    version: int
    since: date
    watch: float | tuple[float, float] | None = None
    alarm: float | tuple[float, float] | None = None
    judged_from: int | None = None  # the smallest denominator that limits and target judge: 0 of 1 is no alarm
    target: float | None = None
    target_due: date | None = None
    latest: bool = False  # the value is of the newest period that has one: figures published weeks after their period
    targets: tuple[Target, ...] = ()
    history: tuple[Change, ...] = ()
    guard: Guard = field(default_factory=Guard)
    owner: str = ""
    overview: bool = True
    where: str = field(default="", compare=False)  # file and line it is written in, for whoever must mend it

    @property
    def feeds(self) -> tuple[str, ...]:
        """The feeds its formula reads, in the formula's order."""
        return tuple(dict.fromkeys(term.feed for term in self.formula.terms))

    @property
    def moves_with_time(self) -> bool:
        """Can its value change without any event before the day ends?"""
        return any(isinstance(t, CaseTerm) and "overdue" in t.measures for t in self.formula.terms)


@dataclass(frozen=True)
class Theme:
    theme: str
    title: Words
    kpis: tuple[Kpi, ...]
