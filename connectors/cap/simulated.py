"""The simulated source of warnings: `/warnings/index.atom` and a CAP 1.2 message behind each entry.

Two to four warnings a day over real communes, each for some hours and for a polygon, one in four a circle; one in three is updated, one in five cancelled; on
Wednesdays an exercise. Everything says that it is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.case import DAY
from ioc.simulator.chance import below, key_of, pick, unit
from ioc.simulator.province import Province
from ioc.simulator.source import BadRequest, Mounted, Source, with_etag

FEED, SENDER = "warnings", "canhbao@example.org"
HOUR = 3600
EVENTS = (
    ("Mưa lớn, ngập úng", "Heavy rain, flooding", "Met"), ("Lũ quét, sạt lở đất", "Flash flood, landslide", "Geo"), ("Dông, lốc, sét, mưa đá", "Thunderstorm, hail", "Met"),
    ("Rét đậm, rét hại", "Severe cold", "Met"), ("Nguy cơ cháy rừng", "Forest fire danger", "Fire"), ("Sương mù dày đặc", "Dense fog", "Met"),
)  # fmt: skip
SEVERITIES = ("Minor", "Moderate", "Moderate", "Severe", "Extreme")


@dataclass(frozen=True)
class Message:
    """A message: `what` is Alert, Update, Cancel or Exercise; times in story seconds."""

    identifier: str
    what: str
    sent: float
    ends: float
    key: int
    of: str = ""  # identifier it refers to
    of_sent: float = 0.0


class Warnings:
    """The warnings of the province, made from day and seed alone."""

    def __init__(self, province: Province) -> None:
        self.province = province

    def day(self, day: int) -> Iterator[Message]:
        """Yield the messages first issued on this day of the story (days since 1970, UTC)."""
        for n in range(2 + below(key_of(self.province.seed, "warnings", day), "count", 3)):
            key = key_of(self.province.seed, f"warning-{n}", day)
            sent = day * DAY + float(below(key, "sent", DAY))
            ends = sent + HOUR * (3 + below(key, "hours", 10))
            name = f"TN-{day}-{n}"
            yield Message(name, "Alert", sent, ends, key)
            again = sent + (ends - sent) * 0.4
            if unit(key, "fate") < 0.33:
                yield Message(f"{name}-U", "Update", again, ends + 2 * HOUR, key + 1, name, sent)
            elif unit(key, "fate") < 0.53:
                yield Message(f"{name}-X", "Cancel", again, again + HOUR, key, name, sent)
        if day % 7 == 6:  # Wednesday: 1 January 1970 was a Thursday
            yield Message(f"DIENTAP-{day}", "Exercise", day * DAY + 2.0 * HOUR, day * DAY + 5.0 * HOUR, key_of(self.province.seed, "exercise", day))

    def listed(self, now: float) -> list[Message]:
        """Return the messages the index shows: issued, not over, not replaced or withdrawn by a later one."""
        today = int(now // DAY)
        told = [m for day in range(today - 2, today + 1) for m in self.day(day) if m.sent <= now < m.ends]
        replaced = {m.of for m in told if m.of}
        return [m for m in told if m.identifier not in replaced]

    def xml(self, message: Message) -> bytes:
        """Return the message as CAP 1.2."""
        iso = self.province.iso
        vi, en, category = pick(message.key, "event", EVENTS)
        severity = pick(message.key, "severity", SEVERITIES)
        area = self.province.places.commune(message.key, "warned")
        where = _circle(message.key, area.lat, area.lon) if unit(message.key, "round") < 0.25 else _polygon(message.key, area.lat, area.lon)
        reference = f"<references>{SENDER},{message.of},{iso(message.of_sent)}</references>" if message.of else ""
        kind, status = ("Alert", "Exercise") if message.what == "Exercise" else (message.what, "Actual")

        def info(lang: str, event: str, sender: str, place: str) -> str:
            return (
                f"<info><language>{lang}</language><category>{category}</category><event>{escape(event)}</event><urgency>Expected</urgency><severity>{severity}</severity>"
                f"<certainty>Likely</certainty><effective>{iso(message.sent)}</effective><expires>{iso(message.ends)}</expires><senderName>{escape(sender)}</senderName>"
                f"<area><areaDesc>{escape(place)}</areaDesc>{where}</area></info>"
            )

        blocks = info("vi-VN", vi, "Đài Khí tượng Thủy văn tỉnh (mô phỏng)", area.name) + info("en-US", en, "Provincial weather station (simulated)", area.name_en)
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>{message.identifier}</identifier><sender>{SENDER}</sender>'
            f"<sent>{iso(message.sent)}</sent><status>{status}</status><msgType>{kind}</msgType><scope>Public</scope>{reference}{blocks}</alert>\n"
        ).encode()

    def index(self, base: str) -> bytes:
        """Return the Atom index."""
        iso, now = self.province.iso, self.province.now()
        entries = "".join(
            f"<entry><id>urn:x-ioc:{m.identifier}</id><title>{m.identifier}</title><updated>{iso(m.sent)}</updated>"
            f'<link rel="alternate" type="application/cap+xml" href="{escape(base)}/alerts/{m.identifier}.xml"/></entry>\n'
            for m in self.listed(now)
        )
        newest = max((m.sent for m in self.listed(now)), default=now - now % DAY)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:x-ioc:warnings</id><title>Cảnh báo (mô phỏng)</title><updated>{iso(newest)}</updated>\n{entries}</feed>\n'.encode()


def _polygon(key: int, lat: float, lon: float) -> str:
    """Return an outline of ten corners around a place, longer than wide, as valleys are."""
    long, wide, turn = 0.06 + 0.1 * unit(key, "long"), 0.035 + 0.03 * unit(key, "wide"), math.pi * unit(key, "turn")
    corners = []
    for i in range(10):
        along, across = long * math.cos(math.pi * i / 5), wide * math.sin(math.pi * i / 5) * (1.25 if i % 5 == 2 else 1)
        corners.append(f"{lat + along * math.sin(turn) + across * math.cos(turn):.4f},{lon + along * math.cos(turn) - across * math.sin(turn):.4f}")
    return f"<polygon>{' '.join([*corners, corners[0]])}</polygon>"


def _circle(key: int, lat: float, lon: float) -> str:
    return f"<circle>{lat:.4f},{lon:.4f} {6 + 8 * unit(key, 'wide'):.1f}</circle>"


def mount(province: Province) -> Mounted:
    """Return the routes, and the truth: each message issued in a time, and whether it is still listed at its end."""
    warnings = Warnings(province)

    async def index(request: Request) -> Response:
        return with_etag(request, warnings.index(str(request.url).partition("/index.atom")[0]), "application/atom+xml")

    async def message(request: Request) -> Response:
        found = next((m for m in warnings.listed(province.now()) if m.identifier == request.path_params["name"]), None)
        if found is None:
            raise BadRequest("no such warning is in force", 404)
        return with_etag(request, warnings.xml(found), "application/cap+xml")

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        listed = {m.identifier for m in warnings.listed(until)}
        for day in range(int(since // DAY) - 1, int(until // DAY) + 1):
            for m in warnings.day(day):
                if since < m.sent <= until:
                    yield {"id": m.identifier, "status": "listed" if m.identifier in listed else "over", "what": m.what, "sent": datetime.fromtimestamp(m.sent, UTC).isoformat()}

    return Mounted({"/index.atom": index, "/alerts/{name}.xml": message}, truth)


SOURCE = Source(FEED, mount)
