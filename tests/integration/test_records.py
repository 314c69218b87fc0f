"""All records behind a number leave piece by piece: however many, no more of them are in memory than a piece holds."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest
from fastapi.testclient import TestClient

from ioc import api, config, web
from ioc.areas import load as load_areas
from ioc.clock import ICT, FrozenClock
from ioc.config import Broker, Config, Database
from ioc.errors import Unavailable
from ioc.health import Health
from ioc.kpi import catalogue, export, records
from ioc.kpi.engine import Engine
from ioc.store.auditlog import entries
from ioc.store.reader import snapshot

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 16, tzinfo=ICT)
KPI, FEED = "incidents_opened_today", "incident-reports"
MANY = 25_000
FILL = """
INSERT INTO event (feed, kind, subject, time, key, content, received_at, version, area, id, source, data)
SELECT %(feed)s, 2, 'SR-' || i, %(start)s::timestamptz + i * interval '1 second', md5(i::text)::uuid, md5(i::text)::uuid, %(start)s::timestamptz + i * interval '2 seconds',
       %(start)s, CASE WHEN i %% 5 = 0 THEN '05443' END, i::text, '/test', '{"status": "open"}'
FROM generate_series(1, %(n)s) AS i
"""


@pytest.fixture
def settings(database: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Health, "broker_reachable", lambda self: False)
    return config.load(ROOT / "config.yaml").model_copy(update={"database": Database(dsn=database), "broker": Broker(bootstrap="127.0.0.1:1")})


@pytest.fixture
def client(settings: Config) -> Iterator[TestClient]:
    with TestClient(web.build(settings, FrozenClock(NOW)), base_url="http://127.0.0.1", client=("10.1.2.3", 50000)) as found:
        yield found


def fill(dsn: str, n: int, start: datetime = NOW - timedelta(hours=9)) -> None:
    with psycopg.connect(dsn) as conn:
        conn.execute(FILL, {"feed": FEED, "n": n, "start": start})


def table(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig")), delimiter=";"))


def test_all_records_of_the_period_leave_as_csv_the_last_received_first(client: TestClient, database: str) -> None:
    fill(database, MANY)
    with psycopg.connect(database) as conn:  # yesterday's are of another period
        conn.execute(FILL.replace("md5(i::text)", "md5('b' || i::text)"), {"feed": FEED, "n": 3, "start": NOW - timedelta(days=1)})
    with client.stream("GET", f"/api/kpis/{KPI}/records.csv?lang=en") as answer:
        pieces = list(answer.iter_raw())
    head, *rows = table(b"".join(pieces))
    assert answer.status_code == 200 and f'filename="{KPI}-20261120-1600.csv"' in answer.headers["content-disposition"]
    assert head == ["Feed", "Subject", "Metric", "Time", "Received", "Area", "Value", "Data"]
    assert len(rows) == MANY and rows[0][1] == f"SR-{MANY}" and rows[-1][1] == "SR-1" and json.loads(rows[0][7]) == {"status": "open"}
    assert len(pieces) > MANY / 1000
    assert len(table(client.get(f"/api/kpis/{KPI}/records.csv?area=05443").content)) == 1 + MANY // 5
    with psycopg.connect(database) as conn:
        (row,) = entries(conn, action="export", limit=1)
        assert row["subject"] == f"/api/kpis/{KPI}/records.csv" and row["detail"] == {"area": "05443"}


def test_no_more_rows_are_read_from_the_database_than_are_taken(settings: Config, database: str) -> None:
    fill(database, MANY)
    engine = Engine(catalogue.load(settings.kpis.catalogue), settings, load_areas("19"), FrozenClock(NOW))
    asked: dict[str, Any] = {"at": NOW}
    with snapshot(database) as reader:
        found = records.rows(engine, reader, KPI, "vi", **asked)
        assert len(list(islice(found, 1 + 1000))) == 1001
        at = reader.conn.execute("SELECT name FROM pg_cursors").fetchall()
        assert at == [("records",)]  # the rest still lies there
        (left,) = reader.conn.execute("FETCH FORWARD 1 FROM records").fetchall()
        assert left[1] == f"SR-{MANY - 1000}"  # the next one after the first thousand: nothing was fetched ahead
        found.close()  # type: ignore[attr-defined]
        assert reader.conn.execute("SELECT name FROM pg_cursors").fetchall() == []


def test_a_piece_of_csv_asks_for_no_more_rows_than_it_holds() -> None:
    taken = 0

    def rows() -> Iterator[list[export.Cell]]:
        nonlocal taken
        while True:
            taken += 1
            yield [taken, "x"]

    pieces = export.csv_pieces(rows(), "vi")
    assert next(pieces) == b"\xef\xbb\xbf" and taken == 0
    for n in (1, 2, 3):
        assert next(pieces).count(b"\r\n") == 500 and taken == 500 * n


def test_a_spreadsheet_holds_so_many_and_more_are_refused_in_a_sentence(client: TestClient, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(database, 40)
    for module in (export, records):
        monkeypatch.setattr(module, "SHEET_ROWS", 40)
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"/api/kpis/{KPI}/records.xlsx").content))
    rows = list(book[KPI].iter_rows(values_only=True))
    assert len(rows) == 41 and rows[1][1] == "SR-40" and isinstance(rows[1][3], datetime) and book[KPI]["B2"].data_type in ("s", "inlineStr")
    for module in (export, records):
        monkeypatch.setattr(module, "SHEET_ROWS", 39)
    answer = client.get(f"/api/kpis/{KPI}/records.xlsx")
    assert (answer.status_code, answer.json()["error"]) == (400, "more than 39 rows do not fit a spreadsheet; ask for CSV, which has no end, or for fewer areas or days")


def test_a_few_exports_run_at_once_and_the_next_one_is_told_to_come_back(client: TestClient, database: str) -> None:
    places = threading.BoundedSemaphore(api.EXPORTS_AT_ONCE)
    with api.one_of(places), api.one_of(places), pytest.raises(Unavailable, match="2 exports of records are running; try again when one is done"), api.one_of(places):
        raise AssertionError
    with api.one_of(places):
        pass  # given back
    fill(database, 10)
    for _ in range(api.EXPORTS_AT_ONCE + 2):  # one after the other there is no end to them
        assert client.get(f"/api/kpis/{KPI}/records.csv").status_code == 200


@pytest.mark.parametrize(("path", "status", "says"), [("nothing/records.csv", 404, "no KPI is called 'nothing'"), (f"{KPI}/records.csv?area=5443", 400, "leading zero of 05443"), (f"{KPI}/records.csv?period=2026-13", 400, "period='2026-13' is none")])
def test_what_is_wrong_is_said_before_a_file_begins(client: TestClient, path: str, status: int, says: str) -> None:
    answer = client.get(f"/api/kpis/{path}")
    assert answer.status_code == status and says in answer.text


def test_a_period_without_records_is_a_table_without_rows(client: TestClient) -> None:
    assert table(client.get(f"/api/kpis/{KPI}/records.csv").content) == [["Nguồn", "Đối tượng", "Số đo", "Thời điểm", "Nhận lúc", "Khu vực", "Giá trị", "Dữ liệu"]]
