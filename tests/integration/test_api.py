"""The contract over HTTP: health, KPIs, posting events, tokens, metrics, the live link."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from ioc import auth, config, ingest, web
from ioc.clock import ICT
from ioc.config import Broker, Config, Database

ROOT = Path(__file__).parents[2]
FEED = "incident-reports"


@pytest.fixture
def settings(database: str, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(ROOT)
    loaded = config.load(ROOT / "config.yaml")
    return loaded.model_copy(update={"database": Database(dsn=database), "broker": broker})


@pytest.fixture
def client(settings: Config) -> Iterator[TestClient]:
    with TestClient(web.build(settings), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def source(database: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(database, 'source')}", "Content-Type": "application/cloudevents+json"}


def token(dsn: str, role: str, name: str = "test") -> str:
    with psycopg.connect(dsn, autocommit=True) as conn:
        return auth.create(conn, name, role, datetime.now(UTC))


@pytest.fixture
def ingesting(settings: Config) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=ingest.Ingest(settings, stop).run)
    thread.start()
    yield
    stop.set()
    thread.join(timeout=60)


def event(n: int = 1, **changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    data = {"status": "open", "category": "cay-xanh", "title": "Cây xanh", "area": "05443", "opened_at": now.isoformat(), "due_at": (now + timedelta(days=2)).isoformat()}
    whole = {"specversion": "1.0", "id": f"e{n}", "source": "/test", "type": "vn.ioc.case.v1", "subject": f"c{n}", "time": now.isoformat(), "data": data}
    return whole | changes


def until(what: Callable[[], bool], within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


def test_health_names_servers_and_every_feed(client: TestClient, settings: Config) -> None:
    answer = client.get("/healthz")
    body = answer.json()
    assert answer.status_code == 200
    assert body["status"] == "degraded"  # no feed ever spoke
    assert body["broker"]["reachable"] is True
    assert body["database"]["edition"] in ("community", "apache", "none")
    assert [feed["feed"] for feed in body["feeds"]] == [feed.feed for feed in settings.feeds]
    assert {feed["state"] for feed in body["feeds"]} == {"never"}


def test_a_posted_event_is_seen_in_the_kpi_and_twice_is_once(client: TestClient, source: dict[str, str], ingesting: None) -> None:
    one = event()
    for _ in range(3):
        assert client.post(f"/api/events/{FEED}", content=json.dumps(one), headers=source).status_code == 202
    until(lambda: client.get("/api/kpis/incidents_opened_today").json()["value"] == 1)
    until(lambda: next(f for f in client.get("/healthz").json()["feeds"] if f["feed"] == FEED)["duplicates"] == 2)
    tile = client.get("/api/kpis/incidents_opened_today").json()
    assert tile["as_of"] is not None
    assert tile["spark"][-1] == tile["value"]
    assert client.get("/api/kpis/incidents_opened_today?area=05443").json()["value"] == 1
    assert client.get("/api/kpis/incidents_opened_today?area=01840").json()["value"] in (0, None)
    listed = {t["kpi"]: t["value"] for t in client.get("/api/kpis").json()}
    assert listed["incidents_opened_today"] == 1


def test_what_is_doubtful_is_told_in_words_and_a_doubt_that_was_taken_back_is_none(client: TestClient, source: dict[str, str], ingesting: None) -> None:
    doubted, cleared = event(1), event(2)
    doubted["data"]["doubt"], cleared["data"]["doubt"] = "outside", None
    for one in (doubted, cleared):
        assert client.post(f"/api/events/{FEED}", json=one, headers=source).status_code == 202
    until(lambda: client.get("/api/kpis/incidents_opened_today").json()["value"] == 2)
    for told in (client.get("/api/doubts").json(), client.get("/api/kpis/incidents_opened_today/explain").json()["doubts"]):
        assert [(one["subject"], one["why"]["en"]) for one in told] == [("c1", "the point lies outside the province")]


def test_a_posted_event_is_scrubbed_like_any_other_and_a_citizens_number_is_no_subject(client: TestClient, source: dict[str, str], ingesting: None, database: str) -> None:
    told = event(1)
    told["data"] |= {"title": "Cây đổ, gọi 0912345678 hoặc a.b@example.com", "agency": "UBND 20A-123.45"}
    assert client.post(f"/api/events/{FEED}", json=told, headers=source).status_code == 202

    def stored() -> str:
        with psycopg.connect(database) as conn:
            row = conn.execute("SELECT concat_ws(', ', title, agency) FROM case_state WHERE subject = 'c1'").fetchone()
            return str(row[0]) if row else ""

    until(lambda: bool(stored()))
    assert stored() == "Cây đổ, gọi [phone] hoặc [e-mail], UBND [plate]"
    assert client.post(f"/api/events/{FEED}", json=told, headers=source).status_code == 202  # the same again is no contradiction
    answer = client.post(f"/api/events/{FEED}", json=event(2, subject="019185001234"), headers=source)
    assert (answer.status_code, answer.json()["refused"][0]["cause"]) == (400, "personal_id")


def test_a_batch_is_taken_whole_or_not_at_all(client: TestClient, source: dict[str, str], ingesting: None) -> None:
    headers = source | {"Content-Type": "application/cloudevents-batch+json"}
    good = client.post(f"/api/events/{FEED}", content=json.dumps([event(1), event(2)]), headers=headers)
    assert (good.status_code, good.json()) == (202, {"accepted": 2})
    assert client.post(f"/api/events/{FEED}", content="[]", headers=headers).json() == {"accepted": 0}
    until(lambda: next(f for f in client.get("/healthz").json()["feeds"] if f["feed"] == FEED)["checked_at"] is not None)  # an empty batch is a sign of life
    bad = client.post(f"/api/events/{FEED}", content=json.dumps([event(3), event(4, time="2099-01-01T00:00:00Z"), event(5, id="")]), headers=headers)
    assert bad.status_code == 400
    assert [(r["index"], r["cause"]) for r in bad.json()["refused"]] == [(1, "time_ahead"), (2, "missing_id")]


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"{", "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (json.dumps(event(data={"status": "open", "area": "1840"})).encode(), "unknown_area"),
        (json.dumps(event(data={"status": "open", "area": "05431"})).encode(), "unknown_area"),
        (json.dumps(event(data={"status": "open", "title": "x" * 5000})).encode(), "text_too_long"),
        (json.dumps(event(time="2026-11-22T08:00:00")).encode(), "no_zone"),
        (json.dumps(event(data={"rating": "good"})).encode(), "bad_data"),
    ],
)
def test_a_bad_event_is_refused_with_its_cause(client: TestClient, source: dict[str, str], body: bytes, cause: str) -> None:
    answer = client.post(f"/api/events/{FEED}", content=body, headers=source)
    assert answer.status_code == 400
    assert answer.json()["refused"][0]["cause"] == cause


def test_ten_megabytes_are_refused_before_they_are_read(client: TestClient, source: dict[str, str]) -> None:
    assert client.post(f"/api/events/{FEED}", content=b"x" * 10_000_000, headers=source).status_code == 413


def test_posting_needs_a_source_token_a_known_feed_and_the_right_content_type(client: TestClient, source: dict[str, str], database: str) -> None:
    body = json.dumps(event())
    assert client.post(f"/api/events/{FEED}", content=body).status_code == 401
    assert client.post(f"/api/events/{FEED}", content=body, headers={"Authorization": "Bearer ioc_wrong"}).status_code == 401
    viewer = {"Authorization": f"Bearer {token(database, 'viewer', 'v')}"}
    assert client.post(f"/api/events/{FEED}", content=body, headers=source | viewer).status_code == 403
    assert client.post("/api/events/no-such-feed", content=body, headers=source).status_code == 404
    assert client.post(f"/api/events/{FEED}", content=body, headers=source | {"Content-Type": "text/html"}).status_code == 415


def test_questions_that_make_no_sense_get_a_sentence(client: TestClient) -> None:
    assert client.get("/api/kpis/no_such_kpi").status_code == 404
    for query, word in (("area=99999", "99999"), ("at=yesterday", "yesterday"), ("at=2026-11-22T08:00:00", "zone"), ("period=decade", "decade")):
        answer = client.get(f"/api/kpis/incidents_open?{query}")
        assert answer.status_code == 400
        assert word in answer.json()["error"]


def test_a_table_for_people_says_what_the_api_says(client: TestClient, source: dict[str, str], ingesting: None) -> None:
    for n in range(3):
        client.post(f"/api/events/{FEED}", content=json.dumps(event(n)), headers=source)
    until(lambda: client.get("/api/kpis/incidents_opened_today").json()["value"] == 3)
    at = datetime.now(UTC).isoformat()
    said = {tile["kpi"]: tile for tile in client.get("/api/kpis", params={"at": at}).json()}
    book = openpyxl.load_workbook(io.BytesIO(client.get("/api/kpis.xlsx", params={"at": at}).content)).active
    assert book is not None
    head, *rows = list(book.iter_rows(values_only=True))
    sheet = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    text = client.get("/api/kpis.csv", params={"at": at})
    assert text.headers["content-type"].startswith("text/csv") and text.content.startswith(b"\xef\xbb\xbf")
    lines = {row["Mã"]: row for row in csv.DictReader(io.StringIO(text.content.decode("utf-8-sig")), delimiter=";")}
    assert said.keys() == sheet.keys() == lines.keys()
    for kpi, tile in said.items():
        assert sheet[kpi]["Giá trị"] == tile["value"] or (sheet[kpi]["Giá trị"] is None and tile["as_of"] is None), kpi
        written = lines[kpi]["Giá trị"]
        assert (float(written.replace(",", ".")) if written else None) == sheet[kpi]["Giá trị"]
        assert (sheet[kpi]["Đơn vị"], sheet[kpi]["Công thức"], sheet[kpi]["Phiên bản"]) == (tile["unit"], tile["formula"], tile["formula_version"])
    one = sheet["incidents_opened_today"]
    assert one["Giá trị"] == 3 and isinstance(one["Từ ngày"], datetime) and one["Chỉ tiêu"] == said["incidents_opened_today"]["title"]["vi"]
    english = csv.DictReader(io.StringIO(client.get("/api/kpis.csv?lang=en").content.decode("utf-8-sig")), delimiter=";")
    assert {row["KPI"] for row in english} == said.keys()


def test_a_kpi_can_be_asked_of_another_period(client: TestClient, source: dict[str, str], ingesting: None) -> None:
    now = datetime.now(ICT)  # periods are the province's days
    for n, days in enumerate((0, 1, 400)):
        body = event(n)
        body["data"]["opened_at"] = (now - timedelta(days=days)).isoformat()
        client.post(f"/api/events/{FEED}", content=json.dumps(body), headers=source)
    until(lambda: client.get(f"/api/kpis/incidents_opened_today?period={now - timedelta(days=500):%Y-%m-%d}..{now:%Y-%m-%d}").json()["value"] == 3)

    def value(period: str) -> float:
        return float(client.get(f"/api/kpis/incidents_opened_today?period={period}").json()["value"])

    yesterday = (now - timedelta(days=1)).date().isoformat()
    assert value("today") == 1 and value(yesterday) == 1 and value(f"{yesterday}..{yesterday}") == 1
    assert value("year") in (1, 2)  # 1 on the first of January
    assert client.get("/api/kpis/incidents_open?period=year").json()["value"] == client.get("/api/kpis/incidents_open").json()["value"]
    tile = client.get("/api/kpis/incidents_opened_today?period=month").json()
    assert "-01T00:00:00" in tile["period"]["start"] and not tile["period"]["complete"]
    for wrong in ("decade", "2026-13-01..2026-01-01", "2026-02-01..2026-01-01"):
        assert client.get(f"/api/kpis/incidents_open?period={wrong}").status_code == 400 or wrong.startswith("2026-02")
    assert client.get("/api/kpis/incidents_opened_today?period=2026-02-01..2026-01-01").status_code == 400


def test_every_kpi_can_be_explained(client: TestClient) -> None:
    for tile in client.get("/api/kpis").json():
        explained = client.get(f"/api/kpis/{tile['kpi']}/explain").json()
        assert explained["kpi"] == tile["kpi"]
        assert "SELECT" in json.dumps(explained)


def test_metrics_speak_prometheus(client: TestClient) -> None:
    text = client.get("/metrics").text
    assert f'ioc_feed_state{{feed="{FEED}",state="never"}} 1.0' in text
    assert 'ioc_up{part="database"} 1.0' in text


def test_the_api_pages_need_nothing_from_outside(client: TestClient) -> None:
    page = client.get("/api/docs").text
    assert "http://" not in page and "https://" not in page
    assert client.get("/api/docs-static/swagger-ui-bundle.js").status_code == 200
    described = client.get("/api/openapi.json").json()
    assert "/api/kpis" in described["paths"] and described["openapi"].startswith("3.0.")  # the newest that the page can draw


def test_the_live_link_begins_with_a_snapshot_and_sends_what_changed(client: TestClient, source: dict[str, str], ingesting: None) -> None:
    view = next(iter(client.app.state.parts.hub.views))  # type: ignore[attr-defined]
    with client.websocket_connect(f"/live?view={view}") as ws:
        first = ws.receive_json()
        assert first["snapshot"] is True and first["props"]
        client.post(f"/api/events/{FEED}", content=json.dumps(event(9)), headers=source)
        for _ in range(200):
            message = ws.receive_json()
            if "props" in message and not message.get("snapshot") and any("incidents" in name for name in message["props"]):
                break
        else:
            pytest.fail("the change never came")


def test_the_live_link_of_a_part_of_the_province_counts_what_lies_in_it(client: TestClient, source: dict[str, str], ingesting: None) -> None:
    def posted(n: int, area: str) -> None:
        body = event(n)
        body["data"]["area"] = area
        client.post(f"/api/events/{FEED}", content=json.dumps(body), headers=source)

    with client.websocket_connect("/live?view=wall/song-cong:vi") as ws:
        posted(1, "05443")  # elsewhere
        posted(2, "05518")
        posted(3, "05533")
        for _ in range(200):
            tile = ws.receive_json().get("props", {}).get("tile-incidents_opened_today-song-cong")
            if tile and tile["data-value"] == "2":
                break
        else:
            pytest.fail("the two of this part never came")
    assert client.get("/api/kpis/incidents_opened_today?area=song-cong").json()["value"] == 2
    until(lambda: client.get("/api/kpis/incidents_opened_today").json()["value"] == 3)


def test_the_live_link_refuses_foreign_pages_unknown_views_and_revoked_tokens(client: TestClient, database: str) -> None:
    view = next(iter(client.app.state.parts.hub.views))  # type: ignore[attr-defined]
    with psycopg.connect(database, autocommit=True) as conn:
        revoked = auth.create(conn, "screen", "screen", datetime.now(UTC))
        auth.revoke(conn, "screen", datetime.now(UTC))
    for url, headers, code in (
        (f"/live?view={view}", {"origin": "http://elsewhere.example"}, 4401),
        ("/live?view=nothing", {}, 4404),
        (f"/live?view={view}&token={revoked}", {}, 4403),
    ):
        with client.websocket_connect(url, headers=headers) as ws, pytest.raises(WebSocketDisconnect) as closed:
            ws.receive_json()
        assert closed.value.code == code


def test_a_closed_installation_asks_for_a_token(settings: Config, database: str) -> None:
    closed = settings.model_copy(update={"web": settings.web.model_copy(update={"public": False})})
    with TestClient(web.build(closed)) as client:
        assert client.get("/api/kpis").status_code == 401
        assert client.get("/healthz").status_code == 200
        viewer = {"Authorization": f"Bearer {token(database, 'viewer')}"}
        assert client.get("/api/kpis/incidents_open", headers=viewer).status_code == 200


def test_every_page_says_where_scripts_may_come_from(client: TestClient) -> None:
    policy = client.get("/wall").headers["content-security-policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "'unsafe-inline'" not in scripts and "'unsafe-eval'" not in scripts
    assert "'sha256-" in scripts
    assert client.get("/healthz").headers["x-content-type-options"] == "nosniff"
