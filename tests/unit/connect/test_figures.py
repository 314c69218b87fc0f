"""Figures and periods as Vietnamese reports write them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from ioc.connect.declared.figures import quantity, reference
from ioc.connect.declared.schema import FieldRule
from ioc.connect.errors import Skip

UNITS = {"đồng": "VND", "usd": "USD", "đồng/người": "VND", "mbps": "{mbps}", "": "1", "sản phẩm": "{product}"}


@pytest.mark.parametrize(
    ("text", "value", "unit", "qualifier"),
    [
        ("16.750 tỷ đồng", "16750000000000", "VND", "exact"),
        ("844 nghìn tỷ đồng", "844000000000000", "VND", "exact"),
        ("gần 29 tỷ USD", "29000000000", "USD", "at_most"),
        ("trên 14,65 tỷ đồng", "14650000000", "VND", "at_least"),
        ("95,1 triệu đồng/người", "95100000", "VND", "exact"),
        ("6,56%", "6.56", "%", "exact"),
        ("98,0 %", "98.0", "%", "exact"),
        ("khoảng 32,7%", "32.7", "%", "about"),
        ("1.148.705", "1148705", "1", "exact"),
        ("1.234.567,891", "1234567.891", "1", "exact"),
        ("Hơn 2.600 sản phẩm", "2600", "{product}", "at_least"),
        ("33,95 Mbps", "33.95", "{mbps}", "exact"),
        ("−0,4%", "-0.4", "%", "exact"),
        ("12.5", "12.5", "1", "exact"),
        ("12,5", "12.5", "1", "exact"),
        ("0,123", "0.123", "1", "exact"),
        ("trên 200 nghìn", "200000", "1", "at_least"),
        ("8", "8", "1", "exact"),
    ],
)
def test_a_figure_is_read_as_it_is_written(text: str, value: str, unit: str, qualifier: str) -> None:
    found = quantity(text, "Số liệu", UNITS)
    assert (found.value, found.unit, found.qualifier) == (Decimal(value), unit, qualifier)


@pytest.mark.parametrize(
    ("text", "cause"),
    [("nhiều", "wrong_type"), ("1,234", "wrong_type"), ("14,943", "wrong_type"), ("12 con trâu", "unknown_unit"), ("1.2.3", "wrong_type"), ("1/2", "unknown_unit"), ("", "wrong_type")],
)
def test_what_could_be_two_things_is_refused(text: str, cause: str) -> None:
    with pytest.raises(Skip) as caught:
        quantity(text, "Số liệu", UNITS)
    assert caught.value.cause == cause


@pytest.mark.parametrize(
    ("text", "start", "length"),
    [
        ("2021", date(2021, 1, 1), "P1Y"), ("Năm 2021", date(2021, 1, 1), "P1Y"), ("2026-Q3", date(2026, 7, 1), "P3M"), ("quý III/2026", date(2026, 7, 1), "P3M"),
        ("Quý 4/2026", date(2026, 10, 1), "P3M"), ("Q1/2026", date(2026, 1, 1), "P3M"), ("2026-11", date(2026, 11, 1), "P1M"), ("tháng 11/2026", date(2026, 11, 1), "P1M"),
        ("11/2026", date(2026, 11, 1), "P1M"), ("2026-11-24", date(2026, 11, 24), "P1D"), ("2026-W47", date(2026, 11, 16), "P1W"), ("Tuần 1/2026", date(2025, 12, 29), "P1W"),
    ],
)  # fmt: skip
def test_a_period_has_a_first_day_and_a_length(text: str, start: date, length: str) -> None:
    found = reference(text, "Kỳ")
    assert (found.start, found.length) == (start, length)


@pytest.mark.parametrize("text", ["năm nay", "2026-13", "2026-Q5", "13/2026", "quý V/2026"])
def test_a_period_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Skip, match="not a period"):
        reference(text, "Kỳ")


def test_a_word_may_mean_a_number() -> None:
    rule = FieldRule.model_validate({"class": "public", "values": {"tắt": 0, "bật": 1, "có": True}})
    assert [type(value) for value in rule.values.values()] == [int, int, bool]
