"""Who asks: tokens of machines (source, screen, viewer), and the sessions of people.

A token is 32 random bytes, shown once; the store keeps its SHA-256. Random tokens need no slow hash: they cannot be
guessed from a dictionary. Revoking, logging out and another role take effect within `CACHE_S` everywhere, on open
websockets too.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from ioc.accounts import sessions
from ioc.accounts.sessions import Session
from ioc.clock import Clock, system_clock
from ioc.config import Web
from ioc.errors import Unavailable, UserError
from ioc.rights import NOBODY, TOKEN_ROLES, Identity
from ioc.store.auditlog import audit

CACHE_S = 5.0
TOKEN_COOKIE = "ioc_token"  # noqa: S105 - a name
_PREFIX = "ioc_"
_T = TypeVar("_T")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def create(conn: psycopg.Connection[Any], name: str, role: str, now: datetime, *, replace: bool = False, who: Identity | None = None) -> str:
    """Make a token called `name` and return it; this is the only time it can be read. `replace`: the one of that name ends."""
    if role not in TOKEN_ROLES:
        raise UserError(f"role {role!r} is not known; choose one of {', '.join(TOKEN_ROLES)}")
    token = _PREFIX + secrets.token_urlsafe(32)
    try:
        with conn.transaction():
            audit(conn, "token", name, {"role": role} | ({"replaced": True} if replace else {}), who=who, at=now)
            if replace and conn.execute("UPDATE token SET role = %s, hash = %s, created_at = %s, revoked_at = NULL WHERE name = %s", (role, _hash(token), now, name)).rowcount:
                return token
            conn.execute("INSERT INTO token (name, role, hash, created_at) VALUES (%s, %s, %s, %s)", (name, role, _hash(token), now))
    except psycopg.errors.UniqueViolation as exc:
        raise UserError(f"a token called {name!r} exists already; choose another name, or add --replace to end it") from exc
    return token


def revoke(conn: psycopg.Connection[Any], name: str, now: datetime, *, who: Identity | None = None) -> None:
    """Make a token worthless from now on."""
    with conn.transaction():
        if conn.execute("UPDATE token SET revoked_at = %s WHERE name = %s AND revoked_at IS NULL", (now, name)).rowcount == 0:
            raise UserError(f"no valid token is called {name!r}")
        audit(conn, "token_revoked", name, who=who, at=now)


def tokens(conn: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Return all tokens, without what would let anybody use them."""
    rows = conn.execute("SELECT name, role, created_at, revoked_at FROM token ORDER BY created_at").fetchall()
    return [dict(zip(("name", "role", "created_at", "revoked_at"), row, strict=True)) for row in rows]


@dataclass(frozen=True)
class Caller:
    """Who sent a request. `refused`: a token was shown that is none (any more); such a caller is not even the public."""

    identity: Identity
    session: Session | None = None
    token: str | None = None

    @property
    def refused(self) -> bool:
        return self.token is not None and self.identity is NOBODY


def session_cookie(secure: bool) -> str:
    """The name of the cookie with the session's id. Over TLS a browser takes this one from this very host only."""
    return "__Host-ioc_session" if secure else "ioc_session"


class Guard:
    """Tells who asks, remembering the answer for a few seconds. Thread-safe."""

    def __init__(self, pool: ConnectionPool[psycopg.Connection[Any]], web: Web | None = None, clock: Clock = system_clock) -> None:
        self._pool, self._web, self._clock = pool, web or Web(), clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Any]] = {}

    def identify(self, token: str | None) -> Identity | None:
        """Return the identity of a valid token, None for anything else. Raise `Unavailable` when nobody can say."""
        if not token or not token.startswith(_PREFIX):
            return None

        def ask(conn: psycopg.Connection[Any]) -> Identity | None:
            row = conn.execute("SELECT name, role FROM token WHERE hash = %s AND revoked_at IS NULL", (_hash(token),)).fetchone()
            return Identity(row[0], row[1]) if row else None

        return self._remembered(f"token {_hash(token)}", ask)

    def caller(self, headers: Mapping[str, str], query: Mapping[str, str], cookies: Mapping[str, str], *, secure: bool = False, address: str = "") -> Caller:
        """Return who sent a request with these: a bearer token, ?token=, a session's cookie, a screen's cookie, in this order."""
        token = bearer(headers) or query.get("token")
        given = cookies.get(session_cookie(secure))
        if not token and given:
            session = self._remembered(f"session {_hash(given)}", lambda conn: sessions.find(conn, given, self._clock(), self._web))
            if session is not None:
                return Caller(Identity(session.name, session.role, "person", address), session)
        token = token or cookies.get(TOKEN_COOKIE)
        found = self.identify(token)
        return Caller(Identity(found.name, found.role, "token", address) if found else NOBODY, token=token or None)

    def still(self, caller: Caller) -> Caller:
        """Return the caller of an open page as it is now: logged out, revoked, with another role."""
        if (old := caller.session) is not None:
            key = f"open {old.name} {old.created_at.isoformat()}"
            session = self._remembered(key, lambda conn: sessions.again(conn, old, self._clock(), self._web))
            return Caller(Identity(session.name, session.role, "person", caller.identity.address), session) if session else Caller(NOBODY)
        found = self.identify(caller.token)
        return Caller(found or NOBODY, token=caller.token)

    def forget(self) -> None:
        """Look everybody up again: somebody logged out here, or got another role."""
        with self._lock:
            self._known.clear()

    def _remembered(self, key: str, ask: Callable[[psycopg.Connection[Any]], _T | None]) -> _T | None:
        now = time.monotonic()
        with self._lock:
            at, answer = self._known.get(key, (0.0, None))
            if at and now - at < CACHE_S:
                return answer  # type: ignore[no-any-return]
        try:
            with self._pool.connection(timeout=3) as conn:
                answer = ask(conn)
        except (psycopg.OperationalError, PoolTimeout) as exc:
            if at:  # the database is away: what was true a moment ago keeps the wall on
                return answer  # type: ignore[no-any-return]
            raise Unavailable("the database is away; who you are cannot be checked") from exc
        with self._lock:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key] = (now, answer)
        return answer


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token of an Authorization header."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
