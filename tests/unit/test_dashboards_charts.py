"""Charts of the wall: values in, components out; whatever the values are, something designed comes out."""

from __future__ import annotations

import base64
import re
from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import msgspec
import pytest

from dashboards.figures import charts
from dashboards.figures.parts import to_json
from dashboards.words import Lang
from ioc.kpi.tile import STATES, History, Quality, Tile
from tests.browser import province
from tests.unit.test_dashboards_figures import texts

ICT = ZoneInfo("Asia/Ho_Chi_Minh")
SHOT = province.snapshot()
RECEIVED = SHOT.tiles["dossiers_received_today"]
PAST = SHOT.courses[""]["dossiers_received_today"]
FLOW = [SHOT.tiles[name] for name in ("dossiers_received_today", "dossiers_open", "dossiers_overdue", "dossiers_resolved_today")]
CLASSES = [SHOT.tiles[f"vehicles_{name}_today"] for name in ("motorcycle", "car", "bus", "truck")]
NAMES = {area.code: area.name for area in province.AREAS.communes.values()}


def drawings(node: Any) -> list[str]:
    """Return the SVG of all images; each must be XML."""
    found = [base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", str(node))]
    for svg in found:
        ElementTree.fromstring(svg)
    return found


def drawn(parts: Any) -> tuple[str, list[str]]:
    """Return all text and all drawings of a chart."""
    node = to_json(parts)
    return texts(node), drawings(node)


def every(t: Tile, past: History | None, lang: Lang = "vi") -> dict[str, tuple[str, list[str]]]:
    """Return what each chart makes of one tile."""
    now = province.NOW
    made = {
        "trend": charts.trend(t, past, lang, now, ICT),
        "calendar": charts.calendar(t, past, lang, now, ICT),
        "ranking": charts.ranked(t, {"05443": t.value, "05455": None}, {"05443": "Phường A", "05455": "Phường B"}, lang, now, ICT),
        "flow": charts.flow([FLOW[0], msgspec.structs.replace(t, kind="count_now"), FLOW[2], FLOW[3]], lang, now, ICT),
        "bars": charts.bars("", [t, CLASSES[0]], lang, now, ICT),
    }
    return {name: drawn(parts) for name, parts in made.items()}


def test_a_charts_newest_points_are_those_of_the_tile() -> None:
    old = History(PAST.starts, [0.0 for _ in PAST.values])
    points = charts.course(RECEIVED, old, ICT)
    assert [value for _, value in points[-14:]] == RECEIVED.spark
    assert points[-1] == (province.NOW.date(), RECEIVED.value)
    assert {value for _, value in points[:-14]} == {0.0}


def test_without_a_longer_past_a_chart_draws_the_tiles_own() -> None:
    points = charts.course(RECEIVED, None, ICT)
    assert [value for _, value in points] == RECEIVED.spark
    assert points[-1][0] == date(2026, 11, 20) and points[0][0] == date(2026, 11, 7)


def test_a_day_is_compared_with_the_same_weekday_of_the_weeks_before() -> None:
    days = [date(2026, 9, 28) + timedelta(days=i) for i in range(50)]  # a Monday; the last one is a Monday, too
    points = charts.banded([(day, float(day.day + 100 * (day.weekday() == 0))) for day in days])
    assert len(points) == charts.TREND_DAYS
    mondays = [float(day.day + 100) for day in days[:-1] if day.weekday() == 0]
    assert (points[-1].low, points[-1].high) == (min(mondays), max(mondays))
    assert charts.banded([(day, None if i else 5.0) for i, day in enumerate(days)])[-1].low is None  # one Monday is no usual


def test_figures_of_years_have_no_weekday_and_begin_where_they_begin() -> None:
    points = charts.banded([(date(year, 1, 1), None if year < 2020 else float(year)) for year in range(2016, 2026)])
    assert [p.start.year for p in points] == list(range(2020, 2026)) and all(p.low is None for p in points)


def test_a_trend_says_its_ends_and_its_days_in_both_languages() -> None:
    text, (svg,) = drawn(charts.trend(RECEIVED, PAST, "vi", province.NOW, ICT))
    assert text == "Hồ sơ tiếp nhận trong ngày mới 14:31 1.500 0 24/10 07/11 20/11 nay 1.284\u00a0hồ sơ thường lệ"
    assert svg.count("<polyline") == 1 and svg.count("<polygon") == 1
    assert "1,500 0" in drawn(charts.trend(RECEIVED, PAST, "en", province.NOW, ICT))[0]


def test_a_gap_stays_a_gap_in_a_trend_and_an_empty_day_in_a_calendar() -> None:
    t = msgspec.structs.replace(RECEIVED, spark=[*RECEIVED.spark[:5], None, *RECEIVED.spark[6:]])
    past = History(PAST.starts, [*PAST.values[:-9], None, *PAST.values[-8:]])
    assert drawn(charts.trend(t, past, "vi", province.NOW, ICT))[1][0].count("<polyline") == 2
    whole, holed = (drawn(charts.calendar(*of, "vi", province.NOW, ICT))[1][0].count('fill="none"') for of in ((RECEIVED, PAST), (t, past)))
    assert holed == whole + 1


def test_a_flow_shows_what_came_lies_there_and_went() -> None:
    text, _ = drawn(charts.flow(FLOW, "vi", province.NOW, ICT))
    assert text == "Dòng xử lý mới 14:31 1.284 Tiếp nhận trong ngày 18.342 Đang giải quyết 137 Quá hạn 1.107 Đã giải quyết trong ngày"
    assert "shape-alarm" in str(to_json(charts.flow(FLOW, "vi", province.NOW, ICT)))  # not by colour alone


def test_bars_leave_out_what_all_titles_say() -> None:
    text, _ = drawn(charts.bars("Lượt xe theo loại", CLASSES, "vi", province.NOW, ICT))
    assert all(name in text for name in ("Mô tô, xe máy", "Ô tô con", "Xe khách", "Xe tải")) and "trong ngày" not in text
    assert charts.told_apart(["Phản ánh: Điện", "Phản ánh: Nước"]) == ["Điện", "Nước"]
    assert charts.told_apart(["Same", "Same"]) == ["Same", "Same"]


def test_a_ranking_counts_who_has_no_figure_and_shares_places() -> None:
    values = dict.fromkeys(NAMES, 1.0) | {"05443": 9.0, "05455": 9.0, "05467": None}
    text, _ = drawn(charts.ranked(SHOT.tiles["incidents_open"], values, NAMES, "vi", province.NOW, ICT, most=3))
    assert text.endswith("3 cao nhất trong 92 1 chưa có")
    assert re.search(r" 1 .+ 9 1 .+ 9 3 ", text)
    assert "Phường" in drawn(charts.ranked(SHOT.tiles["incidents_open"], values, NAMES, "vi", province.NOW, ICT, lowest=True))[0]


@pytest.mark.parametrize("state", STATES)
def test_every_chart_says_how_old_it_is(state: Any) -> None:
    t = msgspec.structs.replace(RECEIVED, quality=Quality(state), as_of=None if state == "never" else RECEIVED.as_of)
    word = {"live": "mới", "late": "trễ", "stale": "cũ", "lost": "mất", "never": "chưa có"}[state]
    for name, (text, _) in every(t, PAST).items():
        assert word in text, name
    assert charts.attributes("trend", [t])["data-state"] == state
    assert charts.attributes("trend", [t])["data-as-of"] == ("" if state == "never" else "2026-11-20T07:31:25Z")


def test_a_figure_of_several_is_as_old_as_the_oldest() -> None:
    old = msgspec.structs.replace(FLOW[1], quality=Quality("stale"))
    assert charts.attributes("flow", [FLOW[0], old, FLOW[3]])["data-state"] == "stale"


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("value", [None, 0.0, -37.5, 1e-7, 4.2e17, 12.0])
def test_no_value_breaks_a_chart(value: float | None, lang: Any) -> None:
    for points in ([value] * 14, [None] * 13 + [value], []):
        for unit in ("{dossier}", "%", "h", "VND", "a_unit_of_sixty_characters_that_nobody_would_ever_write_in_full"):
            t = msgspec.structs.replace(RECEIVED, value=value, spark=points, unit=unit)
            past = History(PAST.starts, [value] * len(PAST.starts))
            for name, (text, _) in every(t, past, lang).items():
                assert text and "nan" not in text and "None" not in text, name


def test_a_feed_that_never_spoke_has_no_numbers_in_any_chart() -> None:
    t = msgspec.structs.replace(RECEIVED, as_of=None, quality=Quality("never"))
    for name in ("trend", "calendar", "ranking"):
        text, pictures = every(t, PAST)[name]
        assert "chưa có dữ liệu" in text and "1.284" not in text and not pictures, name


@pytest.mark.parametrize(("low", "high", "unit", "ends"), [(3.0, 97.0, "{dossier}", (0, 100)), (91.2, 98.4, "%", (90, 100)), (5.0, 5.0, "1", (4, 6)), (-3.0, 8.0, "1", (-5, 10))])
def test_an_axis_ends_at_round_numbers_and_counts_begin_at_zero(low: float, high: float, unit: str, ends: tuple[float, float]) -> None:
    assert charts._span([low, high], msgspec.structs.replace(RECEIVED, unit=unit)) == ends
