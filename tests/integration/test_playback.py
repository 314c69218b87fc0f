"""Looking back on a real database: what the wall showed then is what it shows when asked of then."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from ioc import web
from ioc.areas import load as load_areas
from ioc.clock import ICT, FrozenClock
from ioc.config import Config, Database
from ioc.config import load as load_config
from ioc.events import Asset, Case, Event, Observation, make
from ioc.kpi import catalogue
from ioc.kpi.engine import Engine
from ioc.live import Hub, Snapshot, View, iso
from ioc.playback import Given, Job, Past
from ioc.store.pool import open_pool
from ioc.store.writer import Record, Writer

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 20, 12, tzinfo=ICT)  # a Friday
HERE, THERE = "05443", "05455"
REPORTS, SCHOOLS, DOCUMENTS = "incident-reports", "education", "e-documents"
MAPPED = ("incidents_open",)
PARTS = {"song-cong": ("incidents_open",)}
COURSES = {"": ("incidents_opened_today",)}


class PastAndPresent:
    """A province whose clock is ours: `put` writes facts as ingest does, `live` is what the wall shows, `past` what it showed."""

    def __init__(self, dsn: str) -> None:
        shipped = load_config(ROOT / "config.yaml")
        self.config = shipped.model_copy(update={"database": Database(dsn=dsn)})
        self.clock = FrozenClock(NOON)
        self.engine = Engine(catalogue.load(ROOT / "dashboards" / "catalogue"), self.config, load_areas("19"), self.clock)
        self.pool = open_pool(self.config)
        self.conn = psycopg.connect(dsn)
        self.writer = Writer(self.conn, gap_s={feed.feed: feed.cadence_s + 5 for feed in self.config.feeds})
        self.view = View("wall:vi", lambda _: {}, MAPPED, PARTS, of_courses=COURSES)
        self.past = Past(self.config, self.engine, self.pool)

    def put(self, feed: str, *events: Event, received: datetime) -> None:
        topic = f"ioc.{feed}"
        start = self.writer.assign(topic, 0, "1", feed)
        self.writer.write([Record(topic, 0, start + i, feed, received, event=e) for i, e in enumerate(events)], {topic: "1"})

    def hear(self, feed: str, *signs: datetime) -> None:
        """Take in signs of life of a source that has no news."""
        topic = f"ioc.{feed}"
        for at in signs:
            start = self.writer.assign(topic, 0, "1", feed)
            self.writer.write([Record(topic, 0, start, feed, at, checked_at=at)], {topic: "1"})

    def live(self) -> Snapshot:
        """Return what the hub shows at this moment."""
        hub = Hub(self.config, self.engine, list(self.engine.kpis), self.pool, clock=self.clock)
        hub.add_view("wall:vi", lambda _: {}, MAPPED, PARTS, COURSES)
        hub.views["wall:vi"].viewers.add(None)  # type: ignore[arg-type] # somebody watches
        hub._evaluate(None, None)
        return hub.snapshot

    def then(self, at: datetime, known: Any = "then") -> Snapshot:
        return self.past(self.view, at, known, Job())


@pytest.fixture
def province(database: str) -> Iterator[PastAndPresent]:
    found = PastAndPresent(database)
    yield found
    found.conn.close()
    found.pool.close()


def report(name: str, at: datetime, **fields: Any) -> Event:
    return make("/t", name, at, Case(**fields))


def a_day(it: PastAndPresent) -> None:
    """What was known at noon."""
    opened = NOON - timedelta(hours=5)
    for i in range(6):
        it.put(
            REPORTS,
            report(f"r{i}", opened + timedelta(minutes=i), opened_at=opened, due_at=NOON + timedelta(hours=i - 2), area=HERE, title="Cây xanh", category="cay-xanh", lat=21.6, lon=105.8),
            received=opened + timedelta(minutes=i),
        )
    it.put(REPORTS, report("r0", NOON - timedelta(hours=1), status="closed", outcome="resolved", closed_at=NOON - timedelta(hours=1)), received=NOON - timedelta(hours=1))
    it.put(SCHOOLS, make("/t", "s1", opened, Asset(kind="school", name="THCS", state="ok", area=HERE, lat=21.5, lon=105.9, dims={"picture": "good"})), received=opened)
    fact = Observation(metric="attendance.enrolled", value=Decimal(400), period="P1D", area=HERE, version=opened)
    it.put(SCHOOLS, make("/t", "s1", NOON.replace(hour=0), fact), received=NOON - timedelta(seconds=3))


def what_came_later(it: PastAndPresent) -> None:
    later = NOON + timedelta(hours=3)
    it.put(REPORTS, report("r1", later, status="closed", outcome="resolved", closed_at=later), received=later)
    it.put(REPORTS, report("r2", later, title="Rác", lat=21.7, lon=105.7, area=THERE), received=later)
    it.put(REPORTS, report("late", NOON - timedelta(hours=2), opened_at=NOON - timedelta(hours=2), title="Ngập", area=THERE, lat=21.4, lon=105.6), received=later)
    it.put(REPORTS, report("new", later, opened_at=later, title="Mới", area=THERE, lat=21.4, lon=105.6), received=later)
    it.put(SCHOOLS, make("/t", "s1", later, Asset(name="THCS Mới", state="degraded", lat=21.55, dims={"picture": "frozen"})), received=later)
    it.put(SCHOOLS, make("/t", "s2", later, Asset(kind="school", name="Trường", state="ok", area=HERE, lat=21.5, lon=105.9)), received=later)


def seen(shown: Snapshot) -> dict[str, Any]:
    """Return what a screen shows of a snapshot; counters that are not on the wall left out."""
    told = {"tiles", "by_area", "parts", "courses", "feeds", "ticker", "points"} | {"seq", "now", "services", "stills"}  # those are not of then
    assert set(Snapshot.__struct_fields__) == told, "what is new in a snapshot must be looked up of then, too: ioc/playback.py"
    feeds = [(f.feed, f.state, f.as_of, f.received_at) for f in shown.feeds]
    points = sorted(map(str, shown.points))
    return {"tiles": shown.tiles, "areas": shown.by_area, "parts": shown.parts, "courses": shown.courses, "feeds": feeds, "ticker": shown.ticker, "points": points}


def outline(west: float) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[[west, 21.5], [105.9, 21.5], [105.9, 21.7], [west, 21.5]]]}


def test_the_area_of_a_warning_is_the_one_it_had_then_and_goes_when_it_is_over(province: PastAndPresent) -> None:
    common: dict[str, Any] = {"title": "Ngập úng", "level": "severe", "lat": 21.6, "lon": 105.8}
    opened, later = NOON - timedelta(hours=4), NOON + timedelta(hours=3)
    province.put(REPORTS, *(report(name, opened, opened_at=opened, shape=outline(105.7), **common) for name in ("moved", "over")), received=opened)
    showed = province.live().points
    assert [(p.level, p.shape) for p in showed] == [("severe", outline(105.7))] * 2
    province.put(REPORTS, report("moved", later, shape=outline(105.5), level="extreme"), report("over", later, status="closed", closed_at=later), received=later)
    province.clock.tick(hours=9)
    assert [(p.level, p.shape) for p in province.live().points] == [("extreme", outline(105.5))]
    assert sorted(province.then(NOON).points, key=str) == sorted(showed, key=str)


def test_what_the_wall_showed_then_is_what_looking_back_shows(province: PastAndPresent) -> None:
    a_day(province)
    showed = seen(province.live())
    what_came_later(province)
    province.clock.tick(hours=9)
    assert seen(province.live()) != showed
    looked = seen(province.then(NOON))
    for part, value in showed.items():
        assert looked[part] == value, part
    assert len(looked["points"]) == 6 and len(looked["ticker"]) == 6
    assert looked["tiles"]["incidents_open"].value == 5


def test_the_latest_events_are_the_newest_of_each_feed_not_those_that_came_last(province: PastAndPresent) -> None:
    backlog = NOON + timedelta(minutes=5)  # a source that was away hands in what it kept
    province.put(REPORTS, report("now", NOON, opened_at=NOON, title="Mới", area=HERE), received=NOON)
    province.put(REPORTS, *(report(f"kept{i}", NOON - timedelta(hours=1 + i), opened_at=NOON, title="Cũ", area=HERE) for i in range(20)), received=backlog)
    province.put(REPORTS, report("ahead", NOON + timedelta(hours=20), opened_at=NOON, title="Đồng hồ sai", area=HERE), received=NOON - timedelta(hours=2))
    other = make("/t", "d1", NOON - timedelta(hours=9), Case(status="open", title="Công văn", area=HERE))
    province.put(DOCUMENTS, other, received=NOON - timedelta(hours=9))
    province.clock.at = backlog
    latest = [item.subject for item in province.live().ticker]
    assert latest == ["now", "kept0", "kept1", "ahead", *(f"kept{i}" for i in range(2, 8)), "d1"]


def test_a_quiet_source_was_live_then_and_a_silent_one_was_not(province: PastAndPresent) -> None:
    a_day(province)
    cadence = timedelta(seconds=province.config.feed(SCHOOLS).cadence_s)
    province.hear(SCHOOLS, *(NOON + n * cadence for n in range(1, 6)))
    moments = [NOON + n * cadence + timedelta(seconds=1) for n in (0, 2, 5, 6, 7, 9, 30)]
    states = {}
    for at in moments:
        province.clock.at = at
        states[at] = [(feed.feed, feed.state) for feed in province.live().feeds if feed.feed in (SCHOOLS, REPORTS)]
    assert {dict(found)[SCHOOLS] for found in states.values()} == {"live", "late", "stale", "lost"}
    province.hear(SCHOOLS, NOON + 40 * cadence, NOON + 41 * cadence)  # heard of again: another stretch
    province.clock.at = NOON + 50 * cadence
    for at, found in states.items():
        looked = province.then(at)
        assert [(feed.feed, feed.state) for feed in looked.feeds if feed.feed in (SCHOOLS, REPORTS)] == found, at
        assert looked.tiles["schools_reporting"].quality.state == dict(found)[SCHOOLS]
    assert province.conn.execute("SELECT count(*) FROM feed_alive").fetchone() == (2,)


def test_as_known_now_tells_what_was_learnt_late_and_nothing_of_later(province: PastAndPresent) -> None:
    a_day(province)
    what_came_later(province)
    province.clock.tick(hours=9)
    looked, known = province.then(NOON), province.then(NOON, "now")
    assert (looked.tiles["incidents_open"].value, known.tiles["incidents_open"].value) == (5, 6)
    assert "late" not in {item.subject for item in looked.ticker}
    assert [item.subject for item in known.ticker][:2] == ["r0", "late"]  # by when it was so
    assert {item.subject: item.status for item in known.ticker}["r1"] == "open"  # it was closed only later
    cases = {point.subject: point for point in known.points if point.layer == "incident"}
    assert set(cases) == {"r1", "r2", "r3", "r4", "r5", "late"}
    assert cases["r1"].state == cases["r2"].state == "overdue" and cases["r3"].state == "open"
    assert [(point.title, point.state, point.lat, point.picture) for point in known.points if point.layer == "asset"] == [("THCS", "ok", 21.5, "good")]


def test_a_frame_nobody_waits_for_is_broken_off_in_the_database(province: PastAndPresent) -> None:
    a_day(province)
    province.clock.tick(hours=9)
    with psycopg.connect(province.config.database.dsn) as other:
        other.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")  # the frame now waits for us, for ever
        job, ended = Job(), threading.Event()

        def look() -> None:
            with pytest.raises(Given):
                province.past(province.view, NOON, "then", job)
            ended.set()

        thread = threading.Thread(target=look)
        thread.start()
        while not other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:  # type: ignore[index]
            time.sleep(0.02)
        job.give_up()
        assert ended.wait(60)
        thread.join()
    assert province.then(NOON).tiles["incidents_open"].value == 5  # and the connection is as good as before


def test_a_screen_looks_back_over_the_live_link(province: PastAndPresent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    a_day(province)
    province.clock.tick(hours=9)
    config: Config = province.config.model_copy(update={"web": province.config.web.model_copy(update={"playbacks": 1})})
    address = "/live?view=wall/overview:vi&at="
    with TestClient(web.build(config, province.clock)) as client, client.websocket_connect(address) as link, client.websocket_connect(address) as other:
        link.send_text(json.dumps({"at": NOON.isoformat()}))
        frame = told(link)
        assert frame["now"] == "2026-11-20T05:00:00.000Z"
        assert frame["props"]["tile-incidents_open"]["data-value"] == "5"
        other.send_text(json.dumps({"at": NOON.isoformat()}))
        assert told(other)["problem"]["kind"] == "busy"
        link.send_text(json.dumps({"at": "2020-01-01T00:00:00Z"}))
        assert told(link)["problem"] == {"kind": "not_kept", "since": iso(province.engine.kept_since(province.clock()))}


def told(link: Any) -> Any:
    """Return the next message that is no heartbeat."""
    while "hb" in (message := json.loads(link.receive_text())):
        pass
    return message
