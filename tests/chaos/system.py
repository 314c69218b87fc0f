"""The system under test: broker, database, and the processes of `ioc`, started as an operator would, killed as nobody would."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg
import yaml

from ioc.embedded.process import Command, Process, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
CATALOGUE_FEEDS = ("public-services", "e-documents", "health", "education")  # pushed here; incident-reports is polled
OWN_FEEDS = ("air", "drill")


class Server(Protocol):
    """A broker or a database server of our own."""

    title: str

    def start(self) -> None: ...
    def wait_ready(self) -> None: ...
    def kill(self) -> None: ...


class System:
    """Everything that runs. Start and kill from one thread that lives on: children end with the thread that made them."""

    def __init__(self, folder: Path, broker: Any, database: Any, source_url: str) -> None:
        self.folder, self.broker, self.database = folder, broker, database
        self.dsn: str = database.dsn()
        self.bootstrap: str = broker.bootstrap
        self.port = free_port()
        self.config = folder / "config.yaml"
        self.config.write_text(yaml.safe_dump(self._settings(source_url), allow_unicode=True), encoding="utf-8")
        # The environment wins over the file, so that no system that runs elsewhere on this machine is met.
        self._env = dict(os.environ) | {"IOC_DATABASE__DSN": self.dsn, "IOC_BROKER__BOOTSTRAP": self.bootstrap, "PYTHONFAULTHANDLER": "1", "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}
        names = {"connect": "connect", "ingest-1": "ingest", "ingest-2": "ingest", "web": "web"}
        self.processes = {name: self._process(name, verb) for name, verb in names.items()}

    def _settings(self, source_url: str) -> dict[str, Any]:
        def feed(name: str, connector: str, **more: Any) -> dict[str, Any]:
            return {"feed": name, "connector": connector, "title": {"vi": name, "en": name}, **more}

        pushed = [feed(name, "push") for name in (*CATALOGUE_FEEDS, *OWN_FEEDS)]
        options = {"sweep_every_s": 60, "recheck": 50_000, "watch": 100_000, "ids_per_request": 500}
        polled = feed("incident-reports", "open311", url=source_url, cadence_s=2, rate_per_s=200, options=options)
        return {
            "feeds": [*pushed, polled],
            "broker": {"kind": self.broker.kind, "prefix": "chaos", "group": "chaos"},
            "ingest": {"batch": 2000},
            "web": {"port": self.port},
            "kpis": {"catalogue": str(REPOSITORY / "dashboards" / "catalogue")},
            "scenes": {"folder": str(REPOSITORY / "dashboards" / "scenes")},
        }

    def argv(self, *verb: str) -> list[str]:
        return [sys.executable, "-m", "ioc", "--config", str(self.config), "--data-dir", str(self.folder / "none"), *verb]

    def _process(self, name: str, verb: str) -> Process:
        command = Command(name, self.argv(verb), self.folder / f"{name}.log", env=self._env, cwd=REPOSITORY)
        return Process(command, self.folder / f"{name}.pid")

    def ioc(self, *verb: str, timeout_s: float = 120) -> tuple[int, str]:
        """Run one command of `ioc` to its end; return exit code and what it printed on standard output."""
        name = "-".join(verb[:2])
        log = self.folder / f"{name}.out"
        log.unlink(missing_ok=True)
        shell = ["/bin/sh", "-c", 'exec "$@" 2>"$0"', str(self.folder / f"{name}.err"), *self.argv(*verb)]
        process = Process(Command(name, shell, log, env=self._env, cwd=REPOSITORY), self.folder / f"{name}.pid")
        process.start()
        code = process.wait(timeout_s)
        process.stop()
        return (-1 if code is None else code), log.read_text(encoding="utf-8")

    def start(self) -> None:
        """Migrate and start every process; return when the API answers."""
        code, said = self.ioc("migrate")
        if code != 0:
            raise RuntimeError(f"ioc migrate ended with {code}: {said} {(self.folder / 'migrate.err').read_text(encoding='utf-8')[-2000:]}")
        for process in self.processes.values():
            process.start()
        self.until(self.web_answers, 90, "the API did not answer")

    def web_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5, trust_env=False).status_code in (200, 503)
        except httpx.HTTPError:
            return False

    def until(self, what: Callable[[], bool], within_s: float, or_else: str) -> float:
        """Wait until `what()`; return how long that took. Raise `TimeoutError` with what the logs end in."""
        began = time.monotonic()
        while not what():
            if time.monotonic() - began > within_s:
                tails = "\n".join(f"--- {name}\n{process.log_tail()[-1500:]}" for name, process in self.processes.items())
                raise TimeoutError(f"{or_else} within {within_s:.0f} s\n{tails}")
            time.sleep(0.25)
        return time.monotonic() - began

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connection(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn, autocommit=True, connect_timeout=3)

    def kill(self, victim: str, down_s: float) -> None:
        """kill -9, stay down for a moment, start again. The broker comes back by itself later; the others are up."""
        if victim == "broker":
            self.broker.kill()
            time.sleep(down_s)
            self.broker.start()
        elif victim == "database":
            self.database.kill()
            time.sleep(down_s)
            self.database.start()
            self.database.wait_ready()
        else:
            self.processes[victim].kill()
            time.sleep(down_s)
            self.processes[victim].start()

    def revive(self) -> list[str]:
        """Start again what ended without being killed; return its names and last words (there should be none)."""
        found = []
        for name, process in self.processes.items():
            if not process.running:
                found.append(f"{name} ended with {process.returncode}: {process.log_tail()[-300:]}")
                process.start()
        if not self.broker.process.running:
            found.append(f"broker ended with {self.broker.process.returncode}")
            self.broker.start()
        return found

    def errors(self) -> list[str]:
        """Return lines of the logs that nobody should ever see."""
        found = []
        for name, process in self.processes.items():
            text = process.command.log.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {line[:400]}" for line in text.splitlines() if "Traceback" in line or "nobody thought of" in line]
        return found

    def stop(self, within_s: float = 75) -> list[str]:
        """End the processes in order; return those that had to be killed. The servers belong to the caller."""
        for process in self.processes.values():
            process.ask_to_end()
        return [f"{name}, which was in:\n{self._threads(process)}" for name, process in self.processes.items() if process.wait(within_s) is None and process.running]

    @staticmethod
    def _threads(process: Process) -> str:
        """End a process that does not end, and return where its threads were."""
        if process.pid is not None:
            os.kill(process.pid, signal.SIGABRT)
            process.wait(10)
        process.kill()
        return process.log_tail()[-5000:]
