"""The wall as it was: one frame at a time for a screen that looks back, by the same evaluation and the same drawing as live.

A screen opens `/live?view=...&at=...` and sends a wish whenever it is ready for the next frame (JSON text)::

    {"at": "2026-11-20T07:00:00Z", "known": "then"}     then: as it looked then; now: as known now of then

Each is answered once, unless a newer one came meanwhile, by a message of the live link whose `now` is the instant shown,
or by `{"problem": {"kind": ..., "since": ...}}`:

    bad_time  the wish cannot be read             not_kept  raw events begin at `since`
    ahead     the instant is not over             busy      as many screens look back as may
    away      the database does not answer        slow      one frame took longer than `SLOWEST_MS`

So that the live wall never suffers: one frame is worked on at a time, on one connection, at most half of the time; a wish
nobody waits for any longer is broken off in the database, too; frames are kept for whoever asks for the same again.
"""

from __future__ import annotations

import asyncio
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec
import psycopg
import structlog
from msgspec import Struct
from psycopg_pool import ConnectionPool, PoolTimeout

from ioc.clock import Clock, system_clock
from ioc.config import Config
from ioc.kpi.engine import Engine
from ioc.live import Snapshot, TickerItem, View, Viewer, feed_views, iso, points, tiles_of, values_by_area
from ioc.store import status
from ioc.store.reader import Reader, snapshot

log = structlog.get_logger(__name__)

Known: TypeAlias = Literal["then", "now"]
Kind: TypeAlias = Literal["bad_time", "ahead", "not_kept", "busy", "away", "slow"]
Parts: TypeAlias = dict[str, str]  # component id -> its props as JSON

SEAT_S = 60.0  # a screen that has not asked for so long gives its place to another
SLOWEST_MS = 30_000
LONGEST_REST_S = 5.0
FRAMES = 240  # kept; compressed, some 20 KB each
KNOWN_NOW_S = 60.0  # what is known now may be this old
SETTLED = timedelta(minutes=1)  # what was so longer ago has arrived, and will be told the same again
CLOCKS_DIFFER = timedelta(minutes=1)  # a screen's "now" may be a little later than ours
_LONGEST_WISH = 200  # characters


class Wish(Struct, frozen=True):
    at: datetime
    known: Known = "then"


class Problem(Exception):
    """Why there is no frame. `since`: the earliest instant that is kept."""

    def __init__(self, kind: Kind, since: datetime | None = None) -> None:
        super().__init__(kind)
        self.kind, self.since = kind, since

    def message(self) -> str:
        found: dict[str, str] = {"kind": self.kind} | ({"since": iso(self.since)} if self.since else {})
        return msgspec.json.encode({"problem": found}).decode()


class Given(Exception):
    """Nobody waits for this frame any longer."""


class Job:
    """One frame in the making, which may be broken off from another thread."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._conn: psycopg.Connection[Any] | None = None

    def check(self) -> None:
        """Raise `Given` when nobody waits any longer."""
        if self._over.is_set():
            raise Given

    def wait(self, seconds: float) -> None:
        self._over.wait(seconds)
        self.check()

    @contextmanager
    def on(self, conn: psycopg.Connection[Any]) -> Iterator[None]:
        """Let `give_up` end what runs on this connection, until the block ends."""
        with self._lock:
            self.check()
            self._conn = conn
        try:
            yield
        finally:
            with self._lock:  # a connection that went back to the pool is somebody else's
                self._conn = None

    def give_up(self) -> None:
        self._over.set()
        with self._lock:
            if self._conn is not None:
                self._conn.cancel_safe(timeout=5)


Look: TypeAlias = Callable[[View, datetime, Known, Job], Snapshot]


class Past:
    """Evaluates what a view shows, for an earlier instant."""

    def __init__(self, config: Config, engine: Engine, pool: ConnectionPool[psycopg.Connection[Any]]) -> None:
        self._config, self._engine, self._pool = config, engine, pool

    def __call__(self, view: View, at: datetime, known: Known, job: Job) -> Snapshot:
        """Return what was so at `at`; raise `Problem`, or `Given` when the job was given up."""
        try:
            with snapshot(self._pool) as reader, job.on(reader.conn):
                reader.conn.execute(f"SET LOCAL statement_timeout = {SLOWEST_MS}")
                return self._look(reader, view, at, known, job)
        except psycopg.errors.QueryCanceled as exc:
            job.check()
            raise Problem("slow") from exc
        except (psycopg.Error, PoolTimeout, OSError) as exc:
            job.check()
            raise Problem("away") from exc

    def _look(self, reader: Reader, view: View, at: datetime, known: Known, job: Job) -> Snapshot:
        engine = self._engine
        with engine.source(reader, at, at if known == "then" else None, seen=True) as then:
            job.check()
            tiles = engine.evaluate(then, at=at)
            areas = {}
            for kpi in view.by_area:
                job.check()
                areas[kpi] = values_by_area(engine, then, kpi, at)
            parts = {part: tiles_of(engine, then, part, kpis, at) for part, kpis in view.of_parts.items()}
            job.check()
            courses = {area: engine.history(then, kpis, area=area or None, at=at) for area, kpis in view.of_courses.items()}
            job.check()
            facts = {
                feed: status.FeedFacts(feed, as_of=times.as_of, received_at=times.received_at, checked_at=times.checked_at)
                for feed, times in then.feeds().items()
            }
            ticker = [TickerItem(**row) for row in status.ticker(then, sorted(engine.cadence_s), at)]
            job.check()
            return Snapshot(0, at, tiles, areas, feed_views(self._config, facts, at, lambda *_: 0.0), ticker, points(then, at), {}, parts, courses)


class Playback:
    """The screens that look back, and the frames they were shown. Used on the event loop."""

    def __init__(self, look: Look, kept_since: Callable[[datetime], datetime], most: int, clock: Clock = system_clock) -> None:
        self._look = look
        self._kept_since = kept_since
        self._most = most
        self._clock = clock
        self._seats: dict[Player, float] = {}  # when each asked last, monotonic
        self._frames: OrderedDict[tuple[str, datetime, Known], tuple[float, bytes]] = OrderedDict()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="playback")
        self._rest_until = 0.0
        self.evaluations = 0

    def join(self, view: View) -> Player:
        """Return a player of the view; it takes a seat when it first asks."""
        return Player(self, View(view.name, view.render, view.by_area, view.of_parts, view.version, view.of_courses))

    def leave(self, player: Player) -> None:
        """Break off what the player waits for, and free its seat."""
        player.give_up()
        self._seats.pop(player, None)

    def stop(self) -> None:
        for player in list(self._seats):
            self.leave(player)
        self._worker.shutdown(wait=False, cancel_futures=True)

    def check(self, player: Player, text: str) -> Wish:
        """Return the wish in `text` of a player with a seat; raise `Problem` for one that cannot be fulfilled."""
        try:
            wish = msgspec.json.decode(text if len(text) <= _LONGEST_WISH else "", type=Wish)
            at = wish.at.astimezone(UTC).replace(microsecond=0)
        except (msgspec.MsgspecError, ValueError, OverflowError) as exc:
            raise Problem("bad_time") from exc
        if wish.at.tzinfo is None:
            raise Problem("bad_time")
        now = self._clock()
        if at > now + CLOCKS_DIFFER:
            raise Problem("ahead")
        at = min(at, now)
        if at < (since := self._kept_since(now)):
            raise Problem("not_kept", since)
        self._sit(player)
        return Wish(at, wish.known)

    def _sit(self, player: Player) -> None:
        asked = time.monotonic()
        self._seats = {other: at for other, at in self._seats.items() if asked - at < SEAT_S}
        if player not in self._seats and len(self._seats) >= self._most:
            raise Problem("busy")
        self._seats[player] = asked

    async def frame(self, view: View, wish: Wish, job: Job) -> Parts:
        """Return the view as it was; from what is kept where the same was asked before."""
        if (kept := self._kept(view, wish)) is not None:
            return kept
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._make, view, wish, job)

    def _kept(self, view: View, wish: Wish) -> Parts | None:
        made_at, packed = self._frames.get((view.name, wish.at, wish.known), (0.0, b""))
        if not packed or (wish.known == "now" and time.monotonic() - made_at > KNOWN_NOW_S):
            return None
        return msgspec.json.decode(zlib.decompress(packed), type=Parts)

    def _make(self, view: View, wish: Wish, job: Job) -> Parts:
        if (kept := self._kept(view, wish)) is not None:  # made for another screen while this one waited
            return kept
        job.wait(max(0.0, self._rest_until - time.monotonic()))
        began = time.monotonic()
        try:
            parts = view.draw(self._look(view, wish.at, wish.known, job))
        finally:
            spent = time.monotonic() - began
            self._rest_until = began + spent + min(spent, LONGEST_REST_S)
            self.evaluations += 1
        if wish.at < self._clock() - SETTLED:
            self._frames[(view.name, wish.at, wish.known)] = (began, zlib.compress(msgspec.json.encode(parts), 1))
            while len(self._frames) > FRAMES:
                self._frames.popitem(last=False)
        return parts


class Player:
    """One screen that looks back: a view of its own, its one viewer, and the frame it waits for."""

    def __init__(self, playback: Playback, view: View) -> None:
        self._playback = playback
        self._view = view
        self._job: Job | None = None
        self._task: asyncio.Task[None] | None = None
        self.viewer = Viewer(view)
        view.viewers.add(self.viewer)

    def ask(self, text: str) -> None:
        """Take a wish; an older one that is not yet fulfilled is broken off."""
        self.give_up()
        try:
            wish = self._playback.check(self, text)
        except Problem as problem:
            self.viewer.put(problem.message())
            return
        self._job = Job()
        self._task = asyncio.create_task(self._answer(wish, self._job))

    def give_up(self) -> None:
        job, self._job = self._job, None
        if job is not None and self._task is not None and not self._task.done():
            self._task.cancel()
            asyncio.get_running_loop().run_in_executor(None, job.give_up)  # speaks to the database

    async def _answer(self, wish: Wish, job: Job) -> None:
        try:
            parts = await self._playback.frame(self._view, wish, job)
        except Given:
            return
        except Problem as problem:
            self.viewer.put(problem.message())
            return
        except Exception:
            log.exception("a frame of the past could not be drawn", view=self._view.name, at=iso(wish.at))
            self.viewer.put(Problem("away").message())
            return
        self._view.update(self._view.seq + 1, iso(wish.at), parts, always=True)


__all__ = ["Job", "Known", "Past", "Playback", "Player", "Problem", "Wish"]
