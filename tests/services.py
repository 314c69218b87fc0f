"""The real services tests run on, started once a session: the best of what this machine offers.

* broker: Apache Kafka where it is provided, else Tansu (memory only); or IOC_TEST_BOOTSTRAP
* database: TimescaleDB where it is provided, else PostgreSQL from its wheel; or IOC_TEST_DATABASE_DSN
* browser: Chromium of the machine; or IOC_TEST_CHROMIUM
* recorded payloads: the folder IOC_SAMPLES, or shared/samples beside the checkout

Provided means: fetched before into the cache folder (`.ci/run`, or IOC_TEST_KAFKA=real, IOC_TEST_TIMESCALEDB=real).
IOC_REQUIRE_SERVICES=1 provides all and fails where it cannot.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from ioc.embedded import kafka as apache
from ioc.embedded import postgres as pg
from ioc.embedded import timescaledb as debian
from ioc.embedded.account import is_root
from ioc.embedded.broker import Tansu
from ioc.embedded.process import free_port
from ioc.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent
REQUIRED = os.environ.get("IOC_REQUIRE_SERVICES", "") not in ("", "0")


def cache_folder() -> Path:
    """Return where provided services are kept between runs; removing it costs only time."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ioc"


def say(line: str) -> None:
    """Tell whoever watches what takes so long."""
    print(f"[services] {line}", flush=True)


def _wanted(variable: str) -> bool | None:
    """True: provide it; False: do without; None: use it when it is there."""
    value = os.environ.get(variable, "")
    return True if value == "real" or (REQUIRED and not value) else None if not value else False


# -- what is there -----------------------------------------------------------------------------------------------------


@functools.cache
def kafka_jars() -> Path | None:
    """Return the folder of Apache Kafka's packages, fetching them when asked to; None without."""
    jars = cache_folder() / f"kafka-{apache.version()}"
    wanted = _wanted("IOC_TEST_KAFKA")
    if wanted or (wanted is None and apache.is_provisioned(jars) and shutil.which("java")):
        return apache.provision(jars, say)
    return None


@functools.cache
def timescaledb_install() -> pg.Install | None:
    """Return a PostgreSQL with TimescaleDB, making one when asked to; None without."""
    wanted = _wanted("IOC_TEST_TIMESCALEDB")
    if wanted is False:
        return None
    if found := [install for install in pg.find_installs() if install.timescaledb]:
        return found[0]
    root = cache_folder() / f"debian-{debian.SUITE}-postgresql-{debian.MAJOR}"
    if wanted or (debian.is_provisioned(root) and is_root()):
        return debian.provision(root, say)
    return None


@functools.cache
def wheel_install() -> pg.Install | None:
    """Return the PostgreSQL of the wheel, None without."""
    return next((install for install in pg.find_installs() if not install.timescaledb), None)


@functools.cache
def tansu_missing() -> str:
    """Return why there is no Tansu; empty when there is."""
    from ioc.embedded.broker import binary

    try:
        binary()
    except UserError as exc:
        return str(exc)
    return ""


@functools.cache
def chromium() -> str | None:
    """Return the path of a Chromium, None without."""
    if named := os.environ.get("IOC_TEST_CHROMIUM"):
        return named
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@functools.cache
def samples() -> Path | None:
    """Return the folder of recorded payloads, None without."""
    named = os.environ.get("IOC_SAMPLES")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "samples"
    return folder if folder.is_dir() else None


def database_kinds() -> list[str]:
    """Return the kinds of database tests can run on, the one most tests use first."""
    if os.environ.get("IOC_TEST_DATABASE_DSN"):
        return ["outside"]
    return [kind for kind, there in (("timescaledb", timescaledb_install()), ("postgres", wheel_install())) if there]


def broker_kind() -> str | None:
    """Return the kind of broker tests run on: "kafka", "embedded", or None without any."""
    if os.environ.get("IOC_TEST_BOOTSTRAP"):
        return os.environ.get("IOC_TEST_BROKER_KIND", "kafka")
    if kafka_jars():
        return "kafka"
    return None if tansu_missing() else "embedded"


# -- servers -----------------------------------------------------------------------------------------------------------


def make_database(folder: Path, *, kind: str | None = None, durable: bool = True) -> pg.Postgres:
    """Return a server of our own, not started; `folder` takes its log, and its data unless that must lie elsewhere."""
    kind = kind or (database_kinds() or ["none"])[0]
    install = timescaledb_install() if kind == "timescaledb" else wheel_install()
    assert install is not None, f"no database of kind {kind}"
    log = folder / "database.log"
    if install.root is not None:
        name = f"test-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        return debian.server(install, name, port=free_port(), log=log, durable=durable, background_jobs=durable)
    return pg.Postgres(folder / f"database-{uuid.uuid4().hex[:8]}", install, port=free_port(), log=log, durable=durable, background_jobs=durable)


def make_broker(folder: Path) -> Tansu | apache.Kafka:
    """Return a broker of our own, not started, with its data and log in `folder`."""
    if jars := kafka_jars():
        return apache.Kafka(folder, jars, port=free_port(), controller_port=free_port())
    return Tansu(folder, port=free_port())


def discard_database(server: pg.Postgres) -> None:
    """Stop a server and remove its data."""
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)
    for file in server.folder.parent.glob(server.folder.name + ".*"):
        file.unlink(missing_ok=True)


def remove_leftovers() -> None:
    """Remove data of test runs that were killed (it lies inside the folder of Debian's packages)."""
    install = timescaledb_install()
    if install is None or install.root is None:
        return
    for folder in debian.data_folder(install.root, "x").parent.glob("test-*"):
        pid = folder.name.split("-")[1]
        if not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True) if folder.is_dir() else folder.unlink(missing_ok=True)


@dataclass
class Database:
    """A server and a migrated template in it, of which each test gets a copy."""

    kind: str
    folder: Path
    server: pg.Postgres | None = None
    title: str = ""
    _template: str = ""
    _run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _made: int = 0

    def start(self) -> None:
        """Start the server unless it is an outside one; returns at once."""
        if self.kind != "outside" and self.server is None:
            self.folder.mkdir(mode=0o711, exist_ok=True)
            self.server = make_database(self.folder, kind=self.kind, durable=False)
            self.server.prepare()
            self.server.start()

    def _dsn(self, name: str, *, admin: bool = False) -> str:
        if self.server is not None:
            return self.server.dsn(name, superuser=admin)
        parts = urlsplit(os.environ["IOC_TEST_DATABASE_DSN"])
        return urlunsplit(parts._replace(path=f"/{name}")) if not admin else urlunsplit(parts)

    def _admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._dsn("postgres", admin=True), autocommit=True)

    def ready(self) -> None:
        """Wait for the server and make the template, once."""
        if self._template:
            return
        self.start()
        if self.server is not None:
            self.server.wait_ready()
        from ioc.store.migrate import migrate

        name = self.create(None)
        found = migrate(self._dsn(name))
        self.title = f"PostgreSQL {found.server}" + (f" with TimescaleDB {found.timescaledb} ({found.edition})" if found.timescaledb else " (plain)")
        self._template = name

    @property
    def has_timescaledb(self) -> bool:
        return "TimescaleDB" in self.title

    def create(self, template: str | None) -> str:
        """Make a database (a copy of `template`) and return its name."""
        self._made += 1
        name = f"ioc_test_{self._run}_{self._made}"
        with self._admin() as db:
            like = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
            owner = sql.SQL(" OWNER {}").format(sql.Identifier(pg.ROLE)) if self.server is not None else sql.SQL("")
            db.execute(sql.SQL("CREATE DATABASE {}{}{}").format(sql.Identifier(name), like, owner))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, ending whatever is still connected."""
        with self._admin() as db:
            db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextlib.contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """Give the connection string of a database for one test."""
        self.ready()
        name = self.create(self._template if migrated else None)
        try:
            yield self._dsn(name)
        finally:
            self.drop(name)

    def close(self) -> None:
        """End the server; remove what we made in an outside one."""
        if self.server is not None:
            discard_database(self.server)
        elif self._template:
            self.drop(self._template)


@dataclass
class Broker:
    """The broker of the session."""

    folder: Path
    server: Tansu | apache.Kafka | None = None

    @property
    def bootstrap(self) -> str:
        return self.server.bootstrap if self.server is not None else os.environ["IOC_TEST_BOOTSTRAP"]

    @property
    def title(self) -> str:
        return self.server.title if self.server is not None else f"outside, {self.bootstrap}"

    def start(self) -> None:
        """Start it unless it is an outside one; returns at once."""
        if not os.environ.get("IOC_TEST_BOOTSTRAP") and self.server is None:
            self.server = make_broker(self.folder)
            self.server.prepare()
            self.server.start()

    def ready(self) -> None:
        """Wait until it answers."""
        self.start()
        if self.server is not None:
            self.server.wait_ready()

    def close(self) -> None:
        """End it."""
        if self.server is not None:
            self.server.stop()


class Services:
    """Everything of one session; servers start when the first test that needs them is known."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ioc-test-"))
        self.folder.chmod(0o711)  # the database's account must pass
        self.broker = Broker(self.folder / "broker")
        self.used: dict[str, str] = {}

    @functools.cached_property
    def databases(self) -> dict[str, Database]:
        """What this machine offers, looked for when somebody asks: looking may mean fetching."""
        return {kind: Database(kind, self.folder / kind) for kind in database_kinds()}

    @property
    def database(self) -> Database | None:
        """The database most tests use: the best there is."""
        return next(iter(self.databases.values()), None)

    def start(self, *, broker: bool, kinds: set[str]) -> None:
        """Start what is needed, side by side, without waiting."""
        if broker:
            self.broker.start()
        for kind in kinds:
            self.databases[kind].start()

    def close(self) -> None:
        """End all servers and remove their data."""
        self.broker.close()
        for database in vars(self).get("databases", {}).values():  # none where nobody asked
            database.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def chromium_version() -> str:
    """Return what the browser calls itself."""
    path = chromium()
    if path is None:
        return "none"
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or path


def missing_services() -> list[str]:
    """Return what is missing for the full run, one sentence each (providing it where that is asked for)."""
    missing = []
    for name, find in (("Apache Kafka", kafka_jars), ("TimescaleDB", timescaledb_install), ("Chromium", chromium)):
        try:
            if find() is None:
                missing.append(f"{name} is not here")
        except UserError as exc:
            missing.append(f"{name}: {exc}")
    return missing


def kill_hard(pid: int) -> None:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)
