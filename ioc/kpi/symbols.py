"""A formula in one line, the same in every language."""

from __future__ import annotations

from decimal import Decimal

from ioc.kpi.model import Derived, Formula
from ioc.store.reader import AssetTerm, CaseTerm, ObservationTerm, Term


def in_symbols(formula: Formula) -> str:
    """Return the formula in one line, the same in every language."""
    if formula.derived:
        return _derived_symbols(formula.derived, formula.scale)
    top = " + ".join(_symbol(term) for term in formula.numerator)
    if not formula.denominator:
        return top
    bottom = " + ".join(_symbol(term) for term in formula.denominator)
    scale = f"{formula.scale} × " if formula.scale != 1 else ""
    top = f"({top})" if len(formula.numerator) > 1 else top
    return f"{scale}{top} / {f'({bottom})' if len(formula.denominator) > 1 else bottom}"


def _derived_symbols(derived: Derived, scale: Decimal) -> str:
    names = [kpi.kpi for kpi in derived.inputs]
    if derived.operation == "index":
        return f"({' + '.join(f'{weight} × {name}' for weight, name in zip(derived.weights, names, strict=True))}) / {sum(derived.weights)}"
    joined = {"sum": " + ", "difference": " - ", "ratio": " / "}[derived.operation].join(names)
    return f"{scale} × {joined}" if scale != 1 else joined


def _symbol(term: Term) -> str:
    if isinstance(term, CaseTerm):
        dims = [f"{dim}={'|'.join(values)}" for dim, values in term.where] + [f"{dim}≠{'|'.join(values)}" for dim, values in term.without]
        what = f"distinct {term.distinct}" if term.distinct else term.value
        return f"{what}({', '.join([term.feed, '+'.join(term.measures), *dims])})"
    if isinstance(term, ObservationTerm):
        return f"{term.aggregate}({term.feed}, {term.metric}{'' if term.limit is None else f', {term.limit:g}'})"
    if isinstance(term, AssetTerm):
        return f"assets({term.feed}, {term.kind}, {'|'.join(term.states)})"
    return f"{term.aggregate} hours({term.feed}, closed)"
