"""`ioc connector rewind`: the source is read again; what is stored counts once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg_pool import ConnectionPool
from typer.testing import CliRunner
from unit.connect_rig import HERE, NOW, Bus, feed_of

from ioc.clock import FrozenClock
from ioc.config import Config
from ioc.connect import registry
from ioc.connect.commands import app
from ioc.connect.pump import Pump
from ioc.connect.replay import Asked, Reply, serving
from ioc.connect.runner import client_of
from ioc.store.cursors import Cursors


@pytest.fixture
def configured(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    feeds = [
        {"feed": "test-dossiers", "connector": "dossiers", "title": {"vi": "a", "en": "a"}, "url": "http://127.0.0.1:1"},
        {"feed": "pushed", "connector": "push", "title": {"vi": "a", "en": "a"}},
    ]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"database": {"dsn": database}, "feeds": feeds}))
    monkeypatch.setenv("IOC_CONFIG", str(tmp_path / "config.yaml"))
    return database


def dossiers(asked: Asked) -> Reply:
    page = (Path(__file__).parents[2] / "connectors/dossiers/testcases/supplemented/received.json").read_bytes()
    return Reply(page, headers={"Content-Type": "application/json"})


def test_the_next_poll_asks_from_that_time_and_brings_the_same_facts(configured: str) -> None:
    connector = registry.get("dossiers")
    asked: list[Asked] = []

    def answer(question: Asked) -> Reply:
        asked.append(question)
        return dossiers(question)

    with serving(answer) as server, ConnectionPool(configured, min_size=1, open=True) as pool:
        feed = feed_of("dossiers", server.url)
        client: Any = client_of(Config(feeds=[feed]), feed, lambda _s: None)
        cursors = Cursors(pool)
        pump = Pump(feed, connector, registry.options_of(connector, feed), HERE, client, FrozenClock(NOW))
        first, second, third = Bus(), Bus(), Bus()
        pump.poll(first, cursors)
        pump.poll(second, cursors)
        assert first.events and not second.events
        to = (NOW - timedelta(days=3)).isoformat()
        done = CliRunner().invoke(app, ["rewind", "test-dossiers", "--to", to, "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.output) == {"feed": "test-dossiers", "from": to}
        before = len(asked)
        pump.poll(third, cursors)
        client.close()
    assert [event.id for event in third.events] == [event.id for event in first.events]  # repetitions: the store counts them once
    assert str((NOW - timedelta(days=3)).date()) in json.dumps(asked[before].query) or (NOW - timedelta(days=3)).strftime("%Y%m%d") in json.dumps(asked[before].query)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["test-dossiers"], "say how far"),
        (["test-dossiers", "--to", "gestern"], "not an ISO 8601 time"),
        (["test-dossiers", "--to", "2026-11-01T00:00:00"], "no zone"),
        (["test-dossiers", "--to", "2999-01-01T00:00:00Z"], "lies ahead"),
        (["test-dossiers", "--to", "2001-01-01T00:00:00Z"], "late_window_days"),
        (["test-dossiers", "--all"], "was never read"),
        (["pushed", "--all"], "no source to read again"),
    ],
)
def test_what_cannot_be_set_back_is_said(configured: str, arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["rewind", *arguments])
    assert done.exit_code != 0 and says in str(done.exception)


def test_nothing_else_is_touched(configured: str) -> None:
    with psycopg.connect(configured, autocommit=True) as conn, ConnectionPool(configured, min_size=1, open=True) as pool:
        Cursors(pool).save("other", {"page": 3}, records=1, at=NOW)
        Cursors(pool).save("test-dossiers", {"page": 3}, records=1, at=NOW)
        assert CliRunner().invoke(app, ["rewind", "test-dossiers", "--all"]).exit_code == 0
        assert conn.execute("SELECT cursor FROM connector_cursor WHERE feed = 'other'").fetchone() == ({"page": 3},)
