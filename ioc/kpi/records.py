"""The records behind a number as a table, however many: raw events of the feeds, kinds and metrics its formula counts.

Of the period asked for: events whose time lies in it; of what is true now: all that are kept; of figures of reports: those
of the periods its trend shows. They hold no personal data: such never gets past a connector.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ioc.clock import day_start
from ioc.kpi.engine import Engine
from ioc.kpi.export import SHEET_ROWS, Cell, Language, cell_time, too_many
from ioc.kpi.model import Kpi, Period
from ioc.kpi.periods import SPARK, Days
from ioc.store.reader import Reader

_HEAD: tuple[tuple[str, str], ...] = (
    ("Nguồn", "Feed"), ("Đối tượng", "Subject"), ("Số đo", "Metric"), ("Thời điểm", "Time"), ("Nhận lúc", "Received"), ("Khu vực", "Area"), ("Giá trị", "Value"), ("Dữ liệu", "Data"),
)  # fmt: skip


def rows(
    engine: Engine, reader: Reader, kpi: str, language: Language, *, area: str | None = None, at: datetime, days: Days | None = None, period: Period | None = None
) -> Iterator[list[Cell]]:
    """Yield the header and a row a record, read as they are taken. Raise `UserError` for a KPI or an area that is not there."""
    terms, span, areas = _asked(engine, kpi, area, at, days, period)
    yield [names[0 if language == "vi" else 1] for names in _HEAD]
    for feed, subject, metric, time, received, where, value, data in reader.records(terms, span, areas):
        yield [feed, subject, metric, cell_time(time, engine.zone), cell_time(received, engine.zone), where, None if value is None else float(value), data]


def check_fits(
    engine: Engine, reader: Reader, kpi: str, *, area: str | None = None, at: datetime, days: Days | None = None, period: Period | None = None
) -> None:
    """Raise `UserError` where the records are more than a spreadsheet holds."""
    terms, span, areas = _asked(engine, kpi, area, at, days, period)
    if reader.count_records(terms, span, areas, SHEET_ROWS + 1) > SHEET_ROWS:
        raise too_many()


def _asked(engine: Engine, kpi: str, area: str | None, at: datetime, days: Days | None, period: Period | None) -> tuple[Any, tuple[datetime, datetime], Any]:
    (chosen,) = engine.chosen([kpi])
    return chosen.formula.terms, _span(engine, chosen, at, days, period), engine.codes(area)


def _span(engine: Engine, kpi: Kpi, at: datetime, days: Days | None, period: Period | None) -> tuple[datetime, datetime]:
    if kpi.period == "now":
        return engine.kept_since(engine.clock()), at
    spans = engine.windows_of(kpi, at, days, period).spans[:SPARK]
    first, last = spans[0][0] if kpi.latest else spans[-1][0], spans[-1][1]
    return day_start(first, engine.zone), min(day_start(last + timedelta(days=1), engine.zone), at)
