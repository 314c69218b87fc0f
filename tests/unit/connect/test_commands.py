"""`ioc connector`: what a person sees, and the contract of --json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from unit.connect_rig import Reply, serving

from ioc.connect.commands import app
from ioc.errors import UserError

CONFIG = """
feeds:
  - {{feed: reports, connector: open311, title: {{vi: x, en: x}}, url: "{url}", options: {{page_size: 2}}}}
  - {{feed: dvc, connector: dossiers, title: {{vi: x, en: x}}, url: "http://127.0.0.1:1", geography: former}}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(url="http://127.0.0.1:1"))
    monkeypatch.setenv("IOC_CONFIG", str(path))
    return path


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(args))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_it_lists_connectors_with_options_and_feeds(config: Path) -> None:
    found = {item["connector"]: item for item in json.loads(run("list", "--json")[1])}
    assert set(found) >= {"dossiers", "edxml", "fhir", "oneroster", "open311"}
    assert found["open311"]["feeds"] == ["reports"]
    assert all(option["description"] for item in found.values() for option in item["options"])
    assert "page_size = 500" in run("list")[1]


def test_a_preview_of_a_file_prints_records_events_and_dead_letters(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "payload"  # recognised by its content, not by its name
    file.write_text('[{"service_request_id": "1", "status": "open", "requested_datetime": "2026-01-01T00:00:00Z"}, {"status": "open"}]')
    code, out = run("preview", "open311", "--file", str(file), "--json")
    shown = json.loads(out)
    assert code == 0 and shown["records"] == 2
    assert shown["events"][0] | {"id": ""} == {
        "specversion": "1.0", "id": "", "source": "/connectors/open311/reports", "type": "vn.ioc.case.v1", "subject": "1", "time": "2026-01-01T00:00:00Z",
        "data": shown["events"][0]["data"],
    }  # fmt: skip
    assert [(d["cause"], d["field"]) for d in shown["dead_letters"]] == [("missing_id", "service_request_id")]
    assert set(shown["dead_letters"][0]) >= {"cause", "record", "field", "repair"} and shown["dead_letters"][0]["repair"]


def test_a_preview_uses_the_options_of_the_feed_it_is_told(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"hoSo": [{"MaHoSo": "1", "TrangThaiHoSo": "1", "MaXa": "01834", "ThoiDiemCapNhat": "20260101000000"}]}')
    shown = json.loads(run("preview", "dossiers", "--feed", "dvc", "--file", str(file), "--json")[1])
    assert shown["events"][0]["data"]["area"] == "01840"


def test_a_preview_of_the_source_stops_at_the_limit(config: Path) -> None:
    rows = [{"service_request_id": str(n), "status": "open", "requested_datetime": "2026-01-01T00:00:00Z"} for n in range(50)]
    with serving(lambda asked: Reply(json.dumps(rows if asked.query["page"] == "1" else []))) as server:
        config.write_text(CONFIG.format(url=server.url))
        shown = json.loads(run("preview", "open311", "--limit", "3", "--json")[1])
    assert shown["records"] == 3 == len(shown["events"])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["preview", "nothing", "--file", "x"], "known are"),
        (["preview", "open311", "--file", "/no/such/file"], "cannot be read"),
        (["preview", "fhir"], "no feed of config.yaml uses fhir"),
        (["preview", "open311", "--feed", "dvc"], "uses the connector dossiers"),
        (["preview", "open311", "--feed", "none"], "known are reports, dvc"),
        (["preview", "open311"], "cannot be reached"),
        (["check", "none"], "known are reports, dvc"),
    ],
)
def test_a_mistake_ends_in_a_sentence(args: list[str], says: str, config: Path) -> None:
    with pytest.raises(UserError, match=says):
        run(*args)


def test_a_check_says_what_it_tried_and_where_it_failed(config: Path) -> None:
    code, out = run("check", "reports", "--json")
    steps = json.loads(out)["steps"]
    assert code == 1 and [(s["step"], s["ok"]) for s in steps] == [("options", True), ("address", True), ("first page", False)]
    rows = [{"service_request_id": "1", "status": "maybe", "requested_datetime": "2026-01-01T00:00:00Z"}]
    with serving(lambda asked: Reply(json.dumps(rows if asked.query["page"] == "1" else []))) as server:
        config.write_text(CONFIG.format(url=server.url))
        code, out = run("check", "reports")
        assert code == 1 and "FAIL mapping: unknown_status: status is 'maybe'" in out and '"service_request_id":"1"' in out
        rows[0]["status"] = "open"
        code, out = run("check", "reports")
        assert code == 0 and "1 events" in out


def test_it_replays_the_test_cases(config: Path) -> None:
    code, out = run("test", "dossiers", "--json")
    assert code == 0 and {item["case"] for item in json.loads(out)} >= {"supplemented", "hostile"}
