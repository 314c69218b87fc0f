"""Stills of cameras: what is taken, since when a picture is the same, and what is never asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from connectors.cameras.simulated_stills import STANDS_STILL, still
from dashboards.figures.camera import age, state_of
from ioc.api import serve_stills
from ioc.clock import ICT, FrozenClock
from ioc.config import Camera, Stills, Words
from ioc.connect.http import Http
from ioc.stills import Album, Still, media_of

NOW = datetime(2026, 11, 20, 7, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 12, tzinfo=ICT)


def camera(url: str = "http://127.0.0.1:9/1.png") -> Camera:
    return Camera(camera="one", title=Words(vi="Một", en="One"), url=url)


def album(clock: FrozenClock, url: str = "http://127.0.0.1:9/1.png") -> Album:
    return Album(Stills(cameras=[camera(url)], max_bytes=100_000), lambda _: None, clock)


def test_it_knows_since_when_a_picture_has_been_the_same() -> None:
    clock = FrozenClock(NOW)
    found = album(clock)
    assert found.shown() == {"one": Still()} and found.picture("one") is None
    assert found.take("one", still(1, NOON))
    clock.tick(seconds=6)
    assert found.take("one", still(1, NOON))
    assert found.shown()["one"].changed_at == NOW and found.shown()["one"].seen_at == NOW + timedelta(seconds=6)
    assert found.take("one", still(1, NOON + timedelta(seconds=1)))
    assert found.shown()["one"].changed_at == NOW + timedelta(seconds=6)


@pytest.mark.parametrize("body", [b"", b"<html><script>alert(1)</script></html>", b"<svg onload=x>", b"GIF89a"])
def test_it_takes_nothing_but_pictures(body: bytes) -> None:
    found = album(FrozenClock(NOW))
    assert not found.take("one", body) and found.picture("one") is None


def test_states_follow_the_clock() -> None:
    seen = Still("x", NOW, NOW + timedelta(seconds=12))
    assert state_of(None, NOW, 10) == state_of(Still(), NOW, 10) == "never"
    assert [state_of(seen, NOW + timedelta(seconds=s), 10) for s in (9, 10, 41, 42)] == ["live", "frozen", "frozen", "lost"]
    assert [age(timedelta(seconds=s), "vi") for s in (-3, 61, 600, 9000)] == ["0 giây", "61 giây", "10 phút", "2 giờ"]


@pytest.fixture
def source() -> Iterator[str]:
    """A camera's web server: a picture, one that is too large, and one that leads elsewhere."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/away.png":
                self.send_response(302)
                self.send_header("Location", "http://169.254.169.254/latest/meta-data")
                self.end_headers()
                return
            body = still(1, NOON) + (b"x" * 200_000 if self.path == "/large.png" else b"")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_it_fetches_from_its_own_host_only_and_no_more_than_it_may(source: str) -> None:
    for path, taken in (("/1.png", True), ("/large.png", False), ("/away.png", False)):
        found = album(FrozenClock(NOW), source + path)
        trouble = found._fetch(Http(source + path, max_bytes=100_000), camera(source + path))
        assert (trouble == "") is taken and (found.picture("one") is not None) is taken, (path, trouble)


def test_a_screen_is_handed_the_picture_from_here_and_no_other_address() -> None:
    found = album(FrozenClock(NOW))
    api = FastAPI()
    serve_stills(api, found)
    client = TestClient(api)
    assert client.get("/stills/one").status_code == 404
    found.take("one", still(1, NOON))
    answer = client.get("/stills/one")
    assert answer.content == still(1, NOON) and answer.headers["content-type"] == "image/png" and answer.headers["cache-control"] == "no-store"
    assert client.get("/stills/http:%2F%2F169.254.169.254").status_code == 404


def test_the_simulated_camera_that_stands_still_does_and_the_others_do_not() -> None:
    later = NOON + timedelta(seconds=1)
    assert still(STANDS_STILL, NOON) == still(STANDS_STILL, later) != still(STANDS_STILL, NOON + timedelta(minutes=10))
    assert still(1, NOON) != still(1, later)
    assert media_of(still(1, NOON)) == "image/png" and len(still(1, NOON)) < 60_000
