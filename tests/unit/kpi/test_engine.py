"""Freshness, periods, status, delta, dependence: the arithmetic around a value, without a database."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ioc.areas import load as load_areas
from ioc.config import load as load_config
from ioc.errors import UserError
from ioc.kpi import catalogue, freshness
from ioc.kpi.catalogue import Kpi
from ioc.kpi.docs import markdown
from ioc.kpi.engine import Engine, Reference, delta, status
from ioc.kpi.periods import SPARK, windows
from ioc.kpi.symbols import in_symbols
from ioc.kpi.tile import Delta, Period, Target, Versus, Words
from ioc.kpi.words import in_words

REPOSITORY = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
SHIPPED = catalogue.load(REPOSITORY / "dashboards" / "catalogue")
ENGINE = Engine(SHIPPED, load_config(REPOSITORY / "config.yaml"), load_areas("19"))


def kpi(name: str, **changed: object) -> Kpi:
    found = SHIPPED.get(name)
    return Kpi(**{**{field: getattr(found, field) for field in Kpi.__dataclass_fields__}, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("silent_s", "expected"), [(0, "live"), (15, "live"), (15.1, "late"), (35, "late"), (35.1, "stale"), (105, "stale"), (105.1, "lost")]
)
def test_a_feed_is_as_fresh_as_its_cadence_says(silent_s: float, expected: str) -> None:
    heard = NOW - timedelta(seconds=silent_s)
    assert freshness.state(NOW, 10, heard, None) == expected
    assert freshness.state(NOW, 10, NOW - timedelta(days=3), heard) == expected


def test_a_feed_never_heard_of_is_never() -> None:
    assert freshness.state(NOW, 10, None, None) == "never"


def test_the_worst_feed_decides_and_unreliable_ones_are_named() -> None:
    states = {"a": "live", "b": "stale", "c": "never", "d": "late"}
    assert freshness.worst(states.values()) == "never"  # type: ignore[arg-type]
    assert freshness.worst([]) == "never"
    assert freshness.missing(states) == ["b", "c"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("period", "today", "last", "before"),
    [
        ("day", date(2026, 3, 1), (date(2026, 3, 1), date(2026, 3, 1)), (date(2026, 2, 28), date(2026, 2, 28))),
        ("week", date(2026, 11, 22), (date(2026, 11, 16), date(2026, 11, 22)), (date(2026, 11, 9), date(2026, 11, 15))),
        ("month", date(2024, 3, 31), (date(2024, 3, 1), date(2024, 3, 31)), (date(2024, 2, 1), date(2024, 2, 29))),
        ("month", date(2026, 2, 1), (date(2026, 2, 1), date(2026, 2, 28)), (date(2026, 1, 1), date(2026, 1, 31))),
        ("quarter", date(2026, 2, 14), (date(2026, 1, 1), date(2026, 3, 31)), (date(2025, 10, 1), date(2025, 12, 31))),
        ("year", date(2025, 1, 1), (date(2025, 1, 1), date(2025, 12, 31)), (date(2024, 1, 1), date(2024, 12, 31))),
    ],
)  # fmt: skip
def test_periods_end_with_the_one_asked_for(period: str, today: date, last: tuple[date, date], before: tuple[date, date]) -> None:
    spans = windows(period, today).spans  # type: ignore[arg-type]
    assert len(spans) == SPARK + 1
    assert (spans[SPARK - 2], spans[SPARK - 1]) == (before, last)
    for earlier, later in itertools.pairwise(spans):
        assert earlier[1] + timedelta(days=1) == later[0]


def test_any_span_of_days_can_be_asked_for() -> None:
    spans = windows("day", date(2026, 11, 22), (date(2026, 11, 1), date(2026, 11, 10))).spans
    assert spans[SPARK - 1] == (date(2026, 11, 1), date(2026, 11, 10))
    assert spans[SPARK - 2] == (date(2026, 10, 22), date(2026, 10, 31))
    with pytest.raises(UserError, match="ends before it begins"):
        windows("day", date(2026, 11, 22), (date(2026, 11, 2), date(2026, 11, 1)))


@pytest.mark.parametrize(("value", "expected"), [(95, "good"), ("94.99", "watch"), (90, "watch"), ("89.9", "alarm"), (None, "unknown")])
def test_a_rate_below_its_limits_is_watched_then_alarming(value: object, expected: str) -> None:
    assert status(kpi("dossiers_on_time_rate"), None if value is None else Decimal(str(value))) == expected


@pytest.mark.parametrize(("value", "expected"), [(0, "good"), (1, "watch"), (100, "watch"), (101, "alarm")])
def test_a_count_above_its_limits_is_watched_then_alarming(value: int, expected: str) -> None:
    assert status(kpi("dossiers_overdue"), Decimal(value)) == expected


def test_limits_of_a_count_do_not_judge_a_commune_but_those_of_a_rate_do() -> None:
    assert status(kpi("dossiers_overdue"), Decimal(101), whole=False) == "unknown"
    assert status(kpi("dossiers_on_time_rate"), Decimal(10), whole=False) == "alarm"


@pytest.mark.parametrize(("denominator", "expected"), [(1, "unknown"), (9, "unknown"), (10, "alarm"), (None, "alarm")])
def test_a_rate_of_too_few_is_no_alarm(denominator: int | None, expected: str) -> None:
    assert status(kpi("dossiers_on_time_rate"), Decimal(0), None if denominator is None else Decimal(denominator)) == expected


def test_too_few_are_not_judged_by_the_target_either() -> None:
    aimed_at = kpi("dossiers_on_time_rate", watch=None, alarm=None)
    assert [status(aimed_at, Decimal(0), Decimal(n)) for n in (3, 30)] == ["unknown", "watch"]


def test_a_band_is_left_on_both_sides() -> None:
    banded = kpi("encounters_today", watch=(10.0, 20.0), alarm=(5.0, 30.0))
    assert [status(banded, Decimal(v)) for v in (4, 9, 10, 20, 21, 31)] == ["alarm", "watch", "good", "good", "watch", "alarm"]


def test_without_limits_the_target_judges_and_without_it_nothing_does() -> None:
    assert status(kpi("dossiers_received_today"), Decimal(3)) == "unknown"
    assert status(kpi("dossiers_received_today", target=4.0), Decimal(3)) == "watch"
    assert status(kpi("dossiers_received_today", target=4.0), Decimal(4)) == "good"


def against_(value: float, versus: Versus = "same_weekday") -> Reference:
    return Reference(versus, Decimal(str(value)), PERIOD, fair=True)


PERIOD = Period(NOW - timedelta(days=7), NOW - timedelta(days=6), complete=True)


def test_a_count_is_compared_in_its_unit_and_in_percent() -> None:
    assert delta(kpi("dossiers_received_today"), Decimal(7), against_(10)) == Delta(-3.0, "same_weekday", 10.0, -30.0, PERIOD)


def test_a_percentage_is_compared_in_points_and_a_rank_in_places() -> None:
    assert delta(kpi("dossiers_on_time_rate"), Decimal("96.5"), against_(90)) == Delta(6.5, "same_weekday", 90.0, None, PERIOD)
    assert delta(kpi("dti_rank"), Decimal(8), against_(12, "previous_period")) == Delta(-4.0, "previous_period", 12.0, None, PERIOD)


def test_a_zero_reference_gives_a_difference_without_percent_and_a_missing_one_none() -> None:
    found = delta(kpi("dossiers_received_today"), Decimal(7), against_(0))
    assert found is not None
    assert (found.value, found.percent) == (7.0, None)
    assert delta(kpi("dossiers_received_today"), Decimal(7), None) is None
    assert delta(kpi("dossiers_received_today"), None, against_(1)) is None


def test_without_a_reference_the_target_is_one_unless_another_was_asked_for() -> None:
    assert delta(kpi("dossiers_on_time_rate"), Decimal("96.5"), None, Target(98)) == Delta(-1.5, "target", 98.0)
    assert delta(kpi("dossiers_on_time_rate"), Decimal("96.5"), None, Target(98), versus="same_period_last_year") is None
    assert delta(kpi("dossiers_on_time_rate"), Decimal("96.5"), against_(90), Target(98), versus="target") == Delta(-1.5, "target", 98.0)


def test_against_the_plan_a_sum_is_compared_with_what_is_due_by_now() -> None:
    found = delta(kpi("dossiers_received_today"), Decimal(90), None, None, Decimal(100), "plan")
    assert found is not None
    assert (found.value, found.reference, found.percent) == (-10.0, 100.0, -10.0)


def test_only_kpis_that_read_what_changed_depend_on_it() -> None:
    assert ENGINE.depends_on({"education": ["attendance.absent_unexcused"]}) == {"students_absent_unexcused"}
    assert ENGINE.depends_on({"education": ["asset", "checked"]}) == {"schools_reporting"}
    assert ENGINE.depends_on({"education": ["case"]}) == {"students_enrolled"}
    assert ENGINE.depends_on({"health": ["asset"]}) == {"facilities_reporting"}
    assert ENGINE.depends_on({"health": ["checked"]}) == set()
    assert ENGINE.depends_on({"nobody": ["case"]}) == set()
    assert ENGINE.depends_on(["education"]) == {k.kpi for k in SHIPPED if "education" in k.feeds}
    assert ENGINE.depends_on({"education": [f"m{i}" for i in range(50)]}) == ENGINE.depends_on(["education"])


def test_only_overdue_moves_with_time() -> None:
    moving = ENGINE.moving()
    assert {"dossiers_overdue", "documents_overdue_commune", "incidents_overdue_khac"} <= moving
    assert all("overdue" in name for name in moving)


def test_it_names_an_unknown_kpi_and_its_neighbours() -> None:
    with pytest.raises(UserError, match="no KPI is called 'dossiers_lost'; known are dossiers_received_today"):
        ENGINE.chosen(["dossiers_lost"])


def test_a_formula_is_said_in_symbols_and_in_words() -> None:
    rate = kpi("incidents_on_time_rate")
    assert in_symbols(rate.formula) == (
        "100 × n_on_time(incident-reports, closed, outcome≠duplicate|rejected) / n_due(incident-reports, closed, outcome≠duplicate|rejected)"
    )
    words = in_words(rate, {"incident-reports": Words("Phản ánh", "Reports")})
    assert words.vi.startswith("Số kết thúc trước hoặc đúng hạn trong các vụ việc “Phản ánh”")
    assert words.en.endswith("(outcome is not duplicate or rejected), times 100.")


def test_the_page_on_kpis_is_what_the_catalogue_says() -> None:
    titles = {feed.feed: Words(feed.title.vi, feed.title.en) for feed in ENGINE.config.feeds}
    written = (REPOSITORY / "docs" / "kpis.md").read_text(encoding="utf-8")
    assert written == markdown(SHIPPED, titles), "run: ioc kpi docs --output docs/kpis.md"


def test_the_core_names_no_feed() -> None:
    names = {feed.feed for feed in ENGINE.config.feeds}
    for path in (REPOSITORY / "ioc" / "kpi").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in names if f'"{name}"' in text], path


