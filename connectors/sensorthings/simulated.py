"""The simulated environmental network: `/environment/v1.1/Datastreams` and `/Observations`, three days of it.

Air stations measure by the hour: particles are worst on winter mornings and evenings, ozone at noon. River gauges rise and
fall over days with the rain; rain comes in showers. A station in Võ Nhai falls silent on Sundays. All numbers follow from
seed, station and hour.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.chance import key_of, normal, unit
from ioc.simulator.province import Province
from ioc.simulator.source import BadRequest, Mounted, Source, instant, json_response, whole

FEED = "environment"
HOUR, DAYS = 3600, 3
_UG = {"name": "microgram per cubic metre", "symbol": "µg/m³", "definition": "ucum:ug/m3"}
_M = {"name": "metre", "symbol": "m", "definition": "ucum:m"}
_MM = {"name": "millimetre", "symbol": "mm", "definition": "ucum:mm"}
_CEL = {"name": "degree Celsius", "symbol": "°C", "definition": "ucum:Cel"}


@dataclass(frozen=True)
class Station:
    """A station: what it measures ("air", "river", "rain"), where, how dirty its air or how high its water usually is."""

    number: int
    name: str
    commune: str
    kind: str
    usual: float = 0.0
    alarms: tuple[float, float, float] | None = None


STATIONS = (
    Station(1, "Trạm không khí Hùng Vương", "Phường Phan Đình Phùng", "air", 1.15),
    Station(2, "Trạm không khí Gang Thép", "Phường Gia Sàng", "air", 1.45),
    Station(3, "Trạm không khí Sông Công", "Phường Sông Công", "air", 1.2),
    Station(4, "Trạm không khí Yên Bình", "Phường Vạn Xuân", "air", 1.1),
    Station(5, "Trạm không khí Bắc Kạn", "Phường Bắc Kạn", "air", 0.7),
    Station(6, "Trạm không khí Võ Nhai", "Xã Võ Nhai", "air", 0.6),
    Station(11, "Trạm thủy văn Gia Bảy (sông Cầu)", "Phường Phan Đình Phùng", "river", 22.6, (25.0, 26.0, 27.0)),
    Station(12, "Trạm thủy văn Chã (sông Cầu)", "Phường Trung Thành", "river", 6.1, (8.0, 9.0, 10.0)),
    Station(13, "Trạm thủy văn Thác Giềng (sông Cầu)", "Phường Đức Xuân", "river", 96.8, (99.0, 100.0, 101.0)),
    Station(21, "Trạm đo mưa Hồ Núi Cốc", "Xã Đại Phúc", "rain"),
    Station(22, "Trạm đo mưa Định Hóa", "Xã Định Hóa", "rain"),
    Station(23, "Trạm đo mưa Ba Bể", "Xã Ba Bể", "rain"),
)
# kind -> (number within the station, name, unit)
_MEASURES: dict[str, tuple[tuple[int, str, dict[str, str]], ...]] = {
    "air": ((1, "PM2.5", _UG), (2, "PM10", _UG), (3, "NO2", _UG), (4, "SO2", _UG), (5, "CO", _UG), (6, "O3", _UG), (7, "Nhiệt độ không khí", _CEL)),
    "river": ((1, "Mực nước", _M),),
    "rain": ((1, "Lượng mưa giờ", _MM),),
}


def shower(seed: int, hour: int) -> float:
    """Return the rain of an hour over the province, mm: most hours none, now and then a shower of some hours."""
    fell = 0.0
    for start in range(hour - 5, hour + 1):
        key = key_of(seed, "shower", start)
        if unit(key, "comes") < 0.02:
            fell += 14 * unit(key, "strength") ** 2 * math.exp(-((hour - start - 1.5) ** 2) / 3)
    return fell


@lru_cache(maxsize=4096)
def level(seed: int, hour: int) -> float:
    """Return how far the rivers stand above their usual level, metres: the rain of three days, running off."""
    return sum(0.012 * shower(seed, hour - back) * math.exp(-back / 24) for back in range(1, 72))


def value(seed: int, station: Station, measure: str, hour: int) -> float | None:
    """Return what a station measured in the hour that begins so many hours after 1970 (UTC); None: nothing."""
    key = key_of(seed, f"{station.number}{measure}", hour)
    local = (hour + 7) % 24
    if station.number == 6 and ((hour + 7) // 24 + 4) % 7 == 0 and local >= 6:  # a Sunday: 1 January 1970 was a Thursday
        return None
    wobble = 1 + 0.12 * normal(key, "noise") + 0.25 * normal(key_of(seed, f"{station.number}day", hour // 24), "day")
    washed = 1 / (1 + 0.2 * shower(seed, hour))
    rush = 1 + 0.45 * math.exp(-((local - 7.5) ** 2) / 6) + 0.55 * math.exp(-((local - 19.5) ** 2) / 9)
    noon = math.exp(-((local - 13.5) ** 2) / 12)
    found = {
        "PM2.5": 34 * station.usual * rush * washed * wobble, "PM10": 55 * station.usual * rush * washed * wobble, "NO2": 28 * station.usual * rush * wobble,
        "SO2": 19 * station.usual * wobble, "CO": 900 * station.usual * rush * wobble, "O3": (25 + 95 * noon) * wobble,
        "Nhiệt độ không khí": 19 + 6 * noon + 1.5 * normal(key, "warm"),
        "Mực nước": station.usual + level(seed, hour) + 0.02 * normal(key, "wave"), "Lượng mưa giờ": shower(seed, hour) * (0.6 + 0.8 * unit(key, "here")),
    }[measure]  # fmt: skip
    return round(found if measure == "Nhiệt độ không khí" else max(0.0, found), 2)


class Network:
    """The stations of the province and what they measured."""

    def __init__(self, province: Province) -> None:
        self.province = province
        names = {area.name: area for area in province.places.communes}
        self.areas = {s.number: names[s.commune] for s in STATIONS if s.commune in names}
        self.stations = [s for s in STATIONS if s.number in self.areas]

    def streams(self) -> list[dict[str, Any]]:
        """Return the Datastreams with Thing, Locations and ObservedProperty."""
        found: list[dict[str, Any]] = []
        for s in self.stations:
            area = self.areas[s.number]
            place = {"type": "Point", "coordinates": [round(area.lon + 0.004, 5), round(area.lat - 0.003, 5)]}
            thing = {
                "@iot.id": s.number, "name": s.name, "description": "Trạm mô phỏng", "properties": {"commune_code": area.code},
                "Locations": [{"@iot.id": s.number, "name": s.name, "encodingType": "application/geo+json", "location": place}],
            }  # fmt: skip
            for n, name, measured_in in _MEASURES[s.kind]:
                stream = {"@iot.id": 100 * s.number + n, "name": name, "unitOfMeasurement": measured_in, "Thing": thing, "ObservedProperty": {"@iot.id": n, "name": name}}
                if s.alarms:
                    stream["properties"] = dict(zip(("alarm1", "alarm2", "alarm3"), s.alarms, strict=True))
                found.append(stream)
        return found

    def observations(self, since: float, until: float) -> Iterator[dict[str, Any]]:
        """Yield what was measured in hours that begin at or after `since` and were over at `until` (story seconds), oldest first."""
        iso = self.province.iso
        for hour in range(max(math.ceil(since / HOUR), math.ceil(until / HOUR) - 24 * DAYS), int(until // HOUR)):
            for s in self.stations:
                for n, name, _ in _MEASURES[s.kind]:
                    result = value(self.province.seed, s, name, hour)
                    if result is None:
                        continue
                    number = 100 * s.number + n
                    begin, end = iso(float(hour * HOUR)), iso(float((hour + 1) * HOUR))
                    yield {
                        "@iot.id": hour * 10_000 + number, "phenomenonTime": end if s.kind == "river" else f"{begin}/{end}",
                        "resultTime": iso(float((hour + 1) * HOUR)), "result": result, "Datastream": {"@iot.id": number},
                    }  # fmt: skip


def mount(province: Province) -> Mounted:
    """Return the routes, and the truth: each measurement."""
    network = Network(province)

    def page(request: Request, found: list[dict[str, Any]]) -> Response:
        skip, top = whole(request, "$skip", 0, 1_000_000), whole(request, "$top", 100, 2000) or 100
        answer: dict[str, Any] = {"value": found[skip : skip + top]}
        if skip + top < len(found):
            query = {**request.query_params, "$skip": skip + top}
            answer["@iot.nextLink"] = f"{str(request.url).partition('?')[0]}?{urlencode(query)}"
        return json_response(answer)

    async def streams(request: Request) -> Response:
        return page(request, network.streams())

    async def observations(request: Request) -> Response:
        asked = re.fullmatch(r"phenomenonTime ge (\S+)", request.query_params.get("$filter", "phenomenonTime ge 1970-01-01T00:00:00Z"))
        if asked is None:
            raise BadRequest("this service knows one filter: phenomenonTime ge TIME")
        return page(request, list(network.observations(province.story(instant(asked[1])), province.now())))

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for found in network.observations(since, until):
            yield {"id": str(found["@iot.id"]), "status": "measured", "result": found["result"], "at": datetime.fromtimestamp(found["@iot.id"] // 10_000 * HOUR, UTC).isoformat()}

    return Mounted({"/v1.1/Datastreams": streams, "/v1.1/Observations": observations}, truth)


SOURCE = Source(FEED, mount)
