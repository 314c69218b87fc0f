"""Areas that cases concern (a warning's polygon) as rows for the map: the gravest last, so that it lies on top.

A row is [geometry, feed, grave, name, level, lon, lat]: GeoJSON, the feed's name, is it drawn as something abnormal, the words of its
label and where that stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dashboards.maps.points import MARGIN
from dashboards.maps.spec import shortened
from dashboards.words import Lang, known_or
from ioc.live import Point

GRAVITY = ("unknown", "minor", "moderate", "severe", "extreme")  # after CAP; a word that is not here counts as unknown
GRAVE = GRAVITY.index("severe")


def gravity(level: str) -> int:
    return GRAVITY.index(level) if level in GRAVITY else 0


def level_word(level: str, lang: Lang) -> str:
    return known_or(f"level.{GRAVITY[gravity(level)]}", lang, level)


def touches(point: Point, bounds: Sequence[float]) -> bool:
    """Does the rectangle around its shape meet the province's?"""
    assert point.shape is not None, "has a shape"
    west, south, east, north = bounds
    lons, lats = zip(*_corners(point.shape["coordinates"]), strict=True)
    return bool(min(lons) <= east + MARGIN and max(lons) >= west - MARGIN and min(lats) <= north + MARGIN and max(lats) >= south - MARGIN)


def _corners(node: Any) -> Iterator[tuple[float, float]]:
    if node and isinstance(node[0], list):
        for child in node:
            yield from _corners(child)
    else:
        yield node[0], node[1]


def rows(points: Iterable[Point], bounds: Sequence[float], lang: Lang) -> list[list[Any]]:
    """Return the rows of points with a shape."""
    found = sorted(points, key=lambda p: (gravity(p.level), p.subject))
    return [[p.shape, p.feed, gravity(p.level) >= GRAVE, shortened(p.title), level_word(p.level, lang), *_label(p, bounds)] for p in found]


def _label(point: Point, bounds: Sequence[float]) -> tuple[float, float]:
    """Return where its label stands: at the lower edge, in the middle; for a far one the nearest place of the province's rectangle."""
    west, south, east, north = bounds
    assert point.shape is not None, "has a shape"
    lowest = min(lat for _, lat in _corners(point.shape["coordinates"]))
    room = (north - south) / 12  # below which nothing could be read
    return round(min(max(point.lon, west), east), 5), round(min(max(lowest, south + room), north), 5)
