"""A directory of an SFTP server as a source, against a real one on 127.0.0.1."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sftp_server import Sftp as Server
from typer.testing import CliRunner
from unit.connect_rig import HERE, NOW, Bus, Memory, feed_of

from ioc.causes import in_words
from ioc.clock import FrozenClock
from ioc.connect.client import open_client
from ioc.connect.commands import app
from ioc.connect.declared import Declared
from ioc.connect.declared.schema import Declaration
from ioc.connect.errors import Fatal, Unreachable, Unreadable
from ioc.connect.files import Found
from ioc.connect.pump import Pump
from ioc.connect.sftp import Sftp

PASSWORD = "mật-khẩu-7391"
DECLARATION = {
    "about": "visitors",
    "source": {"files": "*.csv"},
    "fields": {"id": {"class": "public"}, "n": {"class": "public", "type": "count"}, "day": {"class": "public", "type": "date"}},
    "subject": "$id",
    "time": "$day",
    "facts": [{"observation": {"metric": "visitors", "value": "$n", "unit": "{visitor}"}}],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "srv/drop").mkdir(parents=True)
    server = Server(tmp_path / "srv", password=PASSWORD)
    server.start()
    yield server
    server.stop()
    assert server.asked_to_change == []


def put(server: Server, name: str, body: bytes, age_s: float = 60) -> Path:
    file = server.root / "drop" / name
    file.write_bytes(body)
    at = file.stat().st_mtime - age_s
    os.utime(file, (at, at))
    return file


def sftp(server: Server, path: str = "/drop", **changes: Any) -> Sftp:
    given = {"secret": PASSWORD, "host_key": server.host_key, "timeout_s": 5, **changes}
    return Sftp(f"sftp://reader@127.0.0.1:{server.port}{path}", **given)


def names(found: Any) -> list[str]:
    return [each.name if isinstance(each, Found) else each.cause for each in found]


def said(source: Sftp, cause: str, kind: type[Fatal | Unreachable] = Fatal) -> str:
    """Return the message of a failure whose `cause` screens have words for."""
    with pytest.raises(kind) as failure:
        list(source.changed("*", {}))
    assert PASSWORD not in str(failure.value)
    assert failure.value.cause.partition(":")[0] == cause and "127.0.0.1" in in_words(failure.value.cause).vi
    return str(failure.value)


def test_new_and_changed_files_are_read_once_and_only_what_changed_is_told(server: Server) -> None:
    connector, memory = Declared("visitors", Declaration.model_validate(DECLARATION)), Memory()
    feed = feed_of("open311", f"sftp://reader@127.0.0.1:{server.port}/drop").model_copy(update={"connector": "visitors", "host_key": server.host_key})
    client = open_client(feed.url, feed.feed, token=PASSWORD, allowed_hosts=[], rate_per_s=9, timeout_s=5, max_bytes=1_000_000, sleep=lambda _s: None, host_key=feed.host_key)
    pump = Pump(feed, connector, connector.options(), HERE, client, FrozenClock(NOW))

    def poll() -> list[tuple[str, Any]]:
        bus = Bus()
        assert pump.poll(bus, memory).problems == []
        return [(event.subject, event.data.value) for event in bus.events]  # type: ignore[union-attr]

    put(server, "1.csv", b"id,n,day\na,5,2026-11-20\nb,6,2026-11-20\n")
    put(server, "2.csv", b"id,n,day\nc,7,2026-11-20\n", 50)
    put(server, "half.csv", b"id,n", 0)
    put(server, "~$1.csv", b"lock")
    put(server, "other.txt", b"x")
    assert poll() == [("a", 5), ("b", 6), ("c", 7)]
    assert poll() == []
    put(server, "1.csv", b"id,n,day\na,5,2026-11-20\nb,66,2026-11-20\n", 30)
    server.opened.clear()
    assert poll() == [("b", 66)]
    assert server.opened == ["/drop/1.csv"]
    assert sorted(path.name for path in (server.root / "drop").iterdir()) == ["1.csv", "2.csv", "half.csv", "other.txt", "~$1.csv"]


def test_a_large_file_comes_whole_and_one_above_the_limit_is_told_unopened(server: Server) -> None:
    body = os.urandom(300_000)
    put(server, "good.bin", body)
    put(server, "large.bin", body + b"x", 30)
    found = list(sftp(server, max_bytes=300_000).changed("*.bin", {}))
    assert names(found) == ["good.bin", "too_large"] and isinstance(found[0], Found) and found[0].body == body
    assert server.opened == ["/drop/good.bin"]


def test_names_that_leave_the_directory_and_links_are_not_opened(server: Server) -> None:
    (server.root / "secret.csv").write_bytes(b"x")
    for name, shown in (("a.csv", "../secret.csv"), ("b.csv", ".."), ("c.csv", "..\\secret.csv"), ("d.csv", "/secret.csv"), ("e.csv", "f\0.csv")):
        put(server, name, b"x")
        server.names[name] = shown
    (server.root / "drop/link.csv").symlink_to(server.root / "secret.csv")
    (server.root / "drop/folder.csv").mkdir()
    for name in ("link.csv", "folder.csv"):
        os.utime(server.root / "drop" / name, (1_700_000_000, 1_700_000_000), follow_symlinks=False)
    put(server, "good.csv", b"x")
    assert names(sftp(server).changed("*", {})) == ["good.csv"]
    assert server.opened == ["/drop/good.csv"]


@pytest.mark.parametrize("becomes", ["longer", "link", "gone"])
def test_a_file_that_changes_while_it_is_read_waits_for_the_next_poll(server: Server, becomes: str) -> None:
    file = put(server, "a.csv", b"id,n")

    def change(_path: Path) -> None:
        body = file.read_bytes()
        file.unlink()
        if becomes == "longer":
            put(server, "a.csv", body + b",day")
        if becomes == "link":
            (server.root / "else").write_bytes(body)
            file.symlink_to(server.root / "else")

    server.reading = change
    source = sftp(server)
    assert names(source.changed("*", {})) == []
    server.reading = lambda _path: None
    assert names(source.changed("*", {})) == (["a.csv"] if becomes == "longer" else [])


def test_a_file_of_a_server_whose_clock_is_ahead_is_read_when_it_stays_as_it_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server, "a.csv", b"x", age_s=-3600)
    source, now = sftp(server), 1000.0
    monkeypatch.setattr("ioc.connect.files.time.monotonic", lambda: now)
    assert names(source.changed("*", {})) == []
    now += 1.9
    assert names(source.changed("*", {})) == []
    put(server, "a.csv", b"xx", age_s=-3600)
    now += 1.9
    assert names(source.changed("*", {})) == []
    now += 2
    assert names(source.changed("*", {})) == ["a.csv"]


def test_without_the_pinned_key_nothing_is_told_to_the_server_and_its_key_is(server: Server) -> None:
    put(server, "a.csv", b"x")
    shown = server.host_key
    absent = said(sftp(server, host_key=""), "key_not_pinned")
    assert "names no host_key" in absent and f'write host_key: "{shown}"' in absent and "SHA256:" in absent
    for other in (paramiko.ECDSAKey.generate(), paramiko.RSAKey.generate(2048)):
        different = said(sftp(server, host_key=f"{other.get_name()} {other.get_base64()}"), "other_key")
        assert "another host key" in different and shown in different and "as host_key" in different
    assert server.logins == [] and server.opened == []
    assert names(sftp(server, host_key=f"{shown} root@server").changed("*", {})) == ["a.csv"]


def test_a_pinned_key_is_asked_for_where_the_server_has_several(server: Server) -> None:
    server.keys.append(paramiko.RSAKey.generate(2048))
    put(server, "a.csv", b"x")
    for key in server.keys:
        assert names(sftp(server, host_key=f"{key.get_name()} {key.get_base64()}").changed("*", {})) == ["a.csv"]


def test_a_refused_login_names_user_and_secret_and_never_the_password(server: Server) -> None:
    assert "refuses user reader with this password; check the user in the url and the feed's secret" in said(sftp(server, secret=PASSWORD + "x"), "login_refused")
    server.public = paramiko.ECDSAKey.generate()
    assert "(it takes publickey)" in said(sftp(server), "login_refused")


def test_a_private_key_is_a_secret_too(server: Server) -> None:
    def pem(passphrase: bytes = b"") -> str:
        how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, how).decode().strip()

    key = Ed25519PrivateKey.generate()
    server.public = paramiko.Ed25519Key.from_private_key(io.StringIO(pem()))
    put(server, "a.csv", b"x")
    assert names(sftp(server, secret=pem()).changed("*", {})) == ["a.csv"]
    assert set(server.logins) == {"publickey"}
    key = Ed25519PrivateKey.generate()
    assert "with this private key" in said(sftp(server, secret=pem()), "login_refused")
    with pytest.raises(Fatal, match="passphrase"):
        sftp(server, secret=pem(b"open"))
    with pytest.raises(Fatal, match="whole, with its line breaks"):
        sftp(server, secret=pem()[:120])


def test_a_missing_directory_is_fatal_and_a_file_without_rights_holds_nobody_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no directory /none for user reader" in said(sftp(server, "/none"), "no_directory")
    put(server, "a.csv", b"x")
    put(server, "b.csv", b"x", 30)
    plain = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *args: _refuse() if path.name == "a.csv" else plain(path, *args))
    found = list(sftp(server).changed("*", {}))
    assert names(found) == ["unreadable_file", "b.csv"] and isinstance(found[0], Unreadable) and "let user reader" in found[0].repair


def _refuse() -> None:
    raise PermissionError(13, "no")


def test_a_server_that_goes_away_is_asked_again_and_goes_on_where_it_was(server: Server) -> None:
    put(server, "a.csv", b"x")
    put(server, "b.csv", b"x", 30)
    source = sftp(server)
    server.reading = lambda path: server.hang_up() if path.name == "b.csv" else None
    reading = source.changed("*", {})
    first = next(reading)
    assert isinstance(first, Found) and first.name == "a.csv"
    with pytest.raises(Unreachable, match="broke off"):
        next(reading)
    server.stop()
    assert "cannot be reached" in said(source, "connection_refused", Unreachable)
    server.reading = lambda _path: None
    server.start()
    assert names(source.changed("*", {first.name: first.mark})) == ["b.csv"]


def test_what_is_no_ssh_server_or_says_nothing_is_unreachable(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection into its queue and never says a word
        source = Sftp(f"sftp://reader@127.0.0.1:{silent.getsockname()[1]}/drop", secret=PASSWORD, host_key=server.host_key, timeout_s=0.3)
        assert "does not answer as an SSH server" in said(source, "broke_off", Unreachable)


@pytest.mark.parametrize(
    ("url", "changes", "why"),
    [
        ("sftp://reader:geheim@host/drop", {}, "holds no password"),
        ("sftp://host/drop", {}, "write sftp://user@host:22/directory"),
        ("sftp://reader@host:x/drop", {}, "is not an address"),
        ("sftp://reader@host/drop#1", {}, "%23 for #"),
        ("sftp://reader@host/drop", {"secret": None}, "a password or a private key"),
        ("sftp://reader@host/drop", {"host_key": "AAAA"}, "is no key"),
        ("sftp://reader@host/drop", {"host_key": "ssh-ed25519 ???"}, "is no key"),
    ],
)
def test_a_wrong_configuration_is_told_before_anything_is_asked(url: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Fatal) as failure:
        Sftp(url, **{"secret": PASSWORD, "host_key": "ssh-ed25519 AAAA", **changes})
    assert why in str(failure.value) and "geheim" not in str(failure.value)


def test_a_check_goes_through_its_steps(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(**changes: str) -> list[tuple[str, bool]]:
        feed = {"feed": "visitors", "connector": "tourism", "title": {"vi": "x", "en": "x"}, "url": f"sftp://reader@127.0.0.1:{server.port}/drop", "secret": "SFTP_PASSWORD", "host_key": server.host_key}
        config = tmp_path / "config.yaml"
        config.write_text(json.dumps({"feeds": [feed | changes]}))
        monkeypatch.setenv("IOC_CONFIG", str(config))
        monkeypatch.setenv("SFTP_PASSWORD", PASSWORD)
        result = CliRunner().invoke(app, ["check", "visitors", "--json"])
        assert PASSWORD not in result.output
        return [(step["step"], step["ok"]) for step in json.loads(result.output)["steps"]]

    day = Path(__file__).parents[3] / "connectors/tourism/testcases/daily/day1.xlsx"
    put(server, "day1.xlsx", day.read_bytes())
    assert check()[:3] == [("options", True), ("address", True), ("first page", True)]
    assert check(host_key="")[2:] == [("first page", False)]
    assert check(host_key="x") == [("options", True), ("address", False)]
