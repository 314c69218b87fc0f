"""Time as a value: everything that asks for "now" takes a `Clock`, so a test can freeze, step or set it wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ioc.errors import UserError

Clock = Callable[[], datetime]

ICT = ZoneInfo("Asia/Ho_Chi_Minh")


def system_clock() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


class FrozenClock:
    """A clock that moves only when told to (tests, playback)."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def tick(self, **delta: float) -> datetime:
        """Move forward by `timedelta(**delta)` and return the new time."""
        self.at += timedelta(**delta)
        return self.at


def read_time(text: str, said: str) -> datetime:
    """Return the instant somebody wrote as ISO 8601; raise `UserError`, which begins with `said`, for what is none or has no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise UserError(f"{said} is not an ISO 8601 time such as 2026-11-22T08:00:00+07:00") from exc
    if at.tzinfo is None:
        raise UserError(f"{said} has no zone; add the offset, for example +07:00")
    return at


def local_day(at: datetime, zone: ZoneInfo = ICT) -> date:
    """Return the calendar day of `at` where the province is."""
    return at.astimezone(zone).date()


def day_start(day: date, zone: ZoneInfo = ICT) -> datetime:
    """Return the first instant of `day` where the province is."""
    return datetime.combine(day, time(), tzinfo=zone)
