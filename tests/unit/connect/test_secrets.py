"""A feed's secret is sent to its source and stands nowhere else: not in a log, an error, a dead letter, whatever the source echoes."""

from __future__ import annotations

import json
import threading

import pytest
import structlog
from unit.connect_rig import HERE, NOW, Memory, Reply, feed_of, serving

from ioc.config import Config
from ioc.connect import runner
from ioc.connect.replay import Asked, Collected

SECRET = "s3cr3t-Zq8-not-to-be-told"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, "token {} is not valid"),
        (500, '{{"error": "Authorization: Bearer {}"}}'),
        (200, "<html><body>{}</body></html>"),
        (200, '{{"error_code": "99", "message": "{}"}}'),
        (200, '{{"error_code": "00", "hoSo": [{{"MaHoSo": "D1", "TrangThaiHoSo": "{0}", "MaXa": "{0}", "ghiChu": "{0}"}}]}}'),
        (302, "{}"),
    ],
)
def test_a_secret_that_the_source_echoes_is_told_to_nobody(status: int, body: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("DVC_TOKEN", SECRET)
    bus, memory = Collected(), Memory()

    def answer(asked: Asked) -> Reply:
        return Reply(body.format(SECRET), status, {"Location": f"http://192.0.2.1/?token={SECRET}"} if status == 302 else {})

    with serving(answer) as server, structlog.testing.capture_logs() as logs, caplog.at_level("WARNING"):
        feed = feed_of("dossiers", server.url, secret="DVC_TOKEN")
        run = runner.FeedRun(Config(feeds=[feed]), feed, HERE, bus, memory, threading.Event(), lambda: NOW)
        run._sleep = lambda _s: None  # type: ignore[method-assign]
        run._step()
        run._client.close()
        assert any(SECRET in asked.headers.get("authorization", "") for asked in server.asked)
    left = repr(logs) + caplog.text + repr(memory.errors) + json.dumps([repr(letter) for letter in bus.letters]) + repr(bus.events)
    assert SECRET not in left
    assert memory.errors or bus.letters
