"""What a screen shows while something is away, second by second: server, network, database, broker.

ours    seconds after the cut until the banner is on the screen, and after the return until it is gone, and until the value is live
limit   requirements W7, W8 and trust 4: banner within 5 s, healed within 10 s, live within 30 s; ratio_to_limit is ours / limit
peers   none
The screen is Chromium on the wall's overview, on the real system; it notes each second by itself what it shows (link, banner,
value, as-of, state, clock), so nothing is measured through a link that is cut. Server: `ioc web` killed (SIGKILL) for 1, 60 and 600 s
and hung (SIGSTOP). Network: Chromium runs in a network namespace whose only wire is pulled, where root may make one (else
`details` says so). Database and broker: stopped and started again, the database also hung (SIGSTOP); the link stays, the values grow old. `details` holds the
seconds, equal ones joined.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks._rig import Process, Rig, answers, found, free_port, options, rig, show, tell, until
from benchmarks.event_to_pixel import CHROMIUM
from benchmarks.soak import steady

BANNER_S, HEALED_S, LIVE_S = 5.0, 10.0, 30.0
TILE = "tile-incidents_open"
SETTLE_S = 12.0  # watched after everything is back, at least
LATEST_S = 120.0  # and at most, until the value is live
# Notes twice a second what a viewer sees; `at` is ms since 1970.
_NOTE = f"""
window.mark = 1;
window.notes = [];
setInterval(() => {{
  const tile = document.getElementById("{TILE}"), banner = document.getElementById("link-lost");
  if (!tile || !banner) return;
  window.notes.push({{
    at: performance.timeOrigin + performance.now(), banner: !banner.hidden, dimmed: Number(getComputedStyle(document.querySelector("main")).opacity) < 1,
    state: tile.dataset.state, as_of: tile.dataset.asOf, clock: document.querySelector(".clock-time").textContent,
  }});
}}, 500);
"""


@dataclass
class Stage:
    """The system, and the ways to hurt it."""

    it: Rig
    port: int
    config: Path
    web: Process
    host: str = "127.0.0.1"
    wire: str | None = None  # the network interface whose end the screen hangs on

    def start_web(self) -> None:
        self.web = self.it.ioc(self.config, "web")
        until(lambda: answers(self.port), 180, self.web)


Cut = tuple[str, float, Callable[[Stage], None], Callable[[Stage], None]]  # name, seconds, cut, bring back


def _kill(stage: Stage) -> None:
    assert stage.web.pid is not None
    os.kill(stage.web.pid, signal.SIGKILL)
    stage.web.wait(10)


def _signal(what: signal.Signals) -> Callable[[Stage], None]:
    def send(stage: Stage) -> None:
        assert stage.web.pid is not None
        os.kill(stage.web.pid, what)

    return send


def _wire(state: str) -> Callable[[Stage], None]:
    def pull(stage: Stage) -> None:
        assert stage.wire is not None
        subprocess.run(["ip", "link", "set", stage.wire, state], check=True)

    return pull


def _stop_database(stage: Stage) -> None:
    assert stage.it.database.server is not None
    stage.it.database.server.stop()


def _start_database(stage: Stage) -> None:
    assert stage.it.database.server is not None
    stage.it.database.server.start()
    stage.it.database.ready()


def _still_database(what: signal.Signals) -> Callable[[Stage], None]:
    def send(stage: Stage) -> None:
        for process in psutil.Process().children(recursive=True):
            if process.name().startswith("postgres"):
                process.send_signal(what)

    return send


def _stop_broker(stage: Stage) -> None:
    assert stage.it.services.broker.server is not None
    stage.it.services.broker.server.stop()


def _start_broker(stage: Stage) -> None:
    assert stage.it.services.broker.server is not None
    stage.it.services.broker.server.start()
    stage.it.services.broker.server.wait_ready()


def cuts(*, small: bool, wire: bool) -> list[Cut]:
    """Return what is done to the system."""
    long = [] if small else [("server killed 60 s", 60.0, _kill, Stage.start_web), ("server killed 600 s", 600.0, _kill, Stage.start_web)]
    network = [("network cut", 8.0 if small else 30.0, _wire("down"), _wire("up"))] if wire else []
    hung = ("database hangs", 30.0, _still_database(signal.SIGSTOP), _still_database(signal.SIGCONT))
    services = [] if small else [("database away", 30.0, _stop_database, _start_database), hung, ("broker away", 30.0, _stop_broker, _start_broker)]
    return [
        ("server killed 1 s", 1.0, _kill, Stage.start_web), *long, ("server hangs", 8.0 if small else 20.0, _signal(signal.SIGSTOP), _signal(signal.SIGCONT)),
        *network, *services,
    ]  # fmt: skip


@contextlib.contextmanager
def namespace() -> Iterator[tuple[str, str] | None]:
    """Make a network namespace joined to this machine by one wire; give (its name, the wire's end here), or None without root."""
    name, here, there = f"ioc-{os.getpid()}", f"ioc{os.getpid() % 100000}h", f"ioc{os.getpid() % 100000}t"
    steps = [
        ["ip", "netns", "add", name], ["ip", "link", "add", here, "type", "veth", "peer", "name", there], ["ip", "link", "set", there, "netns", name],
        ["ip", "addr", "add", "10.231.77.1/30", "dev", here], ["ip", "link", "set", here, "up"],
        ["ip", "netns", "exec", name, "ip", "addr", "add", "10.231.77.2/30", "dev", there], ["ip", "netns", "exec", name, "ip", "link", "set", there, "up"],
        ["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"],
    ]  # fmt: skip
    made = shutil.which("ip") is not None and all(subprocess.run(step, capture_output=True, check=False).returncode == 0 for step in steps)
    try:
        yield (name, here) if made else None
    finally:
        if shutil.which("ip"):
            subprocess.run(["ip", "link", "del", here], capture_output=True, check=False)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def browser_path(folder: Path, space: str | None) -> str:
    """Return the path of Chromium, or of a script that starts it inside the namespace."""
    path = found.chromium()
    assert path is not None, "no Chromium"
    if space is None:
        return path
    script = folder / "chromium-inside"
    script.write_text(f'#!/bin/sh\nexec ip netns exec {space} {path} "$@"\n', "utf-8")
    script.chmod(0o755)
    return str(script)


def suffer(page: Page, stage: Stage, cut: Cut) -> dict[str, Any]:
    """Cut, wait, bring back; return what the screen showed."""
    name, seconds, hurt, heal = cut
    until(lambda: not page.evaluate("document.getElementById('link-lost').hidden === false"), 120)
    page.evaluate("window.notes.length = 0")
    page.wait_for_timeout(2000)
    at = time.time()
    hurt(stage)
    page.wait_for_timeout(max(0.0, seconds - (time.time() - at)) * 1000)
    heal(stage)
    back = time.time()
    page.wait_for_timeout(SETTLE_S * 1000)
    until(lambda: bool(page.evaluate(f"document.getElementById('link-lost').hidden && document.getElementById('{TILE}').dataset.state === 'live'")), LATEST_S)
    page.wait_for_timeout(1500)
    result = judged(page.evaluate("window.notes"), at, back) | {"same page": page.evaluate("window.mark === 1 && location.pathname === '/wall/overview'")}
    tell(f"{name}: {result}")
    return result


def judged(notes: list[dict[str, Any]], at: float, back: float) -> dict[str, Any]:
    """Return delays and the seconds, of what the screen noted."""
    shown = [note["at"] / 1000 for note in notes if note["banner"]]
    gone = [note["at"] / 1000 for note in notes if shown and note["at"] / 1000 > max(shown)]
    bad = [note["at"] / 1000 for note in notes if note["at"] / 1000 > at and (note["banner"] or note["state"] != "live")]
    good = [note["at"] / 1000 for note in notes if bad and note["at"] / 1000 > max(bad)]
    clocks = [note["clock"] for note in notes]
    return {
        "banner_after_s": round(min(shown) - at, 1) if shown else None,
        "healed_after_s": round(max(0.0, min(gone) - back), 1) if gone else None,
        "live_after_s": round(max(0.0, min(good) - back), 1) if good else None,
        "away_s": round(back - at, 1),
        "clock_ran": all(clocks[i] != clocks[i + 6] for i in range(max(0, len(clocks) - 6))),
        "seconds": joined(notes, at),
    }


def joined(notes: list[dict[str, Any]], at: float) -> list[str]:
    """Return lines 'from-to s: what was shown', counted from the cut."""
    lines: list[list[Any]] = []
    for note in notes:
        second = int(note["at"] / 1000 - at // 1)
        what = f"{'banner, ' if note['banner'] else ''}{'dimmed, ' if note['dimmed'] else ''}{note['state']}"
        if lines and lines[-1][2] == what:
            lines[-1][1] = second
        else:
            lines.append([second, second, what])
    return [f"{a} to {b} s: {what}" for a, b, what in lines]


def measure(it: Rig, dsn: str, *, small: bool, only: str) -> dict[str, dict[str, Any]]:
    port, results = free_port(), {}
    with namespace() as space:
        host = "10.231.77.1" if space else "127.0.0.1"
        config = it.config(dsn, broker={"prefix": "soak"}, web={"port": port, "host": "0.0.0.0" if space else host})
        it.ioc(config, "ingest")
        stage = Stage(it, port, config, it.ioc(config, "web"), host, space[1] if space else None)
        until(lambda: answers(port), 180, stage.web)
        stop = threading.Event()
        producer = threading.Thread(target=steady(it.bootstrap, it.broker_kind, stop), daemon=True)
        producer.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=browser_path(it.folder, space[0] if space else None), args=CHROMIUM)
                page = browser.new_page(viewport={"width": 1920, "height": 1080}, bypass_csp=True)
                page.set_default_timeout(120_000)
                page.goto(f"http://{host}:{port}/wall/overview")
                page.wait_for_selector(f"#{TILE}[data-state=live]")
                page.evaluate(_NOTE)
                for cut in [cut for cut in cuts(small=small, wire=space is not None) if only in ("", cut[0])]:
                    results[cut[0]] = suffer(page, stage, cut)
                browser.close()
        finally:
            stop.set()
            producer.join(timeout=30)
    return results


def run(*, small: bool, only: str = "") -> dict[str, Any]:
    """Return the object that is printed. `only`: of this one thing."""
    with rig() as it, it.fresh_database() as dsn:
        found_out = measure(it, dsn, small=small, only=only)
        machine = it.machine()
        for process in reversed(it.processes):
            process.stop()
    ours: dict[str, float] = {}
    limit: dict[str, float] = {}
    for name, result in found_out.items():
        for key, most in (("banner_after_s", BANNER_S), ("healed_after_s", HEALED_S), ("live_after_s", LIVE_S)):
            if result[key] is not None:
                ours[f"{name}, {key}"], limit[f"{name}, {key}"] = result[key], most
    return {
        "benchmark": "outages",
        "title": "What a screen shows while something is away",
        "unit": "s",
        "better": "lower",
        "ours": ours,
        "peers": {},
        "limit": limit,
        "ratio_to_limit": {name: round(value / limit[name], 2) for name, value in ours.items()},
        "machine": machine,
        "details": found_out | ({} if "network cut" in found_out else {"network cut": "not done: needs root and ip (iproute2)"}),
    }


def main() -> None:
    args = options(__doc__ or "", only={"default": "", "choices": [name for name, *_ in cuts(small=False, wire=True)], "help": "only this"})
    show(run(small=args.small, only=args.only), as_json=args.json)


if __name__ == "__main__":
    main()
