"""Tokens: who may post events (source), show screens (screen), read the API (viewer).

A token is 32 random bytes, shown once; the store keeps its SHA-256. Random tokens need no slow hash: they cannot be
guessed from a dictionary. Revoking takes effect within `CACHE_S` everywhere, on open websockets too.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from ioc.errors import Unavailable, UserError

Role: TypeAlias = Literal["source", "screen", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)
CACHE_S = 5.0
_PREFIX = "ioc_"


@dataclass(frozen=True)
class Identity:
    """Whom a token belongs to."""

    name: str
    role: Role


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def create(conn: psycopg.Connection[Any], name: str, role: str, now: datetime, *, replace: bool = False) -> str:
    """Make a token called `name` and return it; this is the only time it can be read. `replace`: the one of that name ends."""
    if role not in ROLES:
        raise UserError(f"role {role!r} is not known; choose one of {', '.join(ROLES)}")
    token = _PREFIX + secrets.token_urlsafe(32)
    if replace and conn.execute("UPDATE token SET role = %s, hash = %s, created_at = %s, revoked_at = NULL WHERE name = %s", (role, _hash(token), now, name)).rowcount:
        return token
    try:
        with conn.transaction():
            conn.execute("INSERT INTO token (name, role, hash, created_at) VALUES (%s, %s, %s, %s)", (name, role, _hash(token), now))
    except psycopg.errors.UniqueViolation as exc:
        raise UserError(f"a token called {name!r} exists already; choose another name, or add --replace to end it") from exc
    return token


def revoke(conn: psycopg.Connection[Any], name: str, now: datetime) -> None:
    """Make a token worthless from now on."""
    if conn.execute("UPDATE token SET revoked_at = %s WHERE name = %s AND revoked_at IS NULL", (now, name)).rowcount == 0:
        raise UserError(f"no valid token is called {name!r}")


def tokens(conn: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Return all tokens, without what would let anybody use them."""
    rows = conn.execute("SELECT name, role, created_at, revoked_at FROM token ORDER BY created_at").fetchall()
    return [dict(zip(("name", "role", "created_at", "revoked_at"), row, strict=True)) for row in rows]


class Guard:
    """Tells whom a token belongs to, remembering the answer for a few seconds. Thread-safe."""

    def __init__(self, pool: ConnectionPool[psycopg.Connection[Any]]) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Identity | None]] = {}

    def identify(self, token: str | None) -> Identity | None:
        """Return the identity of a valid token, None for anything else. Raise `Unavailable` when nobody can say."""
        if not token or not token.startswith(_PREFIX):
            return None
        digest, now = _hash(token), time.monotonic()
        with self._lock:
            at, identity = self._known.get(digest, (0.0, None))
            if at and now - at < CACHE_S:
                return identity
        try:
            with self._pool.connection(timeout=3) as conn:
                row = conn.execute("SELECT name, role FROM token WHERE hash = %s AND revoked_at IS NULL", (digest,)).fetchone()
        except (psycopg.OperationalError, PoolTimeout) as exc:
            if at:  # the database is away: what was true a moment ago keeps the wall on
                return identity
            raise Unavailable("the database is away; the token cannot be checked") from exc
        identity = Identity(row[0], row[1]) if row else None
        with self._lock:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[digest] = (now, identity)
        return identity
