"""The screens in a real browser: live, at home, whole at every size, honest when the link is cut."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect

from ioc import rights
from ioc.causes import in_words as because_of
from ioc.doubts import doubt, in_words
from ioc.kpi.geography import names_of
from tests.browser import province
from tests.browser.conftest import OpenPage
from tests.browser.screens import Screens

pytestmark = pytest.mark.browser

LOOK = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")
MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")
COUNT_CONTEXTS = """
window.contexts = 0;
const original = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  const had = this.__webgl;
  const found = original.call(this, kind, ...rest);
  if (found && /webgl/.test(kind) && !had) { this.__webgl = true; window.contexts += 1; }
  return found;
};
const offscreen = OffscreenCanvas.prototype.getContext;
OffscreenCanvas.prototype.getContext = function (kind, ...rest) {
  const found = offscreen.call(this, kind, ...rest);
  if (found && /webgl/.test(kind)) window.contexts += 1;
  return found;
};
"""
REFUSE_WEBGL = """
const original = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) { return /webgl/.test(kind) ? null : original.call(this, kind, ...rest); };
const offscreen = OffscreenCanvas.prototype.getContext;
OffscreenCanvas.prototype.getContext = function (kind, ...rest) { return /webgl/.test(kind) ? null : offscreen.call(this, kind, ...rest); };
"""


def drawn(page: Page) -> Page:
    """Wait until the map is there; on a software renderer its start keeps the page busy for a second or three."""
    page.wait_for_selector("#map[data-mode]", timeout=30_000)
    page.evaluate("new Promise((done) => setTimeout(() => requestIdleCallback(done), 1000))")
    return page


def measured(page: Page) -> list[dict[str, Any]]:
    page.evaluate("document.fonts.ready")
    found: list[dict[str, Any]] = page.evaluate(MEASURE)
    assert found
    return found


def test_it_changes_a_tile_without_a_reload(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=COUNT_CONTEXTS))
    tile = page.locator("#tile-dossiers_received_today")
    expect(tile).to_have_attribute("data-value", "1284")
    expect(tile).to_have_attribute("data-as-of", "2026-11-20T07:31:25Z")
    page.evaluate("window.mark = 1")
    screens.show(province.snapshot(2, now=province.NOW + timedelta(seconds=30), values={"dossiers_received_today": 1301}))
    expect(tile).to_have_attribute("data-value", "1301", timeout=40_000)
    expect(tile.locator(".value-number")).to_have_text("1.301")
    expect(tile).to_have_attribute("data-as-of", "2026-11-20T07:31:55Z")
    assert page.evaluate("window.mark") == 1


def test_w12_it_keeps_one_map_for_life(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=COUNT_CONTEXTS))
    expect(page.locator("#map")).to_have_attribute("data-mode", "deck")
    before = page.evaluate("window.ioc_map.drawn()")
    page.evaluate("window.first = window.ioc_map.deck()")
    for seq in range(2, 12):
        shot = province.snapshot(seq)
        values: dict[str, float | None] = {code: float(seq) for code in shot.by_area["incidents_open"]}
        values[next(iter(values))] = 100.0
        screens.show(province.snapshot(seq, by_area=shot.by_area | {"incidents_open": values}))
        page.wait_for_timeout(100)
    page.wait_for_function(f"window.ioc_map.drawn() > {before}")
    assert page.evaluate("window.contexts") == 1
    assert page.evaluate("window.first === window.ioc_map.deck()")
    assert page.locator("#map canvas").count() == 1


def test_it_draws_the_map_only_when_its_data_changed(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall"))
    before = page.evaluate("window.ioc_map.drawn()")
    for seq in range(2, 6):
        screens.show(province.snapshot(seq, values={"dossiers_received_today": 2000 + seq}))
        expect(page.locator("#tile-dossiers_received_today")).to_have_attribute("data-value", str(2000 + seq))
    assert page.evaluate("window.ioc_map.drawn()") == before


def test_w13_it_rebuilds_a_map_whose_context_was_lost(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall"))
    page.evaluate("window.first = window.ioc_map.deck()")
    page.evaluate("document.querySelector('#map canvas').getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()")
    page.wait_for_function("window.ioc_map.deck() && window.ioc_map.deck() !== window.first && window.ioc_map.deck().isInitialized", timeout=40_000)
    expect(page.locator("#tile-dossiers_received_today")).to_have_attribute("data-value", "1284")


def test_it_shows_a_ranking_where_webgl_is_refused(open_page: OpenPage, screens: Screens) -> None:
    page = open_page("/wall", script=REFUSE_WEBGL)
    drawn(page)
    expect(page.locator("#map")).to_have_attribute("data-mode", "fallback")
    expect(page.locator("#map-ranking .rank:visible").first).to_be_visible()
    assert page.locator("#map-ranking .rank:visible").count() == 10


@pytest.mark.parametrize("how", ["cut", "silent"])
def test_w07_w08_it_says_that_the_link_is_cut_and_heals_by_itself(screens: Screens, open_page: OpenPage, how: str) -> None:
    page = drawn(open_page("/wall"))
    banner = page.locator("#link-lost")
    expect(banner).to_be_hidden()
    page.evaluate("window.mark = 1")
    screens.cut(how)
    # By the page's own clock it takes at most 4 s of silence; a busy machine may wake a headless page late.
    expect(banner).to_be_visible(timeout=40_000)
    clock = page.locator(".clock-time").inner_text()
    assert float(page.evaluate("getComputedStyle(document.querySelector('main')).opacity")) < 1
    page.wait_for_timeout(1200)
    assert page.locator(".clock-time").inner_text() != clock  # the clock goes on
    screens.heal()
    screens.show(province.snapshot(9, values={"dossiers_received_today": 1400}))
    expect(banner).to_be_hidden(timeout=40_000)
    expect(page.locator("#tile-dossiers_received_today")).to_have_attribute("data-value", "1400")
    assert page.evaluate("window.mark") == 1  # not reloaded


def test_w09_it_reloads_once_for_another_version(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall/overview")
    page.evaluate("window.mark = 1")
    screens.version = "99.0"
    screens.cut()
    screens.heal()
    page.wait_for_function("window.mark === undefined", timeout=30_000, polling=200)
    page.wait_for_selector("html[data-live]", state="attached", timeout=40_000)
    page.evaluate("window.mark = 2")
    screens.cut()
    screens.heal()
    page.wait_for_timeout(3000)
    assert page.evaluate("window.mark") == 2


def test_w10_it_tells_a_revoked_screen_so(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall")
    screens.cut("revoked")
    expect(page.locator("#link-denied")).to_be_visible(timeout=40_000)
    expect(page.locator("#link-denied")).to_contain_text("Màn hình chưa được cấp quyền")
    expect(page.locator("#link-lost")).to_be_hidden()


def test_w05_it_greys_what_is_old_and_names_every_state(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall")
    colours = {}
    for state in ("live", "late", "stale", "lost", "never"):
        screens.show(province.snapshot(5, states={"public-services": state}))
        tile = page.locator("#tile-dossiers_received_today")
        expect(tile).to_have_attribute("data-state", state)
        expect(tile).to_contain_text({"live": "mới", "late": "trễ", "stale": "cũ", "lost": "mất", "never": "chưa có"}[state])
        colours[state] = tile.locator(".tile-value").evaluate("node => getComputedStyle(node).color")
    assert len({colours["live"], colours["stale"]}) == 2
    assert colours["live"] != colours["late"]


SIZES = [(1280, 720), (1920, 1080), (3840, 2160), (7680, 2160)]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_it_fills_every_wall_exactly(open_page: OpenPage, screens: Screens, lang: str) -> None:
    page = open_page(f"/wall?lang={lang}", script=REFUSE_WEBGL)  # the map's picture is not what is measured here
    page.wait_for_function("document.querySelectorAll('.tile .value-number').length >= 12")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [width, height]
        assert [text for text in measured(page) if text["cut"]] == []


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_it_still_fits_with_large_numbers_and_every_state(open_page: OpenPage, screens: Screens, lang: str) -> None:
    values = {name: value * 1000 if value > 200 else value for name, value in province.VALUES.items()}
    states: dict[str, Any] = {"public-services": "lost", "e-documents": "never", "health": "stale", "education": "late"}
    screens.snapshot = province.snapshot(3, values=dict(values), states=states)
    page = open_page(f"/wall?lang={lang}", script=REFUSE_WEBGL)
    page.wait_for_selector(".tile .value-number")
    assert [text for text in measured(page) if text["cut"]] == []


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("path", ["/", "/operations", "/kpi/dossiers_on_time_rate", "/kpi/incidents_open", "/compare", "/compare?geography=former", "/changes", "/search?q=ho so"])
def test_it_fits_the_pages_on_phone_tablet_and_desktop(open_page: OpenPage, screens: Screens, path: str, lang: str) -> None:
    screens.dead_letters = [
        {"feed": "health", "cause": "out_of_scope", "why": because_of("out_of_scope")._asdict(), "message": "Patient is a person: never read", "field": "resourceType", "repair": "", "times": 127, "last_at": "2026-11-20T07:30:00Z"}
    ]
    screens.doubts = [DOUBT]
    page = open_page(f"{path}{'&' if '?' in path else '?'}lang={lang}", wait=path.startswith(("/?", "/kpi", "/operations")) or path == "/")
    for width, height in [(390, 844), (820, 1180), (1920, 1080)]:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [text for text in measured(page) if text["cut"]] == []


@pytest.mark.parametrize("path", ["/", "/kpi/incidents_open", "/compare", "/changes", "/brief"])
def test_nothing_is_cut_on_paper(open_page: OpenPage, screens: Screens, path: str) -> None:
    page = open_page(path, 718, 1047, wait=False)  # A4 less the margins a browser leaves
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert [text for text in measured(page) if text["cut"]] == []
    assert page.locator(".page-header nav, .picker, .exports").locator("visible=true").count() == 0


def test_it_leads_from_a_tile_to_its_page_by_keyboard(open_page: OpenPage, screens: Screens) -> None:
    page = open_page("/")
    page.wait_for_selector(".tile .value-number")
    link = page.locator("#tile-dossiers_received_today a")
    for _ in range(60):  # past the menu, the periods, what needs attention and the themes
        page.keyboard.press("Tab")
        if link.evaluate("node => node === document.activeElement"):
            break
    assert link.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/kpi/dossiers_received_today?lang=vi")
    expect(page.locator("h1")).to_have_text("Hồ sơ tiếp nhận trong ngày")
    expect(page.locator("#kpi-explain")).to_contain_text("Số hồ sơ tiếp nhận từ 0 giờ")
    expect(page.locator("#kpi-explain")).to_contain_text("1, từ 01/07/2025")
    expect(page.locator("#kpi-events")).to_contain_text("H55.19-261120-0001")
    page.locator("#kpi-events summary").first.click()
    expect(page.locator("#kpi-events")).to_contain_text("<i>x</i>")  # shown, not run
    expect(page.locator("#kpi-ranking .rank").first).to_be_visible()


def test_three_clicks_lead_from_a_tile_to_a_raw_event_and_the_back_button_brings_each_state_again(open_page: OpenPage, screens: Screens) -> None:
    area = "05443"
    parts = {f"{area}@month": {kpi: msgspec.structs.replace(t, area=area) for kpi, t in screens.snapshot.tiles.items()}, "@month": screens.snapshot.tiles}
    by_area = {f"{kpi}@month": values for kpi, values in screens.snapshot.by_area.items()}
    screens.snapshot = msgspec.structs.replace(screens.snapshot, parts=parts, by_area=by_area)
    page = open_page("/?lang=vi&period=month")
    expect(page.locator(".periods [aria-current]")).to_have_text("Tháng")
    page.locator("#tile-dossiers_received_today a").click()
    page.wait_for_url("**/kpi/dossiers_received_today?lang=vi&period=month")
    expect(page.locator("h1")).to_have_text("Hồ sơ tiếp nhận")  # of the month, not of today
    page.locator(f".rank[data-area='{area}'] a").click()
    page.wait_for_url(f"**/kpi/dossiers_received_today?lang=vi&area={area}&period=month")
    expect(page.locator(".rank-here")).to_have_attribute("data-area", area)
    page.locator("#kpi-events summary").first.click()
    expect(page.locator("#kpi-events code").first).to_be_visible()
    page.go_back()
    page.wait_for_url("**/kpi/dossiers_received_today?lang=vi&period=month")
    page.go_back()
    page.wait_for_url("**/?lang=vi&period=month")
    expect(page.locator("#tile-dossiers_received_today")).to_have_attribute("data-value", "1284")


def test_the_picker_writes_area_and_days_into_the_address(open_page: OpenPage, screens: Screens) -> None:
    page = open_page("/?lang=vi")
    page.locator("select[name=area]").select_option("song-cong")
    page.wait_for_url("**/?lang=vi&area=song-cong")
    expect(page.locator("h1")).to_contain_text("Khu vực Sông Công")
    page.locator(".picker-days summary").click()
    page.locator("input[type=date]").first.fill("2026-11-01")
    page.locator("input[type=date]").last.fill("2026-11-15")
    page.locator(".picker-days button").click()
    page.wait_for_url("**/?lang=vi&area=song-cong&period=2026-11-01..2026-11-15")


def test_slash_leads_to_the_search_and_a_name_without_diacritics_to_its_page(open_page: OpenPage, screens: Screens) -> None:
    page = open_page("/?lang=vi")
    page.keyboard.press("/")
    page.keyboard.type("ho so dung han")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?*")
    page.locator("[data-found=kpi]").first.click()
    expect(page.locator("h1")).to_have_text("Tỷ lệ hồ sơ giải quyết đúng hạn")


def test_a_column_of_the_comparison_is_sorted_by_its_head(open_page: OpenPage, screens: Screens) -> None:
    page = open_page("/compare?lang=vi&kpis=incidents_open&areas=05443,05455", wait=False)
    page.locator("thead th a").first.click()
    page.wait_for_url("**sort=-incidents_open*")
    expect(page.locator("th[aria-sort=descending]")).to_have_count(1)


def test_tiles_of_a_row_are_of_one_height(open_page: OpenPage, screens: Screens) -> None:
    page = open_page("/?lang=vi")
    page.wait_for_selector(".tile .value-number")
    for width, height in [(820, 1180), (1920, 1080)]:
        page.set_viewport_size({"width": width, "height": height})
        assert len(page.evaluate("[...new Set([...document.querySelectorAll('.tile')].map((tile) => Math.round(tile.getBoundingClientRect().height)))]")) == 1


def test_it_switches_the_language_and_keeps_the_page(open_page: OpenPage, screens: Screens) -> None:
    page = open_page("/kpi/incidents_open")
    page.get_by_text("English").click()
    expect(page.locator("h1")).to_have_text("Reports in progress")
    assert page.evaluate("document.documentElement.lang") == "en"


_KEPT = doubt("thousandfold", what="pm25", value="12000 ug/m3")
DOUBT = {
    "feed": "environment", "subject": "station-7", "metric": "pm25", "time": "2026-11-20T07:00:00Z", "received_at": "2026-11-20T07:30:00Z", "area": "05443", "value": 12000, "unit": "ug/m3",
    "doubt": _KEPT, "why": in_words(_KEPT)._asdict(),
}  # fmt: skip


def test_it_shows_doubtful_values_as_they_came_and_a_changed_source_in_words(open_page: OpenPage, screens: Screens) -> None:
    screens.doubts = [DOUBT]
    feeds = [msgspec.structs.replace(feed, change="the field MaXa is gone; every record had it") if feed.feed == "health" else feed for feed in screens.snapshot.feeds]
    screens.show(msgspec.structs.replace(screens.snapshot, seq=2, feeds=feeds))
    page = open_page("/operations")
    row = page.locator("#doubts tr")
    expect(row).to_contain_text("12.000 ug/m3")
    expect(row).to_contain_text("gấp khoảng một nghìn lần các nơi cùng loại: sai đơn vị?")
    expect(page.locator("#ops-feeds [data-feed=health]")).to_contain_text("the field MaXa is gone")


def test_it_lists_dead_letters_by_cause(open_page: OpenPage, screens: Screens) -> None:
    screens.dead_letters = [
        {"feed": "health", "cause": "out_of_scope", "why": because_of("out_of_scope")._asdict(), "message": "<b>Patient</b>", "field": "resourceType", "repair": "", "times": 127, "last_at": "2026-11-20T07:30:00Z"}
    ]
    page = open_page("/operations")
    row = page.locator("#dead-letters tr")
    expect(row).to_contain_text("out_of_scope")
    expect(row).to_contain_text("bản ghi ngoài phạm vi, không đọc")
    expect(row).to_contain_text("<b>Patient</b>")  # shown, not run
    expect(row).to_contain_text("14:30:00")
    failed = page.locator("#ops-feeds [data-feed=education] .error")
    expect(failed).to_contain_text("education.example.vn:443 trả lời lỗi HTTP 503")
    expect(failed.locator("small")).to_have_text("education.example.vn:443/v1 answered 503")  # the detail behind it
    expect(page.locator("[data-feed=education]").first).to_have_attribute("data-state", "stale")


@pytest.mark.parametrize("path", ["/", "/operations", "/kpi/incidents_open"])
def test_w02_it_has_contrast_enough(open_page: OpenPage, screens: Screens, path: str) -> None:
    page = open_page(path)
    page.wait_for_timeout(300)
    assert page.evaluate(f"({LOOK}).contrast()") == []


def test_a_ranking_is_read_in_the_former_geography_live_and_the_address_says_so(screens: Screens, open_page: OpenPage) -> None:
    codes = list(names_of(province.AREAS, "districts"))

    def shown(seq: int, first: float) -> None:
        values: dict[str, float | None] = {code: first if i == 0 else float(i) for i, code in enumerate(codes)}
        screens.show(province.snapshot(seq, by_area=province.snapshot().by_area | {"incidents_open~districts": values}))

    shown(2, 100.0)
    page = open_page("/kpi/incidents_open?lang=vi")
    page.get_by_role("link", name="Huyện, thành phố cũ").click()
    page.wait_for_selector("html[data-live]", state="attached")
    assert "geography=districts" in page.url
    rows = page.locator("#kpi-ranking .rank")
    expect(rows).to_have_count(len(codes))
    expect(rows.first).to_contain_text("100 phản ánh")
    shown(3, 200.0)
    expect(rows.first).to_contain_text("200 phản ánh", timeout=40_000)


def test_a_note_that_somebody_else_changed_comes_back_with_both_texts(screens: Screens, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "current", lambda: rights.Identity("an", "editor", "person"))
    page = open_page("/kpi/incidents_opened_today?lang=vi")
    page.get_by_text("Thêm ghi chú").click()
    page.locator("#body-0").fill("Mưa lớn")
    page.locator("#day-0").fill("2026-11-18")
    page.get_by_role("button", name="Lưu ghi chú").first.click()
    expect(page.locator("#note-1")).to_contain_text("18/11/2026")
    assert page.url.endswith("#notes") and page.locator(".trend-mark").count() == 1
    page.locator("#note-1 summary").click()
    page.locator("#body-1").fill("Chữ của tôi")
    page.get_by_role("button", name="Lưu ghi chú").first.click()
    expect(page.locator("#notes [role=alert]")).to_contain_text("binh vừa sửa ghi chú này")
    expect(page.locator("#note-1 .note-body")).to_contain_text("Mưa lớn")
    expect(page.locator("#body-1")).to_have_value("Chữ của tôi")


def test_w22_a_message_lays_the_page_out_a_few_times_however_much_it_changes(screens: Screens, open_page: OpenPage) -> None:
    """A question about style between two changes costs a layout of the whole wall: forty tiles took two seconds so."""
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    page.evaluate("for (const scene of window.ioc_scenes.list()) scene.dwell_s = 1e6")
    link = page.context.new_cdp_session(page)
    link.send("Performance.enable")

    def layouts() -> float:
        return float(next(metric["value"] for metric in link.send("Performance.getMetrics")["metrics"] if metric["name"] == "LayoutCount"))

    tiles = page.evaluate("[...document.querySelectorAll('.tiles > .tile')].filter((tile) => tile.offsetParent).map((tile) => tile.dataset.kpi)")
    assert len(tiles) == 12
    before = layouts()
    screens.show(province.snapshot(2, values=dict.fromkeys(tiles, 7.0)))
    page.wait_for_function("[...document.querySelectorAll('.tiles > .tile')].filter((tile) => tile.offsetParent).every((tile) => tile.dataset.value === '7')")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert layouts() - before <= 5
    before = layouts()
    page.evaluate("window.ioc_scenes.show('public-services')")  # what waited for its scene is put in
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert layouts() - before <= 5


def test_a_change_of_one_tile_fits_its_lines_and_no_other(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    page.evaluate("for (const scene of window.ioc_scenes.list()) scene.dwell_s = 1e6")
    page.evaluate("""() => {
      window.asked = new Set(); // whose width was asked for
      const own = Object.getOwnPropertyDescriptor(Element.prototype, "scrollWidth");
      Object.defineProperty(Element.prototype, "scrollWidth", { ...own, get() { const tile = this.closest(".tile"); if (tile) window.asked.add(tile.dataset.kpi); return own.get.call(this); } });
    }""")
    screens.show(province.snapshot(2, values={"documents_received_today": 999_999.0}))
    page.wait_for_function("document.querySelector('#tile-documents_received_today').dataset.value === '999999'")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("[...window.asked]") == ["documents_received_today"]
    page.evaluate("window.ioc_scenes.show('health')")  # another scene: all of it
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert len(page.evaluate("[...window.asked]")) > 4
