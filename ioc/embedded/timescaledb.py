"""Real TimescaleDB without Docker: Debian 13's packages in a folder of their own (root on a Debian-family machine).

debootstrap unpacks a minimal Debian 13 with PostgreSQL 17 and TimescaleDB (Apache edition) into one folder; the server
runs inside it through chroot, as an account without rights. Nothing of the machine itself is changed, except that
debootstrap is installed when it is missing. Removing the folder removes everything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ioc.embedded.account import Account, is_root, service_account
from ioc.embedded.postgres import Install, Postgres
from ioc.embedded.process import alone, disk_errors, require_space
from ioc.errors import UserError

SUITE = "trixie"
MAJOR = 17
NEEDED_BYTES = 1_500_000_000  # 0.7 GB unpacked, packages beside it while unpacking
_BIN = Path(f"/usr/lib/postgresql/{MAJOR}/bin")
_LIBRARY = Path(f"usr/lib/postgresql/{MAJOR}/lib/timescaledb.so")
_DATA = Path("srv")
_ATTEMPTS = 3
_PATH = os.defpath + ":/usr/local/sbin:/usr/sbin:/sbin"
Say = Callable[[str], None]


def is_provisioned(root: Path) -> bool:
    """Say whether `root` holds a finished installation."""
    return (root / _LIBRARY).exists()


def provision(root: Path, say: Say) -> Install:
    """Make `root` unless it is there, and return the server in it; raise `UserError` when this machine cannot.

    It is built aside and renamed when finished, so a half-made one is never used: the next start builds it again.
    """
    root = root.absolute()
    if not is_root():
        raise UserError("--timescaledb needs root (it unpacks Debian packages and runs them through chroot); without it, use a system PostgreSQL with TimescaleDB or IOC_DATABASE__DSN")
    with disk_errors(root), alone(root):
        if not is_provisioned(root):
            _build(root, say)
    return Install(_BIN, MAJOR, True, f"PostgreSQL {MAJOR} with TimescaleDB of Debian 13", root)


def server(install: Install, name: str, *, port: int, log: Path, pid_file: Path | None = None, durable: bool = True, background_jobs: bool = True) -> Postgres:
    """Return the server for the data called `name` inside the folder of `install`."""
    assert install.root is not None
    _know_account(install.root, service_account())
    folder = data_folder(install.root, name)
    return Postgres(folder, install, port=port, log=log, pid_file=pid_file, durable=durable, background_jobs=background_jobs)


def data_folder(root: Path, name: str) -> Path:
    """Return where the data called `name` lies, as seen from outside."""
    return root / _DATA / name


def _build(root: Path, say: Say) -> None:
    if root.exists():
        raise UserError(f"{root} exists and holds no TimescaleDB; remove it or choose another folder with --data-dir")
    require_space(root.parent, NEEDED_BYTES)
    program = _debootstrap(say)
    partial, log = root.with_name(root.name + ".partial"), root.with_name(root.name + "-debootstrap.log")
    for attempt in range(1, _ATTEMPTS + 1):
        say(f"unpacking Debian 13 with PostgreSQL {MAJOR} and TimescaleDB into {root} (about 150 MB to download, one to three minutes)")
        discard(partial)
        if _run([program, "--variant=minbase", f"--include=postgresql-{MAJOR}-timescaledb", SUITE, str(partial), *_mirror()], log):
            break
        if attempt == _ATTEMPTS:
            raise UserError(f"debootstrap could not unpack Debian 13: {_last_error(log)} (log: {log})")
        time.sleep(5 * attempt)
    if not is_provisioned(partial):
        raise UserError(f"debootstrap ended well, but {partial / _LIBRARY} is missing (log: {log})")
    shutil.rmtree(partial / "var/cache/apt/archives", ignore_errors=True)
    partial.rename(root)


def discard(folder: Path) -> None:
    """Remove a half-made folder, and first whatever an interrupted debootstrap left mounted in it."""
    if not folder.exists():
        return
    for point in reversed(_mounts_below(folder)):
        subprocess.run(["umount", "--lazy", str(point)], check=False, capture_output=True, env=_env())  # noqa: S603, S607
    if left := _mounts_below(folder):
        raise UserError(f"{left[0]} is still mounted from an interrupted start; run umount {left[0]}")
    shutil.rmtree(folder)


def _mounts_below(folder: Path) -> list[Path]:
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    points = [Path(line.split()[1].encode().decode("unicode_escape")) for line in lines]
    return sorted(point for point in points if point.is_relative_to(folder.resolve()))


def _debootstrap(say: Say) -> str:
    """Return the program, installing it when it is missing."""
    if program := shutil.which("debootstrap", path=_PATH):
        return program
    apt = shutil.which("apt-get", path=_PATH)
    if apt is None:
        raise UserError("--timescaledb needs debootstrap, which a Debian-family machine can install; here is no apt-get")
    say("installing debootstrap")
    log = Path(os.devnull)
    for _ in range(_ATTEMPTS):
        if _run([apt, "update"], log) and _run([apt, "install", "-y", "--no-install-recommends", "debootstrap"], log):
            break
    program = shutil.which("debootstrap", path=_PATH)
    if program is None:
        raise UserError("debootstrap could not be installed: run apt-get install debootstrap and see what it says")
    return program


def _mirror() -> list[str]:
    """Return the mirror this Debian machine uses itself; elsewhere debootstrap's own default."""
    try:
        release = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    if "ID=debian" not in release:
        return []
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(SUITE) $(CODENAME)", "Created-By: Packages"]
    try:
        lines = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60, env=_env()).stdout.splitlines()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    # The main archive's path ends in /debian; the security archive has no such suite.
    return [uri for uri in (line.split()[0] for line in lines if line.strip()) if uri.rstrip("/").endswith("/debian")][:1]


def _run(argv: list[str], log: Path) -> bool:
    with log.open("ab") as out:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False, env=_env()).returncode == 0  # noqa: S603


def _env() -> dict[str, str]:
    return dict(os.environ) | {"PATH": _PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


def _last_error(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return next((line for line in reversed(lines) if line.startswith(("E:", "W:"))), lines[-1] if lines else "it wrote nothing")


def _know_account(root: Path, account: Account) -> None:
    """Make the account known inside the folder: initdb asks for its name. Same number there and here."""
    passwd = f"{account.name}:x:{account.uid}:{account.gid}::/nonexistent:/usr/sbin/nologin"
    # A number the packages took for somebody else would win: ours goes first.
    _put_first(root / "etc" / "passwd", passwd, account.name)
    _put_first(root / "etc" / "group", f"{account.name}:x:{account.gid}:", account.name)


def _put_first(file: Path, line: str, name: str) -> None:
    """Make `line` the first of `file`, which is replaced as a whole: other servers may be starting from it."""
    old = file.read_text(encoding="utf-8")
    if old.startswith(line + "\n"):
        return
    others = [entry for entry in old.splitlines() if entry.split(":")[0] != name]
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.write_text("\n".join([line, *others]) + "\n", encoding="utf-8")
    new.chmod(0o644)  # whatever our umask is: the server reads it without our rights
    new.replace(file)
