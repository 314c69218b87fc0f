"""Records somebody asked for: cases that come late, known cases told again with something corrected."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ioc.simulator.case import CORRECTED, Changes
from ioc.simulator.chance import key_of
from ioc.simulator.rhythm import ORIGIN
from ioc.simulator.stream import PER_SLOT, Cases, Stream

Ref: TypeAlias = tuple[int, int]  # letter, number
_MOST = 10_000


class Wishes:
    """What was asked for. Bounded; forgotten at a restart."""

    def __init__(self, extra: Stream) -> None:
        self._extra = extra
        self._late: dict[int, int] = {}  # when -> how many
        self._corrected: dict[Ref, list[int]] = {}

    def ask_late(self, at: int, count: int) -> None:
        """Let `count` cases be told at story second `at` that were opened long before."""
        self._late[at] = min(self._late.get(at, 0) + count, _MOST)
        if len(self._late) > 100:
            self._late.pop(next(iter(self._late)))

    def ask_correction(self, ref: Ref, at: int) -> None:
        """Let a case be told again at `at`."""
        self._corrected.setdefault(ref, []).append(at)
        if len(self._corrected) > _MOST:
            self._corrected.pop(next(iter(self._corrected)))

    def late(self, until: float) -> Cases:
        """Return the late cases told by `until`."""
        return Cases.join([self._draw(at, count) for at, count in self._late.items() if at <= until])

    def late_case(self, number: int) -> Cases | None:
        """Return one of them by its number."""
        slot, index = divmod(number, PER_SLOT)
        known = index < self._late.get(ORIGIN + slot, 0)
        return self._draw(ORIGIN + slot, index + 1).where(np.array([index])) if known else None

    def _draw(self, at: int, count: int) -> Cases:
        return self._extra.draw(key_of(at, "late"), at - ORIGIN, count, at)

    def corrections(self, ref: Ref, until: float) -> int:
        """Return how often a case was corrected by `until`."""
        return sum(at <= until for at in self._corrected.get(ref, ()))

    def corrected(self, found: Changes, since: float, until: float, find: Callable[[Ref], Cases | None], *, latest: bool, known: bool) -> Changes:
        """Return `found` with the corrections told in (since, until]; `known`: only those of cases that are in `found`;
        `latest`: a correction takes the place of what it corrects."""
        marks = {ref: [at for at in told if since < at <= until] for ref, told in self._corrected.items()}
        marks = {ref: told for ref, told in marks.items() if told}
        if not marks:
            return found
        refs = list(zip(found.letter.tolist(), found.cases.number.tolist(), strict=True))
        newest = dict(zip(refs, found.told.tolist(), strict=True))
        added, replaced = [], set()
        for ref, told in marks.items():
            cases = None if known and ref not in newest else find(ref)
            if cases is None or (latest and newest.get(ref, 0) > told[-1]):
                continue
            replaced.add(ref)
            for at in told[-1:] if latest else told:
                added.append(Changes(np.array([float(at)]), np.array([ref[0]]), np.array([CORRECTED]), cases))
        kept = found.where(np.array([not latest or ref not in replaced for ref in refs], dtype=np.bool_))
        return Changes.join([kept, *added])
