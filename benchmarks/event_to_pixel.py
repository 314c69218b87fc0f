"""From an event in a producer's hand to the pixel: a MutationObserver in Chromium notes when the wall's tile contains it.

ours    seconds from `Publisher.send` to the frame in which the tile "reports in progress" shows a number that contains
        the event, p95, at 100 and at 1,000 events a second; every event is a new case, so the number counts them
limit   1 second, the promise; ratio_to_limit is ours / limit
peers   none: what stands between is ours; details hold the stages
Stages, of the same events: produce -> committed (ingest's NOTIFY), committed -> pushed (evaluated, rendered, received by a
second viewer on /live), pushed -> DOM (the next frame of the browser). The topic has one partition: order makes "the number
is at least k" the same as "event k is in it".
"""

from __future__ import annotations

import bisect
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
from playwright.sync_api import Page, sync_playwright
from websockets.sync.client import connect

from benchmarks._rig import (
    Process,
    Rig,
    answers,
    found,
    free_port,
    options,
    percentiles,
    rig,
    rss_mb,
    show,
    tell,
    until,
)
from ioc import areas
from ioc.bus import Publisher
from ioc.config import Broker
from ioc.events import Case, make

FEED, TILE = "incident-reports", "incidents_open"
RATES = (100, 1000)
LIMIT_S = 1.0
CHROMIUM = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]  # fmt: skip
# Notes (time in ms since 1970, number) in the frame after the tile changed.
_WATCH = """(kpi) => {
  const seen = window.__seen = [];
  let last = null;
  const look = () => {
    const tile = document.querySelector(`[data-kpi="${kpi}"]`);
    const value = tile ? tile.dataset.value : null;
    if (value === last || value === null || value === "") return;
    last = value;
    requestAnimationFrame(() => seen.push([performance.timeOrigin + performance.now(), Number(value)]));
  };
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
  look();
}"""
Series = list[tuple[float, int]]  # (Unix time, how many events are in the number), ascending


def first_at(series: Series, count: int) -> float | None:
    """Return when the number first contained `count` events."""
    at = bisect.bisect_left(series, count, key=lambda point: point[1])
    return series[at][0] if at < len(series) else None


class Watch:
    """Notes in threads of its own when events are committed, and when a viewer of /live receives the number."""

    def __init__(self, dsn: str, port: int, view: str) -> None:
        self.committed: Series = []
        self.pushed: Series = []
        self.bytes = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._commits, args=(dsn,), daemon=True), threading.Thread(target=self._pushes, args=(port, view), daemon=True)]
        for thread in self._threads:
            thread.start()

    def _commits(self, dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("LISTEN ioc_facts")
            while not self._stop.is_set():
                if list(conn.notifies(timeout=0.2, stop_after=1)):
                    at = time.time()
                    row = conn.execute("SELECT sum(events) FROM consumer_offset").fetchone()
                    self.committed.append((at, int(row[0] or 0) if row else 0))

    def _pushes(self, port: int, view: str) -> None:
        with connect(f"ws://127.0.0.1:{port}/live?view={view}", max_size=None, compression=None) as ws:
            while not self._stop.is_set():
                try:
                    text = ws.recv(timeout=0.2)
                except TimeoutError:
                    continue
                at = time.time()
                self.bytes += len(text)
                tile = json.loads(text).get("props", {}).get(f"tile-{TILE}")
                if tile and tile.get("data-value"):
                    self.pushed.append((at, int(tile["data-value"])))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)


def produce(publisher: Publisher, rate: int, seconds: float, start: int) -> list[float]:
    """Publish `rate` new cases a second; return the Unix time at which each was handed over."""
    codes = sorted(areas.load("19").communes)
    sent: list[float] = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        while len(sent) < passed * rate:
            i = start + len(sent)
            now = datetime.now(UTC)
            case = Case(status="open", native_status="new", category=f"c{i % 9}", title="Phản ánh", area=codes[i % len(codes)], opened_at=now, lat=21.6, lon=105.8)
            sent.append(time.time())
            publisher.send(FEED, make("/bench", f"SR-{i}", now, case))
        time.sleep(0.002)
    publisher.flush()
    return sent


@contextmanager
def system(it: Rig, dsn: str, port: int, *verbs: str) -> Iterator[dict[str, Process]]:
    """Run ingest and web (and other verbs) against these servers."""
    config = it.config(dsn, broker={"partitions": 1, "prefix": "pixel", "group": f"g{uuid.uuid4().hex[:8]}"}, web={"port": port})
    processes = {verb: it.ioc(config, verb) for verb in ("ingest", "web", *verbs)}
    until(lambda: answers(port), 60, processes["web"])
    yield processes
    for process in processes.values():
        process.stop()


def memory(it: Rig, processes: dict[str, Process]) -> dict[str, float]:
    """Return the memory of each process and its children, MB."""
    servers = {"broker": it.services.broker.server, "database": it.database.server}
    found_mb = {name: rss_mb(process.pid) for name, process in processes.items()}
    return found_mb | {name: rss_mb(server.process.pid) for name, server in servers.items() if server is not None}


def measure(it: Rig, rates: tuple[int, ...], seconds: float) -> tuple[dict[str, Any], dict[str, float]]:
    """Return (rate -> measurements, memory at the end)."""
    port, results = free_port(), {}
    with it.fresh_database() as dsn, system(it, dsn, port) as processes, sync_playwright() as pw:
        publisher = Publisher(Broker(bootstrap=it.bootstrap, kind=it.broker_kind, partitions=1, prefix="pixel"))
        publisher.ensure_topics([FEED])
        browser = pw.chromium.launch(executable_path=found.chromium(), args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.goto(f"http://127.0.0.1:{port}/wall/overview")
        page.wait_for_selector("[data-scene]")
        view = page.evaluate("document.querySelector('[data-view]').dataset.view")
        watch = Watch(dsn, port, view)
        before = len(produce(publisher, 20, 4, 0))  # warm: topics, plans, the map
        until(lambda: bool(watch.pushed) and watch.pushed[-1][1] >= before, 60, processes["web"])
        page.evaluate(_WATCH, TILE)
        for rate in rates:
            tell(f"{rate} events a second for {seconds:.0f} s")
            sent = produce(publisher, rate, seconds, before)
            whole = before + len(sent)
            until(partial(_shows, page, whole), 120, processes["web"])
            shown: Series = [(at / 1000, int(value)) for at, value in page.evaluate("window.__seen")]
            results[str(rate)] = stages(sent, before, watch, shown)
            tell(str(results[str(rate)]))
            before = whole
        mb = memory(it, processes)
        watch.stop()
        browser.close()
        publisher.close()
    return results, mb


def _shows(page: Page, count: int) -> bool:
    return int(page.evaluate("window.__seen.length ? window.__seen.at(-1)[1] : 0")) >= count


def stages(sent: list[float], before: int, watch: Watch, shown: Series) -> dict[str, Any]:
    """Return percentiles of the whole way and of its stages, seconds."""
    whole, to_commit, to_push, to_dom = [], [], [], []
    for i, at in enumerate(sent):
        count = before + i + 1
        seen, committed, pushed = first_at(shown, count), first_at(watch.committed, count), first_at(watch.pushed, count)
        assert seen is not None, "an event never reached the screen"
        whole.append(seen - at)
        if committed is not None and pushed is not None:
            to_commit.append(committed - at)
            to_push.append(pushed - committed)
            to_dom.append(seen - pushed)
    changes = [at for at, n in shown if before < n]
    return {
        "events": len(sent), "per_second": round(len(sent) / (sent[-1] - sent[0]), 1), "changes_of_the_tile": len(changes), "s": percentiles(whole),
        "produce_to_commit_s": percentiles(to_commit), "commit_to_push_s": percentiles(to_push), "push_to_dom_s": percentiles(to_dom),
    }  # fmt: skip


def run(*, small: bool, seconds: float) -> dict[str, Any]:
    """Return the object that is printed."""
    if found.chromium() is None:
        raise SystemExit("this benchmark needs Chromium (apt-get install chromium, or IOC_TEST_CHROMIUM)")
    with rig() as it:
        results, mb = measure(it, RATES[:1] if small else RATES, seconds)
        machine = it.machine() | {"browser": found.chromium_version()}
    ours = {f"{rate}/s": r["s"]["p95"] for rate, r in results.items()}
    return {
        "benchmark": "event_to_pixel",
        "title": "Event to pixel: from the producer's hand to the frame of the wall that contains it, p95",
        "unit": "s",
        "better": "lower",
        "ours": ours,
        "peers": {},
        "limit": dict.fromkeys(ours, LIMIT_S),
        "ratio_to_limit": {rate: round(p95 / LIMIT_S, 3) for rate, p95 in ours.items()},
        "machine": machine,
        "details": results | {"memory_mb": mb},
    }


def main() -> None:
    args = options(__doc__ or "", seconds={"type": float, "default": 0, "help": "of each rate (default 30, small 4)"})
    show(run(small=args.small, seconds=args.seconds or (4 if args.small else 30)), as_json=args.json)


if __name__ == "__main__":
    main()
