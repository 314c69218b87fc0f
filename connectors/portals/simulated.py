"""The simulated probe of web portals: `/portals/status.json`, each portal as it was found at the last minute.

Counters are texts as pages show them: labels glued to numbers, thousands with commas.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.chance import key_of, normal, unit
from ioc.simulator.places import DEPARTMENTS, person
from ioc.simulator.province import Province
from ioc.simulator.source import Mounted, Source, json_response

FEED = "portals"
FIRST = ("Cổng thông tin điện tử tỉnh", "Cổng dịch vụ công", "Cổng dữ liệu mở")
OUTAGE_HOURS = 3
_HOURS = (0, 0.005, 0.008, 0.01, 0.015, 0.02, 0.04, 0.08, 0.18, 0.29, 0.39, 0.46, 0.5, 0.55, 0.64, 0.73, 0.81, 0.86, 0.89, 0.92, 0.95, 0.975, 0.99, 0.995, 1)  # of a day's visits, by the hour
_SINCE = datetime(2024, 1, 1).toordinal()  # noqa: DTZ001 (a calendar day)


def names() -> list[str]:
    """Return the portals' names."""
    return [*FIRST, *(f"Trang thông tin {name}" for name in DEPARTMENTS)]


def visits(seed: int, portal: int, day: int) -> int:
    """Return the visits of a whole day (an ordinal)."""
    usual = (14_000, 6_500, 420)[portal] if portal < len(FIRST) else 260 + 90 * (portal % 5)
    weekend = 0.55 if day % 7 in (0, 6) else 1.0  # an ordinal's rest is 0 on Sundays
    return round(usual * weekend * max(0.4, 1 + 0.12 * normal(key_of(seed, "portal", portal, day), "visits")))


def counters(seed: int, portal: int, now: datetime) -> tuple[int, int, int, int]:
    """Return who is there now, and the visits of today, of this month, and since 2024."""
    day = now.toordinal()
    share = _HOURS[now.hour] + (_HOURS[now.hour + 1] - _HOURS[now.hour]) * now.minute / 60
    today = round(visits(seed, portal, day) * share)
    month = today + sum(visits(seed, portal, d) for d in range(day - now.day + 1, day))
    online = max(1, round(visits(seed, portal, day) * (_HOURS[now.hour + 1] - _HOURS[now.hour]) / 12))
    return online, today, month, today + sum(visits(seed, portal, d) for d in range(_SINCE, day))


def status(seed: int, portal: int, now: datetime) -> str:
    """Return whether the portal answers: an outage holds for minutes of one of its slots."""
    slot, inside = divmod(int(now.timestamp()), OUTAGE_HOURS * 3600)
    key = key_of(seed, "outage", portal, slot)
    if unit(key, "happens") > 0.03:
        return "up"
    return ("slow" if unit(key, "kind") < 0.5 else "down") if inside < 1200 + 5400 * unit(key, "length") else "up"


def rows(province: Province, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the list as the probe wrote it in the last whole minute."""
    looked = now.replace(second=0, microsecond=0)
    for portal, name in enumerate(names()):
        state, key = status(province.seed, portal, looked), key_of(province.seed, "probe", portal, int(looked.timestamp()))
        online, today, month, total = counters(province.seed, portal, looked)
        wait = round(max(40.0, (2600 if state == "slow" else 240 + 15 * portal) * (1 + 0.25 * normal(key, "wait"))))
        yield {
            "id": f"portal-{portal + 1:02d}", "name": name, "commune": province.places.departments[0].area.code, "checked": looked.isoformat(), "status": state,
            "latency_ms": None if state == "down" else wait,
            "counter": None if state == "down" else f"Đang truy cập{online:,} Hôm nay{today:,} Tháng hiện tại{month:,} Tổng {total:,}",
            "page": f"Chịu trách nhiệm: {person(key_of(province.seed, 'editor', portal))}",
        }  # fmt: skip


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is the list as it stands."""
    days: dict[int, dict[str, Any]] = {}

    async def listed(request: Request) -> Response:
        now = province.local(province.now())
        minute = int(now.timestamp()) // 60
        if minute not in days:
            days.clear()
            days[minute] = {"portals": list(rows(province, now))}
        return json_response(days[minute])

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for portal, row in enumerate(rows(province, province.local(until))):
            online, today, month, total = counters(province.seed, portal, province.local(until))
            yield {"id": row["id"], "status": row["status"], "online": online, "today": today, "month": month, "total": total}

    return Mounted({"/status.json": listed}, truth)


SOURCE = Source(FEED, mount)
