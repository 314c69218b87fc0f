"""Keeps the ledger of published values: a period that is over is published once; when its value changes, it is restated.

Kept by a job. Of KPIs over assets nothing is kept: their past is not known, only the present; nor, for the time being, of
one that does without a feed which is away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from msgspec import Struct

from ioc.clock import day_start, local_day
from ioc.kpi.engine import Engine
from ioc.kpi.model import Kpi
from ioc.kpi.periods import begin, reach
from ioc.kpi.symbols import in_symbols
from ioc.store import ledger
from ioc.store.ledger import Published, Restatement
from ioc.store.reader import AssetTerm, ObservationTerm, Reader, kind_of

_SAME = 1e-9  # relative; both sides come from exact decimals


class Kept(Struct, frozen=True):
    """What one run did."""

    published: int
    restated: int

    def __str__(self) -> str:
        return f"{self.published} values published, {self.restated} restated"


def keep(conn: psycopg.Connection[Any], engine: Engine, now: datetime) -> Kept:
    """Publish the values of periods that are over and restate those that changed; nothing where another process is at it."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if not ledger.lock(conn):
            return Kept(0, 0)
        known = ledger.published(conn)
        new, restated = [], 0
        for value, kpi in _values(engine, Reader(conn), now):
            was = known.get(value.key)
            if was is None and value.value is None:
                continue
            if was is not None:
                if _same(was.value, value.value) and was.formula == value.formula:
                    continue
                if not _same(was.value, value.value):
                    ledger.restate(conn, kpi.kpi, _restatement(conn, engine, kpi, was, value, now))
                    restated += 1
            new.append(value)
        ledger.publish(conn, new, now)
        return Kept(len(new) - restated, restated)


def _values(engine: Engine, reader: Reader, now: datetime) -> Iterator[tuple[Published, Kpi]]:
    """Yield the values of all periods that are over; a figure of a report is published whenever its report is."""
    today = local_day(now, engine.zone)
    feeds = reader.feeds()
    kpis = [
        kpi
        for kpi in engine.kpis.values()
        if not any(isinstance(term, AssetTerm) for term in kpi.formula.terms) and not engine.left_out(kpi, feeds, now)
    ]
    for name, course in engine.history(reader, [kpi.kpi for kpi in kpis], at=now).items():
        kpi = engine.kpis[name]
        for first, value in zip(course.starts, course.values, strict=True):
            last = _last(kpi, first)
            if kpi.latest or last < today:
                yield Published(name, first, last, value, in_symbols(kpi.formula), kpi.version, now), kpi


def _last(kpi: Kpi, first: date) -> date:
    return begin(kpi.period, first + timedelta(days=reach(kpi.period))) - timedelta(days=1)


def _same(was: float | None, value: float | None) -> bool:
    if was is None or value is None:
        return was is value
    return math.isclose(was, value, rel_tol=_SAME, abs_tol=1e-12)


def _restatement(conn: psycopg.Connection[Any], engine: Engine, kpi: Kpi, was: Published, value: Published, now: datetime) -> Restatement:
    reason, why = _why(conn, engine, kpi, was, value)
    return Restatement(value.first, value.last, now, was.value, value.value, was.published_at, reason, why)


def _why(conn: psycopg.Connection[Any], engine: Engine, kpi: Kpi, was: Published, value: Published) -> tuple[str, dict[str, str]]:
    if was.formula != value.formula or was.formula_version != value.formula_version:
        versions = f"{was.formula_version} → {value.formula_version}"
        return "formula", {
            "vi": f"công thức đổi, phiên bản {versions}: {was.formula} thành {value.formula}",
            "en": f"the formula changed, version {versions}: {was.formula} became {value.formula}",
        }
    terms = kpi.formula.terms
    span = day_start(value.first, engine.zone), day_start(value.last + timedelta(days=1), engine.zone)
    metrics = [term.metric for term in terms if isinstance(term, ObservationTerm)]
    arrived = ledger.arrived_since(conn, kpi.feeds, {kind_of(term) for term in terms}, metrics, was.published_at, span)
    if not arrived.n:
        return "unknown", {"vi": "không có dữ liệu mới nào; hãy chạy ioc audit", "en": "nothing new arrived; run ioc audit"}
    if not arrived.own:
        return "moved", {"vi": "vụ việc đã sửa, không còn thuộc kỳ này", "en": "cases were corrected and are no longer of this period"}
    if arrived.document is not None and arrived.version is not None:
        day = local_day(arrived.version, engine.zone)
        return "report", {"vi": f"“{arrived.document}”, công bố {day:%d/%m/%Y}", "en": f"“{arrived.document}”, published {day:%Y-%m-%d}"}
    return "late", {
        "vi": f"{arrived.own} bản ghi của kỳ này đến hoặc được sửa sau khi công bố; đầu tiên là {arrived.first_id}",
        "en": f"{arrived.own} fact{'' if arrived.own == 1 else 's'} of this period came late or corrected after it was published; the first is {arrived.first_id}",
    }
