"""People: first administrator, signing in and out, guesses, sessions, roles; and what the audit log says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from ioc import cli, config, web
from ioc.accounts import login, passwords, people, sessions
from ioc.clock import FrozenClock
from ioc.config import Broker, Config, Database
from ioc.errors import UserError
from ioc.health import Health
from ioc.rights import Identity
from ioc.store.auditlog import entries, verify

ROOT = Path(__file__).parents[2]
HTML = {"Accept": "text/html", "Origin": "http://127.0.0.1"}
GOOD = "ba con mèo trèo cây"
BETTER = "bốn con chó ngủ ngoài sân"
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


@pytest.fixture
def settings(database: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Health, "broker_reachable", lambda self: False)
    loaded = config.load(ROOT / "config.yaml")
    return loaded.model_copy(update={"database": Database(dsn=database), "broker": Broker(bootstrap="127.0.0.1:1"), "web": loaded.web.model_copy(update={"public": False})})


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def site(settings: Config, clock: FrozenClock) -> Iterator[TestClient]:
    with TestClient(web.build(settings, clock), base_url="http://127.0.0.1", client=("10.0.0.5", 1), follow_redirects=False, headers=HTML) as client:
        yield client


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as conn:
        yield conn


@pytest.fixture
def an(db: psycopg.Connection[Any]) -> str:
    people.create(db, "an.nguyen", "editor", NOW)
    people.set_password(db, "an.nguyen", GOOD, NOW)
    return "an.nguyen"


def another(site: TestClient, address: str = "10.0.0.6") -> TestClient:
    """Another browser, elsewhere, on the same running site."""
    return TestClient(site.app, base_url="http://127.0.0.1", client=(address, 1), follow_redirects=False, headers=HTML)


def signs_in(client: TestClient, name: str, password: str = GOOD, **more: str) -> int:
    client.app.state.parts.guard.forget()  # type: ignore[attr-defined]
    return client.post("/login", data={"name": name, "password": password, **more}).status_code


def is_in(client: TestClient) -> bool:
    client.app.state.parts.guard.forget()  # type: ignore[attr-defined]
    return client.get("/account").status_code == 200


def done(db: psycopg.Connection[Any], action: str) -> list[dict[str, Any]]:
    assert verify(db).problems == []
    return entries(db, action=action)


# -- coming in ---------------------------------------------------------------------------------------------------------


def test_the_first_administrator_comes_by_a_link_that_works_once(settings: Config, site: TestClient, clock: FrozenClock, db: psycopg.Connection[Any]) -> None:
    link = web.first_link(settings, clock)
    assert link is not None and link.startswith("http://127.0.0.1:8050/welcome/")
    path = link.removeprefix("http://127.0.0.1:8050")
    assert "quản trị viên đầu tiên" in site.get(path).text
    assert "is no longer good" in site.get("/welcome/anything?lang=en").text
    for form, said in (
        ({"name": "an", "password": GOOD, "again": BETTER}, "không giống nhau"),
        ({"name": "an", "password": "ngan", "again": "ngan"}, "ít nhất 12 ký tự"),
        ({"name": "Không Được", "password": GOOD, "again": GOOD}, "chữ thường không dấu"),
        ({"name": "meo", "password": "aaaaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaaaa"}, "khác nhau"),
        ({"name": "binh", "password": "Mat khau cua Binh", "again": "Mat khau cua Binh"}, "chứa tên tài khoản"),
    ):
        answer = site.post(path, data=form)
        assert answer.status_code == 400 and said in answer.text
    came = site.post(path, data={"name": "An", "password": GOOD, "again": GOOD})
    assert came.status_code == 303 and is_in(site)
    assert site.get("/admin/users").status_code == 200
    assert site.get(path).status_code == 404
    assert another(site).post(path, data={"name": "eve", "password": GOOD, "again": GOOD}).status_code == 400
    assert web.first_link(settings, clock) is None
    assert [(row["subject"], row["actor"]) for row in done(db, "account")] == [("an", "an")]


def test_a_first_link_of_before_is_worth_nothing_once_there_is_an_administrator(settings: Config, site: TestClient, clock: FrozenClock) -> None:
    one, two = (str(web.first_link(settings, clock)).removeprefix("http://127.0.0.1:8050") for _ in range(2))
    assert site.post(one, data={"name": "an", "password": GOOD, "again": GOOD}).status_code == 303
    assert site.get(two).status_code == 404
    late = str(web.first_link(settings, clock))
    assert late == "None"


def test_signing_in_gives_another_session_and_goes_where_one_was_going(site: TestClient, an: str, db: psycopg.Connection[Any]) -> None:
    asked = site.get("/operations?lang=en")
    form = site.get(asked.headers["location"])
    assert form.status_code == 200 and 'value="/operations?lang=en"' in form.text and 'autocomplete="current-password"' in form.text
    site.cookies.set("ioc_session", "planted")
    came = site.post("/login", data={"name": " An.Nguyen ", "password": GOOD, "next": "/operations?lang=en"})
    assert came.status_code == 303 and came.headers["location"] == "/operations?lang=en"
    cookies = came.headers.get_list("set-cookie")
    assert any("ioc_session=" in c and "HttpOnly" in c and "SameSite=Lax" in c for c in cookies)
    assert "ioc_session=planted" not in str(cookies)
    assert done(db, "login")[0]["subject"] == an and done(db, "login")[0]["address"] == "10.0.0.5"
    stored = db.execute("SELECT hash FROM session").fetchall()
    assert stored and all(hash_ not in str(cookies) for (hash_,) in stored)  # an id cannot be read from the database


@pytest.mark.parametrize("after", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "/\tx", "/login"])
def test_nobody_is_sent_elsewhere_after_signing_in(site: TestClient, an: str, after: str) -> None:
    came = site.post("/login", data={"name": an, "password": GOOD, "next": after})
    assert came.status_code == 303 and came.headers["location"] == "/"


def test_a_password_typed_on_another_keyboard_is_the_same(db: psycopg.Connection[Any]) -> None:
    import unicodedata

    kept = passwords.make(unicodedata.normalize("NFC", GOOD))
    assert passwords.check(kept, unicodedata.normalize("NFD", GOOD)) and not passwords.check(kept, BETTER) and not passwords.check("", "")
    assert kept.startswith("$argon2id$")


def test_every_failure_gets_one_answer_and_the_log_knows_no_password(site: TestClient, an: str, db: psycopg.Connection[Any]) -> None:
    people.create(db, "off", "viewer", NOW)
    people.set_password(db, "off", GOOD, NOW)
    people.disable(db, "off", NOW)
    people.create(db, "waiting", "viewer", NOW)
    answers = [site.post("/login?lang=vi", data={"name": name, "password": secret}) for name, secret in ((an, "wrong wrong wrong"), ("nobody.here", GOOD), ("off", GOOD), ("waiting", ""), ("mật khẩu gõ nhầm ô", "x"), ("\x00", "y"))]
    assert {answer.status_code for answer in answers} == {401}
    texts = {re.sub(r'value="[^"]*"|autofocus', "", answer.text) for answer in answers}
    assert len(texts) == 1 and "Tên tài khoản hoặc mật khẩu không đúng" in texts.pop()
    log = json.dumps(entries(db), default=str, ensure_ascii=False)
    assert "mật khẩu gõ nhầm ô" not in log and GOOD not in log and "wrong wrong" not in log
    assert {row["subject"] for row in done(db, "login_failed")} == {an, "off", "waiting", "(unknown)"}


def test_an_unknown_name_costs_as_much_work_as_a_known_one(monkeypatch: pytest.MonkeyPatch, db: psycopg.Connection[Any], an: str) -> None:
    checked: list[bool] = []
    real = passwords._hasher.verify
    monkeypatch.setattr(type(passwords._hasher), "verify", lambda self, kept, given: checked.append(True) or real(kept, given))
    for name in (an, "nobody.here"):
        with pytest.raises(login.Refused):
            login.sign_in(db, name, "wrong wrong wrong", NOW, address="10.9.9.9")
    assert len(checked) == 2


# -- guesses -----------------------------------------------------------------------------------------------------------


def test_guesses_are_slowed_down_and_whoever_was_here_before_still_gets_in(site: TestClient, an: str, clock: FrozenClock, db: psycopg.Connection[Any]) -> None:
    assert signs_in(site, an) == 303  # this browser is known to the account from now on
    attacker = another(site, "203.0.113.9")
    answers = [signs_in(attacker, an, f"guess number {n}") for n in range(12)]
    assert answers == [401] * login.MOST_OF_ACCOUNT + [429] * (12 - login.MOST_OF_ACCOUNT)
    assert signs_in(attacker, an, GOOD) == 429  # even the right one: it tells nothing
    said = attacker.post("/login", data={"name": an, "password": "x", "lang": "vi"})
    assert "Sai quá nhiều lần. Hãy thử lại sau" in said.text and int(said.headers["retry-after"]) <= 15 * 60 + 1
    assert signs_in(another(site, "10.0.0.77"), an) == 429  # a new browser waits with them
    assert signs_in(site, an) == 303  # the owner's own does not
    clock.tick(minutes=15, seconds=1)
    assert signs_in(another(site, "10.0.0.77"), an) == 303
    assert len([row for row in done(db, "login_failed") if row["detail"].get("too_many")]) == 1  # a flood of guesses is no flood of rows


def test_guessing_at_many_accounts_from_one_address_locks_out_that_address_only(db: psycopg.Connection[Any], an: str) -> None:
    for n in range(login.MOST_OF_ADDRESS):
        db.execute("INSERT INTO login_failure VALUES (%s, %s)", (people.digest("address 203.0.113.9"), NOW - timedelta(seconds=n)))
    with pytest.raises(login.Refused) as refused:
        login.sign_in(db, an, GOOD, NOW, address="203.0.113.9")
    assert refused.value.wait_s > 0
    assert login.sign_in(db, an, GOOD, NOW, address="10.0.0.5") == an


def test_guesses_sent_at_once_are_all_counted(database: str, an: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def guess(n: int) -> int:
        with psycopg.connect(database, autocommit=True) as conn:
            try:
                login.sign_in(conn, an, f"guess number {n}", NOW + timedelta(microseconds=n), address=f"10.0.{n}.1")
            except login.Refused as refused:
                return refused.wait_s
        raise AssertionError("a guess was right")

    with ThreadPoolExecutor(16) as pool:
        waits = list(pool.map(guess, range(16)))
    assert sum(wait == 0 for wait in waits) <= login.MOST_OF_ACCOUNT


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_a_session_ends_idle_and_at_the_end_of_the_shift(site: TestClient, an: str, clock: FrozenClock) -> None:
    assert signs_in(site, an) == 303
    for _ in range(3):
        clock.tick(minutes=29)
        assert is_in(site)
    clock.tick(minutes=31)
    assert not is_in(site)
    assert signs_in(site, an) == 303
    for _ in range(26):
        clock.tick(minutes=27)
        assert is_in(site)
    clock.tick(minutes=27)
    assert not is_in(site)  # 12 h and 9 min


def test_the_id_of_a_session_changes_and_the_old_one_soon_ends(site: TestClient, an: str, clock: FrozenClock) -> None:
    assert signs_in(site, an) == 303
    old = site.cookies["ioc_session"]
    clock.tick(minutes=16)
    assert is_in(site) and site.cookies["ioc_session"] != old
    late = another(site)
    late.cookies.set("ioc_session", old)
    clock.tick(seconds=30)
    assert is_in(late)  # requests that were under way
    late.cookies.set("ioc_session", old)
    clock.tick(seconds=61)
    assert not is_in(late) and is_in(site)


def test_an_open_page_lives_through_another_id_and_dies_with_the_session(site: TestClient, an: str, clock: FrozenClock, db: psycopg.Connection[Any]) -> None:
    assert signs_in(site, an) == 303
    guard = site.app.state.parts.guard  # type: ignore[attr-defined]
    caller = guard.caller({}, {}, dict(site.cookies))
    clock.tick(minutes=20)
    assert is_in(site)  # the id changed
    clock.tick(minutes=5)
    guard.forget()
    assert guard.still(caller).identity.role == "editor"
    people.set_role(db, an, "viewer", clock())
    guard.forget()
    assert guard.still(caller).identity.role == "viewer"
    people.disable(db, an, clock())
    guard.forget()
    assert guard.still(caller).identity.role == "nobody"


def test_signing_out_here_and_everywhere(site: TestClient, an: str, db: psycopg.Connection[Any]) -> None:
    other = another(site)
    assert signs_in(site, an) == signs_in(other, an) == 303
    assert site.post("/logout").headers["location"].startswith("/login")
    assert not is_in(site) and is_in(other)
    assert signs_in(site, an) == 303
    assert site.get("/account").text.count("10.0.0.") == 2  # both sessions are listed
    assert other.post("/account/logout-everywhere").status_code == 303
    assert not is_in(site) and not is_in(other)
    assert len(done(db, "logout")) == 1 and done(db, "logout_everywhere")[0]["detail"] == {"sessions": 2}


def test_changing_a_password_asks_for_the_old_one_and_ends_the_other_sessions(site: TestClient, an: str) -> None:
    other = another(site)
    assert signs_in(site, an) == signs_in(other, an) == 303
    for form, said in (
        ({"old": "not the old one", "password": BETTER, "again": BETTER}, "Mật khẩu hiện tại không đúng"),
        ({"old": GOOD, "password": BETTER, "again": GOOD}, "không giống nhau"),
        ({"old": GOOD, "password": GOOD, "again": GOOD}, "trùng mật khẩu cũ"),
        ({"old": GOOD, "password": "short", "again": "short"}, "quá ngắn"),
    ):
        answer = site.post("/account/password", data=form)
        assert answer.status_code == 400 and said in answer.text
    assert site.post("/account/password", data={"old": GOOD, "password": BETTER, "again": BETTER}).status_code == 303
    assert is_in(site) and not is_in(other)
    assert signs_in(another(site), an, GOOD) == 401 and signs_in(another(site), an, BETTER) == 303


def test_what_is_over_is_forgotten(site: TestClient, an: str, clock: FrozenClock, db: psycopg.Connection[Any], settings: Config) -> None:
    assert signs_in(site, an) == 303 and signs_in(another(site), an, "wrong wrong wrong") == 401
    people.invite(db, an, clock())
    clock.tick(days=2)
    sessions.tidy(db, clock(), settings.web)
    for table in ("session", "invite", "login_failure"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # type: ignore[arg-type]


# -- administration ----------------------------------------------------------------------------------------------------


@pytest.fixture
def admin(site: TestClient, db: psycopg.Connection[Any]) -> TestClient:
    people.create(db, "chief", "admin", NOW)
    people.set_password(db, "chief", GOOD, NOW)
    assert signs_in(site, "chief") == 303
    return site


def test_an_administrator_makes_changes_and_disables_accounts(admin: TestClient, db: psycopg.Connection[Any]) -> None:
    made = admin.post("/admin/users", data={"name": "binh", "role": "operator", "title": "Trực ban <b>1</b>"})
    link = re.search(r"http://127\.0\.0\.1(/welcome/[\w-]+)", made.text)
    assert made.status_code == 200 and link and "Trực ban &lt;b&gt;1&lt;/b&gt;" in made.text
    binh = another(admin)
    assert binh.post(link[1], data={"password": BETTER, "again": BETTER}).status_code == 303 and is_in(binh)
    assert binh.get("/admin/users").status_code == 403
    assert admin.post("/admin/users/binh/role", data={"role": "admin"}).status_code == 303
    admin.app.state.parts.guard.forget()  # type: ignore[attr-defined]
    assert binh.get("/admin/users").status_code == 200
    assert admin.post("/admin/users/binh/disable").status_code == 303
    assert not is_in(binh) and signs_in(binh, "binh", BETTER) == 401
    assert admin.post("/admin/users/binh/enable").status_code == 303 and signs_in(binh, "binh", BETTER) == 303
    renewed = re.search(r"(/welcome/[\w-]+)", admin.post("/admin/users/binh/invite").text)
    assert renewed and another(admin).post(renewed[1], data={"password": GOOD, "again": GOOD}).status_code == 303
    assert not is_in(binh)  # another password ends the sessions of the old one
    for path, form, said in (
        ("/admin/users", {"name": "binh", "role": "viewer"}, "đã có"),
        ("/admin/users", {"name": "x", "role": "viewer"}, "chữ thường"),
        ("/admin/users", {"name": "cuong", "role": "king"}, "Vai trò"),
        ("/admin/users/nobody/disable", {}, "Không có tài khoản"),
    ):
        answer = admin.post(path, data=form)
        assert answer.status_code == 400 and said in answer.text
    assert admin.post("/admin/users/binh/explode").status_code == 404
    assert {row["actor"] for row in done(db, "disable") + done(db, "role") + done(db, "enable")} == {"chief"}
    page = admin.get("/admin/log?check=1&lang=en").text
    assert "The chain is intact" in page and "changed a role" in page and GOOD not in page and link[1] not in page
    assert admin.get("/admin/log?action=disable").text.count("data-seq") == 1


def test_the_last_administrator_stays(admin: TestClient, db: psycopg.Connection[Any]) -> None:
    for path, form in (("/admin/users/chief/disable", {}), ("/admin/users/chief/role", {"role": "viewer"})):
        assert "quản trị viên cuối cùng" in admin.post(path, data=form).text
    with pytest.raises(UserError, match="last administrator"):
        people.disable(db, "chief", NOW, who=Identity("x", "admin"))


def test_a_tampered_log_is_told_on_its_page(admin: TestClient, db: psycopg.Connection[Any]) -> None:
    db.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
    db.execute("UPDATE audit_log SET actor = 'eve' WHERE seq = 2")
    assert "row 2 (password of" in admin.get("/admin/log?check=1").text


# -- the command line --------------------------------------------------------------------------------------------------


def test_accounts_and_the_log_by_the_command_line(settings: Config, monkeypatch: pytest.MonkeyPatch, db: psycopg.Connection[Any]) -> None:
    monkeypatch.setenv("IOC_DATABASE__DSN", settings.database.dsn)

    def ioc(*arguments: str, given: str = "", code: int = 0) -> Any:
        done = CliRunner().invoke(cli.app, [*arguments, "--json"], input=given, catch_exceptions=code != 2)
        assert done.exit_code == code, done.output
        return json.loads(done.output)

    made = ioc("user", "create", "an.nguyen", "--role", "editor", "--title", "Nguyễn An")
    assert made["link"].startswith("http://127.0.0.1:8050/welcome/")
    assert ioc("user", "role", "an.nguyen", "viewer")["role"] == "viewer"
    assert ioc("user", "password", "an.nguyen", "--stdin", given=GOOD + "\n") == {"name": "an.nguyen"}
    assert ioc("user", "password", "an.nguyen")["link"] != made["link"]
    assert ioc("user", "disable", "an.nguyen")["disabled"] is True
    assert ioc("user", "disable", "an.nguyen", "--undo")["disabled"] is False
    (row,) = ioc("user", "list")
    assert (row["name"], row["role"], row["title"], row["disabled_at"]) == ("an.nguyen", "viewer", "Nguyễn An", None) and "password" not in row
    token = ioc("token", "create", "wall-1", "--role", "screen")["token"]
    assert ioc("token", "revoke", "wall-1")["revoked"] is True and ioc("token", "list")[0]["name"] == "wall-1"
    log = entries(db)
    assert all(row["actor"].startswith("cli:") for row in log) and [row["action"] for row in reversed(log)][:3] == ["account", "invite", "role"]
    assert token not in json.dumps(log, default=str) and made["link"].rsplit("/", 1)[1] not in json.dumps(log, default=str)
    told = ioc("audit", "--log")
    assert told["intact"] and told["rows"] == len(log)
    assert ioc("audit", "--log", "--expect", told["head"])["intact"]
    db.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
    db.execute("DELETE FROM audit_log WHERE seq = 3")
    broken = ioc("audit", "--log", code=1)
    assert broken["problems"] == [{"seq": 3, "problem": "row 3 was removed"}]


def test_while_the_database_is_away_a_form_is_kept_and_a_page_says_so_in_the_readers_language(site: TestClient, an: str, db: psycopg.Connection[Any]) -> None:
    assert signs_in(site, an) == 303
    entry = {"figure": "typed|grdp.growth", "period": "quý III/2026", "value": "8,61", "document": "412/BC <b>", "area": "", "lang": "vi"}
    paths = ["/operations/entries", "/operations/entries/1/reject", "/kpi/incidents_open/notes", "/account/logout-everywhere"]
    site.app.state.parts.pool.close()  # type: ignore[attr-defined]
    for known in (True, False):  # whether the server still knows who asks
        for path in paths:
            answer = site.post(path, data=entry | {"body": "vì mưa bão"})
            assert (answer.status_code, answer.headers["retry-after"], answer.headers["content-type"]) == (503, "5", "text/html; charset=utf-8"), path
            assert "Cơ sở dữ liệu tạm thời không trả lời" in answer.text and f'action="{path}"' in answer.text
            assert 'value="412/BC &lt;b&gt;"' in answer.text and "vì mưa bão" in answer.text
        english = site.post("/account/password?lang=en", data={"old": GOOD, "password": BETTER, "again": BETTER})
        assert english.status_code == 503 and "does not answer just now" in english.text and GOOD not in english.text and BETTER not in english.text
        assert english.text.count('type="password"') == 3
        for page in ("/account?lang=en", "/operations/entries?lang=en"):
            shown = site.get(page)
            assert shown.status_code == 503 and "does not answer just now" in shown.text and 'method="post"' not in shown.text
        assert site.get("/compare.csv", headers={"Accept": "*/*"}).json()["error"].startswith("the database is away")
        foreign = site.post("/operations/entries", data=entry, headers={"Origin": "http://evil.example"})
        assert foreign.status_code in (403, 503) and "412/BC" not in foreign.text
        if known:
            site.app.state.parts.guard.forget()  # type: ignore[attr-defined]
    assert site.post("/login", data={"name": "an.nguyen", "password": GOOD, "lang": "vi"}).status_code == 503
    assert db.execute("SELECT count(*) FROM entry").fetchone() == db.execute("SELECT count(*) FROM note").fetchone() == (0,)
