"""The wall as it was: never to be taken for now, led by keys, a day at 60 times its speed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import province
from tests.browser.conftest import OpenPage
from tests.browser.screens import Screens
from tests.browser.test_screens import REFUSE_WEBGL, SIZES, measured

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TILE = "#tile-dossiers_received_today"  # the made-up past: as many as minutes of that day are over


@pytest.fixture(scope="module")
def server() -> Iterator[Screens]:
    found = Screens(province.config()).start()
    yield found
    found.stop()


def looking_back(open_page: OpenPage, address: str = "/wall?at=2026-11-20T09:15") -> Page:
    page = open_page(address, script=REFUSE_WEBGL, wait=False)
    page.wait_for_selector("#scene[data-shown]", timeout=30_000)
    return page


def shows(page: Page, time: str, minutes: int) -> None:
    """The banner and the values are of the same moment."""
    expect(page.locator("[data-past=time]")).to_have_text(time, timeout=40_000)
    expect(page.locator(TILE)).to_have_attribute("data-value", str(minutes))


def test_it_shows_an_earlier_moment_and_says_so_in_words_and_form(screens: Screens, open_page: OpenPage) -> None:
    page = looking_back(open_page)
    shows(page, "09:15:00", 555)
    banner = page.locator("[data-past=banner]")
    for words in ("XEM LẠI", "Thứ Sáu, 20/11/2026", "như đã thấy lúc đó", "không phải số liệu lúc này"):
        expect(banner).to_contain_text(words)
    expect(page.locator(".clock")).to_be_hidden()  # two times on one screen would be one too many
    assert page.evaluate("getComputedStyle(document.querySelector('#scene'), '::after').borderImageSource").startswith("repeating-linear-gradient")
    assert [text for text in measured(page) if text["cut"]] == []
    screens.show(province.snapshot(9, values={"dossiers_received_today": 9999}))  # what is live never gets here
    page.wait_for_timeout(500)
    shows(page, "09:15:00", 555)


def test_it_switches_between_as_it_looked_then_and_as_known_now(screens: Screens, open_page: OpenPage) -> None:
    page = looking_back(open_page)
    page.get_by_label("như nay đã biết").check()
    shows(page, "09:15:00", 556)
    expect(page.locator("[data-past=banner]")).to_contain_text("như nay đã biết")
    assert "known=now" in page.url
    page.reload()
    page.wait_for_selector("#scene[data-shown]")
    shows(page, "09:15:00", 556)  # the address says it all
    page.get_by_label("như đã thấy lúc đó").check()
    shows(page, "09:15:00", 555)


def test_it_is_led_by_keys_alone_with_visible_focus(screens: Screens, open_page: OpenPage) -> None:
    page = looking_back(open_page)
    on = "document.activeElement.dataset.past || document.activeElement.type"
    order = []
    for _ in range(6):
        page.keyboard.press("Tab")
        order.append(page.evaluate(on))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert order == ["play", "before", "slider", "after", "radio", "live"]
    page.locator("[data-past=slider]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    shows(page, "09:17:00", 557)
    assert page.locator("#scene").get_attribute("data-scene") == "overview"  # the arrows were the slider's
    assert page.locator("[data-past=slider]").get_attribute("aria-valuetext") == "09:17:00"
    page.locator("[data-past=before]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-past=day]")).to_have_text("Thứ Năm, 19/11/2026")
    page.keyboard.press("ArrowRight")
    assert page.locator("#scene").get_attribute("data-scene") == "public-services"
    page.keyboard.press("r")
    page.wait_for_selector("#scene:not([data-at])")
    expect(page.locator("#past")).to_have_count(0)
    expect(page.locator(TILE)).to_have_attribute("data-value", "1284")  # live again


def test_from_the_live_wall_one_key_looks_an_hour_back(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall", script=REFUSE_WEBGL)
    page.wait_for_function("window.ioc_live.now().toISOString().startsWith('2026-11-20T07:32')")
    page.keyboard.press("r")
    page.wait_for_selector("#scene[data-shown]", timeout=30_000)
    assert page.locator("#scene").get_attribute("data-shown", timeout=1000) is not None
    expect(page.locator("[data-past=time]")).to_contain_text("13:32:0")


def test_it_replays_a_day_at_sixty_times_its_speed(screens: Screens, open_page: OpenPage) -> None:
    page = looking_back(open_page)
    page.evaluate("const real = performance.now.bind(performance); window.ahead = 0; performance.now = () => real() + window.ahead;")
    page.keyboard.press("Space")
    expect(page.locator("#scene")).to_have_attribute("data-playing", "true")
    page.evaluate("window.ahead += 60_000")  # a minute of ours is an hour of theirs
    page.wait_for_function("new Date(document.querySelector('#scene').dataset.shown) >= new Date('2026-11-20T03:15:00Z')", timeout=40_000)
    shown = page.evaluate("document.querySelector('#scene').dataset.shown")
    assert shown < "2026-11-20T04:15"
    page.keyboard.press("Space")
    expect(page.locator("#scene")).to_have_attribute("data-playing", "false")
    assert len(screens.past._frames) >= 2


def test_it_says_in_a_sentence_why_a_time_cannot_be_shown(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall?at=2019-11-20T09:15", script=REFUSE_WEBGL, wait=False)
    expect(page.locator("[data-past=problem]")).to_contain_text("sự kiện gốc chỉ được giữ từ 14:32:05 Thứ Năm, 20/11/2025", timeout=40_000)
    expect(page.locator("[data-past=banner]")).to_contain_text("XEM LẠI")
    expect(page.locator("main")).to_be_hidden()  # no empty tile that could be read as a figure
    for at, words in {"2030-01-01": "Thời điểm này chưa đến", "xin chào": "Không hiểu thời điểm", "": "Không hiểu thời điểm"}.items():
        page.goto(f"{screens.url}/wall/health?at={at}")
        expect(page.locator("[data-past=problem]")).to_contain_text(words, timeout=40_000)
        expect(page.locator("main")).to_be_hidden()
    page.locator("[data-past=live]").click()
    page.wait_for_selector("html[data-live]", state="attached", timeout=40_000)
    expect(page.locator("#tile-encounters_today")).to_have_attribute("data-value", "4127")


def test_a_cut_link_while_looking_back_heals_to_the_same_moment(screens: Screens, open_page: OpenPage) -> None:
    page = looking_back(open_page, "/wall/overview?at=2026-11-20T09:15")
    page.evaluate("window.mark = 1")
    screens.cut()
    expect(page.locator("#link-lost")).to_be_visible(timeout=40_000)
    screens.heal()
    expect(page.locator("#link-lost")).to_be_hidden(timeout=40_000)
    shows(page, "09:15:00", 555)
    assert page.evaluate("window.mark") == 1


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_its_bar_fits_every_wall(screens: Screens, open_page: OpenPage, lang: str) -> None:
    page = looking_back(open_page, f"/wall/overview?at=2026-11-20T09:15&lang={lang}")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [width, height]
        assert page.evaluate("[...document.querySelectorAll('#past, #past p, #past div')].filter((n) => n.scrollWidth > n.clientWidth + 1).length") == 0
        assert page.locator("[data-past=controls]").evaluate("n => n.getBoundingClientRect().height") < height / 15  # one line
