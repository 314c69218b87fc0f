"""Periods: the days a tile looks at, those before them, and what a value is compared with.

A period that still runs is compared with the same part of an earlier one: eleven days of November with eleven of October.
Days are not cut: of a day that still runs no one knows at which hour the other stood, so such a comparison is not `fair`.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import TypeAlias

from msgspec import Struct

from ioc.errors import UserError
from ioc.kpi.model import Period
from ioc.kpi.tet import a_year_before, same_day_last_year
from ioc.kpi.tile import Versus
from ioc.store.reader import Windows

SPARK = 14  # periods a spark shows, the asked one the last
FAR = date(9999, 12, 30)  # the day before the store's "no day"
Days: TypeAlias = tuple[date, date]


class Against(Struct, frozen=True):
    """What a value is compared with: the days of the reference, both included, and whether both are of equal length of time."""

    days: Days
    fair: bool


@lru_cache(maxsize=64)
def windows(period: Period, today: date, days: Days | None = None, n: int = SPARK) -> Windows:
    """Return `n` periods ending with the one `today` lies in (or with `days`), and one for what lies ahead.

    From the start of a year (ytd) until today: before it, the same part of the years before.
    """
    if days is not None:
        lo, hi = days
        if hi < lo:
            raise UserError(f"the period from {lo} to {hi} ends before it begins")
        length = (hi - lo).days + 1
        if lo.toordinal() <= n * length:
            raise UserError(f"the period from {lo} to {hi} lies too far back for anything to be compared with")
        spans = [(lo - timedelta(days=i * length), hi - timedelta(days=i * length)) for i in range(n)]
    elif period == "ytd":
        end, spans = today, []
        for _ in range(n):
            spans.append((end.replace(month=1, day=1), end))
            end = a_year_before(end)
    else:
        spans = []
        start = begin(period, today)
        end = begin(period, start + timedelta(days=_LONGEST[period])) - timedelta(days=1)
        for _ in range(n):
            spans.append((start, end))
            end = start - timedelta(days=1)
            start = begin(period, end)
    spans.reverse()
    return Windows((*spans, (spans[-1][1] + timedelta(days=1), FAR)))


_LONGEST: dict[Period, int] = {"now": 1, "day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}  # days; reaches the next one


def reach(period: Period) -> int:
    """Return how many days after the first day of any such period surely lie in the next one."""
    return _LONGEST[period]


def begin(period: Period, day: date) -> date:
    """Return the first day of the period that `day` lies in; a week begins on Monday."""
    if period == "week":
        return day - timedelta(days=day.weekday())
    if period == "month":
        return day.replace(day=1)
    if period == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    if period == "year":
        return day.replace(month=1, day=1)
    return day


def against(versus: Versus, span: Days, before: Days, today: date) -> Against | None:
    """Return what a value of the days `span` is compared with, None where `versus` says nothing of such days.

    `before`: the period before it. `today`: days after it have not been.
    """
    lo, hi = span
    runs = lo <= today <= hi
    until = min(hi, today) if runs else hi
    length = (until - lo).days + 1
    a_day = length == 1
    if versus == "previous_period":
        first, last = before
        days = (first, min(last, first + timedelta(days=length - 1))) if runs else before
    elif versus == "same_weekday" and lo == hi:
        days = (lo - timedelta(days=7), hi - timedelta(days=7))
    elif versus == "same_period_last_year":
        days = (same_day_last_year(lo),) * 2 if lo == hi else (a_year_before(lo), a_year_before(until))
        if lo != hi and until == hi and _ends_a_month(hi):
            days = (days[0], _month_end(days[1]))  # all of February, however long it is
    else:
        return None
    return Against(days, fair=not (runs and a_day))


def _ends_a_month(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def share_of_year(span: Days, today: date) -> tuple[int, int]:
    """Return how many days of `span` have been, and how many its year has: the part of a year's plan that is due."""
    lo, hi = span
    first = lo.replace(month=1, day=1)
    return (min(hi, today) - lo).days + 1, (first.replace(year=first.year + 1) - first).days
