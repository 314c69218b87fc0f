"""The map of the wall with what a province may send: a flood of points, places that cannot be, and the country in its corner."""

from __future__ import annotations

import msgspec
import pytest
from playwright.sync_api import expect

from tests.browser import province
from tests.browser.conftest import OpenPage
from tests.browser.screens import Screens
from tests.browser.test_screens import drawn
from tests.unit.test_dashboards_map import flood

pytestmark = [pytest.mark.browser, pytest.mark.slow]

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
RADII = "window.ioc_map.deck().props.layers.find((l) => l.id === 'incidents').props.data.map((r) => r.radius)"
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


def test_a_hundred_thousand_points_are_drawn_as_groups(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/overview"))
    before = page.evaluate("window.ioc_map.drawn()")
    single = page.evaluate(RADII)
    screens.show(province.snapshot(2, points=flood(100_000)))
    page.wait_for_function(f"window.ioc_map.drawn() > {before}", timeout=40_000)
    many = page.evaluate(RADII)
    assert 100 < len(many) <= 600
    assert min(many) > max(single)  # a group is larger than one
    expect(page.locator(".legend-symbols").filter(visible=True)).to_contain_text("gộp 100.000 điểm")


def test_places_that_cannot_be_are_counted_and_not_drawn(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/overview"))
    before = page.evaluate("window.ioc_map.drawn()")
    shot = province.snapshot(2)
    one = next(p for p in shot.points if p.layer == "incident")
    lost = [msgspec.structs.replace(one, lon=lon, lat=lat) for lon, lat in ((0.0, 0.0), (106.7, 10.8))]
    screens.show(msgspec.structs.replace(shot, points=[*lost, *shot.points[:5]]))
    page.wait_for_function(f"window.ioc_map.drawn() > {before}")
    expect(page.locator(".legend-symbols").filter(visible=True)).to_contain_text("2 ngoài tỉnh")
    assert page.evaluate("window.ioc_map.deck().props.layers.find((l) => l.id === 'incidents').props.data.every((r) => r.position[0] > 104)")
