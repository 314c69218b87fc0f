"""Figures as people write them: "trên 16.750 tỷ đồng" in "quý III/2026" -> number, unit, qualifier, reference period."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from msgspec import Struct

from ioc.connect.errors import Skip
from ioc.events import Qualifier
from ioc.privacy import shown
from ioc.units import UnknownUnit, normal

_QUALIFIERS: dict[str, Qualifier] = {
    "trên": "at_least", "hơn": "at_least", "ít nhất": "at_least", "từ": "at_least", "over": "at_least", "more than": "at_least", ">": "at_least", "≥": "at_least",
    "gần": "at_most", "dưới": "at_most", "chưa đến": "at_most", "nearly": "at_most", "under": "at_most", "<": "at_most", "≤": "at_most",
    "khoảng": "about", "ước": "about", "ước đạt": "about", "xấp xỉ": "about", "about": "about", "~": "about",
}  # fmt: skip
_SCALES = {"nghìn tỷ": 12, "nghìn tỉ": 12, "ngàn tỷ": 12, "tỷ": 9, "tỉ": 9, "triệu": 6, "nghìn": 3, "ngàn": 3, "billion": 9, "million": 6, "thousand": 3}
_FIGURE = re.compile(
    rf"(?P<qualifier>{'|'.join(sorted(map(re.escape, _QUALIFIERS), key=len, reverse=True))})?\s*(?P<number>[-+−]?\d[\d.,]*)\s*"
    rf"(?P<scale>{'|'.join(sorted(_SCALES, key=len, reverse=True))})?\b\s*(?P<unit>.{{0,60}})",
    re.IGNORECASE | re.DOTALL,
)
_RANGE = re.compile(r"(?P<low>[-+−]?\d[\d.,]*)\s*(?P<percent>%?)\s*(?:-|–|đến)\s*(?P<high>\d[\d.,]*)\s*(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_GROUPED, _DECIMAL = re.compile(r"\d{1,3}(\.\d{3})+(,\d+)?"), re.compile(r"\d+([.,]\d+)?")
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4}
_YEAR = re.compile(r"(?:năm\s*)?(\d{4})", re.IGNORECASE)
_PART = re.compile(r"(\d{1,2}) tháng (?:đầu )?(?:năm )?(\d{4})", re.IGNORECASE)
_QUARTER = re.compile(r"(?:(\d{4})-?q([1-4])|(?:q|quý\s*)([1-4]|i{1,3}|iv)\s*[/ -]\s*(?:năm\s*)?(\d{4}))", re.IGNORECASE)
_WEEK = re.compile(r"(?:(\d{4})-?w(\d{1,2})|(?:tuần\s*)(\d{1,2})\s*[/-]\s*(?:năm\s*)?(\d{4}))", re.IGNORECASE)
_MONTH = re.compile(r"(?:(\d{4})(?:-|-?m)(\d{1,2})|(?:tháng\s*)?(\d{1,2})[/.-](\d{4}))", re.IGNORECASE)


class Quantity(Struct, frozen=True):
    """A figure: its value in `unit` (UCUM), how exact it claims to be, and how it was written."""

    value: Decimal
    unit: str
    qualifier: Qualifier
    written: str


class Reference(Struct, frozen=True):
    """A reference period: its first day, its length as ISO 8601 duration (P1D, P1W, P1M, P3M, P1Y; P9M: nine months of a year), and how it was written."""

    start: date
    length: str
    written: str


def quantity(text: str, field: str, units: Mapping[str, object]) -> Quantity:
    """Return the figure in a text; `units`: the words for units -> UCUM, "" for a bare number. Raise `Skip`.

    Of a range ("80% - 90%") it is at least the lower end; the wording tells the other.
    """
    plain = " ".join(text.replace("\u00a0", " ").split())
    if found := _RANGE.fullmatch(plain):
        low = quantity(f"{found['low']} {found['rest'] or found['percent']}", field, units)
        return Quantity(low.value, low.unit, "at_least", plain)
    found = _FIGURE.fullmatch(plain)
    if found is None:
        raise Skip("wrong_type", f"{field} is {shown(text)}, not a figure", field=field, repair="write a number with its unit: 16.750 tỷ đồng")
    word = found["unit"].strip().casefold()
    known = {str(name).casefold(): str(unit) for name, unit in units.items()}
    try:
        unit = known[word] if word in known else normal(found["unit"].strip())
    except UnknownUnit as exc:
        raise Skip("unknown_unit", f"{field}: nobody said what {shown(found['unit'])} means; known are {', '.join(name for name in known if name)}", field=field, repair="add the word to `values`, with its UCUM unit") from exc
    number = _number(found["number"].replace("−", "-"), text, field)
    scale = _SCALES[found["scale"].lower()] if found["scale"] else 0
    qualifier = _QUALIFIERS[found["qualifier"].lower()] if found["qualifier"] else "exact"
    return Quantity(number.scaleb(scale), unit, qualifier, plain)


def _number(written: str, text: str, field: str) -> Decimal:
    """A full stop before three digits groups thousands, as in Vietnamese; a comma there could be either."""
    sign, digits = (-1, written[1:]) if written[0] == "-" else (1, written.lstrip("+"))
    digits = digits.rstrip(".,")
    if _GROUPED.fullmatch(digits):
        return sign * Decimal(digits.replace(".", "").replace(",", "."))
    if not _DECIMAL.fullmatch(digits) or re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits):
        raise Skip("wrong_type", f"{field} is {shown(text)}: thousands or decimals?", field=field, repair="write thousands with full stops and decimals with a comma: 1.234,5")
    return sign * Decimal(digits.replace(",", "."))


def reference(text: str, field: str) -> Reference:
    """Return the period a text names: 2026, 2026-Q3, quý III/2026, 2026-11, 2026M11, tháng 11/2026, 2026-W47, tuần 47/2026 (of ISO 8601: from Monday), 2026-11-24. Raise `Skip`."""
    plain = " ".join(text.split())
    if found := _YEAR.fullmatch(plain):
        return Reference(date(int(found[1]), 1, 1), "P1Y", plain)
    if (found := _PART.fullmatch(plain)) and 1 <= int(found[1]) <= 11:
        return Reference(date(int(found[2]), 1, 1), f"P{found[1]}M", plain)
    if found := _QUARTER.fullmatch(plain):
        quarter = found[2] or found[3].lower()
        return Reference(date(int(found[1] or found[4]), 3 * (_ROMAN.get(quarter) or int(quarter)) - 2, 1), "P3M", plain)
    if (found := _MONTH.fullmatch(plain)) and 1 <= int(found[2] or found[3]) <= 12:
        return Reference(date(int(found[1] or found[4]), int(found[2] or found[3]), 1), "P1M", plain)
    try:
        if found := _WEEK.fullmatch(plain):
            return Reference(date.fromisocalendar(int(found[1] or found[4]), int(found[2] or found[3]), 1), "P1W", plain)
        return Reference(date.fromisoformat(plain[:10]), "P1D", plain)
    except ValueError:
        raise Skip("bad_time", f"{field} is {shown(text)}, not a period", field=field, repair="write 2026, 2026-Q3, 2026-11, 2026-W47 or 2026-11-24") from None
