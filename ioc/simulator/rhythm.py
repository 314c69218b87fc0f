"""When a province does what: days, holidays, working hours, seasons.

Story time is in whole seconds since the Unix epoch. Vietnam has no summer time, so an hour of the story is an index:
`(t - ORIGIN) // 3600`, local midnight at multiples of 24.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ioc.clock import ICT
from ioc.simulator.chance import Floats

FIRST_DAY, LAST_DAY = date(2020, 1, 1), date(2041, 1, 1)
ORIGIN = int(datetime(2020, 1, 1, tzinfo=ICT).timestamp())
DAYS = (LAST_DAY - FIRST_DAY).days
HOUR = 3600

WORKDAY, SATURDAY, SUNDAY, HOLIDAY = range(4)

# First day of the lunar year in Vietnam (UTC+7; in 2030 a day before China's). Checked in the tests against the moon.
TET = ["2020-01-25", "2021-02-12", "2022-02-01", "2023-01-22", "2024-02-10", "2025-01-29", "2026-02-17", "2027-02-06", "2028-01-26", "2029-02-13", "2030-02-02", "2031-01-23", "2032-02-11", "2033-01-31", "2034-02-19", "2035-02-08", "2036-01-28", "2037-02-15", "2038-02-04", "2039-01-24", "2040-02-12"]
# Commemoration of the Hùng Kings, the tenth day of the third lunar month.
HUNG_KINGS = ["2020-04-02", "2021-04-21", "2022-04-10", "2023-04-29", "2024-04-18", "2025-04-07", "2026-04-26", "2027-04-16", "2028-04-04", "2029-04-23", "2030-04-12", "2031-04-01", "2032-04-19", "2033-04-09", "2034-04-28", "2035-04-17", "2036-04-06", "2037-04-24", "2038-04-13", "2039-04-03", "2040-04-20"]


@cache
def holidays() -> frozenset[date]:
    """Return the public holidays of the Labour Code, article 112, without days moved by yearly decisions."""
    days = {date.fromisoformat(day) for day in HUNG_KINGS}
    for year in range(FIRST_DAY.year, LAST_DAY.year):
        days |= {date(year, 1, 1), date(year, 4, 30), date(year, 5, 1), date(year, 9, 1), date(year, 9, 2)}
    for text in TET:
        tet = date.fromisoformat(text)
        days |= {tet + timedelta(days=n) for n in range(-1, 5)}  # the eve and five days
    return frozenset(days)


@cache
def day_kinds() -> NDArray[np.uint8]:
    """Return WORKDAY, SATURDAY, SUNDAY or HOLIDAY for each day since FIRST_DAY."""
    kinds = np.zeros(DAYS, np.uint8)
    for n in range(DAYS):
        day = FIRST_DAY + timedelta(days=n)
        weekday = day.weekday()
        kinds[n] = HOLIDAY if day in holidays() else SATURDAY if weekday == 5 else SUNDAY if weekday == 6 else WORKDAY
    return kinds


def is_school_day(day: date) -> bool:
    """Is it a day of lessons: Monday to Saturday from 5 September to 31 May, neither holiday nor Tết break."""
    if day in holidays() or day.weekday() == 6 or date(day.year, 5, 31) < day < date(day.year, 9, 5):
        return False
    return not any(-7 <= (day - date.fromisoformat(tet)).days <= 7 for tet in TET)  # schools close about two weeks


@dataclass(frozen=True)
class Profile:
    """How arrivals spread: weights of the 24 hours, factors of the kinds of day and of the twelve months."""

    hours: tuple[float, ...]
    saturday: float = 1.0
    sunday: float = 1.0
    holiday: float = 1.0
    months: tuple[float, ...] = (1.0,) * 12

    def __call__(self, t: float) -> float:
        """Return the intensity at story time `t`; its mean over an ordinary week of an average month is 1."""
        hour = int(t - ORIGIN) // HOUR
        day = min(max(hour // 24, 0), DAYS - 1)
        kind = (1.0, self.saturday, self.sunday, self.holiday)[day_kinds()[day]]
        month = (FIRST_DAY + timedelta(days=day)).month
        return self.hours[hour % 24] * kind * self.months[month - 1] / self._mean

    @property
    def _mean(self) -> float:
        return sum(self.hours) / 24 * (5 + self.saturday + self.sunday) / 7 * sum(self.months) / 12


#          0   1   2   3   4   5   6    7  8  9  10   11  12 13 14 15   16  17  18  19  20  21  22  23
_OFFICE = (0., 0., 0., 0., 0., 0., .05, 5, 9, 10, 9, 4.5, .6, 5, 8, 8, 5.5, 1.2, .4, .4, .5, .5, .2, .1)
_CITIZEN = (.4, .2, .15, .15, .3, .9, 2.2, 4.5, 6, 6, 5.5, 4.5, 3.2, 4, 5, 5.2, 5, 4.8, 4, 3.6, 3.6, 2.8, 1.8, .9)
_CLINIC = (.5, .4, .3, .3, .5, 1.2, 4, 11, 13, 11, 8, 4, 1.6, 5, 7, 6, 4, 2, 1.4, 1.2, 1, .9, .8, .6)

OFFICE = Profile(_OFFICE, saturday=0.12, sunday=0.05, holiday=0.03)
CITIZEN = Profile(_CITIZEN, saturday=0.85, sunday=0.6, holiday=0.4, months=(1, .9, 1, 1, 1.05, 1.1, 1.15, 1.15, 1.05, 1, .95, .9))
STEADY = Profile((1.0,) * 24)
FLU = (1.3, 1.2, 1.15, 1.0, .9, .85, .85, .85, .9, 1.0, 1.1, 1.2)  # respiratory season in the north: winter and spring
CLINIC = Profile(_CLINIC, saturday=0.6, sunday=0.35, holiday=0.3, months=FLU)

_AT_WORK = np.array([0, 0, 0, 0, 0, 0, 0, 0.75, 1, 1, 1, 0.75, 0, 0.5, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
_IDLE = 0.005  # share of working pace at night and on days off: keeps the office clock strictly rising, so it can be inverted


class Pace:
    """A clock of work: how much of it passes. Two instances: `office()` stands nearly still out of working hours, `nonstop()` never."""

    def __init__(self, weights: Floats) -> None:
        self._weight = weights
        self._done = np.concatenate(([0.0], np.cumsum(weights * HOUR)))

    def work(self, t: Floats | float) -> Floats:
        """Return the seconds of work done from ORIGIN to each story time."""
        since = np.clip(np.asarray(t) - ORIGIN, 0, len(self._weight) * HOUR - 1)
        hour = (since // HOUR).astype(np.int64)
        done: Floats = self._done[hour] + self._weight[hour] * (since - hour * HOUR)
        return done

    def time(self, work: Floats) -> Floats:
        """Return the story time at which so much work was done (inverse of `work`)."""
        hour = np.clip(np.searchsorted(self._done, work, side="right") - 1, 0, len(self._weight) - 1)
        return ORIGIN + hour * HOUR + (work - self._done[hour]) / self._weight[hour]

    def after(self, t: float, seconds: float) -> float:
        """Return the story time, in whole seconds, so many seconds of work after `t` (for one value; fast)."""
        hour = min(max(int(t - ORIGIN) // HOUR, 0), len(self._weight) - 1)
        work = float(self._done[hour]) + float(self._weight[hour]) * (t - ORIGIN - hour * HOUR) + seconds
        hour = min(int(self._done.searchsorted(work, side="right")) - 1, len(self._weight) - 1)
        return float(int(ORIGIN + hour * HOUR + (work - float(self._done[hour])) / float(self._weight[hour]) + 1e-3))


@cache
def office() -> Pace:
    """Working days 7:15 to 11:45 and 13:30 to 17:00."""
    at_work = np.where((day_kinds() == WORKDAY)[:, None], _AT_WORK[None, :], 0.0)
    return Pace(np.maximum(at_work, _IDLE).ravel())


@cache
def nonstop() -> Pace:
    """Day and night alike (hospitals, machines)."""
    return Pace(np.ones(DAYS * 24))
