"""A KPI in the geography that was until 30 June 2025: former districts and communes, every total conserved to the integer.

Facts are kept by today's communes. Where all that a commune was made of lay in one former unit, its value is that unit's;
where it was made of parts of several, it is apportioned among them by how many former communes it holds of each (largest
remainder, so that nothing is lost or made up), and those units are marked as estimated. A ratio is apportioned above and
below the line. What is not a sum over places (medians, highest values, different things) has no value there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Literal, TypeAlias

from msgspec import Struct

from ioc.areas import Areas
from ioc.kpi.model import Formula, Kpi
from ioc.store.reader import AssetTerm, CaseTerm, ObservationTerm, Term

Geography: TypeAlias = Literal["today", "districts", "former"]
Parts: TypeAlias = tuple[Decimal | None, Decimal | None]  # numerator (or the value) and denominator
_ZERO = Decimal(0)


class Unit(Struct, frozen=True):
    """A unit and its value, of a ratio with both its parts; `estimated` where some of it was apportioned."""

    code: str
    name: str
    value: float | None
    estimated: bool = False
    numerator: float | None = None
    denominator: float | None = None


class InGeography(Struct, frozen=True):
    """A KPI over the units of a geography. `elsewhere`: of facts whose commune nobody knows; with it the units sum up to `total`."""

    kpi: str
    geography: Geography
    total: float | None
    elsewhere: float | None
    units: list[Unit]
    additive: bool


def read(kpi: Kpi, areas: Areas, whole: Parts, parts: Mapping[str, Parts], geography: Geography) -> InGeography:
    """Return the KPI over the units of `geography`. `parts`: today's commune -> its numerator and denominator."""
    additive = is_additive(kpi.formula)
    names = names_of(areas, geography)
    total = _value(kpi.formula, whole)
    split = dict(parts) if geography == "today" else _sums(areas, parts, geography) if additive else {}
    unsure = estimated(areas, geography) if additive else frozenset()
    units = [_unit(kpi.formula, code, name, split.get(code, (None, None)), code in unsure) for code, name in names.items()]
    elsewhere = _value(kpi.formula, _less(whole, split.values())) if additive and not kpi.formula.divides else None
    return InGeography(kpi.kpi, geography, total, elsewhere, units, additive)


def _unit(formula: Formula, code: str, name: str, parts: Parts, unsure: bool) -> Unit:
    top, bottom = (None if part is None else float(part) for part in parts)
    return Unit(code, name, _value(formula, parts), unsure, *((top, bottom) if formula.divides else ()))


def is_additive(formula: Formula) -> bool:
    """Is the value (or are both parts of a ratio) a sum over places?"""
    if formula.derived:
        return formula.derived.operation != "index" and all(is_additive(kpi.formula) and not kpi.formula.divides for kpi in formula.derived.inputs)
    return all(_adds(term) for term in formula.terms)


def _adds(term: Term) -> bool:
    if isinstance(term, CaseTerm):
        return term.distinct is None
    return isinstance(term, AssetTerm) or (isinstance(term, ObservationTerm) and term.aggregate not in ("max", "subjects"))


def names_of(areas: Areas, geography: Geography) -> dict[str, str]:
    """Return the units of a geography: code -> name."""
    if geography == "today":
        return {area.code: area.name for area in areas.communes.values()}
    if geography == "districts":
        return dict(sorted({was.district_code: was.district for was in areas.former.values()}.items()))
    return {was.code: f"{was.name}, {was.district}" for was in areas.former.values()}


@lru_cache(maxsize=8)
def estimated(areas: Areas, geography: Geography) -> frozenset[str]:
    """Return the former units that share one of today's communes with another: what is theirs of it can only be apportioned."""
    if geography == "today":
        return frozenset()
    return frozenset(unit for weights in shares(areas, geography).values() if len(weights) > 1 for unit in weights)


@lru_cache(maxsize=8)
def shares(areas: Areas, geography: Geography) -> dict[str, dict[str, Fraction]]:
    """Return for each of today's communes how much of it each former unit makes up, in former communes."""
    found: dict[str, dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for was in areas.former.values():
        unit = was.district_code if geography == "districts" else was.code
        for commune in was.into:
            found[commune][unit] += Fraction(1, len(was.into))
    return {commune: dict(weights) for commune, weights in found.items()}


def apportion(value: Decimal, weights: Mapping[str, Fraction]) -> dict[str, Decimal]:
    """Return `value` shared out by `weights`, in its own last digit: the shares sum up to it exactly."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    grain = Decimal(1).scaleb(min(0, exponent))
    whole, sign = int(abs(value) / grain), -1 if value < 0 else 1
    total = sum(weights.values(), Fraction(0))
    exact = {unit: whole * weight / total for unit, weight in weights.items()}
    given = {unit: int(share) for unit, share in exact.items()}
    left = whole - sum(given.values())
    for unit in sorted(exact, key=lambda u: (given[u] - exact[u], u))[:left]:
        given[unit] += 1
    return {unit: sign * grain * n for unit, n in given.items()}


def _sums(areas: Areas, parts: Mapping[str, Parts], geography: Geography) -> dict[str, Parts]:
    sums: dict[str, list[Decimal | None]] = {}
    for commune, weights in shares(areas, geography).items():
        for side, value in enumerate(parts.get(commune, (None, None))):
            if value is not None:
                for unit, share in apportion(value, weights).items():
                    held = sums.setdefault(unit, [None, None])
                    held[side] = (held[side] or _ZERO) + share
    return {unit: (top, bottom) for unit, (top, bottom) in sums.items()}


def _less(whole: Parts, parts: Iterable[Parts]) -> Parts:
    top = sum((top or _ZERO for top, _ in parts), _ZERO)
    return (None if whole[0] is None else whole[0] - top, None)


def _value(formula: Formula, parts: Parts) -> float | None:
    top, bottom = parts
    if not formula.divides:
        return None if top is None else float(top)
    return None if top is None or not bottom else float(top * formula.scale / bottom)
