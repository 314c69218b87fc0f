"""How long the system takes to be itself again: after each kill, facts sent then must be stored.

A kill is over when a probe sent after it has come all the way: through Kafka in every partition (broker, ingest,
database), by POST (web), or from the polled source (connect).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
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
    at: float = field(default_factory=time.monotonic)
    probe: str = ""
    recovered_s: float | None = None


class Watch:
    """Sends probes and waits for them, in a thread of its own. `facts`: the probes, which are facts like any other."""

    def __init__(self, system: System, truth: Truth, reports: Reports, token: str) -> None:
        self._system, self._truth, self._reports = system, truth, reports
        self._kafka = senders.Kafka(system.bootstrap, "chaos")
        self._post = senders.Post(system.url, token)
        self._new: list[Kill] = []
        self._open: list[Kill] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.kills: list[Kill] = []
        self.facts: list[Fact] = []
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def killed(self, victim: str) -> Kill:
        """Note that a victim is killed now."""
        kill = Kill(victim)
        with self._lock:
            self.kills.append(kill)
            self._new.append(kill)
        return kill

    def finish(self) -> None:
        """Wait for the last recoveries and end."""
        deadline = time.monotonic() + LONGEST_S
        while time.monotonic() < deadline and any(kill.recovered_s is None for kill in self.kills):
            time.sleep(0.2)
        self._stop.set()
        self._thread.join(60)
        self._kafka.close()
        self._post.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                new, self._new = self._new, []
            for kill in new:
                self._probe(kill)
                self._open.append(kill)
            self._look()
            self._stop.wait(0.1)

    def _probe(self, kill: Kill) -> None:
        now = datetime.now(UTC)
        kill.probe = f"{len(self.facts)}-{kill.victim}"
        if kill.victim == "connect":
            self._reports.add(f"SR-probe-{kill.probe}", now)
            return
        facts = [self._truth.fact("drill", ASSET, f"probe-{kill.probe}-{n}", now, {"kind": "probe", "state": "ok"}) for n in range(PROBES)]
        (self._post if kill.victim == "web" else self._kafka).facts(facts)
        self.facts += facts

    def _look(self) -> None:
        """Mark as recovered what came through."""
        if not self._open:
            return
        try:
            with self._system.connection() as conn:
                for kill in list(self._open):
                    if self._came_through(conn, kill):
                        kill.recovered_s = time.monotonic() - kill.at
                        self._open.remove(kill)
        except psycopg.Error:
            pass  # the database is away: look again
        except httpx.HTTPError:
            pass

    @staticmethod
    def _came_through(conn: psycopg.Connection[tuple[int]], kill: Kill) -> bool:
        if kill.victim == "connect":
            row = conn.execute("SELECT count(*) FROM case_state WHERE subject = %s", (f"SR-probe-{kill.probe}",)).fetchone()
            return row is not None and row[0] == 1
        row = conn.execute("SELECT count(*) FROM asset_state WHERE feed = 'drill' AND subject LIKE %s", (f"probe-{kill.probe}-%",)).fetchone()
        return row is not None and row[0] == PROBES
