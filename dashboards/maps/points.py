"""Points of the map as rows: plain ones first, grouped by a grid where there are too many, none outside the province."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ioc.live import Point

MAX_POINTS = 2000  # of a layer; more cover each other and are grouped
GROUPS = 600  # so many at most: groups are drawn larger and must leave one another free
MARGIN = 0.1  # degrees around the province within which a point is still believed: about 10 km
STYLES = ("open", "asset", "vehicle", "asset_off", "asset_down", "overdue")  # in the order they are drawn: the abnormal on top
_FINEST = 0.01  # degrees: about a kilometre


def style(point: Point) -> str:
    """Return the name of the style, see `spec.STYLES`."""
    if point.layer == "incident":
        return "overdue" if point.state == "overdue" else "open"
    if point.state in ("degraded", "down"):
        return "asset_off" if point.state == "degraded" else "asset_down"
    return "vehicle" if point.category == "vehicle" else "asset"


def inside(point: Point, bounds: Sequence[float]) -> bool:
    """Is the point in the province's rectangle (west, south, east, north)? 0,0 and a swapped pair are not; the legend counts them."""
    west, south, east, north = bounds
    return west - MARGIN <= point.lon <= east + MARGIN and south - MARGIN <= point.lat <= north + MARGIN


def rows(points: Sequence[Point], order: Mapping[str, int], bounds: Sequence[float]) -> list[list[float | str]]:
    """Return [lon, lat, style, number of the feed] a point, or with a fifth, n, a group of n points; the abnormal last.

    `order`: feed -> its number. Retired assets and points outside are left out. Nothing else is: all n add up.
    """
    shown = [p for p in points if p.state != "retired" and inside(p, bounds)]
    if len(shown) > MAX_POINTS:
        return _grouped(shown, order)
    found: list[list[float | str]] = [[round(p.lon, 5), round(p.lat, 5), style(p), order.get(p.feed, -1)] for p in shown]
    found.sort(key=lambda row: STYLES.index(str(row[2])))
    return found


def _grouped(points: Sequence[Point], order: Mapping[str, int]) -> list[list[float | str]]:
    """Group the points of a grid's cell that look alike; the grid is as fine as `GROUPS` rows allow."""
    places = np.array([(p.lon, p.lat) for p in points])
    kinds = np.array([(STYLES.index(style(p)), order.get(p.feed, -1)) for p in points])
    cell = _FINEST
    while True:
        keys = np.hstack([kinds, np.floor(places / cell).astype(np.int64)])
        groups, member, n = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        if len(groups) <= GROUPS or cell > 10:
            break
        cell *= 1.5
    member = member.reshape(-1)  # NumPy 2.0 alone gives it two dimensions
    middle = [np.bincount(member, weights=places[:, i]) / n for i in (0, 1)]
    return [
        [round(float(lon), 5), round(float(lat), 5), STYLES[kind], int(feed), int(count)]
        for lon, lat, (kind, feed), count in zip(*middle, groups[:, :2], n, strict=True)
    ]
