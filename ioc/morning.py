"""The morning brief as a letter: once a day, at its hour, across restarts and with several processes.

What is written and drawn is handed in (dashboards/leaders/brief.py). That a day's letter went out is a row in the store,
written in the same transaction in which the server took the letter: a second process waits for it and then does nothing.
Killed between the server's yes and the commit, the letter is sent again with the same id, by which mail programs know it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import psycopg

from ioc import mail, rights
from ioc.areas import Areas
from ioc.clock import local_day
from ioc.config import Brief, Config
from ioc.errors import Unavailable, UserError
from ioc.kpi.catalogue import Catalogue
from ioc.kpi.desk import Desk
from ioc.mail import Letter
from ioc.store.auditlog import audit

Compose: TypeAlias = Callable[[Config, Areas, Catalogue, Desk], Letter]
LATE = timedelta(hours=6)  # a morning's letter in the evening is none
LONGEST_WAIT_MIN = 30  # between two tries


class Morning:
    """When the letter is due, and sending it. One a process."""

    def __init__(self, config: Config, brief: Brief, compose: Callable[[], Letter]) -> None:
        self._config, self._brief, self._compose = config, brief, compose
        self._zone = ZoneInfo(config.timezone)
        self._hour, self._minute = (int(part) for part in brief.at.split(":"))
        self._done: date | None = None
        self._failures = 0
        self._again: datetime | None = None

    def due(self, now: datetime) -> bool:
        """Is it the hour, not long past, not done (as far as this process knows), and not too soon after a failure?"""
        local = now.astimezone(self._zone)
        start = local.replace(hour=self._hour, minute=self._minute, second=0, microsecond=0)
        return start <= local < start + LATE and self._done != local.date() and (self._again is None or now >= self._again)

    def send(self, conn: psycopg.Connection[Any], now: datetime) -> str:
        """Send the day's letter unless it was; return what was done. Raise `Unavailable` or `UserError`, and be due again later."""
        try:
            outcome = self._send(conn, now)
        except (Unavailable, UserError):
            self._again = now + timedelta(minutes=min(2**self._failures, LONGEST_WAIT_MIN))
            self._failures += 1
            raise
        self._done, self._failures, self._again = local_day(now, self._zone), 0, None
        return outcome

    def _send(self, conn: psycopg.Connection[Any], now: datetime) -> str:
        day, to = local_day(now, self._zone), self._brief.to
        with conn.transaction():
            claim = "INSERT INTO letter_sent (kind, day, sent_at) VALUES ('brief', %s, %s) ON CONFLICT DO NOTHING"
            if not conn.execute(claim, (day, now)).rowcount:
                return f"the brief of {day} was sent before"
            letter_id = f"<brief-{day}.{self._config.province.code}@{self._brief.smtp.sender.partition('@')[2]}>"
            refused = mail.send(self._config, self._brief.smtp, to, self._compose(), letter_id, now)
            detail = {"to": [address for address in to if address not in refused]} | ({"refused": refused} if refused else {})
            audit(conn, "export", f"brief {day}", detail, who=rights.SYSTEM, at=now)
        return f"the brief of {day} went to {len(to) - len(refused)}" + (f"; the server refused {', '.join(refused)}" if refused else "")
