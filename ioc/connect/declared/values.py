"""One cell or JSON value -> what its field must be, or `Skip` with field and repair. Nothing is guessed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

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
_EXACT = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")


def read(record: dict[str, Any], name: str, rule: FieldRule, context: Context[Any]) -> Any:
    """Return the value of a field: str, Decimal, int, bool, datetime (UTC), date, Quantity, Reference; None when it is empty."""
    where = rule.path or name
    raw = record[where] if where in record else pick(record, where)
    raw = _part(raw, rule.pattern) if rule.pattern else raw
    value = _typed({where: raw}, where, rule, context)
    if rule.suppress_below and value is not None and 0 < value < rule.suppress_below:
        value = figures.Quantity(Decimal(rule.suppress_below - 1), "1", "at_most", "")  # nothing was written so: the figure is ours
    if value is None and rule.required:
        said = f"{where} does not hold {name} (pattern {rule.pattern})" if rule.pattern else f"{where} is empty"
        raise Skip("missing_value", said, field=where, repair=f"send {name if rule.pattern else where}")
    return value


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


def _typed(cell: dict[str, Any], where: str, rule: FieldRule, context: Context[Any]) -> Any:
    if rule.type == "quantity":
        text = fields.text(cell, where)
        return None if text is None else figures.quantity(text.replace(".", ",") if isinstance(cell[where], float) else text, where, rule.values)
    if rule.values:
        return _word(cell, where, rule)
    match rule.type:
        case "text":
            return fields.text(cell, where)
        case "code":
            return fields.identifier(cell, where) if fields.text(cell, where) is not None else None
        case "number":
            return number(cell, where, rule.decimal)
        case "count":
            found = number(cell, where, rule.decimal)
            return None if found is None else fields.count({where: str(found)}, where)
        case "rating":
            return fields.rating(cell, where)
        case "flag":
            return fields.true(cell, where)
        case "time":
            return _written(fields.text(cell, where), where, rule.format, context) if rule.format else _time(cell[where], where, context)
        case "date":
            return _date(cell[where], where, rule, context)
        case "month":
            return _month(cell, where)
        case "period":
            text = fields.text(cell, where)
            return None if text is None else figures.reference(text, where)
        case "area":
            return context.area(fields.text(cell, where), where)
        case "area_name":
            return _area_by_name(fields.text(cell, where), where, context)


def _word(cell: dict[str, Any], where: str, rule: FieldRule) -> str | bool | int | float | None:
    word = fields.text({where: str(cell[where]).lower() if isinstance(cell[where], bool) else cell[where]}, where)
    if word is None:
        return rule.values.get("")
    known = {key.casefold(): value for key, value in rule.values.items()}
    if word.casefold() not in known:
        raise Skip("unknown_code", f"{where} is {shown(word)}; known are {', '.join(rule.values)}", field=where, repair="add the word to `values`, with what it means")
    return known[word.casefold()]


def number(cell: dict[str, Any], where: str, decimal: str) -> Decimal | None:
    """Return an exact number: from JSON as it is, from a text as Vietnamese or English write it."""
    raw = cell[where]
    if isinstance(raw, str) and raw.strip():
        plain = raw.strip().replace("\u00a0", "").replace(" ", "")
        if decimal != "point" and _PLAIN.fullmatch(plain) and "," in plain:
            if decimal == "either" and len(plain.rpartition(",")[2]) == 3:
                raise Skip("wrong_type", f"{where} is {shown(raw)}: thousands or decimals?", field=where, repair="write it without thousands separator, or say `decimal: comma` or `decimal: point` for this field")
            plain = plain.replace(",", ".")
        elif decimal == "point" and _GROUPED.fullmatch(plain):
            plain = plain.replace(",", "")
        elif decimal == "comma" and "." in plain:
            plain = plain.replace(".", "").replace(",", ".")
        if not _EXACT.fullmatch(plain) and fields.number({where: plain}, where) is None:
            return None
        raw = plain
    if fields.number({where: raw}, where) is None:
        return None
    return Decimal(str(raw).strip())


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


def _month(cell: dict[str, Any], where: str) -> date | None:
    text = fields.text(cell, where)
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
