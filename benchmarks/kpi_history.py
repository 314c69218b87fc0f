"""The whole KPI catalogue evaluated with 1x, 10x and 100x history: the cost must not grow with what has been.

ours    milliseconds of one evaluation of every KPI in use, as the wall needs it (sparks of 14 periods included), median
limit   the same with 1x history: a cost that is independent of history has ratio 1; the target is at most 1.3
peers   one single count ("reports opened today", by day for 14 days) straight from raw events, as a dashboard without
        rollups would: by a scan bounded by time, and over all events
The three databases are asked in turn, round after round, in one run.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import _province
from benchmarks._rig import options, rig, show, tell
from ioc import areas
from ioc.clock import FrozenClock
from ioc.config import load
from ioc.kpi import catalogue
from ioc.kpi.engine import Engine
from ioc.store.reader import Question, Reader, statement_for

SCALES = {"1x": 1, "10x": 10, "100x": 100}
BASE_DAYS = 20  # of 1x: more than the 14 periods that a tile shows
_COUNT = "SELECT (time AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, count(DISTINCT subject) FROM event WHERE feed = 'incident-reports' AND kind = 2"
_BY_DAY = " GROUP BY 1"


def rows_read(conn: psycopg.Connection[Any], question: Question) -> tuple[int, int]:
    """Return (rows that scans yielded, pages touched) of the question's one statement."""
    statement = statement_for(question)
    query = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ") + statement.query
    row = conn.execute(query, statement.params).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]

    def rows(node: dict[str, Any]) -> int:
        own = node["Actual Rows"] * node["Actual Loops"] if "Relation Name" in node else 0
        return round(own) + sum(rows(child) for child in node.get("Plans", []))

    return rows(plan), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def timed(work: Any) -> float:
    """Return the milliseconds `work` takes."""
    before = time.perf_counter()
    work()
    return (time.perf_counter() - before) * 1000


def run(*, small: bool) -> dict[str, Any]:
    """Return the object that is printed."""
    cases, rounds = (20, 5) if small else (125, 40)
    scales = {"1x": 1, "3x": 3} if small else SCALES
    config = load()
    engine = Engine(catalogue.load(config.kpis.catalogue), config, areas.load(config.province.code), FrozenClock(_province.NOW))
    details: dict[str, Any] = {}
    times: dict[str, list[float]] = {scale: [] for scale in scales}
    bounded: dict[str, list[float]] = {scale: [] for scale in scales}
    scans: dict[str, list[float]] = {scale: [] for scale in scales}
    with rig(broker=False) as it, ExitStack() as stack:
        conns: dict[str, psycopg.Connection[Any]] = {}
        for scale, factor in scales.items():
            dsn = stack.enter_context(it.fresh_database())
            conn = conns[scale] = stack.enter_context(psycopg.connect(dsn, autocommit=True))
            _province.write_today(conn, cases)
            _province.repeat(conn, BASE_DAYS * factor)
            details[scale] = _size(conn, engine, BASE_DAYS * factor)
            tell(f"{scale}: {details[scale]}")
        since = _province.MIDNIGHT - timedelta(days=13)
        for i in range(rounds):
            for scale in list(scales) if i % 2 == 0 else reversed(scales):
                conn = conns[scale]

                def whole(conn: psycopg.Connection[Any] = conn) -> None:
                    with conn.transaction():
                        tiles = engine.evaluate(Reader(conn), at=_province.NOW)
                    assert tiles["incidents_opened_today"].value, "the history is empty"

                times[scale].append(timed(whole))
                if i < max(3, rounds // 8):
                    bounded[scale].append(timed(lambda c=conn: c.execute(_COUNT + " AND time >= %s" + _BY_DAY, [since]).fetchall()))
                    scans[scale].append(timed(lambda c=conn: c.execute(_COUNT + _BY_DAY).fetchall()))
        machine = it.machine()
        conns.clear()
    first = next(iter(scales))
    ours = {scale: round(statistics.median(t[1:]), 2) for scale, t in times.items()}
    pairs = {scale: [b / a for a, b in zip(times[first][1:], t[1:], strict=True)] for scale, t in times.items()}
    return {
        "benchmark": "kpi_history",
        "title": f"KPI evaluation: the whole catalogue ({len(engine.kpis)} KPIs, 14 periods each) with more and more history",
        "unit": "ms",
        "better": "lower",
        "ours": ours,
        "peers": {
            "one count from raw events, 14 days": {scale: round(statistics.median(t), 2) for scale, t in bounded.items()},
            "one count from all raw events": {scale: round(statistics.median(t), 2) for scale, t in scans.items()},
        },
        "limit": dict.fromkeys(scales, ours[first]),
        "ratio_to_limit": {scale: round(statistics.median(p), 3) for scale, p in pairs.items()},
        "machine": machine,
        "details": details | {"target": "ratio at most 1.3", "rounds": rounds, "ratio": "median over rounds of the time to the 1x time of the same round"},
    }


def _size(conn: psycopg.Connection[Any], engine: Engine, days: int) -> dict[str, Any]:
    found: dict[str, Any] = {"days": days}
    for table in ("event", "case_state", "rollup_case", "rollup_total", "rollup_observation"):
        row = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        found[table] = row[0] if row else 0
    rows = pages = 0
    for windows, group in engine._by_windows(engine.chosen(None), _province.NOW).items():
        more = rows_read(conn, engine.question(group, windows, _province.NOW, spark=True))
        rows, pages = rows + more[0], pages + more[1]
    return found | {"rows_read": rows, "pages_touched": pages}


def main() -> None:
    args = options(__doc__ or "")
    show(run(small=args.small), as_json=args.json)


if __name__ == "__main__":
    main()
