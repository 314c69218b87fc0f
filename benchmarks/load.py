"""A wall under load: forty tiles from nothing, a hundred thousand places that move, three hundred screens on one web process.

ours    the shipped web process; 100,000 open cases in its database, some of which change
peers   plain Dash, polled: the same forty tiles; as many points as rows through pydeck's converter; as many pages that ask once a second
limit   for forty tiles requirement W22 (2 s); for the rest a bare websocket that knows nothing: its page is handed bytes and draws them
All in one run, one after the other. For forty tiles what their bytes take on a LAN (100 Mbit/s, ten round trips of 2 ms) is added to the time on
the loopback: Chromium's own throttling lets a page wait for a minute now and then. Of a refresh of points `browser` is the work of
the page's main thread (scripts, layout, hand-over to the graphics process), `frame` the longest gap between two frames: without a graphics card
that is mostly the drawing itself, the same for all three. `server` is processor time of the process that serves the page.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import yaml
from playwright.sync_api import Browser, Page, WebSocket, sync_playwright

from benchmarks._province import write_today
from benchmarks._rig import Process, Rig, answers, cpu_s, found, free_port, options, rig, rss_mb, show, tell, until
from benchmarks.event_to_pixel import CHROMIUM
from benchmarks.viewers import _tiles, dash_body, idle, watch
from ioc import areas
from ioc.config import load
from ioc.events import Case, Event, make
from ioc.kpi import catalogue
from ioc.store.writer import Record, Writer

FEED, TOPIC, TILES = "incident-reports", "ioc.incident-reports", 40
POINTS, SCREENS = 100_000, 300
PAINT_LIMIT_MS = 2_000.0
LAN_BYTES_PER_MS, LAN_ROUND_TRIPS_MS = 12_500, 20
# Notes when the last of forty tiles had something written in it (ms since the page was asked for), and the gaps between frames.
_WATCH = """
window.load = { filled: null, gaps: [], last: null };
function written() {
  const ours = [...document.querySelectorAll(".tile[data-kpi], .bare")];
  const tiles = ours.length ? ours : [...document.querySelectorAll("[id^='tile-']")];
  return tiles.length >= 40 && tiles.every((tile) => tile.textContent && !tile.querySelector(".tile-title[aria-hidden]"));
}
(function frame(at) {
  if (window.load.last !== null) window.load.gaps.push(at - window.load.last);
  window.load.last = at;
  if (window.load.filled === null && document.body && written()) window.load.filled = performance.now();
  requestAnimationFrame(frame);
})(performance.now());
"""


class Changes:
    """Writes cases as ingest does: many at first, then some now and then from a thread."""

    def __init__(self, dsn: str) -> None:
        self._conn = psycopg.connect(dsn)
        self._writer = Writer(self._conn)
        self._codes, self._dice = sorted(areas.load("19").communes), random.Random(7)
        self._offset = self._writer.assign(TOPIC, 0, "bench", FEED)

    def _case(self, i: int) -> Event:
        now, dice = datetime.now(UTC), self._dice
        state = Case(
            status="open", title="Phản ánh", category=f"c{i % 9}", area=self._codes[i % len(self._codes)], opened_at=now - timedelta(hours=1),
            due_at=now + timedelta(hours=-1 if i % 10 == 0 else 48), lat=dice.uniform(21.35, 22.6), lon=dice.uniform(105.45, 106.2),
        )  # fmt: skip
        return make("/load", f"P-{i}", now, state)

    def write(self, first: int, n: int) -> None:
        """Write cases number `first` and following."""
        for start in range(first, first + n, 5000):
            now, some = datetime.now(UTC), range(start, min(first + n, start + 5000))
            self._writer.write([Record(TOPIC, 0, self._offset + k, FEED, now, event=self._case(i)) for k, i in enumerate(some)], {TOPIC: "bench"})
            self._offset += len(some)

    @contextmanager
    def going_on(self, every_s: float, at_once: int) -> Iterator[None]:
        """Change so many cases each time, meanwhile."""
        stop = threading.Event()

        def work() -> None:
            n = 0
            while not stop.wait(every_s):
                self.write(n % 1000, at_once)
                n += at_once

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=30)

    def close(self) -> None:
        self._conn.close()


def scenes(folder: Path) -> Path:
    """Write the three scenes: forty tiles, points one by one, clusters."""
    config = load()
    kpis = [kpi.kpi for kpi in catalogue.in_use(catalogue.load(config.kpis.catalogue), config)][:TILES]
    folder.mkdir()
    reports = {"kpi": "incidents_open", "assets": False, "feeds": [FEED]}
    for name, tiles, points in (("overview", kpis, "auto"), ("points", kpis[:1], "points"), ("clusters", kpis[:1], "clusters")):
        scene = {"title": {"vi": name, "en": name}, "tiles": tiles, "columns": 5, "columns_wide": 8, "map": reports | {"points": points}, "ticker": 0, "feeds": False, "skip_when_empty": False}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(scene, allow_unicode=True), encoding="utf-8")
    return folder


class Traffic:
    """A page, and the bytes that reached it: of its websocket and, encoded, of its requests."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.bytes = 0
        self.page: Page = browser.new_page(viewport={"width": 1920, "height": 1080}, bypass_csp=True)  # what we wait for is evaluated in the page
        self.page.set_default_timeout(180_000)
        self.page.add_init_script(_WATCH)
        self.cdp = self.page.context.new_cdp_session(self.page)
        self.cdp.send("Network.enable")
        self.cdp.send("Performance.enable")
        self.cdp.on("Network.loadingFinished", lambda told: self._more(told["encodedDataLength"]))
        self.page.on("websocket", self._listen)
        self.page.goto(url, wait_until="commit")

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: self._more(len(payload if isinstance(payload, bytes) else payload.encode())))

    def _more(self, n: float) -> None:
        self.bytes += int(n)

    def busy_ms(self) -> float:
        """Return for how long its main thread has worked so far."""
        return 1000 * float(next(m["value"] for m in self.cdp.send("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration"))


def first_paint(browser: Browser, url: str, times: int) -> list[float]:
    """Return, of so many fresh visits, when the last of forty tiles was written on a LAN, ms. One before them warms the server up."""
    taken = []
    for _ in range(times + 1):
        visit = Traffic(browser, url)
        visit.page.wait_for_function("window.load.filled !== null")
        taken.append(round(float(visit.page.evaluate("window.load.filled")) + visit.bytes / LAN_BYTES_PER_MS + LAN_ROUND_TRIPS_MS, 1))
        visit.page.close()
    return sorted(taken[1:])


def refreshes(browser: Browser, url: str, drawn: str, server: Process, times: int) -> dict[str, float]:
    """Return what one refresh of the points costs on average over `times` of them. `drawn`: how many there were, in the page's words."""
    visit = Traffic(browser, url)
    page = visit.page
    page.wait_for_function(f"({drawn}) >= 2")
    began = {"n": page.evaluate(drawn), "bytes": visit.bytes, "busy": visit.busy_ms(), "cpu": cpu_s(server.pid), "at": time.monotonic()}
    page.evaluate("window.load.gaps.length = 0")
    page.wait_for_function(f"({drawn}) >= {began['n'] + times}")
    n = page.evaluate(drawn) - began["n"]
    gaps: list[float] = page.evaluate("window.load.gaps")
    out = {
        "browser_ms": (visit.busy_ms() - began["busy"]) / n, "server_ms": 1000 * (cpu_s(server.pid) - began["cpu"]) / n, "kb": (visit.bytes - began["bytes"]) / n / 1000,
        "frame_ms": max(gaps), "frames_over_100_ms": sum(gap > 100 for gap in gaps) / n, "every_s": (time.monotonic() - began["at"]) / n,
    }  # fmt: skip
    page.close()
    return {name: round(value, 1) for name, value in out.items()}


def measure(it: Rig, dsn: str, points: int, screens: int, times: int, seconds: float) -> dict[str, Any]:
    ports = {name: free_port() for name in ("ours", "interval", "bare", "interval-points", "bare-points")}
    config = it.config(dsn, web={"port": ports["ours"]}, scenes={"folder": str(scenes(it.folder / "scenes")), "use": ["overview", "points", "clusters"], "dwell_s": 86_400})
    env = it.environment(config)
    with psycopg.connect(dsn) as conn:
        write_today(conn, 500)
    changes = Changes(dsn)

    def peer(kind: str, *size: str) -> Process:
        process = it.run(kind, [sys.executable, "-m", "benchmarks._peers", kind, str(ports[kind]), *size], env)
        until(lambda: answers(ports[kind], "/_dash-layout" if kind.startswith("interval") else "/openapi.json"), 120, process)
        return process

    ours = it.ioc(config, "web")
    until(lambda: answers(ports["ours"]), 120, ours)
    polled, bare = peer("interval"), peer("bare", "20000")
    url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    got: dict[str, Any] = {"paint": {}, "points": {}, "screens": {}}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.chromium(), args=CHROMIUM)
        for name, address in (("ours", f"{url['ours']}/wall/overview"), ("interval", url["interval"]), ("bare", url["bare"])):
            got["paint"][name] = first_paint(browser, address, times)
            tell(f"forty tiles, {name}: {got['paint'][name]} ms")
        changes.write(0, points)
        tell(f"{points} cases are written")
        with changes.going_on(0.5, 1):
            for name in ("points", "clusters"):
                got["points"][name] = refreshes(browser, f"{url['ours']}/wall/{name}", "window.ioc_map ? window.ioc_map.drawn() : 0", ours, times)
                tell(f"{points} points, ours as {name}: {got['points'][name]}")
        for kind in ("interval-points", "bare-points"):
            process = peer(kind, str(points))
            got["points"][kind] = refreshes(browser, url[kind], "window.drawn || 0", process, times)
            process.stop()
            tell(f"{points} points, {kind}: {got['points'][kind]}")
        browser.close()
    with changes.going_on(0.1, 2):
        time.sleep(2)
        size = 0
        for name in ("ours", "interval", "bare"):
            if name == "bare":  # messages as large as ours
                bare.stop()
                bare = peer("bare", str(size))
            kind, address, process, body = {
                "ours": ("socket", f"ws://127.0.0.1:{ports['ours']}/live?view=wall/overview:vi", ours, ""),
                "interval": ("poll", f"{url['interval']}/_dash-update-component", polled, dash_body(_tiles(ports["interval"]))),
                "bare": ("socket", f"ws://127.0.0.1:{ports['bare']}/live", bare, ""),
            }[name]
            alone, alone_mb = idle(process, seconds / 3), rss_mb(process.pid)
            got["screens"][name] = watch(kind, address, screens, seconds, process, body) | {"idle_percent": alone, "idle_mb": alone_mb}
            size = size or int(got["screens"][name]["bytes_per_message"])
            tell(f"{screens} screens, {name}: {got['screens'][name]}")
    changes.close()
    return got


def run(*, small: bool) -> dict[str, Any]:
    """Return the object that is printed."""
    points, screens, times, seconds = (5_000, 5, 2, 3.0) if small else (POINTS, SCREENS, 9, 20.0)
    with rig(broker=False) as it, it.fresh_database() as dsn:
        got = measure(it, dsn, points, screens, times, seconds)
        machine = it.machine()
        for process in reversed(it.processes):
            process.stop()
    names = {
        "forty": f"{TILES} tiles written, ms", "browser": f"{points:,} points: browser, ms a refresh", "frame": f"{points:,} points: longest frame, ms",
        "server": f"{points:,} points: server, ms a refresh", "kb": f"{points:,} points: kB a refresh",
        "clusters": f"{points:,} as clusters: browser, ms a refresh", "clusters_server": f"{points:,} as clusters: server, ms a refresh", "clusters_kb": f"{points:,} as clusters: kB a refresh",
        "delay": f"{screens} screens: delay p95, ms", "cpu": f"{screens} screens: processor, % of a core", "mb": f"{screens} screens: memory, MB",
    }  # fmt: skip

    def column(kind: str, points_kind: str) -> dict[str, float]:
        paint, drawn, watched = got["paint"][kind], got["points"][points_kind], got["screens"][kind]
        told = {
            "forty": paint[len(paint) // 2], "browser": drawn["browser_ms"], "frame": drawn["frame_ms"], "server": drawn["server_ms"], "kb": drawn["kb"],
            "delay": round(1000 * watched["delay_s"].get("p95", 0.0), 1), "cpu": watched["cpu_percent"], "mb": watched["server_mb"],
        }  # fmt: skip
        return {names[name]: value for name, value in told.items()}

    few = got["points"]["clusters"]
    ours = column("ours", "points") | {names["clusters"]: few["browser_ms"], names["clusters_server"]: few["server_ms"], names["clusters_kb"]: few["kb"]}
    peers = {"plain Dash, polled": column("interval", "interval-points"), "a bare websocket": column("bare", "bare-points")}
    limit = peers["a bare websocket"] | {names["forty"]: PAINT_LIMIT_MS}
    return {
        "benchmark": "load",
        "title": f"{TILES} tiles, {points:,} points, {screens} screens on one web process",
        "unit": "as named",
        "better": "lower",
        "ours": ours,
        "peers": peers,
        "limit": limit,
        "ratio_to_limit": {name: round(value / limit[name], 2) if limit.get(name) else None for name, value in ours.items()},
        "machine": machine,
        "details": got,
    }


def main() -> None:
    args = options(__doc__ or "")
    show(run(small=args.small), as_json=args.json)


if __name__ == "__main__":
    main()
