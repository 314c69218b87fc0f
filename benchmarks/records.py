"""A million records leave as CSV: seconds, seconds until the first byte, and how much memory the web process needs for it.

ours    seconds from the request to the last byte, to the first; megabytes the process grew by meanwhile
limit   100 MB more memory: a table of that size held whole would need some hundreds
The records are read by a cursor and sent piece by piece (ioc/kpi/records.py); server and client share the machine.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks._rig import answers, options, rig, show, tell, until
from ioc.clock import system_clock
from ioc.embedded.process import free_port

KPI, FEED, LIMIT_MB = "incidents_open", "incident-reports", 100.0  # of what is true now all records that are kept
_FILL = """
INSERT INTO event (feed, kind, subject, time, key, content, received_at, version, area, id, source, data)
SELECT %(feed)s, 2, 'SR-' || i, %(start)s::timestamptz + i * interval '1 second', md5(i::text)::uuid, md5(i::text)::uuid,
       %(start)s::timestamptz + i * interval '1 second', %(start)s, '05443', i::text, '/benchmark', '{"status": "open", "category": "cay-xanh"}'
FROM generate_series(1, %(n)s) AS i
"""


def run(*, small: bool) -> dict[str, Any]:
    """Return the object that is printed."""
    n = 20_000 if small else 1_000_000
    with rig(broker=False) as it, it.fresh_database() as dsn:
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(_FILL, {"feed": FEED, "n": n, "start": system_clock() - timedelta(days=20)})
        tell(f"{n} records stored")
        port, path = free_port(), f"/api/kpis/{KPI}/records.csv"
        web = it.ioc(it.config(dsn, web={"port": port}), "web")
        until(lambda: answers(port, f"{path}?area=01840", within_s=30), 60, web)  # a commune without records
        assert web.pid is not None
        process = psutil.Process(web.pid)
        before = top = process.memory_info().rss
        lines = size = 0
        started, first = time.monotonic(), 0.0
        with httpx.stream("GET", f"http://127.0.0.1:{port}{path}", timeout=600) as answer:
            for i, piece in enumerate(answer.iter_raw()):
                first = first or time.monotonic() - started
                lines, size = lines + piece.count(b"\r\n"), size + len(piece)
                top = max(top, process.memory_info().rss) if i % 20 == 0 else top
        seconds = time.monotonic() - started
        assert lines == n + 1, f"{lines - 1} of {n} records came"
        machine = it.machine()
    grew = round((top - before) / 1e6, 1)
    return {
        "benchmark": "records",
        "title": f"{n:,} records as CSV",
        "unit": "s, MB",
        "better": "lower",
        "ours": {"seconds": round(seconds, 1), "seconds to the first byte": round(first, 2), "MB more": grew},
        "peers": {},
        "limit": {"MB more": LIMIT_MB},
        "ratio_to_limit": {"MB more": round(grew / LIMIT_MB, 3)},
        "machine": machine,
        "details": {"records": n, "bytes": size, "records_per_s": round(n / seconds)},
    }


def main() -> None:
    args = options(__doc__ or "")
    show(run(small=args.small), as_json=args.json)


if __name__ == "__main__":
    main()
