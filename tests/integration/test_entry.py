"""Figures typed by people: nothing is shown before a second person said yes; everything that happens is in the audit log."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from ioc import areas, config, ingest, web
from ioc.accounts import people, sessions
from ioc.config import Broker, Config, Database, Feed, Words
from ioc.doubts import in_words
from ioc.entry import entries
from ioc.entry.commands import app
from ioc.errors import Unavailable, UserError
from ioc.rights import Identity
from ioc.store import auditlog

pytestmark = [pytest.mark.postgres, pytest.mark.kafka]

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
AN, BINH = Identity("an", "editor", "person"), Identity("binh", "editor", "person")
FEED = Feed(
    feed="typed", connector="entry", title=Words(vi="Nhập tay", en="Typed"),
    options={"figures": {"grdp.growth": {"title": {"vi": "Tăng trưởng GRDP", "en": "GRDP growth"}, "unit": "%", "period": "quarter", "low": -20, "high": 30}}},
)  # fmt: skip
GRDP: dict[str, Any] = {"feed": "typed", "figure": "grdp.growth", "value": "8,61", "period": "quý III/2026", "document": "Báo cáo 412/BC-CTK, 06/10/2026"}


@pytest.fixture
def settings(database: str, broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Config:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("IOC_DATABASE__DSN", database)
    for name in ("bootstrap", "kind", "prefix", "group"):
        monkeypatch.setenv(f"IOC_BROKER__{name.upper()}", str(getattr(broker, name)))
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"feeds": [FEED.model_dump(mode="json")]}))
    monkeypatch.setenv("IOC_CONFIG", str(file))
    loaded = config.load(ROOT / "config.yaml")
    return loaded.model_copy(update={"database": Database(dsn=database), "broker": broker, "feeds": [*loaded.feeds, FEED]})


@pytest.fixture
def conn(settings: Config) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings.database.dsn, autocommit=True) as conn:
        yield conn


class Heard:
    """A publisher that is away, or hears what is sent."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.sent: list[Any] = []

    def send(self, feed: str, event: Any) -> None:
        self.sent.append((feed, event))

    def flush(self) -> None:
        if self.away:
            raise Unavailable("the broker is away")


def _enter(conn: psycopg.Connection[Any], settings: Config, **changes: Any) -> dict[str, Any]:
    return entries.enter(conn, settings, areas.load("19"), AN, **{**GRDP, **changes}, at=NOW)


def test_nobody_approves_their_own_figure(conn: psycopg.Connection[Any], settings: Config) -> None:
    row = _enter(conn, settings)
    for own in (AN, Identity("AN", "admin", "person")):
        with pytest.raises(UserError, match="your own"):
            entries.approve(conn, row["id"], own, NOW)
    assert entries.publish(conn, Heard(), NOW) == 0  # type: ignore[arg-type]
    with pytest.raises(psycopg.errors.CheckViolation):  # not even past our code
        conn.execute("UPDATE entry SET status = 'approved', decided_by = 'an', decided_at = now()")


def test_an_approved_figure_is_a_fact_with_period_document_and_version(conn: psycopg.Connection[Any], settings: Config) -> None:
    entries.approve(conn, _enter(conn, settings)["id"], BINH, NOW)
    with pytest.raises(Unavailable):
        entries.publish(conn, Heard(away=True), NOW)  # type: ignore[arg-type]
    heard = Heard()
    assert entries.publish(conn, heard, NOW) == 1  # type: ignore[arg-type]
    assert entries.publish(conn, heard, NOW) == 0  # type: ignore[arg-type]
    ((feed, event),) = heard.sent
    assert (feed, event.subject, event.time) == ("typed", "grdp.growth", datetime(2026, 6, 30, 17, tzinfo=UTC))
    data = event.data
    assert (data.value, data.unit, data.period, data.version, data.doubt) == (Decimal("8.61"), "%", "P3M", NOW, None)
    assert data.attributes == {"document": "Báo cáo 412/BC-CTK, 06/10/2026", "written": "quý III/2026"}
    assert [(row["action"], row["actor"]) for row in reversed(auditlog.entries(conn))] == [("entry", "an"), ("approve", "binh"), ("publish", "ioc")]
    assert auditlog.verify(conn).problems == []


def test_a_rejected_figure_is_not_published_and_says_why(conn: psycopg.Connection[Any], settings: Config) -> None:
    row = _enter(conn, settings, value="86,1")
    assert in_words(row["doubt"]) == ("grdp.growth 86,1 % lớn hơn 30", "grdp.growth 86.1 % is above 30")
    with pytest.raises(UserError, match="say why"):
        entries.reject(conn, row["id"], BINH, " ", NOW)
    assert entries.reject(conn, row["id"], BINH, "the report says 8,61", NOW)["reason"] == "the report says 8,61"
    with pytest.raises(UserError, match="rejected already, by binh"):
        entries.approve(conn, row["id"], BINH, NOW)
    assert entries.publish(conn, Heard(), NOW) == 0  # type: ignore[arg-type]
    assert [row["action"] for row in auditlog.entries(conn)] == ["reject", "entry"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"value": "1,234"}, "thousands or decimals"),
        ({"value": "acht"}, "not a number"),
        ({"period": "2026-09"}, "figure of a quarter"),
        ({"period": "2027-Q3"}, "has not begun"),
        ({"document": " "}, "document is empty"),
        ({"figure": "gdp"}, "it has grdp.growth"),
        ({"feed": "health"}, "is read by fhir"),
        ({"area": "99999"}, "99999"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(conn: psycopg.Connection[Any], settings: Config, changes: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        _enter(conn, settings, **changes)
    assert entries.entries(conn) == []


def test_a_viewer_enters_nothing(conn: psycopg.Connection[Any], settings: Config) -> None:
    with pytest.raises(UserError, match="role editor"):
        entries.enter(conn, settings, areas.load("19"), Identity("chi", "viewer", "person"), **GRDP, at=NOW)


@pytest.fixture
def ingesting(settings: Config) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=ingest.Ingest(settings, stop).run, daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(30)


def test_over_http_and_on_the_command_line_a_correction_replaces_the_figure(settings: Config, conn: psycopg.Connection[Any], ingesting: None) -> None:
    """Entered over HTTP, approved by another; a correction typed on the command line; stored by ingest, once each."""
    for name, role in (("an", "editor"), ("binh", "editor"), ("chi", "viewer")):
        people.create(conn, name, role, datetime.now(UTC))
    an, binh, chi = ({"Cookie": f"ioc_session={sessions.begin(conn, name, datetime.now(UTC))}", "Origin": "http://127.0.0.1"} for name in ("an", "binh", "chi"))
    with TestClient(web.build(settings), base_url="http://127.0.0.1") as client:
        assert client.post("/api/entries", json=GRDP).status_code == 401
        assert client.post("/api/entries", json=GRDP, headers=chi).status_code == 403
        number = client.post("/api/entries", json=GRDP, headers=an).json()["id"]
        assert client.post(f"/api/entries/{number}/approve", headers=an).status_code == 400
        assert client.post(f"/api/entries/{number}/approve", headers=binh).json()["status"] == "approved"
        assert [row["status"] for row in client.get("/api/entries", headers=an).json()] == ["published"]
    typed = CliRunner()
    assert "grdp.growth" in typed.invoke(app, ["figures"], catch_exceptions=False).stdout
    said = typed.invoke(app, ["add", "typed", "grdp.growth", "8,7", "--period", "2026-Q3", "--document", "Đính chính 15/CTK", "--by", "binh", "--json"], catch_exceptions=False)
    typed.invoke(app, ["approve", str(json.loads(said.stdout)["id"]), "--by", "an"], catch_exceptions=False)
    deadline = time.monotonic() + 60
    while (found := conn.execute("SELECT n, total FROM rollup_observation WHERE feed = 'typed'").fetchall()) != [(1, Decimal("8.7"))]:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    assert [row["status"] for row in json.loads(typed.invoke(app, ["list", "--json"], catch_exceptions=False).stdout)] == ["published"] * 2


def test_on_the_page_one_person_enters_and_another_approves(settings: Config, conn: psycopg.Connection[Any]) -> None:
    """Without a line of script: a form, a refusal that keeps what was typed, an approval that is not one's own."""
    for name, role in (("an", "editor"), ("binh", "editor"), ("chi", "viewer")):
        people.create(conn, name, role, datetime.now(UTC))
    here = {"Origin": "http://127.0.0.1", "Accept": "text/html"}
    an, binh, chi = ({"Cookie": f"ioc_session={sessions.begin(conn, name, datetime.now(UTC))}", **here} for name in ("an", "binh", "chi"))
    typed = {"figure": "typed|grdp.growth", "value": "8,61", "period": "quý III/2026", "document": "412/BC-CTK <b>", "area": "", "lang": "vi"}
    page = "/operations/entries"
    with TestClient(web.build(settings), base_url="http://127.0.0.1", follow_redirects=False) as client:
        assert client.get(page, headers={"Accept": "text/html"}).status_code == 303  # to the login
        assert client.get(page, headers=chi).status_code == client.post(page, data=typed, headers=chi).status_code == 403
        assert client.post(page, data=typed, headers=an | {"Origin": "http://evil.example"}).status_code == 403
        assert "Số liệu nhập tay" in client.get("/operations", headers=an).text and "Số liệu nhập tay" not in client.get("/operations", headers=chi).text

        refused = client.post(page, data=typed | {"period": "2026-09"}, headers=an)
        assert refused.status_code == 400 and "theo quý" in refused.text and 'value="412/BC-CTK &lt;b&gt;"' in refused.text and entries.entries(conn) == []
        assert "1,234" in (wrong := client.post(page, data=typed | {"value": "1,234", "lang": "en"}, headers=an)).text and "cannot be read as one number" in wrong.text

        assert client.post(page, data=typed, headers=an).headers["location"] == f"{page}?done=entered&lang=vi"
        (row,) = entries.entries(conn)
        mine, others = (client.get(f"{page}?lang=vi", headers=who).text for who in (an, binh))
        assert "8,61%" in mine and "412/BC-CTK &lt;b&gt;" in mine
        approve = f'action="{page}/{row["id"]}/approve"'
        assert approve not in mine and approve in others and "Tăng trưởng GRDP" in others
        own = client.post(f"{page}/{row['id']}/approve", data={"lang": "vi"}, headers=an)
        assert own.status_code == 400 and "cần người thứ hai phê duyệt" in own.text
        assert client.post(f"{page}/{row['id']}/approve", data={"lang": "vi"}, headers=binh).headers["location"] == f"{page}?done=approved&lang=vi"
        assert "binh" in client.get(f"{page}?lang=en", headers=an).text and entries.entries(conn)[0]["status"] == "published"

        client.post(page, data=typed | {"value": "9"}, headers=an)
        taken = entries.entries(conn)[0]["id"]
        assert client.post(f"{page}/{taken}/reject", data={"lang": "vi", "reason": " "}, headers=binh).status_code == 400
        assert client.post(f"{page}/{taken}/reject", data={"lang": "vi", "reason": "báo cáo ghi 8,61"}, headers=binh).status_code == 303
        assert "báo cáo ghi 8,61" in client.get(page, headers=an).text
    assert [row["action"] for row in auditlog.entries(conn)][:3] == ["reject", "entry", "publish"]
