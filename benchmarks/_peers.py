"""The servers that ours is compared with, each a program: `python -m benchmarks._peers interval|bare PORT [BYTES]`.

interval  the same scene's tiles, from the same evaluation, by a plain Dash page: dcc.Interval asks a callback once a second.
          Kinder than usual: the values are computed once a second for all, not once a request.
bare      a websocket that sends a message of so many bytes to everybody twice a second: nothing can be cheaper
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import dash
import uvicorn
from dash import Input, Output, dcc, html
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from dashboards import app as pages
from ioc import areas
from ioc.config import load
from ioc.kpi import catalogue
from ioc.kpi.desk import Desk
from ioc.kpi.engine import Engine
from ioc.live import Hub
from ioc.store.pool import open_pool

VIEW = "wall/overview:vi"
EVERY_S = 0.5


def interval() -> FastAPI:
    """Return the polled page: the tiles of the wall, as they stand in a hub's latest rendering."""
    config = load()
    units, kpis = areas.load(config.province.code), catalogue.load(config.kpis.catalogue)
    engine = Engine(kpis, config, units)
    pool = open_pool(config)
    hub = Hub(config, engine, [kpi.kpi for kpi in catalogue.in_use(kpis, config)], pool)
    pages.create(FastAPI(), config, hub, units, kpis, Desk(engine, pool))  # only to have the same rendering

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        hub.start(asyncio.get_running_loop())
        viewer = await hub.join(VIEW)  # keeps the rendering going; its messages pile up to four and are dropped
        yield
        hub.leave(viewer)
        hub.stop()

    api = FastAPI(lifespan=lifespan)
    app = dash.Dash("benchmarks.interval", server=api, backend="fastapi")
    app.backend.websocket_capability = False
    tiles = scene_tiles()
    app.layout = html.Div([dcc.Interval(id="tick", interval=1000), html.Div(id="now"), *(html.Div(id=name) for name in tiles)])

    @app.callback([Output(name, "children") for name in ("now", *tiles)], [Input("tick", "n_intervals")])  # type: ignore[untyped-decorator]
    def show(_: int) -> list[Any]:
        view = hub.views[VIEW]
        return [view.now, *(json.loads(view.parts[name])["children"] if name in view.parts else "" for name in tiles)]

    app._setup_server()
    return api


def scene_tiles() -> list[str]:
    """Return the ids of the scene's tiles."""
    from dashboards.figures.tile import tile_id
    from dashboards.wall.scene import load as load_scenes

    config = load()
    scenes = load_scenes(config.scenes.folder, config.scenes.use, {k.kpi: k for k in catalogue.in_use(catalogue.load(config.kpis.catalogue), config)})
    return [tile_id(kpi) for kpi in next(iter(scenes.values())).tiles]


def bare(size: int) -> FastAPI:
    """Return the broadcast of messages of `size` bytes."""
    everybody: set[WebSocket] = set()
    padding = "x" * max(0, size - 40)

    async def broadcast() -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            message = json.dumps({"now": time.time(), "p": padding})
            for socket in list(everybody):
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await socket.send_text(message)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(broadcast())
        yield
        task.cancel()

    api = FastAPI(lifespan=lifespan)

    @api.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        everybody.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            everybody.discard(socket)

    return api


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    app = interval() if kind == "interval" else bare(int(sys.argv[3]))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", ws_per_message_deflate=False, ws_ping_interval=None)


if __name__ == "__main__":
    main()
