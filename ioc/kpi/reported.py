"""Figures of reports: what their documents say of them, and how exact a number made of them is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from ioc.kpi.model import Formula
from ioc.kpi.qualifier import together, turned
from ioc.kpi.tile import Report
from ioc.store.reader import ObservationTerm, Said, Term


def reports(terms: Iterable[Term], said: Said, days: tuple[date, date]) -> list[Report]:
    """Return what documents say of the figures of these terms in these days, each metric's newest."""
    found = []
    for term in dict.fromkeys(terms):
        if isinstance(term, ObservationTerm) and len(told := _newest(term, said, days)) == 1:
            found.append(_report(term.metric, told[0]))  # what many places told is no document's figure
    return found


def qualifier(formula: Formula, said: Said, days: tuple[date, date]) -> str:
    """Return how exact the formula's value is, from its parts: a sum of "at least" is at least, over one it is at most."""
    if formula.derived:
        first, *others = [qualifier(kpi.formula, said, days) for kpi in formula.derived.inputs]
        keep = formula.derived.operation in ("sum", "index")
        return together([first, *(others if keep else map(turned, others))])
    top, bottom = ([_of(term, said, days) for term in terms] for terms in (formula.numerator, formula.denominator))
    return together([*top, *map(turned, bottom)])


def _of(term: Term, said: Said, days: tuple[date, date]) -> str:
    if not isinstance(term, ObservationTerm) or term.aggregate in ("n", "subjects", "above"):
        return "exact"  # how many there are is counted, whatever their values are
    return together(str(told.get("qualifier", "exact")) for told in _newest(term, said, days))


def _newest(term: ObservationTerm, said: Said, days: tuple[date, date]) -> list[dict[str, Any]]:
    """Return what was said of the newest day of these, by each subject that said something."""
    within = [(day, told) for day, told in said.get((term.feed, term.metric, term.period), []) if days[0] <= day <= days[1]]
    return [told for day, told in within if day == within[-1][0]]


def _report(metric: str, told: dict[str, Any]) -> Report:
    attributes = told.get("attributes", {})
    published = datetime.fromisoformat(told["version"]) if "version" in told else None
    return Report(
        metric, attributes.get("period", ""), attributes.get("written", ""), attributes.get("source", ""), published,
        told.get("qualifier", "exact"), told.get("unit", "1"), told.get("doubt") or "",
    )  # fmt: skip
