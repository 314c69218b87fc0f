"""How long the system takes to be itself again: after each kill, facts sent then must be stored.

A kill is over when a probe sent after it has come all the way: through Kafka in every partition (broker, ingest,
database), by POST (web), or from the polled source (connect).
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from . import senders
from .source import Reports
from .system import System
from .truth import ASSET, Fact, Truth

PROBES = 12  # subjects; enough to meet every partition
LONGEST_S = 180


@dataclass
class Kill:
    victim: str
    probe: str
    at: float = field(default_factory=time.monotonic)
    recovered_s: float | None = None


class Watch:
    """Follows each kill in a thread of its own. `facts`: the probes, which are facts like any other."""

    def __init__(self, system: System, truth: Truth, reports: Reports, token: str) -> None:
        self._system, self._truth, self._reports, self._token = system, truth, reports, token
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.kills: list[Kill] = []
        self.facts: list[Fact] = []

    def killed(self, victim: str) -> Kill:
        """Note that a victim is killed now; `recovered_s` of what is returned is set when it is itself again."""
        kill = Kill(victim, f"{len(self.kills)}-{victim}")
        self.kills.append(kill)
        thread = threading.Thread(target=self._follow, args=(kill,), name=f"watch-{kill.probe}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return kill

    def finish(self) -> None:
        """Wait for the last recoveries."""
        deadline = time.monotonic() + LONGEST_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _follow(self, kill: Kill) -> None:
        self._probe(kill)
        while time.monotonic() - kill.at < 2 * LONGEST_S:
            time.sleep(0.3)
            with suppress(psycopg.Error), self._system.connection() as conn:  # while the database is away: look again
                if self._came_through(conn, kill):
                    kill.recovered_s = time.monotonic() - kill.at
                    return

    def _probe(self, kill: Kill) -> None:
        now = datetime.now(UTC)
        if kill.victim == "connect":
            self._reports.add(f"SR-probe-{kill.probe}", now)
            return
        with self._lock:
            facts = [self._truth.fact("drill", ASSET, f"probe-{kill.probe}-{n}", now, {"kind": "probe", "state": "ok"}) for n in range(PROBES)]
            self.facts += facts
        sender = senders.Post(self._system.url, self._token) if kill.victim == "web" else senders.Kafka(self._system.bootstrap, "chaos")
        sender.facts(facts)
        sender.close()

    @staticmethod
    def _came_through(conn: psycopg.Connection[Any], kill: Kill) -> bool:
        if kill.victim == "connect":
            query, name, wanted = "SELECT count(*) FROM case_state WHERE subject = %s", f"SR-probe-{kill.probe}", 1
        else:
            query, name, wanted = "SELECT count(*) FROM asset_state WHERE feed = 'drill' AND subject LIKE %s", f"probe-{kill.probe}-%", PROBES
        row = conn.execute(query.encode(), (name,)).fetchone()
        return row is not None and row[0] == wanted
