"""Units and sense: a number that can hardly be right is kept, marked with why, and never set right.

A connector says for a metric what is sensible (`Connector.sense`, or `sense` in connector.yaml). Three checks:

* range     below `low` or above `high`
* counter   smaller than the thing's reading before it
* siblings  about a thousand times more, or less, than the other things on the same page say: a slip of the unit

What counters last said travels with the feed's cursor, so a restart forgets nothing and doubts nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from ioc.doubts import doubt, together
from ioc.events import Event, Observation, make

FEW = 5  # values on a page, from as many things, before one is compared with the others
SLIP = (Decimal(300), Decimal(3000))  # how many times more, or less, counts as a thousand
MOST_COUNTERS = 5_000  # of a feed that are remembered; the oldest readings are forgotten

Counters = dict[str, list[str]]  # "metric|subject" -> [time, value]


class Sense(BaseModel):
    """What is sensible for a metric."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float | None = Field(None, description="Below it a value is kept and marked as doubtful.")
    high: float | None = Field(None, description="Above it a value is kept and marked as doubtful.")
    counter: bool = Field(False, description="It only grows: a reading smaller than the thing's last one is marked.")
    siblings: bool = Field(False, description="Things of one kind: a value about a thousand times more or less than the others on its page is marked (a slip of the unit).")


def doubted(rules: Mapping[str, Sense], page: list[Any], counters: Counters) -> list[Any]:
    """Return the outcomes of a page (lists of events, or dead letters), doubtful observations marked. `counters` grows."""
    typical = _typical(rules, page)
    return [[_looked_at(event, rules, typical, counters) for event in outcome] if isinstance(outcome, list) else outcome for outcome in page]


def _typical(rules: Mapping[str, Sense], page: list[Any]) -> dict[tuple[str, str], Decimal]:
    """Return (metric, unit) -> the middle of what the things of this page say, where enough of them say something."""
    values: dict[tuple[str, str], dict[str, Decimal]] = {}
    for outcome in page:
        for event in outcome if isinstance(outcome, list) else ():
            data = event.data
            if isinstance(data, Observation) and data.value and (rule := rules.get(data.metric)) and rule.siblings:
                values.setdefault((data.metric, data.unit), {})[event.subject] = abs(data.value)
    return {name: median(found.values()) for name, found in values.items() if len(found) >= FEW}


def _looked_at(event: Event, rules: Mapping[str, Sense], typical: Mapping[tuple[str, str], Decimal], counters: Counters) -> Event:
    data = event.data
    if not isinstance(data, Observation) or data.value is None or data.deleted or (rule := rules.get(data.metric)) is None:
        return event
    said = [text for text in (_range(rule, data), _slip(data, typical), _fell(event, data, counters) if rule.counter else "") if text and text not in (data.doubt or "")]
    if not said:
        return event
    return make(event.source, event.subject, event.time, msgspec.structs.replace(data, doubt=together([data.doubt, *said])))


def _range(rule: Sense, data: Observation) -> str:
    assert data.value is not None
    if rule.low is not None and data.value < Decimal(str(rule.low)):
        return doubt("below", what=data.metric, value=_shown(data), limit=f"{rule.low:g}")
    return doubt("above", what=data.metric, value=_shown(data), limit=f"{rule.high:g}") if rule.high is not None and data.value > Decimal(str(rule.high)) else ""


def _slip(data: Observation, typical: Mapping[tuple[str, str], Decimal]) -> str:
    usual = typical.get((data.metric, data.unit))
    if not usual or not data.value:
        return ""
    times = abs(data.value) / usual
    if SLIP[0] <= times <= SLIP[1]:
        return doubt("thousandfold", what=data.metric, value=_shown(data))
    if 1 / SLIP[1] <= times <= 1 / SLIP[0]:
        return doubt("thousandth", what=data.metric, value=_shown(data))
    return ""


def _fell(event: Event, data: Observation, counters: Counters) -> str:
    assert data.value is not None
    name = f"{data.metric}|{event.subject}"
    before = counters.get(name)
    if before is not None and event.time <= datetime.fromisoformat(before[0]):
        return ""  # late, or the same again
    counters[name] = [event.time.isoformat(), str(data.value)]
    while len(counters) > MOST_COUNTERS:
        del counters[min(counters, key=lambda key: counters[key][0])]
    if before is not None and data.value < Decimal(before[1]):
        return doubt("fell", what=data.metric, was=before[1], value=data.value)
    return ""


def _shown(data: Observation) -> str:
    return f"{data.value} {data.unit}" if data.unit != "1" else str(data.value)
