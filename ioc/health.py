"""One report of how the system is: for /healthz, /metrics and `ioc doctor`."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import Any

import psycopg
import structlog
from psycopg_pool import ConnectionPool, PoolTimeout

from ioc import __version__
from ioc.bus import DEAD_LETTERS, Publisher, topic_of
from ioc.clock import Clock
from ioc.config import Config
from ioc.errors import Unavailable
from ioc.kpi import freshness
from ioc.store import status
from ioc.store.migrate import Server, server

log = structlog.get_logger(__name__)

BROKER_CACHE_S = 5.0  # a broker that is away takes long to say nothing


class Health:
    """Asks database and broker; remembers the broker's answer for a few seconds. Thread-safe."""

    def __init__(self, config: Config, pool: ConnectionPool[psycopg.Connection[Any]], publisher: Publisher, clock: Clock) -> None:
        self._config, self._pool, self._publisher, self._clock = config, pool, publisher, clock
        self._lock = threading.Lock()
        self._broker: tuple[float, bool] = (0.0, False)
        self._known: Server | None = None

    def broker_reachable(self) -> bool:
        """Return whether the broker answered within the last few seconds."""
        with self._lock:
            at, reachable = self._broker
            if at and time.monotonic() - at < BROKER_CACHE_S:
                return reachable
            try:
                self._publisher.topics.ids([topic_of(self._config.broker, DEAD_LETTERS)])
                reachable = True
            except Unavailable:
                reachable = False
            self._broker = (time.monotonic(), reachable)
            return reachable

    def report(self) -> dict[str, Any]:
        """Return the body of /healthz. "down": nothing can be shown anew; "degraded": something is missing or old."""
        now = self._clock()
        facts: dict[str, status.FeedFacts] = {}
        processes: list[dict[str, Any]] = []
        database = True
        try:
            with self._pool.connection(timeout=2) as conn:
                facts = status.feed_facts(conn)
                processes = status.services(conn, now)
                self._known = self._known or server(conn)
        except (psycopg.Error, PoolTimeout) as exc:
            log.debug("database away", reason=str(exc))
            database = False
        broker = self.broker_reachable()
        feeds = [self._feed(name, facts.get(name, status.FeedFacts(name)), now) for name in self._feeds()]
        good = broker and all(feed["state"] in ("live", "late") for feed in feeds)
        known = self._known or Server("", None, "none")
        return {
            "status": "down" if not database else "ok" if good else "degraded",
            "version": __version__,
            "now": now,
            "database": {"server": known.server, "timescaledb": known.timescaledb, "edition": known.edition, "reachable": database},
            "broker": {"kind": self._config.broker.kind, "reachable": broker},
            "feeds": feeds,
            "processes": [{"name": p["name"], "instance": p["instance"], "seen_at": p["seen_at"]} for p in processes],
        }

    def _feeds(self) -> list[str]:
        return [feed.feed for feed in self._config.feeds if feed.enabled]

    def _feed(self, name: str, facts: status.FeedFacts, now: datetime) -> dict[str, Any]:
        feed = self._config.feed(name)
        return {
            "feed": name,
            "connector": feed.connector,
            "state": freshness.state(now, feed.cadence_s, facts.checked_at, facts.received_at),
            "as_of": facts.as_of,
            "received_at": facts.received_at,
            "checked_at": facts.checked_at,
            "events": facts.events,
            "duplicates": facts.duplicates,
            "dead_letters": facts.dead_letters,
            "lag": facts.lag,
            "polls": facts.polls,
            "errors": facts.errors,
            "last_error": facts.last_error,
            "last_cause": facts.last_cause,
            "records": facts.records,
            "bytes_read": facts.bytes_read,
            "doubtful": facts.doubtful,
            "errors_by_type": facts.errors_by_type,
            "shape_changes": facts.shape_changes,
            "shape_change": facts.shape_change,
        }
