"""Sessions, in the database: any web process knows them, and ending one ends it everywhere within five seconds.

The browser holds a random id, the table its SHA-256. The id changes at every login and every `ROTATE_MIN` minutes; the
one before is good for `GRACE_S` more, for requests that were under way. A session ends after `web.session_idle_min`
without a request or an open page, after `web.session_hours` in any case, and with the account.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from ioc.accounts.people import digest
from ioc.config import Web
from ioc.rights import Identity, Role
from ioc.store.auditlog import audit

ROTATE_MIN = 15
GRACE_S = 60
SEEN_EVERY_S = 60  # how exactly "without a request" is known

Conn = psycopg.Connection[Any]
_FIND = (
    "SELECT s.hash, s.name, s.created_at, s.rotated_at, s.seen_at, a.role, a.issuer <> '' FROM session s JOIN account a USING (name)"
    " WHERE a.disabled_at IS NULL AND s.created_at > %(now)s - make_interval(hours => %(hours)s) AND s.seen_at > %(now)s - make_interval(mins => %(idle)s) AND "
)


@dataclass(frozen=True)
class Session:
    """An open session and whose it is; `local`: the account has its password here. (name, created_at) stays when the id changes."""

    hash: str
    name: str
    created_at: datetime
    rotated_at: datetime
    role: Role
    local: bool


def begin(conn: Conn, name: str, now: datetime, *, address: str = "", agent: str = "") -> str:
    """Open a session and return its id."""
    made = secrets.token_urlsafe(32)
    conn.execute(
        "INSERT INTO session (hash, name, created_at, rotated_at, seen_at, address, agent)"
        " SELECT %(hash)s, %(name)s, coalesce(max(created_at) + interval '1 microsecond', %(now)s), %(now)s, %(now)s, %(address)s, %(agent)s"
        " FROM session WHERE name = %(name)s AND created_at >= %(now)s",
        {"hash": digest(made), "name": name, "now": now, "address": address, "agent": agent[:200]},
    )
    return made


def find(conn: Conn, given: str, now: datetime, web: Web) -> Session | None:
    """Return the session of an id while it is open, and note that it was seen."""
    values = {"hash": digest(given), "now": now, "hours": web.session_hours, "idle": web.session_idle_min, "grace": GRACE_S}
    return _seen(conn, conn.execute(_FIND + "(s.hash = %(hash)s OR (s.previous = %(hash)s AND s.rotated_at > %(now)s - make_interval(secs => %(grace)s)))", values).fetchone(), now)


def again(conn: Conn, session: Session, now: datetime, web: Web) -> Session | None:
    """Return the same session as it is now, None when it ended: for an open page, whose id may have changed meanwhile."""
    values = {"name": session.name, "created": session.created_at, "now": now, "hours": web.session_hours, "idle": web.session_idle_min}
    return _seen(conn, conn.execute(_FIND + "s.name = %(name)s AND s.created_at = %(created)s", values).fetchone(), now)


def _seen(conn: Conn, row: Any, now: datetime) -> Session | None:
    if row is None:
        return None
    if now - row[4] > timedelta(seconds=SEEN_EVERY_S):
        conn.execute("UPDATE session SET seen_at = %s WHERE hash = %s AND seen_at < %s", (now, row[0], now))
    return Session(row[0], row[1], row[2], row[3], row[5], not row[6])


def rotate(conn: Conn, session: Session, now: datetime) -> str | None:
    """Give the session another id and return it; None when a request beside this one did already."""
    made = secrets.token_urlsafe(32)
    changed = conn.execute("UPDATE session SET previous = hash, hash = %s, rotated_at = %s, seen_at = %s WHERE hash = %s", (digest(made), now, now, session.hash))
    return made if changed.rowcount else None


def due(session: Session, now: datetime) -> bool:
    """Say whether the id is old enough to change."""
    return now - session.rotated_at > timedelta(minutes=ROTATE_MIN)


def end(conn: Conn, session: Session, now: datetime, who: Identity) -> None:
    """Log out."""
    with conn.transaction():
        conn.execute("DELETE FROM session WHERE name = %s AND created_at = %s", (session.name, session.created_at))
        audit(conn, "logout", session.name, who=who, at=now)


def end_all(conn: Conn, name: str, now: datetime, who: Identity) -> int:
    """Log out everywhere; return how many sessions ended."""
    with conn.transaction():
        ended = conn.execute("DELETE FROM session WHERE name = %s", (name,)).rowcount
        audit(conn, "logout_everywhere", name, {"sessions": ended}, who=who, at=now)
    return ended


def of(conn: Conn, name: str) -> list[dict[str, Any]]:
    """Return an account's sessions, newest first: when opened, when seen, from where, with what."""
    rows = conn.execute("SELECT created_at, seen_at, address, agent FROM session WHERE name = %s ORDER BY seen_at DESC", (name,)).fetchall()
    return [dict(zip(("created_at", "seen_at", "address", "agent"), row, strict=True)) for row in rows]


def tidy(conn: Conn, now: datetime, web: Web) -> None:
    """Forget sessions, links, logins and failures that are over."""
    conn.execute("DELETE FROM session WHERE created_at < %s OR seen_at < %s", (now - timedelta(hours=web.session_hours), now - timedelta(minutes=web.session_idle_min)))
    conn.execute("DELETE FROM invite WHERE expires_at < %s", (now,))
    conn.execute("DELETE FROM oidc_login WHERE created_at < %s", (now - timedelta(hours=1),))
    conn.execute("DELETE FROM login_failure WHERE at < %s", (now - timedelta(hours=1),))
    conn.execute("DELETE FROM device WHERE seen_at < %s", (now - timedelta(days=400),))
