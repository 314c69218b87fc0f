"""What is asked of a KPI beside its name, as it stands in an address: an area and a period, `05443@month`.

`AREA@PERIOD`, either may be empty: the province; the KPI's own period. A period is a name, or days such as
2026-01-01..2026-03-31 (both included).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from ioc.errors import UserError
from ioc.kpi.catalogue import Period

NAMED: dict[str, Period] = {"today": "day", "day": "day", "week": "week", "month": "month", "quarter": "quarter", "year": "year"}
YEAR_TO_DATE = "ytd"
_MOST_DAYS = 3660  # a slip of the pen in the year asks for centuries


class Asked(NamedTuple):
    """`area`: a commune's code or a group's name, "" for the province. `period`: as written, "" for the KPI's own."""

    area: str = ""
    period: str = ""

    def __str__(self) -> str:
        return f"{self.area}@{self.period}" if self.period else self.area

    @classmethod
    def read(cls, text: str) -> Asked:
        area, _, period = text.partition("@")
        return cls(area, period)


def period_of(text: str | None, today: date) -> tuple[Period | None, tuple[date, date] | None]:
    """Return the named period, or the days of one written 2026-01-01..2026-03-31; raise `UserError` for another."""
    if not text:
        return None, None
    if text in NAMED:
        return NAMED[text], None
    if text == YEAR_TO_DATE:
        return None, (today.replace(month=1, day=1), today)
    first, dots, last = text.partition("..")
    try:
        days = date.fromisoformat(first), date.fromisoformat(last if dots else first)
    except ValueError as exc:
        raise UserError(f"period={text!r} is none; write {', '.join(NAMED)}, {YEAR_TO_DATE}, or days such as 2026-01-01..2026-03-31") from exc
    if days[1] < days[0]:
        raise UserError(f"the period from {days[0]} to {days[1]} ends before it begins")
    if days[1] - days[0] > timedelta(days=_MOST_DAYS) or days[0].year < 1990:
        raise UserError(f"the period from {days[0]} to {days[1]} is not one this centre can hold; write days of at most ten years, from 1990 on")
    return None, days
