"""Connections to the database, shared by the threads of a process."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from ioc.config import Config


def _configure(conn: psycopg.Connection[Any]) -> None:
    conn.execute("SET timezone = 'UTC'")
    conn.commit()


def open_pool(config: Config, *, max_size: int | None = None) -> ConnectionPool[psycopg.Connection[Any]]:
    """Open a pool that reconnects by itself; it opens even while the database is away."""
    return ConnectionPool(
        config.database.dsn,
        min_size=1,
        max_size=max_size or config.database.pool_max,
        configure=_configure,
        check=ConnectionPool.check_connection,
        reconnect_timeout=1e9,
        kwargs={"connect_timeout": 5, "application_name": "ioc"},
        open=True,
    )
