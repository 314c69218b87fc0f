"""Commune shapes for the map: the configured boundaries, or cells computed around the published centroids.

Both are a GeoJSON FeatureCollection::

    {"type": "FeatureCollection", "approximate": bool, "bounds": [west, south, east, north],
     "features": [{"type": "Feature", "properties": {"code": "05443", "name": "...", ...}, "geometry": {...}}]}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import MultiPoint, Point, mapping, shape

from ioc.areas import Area, Areas
from ioc.errors import UserError

KM_PER_DEGREE = 110.6  # of latitude
MAX_VERTICES = 20_000  # more than this and a browser feels it; a wall cannot show finer detail anyway
_TOWNS = ("Thành phố", "Thị xã")
_DISTRICT_KINDS = (*_TOWNS, "Huyện", "Quận")
_DIGITS = 5  # of a coordinate: about a metre


def shapes(areas: Areas, boundaries: Path | None) -> dict[str, Any]:
    """Return the communes' shapes; raise `UserError` when the configured file cannot be used."""
    if boundaries is not None:
        return _collection(areas, _from_file(areas, boundaries), approximate=False)
    return _collection(areas, cells(areas), approximate=True)


def cells(areas: Areas) -> dict[str, Any]:
    """Return code -> polygon: the points nearer to this commune's centroid than to any other, inside an outline.

    The outline is grown from discs as large as the communes, so it follows the province roughly. Not a boundary.
    """
    communes = list(areas.communes.values())
    stretch = math.cos(math.radians(sum(a.lat for a in communes) / len(communes)))
    points = {a.code: Point(a.lon * stretch, a.lat) for a in communes}
    outline = _outline(communes, points)
    if len(communes) == 1:
        cells_of = [outline]
    else:
        cells_of = list(shapely.voronoi_polygons(MultiPoint(list(points.values())), extend_to=outline).geoms)
    tree = shapely.STRtree(cells_of)
    found = {}
    for code, point in points.items():
        cell = cells_of[int(tree.query(point, predicate="intersects")[0])].intersection(outline)
        found[code] = shapely.transform(cell, lambda xy: xy / [stretch, 1.0])
    return found


def _outline(communes: list[Area], points: dict[str, Any]) -> Any:
    mean_km2 = sum(a.area_km2 for a in communes) / len(communes) or 100.0
    discs = [
        points[a.code].buffer(1.35 * math.sqrt((a.area_km2 or mean_km2) / math.pi) / KM_PER_DEGREE) for a in communes
    ]
    gap = 9 / KM_PER_DEGREE  # closes holes and bays up to 18 km wide
    grown = shapely.union_all(discs).buffer(gap).buffer(-gap)
    return shapely.convex_hull(grown) if grown.geom_type != "Polygon" else shapely.Polygon(grown.exterior)


def _from_file(areas: Areas, path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        found = {str(f["properties"]["code"]): _areal(shape(f["geometry"])) for f in raw["features"]}
    except OSError as exc:
        raise UserError(f"province.boundaries: {path} cannot be read: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as exc:
        raise UserError(f"province.boundaries: {path} is not GeoJSON with features[].properties.code: {exc!r}") from exc
    if unknown := sorted(found.keys() - areas.communes.keys()):
        raise UserError(f"province.boundaries: {path}: {areas.why_unknown(unknown[0])}")
    if missing := sorted(areas.communes.keys() - found.keys()):
        raise UserError(f"province.boundaries: {path} has no shape for {missing[0]} {areas.communes[missing[0]].name} ({len(missing)} missing)")
    return _simplified(found)


def _areal(geometry: Any) -> Any:
    """Return the geometry made valid, without the lines and points that mending one leaves behind."""
    made = shapely.make_valid(geometry)
    return made if "Polygon" in made.geom_type else shapely.union_all([part for part in shapely.get_parts(made) if "Polygon" in part.geom_type])


def _simplified(found: dict[str, Any]) -> dict[str, Any]:
    """Drop detail until the whole stays under `MAX_VERTICES`; neighbours keep their common border."""
    geometries = list(found.values())
    tolerance = 0.0002  # degrees; about 20 m
    while int(shapely.get_num_coordinates(geometries).sum()) > MAX_VERTICES and tolerance < 0.05:
        geometries = list(shapely.coverage_simplify(list(found.values()), tolerance))
        tolerance *= 2
    return dict(zip(found, geometries, strict=True))


def _collection(areas: Areas, found: dict[str, Any], *, approximate: bool) -> dict[str, Any]:
    bounds = shapely.total_bounds(list(found.values()))
    return {
        "type": "FeatureCollection",
        "approximate": approximate,
        "bounds": [round(float(edge), _DIGITS) for edge in bounds],
        "features": [
            {"type": "Feature", "properties": _named(areas.communes[code]), "geometry": _rounded(mapping(geometry))}
            for code, geometry in found.items()
        ],
    }


def _named(area: Area) -> dict[str, Any]:
    """Return what the map says of a commune: code, names, and where its label stands (longitude, latitude)."""
    return {"code": area.code, "name": area.name, "label": area.short, "label_en": area.name_en.rsplit(" ", 1)[0], "centre": [area.lon, area.lat]}


def _rounded(geometry: dict[str, Any]) -> dict[str, Any]:
    def walk(node: Any) -> Any:
        return round(node, _DIGITS) if isinstance(node, float) else [walk(child) for child in node]

    return {"type": geometry["type"], "coordinates": walk(geometry["coordinates"])}


def extent(collection: Mapping[str, Any], codes: Iterable[str]) -> list[float]:
    """Return west, south, east, north of these communes of the collection; all of it for none."""
    wanted = set(codes)
    found = [shape(f["geometry"]) for f in collection["features"] if f["properties"]["code"] in wanted]
    return [float(edge) for edge in shapely.total_bounds(found)] if found else list(collection["bounds"])


def main_communes(areas: Areas) -> list[Area]:
    """Return the communes worth a label, most important first: the former towns' centres, then the districts' seats.

    The browser leaves out the later ones whose names would collide at its size.
    """
    towns, seats = _centres(areas)
    ordered = towns + [area for area in seats if area not in towns]
    return ordered or sorted(areas.communes.values(), key=lambda a: (a.area_km2, a.code))[:9]


def _centres(areas: Areas) -> tuple[list[Area], list[Area]]:
    """Return today's communes at the centre of the former towns, and of the former districts.

    That is the one that inherited the name; where none did, a town's smallest, for small is densely built.
    """
    by_name = {area.short: area for area in areas.communes.values()}
    towns: dict[str, Area] = {}
    seats: dict[str, Area] = {}
    for district in sorted({was.district for was in areas.former.values()}):
        kind = next((k for k in _DISTRICT_KINDS if district.lower().startswith(k.lower())), "")
        heir = by_name.get(district[len(kind) :].strip())
        if kind in _TOWNS:
            inside = [areas.communes[was.now] for was in areas.former.values() if was.district == district and was.now in areas.communes]
            found = heir or min(inside, key=lambda a: (a.area_km2, a.code), default=None)
            if found:
                towns[found.code] = found
        elif heir:
            seats[heir.code] = heir
    return list(towns.values()), list(seats.values())
