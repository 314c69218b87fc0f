"""Stills of cameras on the wall: the newest picture, and how long ago it last changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from connectors.cameras.simulated_stills import still
from tests.browser import province
from tests.browser.conftest import OpenPage
from tests.browser.screens import Screens
from tests.browser.test_screens import drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CAMERA = "camera-1"
WAIT_MS = 20_000  # a made-up afternoon is drawn in the meantime


def fetched(screens: Screens, after_s: float, picture_of_s: float) -> None:
    """Let so many seconds pass, and the camera answer with the picture of another moment."""
    now = province.NOW + timedelta(seconds=after_s)
    screens.snapshot = province.snapshot(1 + int(after_s), now=now)
    assert screens.album.take(CAMERA, still(1, province.NOW + timedelta(seconds=picture_of_s)))
    screens.show(province.snapshot(2 + int(after_s), now=now, stills=screens.album.shown()))


def test_w21_a_picture_that_has_not_changed_for_ten_seconds_is_marked_as_standing_still(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall/cameras")
    tile = page.locator(f"#still-{CAMERA}")
    expect(tile).to_have_attribute("data-still", "never")
    fetched(screens, 0, 0)
    expect(tile).to_contain_text("đổi hình 0 giây trước", timeout=WAIT_MS)
    page.wait_for_function(f"document.querySelector('#still-{CAMERA} img').naturalWidth === 480")
    fetched(screens, 4, 4)
    expect(tile).to_have_attribute("data-changed-at", "2026-11-20T07:32:09Z", timeout=WAIT_MS)
    first = tile.locator("img").get_attribute("src")
    for after in (8, 12):
        fetched(screens, after, 4)
        expect(tile).to_contain_text(f"đổi hình {after - 4} giây trước", timeout=WAIT_MS)
        assert tile.locator("img").get_attribute("src") == first
    fetched(screens, 14, 4)
    expect(tile).to_have_attribute("data-still", "frozen", timeout=WAIT_MS)
    expect(tile).to_contain_text("đứng hình 10 giây")
    fetched(screens, 16, 16)
    expect(tile).to_have_attribute("data-still", "live", timeout=WAIT_MS)


def test_a_camera_that_does_not_answer_is_told_apart_from_one_that_stands_still(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall/cameras?lang=en")
    fetched(screens, 0, 0)
    later = province.NOW + timedelta(seconds=150)
    screens.show(province.snapshot(9, now=later, stills=screens.album.shown()))
    tile = page.locator(f"#still-{CAMERA}")
    expect(tile).to_have_attribute("data-still", "lost", timeout=WAIT_MS)
    expect(tile).to_contain_text("no picture for 2 min")


@pytest.mark.parametrize(("lang", "words"), [("vi", ["đứng hình", "ngừng", "lỗi hình"]), ("en", ["frozen", "not working", "bad picture"])])
def test_the_map_marks_a_camera_that_stands_still_one_offline_and_one_blurred_by_shape_and_word(screens: Screens, open_page: OpenPage, lang: str, words: list[str]) -> None:
    page = drawn(open_page(f"/wall/cameras?lang={lang}"))
    marks = "JSON.stringify(window.ioc_map.deck().props.layers.find((layer) => layer.id === 'marks').props.data.map((row) => row.text).sort())"
    places = province.cameras()
    screens.album.take(CAMERA, still(1, province.NOW))
    screens.show(province.snapshot(2, points=places, stills=screens.album.shown()))
    page.wait_for_function(f"{marks} === '[\"ll\",\"×\"]'")  # by what their management system says
    screens.show(province.snapshot(3, now=province.NOW + timedelta(seconds=11), points=places, stills=screens.album.shown()))
    page.wait_for_function(f"{marks} === '[\"ll\",\"ll\",\"×\"]'")  # and by its own still
    legend = page.locator(".legend-symbols").filter(visible=True)
    for word in words:
        expect(legend).to_contain_text(word)
    expect(legend.locator(".shape-map-frozen, .shape-map-down, .shape-map-off")).to_have_count(3)


def test_only_the_scene_with_cameras_shows_them(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall")
    expect(page.locator(".stills")).to_be_hidden()
    page.evaluate("window.ioc_scenes.show('cameras')")
    expect(page.locator(".still").filter(visible=True)).to_have_count(4)
