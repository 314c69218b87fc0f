"""What a value is compared with: whole periods, the same part of a running one, the year before with Tết where it was."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from ioc.kpi.periods import SPARK, against, share_of_year, windows
from ioc.kpi.tet import same_day_last_year, tet

# As Vietnam kept it; 1985 and 2030 (and 2007) differ from the Chinese calendar, computed for another meridian.
KEPT = [
    "1968-01-29", "1985-01-21", "2000-02-05", "2007-02-17", "2014-01-31", "2015-02-19", "2020-01-25", "2021-02-12", "2022-02-01", "2023-01-22",
    "2024-02-10", "2025-01-29", "2026-02-17", "2027-02-06", "2028-01-26", "2029-02-13", "2030-02-02", "2033-01-31", "2034-02-19", "2035-02-08",
]  # fmt: skip


@pytest.mark.parametrize("day", KEPT)
def test_tet_is_on_the_day_vietnam_keeps_it(day: str) -> None:
    assert tet(int(day[:4])) == date.fromisoformat(day)


def test_days_around_tet_are_compared_by_the_moon_and_others_by_the_date() -> None:
    assert same_day_last_year(date(2026, 2, 17)) == date(2025, 1, 29)  # the first of the first
    assert same_day_last_year(date(2026, 2, 14)) == date(2025, 1, 26)  # three days before it
    assert same_day_last_year(date(2026, 11, 24)) == date(2025, 11, 24)
    assert same_day_last_year(date(2024, 2, 29)) == tet(2023) + timedelta(days=19)
    assert same_day_last_year(date(2028, 2, 29)) == date(2027, 2, 28)  # far from Tết, and the year before had no such day


def compared(versus: str, period: str, today: date, days: tuple[date, date] | None = None) -> tuple[tuple[date, date], bool] | None:
    spans = windows(period, today, days).spans  # type: ignore[arg-type]
    found = against(versus, spans[SPARK - 1], spans[SPARK - 2], today)  # type: ignore[arg-type]
    return None if found is None else (found.days, found.fair)


TODAY = date(2026, 11, 24)  # a Tuesday


@pytest.mark.parametrize(
    ("versus", "period", "first", "last", "fair"),
    [
        ("previous_period", "month", date(2026, 10, 1), date(2026, 10, 24), True),
        ("previous_period", "week", date(2026, 11, 16), date(2026, 11, 17), True),
        ("previous_period", "quarter", date(2026, 7, 1), date(2026, 8, 24), True),
        ("previous_period", "ytd", date(2025, 1, 1), date(2025, 11, 24), True),
        ("previous_period", "day", date(2026, 11, 23), date(2026, 11, 23), False),
        ("same_weekday", "day", date(2026, 11, 17), date(2026, 11, 17), False),
        ("same_period_last_year", "day", date(2025, 11, 24), date(2025, 11, 24), False),
        ("same_period_last_year", "month", date(2025, 11, 1), date(2025, 11, 24), True),
        ("same_period_last_year", "year", date(2025, 1, 1), date(2025, 11, 24), True),
    ],
)
def test_a_running_period_is_compared_with_the_same_part_of_the_other(versus: str, period: str, first: date, last: date, fair: bool) -> None:
    assert compared(versus, period, TODAY) == ((first, last), fair)


def test_a_period_that_is_over_is_compared_with_a_whole_one() -> None:
    march = (date(2026, 3, 1), date(2026, 3, 31))
    assert compared("same_period_last_year", "month", TODAY, march) == ((date(2025, 3, 1), date(2025, 3, 31)), True)
    february = (date(2025, 2, 1), date(2025, 2, 28))
    assert compared("same_period_last_year", "month", TODAY, february) == ((date(2024, 2, 1), date(2024, 2, 29)), True)
    assert compared("previous_period", "month", TODAY, (date(2026, 3, 1), date(2026, 3, 10))) == ((date(2026, 2, 19), date(2026, 2, 28)), True)


def test_a_shorter_month_before_is_compared_whole() -> None:
    assert compared("previous_period", "month", date(2026, 3, 30)) == ((date(2026, 2, 1), date(2026, 2, 28)), True)


def test_weeks_have_no_weekday() -> None:
    assert compared("same_weekday", "week", TODAY) is None


def test_of_a_years_plan_as_many_days_are_due_as_have_been() -> None:
    assert share_of_year((date(2026, 1, 1), date(2026, 12, 31)), date(2026, 3, 1)) == (60, 365)
    assert share_of_year((date(2024, 1, 1), date(2024, 12, 31)), date(2026, 3, 1)) == (366, 366)
