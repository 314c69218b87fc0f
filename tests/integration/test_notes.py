"""Notes of editors: written, changed and removed by whom they may be; of two at once one is refused, and nothing is half-saved."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from ioc import config, web
from ioc.accounts import people, sessions
from ioc.config import Broker, Database
from ioc.errors import Problem
from ioc.health import Health
from ioc.kpi import notes
from ioc.rights import Identity
from ioc.store.auditlog import entries

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
KPI = "incidents_open"
PAGE = f"/kpi/{KPI}"
AN, BINH, CHI = Identity("an", "editor", "person"), Identity("binh", "editor", "person"), Identity("chi", "admin", "person")
HTML = {"Accept": "text/html", "Origin": "http://127.0.0.1", "Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def conn(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as conn:
        yield conn


@pytest.fixture
def site(database: str, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Health, "broker_reachable", lambda self: False)
    settings = config.load(ROOT / "config.yaml").model_copy(update={"database": Database(dsn=database), "broker": Broker(bootstrap="127.0.0.1:1")})
    for name, role in (("an", "editor"), ("binh", "editor"), ("chi", "admin"), ("dung", "operator"), ("em", "viewer")):
        people.create(conn, name, role, datetime.now(UTC))
    with TestClient(web.build(settings), base_url="http://127.0.0.1", client=("10.1.2.3", 50000), follow_redirects=False) as client:
        yield client


def of(conn: psycopg.Connection[Any], name: str) -> dict[str, str]:
    return HTML | {"Cookie": f"ioc_session={sessions.begin(conn, name, datetime.now(UTC))}"}


def stored(conn: psycopg.Connection[Any]) -> list[tuple[str, str, int]]:
    return [(note.author, note.body, note.version) for note in notes.notes(conn, KPI)]


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def test_an_editors_note_stands_on_the_page_for_everybody_and_in_the_audit_log(site: TestClient, conn: psycopg.Connection[Any]) -> None:
    answer = site.post(f"{PAGE}/notes?lang=vi&area=05443", data={"body": "Mưa lũ, gọi 0912345678", "day": "2026-11-20"}, headers=of(conn, "an"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?lang=vi&area=05443#notes")
    for query in ("area=05443", ""):  # the province's page shows those of its areas, too
        page = site.get(f"{PAGE}?{query}", headers={"Accept": "text/html"}).text
        assert "Mưa lũ, gọi [phone]" in page and "20/11/2026" in page
        assert " an " not in text_of(page) and 'name="body"' not in page  # who wrote it, and forms, are for people signed in
    assert "Mưa lũ" not in site.get(f"{PAGE}?area=05455", headers={"Accept": "text/html"}).text
    assert " an · " in text_of(site.get(PAGE, headers=of(conn, "em")).text)
    (said,) = site.get(f"/api/kpis/{KPI}/notes").json()
    assert (said["body"], said["day"], said["area"], said["author"]) == ("Mưa lũ, gọi [phone]", "2026-11-20", "05443", "")
    (row,) = entries(conn, action="annotate")
    assert (row["actor"], row["subject"], row["detail"]["what"], row["detail"]["text"]) == ("an", f"note 1: {KPI}", "added", "Mưa lũ, gọi [phone]")


@pytest.mark.parametrize(("name", "status"), [("dung", 403), ("em", 403), ("", 303)])
def test_who_is_no_editor_writes_none(site: TestClient, conn: psycopg.Connection[Any], name: str, status: int) -> None:
    answer = site.post(f"{PAGE}/notes", data={"body": "x"}, headers=of(conn, name) if name else HTML)
    refused = answer.status_code == 403 or (status == 303 and answer.headers.get("location", "").startswith("/login"))
    assert refused and stored(conn) == []


def test_a_form_of_a_foreign_page_is_refused(site: TestClient, conn: psycopg.Connection[Any]) -> None:
    answer = site.post(f"{PAGE}/notes", data={"body": "x"}, headers=of(conn, "an") | {"Origin": "https://evil.example"})
    assert answer.status_code == 403 and stored(conn) == []


@pytest.mark.parametrize(
    ("form", "says"),
    [({"body": "  "}, "Ghi chú chưa có nội dung"), ({"body": "x" * 1001}, "nhiều nhất 1000 ký tự"), ({"body": "Giữ lấy", "day": "31/12"}, "“31/12” không phải một ngày")],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays_in_the_form(site: TestClient, conn: psycopg.Connection[Any], form: dict[str, str], says: str) -> None:
    answer = site.post(f"{PAGE}/notes?lang=vi", data=form, headers=of(conn, "an"))
    assert answer.status_code == 409 and says in answer.text and form["body"].strip() in answer.text
    assert stored(conn) == [] and entries(conn, action="annotate") == []


def test_of_two_editors_at_once_the_second_one_is_told_and_nothing_of_his_is_kept(site: TestClient, conn: psycopg.Connection[Any]) -> None:
    note = notes.add(conn, KPI, "", date(2026, 11, 20), "Một", AN, NOW)
    seen = site.get(PAGE, headers=of(conn, "an")).text
    version = re.findall(r'name="version"[^>]*value="(\d+)"', seen)
    assert version and set(version) == {"1"}
    first = site.post(f"{PAGE}/notes/{note.id}", data={"body": "Của Bình", "day": "2026-11-20", "version": "1"}, headers=of(conn, "binh"))
    assert first.status_code == 303
    second = site.post(f"{PAGE}/notes/{note.id}?lang=vi", data={"body": "Của An", "day": "2026-11-21", "version": "1"}, headers=of(conn, "an"))
    assert second.status_code == 409 and "binh vừa sửa ghi chú này" in second.text
    assert "Của Bình" in second.text and "Của An" in second.text  # as it is now, and what was typed
    assert stored(conn) == [("an", "Của Bình", 2)] and len(entries(conn, action="annotate")) == 2
    again = re.findall(r'name="version"[^>]*value="(\d+)"', second.text)
    assert set(again) == {"2"}  # having seen it, the same form may be sent
    assert site.post(f"{PAGE}/notes/{note.id}", data={"body": "Của An", "day": "", "version": "2"}, headers=of(conn, "an")).status_code == 303
    assert stored(conn) == [("an", "Của An", 3)]


def test_changes_at_the_same_instant_are_one_after_the_other(database: str, conn: psycopg.Connection[Any]) -> None:
    note = notes.add(conn, KPI, "", None, "Một", AN, NOW)

    def change(who: Identity) -> str:
        with psycopg.connect(database) as own:
            try:
                return notes.change(own, KPI, note.id, 1, None, who.name, who, NOW).body
            except Problem as exc:
                return exc.word

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(change, (AN, BINH, CHI, AN)))
    assert told.count("note_changed") == 3 and stored(conn)[0][2] == 2
    assert [row["detail"]["what"] for row in entries(conn, action="annotate")] == ["changed", "added"]


def test_a_note_is_removed_by_its_author_or_an_administrator_and_kept_in_the_log(site: TestClient, conn: psycopg.Connection[Any]) -> None:
    mine, other = notes.add(conn, KPI, "", None, "Một", AN, NOW), notes.add(conn, KPI, "", None, "Hai", AN, NOW)
    remove = {"what": "remove", "version": "1"}
    refused = site.post(f"{PAGE}/notes/{mine.id}?lang=vi", data=remove, headers=of(conn, "binh"))
    assert refused.status_code == 409 and "Ghi chú này của an" in refused.text and len(stored(conn)) == 2
    assert site.post(f"{PAGE}/notes/{mine.id}", data=remove, headers=of(conn, "an")).status_code == 303
    assert site.post(f"{PAGE}/notes/{other.id}", data=remove, headers=of(conn, "chi")).status_code == 303
    assert stored(conn) == []
    assert [(row["actor"], row["detail"]["was"]) for row in entries(conn, action="annotate")[:2]] == [("chi", "Hai"), ("an", "Một")]
    late = site.post(f"{PAGE}/notes/{mine.id}?lang=vi", data={"body": "Chưa mất", "version": "1"}, headers=of(conn, "binh"))
    assert late.status_code == 409 and "vừa được gỡ bỏ" in late.text and "Chưa mất" in late.text
