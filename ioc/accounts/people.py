"""Accounts and the one-time links by which their owners choose a password. Each change is in the audit log with it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg

from ioc.accounts import passwords
from ioc.errors import Problem
from ioc.rights import PERSON_ROLES, Identity
from ioc.store.auditlog import audit

INVITE_HOURS = 24
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}")
_COLUMNS = ("name", "title", "role", "issuer", "created_at", "password_at", "last_login_at", "disabled_at")
_LOCK = 0x494F44  # advisory lock: the last administrator is not taken away by two at once

Conn = psycopg.Connection[Any]


def digest(secret: str) -> str:
    """How random secrets (ids of sessions, keys of links) are kept."""
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


def known_name(name: str) -> str:
    """Return the name as accounts have it; raise `Problem` for what cannot be one."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise Problem("name", f"{name[:70]!r} cannot be an account's name: 2 to 64 small letters, digits and . _ @ + -", name=name[:70])
    return name


def known_role(role: str) -> str:
    if role not in PERSON_ROLES:
        raise Problem("role", f"role {role!r} is not known; choose one of {', '.join(PERSON_ROLES)}")
    return role


def accounts(conn: Conn) -> list[dict[str, Any]]:
    """Return all accounts by name, without their passwords."""
    rows = conn.execute("SELECT name, title, role, issuer, created_at, password_at, last_login_at, disabled_at FROM account ORDER BY name").fetchall()
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


def create(conn: Conn, name: str, role: str, now: datetime, *, title: str = "", who: Identity | None = None) -> str:
    """Make an account without a password; return its name. Its owner gets one by a link of `invite`."""
    name, role = known_name(name), known_role(role)
    with conn.transaction():
        made = conn.execute("INSERT INTO account (name, title, role, created_at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING", (name, title.strip()[:100], role, now))
        if made.rowcount == 0:
            raise Problem("exists", f"an account called {name!r} exists already", name=name)
        audit(conn, "account", name, {"role": role}, who=who, at=now)
    return name


def set_role(conn: Conn, name: str, role: str, now: datetime, *, who: Identity | None = None) -> None:
    """Give another role; in force within five seconds, on open pages too."""
    role = known_role(role)
    with conn.transaction():
        old = _require(conn, name)
        if role != "admin":
            _not_the_last(conn, name)
        conn.execute("UPDATE account SET role = %s WHERE name = %s", (role, name))
        audit(conn, "role", name, {"from": old, "to": role}, who=who, at=now)


def disable(conn: Conn, name: str, now: datetime, *, who: Identity | None = None) -> None:
    """Let nobody in by this account any more, and end its sessions. The account stays, for the log's sake."""
    with conn.transaction():
        _require(conn, name)
        _not_the_last(conn, name)
        conn.execute("UPDATE account SET disabled_at = coalesce(disabled_at, %s) WHERE name = %s", (now, name))
        _end_all(conn, name)
        audit(conn, "disable", name, who=who, at=now)


def enable(conn: Conn, name: str, now: datetime, *, who: Identity | None = None) -> None:
    """Let a disabled account in again."""
    with conn.transaction():
        _require(conn, name)
        conn.execute("UPDATE account SET disabled_at = NULL WHERE name = %s", (name,))
        audit(conn, "enable", name, who=who, at=now)


def set_password(conn: Conn, name: str, password: str, now: datetime, *, who: Identity | None = None) -> None:
    """Set a password; every session and every open link of the account ends."""
    kept = passwords.make(password, name=name)
    with conn.transaction():
        _require(conn, name)
        if conn.execute("SELECT issuer <> '' FROM account WHERE name = %s", (name,)).fetchone() == (True,):
            raise Problem("elsewhere", f"{name} signs in at the OpenID provider and has no password here", name=name)
        conn.execute("UPDATE account SET password = %s, password_at = %s WHERE name = %s", (kept, now, name))
        conn.execute("DELETE FROM invite WHERE name = %s", (name,))
        _end_all(conn, name)
        audit(conn, "password", name, who=who, at=now)


# -- links -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Invite:
    """A link that is still good. `name` is '' for the first administrator, who chooses one."""

    name: str
    expires_at: datetime


def needs_admin(conn: Conn) -> bool:
    """Say whether nobody can administer."""
    return conn.execute("SELECT 1 FROM account WHERE role = 'admin' AND disabled_at IS NULL AND (password <> '' OR issuer <> '')").fetchone() is None


def invite(conn: Conn, name: str, now: datetime, *, who: Identity | None = None) -> str:
    """Return the key of a new one-time link for `name` ('': the first administrator); earlier ones of it end."""
    key = secrets.token_urlsafe(32)
    with conn.transaction():
        if name:
            _require(conn, name)
            conn.execute("DELETE FROM invite WHERE name = %s", (name,))
        conn.execute("INSERT INTO invite (hash, name, created_at, expires_at) VALUES (%s, %s, %s, %s)", (digest(key), name, now, now + timedelta(hours=INVITE_HOURS)))
        audit(conn, "invite", name or "(first administrator)", who=who, at=now)
    return key


def invited(conn: Conn, key: str, now: datetime) -> Invite | None:
    """Return the invitation of a key while it is good."""
    row = conn.execute("SELECT name, expires_at FROM invite WHERE hash = %s AND used_at IS NULL AND expires_at > %s", (digest(key), now)).fetchone()
    if row is None or (not row[0] and not needs_admin(conn)):
        return None
    return Invite(row[0], row[1])


def redeem(conn: Conn, key: str, password: str, now: datetime, *, name: str = "", address: str = "") -> tuple[str, str]:
    """Use a link up: set the password, for the first administrator make the account. Return the account's name and role."""
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        found = invited(conn, key, now)
        if found is None:
            raise Problem("link", "this link was used already or is too old; ask for a new one")
        conn.execute("UPDATE invite SET used_at = %s WHERE hash = %s", (now, digest(key)))
        owner = found.name or known_name(name)
        who = Identity(owner, "admin", "person", address)
        if not found.name:
            conn.execute("INSERT INTO account (name, role, created_at) VALUES (%s, 'admin', %s) ON CONFLICT (name) DO UPDATE SET role = 'admin', disabled_at = NULL", (owner, now))
            audit(conn, "account", owner, {"role": "admin", "first": True}, who=who, at=now)
        else:
            who = Identity(owner, _require(conn, owner), "person", address)  # type: ignore[arg-type]
        set_password(conn, owner, password, now, who=who)
    return owner, who.role


def _require(conn: Conn, name: str) -> str:
    """Return the account's role; raise `Problem` when there is none."""
    row = conn.execute("SELECT role FROM account WHERE name = %s", (name,)).fetchone()
    if row is None:
        raise Problem("unknown", f"no account is called {name!r}; see ioc user list", name=name[:70])
    return str(row[0])


def _not_the_last(conn: Conn, name: str) -> None:
    conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    rows = conn.execute("SELECT name FROM account WHERE role = 'admin' AND disabled_at IS NULL").fetchall()
    if [row[0] for row in rows] == [name]:
        raise Problem("last_admin", f"{name} is the last administrator; make another one first", name=name)


def _end_all(conn: Conn, name: str) -> None:
    conn.execute("DELETE FROM session WHERE name = %s", (name,))
