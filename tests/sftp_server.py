"""A small SFTP server for tests, on a folder of this machine. It can be stopped and started again on its port.

It lists links as links and opens what they lead to, as OpenSSH does. What a client asks to change is refused and noted.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko


class Sftp:
    """The server. `names`: real name -> what the list calls it; `reading(path)` is called at the first read of a file."""

    def __init__(self, root: Path, *, user: str = "reader", password: str = "", public: paramiko.PKey | None = None) -> None:
        self.root, self.user, self.password, self.public = root, user, password, public
        self.keys: list[paramiko.PKey] = [paramiko.ECDSAKey.generate()]
        self.names: dict[str, str] = {}
        self.reading: Callable[[Path], None] = lambda _path: None
        self.asked_to_change: list[str] = []
        self.logins: list[str] = []
        self.opened: list[str] = []
        self.port = 0
        self._open: list[paramiko.Transport] = []
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def host_key(self) -> str:
        return f"{self.keys[0].get_name()} {self.keys[0].get_base64()}"

    def start(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, args=(self._socket,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hang up on everybody and listen no longer."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        if self._thread is not None:
            self._thread.join()
        while self._open:
            self._open.pop().close()
        self._socket = self._thread = None

    def hang_up(self) -> None:
        for transport in self._open:
            transport.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            self._open.append(transport)
            for key in self.keys:
                transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, self)
            with suppress(paramiko.SSHException, OSError, EOFError):
                transport.start_server(event=threading.Event(), server=_Logins(self))


class _Logins(paramiko.ServerInterface):
    def __init__(self, server: Sftp) -> None:
        self._server = server

    def get_allowed_auths(self, username: str) -> str:
        return "publickey" if self._server.public else "password"

    def check_auth_password(self, username: str, password: str) -> int:
        self._server.logins.append("password")
        good = not self._server.public and (username, password) == (self._server.user, self._server.password)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._server.logins.append("publickey")
        good = self._server.public is not None and username == self._server.user and key.asbytes() == self._server.public.asbytes()
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class _Handle(paramiko.SFTPHandle):
    def __init__(self, server: Sftp, path: Path) -> None:
        super().__init__()
        self._server, self._path = server, path
        self.readfile: Any = path.open("rb")

    def read(self, offset: int, length: int) -> Any:
        if offset == 0:
            self._server.reading(self._path)
        return super().read(offset, length)


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server: paramiko.ServerInterface, files: Sftp, *args: Any, **kwargs: Any) -> None:
        super().__init__(server)
        self._files = files

    def _real(self, path: str) -> Path:
        return self._files.root / path.lstrip("/")

    def list_folder(self, path: str) -> Any:
        try:
            found = sorted(self._real(path).iterdir())
        except OSError as exc:
            return paramiko.SFTPServer.convert_errno(exc.errno or 0)
        return [paramiko.SFTPAttributes.from_stat(each.lstat(), self._files.names.get(each.name, each.name)) for each in found]

    def lstat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(self._real(path).lstat())
        except OSError as exc:
            return paramiko.SFTPServer.convert_errno(exc.errno or 0)

    def open(self, path: str, flags: int, attr: Any) -> Any:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return self._changed("open")
        self._files.opened.append(path)
        try:
            return _Handle(self._files, self._real(path))
        except OSError as exc:
            return paramiko.SFTPServer.convert_errno(exc.errno or 0)

    def _changed(self, what: str) -> int:
        self._files.asked_to_change.append(what)
        return int(paramiko.SFTP_PERMISSION_DENIED)

    def remove(self, path: str) -> int:
        return self._changed("remove")

    def rename(self, oldpath: str, newpath: str) -> int:
        return self._changed("rename")

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._changed("posix_rename")

    def chattr(self, path: str, attr: Any) -> int:
        return self._changed("chattr")

    def mkdir(self, path: str, mode: Any) -> int:
        return self._changed("mkdir")
