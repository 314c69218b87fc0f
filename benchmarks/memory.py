"""Memory of every process: at rest, and after events in bulk and at 1,000 a second with a wall and viewers open.

ours    MB of each process at the end (with its children; pages that several share count in proportion)
limit   MB of the same process at rest, ten seconds after everything had started
The whole system runs: broker, database, simulate, connect, ingest, jobs, web. First events lying in Kafka are caught up
(as in benchmarks.ingest), then 1,000 events a second arrive (as in benchmarks.event_to_pixel) while 20 viewers watch.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import psycopg
import yaml

from benchmarks import _facts
from benchmarks._rig import REPOSITORY, Process, Rig, answers, free_port, options, rig, show, tell, until
from benchmarks.event_to_pixel import memory, produce
from ioc.bus import Publisher
from ioc.config import Broker

VIEW = "wall/overview:vi"
_SIMULATOR = "${IOC_SIMULATOR_URL:-http://127.0.0.1:8051}"


def start(it: Rig, dsn: str, port: int) -> dict[str, Process]:
    """Run every program of the system, the simulated province included."""
    simulator = free_port()
    text = (REPOSITORY / "config.yaml").read_text("utf-8").replace(_SIMULATOR, f"http://127.0.0.1:{simulator}")
    base: dict[str, Any] = yaml.safe_load(text)
    base["feeds"].append({"feed": "facts", "connector": "push", "title": {"vi": "Đo", "en": "Bench"}})
    config = it.config(dsn, base=base, broker={"prefix": "memory"}, web={"port": port}, simulator={"port": simulator})
    processes = {verb: it.ioc(config, verb) for verb in ("simulate", "ingest", "connect", "jobs", "web")}
    until(lambda: answers(port), 120, processes["web"])
    return processes


def catch_up(it: Rig, dsn: str, n: int) -> None:
    """Publish observations and wait until they are stored."""
    sent, _ = _facts.publish(it.bootstrap, "memory.facts", _facts.observations(n))
    with psycopg.connect(dsn, autocommit=True) as conn:

        def done() -> bool:
            row = conn.execute("SELECT coalesce(sum(events), 0) FROM consumer_offset WHERE feed = 'facts'").fetchone()
            return row is not None and int(row[0]) >= sent

        until(done, 1800)


def run(*, small: bool) -> dict[str, Any]:
    """Return the object that is printed."""
    bulk, seconds, viewers = (5_000, 3.0, 2) if small else (300_000, 60.0, 20)
    port = free_port()
    with rig() as it, it.fresh_database() as dsn:
        processes = start(it, dsn, port)
        time.sleep(2 if small else 10)
        rest = memory(it, processes)
        tell(f"at rest: {rest}")
        catch_up(it, dsn, bulk)
        after_bulk = memory(it, processes)
        tell(f"after {bulk} events in bulk: {after_bulk}")
        argv = [sys.executable, "-m", "benchmarks._viewers", "socket", f"ws://127.0.0.1:{port}/live?view={VIEW}", str(viewers), str(seconds)]
        watching = subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        publisher = Publisher(Broker(bootstrap=it.bootstrap, kind=it.broker_kind, prefix="memory"))
        sent = len(produce(publisher, 100 if small else 1000, seconds, 0))
        publisher.close()
        end = memory(it, processes)
        tell(f"at the end: {end}")
        watching.wait(seconds + 60)
        machine = it.machine()
        for process in reversed(it.processes):
            process.stop()
    return {
        "benchmark": "memory",
        "title": "Memory of each process after the work, against the same process at rest",
        "unit": "MB",
        "better": "lower",
        "ours": end,
        "peers": {"after the events in bulk": after_bulk},
        "limit": rest,
        "ratio_to_limit": {name: round(end[name] / rest[name], 2) if rest[name] else None for name in end},
        "machine": machine,
        "details": {"events_in_bulk": bulk, "events_at_pace": sent, "viewers": viewers, "sum_mb": round(sum(end.values()), 1)},
    }


def main() -> None:
    args = options(__doc__ or "")
    show(run(small=args.small), as_json=args.json)


if __name__ == "__main__":
    main()
