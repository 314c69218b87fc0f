"""The simulated bus company: `/buses/vehicle_positions.pb`, thirty buses on six routes from 5:30 to 21:00 and six at night, protobuf as agencies send it.

Buses go along straight lines between communes' centres. Plates are invented; on two routes they serve as ids, as agencies do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from google.transit.gtfs_realtime_pb2 import FeedMessage
from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.chance import key_of, unit
from ioc.simulator.province import Province
from ioc.simulator.source import Mounted, Source

FEED = "buses"
ROUTES, BUSES = 6, 5  # buses a route
SPEED_KMH = 26.0
EVERY_S = 10  # how often positions are renewed


@dataclass(frozen=True)
class Route:
    """A line of points (lat, lon) and how far along it each lies, in km; buses go there and back."""

    name: str
    points: tuple[tuple[float, float], ...]
    along: tuple[float, ...]

    def at(self, km: float) -> tuple[float, float]:
        """Return the point `km` along the way there and back."""
        length = self.along[-1]
        km %= 2 * length
        km = km if km <= length else 2 * length - km
        n = next(i for i in range(1, len(self.along)) if km <= self.along[i])
        part = (km - self.along[n - 1]) / (self.along[n] - self.along[n - 1])
        (a, b), (c, d) = self.points[n - 1], self.points[n]
        return round(a + (c - a) * part, 6), round(b + (d - b) * part, 6)


def routes(province: Province) -> list[Route]:
    """Return the routes: each from a commune around the centre through the centre to another and beyond."""
    hub = province.places.departments[0].area
    near = sorted((area for area in province.places.communes if area.code != hub.code), key=lambda area: _km((hub.lat, hub.lon), (area.lat, area.lon)))
    found = []
    for n in range(ROUTES):
        stops = [near[n + 8], near[n], hub, near[n + 4], near[n + 14]]
        points = tuple((area.lat, area.lon) for area in stops)
        along = [0.0]
        for a, b in pairwise(points):
            along.append(along[-1] + _km(a, b))
        found.append(Route(f"{n + 1:02d}", points, tuple(along)))
    return found


def _km(a: tuple[float, float], b: tuple[float, float]) -> float:
    return math.hypot((a[0] - b[0]) * 110.6, (a[1] - b[1]) * 111.3 * math.cos(math.radians(a[0])))


def buses(province: Province, lines: list[Route], now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the buses that are on the road at `now` (local time)."""
    told = int(now.timestamp()) // EVERY_S * EVERY_S
    minutes = now.hour * 60 + now.minute
    night = not 330 <= minutes < 1260
    for r, line in enumerate(lines):
        for n in range(BUSES):
            key = key_of(province.seed, "bus", r, n)
            if n > 0 if night else unit(key_of(key, told // 3600), "rests") < 0.12:
                continue
            km = SPEED_KMH * told / 3600 + 2 * line.along[-1] * (n + unit(key, "shift")) / BUSES
            lat, lon = line.at(km)
            stands = unit(key_of(key, told // 60), "stands") < 0.2
            yield {
                "route": line.name, "trip": f"{line.name}-{n + 1}", "lat": lat, "lon": lon, "told": told, "speed": 0.0 if stands else round(SPEED_KMH / 3.6 * (0.8 + 0.4 * unit(key_of(key, told), "speed")), 1),
                "plate": f"20B-{r:01d}{n:02d}.{10 + n:02d}", "id": f"20B-{r:01d}{n:02d}.{10 + n:02d}" if r < 2 else f"TN-{r + 1}{n + 1:02d}",
            }  # fmt: skip


def message(found: list[dict[str, Any]], at: datetime) -> bytes:
    """Return the buses as GTFS Realtime says them."""
    feed = FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.timestamp = int(at.timestamp())
    for n, bus in enumerate(found):
        entity = feed.entity.add()
        entity.id = str(n)
        vehicle = entity.vehicle
        vehicle.trip.trip_id, vehicle.trip.route_id = bus["trip"], bus["route"]
        vehicle.position.latitude, vehicle.position.longitude, vehicle.position.speed = bus["lat"], bus["lon"], bus["speed"]
        vehicle.timestamp = bus["told"]
        vehicle.vehicle.id, vehicle.vehicle.license_plate = bus["id"], bus["plate"]
    return bytes(feed.SerializeToString())


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is every bus that is on the road."""
    lines = routes(province)

    async def positions(request: Request) -> Response:
        now = province.local(province.now())
        return Response(message(list(buses(province, lines, now)), now), media_type="application/x-protobuf")

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for bus in buses(province, lines, province.local(until)):
            yield {"id": bus["id"] if not bus["id"].startswith("20B") else f"trip:{bus['trip']}", "status": "on the road", "route": bus["route"], "lat": bus["lat"], "lon": bus["lon"]}

    return Mounted({"/vehicle_positions.pb": positions}, truth)


SOURCE = Source(FEED, mount)
