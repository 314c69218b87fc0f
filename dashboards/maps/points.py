"""Points of the map: one by one as columns of bytes, or clusters, or heat, as the scene asks; none outside the province.

A snapshot's points are turned into columns once (`columns`), however many scenes draw them; the rest is arithmetic on arrays.
What a layer is sent (`sets`)::

    {"points": {"n", "box": [west, south, east, north], "feeds": [name...], "at", "style", "feed"} or null,
     "clusters": {key: [[lon, lat, n, abnormal, style]...]},
     "heat": {key: {"cell": [width, height], "cells": [[column, row, class]...], "edges": [...]}}}

`at`, `style`, `feed` are base64 of columns: x, y of each point as 16-bit parts of the box (little-endian; two metres in a
province), 8-bit numbers into `STYLES` and `feeds`. A style of a cluster is that of a point which stands alone.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from dashboards.maps.classes import breaks, class_of
from ioc.live import Point

MAX_POINTS = 2000  # of a layer of a scene; more cover each other and are drawn as clusters, unless the scene says otherwise
CLUSTERS = 6  # of them along the longer side of what the map looks at: so their numbers have room
HEAT = 40  # cells of the heat, likewise
MARGIN = 0.1  # degrees around the province within which a point is still believed: about 10 km
STYLES = ("open", "asset", "vehicle", "asset_off", "asset_frozen", "asset_down", "overdue")  # in the order they are drawn: the abnormal on top
ABNORMAL = STYLES.index("asset_off")  # and what follows it
_STEPS = 65_535  # of a 16-bit place

Layer: TypeAlias = Literal["incident", "asset"]
Mode: TypeAlias = Literal["points", "clusters", "heat"]
Bounds: TypeAlias = Sequence[float]  # west, south, east, north


@lru_cache(maxsize=4096)
def _style(layer: str, state: str, category: str, frozen: bool) -> str:
    """Return the name of a point's style, one of `STYLES`."""
    if layer == "incident":
        return "overdue" if state == "overdue" else "open"
    if state == "down":
        return "asset_down"
    if frozen or state == "degraded":
        return "asset_frozen" if frozen else "asset_off"
    return "vehicle" if category == "vehicle" else "asset"


def inside(lon: float, lat: float, bounds: Bounds) -> bool:
    """Is a place in the province's rectangle? 0,0 and a swapped pair are not; the legend counts them."""
    west, south, east, north = bounds
    return west - MARGIN <= lon <= east + MARGIN and south - MARGIN <= lat <= north + MARGIN


@dataclass(frozen=True, eq=False)
class Columns:
    """Points that are drawn as points, a column a property; `feed`, `kind`, `area` are numbers into the names.

    `shaped`: the points with a shape, which are in no column.
    """

    lon: Any
    lat: Any
    style: Any
    incident: Any
    feed: Any
    kind: Any
    area: Any
    feeds: list[str]
    kinds: list[str]
    areas: list[str]
    shaped: list[Point]

    def of(self, layer: Layer, feeds: Sequence[str]) -> Any:
        """Return which points are of this layer, and of these feeds (none: of all)."""
        mine = self.incident == (layer == "incident")
        return mine & _among(self.feed, self.feeds, feeds) if feeds else mine

    def within(self, bounds: Bounds) -> Any:
        """Return which points lie in the province's rectangle."""
        west, south, east, north = bounds
        return (self.lon >= west - MARGIN) & (self.lon <= east + MARGIN) & (self.lat >= south - MARGIN) & (self.lat <= north + MARGIN)

    def of_areas(self, codes: Iterable[str]) -> Any:
        return _among(self.area, self.areas, codes)


def _among(numbers: Any, names: list[str], wanted: Iterable[str]) -> Any:
    known = set(wanted)
    return np.array([name in known for name in names], dtype=bool)[numbers]


Frozen: TypeAlias = frozenset[tuple[str, str]]  # (feed, subject) of cameras
_last: tuple[Sequence[Point], Frozen, Columns] | None = None


def columns(points: Sequence[Point], frozen: Frozen = frozenset()) -> Columns:
    """Return the points as columns: those with a shape and those retired left out. The last answer is kept: a screen's
    languages and scenes ask for the same list, and it is the same list until a place changed.

    `frozen`: cameras whose picture stands still, whatever their source says of them."""
    global _last
    kept = _last
    if kept is None or kept[0] is not points or kept[1] != frozen:
        kept = _last = (points, frozen, _columns([p for p in points if p.shape is None and p.state != "retired"], [p for p in points if p.shape is not None], frozen))
    return kept[2]


def _columns(points: Sequence[Point], shaped: list[Point], still: Frozen) -> Columns:
    feeds, feed = _numbered([p.feed for p in points])
    kinds, kind = _numbered([p.category for p in points])
    areas, area = _numbered([p.area or "" for p in points])
    number = {name: i for i, name in enumerate(STYLES)}
    return Columns(
        np.array([p.lon for p in points], dtype=np.float64), np.array([p.lat for p in points], dtype=np.float64),
        np.array([number[_style(p.layer, p.state, p.category, p.picture == "frozen" or (p.feed, p.subject) in still)] for p in points], dtype=np.uint8), np.array([p.layer == "incident" for p in points], dtype=bool),
        feed, kind, area, feeds, kinds, areas, shaped,
    )  # fmt: skip


def _numbered(values: list[str]) -> tuple[list[str], Any]:
    names = sorted(set(values))
    number = {name: i for i, name in enumerate(names)}
    return names, np.array([number[value] for value in values], dtype=np.int32)


class Drawn(NamedTuple):
    """How a scene draws a layer: `which` points, `mode`, and what its map looks at."""

    layer: Layer
    which: Any
    mode: Mode
    view: Bounds
    feeds: tuple[str, ...]
    look: str  # names the view

    @property
    def key(self) -> str:
        return f"{','.join(self.feeds)}|{self.look}"

    @property
    def n(self) -> int:
        return int(self.which.sum())


def mode_of(asked: Literal["auto", "points", "clusters", "heat"], n: int) -> Mode:
    """Return how n points are drawn when the scene asks so."""
    if asked == "auto":
        return "points" if n <= MAX_POINTS else "clusters"
    return asked


def sets(found: Columns, drawn: Sequence[Drawn], bounds: Bounds) -> dict[str, Any]:
    """Return what the scenes need of one layer, everything once."""
    alone = [d.which for d in drawn if d.mode == "points"]
    out: dict[str, Any] = {"points": packed(found, np.logical_or.reduce(alone), bounds) if alone else None, "clusters": {}, "heat": {}}
    for d in drawn:
        if d.mode == "clusters" and d.key not in out["clusters"]:
            out["clusters"][d.key] = clusters(found, d.which, d.view)
        elif d.mode == "heat" and d.key not in out["heat"]:
            out["heat"][d.key] = heat(found, d.which, d.view)
    return out


def packed(found: Columns, which: Any, bounds: Bounds) -> dict[str, Any]:
    """Return these points as columns of bytes, the abnormal last."""
    box = [bounds[0] - MARGIN, bounds[1] - MARGIN, bounds[2] + MARGIN, bounds[3] + MARGIN]
    order = np.flatnonzero(which)[np.argsort(found.style[which], kind="stable")]
    at = np.empty((len(order), 2), dtype="<u2")
    at[:, 0] = np.round((found.lon[order] - box[0]) / (box[2] - box[0]) * _STEPS)
    at[:, 1] = np.round((found.lat[order] - box[1]) / (box[3] - box[1]) * _STEPS)
    names, feed = np.unique(found.feed[order], return_inverse=True)
    return {
        "n": len(order), "box": [round(edge, 5) for edge in box], "feeds": [found.feeds[i] for i in names],
        "at": _base64(at), "style": _base64(found.style[order]), "feed": _base64(feed.astype(np.uint8)),
    }  # fmt: skip


def clusters(found: Columns, which: Any, view: Bounds) -> list[list[float | int | str]]:
    """Return [lon, lat, n, how many of them are abnormal, style] of each cell of a grid over the view; none is lost."""
    lon, lat, kind = found.lon[which], found.lat[which], found.style[which]
    _, member = _grid(lon, lat, _cell(view, CLUSTERS))
    n = np.bincount(member)
    used = np.flatnonzero(n)
    abnormal = np.bincount(member, weights=kind >= ABNORMAL)
    middle = [np.bincount(member, weights=axis)[used] / n[used] for axis in (lon, lat)]
    some = np.zeros(len(n), dtype=np.uint8)
    some[member] = kind  # of the one that stands alone, where one does
    return [
        [round(float(x), 5), round(float(y), 5), int(n[i]), int(abnormal[i]), STYLES[some[i]] if n[i] == 1 else ""] for x, y, i in zip(*middle, used, strict=True)
    ]


def heat(found: Columns, which: Any, view: Bounds) -> dict[str, Any]:
    """Return the numbers of points in the cells of a fine grid, as classes; `edges` as in `classes.breaks`."""
    cell = _cell(view, HEAT)
    (west, south, rows), member = _grid(found.lon[which], found.lat[which], cell)
    n = np.bincount(member)
    used = np.flatnonzero(n).tolist()
    edges = breaks(n[used].tolist(), whole=True)[::2]  # three steps can be told apart over a coloured map
    return {"cell": list(cell), "cells": [[west + i // rows, south + i % rows, class_of(float(n[i]), edges) or 0] for i in used], "edges": edges}


def _grid(lon: Any, lat: Any, cell: tuple[float, float]) -> tuple[tuple[int, int, int], Any]:
    """Return (column and row of the corner, rows in a column) of the grid, and of each place the number of its cell."""
    x, y = np.floor(lon / cell[0]).astype(np.int64), np.floor(lat / cell[1]).astype(np.int64)
    if not len(x):
        return (0, 0, 1), x
    west, south, rows = int(x.min()), int(y.min()), int(y.max() - y.min()) + 1
    return (west, south, rows), (x - west) * rows + (y - south)


def _cell(view: Bounds, most: int) -> tuple[float, float]:
    """Return width and height in degrees of a cell that looks square, `most` of them along the view's longer side."""
    west, south, east, north = view
    narrow = math.cos(math.radians((south + north) / 2))
    side = max((east - west) * narrow, north - south) / most
    return side / narrow, side


def _base64(column: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(column).tobytes()).decode()
