"""The catalogue: what ships is whole; what is wrong is refused with file, line and what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ioc.config import Config
from ioc.config import load as load_config
from ioc.errors import UserError
from ioc.kpi import catalogue
from ioc.kpi.symbols import in_symbols
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
        ("better: up -> better: up\n    judged_from: 10", 4, "judged_from is the smallest denominator that is judged, and kind sum has none"),
        ("better: up -> better: up\n    judged_from: 1", 10, "judged_from"),
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


def derived(formula: str, unit: str = "1", kind: str = "sum", more: str = "") -> str:
    """The good row twice (a, b), and a KPI c over them; its row begins at line 24."""
    head, row = GOOD.split("  - kpi: received\n")
    rows = "".join(f"  - kpi: {name}\n{row}" for name in ("a", "b"))
    words = 'title: {vi: Gộp, en: Joined}\n    description: {vi: Gộp lại., en: Joined up.}'
    return f'{head}{rows}  - kpi: c\n    {words}\n    kind: {kind}\n    unit: "{unit}"\n    better: up\n    period: day\n    formula: {{kpis: {formula}}}\n    since: 2026-11-24\n{more}'


@pytest.mark.parametrize(
    ("formula", "unit", "kind", "symbols"),
    [
        ("{sum: [a, b]}", "{dossier}", "sum", "a + b"),
        ("{difference: [a, b]}", "{dossier}", "sum", "a - b"),
        ("{ratio: [a, b], scale: 100}", "%", "ratio", "100 × a / b"),
        ("{ratio: [a, b]}", "1", "mean", "a / b"),
        ("{index: {a: 0.6, b: 0.4}}", "{dossier}", "index", "(0.6 × a + 0.4 × b) / 1.0"),
    ],
)
def test_a_formula_may_join_other_kpis(tmp_path: Path, formula: str, unit: str, kind: str, symbols: str) -> None:
    kpi = read(tmp_path, derived(formula, unit, kind)).get("c")
    assert in_symbols(kpi.formula) == symbols
    assert kpi.feeds == ("some-feed",)


@pytest.mark.parametrize(
    ("formula", "unit", "kind", "said"),
    [
        ("{sum: [a, c]}", "{dossier}", "sum", "c needs c: a KPI cannot need itself"),
        ("{sum: [a, bb]}", "{dossier}", "sum", "no KPI is called 'bb'; near it are b"),
        ("{sum: [a, b]}", "VND", "sum", "unit VND does not follow from a ({dossier}) and b ({dossier}); sum needs one unit for all"),
        ("{ratio: [a, b], scale: 100}", "1", "ratio", "a ratio of them is in %"),
        ("{ratio: [a, a]}", "1", "ratio", "a over itself is always 1"),
        ("{ratio: [a, b]}", "1", "sum", "kind sum and a ratio of KPIs do not go together"),
        ("{index: {a: 1, b: 0}}", "{dossier}", "index", "their sum is what is divided by"),
        ("{sum: [a, b], ratio: [a, b]}", "{dossier}", "sum", "exactly one of sum, difference, ratio, index"),
        ("{sum: [a, b]}\n    latest: true", "{dossier}", "sum", "figures of reports (latest) join only with figures of reports"),
    ],
)
def test_it_refuses_a_formula_over_kpis_that_makes_no_sense(tmp_path: Path, formula: str, unit: str, kind: str, said: str) -> None:
    text = derived(formula, unit, kind) if "latest" not in formula else derived("{sum: [a, b]}", unit, kind, "    latest: true\n")
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        read(tmp_path, text)
    assert re.search(r"test\.yaml: line (24|30|31)", str(caught.value)), caught.value


def test_it_refuses_to_divide_by_what_is_always_nothing(tmp_path: Path) -> None:
    nothing = derived("{difference: [a, a]}", "{dossier}").replace("- kpi: c", "- kpi: d").replace(GOOD.split("  - kpi: received")[0], "")
    text = derived("{ratio: [a, d]}", "1", "ratio") + nothing[nothing.index("  - kpi: d"):]
    with pytest.raises(UserError, match="d is always 0, and nothing can be divided by it"):
        read(tmp_path, text)


def test_a_cycle_through_several_kpis_is_named_whole(tmp_path: Path) -> None:
    text = derived("{sum: [a, d]}", "{dossier}")
    other = text[text.index("  - kpi: c"):].replace("- kpi: c", "- kpi: d").replace("[a, d]", "[a, c]")
    with pytest.raises(UserError, match="c needs d needs c: a KPI cannot need itself"):
        read(tmp_path, text + other)


def test_a_new_version_of_a_formula_tells_what_it_was_before(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="version 2 needs 1, with its date and what it was"):
        read(tmp_path, GOOD + "    version: 2\n")
    before = "    version: 2\n    history: [{version: 1, since: %s, what: {vi: Cũ., en: Old.}}]\n"
    with pytest.raises(UserError, match="a new version begins after the one before it"):
        read(tmp_path, GOOD + before % "2026-11-22")
    (kpi,) = read(tmp_path, GOOD + before % "2026-01-01")
    assert [(change.version, change.what.vi) for change in kpi.history] == [(1, "Cũ.")]


def test_a_target_of_a_level_that_is_no_more_is_kept_as_retired(tmp_path: Path) -> None:
    targets = "    targets: [{value: 90, due: 2025-12-31}, {value: 80, due: 2025-12-31, level: district}, {value: 60, due: 2025-12-31, level: commune}]\n"
    (kpi,) = read(tmp_path, GOOD + targets)
    assert [(target.level, target.retired) for target in kpi.targets] == [("province", False), ("district", True), ("commune", False)]


TABLE = """theme: reports
title: {vi: Báo cáo, en: Reports}
figures:
  feed: some-feed
  since: 2026-11-24
  rows:
    - {kpi: growth, metric: grdp.growth, unit: "%", decimals: 2, vi: Tăng trưởng, en: Growth}
    - {kpi: insured, metric: insured.checked, of: insured.all, unit: "%", decimals: 2, vi: Đã xác thực, en: Checked}
"""


def test_figures_of_reports_are_a_line_each(tmp_path: Path) -> None:
    growth, insured = read(tmp_path, TABLE)
    assert (growth.kind, growth.latest, growth.period, growth.description.vi) == ("last", True, "year", "Số liệu của năm gần nhất đã công bố: Tăng trưởng.")
    assert insured.formula.denominator == (ObservationTerm("some-feed", "insured.all", "P1Y", "last"),)


@pytest.mark.parametrize(("before", "after", "said"), [("metric: grdp.growth, ", "", "line 7"), ("vi: Đã xác thực", "vii: x", "line 8")])
def test_a_mistake_in_the_table_is_refused_with_its_line(tmp_path: Path, before: str, after: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(tmp_path, TABLE.replace(before, after))
