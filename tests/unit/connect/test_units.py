"""Units as UCUM writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ioc.units import UnknownUnit, convert, normal


@pytest.mark.parametrize(("written", "ucum"), [("µg/m³", "ug/m3"), ("μg/m3", "ug/m3"), ("ug/m^3", "ug/m3"), ("°C", "Cel"), ("% ", "%"), ("", "1"), ("{student}", "{student}"), ("kWh", "kW.h"), ("ha", "har"), ("đồng", "VND")])
def test_one_spelling_a_unit(written: str, ucum: str) -> None:
    assert normal(written) == ucum and normal(ucum) == ucum


@pytest.mark.parametrize("unit", ["furlong", "{", "{a b}", "{}", "ug/m4", "x" * 500])
def test_an_unknown_unit_is_refused(unit: str) -> None:
    with pytest.raises(UnknownUnit):
        normal(unit)


def test_it_converts_within_a_quantity_only() -> None:
    assert convert(Decimal("1.5"), "mg/m3", "µg/m³") == 1500
    assert convert(Decimal(25), "%", "1") == Decimal("0.25")
    assert convert(Decimal(3), "{student}", "{student}") == 3
    with pytest.raises(UnknownUnit):
        convert(Decimal(1), "ppm", "ug/m3")
    with pytest.raises(UnknownUnit):
        convert(Decimal(1), "{student}", "1")
