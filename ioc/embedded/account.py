"""Whom a database server runs as. PostgreSQL refuses root, so root starts it as an account that may do nothing else."""

from __future__ import annotations

import os
import pwd
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ioc.errors import UserError

SERVICE_ACCOUNT = "ioc-postgres"

_ACL = "system.posix_acl_access"
_ACL_VERSION = 2
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NOBODY_IN_PARTICULAR = 0xFFFFFFFF
_SEARCH = 1


@dataclass(frozen=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


def is_root() -> bool:
    """Say whether we may become somebody else."""
    return os.geteuid() == 0


def account_for(folder: Path) -> Account | None:
    """Return whom the server owning `folder` must run as; None: as we are.

    An ordinary user runs it himself. Root runs it as the folder's owner, so that a system first started by an ordinary
    user goes on, or as a system account made for this.
    """
    owner = folder.stat().st_uid if folder.exists() else None
    if not is_root():
        if owner is not None and owner != os.geteuid():
            raise UserError(f"{folder} belongs to another user ({_name(owner)}); start as that user, or choose another folder with --data-dir")
        return None
    if owner:
        try:
            entry = pwd.getpwuid(owner)
        except KeyError:
            return Account(str(owner), owner, folder.stat().st_gid)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    return service_account()


def service_account() -> Account:
    """Return the system account for database servers, making it when it is missing (root only)."""
    try:
        entry = pwd.getpwnam(SERVICE_ACCOUNT)
    except KeyError:
        entry = _make_service_account()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _make_service_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path=os.defpath + ":/usr/sbin:/sbin")
    if useradd:
        subprocess.run(  # noqa: S603
            [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", SERVICE_ACCOUNT],
            check=False,
            capture_output=True,
        )
    for name in (SERVICE_ACCOUNT, "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise UserError("PostgreSQL does not run as root and this machine has no other account; start as an ordinary user")


def make_reachable(path: Path, account: Account) -> None:
    """Let `account` pass through the folders above `path`, and nothing more.

    A folder closed to others (a home, a mode of 0700) gets one entry in its access control list, for this account and
    with the right to pass only; its mode for everybody else stays.
    """
    for folder in reversed(path.resolve().parents):
        if not _may(account, "-x", folder):
            try:
                _grant_search(folder, account.uid)
            except OSError as exc:
                raise UserError(
                    f"the database runs as {account.name}, which may not pass through {folder}; allow it (chmod o+x {folder}) or use a folder elsewhere"
                ) from exc


def may_read(path: Path, account: Account) -> bool:
    """Say whether `account` may read `path`."""
    return _may(account, "-r", path)


def _may(account: Account, test: str, path: Path) -> bool:
    argv = ["/bin/sh", "-c", f'test {test} "$1"', "sh", str(path)]
    return subprocess.run(argv, user=account.uid, group=account.gid, extra_groups=[], cwd="/", check=False).returncode == 0  # noqa: S603


def _grant_search(folder: Path, uid: int) -> None:
    """Add "user `uid` may pass" to the folder's access control list (acl(5), in the kernel's binary form)."""
    entries = [e for e in _read_acl(folder) if not (e[0] == _USER and e[2] == uid)]
    entries.append((_USER, _SEARCH, uid))
    mask = next((perm for tag, perm, _ in entries if tag == _MASK), 0) | _SEARCH
    # Without a mask the group bits were the group's rights; with one they are the upper bound of all named entries.
    if all(tag != _MASK for tag, _, _ in entries):
        mask |= next(perm for tag, perm, _ in entries if tag == _GROUP_OBJ)
    entries = [e for e in entries if e[0] != _MASK] + [(_MASK, mask, _NOBODY_IN_PARTICULAR)]
    entries.sort(key=lambda e: (e[0], e[2]))
    body = b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(folder, _ACL, struct.pack("<I", _ACL_VERSION) + body)


def _read_acl(folder: Path) -> list[tuple[int, int, int]]:
    try:
        raw = os.getxattr(folder, _ACL)
    except OSError:
        mode = folder.stat().st_mode
        return [(tag, mode >> shift & 7, _NOBODY_IN_PARTICULAR) for tag, shift in ((_USER_OBJ, 6), (_GROUP_OBJ, 3), (_OTHER, 0))]
    return [(tag, perm, who) for tag, perm, who in struct.iter_unpack("<HHI", raw[4:])]


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
