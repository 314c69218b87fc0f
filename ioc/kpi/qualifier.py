"""How exact a number is when its parts are not: "gần 1,9 triệu" documents and "trên 7,5 tỷ" saved by each."""

from __future__ import annotations

from collections.abc import Iterable

_TURNED = {"at_least": "at_most", "at_most": "at_least"}


def together(parts: Iterable[str]) -> str:
    """Return the qualifier of a sum: a bound where all that is inexact is a bound on the same side, else "about"."""
    found = {part for part in parts if part != "exact"}
    if not found:
        return "exact"
    return found.pop() if len(found) == 1 else "about"


def turned(qualifier: str) -> str:
    """Return the qualifier of what is taken away or divided by: more below is less in all."""
    return _TURNED.get(qualifier, qualifier)
