"""`ioc dlq`, as typed: what could not be read, what a replay would change, and that it changes just that."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from ioc import config, ingest
from ioc.clock import system_clock
from ioc.config import Broker, Database
from ioc.dlq import app
from ioc.events import Case, DeadLetter, make
from ioc.store import auditlog
from ioc.store.writer import Record, Writer

pytestmark = [pytest.mark.postgres, pytest.mark.kafka]

ROOT = Path(__file__).parents[2]
FEED = "public-services"
NOW = system_clock()


def _dossier(number: int, **changes: str) -> str:
    """A dossier as its dead letter keeps it: codes and dates, no text."""
    at = (NOW - timedelta(minutes=number)).strftime("%Y%m%d%H%M%S")
    return json.dumps({"MaHoSo": f"D{number}", "TrangThaiHoSo": "2", "MaXa": "05443", "NgayTiepNhan": at, "ThoiDiemCapNhat": at} | changes)


def _letter(cause: str, record: str, field: str = "") -> DeadLetter:
    return DeadLetter(FEED, cause, f"{field} could not be read", record, field, "mend it", "dossiers 1", NOW)


@pytest.fixture
def typed(database: str, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A shell in the repository; one dossier is stored, three letters could be read today, two cannot."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("IOC_DATABASE__DSN", database)
    for name in ("bootstrap", "kind", "prefix", "group"):
        monkeypatch.setenv(f"IOC_BROKER__{name.upper()}", str(getattr(broker, name)))
    letters = [
        *(_letter("unknown_status", _dossier(n), "TrangThaiHoSo") for n in (1, 2, 3)),
        _letter("unknown_area", _dossier(4, MaXa="99999"), "MaXa"),
        _letter("unknown_status", _dossier(5, DonViXuLy="[a text of 20 characters]"), "TrangThaiHoSo"),
    ]
    with psycopg.connect(database) as conn:
        writer = Writer(conn)
        writer.assign("x." + FEED, 0, "1", FEED)
        stored = Record("x." + FEED, 0, 0, FEED, NOW, event=make("/t", "d0", NOW - timedelta(seconds=1), Case(status="open", area="05443")))
        kept = [Record("x." + FEED, 0, n, FEED, NOW, letter=letter) for n, letter in enumerate(letters, 1)]
        writer.write([stored, *kept], {"x." + FEED: "1"})
    return CliRunner()


def _run(typed: CliRunner, *arguments: str) -> str:
    done = typed.invoke(app, [*arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def _everything(dsn: str) -> list[Any]:
    tables = ("event", "case_state", "rollup_case", "rollup_total", "rollup_duration", "dead_letter", "consumer_offset", "audit_log")
    with psycopg.connect(dsn) as conn:
        return [conn.execute(f"SELECT t::text FROM {table} t ORDER BY 1".encode()).fetchall() for table in tables]


def test_letters_are_listed_by_cause(typed: CliRunner) -> None:
    rows = json.loads(_run(typed, "list", "--json"))
    assert sorted((row["cause"], row["field"], row["n"]) for row in rows) == [("unknown_area", "MaXa", 1), ("unknown_status", "TrangThaiHoSo", 4)]
    assert len(json.loads(_run(typed, "show", "--feed", FEED, "--json"))) == 5
    assert "mend it" in _run(typed, "list")


def test_a_dry_run_says_which_kpis_would_change_by_how_much_and_changes_nothing(typed: CliRunner, database: str) -> None:
    before = _everything(database)
    found = json.loads(_run(typed, "replay", "--feed", FEED, "--dry-run", "--json"))
    assert _everything(database) == before
    assert [(c["cause"], c["letters"], c["events"], c["refused"]) for c in found["clusters"]] == [("unknown_status", 4, 3, 1), ("unknown_area", 1, 0, 1)]
    assert "withheld" in found["clusters"][0]["reasons"][0] and "99999" in found["clusters"][1]["reasons"][0]
    kpis = {kpi["kpi"]: (kpi["before"], kpi["after"], kpi["change"]) for kpi in found["kpis"]}
    assert kpis["dossiers_open"] == (1.0, 4.0, 3.0)
    assert "documents_open" not in kpis
    (line,) = [line for line in _run(typed, "replay", "--feed", FEED, "--dry-run").splitlines() if "dossiers_open:" in line]
    assert "dossiers_open: 1 -> 4 " in line and line.endswith("(+3)")


def test_a_replay_changes_what_the_dry_run_said_once(typed: CliRunner, database: str, broker: Broker) -> None:
    settings = config.load(ROOT / "config.yaml").model_copy(update={"database": Database(dsn=database), "broker": broker})
    stop = threading.Event()
    thread = threading.Thread(target=ingest.Ingest(settings, stop).run, daemon=True)
    thread.start()
    for _ in range(2):
        said = _run(typed, "replay", "--feed", FEED)
        assert "3 events of 3 letters sent; 2 still refused" in said
    deadline = time.monotonic() + 60
    while (n := _open(database)) != 4:
        assert time.monotonic() < deadline, n
        time.sleep(0.2)
    stop.set()
    thread.join(30)
    assert "no KPI changes" in _run(typed, "replay", "--feed", FEED, "--dry-run")
    with psycopg.connect(database) as conn:
        assert [(row["action"], row["detail"]["letters"]) for row in auditlog.entries(conn)] == [("dlq_replay", 3)] * 2


def _open(dsn: str) -> int:
    with psycopg.connect(dsn) as conn:
        row = conn.execute("SELECT count(*) FROM case_state").fetchone()
        return int(row[0]) if row else 0
