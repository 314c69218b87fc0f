"""How fresh a feed is, by its own cadence: live, late, stale, lost, or never heard of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ioc.config import POLL_GRACE_S
from ioc.kpi.tile import STATES, State

# (state, cadences a feed may be silent and still be in it), best first; beyond the last it is lost
_LIMITS: tuple[tuple[State, float], ...] = (("live", 1), ("late", 3), ("stale", 10))


def state(now: datetime, cadence_s: float, checked_at: datetime | None, received_at: datetime | None) -> State:
    """Return the state of a feed asked every `cadence_s` seconds, last heard of at the newer of the two times."""
    heard = [at for at in (checked_at, received_at) if at is not None]
    if not heard:
        return "never"
    silent_s = (now - max(heard)).total_seconds()
    for name, cadences in _LIMITS:
        if silent_s <= cadences * cadence_s + POLL_GRACE_S:
            return name
    return "lost"


def worst(states: Iterable[State]) -> State:
    """Return the worst of `states`; "never" for none at all."""
    return max(states, key=STATES.index, default="never")


def missing(states: dict[str, State]) -> list[str]:
    """Return the feeds one should not rely on: stale, lost or never heard of."""
    return sorted(feed for feed, found in states.items() if STATES.index(found) >= STATES.index("stale"))
