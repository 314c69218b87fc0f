"""One kind of case as a source sees it: what changed in a window, what was opened in it, one case by its reference.

A flow joins three streams with the same scripts: T, a thin one that has always been there (a cold start finds a
history of some thousand cases); B, the bulk that `--rate` asks for, listed from shortly before the simulator's start;
L, late cases somebody asked for.

To find the changes of a window, each (script, step) is inverted: a step that is due D seconds of work after arrival
and falls into the window belongs to a case that arrived in the window moved back by D. So no case is ever stored, and
the cost of a poll follows the number of changes, not the number of cases that exist.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from ioc.simulator.case import CORRECTED, DAY, LATE_S, Case, Changes, late_by, parse_reference, reference
from ioc.simulator.chance import Floats
from ioc.simulator.rhythm import HOUR, Pace
from ioc.simulator.stream import Cases, Flags, Stream, times
from ioc.simulator.wishes import Ref, Wishes


class Flow:
    """The cases of one kind. `full_since`: story time from which the bulk is listed; `history_s`: how far back changes are."""

    def __init__(self, thin: Stream, bulk: Stream, extra: Stream, pace: Pace, full_since: float, history_s: float) -> None:
        self._thin, self._bulk, self._wishes = thin, bulk, Wishes(extra)
        self.scripts, self.pace, self.full_since, self.history_s = thin.scripts, pace, full_since, history_s
        self._listed: OrderedDict[tuple[float, float, bool], Changes] = OrderedDict()

    def changes(self, since: float, until: float, *, latest: bool = True) -> Changes:
        """Return the changes told in (since, until], oldest first; `latest`: each case once, with its newest change."""
        since, until = max(np.floor(since), np.floor(until) - self.history_s), float(np.floor(until))
        key = (since, until, latest)
        if (found := self._listed.get(key)) is None:
            parts = [
                self._of(0, self._thin.between(self._first_arrival(since), until), since, until, latest),
                self._inverted(self._bulk, max(since, self.full_since), until, latest),
                self._of(2, self._wishes.late(until), since, until, latest),
            ]
            found = self._wishes.corrected(Changes.join(parts), since, until, self._find, latest=latest, known=False)
            self._listed[key] = found
            if len(self._listed) > 8:
                self._listed.popitem(last=False)
        return found

    def opened(self, since: float, until: float, as_of: float) -> Changes:
        """Return the cases opened in [since, until], newest first, each with its newest change up to `as_of`."""
        since, as_of = np.ceil(since), float(np.floor(as_of))
        last = min(until + LATE_S, as_of)
        arrived = [self._thin.between(since - 1, last), self._bulk.between(max(since - 1, self.full_since), last), self._wishes.late(as_of)]
        parts = []
        for letter, cases in enumerate(arrived):
            opened = cases.at - late_by(cases.key, asked=letter == 2)
            parts.append(self._of(letter, cases.where((opened >= since) & (opened <= until)), -np.inf, as_of, True))
        found = self._wishes.corrected(Changes.join(parts), -np.inf, as_of, self._find, latest=True, known=True)
        return found.where(np.lexsort((-found.cases.number, found.letter, -found.opened())))

    def find(self, ref: str, as_of: float) -> Case | None:
        """Return the case called `ref` as it is at `as_of`, or None when it does not exist (yet)."""
        named = parse_reference(ref)
        cases = self._find(named) if named else None
        if named is None or cases is None:
            return None
        newest = self._of(named[0], cases, -np.inf, as_of, True)
        newest = self._wishes.corrected(newest, -np.inf, as_of, self._find, latest=True, known=True)
        return self.cases(newest)[0] if len(newest) else None

    def _find(self, ref: Ref) -> Cases | None:
        letter, number = ref
        return self._wishes.late_case(number) if letter == 2 else (self._thin, self._bulk)[letter].case(number)

    def cases(self, changes: Changes) -> list[Case]:
        """Return the cases behind `changes`, each as of its change."""
        told, at = (times(changes.cases, self.scripts, self.pace, told=which) for which in (True, False))
        rows = changes.cases
        columns = (changes.letter, rows.number, rows.key, rows.script, rows.at - changes.opened(), changes.told, changes.step, told, at)
        return [self._case(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _case(self, letter: int, number: int, key: int, script: int, late: int, changed: float, step: int, told: list[float], at: list[float]) -> Case:
        story = self.scripts.all[script]
        if step == CORRECTED:
            step = sum(t <= changed for t in told[: len(story.steps)]) - 1
        corrections = self._wishes.corrections((letter, number), changed) + sum(s.what.endswith("!") for s in story.steps[: step + 1])
        return Case(reference(letter, number), key, story, at[0] - late, told, at, step, changed, corrections)

    def later(self, t: float, hours: float) -> float:
        """Return the story time `hours` of work after `t`, in whole seconds."""
        return self.pace.after(t, hours * HOUR)

    def inject_late(self, at: float, count: int) -> None:
        """Let `count` cases be told at `at` that were opened up to 60 days before."""
        self._wishes.ask_late(int(at), count)
        self._listed.clear()

    def inject_corrections(self, at: float, count: int) -> int:
        """Let `count` of the newest known cases be told again at `at` with something corrected; return how many there were."""
        known = self.changes(at - 7 * DAY, at - 1)
        known = known.where((known.letter == 0) | (known.cases.at >= self.full_since))  # what a source lists in every protocol
        newest = known.where(slice(max(0, len(known) - count), None))
        for letter, number in zip(newest.letter.tolist(), newest.cases.number.tolist(), strict=True):
            self._wishes.ask_correction((letter, number), int(at))
        self._listed.clear()
        return len(newest)

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
        steps = [np.zeros(0, np.int64)]
        for script, step, first, last in self._origins(stream, since, until):
            for n in range(stream.slot_of(first), stream.slot_of(last) + 1):
                cases = stream.slot(n)
                rows = np.flatnonzero(cases.script == script)
                if len(rows):
                    parts.append(cases.where(rows))
                    steps.append(np.full(len(rows), step))
        cases, step_of = Cases.join(parts), np.concatenate(steps)
        told = times(cases, self.scripts, self.pace)
        row = np.arange(len(cases))
        inside = (told[row, step_of] > since) & (told[row, step_of] <= until)
        if latest:
            inside &= ~_told_again(told, until)[row, step_of]
        return Changes(told[row, step_of][inside], np.ones(int(inside.sum()), np.int64), step_of[inside], cases.where(inside))

    def _origins(self, stream: Stream, since: float, until: float) -> list[tuple[int, int, float, float]]:
        """Return (script, step, first, last): when the cases arrived that can have this step in the window."""
        if stream.rate <= 0 or until <= since:
            return []
        script, step = (np.array(column) for column in zip(*self.scripts.pairs, strict=True))
        delay = self.scripts.delay[script, step]
        first = self.pace.time(self.pace.work(since - 1) - delay - np.where(delay > 0, stream.jitter_s, 0.0)) - 1
        last = np.minimum(self.pace.time(self.pace.work(until + 1) - delay) + 1, until)
        return list(zip(script.tolist(), step.tolist(), first.tolist(), last.tolist(), strict=True))


def _told_again(told: Floats, until: float) -> Flags:
    """For each step: is a later one told by `until` too? Told times rise along a row."""
    again: Flags = np.zeros(told.shape, np.bool_)
    again[:, :-1] = told[:, 1:] <= until
    return again

