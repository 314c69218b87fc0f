"""Bring a database to the schema this version needs, whatever the server can do.

Numbered files in sql/migrations/ run once each, in order, recorded with their text; a shipped file is frozen (a
changed text is refused). What depends on the server (hypertables, columnstore, policies) is brought about afterwards
and is re-checked at every run, so a database that gains TimescaleDB later gains hypertables with the next `ioc migrate`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import psycopg
import structlog
from psycopg import sql

from ioc.errors import UserError

log = structlog.get_logger(__name__)

Edition: TypeAlias = Literal["community", "apache", "none"]
_LOCK = 0x494F43  # advisory lock: one migration at a time
CHUNK = "7 days"


@dataclass(frozen=True)
class Server:
    """What the database is: server version, TimescaleDB version (None without) and its edition."""

    server: str
    timescaledb: str | None
    edition: Edition


def server(conn: psycopg.Connection[Any]) -> Server:
    """Ask the database what it is."""
    version = conn.execute("SHOW server_version").fetchone()
    extension = conn.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
    assert version is not None
    if extension is None:
        return Server(version[0], None, "none")
    licence = conn.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return Server(version[0], extension[0], "community" if licence and licence[0] == "timescale" else "apache")


def migrations() -> list[tuple[int, str, str]]:
    """Return (number, name, text) of the migrations, in order."""
    folder = files("ioc.store") / "sql" / "migrations"
    found = []
    for entry in folder.iterdir():
        number, _, rest = entry.name.partition("_")
        if entry.name.endswith(".sql"):
            found.append((int(number), rest.removesuffix(".sql"), entry.read_text(encoding="utf-8")))
    return sorted(found)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def migrate(dsn: str, *, late_window_days: int = 60, retention_days: int = 1095, say: Callable[[str], None] = lambda line: None) -> Server:
    """Migrate the database at `dsn`; return what it is. Raise `UserError` for a database newer or other than ours."""
    with psycopg.connect(dsn) as conn:
        conn.autocommit = True
        conn.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            _extension(conn)
            _numbered(conn, say)
            found = server(conn)
            if found.timescaledb:
                _hypertable(conn, say)
            if found.edition == "community":
                _community(conn, late_window_days, retention_days, say)
            return found
        finally:
            conn.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _extension(conn: psycopg.Connection[Any]) -> None:
    """Create the extension where the server offers it and we may; without it the same schema is plain PostgreSQL."""
    offered = conn.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
    if not offered:
        return
    try:
        conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported, psycopg.errors.InternalError_) as exc:
        log.warning("timescaledb not usable; going on as plain PostgreSQL", reason=str(exc).splitlines()[0])
    except psycopg.OperationalError as exc:  # not in shared_preload_libraries: the server ends the session
        raise UserError(
            f"the server offers TimescaleDB but does not preload it ({str(exc).splitlines()[0]}); set shared_preload_libraries = 'timescaledb' and restart it"
        ) from exc


def _numbered(conn: psycopg.Connection[Any], say: Callable[[str], None]) -> None:
    conn.execute(
        "CREATE TABLE IF NOT EXISTS schema_migration (number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL,"
        " body text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    applied: dict[int, str] = dict(conn.execute("SELECT number, digest FROM schema_migration").fetchall())
    known = migrations()
    newer = sorted(set(applied) - {n for n, _, _ in known})
    if newer:
        raise UserError(f"the database has migration {newer[-1]}, which this version of ioc does not know; run the newer version")
    for number, name, body in known:
        if number in applied:
            if applied[number] != digest(body):
                raise UserError(f"migration {number:04d}_{name} was changed after it ran on this database; migrations are frozen")
            continue
        with conn.transaction():
            conn.execute(body.encode())
            conn.execute(
                "INSERT INTO schema_migration (number, name, digest, body) VALUES (%s, %s, %s, %s)", (number, name, digest(body), body)
            )
        say(f"migration {number:04d}_{name}")


def _hypertable(conn: psycopg.Connection[Any], say: Callable[[str], None]) -> None:
    is_one = conn.execute("SELECT 1 FROM timescaledb_information.hypertables WHERE hypertable_name = 'event'").fetchone()
    if is_one:
        return
    conn.execute(
        "SELECT create_hypertable('event', 'time', chunk_time_interval => %s::interval, create_default_indexes => false, migrate_data => true)",
        (CHUNK,),
    )
    say("event is a hypertable")


def _community(conn: psycopg.Connection[Any], late_window_days: int, retention_days: int, say: Callable[[str], None]) -> None:
    """Columnstore after the late window, and dropping after the longest retention, by TimescaleDB's own policies."""
    compressed = conn.execute(
        "SELECT 1 FROM timescaledb_information.hypertables WHERE hypertable_name = 'event' AND compression_enabled"
    ).fetchone()
    if not compressed:
        # every column of the unique index must be in one of the two lists
        conn.execute(
            "ALTER TABLE event SET (timescaledb.compress, timescaledb.compress_segmentby = 'feed, metric',"
            " timescaledb.compress_orderby = 'subject, period, time DESC, key')"
        )
    wanted = (
        ("policy_compression", "compress_after", f"{late_window_days} days", "add_compression_policy", "remove_compression_policy"),
        ("policy_retention", "drop_after", f"{retention_days} days", "add_retention_policy", "remove_retention_policy"),
    )
    for proc, key, after, add, remove in wanted:
        row = conn.execute(
            "SELECT (config->>%s)::interval = %s::interval FROM timescaledb_information.jobs"
            " WHERE proc_name = %s AND hypertable_name = 'event'",
            (key, after, proc),
        ).fetchone()
        if row is not None and row[0]:
            continue
        if row is not None:
            conn.execute(sql.SQL("SELECT {}('event')").format(sql.Identifier(remove)))
        conn.execute(sql.SQL("SELECT {}('event', %s::interval)").format(sql.Identifier(add)), (after,))
        say(f"{proc} of event: {after}")
