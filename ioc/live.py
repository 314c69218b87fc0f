"""A change -> one evaluation -> every screen.

`Hub` wakes when ingest commits (NOTIFY), when time itself changes a number (something became overdue, midnight) and
when a feed falls silent. It evaluates what depends on the change once, asks each *view* that somebody is watching to
render itself once, serialises each changed part once, and hands the same bytes to every viewer.

Messages to a viewer (JSON text)::

    {"seq": 7, "v": "0.1.0", "now": "...Z", "snapshot": true, "props": {component id: {prop: value}}}   on every (re)connect
    {"seq": 8, "v": "0.1.0", "now": "...Z", "props": {...only the components that changed, whole...}}
    {"hb": 1, "now": "...Z"}                                                                        at least every 2 s
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import structlog
from msgspec import Struct
from psycopg_pool import ConnectionPool

from ioc import __version__
from ioc.clock import Clock, local_day, system_clock
from ioc.config import Config
from ioc.kpi import freshness
from ioc.kpi.asked import Asked, geography_of, period_of
from ioc.kpi.catalogue import Period
from ioc.kpi.geography import Geography
from ioc.kpi.periods import Days
from ioc.kpi.tile import History, Tile, Words
from ioc.kpi.tile import State as Freshness
from ioc.stills import Still
from ioc.store import status
from ioc.store.migrate import Server, server
from ioc.store.pool import VIGILANT
from ioc.store.reader import Reader, snapshot
from ioc.store.writer import CHANNEL

log = structlog.get_logger(__name__)

TICK_S = 1.0  # feeds fall silent, cases fall due: looked at once a second without any event
HEARTBEAT_S = 2.0
QUEUE = 4  # messages a slow viewer may be behind; then it gets a snapshot instead
POINTS_EVERY_S = 2.0  # the map's points are many; they may be this old
COURSE_EVERY_S = 60.0  # what lies before a tile's spark hardly changes: late events, and midnight
RATE_WINDOW_S = 60.0
AWAY_S = 5.0  # without an answer of the database screens show the age of what they have, whatever we are waiting for


class FeedView(Struct, frozen=True):
    """A feed as the screens show it. Rates are records a second over the last minute; `lag` records not yet ingested."""

    feed: str
    connector: str
    title: Words
    state: Freshness
    cadence_s: float
    as_of: datetime | None
    received_at: datetime | None
    checked_at: datetime | None
    events: int
    duplicates: int
    dead_letters: int
    lag: int | None
    rate: float
    last_error: str
    last_cause: str = ""  # of it, as ioc/causes.py keeps it
    change: str = ""  # what changed in the look of the source's records, of the last week


class TickerItem(Struct, frozen=True):
    """One of the latest case events of its feed: something opened, closed or moved. The newest comes first."""

    feed: str
    subject: str
    title: str
    category: str
    status: str
    area: str | None
    time: datetime
    received_at: datetime


class Point(Struct, frozen=True):
    """Something on the map. `layer`: 'incident' (an open case) or 'asset'.

    `shape`: the area it concerns (GeoJSON, see ioc.events.Case), drawn in place of the point; `level` says how bad it is.
    """

    layer: str
    feed: str
    subject: str
    title: str
    category: str
    state: str  # open, paused, overdue, or the asset's state
    area: str | None
    lat: float
    lon: float
    since: datetime | None
    level: str = ""
    shape: dict[str, Any] | None = None
    picture: str = ""  # of a camera: what its source says of the picture ("frozen", ...)


class Snapshot(Struct, frozen=True):
    """Everything a screen may show, as of `now`.

    `by_area`: KPI (KPI@PERIOD, KPI~GEOGRAPHY) -> code of a commune (of a former unit) -> value; `parts`: what was asked (AREA, AREA@PERIOD, @PERIOD; see
    ioc/kpi/asked.py) -> KPI -> tile, for the parts of the province and the periods a screen shows.
    `courses`: area ("" the province) -> KPI -> its longer past, for charts. A chart's newest points are its tile's spark.
    """

    seq: int
    now: datetime
    tiles: dict[str, Tile]
    by_area: dict[str, dict[str, float | None]]
    feeds: list[FeedView]
    ticker: list[TickerItem]
    points: list[Point]
    services: dict[str, Any]  # database, broker, ingest: as in /healthz
    parts: dict[str, dict[str, Tile]] = {}
    courses: dict[str, dict[str, History]] = {}
    stills: dict[str, Still] = {}  # by camera; of now only, none is kept


Props: TypeAlias = dict[str, dict[str, Any]]  # component id -> property -> JSON value
Render: TypeAlias = Callable[[Snapshot], Props]
# A page made when somebody asks for it: its render function, its by_area and of_parts as in `Hub.add_view`.
Made: TypeAlias = tuple[Render, Iterable[str], Mapping[str, Iterable[str]]]
Maker: TypeAlias = Callable[[str], Made | None]


class Evaluator(Protocol):
    """What the hub needs of the KPI engine (ioc.kpi.engine.Engine)."""

    def evaluate(
        self, reader: Reader, kpis: Iterable[str], *, area: str | None = None, at: datetime, days: Days | None = None, period: Period | None = None
    ) -> dict[str, Tile]: ...
    def by_area(
        self, reader: Reader, kpi: str, at: datetime, *, days: Days | None = None, period: Period | None = None, geography: Geography = "today"
    ) -> dict[str, float | None]: ...
    def history(self, reader: Reader, kpis: Iterable[str], *, area: str | None = None, at: datetime) -> dict[str, History]: ...
    def depends_on(self, changed: dict[str, list[str]]) -> set[str]: ...
    def next_change(self, reader: Reader, now: datetime) -> datetime | None: ...


class Viewer:
    """One open websocket. The hub puts messages in, the socket's task takes them out; the newest wins."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.queue: asyncio.Queue[str] = asyncio.Queue(QUEUE)

    def put(self, message: str) -> None:
        """Queue a message; a viewer that cannot keep up skips to a snapshot of now."""
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            message = self.view.whole()
        self.queue.put_nowait(message)


class View:
    """One page in one language: its render function, what it last rendered, and who is watching.

    `parts` is changed and read on the event loop only.
    """

    def __init__(
        self, name: str, render: Render, by_area: Iterable[str], of_parts: Mapping[str, Iterable[str]] | None = None, version: str = __version__,
        of_courses: Mapping[str, Iterable[str]] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.version = version
        self.render = render
        self.by_area = tuple(by_area)
        self.of_parts = {area: tuple(kpis) for area, kpis in (of_parts or {}).items()}
        self.of_courses = {area: tuple(kpis) for area, kpis in (of_courses or {}).items()}
        self.viewers: set[Viewer] = set()
        self.parts: dict[str, str] = {}  # component id -> its props as JSON
        self._written: dict[str, tuple[dict[str, Any], str]] = {}  # component id -> its newest props, and as JSON
        self.seq = 0
        self.now = ""
        self._whole = ""

    def update(self, seq: int, now: str, parts: dict[str, str], *, always: bool = False) -> None:
        """Take in a rendering; send every viewer the parts that changed, serialised once (`always`: also none)."""
        changed = {name: text for name, text in parts.items() if self.parts.get(name) != text}
        self.parts, self.seq, self.now, self._whole = parts, seq, now, ""
        if changed or always:
            message = _message(seq, self.version, now, changed, snapshot=False)
            for viewer in self.viewers:
                viewer.put(message)

    def draw(self, shown: Snapshot) -> dict[str, str]:
        """Return component id -> its props as JSON, for a snapshot; what is the very object of last time is not written again."""
        last, props = self._written, self.render(shown)
        written = self._written = {name: (value, last[name][1] if name in last and last[name][0] is value else _json(value)) for name, value in props.items()}
        return {name: text for name, (_, text) in written.items()}

    def whole(self) -> str:
        """Return the message that shows everything, serialised once per rendering."""
        if not self._whole:
            self._whole = _message(self.seq, self.version, self.now, self.parts, snapshot=True)
        return self._whole


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _message(seq: int, version: str, now: str, parts: dict[str, str], *, snapshot: bool) -> str:
    props = ",".join(f"{json.dumps(name)}:{text}" for name, text in parts.items())
    mark = '"snapshot":true,' if snapshot else ""
    return f'{{"seq":{seq},"v":{json.dumps(version)},"now":"{now}",{mark}"props":{{{props}}}}}'


def iso(at: datetime) -> str:
    """Return an instant as screens are sent it: UTC, milliseconds, Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class Hub:
    """Evaluates once for all screens. `start` begins its thread; `join` and `leave` are called on the event loop."""

    def __init__(
        self, config: Config, engine: Evaluator, kpis: Iterable[str], pool: ConnectionPool[psycopg.Connection[Any]], *, clock: Clock = system_clock,
        problem: Callable[[], str] = str, version: str = __version__, stills: Callable[[], dict[str, Still]] = dict,
    ) -> None:  # fmt: skip
        self._stills = stills
        self._config = config
        self._engine = engine
        self._kpis = list(kpis)
        self._pool = pool
        self._clock = clock
        self._zone = ZoneInfo(config.timezone)
        self._problem = problem  # what is wrong with the configuration as it stands
        self.version = version  # of program and configuration: a screen that shows another one loads itself anew
        self._views: dict[str, View] = {}  # replaced, never changed: two threads read it
        self._makers: list[Maker] = []
        self._made: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._render_lock = threading.Lock()
        self._turn = threading.RLock()  # one snapshot after the other
        self._answered_at = time.monotonic()  # when the database last did
        self._listener: psycopg.Connection[Any] | None = None
        self._server: Server | None = None
        self._points_at = 0.0
        self._points_dirty = True
        self._courses_at = 0.0
        self._courses_day: date | None = None
        self._history: dict[str, deque[tuple[float, int]]] = {}
        self._down = False
        now = clock()
        self.snapshot = Snapshot(seq=0, now=now, tiles={}, by_area={}, feeds=[], ticker=[], points=[], services={})

    def add_view(
        self, name: str, render: Render, by_area: Iterable[str] = (), of_parts: Mapping[str, Iterable[str]] | None = None,
        of_courses: Mapping[str, Iterable[str]] | None = None,
    ) -> None:  # fmt: skip
        """Register a page. `by_area`: the KPIs (KPI@PERIOD) whose value by commune its map or rankings show; `of_parts`:
        area (AREA@PERIOD) -> the KPIs of which it shows that tile; `of_courses`: area ("" the province) -> those whose past its charts draw."""
        self._views = self._views | {name: View(name, render, by_area, of_parts, self.version, of_courses)}

    def add_maker(self, make: Maker) -> None:
        """Register pages too many to hold, such as one of every area and period: each is made when somebody opens it."""
        self._makers.append(make)

    def find(self, name: str) -> View | None:
        """Return the page of this name, made now when a maker knows it; None for an unknown one. Called on the event loop."""
        if name not in self._views:
            for make in self._makers:
                if made := make(name):
                    self.add_view(name, *made)
                    self._made.add(name)
                    break
        return self._views.get(name)

    def looks_back(self, name: str) -> bool:
        """Can this page show earlier instants? The registered ones can; those made when asked for are of now."""
        return name in self._views and name not in self._made

    @property
    def views(self) -> dict[str, View]:
        return self._views

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen and evaluate; results are handed over on `loop`."""
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name="live-age", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    async def join(self, name: str) -> Viewer:
        """Add a viewer of the view and queue its first snapshot. Raise KeyError for an unknown view."""
        view = self.find(name)
        if view is None:
            raise KeyError(name)
        if not view.viewers:
            await asyncio.to_thread(self._render, view, self.snapshot)
        viewer = Viewer(view)
        view.viewers.add(viewer)
        viewer.put(view.whole())
        return viewer

    def leave(self, viewer: Viewer) -> None:
        view = viewer.view
        view.viewers.discard(viewer)
        if not view.viewers and view.name in self._made:
            self._made.discard(view.name)
            self._views = {name: other for name, other in self._views.items() if name != view.name}

    def watchers(self) -> int:
        """Return how many screens are open."""
        return sum(len(view.viewers) for view in self._views.values())

    def _run(self) -> None:
        """Wake at a NOTIFY, at a tick, or when time changes a number; evaluate; hand over."""
        changed: dict[str, list[str]] | None = None  # None: everything
        due: datetime | None = None
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                due = self._evaluate(changed, due)
                if self._down:
                    log.info("database is back; screens are live again")
                    self._down = False
                changed = self._listen(TICK_S)
            except (psycopg.Error, psycopg.errors.Error, OSError) as exc:
                if not self._down:
                    log.error("database away; screens show the age of what they have", reason=str(exc).splitlines()[0] if str(exc) else repr(exc))
                    self._down = True
                self._again()
                changed = None
            except Exception:
                log.exception("the values could not be brought up to date; screens show the age of what they have")
                self._again()
                changed = None
            spent = time.monotonic() - started
            if spent < self._config.web.push_interval_s:
                self._stop.wait(self._config.web.push_interval_s - spent)
        self._forget_listener()

    def _again(self) -> None:
        """Begin anew, in a moment."""
        self._forget_listener()
        self._stop.wait(TICK_S)

    def _watch(self) -> None:
        """Let what is shown grow old while the database refuses, or says nothing at all."""
        while not self._stop.wait(TICK_S):
            with self._turn:
                if time.monotonic() - self._answered_at > AWAY_S:
                    self._tick_without_database()

    def _evaluate(self, changed: dict[str, list[str]] | None, due: datetime | None) -> datetime | None:
        """Bring the snapshot up to date with `changed`; return when time alone will change a number next."""
        now = self._clock()
        old = self.snapshot
        timed = due is not None and (now >= due or now < old.now)  # a clock that was put back: nothing computed with it holds
        everything = changed is None or not old.tiles or timed
        kpis = set(self._kpis) if everything else self._engine.depends_on(changed or {}) & set(self._kpis)
        moved = everything or bool(changed)
        watched = [view for view in self._views.values() if view.viewers]
        with snapshot(self._pool) as reader:
            facts = status.feed_facts(reader.conn)
            feeds = self._feeds(facts, now)
            aged = {f.feed for f in feeds} - {f.feed for f in old.feeds if f in feeds} if old.feeds else set()
            states = {f.feed: f.state for f in feeds} != {f.feed: f.state for f in old.feeds}
            if states:
                kpis |= {k for k, tile in old.tiles.items() if aged & set(tile.source)}
            tiles = old.tiles | (self._engine.evaluate(reader, sorted(kpis), at=now) if kpis else {})
            wanted = {k for view in watched for k in view.by_area}
            areas = {k: old.by_area[k] if k in old.by_area and Asked.read(k).area not in kpis else values_by_area(self._engine, reader, k, now) for k in wanted}
            parts = self._parts(reader, watched, kpis, now)
            courses = self._courses(reader, watched, now)
            names = [feed.feed for feed in self._config.feeds]
            ticker = [TickerItem(**row) for row in status.ticker(reader, names, now)] if moved else old.ticker
            self._points_dirty |= moved
            places = self._points(reader, now) if self._points_dirty and time.monotonic() - self._points_at > POINTS_EVERY_S else old.points
            services = self._services(reader.conn, now)
            following = self._engine.next_change(reader, now) if moved or due is None else due
        with self._turn:
            self._answered_at = time.monotonic()
            self.snapshot = Snapshot(self.snapshot.seq + 1, now, tiles, areas, feeds, ticker, places, services, parts, courses, self._stills())
            self._show()
        return following

    def _parts(self, reader: Reader, watched: list[View], changed: set[str], now: datetime) -> dict[str, dict[str, Tile]]:
        """Return the tiles of the areas that somebody watches; only those that may have changed are evaluated."""
        wanted: dict[str, set[str]] = {}
        for view in watched:
            for area, kpis in view.of_parts.items():
                wanted.setdefault(area, set()).update(kpis)
        found = {}
        for area, of_area in wanted.items():
            had = self.snapshot.parts.get(area, {})
            asked = sorted(kpi for kpi in of_area if kpi in changed or kpi not in had)
            found[area] = had | (tiles_of(self._engine, reader, area, asked, now) if asked else {})
        return found

    def _courses(self, reader: Reader, watched: list[View], now: datetime) -> dict[str, dict[str, History]]:
        """Return the pasts that somebody watches; looked at anew each minute, and when the day changes."""
        wanted: dict[str, set[str]] = {}
        for view in watched:
            for area, kpis in view.of_courses.items():
                wanted.setdefault(area, set()).update(kpis)
        today = local_day(now, self._zone)
        old = self.snapshot.courses
        if time.monotonic() - self._courses_at > COURSE_EVERY_S or today != self._courses_day:
            self._courses_at, self._courses_day, old = time.monotonic(), today, {}
        found = {}
        for area, of_area in wanted.items():
            had = old.get(area, {})
            asked = sorted(of_area - had.keys())
            found[area] = had | (self._engine.history(reader, asked, area=area or None, at=now) if asked else {})
        return found

    def _tick_without_database(self) -> None:
        """Feeds grow old even when we cannot ask."""
        now = self._clock()
        aged = [
            msgspec.structs.replace(f, state=freshness.state(now, f.cadence_s, f.checked_at, f.received_at)) for f in self.snapshot.feeds
        ]
        by_feed = {f.feed: f.state for f in aged}
        tiles = {kpi: _aged(tile, by_feed) for kpi, tile in self.snapshot.tiles.items()}
        parts = {area: {kpi: _aged(tile, by_feed) for kpi, tile in had.items()} for area, had in self.snapshot.parts.items()}
        old = self.snapshot.services
        away = old | {"database": {**old.get("database", {}), "reachable": False}}
        self.snapshot = msgspec.structs.replace(self.snapshot, seq=self.snapshot.seq + 1, now=now, feeds=aged, tiles=tiles, services=away, parts=parts, stills=self._stills())
        self._show()

    def _show(self) -> None:
        """Render what somebody is watching."""
        for view in self._views.values():
            if view.viewers:
                self._render(view, self.snapshot)

    def _render(self, view: View, shown: Snapshot) -> None:
        """Render one view and hand the parts to the event loop (called from the hub's thread or a worker)."""
        with self._render_lock:
            if view.seq >= shown.seq > 0 and view.parts:
                return
            try:
                parts = view.draw(shown)
            except Exception:
                log.exception("a screen could not be drawn; it keeps what it has", view=view.name)
                return
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        done = threading.Event()

        def hand_over() -> None:
            view.update(shown.seq, iso(shown.now), parts)
            done.set()

        loop.call_soon_threadsafe(hand_over)
        if not view.viewers:
            done.wait(5)

    def _feeds(self, facts: dict[str, status.FeedFacts], now: datetime) -> list[FeedView]:
        return feed_views(self._config, facts, now, self._rate)

    def _rate(self, feed: str, events: int) -> float:
        """Return events a second over the last minute."""
        seen = self._history.setdefault(feed, deque())
        at = time.monotonic()
        if not seen or at - seen[-1][0] >= 1:
            seen.append((at, events))
        while len(seen) > 2 and at - seen[0][0] > RATE_WINDOW_S:
            seen.popleft()
        (t0, n0), (t1, n1) = seen[0], (at, events)
        return round(max(0, n1 - n0) / (t1 - t0), 2) if t1 - t0 >= 1 else 0.0

    def _points(self, reader: Reader, now: datetime) -> list[Point]:
        self._points_at, self._points_dirty = time.monotonic(), False
        old, new = self.snapshot.points, points(reader, now)
        return old if new == old else new  # the same list: nothing is drawn anew

    def _services(self, conn: psycopg.Connection[Any], now: datetime) -> dict[str, Any]:
        """Return database, broker and our own processes as /healthz and the operations page show them."""
        if self._server is None:
            self._server = server(conn)
        rows = status.services(conn, now)
        processes = [{"name": row["name"], "instance": row["instance"], "seen_at": iso(row["seen_at"]), "started_at": iso(row["started_at"])} for row in rows]
        return {
            "database": {"server": self._server.server, "timescaledb": self._server.timescaledb, "edition": self._server.edition, "reachable": True},
            "broker": {"kind": self._config.broker.kind, "bootstrap": self._config.broker.bootstrap},
            "processes": processes,
        } | ({"configuration": {"problem": problem}} if (problem := self._problem()) else {}) | ({"failed_jobs": failed} if (failed := failed_jobs(rows)) else {})

    def _listen(self, timeout_s: float) -> dict[str, list[str]]:
        """Return what changed (feed -> kinds and metrics) within `timeout_s`; returns at the first notice."""
        if self._listener is None:
            self._listener = psycopg.connect(self._config.database.dsn, autocommit=True, application_name="ioc-live", **VIGILANT)
            self._listener.execute(f"LISTEN {CHANNEL}")
            return {feed.feed: [] for feed in self._config.feeds}  # whatever came before we listened
        changed: dict[str, set[str]] = {}
        for notice in self._listener.notifies(timeout=timeout_s, stop_after=1):
            _merge(changed, notice.payload)
        for notice in self._listener.notifies(timeout=0):
            _merge(changed, notice.payload)
        return {feed: sorted(what) for feed, what in changed.items()}

    def _forget_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


def failed_jobs(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the scheduled jobs whose last run failed, and when (ioc/jobs.py); why stands in their log, not on a page everybody may see."""
    found = []
    for row in rows:
        for job, outcome in (row["info"] or {}).get("outcomes", {}).items():
            at, _, said = outcome.partition(" ")
            if said.startswith("failed"):
                found.append({"job": job, "at": at})
    return found


def feed_views(config: Config, facts: Mapping[str, status.FeedFacts], now: datetime, rate: Callable[[str, int], float]) -> list[FeedView]:
    """Return every feed in use as the screens show it; `rate`: (feed, events) -> events a second."""
    views = []
    for feed in config.feeds:
        if not feed.enabled:
            continue
        f = facts.get(feed.feed, status.FeedFacts(feed.feed))
        views.append(
            FeedView(
                feed=feed.feed,
                connector=feed.connector,
                title=Words(feed.title.vi, feed.title.en),
                state=freshness.state(now, feed.cadence_s, f.checked_at, f.received_at),
                cadence_s=feed.cadence_s,
                as_of=f.as_of,
                received_at=f.received_at,
                checked_at=f.checked_at,
                events=f.events,
                duplicates=f.duplicates,
                dead_letters=f.dead_letters,
                lag=f.lag,
                rate=rate(feed.feed, f.events),
                last_error=f.last_error,
                last_cause=f.last_cause,
                change=f.shape_change if f.shape_changed_at is not None and now - f.shape_changed_at < status.DOUBT_WINDOW else "",
            )
        )
    return views


def tiles_of(engine: Evaluator, reader: Reader, part: str, kpis: Iterable[str], now: datetime) -> dict[str, Tile]:
    """Return the tiles of a part: AREA, AREA@PERIOD or @PERIOD (see `Asked`)."""
    asked = Asked.read(part)
    period, days = period_of(asked.period)
    return engine.evaluate(reader, kpis, area=asked.area or None, at=now, days=days, period=period)


def values_by_area(engine: Evaluator, reader: Reader, name: str, now: datetime) -> dict[str, float | None]:
    """Return a KPI's (KPI@PERIOD~GEOGRAPHY's) value for every commune, or unit of that geography."""
    kpi, written, geography = Asked.read(name)
    period, days = period_of(written)
    return engine.by_area(reader, kpi, now, days=days, period=period, geography=geography_of(geography))


def points(reader: Reader, now: datetime) -> list[Point]:
    """Return what the map draws: open cases and assets with a place."""
    return [Point("incident", *row) for row in status.open_cases(reader, now)] + [Point("asset", *row) for row in status.assets(reader)]


def _aged(tile: Tile, states: Mapping[str, Freshness]) -> Tile:
    """Return the tile with the freshness its feeds have by now."""
    own = {feed: states.get(feed, "never") for feed in tile.source}
    quality = msgspec.structs.replace(tile.quality, state=freshness.worst(own.values()), missing_sources=freshness.missing(own))
    return msgspec.structs.replace(tile, quality=quality)


def _merge(changed: dict[str, set[str]], payload: str) -> None:
    try:
        notice = json.loads(payload)
    except json.JSONDecodeError:  # cut at the size limit: every feed may have changed
        notice = {}
    for feed, what in notice.items():
        moved = set(what) - {"checked", "dead_letter"}
        if moved:
            changed.setdefault(feed, set()).update(moved)


async def pump(viewer: Viewer, send: Callable[[str], Any], clock: Clock = system_clock) -> None:
    """Send a viewer its messages, and a heartbeat when there is none for 2 s, until cancelled."""
    while True:
        try:
            message = await asyncio.wait_for(viewer.queue.get(), HEARTBEAT_S)
        except TimeoutError:
            message = f'{{"hb":1,"now":"{iso(clock())}"}}'
        await send(message)


__all__ = [
    "Evaluator", "FeedView", "Hub", "Made", "Maker", "Point", "Props", "Render", "Snapshot", "TickerItem", "View", "Viewer",
    "feed_views", "iso", "points", "pump", "tiles_of", "values_by_area",
]  # fmt: skip
