"""`ioc up`: the whole system on this machine with one command, one Ctrl-C stops it.

1. lock the data folder, end what a killed run left over, check disk and port
2. provide and start broker and database (unless the environment names outside ones), wait for both
3. `ioc migrate`
4. start simulate, connect, ingest, jobs, web and keep all alive until told to stop
5. stop in order: web, connect, ingest (drains), simulate, jobs, broker, database
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from ioc.embedded import kafka as apache
from ioc.embedded import postgres
from ioc.embedded import timescaledb as debian
from ioc.embedded.broker import Tansu
from ioc.embedded.process import (
    LOOPBACK,
    Command,
    Ports,
    Process,
    disk_errors,
    port_is_free,
    require_space,
    stop_leftover,
)
from ioc.embedded.supervisor import Server, Supervisor, Unit
from ioc.errors import UserError

DEFAULT_DATA_DIR = Path(".ioc")
DEFAULT_PORT = 8050
STOP_ORDER = ("web", "connect", "ingest", "simulate", "jobs", "broker", "database")
_DSN, _BOOTSTRAP = "IOC_DATABASE__DSN", "IOC_BROKER__BOOTSTRAP"
_ASK_WEB_EVERY_S = 0.5
_SLOW_S = 60.0  # when nothing is on the screen by then, say where to look
# Ingest finishes its batch; web and jobs have nothing to finish but their requests.
_STOP_S: Mapping[str, float] = {"ingest": 25.0, "connect": 12.0}
# The memory-only broker never forgets: about 300 to 600 bytes an event. What it lost with a restart, feeds send again.
_BROKER_MIN_RSS = 500_000_000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What `ioc up` was asked for."""

    port: int = DEFAULT_PORT
    data_dir: Path = DEFAULT_DATA_DIR
    timescaledb: bool = False
    kafka: bool = False
    rate: float | None = None
    speed: float | None = None
    simulator: bool = True


class _Stopped(BaseException):
    """Told to stop before everything was started."""


def up(
    port: int = DEFAULT_PORT,
    data_dir: Path = DEFAULT_DATA_DIR,
    *,
    timescaledb: bool = False,
    kafka: bool = False,
    rate: float | None = None,
    speed: float | None = None,
    simulator: bool = True,
    command: Sequence[str] = (sys.executable, "-m", "ioc"),
    say: Say | None = None,
) -> int:
    """Run everything until Ctrl-C or SIGTERM; return the exit code. `command` starts one of our programs by its verb."""
    options = Options(port, data_dir.absolute(), timescaledb, kafka, rate, speed, simulator)
    return _Up(options, command, say or _say).run()


def running_environment(data_dir: Path = DEFAULT_DATA_DIR) -> dict[str, str]:
    """Return the variables that point other commands at the system now running in `data_dir`; empty when none runs."""
    try:
        lines = (data_dir / "env").read_text(encoding="utf-8").splitlines()
        with (data_dir / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
    except OSError:
        pass
    return {}


class _Up:
    def __init__(self, options: Options, command: Sequence[str], say: Say) -> None:
        self.options = options
        self.command = command
        self.say = say
        self.folder = options.data_dir
        self.supervisor = Supervisor([], STOP_ORDER, say)
        self._preparing = True
        self._web_log_start = 0

    def run(self) -> int:
        began = time.monotonic()
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with _only_one(self.folder), self._signals():
                try:
                    self._prepare()
                    self._watch(began)
                except _Stopped:
                    pass
                finally:
                    self._preparing = False
                    if self.supervisor.units:
                        self.say("stopping")
                    self.supervisor.stop()
                    (self.folder / "env").unlink(missing_ok=True)
        return 0

    # -- signals -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP stop in order; a second one hurries."""
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.supervisor.stopping.is_set():
            self.supervisor.hurry.set()
        self.supervisor.stopping.set()
        if self._preparing:
            self._preparing = False
            raise _Stopped

    # -- before anything runs ------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self._check()
        ports = Ports(self.folder / "ports.json")
        broker, database = self._broker(ports), self._database(ports)
        servers: list[tuple[str, Server]] = [(n, s) for n, s in (("broker", broker), ("database", database)) if s is not None]
        self._start_servers(servers)
        environment = self._environment(broker, database, ports)
        self._write_environment(environment)
        if self.options.simulator:  # first: it needs nobody, and connectors should not find it closed
            self._start_program("simulate", environment)
        self._migrate(environment)
        self._give_token(environment)
        clients = [self._start_program(name, environment) for name in ("connect", "ingest", "jobs", "web")]
        if broker is not None and broker.memory_only:
            unit = next(unit for unit in self.supervisor.units if unit.name == "broker")
            unit.clients, unit.max_rss_bytes = clients, max(_BROKER_MIN_RSS, psutil.virtual_memory().total // 8)
        self._preparing = False

    def _check(self) -> None:
        pids = sorted((self.folder / "run").glob("*.pid"), key=lambda file: _order(file.stem))
        for file in pids:
            if stop_leftover(file, signal.SIGINT if file.stem == "database" else signal.SIGTERM):
                self.say(f"ended {file.stem}, left over from a start that was killed")
        require_space(self.folder)
        if not port_is_free(self.options.port):
            raise UserError(f"port {self.options.port} is used by another program; choose another one with --port (make up ARGS=\"--port {self.options.port + 10}\")")
        for wanted, variable, option in ((self.options.timescaledb, _DSN, "--timescaledb"), (self.options.kafka, _BOOTSTRAP, "--kafka")):
            if wanted and os.environ.get(variable):
                raise UserError(f"{option} starts a server here, but {variable} names another one; leave one of the two out")

    def _broker(self, ports: Ports) -> Tansu | apache.Kafka | None:
        if os.environ.get(_BOOTSTRAP):
            self.say(f"broker: {os.environ[_BOOTSTRAP]} ({_BOOTSTRAP})")
            return None
        if not self._goes_on_with("--kafka", self.options.kafka, made=self.folder / "kafka" / "data", instead=None):
            return Tansu(self.folder / "run", port=ports.get("broker"), log=self._log("broker"))
        jars = apache.provision(self.folder / "kafka" / "jars", self.say)
        return apache.Kafka(
            self.folder / "kafka", jars, port=ports.get("broker"), controller_port=ports.get("kafka-controller"),
            log=self._log("broker"), pid_file=self._pid("broker"),
        )  # fmt: skip

    def _database(self, ports: Ports) -> postgres.Postgres | None:
        if os.environ.get(_DSN):
            self.say(f"database: {_DSN} of the environment")
            return None
        folder, root = self.folder / "postgres", self.folder / "timescaledb"
        if self._goes_on_with("--timescaledb", self.options.timescaledb, made=debian.data_folder(root, "postgres"), instead=folder):
            install = debian.provision(root, self.say)
            return debian.server(install, "postgres", port=ports.get("database"), log=self._log("database"), pid_file=self._pid("database"))
        install = postgres.choose(folder, postgres.find_installs())
        return postgres.Postgres(folder, install, port=ports.get("database"), log=self._log("database"), pid_file=self._pid("database"))

    def _goes_on_with(self, option: str, asked: bool, *, made: Path, instead: Path | None) -> bool:
        """Say whether `option` holds: asked for now, or at an earlier start whose data (`made`) this one continues."""
        if asked or not made.exists() or (instead is not None and instead.exists()):
            return asked
        self.say(f"going on with the data of {option} in {made}")
        return True

    def _start_servers(self, servers: Sequence[tuple[str, Server]]) -> None:
        for name, server in servers:
            server.prepare()
            server.start()
            self.supervisor.units.append(Unit(server.process, server.start, server.answers))
            self.say(f"{name}: {server.title}")
        for _, server in servers:
            server.wait_ready()

    def _environment(self, broker: Tansu | apache.Kafka | None, database: postgres.Postgres | None, ports: Ports) -> dict[str, str]:
        """Return the variables that tell our programs where everything is."""
        values: dict[str, str] = {}
        if database is not None:
            values[_DSN] = database.dsn()
        if broker is not None:
            values |= {_BOOTSTRAP: broker.bootstrap, "IOC_BROKER__KIND": broker.kind}
        if self.options.simulator:
            port = ports.get("simulator")
            values |= {"IOC_SIMULATOR__PORT": str(port), "IOC_SIMULATOR_URL": f"http://{LOOPBACK}:{port}"}
        values["IOC_WEB__PORT"] = str(self.options.port)
        for name, number in (("RATE", self.options.rate), ("SPEED", self.options.speed)):
            if number is not None:
                values[f"IOC_SIMULATOR__{name}"] = f"{number:g}"
        return values

    def _write_environment(self, values: Mapping[str, str]) -> None:
        """Keep them in a file for commands in another terminal: it holds the database's password, so it is ours alone."""
        file = self.folder / "env"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.writelines(f"export {shlex.quote(f'{name}={value}')}\n" for name, value in values.items())

    def _migrate(self, environment: Mapping[str, str]) -> None:
        with self._log("migrate").open("ab") as log:
            start = log.tell()
            argv = [*self.command, "migrate"]
            code = subprocess.run(argv, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode  # noqa: S603
        if code != 0:
            lines = self._log("migrate").read_bytes()[start:].decode("utf-8", "replace").strip().splitlines()
            raise UserError(f"the database could not be brought to this version: {lines[-1] if lines else f'code {code}'} (log: {self._log('migrate')})")
        self.say("database: schema is up to date")

    def _give_token(self, environment: Mapping[str, str]) -> None:
        """Let the simulated sources post events: a new token at each start, in a folder that is ours alone."""
        if not self.options.simulator:
            return
        argv = [*self.command, "token", "create", "simulator", "--role", "source", "--replace"]
        with self._log("token").open("wb") as log:
            made = subprocess.run(argv, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, check=False)  # noqa: S603
        if made.returncode != 0:
            self.say(f"simulated sources cannot post events: no token could be made (log: {self._log('token')})")
            return
        self._secrets.mkdir(mode=0o700, exist_ok=True)
        file = self._secrets / "SIMULATOR_TOKEN"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
            out.write(made.stdout)

    @property
    def _secrets(self) -> Path:
        """Where the simulator alone looks for secrets: what it may post with must not be what sources are read with."""
        return self.folder / "simulator-secrets"

    def _start_program(self, name: str, environment: Mapping[str, str]) -> Unit:
        unit = self._program(name, environment)
        unit.start()
        self.supervisor.units.append(unit)
        return unit

    def _program(self, name: str, environment: Mapping[str, str]) -> Unit:
        env = dict(os.environ) | dict(environment) | {"PYTHONUNBUFFERED": "1"}
        if name == "simulate":
            env |= {"IOC_SIMULATOR__PUSH_URL": f"http://{LOOPBACK}:{self.options.port}", "IOC_SECRETS_DIR": str(self._secrets)}
        command = Command(name, [*self.command, name], self._log(name), env=env, stop_s=_STOP_S.get(name, 8.0))
        process = Process(command, self._pid(name))
        return Unit(process, process.start)

    # -- while it runs -------------------------------------------------------------------------------------------

    def _watch(self, began: float) -> None:
        """Keep everything alive; say the address when the screens answer."""
        asked = 0.0
        slow = False
        while not self.supervisor.stopping.wait(0.2):
            self._end_on_mistake()
            self.supervisor.tick()
            now = time.monotonic()
            if now - asked >= _ASK_WEB_EVERY_S:
                asked = now
                if _web_answers(self.options.port):
                    self._announce(now - began)
                    self.supervisor.run()
                    return
            if now - began > _SLOW_S and not slow:
                slow = True
                self.say(f"the screens do not answer yet; the logs are in {self.folder / 'logs'}")

    def _end_on_mistake(self) -> None:
        """A program that was used wrongly at the start will be wrong at every start: say its sentence and end."""
        if sentence := self.supervisor.mistake():
            raise UserError(sentence)

    def _announce(self, seconds: float) -> None:
        self.say(f"Màn hình: http://{LOOPBACK}:{self.options.port}/wall")
        self.say(f"  leaders http://{LOOPBACK}:{self.options.port}/  operations http://{LOOPBACK}:{self.options.port}/operations  ({seconds:.0f} s)")
        if link := self._first_link():
            self.say(f"  first administrator (a link for once): {link}")
        self.say(f"  logs {self.folder / 'logs'}; for other commands: . {shlex.quote(str(self.folder / 'env'))}; Ctrl-C stops everything")

    def _first_link(self) -> str | None:
        """Return the link to become the first administrator, when `ioc web` said one at this start."""
        said = self._log("web").read_bytes()[self._web_log_start :].decode("utf-8", "replace")
        found = re.search(r"https?://\S+/welcome/\S+", said)
        return found[0] if found else None

    def _log(self, name: str) -> Path:
        folder = self.folder / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"

    def _pid(self, name: str) -> Path:
        return self.folder / "run" / f"{name}.pid"


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of a data folder; the kernel lets it go however we end."""
    with (folder / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            raise UserError(f"another `ioc up` (process {lock.read().strip() or 'unknown'}) already runs on {folder}; stop it, or choose another folder with --data-dir") from exc
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _order(name: str) -> int:
    return STOP_ORDER.index(name) if name in STOP_ORDER else len(STOP_ORDER)


def _web_answers(port: int) -> bool:
    """Say whether our web process answers /healthz (any other page may be somebody else's)."""
    link = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
    try:
        link.request("GET", "/healthz")
        return b'"status"' in link.getresponse().read(10_000)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
