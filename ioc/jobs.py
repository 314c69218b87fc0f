"""What must happen by the clock: dropping what is past its retention, housekeeping, the nightly audit, the ledger of
published values, the morning brief.

Where the database has TimescaleDB's own policies (community edition) they do the dropping of whole chunks; per-feed
retention, and everything on the other editions, is done here.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from psycopg_pool import ConnectionPool, PoolTimeout

from ioc import areas, reload, rights
from ioc.accounts import sessions
from ioc.clock import Clock, system_clock
from ioc.config import Config, path_of
from ioc.entry.entries import publish_now
from ioc.errors import Unavailable, UserError
from ioc.kpi import catalogue
from ioc.kpi.audit import audit
from ioc.kpi.desk import Desk
from ioc.kpi.engine import Engine
from ioc.kpi.ledger import keep
from ioc.mail import Letter
from ioc.morning import Compose, Morning
from ioc.store import auditlog
from ioc.store.migrate import server
from ioc.store.pool import open_pool
from ioc.store.services import Beat

log = structlog.get_logger(__name__)

DELETE_ROWS = 50_000  # in one transaction, so that ingest never waits long
DEAD_LETTER_DAYS = 180
SERVICE_DAYS = 7
BEAT_S = 5.0


def retain(conn: psycopg.Connection[Any], config: Config, now: datetime) -> int:
    """Drop raw events past their feed's retention; return how many rows went. Rollups and states stay."""
    conn.autocommit = True
    dropped = 0
    longest = max((feed.retention_days for feed in config.feeds), default=1095)
    if server(conn).edition == "apache":  # the community edition has a policy for this
        conn.execute("SELECT drop_chunks('event', older_than => %s::timestamptz)", (now - timedelta(days=longest),))
    conn.execute("DELETE FROM feed_alive WHERE until < %s", (now - timedelta(days=longest),))
    for feed in config.feeds:
        before = now - timedelta(days=feed.retention_days)
        while True:
            rows = conn.execute(
                "DELETE FROM event WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM event WHERE feed = %s AND time < %s LIMIT %s)",
                (feed.feed, before, DELETE_ROWS),
            ).rowcount
            dropped += rows
            if rows < DELETE_ROWS:
                break
    return dropped


def tidy(conn: psycopg.Connection[Any], now: datetime) -> None:
    """Forget processes that are long gone and dead letters nobody looked at for half a year."""
    conn.autocommit = True
    conn.execute("DELETE FROM service WHERE seen_at < %s", (now - timedelta(days=SERVICE_DAYS),))
    conn.execute("DELETE FROM dead_letter WHERE last_at < %s", (now - timedelta(days=DEAD_LETTER_DAYS),))


class Jobs:
    """The scheduled jobs of one province, and their last outcome."""

    def __init__(
        self, config: Config, pool: ConnectionPool[psycopg.Connection[Any]], clock: Clock = system_clock, compose: Compose | None = None
    ) -> None:
        """`compose`: writes the morning brief; without it, or without `brief` in the configuration, none is sent."""
        self._config, self._pool, self._clock, self._compose = config, pool, clock, compose
        self._morning = Morning(config, config.brief, self._brief) if config.brief and compose else None
        self.outcomes: dict[str, str] = {}

    def run(self, name: str, work: Callable[[psycopg.Connection[Any]], str], *, often: bool = False) -> None:
        """Run one job; its failure is logged and shown, and the next run is not affected. `often`: a run that went well is not worth a line."""
        try:
            with self._pool.connection(timeout=10) as conn:
                outcome = work(conn)
            (log.debug if often else log.info)("job done", job=name, outcome=outcome)
        except (psycopg.Error, PoolTimeout, Unavailable, UserError) as exc:
            outcome = f"failed: {exc}"
            log.error("job failed", job=name, reason=str(exc))
        self.outcomes[name] = f"{self._clock().isoformat(timespec='seconds')} {outcome}"

    def retention(self) -> None:
        """Drop what is past its retention."""
        self.run("retention", lambda conn: f"{retain(conn, self._config, self._clock())} events dropped")

    def housekeeping(self) -> None:
        """Forget what nobody needs."""

        def work(conn: psycopg.Connection[Any]) -> str:
            tidy(conn, self._clock())
            sessions.tidy(conn, self._clock(), self._config.web)
            return "tidy"

        self.run("housekeeping", work)

    def nightly_audit(self) -> None:
        """Recompute every rollup from raw events; a difference is logged as an error."""

        def work(conn: psycopg.Connection[Any]) -> str:
            units = areas.load(self._config.province.code)
            report = audit(conn, Engine(catalogue.load(self._config.kpis.catalogue), self._config, units, self._clock))
            if report.differences:
                log.error("the audit found differences", differences=report.difference, first=str(report.differences[0]))
            return str(report)

        self.run("audit", work)

    def audit_log(self) -> None:
        """Follow the audit log's chain; its head stands in our own log from then on, out of the database's reach."""

        def work(conn: psycopg.Connection[Any]) -> str:
            verdict = auditlog.verify(conn)
            if verdict.problems:
                log.error("the audit log was changed", first=verdict.problems[0]["problem"], problems=len(verdict.problems))
            return f"{verdict.rows} rows, {len(verdict.problems)} problems, head {verdict.head}"

        self.run("audit_log", work)

    def configuration(self) -> None:
        """Write down which configuration is in force, once for each."""
        self.run("configuration", lambda conn: tell_configuration(conn, self._config, self._clock()))

    def entries(self) -> None:
        """Publish approved figures that could not be sent when they were approved."""

        def work(conn: psycopg.Connection[Any]) -> str:
            return f"{publish_now(conn, self._config, self._clock())} entries published"

        self.run("entries", work, often=True)

    def ledger(self) -> None:
        """Publish the values of periods that are over; restate those that changed."""

        def work(conn: psycopg.Connection[Any]) -> str:
            units = areas.load(self._config.province.code)
            return str(keep(conn, Engine(catalogue.load(self._config.kpis.catalogue), self._config, units, self._clock), self._clock()))

        self.run("ledger", work)

    def brief(self) -> None:
        """Send the morning brief when it is due."""
        morning, now = self._morning, self._clock()
        if morning is not None and morning.due(now):
            self.run("brief", lambda conn: morning.send(conn, now))

    def _brief(self) -> Letter:
        assert self._compose is not None
        units, kpis = areas.load(self._config.province.code), catalogue.load(self._config.kpis.catalogue)
        return self._compose(self._config, units, kpis, Desk(Engine(kpis, self._config, units, self._clock), self._pool))

    def schedule(self) -> BackgroundScheduler:
        """Return the scheduler, not yet started. Each job runs once for each due time, late rather than never."""
        scheduler = BackgroundScheduler(
            timezone=self._config.timezone, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 6 * 3600}
        )
        for name, work, hour, minute in (
            ("ledger", self.ledger, "*", 7),
            ("retention", self.retention, 2, 15),
            ("housekeeping", self.housekeeping, 2, 45),
            ("audit", self.nightly_audit, 3, 0),
            ("audit_log", self.audit_log, 3, 30),
        ):
            scheduler.add_job(work, CronTrigger(hour=hour, minute=minute, timezone=self._config.timezone), id=name)
        scheduler.add_job(self.entries, IntervalTrigger(minutes=1), id="entries")
        if self._morning is not None:  # looked at each minute: also one that was down at its hour sends it
            scheduler.add_job(self.brief, IntervalTrigger(minutes=1), id="brief", next_run_time=self._clock())
        scheduler.add_job(self.configuration, IntervalTrigger(minutes=10), id="configuration", next_run_time=self._clock())
        return scheduler


def tell_configuration(conn: psycopg.Connection[Any], config: Config, now: datetime) -> str:
    """Write into the audit log that another configuration is in force, once for each; return its mark."""
    mark = reload.stamp(config)
    with conn.transaction():
        told = auditlog.entries(conn, limit=1, action="configuration")
        if not told or told[0]["detail"].get("mark") != mark:
            feeds = [feed.feed for feed in config.feeds if feed.enabled]
            detail = {"mark": mark, "public": config.web.public, "feeds": len(feeds), "targets": len(config.kpis.targets)}
            auditlog.audit(conn, "configuration", str(path_of()), detail, who=rights.SYSTEM, at=now)
    return mark


def run(config: Config, stop: threading.Event, clock: Clock = system_clock, compose: Compose | None = None) -> None:
    """Run the jobs until `stop` is set. `compose`: as in `Jobs`."""
    pool = open_pool(config, max_size=3)  # a job, another one beside it, and what the brief asks
    jobs = Jobs(config, pool, clock, compose)
    beat = Beat(config.database.dsn, "jobs", f"{socket.gethostname()}:{os.getpid()}", clock)
    scheduler = jobs.schedule()
    scheduler.start()
    try:
        while not stop.is_set():
            beat(BEAT_S, {"outcomes": jobs.outcomes})
            stop.wait(BEAT_S)
    finally:
        scheduler.shutdown(wait=True)
        beat.close()
        pool.close()
