"""Faults somebody asked for: what a source does wrong, how often, how long. Nothing here happens by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ioc.errors import UserError
from ioc.simulator.chance import key_of, unit

T = TypeVar("T")

KINDS = {
    "error": "answers with `status` (default 500)",
    "slow": "answers after `delay_s` seconds (default 5)",
    "rate_limit": "answers 429 with Retry-After `delay_s` seconds (default 2)",
    "bad_json": "cuts the body in the middle: neither JSON nor XML any more",
    "html": "answers an HTML page with status 200",
    "redirect": "redirects to `to` (default http://203.0.113.1/elsewhere)",
    "encoding": "sends the body in `encoding` (default cp1258), still called UTF-8",
    "endless_next": "every page has a next one",
    "duplicates": "lists a `share` of the records of a page twice",
    "reorder": "lists the records of a page in any order",
    "late": "once: `count` records opened up to 60 days ago",
    "corrected": "once: `count` known records again, with something corrected",
}
ONCE = ("late", "corrected")


@dataclass
class Fault:
    """A fault of a feed ('*' = all). It ends after `seconds`, or after `times` answers; `share` of the answers are hit."""

    feed: str
    fault: str
    share: float = 1.0
    seconds: float | None = None
    times: int | None = None
    status: int = 500
    delay_s: float | None = None
    to: str = "http://203.0.113.1/elsewhere"  # a documentation address (RFC 5737): nobody answers there
    encoding: str = "cp1258"
    count: int = 20
    began: float = field(default_factory=time.monotonic)
    hits: int = 0

    def over(self) -> bool:
        """Has it ended?"""
        return (self.seconds is not None and time.monotonic() - self.began > self.seconds) or (self.times is not None and self.hits >= self.times)


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self._asked = 0

    def add(self, wish: dict[str, Any], feeds: Sequence[str]) -> Fault:
        """Start a fault; raise `UserError` when the wish cannot be understood."""
        try:
            fault = Fault(**wish)
        except TypeError as exc:
            raise UserError(f"a fault needs feed and fault, and knows share, seconds, times, status, delay_s, to, encoding, count: {exc}") from exc
        if fault.fault not in KINDS:
            raise UserError(f"no fault is called {fault.fault!r}; known are {', '.join(KINDS)}")
        if fault.feed != "*" and fault.feed not in feeds:
            raise UserError(f"no feed is called {fault.feed!r}; known are {', '.join(feeds)}")
        if fault.fault not in ONCE:
            self.active.append(fault)
        return fault

    def clear(self, feed: str = "*") -> None:
        """End the faults of a feed, or all."""
        self.active = [] if feed == "*" else [fault for fault in self.active if fault.feed != feed]

    def hit(self, feed: str, kind: str) -> Fault | None:
        """Return the fault of this kind that this answer meets, or None."""
        if not self.active:
            return None
        self.active = [fault for fault in self.active if not fault.over()]
        for fault in self.active:
            if fault.fault == kind and fault.feed in ("*", feed):
                self._asked += 1
                if unit(key_of(self._asked), kind) < fault.share:
                    fault.hits += 1
                    return fault
        return None

    def shake(self, feed: str, records: list[T]) -> list[T]:
        """Return a page's records with duplicates and in disorder, when that is asked for."""
        if not self.active:
            return records
        salt = self._asked
        for kind in ("duplicates", "reorder"):
            for fault in self.active:
                if fault.fault != kind or fault.feed not in ("*", feed) or fault.over():
                    continue
                fault.hits += 1
                self._asked += 1
                if kind == "duplicates":
                    records = records + [r for n, r in enumerate(records) if unit(key_of(salt, n), kind) < fault.share]
                else:
                    order = sorted(range(len(records)), key=lambda n: unit(key_of(salt, n), "reorder"))
                    records = [records[n] for n in order]
        return records


def parse(text: str) -> dict[str, Any]:
    """Read `FEED:FAULT[:NAME=VALUE...]` from a command line; raise `UserError` when it is not so."""
    feed, _, rest = text.partition(":")
    kind, *options = rest.split(":")
    wish: dict[str, Any] = {"feed": feed, "fault": kind}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise UserError(f"{text!r}: write FEED:FAULT:NAME=VALUE, for example '*:slow:delay_s=2'")
        wish[name] = _value(name, value)
    return wish


def _value(name: str, value: str) -> float | int | str:
    try:
        if name in ("status", "times", "count"):
            return int(value)
        return value if name in ("to", "encoding") else float(value)
    except ValueError as exc:
        raise UserError(f"{name}={value}: not a number") from exc
