"""The simulated call centres of 113 (police), 114 (fire, rescue) and 115 (ambulance): they post each call as it goes on.

Nothing is served: `posts` is what the simulator sends to `POST /api/events/emergency-calls`. A call is told with its service,
commune and times; who called, from where exactly and why stays with the call centre.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from ioc.events import Case, Event, Observation, make
from ioc.simulator.case import Case as Call
from ioc.simulator.chance import unit
from ioc.simulator.province import Province
from ioc.simulator.rhythm import HOUR, Profile
from ioc.simulator.source import Mounted, Source
from ioc.simulator.stream import Script, Step

FEED = "emergency-calls"
SOURCE_URI = "/call-centres/113-114-115"
_DAY = Profile((0.5, 0.4, 0.35, 0.3, 0.3, 0.45, 0.8, 1.1, 1.15, 1.1, 1.1, 1.15, 1.1, 1.05, 1.1, 1.15, 1.3, 1.5, 1.6, 1.6, 1.5, 1.3, 1.0, 0.7), saturday=1.1, sunday=1.15, holiday=1.3)


def _call(service: str, weight: float, **hours: float) -> Script:
    return Script(weight, (Step(0, "received"), *(Step(after, what) for what, after in hours.items())), service)


SCRIPTS = [
    _call("113", 22, dispatched=0.03, on_scene=0.16, finished=0.9),
    _call("113", 14, dispatched=0.05, on_scene=0.3, finished=1.8),
    _call("113", 5, false_call=0.08),
    _call("114", 5, dispatched=0.02, on_scene=0.18, finished=1.4),
    _call("114", 3, dispatched=0.02, on_scene=0.42, finished=4.5),
    _call("114", 1, false_call=0.1),
    _call("115", 26, dispatched=0.04, on_scene=0.2, finished=0.8),
    _call("115", 16, dispatched=0.06, on_scene=0.38, finished=1.3),
    _call("115", 4, cancelled=0.2),
]
_ENDS = ("finished", "false_call", "cancelled")


class Calls:
    """The emergency calls of the province."""

    def __init__(self, province: Province) -> None:
        self.province = province
        self.flow = province.flow(FEED, FEED, SCRIPTS, _DAY, share=0.02, thin_per_day=70, nights=True)

    def posts(self, since: float, until: float) -> Iterator[Event]:
        """Yield what the call centres post for this time: each call that changed, as it stands, and how long help took to come."""
        for call in self.flow.cases(self.flow.changes(since, until)):
            subject, area = self._subject(call), self.province.places.commune(call.key).code
            ended = call.changed if call.what in _ENDS else None
            case = Case(
                status="closed" if ended else "open", native_status=call.what, outcome=call.what if ended else None, category=call.script.theme, area=area, channel="phone",
                opened_at=self.province.wall(call.at[0]), closed_at=self.province.wall(ended) if ended else None,
            )  # fmt: skip
            yield make(SOURCE_URI, subject, self.province.wall(call.changed), case)
            if (there := self._there(call)) is not None:
                minutes = Decimal(round((there - call.at[0]) / 6)) / 10
                yield make(SOURCE_URI, subject, self.province.wall(there), Observation(metric="response", value=minutes, unit="min", area=area))

    def truth(self, since: float, until: float) -> Iterable[dict[str, Any]]:
        """Each call that changed in the window, as it stood at its end."""
        for call in self.flow.cases(self.flow.changes(since, until)):
            yield {
                "id": self._subject(call), "status": call.what, "category": call.script.theme, "area": self.province.places.commune(call.key).code,
                "opened_at": self.province.iso(call.at[0]), "updated_at": self.province.iso(call.changed),
            }  # fmt: skip

    @staticmethod
    def _there(call: Call) -> float | None:
        """Return when help was there; it is told a little later."""
        told = call.when("on_scene")
        usual = next((step.after for step in call.script.steps if step.what == "on_scene"), 0.0)
        return None if told is None else min(told, call.at[0] + round(usual * HOUR * (0.6 + unit(call.key, "way"))))

    @staticmethod
    def _subject(call: Call) -> str:
        return f"CG-{call.ref}"


def mount(province: Province) -> Mounted:
    """Set the source up."""
    calls = Calls(province)
    return Mounted({}, calls.truth, calls.posts)


SOURCE = Source(FEED, mount)
