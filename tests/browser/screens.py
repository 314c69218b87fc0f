"""The screens on a real server, fed with snapshots by the test: the way of the hub, without database and broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI, Response, WebSocket, WebSocketDisconnect

from dashboards.app import create
from ioc import __version__
from ioc.config import Config
from ioc.errors import Problem
from ioc.kpi.asked import Asked
from ioc.kpi.changes import Changes
from ioc.kpi.notes import Note
from ioc.kpi.tile import Tile
from ioc.live import Maker, Render, Snapshot, View, Viewer, iso, pump
from ioc.playback import Job, Known, Playback
from ioc.stills import Album
from tests.browser import province


class Screens:
    """`show` brings every open page to a snapshot; `cut` and `heal` break the link; `revoke` refuses the screen."""

    def __init__(self, config: Config | None = None, port: int | None = None) -> None:
        self.config = config or province.config()
        self.port = port or _free_port()
        self.views: dict[str, View] = {}
        self.viewers: set[Viewer] = set()
        self._sockets: set[WebSocket] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.reset()

    def reset(self) -> Screens:
        """Forget what a test said; return self."""
        self.snapshot: Snapshot = province.snapshot()
        self.version = __version__
        self.link = "up"  # up, cut (closes at once), silent (open, says nothing), revoked
        self.past = Playback(self.look, lambda now: now - timedelta(days=365), 4, self.clock)  # what a screen that looks back is shown
        self.explanation: Any = province.EXPLANATION
        self.dead_letters: list[dict[str, Any]] = []
        self.doubts: list[dict[str, Any]] = []
        self.noted: list[Note] = []
        self.album = Album(self.config.stills, lambda _: None, self.clock)
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add_view(
        self, name: str, render: Render, by_area: Iterable[str] = (), of_parts: Mapping[str, Iterable[str]] | None = None,
        of_courses: Mapping[str, Iterable[str]] | None = None,
    ) -> None:  # fmt: skip
        self.views[name] = View(name, render, by_area, of_parts)

    def add_maker(self, make: Maker) -> None:
        self.make = make

    def find(self, name: str) -> View | None:
        """As ioc.live.Hub.find."""
        if name not in self.views and (made := self.make(name)):
            self.add_view(name, *made)
        return self.views.get(name)

    def tiles(self, asked: Asked, kpis: Iterable[str] | None = None) -> dict[str, Tile]:
        """As ioc.kpi.desk.Desk.tiles: what the test put into the snapshot."""
        found = self.snapshot.parts.get(str(asked), {}) if any(asked) else self.snapshot.tiles
        wanted = found.keys() if kpis is None else set(kpis)
        return {kpi: tile for kpi, tile in found.items() if kpi in wanted}

    def by_area(self, kpi: str, period: str = "", geography: str = "") -> dict[str, float | None]:
        return self.snapshot.by_area.get(str(Asked(kpi, period, geography)), {})

    def notes(self, kpi: str, area: str = "") -> list[Note]:
        return [note for note in self.noted if note.kpi == kpi and (not area or note.area in ("", area))]

    def note_added(self, kpi: str, area: str, day: date | None, body: str) -> Note:
        self.noted.insert(0, Note(len(self.noted) + 1, kpi, area, day, body, "an", self.clock(), 1))
        return self.noted[0]

    def note_changed(self, kpi: str, number: int, version: int, day: date | None, body: str) -> Note:
        raise Problem("note_changed", "changed", name="binh")

    def note_removed(self, kpi: str, number: int, version: int) -> None:
        self.noted = [note for note in self.noted if note.id != number]

    def doubted(self) -> list[dict[str, Any]]:
        return self.doubts

    def letters(self) -> list[dict[str, Any]]:
        return self.dead_letters

    def changes(self) -> Changes:
        return province.changes(self.snapshot)

    def clock(self) -> datetime:
        return self.snapshot.now

    def look(self, view: View, at: datetime, known: Known, job: Job) -> Snapshot:
        """The made-up past: as many dossiers as minutes of the day are over; one more is known by now."""
        minutes = float((at.hour + 7) % 24 * 60 + at.minute + (known == "now"))
        return province.snapshot(0, now=at, values={"dossiers_received_today": minutes})

    def start(self) -> Screens:
        api = FastAPI(docs_url=None, redoc_url=None)
        self._routes(api)
        create(api, self.config, self, province.AREAS, province.catalogue(), self, clock=self.clock)
        self._server = uvicorn.Server(uvicorn.Config(api, host="127.0.0.1", port=self.port, log_level="warning", ws="websockets-sansio"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        assert self._server and self._thread
        self.cut()
        self._server.should_exit = True
        self._thread.join(15)

    def _routes(self, api: FastAPI) -> None:
        @api.get("/stills/{camera}")
        def still(camera: str) -> Response:
            media, body = self.album.picture(camera) or ("text/plain", b"")
            return Response(body, media_type=media)

        @api.get("/api/kpis/{kpi}/explain")
        def explain(kpi: str) -> Any:
            return {"kpi": kpi, **self.explanation}

        @api.get("/api/doubts")
        def doubts() -> Any:
            return self.doubts

        @api.get("/api/dead-letters")
        def dead_letters() -> Any:
            return self.dead_letters

        @api.websocket("/live")
        async def live(ws: WebSocket, view: str = "", at: str | None = None) -> None:
            self._loop = asyncio.get_running_loop()
            await ws.accept()
            if at is not None and self.link == "up":
                await self._look_back(ws, self.views[view])
                return
            if self.link in ("cut", "revoked") or self.find(view) is None:
                await ws.close(4403 if self.link == "revoked" else 1001 if self.link == "cut" else 4404)
                return
            self._sockets.add(ws)
            found = self.views[view]
            self._draw(found)
            viewer = Viewer(found)
            found.viewers.add(viewer)
            viewer.put(found.whole().replace(f'"v":"{__version__}"', f'"v":"{self.version}"'))

            async def send(text: str) -> None:
                while self.link == "silent":  # noqa: ASYNC110 - a few tenths of a second, in a test
                    await asyncio.sleep(0.05)
                await ws.send_text(text)

            pumping = asyncio.create_task(pump(viewer, send, self.clock))
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                while True:
                    await ws.receive_text()
            found.viewers.discard(viewer)
            self._sockets.discard(ws)
            pumping.cancel()

    async def _look_back(self, ws: WebSocket, view: View) -> None:
        self._sockets.add(ws)
        player = self.past.join(view)
        pumping = asyncio.create_task(pump(player.viewer, ws.send_text, self.clock))
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                player.ask(await ws.receive_text())
        self.past.leave(player)
        self._sockets.discard(ws)
        pumping.cancel()

    def _draw(self, view: View) -> None:
        props = view.render(self.snapshot)
        parts = {name: json.dumps(value, ensure_ascii=False) for name, value in props.items()}
        view.update(self.snapshot.seq, iso(self.snapshot.now), parts)

    def show(self, snapshot: Snapshot) -> None:
        """Send a snapshot to every open page."""
        self.snapshot = snapshot
        if self._loop is None:
            return

        def draw() -> None:
            for view in self.views.values():
                if view.viewers:
                    self._draw(view)

        self._loop.call_soon_threadsafe(draw)

    def cut(self, how: str = "cut") -> None:
        """Break the link: `cut` closes every socket, `silent` leaves them open and says nothing, `revoked` refuses."""
        self.link = how
        if how == "silent" or self._loop is None:
            return
        code = 4403 if how == "revoked" else 1001

        async def close() -> None:
            for ws in list(self._sockets):
                with contextlib.suppress(RuntimeError):
                    await ws.close(code)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)

    def heal(self) -> None:
        self.link = "up"


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


if __name__ == "__main__":  # python -m tests.browser.screens PORT: a server that a test may stop and kill
    Screens(port=int(sys.argv[1])).start()
    signal.pause()
