"""The area of a warning: CAP's polygons and circles -> one GeoJSON outline, no finer than a fact may be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import shapely

from ioc.events import MAX_SHAPE

KM_PER_DEGREE = 111.2  # of latitude
_EARTH = shapely.box(-180, -90, 180, 90)
_COARSEST = 1.0  # degrees; an outline that is still too fine then becomes its hull
_DIGITS = 4  # of a coordinate: about ten metres
_NOTHING = 1e-8  # square degrees, about 100 square metres: what rounding makes of a line


def polygon(corners: list[tuple[float, float]]) -> Any | None:
    """Return the polygon of these (lat, lon), None where they enclose nothing. One that crosses itself is set right."""
    places = [(lon, lat) for lat, lon in corners]
    return shapely.make_valid(shapely.Polygon(places)) if len(set(places)) >= 3 else None


def circle(lat: float, lon: float, radius_km: float) -> Any | None:
    """Return the circle around a place as a polygon of 64 corners, None for one without a size."""
    if not 0 < radius_km < 20_000 or abs(lat) > 89:
        return None
    height = radius_km / KM_PER_DEGREE
    disc = shapely.Point(0, 0).buffer(1.0)
    return shapely.transform(disc, lambda xy: xy * [height / math.cos(math.radians(lat)), height] + [lon, lat])


def together(parts: Iterable[Any]) -> dict[str, Any] | None:
    """Return all parts as one Polygon or MultiPolygon of at most `MAX_SHAPE` corners, None where nothing is left."""
    whole = _areal(shapely.intersection(shapely.union_all(list(parts)), _EARTH))
    tolerance = 0.0005
    while _corners(whole) > MAX_SHAPE and tolerance < _COARSEST:
        whole = _areal(shapely.simplify(whole, tolerance))
        tolerance *= 2
    if _corners(whole) > MAX_SHAPE:
        whole = shapely.simplify(shapely.convex_hull(whole), 0.0005)
    polygons = [_rings(part) for part in shapely.get_parts(shapely.normalize(whole)) if "Polygon" in part.geom_type and not part.is_empty]
    if not polygons:
        return None
    return {"type": "Polygon", "coordinates": polygons[0]} if len(polygons) == 1 else {"type": "MultiPolygon", "coordinates": polygons}


def _areal(geometry: Any) -> Any:
    """Return the geometry without the lines and points that setting it right may leave."""
    return shapely.union_all([part for part in shapely.get_parts(geometry) if "Polygon" in part.geom_type and part.area > _NOTHING])


def _corners(geometry: Any) -> int:
    return int(shapely.get_num_coordinates(geometry))


def _rings(part: Any) -> list[list[list[float]]]:
    return [[[round(lon, _DIGITS), round(lat, _DIGITS)] for lon, lat in ring.coords] for ring in (part.exterior, *part.interiors)]
