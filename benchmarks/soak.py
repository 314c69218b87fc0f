"""Alive for a month: 20,000 updates and 1,000 scene changes on one page in Chromium; what grew meanwhile.

ours    what grew, after a warm-up of a tenth of the run: JavaScript heap in MB an hour of a wall's real life (two updates a
        second), DOM nodes and listeners in percent, WebGL contexts of the whole run, reconnects, memory of the web process
limit   what requirements W11 and W12 allow; the certificate in `details` says for each whether it is kept
peers   none
The wall is the shipped one with all its scenes, on the real web process; 500 cases open and close again for ever, 20 changes a
second, pushed as fast as the hub can (`push_interval_s` 0.05), so that hours pass in minutes. A scene is changed after every 20 updates.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks._rig import Process, Rig, answers, found, free_port, options, rig, rss_mb, show, tell, until
from benchmarks.event_to_pixel import CHROMIUM, FEED
from ioc import areas
from ioc.bus import Publisher
from ioc.config import Broker
from ioc.errors import Unavailable
from ioc.events import Case, make
from tests.browser.test_screens import COUNT_CONTEXTS

UPDATES, SCENES, CASES = 20_000, 1_000, 500
REAL_UPDATES_PER_H = 7_200  # two a second, the most a wall is sent
SAMPLES = 40
LIMITS = {"heap MB/h": 1.0, "DOM nodes %": 2.0, "listeners %": 2.0, "WebGL contexts": 1.0, "reconnects": 0.0, "server MB/h": 1.0}
# Counts messages that bring values, and links.
_COUNT = """
window.soak = { updates: 0, links: 0 };
const Original = window.WebSocket;
window.WebSocket = class extends Original {
  constructor(...args) {
    super(...args);
    window.soak.links += 1;
    this.addEventListener("message", (event) => { if (!event.data.startsWith('{"hb"')) window.soak.updates += 1; });
  }
};
"""


def steady(bootstrap: str, kind: str, stop: threading.Event) -> Callable[[], None]:
    """Return a job that opens and closes the same cases until told to stop: what there is to show does not grow."""

    def work() -> None:
        publisher = Publisher(Broker(bootstrap=bootstrap, kind=kind, prefix="soak"))
        publisher.ensure_topics([FEED])
        codes, n = sorted(areas.load("19").communes), 0
        while not stop.wait(0.05):
            i, now = n % CASES, datetime.now(UTC)
            status = "open" if n // CASES % 2 == 0 or i % 3 else "closed"
            case = Case(status=status, title="Phản ánh", category=f"c{i % 9}", area=codes[i % len(codes)], opened_at=now - timedelta(hours=1), lat=21.4 + i % 37 / 100, lon=105.6 + i % 41 / 100)  # type: ignore[arg-type]
            with suppress(Unavailable):  # the broker may be what is away; it goes on when it is back, as a connector does, which flushes
                publisher.send(FEED, make("/soak", f"SR-{i}", now, case))
                if n % 20 == 0:
                    publisher.flush()
            n += 1
        publisher.close()

    return work


def sample(page: Page, cdp: CDPSession, server: Process) -> dict[str, float]:
    """Return what is in use once all garbage is gone."""
    for _ in range(3):
        cdp.send("HeapProfiler.collectGarbage")
    metrics = {m["name"]: m["value"] for m in cdp.send("Performance.getMetrics")["metrics"]}
    counts: dict[str, float] = page.evaluate("({ updates: window.soak.updates, links: window.soak.links, contexts: window.contexts })")
    return {"at_s": time.monotonic(), "heap_mb": metrics["JSHeapUsedSize"] / 1e6, "nodes": metrics["Nodes"], "listeners": metrics["JSEventListeners"], "server_mb": rss_mb(server.pid)} | counts


def slope(points: list[dict[str, float]], of: str) -> float:
    """Return the least-squares slope of a measure over updates, per real hour."""
    n = len(points)
    mean_x, mean_y = sum(p["updates"] for p in points) / n, sum(p[of] for p in points) / n
    spread = sum((p["updates"] - mean_x) ** 2 for p in points)
    return sum((p["updates"] - mean_x) * (p[of] - mean_y) for p in points) / spread * REAL_UPDATES_PER_H if spread else 0.0


def growth(points: list[dict[str, float]], of: str) -> float:
    """Return by how many percent the second half stands above the first."""
    half = len(points) // 2
    first, second = (sum(p[of] for p in part) / len(part) for part in (points[:half], points[half:]))
    return (second / first - 1) * 100


def live(page: Page, cdp: CDPSession, server: Process, updates: int, scenes: int) -> list[dict[str, float]]:
    """Let the wall take in so many updates and change its scene so often; return the samples."""
    points = []
    for n in range(SAMPLES if updates >= 1000 else 8):
        steps = SAMPLES if updates >= 1000 else 8
        aim, turns = updates * (n + 1) // steps, scenes * (n + 1) // steps - scenes * n // steps
        before = page.evaluate("window.soak.updates")
        for turn in range(1, turns + 1):
            page.wait_for_function(f"window.soak.updates >= {before + (aim - before) * turn / turns}", timeout=600_000)
            page.evaluate("window.ioc_scenes.go(1)")
        page.wait_for_function(f"window.soak.updates >= {aim}", timeout=600_000)
        points.append(sample(page, cdp, server))
        tell(f"{points[-1]['updates']} updates: {points[-1]}")
    return points


def measure(it: Rig, dsn: str, updates: int, scenes: int) -> list[dict[str, float]]:
    port = free_port()
    config = it.config(dsn, broker={"prefix": "soak"}, web={"port": port, "push_interval_s": 0.05}, scenes={"dwell_s": 86_400})
    it.ioc(config, "ingest")
    web = it.ioc(config, "web")
    until(lambda: answers(port), 120, web)
    stop = threading.Event()
    producer = threading.Thread(target=steady(it.bootstrap, it.broker_kind, stop))
    producer.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found.chromium(), args=CHROMIUM)
            page = browser.new_page(viewport={"width": 1920, "height": 1080}, bypass_csp=True)  # what we wait for is evaluated in the page
            page.set_default_timeout(120_000)
            page.add_init_script(COUNT_CONTEXTS + _COUNT)
            page.goto(f"http://127.0.0.1:{port}/wall")
            page.wait_for_selector("#map[data-mode]")
            cdp = page.context.new_cdp_session(page)
            cdp.send("Performance.enable")
            points = live(page, cdp, web, updates, scenes)
            browser.close()
    finally:
        stop.set()
        producer.join(timeout=60)
    return points


def run(*, small: bool, updates: int | None) -> dict[str, Any]:
    """Return the object that is printed."""
    n = updates or (160 if small else UPDATES)
    scenes = max(8, n * SCENES // UPDATES)
    with rig() as it, it.fresh_database() as dsn:
        points = measure(it, dsn, n, scenes)
        machine = it.machine()
        for process in reversed(it.processes):
            process.stop()
    after = points[max(1, len(points) // 10) :]
    ours = {
        "heap MB/h": slope(after, "heap_mb"),
        "DOM nodes %": growth(after, "nodes"),
        "listeners %": growth(after, "listeners"),
        "WebGL contexts": points[-1]["contexts"],
        "reconnects": points[-1]["links"] - 1,
        "server MB/h": slope(after, "server_mb"),
    }
    ours = {name: round(value, 3) for name, value in ours.items()}
    return {
        "benchmark": "soak",
        "title": f"{n} updates and {scenes} scene changes of the wall: what grew",
        "unit": "as named",
        "better": "lower",
        "ours": ours,
        "peers": {},
        "limit": LIMITS,
        "ratio_to_limit": {name: round(value / LIMITS[name], 2) if LIMITS[name] else None for name, value in ours.items()},
        "machine": machine,
        "details": {
            "certificate": {name: "kept" if value <= LIMITS[name] else "NOT KEPT" for name, value in ours.items()},
            "updates": points[-1]["updates"], "scene_changes": scenes, "seconds": round(points[-1]["at_s"] - points[0]["at_s"]),
            "first": after[0], "last": points[-1],
        },
    }  # fmt: skip


def main() -> None:
    args = options(__doc__ or "", updates={"type": int, "help": f"so many updates instead of {UPDATES}; scene changes in proportion"})
    show(run(small=args.small, updates=args.updates), as_json=args.json)


if __name__ == "__main__":
    main()
