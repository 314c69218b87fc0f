"""Arrivals: cases that come into being, drawn slot by slot without state.

Time is cut into slots. How many cases arrive in a slot is a Poisson number whose mean follows the rhythm; each case
is (slot, index) and has a key, from which everything about it is drawn. A script (steps with delays counted in work)
says what will happen to it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ioc.simulator.chance import Floats, Keys, key_of, mix_all, poisson, unit_all
from ioc.simulator.rhythm import HOUR, ORIGIN, Pace, Profile

PER_SLOT = 65536  # a case's number is slot * PER_SLOT + index
_SLOTS = [n for n in range(1, 301) if HOUR % n == 0]  # lengths in seconds that divide an hour, for the profile is hourly
_CASES_A_SLOT = 24  # enough for arrays to pay, few enough that a slot is cheap to draw

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """One thing that happens to a case: `what`, after `after` hours of work; listed by the source after `told` hours.

    Steps of a script stand in the order they are listed. A `what` that ends in "!" repeats the step with a correction.
    """

    after: float
    what: str
    told: float = -1.0

    @property
    def listed(self) -> float:
        return self.told if self.told >= 0 else self.after


@dataclass(frozen=True)
class Script:
    """A way a case may go. The first step has no delay; `weight` is how common it is; `theme` is the source's own word."""

    weight: float
    steps: tuple[Step, ...]
    theme: str = ""


class Scripts:
    """The scripts of one kind of case, as tables: `delay[script, step]` in seconds of work, inf where there is none."""

    def __init__(self, scripts: list[Script]) -> None:
        self.all = scripts
        weights = np.cumsum([s.weight for s in scripts])
        self.cumulated: Floats = weights / weights[-1]
        self.longest = max(len(s.steps) for s in scripts)
        self.delay: Floats = np.full((len(scripts), self.longest), np.inf)
        self.after: Floats = np.full((len(scripts), self.longest), np.inf)
        for n, script in enumerate(scripts):
            self.delay[n, : len(script.steps)] = [s.listed * HOUR for s in script.steps]
            self.after[n, : len(script.steps)] = [s.after * HOUR for s in script.steps]
        self.pairs = [(n, k) for n, s in enumerate(scripts) for k in range(len(s.steps))]

    @property
    def steps_a_case(self) -> float:
        """How many steps a case has on average."""
        return sum(s.weight * len(s.steps) for s in self.all) / sum(s.weight for s in self.all)


@dataclass(frozen=True)
class Cases:
    """Rows of cases. `at`: arrival, story seconds (whole); `jitter`: seconds of work added to every later step."""

    number: Ints
    at: Ints
    key: Keys
    script: Ints
    jitter: Floats

    def __len__(self) -> int:
        return len(self.number)

    def where(self, rows: Flags | Ints) -> Cases:
        """Return the chosen rows."""
        return Cases(self.number[rows], self.at[rows], self.key[rows], self.script[rows], self.jitter[rows])

    @staticmethod
    def join(parts: list[Cases]) -> Cases:
        """Return all rows of `parts`."""
        if not parts:
            none = np.zeros(0, np.int64)
            return Cases(none, none, none.astype(np.uint64), none, none.astype(np.float64))
        if len(parts) == 1:
            return parts[0]
        return Cases(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("number", "at", "key", "script", "jitter")))


class Stream:
    """Cases that arrive at `rate` a second on average, following `profile`."""

    def __init__(self, seed: int, name: str, rate: float, profile: Profile, scripts: Scripts, slot_s: int = 0) -> None:
        self.rate, self.profile, self.scripts = rate, profile, scripts
        wanted = _CASES_A_SLOT / rate if rate > 0 else HOUR
        self.slot_s = slot_s or max((s for s in _SLOTS if s <= wanted), default=1)
        self.jitter_s = min(1800.0, 2.0 * self.slot_s)
        self._key = key_of(seed, name, self.slot_s)
        self._drawn: OrderedDict[int, Cases] = OrderedDict()
        self._keep = 4096 if rate * self.slot_s < 100 else 128  # slots held in memory

    def slot_of(self, t: float) -> int:
        """Return the number of the slot of a story time."""
        return int(t - ORIGIN) // self.slot_s

    def slot(self, n: int) -> Cases:
        """Return the cases that arrive in slot `n`, in the order of their numbers."""
        found = self._drawn.get(n)
        if found is None:
            start = ORIGIN + n * self.slot_s
            key = key_of(self._key, n)
            count = min(poisson(self.rate * self.slot_s * self.profile(start), key, "count"), PER_SLOT - 1)
            found = self.draw(key, n, count, start)
            self._drawn[n] = found
            if len(self._drawn) > self._keep:
                self._drawn.popitem(last=False)
        else:
            self._drawn.move_to_end(n)
        return found

    def draw(self, key: int, slot: int, count: int, start: int) -> Cases:
        """Return `count` cases of a slot that begins at `start`."""
        index = np.arange(count, dtype=np.uint64)
        keys = mix_all(np.uint64(key) ^ (index * np.uint64(0xD1342543DE82EF95)))
        at = start + (unit_all(keys, "at") * self.slot_s).astype(np.int64)
        script = np.searchsorted(self.scripts.cumulated, unit_all(keys, "script"), side="right").astype(np.int64)
        jitter = unit_all(keys, "jitter") * self.jitter_s
        return Cases(index.astype(np.int64) + slot * PER_SLOT, at, keys, script, jitter)

    def between(self, since: float, until: float) -> Cases:
        """Return the cases that arrive in (since, until]."""
        if self.rate <= 0 or until <= since:
            return Cases.join([])
        cases = Cases.join([self.slot(n) for n in range(self.slot_of(since), self.slot_of(until) + 1)])
        return cases.where((cases.at > since) & (cases.at <= until))

    def case(self, number: int) -> Cases | None:
        """Return the one case with this number, or None when there is none."""
        slot, index = divmod(number, PER_SLOT)
        if self.rate <= 0 or not 0 <= slot * self.slot_s < 20 * 366 * 24 * HOUR:
            return None
        cases = self.slot(slot)
        return cases.where(np.array([index])) if index < len(cases) else None


def times(cases: Cases, scripts: Scripts, pace: Pace, *, told: bool = True) -> Floats:
    """Return when each step of each case is listed (or, `told=False`, when it was so): whole story seconds, inf = never."""
    delay = (scripts.delay if told else scripts.after)[cases.script]
    delay = delay + np.where(delay > 0, cases.jitter[:, None], 0.0)
    ends = np.isinf(delay)
    work = pace.work(cases.at.astype(np.float64))[:, None] + np.where(ends, 0.0, delay)
    at = np.floor(pace.time(work) + 1e-3)  # the two clocks are inverse to each other up to rounding
    at = np.where(delay == 0, cases.at[:, None], at)
    return np.where(ends, np.inf, at)
