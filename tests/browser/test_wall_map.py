"""The map of the wall with what a province may send: a flood of points, places that cannot be, and the country in its corner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from ioc.live import Point
from tests.browser import province
from tests.browser.conftest import OpenPage
from tests.browser.pictures import EIGHT_METRES, furnished
from tests.browser.screens import Screens
from tests.browser.test_scenes import NAMES, STILL
from tests.browser.test_screens import drawn
from tests.browser.test_wall_look import DISTANCE_M, PITCH_MM, X_HEIGHT
from tests.unit.test_dashboards_map import RING, flood, warned

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DIGIT = 0.714  # height of a digit of Noto Sans, in em
SIZES = [(1280, 720), (1920, 1080), (3840, 2160), (7680, 2160)]
# Pixels brighter than the sea and the land in a part (shares of width and height) of a PNG.
LIT = """
async ([bytes, x, y, w, h]) => {
  const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(x * image.width, y * image.height, w * image.width, h * image.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) n += data[i + 1] > 150 ? 1 : 0;
  return n;
}
"""
LAYER = "window.ioc_map.deck().props.layers.find((l) => l.id === '{}').props.data"
TEXTS = LAYER + ".map((row) => row.text)"
WITHIN = """(selector) => {
  const [a, b] = [selector, "#map-canvas"].map((of) => document.querySelector(of).getBoundingClientRect());
  return [a.left - b.left, a.top - b.top, a.right - b.left, a.bottom - b.top];
}"""
SCENES = province.ROOT / "dashboards" / "scenes"
TOUCH = (Path(__file__).parent / "touch.js").read_text(encoding="utf-8")
# Contrast of two colours, after WCAG.
RATIO = """([a, b]) => {
  const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}"""
CORNER = "n => { const b = n.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; }"


def test_w25_hoang_sa_and_truong_sa_are_on_every_scene_with_a_map(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall"))
    corner = page.locator(".map-country")
    for name in ("overview", "health", "warnings", "environment"):
        page.evaluate(f"window.ioc_scenes.show('{name}')")
        expect(corner).to_be_visible()
        expect(corner).to_contain_text("Hoàng Sa")
        expect(corner).to_contain_text("Trường Sa")
    page.add_style_tag(content=".country-name { visibility: hidden; }")  # the drawing alone
    picture = list(corner.screenshot())

    def lit(west: float, south: float, east: float, north: float) -> int:
        """Return how many bright pixels lie between these degrees."""
        found: int = page.evaluate(LIT, [picture, (west - 101.6) / 16.4, (23.8 - north) / 17.4, (east - west) / 16.4, (north - south) / 17.4])
        return found

    assert lit(110.8, 15.4, 113.2, 17.5) >= 10, "Hoàng Sa"
    assert lit(111.4, 7.4, 116, 11.9) >= 10, "Trường Sa"
    assert lit(113.5, 12.5, 117, 15) == 0  # the open sea between them


def test_the_country_covers_neither_legend_nor_note(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/overview"))
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        left, top, right, bottom = page.locator(".map-country").evaluate(CORNER)
        for other in page.locator(".legend-of > .legend-side > * > *, .legend-of > .legend-note").filter(visible=True).all():
            a, b, c, d = other.evaluate(CORNER)
            assert a >= right or c <= left or b >= bottom - 1 or d <= top + 1, (width, other.inner_text())
        for name in page.locator(".country-name").all():
            a, b, c, d = name.evaluate(CORNER)
            assert left - 1 <= a and c <= right + 1 and top <= b and d <= bottom, (width, name.inner_text())
    page.wait_for_function("window.ioc_map.text() > 50")  # drawn for the widest, where the country stands at the right
    corner = page.evaluate(WITHIN, ".map-country")
    labels = page.evaluate(BOXES.format("labels"))
    assert labels and touching(labels, [corner]) == []


def shown(screens: Screens, page: Page, points: list[Point], seq: int = 2) -> None:
    """Bring these points, and nothing else, to the map; return when they are drawn."""
    before = page.evaluate("window.ioc_map.drawn()")
    screens.show(province.snapshot(seq, points=points))
    page.wait_for_function(f"window.ioc_map.drawn() > {before}", timeout=40_000)


def test_a_hundred_thousand_points_are_drawn_as_clusters_with_their_numbers(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/overview"))
    shown(screens, page, flood(100_000))
    numbers = [int(text.replace(".", "")) for text in page.evaluate(TEXTS.format("clusters"))]
    alone = page.evaluate(LAYER.format("incidents") + ".length")
    assert 12 < len(numbers) < 100
    all_of_them = sum(numbers) + alone
    assert 110_000 - 20 <= all_of_them <= 110_000  # the overdue stand once more below the number they are in
    expect(page.locator(".legend-symbols").filter(visible=True)).to_contain_text("100.000 điểm")


def test_points_one_by_one_and_heat_are_drawn_where_a_scene_asks_for_them(chrome: Browser, tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for mode in ("points", "heat"):
        (scenes / f"{mode}.yaml").write_text(f"title: {{vi: A, en: A}}\ntiles: [incidents_open]\nmap: {{kpi: incidents_open, assets: false, points: {mode}}}\nticker: 0\n", "utf-8")
    config = province.config()
    server = Screens(config.model_copy(update={"scenes": config.scenes.model_copy(update={"folder": scenes, "use": ["points", "heat"]})})).start()
    server.snapshot = province.snapshot(points=flood(20_000))
    try:
        page = chrome.new_page(viewport={"width": 1280, "height": 720})
        page.goto(server.url + "/wall")
        page.wait_for_function("window.ioc_map && window.ioc_map.drawn() > 0", timeout=30_000)
        assert page.evaluate(LAYER.format("incidents") + ".length") == 20_000
        page.evaluate("window.ioc_scenes.show('heat')")
        page.wait_for_function(LAYER.format("heat") + ".length > 200")
        assert page.evaluate(LAYER.format("incidents") + ".length") == 0
        expect(page.locator(".legend-symbols").filter(visible=True)).to_contain_text("20.000 điểm")
        page.close()
    finally:
        server.stop()


def test_a_warning_is_an_outlined_hatched_area_with_its_words_until_it_is_over(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/warnings"))
    shown(screens, page, [warned("severe"), warned("minor", shape={"type": "Polygon", "coordinates": [[[x - 0.4, y + 0.5] for x, y in RING]]}, lon=105.425, lat=22.1)])
    assert page.evaluate(TEXTS.format("notices")) == ["Mưa lớn, ngập úng\nnghiêm trọng", "Mưa lớn, ngập úng\nnhẹ"]
    assert page.evaluate(LAYER.format("outlines") + ".map((row) => row.properties.width)")[1] > page.evaluate(LAYER.format("outlines") + ".map((row) => row.properties.width)")[0]
    lines = page.evaluate(LAYER.format("hatch"))
    assert len(lines) > 5
    west, south, east, north = 105.29, 21.49, 105.96, 22.21
    assert all(west < lon < east and south < lat < north for line in lines for lon, lat in (line["from"], line["to"]))
    assert all((line["to"][1] - line["from"][1]) * (line["to"][0] - line["from"][0]) > 0 for line in lines)  # rises, as in the legend; what has no value falls
    expect(page.locator(".legend-symbols").filter(visible=True)).to_contain_text("nghiêm trọng: 1/2")
    shown(screens, page, [], 3)
    assert page.evaluate(LAYER.format("outlines") + ".length + " + LAYER.format("hatch") + ".length + " + LAYER.format("notices") + ".length") == 0


def test_a_name_makes_way_for_a_chip_and_a_warning(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/environment"))
    page.wait_for_function(LAYER.format("chips") + ".length > 5")
    labels, chips = page.evaluate(BOXES.format("labels")), page.evaluate(BOXES.format("chips"))
    assert len(labels) >= 4
    assert touching(labels, chips) == []


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screens]:
    """Every scene that has a map, with the first of its tiles and no chart: those take most of the time and stand beside the map."""
    folder = tmp_path_factory.mktemp("maps")
    names = []
    for name in NAMES:
        scene = yaml.safe_load((SCENES / f"{name}.yaml").read_text(encoding="utf-8"))
        if "map" in scene:
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(scene | {"tiles": scene["tiles"][:1], "charts": [], "cameras": []}), encoding="utf-8")
            names.append(name)
    config = province.config()
    found = Screens(config.model_copy(update={"scenes": config.scenes.model_copy(update={"folder": folder, "use": names})})).start()
    yield found
    found.stop()


@pytest.mark.parametrize("size", PITCH_MM)
def test_w01_nothing_written_on_the_map_of_any_scene_touches_anything_or_is_cut(chrome: Browser, maps: Screens, size: tuple[int, int]) -> None:
    """Names, warnings, legend, note, scale and country. Drawn with few pixels: where things stand does not depend on them."""
    maps.snapshot = furnished(maps)
    page = chrome.new_page(viewport={"width": size[0], "height": size[1]}, device_scale_factor=480 / size[0])
    page.goto(maps.url + "/wall")
    page.wait_for_selector("#map[data-mode]", timeout=120_000)  # the widest takes its time
    drawn(page)
    page.evaluate(STILL)
    wrong, shown = {}, {}
    for name in maps.config.scenes.use:
        page.evaluate(f"window.ioc_scenes.show('{name}')")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))")
        touching, cut, shown[name] = page.evaluate(TOUCH)
        wrong |= {name: [touching, cut]} if touching or cut else {}
    page.close()
    assert wrong == {}
    assert len(shown) > 12 and min(map(len, shown.values())) >= 2
    for name in ("warnings", "thai-nguyen-city", "song-cong"):
        assert "Mưa lớn, ngập úng\nnghiêm trọng" in shown[name], name


def test_w01_from_eight_metres_nothing_written_on_a_map_touches_anything_or_is_cut(chrome: Browser, maps: Screens) -> None:
    """Four panels: each scene is a tile, then its map, shades only."""
    maps.snapshot = furnished(maps)
    page = chrome.new_page(viewport={"width": 3840, "height": 2160}, device_scale_factor=1 / 8)
    page.goto(maps.url + "/wall")
    drawn(page)
    page.evaluate(STILL)
    page.evaluate(EIGHT_METRES)
    wrong, shown, symbols = {}, {}, {}
    for name in maps.config.scenes.use:
        page.evaluate(f"window.ioc_scenes.show('{name}', 1)")
        page.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 400))")  # the camera follows the map's size
        touching, cut, shown[name] = page.evaluate(TOUCH)
        wrong |= {name: [touching, cut]} if touching or cut else {}
        symbols[name] = page.evaluate("['incidents', 'assets'].map((id) => window.ioc_map.deck().props.layers.find((layer) => layer.id === id).props.data.length)")
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('#scene')).fontSize)") > 136
    page.close()
    assert wrong == {}
    assert min(map(len, shown.values())) >= 1 and sum(map(len, shown.values())) > 30, shown
    assert {name: n for name, n in symbols.items() if any(n)} == {}


def test_a_commune_without_a_value_is_outlined_and_hatched_as_the_legend_says(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/environment"))
    page.wait_for_function(LAYER.format("chips") + ".length > 5")
    areas = page.evaluate(LAYER.format("areas") + ".map(({ properties: { none, fill, line } }) => [none, fill, line])")
    without = [(fill, line) for none, fill, line in areas if none]
    assert 50 < len(without) < len(areas)
    assert all(none for none, _, _ in areas[-len(without) :])  # their outline lies on top
    assert len(page.evaluate(LAYER.format("blank"))) > 2 * len(without)
    tile = page.evaluate("getComputedStyle(document.querySelector('#map')).backgroundColor.match(/\\d+/g).map(Number)")
    for fill, line in without:
        assert fill[:3] == tile and page.evaluate(RATIO, [line, tile]) >= 3  # W2
    expect(page.locator(".legend-steps").filter(visible=True)).to_contain_text("chưa có")
    slants = page.evaluate(LAYER.format("blank") + ".map(({ from, to }) => Math.sign((to[1] - from[1]) * (to[0] - from[0])))")
    assert set(slants) == {-1}  # falls to the right, as in the legend


# The boxes of what a layer writes: letters of 75 % width are 0.43 em wide on average, and 0.9 em high with their marks.
BOXES = """() => {{
  const deck = window.ioc_map.deck(), view = deck.viewManager.getViewports()[0];
  const {{ data, getSize }} = deck.props.layers.find((layer) => layer.id === '{}').props;
  return data.map((row) => {{
    const size = typeof getSize === 'function' ? getSize(row) : getSize;
    const [x, y] = view.project(row.position), [right, down] = row.offset || [0, 0], half = row.text.length * size * 0.215;
    return [x + right - half, y + down - size * 0.45, x + right + half, y + down + size * 0.45];
  }});
}}"""


def touching(some: list[list[float]], others: list[list[float]]) -> list[list[float]]:
    """Return which boxes touch one of the others."""
    return [a for a in some if not all(a is b or a[0] >= b[2] or a[2] <= b[0] or a[1] >= b[3] or a[3] <= b[1] for b in others)]


def test_w01_what_is_written_on_the_map_is_16_minutes_of_arc_high_and_no_name_touches_another(screens: Screens, open_page: OpenPage) -> None:
    """Words by their small letters, numbers by their digits; from 5 m at the pitch of test_wall_look.PITCH_MM."""
    page = drawn(open_page("/wall/overview"))
    shown(screens, page, [warned("severe"), *province.snapshot().points])
    for (width, height), pitch in list(PITCH_MM.items())[:2]:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(f"window.ioc_map.text() * {1920 / width} > 27")
        least = 0.00465 * DISTANCE_M * 1000 / pitch
        for layer, share in (("labels", X_HEIGHT), ("notices", X_HEIGHT), ("clusters", DIGIT), ("chips", DIGIT)):
            size = page.evaluate(f"window.ioc_map.deck().props.layers.find((layer) => layer.id === '{layer}').props.getSize")
            assert size * share >= least, (layer, width)
        labels = page.evaluate(BOXES.format("labels"))
        assert len(labels) >= 3
        assert touching(labels, labels) == []


def test_a_name_makes_way_for_what_fails_and_for_the_scale(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/overview"))
    towns = page.evaluate(LAYER.format("labels"))
    base = province.cameras()[6]
    assert base.state == "down"
    shown(screens, page, [msgspec.structs.replace(base, feed="health", subject=f"{i}", lon=row["position"][0], lat=row["position"][1]) for i, row in enumerate(towns)])
    marks, labels = page.evaluate(BOXES.format("marks")), page.evaluate(BOXES.format("labels"))
    assert len(marks) == len(towns) and len(labels) >= 3
    assert touching(labels, marks) == []
    assert touching(labels, [page.evaluate(WITHIN, "#map-scale")]) == []


def test_places_that_cannot_be_are_counted_and_not_drawn(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/overview"))
    before = page.evaluate("window.ioc_map.drawn()")
    shot = province.snapshot(2)
    one = next(p for p in shot.points if p.layer == "incident")
    lost = [msgspec.structs.replace(one, lon=lon, lat=lat) for lon, lat in ((0.0, 0.0), (106.7, 10.8))]
    screens.show(msgspec.structs.replace(shot, points=[*lost, *shot.points[:5]]))
    page.wait_for_function(f"window.ioc_map.drawn() > {before}")
    expect(page.locator(".legend-symbols").filter(visible=True)).to_contain_text("2 ngoài tỉnh")
    assert page.evaluate(LAYER.format("incidents") + ".length") == 5
