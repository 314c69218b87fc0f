"""Passwords: argon2id, what is taken as one, and the same time for every answer."""

from __future__ import annotations

import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ioc.errors import Problem

LEAST, MOST = 12, 200  # characters
_DIFFERENT = 5  # different characters, at least
_AT_ONCE = 2  # one check takes 64 MB and a core for some 50 ms: a flood of logins must not take the machine

_hasher = PasswordHasher()  # argon2id with the parameters RFC 9106 gives for 64 MB
_turn = threading.BoundedSemaphore(_AT_ONCE)
_NOBODYS = _hasher.hash("nobody's password: verified when there is no account, so that the answer takes as long")


def _typed(password: str) -> bytes:
    """The same letters from any keyboard: ế may come as one sign or as three."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace")


def make(password: str, *, name: str = "") -> str:
    """Return the hash to keep. Raise `Problem` for a password that is too easy."""
    if len(password) < LEAST:
        raise Problem("short", f"the password is too short: at least {LEAST} characters; several words are good", n=LEAST)
    if len(password) > MOST:
        raise Problem("long", f"the password is too long: at most {MOST} characters", n=MOST)
    if len(set(password.lower())) < _DIFFERENT:
        raise Problem("repeats", f"the password repeats too few characters: at least {_DIFFERENT} different ones", n=_DIFFERENT)
    if name and name.lower() in password.lower():
        raise Problem("contains_name", "the password must not contain the account's name")
    with _turn:
        return _hasher.hash(_typed(password))


def check(kept: str, password: str) -> bool:
    """Say whether `password` is the one of the hash `kept`. With an empty hash: no, in the same time."""
    with _turn:
        try:
            _hasher.verify(kept or _NOBODYS, _typed(password[: MOST + 1]))
        except (VerificationError, InvalidHashError):
            return False
    return bool(kept)


def outdated(kept: str) -> bool:
    """Say whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(kept)
