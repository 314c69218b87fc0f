"""A case as far as it has gone, and lists of changes of cases as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ioc.simulator.chance import Floats, Keys, unit_all
from ioc.simulator.rhythm import HOUR
from ioc.simulator.stream import Cases, Flags, Ints, Script

DAY = 24 * HOUR
LATE_S = 20 * DAY  # a case may be entered this long after it was opened
CORRECTED = 99  # the step of a change that corrects an old record
LETTERS = "TBL"  # thin history, bulk, late cases asked for
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


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
        """Return the chosen rows."""
        chosen = np.arange(len(self))[rows]
        return Changes(self.told[chosen], self.letter[chosen], self.step[chosen], self.cases.where(chosen))

    def opened(self) -> Ints:
        """Return when each case was opened: its arrival, or up to 60 days before."""
        late = np.where(self.letter == 2, late_by(self.cases.key, asked=True), late_by(self.cases.key, asked=False))
        opened: Ints = self.cases.at - late
        return opened

    @staticmethod
    def join(parts: list[Changes]) -> Changes:
        """Return all changes of `parts`, oldest first."""
        told, letter, step = (np.concatenate([getattr(p, n) for p in parts]) for n in ("told", "letter", "step"))
        cases = Cases.join([p.cases for p in parts])
        return Changes(told, letter, step, cases).where(np.lexsort((step, cases.number, letter, told)))


def late_by(keys: Keys, *, asked: bool) -> Ints:
    """Return how long before its arrival each case was opened, in seconds: 1 to 60 days when late cases were asked for;
    otherwise four in a thousand are up to twenty days late."""
    chance = unit_all(keys, "late")
    late = (1 + chance * 59) * DAY if asked else np.where(chance < 0.004, chance * 250 * LATE_S, 0.0)
    return late.astype(np.int64)


def reference(letter: int, number: int) -> str:
    """Return the reference of a case: the letter of its stream and its number in base 36."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return LETTERS[letter] + (digits or "0")


def parse_reference(ref: str) -> tuple[int, int] | None:
    """Return (letter, number) of a reference, or None when it is none."""
    try:
        letter, number = LETTERS.index(ref[:1]), int(ref[1:14], 36)
    except ValueError:
        return None
    return (letter, number) if ref and number >= 0 and reference(letter, number) == ref else None
