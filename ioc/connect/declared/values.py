"""One cell or JSON value -> what its field must be, or `Skip` with field and repair. Nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from ioc.connect import fields
from ioc.connect.connector import Context
from ioc.connect.declared import figures
from ioc.connect.declared.schema import FieldRule
from ioc.connect.errors import Skip
from ioc.events import MAX_TEXT
from ioc.privacy import shown

_MONTH = re.compile(r"(?:(?P<year>\d{4})-(?P<month>\d{1,2})|(?:[Tt]háng\s*)?(?P<month2>\d{1,2})[/.-](?P<year2>\d{4}))")
_PLAIN = re.compile(r"[-+]?\d+(?:[.,]\d+)?")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_USUAL = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
_WHOLE = re.compile(r"-?\d{1,15}")


Reader: TypeAlias = Callable[[dict[str, Any], Context[Any]], Any]  # a record -> the value of one field
_Typed: TypeAlias = Callable[[Any, Context[Any]], Any]  # what stands in the record -> what the field must be


def reader(name: str, rule: FieldRule) -> Reader:
    """Return how a field is read, its rule taken apart once: a page has the field thousands of times.

    What it returns: str, Decimal, int, bool, datetime (UTC), date, Quantity, Reference; None when the field is empty.
    """
    where, typed = rule.path or name, _typed(rule.path or name, rule)
    if not (rule.pattern or rule.suppress_below or rule.required):
        return lambda record, context: typed(record[where] if where in record else pick(record, where), context)

    def read(record: dict[str, Any], context: Context[Any]) -> Any:
        raw = record[where] if where in record else pick(record, where)
        value = typed(_part(raw, rule.pattern) if rule.pattern else raw, context)
        if rule.suppress_below and value is not None and (small := fields.suppressed(value, rule.suppress_below)) is not None:
            value = figures.Quantity(small, "1", "at_most", "")  # nothing was written so: the figure is ours
        if value is None and rule.required:
            said = f"{where} does not hold {name} (pattern {rule.pattern})" if rule.pattern else f"{where} is empty"
            raise Skip("missing_value", said, field=where, repair=f"send {name if rule.pattern else where}")
        return value

    return read


def _part(raw: Any, pattern: str) -> Any:
    """Return what of a text is the value."""
    if not pattern or not isinstance(raw, str):
        return raw
    found = re.search(pattern, raw[:MAX_TEXT])
    return found[1] if found else None


def pick(value: Any, path: str) -> Any:
    """Return what lies at a dotted path; a key that holds the dots itself comes first. None where there is nothing."""
    if isinstance(value, dict) and path in value:
        return value[path]
    for step in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _typed(where: str, rule: FieldRule) -> _Typed:
    if rule.type == "quantity":
        return lambda raw, _: _quantity(raw, where, rule.values)
    if rule.values:
        known = {key.casefold(): value for key, value in rule.values.items()}
        return lambda raw, _: _word(raw, where, rule.values, known)
    match rule.type:
        case "text":
            return lambda raw, _: fields.text_of(raw, where)
        case "code":
            return lambda raw, _: fields.identifier_of(raw, where) if fields.text_of(raw, where) is not None else None
        case "number":
            return lambda raw, _: number(raw, where, rule.decimal)
        case "count":
            return lambda raw, _: None if (found := number(raw, where, rule.decimal)) is None else fields.count_of(str(found), where)
        case "rating":
            return lambda raw, _: fields.rating_of(raw, where)
        case "flag":
            return lambda raw, _: fields.true_of(raw, where)
        case "time" if rule.format:
            return lambda raw, context: _written(fields.text_of(raw, where), where, rule.format, context)
        case "time":
            return lambda raw, context: _time(raw, where, context)
        case "date":
            return lambda raw, context: _date(raw, where, rule, context)
        case "month":
            return lambda raw, _: _month(fields.text_of(raw, where), where)
        case "period":
            return lambda raw, _: None if (text := fields.text_of(raw, where)) is None else figures.reference(text, where)
        case "area":
            return lambda raw, context: context.area(fields.text_of(raw, where), where)
        case "area_name":
            return lambda raw, context: _area_by_name(fields.text_of(raw, where), where, context)
    raise AssertionError(f"a type without a reading: {rule.type}")


def _quantity(raw: Any, where: str, units: dict[str, Any]) -> figures.Quantity | None:
    text = fields.text_of(raw, where)
    return None if text is None else figures.quantity(text.replace(".", ",") if isinstance(raw, float) else text, where, units)


def _word(raw: Any, where: str, words: dict[str, Any], known: dict[str, Any]) -> Any:
    word = fields.text_of(str(raw).lower() if isinstance(raw, bool) else raw, where)
    if word is None:
        return words.get("")
    if word.casefold() not in known:
        raise Skip("unknown_code", f"{where} is {shown(word)}; known are {', '.join(words)}", field=where, repair="add the word to `values`, with what it means")
    return known[word.casefold()]


def number(raw: Any, where: str, decimal: str) -> Decimal | None:
    """Return an exact number: from JSON as it is, from a text as Vietnamese or English write it."""
    if isinstance(raw, str):
        if (_WHOLE if decimal == "comma" else _USUAL).fullmatch(raw):  # nearly all: nothing in it needs asking
            return Decimal(raw)
        if raw.strip():
            raw = _plain(raw, where, decimal)
    if fields.number_of(raw, where) is None:
        return None
    return Decimal(str(raw).strip())


def _plain(raw: str, where: str, decimal: str) -> str:
    """Return a text's number with a decimal point and no thousands separators, or the text where it is none."""
    plain = raw.strip().replace("\u00a0", "").replace(" ", "")
    if decimal != "point" and _PLAIN.fullmatch(plain) and "," in plain:
        if decimal == "either" and len(plain.rpartition(",")[2]) == 3:
            raise Skip("wrong_type", f"{where} is {shown(raw)}: thousands or decimals?", field=where, repair="write it without thousands separator, or say `decimal: comma` or `decimal: point` for this field")
        return plain.replace(",", ".")
    if decimal == "point" and _GROUPED.fullmatch(plain):
        return plain.replace(",", "")
    if decimal == "comma" and "." in plain:
        return plain.replace(".", "").replace(",", ".")
    return plain


def moment_of(raw: Any, where: str, context: Context[Any]) -> datetime | None:
    """Return a time as UTC: ISO 8601, or seconds or milliseconds since 1970, also as a text; without zone it is the feed's."""
    return _time(int(raw) if isinstance(raw, str) and re.fullmatch(r"\d{9,14}", raw.strip()) else raw, where, context)


def _time(raw: Any, where: str, context: Context[Any]) -> datetime | None:
    if isinstance(raw, int) and not isinstance(raw, bool):  # seconds or milliseconds since 1970
        try:
            return datetime.fromtimestamp(raw / 1000 if abs(raw) > 100_000_000_000 else raw, UTC)
        except (OverflowError, ValueError, OSError) as exc:
            raise Skip("bad_time", f"{where} is {shown(raw)}, not a time", field=where, repair="send ISO 8601") from exc
    return fields.moment(raw, where, context.zone)


def _written(text: str | None, where: str, form: str, context: Context[Any]) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.strptime(text, form)  # noqa: DTZ007 (the zone follows)
        return (at if at.tzinfo else at.replace(tzinfo=context.zone)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Skip("bad_time", f"{where} is {shown(text)}, not a time", field=where, repair=f"write it as {form}, or correct `format`") from exc


def _date(raw: Any, where: str, rule: FieldRule, context: Context[Any]) -> datetime | None:
    if raw is None or not str(raw).strip():
        return None
    text = str(raw).strip()
    day = fields.day(text[:10] if re.match(r"\d{4}-\d\d-\d\d[T ]", text) else text, where)
    start = fields.start_of(day, context.zone)
    return fields.start_of(day + timedelta(days=1), context.zone) - timedelta(seconds=1) if rule.end_of_day else start


def _month(text: str | None, where: str) -> date | None:
    if text is None:
        return None
    if re.match(r"\d{4}-\d\d-\d\d", text):  # how a spreadsheet writes the first of a month
        return fields.day(text[:10], where).replace(day=1)
    found = _MONTH.fullmatch(text)
    month = int(found["month"] or found["month2"]) if found else 0
    if not found or not 1 <= month <= 12:
        raise Skip("bad_time", f"{where} is {shown(text)}, not a month", field=where, repair="write 2026-11 or 11/2026")
    return date(int(found["year"] or found["year2"]), month, 1)


def _area_by_name(name: str | None, where: str, context: Context[Any]) -> str | None:
    if name is None:
        return None
    code = context.areas.by_name(name)
    if code is None:
        raise Skip("unknown_area", f"{where}: no commune is called {shown(name)}", field=where, repair="write the commune's full name of after 1 July 2025, or its code")
    return code
