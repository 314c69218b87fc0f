"""VN_AQI against an independent reading of QĐ 1459/QĐ-TCMT: fractions and interpolation by hand, no line of ours."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sensorthings import vn_aqi

# The table of the decision, row by row as it is printed there: (index, PM2.5, PM10, O3 1 h, O3 8 h, NO2, SO2, CO).
TABLE = [
    (0, 0, 0, 0, 0, 0, 0, 0),
    (50, 25, 50, 160, 100, 100, 125, 10_000),
    (100, 50, 150, 200, 120, 200, 350, 30_000),
    (150, 80, 250, 300, 170, 700, 550, 45_000),
    (200, 150, 350, 400, 210, 1200, 800, 60_000),
    (300, 250, 420, 800, 400, 2350, 1600, 90_000),
    (400, 350, 500, 1000, None, 3100, 2100, 120_000),
    (500, 500, 600, 1200, None, 3850, 2630, 150_000),
]
COLUMN = {"pm25": 1, "pm10": 2, "o3": 3, "o3_8h": 4, "no2": 5, "so2": 6, "co": 7}


def by_hand(pollutant: str, c: Decimal) -> int | None:
    points = [(row[COLUMN[pollutant]], row[0]) for row in TABLE if row[COLUMN[pollutant]] is not None]
    x = Fraction(c)
    for (low, index), (high, next_index) in pairwise(points):
        assert low is not None and high is not None and index is not None and next_index is not None
        if low <= x <= high:
            exact = Fraction(index) + Fraction(next_index - index, high - low) * (x - low)
            return int(exact + Fraction(1, 2))
    return None if pollutant == "o3_8h" else 500


@given(st.sampled_from(sorted(COLUMN)), st.decimals(0, 200_000, places=2))
def test_it_interpolates_as_the_table_says(pollutant: str, c: Decimal) -> None:
    assert vn_aqi.sub_index(pollutant, c) == by_hand(pollutant, c)


@pytest.mark.parametrize("row", TABLE)
def test_every_break_has_its_index(row: tuple[int, ...]) -> None:
    for pollutant, column in COLUMN.items():
        if row[column] is not None:
            assert vn_aqi.sub_index(pollutant, Decimal(row[column])) == row[0]


def nowcast_by_hand(hours: list[Decimal | None]) -> Fraction | None:
    if sum(c is not None for c in hours[:3]) < 2:
        return None
    there = [(i, Fraction(c)) for i, c in enumerate(hours) if c is not None]
    top, low = max(c for _, c in there), min(c for _, c in there)
    w = Fraction(1) if top == 0 else low / top
    if w <= Fraction(1, 2):
        return sum((Fraction(1, 2 ** (i + 1)) * c for i, c in there), Fraction(0))
    return sum((w**i * c for i, c in there), Fraction(0)) / sum((w**i for i, _ in there), Fraction(0))


@given(st.lists(st.none() | st.decimals(0, 400, places=1), min_size=12, max_size=12))
def test_nowcast_weighs_the_last_twelve_hours(hours: list[Decimal | None]) -> None:
    found, expected = vn_aqi.nowcast(hours), nowcast_by_hand(hours)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert abs(Fraction(found) - expected) < Fraction(1, 10**9)


def test_the_hour_takes_the_worst_pollutant_and_needs_particles() -> None:
    d = Decimal
    assert vn_aqi.of_hour({"pm25": [d(40)] * 12, "o3": [d(180)]}) == (80, "pm25")
    assert vn_aqi.of_hour({"pm25": [d(40)] * 12, "o3": [d(250)]}) == (125, "o3")
    assert vn_aqi.of_hour({"o3": [d(250)], "no2": [d(90)]}) is None
    assert vn_aqi.of_hour({"pm25": [None, None, d(40)]}) is None  # one of the last three is too few
    assert vn_aqi.of_hour({"pm25": [None, d(40), d(40)]}) == (80, "pm25")


def test_the_day_takes_means_of_particles_and_the_highest_of_gases() -> None:
    d = Decimal
    assert vn_aqi.of_day({"pm25": [d(25)] * 24}) == (50, "pm25")
    assert vn_aqi.of_day({"pm25": [d(25)] * 17 + [None] * 7}) is None  # too few hours
    assert vn_aqi.of_day({"pm25": [d(25)] * 24, "so2": [d(10)] * 23 + [d(350)]}) == (100, "so2")
    ozone = [d(60)] * 10 + [d(130)] * 8 + [d(60)] * 6
    assert vn_aqi.of_day({"pm25": [d(25)] * 24, "o3": ozone}) == (110, "o3")  # the mean of eight hours is worse than the hour
    assert vn_aqi.of_day({"pm25": [d(25)] * 24, "o3": [d(450)] * 24}) == (213, "o3")  # above 400 the eight-hour row ends


@pytest.mark.parametrize(("index", "name"), [(0, "good"), (50, "good"), (51, "moderate"), (150, "poor"), (200, "bad"), (300, "very_bad"), (301, "hazardous"), (500, "hazardous")])
def test_bands(index: int, name: str) -> None:
    assert vn_aqi.band(index) == name
