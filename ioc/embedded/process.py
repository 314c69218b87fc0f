"""One server or program as a child: started with a log of its own, never outliving us, stopped by its own pid.

A child is started in a session of its own, so that Ctrl-C in a terminal reaches only the supervisor, which then stops
everything in order. On Linux the kernel also signals the child when its parent dies (PR_SET_PDEATHSIG); elsewhere, and
for whatever slipped through, the pid file lets the next start end what was left over.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ioc.embedded.account import Account
from ioc.errors import UserError

LOOPBACK = "127.0.0.1"
MIN_FREE_BYTES = 300_000_000  # below this a database cannot even finish its start and first checkpoint
_TAIL_BYTES = 20_000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def free_port() -> int:
    """Return a TCP port of the loopback address that is free now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Say whether a server could listen on `port` now (a connection still in TIME_WAIT does not matter)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


class Ports:
    """The ports of one data folder, kept in a file, so that a second start has the same addresses when they are free."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._ports: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError):
            self._ports = {str(name): int(port) for name, port in json.loads(file.read_text(encoding="utf-8")).items()}

    def get(self, name: str) -> int:
        """Return the kept port of `name`, or a new free one when there is none or another program took it."""
        port = self._ports.get(name)
        if port is None or not port_is_free(port):
            taken = set(self._ports.values())
            port = next(p for p in iter(free_port, None) if p not in taken)
            self._ports[name] = port
            self.file.write_text(json.dumps(self._ports, indent=1), encoding="utf-8")
        return port


def require_space(folder: Path, needed: int = MIN_FREE_BYTES) -> None:
    """Raise `UserError` when the disk of `folder` has less than `needed` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"the disk of {folder} is full: {free // 1_000_000} MB are free, at least {needed // 1_000_000} MB are needed;"
            " make room or choose another folder with --data-dir"
        )


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn "no space left" and "read-only" while writing below `folder` into one sentence."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"the disk of {folder} is full; make room or choose another folder with --data-dir") from exc
        if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"{exc.filename or folder} cannot be written: {exc.strerror}; choose another folder with --data-dir") from exc
        raise


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process fills the same folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Command:
    """What to run. `root` is a folder to chroot into first (needs root); `account` is whom to run as."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: Path | None = None
    account: Account | None = None
    root: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s: float = 10.0


class Process:
    """A running `Command` and its pid file."""

    def __init__(self, command: Command, pid_file: Path) -> None:
        self.command = command
        self.pid_file = pid_file
        self.started_at = 0.0  # time.monotonic()
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def name(self) -> str:
        return self.command.name

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen else None

    @property
    def returncode(self) -> int | None:
        """None while it runs and before it was started; else the exit code, negative for a signal."""
        return self._popen.poll() if self._popen else None

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start it, ending first what an earlier, killed run left over. Call from a thread that lives on (main)."""
        if self.running:
            return
        stop_leftover(self.pid_file, self.command.stop_signal, self.command.stop_s)
        command = self.command
        with disk_errors(command.log.parent):
            command.log.parent.mkdir(parents=True, exist_ok=True)
            self._log_start = command.log.stat().st_size if command.log.exists() else 0
            with command.log.open("ab") as log:
                self._popen = self._spawn(log.fileno())
            self.started_at = time.monotonic()
            _write_pid(self.pid_file, self._popen.pid)

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        command = self.command
        try:
            return subprocess.Popen(  # noqa: S603 (the argument list is ours, no shell)
                list(command.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(command.env),
                cwd=command.cwd,
                start_new_session=True,
                preexec_fn=_before_exec(command),
            )
        except FileNotFoundError as exc:
            raise UserError(f"{command.name} cannot be started: {command.argv[0]} is missing") from exc
        except (PermissionError, subprocess.SubprocessError) as exc:
            raise UserError(f"{command.name} cannot be started: {command.argv[0]}: {exc}") from exc

    def stop(self, timeout_s: float | None = None) -> bool:
        """Ask it to end and wait; kill it after `timeout_s` (default: the command's). True when it ended by itself."""
        self.ask_to_end()
        gentle = self._popen is None or self.wait(self.command.stop_s if timeout_s is None else timeout_s) is not None
        if not gentle:
            self.kill()
        self.pid_file.unlink(missing_ok=True)
        return gentle

    def ask_to_end(self) -> None:
        """Send the signal that lets it end in order; `wait` says when it did."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.send_signal(self.command.stop_signal)

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it ended by itself and return its exit code; None when it still runs after `timeout_s`."""
        try:
            return self._popen.wait(timeout_s) if self._popen else None
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait(30)

    def rss_bytes(self) -> int:
        """Return the memory it holds now, 0 when it does not run."""
        with contextlib.suppress(psutil.Error):
            if self.running:
                return int(psutil.Process(self.pid).memory_info().rss)
        return 0

    def log_tail(self) -> str:
        """Return the last lines this run wrote to its log."""
        return tail(self.command.log, self._log_start)


def tail(log: Path, start: int = 0) -> str:
    """Return the end of `log`, at most 20 kB, nothing before the byte `start`."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start if start <= size else 0, size - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def cap_log(log: Path, max_bytes: int) -> None:
    """Keep `log` small: move what it holds to `log`.1 and empty it. Its writer appends, so it need not know."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > max_bytes:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)


def wait_until(answers: Callable[[], bool], process: Process, timeout_s: float) -> None:
    """Wait until `answers()`; raise `UserError` with the reason when the process ends or the time is over."""
    deadline = time.monotonic() + timeout_s
    while not answers():
        if not process.running:
            raise UserError(why_it_ended(process))
        if time.monotonic() > deadline:
            raise UserError(f"{process.name} did not answer within {timeout_s:.0f} s; its log is {process.command.log}")
        time.sleep(0.03)


def why_it_ended(process: Process) -> str:
    """Return one sentence on why a server ended: port busy, disk full, or the last line of its log."""
    text = process.log_tail()
    lowered = text.lower()
    if "no space left on device" in lowered:
        return f"{process.name} ended because the disk is full; make room or choose another folder with --data-dir"
    if "address already in use" in lowered or "address in use" in lowered:
        return f"{process.name} could not listen: its port is used by another program; start again to get a new one"
    code = process.returncode
    if code is not None and code < 0:
        return f"{process.name} was ended by signal {-code}"
    last = text.splitlines()[-1].strip() if text else "it wrote nothing"
    return f"{process.name} ended with code {code}: {last} (log: {process.command.log})"


def _before_exec(command: Command) -> Callable[[], None]:
    """Return what the child does between fork and exec. Only system calls: other threads' locks may be held."""
    account, root, parent = command.account, command.root, os.getpid()

    def prepare() -> None:
        if root is not None:
            os.chroot(root)
            os.chdir("/")
        if account is not None:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        # After setuid, which would clear it.
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(command.stop_signal))
            if os.getppid() != parent:
                os._exit(1)  # the parent died before the line above
        # The supervisor may have been started with these ignored (nohup, a background job).
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    return prepare


def _write_pid(file: Path, pid: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(psutil.Error):
        file.write_text(f"{pid} {psutil.Process(pid).create_time():.2f}\n", encoding="utf-8")


def leftover(pid_file: Path) -> psutil.Process | None:
    """Return the process `pid_file` speaks of if that very one still runs (a reused pid has another start time)."""
    try:
        pid, created = pid_file.read_text(encoding="utf-8").split()
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(created)) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return process if same else None


def stop_leftover(pid_file: Path, stop_signal: signal.Signals = signal.SIGTERM, timeout_s: float = 10.0) -> bool:
    """End what an earlier run left over, if anything; say whether there was something."""
    process = leftover(pid_file)
    if process is not None:
        end_process(process, stop_signal, timeout_s)
    pid_file.unlink(missing_ok=True)
    return process is not None


def end_process(process: psutil.Process, stop_signal: signal.Signals, timeout_s: float) -> None:
    """Ask a process that is not our child to end, kill it after `timeout_s`."""
    with contextlib.suppress(psutil.NoSuchProcess):
        try:
            process.send_signal(stop_signal)
            process.wait(timeout_s)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(10)
        except psutil.AccessDenied as exc:
            raise UserError(f"process {process.pid} of an earlier start still runs and belongs to another user; end it first") from exc
