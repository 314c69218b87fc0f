"""The days of the story: holidays against the moon, working hours, nights, Sundays, Tết."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from ioc.clock import ICT
from ioc.simulator.chance import key_of, mix, mix_all, poisson, unit, unit_all
from ioc.simulator.rhythm import (
    CITIZEN,
    CLINIC,
    HUNG_KINGS,
    OFFICE,
    TET,
    Profile,
    holidays,
    is_school_day,
    nonstop,
    office,
)
from ioc.simulator.stream import Script, Scripts, Step, Stream


def new_moon(k: int) -> datetime:
    """Return the k-th new moon since January 2000, good to some minutes (Meeus, Astronomical Algorithms, chapter 49, largest terms)."""
    t = k / 1236.85
    day = 2451550.09766 + 29.530588861 * k + 0.00015437 * t * t
    sun, moon = math.radians(2.5534 + 29.10535670 * k), math.radians(201.5643 + 385.81693528 * k + 0.0107582 * t * t)
    node = math.radians(160.7108 + 390.67050284 * k - 0.0016118 * t * t)
    e = 1 - 0.002516 * t
    day += -0.40720 * math.sin(moon) + 0.17241 * e * math.sin(sun) + 0.01608 * math.sin(2 * moon) + 0.01039 * math.sin(2 * node)
    day += 0.00739 * e * math.sin(moon - sun) - 0.00514 * e * math.sin(moon + sun) + 0.00208 * e * e * math.sin(2 * sun)
    return datetime(2000, 1, 1, 12, tzinfo=UTC) + timedelta(days=day - 2451545.0, seconds=-70)  # dynamical time to UTC


NEW_MOON_DAYS = {new_moon(k).astimezone(ICT).date() for k in range(240, 520)}


@pytest.mark.parametrize("text", TET)
def test_it_starts_tet_on_a_new_moon_between_21_january_and_20_february(text: str) -> None:
    day = date.fromisoformat(text)
    assert day in NEW_MOON_DAYS
    assert date(day.year, 1, 21) <= day <= date(day.year, 2, 20)


@pytest.mark.parametrize("text", HUNG_KINGS)
def test_it_remembers_the_hung_kings_on_the_tenth_day_of_a_lunar_month(text: str) -> None:
    day = date.fromisoformat(text)
    assert day - timedelta(days=9) in NEW_MOON_DAYS
    assert 68 <= (day - date.fromisoformat(TET[day.year - 2020])).days <= 98  # the third month, or one later with a leap month


def test_it_moves_tet_between_january_and_february() -> None:
    assert {date.fromisoformat(text).month for text in TET} == {1, 2}
    assert date(2026, 2, 17) in holidays() and date(2027, 2, 17) not in holidays()


def story(*when: int) -> float:
    return datetime(*when, tzinfo=ICT).timestamp()  # type: ignore[arg-type,misc]


@pytest.mark.parametrize("profile", [OFFICE, CITIZEN, CLINIC])
def test_it_is_quieter_at_night_on_sundays_and_at_tet(profile: Profile) -> None:
    day = lambda *d: sum(profile(story(*d, h)) for h in range(24))  # noqa: E731
    assert profile(story(2026, 11, 16, 2)) < 0.2 * profile(story(2026, 11, 16, 9))
    assert day(2026, 11, 15) < 0.8 * day(2026, 11, 16)
    assert day(2026, 2, 18) < 0.6 * day(2026, 3, 4)


@pytest.mark.parametrize("profile", [OFFICE, CITIZEN, CLINIC])
def test_it_has_a_mean_of_one_over_a_year(profile: Profile) -> None:
    hours = [profile(story(2026, 1, 1) + 3600 * n) for n in range(365 * 24)]
    assert sum(hours) / len(hours) == pytest.approx(1, abs=0.06)


def test_it_brings_flu_in_winter() -> None:
    assert CLINIC(story(2026, 1, 14, 9)) > 1.3 * CLINIC(story(2026, 7, 15, 9))


def test_it_hardly_works_out_of_hours() -> None:
    work = lambda a, b: float(office().work(b) - office().work(a))  # noqa: E731
    monday = work(story(2026, 11, 16), story(2026, 11, 17)) / 3600
    assert 7.5 < monday < 8.5
    assert work(story(2026, 11, 15), story(2026, 11, 16)) / 3600 < 0.2
    assert work(story(2026, 2, 16), story(2026, 2, 21)) / 3600 < 1


@pytest.mark.parametrize("pace", [office(), nonstop()])
def test_it_inverts_the_clock_of_work(pace: object) -> None:
    at = np.linspace(story(2026, 1, 1), story(2027, 1, 1), 5000)
    assert np.abs(pace.time(pace.work(at)) - at).max() < 1e-3  # type: ignore[attr-defined]


def test_it_finds_the_same_time_for_one_as_for_many() -> None:
    at = np.linspace(story(2026, 1, 1), story(2026, 3, 1), 300).round()
    many = np.floor(office().time(office().work(at) + 12 * 3600) + 1e-3)
    assert [office().after(float(t), 12 * 3600) for t in at] == many.tolist()


@pytest.mark.parametrize(
    ("day", "open_"),
    [("2026-11-16", True), ("2026-11-15", False), ("2026-02-18", False), ("2026-02-12", False), ("2026-07-15", False), ("2026-09-02", False), ("2026-09-07", True)],
)
def test_it_knows_school_days(day: str, open_: bool) -> None:
    assert is_school_day(date.fromisoformat(day)) is open_


def test_it_draws_the_same_numbers_for_one_as_for_an_array() -> None:
    keys = np.arange(1000, dtype=np.uint64)
    assert mix_all(keys).tolist() == [mix(k) for k in range(1000)]
    assert unit_all(keys, "x").tolist() == [unit(k, "x") for k in range(1000)]


@pytest.mark.parametrize("mean", [0.3, 4.0, 30.0, 900.0])
def test_it_draws_poisson_counts(mean: float) -> None:
    counts = [poisson(mean, key_of(1, n), "count") for n in range(4000)]
    assert sum(counts) / 4000 == pytest.approx(mean, rel=0.06)
    assert float(np.var(counts)) == pytest.approx(mean, rel=0.12)


def test_it_lets_as_many_cases_arrive_as_the_rate_says() -> None:
    stream = Stream(1, "x", 0.02, OFFICE, Scripts([Script(1, (Step(0, "a"),))]))
    arrived = stream.between(story(2026, 3, 1), story(2026, 3, 29))
    assert len(arrived) == pytest.approx(0.02 * 28 * 86_400, rel=0.05)
    hours = [datetime.fromtimestamp(at, ICT) for at in arrived.at.tolist()]
    assert sum(h.hour in (9, 10) for h in hours) > 8 * sum(h.hour in (19, 20) for h in hours)
    assert sum(h.weekday() == 0 for h in hours) > 5 * sum(h.weekday() == 6 for h in hours)
