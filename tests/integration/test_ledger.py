"""A published value that changes shows what it was, what it became, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from ioc.areas import load as load_areas
from ioc.clock import ICT, FrozenClock
from ioc.config import Config
from ioc.events import Case, Event, Observation, make
from ioc.kpi import catalogue
from ioc.kpi.engine import Engine
from ioc.kpi.explain import explain
from ioc.kpi.ledger import keep
from ioc.store.ledger import Restatement, restated_since, restatements
from ioc.store.reader import snapshot
from ioc.store.writer import Record, Writer

NOW = datetime(2026, 11, 20, 10, tzinfo=ICT)
TODAY = NOW.date()
YESTERDAY = TODAY - timedelta(days=1)
KPIS = """theme: test
title: {vi: Thử, en: Test}
kpis:
  - kpi: opened
    title: {vi: Đã mở, en: Opened}
    description: {vi: Đã mở., en: Opened.}
    kind: sum
    unit: "{dossier}"
    better: up
    period: day
    formula:
      value: {cases: cases, measure: opened}
    since: 2026-11-01
figures:
  feed: reports
  since: 2026-11-01
  rows:
    - {kpi: rank, metric: dti.rank, unit: "1", kind: rank, better: down, vi: Xếp hạng, en: Rank}
"""


class Province:
    def __init__(self, dsn: str, folder: Path) -> None:
        (folder / "test.yaml").write_text(KPIS, encoding="utf-8")
        words = {"vi": "a", "en": "a"}
        config = Config(feeds=[{"feed": feed, "connector": "push", "title": words, "retention_days": 4000} for feed in ("cases", "reports")])
        self.clock = FrozenClock(NOW)
        self.engine = Engine(catalogue.load(folder), config, load_areas("19"), self.clock)
        self.dsn = dsn
        self.conn = psycopg.connect(dsn, autocommit=True)
        self.writing = psycopg.connect(dsn)
        self.writer = Writer(self.writing)

    def put(self, feed: str, *events: Event) -> None:
        start = self.writer.assign(f"ioc.{feed}", 0, "1", feed)
        self.writer.write([Record(f"ioc.{feed}", 0, start + i, feed, self.clock.at, event=e) for i, e in enumerate(events)], {f"ioc.{feed}": "1"})

    def dossier(self, name: str, day: date) -> None:
        at = datetime(day.year, day.month, day.day, 9, tzinfo=ICT)
        self.put("cases", make("/t", name, at, Case(status="open", opened_at=at)))

    def rank(self, value: int, published: datetime, document: str) -> None:
        fact = Observation(metric="dti.rank", value=Decimal(value), period="P1Y", version=published, attributes={"period": "2021", "source": document})
        self.put("reports", make("/t", "dti.rank", datetime(2021, 1, 1, tzinfo=ICT), fact))

    def keep(self) -> str:
        return str(keep(self.conn, self.engine, self.clock.at))

    def ledger(self, kpi: str) -> list[Restatement]:
        return restatements(self.conn, kpi, self.clock.at)


@pytest.fixture
def province(database: str, tmp_path: Path) -> Iterator[Province]:
    province = Province(database, tmp_path)
    yield province
    province.conn.close()
    province.writing.close()


def test_a_late_fact_restates_a_day_that_was_published(province: Province) -> None:
    province.dossier("a", YESTERDAY)
    assert province.keep() == "1 values published, 0 restated"
    assert province.keep() == "0 values published, 0 restated"
    province.clock.at = NOW + timedelta(hours=3)
    province.dossier("b", YESTERDAY)
    province.dossier("c", TODAY)
    assert province.keep() == "0 values published, 1 restated"
    (line,) = province.ledger("opened")
    assert (line.first, line.last, line.was, line.became, line.reason, line.since) == (YESTERDAY, YESTERDAY, 1, 2, "late", NOW)
    assert line.why["vi"].startswith("1 bản ghi của kỳ này đến hoặc được sửa sau khi công bố")
    assert province.keep() == "0 values published, 0 restated"
    assert restated_since(province.conn, NOW, 10) == [line] and line.formula_version == 1
    province.clock.at = NOW + timedelta(hours=4)
    province.dossier("d", YESTERDAY)
    province.keep()
    assert [(line.became, line.formula_version) for line in province.ledger("opened")] == [(3, 1), (2, None)]  # of what is published no more it is not kept


def test_a_case_that_moved_away_restates_and_says_so(province: Province) -> None:
    province.dossier("a", YESTERDAY)
    province.dossier("b", YESTERDAY)
    province.keep()
    province.clock.at = NOW + timedelta(hours=1)
    earlier = datetime(YESTERDAY.year, YESTERDAY.month, YESTERDAY.day, 9, tzinfo=ICT) - timedelta(days=3)
    province.put("cases", make("/t", "b", NOW, Case(opened_at=earlier)))
    province.keep()
    assert ("moved", 2.0, 1.0) in [(line.reason, line.was, line.became) for line in province.ledger("opened")]


def test_a_report_that_gives_another_figure_is_named(province: Province) -> None:
    province.rank(12, datetime(2021, 12, 24, tzinfo=ICT), "Ban Tuyên giáo")
    province.keep()
    province.clock.at = NOW + timedelta(days=1)
    province.rank(8, datetime(2022, 8, 12, tzinfo=ICT), "Báo Thái Nguyên")
    province.keep()
    (line,) = province.ledger("rank")
    assert (line.first, line.last, line.was, line.became, line.reason) == (date(2021, 1, 1), date(2021, 12, 31), 12, 8, "report")
    assert line.why == {"vi": "“Báo Thái Nguyên”, công bố 12/08/2022", "en": "“Báo Thái Nguyên”, published 2022-08-12"}
    with snapshot(province.dsn) as reader:
        told = explain(province.engine, reader, "rank", at=province.clock.at)["restatements"]
    assert [(t["was"], t["became"], t["why"]["vi"]) for t in told] == [(12, 8, line.why["vi"])]


def test_a_new_formula_is_the_reason_where_it_is(province: Province) -> None:
    province.dossier("a", YESTERDAY)
    province.keep()
    kpi = province.engine.kpis["opened"]
    twice = replace(kpi.formula, numerator=kpi.formula.numerator * 2)
    province.engine.kpis["opened"] = replace(kpi, formula=twice, version=2)
    province.clock.at = NOW + timedelta(hours=1)
    province.keep()
    (line,) = province.ledger("opened")
    assert (line.was, line.became, line.reason, line.formula_version) == (1, 2, "formula", 2)
    assert "phiên bản 1 → 2" in line.why["vi"]


def test_two_processes_do_not_keep_the_ledger_at_once(province: Province) -> None:
    province.dossier("a", YESTERDAY)
    with psycopg.connect(province.dsn) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext('ioc ledger'))")
        assert province.keep() == "0 values published, 0 restated"
    assert province.keep() == "1 values published, 0 restated"
