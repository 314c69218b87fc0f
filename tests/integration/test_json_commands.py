"""Every command of connectors, dead letters and typed figures speaks JSON: with --json, standard output is one document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer.main
import yaml
from typer.testing import CliRunner

from ioc.accounts import people
from ioc.cli import app
from ioc.clock import system_clock
from ioc.config import Broker
from ioc.connect import conformance, registry
from ioc.connect.replay import Asked, Reply, serving
from ioc.events import DeadLetter
from ioc.store.writer import Record, Writer

pytestmark = [pytest.mark.postgres, pytest.mark.kafka]

ROOT = Path(__file__).parents[2]
GROUPS = ("connector", "dlq", "entry")
GAUGE = ROOT / "connectors/water_gauge/testcases/canal/waterlevel.json"
FIGURE = {"connector": "entry", "options": {"figures": {"grdp.growth": {"title": {"vi": "GRDP", "en": "GRDP"}, "unit": "%", "period": "year"}}}}

# command -> what is typed behind it, and the exit code; in this order, since some need what others made
TYPED: dict[str, tuple[list[str], int]] = {
    "connector new": (["parking"], 0),
    "connector list": ([], 0),
    "connector check": (["gauge"], 0),
    "connector preview": (["water_gauge", "--file", str(GAUGE)], 0),
    "connector test": (["water_gauge"], 0),
    "connector grade": (["water_gauge"], 0),
    "connector rewind": (["gauge", "--all"], 0),
    "dlq list": ([], 0),
    "dlq show": (["--feed", "gauge"], 0),
    "dlq replay": (["--feed", "gauge", "--dry-run"], 0),
    "entry figures": ([], 0),
    "entry add": (["typed", "grdp.growth", "8,61", "--period", "2025", "--document", "412/BC", "--by", "an"], 0),
    "entry list": ([], 0),
    "entry reject": (["1", "--reason", "a slip", "--by", "an"], 0),
    "entry approve": (["2", "--by", "binh"], 0),
}


def _leaves(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (words, command) of everything below `command` that can be run."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
    else:
        for word, part in below.items():
            yield from _leaves(part, f"{name} {word}".strip())


def _commands() -> dict[str, Any]:
    return {name: command for name, command in _leaves(typer.main.get_command(app)) if name.split()[0] in GROUPS}


@pytest.fixture
def province(database: str, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A feed that was read, with one dead letter; two editors, and a figure that may be typed."""

    def answer(asked: Asked) -> Reply:
        readings = [row for row in json.loads(GAUGE.read_bytes()) if isinstance(row["water_level_cm"], int | float)]
        return Reply(json.dumps(readings[:3]), headers={"Content-Type": "application/json"})

    monkeypatch.chdir(tmp_path)
    home = tmp_path / "connectors"
    home.mkdir()
    (home / "water_gauge").symlink_to(ROOT / "connectors/water_gauge")
    monkeypatch.setattr(registry, "_home", lambda: home)
    with serving(answer) as server, psycopg.connect(database, autocommit=True) as conn:
        title = {"vi": "a", "en": "a"}
        feeds: list[dict[str, Any]] = [{"feed": "gauge", "connector": "water_gauge", "title": title, "url": server.url}, {"feed": "typed", "title": title, **FIGURE}]
        settings = {"database": {"dsn": database}, "broker": json.loads(broker.model_dump_json()), "feeds": feeds, "kpis": {"catalogue": str(ROOT / "dashboards/catalogue")}, "scenes": {"folder": str(ROOT / "dashboards/scenes"), "use": []}}
        Path("config.yaml").write_text(yaml.safe_dump(settings))
        monkeypatch.setenv("IOC_CONFIG", str(tmp_path / "config.yaml"))
        now = system_clock()
        for name in ("an", "binh"):
            people.create(conn, name, "editor", now)
        conn.execute("INSERT INTO connector_cursor (feed, cursor, saved_at) VALUES ('gauge', '{}', now())")
        writer = Writer(conn)
        writer.assign("x.gauge", 0, "1", "gauge")
        letter = DeadLetter("gauge", "missing_value", "water_level_cm is empty", '{"record_time": "2026-11-20T00:00:00+07:00"}', "water_level_cm", "send it", "water_gauge 1", now)
        writer.write([Record("x.gauge", 0, 0, "gauge", now, letter=letter)], {"x.gauge": "1"})
        yield


def test_every_command_has_json_and_is_typed_here() -> None:
    found = _commands()
    assert set(found) == set(TYPED)
    without = [name for name, command in found.items() if not any("--json" in option.opts for option in command.params)]
    assert without == []


def test_with_json_standard_output_is_one_document(province: None) -> None:
    documents: dict[str, Any] = {}
    for name, (arguments, code) in TYPED.items():
        if name == "entry approve":  # the first one was rejected
            CliRunner().invoke(app, ["entry", "add", *TYPED["entry add"][0]], catch_exceptions=False)
        done = CliRunner().invoke(app, [*name.split(), *arguments, "--json"], catch_exceptions=False)
        assert done.exit_code == code, (name, done.output)
        documents[name] = json.loads(done.stdout)  # two documents, or a word beside one, are none
    assert documents["connector new"]["wrote"] and documents["connector check"]["ok"]
    assert [letter["cause"] for letter in documents["dlq show"]] == ["missing_value"]
    assert documents["dlq replay"]["clusters"][0]["refused"] == 1
    assert (documents["entry reject"]["status"], documents["entry approve"]["status"]) == ("rejected", "approved")


@pytest.mark.parametrize(
    ("typed", "code"),
    [(["connector", "check", "away", "--json"], 1), (["connector", "test", "water_gauge", "--json"], 1)],
)
def test_what_went_wrong_is_one_document_too(typed: list[str], code: int, province: None, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = yaml.safe_load(Path("config.yaml").read_text())
    settings["feeds"].append({"feed": "away", "connector": "water_gauge", "title": {"vi": "a", "en": "a"}, "url": "http://127.0.0.1:9"})
    Path("config.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(conformance, "_differences", lambda *_: ["an event is missing"])
    done = CliRunner().invoke(app, typed, catch_exceptions=False)
    assert done.exit_code == code and json.loads(done.stdout)
