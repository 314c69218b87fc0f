"""The map's shapes, classes and rows."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
import shapely
from shapely.geometry import Point as Place
from shapely.geometry import Polygon, mapping, shape

from dashboards.context import Context
from dashboards.maps import country, outlines, panel, points
from dashboards.maps.classes import breaks, class_of, nice, ranges, shade
from dashboards.maps.geometry import MAX_VERTICES, cells, main_communes, shapes
from dashboards.maps.spec import STYLES, shortened, spec
from dashboards.wall.scene import Scene, SceneMap
from ioc.config import Words
from ioc.errors import UserError
from ioc.live import Point
from ioc.stills import Still
from tests.browser import province

AREAS = province.AREAS
CONTEXT = Context(province.config(), AREAS, province.catalogue(), "1")


def with_map(kpi: str, *, assets: bool = True, name: str = "one", area: str | None = None, **changes: Any) -> Scene:
    return Scene(name=name, title=Words(vi="Một", en="One"), tiles=[kpi], area=area, map=SceneMap(kpi=kpi, assets=assets, **changes))


def drawn(points_of: list[Point] | None = None, layer: str = "incidents", **changes: Any) -> Any:
    """Return what a layer of a map of reports is sent."""
    shot = province.snapshot() if points_of is None else msgspec.structs.replace(province.snapshot(), points=points_of)
    return panel.props([with_map("incidents_open", **changes)], shot, CONTEXT, "vi")[f"map-{layer}"]["data"]


def unpacked(sent: Mapping[str, Any]) -> list[tuple[float, float, str, str]]:
    """Return (lon, lat, style, feed) of what `points.packed` sends: what the browser makes of it."""
    west, south, east, north = sent["box"]
    at = np.frombuffer(base64.b64decode(sent["at"]), dtype="<u2").reshape(-1, 2) / 65_535
    styles, feeds = (np.frombuffer(base64.b64decode(sent[name]), dtype=np.uint8) for name in ("style", "feed"))
    return [
        (float(west + x * (east - west)), float(south + y * (north - south)), points.STYLES[s], sent["feeds"][f])
        for (x, y), s, f in zip(at, styles, feeds, strict=True)
    ]


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
    assert [layer["id"] for layer in drawn["deck"]["layers"]] == ["areas", "blank", "heat", "hatch", "outlines", "assets", "marks", "incidents", "labels", "clusters", "notices", "chips"]
    assert "http" not in json.dumps(drawn)
    props = panel.props([with_map(kpi="incidents_open")], province.snapshot(), CONTEXT, "vi")
    assert len(props["map-areas"]["data"]["one"]["classes"]) == 92
    sent = props["map-incidents"]["data"]["points"]
    assert sent["n"] == 214 == len(unpacked(sent))
    assert {style for _, _, style, _ in unpacked(sent)} == {"open", "overdue"}
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
    rows = unpacked(drawn(assets=False)["points"])
    assert rows[-1][2] == "overdue" and rows[0][2] == "open"


def test_a_point_comes_out_of_its_bytes_within_two_metres() -> None:
    told = {(p.lon, p.lat) for p in province.snapshot().points if p.layer == "incident"}
    for lon, lat, _, feed in unpacked(drawn()["points"]):
        assert feed == "incident-reports"
        assert min(abs(lon - x) + abs(lat - y) for x, y in told) < 4e-5  # degrees


def test_it_draws_a_hundred_thousand_points_as_clusters_and_loses_none() -> None:
    many = flood(100_000)
    props = panel.props([with_map(kpi="incidents_open", assets=False)], msgspec.structs.replace(province.snapshot(), points=many), CONTEXT, "vi")
    sent = props["map-incidents"]["data"]
    assert sent["points"] is None
    (rows,) = sent["clusters"].values()
    assert 12 < len(rows) <= (points.CLUSTERS + 1) ** 2
    assert sum(row[2] for row in rows) == 100_000
    assert sum(row[3] for row in rows) == 10_000  # overdue
    west, south, east, north = CONTEXT.shapes["bounds"]
    assert all(west <= lon <= east and south <= lat <= north for lon, lat, *_ in rows)
    assert "'100.000 điểm'" in str(props["map-legend"])
    assert props["map-assets"]["data"] == {"points": None, "clusters": {}, "heat": {}}
    assert len(json.dumps(sent)) < 10_000  # what a refresh sends


def test_a_scene_may_draw_a_hundred_thousand_points_one_by_one_in_seven_bytes_each() -> None:
    sent = drawn(flood(100_000), assets=False, points="points")
    assert sent["points"]["n"] == 100_000 and not sent["clusters"]
    assert len(json.dumps(sent)) < 100_000 * 7 * 4 / 3


def test_clusters_are_finer_where_the_map_looks_closer() -> None:
    many = flood(30_000)
    far, near = (next(iter(drawn(many, assets=False, points="clusters", **where)["clusters"].values())) for where in ({"view": "country"}, {}))
    assert len(far) < 3 < 12 < len(near)
    assert sum(row[2] for row in far) == 30_000 == sum(row[2] for row in near)
    codes = CONTEXT.parts["song-cong"]
    here = [msgspec.structs.replace(p, area=codes[i % len(codes)]) if i % 3 == 0 else p for i, p in enumerate(many)]
    (part,) = drawn(here, assets=False, points="clusters", area="song-cong")["clusters"].values()
    assert sum(row[2] for row in part) == 10_000


def test_one_alone_in_its_cell_stays_a_point() -> None:
    one = next(p for p in province.snapshot().points if p.state == "overdue")
    ((_, _, n, abnormal, style),) = next(iter(drawn([one], points="clusters")["clusters"].values()))
    assert (n, abnormal, style) == (1, 1, "overdue")


def test_heat_counts_every_point_in_some_cell_and_the_legend_says_how_many() -> None:
    many = flood(20_000)
    shot = msgspec.structs.replace(province.snapshot(), points=many)
    props = panel.props([with_map("incidents_open", assets=False, points="heat")], shot, CONTEXT, "vi")
    (heat,) = props["map-incidents"]["data"]["heat"].values()
    assert len({(column, row) for column, row, _ in heat["cells"]}) == len(heat["cells"]) > 200
    assert {step for _, _, step in heat["cells"]} <= set(range(len(heat["edges"]) + 1))
    assert "20.000 điểm" in str(props["map-legend"])
    width, height = heat["cell"]
    assert 1.0 < width / height < 1.12  # square on the screen, at 21 degrees north


def test_scenes_share_what_they_draw_alike() -> None:
    many = flood(3000)
    scenes = [with_map("incidents_open", name=name, feeds=feeds) for name, feeds in (("one", []), ("two", []), ("three", ["incident-reports"]), ("four", ["other"]))]
    props = panel.props(scenes, msgspec.structs.replace(province.snapshot(), points=many), CONTEXT, "vi")
    assert len(props["map-incidents"]["data"]["clusters"]) == 2  # of all feeds, and of that one
    draw = {name: of["draw"]["incident"] for name, of in props["map-areas"]["data"].items()}
    assert draw["one"] == draw["two"] != draw["three"]
    assert draw["four"][0] == "points" and props["map-incidents"]["data"]["points"]["n"] == 0


RING = [[105.7, 21.5], [105.95, 21.5], [105.95, 21.7], [105.7, 21.7], [105.7, 21.5]]


def warned(level: str = "severe", **changes: Any) -> Point:
    """Return a warning in force with its area."""
    base = Point("incident", "warnings", f"w-{level}", "Mưa lớn, ngập úng", "met", "open", "05443", 21.6, 105.825, None, level, {"type": "Polygon", "coordinates": [RING]})
    return msgspec.structs.replace(base, **changes)


def test_an_area_is_sent_with_its_words_the_gravest_last_and_not_as_a_point() -> None:
    shot = msgspec.structs.replace(province.snapshot(), points=[warned("extreme"), warned("minor"), warned("whatever")])
    props = panel.props([with_map("incidents_open")], shot, CONTEXT, "vi")
    rows = props["map-outlines"]["data"]
    assert [(row[2], row[4]) for row in rows] == [(False, "chưa rõ mức"), (False, "nhẹ"), (True, "cực kỳ nghiêm trọng")]
    assert props["map-incidents"]["data"]["points"]["n"] == 0
    assert "nghiêm trọng: 1/3" in str(props["map-legend"])
    assert "vùng: 1" in str(panel.props([with_map("incidents_open")], msgspec.structs.replace(shot, points=[warned("minor")]), CONTEXT, "vi")["map-legend"])


def test_an_area_far_away_is_counted_and_not_drawn_and_one_that_reaches_in_is_named_inside() -> None:
    away = warned(shape={"type": "MultiPolygon", "coordinates": [[[[x + 3, y - 8] for x, y in RING]]]}, lon=108.8, lat=13.6)
    wide = warned("moderate", shape={"type": "Polygon", "coordinates": [[[100, 15], [110, 15], [110, 23], [100, 23], [100, 15]]]}, lon=105.0, lat=19.0)
    props = panel.props([with_map("incidents_open")], msgspec.structs.replace(province.snapshot(), points=[away, wide]), CONTEXT, "vi")
    ((_, _, _, _, level, lon, lat),) = props["map-outlines"]["data"]
    assert level == "trung bình" and points.inside(lon, lat, CONTEXT.shapes["bounds"])
    assert "1 ngoài tỉnh" in str(props["map-legend"])


def test_a_scene_of_other_feeds_does_not_speak_of_an_area() -> None:
    shot = msgspec.structs.replace(province.snapshot(), points=[warned()])
    assert "nghiêm trọng" not in str(panel.props([with_map("incidents_open", feeds=["health"])], shot, CONTEXT, "vi")["map-legend"])
    assert outlines.level_word("severe", "en") == "severe"


@pytest.mark.parametrize(("lon", "lat"), [(0.0, 0.0), (21.6, 105.8), (106.7, 10.8)])
def test_it_does_not_draw_a_point_outside_the_province_but_counts_it(lon: float, lat: float) -> None:
    shot = province.snapshot()
    lost = msgspec.structs.replace(next(p for p in shot.points if p.layer == "incident"), lon=lon, lat=lat)
    props = panel.props([with_map(kpi="incidents_open")], msgspec.structs.replace(shot, points=[*shot.points, lost]), CONTEXT, "vi")
    assert props["map-incidents"]["data"]["points"]["n"] == 214
    assert "1 ngoài tỉnh" in str(props["map-legend"])
    assert "ngoài tỉnh" not in str(panel.props([with_map(kpi="incidents_open")], shot, CONTEXT, "vi")["map-legend"])


def test_it_draws_vehicles_apart_from_facilities_and_names_them() -> None:
    shot = province.snapshot()
    asset = next(p for p in shot.points if p.layer == "asset")
    vehicles = [msgspec.structs.replace(asset, category="vehicle", state=state) for state in ("ok", "down")]
    props = panel.props([with_map(kpi="incidents_open")], msgspec.structs.replace(shot, points=vehicles), CONTEXT, "vi")
    assert [style for _, _, style, _ in unpacked(props["map-assets"]["data"]["points"])] == ["vehicle", "asset_down"]
    assert "phương tiện" in str(props["map-legend"])


def cameras_of(stills: dict[str, Still] | None = None, now: datetime = province.NOW) -> tuple[list[str], str]:
    """Return the styles of camera-1 (CAM-001), 7 (offline), 30 (blurred), 51 (frozen), and the legend."""
    asked = [p for p in province.cameras() if p.subject in ("CAM-001", "CAM-007", "CAM-030", "CAM-051")]
    shot = msgspec.structs.replace(province.snapshot(now=now, stills=stills or {}), points=asked)
    props = panel.props([with_map(kpi="cameras_offline", incidents=False, feeds=["cameras"])], shot, CONTEXT, "vi")
    found = {(round(lon, 3), round(lat, 3)): style for lon, lat, style, _ in unpacked(props["map-assets"]["data"]["points"])}
    return [found[round(p.lon, 3), round(p.lat, 3)] for p in asked], str(props["map-legend"])


def test_a_camera_whose_source_says_that_it_stands_still_is_told_apart_from_one_offline_and_one_blurred() -> None:
    styles, legend = cameras_of()
    assert styles == ["asset", "asset_down", "asset_off", "asset_frozen"]
    assert all(f"'{word}'" in legend for word in ("đứng hình", "ngừng", "lỗi hình"))
    drawn = {name: (STYLES[name].get("text"), STYLES[name].get("radius")) for name in styles}
    assert len(set(drawn.values())) == 4  # by shape, whatever the colour


def test_a_camera_of_the_map_is_marked_while_its_own_still_is_the_same_whatever_its_source_says() -> None:
    def still(changed_s: float, seen_s: float = 1) -> dict[str, Still]:
        return {"camera-1": Still("x", province.NOW - timedelta(seconds=changed_s), province.NOW - timedelta(seconds=seen_s))}

    assert cameras_of(still(9))[0][0] == "asset"
    assert cameras_of(still(10))[0] == ["asset_frozen", "asset_down", "asset_off", "asset_frozen"]
    assert cameras_of(still(90, 60))[0][0] == "asset"  # it does not answer: nobody knows what it sees
    (off,) = [p for p in province.cameras() if p.subject == "CAM-007"]
    assert points.columns([off], frozenset({("cameras", "CAM-007")})).style.tolist() == [points.STYLES.index("asset_down")]  # offline is graver


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
