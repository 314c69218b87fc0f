"""`ioc kpi ...` and `ioc audit`, as typed: what is printed, and the exit codes."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import typer
from typer.testing import CliRunner

from ioc.clock import system_clock
from ioc.errors import UserError
from ioc.events import Case, make
from ioc.kpi.commands import app, audit_command
from ioc.store.writer import Record, Writer

REPOSITORY = Path(__file__).resolve().parents[2]
FEED = "public-services"


@pytest.fixture
def typed(database: str, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A shell in the repository, with one dossier received this second."""
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("IOC_DATABASE__DSN", database)
    now = system_clock() - timedelta(seconds=1)
    with psycopg.connect(database) as conn:
        writer = Writer(conn)
        writer.assign("ioc." + FEED, 0, "1", FEED)
        event = make("/t", "d1", now, Case(status="open", area="05443", channel="online"))
        writer.write([Record("ioc." + FEED, 0, 0, FEED, now, event=event)], {"ioc." + FEED: "1"})
    return CliRunner()


def test_list_names_every_kpi_in_use(typed: CliRunner) -> None:
    rows = json.loads(typed.invoke(app, ["list", "--json"], catch_exceptions=False).stdout)
    assert len(rows) >= 28
    assert {"kpi", "theme", "title", "unit", "period", "feeds", "version", "since"} <= rows[0].keys()
    lines = typed.invoke(app, ["list"], catch_exceptions=False).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [row["kpi"] for row in rows]


def test_value_prints_tiles(typed: CliRunner) -> None:
    (tile,) = json.loads(typed.invoke(app, ["value", "dossiers_online_share", "--area", "05443", "--json"], catch_exceptions=False).stdout)
    assert (tile["value"], tile["numerator"], tile["denominator"], tile["area"]) == (100.0, 1.0, 1.0, "05443")
    line = typed.invoke(app, ["value", "dossiers_online_share"], catch_exceptions=False).stdout
    assert "100.0 (1/1)" in line
    assert len(typed.invoke(app, ["value"], catch_exceptions=False).stdout.splitlines()) >= 28


def test_explain_shows_the_sql_and_the_events(typed: CliRunner) -> None:
    shown = typed.invoke(app, ["explain", "dossiers_online_share"], catch_exceptions=False).stdout
    assert "parts 1 / 1" in shown
    assert "FROM \"rollup_total\" r" in shown
    assert '"channel": "online"' in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["value", "nothing"], "no KPI is called 'nothing'"),
        (["value", "--area", "5443"], "did a spreadsheet drop the leading zero of 05443"),
        (["value", "--at", "2026-11-22T08:00:00"], "has no zone"),
        (["value", "--known-at", "noon"], "is not an ISO 8601 time"),
        (["explain", "nothing"], "no KPI is called 'nothing'"),
    ],
)
def test_a_mistake_ends_in_one_sentence(typed: CliRunner, arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        typed.invoke(app, arguments, catch_exceptions=False)


def test_docs_writes_the_page_that_is_kept(typed: CliRunner, tmp_path: Path) -> None:
    typed.invoke(app, ["docs", "--output", str(tmp_path / "kpis.md")], catch_exceptions=False)
    assert (tmp_path / "kpis.md").read_text(encoding="utf-8") == (REPOSITORY / "docs" / "kpis.md").read_text(encoding="utf-8")


def test_audit_ends_with_0_when_all_is_equal_and_with_1_and_the_first_event_when_not(
    typed: CliRunner, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        audit_command()
    assert ended.value.exit_code == 0
    assert capsys.readouterr().out.startswith("difference 0 (1 events of 1 cases")
    with psycopg.connect(database) as conn:
        conn.execute("UPDATE rollup_total SET n = 2 WHERE measure = 'opened'")
    with pytest.raises(typer.Exit) as ended:
        audit_command(as_json=True)
    assert ended.value.exit_code == 1
    report = json.loads(capsys.readouterr().out)
    assert report["difference"] == len(report["differences"]) > 1
    first = report["differences"][0]
    assert (first["feed"], first["what"], first["first_event"]["subject"]) == (FEED, "rollup_total", "d1")
    assert "dossiers_received_today" in {d["row"].get("kpi") for d in report["differences"]}
