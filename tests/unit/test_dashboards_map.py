"""The map's shapes, classes and rows."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import shapely
from shapely.geometry import Point, mapping, shape

from dashboards.context import Context
from dashboards.maps import panel
from dashboards.maps.classes import breaks, class_of, nice, ranges, shade
from dashboards.maps.geometry import MAX_VERTICES, cells, main_communes, shapes
from dashboards.maps.spec import spec
from dashboards.wall.scene import Scene, SceneMap
from ioc.config import Words
from ioc.errors import UserError
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
        assert cell.intersects(Point(area.lon, area.lat)), area.name


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
    assert [layer["id"] for layer in drawn["deck"]["layers"]] == ["areas", "assets", "incidents", "labels"]
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


def test_it_draws_abnormal_points_last_and_says_when_it_caps() -> None:
    shot = province.snapshot()
    many = [p for p in shot.points if p.layer == "incident"] * 12
    props = panel.props([with_map(kpi="incidents_open", assets=False)], msgspec.structs.replace(shot, points=many), CONTEXT, "vi")
    rows = props["map-incidents"]["data"]
    assert len(rows) == panel.MAX_POINTS
    assert rows[-1][2] == "overdue" and rows[0][2] == "open"
    assert f"hiện 2000/{len(many)} điểm" in str(props["map-legend"])
    assert props["map-assets"]["data"] == []


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
