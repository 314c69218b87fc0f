"""The database goes away, refusing or without a word: screens let what they show grow old, and are live again at once when it is back."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import psycopg_pool
import pytest
from fastapi.testclient import TestClient
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from starlette.testclient import WebSocketTestSession

from ioc import live, web
from ioc.clock import ICT, FrozenClock
from ioc.config import Database
from ioc.config import load as load_config
from ioc.events import Case, make
from ioc.store import pool as pools
from ioc.store.writer import Record, Writer

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 20, 12, tzinfo=ICT)
FEED = "incident-reports"


class Wire:
    """A line to the database: it passes everything on, holds everything back, or is cut and refuses."""

    def __init__(self, dsn: str) -> None:
        self._to = conninfo_to_dict(dsn)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._open = threading.Event()
        self._open.set()
        self.cut = False
        self.dsn = make_conninfo(dsn, host="127.0.0.1", port=self._door.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # the door was closed
            while True:
                near, _ = self._door.accept()
                if self.cut:
                    near.close()
                else:
                    threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, socket.create_connection((str(self._to["host"]), int(str(self._to["port"])))) as far:
            self._ends += [near, far]
            back = threading.Thread(target=self._pass_on, args=(far, near))
            back.start()
            self._pass_on(near, far)
            back.join()

    def _pass_on(self, a: socket.socket, b: socket.socket) -> None:
        with suppress(OSError):
            while data := a.recv(65_536):
                self._open.wait()
                b.sendall(data)
        for end in (a, b):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def hurt(self, how: str) -> None:
        if how == "hangs":
            self._open.clear()
            return
        self.cut = True
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        self.cut = False
        self._open.set()

    def close(self) -> None:
        self.hurt("is gone")
        self._open.set()
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


@pytest.fixture
def wire(database: str) -> Iterator[Wire]:
    found = Wire(database)
    yield found
    found.close()


def tell(dsn: str, n: int, at: datetime) -> None:
    """Store a report as ingest does."""
    with psycopg.connect(dsn) as conn:
        writer = Writer(conn)
        offset = writer.assign("t", 0, "1", FEED)
        case = Case(status="open", opened_at=at, area="05443", title="Cây đổ")
        writer.write([Record("t", 0, offset, FEED, at, event=make("/t", f"r{n}", at, case))], {"t": "1"})


def states(link: WebSocketTestSession, wanted: str) -> None:
    """Read what a screen is sent until the tile of open reports is in this state."""
    seen: list[Any] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        tile = json.loads(link.receive_text()).get("props", {}).get("tile-incidents_open")
        if tile:
            seen.append(tile["data-state"])
            if seen[-1] == wanted:
                return
    raise AssertionError(f"not {wanted} in a minute, but {seen}")


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_what_a_screen_shows_grows_old_while_the_database_refuses_or_says_nothing(wire: Wire, database: str, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(live, "AWAY_S", 1.0)
    clock = FrozenClock(NOON)
    tell(database, 1, NOON)
    config = load_config(ROOT / "config.yaml").model_copy(update={"database": Database(dsn=wire.dsn)})
    with TestClient(web.build(config, clock)) as client, client.websocket_connect("/live?view=wall/overview:vi") as link:
        states(link, "live")
        wire.hurt(how)
        clock.tick(hours=2)
        states(link, "lost")
        wire.heal()
        tell(database, 2, NOON + timedelta(hours=2))
        states(link, "live")


def test_a_mistake_in_a_formula_does_not_silence_the_screens_for_good(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "AWAY_S", 1.0)
    clock = FrozenClock(NOON)
    tell(database, 1, NOON)
    config = load_config(ROOT / "config.yaml").model_copy(update={"database": Database(dsn=database)})
    whole = live.status.feed_facts
    with TestClient(web.build(config, clock)) as client, client.websocket_connect("/live?view=wall/overview:vi") as link:
        states(link, "live")
        monkeypatch.setattr(live.status, "feed_facts", lambda conn: {}["a mistake"])
        clock.tick(hours=2)
        states(link, "lost")
        monkeypatch.setattr(live.status, "feed_facts", whole)
        tell(database, 2, NOON + timedelta(hours=2))
        states(link, "live")


def test_however_long_the_database_was_away_the_next_to_ask_gets_it(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "WAIT_S", 1.0)
    monkeypatch.setattr(psycopg_pool.base.AttemptWithBackoff, "DELAY_BACKOFF", 1e6)  # as after hours of attempts
    config = load_config(ROOT / "config.yaml").model_copy(update={"database": Database(dsn=wire.dsn)})
    with pools.open_pool(config) as pool:
        with pool.connection() as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
        wire.hurt("refuses")
        for _ in range(4):
            with pytest.raises(psycopg.OperationalError), pool.connection() as conn:
                conn.execute("SELECT 1")
        wire.heal()
        deadline = time.monotonic() + 60
        while True:
            try:
                with pool.connection() as conn:
                    assert conn.execute("SELECT 2").fetchone() == (2,)
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "no connection a minute after the database came back"
