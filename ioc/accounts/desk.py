"""What the pages of accounts need, in one place: each call is one transaction, its audit entry included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from ioc import config as config_
from ioc.accounts import login, oidc, passwords, people, sessions
from ioc.accounts.login import Refused
from ioc.accounts.sessions import Session
from ioc.clock import Clock, system_clock
from ioc.config import Config
from ioc.errors import Problem, UserError
from ioc.rights import Identity
from ioc.store import auditlog

__all__ = ["Arrival", "FrontDesk", "Refused"]


@dataclass(frozen=True)
class Arrival:
    """Somebody came in: the ids for the cookies of session and browser, and where they were going."""

    name: str
    session: str
    device: str
    after: str = "/"


class FrontDesk:
    """Sign-in, accounts, log; used by dashboards/accounts."""

    def __init__(self, config: Config, pool: ConnectionPool[psycopg.Connection[Any]], clock: Clock = system_clock) -> None:
        self._pool, self._clock = pool, clock
        settings = config.web.oidc
        self.provider = oidc.Provider(settings, lambda: config_.secret(config, settings.secret) if settings.secret else None) if settings else None

    @contextmanager
    def _own_steps(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection on which every step stays, whatever comes after: a failed try is counted and written down."""
        with self._pool.connection() as conn:
            conn.autocommit = True
            try:
                yield conn
            finally:
                if not conn.closed:
                    conn.autocommit = False

    def _begin(self, conn: psycopg.Connection[Any], name: str, now: datetime, device: str, address: str, agent: str, after: str = "/") -> Arrival:
        with conn.transaction():
            return Arrival(name, sessions.begin(conn, name, now, address=address, agent=agent), login.remember_device(conn, name, device, now), after)

    def sign_in(self, name: str, password: str, *, device: str, address: str, agent: str) -> Arrival:
        """Let in by name and password, or raise `Refused`."""
        now = self._clock()
        with self._own_steps() as conn:
            found = login.sign_in(conn, name, password, now, device=device, address=address)
            return self._begin(conn, found, now, device, address, agent)

    def sign_out(self, session: Session, who: Identity) -> None:
        with self._pool.connection() as conn:
            sessions.end(conn, session, self._clock(), who)

    def sign_out_everywhere(self, who: Identity) -> int:
        with self._pool.connection() as conn:
            return sessions.end_all(conn, who.name, self._clock(), who)

    def sessions(self, name: str) -> list[dict[str, Any]]:
        with self._pool.connection() as conn:
            return sessions.of(conn, name)

    def change_password(self, who: Identity, old: str, new: str, *, device: str, agent: str) -> Arrival:
        """Change one's own password: the old one is asked for (and guesses at it are counted). All other sessions end."""
        now = self._clock()
        if old == new:
            raise Problem("same", "the new password is the old one")
        passwords.make(new, name=who.name)  # what is wrong with the new one is said before a guess is counted
        with self._own_steps() as conn:
            login.check(conn, who.name, old, now, device=device, address=who.address)
            people.set_password(conn, who.name, new, now, who=who)
            return self._begin(conn, who.name, now, device, who.address, agent)

    # -- links -----------------------------------------------------------------------------------------------------

    def invited(self, key: str) -> people.Invite | None:
        with self._pool.connection() as conn:
            return people.invited(conn, key, self._clock())

    def redeem(self, key: str, name: str, password: str, *, device: str, address: str, agent: str) -> Arrival:
        """Use a one-time link up and come in."""
        now = self._clock()
        with self._pool.connection() as conn:
            owner, role = people.redeem(conn, key, password, now, name=name, address=address)
            login.welcome(conn, owner, role, "link", now, address)
            return self._begin(conn, owner, now, device, address, agent)

    # -- the provider ----------------------------------------------------------------------------------------------

    def oidc_start(self, after: str, redirect_uri: str) -> tuple[str, str]:
        """Return the provider's address and the state for the browser's cookie."""
        if self.provider is None:
            raise UserError("no OpenID provider is configured (web.oidc)")
        with self._pool.connection() as conn:
            return self.provider.start(conn, after, redirect_uri, self._clock())

    def oidc_finish(self, query: dict[str, str], state: str, redirect_uri: str, *, device: str, address: str, agent: str) -> Arrival:
        """Let in whom the provider names; raise `UserError` for the others, written down."""
        if self.provider is None:
            raise UserError("no OpenID provider is configured (web.oidc)")
        now = self._clock()
        with self._own_steps() as conn:
            try:
                person, after = self.provider.finish(conn, query, state, redirect_uri, now)
                name = oidc.come_in(conn, person, now, address)
            except UserError as exc:
                auditlog.audit(conn, "login_failed", "(oidc)", {"reason": str(exc)}, who=Identity("", "nobody", "nobody", address), at=now)
                raise
            return self._begin(conn, name, now, device, address, agent, after)

    # -- administration --------------------------------------------------------------------------------------------

    def accounts(self) -> list[dict[str, Any]]:
        with self._pool.connection() as conn:
            return people.accounts(conn)

    def create(self, name: str, role: str, title: str) -> tuple[str, str]:
        """Make an account; return its name and the key of its one-time link."""
        now = self._clock()
        with self._pool.connection() as conn:
            made = people.create(conn, name, role, now, title=title)
            return made, people.invite(conn, made, now)

    def invite(self, name: str) -> str:
        """Return the key of a new one-time link."""
        with self._pool.connection() as conn:
            return people.invite(conn, name, self._clock())

    def set_role(self, name: str, role: str) -> None:
        with self._pool.connection() as conn:
            people.set_role(conn, name, role, self._clock())

    def disable(self, name: str) -> None:
        with self._pool.connection() as conn:
            people.disable(conn, name, self._clock())

    def enable(self, name: str) -> None:
        with self._pool.connection() as conn:
            people.enable(conn, name, self._clock())

    def log(self, *, before: int | None, action: str, actor: str, limit: int = 100) -> list[dict[str, Any]]:
        with self._pool.connection() as conn:
            return auditlog.entries(conn, before=before, action=action, actor=actor, limit=limit)

    def log_verdict(self) -> auditlog.Verdict:
        with self._pool.connection() as conn:
            return auditlog.verify(conn)
