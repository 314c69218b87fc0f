"""A formula in words, Vietnamese and English, made from the same data that is evaluated: it cannot disagree with it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ioc.kpi.model import Derived, Formula, Kpi
from ioc.kpi.tile import Words
from ioc.store.reader import AssetTerm, CaseTerm, Conditions, ObservationTerm, Term

_MEASURES = {
    "opened": Words("mở trong kỳ", "opened in the period"),
    "closed": Words("kết thúc trong kỳ", "closed in the period"),
    "open": Words("đang mở", "open now"),
    "paused": Words("đang tạm dừng", "paused now"),
    "overdue": Words("đang mở và đã quá hạn", "open now and past their due time"),
}
_VALUES = {
    "n": Words("số", "number of"),
    "n_due": Words("số có hạn trong các", "number with a due time of"),
    "n_on_time": Words("số kết thúc trước hoặc đúng hạn trong các", "number closed at or before their due time of"),
    "seconds": Words("tổng số giây từ lúc mở đến lúc kết thúc của các", "seconds from opening to closing, summed over"),
    "n_rated": Words("số được đánh giá trong các", "number rated of"),
    "rating": Words("tổng điểm đánh giá (1 đến 5) của các", "ratings (1 to 5), summed over"),
}
_AGGREGATES = {
    "total": Words("tổng số đo", "sum of the observations"),
    "n": Words("số lần đo", "number of observations"),
    "subjects": Words("số đối tượng có số đo", "number of things with an observation"),
    "last": Words("tổng số đo mới nhất của từng đối tượng cho", "sum of each thing's newest observation of"),
    "max": Words("giá trị lớn nhất trong các số đo mới nhất của từng đối tượng cho", "highest of each thing's newest observation of"),
    "above": Words("số đối tượng có số đo mới nhất trên {limit} của", "number of things whose newest observation is above {limit} of"),
}


def in_words(kpi: Kpi, titles: Mapping[str, Words]) -> Words:
    """Return the KPI's formula as a sentence. `titles`: feed -> how it is called on the screens."""
    return Words(_sentence(kpi.formula, titles, "vi", kpi.latest), _sentence(kpi.formula, titles, "en", kpi.latest))


def _sentence(formula: Formula, titles: Mapping[str, Words], language: str, latest: bool = False) -> str:
    joined = {"vi": " cộng ", "en": " plus "}[language]
    if formula.derived:
        return _over_kpis(formula.derived, formula.scale, language)
    top = joined.join(_term(term, titles, language) for term in formula.numerator)
    if formula.denominator:
        bottom = joined.join(_term(term, titles, language) for term in formula.denominator)
        top += {"vi": f", chia cho {bottom}", "en": f", divided by {bottom}"}[language]
    if formula.scale != 1:
        top += _times(formula.scale, language)
    if latest:
        top += {"vi": "; của kỳ mới nhất có số liệu", "en": "; of the newest period that has one"}[language]
    return top[0].upper() + top[1:] + "."


def _over_kpis(derived: Derived, scale: Decimal, language: str) -> str:
    vi = language == "vi"
    names = [f"“{getattr(kpi.title, language)}”" for kpi in derived.inputs]
    if derived.operation == "index":
        weighed = (" và " if vi else " and ").join(f"{name} ({weight})" for name, weight in zip(names, derived.weights, strict=True))
        return f"Trung bình có trọng số của {weighed}." if vi else f"Weighted mean of {weighed}."
    words = {"sum": (" cộng ", " plus "), "difference": (" trừ ", " minus "), "ratio": (" chia cho ", " divided by ")}[derived.operation]
    return words[0 if vi else 1].join(names) + (_times(scale, language) if scale != 1 else "") + "."


def _times(scale: Decimal, language: str) -> str:
    return f", nhân {str(scale).replace('.', ',')}" if language == "vi" else f", times {scale}"


def _term(term: Term, titles: Mapping[str, Words], language: str) -> str:
    vi = language == "vi"
    feed = getattr(titles.get(term.feed, Words(term.feed, term.feed)), language)
    if isinstance(term, CaseTerm):
        which = (" hoặc " if vi else " or ").join(getattr(_MEASURES[m], language) for m in term.measures)
        limits = _conditions(term, language)
        if term.distinct:
            return f"số {term.distinct} khác nhau của các vụ việc “{feed}” {which}{limits}" if vi else f"number of different {term.distinct} of the cases of “{feed}” {which}{limits}"
        what = getattr(_VALUES[term.value], language)
        return f"{what} vụ việc “{feed}” {which}{limits}" if vi else f"{what} cases of “{feed}” {which}{limits}"
    if isinstance(term, ObservationTerm):
        limit = f"{term.limit:g}" if term.limit is not None else ""
        return f"{getattr(_AGGREGATES[term.aggregate], language).format(limit=limit.replace('.', ',') if vi else limit)} {term.metric} ({feed})"
    if isinstance(term, AssetTerm):
        states = (" hoặc " if vi else " or ").join(term.states)
        return f"số {term.kind} của “{feed}” hiện có trạng thái {states}" if vi else f"number of {term.kind} of “{feed}” whose state is now {states}"
    if term.aggregate == "n":
        return f"số vụ việc “{feed}” kết thúc trong kỳ" if vi else f"number of cases of “{feed}” closed in the period"
    if vi:
        return f"trung vị số giờ từ lúc mở đến lúc kết thúc của các vụ việc “{feed}” kết thúc trong kỳ"
    return f"median hours from opening to closing of the cases of “{feed}” closed in the period"


def _conditions(term: CaseTerm, language: str) -> str:
    vi = language == "vi"
    parts = [f"{dim} {'là' if vi else 'is'} {_any(values, vi)}" for dim, values in _each(term.where)]
    parts += [f"{dim} {'không là' if vi else 'is not'} {_any(values, vi)}" for dim, values in _each(term.without)]
    return f" ({'; '.join(parts)})" if parts else ""


def _each(conditions: Conditions) -> Conditions:
    return tuple(sorted(conditions))


def _any(values: tuple[str, ...], vi: bool) -> str:
    return (" hoặc " if vi else " or ").join(values)
