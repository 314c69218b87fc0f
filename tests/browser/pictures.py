"""Pictures of every scene of the wall, at the sizes people hang up, in colour and without: `python -m tests.browser.pictures`.

Written to docs/images/wall/ as SCENE-WIDTHxHEIGHT.webp, from the made-up afternoon of province.py. They are for looking at.
`--sheet` puts all scenes of a size without colour on one picture: each state must still be told. `--guide` takes those of README
and the operators' guide instead, docs/images/NAME.webp.
"""

from __future__ import annotations

import argparse
import base64
import random
from datetime import timedelta
from pathlib import Path

import msgspec
from playwright.sync_api import Browser, Page, sync_playwright

from connectors.cameras.simulated_stills import still
from ioc.clock import ICT
from ioc.live import Point, Snapshot
from tests.browser import province
from tests.browser.conftest import ARGS
from tests.browser.province import ROOT
from tests.browser.screens import Screens
from tests.unit.test_dashboards_map import warned

SIZES = {(1920, 1080): 1280, (3840, 2160): 960, (7680, 2160): 1920}  # and the width of the picture that is kept
# name -> address, size of the screen, pixels kept of each, what must be there
GUIDE = {
    "wall": ("/wall?", (1920, 1080), 1, "#map[data-mode='deck']"), "wall-past": ("/wall?at=2026-11-20T09:15&", (1920, 1080), 2 / 3, "#scene[data-shown] #map[data-mode]"),
    "wall-far": ("/wall?", (3840, 2160), 1 / 3, "#map[data-mode='deck']"), "leaders": ("/?", (1440, 1000), 1, ".tile-value"), "phone": ("/?", (390, 844), 2, ".tile-value"), "operations": ("/operations?", (1440, 1000), 8 / 9, "#ops-feeds tr"),
}  # fmt: skip
# As if config.yaml said viewing_distance_m: 8.
EIGHT_METRES = "() => { for (const [name, of] of [['--letter', 0.0058], ['--letter-least', 0.00465]]) document.querySelector('#scene').style.setProperty(name, `${(of * 8000) / 0.634}px`); window.dispatchEvent(new Event('resize')); }"
FROZEN = "camera-4"  # its picture stands still
# feed -> kind, state, how many: what a map shows of assets beside the facilities and cameras of province.py.
PLACES = {
    "buses": ("vehicle", "ok", 38), "bikes": ("bike_station", "ok", 24), "environment": ("station", "ok", 18), "tourism": ("site", "ok", 21),
    "education": ("school", "ok", 160), "digital-platforms": ("network_link", "ok", 90),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "wall")
    parser.add_argument("--scenes", nargs="*", help="only these")
    parser.add_argument("--sizes", nargs="*", default=[f"{w}x{h}" for w, h in SIZES], help="such as 1920x1080")
    parser.add_argument("--lang", choices=["vi", "en"], default="vi")
    parser.add_argument("--full", action="store_true", help="keep the pixels as they are")
    parser.add_argument("--grey", action="store_true", help="each without colour, too")
    parser.add_argument("--sheet", action="store_true", help="and of each size a sheet of all its pictures without colour, small")
    parser.add_argument("--guide", action="store_true", help="the pictures of the operators' guide, and no scenes")
    parser.add_argument("--format", choices=["webp", "png"], default="webp")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    screens = Screens().start()
    screens.snapshot = furnished(screens)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.chromium, args=ARGS)
        for name, (path, (width, height), scale, there) in GUIDE.items() if asked.guide else ():
            page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
            page.goto(f"{screens.url}{path}lang={asked.lang}")
            page.wait_for_selector(there, timeout=120_000)
            if name == "wall-far":  # four 55-inch panels, read from eight metres
                page.evaluate(EIGHT_METRES)
            _settle(page)
            _picture(page, asked.out.parent / name, asked, max(1, scale))
            page.close()
        for size in () if asked.guide else asked.sizes:
            width, height = (int(part) for part in size.split("x"))
            page = _opened(browser, width, height, asked)
            page.goto(f"{screens.url}/wall?lang={asked.lang}")
            page.wait_for_selector("#map[data-mode]", timeout=120_000)
            for scene in asked.scenes or screens.config.scenes.use:
                page.evaluate(f"window.ioc_scenes.show({scene!r})")
                _settle(page)
                _picture(page, asked.out / f"{scene}-{size}", asked)
            page.close()
            if asked.sheet:
                _sheet(browser, asked.out, size, asked.scenes or screens.config.scenes.use)
        browser.close()
    screens.stop()


def furnished(screens: Screens) -> Snapshot:
    """Return the made-up afternoon with stills, a warning's area, and something on each scene's map."""
    dice = random.Random(4)
    for number, camera in enumerate(screens.config.stills.cameras, 1):
        screens.album.take(camera.camera, still(number, province.NOW.astimezone(ICT)))
    stills = screens.album.shown()
    stills[FROZEN] = msgspec.structs.replace(stills[FROZEN], changed_at=province.NOW - timedelta(seconds=42))
    communes = list(province.AREAS.communes.values())
    found = [*province.snapshot().points, *province.cameras(), warned("severe")]
    for feed, (kind, state, n) in PLACES.items():
        for i in range(n):
            area = communes[dice.randrange(len(communes))]
            found.append(Point("asset", feed, f"{feed}-{i}", f"{feed} {i}", kind, "down" if i == 3 else state, area.code, area.lat + dice.uniform(-0.03, 0.03), area.lon + dice.uniform(-0.03, 0.03), None))
    return province.snapshot(stills=stills, points=found)


def _sheet(browser: Browser, out: Path, size: str, scenes: list[str]) -> None:
    """The kept pictures of one size without colour, three in a row, 640 px wide: by the lightness of each pixel."""
    page = browser.new_page(viewport={"width": 1932, "height": 1080})
    kept = [base64.b64encode((out / f"{scene}-{size}.webp").read_bytes()).decode() for scene in scenes]
    images = "".join(f'<img src="data:image/webp;base64,{image}">' for image in kept)
    page.set_content(f"<style>body {{ margin: 0; display: grid; grid-template-columns: repeat(3, 640px); gap: 6px; background: #fff; filter: grayscale(1) }} img {{ width: 640px }}</style>{images}")
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    height = page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": 1932, "height": height, "scale": 1}
    taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": 70, "captureBeyondViewport": True, "clip": clip})
    (out / f"sheet-grey-{size}.webp").write_bytes(base64.b64decode(taken["data"]))
    page.close()


def _opened(browser: Browser, width: int, height: int, asked: argparse.Namespace) -> Page:
    """A screen of that size, drawn with as many pixels as are kept: a software renderer has its day with more."""
    kept = SIZES.get((width, height), 1280)
    return browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=1 if asked.full else min(1, kept / width))


def _settle(page: Page) -> None:
    page.evaluate("new Promise((done) => setTimeout(() => requestIdleCallback(done, { timeout: 3000 }), 1500))")


def _picture(page: Page, path: Path, asked: argparse.Namespace, scale: float = 1) -> None:
    size = page.viewport_size
    assert size is not None
    link = page.context.new_cdp_session(page)
    for ending, sight in (("", "none"), *((("-grey", "achromatopsia"),) if asked.grey else ())):
        link.send("Emulation.setEmulatedVisionDeficiency", {"type": sight})
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": scale}
        taken = link.send("Page.captureScreenshot", {"format": asked.format, "clip": clip} | ({"quality": 70} if asked.format == "webp" else {}))
        path.with_name(f"{path.name}{ending}.{asked.format}").write_bytes(base64.b64decode(taken["data"]))
    link.send("Emulation.setEmulatedVisionDeficiency", {"type": "none"})
    link.detach()


if __name__ == "__main__":
    main()
