"""True every second, alive for a month: server and link dying under the wall, versions, memory, forty tiles, a clock that jumps."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from playwright.sync_api import Page, expect

from tests.browser import province
from tests.browser.conftest import OpenPage
from tests.browser.screens import Screens, _free_port
from tests.browser.test_screens import REFUSE_WEBGL, drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TILE = "#tile-dossiers_received_today"
FORTY = [kpi.kpi for kpi in province.in_use(province.catalogue(), province.config())][:40]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screens]:
    """The screens, with a scene of forty tiles beside the shipped overview."""
    folder = tmp_path_factory.mktemp("scenes")
    shipped = province.config()
    (folder / "overview.yaml").write_text((ROOT / "dashboards" / "scenes" / "overview.yaml").read_text("utf-8"), "utf-8")
    forty = {"title": {"vi": "Bốn mươi", "en": "Forty"}, "tiles": FORTY, "columns": 8, "columns_wide": 10, "ticker": 0, "feeds": False}
    (folder / "forty.yaml").write_text(json.dumps(forty), "utf-8")
    scenes = shipped.scenes.model_copy(update={"folder": folder, "use": ["overview", "forty"]})
    found = Screens(shipped.model_copy(update={"scenes": scenes})).start()
    yield found
    found.stop()


class Program:
    """The screens as a program of its own on a port, to be stopped and killed."""

    def __init__(self) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "tests.browser.screens", str(self.port)], cwd=ROOT)
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/map/country.svg").status_code == 200:
                    return
            assert time.monotonic() < deadline and self._process.poll() is None, "the server did not start"
            time.sleep(0.1)

    def send(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)
        if what is signal.SIGKILL:
            self._process.wait()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.send(signal.SIGKILL)


@pytest.fixture
def program(screens: Screens) -> Iterator[Program]:
    found = Program()
    found.start()
    mine, screens.port = screens.port, found.port  # `open_page` keeps the page at this origin
    yield found
    screens.port = mine
    found.end()


def lost(page: Page) -> None:
    """The banner is there, the values are dimmed, the clock runs, and it is still our page."""
    expect(page.locator("#link-lost")).to_be_visible(timeout=30_000)
    assert float(page.evaluate("getComputedStyle(document.querySelector('main')).opacity")) < 1
    clock = page.locator(".clock-time").inner_text()
    page.wait_for_function(f"document.querySelector('.clock-time').textContent !== '{clock}'")
    expect(page.locator(TILE)).to_have_attribute("data-value", "1284")


def healed(page: Page) -> None:
    expect(page.locator("#link-lost")).to_be_hidden(timeout=60_000)
    assert float(page.evaluate("getComputedStyle(document.querySelector('main')).opacity")) == 1
    assert page.evaluate("window.mark") == 1  # the same page: not reloaded, since the version is the same


def test_w07_w08_a_server_that_hangs_and_one_that_is_killed_are_seen_and_outlived(program: Program, open_page: OpenPage) -> None:
    page = open_page("/wall/overview", script=REFUSE_WEBGL)
    page.evaluate("window.mark = 1")
    program.send(signal.SIGSTOP)
    lost(page)
    program.send(signal.SIGCONT)
    healed(page)
    links: list[str] = []
    page.on("websocket", lambda link: links.append(link.url))
    program.send(signal.SIGKILL)
    lost(page)
    page.wait_for_timeout(3000)
    assert links == []  # Chromium holds up websockets after some that failed: none is tried while nobody answers
    program.start()
    healed(page)


BRIGHTNESS = """
async (pictures) => {
  const found = [];
  for (const picture of pictures) {
    const image = await createImageBitmap(await (await fetch("data:image/jpeg;base64," + picture)).blob());
    const canvas = new OffscreenCanvas(64, 36);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, 64, 36);
    const { data } = context.getImageData(0, 0, 64, 36);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
    found.push(sum / (64 * 36 * 3 * 255));
  }
  return found;
}
"""


def test_w09_a_new_version_comes_between_two_scenes_without_a_white_frame(screens: Screens, open_page: OpenPage) -> None:
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    page.evaluate("window.mark = 1; for (const scene of window.ioc_scenes.list()) scene.dwell_s = 1e6")
    frames: list[str] = []
    cdp = page.context.new_cdp_session(page)

    def frame(shot: Any) -> None:
        frames.append(shot["data"])
        cdp.send("Page.screencastFrameAck", {"sessionId": shot["sessionId"]})

    cdp.on("Page.screencastFrame", frame)
    cdp.send("Page.startScreencast", {"format": "jpeg", "quality": 40})
    screens.version = "another"
    screens.cut()
    screens.heal()
    screens.show(province.snapshot(5, values={"dossiers_received_today": 1500}))
    expect(page.locator(TILE)).to_have_attribute("data-value", "1500", timeout=40_000)
    assert page.evaluate("window.mark") == 1  # it waits for the end of the scene
    page.keyboard.press("ArrowRight")
    page.wait_for_function("window.mark === undefined")
    page.wait_for_selector(".tile .value-number", timeout=30_000)
    cdp.send("Page.stopScreencast")
    assert page.context.browser is not None
    looker = page.context.browser.new_page()  # a blank page: ours may not fetch data: addresses
    brightness = looker.evaluate(BRIGHTNESS, frames)
    looker.close()
    assert len(frames) >= 3
    assert max(brightness) < 0.4, brightness


USED = """
async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return { nodes: document.getElementsByTagName("*").length };
}
"""


def test_w11_neither_memory_nor_nodes_nor_listeners_grow(screens: Screens, open_page: OpenPage) -> None:
    """The short run, with the map drawn anew by each; `python -m benchmarks.soak` is the long one, with its slope in MB an hour."""
    page = drawn(open_page("/wall"))
    expect(page.locator("#map")).to_have_attribute("data-mode", "deck")
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable")
    seq = 1

    def round_of_work() -> dict[str, float]:
        nonlocal seq
        for _ in range(12):
            seq += 1
            communes = {code: float((seq + i) % 20) for i, code in enumerate(province.AREAS.communes)}
            screens.show(province.snapshot(seq, values={"dossiers_received_today": float(seq), "incidents_open": float(seq % 9)}, by_area={"incidents_open": communes}))
            expect(page.locator(TILE)).to_have_attribute("data-value", str(seq), timeout=40_000)
        for name in ("forty", "overview") * 3:
            page.evaluate(f"window.ioc_scenes.show('{name}')")
        page.evaluate(USED)
        for _ in range(2):
            cdp.send("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in cdp.send("Performance.getMetrics")["metrics"]}
        return {"heap": metrics["JSHeapUsedSize"] / 1e6, "nodes": metrics["Nodes"], "listeners": metrics["JSEventListeners"]}

    drawn_before = page.evaluate("window.ioc_map.drawn()")
    round_of_work()  # warm-up
    assert page.evaluate("window.ioc_map.drawn()") >= drawn_before + 6  # neighbours may be drawn at once
    before, after = round_of_work(), round_of_work()
    assert after["nodes"] <= before["nodes"] * 1.03, (before, after)
    assert after["listeners"] <= before["listeners"] * 1.03, (before, after)
    assert after["heap"] <= before["heap"] + 1, (before, after)


def test_w11_what_a_wall_is_told_is_kept_by_nobody(screens: Screens, open_page: OpenPage) -> None:
    """Dash keeps every value of a callback's input for its undo, for ever, and tells its components of each: so it is told of none."""
    page = drawn(open_page("/wall", script=REFUSE_WEBGL))
    page.evaluate("window.told = 0; window.dash_stores[0].subscribe(() => { window.told += 1; })")
    dice = random.Random(1)
    for seq in range(2, 8):
        shot = province.snapshot(seq, values={"dossiers_received_today": float(seq), "incidents_open": float(seq)})
        screens.show(msgspec.structs.replace(shot, points=province.points(dice)))
        expect(page.locator(TILE)).to_have_attribute("data-value", str(seq), timeout=40_000)
    assert page.evaluate("window.told") == 0


def test_w22_forty_tiles_are_all_there_and_nothing_comes_from_elsewhere(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall/forty", wait=False)
    asked: list[tuple[str, str]] = []
    page.on("request", lambda request: asked.append((request.resource_type, request.url)))
    page.reload()
    page.wait_for_function(f"document.querySelectorAll('.tile .tile-value').length === {len(FORTY)}", timeout=30_000)
    page.evaluate("document.fonts.ready")
    assert len(FORTY) == 40
    assert page.evaluate("[...document.querySelectorAll('.tile')].every((t) => t.getBoundingClientRect().width > 0)")
    assert {kind for kind, _ in asked} >= {"document", "script", "stylesheet", "font"}
    assert {urlsplit(url).netloc for _, url in asked if not url.startswith(("data:", "blob:"))} == {f"127.0.0.1:{screens.port}"}
    assert page.evaluate("[...document.querySelectorAll('[src], [href]')].map((n) => n.src || n.href).every((url) => !/^https?:/.test(url) || url.startsWith(location.origin))")


JUMP = "const real = Date.now; window.jump = 0; Date.now = () => real() + window.jump;"


def test_w23_a_jump_of_the_screens_own_clock_neither_hides_a_cut_link_nor_invents_one(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall/overview", script=JUMP + REFUSE_WEBGL)
    page.evaluate("window.seen = 0; new MutationObserver(() => { if (!document.querySelector('#link-lost').hidden) window.seen += 1; }).observe(document.querySelector('#link-lost'), { attributes: true })")
    for jump in (3_600_000, -7_200_000):
        page.evaluate(f"window.jump = {jump}")
        page.wait_for_timeout(1500)
        assert page.locator(".clock-time").inner_text().startswith("14:32")  # the server's time, always
    assert page.evaluate("window.seen") == 0
    screens.cut("silent")
    expect(page.locator("#link-lost")).to_be_visible(timeout=40_000)
    expect(page.locator("[data-link-since]")).to_contain_text("14:3")
    screens.heal()
    expect(page.locator("#link-lost")).to_be_hidden(timeout=40_000)


def test_w07_a_screen_that_stood_still_takes_no_cut_link_for_granted(screens: Screens, open_page: OpenPage) -> None:
    page = open_page("/wall/overview", script=REFUSE_WEBGL)
    links: list[str] = []
    page.on("websocket", lambda link: links.append(link.url))
    page.evaluate("window.seen = 0; new MutationObserver(() => { if (!document.querySelector('#link-lost').hidden) window.seen += 1; }).observe(document.querySelector('#link-lost'), { attributes: true })")
    for _ in range(2):
        page.evaluate("{ const until = performance.now() + 6000; while (performance.now() < until); }")  # the server spoke three times
        page.wait_for_timeout(2500)
    assert page.evaluate("window.seen") == 0
    assert not links
    screens.cut("silent")
    page.evaluate("{ const until = performance.now() + 6000; while (performance.now() < until); }")
    expect(page.locator("#link-lost")).to_be_visible(timeout=5_000)
