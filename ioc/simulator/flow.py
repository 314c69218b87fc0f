"""One kind of case as a source sees it: what changed in a window, what was opened in it, one case by its reference.

A flow joins three streams with the same scripts: T, a thin one that has always been there (a cold start finds a
history of some thousand cases); B, the bulk that `--rate` asks for, listed from shortly before the simulator's start;
L, cases somebody asked for by a fault. A reference is the letter and the case's number in base 36.

To find the changes of a window, each (script, step) is inverted: a step that is due D seconds of work after arrival
and falls into the window belongs to a case that arrived in the window moved back by D. So no case is ever stored, and
the cost of a poll follows the number of changes, not the number of cases that exist.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from ioc.simulator.chance import Floats, Keys, key_of, unit_all
from ioc.simulator.rhythm import HOUR, ORIGIN, Pace
from ioc.simulator.stream import PER_SLOT, Cases, Flags, Ints, Script, Stream, times

DAY = 24 * HOUR
CORRECTED = 99  # the step of a change that corrects an old record
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERS = "TBL"
_MOST_INJECTED = 10_000
_LATE_S = 20 * DAY


@dataclass(slots=True)
class Case:
    """A case as far as it has gone. Times in story seconds; `told[k]`, `at[k]`: when step k is listed, and was so."""

    ref: str
    key: int
    script: Script
    opened: float
    told: list[float]
    at: list[float]
    step: int
    changed: float
    corrections: int

    @property
    def what(self) -> str:
        """The step the case has reached."""
        return self.script.steps[self.step].what.rstrip("!")

    def when(self, what: str) -> float | None:
        """When `what` last happened, up to now; None when it has not."""
        for k in range(self.step, -1, -1):
            if self.script.steps[k].what.rstrip("!") == what:
                return max(self.at[k], self.opened)
        return None


@dataclass(frozen=True)
class Changes:
    """Changes in the order a source lists them: when, of which case (letter, row of `cases`), which step."""

    told: Floats
    letter: Ints
    step: Ints
    cases: Cases

    def __len__(self) -> int:
        return len(self.told)

    def where(self, rows: Flags | Ints | slice) -> Changes:
        chosen = np.arange(len(self))[rows]
        return Changes(self.told[chosen], self.letter[chosen], self.step[chosen], self.cases.where(chosen))

    @staticmethod
    def join(parts: list[Changes]) -> Changes:
        told, letter, step = (np.concatenate([getattr(p, n) for p in parts]) for n in ("told", "letter", "step"))
        cases = Cases.join([p.cases for p in parts])
        return Changes(told, letter, step, cases).where(np.lexsort((step, cases.number, letter, told)))


class Flow:
    """The cases of one kind. `full_since`: story time from which the bulk is listed."""

    def __init__(self, thin: Stream, bulk: Stream, extra: Stream, pace: Pace, full_since: float, history_s: float) -> None:
        self._streams = (thin, bulk, extra)
        self.scripts, self.pace, self.full_since, self.history_s = thin.scripts, pace, full_since, history_s
        self._late: list[tuple[int, int]] = []
        self._corrected: dict[tuple[int, int], list[int]] = {}
        self._listed: OrderedDict[tuple[float, float, bool], Changes] = OrderedDict()

    # -- what changed -----------------------------------------------------------------------------------------------
    def changes(self, since: float, until: float, *, latest: bool = True) -> Changes:
        """Return the changes told in (since, until], oldest first; `latest`: each case once, with its newest change."""
        since, until = max(np.floor(since), np.floor(until) - self.history_s), float(np.floor(until))
        key = (since, until, latest)
        if (found := self._listed.get(key)) is None:
            thin, bulk, _ = self._streams
            parts = [
                self._of(0, thin.between(self._first_arrival(since), until), since, until, latest),
                self._inverted(bulk, max(since, self.full_since), until, latest),
                self._of(2, self._injected(until), since, until, latest),
            ]
            found = self._with_corrections(Changes.join(parts), since, until, latest)
            self._listed[key] = found
            if len(self._listed) > 8:
                self._listed.popitem(last=False)
        return found

    def _first_arrival(self, since: float) -> float:
        """When the oldest case arrived that can still have a step after `since`."""
        longest = self.scripts.delay[np.isfinite(self.scripts.delay)].max() + 1800
        return float(self.pace.time(self.pace.work(since) - longest))

    def _of(self, letter: int, cases: Cases, since: float, until: float, latest: bool) -> Changes:
        """Changes of given cases."""
        told = times(cases, self.scripts, self.pace)
        inside = (told > since) & (told <= until)
        if latest:
            inside &= ~_told_again(told, until)
        row, step = np.nonzero(inside)
        return Changes(told[row, step], np.full(len(row), letter), step, cases.where(row))

    def _inverted(self, stream: Stream, since: float, until: float, latest: bool) -> Changes:
        """Changes of a stream too large to look through: only slots that can have a step in the window are drawn."""
        parts: list[Cases] = []
        steps: list[Ints] = []
        if stream.rate > 0 and until > since:
            pairs = np.array(self.scripts.pairs)
            delay = self.scripts.delay[pairs[:, 0], pairs[:, 1]]
            early = self.pace.time(self.pace.work(float(since - 1)) - delay - np.where(delay > 0, stream.jitter_s, 0.0)) - 1
            late = np.minimum(self.pace.time(self.pace.work(float(until + 1)) - delay) + 1, until)
            for (script, step), first, last in zip(self.scripts.pairs, early, late, strict=True):
                for n in range(stream.slot_of(first), stream.slot_of(last) + 1):
                    cases = stream.slot(n)
                    rows = np.flatnonzero(cases.script == script)
                    if len(rows):
                        parts.append(cases.where(rows))
                        steps.append(np.full(len(rows), step))
        cases, step_of = Cases.join(parts), np.concatenate([*steps, np.zeros(0, np.int64)]).astype(np.int64)
        told = times(cases, self.scripts, self.pace)
        mine = told[np.arange(len(cases)), step_of]
        inside = (mine > since) & (mine <= until)
        if latest:
            inside &= ~_told_again(told, until)[np.arange(len(cases)), step_of]
        return Changes(mine[inside], np.ones(int(inside.sum()), np.int64), step_of[inside], cases.where(inside))

    # -- what was opened --------------------------------------------------------------------------------------------
    def opened(self, since: float, until: float, as_of: float) -> Changes:
        """Return the cases opened in [since, until], newest first, each with its newest change up to `as_of`."""
        since, as_of = np.ceil(since), float(np.floor(as_of))
        last = min(until + _LATE_S, as_of)  # a case may be entered after it was opened
        thin, bulk, _ = self._streams
        arrived = [thin.between(since - 1, last), bulk.between(max(since - 1, self.full_since), last), self._injected(as_of)]
        parts = []
        for letter, cases in enumerate(arrived):
            opened = cases.at - _late_by(cases.key, asked=letter == 2)
            parts.append(self._of(letter, cases.where((opened >= since) & (opened <= until)), -np.inf, as_of, True))
        found = self._with_corrections(Changes.join(parts), -np.inf, as_of, True, known=True)
        opened = found.cases.at - _late_of(found)
        return found.where(np.lexsort((-found.cases.number, found.letter, -opened)))

    def find(self, ref: str, as_of: float) -> Case | None:
        """Return the case called `ref` as it is at `as_of`, or None when it does not exist (yet)."""
        try:
            letter, number = _LETTERS.index(ref[:1]), int(ref[1:], 36)
        except ValueError:
            return None
        if not ref or reference(letter, number) != ref:
            return None
        cases = self._one_injected(number) if letter == 2 else self._streams[letter].case(number)
        if cases is None:
            return None
        newest = self._with_corrections(self._of(letter, cases, -np.inf, as_of, True), -np.inf, as_of, True, known=True)
        return self.cases(newest, as_of)[0] if len(newest) else None

    def cases(self, changes: Changes, as_of: float) -> list[Case]:
        """Return the cases behind `changes`, each as of its change."""
        told = times(changes.cases, self.scripts, self.pace)
        at = times(changes.cases, self.scripts, self.pace, told=False)
        rows = changes.cases
        columns = (changes.letter, rows.number, rows.key, rows.script, _late_of(changes), changes.told, changes.step)
        return [self._case(*row) for row in zip(*(column.tolist() for column in columns), told.tolist(), at.tolist(), strict=True)]

    def _case(self, letter: int, number: int, key: int, script: int, late: int, changed: float, step: int, told: list[float], at: list[float]) -> Case:
        story = self.scripts.all[script]
        marks = [mark for mark in self._corrected.get((letter, number), ()) if mark <= changed]
        if step == CORRECTED:
            step = sum(t <= changed for t in told[: len(story.steps)]) - 1
        fixed = len(marks) + sum(s.what.endswith("!") for s in story.steps[: step + 1])
        return Case(reference(letter, number), key, story, at[0] - late, told, at, step, changed, fixed)

    def later(self, t: float, hours: float) -> float:
        """Return the story time `hours` of work after `t`, in whole seconds."""
        return float(np.floor(self.pace.time(self.pace.work(t) + hours * HOUR) + 1e-3))

    # -- what somebody asked for --------------------------------------------------------------------------------------
    def inject_late(self, at: float, count: int) -> None:
        """Let `count` cases be told at `at` that were opened up to 60 days before."""
        self._late = [*self._late[-99:], (int(at), min(count, _MOST_INJECTED))]
        self._listed.clear()

    def inject_corrections(self, at: float, count: int) -> int:
        """Let `count` of the newest known cases be told again at `at` with something corrected; return how many there were."""
        known = self.changes(at - 7 * DAY, at - 1)
        for n in range(max(0, len(known) - count), len(known)):
            ref = (int(known.letter[n]), int(known.cases.number[n]))
            self._corrected.setdefault(ref, []).append(int(at))
            if len(self._corrected) > _MOST_INJECTED:
                self._corrected.pop(next(iter(self._corrected)))
        self._listed.clear()
        return min(count, len(known))

    def _injected(self, until: float) -> Cases:
        extra = self._streams[2]
        return Cases.join([self._draw_late(extra, at, count) for at, count in self._late if at <= until])

    def _one_injected(self, number: int) -> Cases | None:
        slot, index = divmod(number, PER_SLOT)
        known = any(at - ORIGIN == slot and index < count for at, count in self._late)
        return self._draw_late(self._streams[2], ORIGIN + slot, index + 1).where(np.array([index])) if known else None

    @staticmethod
    def _draw_late(extra: Stream, at: int, count: int) -> Cases:
        slot = at - ORIGIN
        return extra.draw(key_of(slot, "late"), slot, count, at)

    def _with_corrections(self, found: Changes, since: float, until: float, latest: bool, *, known: bool = False) -> Changes:
        """Add the corrections told in the window; with `known` only those of the cases that are in `found`."""
        marks = {ref: [m for m in at if since < m <= until] for ref, at in self._corrected.items()}
        marks = {ref: at for ref, at in marks.items() if at}
        if not marks:
            return found
        refs = list(zip(found.letter.tolist(), found.cases.number.tolist(), strict=True))
        newest = dict(zip(refs, found.told.tolist(), strict=True))
        if known:
            marks = {ref: at for ref, at in marks.items() if ref in newest}
        added, replaced = [], set()
        for ref, at in marks.items():
            cases = self._one_injected(ref[1]) if ref[0] == 2 else self._streams[ref[0]].case(ref[1])
            if cases is None or (latest and newest.get(ref, 0) > at[-1]):
                continue
            replaced.add(ref)
            for mark in at[-1:] if latest else at:
                added.append(Changes(np.array([float(mark)]), np.array([ref[0]]), np.array([CORRECTED]), cases))
        kept = found.where(np.array([not latest or ref not in replaced for ref in refs], dtype=np.bool_))
        return Changes.join([kept, *added])


def _late_by(keys: Keys, *, asked: bool) -> Ints:
    """Return how long before its arrival each case was opened, in seconds: 1 to 60 days when late cases were asked for;
    otherwise four in a thousand are up to twenty days late."""
    chance = unit_all(keys, "late")
    late: Ints = ((1 + chance * 59) * DAY if asked else np.where(chance < 0.004, chance * 250 * _LATE_S, 0)).astype(np.int64)
    return late


def _late_of(changes: Changes) -> Ints:
    late: Ints = np.where(changes.letter == 2, _late_by(changes.cases.key, asked=True), _late_by(changes.cases.key, asked=False))
    return late


def _told_again(told: Floats, until: float) -> Flags:
    """For each step: is a later one told by `until` too? Told times rise along a row."""
    again: Flags = np.zeros(told.shape, np.bool_)
    again[:, :-1] = told[:, 1:] <= until
    return again


def reference(letter: int, number: int) -> str:
    """Return 'T' + the number in base 36."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return _LETTERS[letter] + (digits or "0")
