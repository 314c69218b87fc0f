"""Signing in with a password: guesses are slowed down, answers tell nothing, and nobody can lock out everybody.

Failures count against the account as long as the browser is one it never signed in from, and against the address; a
browser the account did sign in from before (cookie `ioc_device`) has a count of its own. So whoever floods an account
with guesses keeps new browsers of that account waiting, and nobody else. A wrong name, a wrong password and a disabled
account get the same answer after the same work.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

import psycopg

from ioc.accounts import passwords
from ioc.accounts.people import digest
from ioc.rights import Identity
from ioc.store.auditlog import audit

WINDOW_MIN = 15
MOST_OF_ACCOUNT, MOST_OF_DEVICE, MOST_OF_ADDRESS = 8, 8, 60  # failures in that time

Conn = psycopg.Connection[Any]


class Refused(Exception):
    """Not let in. `wait_s`: how long to wait before the next try; 0 when the name or the password was wrong."""

    def __init__(self, wait_s: int = 0) -> None:
        super().__init__(f"wait {wait_s} s" if wait_s else "name or password is wrong")
        self.wait_s = wait_s


def sign_in(conn: Conn, name: str, password: str, now: datetime, *, device: str = "", address: str = "") -> str:
    """Let somebody in and return the account's name, or raise `Refused`. `conn` must be in autocommit."""
    name, role = check(conn, name, password, now, device=device, address=address)
    welcome(conn, name, role, "password", now, address)
    return name


def check(conn: Conn, name: str, password: str, now: datetime, *, device: str = "", address: str = "") -> tuple[str, str]:
    """Return the account's name and role when the password is right, else raise `Refused`; failures are counted and written down."""
    name = name.strip().lower()[:200]
    buckets = _buckets(conn, name, device, address)
    tries = _take_a_try(conn, buckets, now, name, address)
    row = conn.execute("SELECT password, role, disabled_at IS NULL FROM account WHERE name = %s AND issuer = ''", (_known(name),)).fetchone()
    kept, role, active = row or ("", "nobody", False)
    if not passwords.check(kept, password) or not active:
        # The typed name may be a password that landed in the wrong field: only a name that exists is written down.
        audit(conn, "login_failed", name if row else "(unknown)", who=Identity(name if row else "", "nobody", "nobody", address), at=now)
        raise Refused
    conn.execute("DELETE FROM login_failure WHERE bucket = %s OR ctid = ANY(%s::tid[])", (buckets[0][0], tries))
    if passwords.outdated(kept):
        conn.execute("UPDATE account SET password = %s WHERE name = %s AND password = %s", (passwords.make(password), name, kept))
    return name, role


def welcome(conn: Conn, name: str, role: str, via: str, now: datetime, address: str) -> None:
    """Note that somebody came in."""
    with conn.transaction():
        conn.execute("UPDATE account SET last_login_at = %s WHERE name = %s", (now, name))
        audit(conn, "login", name, {"via": via}, who=Identity(name, role, "person", address), at=now)  # type: ignore[arg-type]


def _known(name: str) -> str:
    return name.replace("\x00", "").encode("utf-8", "replace").decode()


def _buckets(conn: Conn, name: str, device: str, address: str) -> list[tuple[str, int]]:
    """What a failure counts against, with how many it may have; the first is forgiven by a success."""
    if device and conn.execute("SELECT 1 FROM device WHERE hash = %s AND name = %s", (digest(device), _known(name))).fetchone():
        return [(digest(f"device {device}"), MOST_OF_DEVICE)]
    return [(digest(f"account {name}"), MOST_OF_ACCOUNT), (digest(f"address {address}"), MOST_OF_ADDRESS)]


def _take_a_try(conn: Conn, buckets: list[tuple[str, int]], now: datetime, name: str, address: str) -> list[str]:
    """Count a failure before the password is looked at, so that guesses sent at once count too; return the rows. Raise `Refused` when it is one too many."""
    since = now - timedelta(minutes=WINDOW_MIN)
    made = conn.execute("INSERT INTO login_failure (bucket, at) SELECT unnest(%s::text[]), %s RETURNING ctid::text", ([bucket for bucket, _ in buckets], now))
    tries = [row for (row,) in made.fetchall()]
    for bucket, most in buckets:
        times = [at for (at,) in conn.execute("SELECT at FROM login_failure WHERE bucket = %s AND at > %s ORDER BY at DESC LIMIT %s", (bucket, since, most + 1))]
        if len(times) > most:
            conn.execute("DELETE FROM login_failure WHERE ctid = ANY(%s::tid[])", (tries,))  # waiting does not grow by asking
            _tell_once(conn, bucket, name, now, address)
            raise Refused(max(1, int((times[-1] + timedelta(minutes=WINDOW_MIN) - now).total_seconds()) + 1))
    return tries


def _tell_once(conn: Conn, bucket: str, name: str, now: datetime, address: str) -> None:
    """Write a lock-out down, at most once a minute, so that a flood does not flood the log as well."""
    mark = digest(f"told {bucket}")
    if conn.execute("SELECT 1 FROM login_failure WHERE bucket = %s AND at > %s", (mark, now - timedelta(minutes=1))).fetchone() is None:
        conn.execute("INSERT INTO login_failure (bucket, at) VALUES (%s, %s)", (mark, now))
        exists = conn.execute("SELECT 1 FROM account WHERE name = %s", (_known(name),)).fetchone()
        audit(conn, "login_failed", name if exists else "(unknown)", {"too_many": True}, who=Identity("", "nobody", "nobody", address), at=now)


def remember_device(conn: Conn, name: str, device: str, now: datetime) -> str:
    """Note that the account signed in from this browser; return the id its cookie shall have."""
    if device:
        same = conn.execute("UPDATE device SET seen_at = %s WHERE hash = %s AND name = %s", (now, digest(device), name))
        if same.rowcount:
            return device
    made = secrets.token_urlsafe(32)
    conn.execute("INSERT INTO device (hash, name, created_at, seen_at) VALUES (%s, %s, %s, %s)", (digest(made), name, now, now))
    return made
