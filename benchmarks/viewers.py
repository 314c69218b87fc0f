"""1, 50 and 200 screens on one server: what they cost it and how old is what they see.

ours    processor of the web process (percent of one core) with so many viewers of the wall on /live; cases arrive at 20/s
limit   a bare websocket that broadcasts messages of the same size twice a second and knows nothing
peers   the same tiles by a plain Dash page that asks once a second (dcc.Interval), values computed once a second for all
All in one run, one after the other for each number of viewers; viewers run in a process of their own. ratio_to_limit is
(ours - ours without viewers) / (limit - limit without viewers): what a viewer adds; the evaluation itself is in `ours`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks._rig import REPOSITORY, Process, Rig, answers, cpu_s, free_port, options, rig, rss_mb, show, tell, until
from benchmarks.event_to_pixel import FEED, produce
from ioc.bus import Publisher
from ioc.config import Broker

VIEWERS = (1, 50, 200)
VIEW = "wall/overview:vi"


def watch(kind: str, url: str, viewers: int, seconds: float, server: Process, body: str = "") -> dict[str, Any]:
    """Let viewers watch; return what they saw and what it cost the server."""
    argv = [sys.executable, "-m", "benchmarks._viewers", kind, url, str(viewers), str(seconds), body]
    child = subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    time.sleep(3.5)  # Python starts, viewers join
    before, began = cpu_s(server.pid), time.monotonic()
    time.sleep(max(0.5, seconds - 1.5))
    cpu = (cpu_s(server.pid) - before) / (time.monotonic() - began) * 100
    out, _ = child.communicate(timeout=seconds + 120)
    if child.returncode:
        raise RuntimeError(f"the viewers of {url} failed; {server.name} says:\n{server.log_tail()}")
    seen: dict[str, Any] = json.loads(out)
    return {"cpu_percent": round(cpu, 1), "server_mb": rss_mb(server.pid)} | seen


def idle(server: Process, seconds: float) -> float:
    """Return the processor a server needs without any viewer, percent of one core."""
    before, began = cpu_s(server.pid), time.monotonic()
    time.sleep(seconds)
    return round((cpu_s(server.pid) - before) / (time.monotonic() - began) * 100, 1)


def dash_body(tiles: list[str]) -> str:
    """Return what Dash's renderer posts for the callback of the polled page."""
    outputs = [{"id": "now", "property": "children"}, *({"id": name, "property": "children"} for name in tiles)]
    output = ".." + "...".join(f"{o['id']}.children" for o in outputs) + ".."
    inputs = [{"id": "tick", "property": "n_intervals", "value": "N"}]
    return json.dumps({"output": output, "outputs": outputs, "inputs": inputs, "changedPropIds": ["tick.n_intervals"], "parsedChangedPropsIds": ["tick.n_intervals"]})


def feed(bootstrap: str, kind: str, stop: threading.Event) -> Callable[[], None]:
    """Return a job that publishes 20 cases a second until told to stop."""

    def work() -> None:
        publisher = Publisher(Broker(bootstrap=bootstrap, kind=kind, prefix="viewers"))
        publisher.ensure_topics([FEED])
        sent = 0
        while not stop.is_set():
            sent += len(produce(publisher, 20, 2, sent))
        publisher.close()

    return work


def measure(it: Rig, dsn: str, counts: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """Return server -> viewers -> measurements; viewers "0" is the processor without any."""
    ports = {name: free_port() for name in ("ours", "interval", "bare")}
    config = it.config(dsn, broker={"prefix": "viewers"}, web={"port": ports["ours"]})
    env = it.environment(config)
    it.ioc(config, "ingest")
    ours = it.ioc(config, "web")
    peer = it.run("interval", [sys.executable, "-m", "benchmarks._peers", "interval", str(ports["interval"])], env)
    until(lambda: answers(ports["ours"]), 60, ours)
    until(lambda: answers(ports["interval"], "/_dash-layout"), 60, peer)
    body = dash_body(_tiles(ports["interval"]))
    stop = threading.Event()
    producer = threading.Thread(target=feed(it.bootstrap, it.broker_kind, stop))
    producer.start()
    found: dict[str, Any] = {"ours": {}, "interval": {}, "bare": {}}
    try:
        time.sleep(3)
        found["ours"]["0"], found["interval"]["0"] = {"cpu_percent": idle(ours, seconds / 2)}, {"cpu_percent": idle(peer, seconds / 2)}
        bare: Process | None = None
        for n in counts:
            found["ours"][str(n)] = watch("socket", f"ws://127.0.0.1:{ports['ours']}/live?view={VIEW}", n, seconds, ours)
            tell(f"{n} viewers, ours: {found['ours'][str(n)]}")
            found["interval"][str(n)] = watch("poll", f"http://127.0.0.1:{ports['interval']}/_dash-update-component", n, seconds, peer, body)
            tell(f"{n} viewers, dcc.Interval: {found['interval'][str(n)]}")
            if bare is None:
                size = str(found["ours"][str(n)]["bytes_per_message"])
                bare = it.run("bare", [sys.executable, "-m", "benchmarks._peers", "bare", str(ports["bare"]), size], env)
                until(lambda: answers(ports["bare"], "/openapi.json"), 60, bare)
                found["bare"]["0"] = {"cpu_percent": idle(bare, seconds / 4)}
            found["bare"][str(n)] = watch("socket", f"ws://127.0.0.1:{ports['bare']}/live", n, seconds, bare)
            tell(f"{n} viewers, bare: {found['bare'][str(n)]}")
    finally:
        stop.set()
        producer.join(timeout=30)
    return found


def _tiles(port: int) -> list[str]:
    import httpx

    layout = httpx.get(f"http://127.0.0.1:{port}/_dash-layout").json()
    return [child["props"]["id"] for child in layout["props"]["children"] if child["props"]["id"].startswith("tile-")]


def run(*, small: bool) -> dict[str, Any]:
    """Return the object that is printed."""
    counts, seconds = ((2,), 2.0) if small else (VIEWERS, 15.0)
    with rig() as it, it.fresh_database() as dsn:
        found = measure(it, dsn, counts, seconds)
        machine = it.machine()
        for process in reversed(it.processes):
            process.stop()
    cpu = {name: {n: m["cpu_percent"] for n, m in by_n.items()} for name, by_n in found.items()}
    names = [str(n) for n in counts]

    def ratio(n: str) -> float | None:
        least = cpu["bare"][n] - cpu["bare"]["0"]
        return round((cpu["ours"][n] - cpu["ours"]["0"]) / least, 2) if least > 0.5 else None

    return {
        "benchmark": "viewers",
        "title": "Screens on one server: processor of the web process",
        "unit": "% of a core",
        "better": "lower",
        "ours": {n: cpu["ours"][n] for n in names},
        "peers": {"dcc.Interval, once a second": {n: cpu["interval"][n] for n in names}},
        "limit": {n: cpu["bare"][n] for n in names},
        "ratio_to_limit": {n: ratio(n) for n in names},
        "machine": machine,
        "details": found | {"delay": "first sight of a state, from the instant the server dated it", "push_interval_s": 0.5},
    }


def main() -> None:
    args = options(__doc__ or "")
    show(run(small=args.small), as_json=args.json)


if __name__ == "__main__":
    main()
