"""What the wall and the gallery look like, measured: letters (W1), contrast (W2), colour (W3), the colours of VN_AQI (W4); all scenes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

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
SEEN_OVER = OVER.replace("filter((x) => x.offsetParent", "filter((x) => x.offsetParent && getComputedStyle(x).visibility === 'visible'")  # a part's neighbours are hidden, not gone
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


class Seen(NamedTuple):
    """What was measured of one scene."""

    texts: list[Any]
    over: list[str]
    poor: list[Any]
    coloured: list[Any]
    regulated: list[Any]


class Walk:
    """Visits all scenes once a size; what the tests ask is measured on the same visit."""

    def __init__(self, page: Page) -> None:
        self._page, self._seen = page, dict[tuple[int, int], dict[str, Seen]]()

    def __call__(self, size: tuple[int, int] = (1920, 1080)) -> dict[str, Seen]:
        if size not in self._seen:
            page = self._page
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.evaluate("(px) => document.querySelector('#scene').style.setProperty('--letter', px + 'px')", 0.0058 * DISTANCE_M * 1000 / PITCH_MM[size])
            self._seen[size] = {name: Seen(measured(page), page.evaluate(OVER), *(look(page, what) for what in ("contrast", "coloured", "regulated"))) for name in each_scene(page)}
        return self._seen[size]


@pytest.fixture(scope="module")
def walk(wall: Page) -> Walk:
    return Walk(wall)


@pytest.mark.parametrize("size", PITCH_MM)
def test_w01_every_text_of_every_scene_is_16_minutes_of_arc_high(walk: Walk, size: tuple[int, int]) -> None:
    """Measured on small letters: stacked marks eat into capitals."""
    least = 0.00465 * DISTANCE_M * 1000 / PITCH_MM[size]
    scenes = walk(size)
    assert sum(len(seen.texts) for seen in scenes.values()) > 40 * len(NAMES)
    small = {name: [(text["text"], round(text["size"] * X_HEIGHT / least, 2)) for text in seen.texts if text["size"] * X_HEIGHT < least * 0.995] for name, seen in scenes.items()}
    assert {name: below for name, below in small.items() if below} == {}
    cut = {name: [text for text in seen.texts if text["cut"]] + seen.over for name, seen in scenes.items()}
    assert {name: lost for name, lost in cut.items() if lost} == {}


@pytest.fixture(scope="module")
def afar() -> Iterator[Screens]:
    """A wall of 55-inch panels that is read from eight metres."""
    config = province.config()
    found = Screens(config.model_copy(update={"scenes": config.scenes.model_copy(update={"viewing_distance_m": 8.0, "pixel_pitch_mm": 0.634})})).start()
    found.snapshot = everywhere(province.snapshot(), "alarm")
    yield found
    found.stop()


FAR = {(1920, 1080): (1, 12), (3840, 2160): (4, 4), (7680, 2160): (8, 3)}  # one panel, four, eight: the most tiles at a time, parts of the overview


@pytest.fixture(params=FAR, ids=str)
def far(request: pytest.FixtureRequest, chrome: Browser, afar: Screens) -> Iterator[Page]:
    width, height = request.param
    page = chrome.new_page(viewport={"width": width, "height": height})
    page.add_init_script(REFUSE_WEBGL)
    page.goto(afar.url + "/wall")
    page.wait_for_selector("#scene .tile-foot", state="attached")
    page.wait_for_selector("#map[data-mode='fallback']", state="attached")  # the ranking in its place; the map itself is looked at by test_wall_map
    page.evaluate(STILL)
    yield page
    page.close()


def test_w01_from_eight_metres_a_scene_comes_in_parts_with_letters_high_enough(far: Page) -> None:
    size = far.viewport_size
    assert size is not None
    most, of_overview = FAR[size["width"], size["height"]]
    least = 0.00465 * 8.0 * 1000 / 0.634
    small, cut = {}, {}
    for name in ("overview", "economy", "environment", "song-cong"):
        parts = far.evaluate(f"window.ioc_scenes.list().find((scene) => scene.name === '{name}').parts.length")
        tiles: list[str] = []
        for part in range(parts):
            far.evaluate(f"window.ioc_scenes.show('{name}', {part})")
            far.wait_for_function("document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))))")
            texts = measured(far)
            assert len(texts) >= 3
            if below := {text["text"]: round(text["size"] * X_HEIGHT / least, 2) for text in texts if text["size"] * X_HEIGHT < least * 0.995}:
                small[name, part] = below
            if lost := [text for text in texts if text["cut"]] + far.evaluate(SEEN_OVER):
                cut[name, part] = lost
            seen: list[str] = far.evaluate("[...document.querySelectorAll('.tiles > .tile')].filter((tile) => tile.offsetParent && getComputedStyle(tile).visibility === 'visible').map((tile) => tile.id)")
            assert len(seen) <= most
            assert bool(seen) != far.evaluate("getComputedStyle(document.querySelector('#map')).visibility === 'visible'")  # tiles or the map, never nothing
            tiles += seen
        assert sorted(tiles) == sorted(far.evaluate(f"window.ioc_scenes.list().find((scene) => scene.name === '{name}').tiles.map((tile) => tile.id)"))
        if name == "overview":
            assert parts == of_overview
    assert small == {}
    assert cut == {}


def test_w15_parts_of_a_scene_turn_as_scenes_do(far: Page) -> None:
    far.evaluate("window.ioc_scenes.show('overview')")
    last = far.evaluate("window.ioc_scenes.current().parts.length")
    at = "[document.querySelector('#scene').dataset.scene, Number(document.querySelector('#scene').dataset.part)]"
    for part in range(last):
        assert far.evaluate(at) == ["overview", part]
        assert far.locator("#scene-state").text_content() == f"{part + 1}/{last}"
        far.keyboard.press("ArrowRight")
    assert far.evaluate(at) == ["public-services", 0]
    far.keyboard.press("ArrowLeft")
    assert far.evaluate(at) == ["overview", last - 1]
    far.keyboard.press("f")
    far.keyboard.type("phan anh qua han")
    far.keyboard.press("Enter")
    assert far.evaluate("getComputedStyle(document.querySelector('[data-found]')).visibility === 'visible' && document.querySelector('[data-found]').offsetParent !== null")
    far.set_viewport_size({"width": 1920, "height": 1080})  # another screen: divided anew
    far.wait_for_function("window.ioc_scenes.list()[0].parts.length === 12")
    far.evaluate("document.querySelector('#scene').style.setProperty('--letter-least', '100px'); window.dispatchEvent(new Event('resize'))")
    expect(far.locator("#scene-state")).to_contain_text("chữ nhỏ hơn mức cần")


@pytest.mark.parametrize("size", PITCH_MM)
def test_w02_the_contrast_of_every_scene_is_enough(walk: Walk, size: tuple[int, int]) -> None:
    assert {name: seen.poor for name, seen in walk(size).items() if seen.poor} == {}


@pytest.mark.parametrize("size", PITCH_MM)
def test_w03_colour_stands_only_where_something_is_abnormal_and_never_alone(walk: Walk, size: tuple[int, int]) -> None:
    scenes = walk(size)
    for name, seen in scenes.items():
        assert [place for place in seen.coloured if not (place["abnormal"] and place["shape"] and place["word"])] == [], name
    assert [name for name, seen in scenes.items() if not seen.coloured] == ["education"]  # its feed is stale: whether an old alarm still holds, nobody knows


@pytest.mark.parametrize("size", PITCH_MM)
def test_w04_the_colours_of_vn_aqi_are_only_on_small_chips(walk: Walk, size: tuple[int, int]) -> None:
    found = {name: seen.regulated for name, seen in walk(size).items() if seen.regulated}
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
