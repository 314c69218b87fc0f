"""The health check of the containers: a process is alive while it gives signs of life to the database."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import pytest

from ioc import alive
from ioc.store.services import Beat


def beat(dsn: str, name: str, host: str, ago: timedelta) -> None:
    sign = Beat(dsn, name, f"{host}:1", lambda: datetime.now(UTC) - ago)
    sign(0, {})
    sign.close()


@pytest.fixture
def configured(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("IOC_DATABASE__DSN", database)
    return database


def test_a_process_that_just_beat_is_alive(configured: str) -> None:
    beat(configured, "ingest", socket.gethostname(), timedelta(seconds=3))
    assert alive.main(["ingest"]) == 0


def test_a_silent_process_is_not(configured: str, capsys: pytest.CaptureFixture[str]) -> None:
    beat(configured, "ingest", socket.gethostname(), timedelta(seconds=alive.FRESH_S + 5))
    assert alive.main(["ingest"]) == 1
    assert "ingest on this host was last seen 35 s ago" in capsys.readouterr().out


def test_another_process_or_another_host_does_not_count(configured: str, capsys: pytest.CaptureFixture[str]) -> None:
    beat(configured, "web", socket.gethostname(), timedelta())
    beat(configured, "ingest", socket.gethostname() + "2", timedelta())
    assert alive.main(["ingest"]) == 1
    assert "was last seen never" in capsys.readouterr().out


def test_a_database_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("IOC_DATABASE__DSN", "postgresql://ioc@127.0.0.1:1/ioc")
    assert alive.main(["ingest"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1
