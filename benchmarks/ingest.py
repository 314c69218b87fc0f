"""Facts lying in Kafka to committed rows, all rules on, against COPY of the very same rows into the same tables.

ours    real `ioc ingest` processes, one consumer group: from the first "partition assigned" until the last offset is committed
limit   psycopg COPY of the rows that made, already formatted, into the same tables with the same indexes, one transaction: the
        events, and for cases their states and rollups, too. `limit_events`: the events alone, which is less than what ours commits
peers   fetch only: kafka-python reads the topic and throws it away
        naive: kafka-python, json.loads, COPY by write_row, commit every 5,000: no identity, no dedupe, no rollup, no state
Every round runs ours and the limit one after the other, the order turned round each time; the ratio is the median of rounds.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from kafka import KafkaConsumer

from benchmarks import _facts
from benchmarks._rig import Process, Rig, backends, cpu_s, options, rig, rss_mb, show, tell, until

FULL, SMALL = (1_000_000, 100_000), (20_000, 3_000)
PROCESSES = 2  # of the consumer group: as many as the topic has partitions would be the most
BLOCK = 262_144  # bytes handed to COPY at once
NAMES = ("feed", "kind", "subject", "metric", "period", "time", "key", "content", "received_at", "version", "value", "area", "deleted", "id", "source", "data")


def config_of(it: Rig, dsn: str, prefix: str) -> Path:
    """Write the configuration of an ingest that reads the topics of `prefix`."""
    feed = {"feed": "facts", "connector": "push", "title": {"vi": "Đo", "en": "Bench"}}
    return it.config(dsn, base={}, broker={"prefix": prefix, "group": f"g{uuid.uuid4().hex[:8]}"}, feeds=[feed])


def assigned_at(process: Process) -> float:
    """Return when the first partition was assigned (Unix time), from the process's own log."""
    for line in process.command.log.read_text("utf-8").splitlines():
        if '"partition assigned"' in line:
            return datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
    raise RuntimeError("no partition was assigned:\n" + process.log_tail())


def run_ours(it: Rig, dsn: str, prefix: str, n: int, processes: int) -> dict[str, Any]:
    """Ingest the topic into an empty database, with a consumer group of so many; return rows a second and where the time went."""
    started = time.time()
    config = config_of(it, dsn, prefix)
    group = [it.ioc(config, "ingest") for _ in range(processes)]
    process = group[0]
    with psycopg.connect(dsn, autocommit=True) as conn:

        def done() -> bool:
            row = conn.execute("SELECT coalesce(sum(next_offset), 0) FROM consumer_offset").fetchone()
            return row is not None and int(row[0]) >= n

        until(done, 1800, process, 0.02)
        ended = time.time()
        workers = backends(dsn, "ioc-ingest")
        first = min(assigned_at(process) for process in group)
        stored = conn.execute("SELECT count(*), sum(pg_column_size(event.*)) FROM event").fetchone()
        assert stored is not None and stored[0] == n, f"{stored} rows of {n}"
        wall = ended - first
        found = {
            "rows_per_s": n / wall,
            "seconds": round(wall, 2),
            "seconds_with_start": round(ended - started, 2),
            "ingest_cpu_s": [round(cpu_s(process.pid), 2) for process in group],
            "database_cpu_s": [round(cpu_s(worker), 2) for worker in workers],
            "ingest_rss_mb": [rss_mb(process.pid) for process in group],
            "database_backend_rss_mb": [rss_mb(worker) for worker in workers],
        }
    for process in group:
        process.stop()
    return found


TABLES = ("event", "case_state", "rollup_observation", "rollup_case", "rollup_total", "rollup_duration")


@dataclass
class Dump:
    """The rows of a table as COPY wants them, in blocks, in the order in which they were written."""

    table: str
    columns: str
    blocks: list[bytes]
    rows: int


def dump(dsn: str) -> list[Dump]:
    """Return all that ours has committed, table by table."""
    with psycopg.connect(dsn) as conn:
        return [_dump(conn, table) for table in TABLES]


def _dump(conn: psycopg.Connection[Any], table: str) -> Dump:
    columns = ", ".join(NAMES) if table == "event" else ", ".join(column.name for column in conn.execute(f"SELECT * FROM {table} LIMIT 0".encode()).description or ())
    order = "received_at, tableoid, ctid" if table == "event" else "ctid"
    blocks, block, rows = [], bytearray(), 0
    with conn.cursor() as cur, cur.copy(f"COPY (SELECT {columns} FROM {table} ORDER BY {order}) TO STDOUT".encode()) as copy:
        for row in copy:
            block += row
            rows += 1
            if len(block) >= BLOCK:
                blocks.append(bytes(block))
                block.clear()
    return Dump(table, columns, [*blocks, bytes(block)], rows)


def run_limit(dsn: str, dumps: list[Dump], n: int) -> float:
    """COPY the rows into the empty tables; return events a second, commit included."""
    with psycopg.connect(dsn) as conn:
        before = time.perf_counter()
        for found in dumps:
            with conn.cursor() as cur, cur.copy(f"COPY {found.table} ({found.columns}) FROM STDIN".encode()) as copy:
                for block in found.blocks:
                    copy.write(block)
        conn.commit()
        return n / (time.perf_counter() - before)


def _read(it: Rig, prefix: str, n: int, use: Callable[[list[Any]], None]) -> float:
    """Read the whole topic in batches of 5,000; return records a second from the first batch on."""
    consumer = KafkaConsumer(bootstrap_servers=it.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, max_poll_records=5000,
                             max_partition_fetch_bytes=4_194_304, fetch_max_wait_ms=100)  # fmt: skip
    consumer.subscribe([f"{prefix}.facts"])
    seen, before = 0, time.perf_counter()
    while seen < n:
        for raws in consumer.poll(timeout_ms=1000, max_records=5000).values():
            seen += len(raws)
            use(raws)
    wall = time.perf_counter() - before
    consumer.close()
    return n / wall


def run_naive(it: Rig, dsn: str, prefix: str, n: int) -> float:
    """What a consumer of thirty lines does: no rule of ours."""
    with psycopg.connect(dsn) as conn:

        def store(raws: list[Any]) -> None:
            with conn.cursor() as cur, cur.copy("COPY plain FROM STDIN") as copy:
                for raw in raws:
                    e = json.loads(raw.value)
                    d = e["data"]
                    copy.write_row((e["id"], e["source"], e["type"], e["subject"], e["time"], d.get("metric"), d.get("value"), d.get("area"), json.dumps(d)))
            conn.commit()

        conn.execute("CREATE TABLE plain (id text, source text, type text, subject text, time timestamptz, metric text, value numeric, area text, data jsonb)")
        conn.execute("CREATE INDEX ON plain (subject, time)")
        conn.commit()
        return _read(it, prefix, n, store)


def measure(it: Rig, case: str, prefix: str, n: int, rounds: int, processes: int) -> dict[str, Any]:
    """Run the rounds of one case."""
    ours, limits, events_only, details = [], [], [], []
    dumps: list[Dump] = []

    def mine() -> None:
        nonlocal dumps
        with it.fresh_database() as dsn:
            details.append(run_ours(it, dsn, prefix, n, processes))
            dumps = dumps or dump(dsn)
        ours.append(details[-1]["rows_per_s"])
        tell(f"{case}: ours {ours[-1]:,.0f}/s {details[-1]}")

    def copy() -> None:
        with it.fresh_database() as dsn:
            limits.append(run_limit(dsn, dumps, n))
        with it.fresh_database() as dsn:
            events_only.append(run_limit(dsn, dumps[:1], n))
        tell(f"{case}: COPY {limits[-1]:,.0f}/s of {({d.table: d.rows for d in dumps if d.rows})}; of the events alone {events_only[-1]:,.0f}/s")

    for i in range(rounds):
        for step in (mine, copy) if i % 2 == 0 else (copy, mine):
            step()
    fetch = _read(it, prefix, n, lambda raws: None)
    with it.fresh_database() as dsn:
        naive = run_naive(it, dsn, prefix, n)
    tell(f"{case}: fetch only {fetch:,.0f}/s, naive {naive:,.0f}/s")
    ratios = [a / b for a, b in zip(ours, limits, strict=True)]
    return {
        "ours": round(statistics.median(ours)), "limit": round(statistics.median(limits)), "ratio": round(statistics.median(ratios), 3),
        "limit_events": round(statistics.median(events_only)), "ratio_events": round(statistics.median([a / b for a, b in zip(ours, events_only, strict=True)]), 3),
        "rows": {found.table: found.rows for found in dumps if found.rows},
        "fetch": round(fetch), "naive": round(naive), "rounds": details, "ratios": [round(r, 3) for r in ratios],
    }  # fmt: skip


def run(*, small: bool, rounds: int, only: str = "", processes: int = PROCESSES) -> dict[str, Any]:
    """Return the object that is printed."""
    n_observations, n_cases = SMALL if small else FULL
    found: dict[str, dict[str, Any]] = {}
    sizes = {}
    with rig() as it:
        for case, events in (("observations", _facts.observations(n_observations)), ("case_updates", _facts.case_updates(n_cases))):
            if only and case != only:
                continue
            prefix = f"bench-{case.replace('_', '-')}"
            tell(f"{case}: publishing")
            n, size = _facts.publish(it.bootstrap, f"{prefix}.facts", events)
            sizes[case] = {"rows": n, "bytes_per_event": round(size / n)}
            found[case] = measure(it, case, prefix, n, rounds, processes)
        machine = it.machine()
    return {
        "benchmark": "ingest",
        "title": "Ingest: events in Kafka to committed rows, all rules on, against COPY of the same rows into the same tables",
        "unit": "rows/s",
        "better": "higher",
        "ours": {case: f["ours"] for case, f in found.items()},
        "peers": {"kafka-python fetch only": {case: f["fetch"] for case, f in found.items()}, "naive consumer, no rules": {case: f["naive"] for case, f in found.items()}},
        "limit": {case: f["limit"] for case, f in found.items()},
        "ratio_to_limit": {case: f["ratio"] for case, f in found.items()},
        "machine": machine,
        "details": {case: sizes[case] | {name: f[name] for name in ("rows", "ratios", "limit_events", "ratio_events", "rounds")} for case, f in found.items()}
        | {"processes": processes, "limit": "COPY of every row ours has committed (event: hypertable, both indexes); limit_events: of the events alone"},
    }


def main() -> None:
    args = options(__doc__ or "", rounds={"type": int, "default": 0, "help": "rounds of ours and limit (default 3, small 1)"}, only={"default": "", "help": "observations or case_updates"},
                   processes={"type": int, "default": PROCESSES, "help": "ingest processes, one consumer group"})  # fmt: skip
    show(run(small=args.small, rounds=args.rounds or (1 if args.small else 3), only=args.only, processes=args.processes), as_json=args.json)


if __name__ == "__main__":
    main()
