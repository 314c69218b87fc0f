"""The catalogue: what ships is whole; what is wrong is refused with file, line and what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ioc.config import Config
from ioc.config import load as load_config
from ioc.errors import UserError
from ioc.kpi import catalogue
from ioc.store.reader import AssetTerm, CaseTerm, DurationTerm, ObservationTerm

REPOSITORY = Path(__file__).resolve().parents[3]
SHIPPED = catalogue.load(REPOSITORY / "dashboards" / "catalogue")

PROMISED = ["dossiers_received_today", "dossiers_resolved_today", "dossiers_on_time_rate", "dossiers_open", "dossiers_overdue", "dossiers_median_hours", "dossiers_online_share", "dossiers_satisfaction", "documents_sent_today", "documents_received_today", "documents_processed_today", "documents_open", "documents_overdue", "documents_overdue_province", "documents_overdue_commune", "documents_signed_share", "encounters_today", "emergency_encounters_today", "immunisations_today", "facilities_reporting", "attendance_rate", "schools_reporting", "students_absent_unexcused", "students_enrolled", "incidents_opened_today", "incidents_closed_today", "incidents_open", "incidents_overdue", "incidents_on_time_rate", "incidents_median_hours", "incidents_satisfaction", "incidents_open_duong_giao_thong", "incidents_overdue_cay_xanh", "incidents_opened_today_khac"]

GOOD = """theme: test
title: {vi: Thử, en: Test}
kpis:
  - kpi: received
    title: {vi: Tiếp nhận, en: Received}
    description: {vi: Số đã nhận., en: What was received.}
    kind: sum
    unit: "{dossier}"
    better: up
    period: day
    formula:
      value: {cases: some-feed, measure: opened}
    since: 2026-11-22
"""


def read(tmp_path: Path, text: str) -> catalogue.Catalogue:
    (tmp_path / "test.yaml").write_text(text, encoding="utf-8")
    return catalogue.load(tmp_path)


def test_it_ships_every_kpi_that_was_promised() -> None:
    names = [kpi.kpi for kpi in SHIPPED]
    assert set(PROMISED) <= set(names)
    assert len(names) == len(set(names))


def test_every_shipped_kpi_says_in_both_languages_what_it_counts() -> None:
    for kpi in SHIPPED:
        for words in (kpi.title, kpi.description):
            assert len(words.vi) > 5
            assert len(words.en) > 5
            assert words.vi != words.en
        assert kpi.description.vi.endswith(".")


def test_the_province_uses_all_shipped_kpis() -> None:
    config = load_config(REPOSITORY / "config.yaml")
    assert {kpi.kpi for kpi in catalogue.in_use(SHIPPED, config)} == {kpi.kpi for kpi in SHIPPED}


def test_a_row_with_each_stands_for_one_kpi_a_value() -> None:
    kpi = SHIPPED.get("incidents_overdue_cay_xanh")
    assert kpi.title.vi == "Phản ánh quá hạn xử lý: Cây xanh"
    assert kpi.formula.numerator == (CaseTerm("incident-reports", ("overdue",), "n", (("category", ("cay-xanh",)),)),)


def test_a_kpi_knows_its_feeds_by_its_formula() -> None:
    assert SHIPPED.get("facilities_reporting").feeds == ("health",)
    assert {type(t) for kpi in SHIPPED for t in kpi.formula.terms} == {CaseTerm, ObservationTerm, AssetTerm, DurationTerm}


@pytest.mark.parametrize(
    ("wrong", "line", "said"),
    [
        ("kind: sum -> kind: total", 7, "kind"),
        ("better: up -> beter: up", 9, "'beter' is not a field here"),
        ("measure: opened} -> measure: open}", 4, "count_now is for what is true now"),
        ("measure: opened} -> measure: opened, metric: x}", 12, "metric does not belong to a term over cases; it may have"),
        ("cases: some-feed, measure: opened -> duration: some-feed", 4, "kind duration and a term over duration go together"),
        ("cases: some-feed, measure: opened -> cases: some-feed", 12, "a term over cases needs measure"),
        ("cases: some-feed -> cases: Some Feed", 12, "'Some Feed' is not a feed's name"),
        ("cases: some-feed, measure: opened -> assets: some-feed, kind: school", 4, "count_now"),
        ("measure: opened} -> measure: [opened, closed]}", 12, "write the others as a list of terms"),
        ("measure: opened} -> measure: open, value: rating}", 12, "only n is"),
        ("measure: opened} -> measure: overdue, distinct: agency}", 12, "not known of open ones"),
        ("measure: opened} -> measure: opened, where: {Bad Dim: x}}", 12, "'Bad Dim' cannot be a dim's name"),
        ('unit: "{dossier}" -> unit: pieces', 8, "'pieces' is not a unit"),
        ('unit: "{dossier}" -> unit: "%"', 4, "a percentage has unit '%' and scale 100"),
        ("kpi: received -> kpi: Received-Today", 4, "cannot be a KPI's name"),
        ("period: day -> period: now", 4, "period now and kind count_now go together"),
        ("better: up -> better: up\n    watch: 90\n    alarm: 95", 4, "alarm 95 must be worse than watch 90"),
        ("better: up -> better: band\n    watch: 90", 4, "for better: band they are [low, high]"),
        ("since: 2026-11-22 -> since: yesterday", 13, "since"),
        ("title: {vi: Tiếp nhận, en: Received} -> title: {vi: Tiếp nhận}", 5, "title.en"),
        ("value: {cases: some-feed, measure: opened} -> ratio: {numerator: {cases: f, measure: opened}, denominator: {cases: f, measure: closed}}", 4, "cannot be a ratio"),
    ],
)  # fmt: skip
def test_it_refuses_a_mistake_with_file_line_and_repair(tmp_path: Path, wrong: str, line: int, said: str) -> None:
    before, after = wrong.split(" -> ")
    assert before in GOOD
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        read(tmp_path, GOOD.replace(before, after))
    assert "test.yaml" in str(caught.value)
    assert f"line {line}: " in str(caught.value)


def test_it_reads_the_same_row_without_mistake(tmp_path: Path) -> None:
    (kpi,) = read(tmp_path, GOOD)
    assert kpi.formula.numerator == (CaseTerm("some-feed", ("opened",)),)


@pytest.mark.parametrize("text", ["theme: [", "- a\n- b\n", "", "theme: a\ntitle: {vi: a, en: b}\nkpis: []\n"])
def test_it_refuses_a_file_that_is_no_catalogue(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"test\.yaml"):
        read(tmp_path, text)


def test_it_refuses_two_kpis_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(UserError, match="received is already a KPI in"):
        read(tmp_path, GOOD)


def test_it_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"kpis\.catalogue"):
        catalogue.load(tmp_path)


def _config(**kpis: object) -> Config:
    return Config(feeds=[{"feed": "some-feed", "connector": "push", "title": {"vi": "a", "en": "a"}}], kpis=kpis)


def test_a_province_sets_its_own_target(tmp_path: Path) -> None:
    (kpi,) = catalogue.in_use(read(tmp_path, GOOD), _config(targets={"received": 40}))
    assert kpi.target == 40


def test_a_province_without_the_feed_has_not_the_kpi(tmp_path: Path) -> None:
    assert catalogue.in_use(read(tmp_path, GOOD), Config(feeds=[])) == []


@pytest.mark.parametrize("kpis", [{"use": ["received"]}, {"use": ["nothing"]}, {"targets": {"nothing": 1}}])
def test_it_refuses_to_use_what_is_not_there(tmp_path: Path, kpis: dict[str, object]) -> None:
    with pytest.raises(UserError):
        catalogue.in_use(read(tmp_path, GOOD), Config(feeds=[], kpis=kpis))
