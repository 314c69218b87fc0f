"""The geography until 30 June 2025: nothing is lost or made up, what was apportioned says so."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ioc.areas import load
from ioc.kpi.geography import apportion, names_of, shares

AREAS = load("19")


@given(
    st.one_of(st.integers(-(10**9), 10**15).map(Decimal), st.decimals(-(10**9), 10**12, places=3, allow_nan=False)),
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.fractions(Fraction(1, 4), 9), min_size=1, max_size=12),
)
def test_shares_sum_up_to_the_value_and_none_is_off_by_more_than_a_grain(value: Decimal, weights: dict[str, Fraction]) -> None:
    found = apportion(value, weights)
    assert sum(found.values(), Decimal(0)) == value
    grain = Fraction(1, 1000) if value != value.to_integral_value() else Fraction(1)
    for unit, share in found.items():
        assert abs(Fraction(share) - Fraction(value) * weights[unit] / sum(weights.values())) < grain


def test_every_commune_of_today_was_made_of_former_ones_and_every_former_one_went_somewhere() -> None:
    assert shares(AREAS, "former").keys() == AREAS.communes.keys()
    assert all(was.into for was in AREAS.former.values())
    for geography in ("districts", "former"):
        counted = sum((sum(weights.values(), Fraction(0)) for weights in shares(AREAS, geography).values()), Fraction(0))  # type: ignore[arg-type]
        assert counted == len(AREAS.former)
        assert {unit for weights in shares(AREAS, geography).values() for unit in weights} == names_of(AREAS, geography).keys()  # type: ignore[arg-type]


def test_a_divided_commune_belongs_to_each_it_went_to_by_half() -> None:
    was = next(area for area in AREAS.former.values() if area.name == "Xã Thượng Đình")
    assert was.now is None
    assert len(was.into) == 2
    assert all(shares(AREAS, "former")[commune][was.code] == Fraction(1, 2) for commune in was.into)


def test_a_code_that_was_used_before_the_merger_is_another_place_in_each_geography() -> None:
    reused = AREAS.communes.keys() & AREAS.former.keys()
    assert reused
    today, former = names_of(AREAS, "today"), names_of(AREAS, "former")
    changed = [code for code in reused if former[code].partition(",")[0] != today[code]]
    assert changed  # the same digits, another unit
    for code in changed:
        assert AREAS.communes[code].name == today[code]
        assert AREAS.former[code].name == former[code].partition(",")[0]
