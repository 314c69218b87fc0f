"""Chips in the regulated colours of VN_AQI (QĐ 1459/QĐ-TCMT): a small place for a loud colour, with the number in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ioc.areas import Areas
from ioc.live import Point

# (highest value of the class, colour, colour of the number on it). Above the last: the same as the last.
VN_AQI: tuple[tuple[int, str, str], ...] = (
    (50, "#00e400", "#000000"), (100, "#ffff00", "#000000"), (150, "#ff7e00", "#000000"),
    (200, "#ff0000", "#000000"), (300, "#8f3f97", "#ffffff"), (500, "#7e0023", "#ffffff"),
)  # fmt: skip


def aqi_class(value: float) -> int:
    """Return the class of a VN_AQI, 0 (good) to 5 (hazardous)."""
    return next((i for i, (high, _, _) in enumerate(VN_AQI) if round(value) <= high), len(VN_AQI) - 1)


def rows(values: Mapping[str, float | None], points: Sequence[Point], areas: Areas) -> list[list[float | str]]:
    """Return [lon, lat, number, class] a commune with a value: at its stations' middle, or its own; the highest last, on top."""
    places: dict[str, list[Point]] = defaultdict(list)
    for p in points:
        if p.area is not None and p.layer == "asset" and p.state != "retired":
            places[p.area].append(p)
    found: list[list[float | str]] = []
    for code, value in sorted(((c, v) for c, v in values.items() if v is not None and c in areas.communes), key=lambda pair: pair[1]):
        there, area = places[code], areas.communes[code]
        lon = sum(p.lon for p in there) / len(there) if there else area.lon
        lat = sum(p.lat for p in there) / len(there) if there else area.lat
        found.append([round(lon, 5), round(lat, 5), str(round(value)), aqi_class(value)])
    return found
