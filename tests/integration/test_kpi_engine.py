"""The shipped KPIs over a real database: time, areas, explanation, earlier instants, and what a number may cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import pytest
from psycopg import sql

from ioc.areas import load as load_areas
from ioc.clock import ICT, FrozenClock, day_start
from ioc.config import Config, Group, Province, Words
from ioc.config import load as load_config
from ioc.errors import UserError
from ioc.events import Asset, Case, Event, Observation, make
from ioc.kpi import catalogue
from ioc.kpi.engine import SPARK, Engine
from ioc.kpi.explain import explain
from ioc.kpi.tile import Tile
from ioc.store.reader import ObservationTerm, Reader, snapshot, statement_for
from ioc.store.sql import queries
from ioc.store.writer import Record, Writer

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 20, 10, tzinfo=ICT)  # a Friday
HERE, THERE = "05443", "05455"
FEED = "public-services"


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def engine(clock: FrozenClock) -> Engine:
    return Engine(catalogue.load(REPOSITORY / "dashboards" / "catalogue"), load_config(REPOSITORY / "config.yaml"), load_areas("19"), clock)


class Town:
    """Writes facts as ingest does."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.conn = psycopg.connect(dsn)
        self.writer = Writer(self.conn)

    def put(self, feed: str, *events: Event, received: datetime = NOW) -> None:
        topic = f"ioc.{feed}"
        start = self.writer.assign(topic, 0, "1", feed)
        self.writer.write([Record(topic, 0, start + i, feed, received, event=e) for i, e in enumerate(events)], {topic: "1"})

    def dossier(self, name: str, at: datetime, *, received: datetime | None = None, **fields: Any) -> None:
        self.put(FEED, make("/t", name, at, Case(**fields)), received=received or at)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    town = Town(database)
    yield town
    town.conn.close()


def test_a_course_is_the_tiles_spark_and_what_came_before_it(engine: Engine, town: Town) -> None:
    for i, day in enumerate((60, 40, 20, 5, 1, 0)):
        for j in range(i + 1):
            town.dossier(f"d{day}-{j}", NOW - timedelta(days=day), status="open", area=HERE, opened_at=NOW - timedelta(days=day))
    asked = ["dossiers_received_today", "dossiers_open"]
    with snapshot(town.dsn) as reader:
        tiles, courses = engine.evaluate(reader, asked, at=NOW), engine.history(reader, asked, at=NOW)
        there = engine.history(reader, asked, area=THERE, at=NOW)
    received = courses["dossiers_received_today"]
    assert received.starts[0] == date(2026, 8, 15) and received.starts[-1] == date(2026, 11, 20) and len(received.values) == 98
    known = dict(zip(received.starts, received.values, strict=True))
    assert [known[date(2026, 11, 20) - timedelta(days=day)] for day in (60, 40, 20, 5, 1, 0)] == [1, 2, 3, 4, 5, 6]
    assert known[date(2026, 9, 20)] is None and known[date(2026, 9, 22)] == 0  # before the first fact there is nothing, not zero
    assert courses["dossiers_open"].values[-22:-20] == [3, 6]
    for name in asked:
        both = [(a, b) for a, b in zip(tiles[name].spark, courses[name].values[-SPARK:], strict=True) if a is not None]
        assert len(both) >= 5 and all(a == b for a, b in both)  # a spark begins with what it can see
        assert set(there[name].values[:-1]) <= {None, 0}


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


def test_without_any_fact_there_is_no_number(engine: Engine, town: Town) -> None:
    with snapshot(town.dsn) as reader:
        tiles = engine.evaluate(reader, at=NOW)
        assert set(engine.by_area(reader, "dossiers_open", NOW).values()) == {None}
    assert len(tiles) == len(engine.kpis)
    for tile in tiles.values():
        assert (tile.value, tile.as_of, tile.status, tile.delta) == (None, None, "unknown", None)
        assert tile.spark == [None] * SPARK
        assert (tile.quality.state, tile.quality.missing_sources) == ("never", tile.source)


def test_a_dossier_becomes_overdue_without_any_event(engine: Engine, town: Town, clock: FrozenClock) -> None:
    due = NOW + timedelta(minutes=7)
    town.dossier("d", NOW - hours(30), opened_at=NOW - hours(30), due_at=due, area=HERE)
    with snapshot(town.dsn) as reader:
        assert engine.evaluate(reader, ["dossiers_overdue"], at=clock())["dossiers_overdue"].value == 0
        assert engine.next_change(reader, clock()) == due
        clock.at = due - timedelta(microseconds=1)
        assert engine.evaluate(reader, ["dossiers_overdue"], at=clock())["dossiers_overdue"].value == 0
        clock.at = due
        assert engine.evaluate(reader, ["dossiers_overdue"], at=clock())["dossiers_overdue"].value == 1
        assert engine.by_area(reader, "dossiers_overdue", clock())[HERE] == 1
        assert engine.next_change(reader, clock()) == day_start(date(2026, 11, 21))
        clock.at = day_start(date(2026, 11, 21))
        assert engine.evaluate(reader, ["dossiers_overdue"], at=clock())["dossiers_overdue"].value == 1


def test_a_day_begins_at_local_midnight(engine: Engine, town: Town, clock: FrozenClock) -> None:
    clock.at = day_start(NOW.date()) + timedelta(minutes=1)
    town.dossier("late", day_start(NOW.date()) - timedelta(microseconds=1), status="open")
    town.dossier("early", day_start(NOW.date()), status="open")
    with snapshot(town.dsn) as reader:
        tile = engine.evaluate(reader, ["dossiers_received_today"], at=clock())["dossiers_received_today"]
    assert tile.spark[-2:] == [1, 1]
    assert (tile.period.start, tile.period.end, tile.period.complete) == (day_start(date(2026, 11, 20)), day_start(date(2026, 11, 21)), False)


def test_a_tile_carries_its_parts_delta_target_and_sources(engine: Engine, town: Town) -> None:
    for i in range(12):
        opened, closed = NOW - hours(9), NOW - hours(i % 4)
        town.dossier(f"d{i}", opened, opened_at=opened, due_at=NOW - hours(1), area=HERE)
        town.dossier(f"d{i}", closed, status="closed", outcome="resolved", closed_at=closed, rating=3 + i % 2)
    with snapshot(town.dsn) as reader:
        tiles = engine.evaluate(reader, ["dossiers_on_time_rate", "dossiers_satisfaction", "dossiers_median_hours"], at=NOW)
    rate = tiles["dossiers_on_time_rate"]
    assert (rate.value, rate.numerator, rate.denominator, rate.status) == (75.0, 9, 12, "alarm")
    assert rate.target is not None
    assert rate.target.value == 98
    assert rate.delta is not None
    assert (rate.delta.value, rate.delta.versus) == (-23.0, "target")
    assert (rate.as_of, rate.source, rate.quality.state, rate.area) == (NOW, [FEED], "live", "19")
    assert tiles["dossiers_satisfaction"].value == 3.5
    assert tiles["dossiers_median_hours"].value == 7.5


def test_a_rate_of_few_is_shown_and_not_judged(engine: Engine, town: Town) -> None:
    def rate() -> Tile:
        with snapshot(town.dsn) as reader:
            return engine.evaluate(reader, ["dossiers_on_time_rate"], at=NOW)["dossiers_on_time_rate"]

    def late(n: int) -> None:
        town.dossier(f"d{n}", NOW - hours(9), opened_at=NOW - hours(9), due_at=NOW - hours(2), area=HERE)
        town.dossier(f"d{n}", NOW - hours(1), status="closed", outcome="resolved", closed_at=NOW - hours(1))

    for n in range(9):
        late(n)
    few = rate()
    assert (few.value, few.denominator, few.status, few.judged_from) == (0.0, 9, "unknown", 10)
    late(9)
    enough = rate()
    assert (enough.value, enough.denominator, enough.status, enough.judged_from) == (0.0, 10, "alarm", None)


def test_communes_add_up_to_the_province_but_for_facts_without_a_place(engine: Engine, town: Town) -> None:
    for i, area in enumerate((HERE, HERE, THERE, None)):
        town.dossier(f"d{i}", NOW - hours(i), area=area, channel="online" if i else "paper")
    with snapshot(town.dsn) as reader:
        values = engine.by_area(reader, "dossiers_received_today", NOW)
        assert (values[HERE], values[THERE], sum(v or 0 for v in values.values())) == (2, 1, 3)
        assert len(values) == 92
        shares = engine.by_area(reader, "dossiers_online_share", NOW)
        assert (shares[HERE], shares[THERE]) == (50.0, 100.0)
        assert [code for code, share in shares.items() if share is not None] == sorted((HERE, THERE))
        tile = engine.evaluate(reader, ["dossiers_online_share"], area=HERE, at=NOW)["dossiers_online_share"]
        assert (tile.value, tile.area) == (50.0, HERE)
        assert engine.evaluate(reader, ["dossiers_received_today"], area="19", at=NOW)["dossiers_received_today"].value == 4


def test_a_group_of_communes_is_the_sum_of_them(town: Town) -> None:
    shipped = load_config(REPOSITORY / "config.yaml")
    config = shipped.model_copy(update={"province": Province(groups=[Group(group="both", title=Words(vi="Cả hai", en="Both"), communes=[HERE, THERE])])})
    engine = Engine(catalogue.load(REPOSITORY / "dashboards" / "catalogue"), config, load_areas("19"), FrozenClock(NOW))
    for i, area in enumerate((HERE, HERE, THERE, "05482", None)):
        town.dossier(f"d{i}", NOW - hours(i), area=area, channel="online" if i else "paper", due_at=NOW - timedelta(minutes=1))
    with snapshot(town.dsn) as reader:
        asked = ["dossiers_received_today", "dossiers_overdue", "dossiers_online_share"]
        both = engine.evaluate(reader, asked, area="both", at=NOW)
        single = [engine.evaluate(reader, asked, area=code, at=NOW) for code in (HERE, THERE)]
    assert both["dossiers_received_today"].area == "both"
    for kpi in asked[:2]:
        assert both[kpi].value == sum(tiles[kpi].value or 0 for tiles in single) == 3
    share = both["dossiers_online_share"]
    assert (share.numerator, share.denominator) == (2, 3)


LATEST = """
theme: economy
title: {vi: a, en: a}
kpis:
  - kpi: growth
    title: {vi: a, en: a}
    description: {vi: a, en: a}
    kind: last
    unit: "1"
    decimals: 1
    better: up
    period: quarter
    latest: true
    formula: {value: {observations: education, metric: growth, period: P3M, aggregate: last}}
    since: 2026-01-01
"""


TOTAL = """
theme: dossiers
title: {vi: a, en: a}
kpis:
  - kpi: handled
    title: {vi: a, en: a}
    description: {vi: a, en: a}
    kind: sum
    unit: "1"
    better: up
    period: day
    formula: {value: [{cases: public-services, measure: opened}, {cases: incident-reports, measure: opened}]}
    since: 2026-01-01
"""


def test_w06_a_stale_source_leaves_the_total_which_says_that_it_is_missing(town: Town, tmp_path: Path, clock: FrozenClock) -> None:
    (tmp_path / "dossiers.yaml").write_text(TOTAL, encoding="utf-8")
    engine = Engine(catalogue.load(tmp_path), load_config(REPOSITORY / "config.yaml"), load_areas("19"), clock)
    for i in range(3):
        town.dossier(f"d{i}", NOW - hours(2), area=HERE)
    town.put("incident-reports", make("/t", "r", NOW - hours(3), Case(area=HERE)))
    cadence = timedelta(seconds=engine.cadence_s["incident-reports"])

    def total() -> tuple[float | None, list[str]]:
        with snapshot(town.dsn) as reader:
            tile = engine.evaluate(reader, ["handled"], at=clock())["handled"]
            assert engine.by_area(reader, "handled", clock())[HERE] == tile.value
        assert tile.spark[-1] == tile.value
        return tile.value, tile.quality.missing_sources

    town.put(FEED, make("/t", "d0", NOW, Case(status="open")), received=NOW + hours(1))  # this source goes on
    clock.at = NOW + 3 * cadence + timedelta(seconds=5)
    assert total() == (4.0, [])
    clock.tick(seconds=1)
    assert total() == (3.0, ["incident-reports"])
    clock.tick(hours=8)
    assert total() == (4.0, ["incident-reports", FEED])  # all are missing: the old number stands, greyed


def test_a_figure_published_late_is_that_of_the_newest_period_that_has_one(town: Town, tmp_path: Path) -> None:
    (tmp_path / "economy.yaml").write_text(LATEST, encoding="utf-8")
    engine = Engine(catalogue.load(tmp_path), load_config(REPOSITORY / "config.yaml"), load_areas("19"), FrozenClock(NOW))
    for start, value, area in ((datetime(2026, 4, 1, tzinfo=ICT), "6.1", None), (datetime(2026, 7, 1, tzinfo=ICT), "7.4", None), (datetime(2026, 4, 1, tzinfo=ICT), "9", HERE)):
        fact = Observation(metric="growth", value=Decimal(value), period="P3M", area=area, version=NOW - hours(1))
        town.put("education", make("/t", f"p{area}", start, fact))
    with snapshot(town.dsn) as reader:
        tile = engine.evaluate(reader, ["growth"], at=NOW)["growth"]
        here = engine.evaluate(reader, ["growth"], area=HERE, at=NOW)["growth"]
        by_area = engine.by_area(reader, "growth", NOW)
        then = engine.evaluate(reader, ["growth"], at=datetime(2026, 11, 20, 10, tzinfo=ICT), days=(date(2026, 4, 1), date(2026, 6, 30)))["growth"]
    assert (tile.value, tile.period.start, tile.period.end) == (7.4, datetime(2026, 7, 1, tzinfo=ICT), datetime(2026, 10, 1, tzinfo=ICT))
    assert tile.period.complete and tile.spark[-2:] == [15.1, 7.4] and tile.spark[:-2] == [None] * 12
    assert tile.delta is not None and tile.delta.versus == "previous_period"
    assert (here.value, here.period.start) == (9.0, datetime(2026, 4, 1, tzinfo=ICT))
    assert by_area[HERE] is None  # of the same period as the province's
    assert then.value == 15.1


def test_a_group_names_communes_of_today() -> None:
    config = Config(province=Province(groups=[Group(group="gone", title=Words(vi="", en=""), communes=["01834"])]))
    with pytest.raises(UserError, match=r"province\.groups: gone: 01834 is a former unit"):
        Engine(catalogue.Catalogue(()), config, load_areas("19"))


def test_it_refuses_an_area_that_is_none_of_today(engine: Engine, town: Town) -> None:
    with snapshot(town.dsn) as reader, pytest.raises(UserError, match="is not a commune code of province 19"):
        engine.evaluate(reader, at=NOW, area="99999")


def test_an_evaluation_of_some_equals_the_evaluation_of_all(engine: Engine, town: Town) -> None:
    for i in range(6):
        town.dossier(f"d{i}", NOW - hours(20 * i), due_at=NOW - hours(3 * i), area=HERE, channel="online")
    with snapshot(town.dsn) as reader:
        together = engine.evaluate(reader, at=NOW)
        for name in ("dossiers_overdue", "dossiers_open", "dossiers_online_share", "dossiers_received_today"):
            assert engine.evaluate(reader, [name], at=NOW) == {name: together[name]}


def test_any_span_of_days_is_evaluated(engine: Engine, town: Town) -> None:
    for i in range(10):
        town.dossier(f"d{i}", NOW - timedelta(days=i), area=HERE)
    span = (date(2026, 11, 14), date(2026, 11, 20))
    with snapshot(town.dsn) as reader:
        tile = engine.evaluate(reader, ["dossiers_received_today"], at=NOW, days=span)["dossiers_received_today"]
        assert engine.by_area(reader, "dossiers_received_today", NOW, days=span)[HERE] == 7
    assert (tile.value, tile.spark[-2]) == (7, 3)
    assert tile.period.start == day_start(span[0])


def test_what_was_known_then_is_shown_as_it_looked_then(engine: Engine, town: Town) -> None:
    morning, noon = NOW - hours(26), NOW - hours(22)
    town.dossier("seen", morning, area=HERE)
    town.dossier("late", morning, area=HERE, received=NOW - hours(1))  # of yesterday, learnt today
    with snapshot(town.dsn) as reader:
        looked = engine.evaluate(reader, ["dossiers_received_today"], at=noon, known_at=noon)["dossiers_received_today"]
        known_now = engine.evaluate(reader, ["dossiers_received_today"], at=noon)["dossiers_received_today"]
        assert engine.by_area(reader, "dossiers_received_today", noon, known_at=noon)[HERE] == 1
    assert (looked.value, looked.as_of, looked.published_at) == (1, morning, morning)
    assert known_now.value == 2
    assert known_now.spark[-1] == 2


def test_what_came_after_the_asked_instant_is_left_out_though_it_is_known(engine: Engine, town: Town) -> None:
    opened, then = NOW - hours(60), NOW - hours(30)
    town.dossier("d", opened, opened_at=opened, due_at=NOW - hours(40), area=HERE)
    town.dossier("d", NOW - hours(20), due_at=NOW + hours(40))
    town.dossier("d", NOW - hours(10), status="closed", outcome="resolved", closed_at=NOW - hours(10), area=THERE)
    town.dossier("later", NOW - hours(5), area=HERE)
    names = ["dossiers_open", "dossiers_overdue", "dossiers_resolved_today"]
    with snapshot(town.dsn) as reader:
        now, was = engine.evaluate(reader, names, at=NOW), engine.evaluate(reader, names, at=then)
        before = engine.evaluate(reader, names, at=opened - hours(1))
        places = engine.by_area(reader, "dossiers_open", then)
    assert [now[name].value for name in names] == [1, 0, 1]
    assert [was[name].value for name in names] == [1, 1, 0]  # its due date had not been moved, and it was not closed
    assert (places[THERE], places[HERE]) == (1, 0)  # where it is known to be now
    assert [before[name].value for name in names] == [None, None, None]


def test_a_closing_learnt_late_counts_when_it_was_so(engine: Engine, town: Town) -> None:
    opened = NOW - hours(60)
    town.dossier("d", opened, opened_at=opened, area=HERE)
    town.dossier("d", NOW - hours(2), status="closed", outcome="resolved", closed_at=NOW - hours(30))
    with snapshot(town.dsn) as reader:
        assert engine.evaluate(reader, ["dossiers_open"], at=NOW - hours(29))["dossiers_open"].value == 0
        assert engine.evaluate(reader, ["dossiers_open"], at=NOW - hours(31))["dossiers_open"].value == 1


def test_assets_and_observations_of_then_are_those_of_then(engine: Engine, town: Town) -> None:
    day = day_start(NOW.date())
    for school in ("s1", "s2"):
        town.put("education", make("/t", school, NOW - hours(50), Asset(kind="school", state="ok", area=HERE)), received=NOW - hours(50))
    town.put("education", make("/t", "s2", NOW - hours(1), Asset(state="retired")), received=NOW - hours(1))
    for n, received in ((400, NOW - hours(3)), (380, NOW - hours(1))):
        fact = Observation(metric="attendance.enrolled", value=Decimal(n), period="P1D", area=HERE, version=received)
        town.put("education", make("/t", "s1", day, fact), received=received)
    with snapshot(town.dsn) as reader:
        now = engine.evaluate(reader, ["schools_reporting"], at=NOW)["schools_reporting"]
        was = engine.evaluate(reader, ["schools_reporting"], at=NOW - hours(2), known_at=NOW - hours(2))["schools_reporting"]
    assert (now.numerator, now.denominator) == (1, 1)
    assert (was.numerator, was.denominator) == (1, 2)


def test_looking_back_leaves_nothing_behind(engine: Engine, town: Town) -> None:
    town.dossier("d", NOW - hours(60), area=HERE)
    with snapshot(town.dsn) as reader:
        live = engine.evaluate(reader, at=NOW)
        engine.evaluate(reader, at=NOW - hours(30), known_at=NOW - hours(30))
        assert engine.evaluate(reader, at=NOW) == live
        assert reader.conn.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'then_%'").fetchone() == (0,)


def test_it_refuses_times_it_cannot_know(engine: Engine, town: Town) -> None:
    with snapshot(town.dsn) as reader:
        with pytest.raises(UserError, match="lies ahead"):
            engine.evaluate(reader, at=NOW + hours(1))
        with pytest.raises(UserError, match="raw events are kept for 1095 days"):
            engine.evaluate(reader, at=NOW - timedelta(days=2000))


def test_of_a_feed_that_keeps_its_events_for_a_shorter_time_nothing_is_known_before(engine: Engine, town: Town) -> None:
    short = next(feed for feed in engine.config.feeds if feed.retention_days < 60)
    kpi = next(kpi.kpi for kpi in engine.kpis.values() if short.feed in kpi.feeds)
    then = NOW - timedelta(days=short.retention_days + 1)
    town.dossier("a", then - hours(5), opened_at=then - hours(5), area=HERE)
    with snapshot(town.dsn) as reader:
        tiles = engine.evaluate(reader, [kpi, "dossiers_received_today"], at=then)
        assert set(engine.by_area(reader, kpi, then).values()) == {None}
    assert tiles["dossiers_received_today"].value == 1
    assert (tiles[kpi].value, tiles[kpi].as_of) == (None, None)
    assert f"chỉ giữ {short.retention_days} ngày" in tiles[kpi].doubts[0].vi


def test_the_explained_sql_run_by_hand_gives_the_tiles_numbers(engine: Engine, town: Town) -> None:
    for i in range(5):
        town.dossier(f"d{i}", NOW - hours(9), due_at=NOW - hours(1), area=HERE)
        town.dossier(f"d{i}", NOW - hours(i), status="closed", outcome="resolved")
    with snapshot(town.dsn) as reader:
        found = explain(engine, reader, "dossiers_on_time_rate", at=NOW)
        rows = reader.conn.execute(found["formula"]["sql"].encode(), found["formula"]["parameters"]).fetchall()
    (sums,) = [sums for _, bucket, _, sums in rows if bucket == SPARK]
    assert [float(number) for number in sums] == [found["numerator"], found["denominator"]] == [4, 5]
    assert found["value"] == 80.0
    assert json.loads(json.dumps(found)) == found


def test_an_explanation_shows_feeds_and_the_last_ten_raw_events(engine: Engine, town: Town) -> None:
    for i in range(12):
        town.dossier(f"d{i}", NOW - hours(20 - i), category="HT", area=HERE)
    town.put(FEED, make("/t", "office", NOW, Asset(kind="office")))
    with snapshot(town.dsn) as reader:
        found = explain(engine, reader, "dossiers_received_today", at=NOW)
    assert [event["subject"] for event in found["events"]] == [f"d{i}" for i in reversed(range(2, 12))]
    assert found["events"][0]["data"] == {"category": "HT", "area": HERE}
    (feed,) = found["feeds"]
    assert (feed["feed"], feed["state"], feed["events"]) == (FEED, "live", 13)
    assert found["formula"]["words"]["vi"] == "Số vụ việc “Dịch vụ công” mở trong kỳ."
    assert (found["formula"]["version"], found["formula"]["since"]) == (1, "2026-11-22")


@pytest.mark.parametrize("area", [None, HERE])
def test_no_number_reads_raw_events(engine: Engine, town: Town, area: str | None) -> None:
    everything = list(engine.kpis.values())
    statement = statement_for(engine.question(everything, engine.windows_of(everything[0], NOW), NOW, areas=engine.codes(area), spark=True))
    with snapshot(town.dsn) as reader:
        plan = reader.conn.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + statement.query, statement.params).fetchone()
    assert plan is not None
    relations = set(_relations(plan[0]))
    assert relations <= {"rollup_case", "rollup_total", "rollup_duration", "rollup_observation", "case_state", "asset_state"}
    assert "rollup_duration" in relations


def test_years_of_history_are_not_walked_through(town: Town) -> None:
    """How figures were reported, and the first day of a feed: asked for spans of years, of which nearly all days say nothing."""
    town.conn.execute(
        "INSERT INTO rollup_observation (feed, metric, period, day, subject, n, total, last_time, last_value, said)"
        " SELECT 'economy', m, '', date '2016-01-01' + d, 'x', 1, 1, now(), 1, CASE WHEN d = 3999 THEN '{\"qualifier\": \"about\"}'::jsonb END"
        " FROM unnest('{a,b}'::text[]) AS m, generate_series(0, 3999) AS d"
    )
    town.conn.execute("ANALYZE rollup_observation")
    town.conn.commit()
    asked: list[tuple[Any, Any]] = []

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
            asked.append((query, params))
            return super().execute(query, params, **kwargs)

    with psycopg.connect(town.dsn, cursor_factory=Noting) as conn:
        reader = Reader(conn)
        said = reader.said([ObservationTerm("economy", m, "", "last") for m in "ab"], (date(2010, 1, 1), date(2030, 1, 1)), None)
        first = reader.first_day("economy")
    assert [day for found in said.values() for day, _ in found] == [date(2026, 12, 13)] * 2
    assert first == date(2016, 1, 1)
    assert town.conn.execute(cast("LiteralString", queries("kpi")["first_day"]), {"feed": "nobody"}).fetchone() == (None,)
    for query, params in asked:
        text = query if isinstance(query, str) else query.as_string(town.conn)
        plan = town.conn.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}".encode(), params).fetchone()
        assert plan is not None
        assert _scanned(plan[0][0]["Plan"]) < 20, text


def _scanned(node: dict[str, Any]) -> int:
    """Return how many rows of tables were looked at, those that were then left out included."""
    own = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] if "Relation Name" in node else 0
    return round(own) + sum(_scanned(child) for child in node.get("Plans", []))


def _relations(plan: Any) -> Iterator[str]:
    if isinstance(plan, dict):
        if "Relation Name" in plan:
            yield plan["Relation Name"]
        for value in plan.values():
            yield from _relations(value)
    elif isinstance(plan, list):
        for item in plan:
            yield from _relations(item)


def test_all_kpis_of_a_moment_and_a_period_are_one_statement(engine: Engine, town: Town) -> None:
    asked: list[str] = []

    class Counting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append(str(query))
            return super().execute(query, *args, **kwargs)

    with psycopg.connect(town.dsn, cursor_factory=Counting) as conn:
        engine.evaluate(Reader(conn), at=NOW)
    periods = {"day" if kpi.period == "now" else kpi.period for kpi in engine.kpis.values()}
    reported = {kpi.period for kpi in engine.kpis.values() if kpi.latest}
    running = {kpi.period for kpi in engine.kpis.values() if not kpi.latest and kpi.period in ("week", "month", "quarter", "year")}
    # When feeds were heard of; all numbers of a period; what reports say of theirs; the same part of the period before one that
    # runs, and whether its feed had begun by then.
    assert len(asked) == 1 + len(periods) + len(reported) + 2 * len(running)
