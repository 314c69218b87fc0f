"""Numbers, durations and times as the screens write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dashboards.figures.numbers import (
    clock_time,
    clock_time_s,
    duration,
    in_words,
    iso,
    number,
    period_words,
    plain,
    quantity,
    signed,
    unit_word,
)
from dashboards.words import _WORDS, say
from ioc.kpi.catalogue import load

ICT = ZoneInfo("Asia/Ho_Chi_Minh")


def test_it_writes_numbers_as_vietnamese_people_do() -> None:
    assert number(1234567.891, "vi", 3) == "1.234.567,891"
    assert number(1234567.891, "en", 1) == "1,234,567.9"
    assert in_words(98, "%", "vi", 1) == "98,0%"


def test_it_rounds_half_up_and_never_to_minus_zero() -> None:
    assert number(0.125, "vi", 2) == "0,13"
    assert number(-0.04, "vi", 1) == "0,0"
    assert number(-3, "vi") == "\u22123"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (16.75e12, "VND", ("16,75", "nghìn tỷ đồng")),
        (1.9e6, "{document}", ("1,9", "triệu văn bản")),
        (7.5e9, "VND", ("7,5", "tỷ đồng")),
        (999_999, "{document}", ("999.999", "văn bản")),
        (12, "{unheard_of}", ("12", "unheard of")),
    ],
)
def test_it_shortens_large_numbers_into_words(value: float, unit: str, shown: tuple[str, str]) -> None:
    assert quantity(value, unit, "vi") == shown


@pytest.mark.parametrize(
    ("hours", "shown"),
    [(0.7, ("42", "phút")), (5.3, ("5,3", "giờ")), (52, ("2 ngày 4", "giờ")), (48.2, ("2", "ngày")), (-30, ("\u22121 ngày 6", "giờ")), (0, ("0", "phút")), (274, ("11,4", "ngày"))],
)
def test_it_says_hours_as_people_do(hours: float, shown: tuple[str, str]) -> None:
    assert duration(hours, "vi") == shown


def test_it_says_a_difference_of_percentages_in_points() -> None:
    assert signed(-1.234, "%", "vi", 1) == "\u22121,2 điểm %"
    assert signed(1.2, "%", "en", 1) == "+1.2 pts"
    assert signed(12, "{dossier}", "vi") == "+12"
    assert signed(-35.03e9, "{document}", "vi") == "\u221235,03\u00a0tỷ"
    assert signed(0, "{dossier}", "vi") == "không đổi" == signed(-0.04, "%", "vi", 1)
    assert signed(0.4, "{dossier}", "en") == "unchanged"
    assert signed(-2, "VND/{document}", "vi") == "\u22122\u00a0đồng"
    assert signed(-1.5, "h", "vi", 1) == "\u22121,5\u00a0giờ"
    assert signed(236.0, "h", "vi", 1) == "+9,8\u00a0ngày"


def test_it_gives_machines_plain_numbers() -> None:
    assert [plain(v) for v in (12.0, 96.53, 1e21, None, float("nan"))] == ["12", "96.53", "1000000000000000000000", "", ""]


def test_it_dates_only_what_is_not_of_today() -> None:
    now = datetime(2026, 11, 20, 7, 32, 5, tzinfo=UTC)
    assert clock_time(datetime(2026, 11, 19, 17, 0, tzinfo=UTC), now, ICT, "vi") == "00:00"  # already today there
    assert clock_time(datetime(2026, 11, 19, 16, 59, tzinfo=UTC), now, ICT, "vi") == "19/11 23:59"
    assert clock_time_s(now, now, ICT, "en") == "14:32:05"
    assert clock_time(None, now, ICT, "vi") == "" == iso(None)
    assert iso(now) == "2026-11-20T07:32:05Z"


def test_it_has_a_word_in_both_languages_for_every_unit_of_the_catalogue() -> None:
    units = {kpi.unit for kpi in load(Path(__file__).parents[2] / "dashboards" / "catalogue")}
    for unit in units - {"1", "%", "mm", "m", "km", "km/h", "{camera}"}:  # written alike in every language
        assert unit_word(unit, "vi") not in ("", unit.strip("{}")), unit
        assert unit_word(unit, "en"), unit


@pytest.mark.parametrize(
    ("start", "end", "vi", "en"),
    [
        (date(2021, 1, 1), date(2022, 1, 1), "năm 2021", "2021"),
        (date(2026, 7, 1), date(2026, 10, 1), "quý III/2026", "Q3 2026"),
        (date(2026, 10, 1), date(2027, 1, 1), "quý IV/2026", "Q4 2026"),
        (date(2026, 11, 1), date(2026, 12, 1), "tháng 11/2026", "Nov 2026"),
        (date(2026, 11, 23), date(2026, 11, 24), "23/11/2026", "23/11/2026"),
        (date(2026, 11, 16), date(2026, 11, 23), "16/11–22/11/2026", "16/11–22/11/2026"),
    ],
)
def test_a_period_has_a_name(start: date, end: date, vi: str, en: str) -> None:
    assert (period_words(start, end, "vi"), period_words(start, end, "en")) == (vi, en)


def test_one_thing_is_not_several_in_english() -> None:
    assert [in_words(n, "{warning}", "en") for n in (0, 1, 2, -1)] == ["0\u00a0warnings", "1\u00a0warning", "2\u00a0warnings", "\u22121\u00a0warning"]
    assert [in_words(1, unit, "en") for unit in ("{agency}", "{bus}", "{person}", "{criterion}", "{committee}", "ms", "d")] == [
        "1\u00a0agency", "1\u00a0bus", "1\u00a0person", "1\u00a0criterion", "1\u00a0party committee", "1\u00a0ms", "1\u00a0day",
    ]  # fmt: skip
    assert (in_words(1, "{place}", "en", 1), in_words(1_000_000, "{visit}", "en")) == ("1.0\u00a0places", "1\u00a0million visits")
    assert in_words(1, "{incident}/{commune}", "en") == "1\u00a0report/commune"
    assert in_words(1, "{warning}", "vi") == "1\u00a0cảnh báo"


def test_every_sentence_that_counts_has_a_form_for_one() -> None:
    """But where the number is a name (entry 1), or there are always several: weeks of a calendar, letters of a password, indicators that are too many."""
    always = {"problem.entry_decided", "chart.calendar", "problem.short", "problem.long", "problem.repeats", "problem.note_long", "compare.most"}
    counting = {word for word, (_, en) in _WORDS.items() if re.search(r"\{n\}( [a-z]+)*? [a-z]{2,}s\b", en)}
    assert {"missing", "leaders.more", "problem.wait", "search.found"} <= counting
    assert {word for word in counting - always if f"{word}.one" not in _WORDS} == set()
    assert (say("missing", "en", n=1), say("missing", "en", n=2), say("map.grouped", "en", n="1")) == ("1 source missing", "2 sources missing", "1 point")
