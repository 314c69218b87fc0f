"""The map's shapes, classes and rows."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import shapely
from shapely.geometry import Point as Place
from shapely.geometry import Polygon, mapping, shape

from dashboards.context import Context
from dashboards.maps import country, panel, points
from dashboards.maps.classes import breaks, class_of, nice, ranges, shade
from dashboards.maps.geometry import MAX_VERTICES, cells, main_communes, shapes
from dashboards.maps.spec import shortened, spec
from dashboards.wall.scene import Scene, SceneMap
from ioc.config import Words
from ioc.errors import UserError
from ioc.live import Point
from tests.browser import province

AREAS = province.AREAS
CONTEXT = Context(province.config(), AREAS, province.catalogue(), "1")


def with_map(kpi: str, *, assets: bool = True, name: str = "one") -> Scene:
    return Scene(name=name, title=Words(vi="Một", en="One"), tiles=[kpi], map=SceneMap(kpi=kpi, assets=assets))


def test_it_gives_every_commune_a_cell_around_its_own_centroid() -> None:
    found = cells(AREAS)
    assert found.keys() == AREAS.communes.keys()
    for code, cell in found.items():
        area = AREAS.communes[code]
        assert cell.intersects(Place(area.lon, area.lat)), area.name


def test_it_leaves_no_overlap_between_cells() -> None:
    found = list(cells(AREAS).values())
    together = shapely.union_all(found).area
    assert sum(cell.area for cell in found) == pytest.approx(together, rel=1e-6)


def test_it_says_that_cells_are_approximate_and_boundaries_are_not(tmp_path: Path) -> None:
    drawn = shapes(AREAS, None)
    assert drawn["approximate"] is True
    path = tmp_path / "communes.geojson"
    path.write_text(json.dumps(drawn), encoding="utf-8")
    again = shapes(AREAS, path)
    assert again["approximate"] is False
    assert len(again["features"]) == 92


def test_it_simplifies_boundaries_that_a_browser_would_feel(tmp_path: Path) -> None:
    features = [
        {"type": "Feature", "properties": {"code": code}, "geometry": mapping(shapely.segmentize(cell, 0.0004))} for code, cell in cells(AREAS).items()
    ]
    path = tmp_path / "communes.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    assert sum(shapely.get_num_coordinates(shape(f["geometry"])) for f in features) > MAX_VERTICES
    drawn = [shape(f["geometry"]) for f in shapes(AREAS, path)["features"]]
    assert sum(int(shapely.get_num_coordinates(g)) for g in drawn) <= MAX_VERTICES


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not GeoJSON"),
        ('{"features": [{"properties": {}}]}', "properties.code"),
        ('{"features": [{"properties": {"code": "26740"}, "geometry": {"type": "Point", "coordinates": [105, 21]}}]}', "26740 is not a commune code"),
        ('{"features": []}', "has no shape for"),
    ],
)
def test_it_refuses_boundaries_it_cannot_use(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "communes.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=says):
        shapes(AREAS, path)


def test_it_says_which_boundaries_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"province\.boundaries: .*nowhere\.geojson cannot be read"):
        shapes(AREAS, tmp_path / "nowhere.geojson")


def test_it_labels_the_towns_first() -> None:
    names = [area.short for area in main_communes(AREAS)]
    assert {"Bắc Kạn", "Sông Công", "Phổ Yên", "Phan Đình Phùng"} == set(names[:4])
    assert "Định Hóa" in names or "Võ Nhai" in names
    assert len(names) == len(set(names))


def test_it_makes_round_classes_that_cover_every_value() -> None:
    assert breaks([0, 3, 11, 19], whole=True) == [5, 10, 15]
    assert breaks([81.2, 99.7, 93.0], whole=False) == [85.0, 90.0, 95.0]
    assert breaks([0, 3, 11, 20], whole=True) == [*breaks([0, 3, 11, 17], whole=True), 20]  # one more moves no border
    assert breaks([], whole=True) == [] == breaks([None, 5.0], whole=True)
    assert breaks([0, 1], whole=True) == [1]
    assert [nice(x) for x in (0.9, 2.1, 3, 7, 40)] == [1.0, 2.5, 5.0, 10.0, 50.0]


def test_it_puts_a_value_in_the_class_its_legend_names() -> None:
    edges = [4.0, 8.0]
    assert [class_of(v, edges) for v in (0, 3, 4, 7.9, 8, None, float("nan"))] == [0, 0, 1, 1, 2, None, None]
    assert ranges(edges, whole=True) == [(None, 3), (4, 7), (8, None)]
    assert [shade(i, 2) for i in range(2)] == [0, 4]
    assert [shade(i, 5) for i in range(5)] == [0, 1, 2, 3, 4]


def test_it_sends_the_deck_once_and_then_only_rows() -> None:
    drawn = spec(AREAS, [105.0, 21.0, 106.0, 22.0], "vi")
    assert [layer["id"] for layer in drawn["deck"]["layers"]] == ["areas", "assets", "marks", "incidents", "labels", "chips"]
    assert "http" not in json.dumps(drawn)
    props = panel.props([with_map(kpi="incidents_open")], province.snapshot(), CONTEXT, "vi")
    assert len(props["map-areas"]["data"]["one"]["classes"]) == 92
    assert len(props["map-incidents"]["data"]) == 214
    assert {row[2] for row in props["map-incidents"]["data"]} == {"open", "overdue"}
    assert "coordinates" not in json.dumps(props)
    assert json.dumps(props)  # everything can be sent


def test_it_leaves_the_map_alone_when_only_a_tile_changed() -> None:
    first = panel.props([with_map(kpi="incidents_open")], province.snapshot(), CONTEXT, "vi")
    second = panel.props([with_map(kpi="incidents_open")], province.snapshot(2, values={"dossiers_open": 1}), CONTEXT, "vi")
    assert first == second


def flood(n: int, **changes: Any) -> list[Point]:
    """Return n open cases all over the province, one in ten overdue."""
    dice = random.Random(7)
    west, south, east, north = CONTEXT.shapes["bounds"]
    base = next(p for p in province.snapshot().points if p.layer == "incident")
    return [
        msgspec.structs.replace(base, subject=str(i), lon=dice.uniform(west, east), lat=dice.uniform(south, north), state="overdue" if i % 10 == 0 else "open", **changes)
        for i in range(n)
    ]


def test_it_draws_abnormal_points_last() -> None:
    rows = panel.props([with_map(kpi="incidents_open", assets=False)], province.snapshot(), CONTEXT, "vi")["map-incidents"]["data"]
    assert rows[-1][2] == "overdue" and rows[0][2] == "open"
    assert all(len(row) == 4 for row in rows)


def test_it_groups_a_hundred_thousand_points_and_loses_none() -> None:
    many = flood(100_000)
    props = panel.props([with_map(kpi="incidents_open", assets=False)], msgspec.structs.replace(province.snapshot(), points=many), CONTEXT, "vi")
    rows = props["map-incidents"]["data"]
    assert 100 < len(rows) <= points.GROUPS
    assert sum(row[4] for row in rows) == 100_000
    assert sum(row[4] for row in rows if row[2] == "overdue") == 10_000
    assert rows[-1][2] == "overdue" and rows[0][2] == "open"
    west, south, east, north = CONTEXT.shapes["bounds"]
    assert all(west <= lon <= east and south <= lat <= north for lon, lat, *_ in rows)
    assert "gộp 100.000 điểm" in str(props["map-legend"])
    assert props["map-assets"]["data"] == []
    assert len(json.dumps(rows)) < 120_000  # what a refresh sends


def test_groups_keep_their_feed_so_that_a_scene_can_choose() -> None:
    other = flood(3000, feed="other")
    rows = points.rows([*flood(3000), *other], {"incident-reports": 4, "other": 9}, CONTEXT.shapes["bounds"])
    assert sum(row[4] for row in rows if row[3] == 9) == 3000


@pytest.mark.parametrize(("lon", "lat"), [(0.0, 0.0), (21.6, 105.8), (106.7, 10.8)])
def test_it_does_not_draw_a_point_outside_the_province_but_counts_it(lon: float, lat: float) -> None:
    shot = province.snapshot()
    lost = msgspec.structs.replace(next(p for p in shot.points if p.layer == "incident"), lon=lon, lat=lat)
    props = panel.props([with_map(kpi="incidents_open")], msgspec.structs.replace(shot, points=[*shot.points, lost]), CONTEXT, "vi")
    assert len(props["map-incidents"]["data"]) == 214
    assert "1 ngoài tỉnh" in str(props["map-legend"])
    assert "ngoài tỉnh" not in str(panel.props([with_map(kpi="incidents_open")], shot, CONTEXT, "vi")["map-legend"])


def test_it_draws_vehicles_apart_from_facilities_and_names_them() -> None:
    shot = province.snapshot()
    asset = next(p for p in shot.points if p.layer == "asset")
    vehicles = [msgspec.structs.replace(asset, category="vehicle", state=state) for state in ("ok", "down")]
    props = panel.props([with_map(kpi="incidents_open")], msgspec.structs.replace(shot, points=vehicles), CONTEXT, "vi")
    assert [row[2] for row in props["map-assets"]["data"]] == ["vehicle", "asset_down"]
    assert "phương tiện" in str(props["map-legend"])


def test_it_shortens_a_name_that_would_cover_the_map() -> None:
    assert shortened("Phan Đình Phùng") == "Phan Đình Phùng"
    long = shortened("Xã " + "Nghĩa Trang Liệt Sĩ " * 6)
    assert len(long) <= 24 and long.endswith("…") and not long.endswith(" …")
    assert shortened("X" * 120) == "X" * 23 + "…"
    assert all(shortened(area.short) == area.short for area in AREAS.communes.values())


def test_w25_the_country_shows_hoang_sa_and_truong_sa_where_they_are() -> None:
    drawing = ElementTree.fromstring(country.svg(CONTEXT.shapes["bounds"]))
    width, height = (float(n) for n in drawing.attrib["viewBox"].split()[2:])

    def places(name: str) -> list[tuple[float, float]]:
        group = next(node for node in drawing.iter() if node.get("id") == name)
        at = [(float(node.attrib["cx"]) / width, float(node.attrib["cy"]) / height) for node in group]
        return [(country.WEST + x * (country.EAST - country.WEST), country.NORTH - y * (country.NORTH - country.SOUTH)) for x, y in at]

    assert places("hoang-sa") and all(111 < lon < 113 and 15.5 < lat < 17.3 for lon, lat in places("hoang-sa"))
    assert places("truong-sa") and all(111.3 < lon < 117.4 and 6.5 < lat < 12.1 for lon, lat in places("truong-sa"))
    assert Polygon(country.MAINLAND).is_valid
    west, south, east, north = CONTEXT.shapes["bounds"]
    assert Polygon(country.MAINLAND).contains(Place((west + east) / 2, (south + north) / 2))


def test_it_shows_a_map_without_any_value() -> None:
    shot = msgspec.structs.replace(province.snapshot(), by_area={}, tiles={}, points=[])
    props = panel.props([with_map(kpi="incidents_open")], shot, CONTEXT, "en")
    drawn = props["map-areas"]["data"]["one"]
    assert set(drawn["classes"].values()) == {None}
    assert drawn["state"] == "never"


def test_one_map_serves_several_scenes() -> None:
    scenes = [with_map("incidents_open"), with_map("dossiers_overdue", name="two")]
    props = panel.props(scenes, province.snapshot(), CONTEXT, "vi")
    assert {name: mine["kpi"] for name, mine in props["map-areas"]["data"].items()} == {"one": "incidents_open", "two": "dossiers_overdue"}
    assert [child["props"]["data-for"] for child in props["map-legend"]["children"]] == ["one", "two"]
    assert [child["props"]["data-for"] for child in props["map-ranking"]["children"]] == ["one", "two"]
