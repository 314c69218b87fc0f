"""What is asked of a KPI beside its name, as it stands in an address: an area, a period, a geography, `05443@month~districts`.

`AREA@PERIOD~GEOGRAPHY`, each may be empty: the province; the KPI's own period; today's communes. A period is a name, or
days such as 2026-01-01..2026-03-31 (both included).
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import NamedTuple, cast, get_args

from ioc.errors import UserError
from ioc.kpi.catalogue import Period
from ioc.kpi.geography import Geography

NAMED: dict[str, Period] = {"today": "day", "day": "day", "week": "week", "month": "month", "quarter": "quarter", "year": "year", "ytd": "ytd"}
_MONTH, _QUARTER, _YEAR = re.compile(r"(\d{4})-(0[1-9]|1[0-2])"), re.compile(r"(\d{4})-Q([1-4])"), re.compile(r"(\d{4})")
_MOST_DAYS = 3660  # a slip of the pen in the year asks for centuries


class Asked(NamedTuple):
    """`area`: a commune's code or a group's name, "" for the province. `period`: as written, "" for the KPI's own.

    `geography`: in whose units a value is told apart by place, "" for today's communes (see `geography_of`).
    """

    area: str = ""
    period: str = ""
    geography: str = ""

    def __str__(self) -> str:
        return self.area + (f"@{self.period}" if self.period else "") + (f"~{self.geography}" if self.geography else "")

    @classmethod
    def read(cls, text: str) -> Asked:
        rest, _, geography = text.partition("~")
        area, _, period = rest.partition("@")
        return cls(area, period, geography)


def geography_of(text: str) -> Geography:
    """Return the geography of this name, "" being today's; raise `UserError`."""
    if not text:
        return "today"
    if text in get_args(Geography):
        return cast(Geography, text)
    raise UserError(f"geography={text!r} is none; write {', '.join(get_args(Geography))}")


def period_of(text: str | None) -> tuple[Period | None, tuple[date, date] | None]:
    """Return the named period, or the days of one written 2026, 2026-Q3, 2026-11 or 2026-01-01..2026-03-31; raise `UserError`."""
    if not text:
        return None, None
    if text in NAMED:
        return NAMED[text], None
    first, dots, last = text.partition("..")
    try:
        days = _span(text) or (date.fromisoformat(first), date.fromisoformat(last if dots else first))
    except ValueError as exc:
        raise UserError(f"period={text!r} is none; write {', '.join(NAMED)}, 2026, 2026-Q3, 2026-11, or days such as 2026-01-01..2026-03-31") from exc
    if days[1] < days[0]:
        raise UserError(f"the period from {days[0]} to {days[1]} ends before it begins")
    if days[1] - days[0] > timedelta(days=_MOST_DAYS) or days[0].year < 1990:
        raise UserError(f"the period from {days[0]} to {days[1]} is not one this centre can hold; write days of at most ten years, from 1990 on")
    return None, days


def _span(text: str) -> tuple[date, date] | None:
    """Return the days of a year, a quarter or a month by its name, None for another text."""
    for pattern, months in ((_MONTH, 1), (_QUARTER, 3), (_YEAR, 12)):
        if found := pattern.fullmatch(text):
            year, nth = int(found[1]), int(found[2]) if found.lastindex == 2 else 1
            first = date(year, (nth - 1) * months + 1, 1)
            after = first.month - 1 + months
            return first, date(year + after // 12, after % 12 + 1, 1) - timedelta(days=1)
    return None
