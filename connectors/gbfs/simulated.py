"""The simulated bike sharing: `/bikes/gbfs.json` (GBFS 3.0) and the files it names: eighteen stations, about two hundred bikes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.chance import below, key_of, unit
from ioc.simulator.places import place_key
from ioc.simulator.province import Province
from ioc.simulator.source import Endpoint, Mounted, Source, json_response

FEED = "bikes"
STATIONS, BIKES, DOCKS = 18, 45, 20
FILES = ("station_information", "station_status", "vehicle_status")


def stations(province: Province, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the stations and what stands there in this quarter of an hour."""
    hub = province.places.departments[0].area
    slot = int(now.timestamp()) // 900
    for n in range(STATIONS):
        key = place_key(province.seed, "bike station", n)
        lat, lon = province.places.point(hub, key)
        bikes = below(key_of(key, slot), "bikes", DOCKS - 3)
        broken = 1 if unit(key_of(key, slot // 8), "broken") < 0.25 else 0
        yield {"station_id": f"TN-{n + 1:02d}", "name": f"Trạm xe đạp {n + 1:02d}", "lat": lat, "lon": lon, "bikes": bikes, "broken": broken, "renting": unit(key_of(key, slot // 96), "closed") > 0.03}


def bikes(province: Province, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the bikes that stand free on the street; a bike's id changes with the slot it was put there."""
    hub = province.places.departments[0].area
    for n in range(BIKES):
        stay = 3600 * (1 + below(key_of(province.seed, "bike", n), "stay", 5))
        slot, inside = divmod(int(now.timestamp()), stay)
        key = key_of(province.seed, "bike", n, slot)
        if inside < stay * 0.15:  # being ridden
            continue
        lat, lon = province.places.point(hub, key)
        yield {"vehicle_id": f"{key:016x}", "lat": lat, "lon": lon, "is_disabled": unit(key, "disabled") < 0.05, "is_reserved": unit(key, "reserved") < 0.1, "since": slot * stay + int(stay * 0.15)}


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is every station and free bike."""

    def answer(data: dict[str, Any], now: datetime) -> Response:
        return json_response({"last_updated": now.replace(second=0, microsecond=0).isoformat(), "ttl": 60, "version": "3.0", "data": data})

    def at() -> datetime:
        return province.local(province.now())

    async def discovery(request: Request) -> Response:
        return answer({"feeds": [{"name": name, "url": str(request.url.replace(path=f"/{FEED}/{name}.json", query=""))} for name in FILES]}, at())

    async def information(request: Request) -> Response:
        now = at()
        return answer({"stations": [{"station_id": s["station_id"], "name": [{"text": s["name"], "language": "vi"}], "lat": s["lat"], "lon": s["lon"], "capacity": DOCKS} for s in stations(province, now)]}, now.replace(hour=0, minute=0))

    async def numbers(request: Request) -> Response:
        now = at()
        reported = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0).isoformat()
        rows = [
            {"station_id": s["station_id"], "is_installed": True, "is_renting": s["renting"], "is_returning": True, "last_reported": reported, "num_vehicles_available": s["bikes"], "num_vehicles_disabled": s["broken"], "num_docks_available": DOCKS - s["bikes"] - s["broken"]}
            for s in stations(province, now)
        ]
        return answer({"stations": rows}, now)

    async def free(request: Request) -> Response:
        now = at()
        rows = [{name: bike[name] for name in ("vehicle_id", "lat", "lon", "is_disabled", "is_reserved")} | {"vehicle_type_id": "bike", "last_reported": datetime.fromtimestamp(bike["since"], now.tzinfo).isoformat()} for bike in bikes(province, now)]
        return answer({"vehicles": rows}, now)

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        now = province.local(until)
        for station in stations(province, now):
            yield {"id": f"station:{station['station_id']}", "status": "open" if station["renting"] else "closed", "bikes": station["bikes"]}
        for bike in bikes(province, now):
            yield {"id": f"vehicle:{bike['vehicle_id']}", "status": "disabled" if bike["is_disabled"] else "free"}

    routes: dict[str, Endpoint] = {"/gbfs.json": discovery, "/station_information.json": information, "/station_status.json": numbers, "/vehicle_status.json": free}
    return Mounted(routes, truth)


SOURCE = Source(FEED, mount)
