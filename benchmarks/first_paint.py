"""How long a phone waits for a page of leaders: first contentful paint with the processor slowed 6 times (CDP), values in it.

ours    milliseconds from the request to the first paint, median, by page; the pages come drawn, so it has its values
limit   the target, 2,500 ms
The server is the screens' own with a made-up afternoon (tests/browser): what is measured is the page, not the database.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks._rig import options, show, tell
from tests.browser.conftest import ARGS
from tests.browser.screens import Screens

PAGES = ("/", "/kpi/dossiers_on_time_rate", "/compare", "/changes")
SLOWED = 6  # times: a phone against this machine
LIMIT_MS = 2500
_PAINTED = """new Promise((done) => {
  const look = () => { const found = performance.getEntriesByName("first-contentful-paint")[0]; found ? done(found.startTime) : setTimeout(look, 50); };
  look();
})"""


def paint_ms(browser: Browser, url: str) -> float:
    """Return the first contentful paint of a page nobody has opened before, in milliseconds."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, device_scale_factor=3)
    page = context.new_page()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
    page.goto(url, timeout=120_000)
    found = float(page.evaluate(_PAINTED))
    context.close()
    return found


def main() -> None:
    asked = options(__doc__ or "")
    load = round(os.getloadavg()[0], 2)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    screens, times = Screens().start(), 2 if asked.small else 15
    details: dict[str, Any] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        for path in PAGES:
            tell(path)
            details[path] = sorted(round(paint_ms(browser, screens.url + path)) for _ in range(times))
        browser.close()
    screens.stop()
    ours = {path: statistics.median(found) for path, found in details.items()}
    machine = {"cores": os.cpu_count(), "load_before": load, "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version()}
    show(
        {
            "benchmark": "first_paint", "title": f"First paint of leaders' pages on a processor slowed {SLOWED} times", "unit": "ms", "better": "lower",
            "ours": ours, "peers": {}, "limit": dict.fromkeys(PAGES, LIMIT_MS), "ratio_to_limit": {path: round(ms / LIMIT_MS, 2) for path, ms in ours.items()},
            "machine": machine, "details": details,
        },
        as_json=asked.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
