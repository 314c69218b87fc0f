"""What was drawn last, and of what: a part of a screen is drawn anew only when what it shows has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Made = TypeVar("Made")


class Kept:
    """The newest drawing of each part of one screen, by name.

    Two threads may use it at once (the live link and playback): each gets the drawing of what it asked for.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[tuple[Any, ...], Any]] = {}

    def of(self, name: str, shown: tuple[Any, ...], draw: Callable[[], Made]) -> Made:
        """Return what `draw` makes of `shown`: everything it depends on, compared by value and never changed afterwards."""
        last = self._last.get(name)
        if last is None or last[0] != shown:
            last = self._last[name] = (shown, draw())
        made: Made = last[1]
        return made
