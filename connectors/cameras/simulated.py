"""The simulated camera management system: `/cameras/cameras.json`, every camera with its state and vehicles since midnight, and
`/cameras/still/N.png`, what camera N sees (simulated_stills.py); one that is offline has no picture.

A camera's state holds for two hours and is told again each quarter of an hour. No plate and no picture is meant by
`last_plate` and `snapshot_url`: they are there to be left unread.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connectors.cameras.simulated_stills import still
from ioc.simulator.chance import key_of, normal, unit
from ioc.simulator.places import place_key
from ioc.simulator.province import Province
from ioc.simulator.source import BadRequest, Mounted, Source, json_response

FEED = "cameras"
CAMERAS = 120
STATE_HOURS = 2
CLASSES = {"motorcycle": 5200, "car": 2100, "bus": 130, "truck": 420}  # past one camera on an ordinary day
_HOURS = (0, 0, 0, 0, 0.01, 0.03, 0.08, 0.18, 0.25, 0.3, 0.35, 0.41, 0.47, 0.51, 0.56, 0.61, 0.68, 0.78, 0.86, 0.91, 0.95, 0.98, 0.99, 1, 1)  # how much of a day's vehicles has passed by the hour


def status(seed: int, camera: int, slot: int) -> str:
    """Return the state of a camera in one slot of `STATE_HOURS` since 1970."""
    x = unit(key_of(seed, "camera", camera, slot), "status")
    return "offline" if x < 0.05 else "frozen" if x < 0.07 else "blurred" if x < 0.08 else "covered" if x < 0.085 else "online"


def _silent(seed: int, camera: int, at: datetime) -> int:
    """Return for how many seconds the camera has been offline, at most since two slots before this one."""
    slot, inside = divmod(int(at.timestamp()), STATE_HOURS * 3600)
    silent = 0
    for back in range(3):
        if status(seed, camera, slot - back) != "offline":
            break
        silent += STATE_HOURS * 3600 if back else inside
    return silent


def vehicles(seed: int, camera: int, at: datetime) -> dict[str, int]:
    """Return the vehicles that passed since midnight, by class."""
    done = _HOURS[at.hour] + (_HOURS[at.hour + 1] - _HOURS[at.hour]) * at.minute / 60
    key = key_of(seed, "traffic", camera, at.date().toordinal())
    return {name: round(max(0.2, 1 + 0.3 * normal(key, name)) * usual * done) for name, usual in CLASSES.items()}


def cameras(province: Province, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the list as it is at `now` (local time)."""
    told = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
    for n, area in enumerate(province.places.spread(CAMERAS), 1):
        lat, lon = province.places.point(area, place_key(province.seed, "camera", n))
        is_now = status(province.seed, n, int(told.timestamp()) // (STATE_HOURS * 3600))
        row: dict[str, Any] = {
            "id": f"CAM-{n:03d}", "name": f"Camera {n:03d}, {area.name}", "commune": area.code, "lat": lat, "lon": lon, "status": is_now,
            "updated": told.isoformat(), "silent_s": _silent(province.seed, n, told), "last_plate": "20A-000.00", "snapshot_url": f"http://192.0.2.10/{n}.jpg",
        }  # fmt: skip
        if n % 3 == 1:  # the others do not look at a road
            working = told if is_now == "online" else told - timedelta(minutes=min(_silent(province.seed, n, told) // 60, told.hour * 60 + told.minute))
            row["vehicles_today"] = vehicles(province.seed, n, working)
        yield row


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is the list as it stands."""

    async def listed(request: Request) -> Response:
        return json_response({"cameras": list(cameras(province, province.local(province.now())))})

    async def picture(request: Request) -> Response:
        name = request.path_params["number"]
        if not name.isdigit() or not 1 <= int(name) <= CAMERAS:
            raise BadRequest("no such camera", 404)
        now = province.local(province.now())
        if status(province.seed, int(name), int(now.timestamp()) // (STATE_HOURS * 3600)) == "offline":
            raise BadRequest("the camera does not answer", 503)
        return Response(still(int(name), now), media_type="image/png", headers={"Cache-Control": "no-store"})

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for row in cameras(province, province.local(until)):
            yield {"id": row["id"], "status": row["status"], "silent_s": row["silent_s"], **row.get("vehicles_today", {})}

    return Mounted({"/cameras.json": listed, "/still/{number}.png": picture}, truth)


SOURCE = Source(FEED, mount)
