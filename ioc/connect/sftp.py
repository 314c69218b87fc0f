"""A directory of an SFTP server as a source: `sftp://user@host:22/dir`, read as a folder of this machine is, and never written to.

The server is the one whose key the feed names (`host_key`); before that is sure, nothing is told to it. The feed's secret is
the password, or a private key (PEM, without a passphrase). Each poll is a connection of its own, to the host of the url only.
"""

from __future__ import annotations

import base64
import binascii
import io
import logging
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ioc.causes import because, unreached
from ioc.connect.errors import Fatal, Retriable, Unreachable, Unreadable
from ioc.connect.files import SETTLED_S, Files, Found, Listed

if TYPE_CHECKING:
    import paramiko

MOST_LISTED = 100_000  # entries of the directory; a server that goes on is cut off
_AT_ONCE = 32_000  # bytes asked for; every server grants 32 KiB, and this answer fits one SSH packet of that size
_RSA = ("rsa-sha2-512", "rsa-sha2-256")  # how an ssh-rsa key signs today
# The library tells of each broken connection with a traceback; the runner says it in one line.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class Sftp(Files):
    """A directory of a server. What is wrong with key, login or directory is `Fatal`; a network that fails is `Unreachable`."""

    def __init__(self, url: str, *, secret: str | None, host_key: str = "", timeout_s: float = 10, max_bytes: int = 32_000_000, settled_s: float = SETTLED_S) -> None:
        super().__init__(max_bytes=max_bytes, settled_s=settled_s)
        wanted = "write sftp://user@host:22/directory (%23 for #, %3F for ?)"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise Fatal(f"the url is not an address; {wanted}") from exc
        if parts.password is not None:
            raise Fatal("the url of an SFTP server holds no password; name it with `secret`")
        if parts.scheme != "sftp" or not parts.hostname or not parts.username or parts.query or parts.fragment:
            raise Fatal(f"{url[:200]} is not the address of a directory; {wanted}")
        if not secret:
            raise Fatal("an SFTP server wants a password or a private key; name it with `secret`")
        self._host, self._port, self._user = parts.hostname, port or 22, unquote(parts.username)
        self._path = unquote(parts.path) or "."
        self._at = f"{self._host}:{self._port}"
        self._secret, self._key = secret, _private(secret)
        self._pinned = _pinned(host_key)
        self._timeout_s = timeout_s
        self._deadline_s = max(30.0, 6 * timeout_s)  # for the list, and for each file: a server that drips is cut off
        self._open: paramiko.SFTPClient | None = None

    def changed(self, pattern: str, known: dict[str, str]) -> Iterator[Found | Unreadable]:
        with self._session():
            yield from super().changed(pattern, known)

    # --- connection -----------------------------------------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[None]:
        import paramiko

        with closing(self._connected()) as transport:
            self._log_in(transport)
            try:
                channel = transport.open_session(timeout=self._timeout_s)
                channel.settimeout(self._timeout_s)
                channel.invoke_subsystem("sftp")
            except (paramiko.SSHException, OSError, EOFError) as exc:
                if transport.is_active():
                    raise Fatal(f"{self._at} lets user {self._user} in and offers no SFTP; ask whoever runs it") from exc
                raise Unreachable(f"{self._at} broke off", cause=self._because("broke_off")) from exc
            try:
                self._open = paramiko.SFTPClient(channel)
                yield
            except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError, UnicodeError) as exc:
                # What the server says is not repeated: it knows the password.
                raise Unreachable(f"{self._at} {'was silent for too long' if isinstance(exc, TimeoutError) else 'broke off'} ({type(exc).__name__})", cause=self._because("silent" if isinstance(exc, TimeoutError) else "broke_off")) from exc
            finally:
                self._open = None

    def _connected(self) -> paramiko.Transport:
        """Return a connection to the server that has the pinned key."""
        import paramiko

        try:
            sock = socket.create_connection((self._host, self._port), self._timeout_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small requests, each waited for
        except (OSError, UnicodeError) as exc:
            raise Unreachable(f"{self._at} cannot be reached: {type(exc).__name__}: {str(exc)[:120]}", cause=unreached(exc, self._at)) from exc
        transport = paramiko.Transport(sock)
        try:
            transport.banner_timeout = transport.auth_timeout = self._timeout_s
            options = transport.get_security_options()
            # The pinned kind first, the others behind it: a server without it is refused with the key that it has.
            ours = _RSA if self._pinned and self._pinned[0] == "ssh-rsa" else self._pinned[:1] if self._pinned else ()
            options.key_types = sorted(options.key_types, key=lambda kind: kind not in ours)
            transport.start_client(timeout=self._timeout_s)
            self._trust(transport.get_remote_server_key())
        except paramiko.ssh_exception.IncompatiblePeer as exc:
            transport.close()
            raise Fatal(f"{self._at} speaks no SSH that is safe today ({str(exc)[:120]}); ask whoever runs it to update it") from exc
        except (paramiko.SSHException, OSError, EOFError) as exc:
            transport.close()
            raise Unreachable(f"{self._at} does not answer as an SSH server: {type(exc).__name__}: {str(exc)[:120]}", cause=self._because("broke_off")) from exc
        except BaseException:
            transport.close()
            raise
        return transport

    def _trust(self, key: paramiko.PKey) -> None:
        shown = f"{key.get_name()} {key.get_base64()}"
        if self._pinned is None:
            raise Fatal(f'the feed names no host_key, and {self._at} shows {shown} ({key.fingerprint}); ask whoever runs the server whether it is theirs, then write host_key: "{shown}"', cause=self._because("key_not_pinned"))
        if key.asbytes() != self._pinned[1]:
            raise Fatal(f"{self._at} shows another host key than the feed's host_key: {shown} ({key.fingerprint}); nothing was told to it. Somebody may stand in between; only if whoever runs the server says that the key is new, write it as host_key", cause=self._because("other_key"))

    def _log_in(self, transport: paramiko.Transport) -> None:
        import paramiko

        try:
            more = transport.auth_publickey(self._user, self._key) if self._key else transport.auth_password(self._user, self._secret)
        except (paramiko.SSHException, OSError, EOFError) as exc:
            # A login that nobody answered has the same type as one that was refused.
            if not transport.is_active() or "timeout" in str(exc).lower():
                raise Unreachable(f"{self._at} broke off at the login", cause=self._because("broke_off")) from exc
            what = "private key" if self._key else "password"
            takes = f" (it takes {', '.join(exc.allowed_types)[:100]})" if isinstance(exc, paramiko.BadAuthenticationType) else ""
            raise Fatal(f"{self._at} refuses user {self._user} with this {what}{takes}; check the user in the url and the feed's secret", cause=self._because("login_refused")) from exc
        if more:
            raise Fatal(f"{self._at} wants a second proof of user {self._user} ({', '.join(more)[:100]}); ask for an account that needs one only", cause=self._because("login_refused"))

    # --- files ----------------------------------------------------------------------------------------------------

    def _list(self) -> list[Listed]:
        assert self._open is not None
        ends, found = time.monotonic() + self._deadline_s, []
        try:
            for count, entry in enumerate(self._open.listdir_iter(self._path)):
                if count >= MOST_LISTED:
                    raise Fatal(f"{self._at}: the directory {self._path} has more than {MOST_LISTED} entries; keep old files elsewhere")
                self._in_time(ends)
                # A name is one of this directory, whatever the server says.
                if not entry.filename.strip(".") or any(sign in entry.filename for sign in "/\\\0"):
                    continue
                if (listed := self._listed(entry, entry.filename)) is not None:
                    found.append(listed)
        except FileNotFoundError as exc:
            raise Fatal(f"{self._at}: there is no directory {self._path} for user {self._user}; check the url", cause=self._because("no_directory")) from exc
        except PermissionError as exc:
            raise Fatal(f"{self._at}: user {self._user} may not list {self._path}; ask for the right to read it", cause=self._because("no_right")) from exc
        except OSError as exc:
            if self._lost(exc):
                raise
            raise Retriable(f"{self._at}: the directory {self._path} cannot be listed") from exc
        except UnicodeError as exc:
            raise Unreadable("wrong_encoding", f"{self._at}: a name in {self._path} is not UTF-8", repair="rename that file") from exc
        return found

    def _listed(self, about: paramiko.SFTPAttributes, name: str) -> Listed | None:
        if about.st_mode is None or about.st_mtime is None or about.st_size is None:
            raise Fatal(f"{self._at} does not say kind, size and time of its files; another server is needed")
        return Listed(about.st_mtime * 1_000_000_000, about.st_size, name) if stat.S_ISREG(about.st_mode) else None

    def _read(self, file: Listed) -> bytes | None:
        assert self._open is not None
        path, ends = f"{self._path.rstrip('/')}/{file.name}", time.monotonic() + self._deadline_s
        body = bytearray()
        try:
            with self._open.open(path, "rb") as remote:
                while len(body) <= file.size and (part := remote.read(_AT_ONCE)):
                    body += part
                    self._in_time(ends)
            # Written to, or made a link of, while we read: not what was listed.
            if len(body) != file.size or self._listed(self._open.lstat(path), file.name) != file:
                return None
        except FileNotFoundError:
            return None
        except OSError as exc:  # refused, or locked by whoever writes it; the others go on
            if self._lost(exc):
                raise
            raise Unreadable("unreadable_file", f"the file {file.name[:100]} cannot be read", repair=f"let user {self._user} of {self._at} read it") from exc
        return bytes(body)

    def _lost(self, exc: OSError) -> bool:
        """Is the connection gone, rather than this one request refused?"""
        channel = self._open.get_channel() if self._open else None
        return isinstance(exc, TimeoutError) or channel is None or channel.closed

    def _because(self, code: str) -> str:
        return because(code, host=self._at)

    def _in_time(self, ends: float) -> None:
        if time.monotonic() > ends:
            raise Unreachable(f"{self._at} took longer than {self._deadline_s:.0f} s; raise timeout_s if the line is slow", cause=self._because("silent"))


def _pinned(text: str) -> tuple[str, bytes] | None:
    """Return kind and bytes of a host key as OpenSSH writes it (`ssh-ed25519 AAAA... comment`); raise `Fatal`."""
    if not text:
        return None
    try:
        kind, data = text.split()[:2]
        return kind, base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error) as exc:
        raise Fatal(f"host_key: {text[:60]!r} is no key; write its kind and its base64, for example \"ssh-ed25519 AAAA...\", or leave it out to be told the server's") from exc


def _private(secret: str) -> paramiko.PKey | None:
    """Return the private key that a secret is, None for a password; raise `Fatal`."""
    if not secret.lstrip().startswith("-----BEGIN "):
        return None
    import paramiko

    kinds: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
    for kind in kinds:
        try:
            return kind.from_private_key(io.StringIO(secret.strip() + "\n"))
        except paramiko.PasswordRequiredException:
            raise Fatal("the feed's secret is a private key with a passphrase; keep one without (ssh-keygen -p)") from None
        except (paramiko.SSHException, ValueError, IndexError, TypeError):
            continue
    raise Fatal("the feed's secret begins as a private key and is none that can be read; it must be Ed25519, ECDSA or RSA, whole, with its line breaks")
