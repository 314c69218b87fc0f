"""Pictures of every scene of the wall, at the sizes people hang up, in colour and without: `python -m tests.browser.pictures`.

Written to docs/images/wall/ as SCENE-WIDTHxHEIGHT.webp, from the made-up afternoon of province.py. They are for looking at.
`--sheet` puts all scenes without colour on one picture: each state must still be told.
"""

from __future__ import annotations

import argparse
import base64
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import ARGS
from tests.browser.province import ROOT
from tests.browser.screens import Screens

SIZES = [(1920, 1080), (3840, 2160), (7680, 2160)]
WIDEST = 1920  # of a picture that is kept; larger ones are made smaller


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "wall")
    parser.add_argument("--scenes", nargs="*", help="only these")
    parser.add_argument("--sizes", nargs="*", default=[f"{w}x{h}" for w, h in SIZES], help="such as 1920x1080")
    parser.add_argument("--lang", choices=["vi", "en"], default="vi")
    parser.add_argument("--full", action="store_true", help="keep the pixels as they are")
    parser.add_argument("--grey", action="store_true", help="each without colour, too")
    parser.add_argument("--sheet", action="store_true", help="and a sheet of all scenes without colour, small")
    parser.add_argument("--format", choices=["webp", "png"], default="webp")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    screens = Screens().start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.chromium, args=ARGS)
        for size in asked.sizes:
            width, height = (int(part) for part in size.split("x"))
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(f"{screens.url}/wall?lang={asked.lang}")
            page.wait_for_selector("#map[data-mode]", timeout=120_000)
            for scene in asked.scenes or screens.config.scenes.use:
                _picture(page, scene, asked.out / f"{scene}-{size}", asked)
            page.close()
        if asked.sheet:
            _sheet(browser, screens, asked)
        browser.close()
    screens.stop()


def _sheet(browser: Browser, screens: Screens, asked: argparse.Namespace) -> None:
    """All scenes at 1920x1080 without colour, three in a row, a third of their size."""
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.goto(f"{screens.url}/wall?lang={asked.lang}")
    page.wait_for_selector("#map[data-mode]", timeout=120_000)
    link = page.context.new_cdp_session(page)
    link.send("Emulation.setEmulatedVisionDeficiency", {"type": "achromatopsia"})
    shots = []
    for scene in screens.config.scenes.use:
        _show(page, scene)
        shots.append(link.send("Page.captureScreenshot", {"format": "webp", "quality": 80, "clip": {"x": 0, "y": 0, "width": 1920, "height": 1080, "scale": 1 / 3}})["data"])
    page.set_content("<style>body { margin: 0; display: grid; grid-template-columns: repeat(3, 640px); gap: 6px; background: #fff }</style>" + "".join(f'<img src="data:image/webp;base64,{shot}">' for shot in shots))
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    rows = -(-len(shots) // 3)
    taken = link.send("Page.captureScreenshot", {"format": "webp", "quality": 70, "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": 1932, "height": 366 * rows, "scale": 1}})
    (asked.out / "sheet-grey.webp").write_bytes(base64.b64decode(taken["data"]))
    page.close()


def _show(page: Page, scene: str) -> None:
    page.evaluate(f"window.ioc_scenes.show({scene!r})")
    page.evaluate("new Promise((done) => setTimeout(() => requestIdleCallback(done), 1500))")


def _picture(page: Page, scene: str, path: Path, asked: argparse.Namespace) -> None:
    _show(page, scene)
    size = page.viewport_size
    assert size is not None
    link = page.context.new_cdp_session(page)
    for ending, sight in (("", "none"), *((("-grey", "achromatopsia"),) if asked.grey else ())):
        link.send("Emulation.setEmulatedVisionDeficiency", {"type": sight})
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 if asked.full else min(1, WIDEST / size["width"])}
        taken = link.send("Page.captureScreenshot", {"format": asked.format, "clip": clip} | ({"quality": 80} if asked.format == "webp" else {}))
        path.with_name(f"{path.name}{ending}.{asked.format}").write_bytes(base64.b64decode(taken["data"]))
    link.send("Emulation.setEmulatedVisionDeficiency", {"type": "none"})
    link.detach()


if __name__ == "__main__":
    main()
