"""What the wall and the gallery look like, measured: letters (W1), contrast (W2), colour (W3), the colours of VN_AQI (W4); all scenes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page

from ioc.kpi.tile import Status
from ioc.live import Snapshot
from tests.browser import province
from tests.browser.conftest import OpenPage
from tests.browser.screens import Screens
from tests.browser.test_scenes import NAMES, STILL
from tests.browser.test_screens import LOOK, REFUSE_WEBGL, drawn, measured

pytestmark = [pytest.mark.browser, pytest.mark.slow]

X_HEIGHT = 0.536  # of Noto Sans, in em
# Four 55-inch panels, or eight in a row, read from 5 m; the first with half the pixels.
PITCH_MM = {(1920, 1080): 1.268, (3840, 2160): 0.634, (7680, 2160): 0.634}
DISTANCE_M = 5.0
DRAWN = "[...document.querySelectorAll('.tiles > .tile')].filter((tile) => tile.offsetParent).every((tile) => tile.querySelector('.tile-foot'))"
OVER = "[...document.querySelectorAll('.tile-head, .tile-main, .tile-foot, .wall-header, .feed, .legend-title, .chart-head, .chart-foot, .flow, .trend-plot, .calendar-plot, .chart .ranking')].filter((x) => x.offsetParent && (x.scrollWidth > x.clientWidth + 1 || (x.closest('.chart') && x.scrollHeight > x.clientHeight + 0.4 * parseFloat(getComputedStyle(x).fontSize)))).map((x) => x.textContent)"
GALLERIES = ["/gallery?lang=vi&theme=dark", "/gallery?lang=vi&theme=light", "/gallery?lang=en"]


@pytest.fixture(scope="module")
def server() -> Iterator[Screens]:
    found = Screens(province.config()).start()
    yield found
    found.stop()


def everywhere(snapshot: Snapshot, status: Status) -> Snapshot:
    """Return the afternoon with this status on every tile."""
    tiles = {name: msgspec.structs.replace(t, status=status) for name, t in snapshot.tiles.items()}
    parts = {area: {name: msgspec.structs.replace(t, status=status) for name, t in found.items()} for area, found in snapshot.parts.items()}
    return msgspec.structs.replace(snapshot, tiles=tiles, parts=parts)


@pytest.fixture(scope="module")
def wall(chrome: Browser, server: Screens) -> Iterator[Page]:
    """All scenes on one page, every tile at alarm: then a title shares its place with a chip, and there is most to judge.

    The map's legends stand as with a map, but none is drawn: its picture is not what is measured. One page for all tests
    here, since drawing all scenes once is what costs time.
    """
    server.snapshot = everywhere(province.snapshot(), "alarm")
    page = chrome.new_page(viewport={"width": 1920, "height": 1080})
    page.add_init_script(REFUSE_WEBGL)
    page.goto(server.url + "/wall")
    drawn(page)
    page.evaluate(STILL)
    page.evaluate("document.querySelector('#map').dataset.mode = 'deck'")
    yield page
    page.close()


def each_scene(page: Page) -> Iterator[str]:
    for name in NAMES:
        page.evaluate(f"window.ioc_scenes.show('{name}')")
        page.wait_for_function(DRAWN)
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")  # letters are fitted by then
        yield name


def look(page: Page, what: str) -> list[Any]:
    found: list[Any] = page.evaluate(f"({LOOK}).{what}()")
    return found


@pytest.mark.parametrize("size", PITCH_MM)
def test_w01_every_text_of_every_scene_is_16_minutes_of_arc_high(wall: Page, size: tuple[int, int]) -> None:
    """Measured on small letters: stacked marks eat into capitals."""
    wall.set_viewport_size({"width": size[0], "height": size[1]})
    pitch = PITCH_MM[size]
    wall.evaluate("(px) => document.querySelector('#scene').style.setProperty('--letter', px + 'px')", 0.0058 * DISTANCE_M * 1000 / pitch)
    least = 0.00465 * DISTANCE_M * 1000 / pitch
    small, cut, texts = {}, {}, 0
    for name in each_scene(wall):
        found = measured(wall)
        texts += len(found)
        if below := {text["text"]: round(text["size"] * X_HEIGHT / least, 2) for text in found if text["size"] * X_HEIGHT < least * 0.995}:
            small[name] = below
        if lost := [text for text in found if text["cut"]] + wall.evaluate(OVER):
            cut[name] = lost
    assert texts > 40 * len(NAMES)
    assert small == {}
    assert cut == {}


def test_w02_the_contrast_of_every_scene_is_enough(wall: Page) -> None:
    assert {name: poor for name in each_scene(wall) if (poor := look(wall, "contrast"))} == {}


def test_w03_colour_stands_only_where_something_is_abnormal_and_never_alone(wall: Page) -> None:
    grey = []
    for name in each_scene(wall):
        found = look(wall, "coloured")
        grey += [] if found else [name]
        assert [place for place in found if not (place["abnormal"] and place["shape"] and place["word"])] == [], name
    assert grey == ["education"]  # its feed is stale: whether an old alarm still holds, nobody knows


def test_w04_the_colours_of_vn_aqi_are_only_on_small_chips(wall: Page) -> None:
    found = {name: places for name in each_scene(wall) if (places := look(wall, "regulated"))}
    assert list(found) == ["environment"]
    assert len(found["environment"]) >= 3 and all(place["small"] for place in found["environment"])


def test_w03_the_wall_is_grey_while_nothing_is_abnormal(open_page: OpenPage, screens: Screens) -> None:
    screens.snapshot = everywhere(province.snapshot(), "good")
    for name in ("overview", "public-services"):
        page = drawn(open_page(f"/wall/{name}", script=REFUSE_WEBGL))
        page.wait_for_function(DRAWN)
        assert look(page, "coloured") == []
        assert page.evaluate(f"({LOOK}).saturated_pixels", list(page.screenshot())) == 0  # and what is a picture


@pytest.mark.parametrize("path", GALLERIES)
def test_w02_the_contrast_of_every_figure_in_every_state_is_enough(open_page: OpenPage, screens: Screens, path: str) -> None:
    assert look(open_page(path, wait=False), "contrast") == []


@pytest.mark.parametrize("path", GALLERIES)
def test_w03_colour_in_the_gallery_is_never_alone(open_page: OpenPage, screens: Screens, path: str) -> None:
    found = look(open_page(path, wait=False), "coloured")
    assert len(found) > 20
    assert [place for place in found if not (place["abnormal"] and place["shape"] and place["word"])] == []


def test_w03_every_state_is_told_without_colour(open_page: OpenPage, screens: Screens) -> None:
    """The shapes of freshness and status as pictures without colour: any two differ in a tenth of their pixels at least."""
    page = open_page("/gallery?lang=vi&theme=dark", wait=False)
    page.add_style_tag(content="[data-chip] .shape { zoom: 4 } [data-chip] .chip { background: none !important; color: #fff !important }")
    shots = {}
    for name in ("state-live", "state-late", "state-stale", "state-lost", "state-never", "status-watch", "status-alarm"):
        shots[name] = list(page.locator(f"[data-chip='{name}'] .shape").screenshot())
    names = list(shots)
    alike = []
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            if page.evaluate(f"({LOOK}).difference", [shots[one], shots[other]]) < 0.1:
                alike.append((one, other))
    assert alike == []


COLOURS = """() => Object.fromEntries(window.ioc_map.deck().props.layers.map(({ id, props: { data } }) => {
  const columns = Object.entries((data || {}).attributes || {}).filter(([name]) => name.endsWith("Color")).map(([, { value }]) => value);
  const ofColumns = columns.flatMap((value) => Array.from({ length: data.length }, (_, i) => value.slice(4 * i, 4 * i + 3).join()));
  const ofRows = columns.length ? [] : [...(data || [])].map((row) => (row.fill || (row.properties || {}).fill || []).slice(0, 3).join());
  return [id, [...ofColumns, ...ofRows]];
}))"""


def test_w04_no_layer_of_the_map_but_the_chips_has_a_colour_of_vn_aqi(open_page: OpenPage, screens: Screens) -> None:
    palette = {"0,228,0", "255,255,0", "255,126,0", "255,0,0", "143,63,151", "126,0,35"}
    for scene, layer, coloured in [("environment", "chips", {"chips"}), ("overview", "incidents", set())]:
        page = drawn(open_page(f"/wall/{scene}"))
        page.wait_for_function(f"window.ioc_map.deck().props.layers.find(({{ id }}) => id === '{layer}').props.data.length > 3")
        layers = page.evaluate(COLOURS)
        assert all(layers[layer])
        assert {name for name, fills in layers.items() if palette & set(fills)} == coloured
        page.close()


@pytest.mark.parametrize("path", GALLERIES)
def test_the_gallery_shows_everything_whole_on_a_phone_and_on_a_desk(open_page: OpenPage, screens: Screens, path: str) -> None:
    page = open_page(path, wait=False)
    for width, height in [(390, 844), (1920, 1080)]:
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [text for text in measured(page) if text["cut"]] == []
        regulated = look(page, "regulated")
        assert len(regulated) == 6 and all(place["small"] for place in regulated)


def test_the_gallery_is_walked_by_keyboard(open_page: OpenPage, screens: Screens) -> None:
    page = open_page("/gallery?lang=vi", wait=False)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id || location.hash") in ("main", "#main")
    page.keyboard.press("Tab")  # the first tile of a page: those of the wall lead nowhere
    assert page.evaluate("document.activeElement.closest('.tile, .scroll') !== null")
