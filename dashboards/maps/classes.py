"""Class breaks for a choropleth: few, round, and steady while the numbers move a little."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

CLASSES = 5


def breaks(values: Iterable[float | None], *, whole: bool) -> list[float]:
    """Return the inner breaks, rising: value < first break is class 0, and so on. At most `CLASSES` - 1 of them.

    `whole`: the values are counts, so breaks are whole numbers. No values, or all equal: no break, one class.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return []
    low, high = min(known), max(known)
    if whole:
        low = min(low, 0.0) if low <= high / 2 else low
    if low == high:
        return []
    step = nice((high - low) / CLASSES)
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first = (math.floor(low / step) + 1) * step
    # Rounding hides the error of repeated addition: 0.1 * 3.
    found = [round(first + i * step, 6) for i in range(CLASSES - 1)]
    return [edge for edge in found if edge <= high]


def nice(step: float) -> float:
    """Return the next of 1, 2, 2.5, 5, 10 x 10^n that is at least `step`."""
    size = 10.0 ** math.floor(math.log10(step))
    return next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= step * (1 - 1e-9))


def class_of(value: float | None, edges: list[float]) -> int | None:
    """Return the class of `value` from 0, None for no value."""
    if value is None or not math.isfinite(value):
        return None
    return sum(value >= edge for edge in edges)


def ranges(edges: list[float], *, whole: bool) -> list[tuple[float | None, float | None]]:
    """Return (from, to) of each class for the legend; the ends are open. For counts `to` is the last number inside."""
    bounds = [None, *edges, None]
    return [(low, high - 1 if whole and high is not None else high) for low, high in pairwise(bounds)]


def shade(i: int, classes: int) -> int:
    """Return which of the palette's `CLASSES` shades class `i` has, so that few classes still span light to dark."""
    return i if classes < 2 else round(i * (CLASSES - 1) / (classes - 1))
