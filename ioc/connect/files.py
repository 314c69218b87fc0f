"""Files as a source: complete ones, each read once, and again when somebody corrected it. Nothing is moved or deleted."""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
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


class Listed(Struct, frozen=True, order=True):
    """An ordinary file of the directory: when it was written to (nanoseconds since 1970), bytes, name."""

    changed_ns: int
    size: int
    name: str


class Files(ABC):
    """The files of one feed, in one directory, wherever that is."""

    def __init__(self, *, max_bytes: int, settled_s: float) -> None:
        self._max_bytes, self._settled_s = max_bytes, settled_s
        self._waiting: dict[Listed, float] = {}  # too young to be read -> since when we know it so (monotonic)
        self.bytes_read = 0

    def close(self) -> None:  # noqa: B027 - nothing to do is what both do
        """Nothing is open between two polls."""

    def changed(self, pattern: str, known: dict[str, str]) -> Iterator[Found | Unreadable]:
        """Yield the files matching `pattern` (no path, `*` and `?`) that are not as in `known` (name -> mark), oldest first.

        A file that cannot be read is yielded as `Unreadable`. Raise `Fatal`, `Unreachable` when the directory cannot be read.
        """
        if "/" in pattern or ".." in pattern:
            raise Fatal(f"files: {pattern!r} must be a name such as '*.xlsx', without a folder")
        # Names starting with a dot or a tilde are what programs write beside a file that is open.
        files = sorted(file for file in self._list() if file.name[:1] not in ("", ".", "~") and fnmatchcase(file.name, pattern))[:MOST_FILES]
        new = [file for file in files if known.get(file.name, "").partition("|")[0] != _stamp(file)]
        for file in self._quiet(new):
            try:
                body = self._body(file)
            except Unreadable as exc:
                yield exc
                continue
            if body is not None:
                self.bytes_read += len(body)
                digest = hashlib.blake2b(body, digest_size=8).hexdigest()
                yield Found(file.name, body, f"{_stamp(file)}|{digest}", same=known.get(file.name, "").split("|")[-1] == digest)

    def _quiet(self, files: list[Listed]) -> list[Listed]:
        """Return those nobody wrote to lately: by their own time, or as long as we look, where a clock is ahead of ours."""
        now, mono = time.time(), time.monotonic()
        young = [file for file in files if now - file.changed_ns / 1e9 < self._settled_s]
        self._waiting = {file: self._waiting.get(file, mono) for file in young}
        return [file for file in files if mono - self._waiting.get(file, mono - self._settled_s) >= self._settled_s]

    def _body(self, file: Listed) -> bytes | None:
        """Return what is in a file, None when it changed meanwhile (the next poll looks again); raise `Unreadable`."""
        if file.size > self._max_bytes:
            raise Unreadable("too_large", f"the file {file.name[:100]} has {file.size} bytes; at most {self._max_bytes}", repair="split it, or raise max_response_bytes")
        return self._read(file)

    @abstractmethod
    def _list(self) -> Iterable[Listed]:
        """Return the ordinary files of the directory; what a link leads to is none."""

    @abstractmethod
    def _read(self, file: Listed) -> bytes | None:
        """As `_body`, of a file that is not too large."""


class Folder(Files):
    """A folder of this machine: `file:///path/of/the/folder`."""

    def __init__(self, url: str, *, max_bytes: int = 32_000_000, settled_s: float = SETTLED_S) -> None:
        super().__init__(max_bytes=max_bytes, settled_s=settled_s)
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path:
            raise Fatal(f"{url[:200]} is not the address of a folder; write file:///path/of/the/folder")
        self.path = Path(unquote(parts.path))

    def _list(self) -> list[Listed]:
        try:
            if not self.path.is_dir():
                raise FileNotFoundError(2, "there is no such folder")
            with os.scandir(self.path) as entries:
                found = [(entry.stat(follow_symlinks=False), entry.name) for entry in entries if entry.is_file(follow_symlinks=False)]
        except OSError as exc:
            raise Unreachable(f"the folder {self.path} cannot be read: {exc.strerror}") from exc
        return [Listed(stat.st_mtime_ns, stat.st_size, name) for stat, name in found]

    def _read(self, file: Listed) -> bytes:
        try:
            return (self.path / file.name).read_bytes()
        except OSError as exc:
            raise Unreadable("unreadable_file", f"the file {file.name[:100]} cannot be read: {exc.strerror}", repair=f"let user {os.getuid()} read it") from exc


def _stamp(file: Listed) -> str:
    return f"{file.changed_ns}-{file.size}"


def marks(cursor: Any) -> dict[str, str]:
    """Return the marks a cursor holds."""
    return {str(name): str(mark) for name, mark in cursor.items()} if isinstance(cursor, dict) else {}
