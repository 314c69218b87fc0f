"""Keeps servers and programs alive: what dies is started again with back-off, what must stop stops in order.

A broker that keeps everything in memory is empty after a restart; its clients would wait in silence, so they are
restarted with it as soon as it answers again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ioc.embedded.process import Process, cap_log, why_it_ended
from ioc.errors import UserError

LOG_MAX_BYTES = 5_000_000  # of one log; as much again is kept of what came before
TICK_S = 0.2
_BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_STEADY_S = 60.0  # alive for so long, the next failure counts as the first
_CAPS_EVERY_S = 5.0
_CLIENT_STOP_S = 5.0  # clients of an empty broker have nothing left to send
USER_MISTAKE = 2  # exit code of a program that explains itself in one sentence
Say = Callable[[str], None]


class Server(Protocol):
    """A broker or a database (`Tansu`, `Kafka`, `Postgres`)."""

    process: Process

    @property
    def title(self) -> str: ...
    def prepare(self) -> None: ...
    def start(self) -> None: ...
    def answers(self) -> bool: ...
    def wait_ready(self) -> None: ...
    def stop(self) -> None: ...


@dataclass
class Unit:
    """Something kept alive. `clients` are restarted when this one comes back empty."""

    process: Process
    start: Callable[[], None]
    answers: Callable[[], bool] = lambda: True
    clients: Sequence[Unit] = ()
    max_rss_bytes: int | None = None  # grown beyond it, it is restarted before the machine runs out of memory
    failures: int = 0
    restart_at: float | None = None
    waiting_for_answer: bool = False

    @property
    def name(self) -> str:
        return self.process.name


@dataclass
class Supervisor:
    """Runs `units` (in the order of starting) until told to stop; then stops them in `stop_order` (names)."""

    units: list[Unit]
    stop_order: Sequence[str]
    say: Say
    stopping: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)
    _capped_at: float = 0.0

    def tick(self, now: float | None = None) -> None:
        """Look once at everything; start what is due."""
        now = time.monotonic() if now is None else now
        for unit in self.units:
            self._heal(unit, now)
        if now - self._capped_at >= _CAPS_EVERY_S:
            self._capped_at = now
            for unit in self.units:
                cap_log(unit.process.command.log, LOG_MAX_BYTES)
                self._cap_memory(unit)

    def run(self) -> None:
        """Keep everything alive until `stopping` is set."""
        while not self.stopping.wait(TICK_S):
            self.tick()

    def _heal(self, unit: Unit, now: float) -> None:
        if unit.process.running:
            if unit.waiting_for_answer and unit.answers():
                unit.waiting_for_answer = False
                self._restart_clients(unit)
            if unit.failures and now - unit.process.started_at > _STEADY_S:
                unit.failures = 0
            return
        if unit.restart_at is None:
            delay = _BACKOFF_S[min(unit.failures, len(_BACKOFF_S) - 1)]
            unit.failures += 1
            unit.restart_at = now + delay
            self.say(f"{why_it_ended(unit.process)}; starting it again in {delay:g} s")
            return
        if now >= unit.restart_at:
            unit.restart_at = None
            self._start_again(unit)

    def _cap_memory(self, unit: Unit) -> None:
        """End what holds more memory than it may; it is then started again like everything that ended."""
        rss = unit.process.rss_bytes()
        if unit.max_rss_bytes is not None and rss > unit.max_rss_bytes:
            self.say(f"{unit.name} holds {rss // 1_000_000} MB, more than {unit.max_rss_bytes // 1_000_000} MB; restarting it")
            unit.process.stop()

    def _start_again(self, unit: Unit) -> None:
        try:
            unit.start()
        except UserError as exc:  # a full disk, a program that was uninstalled: say it, try again later
            self.say(str(exc))
            return
        unit.waiting_for_answer = bool(unit.clients)

    def _restart_clients(self, unit: Unit) -> None:
        self.say(f"{unit.name} is back and empty; restarting {', '.join(client.name for client in unit.clients)}")
        for client in unit.clients:
            client.process.ask_to_end()  # side by side
        for client in unit.clients:
            client.process.stop(_CLIENT_STOP_S)
            client.restart_at = None
            self._start_again(client)

    def mistake(self) -> str | None:
        """Return the sentence of a program that ended because of a user's mistake, if one did."""
        for unit in self.units:
            if unit.process.returncode == USER_MISTAKE:
                lines = unit.process.log_tail().splitlines()
                return f"{unit.name}: {lines[-1].strip() if lines else 'ended with code 2 and no word'}"
        return None

    def stop(self) -> None:
        """Stop everything in order, each before the next. After `hurry` (a second Ctrl-C) nobody is waited for but the
        last of the order, the database, which ends its sessions at once anyway.
        """
        by_name = {unit.name: unit for unit in self.units}
        order = [by_name[name] for name in self.stop_order if name in by_name]
        for unit in order:
            began = time.monotonic()
            was_running = unit.process.running
            self._end(unit.process, patient=unit is order[-1])
            unit.process.pid_file.unlink(missing_ok=True)
            if was_running:
                self.say(f"stopped {unit.name} ({time.monotonic() - began:.1f} s)")

    def _end(self, process: Process, *, patient: bool) -> None:
        process.ask_to_end()
        deadline = time.monotonic() + process.command.stop_s
        while process.running:
            if time.monotonic() > deadline or (self.hurry.is_set() and not patient):
                self.say(f"{process.name} did not end by itself; killing it")
                process.kill()
            process.wait(0.05)
