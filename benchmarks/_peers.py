"""The servers that ours is compared with, each a program: `python -m benchmarks._peers KIND PORT [SIZE]`.

interval  the same scene's tiles, from the same evaluation, by a plain Dash page: dcc.Interval asks a callback once a second.
          Kinder than usual: the values are computed once a second for all, not once a request.
bare      a websocket that sends a message of SIZE bytes to everybody twice a second: nothing can be cheaper; its page writes forty numbers
interval-points  a plain Dash page that asks every two seconds for SIZE points, as rows, and draws them through pydeck's converter
bare-points      a websocket that sends SIZE points as bytes every two seconds; its page hands them to one layer and does nothing else
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import dash
import numpy as np
import pydeck
import uvicorn
from dash import Input, Output, dcc, html
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from dashboards import app as pages
from ioc import areas
from ioc.config import load
from ioc.kpi import catalogue
from ioc.kpi.desk import Desk
from ioc.kpi.engine import Engine
from ioc.live import Hub
from ioc.store.pool import open_pool

BUNDLE = Path(pydeck.__file__).parent / "nbextension" / "static"
VIEW = "wall/overview:vi"
EVERY_S = 0.5
POINTS_EVERY_S = 2.0


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


_NUMBERS = """<!doctype html><title>bare</title><body><script>
for (let i = 0; i < 40; i++) document.body.append(Object.assign(document.createElement("div"), {className: "bare"}));
new WebSocket(`ws://${location.host}/live`).onmessage = (event) => { const said = JSON.parse(event.data); for (const node of document.querySelectorAll(".bare")) node.textContent = said.now; };
</script>"""


def bare(size: int) -> FastAPI:
    """Return the broadcast of messages of `size` bytes."""
    padding = "x" * max(0, size - 40)
    return _broadcast(lambda: json.dumps({"now": time.time(), "p": padding}), EVERY_S, _NUMBERS)


def _broadcast(make: Callable[[], str | bytes], every_s: float, page: str) -> FastAPI:
    """Return a server that sends everybody on /live what `make` makes, and one page."""
    everybody: set[WebSocket] = set()

    async def broadcast() -> None:
        while True:
            message = make()
            for socket in list(everybody):
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))
            await asyncio.sleep(every_s)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(broadcast())
        yield
        task.cancel()

    api = FastAPI(lifespan=lifespan)
    api.mount("/pydeck-static", StaticFiles(directory=BUNDLE))

    @api.get("/")
    def shown() -> HTMLResponse:
        return HTMLResponse(page)

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


def wandering(n: int) -> Callable[[], np.ndarray[Any, Any]]:
    """Return a source of n places in a province, one of which has moved each time it is asked."""
    dice = np.random.default_rng(7)
    places = dice.uniform((105.4, 21.3), (106.3, 22.6), (n, 2)).astype(np.float32)

    def moved() -> np.ndarray[Any, Any]:
        places[dice.integers(n)] += 0.001
        return places

    return moved


_VIEW = {"longitude": 105.85, "latitude": 21.95, "zoom": 8, "pitch": 0, "bearing": 0}
_DECK = {"initialViewState": _VIEW, "views": [{"@@type": "MapView", "controller": False}], "mapProvider": None, "mapStyle": None}
_LAYER = {"@@type": "ScatterplotLayer", "id": "points", "getPosition": "@@=-", "getFillColor": [240, 244, 248, 210], "getRadius": 3, "radiusUnits": "pixels"}
_BARE_POINTS = """<!doctype html><title>bare</title><style>body{margin:0;background:#0a0e12}#map{position:absolute;inset:0}</style><div id="map"></div>
<script src="/pydeck-static/index.js"></script><script>
let shown = null; window.drawn = 0;
const link = new WebSocket(`ws://${location.host}/live`); link.binaryType = "arraybuffer";
link.onmessage = (event) => {
  shown = shown || createDeck({ container: document.getElementById("map"), jsonInput: { ...DECK, layers: [] }, tooltip: false });
  const value = new Float32Array(event.data);
  shown.setProps({ layers: [new deck.ScatterplotLayer({ id: "points", data: { length: value.length / 2, attributes: { getPosition: { value, size: 2 } } }, getFillColor: [240, 244, 248, 210], getRadius: 3, radiusUnits: "pixels" })] });
  window.drawn += 1;
};
</script>""".replace("DECK", json.dumps(_DECK))
_POLLED_POINTS = """(rows) => {
  if (!rows || !window.createDeck) return window.dash_clientside.no_update;
  const layers = [{ ...LAYER, data: rows }];
  if (!window.shown) window.shown = createDeck({ container: document.getElementById("map"), jsonInput: { ...DECK, layers }, tooltip: false });
  else updateDeck({ layers }, window.shown);
  window.drawn = (window.drawn || 0) + 1;
  return String(window.drawn);
}""".replace("LAYER", json.dumps(_LAYER)).replace("DECK", json.dumps(_DECK))


def bare_points(n: int) -> FastAPI:
    source = wandering(n)
    return _broadcast(lambda: source().tobytes(), POINTS_EVERY_S, _BARE_POINTS)


def interval_points(n: int) -> FastAPI:
    source = wandering(n)
    api = FastAPI()
    app = dash.Dash("benchmarks.points", server=api, backend="fastapi", external_scripts=["/pydeck-static/index.js"])
    app.backend.websocket_capability = False
    app.layout = html.Div([dcc.Interval(id="tick", interval=int(POINTS_EVERY_S * 1000)), dcc.Store(id="rows"), html.Div(id="map", style={"position": "absolute", "inset": 0})])

    @app.callback(Output("rows", "data"), Input("tick", "n_intervals"))  # type: ignore[untyped-decorator]
    def rows(_: int) -> list[list[float]]:
        return source().round(5).tolist()  # type: ignore[no-any-return]

    app.clientside_callback(_POLLED_POINTS, Output("map", "data-drawn"), Input("rows", "data"))
    api.mount("/pydeck-static", StaticFiles(directory=BUNDLE))
    app._setup_server()
    return api


def main() -> None:
    kind, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    app = {"interval": interval, "bare": lambda: bare(size), "interval-points": lambda: interval_points(size), "bare-points": lambda: bare_points(size)}[kind]()  # type: ignore[no-untyped-call]
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", ws_per_message_deflate=False, ws_ping_interval=None)


if __name__ == "__main__":
    main()
