"""Tết: the first day of the Vietnamese lunar year, computed for the meridian of Hà Nội (UTC+7).

Months begin on the day of the new moon; the month of the winter solstice is the eleventh; where thirteen months lie
between two solstices the first without a sign of the zodiac is a leap month. New moons and the sun's longitude after
Jean Meeus, Astronomical Algorithms (1998), chapters 25 and 49; good to a few minutes, which decides a date but rarely.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from math import floor, radians, sin

BEFORE, AFTER = 28, 20  # days around Tết in which life follows the moon: markets, holidays, the way home and back
_ZONE = 7 / 24
_JULIAN = 1_721_424.5  # Julian day of the day before 0001-01-01
_MONTH = 29.530588861  # days, mean


def tet(year: int) -> date:
    """Return the first day of the lunar year that begins in `year`."""
    before, after = _eleventh(year - 1), _eleventh(year)
    leap = round((after - before).days / _MONTH) == 13
    months = [_new_moon_day(k) for k in range(_lunation(before), _lunation(before) + 15)]
    extra = next((i for i in range(1, 14) if leap and _sign(months[i]) == _sign(months[i + 1])), 99)
    return months[2] if extra > 2 else months[3]


def same_day_last_year(day: date) -> date:
    """Return what `day` compares with a year before: as many days from Tết where it is near, else the same date."""
    for here in (tet(day.year), tet(day.year + 1)):
        if -BEFORE <= (day - here).days <= AFTER:
            return tet(here.year - 1) + (day - here)
    return a_year_before(day)


def a_year_before(day: date) -> date:
    """Return the same date of the year before; of 29 February the 28th."""
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


@cache
def _eleventh(year: int) -> date:
    """Return the first day of the month that holds the winter solstice of `year`."""
    day = date(year, 12, 31)
    k = _lunation(day)
    start = _new_moon_day(k) if _new_moon_day(k) <= day else _new_moon_day(k - 1)
    # The sun stands in the ninth twelfth of its way from the solstice on: then the month began after it, and it is the one before.
    return start if _sign(start) < 9 else _new_moon_day(_lunation(start) - 1)


def _lunation(day: date) -> int:
    """Return the number of the new moon nearest to a day, counted from 6 January 2000."""
    return round((day.toordinal() + _JULIAN - 2_451_550.09766) / _MONTH)


@cache
def _new_moon_day(k: int) -> date:
    """Return the local day of new moon number `k`."""
    t = k / 1236.85
    mean = 2_451_550.09766 + _MONTH * k + 0.00015437 * t**2 - 0.00000015 * t**3
    e = 1 - 0.002516 * t - 0.0000074 * t**2
    sun = radians(2.5534 + 29.1053567 * k - 0.0000014 * t**2)
    moon = radians(201.5643 + 385.81693528 * k + 0.0107582 * t**2)
    far = radians(160.7108 + 390.67050284 * k - 0.0016118 * t**2)
    node = radians(124.7746 - 1.56375588 * k + 0.0020672 * t**2)
    shift = (
        -0.40720 * sin(moon) + 0.17241 * e * sin(sun) + 0.01608 * sin(2 * moon) + 0.01039 * sin(2 * far) + 0.00739 * e * sin(moon - sun)
        - 0.00514 * e * sin(moon + sun) + 0.00208 * e**2 * sin(2 * sun) - 0.00111 * sin(moon - 2 * far) - 0.00057 * sin(moon + 2 * far)
        + 0.00056 * e * sin(2 * moon + sun) - 0.00042 * sin(3 * moon) + 0.00042 * e * sin(sun + 2 * far) + 0.00038 * e * sin(sun - 2 * far)
        - 0.00024 * e * sin(2 * moon - sun) - 0.00017 * sin(node)
    )  # fmt: skip
    delta_t = (64 + 0.5 * (k / 12.3685)) / 86_400  # dynamical time runs ahead of ours by about this in our century
    return _day(mean + shift - delta_t + _ZONE)


def _day(julian: float) -> date:
    return date.fromordinal(1) + timedelta(days=floor(julian - _JULIAN) - 1)


def _sign(day: date) -> int:
    """Return in which twelfth of its way (from the spring equinox) the sun stands when the local day begins."""
    t = (day.toordinal() + _JULIAN - _ZONE - 2_451_545.0) / 36_525
    mean = 280.46646 + 36_000.76983 * t + 0.0003032 * t**2
    anomaly = radians(357.52911 + 35_999.05029 * t - 0.0001537 * t**2)
    centre = (1.914602 - 0.004817 * t - 0.000014 * t**2) * sin(anomaly) + (0.019993 - 0.000101 * t) * sin(2 * anomaly) + 0.000289 * sin(3 * anomaly)
    apparent = mean + centre - 0.00569 - 0.00478 * sin(radians(125.04 - 1934.136 * t))
    return int(apparent % 360 // 30)
