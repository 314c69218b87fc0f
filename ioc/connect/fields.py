"""Reading a field of a record: the right type, or `Skip` with cause, field and repair.

Sources send numbers as strings, ids as numbers, booleans as "true", nothing as "", "null" or a missing key. Those
are read; what cannot be what it should be is refused, never guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from ioc.connect.decode import NotANumber
from ioc.connect.errors import Skip
from ioc.events import MAX_ID
from ioc.privacy import is_citizen_number, shown

_COMPACT = re.compile(r"\d{8}(?:\d{4}(?:\d{2})?)?")
_NOTHING = frozenset({"", "null", "none", "-"})

Record = Mapping[str, Any]


def text(record: Record, field: str) -> str | None:
    """Return the field as stripped text, None when it is absent or empty; numbers become their text."""
    return text_of(record.get(field), field)


def text_of(value: Any, field: str) -> str | None:
    """Return a value as `text` does."""
    if isinstance(value, str):
        return value.strip() or None
    if value is None:
        return None
    if isinstance(value, NotANumber):
        raise Skip("not_a_number", f"{field} is not a number", field=field, repair="send a text, or leave the field out")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Skip("wrong_type", f"{field} is {shown(value)}, not a text", field=field, repair="send a text")
    return str(value)


def identifier(record: Record, field: str) -> str:
    """Return what identifies the record; refuse an empty one, a too long one and a citizen's number."""
    return identifier_of(record.get(field), field)


def identifier_of(raw: Any, field: str) -> str:
    """Return a value as `identifier` does."""
    value = text_of(raw, field)
    if value is None:
        raise Skip("missing_id", f"{field} is missing: nothing tells this record from another", field=field, repair=f"send {field}, the same each time")
    if len(value) > MAX_ID:
        raise Skip("text_too_long", f"{field} has {len(value)} characters; at most {MAX_ID}", field=field)
    if is_citizen_number(value):
        raise Skip("personal_id", f"{field} looks like a citizen number; such a number never leaves the connector", field=field, repair="use the number of the case, not of the person", body=False)
    return value


def number(record: Record, field: str) -> float | None:
    """Return a finite number (also from a text), None when absent or empty."""
    return number_of(record.get(field), field)


def number_of(value: Any, field: str) -> float | None:
    """Return a value as `number` does."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING):
        return None
    if isinstance(value, NotANumber):
        raise _nan(field)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Skip("wrong_type", f"{field} is {shown(value)}, not a number", field=field, repair="send a number")
    try:
        out = float(value)
    except (ValueError, OverflowError) as exc:
        raise Skip("wrong_type", f"{field} is {shown(value)}, not a number", field=field, repair="send a number, with a decimal point") from exc
    if not math.isfinite(out):
        raise _nan(field)
    return out


def decimal(record: Record, field: str) -> Decimal | None:
    """Return a finite number exactly as it is written, None when absent or empty."""
    return None if number(record, field) is None else Decimal(str(record[field]).strip())


def _nan(field: str) -> Skip:
    return Skip("not_a_number", f"{field} is not a finite number", field=field, repair="send null when nothing was measured")


def count(record: Record, field: str) -> Decimal | None:
    """Return a whole number of things, 0 or more, None when absent or empty."""
    return count_of(record.get(field), field)


def count_of(value: Any, field: str) -> Decimal | None:
    """Return a value as `count` does."""
    if isinstance(value, float) and not value.is_integer():
        raise Skip("wrong_type", f"{field} is {shown(value)}, not a whole number", field=field)
    if number_of(value, field) is None:
        return None
    try:
        out = Decimal(str(value).strip())
    except InvalidOperation as exc:
        raise Skip("wrong_type", f"{field} is {shown(value)}, not a whole number", field=field) from exc
    if out != out.to_integral_value():
        raise Skip("wrong_type", f"{field} is {shown(value)}, not a whole number", field=field)
    if out < 0 or out > 10**9:
        raise Skip("out_of_range", f"{field} is {shown(value)}; a count is 0 or more", field=field)
    return out


def suppressed(count: Decimal | int, below: int) -> Decimal | None:
    """Return the number that a small count of persons becomes "at most"; None when the count itself may be told (0, or `below` and more)."""
    return Decimal(below - 1) if 0 < count < below else None


def rating(record: Record, field: str) -> int | None:
    """Return a rating of 1 to 5, None when absent or empty."""
    return rating_of(record.get(field), field)


def rating_of(raw: Any, field: str) -> int | None:
    """Return a value as `rating` does."""
    value = number_of(raw, field)
    if value is None:
        return None
    if value not in (1, 2, 3, 4, 5):
        raise Skip("out_of_range", f"{field} is {shown(raw)}; a rating is 1 to 5", field=field)
    return int(value)


def true(record: Record, field: str) -> bool | None:
    """Return a boolean (also "true", "False", "1"), None when absent or empty."""
    return true_of(record.get(field), field)


def true_of(value: Any, field: str) -> bool | None:
    """Return a value as `true` does."""
    if isinstance(value, bool) or value is None:
        return value
    word = str(value).strip().lower()
    if word in _NOTHING:
        return None
    if word in ("true", "1", "yes"):
        return True
    if word in ("false", "0", "no"):
        return False
    raise Skip("wrong_type", f"{field} is {shown(value)}, neither true nor false", field=field)


def moment(value: Any, field: str, zone: ZoneInfo | None = None) -> datetime | None:
    """Return an ISO 8601 time as UTC, None when absent or empty.

    A time without zone is read in `zone`; without `zone` it is refused (standards that promise a zone).
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise Skip("wrong_type", f"{field} is {shown(value)}, not a time", field=field, repair="send ISO 8601, for example 2026-11-22T08:00:00+07:00")
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError as exc:
        if value.strip().lower() in _NOTHING:
            return None
        raise _bad_time(value, field, "send ISO 8601, for example 2026-11-22T08:00:00+07:00") from exc
    if at.tzinfo is None:
        if zone is None:
            raise Skip("no_zone", f"{field} {shown(value)} has no zone", field=field, repair="add the offset, for example +07:00")
        at = at.replace(tzinfo=zone)
    return _utc(at, field)


def compact(value: Any, field: str, zone: ZoneInfo) -> datetime | None:
    """Return a time written yyyyMMdd[HHmm[ss]], local to `zone`, as UTC; None when absent or empty."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING):
        return None
    plain = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _COMPACT.fullmatch(plain):
        raise _bad_time(value, field, "write yyyyMMddHHmmss")
    plain = plain.ljust(14, "0")
    try:
        at = datetime(int(plain[:4]), int(plain[4:6]), int(plain[6:8]), int(plain[8:10]), int(plain[10:12]), int(plain[12:14]), tzinfo=zone)
    except ValueError as exc:
        raise _bad_time(value, field, "write a time that exists, as yyyyMMddHHmmss") from exc
    return _utc(at, field)


def slashed(value: str | None, field: str, zone: ZoneInfo, *, end_of_day: bool = False) -> datetime | None:
    """Return "yyyy/MM/dd[ HH:mm:ss]", local to `zone`, as UTC; a date alone is its start, or its last second."""
    if value is None or not value.strip():
        return None
    plain = value.strip()
    for form in ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            at = datetime.strptime(plain, form).replace(tzinfo=zone)
        except ValueError:
            continue
        if end_of_day and "%H" not in form:
            at = at.replace(hour=23, minute=59, second=59)
        return _utc(at, field)
    raise _bad_time(value, field, "write yyyy/MM/dd HH:mm:ss")


def day(value: Any, field: str) -> date:
    """Return a calendar day written yyyy-MM-dd or dd/MM/yyyy."""
    plain = str(value or "").strip()
    for form in ("%Y-%m-%d", "%d/%m/%Y"):
        try:
            return datetime.strptime(plain, form).date()  # noqa: DTZ007 (a calendar day has no zone)
        except ValueError:
            continue
    raise _bad_time(value, field, "write yyyy-MM-dd")


def start_of(day_: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a day in `zone`, as UTC."""
    return datetime.combine(day_, time(), tzinfo=zone).astimezone(UTC)


def to_the_hour(at: datetime) -> datetime:
    """Return `at` without minutes and seconds: who knows a minute knows a person."""
    return at.replace(minute=0, second=0, microsecond=0)


def _utc(at: datetime, field: str) -> datetime:
    try:
        return at.astimezone(UTC)
    except (OverflowError, ValueError) as exc:
        raise _bad_time(at.isoformat(), field, "send a time between 1900 and 9000") from exc


def _bad_time(value: Any, field: str, repair: str) -> Skip:
    return Skip("bad_time", f"{field} is {shown(value)}, not a time", field=field, repair=repair)
