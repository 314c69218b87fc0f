"""What is odd is asked about in words; how exact a number is follows from its parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ioc.kpi import catalogue, guard
from ioc.kpi.model import Derived, Formula, Guard, Kpi
from ioc.kpi.reported import qualifier, reports
from ioc.kpi.tile import Report
from ioc.store.reader import ObservationTerm, Said

KPI = next(iter(catalogue.load(Path(__file__).resolve().parents[3] / "dashboards" / "catalogue")))
A, B = (ObservationTerm("reports", name, "P1Y", "last") for name in "ab")
YEAR = (date(2021, 1, 1), date(2021, 12, 31))


def kpi(**changed: object) -> Kpi:
    return replace(KPI, **changed)  # type: ignore[arg-type]


def test_a_figure_a_thousand_times_too_small_is_asked_about_as_a_slip_of_the_unit() -> None:
    farming = kpi(guard=Guard(plausible=(1e12, 1e14)))
    asked = guard.implausible(farming, Decimal("14650000000"))
    assert asked is not None
    assert "nhỏ đi một nghìn lần" in asked.vi
    assert "too small by a thousand" in asked.en
    assert guard.implausible(farming, Decimal("14650000000000")) is None
    assert guard.implausible(kpi(), Decimal(-1)) is None


@pytest.mark.parametrize(
    ("value", "printed", "said"),
    [
        (Decimal(114870500) / 1190032, "97", "nguồn in 97, hai phần cho 96,53 (nguồn đã làm tròn)"),
        (Decimal(1200) / 89, "13.48", None),
        (Decimal(50), "55", "nguồn in 55, hai phần cho 50"),
        (Decimal(50), "50", None),
    ],
)
def test_a_figure_printed_otherwise_than_its_parts_give_it_is_asked_about(value: Decimal, printed: str, said: str | None) -> None:
    asked = guard.misprinted(value, Decimal(printed))
    assert (asked.vi if asked else None) == said


def test_a_factor_that_moves_is_asked_about() -> None:
    asked = guard.unsteady(Guard(steady=2), Decimal(3750), Decimal("3947.37"))
    assert asked is not None
    assert asked.vi.startswith("hệ số đổi từ 3.947 thành 3.750")
    assert guard.unsteady(Guard(steady=10), Decimal(3750), Decimal(3947)) is None
    assert guard.unsteady(Guard(), Decimal(1), Decimal(2)) is None


def test_one_rank_under_two_periods_and_a_strange_unit_are_asked_about() -> None:
    now, before = Report("dti", "2022", document="S4"), Report("dti", "2021", document="S0")
    asked = guard.of_reports(kpi(unit="1", kind="rank", formula=Formula((A,))), [now], [before], same=True)
    assert [words.vi for words in asked] == ["cùng giá trị: “S0” ghi kỳ 2021, “S4” ghi kỳ 2022; đúng là kỳ nào?"]
    asked = guard.of_reports(kpi(unit="VND", formula=Formula((A,))), [Report("a", "2021", unit="USD")], [], same=False)
    assert "đơn vị USD" in asked[0].vi


def said(a: str, b: str) -> Said:
    return {("reports", name, "P1Y"): [(date(2021, 1, 1), {"qualifier": word, "attributes": {"written": name}})] for name, word in (("a", a), ("b", b))}


@pytest.mark.parametrize(
    ("top", "bottom", "ratio", "total", "rest"),
    [
        ("exact", "exact", "exact", "exact", "exact"),
        ("at_least", "exact", "at_least", "at_least", "at_least"),
        ("exact", "at_least", "at_most", "at_least", "at_most"),
        ("at_least", "at_least", "about", "at_least", "about"),
        ("at_least", "at_most", "at_least", "about", "at_least"),
        ("about", "exact", "about", "about", "about"),
    ],
)
def test_how_exact_a_number_is_follows_from_its_parts(top: str, bottom: str, ratio: str, total: str, rest: str) -> None:
    told = said(top, bottom)
    assert qualifier(Formula((A,), (B,)), told, YEAR) == ratio
    assert qualifier(Formula((A, B)), told, YEAR) == total
    whole, part = kpi(formula=Formula((A,))), kpi(formula=Formula((B,)))
    assert qualifier(Formula((), (), 1, Derived("difference", (whole, part))), told, YEAR) == rest
    assert qualifier(Formula((), (), 1, Derived("ratio", (whole, part))), told, YEAR) == ratio


def test_of_a_period_without_a_figure_nothing_was_said() -> None:
    assert reports([A], said("exact", "exact"), (date(2020, 1, 1), date(2020, 12, 31))) == []
    assert [r.written for r in reports([A, A, B], said("exact", "exact"), YEAR)] == ["a", "b"]


def test_a_figure_that_many_places_told_is_no_documents_and_is_as_exact_as_all_of_them() -> None:
    place = ObservationTerm("diseases", "cases", "P1W", "total")
    told: Said = {("diseases", "cases", "P1W"): [(YEAR[0], {"qualifier": word, "attributes": {"written": str(n)}}) for n, word in enumerate(("at_most", "exact", "at_most"))]}
    assert reports([place], told, YEAR) == []
    assert qualifier(Formula((place,)), told, YEAR) == "at_most"
    assert qualifier(Formula((replace(place, aggregate="above", limit=4.5),)), told, YEAR) == "exact", "how many there are is counted"
