"""One number: wall, page, API, CSV, XLSX, PDF say the same value, unit, as-of and version of every KPI, asked once for all."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pypdf
import pytest
from fastapi.testclient import TestClient

from dashboards.figures.tile import shown_value, titled
from ioc import auth, config, ingest, web
from ioc.clock import FrozenClock
from ioc.config import Broker, Database
from ioc.kpi.tile import Tile
from tests.integration.test_api import ROOT, event, until

FEED, N = "incident-reports", 7


@pytest.fixture
def client(database: str, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TestClient, Any]]:
    """The application at a moment that stands still, with a few cases in several communes."""
    monkeypatch.chdir(ROOT)
    loaded = config.load(Path("config.yaml")).model_copy(update={"database": Database(dsn=database), "broker": broker})
    stop = threading.Event()
    reading = threading.Thread(target=ingest.Ingest(loaded, stop).run)
    reading.start()
    clock = FrozenClock(datetime.now(UTC))
    app = web.build(loaded, clock)
    try:
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as found:
            bodies = [event(n) for n in range(N)]
            for n, body in enumerate(bodies):
                body["data"] |= {"area": ("05443", "05455", "05518")[n % 3], "due_at": (datetime.now(UTC) + timedelta(hours=5)).isoformat()}
            send(found, database, "sender", bodies)
            until(lambda: found.get("/api/kpis/incidents_opened_today?period=year").json()["value"] == N)
            clock.tick(seconds=30)
            until(lambda: app.state.parts.hub.snapshot.now == clock.at)
            yield found, app
    finally:
        stop.set()
        reading.join(timeout=60)


def send(client: TestClient, database: str, name: str, bodies: list[dict[str, Any]]) -> None:
    """Post events as a source of this name."""
    with psycopg.connect(database, autocommit=True) as conn:
        token = auth.create(conn, name, "source", datetime.now(UTC))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents+json"}
    for body in bodies:
        assert client.post(f"/api/events/{FEED}", content=json.dumps(body), headers=headers).status_code == 202


def attributes(page: str) -> dict[str, dict[str, str]]:
    """Return what the tiles of a page say of themselves, by KPI."""
    tags = [dict(re.findall(r'data-([a-z-]+)="([^"]*)"', tag)) for tag in re.findall(r"<(?:div|td) [^>]*data-kpi=[^>]*>", page)]
    return {found["kpi"]: {name: html.unescape(value) for name, value in found.items()} for found in tags}


def plain(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def wall(client: TestClient) -> dict[str, dict[str, str]]:
    with client.websocket_connect("/live?view=wall:vi") as ws:
        props = ws.receive_json()["props"]
    return {p["data-kpi"]: {name.removeprefix("data-"): value for name, value in p.items() if name.startswith("data-")} for i, p in props.items() if i == f"tile-{p.get('data-kpi')}"}


def test_every_kpi_is_the_same_number_wherever_it_stands(client: tuple[TestClient, Any]) -> None:
    http, app = client
    context_tiles: dict[str, Tile] = app.state.parts.hub.snapshot.tiles
    said = {tile["kpi"]: tile for tile in http.get("/api/kpis").json()}
    assert said["incidents_opened_today"]["value"] is not None and len(said) > 50
    head, *rows = list(openpyxl.load_workbook(io.BytesIO(http.get("/api/kpis.xlsx").content)).active.iter_rows(values_only=True))  # type: ignore[union-attr]
    sheet = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    lines = {row["Mã"]: row for row in csv.DictReader(io.StringIO(http.get("/api/kpis.csv").content.decode("utf-8-sig")), delimiter=";")}
    paper = pypdf.PdfReader(io.BytesIO(http.get("/api/kpis.pdf").content))
    printed = " ".join(" ".join(page.extract_text() for page in paper.pages).replace("\u00a0", " ").split())
    page, walled = attributes(http.get("/").text), wall(http)
    compared = {row["Khu vực"]: row for row in csv.DictReader(io.StringIO(http.get("/api/compare.csv?kpis=incidents_opened_today").content.decode("utf-8-sig")), delimiter=";")}
    column = titled(context_tiles["incidents_opened_today"], "vi")
    assert (compared["Thái Nguyên"][column], compared["Đơn vị"][column], compared["Phiên bản"][column]) == tuple(lines["incidents_opened_today"][name] for name in ("Giá trị", "Đơn vị", "Phiên bản"))
    assert said.keys() == sheet.keys() == lines.keys() and page.keys() <= said.keys() and len(walled) > 12

    for kpi, tile in said.items():
        value = tile["value"] if tile["as_of"] else None
        as_of = tile["as_of"] and datetime.fromisoformat(tile["as_of"])
        for place in (page, walled):
            if kpi in place:
                assert plain(float(place[kpi]["value"]) if place[kpi]["value"] else None) == plain(value), kpi
                assert place[kpi]["unit"] == tile["unit"], kpi
                assert place[kpi]["formula-version"] == str(tile["formula_version"]), kpi
                assert (datetime.fromisoformat(place[kpi]["as-of"]) if place[kpi]["as-of"] else None) == as_of, kpi
        assert (sheet[kpi]["Giá trị"], sheet[kpi]["Đơn vị"], sheet[kpi]["Phiên bản"]) == (value, tile["unit"], tile["formula_version"]), kpi
        written = lines[kpi]["Giá trị"].replace(",", ".")
        assert plain(float(written) if written else None) == plain(value), kpi
        assert (lines[kpi]["Đơn vị"], lines[kpi]["Phiên bản"]) == (tile["unit"], str(tile["formula_version"])), kpi
        if as_of:
            local = (as_of + timedelta(hours=7)).replace(tzinfo=None, microsecond=0)
            assert sheet[kpi]["Số liệu đến"] == local and lines[kpi]["Số liệu đến"] == f"{local:%d/%m/%Y %H:%M:%S}", kpi
            assert f"{local:%H:%M:%S}" in printed, kpi
        shown = shown_value(context_tiles[kpi], "vi").replace("\u00a0", " ")
        title = " ".join(titled(context_tiles[kpi], "vi").split())
        row = re.search(re.escape(f"{title} {shown}") + r"(?: .{0,120}?)? v(\d+)\b", printed)
        assert row and row[1] == str(tile["formula_version"]), (kpi, f"{title} {shown}")
    for kpi in ("incidents_opened_today", "incidents_open"):
        alone = attributes(http.get(f"/kpi/{kpi}").text)[kpi]
        assert all(alone[name] == page[kpi][name] for name in ("value", "unit", "as-of", "formula-version")), kpi
        area_sheet = list(openpyxl.load_workbook(io.BytesIO(http.get(f"/api/kpis/{kpi}/areas.xlsx").content)).active.iter_rows(values_only=True))  # type: ignore[union-attr]
        whole = dict(zip(area_sheet[0], area_sheet[1], strict=True))
        assert (whole["Giá trị"], whole["Đơn vị"], whole["Phiên bản"], whole["Số liệu đến"]) == tuple(sheet[kpi][name] for name in ("Giá trị", "Đơn vị", "Phiên bản", "Số liệu đến")), kpi
        course = list(openpyxl.load_workbook(io.BytesIO(http.get(f"/api/kpis/{kpi}/trend.xlsx").content)).active.iter_rows(values_only=True))  # type: ignore[union-attr]
        last = dict(zip(course[0], course[-1], strict=True))
        assert [row[course[0].index("Giá trị")] for row in course[1:]] == said[kpi]["spark"]
        assert [last[name] for name in ("Giá trị", "Đơn vị", "Phiên bản", "Số liệu đến")] == [sheet[kpi][name] for name in ("Giá trị", "Đơn vị", "Phiên bản", "Số liệu đến")], kpi
        explained = http.get(f"/api/kpis/{kpi}/explain").json()
        assert explained["value"] == said[kpi]["value"] and explained["formula"]["version"] == said[kpi]["formula_version"]


@pytest.mark.parametrize("query", ["area=song-cong", "area=05443&period=month", "period=year"])
def test_every_kpi_of_an_area_and_a_period_is_the_same_number_on_page_and_in_files(client: tuple[TestClient, Any], query: str) -> None:
    http, _ = client
    said = {tile["kpi"]: tile for tile in http.get(f"/api/kpis?{query}").json()}
    page = attributes(http.get(f"/?{query}").text)
    lines = {row["Mã"]: row for row in csv.DictReader(io.StringIO(http.get(f"/api/kpis.csv?{query}").content.decode("utf-8-sig")), delimiter=";")}
    assert said["incidents_opened_today"]["value"] == {"area=song-cong": 2, "area=05443&period=month": 3, "period=year": N}[query]
    for kpi, tile in said.items():
        value = tile["value"] if tile["as_of"] else None
        written = lines[kpi]["Giá trị"].replace(",", ".")
        assert plain(float(written) if written else None) == plain(value), kpi
        if kpi in page:
            assert plain(float(page[kpi]["value"]) if page[kpi]["value"] else None) == plain(value), kpi


def test_every_sentence_of_the_brief_has_the_number_of_its_day(client: tuple[TestClient, Any], database: str) -> None:
    http, app = client
    before = app.state.parts.hub.snapshot.now - timedelta(days=1)
    day = (before + timedelta(hours=7)).date()
    late = event(N, time=before.isoformat())
    late["data"] |= {"opened_at": before.isoformat()}
    send(http, database, "late", [late])
    until(lambda: http.get(f"/api/kpis/incidents_opened_today?period={day}..{day}").json()["value"] == 1)
    said = {tile["kpi"]: tile for tile in http.get(f"/api/kpis?period={day}..{day}").json()}
    part = f"Ngày hôm qua, {day:%d/%m/%Y}"
    for form in ("csv", "xlsx"):
        body = http.get(f"/api/brief.{form}").content
        cells = openpyxl.load_workbook(io.BytesIO(body)).active.iter_rows(values_only=True) if form == "xlsx" else csv.reader(io.StringIO(body.decode("utf-8-sig")), delimiter=";")  # type: ignore[union-attr]
        head, *rows = [list(row) for row in cells]
        told = [dict(zip(head, row, strict=True)) for row in rows if row[0] == part]
        assert "incidents_opened_today" in [row["Mã"] for row in told]
        for row in told:
            tile = said[row["Mã"]]
            assert plain(float(str(row["Giá trị"]).replace(",", "."))) == plain(tile["value"]), row
            assert (row["Đơn vị"], str(row["Phiên bản"])) == (tile["unit"], str(tile["formula_version"])), row
            local = (datetime.fromisoformat(tile["as_of"]) + timedelta(hours=7)).replace(tzinfo=None, microsecond=0)
            assert row["Số liệu đến"] == (local if form == "xlsx" else f"{local:%d/%m/%Y %H:%M:%S}"), row
