"""`ioc doctor`: configuration, database, schema, broker, feeds, processes, one finding each."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from ioc.bus import Publisher
from ioc.clock import system_clock
from ioc.config import Config
from ioc.errors import Unavailable, UserError
from ioc.health import Health
from ioc.kpi import catalogue
from ioc.store.migrate import digest, migrations, server
from ioc.store.pool import open_pool

NEEDED = ("connect", "ingest", "jobs", "web")


@dataclass(frozen=True)
class Finding:
    """One check and what came out of it."""

    check: str
    ok: bool
    said: str


def examine(config: Config) -> list[Finding]:
    """Check one thing after the other; what needs the database is left out when it is away."""
    findings = [Finding("configuration", True, f"{config.province.name.vi}, {len(config.feeds)} feeds"), _catalogue(config)]
    database = _database(config)
    findings += database
    findings.append(_broker(config))
    if all(finding.ok for finding in database):
        findings += _report(config)
    return findings


def _catalogue(config: Config) -> Finding:
    try:
        return Finding("catalogue", True, f"{len(catalogue.in_use(catalogue.load(config.kpis.catalogue), config))} KPIs in use")
    except UserError as exc:
        return Finding("catalogue", False, str(exc))


def _database(config: Config) -> list[Finding]:
    try:
        with psycopg.connect(config.database.dsn, connect_timeout=5) as conn:
            found = server(conn)
            extension = f"TimescaleDB {found.timescaledb} ({found.edition})" if found.timescaledb else "no TimescaleDB"
            findings = [Finding("database", True, f"PostgreSQL {found.server}, {extension}")]
            applied: dict[int, str] = dict(conn.execute("SELECT number, digest FROM schema_migration").fetchall())
            missing = [f"{n:04d}_{name}" for n, name, body in migrations() if applied.get(n) != digest(body)]
            said = f"run `ioc migrate`: {', '.join(missing)}" if missing else f"{len(applied)} migrations"
            return [*findings, Finding("schema", not missing, said)]
    except psycopg.errors.UndefinedTable:
        return [Finding("schema", False, "no table of ours; run `ioc migrate`")]
    except psycopg.OperationalError as exc:
        return [Finding("database", False, str(exc).strip().splitlines()[0])]


def _broker(config: Config) -> Finding:
    publisher = Publisher(config.broker)
    try:
        publisher.topics.ids([])
        publisher.ensure_topics([feed.feed for feed in config.feeds])
        note = " (embedded: memory only, for trying out)" if config.broker.kind == "embedded" else ""
        return Finding("broker", True, f"{config.broker.bootstrap}{note}")
    except Unavailable as exc:
        return Finding("broker", False, str(exc))
    finally:
        publisher.close()


def _report(config: Config) -> list[Finding]:
    pool, publisher = open_pool(config, max_size=1), Publisher(config.broker)
    try:
        report = Health(config, pool, publisher, system_clock).report()
    finally:
        pool.close()
        publisher.close()
    running = {process["name"] for process in report["processes"]}
    findings = [Finding(f"process {name}", name in running, "running" if name in running else "not seen in the last 30 s") for name in NEEDED]
    for feed in report["feeds"]:
        said = f"{feed['state']}, {feed['events']} events, {feed['dead_letters']} dead letters"
        findings.append(Finding(f"feed {feed['feed']}", feed["state"] in ("live", "late"), said + (f"; {feed['last_error']}" if feed["last_error"] else "")))
    return findings
