"""Figures: values in, components out."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from dashboards.figures.breakdown import split
from dashboards.figures.feeds import MOST, feed_strip
from dashboards.figures.parts import shortened, to_json
from dashboards.figures.ranking import ranking
from dashboards.figures.spark import spark
from dashboards.figures.ticker import ticker
from dashboards.figures.tile import Place, tile
from dashboards.words import _WORDS
from ioc.kpi.tile import STATES, Delta, Quality, Tile
from ioc.live import Words
from tests.browser import province

ICT = ZoneInfo("Asia/Ho_Chi_Minh")
TILES = province.snapshot().tiles
TITLES = {"public-services": "Dịch vụ công", "health": "Y tế", "education": "Giáo dục"}


def shown(t: Tile, place: Place = "wall", lang: Any = "vi") -> tuple[dict[str, Any], str]:
    """Return the root's properties and all text of the drawn tile."""
    drawn = to_json(tile(t, lang, province.NOW, ICT, TITLES, place))
    return drawn["props"], texts(drawn)


def texts(node: Any) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, list):
        return " ".join(filter(None, map(texts, node)))
    return texts(node["props"].get("children", "")) if isinstance(node, dict) else ""


@pytest.mark.parametrize("place", ["wall", "page"])
def test_it_carries_what_a_machine_may_read(place: Place) -> None:
    root, _ = shown(TILES["dossiers_on_time_rate"], place)
    assert {k: v for k, v in root.items() if k.startswith("data-")} == {
        "data-kpi": "dossiers_on_time_rate", "data-value": "96.53", "data-unit": "%", "data-as-of": "2026-11-20T07:31:25Z",
        "data-formula-version": str(TILES["dossiers_on_time_rate"].formula_version), "data-state": "live", "data-status": "good",
    }  # fmt: skip


def test_it_shows_value_parts_change_and_target() -> None:
    t = msgspec.structs.replace(TILES["dossiers_on_time_rate"], delta=Delta(-1.2, "previous_period"))
    assert shown(t, "page")[1] == "Tỷ lệ hồ sơ giải quyết đúng hạn 96,5 % −1,2 điểm % so với hôm qua mục tiêu 98,0% hôm nay, đang tính 1.149/1.190 mới 14:31"
    assert shown(t, "wall", "en")[1] == "Dossiers resolved on time 96.5 % −1.2 pts vs yesterday live 14:31 1,149/1,190"


def test_it_says_that_a_rate_is_of_too_few_instead_of_what_it_is_against() -> None:
    t = msgspec.structs.replace(TILES["dossiers_on_time_rate"], value=0.0, numerator=0.0, denominator=1.0, status="unknown", judged_from=10, delta=Delta(-96.5, "previous_period"))
    root, text = shown(t)
    assert "status-unknown" in root["className"]
    assert text == "Tỷ lệ hồ sơ giải quyết đúng hạn 0,0 % chưa đủ 10 để đánh giá mới 14:31 0/1"
    assert "too few to judge, below 10 −96.5 pts vs yesterday" in shown(t, "page", "en")[1]


@pytest.mark.parametrize("state", STATES)
def test_it_says_every_state_in_a_word_and_a_shape(state: Any) -> None:
    t = msgspec.structs.replace(TILES["dossiers_open"], quality=Quality(state))
    root, text = shown(t)
    assert root["data-state"] == state and f"state-{state}" in root["className"]
    assert _WORDS[f"state.{state}"][0] in text
    assert f"shape-{state}" in str(to_json(tile(t, "vi", province.NOW, ICT, TITLES)))


def test_it_leaves_out_what_is_counted_before_the_size_of_the_number() -> None:
    t = msgspec.structs.replace(TILES["documents_received_today"], value=1_284_000.0, delta=None, spark=[])
    assert shown(t)[1] == "Văn bản điện tử đến trong ngày 1,28 triệu mới 14:31"
    assert "1,28 triệu văn bản" in shown(t, "page")[1]


def test_it_never_shows_a_number_without_an_as_of() -> None:
    t = msgspec.structs.replace(TILES["encounters_today"], as_of=None, quality=Quality("never", ["health"]))
    root, text = shown(t)
    assert root["data-value"] == "" and root["data-as-of"] == ""
    assert "chưa có dữ liệu" in text and "chờ Y tế" in text and "4.127" not in text


def test_it_tells_nothing_to_divide_by_from_no_data() -> None:
    t = msgspec.structs.replace(TILES["dossiers_on_time_rate"], value=None, delta=None)
    assert "chưa tính được" in shown(t)[1]


def test_it_counts_the_sources_that_are_missing() -> None:
    t = msgspec.structs.replace(TILES["dossiers_open"], quality=Quality("stale", ["health", "education"]))
    assert "thiếu 2 nguồn" in shown(t)[1]
    assert "2 sources missing" in shown(t, lang="en")[1]


def test_it_names_an_alarm_by_word_and_shape() -> None:
    root, text = shown(TILES["dossiers_overdue"])
    assert root["data-status"] == "alarm" and "báo động" in text


def test_it_says_a_month_ago_differently_from_yesterday() -> None:
    t = TILES["dossiers_open"]
    month = msgspec.structs.replace(t.period, start=t.period.end - timedelta(days=30))
    assert "so với kỳ trước" in shown(msgspec.structs.replace(t, period=month))[1]
    assert "so với hôm qua" in shown(t)[1]


def test_it_draws_a_line_with_gaps_and_marks_its_last_point() -> None:
    drawn = spark([1, 2, None, 3, 4], "Diễn biến", "dark")
    assert drawn is not None
    svg = base64.b64decode(to_json(drawn)["props"]["src"].split(",")[1]).decode()
    assert svg.count("<polyline") == 2
    x, y = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg).groups()  # type: ignore[union-attr]
    assert svg.rindex(f"{x},{y}") > 0


def test_it_draws_no_line_for_fewer_than_two_values() -> None:
    assert spark([None, 3, None], "") is None
    assert spark([], "") is None


def test_it_draws_a_level_line_when_nothing_changes() -> None:
    assert spark([5, 5, 5], "") is not None


def test_it_ranks_with_shared_places_and_counts_who_has_no_figure() -> None:
    codes = list(province.AREAS.communes)[:4]
    values = dict(zip(codes, [3.0, 7.0, 7.0, None], strict=True))
    rows = [to_json(row)["props"] for row in ranking(values, province.AREAS, "{report}", 0, "vi")]
    assert [row["data-value"] for row in rows[:3]] == ["7", "7", "3"]
    assert [texts(row["children"]).split()[0] for row in rows[:3]] == ["1", "1", "3"]
    assert texts(rows[3]["children"]) == f"{len(province.AREAS.communes) - 3} xã, phường chưa có số liệu"


def test_it_says_so_when_nothing_can_be_ranked() -> None:
    assert "chưa có số liệu" in texts(to_json(ranking({}, province.AREAS, "1", 0, "vi")))


def test_it_lists_the_newest_events_with_place_and_state() -> None:
    lines = to_json(ticker(province.events(province.NOW)[:2], province.AREAS, "vi", province.NOW, ICT))
    assert len(lines) == 2
    assert texts(lines[0]) == f"14:32 Cấp, thoát nước đang xử lý {province.AREAS.communes['05443'].name}"
    assert texts(to_json(ticker([], province.AREAS, "en", province.NOW, ICT))) == "no event yet"


def test_it_cuts_long_titles_between_words() -> None:
    assert shortened("Đăng ký quyền sử dụng đất, quyền sở hữu", 28) == "Đăng ký quyền sử dụng đất…"
    assert shortened("Cây xanh", 28) == "Cây xanh"


def test_it_tells_the_kpis_of_categories_from_those_of_the_whole() -> None:
    kpis = [kpi for kpi in province.catalogue() if kpi.theme == "incidents"]
    whole, by_category = split(kpis)
    assert by_category is not None
    assert {kpi.kpi for kpi in whole} | set(by_category.kpis) == {kpi.kpi for kpi in kpis}
    assert len(whole) + len(by_category.kpis) == len(kpis)
    assert [kpi.kpi for kpi in by_category.columns] == ["incidents_opened_today", "incidents_open", "incidents_overdue"]
    assert all(cell is not None for _, cells in by_category.rows for cell in cells)


def test_it_has_every_word_in_both_languages() -> None:
    for word, (vi, en) in _WORDS.items():
        assert vi and en, word
        assert re.findall(r"\{(\w+)\}", vi) == re.findall(r"\{(\w+)\}", en), word


def strip(n: int, states: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (text, state) of each block of the strip of `n` feeds f0, f1, ..."""
    some = province.snapshot().feeds[0]
    feeds = [msgspec.structs.replace(some, feed=f"f{i}", title=Words(f"F{i}", f"F{i}"), state=states.get(f"f{i}", "live")) for i in range(n)]
    return [(texts(to_json(block)), block.to_plotly_json()["props"]["data-state"]) for block in feed_strip(feeds, "vi", province.NOW, ICT)]


def test_it_names_every_feed_while_they_can_be_read_from_afar() -> None:
    assert [text.split()[0] for text, _ in strip(MOST, {"f1": "lost"})] == [f"F{i}" for i in range(MOST)]


def test_it_names_the_worst_of_many_feeds_and_sums_up_the_others() -> None:
    blocks = strip(9, {"f8": "lost", "f6": "late"})
    assert [text.split()[0] for text, _ in blocks] == ["F0", "F1", "F6", "F8", "5"]
    assert [state for _, state in blocks] == ["live", "live", "late", "lost", "live"]
    assert blocks[-1][0] == "5 nguồn khác mới"


def test_its_sum_of_other_feeds_has_the_worst_state_of_them() -> None:
    blocks = strip(9, dict.fromkeys(("f1", "f3", "f4", "f5", "f6", "f7"), "stale"))
    assert [state for _, state in blocks] == ["stale"] * 5
