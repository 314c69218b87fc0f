"""The province a simulated source is given: its clock, its places, its flows of cases, the faults asked for.

The clock has two faces. *Story time* (seconds since the Unix epoch, `now()`) is what rhythm and life cycles run on.
*Wall time* is what records carry and what the rest of the system lives in. They are equal with speed 1. With another
speed the story runs faster from the moment the simulator starts, while records keep wall times: a case that takes two
days is resolved within minutes, and nothing is dated ahead of the clocks of those who read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from ioc.areas import load
from ioc.clock import ICT, Clock, system_clock
from ioc.simulator.case import DAY
from ioc.simulator.faults import Faults
from ioc.simulator.flow import Flow
from ioc.simulator.places import Places
from ioc.simulator.rhythm import STEADY, Profile, nonstop, office
from ioc.simulator.stream import Script, Scripts, Stream

HISTORY_DAYS = 21  # how far back a source lists what changed
FULL_EVENTS = 500  # how many events of the full rate a kind already has when the simulator starts
_FULL_S = (5.0, 7200.0)


_ICT_S = 7 * 3600


@lru_cache(4000)
def _day_text(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


@lru_cache(90_000)
def _second_text(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


class Injectable(Protocol):
    """Something whose records can come late or corrected when asked for."""

    def inject_late(self, at: float, count: int) -> None: ...

    def inject_corrections(self, at: float, count: int) -> int: ...


@dataclass
class Province:
    """What simulated sources share. `rate`: events a second over all feeds, averaged over a week
    (`steady`: at any time)."""

    code: str = "19"
    seed: int = 19
    rate: float = 2.0
    speed: float = 1.0
    clock: Clock = system_clock
    started: datetime | None = None
    history_days: float = HISTORY_DAYS
    steady: bool = False
    faults: Faults = field(default_factory=Faults)
    flows: dict[str, list[Injectable]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self.started or self.clock()
        self._start = self.started.timestamp()
        self.places = Places(load(self.code))

    def now(self) -> float:
        """Return the present in story seconds."""
        return self.story(self.clock())

    def story(self, at: datetime) -> float:
        """Return the story time of a wall time."""
        wall = at.timestamp()
        return round(wall if wall <= self._start else self._start + (wall - self._start) * self.speed, 3)

    def wall(self, story: float) -> datetime:
        """Return the wall time (UTC) of a story time."""
        seconds = story if story <= self._start else self._start + (story - self._start) / self.speed
        return datetime.fromtimestamp(seconds, UTC)

    def local(self, story: float) -> datetime:
        """Return the wall time of a story time where the province is."""
        return self.wall(story).astimezone(ICT)

    def iso(self, story: float) -> str:
        """Return the wall time as `2026-11-22T08:00:00+07:00`."""
        if self.speed != 1:
            return self.local(story).isoformat(timespec="microseconds")
        day, second = divmod(int(story) + _ICT_S, DAY)
        return f"{_day_text(day)}T{_second_text(second)}+07:00"

    def stamp(self, story: float) -> str:
        """Return the wall time as national systems write it: `20261122080000`."""
        wall = story if self.speed == 1 else self.wall(story).timestamp()
        day, second = divmod(int(wall) + _ICT_S, DAY)
        return _day_text(day).replace("-", "") + _second_text(second).replace(":", "")

    def flow(self, feed: str, name: str, scripts: list[Script], profile: Profile, *, share: float, thin_per_day: float, nights: bool = False, full_events: float = FULL_EVENTS) -> Flow:
        """Return the cases of one kind.

        `share`: this kind's part of all events a second (an event = a step); `thin_per_day`: cases a day in the history
        that is always there; `nights`: work goes on at night and on days off; `full_events`: how much of the bulk is there
        when the simulator starts.
        """
        tables = Scripts(scripts)
        rate = self.rate * share / tables.steps_a_case / self.speed  # cases a story second
        thin = min(thin_per_day / DAY, rate)
        if self.steady:
            profile, nights = STEADY, True
        busy = max(profile(self._start), 0.3)
        full = min(max(full_events / (self.rate * share * busy), _FULL_S[0]), _FULL_S[1])
        flow = Flow(
            Stream(self.seed, f"{name}/thin", thin, profile, tables, 3600),
            Stream(self.seed, f"{name}/bulk", rate - thin, profile, tables),
            Stream(self.seed, f"{name}/late", 0.0, profile, tables, 1),
            nonstop() if nights else office(),
            self._start - full,
            self.history_days * DAY,
        )
        self.flows.setdefault(feed, []).append(flow)
        return flow
