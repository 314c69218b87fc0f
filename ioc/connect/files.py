"""A folder as a source: complete files, each read once, and again when somebody corrected it. Nothing is moved or deleted."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from ioc.connect.errors import Fatal, Unreachable, Unreadable

SETTLED_S = 2.0  # a file that changed less than this ago may still be written to
MOST_FILES = 10_000


class Found(Struct, frozen=True):
    """A file that is new, or was touched. `mark`: what it is recognised by next time; `same`: its content was read before."""

    name: str
    body: bytes
    mark: str
    same: bool


class Folder:
    """The files of one feed, whose url is `file:///path/of/the/folder`."""

    def __init__(self, url: str, *, max_bytes: int = 32_000_000, settled_s: float = SETTLED_S) -> None:
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path:
            raise Fatal(f"{url[:200]} is not the address of a folder; write file:///path/of/the/folder")
        self.path = Path(unquote(parts.path))
        self._max_bytes, self._settled_s = max_bytes, settled_s
        self.bytes_read = 0

    def close(self) -> None:
        """Nothing is open."""

    def changed(self, pattern: str, known: dict[str, str]) -> Iterator[Found | Unreadable]:
        """Yield the files matching `pattern` (no path, `*` and `?`) that are not as in `known` (name -> mark), oldest first.

        A file that cannot be read is yielded as `Unreadable`. Raise `Unreachable` when the folder is not there.
        """
        if "/" in pattern or ".." in pattern:
            raise Fatal(f"files: {pattern!r} must be a name such as '*.xlsx', without a folder")
        try:
            names = [(entry.stat().st_mtime_ns, entry.stat().st_size, entry.name) for entry in self._entries(pattern)]
        except OSError as exc:
            raise Unreachable(f"the folder {self.path} cannot be read: {exc.strerror}") from exc
        for changed_ns, size, name in sorted(names)[:MOST_FILES]:
            seen = known.get(name, "").split("|")
            if seen[0] == f"{changed_ns}-{size}" or time.time() - changed_ns / 1e9 < self._settled_s:
                continue
            yield from self._read(name, changed_ns, size, seen)

    def _entries(self, pattern: str) -> list[Path]:
        if not self.path.is_dir():
            raise FileNotFoundError(2, "there is no such folder")
        # Names starting with a dot or a tilde are what programs write beside a file that is open.
        return [file for file in self.path.glob(pattern) if file.is_file() and not file.is_symlink() and file.name[0] not in ".~"]

    def _read(self, name: str, changed_ns: int, size: int, seen: list[str]) -> Iterator[Found | Unreadable]:
        if size > self._max_bytes:
            yield Unreadable("too_large", f"the file {name[:100]} has {size} bytes; at most {self._max_bytes}", repair="split it, or raise max_response_bytes")
            return
        try:
            body = (self.path / name).read_bytes()
        except OSError as exc:
            yield Unreadable("unreadable_file", f"the file {name[:100]} cannot be read: {exc.strerror}", repair=f"let user {os.getuid()} read it")
            return
        self.bytes_read += len(body)
        digest = hashlib.blake2b(body, digest_size=8).hexdigest()
        yield Found(name, body, f"{changed_ns}-{size}|{digest}", same=seen[-1] == digest)


def marks(cursor: Any) -> dict[str, str]:
    """Return the marks a cursor holds."""
    return {str(name): str(mark) for name, mark in cursor.items()} if isinstance(cursor, dict) else {}
