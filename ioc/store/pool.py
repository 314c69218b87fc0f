"""Connections to the database, shared by the threads of a process."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from ioc.config import Config

WAIT_S = 5.0  # for a connection, while the database is away
# libpq's: of a database that has vanished without a word (a cable, a power supply) the kernel tells after ten seconds or so.
VIGILANT: dict[str, Any] = {"connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}


def _configure(conn: psycopg.Connection[Any]) -> None:
    conn.execute("SET timezone = 'UTC'")
    conn.commit()


def open_pool(config: Config, *, max_size: int | None = None) -> ConnectionPool[psycopg.Connection[Any]]:
    """Open a pool that reconnects by itself; it opens even while the database is away.

    Who asks waits at most `WAIT_S`, then gets psycopg_pool.PoolTimeout (an OperationalError). However long the database was
    away, the next one to ask makes the pool try at once: given more time, it doubles the pause between its attempts for ever.
    """
    return ConnectionPool(
        config.database.dsn,
        min_size=1,
        max_size=max_size or config.database.pool_max,
        configure=_configure,
        check=ConnectionPool.check_connection,
        timeout=WAIT_S,
        reconnect_timeout=WAIT_S,
        kwargs={"application_name": "ioc", **VIGILANT},
        open=True,
    )
