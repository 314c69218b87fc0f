"""The storm: a province tells N facts twice, in disorder, while everything that runs is killed K times at random.

1. start     broker, database, connect, two ingest, web, and a source that is polled
2. storm     POST, Kafka and the polled source feed the system; kill -9 at random places of the stream, start again
3. calm      everything sent, everything polled, everything read: nothing moves any more
4. judgement every table and every KPI against the oracle, every record accounted for, `ioc audit`
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from ioc.areas import load as load_areas

from . import checks, senders
from .oracle import Oracle
from .source import Reports, Server
from .system import System
from .truth import Fact, Truth
from .watch import Kill, Watch

POSTED = 0.2  # of the copies; the others go straight to Kafka
REPORTS_SHARE = 0.02  # reports behind the polled source, of the number of facts
BAD_SHARE = 0.002
CALM_S = 600


@dataclass
class Outcome:
    """What a run did, and what it found. `differences` and `complaints` must be empty."""

    on: list[str]
    seed: int
    facts: int = 0
    sent: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    longest_recovery_s: dict[str, float] = field(default_factory=dict)
    recovery_alone_s: dict[str, float] = field(default_factory=dict)
    feeds: dict[str, dict[str, int]] = field(default_factory=dict)
    lost: int = 0
    kpi_values: int = 0
    rows_compared: int = 0
    audit_differences: int | None = None
    refused_posts: int = 0
    storm_s: float = 0
    calm_s: float = 0
    differences: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.differences or self.complaints or self.lost) and self.audit_differences == 0

    def as_json(self) -> str:
        return json.dumps(asdict(self) | {"good": self.good}, ensure_ascii=False, indent=1)

    def table(self) -> str:
        """Return the outcome as Markdown."""
        total = Counter[str]()
        for numbers in self.feeds.values():
            total.update(numbers)
        rows = {
            "services": ", ".join(self.on),
            "seed": self.seed,
            "different facts": f"{self.facts:,}",
            "kills (SIGKILL)": f"{sum(self.kills.values())}: " + ", ".join(f"{name} {n}" for name, n in sorted(self.kills.items())),
            "records in Kafka": f"{total['records']:,}",
            "= events stored": f"{total['events']:,}",
            "+ duplicates": f"{total['duplicates']:,}",
            "+ dead letters": f"{total['dead_letters']:,}",
            "facts lost": self.lost,
            "rows compared with the oracle": f"{self.rows_compared:,}",
            "KPI values compared with the oracle": f"{self.kpi_values:,}",
            "differences from the oracle": len(self.differences),
            "differences of `ioc audit`": self.audit_differences,
            "complaints (unasked ends, tracebacks, refusals)": len(self.complaints),
            "recovery in the storm, at worst (kill to fact stored)": ", ".join(f"{name} {s:.1f} s" for name, s in sorted(self.longest_recovery_s.items())),
            "recovery when nothing else is broken": ", ".join(f"{name} {s:.1f} s" for name, s in sorted(self.recovery_alone_s.items())) or "not measured",
            "storm, then calm": f"{self.storm_s:.0f} s, {self.calm_s:.0f} s",
        }
        lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
        return "\n".join([*lines, *(f"- {line}" for line in (*self.complaints, *self.differences)[:40])])


class Rig:
    """One run. `broker` and `database` are servers of its own, started; they stay the caller's."""

    def __init__(self, folder: Path, broker: Any, database: Any, *, events: int, kills: int, seed: int, alone: bool = False, say: Any = lambda line: None) -> None:
        """`alone`: afterwards kill each victim once more, when nothing else is broken, and measure its recovery."""
        self.seed, self.kills, self.alone, self.say = seed, kills, alone, say
        self.random = random.Random(seed)
        now = datetime.now(UTC)
        self.areas = sorted(load_areas("19").communes)
        self.truth = Truth(seed, now, self.areas)
        self.facts: list[Fact] = self.truth.facts(events)
        self.reports = Reports(seed, now, self.areas, max(20, int(events * REPORTS_SHARE)))
        self.source = Server(self.reports)
        self.system = System(folder, broker, database, self.source.url)
        self.contradictions = self.truth.contradictions(max(3, int(events * BAD_SHARE / 4)))
        self.bad = self.truth.bad(max(7, int(events * BAD_SHARE)))
        self.broker_may_die = not getattr(broker, "memory_only", False)
        self.outcome = Outcome([broker.title, database.title], seed)

    def run(self) -> Outcome:
        """Do it all; the outcome says what was found."""
        try:
            self.system.start()
            token = self._token()
            self._watch = Watch(self.system, self.truth, self.reports, token)
            self._first()
            began = time.monotonic()
            self._storm(token)
            self.outcome.storm_s = time.monotonic() - began
            if self.alone:
                self._one_by_one()
            began = time.monotonic()
            self._calm()
            self.outcome.calm_s = time.monotonic() - began
            self._judge()
        finally:
            stubborn = self.system.stop()
            self.source.close()
        self.outcome.complaints += [f"{name} did not end when asked to" for name in stubborn]
        return self.outcome

    def _token(self) -> str:
        code, said = self.system.ioc("token", "create", "chaos", "--role", "source")
        assert code == 0, said
        return said.strip()

    # -- storm -----------------------------------------------------------------------------------------------------
    def _first(self) -> None:
        """Send what must be there first: the event that stands in each contradiction."""
        kafka = senders.Kafka(self.system.bootstrap, "chaos")
        kafka.facts(first for first, _ in self.contradictions)
        kafka.close()
        self.facts += [first for first, _ in self.contradictions]

    def _storm(self, token: str) -> None:
        copies = senders.disorder(self.facts, self.seed)
        by_post, straight = senders.share_out(copies, self.seed, posted=POSTED)
        post, kafka = senders.Post(self.system.url, token), senders.Kafka(self.system.bootstrap, "chaos")
        spoiler = senders.Kafka(self.system.bootstrap, "chaos")
        spoiled = self._spoiled()
        pace, apart = senders.Pace(len(copies)), senders.Pace(len(spoiled))
        plan = self._plan(len(copies))
        if plan:
            pace.limit(plan[0][0] + self._slack(len(copies)))
        threads = [
            senders.Sending("post", by_post, post.facts, pace),
            senders.Sending("kafka", straight, kafka.facts, pace),
            senders.Sending("spoiled", spoiled, spoiler.send, apart),
        ]
        while any(thread.is_alive() for thread in threads) or plan or self.reports.waiting:
            self.reports.publish(min(1.0, 1.6 * pace.sent / pace.total))  # the rest of the storm is for the sweeps
            if plan and pace.sent >= plan[0][0]:
                _, victim = plan.pop(0)
                self._strike(victim, len(plan))
                pace.limit((plan[0][0] + self._slack(pace.total)) if plan else pace.total)
            self.outcome.complaints += self.system.revive()
            for thread in threads:
                if thread.failed is not None:
                    raise RuntimeError(f"the sender {thread.name} ended") from thread.failed
            time.sleep(0.05)
        self.outcome.refused_posts = len(post.refused)
        self.outcome.complaints += [f"refused: {reason}" for reason in post.refused]
        self.outcome.facts, self.outcome.sent = len(self.facts), len(copies)
        for sender in (post, kafka, spoiler):
            sender.close()

    def _slack(self, total: int) -> int:
        """How far sending may run ahead of the next kill: half the way to the one after it."""
        return max(senders.BATCH * 4, total // max(1, 2 * self.kills))

    def _plan(self, total: int) -> list[tuple[int, str]]:
        """Return (after how many records, victim), in order: everything dies at least once when there are kills enough."""
        victims = self._victims()
        chosen = victims * (self.kills // len(victims)) + self.random.sample(victims, self.kills % len(victims))
        self.random.shuffle(chosen)
        at = sorted(self.random.uniform(0.02, 0.97) * total for _ in chosen)
        return [(int(n), victim) for n, victim in zip(at, chosen, strict=True)]

    def _victims(self) -> list[str]:
        return ["connect", "ingest-1", "ingest-2", "web", "database"] + (["broker"] if self.broker_may_die else [])

    def _one_by_one(self) -> None:
        """Kill each victim once, alone, when all that was sent is stored."""
        self._watch.finish()
        for victim in self._victims():
            self._ends = checks.Bus(self.system).ends()
            self.system.until(self._drained, CALM_S, "ingest did not read everything")
            kill = self._strike(victim, 0)
            self._watch.finish()
            if kill.recovered_s is not None:
                name = victim.partition("-")[0]
                self.outcome.recovery_alone_s[name] = max(kill.recovered_s, self.outcome.recovery_alone_s.get(name, 0))

    def _spoiled(self) -> list[tuple[str, bytes, bytes]]:
        """Return the records that must become dead letters, each twice, as the sender takes them."""
        records = [(feed, key, body) for feed, key, body, _ in self.bad]
        records += [(other["feed"], other["subject"].encode(), senders.wire(other)) for _, other in self.contradictions]
        records *= 2
        self.random.shuffle(records)
        return records

    def _strike(self, victim: str, left: int) -> Kill:
        kill = self._watch.killed(victim)
        self.say(f"kill -9 {victim} ({left} left)")
        name = victim.partition("-")[0]
        self.outcome.kills[name] = self.outcome.kills.get(name, 0) + 1
        self.system.kill(victim, self.random.choice((0.0, 0.2, 1.5)))
        return kill

    # -- calm ------------------------------------------------------------------------------------------------------
    def _calm(self) -> None:
        """Wait until nothing is on its way any more."""
        self.say("all sent; waiting for calm")
        self._watch.finish()
        for kill in self._watch.kills:
            name = kill.victim.partition("-")[0]
            if kill.recovered_s is None:
                self.outcome.complaints.append(f"{kill.victim}: the facts of probe {kill.probe} did not come through after a kill")
            else:
                self.outcome.longest_recovery_s[name] = max(kill.recovered_s, self.outcome.longest_recovery_s.get(name, 0))
        self.system.until(self._polled, CALM_S, "the polled source was not read to its end")
        self.system.processes["connect"].stop()
        bus = checks.Bus(self.system)
        self._ends = bus.ends()
        self.system.until(self._drained, CALM_S, "ingest did not read everything")

    def _polled(self) -> bool:
        """Has the newest version of every report come through? What never does is counted as lost, not waited for."""
        wanted = {fact["subject"]: fact["time"] for fact in self.reports.facts}
        if not hasattr(self, "_calm_began"):
            self._calm_began = time.monotonic()
        if time.monotonic() - self._calm_began > CALM_S / 2:
            return True
        with self.system.connection() as conn:
            known = dict(conn.execute("SELECT subject, updated_at FROM case_state WHERE feed = 'incident-reports'").fetchall())
        return all(known.get(subject) == at for subject, at in wanted.items())

    def _drained(self) -> bool:
        with self.system.connection() as conn:
            return checks.drained(conn, self._ends)

    # -- judgement -------------------------------------------------------------------------------------------------
    def _judge(self) -> None:
        self.say("judging")
        polled = self.reports.facts
        facts = self.facts + self._watch.facts
        oracle = Oracle(facts + polled)
        found = self.outcome.differences
        bus = checks.Bus(self.system)
        bus.read(self._ends)
        with self.system.connection() as conn:
            found += checks.rollups(conn, oracle)
            found += checks.states(conn, oracle, {fact["subject"] for fact in polled})
            self.outcome.rows_compared = _rows(conn)
            accounts, unbalanced = checks.accounts(conn, bus)
            found += unbalanced
            self.outcome.lost, missing = checks.nothing_lost(conn, facts, polled)
            found += missing
            found += checks.dead_letters(conn, Counter([cause for *_, cause in self.bad] + ["contradiction"] * len(self.contradictions)))
        self.outcome.feeds = {feed: dict(numbers) for feed, numbers in sorted(accounts.items())}
        self.outcome.kpi_values, different = checks.kpis(self.system, oracle, self._busy_areas(oracle))
        found += different
        self._audit()
        self.outcome.complaints += self.system.errors()

    def _busy_areas(self, oracle: Oracle) -> list[str]:
        n = Counter(case["area"] for case in oracle.live_cases if case["area"])
        return [area for area, _ in n.most_common()]

    def _audit(self) -> None:
        code, said = self.system.ioc("audit", "--json", timeout_s=600)
        try:
            report = json.loads(said)
        except ValueError:
            self.outcome.complaints.append(f"ioc audit ended with {code}: {said[-300:]} {(self.system.folder / 'audit---json.err').read_text(encoding='utf-8')[-600:]}")
            return
        different = report["differences"]
        self.outcome.audit_differences = different if isinstance(different, int) else len(different)
        if code != (1 if self.outcome.audit_differences else 0):
            self.outcome.complaints.append(f"ioc audit found {self.outcome.audit_differences} differences and ended with {code}")


def _rows(conn: psycopg.Connection[Any]) -> int:
    tables = ("rollup_case", "rollup_total", "rollup_duration", "rollup_observation", "case_state", "asset_state")
    return sum(conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)  # type: ignore[index]
