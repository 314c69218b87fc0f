"""Three years of history: what leaders ask, cold and warm, and the same asked of raw events in plain SQL.

ours    milliseconds of one evaluation: all KPIs of the overview, 40 of its tiles, the year to date against last year's; the
        first on a new connection (cold: nothing planned or remembered) and the median of many (warm)
limit   200 ms of server time for the page with 40 tiles
peers   the counts among them (cases opened and closed of each feed, the schools' sums) straight from raw events: of the last
        14 days, and of this year beside last year's. The edition is said: of the three only the community's has continuous aggregates
"""

from __future__ import annotations

import statistics
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from benchmarks import _province
from benchmarks._rig import options, rig, show, tell
from benchmarks.kpi_history import rows_read, timed
from ioc import areas
from ioc.clock import FrozenClock
from ioc.config import load
from ioc.kpi import catalogue
from ioc.kpi.engine import Engine
from ioc.store.migrate import server
from ioc.store.reader import Reader

YEARS, TILES, LIMIT_MS = 3, 40, 200.0
PAGE, YEAR = f"{TILES} tiles", f"{TILES} tiles, this year beside last"
_FEEDS = ("public-services", "e-documents", "incident-reports", "health")
# What rollups answer at once, from events: a case counts once, by when it was opened, or was closed last.
_CASES = """
SELECT feed, date_trunc(%(grain)s, at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, count(*) FILTER (WHERE what = 'opened'), count(*) FILTER (WHERE what = 'closed')
FROM (
    SELECT feed, subject, 'opened' AS what, min((data ->> 'opened_at')::timestamptz) AS at FROM event
    WHERE feed = ANY(%(feeds)s) AND kind = 2 AND time >= %(since)s AND data ? 'opened_at' GROUP BY 1, 2
    UNION ALL
    SELECT feed, subject, 'closed', max((data ->> 'closed_at')::timestamptz) FROM event
    WHERE feed = ANY(%(feeds)s) AND kind = 2 AND time >= %(since)s AND data ? 'closed_at' GROUP BY 1, 2
) c WHERE at >= %(since)s GROUP BY 1, 2
"""
_NUMBERS = """
SELECT metric, date_trunc(%(grain)s, time AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, sum(value) FROM (
    SELECT DISTINCT ON (subject, metric, time) metric, time, value, deleted FROM event
    WHERE feed = 'education' AND kind = 1 AND time >= %(since)s ORDER BY subject, metric, time, version DESC, key DESC
) o WHERE NOT deleted GROUP BY 1, 2
"""


def run(*, small: bool) -> dict[str, Any]:
    """Return the object that is printed."""
    cases, days, rounds = (10, 40, 3) if small else (125, 365 * YEARS, 15)
    config = load()
    engine = Engine(catalogue.load(config.kpis.catalogue), config, areas.load(config.province.code), FrozenClock(_province.NOW))
    overview = [kpi.kpi for kpi in engine.kpis.values() if kpi.overview]
    asked: dict[str, dict[str, Any]] = {
        f"overview ({len(overview)} KPIs)": {"kpis": overview},
        PAGE: {"kpis": overview[:TILES]},
        YEAR: {"kpis": overview[:TILES], "period": "ytd", "versus": "same_period_last_year"},
    }
    with rig(broker=False) as it, it.fresh_database() as dsn:
        with psycopg.connect(dsn, autocommit=True) as conn:
            _province.write_today(conn, cases)
            _province.repeat(conn, days)
            edition = server(conn).edition
            events = _one(conn, "SELECT count(*) FROM event")
            tell(f"{events} events of {days + 1} days")
        ours: dict[str, float] = {}
        for name, given in asked.items():
            with psycopg.connect(dsn, autocommit=True) as conn:
                times = [timed(lambda c=conn, g=given: _evaluate(c, engine, g)) for _ in range(rounds + 1)]
            ours |= {f"{name}, cold": round(times[0], 1), f"{name}, warm": round(statistics.median(times[1:]), 1)}
            tell(f"{name}: {ours[f'{name}, cold']} cold, {ours[f'{name}, warm']} warm")
        with psycopg.connect(dsn, autocommit=True) as conn:
            read = [rows_read(conn, engine.question(group, spans, _province.NOW, spark=True)) for spans, group in engine._by_windows(engine.chosen(overview), _province.NOW).items()]
            raw = {
                f"{PAGE}, warm": _raw(conn, "day", 13, min(rounds, 5)),
                f"{YEAR}, warm": _raw(conn, "year", 365 + _province.NOW.timetuple().tm_yday, min(rounds, 3)),
            }
        machine = it.machine()
    return {
        "benchmark": "history",
        "title": f"What leaders ask, over {days // 365} years" if not small else "What leaders ask, over 40 days",
        "unit": "ms",
        "better": "lower",
        "ours": ours,
        "peers": {"its counts alone, from raw events": raw},
        "limit": {f"{PAGE}, warm": LIMIT_MS},
        "ratio_to_limit": {f"{PAGE}, warm": round(ours[f"{PAGE}, warm"] / LIMIT_MS, 3)},
        "machine": machine,
        "details": {"events": events, "days": days + 1, "edition": edition, "continuous_aggregates": _AGGREGATES[edition == "community"], "rows_read": sum(r for r, _ in read), "pages_touched": sum(p for _, p in read), "rounds": rounds},
    }


_AGGREGATES = ("this edition has none", "not compared: they are not exact in the event's own transaction")


def _evaluate(conn: psycopg.Connection[Any], engine: Engine, given: dict[str, Any]) -> None:
    with conn.transaction():
        tiles = engine.evaluate(Reader(conn), given["kpis"], at=_province.NOW, period=given.get("period"), versus=given.get("versus"))
    assert any(tile.value for tile in tiles.values()), "the history is empty"


def _raw(conn: psycopg.Connection[Any], grain: str, days_back: int, rounds: int) -> float:
    """Return the median milliseconds of the counts asked of events."""
    given = {"grain": grain, "feeds": list(_FEEDS), "since": _province.MIDNIGHT - timedelta(days=days_back)}

    def ask() -> None:
        assert conn.execute(_CASES.encode(), given).fetchall()
        assert conn.execute(_NUMBERS.encode(), given).fetchall()

    return round(statistics.median([timed(ask) for _ in range(rounds + 1)][1:]), 1)


def _one(conn: psycopg.Connection[Any], query: str) -> int:
    with conn.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def main() -> None:
    args = options(__doc__ or "")
    show(run(small=args.small), as_json=args.json)


if __name__ == "__main__":
    main()
