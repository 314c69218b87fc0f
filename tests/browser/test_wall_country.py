"""A scene that looks at the country: drawn in place of the province, with Hoàng Sa and Trường Sa, and nothing beside it says so twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser import province
from tests.browser.conftest import OpenPage
from tests.browser.screens import Screens
from tests.browser.test_scenes import STILL
from tests.browser.test_screens import drawn
from tests.browser.test_wall_map import LIT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCENE = """
title: {vi: Cả nước, en: The country}
tiles: [incidents_open, incidents_overdue]
columns: 1
columns_wide: 1
map: {kpi: incidents_open, incidents: true, assets: false, view: %s}
"""
PLACE = "([lon, lat]) => { const view = window.ioc_map.deck().viewManager.getViewports()[0]; const [x, y] = view.project([lon, lat]); return [x / view.width, y / view.height]; }"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screens]:
    folder = tmp_path_factory.mktemp("scenes")
    for name in ("area", "country"):
        (folder / f"{name}.yaml").write_text(SCENE % name, encoding="utf-8")
    config = province.config()
    found = Screens(config.model_copy(update={"scenes": config.scenes.model_copy(update={"folder": folder, "use": ["area", "country"]})})).start()
    yield found
    found.stop()


def test_w25_a_scene_may_look_at_the_country_and_shows_both_archipelagos(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall?lang=vi"))
    page.evaluate(STILL)
    expect(page.locator("#map")).to_have_attribute("data-look", "area")
    near = page.evaluate("window.ioc_map.deck().viewManager.getViewports()[0].zoom")
    page.evaluate("window.ioc_scenes.show('country')")
    expect(page.locator("#map")).to_have_attribute("data-look", "country")
    page.wait_for_function(f"window.ioc_map.deck().viewManager.getViewports()[0].zoom < {near} - 2")
    expect(page.locator(".map-country")).to_be_hidden()  # the sketch in the corner would say the same
    page.evaluate("new Promise((done) => setTimeout(() => requestIdleCallback(done), 500))")
    picture = list(page.locator("#map-canvas").screenshot())

    def lit(west: float, south: float, east: float, north: float) -> int:
        """Return how many bright pixels lie between these degrees."""
        (x, y), (right, bottom) = page.evaluate(PLACE, [west, north]), page.evaluate(PLACE, [east, south])
        assert 0 <= x < right <= 1 and 0 <= y < bottom <= 1, "it is not in the picture"
        found: int = page.evaluate(LIT, [picture, x, y, right - x, bottom - y])
        return found

    assert lit(110.8, 15.7, 113.2, 17.5) >= 10, "Hoàng Sa"
    assert lit(111.4, 7.8, 116, 11.9) >= 10, "Trường Sa"
    assert lit(113.5, 12.5, 116.5, 14.4) == 0  # the open sea between them; their names lie south of them
    names = page.evaluate("window.ioc_map.deck().props.layers.find((layer) => layer.id === 'labels').props.data.map((row) => row.text)")
    assert {"Hoàng Sa", "Trường Sa"} <= set(names)
