"""What the runner needs from the outside: somewhere to publish, somewhere to remember how far it read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from ioc.events import DeadLetter, Event


class Publisher(Protocol):
    """The bus. Everything may raise `ioc.errors.Unavailable`."""

    def send(self, feed: str, event: Event) -> None:
        """Buffer one event of `feed`."""

    def dead_letter(self, letter: DeadLetter) -> None:
        """Buffer one dead letter."""

    def heartbeat(self, feed: str, at: datetime) -> None:
        """Buffer the sign of life of a source that was asked at `at`."""

    def flush(self, timeout_s: float = 30) -> None:
        """Return when everything sent since the last flush is acknowledged, else raise `Unavailable`."""


class Cursors(Protocol):
    """Where each feed will go on. Everything may raise `ioc.errors.Unavailable`."""

    def load(self, feed: str) -> dict[str, Any]:
        """Return the saved cursor, {} when there is none."""

    def save(self, feed: str, cursor: dict[str, Any], *, records: int, at: datetime) -> None:
        """Save the cursor and count a poll that went well."""

    def shape(self, feed: str) -> dict[str, Any]:
        """Return what the feed's records looked like, {} when nobody knows."""

    def keep_shape(self, feed: str, shape: dict[str, Any], change: str, at: datetime) -> None:
        """Remember what they look like; `change`: what changed, in words ("" nothing)."""

    def counted(self, feed: str, *, bytes_read: int, doubtful: int) -> None:
        """Add what a poll read and marked as doubtful."""

    def failed(self, feed: str, error: str, at: datetime, kind: str = "retriable", cause: str = "") -> None:
        """Count a poll that failed, with what went wrong, which kind of error it was, and why as screens say it (ioc/causes.py)."""
