"""The wall turns its scenes without loading or unmounting anything; keys, schedule, burn-in care, dimming, hand-over of versions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser import province
from tests.browser.conftest import OpenPage
from tests.browser.screens import Screens
from tests.browser.test_screens import COUNT_CONTEXTS, REFUSE_WEBGL, drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAMES = province.config().scenes.use
# No scene turns by itself while a test looks; it is told to.
STILL = "for (const scene of window.ioc_scenes.list()) scene.dwell_s = 1e6;"


@pytest.fixture(scope="module")
def server() -> Iterator[Screens]:
    found = Screens(province.config()).start()
    yield found
    found.stop()


def on(page: Page) -> str:
    return str(page.locator("#scene").get_attribute("data-scene"))


def shown(page: Page) -> list[str]:
    found: list[str] = page.evaluate("[...document.querySelectorAll('.tiles > [data-kpi]')].filter((t) => t.offsetParent).sort((a, b) => getComputedStyle(a).order - getComputedStyle(b).order).map((t) => t.dataset.kpi)")
    return found


def test_w12_w15_scenes_turn_in_their_order_on_one_map_without_a_reload(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=COUNT_CONTEXTS))
    page.evaluate(STILL)
    page.evaluate("window.mark = 1; window.first = window.ioc_map.deck()")
    assert on(page) == "overview"
    seen = {}
    for name in NAMES:
        assert on(page) == name
        seen[name] = (shown(page), page.locator("#map").get_attribute("data-map"), page.locator(".scene-title:visible").inner_text())
        page.evaluate("window.ioc_scenes.list()[window.ioc_scenes.list().findIndex((s) => s.name === window.ioc_scenes.current().name)].dwell_s = 0")
        page.wait_for_function(f"document.querySelector('#scene').dataset.scene !== '{name}'")
        page.evaluate(STILL)
    assert list(seen) == NAMES
    assert seen["health"] == (["encounters_today", "emergency_encounters_today", "immunisations_today", "facilities_reporting"], "encounters_today", "Y tế")
    assert len(seen["incidents"][0]) == 6 and seen["incidents"][1] == "incidents_overdue"
    assert page.evaluate("window.mark === 1 && window.first === window.ioc_map.deck() && window.contexts === 1")
    assert page.locator("#map canvas").count() == 1


def test_w24_the_wall_is_led_by_keys_alone(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    page.evaluate(STILL)
    press = page.keyboard.press
    press("ArrowRight")
    assert on(page) == "public-services"
    press("ArrowLeft")
    press("ArrowLeft")
    assert on(page) == NAMES[-1]
    press(str(NAMES.index("health") + 1))
    assert on(page) == "health"
    press("Space")
    expect(page.locator("#scene-state")).to_contain_text("đang dừng")
    page.evaluate("for (const scene of window.ioc_scenes.list()) scene.dwell_s = 0")
    page.wait_for_timeout(700)
    assert on(page) == "health"
    page.evaluate(STILL)
    press("Space")
    expect(page.locator("#scene-state")).to_be_empty()
    press("f")
    page.keyboard.type("hoc sinh vang")  # without marks, as a remote types
    expect(page.locator("#wall-help button").first).to_have_text("Học sinh vắng không phép trong ngày (Giáo dục)")
    press("ArrowDown")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press("Enter")
    assert on(page) == "education"
    expect(page.locator("#tile-students_absent_unexcused")).to_have_attribute("data-found", "")
    press("?")
    expect(page.locator("#wall-help")).to_contain_text("Phím điều khiển")
    press("Escape")
    expect(page.locator("#wall-help")).to_be_hidden()


def test_a_scene_keeps_to_its_hours_and_is_left_out_while_it_is_empty(screens: Screens, open_page: OpenPage) -> None:
    screens.snapshot = province.snapshot(states={"health": "never"})
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    page.evaluate(STILL)
    # 14:32 on a Friday: public services only in the morning, what follows until health only on Sunday; health has not spoken yet.
    later = NAMES.index("health")
    page.evaluate(f"const s = window.ioc_scenes.list(); s[1].hours = '07:00-12:00'; for (let i = 2; i < {later}; i++) s[i].days = ['sun']")
    page.keyboard.press("ArrowRight")
    assert on(page) == NAMES[later + 1]
    page.evaluate("window.ioc_scenes.list()[1].hours = '22:00-15:00'")  # over midnight
    page.evaluate("window.ioc_scenes.show('overview')")
    page.keyboard.press("ArrowRight")
    assert on(page) == "public-services"


def test_a_scene_draws_only_what_its_feeds_say(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall"))
    page.evaluate(STILL)
    drawn_points = "[window.ioc_map.deck().props.layers.find((l) => l.id === 'incidents').props.data.length, window.ioc_map.deck().props.layers.find((l) => l.id === 'assets').props.data.length]"
    expected = {"overview": [214, 92], "incidents": [214, 0], "health": [0, 92], "warnings": [0, 0]}
    found = {}
    for name, counts in expected.items():
        page.evaluate(f"window.ioc_scenes.show('{name}')")
        page.wait_for_function(f"String({drawn_points}) === String({counts})")
        found[name] = page.evaluate(drawn_points)
    assert found == expected


def test_a_scene_of_a_part_of_the_province_looks_at_that_part(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall"))
    page.evaluate(STILL)
    seen = {}
    for name in ("overview", "song-cong", "incidents"):
        page.evaluate(f"window.ioc_scenes.show('{name}')")
        page.wait_for_timeout(800)
        seen[name] = page.evaluate("(() => { const view = window.ioc_map.deck().viewManager.getViewports()[0]; return [view.zoom, view.longitude, view.latitude]; })()")
    assert seen["song-cong"][0] > seen["overview"][0] + 1.5  # nearer
    assert abs(seen["song-cong"][2] - 21.48) < 0.1
    assert seen["incidents"][0] < seen["overview"][0] + 0.5  # and back
    labels = "window.ioc_map.deck().props.layers.find((layer) => layer.id === 'labels').props.data.map((row) => row.text)"
    page.evaluate("window.ioc_scenes.show('song-cong')")
    page.wait_for_timeout(800)
    assert set(page.evaluate(labels)) <= {"Sông Công", "Bách Quang", "Bá Xuyên"} and page.evaluate(labels)


def test_one_scene_can_be_pinned_by_its_address(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall/health", script=REFUSE_WEBGL))
    assert on(page) == "health"
    page.evaluate("for (const scene of window.ioc_scenes.list()) scene.dwell_s = 0")
    page.wait_for_timeout(600)
    assert on(page) == "health"
    assert len(shown(page)) == 4


def test_w14_the_picture_moves_a_little_and_is_darker_at_night(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    places: list[list[float]] = []
    for _ in range(40):
        page.evaluate("window.ioc_scenes.shift()")
        places.append([float(part.removesuffix("px")) for part in (page.evaluate("document.querySelector('#scene').style.translate") + " 0px").split()[:2]])
    assert len({tuple(place) for place in places}) > 20
    assert max(abs(value) for place in places for value in place) <= 24
    assert "translate" in page.evaluate("getComputedStyle(document.querySelector('#scene')).transitionProperty")  # it glides
    assert page.locator("#scene").get_attribute("data-dimmed") == "false"
    screens.show(province.snapshot(3, now=province.NOW + timedelta(hours=9)))  # 23:32
    page.wait_for_function("document.querySelector('#scene').dataset.dimmed === 'true'")
    page.wait_for_function("Math.abs(Number(getComputedStyle(document.querySelector('#scene')).opacity) - 0.6) < 0.01", timeout=40_000)


def test_w09_a_new_version_is_loaded_once_between_two_scenes(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    page.evaluate(STILL)
    page.evaluate("window.mark = 1")
    screens.version = "another"
    screens.cut()
    screens.heal()
    page.wait_for_function("document.documentElement.dataset.link !== 'lost'")
    screens.show(province.snapshot(5, values={"dossiers_received_today": 1500}))
    expect(page.locator("#tile-dossiers_received_today")).to_have_attribute("data-value", "1500", timeout=40_000)
    assert page.evaluate("window.mark") == 1  # values go on, the page stays
    page.keyboard.press("ArrowRight")
    page.wait_for_function("window.mark === undefined")
    drawn(page)
    page.keyboard.press("ArrowRight")
    page.evaluate("window.mark = 2")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert page.evaluate("window.mark") == 2  # once


@pytest.mark.parametrize("wrong_h", [-1, 1])
def test_a_screen_whose_clock_is_wrong_shows_the_time_of_the_server(screens: Screens, open_page: OpenPage, wrong_h: int) -> None:
    real = "const real = Date.now; "
    # The screen believes that it is an hour before or after the server's 14:32:05.
    page = open_page("/wall/overview", script=f"{real} const began = real(); Date.now = () => {int(province.NOW.timestamp() * 1000) + wrong_h * 3_600_000} + real() - began;" + REFUSE_WEBGL)
    page.wait_for_function("document.querySelector('.clock-time').textContent.startsWith('14:32')")
    expect(page.locator("#link-lost")).to_be_hidden()


def test_a_hidden_scenes_tiles_wait_with_their_newest_value(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    page.evaluate(STILL)
    hidden = page.locator("#tile-tourism_visitors_today")
    for seq, value in ((7, 100.0), (8, 200.0), (9, 300.0)):
        screens.show(province.snapshot(seq, values={"tourism_visitors_today": value, "dossiers_received_today": value}))
    expect(page.locator("#tile-dossiers_received_today")).to_have_attribute("data-value", "300")
    assert hidden.get_attribute("data-value") != "300"  # nobody looks: nothing is drawn
    page.evaluate("window.ioc_scenes.show('tourism')")
    expect(hidden).to_have_attribute("data-value", "300")
    expect(hidden.locator(".value-number")).to_have_text("300")
    screens.show(province.snapshot(10, values={"tourism_visitors_today": 400.0}))
    expect(hidden).to_have_attribute("data-value", "400")


def test_the_charts_of_a_scene_are_drawn_and_say_how_old_they_are(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    page.evaluate(STILL)
    page.evaluate("window.ioc_scenes.show('public-services')")
    charts = page.locator(".charts > .chart").filter(visible=True)
    assert [chart.get_attribute("data-chart") for chart in charts.all()] == ["flow", "trend"]
    trend = charts.nth(1)
    expect(trend).to_contain_text("1.500")
    picture = trend.locator("img")
    assert picture.evaluate("async (n) => { await n.decode(); return n.clientHeight > 60 && n.clientWidth > 200; }")
    before = picture.get_attribute("src")
    screens.show(province.snapshot(2, values={"dossiers_received_today": 700.0}, states={"public-services": "stale"}))
    expect(trend).to_have_attribute("data-state", "stale")
    expect(trend).to_contain_text("nay 700")
    assert picture.get_attribute("src") != before
    page.evaluate("window.ioc_scenes.show('health')")
    assert [chart.get_attribute("data-chart") for chart in charts.all()] == ["trend", "calendar"]
