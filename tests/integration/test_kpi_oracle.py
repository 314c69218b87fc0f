"""Every kind of formula equals an oracle, plain Python over the list of facts, whatever order and repetition they came in.

The facts go through the real writer into a real database; the oracle never sees a rollup, only the events it was given.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from ioc.areas import load as load_areas
from ioc.clock import ICT, FrozenClock
from ioc.config import Config
from ioc.errors import UserError
from ioc.events import Asset, Case, Event, Observation, make
from ioc.kpi import catalogue
from ioc.kpi.audit import audit
from ioc.kpi.engine import SPARK, Engine
from ioc.store.reader import Reader, snapshot
from ioc.store.writer import Record, Writer

NOW = datetime(2026, 11, 20, 10, 17, 3, tzinfo=ICT)
TODAY = NOW.date()
AREAS = ("05443", "05455", "05488", None)  # 05488 was made of communes of three former districts
TOPICS = {"ioc.cases": "1", "ioc.numbers": "2", "ioc.things": "3"}

ROWS = """
theme: test
title: {vi: Thử, en: Test}
kpis:
"""
_ROW = """
  - {{kpi: {name}, title: {{vi: a, en: a}}, description: {{vi: a, en: a}}, kind: {kind}, unit: "{unit}", better: {better}, period: {period},
     since: 2026-11-22, formula: {formula}}}
"""


# -- the oracle: what the numbers mean, said once more and differently --------------------------------------------------


@dataclass
class Facts:
    """Everything received: (when, event), each event once."""

    arrivals: list[tuple[datetime, Event]] = field(default_factory=list)

    def until(self, known_at: datetime) -> list[Event]:
        return [event for received, event in self.arrivals if received <= known_at]


def newest(events: Iterable[Event], name: str) -> Any:
    """The value of a field in the newest event that has it."""
    having = [e for e in events if getattr(e.data, name) is not UNSET]
    return getattr(max(having, key=lambda e: e.time).data, name) if having else UNSET


def things(events: Iterable[Event], kind: type) -> list[dict[str, Any]]:
    """Cases or assets as dicts of their newest known fields."""
    subjects: dict[str, list[Event]] = {}
    for event in events:
        if isinstance(event.data, kind):
            subjects.setdefault(event.subject, []).append(event)
    found = []
    for subject, own in sorted(subjects.items()):
        row = {name: value for name in kind.__struct_fields__ if (value := newest(own, name)) is not UNSET}
        row["subject"], row["first"] = subject, min(e.time for e in own)
        row["status_time"] = max((e.time for e in own if getattr(e.data, "status", UNSET) is not UNSET), default=None)
        found.append(row)
    return [row for row in found if not row.get("deleted")]


def opened(row: dict[str, Any]) -> datetime:
    return row.get("opened_at") or row["first"]


def closed(row: dict[str, Any]) -> datetime | None:
    return (row.get("closed_at") or row["status_time"]) if row.get("status") == "closed" else None


def day(at: datetime) -> date:
    return at.astimezone(ICT).date()


def dim(row: dict[str, Any], name: str) -> str | None:
    return (row.get("dims") or {}).get(name, row.get(name))


def measurements(events: Iterable[Event], metric: str) -> list[tuple[str, str | None, datetime, Decimal]]:
    """(subject, area, time, value) of the standing versions; a thing that moved is, all day, where it was last that day."""
    versions: dict[tuple[str, datetime], list[Event]] = {}
    for event in events:
        if isinstance(event.data, Observation) and event.data.metric == metric:
            versions.setdefault((event.subject, event.time), []).append(event)
    standing = []
    for (subject, time), own in versions.items():
        last = max(own, key=lambda e: e.data.version)  # type: ignore[union-attr]
        assert isinstance(last.data, Observation)
        if not last.data.deleted and last.data.value is not None:
            standing.append((subject, last.data.area, time, last.data.value))
    last_area = {(subject, day(time)): area for subject, area, time, _ in sorted(standing, key=lambda m: m[2])}
    return [(subject, last_area[subject, day(time)], time, value) for subject, _, time, value in standing]


def ratio(top: Any, bottom: Any, scale: int = 1) -> Fraction | None:
    return None if top is None or not bottom else Fraction(top) * scale / Fraction(bottom)


def median_hours(rows: list[dict[str, Any]]) -> Fraction | None:
    tenths = sorted(-(-max(closed(r) - opened(r), timedelta()) // timedelta(minutes=6)) for r in rows)  # type: ignore[operator]
    n = len(tenths)
    return Fraction(tenths[(n - 1) // 2] + tenths[n // 2], 20) if n else None


@dataclass
class Seen:
    """What the oracle looks at: the facts of one area (or all), on one day, at one instant."""

    cases: list[dict[str, Any]]
    assets: list[dict[str, Any]]
    numbers: Callable[[str], list[tuple[str, str | None, datetime, Decimal]]]
    day: date
    at: datetime

    def closed(self) -> list[dict[str, Any]]:
        return [r for r in self.cases if (c := closed(r)) and day(c) == self.day]

    def opened(self) -> list[dict[str, Any]]:
        return [r for r in self.cases if day(opened(r)) == self.day]

    def overdue(self) -> list[dict[str, Any]]:
        return [r for r in self.cases if r.get("status", "open") == "open" and (due := r.get("due_at")) and (day(due) < day(self.at) or due <= self.at)]

    def today(self, metric: str) -> list[tuple[str, str | None, datetime, Decimal]]:
        return [m for m in self.numbers(metric) if day(m[2]) == self.day]


def total(values: Iterable[Decimal]) -> Decimal | None:
    found = list(values)
    return sum(found, Decimal(0)) if found else None


def lasts(rows: list[tuple[str, str | None, datetime, Decimal]]) -> Decimal | None:
    return total(each_last(rows))


def each_last(rows: list[tuple[str, str | None, datetime, Decimal]]) -> list[Decimal]:
    """Return each thing's newest value."""
    return list({m[0]: m[3] for m in sorted(rows, key=lambda m: m[2])}.values())


# name -> (kind, unit, better, period, formula, oracle)
KPIS: dict[str, tuple[str, str, str, str, str, Callable[[Seen], Any]]] = {
    "received": ("sum", "1", "up", "day", "{value: {cases: cases, measure: opened}}", lambda s: len(s.opened())),
    "received_a": (
        "sum", "1", "up", "day", "{value: {cases: cases, measure: opened, where: {category: a, kind: [x, y]}}}",
        lambda s: sum(dim(r, "category") == "a" and dim(r, "kind") in ("x", "y") for r in s.opened()),
    ),
    "resolved": (
        "sum", "1", "up", "day", "{value: {cases: cases, measure: closed, without: {outcome: [withdrawn, refused]}}}",
        lambda s: sum(dim(r, "outcome") not in ("withdrawn", "refused") for r in s.closed()),
    ),
    "both": (
        "sum", "1", "up", "day", "{value: [{cases: cases, measure: opened}, {cases: cases, measure: closed}]}",
        lambda s: len(s.opened()) + len(s.closed()),
    ),
    "agency_p": (
        "sum", "1", "up", "day", "{value: {cases: cases, measure: closed, where: {agency: p}}}",
        lambda s: sum(dim(r, "agency") == "p" for r in s.closed()),
    ),
    "on_time": (
        "ratio", "%", "up", "day",
        "{ratio: {numerator: {cases: cases, measure: closed, value: n_on_time}, denominator: {cases: cases, measure: closed, value: n_due}, scale: 100}}",
        lambda s: ratio(
            sum(bool(r.get("due_at")) and closed(r) <= r["due_at"] for r in s.closed()), sum(bool(r.get("due_at")) for r in s.closed()), 100
        ),
    ),
    "satisfaction": (
        "mean", "1", "up", "day",
        "{ratio: {numerator: {cases: cases, measure: closed, value: rating}, denominator: {cases: cases, measure: closed, value: n_rated}}}",
        lambda s: ratio(sum(r.get("rating") or 0 for r in s.closed()), sum(bool(r.get("rating")) for r in s.closed())),
    ),
    "mean_seconds": (
        "mean", "1", "down", "day",
        "{ratio: {numerator: {cases: cases, measure: closed, value: seconds}, denominator: {cases: cases, measure: closed}}}",
        lambda s: ratio(
            sum((Fraction(max(closed(r) - opened(r), timedelta()) // timedelta(microseconds=1), 10**6) for r in s.closed()), Fraction(0)), len(s.closed())
        ),
    ),
    "in_progress": (
        "count_now", "1", "down", "now", "{value: {cases: cases, measure: [open, paused], where: {level: l}}}",
        lambda s: sum(dim(r, "level") == "l" and r.get("status", "open") in ("open", "paused") for r in s.cases),
    ),
    "clock_runs": (
        "count_now", "1", "down", "now", "{value: {cases: cases, measure: open}}", lambda s: sum(r.get("status", "open") == "open" for r in s.cases),
    ),
    "overdue": ("count_now", "1", "down", "now", "{value: {cases: cases, measure: overdue}}", lambda s: len(s.overdue())),
    "overdue_a": (
        "count_now", "1", "down", "now", "{value: {cases: cases, measure: overdue, where: {category: a}, without: {kind: z}}}",
        lambda s: sum(dim(r, "category") == "a" and dim(r, "kind") != "z" for r in s.overdue()),
    ),
    "median": ("duration", "h", "down", "day", "{value: {duration: cases}}", lambda s: median_hours(s.closed())),
    "agencies": (
        "ratio", "%", "up", "day",
        "{ratio: {numerator: {cases: cases, measure: opened, distinct: agency}, denominator: {assets: things, kind: office, state: ok}, scale: 100}}",
        lambda s: ratio(
            len({dim(r, "agency") for r in s.opened()} - {None}), sum(a.get("kind") == "office" and a.get("state", "unknown") == "ok" for a in s.assets), 100
        ),
    ),
    "offices": (
        "count_now", "1", "up", "now", "{value: {assets: things, kind: office}}",
        lambda s: sum(a.get("kind") == "office" and a.get("state", "unknown") != "retired" for a in s.assets),
    ),
    "sum_m": ("sum", "1", "up", "day", "{value: {observations: numbers, metric: m, period: P1D, aggregate: total}}", lambda s: total(m[3] for m in s.today("m"))),
    "last_m": ("last", "1", "up", "day", "{value: {observations: numbers, metric: m, period: P1D, aggregate: last}}", lambda s: lasts(s.today("m"))),
    "max_m": ("last", "1", "up", "day", "{value: {observations: numbers, metric: m, period: P1D, aggregate: max}}", lambda s: max(each_last(s.today("m")), default=None)),
    "above_m": (
        "last", "1", "up", "day", "{value: {observations: numbers, metric: m, period: P1D, aggregate: above, limit: 2.5}}",
        lambda s: sum(v > Decimal("2.5") for v in each_last(s.today("m"))) if s.today("m") else None,
    ),
    "mean_m": (
        "mean", "1", "up", "day",
        "{ratio: {numerator: {observations: numbers, metric: m, period: P1D, aggregate: total}, denominator: {observations: numbers, metric: m, period: P1D, aggregate: n}}}",
        lambda s: ratio(total(m[3] for m in s.today("m")), len(s.today("m"))),
    ),
    # Over other KPIs.
    "moved": ("sum", "1", "up", "day", "{kpis: {sum: [received, resolved]}}", lambda s: KPIS["received"][5](s) + KPIS["resolved"][5](s)),
    "grown": ("sum", "1", "down", "day", "{kpis: {difference: [received, both, agency_p]}}", lambda s: -len(s.closed()) - KPIS["agency_p"][5](s)),
    "share_a": ("ratio", "%", "up", "day", "{kpis: {ratio: [received_a, received], scale: 100}}", lambda s: ratio(KPIS["received_a"][5](s), len(s.opened()), 100)),
    "each": ("mean", "1", "up", "day", "{kpis: {ratio: [sum_m, last_m]}}", lambda s: ratio(KPIS["sum_m"][5](s), KPIS["last_m"][5](s))),
    "index": (
        "index", "1", "up", "day", "{kpis: {index: {last_m: 0.25, max_m: 1.5}}}",
        lambda s: None if (m := KPIS["last_m"][5](s)) is None else (Fraction(m) / 4 + Fraction(3, 2) * Fraction(KPIS["max_m"][5](s))) / Fraction(7, 4),
    ),
    "reporting": (
        "sum", "1", "up", "day", "{value: {observations: numbers, metric: k, period: P1D, aggregate: subjects}}", lambda s: len({m[0] for m in s.today("k")}),
    ),
}  # fmt: skip
DAILY = [name for name, row in KPIS.items() if row[3] == "day" and "assets" not in row[4]]


def look(events: list[Event], at: datetime, on: date, area: str | None = "*") -> Seen:
    """What of these events is in `area` ('*': everywhere)."""
    inside = (lambda rows: rows) if area == "*" else (lambda rows: [r for r in rows if r.get("area") == area])
    return Seen(
        inside(things(events, Case)),
        inside(things(events, Asset)),
        lambda metric: [m for m in measurements(events, metric) if area in ("*", m[1])],
        on,
        at,
    )


# -- random facts -------------------------------------------------------------------------------------------------------


def facts_of(rng: random.Random, size: int) -> list[Event]:
    """Cases that are opened, moved, paused, closed, reopened, corrected, withdrawn; assets; observations in versions."""
    events: list[Event] = []
    for i in range(size):
        events += _case(rng, f"c{i}") + _asset(rng, f"a{i}") + _observations(rng, f"s{i % 4}", i)
    return events


def _ago(rng: random.Random) -> datetime:
    return NOW - timedelta(seconds=rng.choice((rng.uniform(0, 36_000), rng.uniform(0, 20 * 86_400))))


def _case(rng: random.Random, subject: str) -> list[Event]:
    start = _ago(rng)
    events = []

    def add(time: datetime, **known: Any) -> None:
        events.append(make("/test", subject, min(time, NOW - timedelta(seconds=1)) + timedelta(microseconds=len(events)), Case(**known)))

    first: dict[str, Any] = {"status": "open", "opened_at": rng.choice((start, start - timedelta(hours=3))), "area": rng.choice(AREAS)}
    first |= {name: rng.choice(values) for name, values in (("category", ("a", "b", None)), ("agency", ("p", "q", None)), ("level", ("l", None))) if rng.random() < 0.8}
    if rng.random() < 0.2:
        del first["opened_at"]
    if rng.random() < 0.7:
        first["due_at"] = start + timedelta(hours=rng.choice((1, 30, 200, 700)))
    if rng.random() < 0.5:
        first["dims"] = {"kind": rng.choice("xyz")} | ({"category": "a"} if rng.random() < 0.2 else {})
    if rng.random() < 0.9:
        add(start, **first)
    for _ in range(rng.randrange(4)):
        later = start + timedelta(seconds=rng.uniform(1, 10 * 86_400))
        what = rng.choice(("pause", "move", "close", "close", "close", "reopen", "area", "delete", "rate"))
        if what == "pause":
            add(later, status="paused")
        elif what == "move":
            add(later, due_at=rng.choice((None, later + timedelta(hours=9), NOW - timedelta(minutes=1), NOW + timedelta(minutes=1), NOW)))
        elif what == "close":
            said = {"closed_at": min(later, NOW) - timedelta(minutes=rng.choice((0, 5, 3000)))} if rng.random() < 0.8 else {}
            add(later, status="closed", outcome=rng.choice(("done", "withdrawn", "refused", None)), rating=rng.choice((None, 1, 3, 5)), **said)
        elif what == "reopen":
            add(later, status="open", closed_at=None, outcome=None)
        elif what == "area":
            add(later, area=rng.choice(AREAS), category=rng.choice(("a", "b", None)))
        elif what == "rate":
            add(later, rating=rng.choice((2, 4, None)))
        else:
            add(later, deleted=rng.random() < 0.6)
    return events


def _asset(rng: random.Random, subject: str) -> list[Event]:
    start = _ago(rng)
    events = [make("/test", subject, start, Asset(kind=rng.choice(("office", "camera")), area=rng.choice(AREAS), state=rng.choice(("ok", "down", "retired"))))]
    if rng.random() < 0.4:
        events.append(make("/test", subject, _ago(rng), Asset(state=rng.choice(("ok", "degraded", "retired")), deleted=rng.random() < 0.2)))
    return events


def _observations(rng: random.Random, subject: str, i: int) -> list[Event]:
    time = (NOW - timedelta(days=rng.randrange(16), hours=rng.randrange(10))).replace(minute=0, second=0, microsecond=0)
    events = []
    for version in range(rng.randrange(1, 3)):
        value = None if rng.random() < 0.1 else Decimal(rng.randrange(-5000, 5000)) / 100
        fact = Observation(
            metric=rng.choice("mk"), value=value, period="P1D", area=rng.choice(AREAS), deleted=rng.random() < 0.1,
            version=time + timedelta(hours=version, microseconds=i),
        )  # fmt: skip
        events.append(make("/test", subject, time, fact))
    return events


def store(dsn: str, events: list[Event], rng: random.Random) -> Facts:
    """Send the events in any order, some twice, in batches of any size; return what arrived when."""
    sent = events + rng.choices(events, k=len(events) // 2)
    rng.shuffle(sent)
    facts = Facts()
    seen: set[str] = set()
    offsets = dict.fromkeys(TOPICS, 0)
    with psycopg.connect(dsn) as conn:
        writer = Writer(conn)
        for topic, topic_id in TOPICS.items():
            writer.assign(topic, 0, topic_id, topic.removeprefix("ioc."))
        while sent:
            batch, sent = sent[: (size := rng.randrange(1, 30))], sent[size:]
            records = []
            for event in batch:
                topic = {Case: "ioc.cases", Observation: "ioc.numbers", Asset: "ioc.things"}[type(event.data)]
                received = max(NOW - timedelta(days=9), event.time) + (NOW - max(NOW - timedelta(days=9), event.time)) * rng.random()
                records.append(Record(topic, 0, offsets[topic], topic.removeprefix("ioc."), received, event=event))
                offsets[topic] += 1
                if event.id not in seen:
                    seen.add(event.id)
                    facts.arrivals.append((received, event))
            writer.write(records, TOPICS)
    return facts


# -- the comparison -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder: Path = tmp_path_factory.mktemp("catalogue")
    rows = [_ROW.format(name=name, kind=kind, unit=unit, better=better, period=period, formula=formula) for name, (kind, unit, better, period, formula, _) in KPIS.items()]
    (folder / "test.yaml").write_text(ROWS + "".join(rows), encoding="utf-8")
    words = {"vi": "a", "en": "a"}
    config = Config(feeds=[{"feed": feed, "connector": "push", "title": words} for feed in ("cases", "numbers", "things")])
    return Engine(catalogue.load(folder), config, load_areas("19"), FrozenClock(NOW))


def same(found: float | None, expected: Any) -> bool:
    if expected is None or found is None:
        return expected is None and found is None
    return found == pytest.approx(float(expected), rel=1e-12, abs=1e-12)


def clear(dsn: str) -> None:
    with psycopg.connect(dsn) as conn:
        conn.execute("TRUNCATE event, case_state, asset_state, rollup_case, rollup_total, rollup_duration, rollup_observation, consumer_offset")


def check(engine: Engine, reader: Reader, facts: Facts, known_at: datetime | None) -> None:
    events = facts.until(known_at or NOW)
    at = NOW if known_at is None else known_at
    tiles = engine.evaluate(reader, at=at, known_at=known_at)
    for name, (*_, oracle) in KPIS.items():
        tile = tiles[name]
        if tile.as_of is None:
            assert tile.value is None
            continue
        if set(tile.quality.missing_sources) not in (set(), set(tile.source)):
            continue  # a feed that is away is left out: tests/integration/test_kpi_engine.py
        expected = oracle(look(events, at, day(at)))
        assert same(tile.value, expected), f"{name}: {tile.value} is not {expected} (known at {known_at})"
        assert tile.spark[-1] == tile.value
        assert len(tile.spark) == SPARK
        if name in DAILY:
            for back, point in enumerate(reversed(tile.spark)):
                was = oracle(look(events, at, day(at) - timedelta(days=back)))
                assert same(point, was) or (point is None and not was), f"{name} {back} days before: {point} is not {was}"


def check_areas(engine: Engine, reader: Reader, facts: Facts) -> None:
    events = facts.until(NOW)
    for name, (*_, oracle) in KPIS.items():
        values = engine.by_area(reader, name, NOW)
        assert values.keys() == engine.areas.communes.keys()
        for area in ("05443", "05455"):
            expected = oracle(look(events, NOW, TODAY, area))
            tile = engine.evaluate(reader, [name], at=NOW)[name]
            if tile.as_of and set(tile.quality.missing_sources) in (set(), set(tile.source)):
                assert same(values[area], expected), f"{name} in {area}: {values[area]} is not {expected}"
                assert engine.evaluate(reader, [name], area=area, at=NOW)[name].value == values[area]


COUNTED = ("received", "received_a", "resolved", "both", "agency_p", "moved", "grown")


def check_periods(engine: Engine, reader: Reader, facts: Facts, rng: random.Random) -> None:
    """Any span of days is the sum of its days, and its delta the sum of those it is compared with; before any fact there is nothing."""
    events = facts.until(NOW)
    days = [TODAY - timedelta(days=back) for back in range(60)]
    sums = {name: {d: KPIS[name][5](look(events, NOW, d)) for d in days} for name in COUNTED}
    found = [day(opened(r)) for r in things(events, Case)] + [day(c) for r in things(events, Case) if (c := closed(r))]
    begun = min(found, default=None)
    last = TODAY - timedelta(days=rng.randrange(0, 9))
    first = last - timedelta(days=rng.randrange(0, 6))
    before = first - (last - first) - timedelta(days=1), first - timedelta(days=1)
    tiles = engine.evaluate(reader, COUNTED, at=NOW, days=(first, last), versus="previous_period")
    for name in COUNTED:
        tile = tiles[name]
        if begun is None:
            assert not tile.value
            continue
        if last < begun:
            assert tile.value is None and tile.delta is None, f"{name}: {first} to {last} lies before the first fact"
            continue
        value, was = (sum(v for d, v in sums[name].items() if lo <= d <= hi) for lo, hi in ((first, last), before))
        assert tile.value == value, f"{name} from {first} to {last}"
        if tile.delta is not None:
            assert (tile.delta.value, tile.delta.reference) == (value - was, was)
            assert tile.delta.fair == (not first == last == TODAY)
            assert tile.delta.percent is None if was == 0 else tile.delta.percent == pytest.approx((value - was) / abs(was) * 100)
        else:
            assert before[1] < begun or was == 0, f"{name}: nothing to compare with, though {before} had {was}"


def check_agencies(engine: Engine, reader: Reader, facts: Facts) -> None:
    """Each agency's number is that of its cases alone."""
    events = facts.until(NOW)
    for name in ("received_a", "on_time", "satisfaction", "overdue", "in_progress", "moved"):
        values = engine.by_agency(reader, name, NOW)
        for agency in ("p", "q", ""):
            seen = look(events, NOW, TODAY)
            seen.cases = [row for row in seen.cases if (dim(row, "agency") or "") == agency]
            expected = KPIS[name][5](seen)
            assert same(values.get(agency), expected) or (values.get(agency) is None and not expected), f"{name} of {agency!r}: {values.get(agency)} is not {expected}"
    with pytest.raises(UserError, match="counts what has no agency"):
        engine.by_agency(reader, "sum_m", NOW)


def check_geographies(engine: Engine, reader: Reader) -> None:
    """Over former districts and communes every sum is the province's, to the last digit; what has no sum has no value."""
    names = ("received_a", "on_time", "overdue", "median", "offices", "sum_m", "max_m", "grown")
    wholes = engine.evaluate(reader, names, at=NOW)
    for name in names:
        today, *former = (engine.in_geography(reader, name, geography, NOW) for geography in ("today", "districts", "former"))
        for found in (today, *former):
            assert found.total == wholes[name].value
            if found.additive and found.elsewhere is not None and found.total is not None:
                shown = sum((Decimal(str(unit.value)) for unit in found.units if unit.value is not None), Decimal(0))
                assert shown + Decimal(str(found.elsewhere)) == Decimal(str(found.total)), f"{name} in {found.geography}"
                assert found.elsewhere == today.elsewhere
            if not found.additive and found.geography != "today":
                assert {unit.value for unit in found.units} == {None}
        districts = {unit.code: unit for unit in former[0].units}
        if today.additive:
            assert all(districts[was.district_code].estimated for was in engine.areas.former.values() if "05488" in was.into)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), size=st.integers(1, 25), ago=st.floats(0, 11 * 86_400))
def test_it_equals_the_oracle_now_and_as_it_looked_then(seed: int, size: int, ago: float, engine: Engine, database: str) -> None:
    rng = random.Random(seed)
    clear(database)
    facts = store(database, facts_of(rng, size), rng)
    with snapshot(database) as reader:
        check(engine, reader, facts, None)
        check_areas(engine, reader, facts)
        check_periods(engine, reader, facts, rng)
        check_geographies(engine, reader)
        check_agencies(engine, reader, facts)
        check(engine, reader, facts, NOW - timedelta(seconds=ago))
    assert audit(database, engine).differences == []


def test_the_open_cases_of_earlier_days_follow_from_what_was_opened_and_closed_since(engine: Engine, database: str) -> None:
    rng = random.Random(4)
    facts = store(database, facts_of(rng, 80), rng)
    with snapshot(database) as reader:
        spark = engine.evaluate(reader, ["in_progress"], at=NOW)["in_progress"].spark
    rows = [r for r in things(facts.until(NOW), Case) if dim(r, "level") == "l"]
    for back, point in enumerate(reversed(spark)):
        on = TODAY - timedelta(days=back)
        if back and point is not None:
            assert point == sum(day(opened(r)) <= on and not ((c := closed(r)) and day(c) <= on) for r in rows)
