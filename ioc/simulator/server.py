"""`ioc simulate`: one server for all simulated sources, with an index, faults on demand and the truth for oracles.

    GET  /                        the feeds and the faults in force
    GET  /control, POST, DELETE   faults: {"feed": "...", "fault": "...", ...}; see `faults.KINDS`
    GET  /truth/{feed}?from=&to=  what the source really told in that time, each case as it stood at `to`
    GET  /{feed}/...              the source itself

It listens on the loopback address unless `simulator.host` names another (a network of containers); then the levers that
break it are not there.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from ioc.clock import Clock, system_clock
from ioc.config import Config, secret
from ioc.errors import UserError
from ioc.simulator.faults import KINDS, Fault, Faults, parse
from ioc.simulator.province import Province
from ioc.simulator.push import TOKEN, Poster
from ioc.simulator.source import BadRequest, Endpoint, Mounted, Source, instant, json_response

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_HTML = b"<!doctype html><title>B\xe1\xba\xa3o tr\xc3\xac</title><h1>H\xe1\xbb\x87 th\xe1\xbb\x91ng \xc4\x91ang b\xe1\xba\xa3o tr\xc3\xac</h1>"


def discover() -> list[Source]:
    """Return the sources of all `connectors/*/simulated.py`, by prefix."""
    package = importlib.import_module("connectors")
    folders = [file.parent.name for path in package.__path__ for file in sorted(Path(path).glob("*/simulated.py"))]
    found = [importlib.import_module(f"connectors.{folder}.simulated").SOURCE for folder in folders]
    return sorted(found, key=lambda source: str(source.prefix))


def mount(province: Province, sources: Sequence[Source] | None = None) -> dict[str, Mounted]:
    """Return `sources` (default: all there are) set up in the province, by prefix."""
    return {source.prefix: source.mount(province) for source in (discover() if sources is None else sources)}


def build(province: Province, sources: Sequence[Source] | None = None) -> Starlette:
    """Return the application that serves `sources` (default: all there are)."""
    return application(province, mount(province, sources))


def application(province: Province, mounted: dict[str, Mounted], poster: Poster | None = None, *, levers: bool = True) -> Starlette:
    """Return the application that serves what is mounted; `poster` works for as long as it does. `levers`: may faults be set?"""
    routes: list[Route | Mount] = [
        Route("/", _index(province, mounted)),
        Route("/control", _control(province, list(mounted)), methods=["GET", "POST", "DELETE"] if levers else ["GET"]),
        Route("/truth/{feed}", _truth(province, mounted)),
    ]
    for prefix, source in mounted.items():
        routes.append(Mount(f"/{prefix}", routes=[Route(path, _faulty(prefix, end, province.faults)) for path, end in source.routes.items()]))
    return Starlette(routes=routes, lifespan=poster.beside if poster else None)


def _faulty(feed: str, endpoint: Endpoint, faults: Faults) -> Endpoint:
    """Return the endpoint with the faults of its feed around it."""

    async def answer(request: Request) -> Response:
        if fault := faults.hit(feed, "slow"):
            await asyncio.sleep(5.0 if fault.delay_s is None else fault.delay_s)
        if refused := _refusal(feed, faults):
            return refused
        try:
            response = await endpoint(request)
        except BadRequest as exc:
            return json_response({"error": str(exc)}, status=exc.status)
        if response.status_code == 200 and faults.active:
            response.body = _spoiled(feed, bytes(response.body), faults)
            response.headers["content-length"] = str(len(response.body))
        return response

    return answer


def _refusal(feed: str, faults: Faults) -> Response | None:
    if fault := faults.hit(feed, "error"):
        return Response("simulated failure", fault.status, media_type="text/plain")
    if fault := faults.hit(feed, "rate_limit"):
        wait = 2.0 if fault.delay_s is None else fault.delay_s
        return Response("too many requests", 429, {"Retry-After": f"{wait:.0f}"}, "text/plain")
    if fault := faults.hit(feed, "redirect"):
        return RedirectResponse(fault.to, 302)
    if faults.hit(feed, "html"):
        return Response(_HTML, media_type="text/html; charset=utf-8")
    return None


def _spoiled(feed: str, body: bytes, faults: Faults) -> bytes:
    if faults.hit(feed, "bad_json"):
        body = body[: max(1, len(body) // 2)]
    if fault := faults.hit(feed, "encoding"):
        body = body.decode("utf-8", "replace").encode(fault.encoding, "replace")
    return body


def _index(province: Province, mounted: dict[str, Mounted]) -> Endpoint:
    async def index(_: Request) -> Response:
        feeds = {prefix: {"paths": [f"/{prefix}{path}" for path in source.routes], "truth": f"/truth/{prefix}"} for prefix, source in mounted.items()}
        about = {"province": province.code, "seed": province.seed, "rate": province.rate, "speed": province.speed, "rhythm": "steady" if province.steady else "province", "now": province.iso(province.now())}
        return json_response(about | {"feeds": feeds, "faults": province.faults.active, "known_faults": KINDS, "note": "Dữ liệu mô phỏng: không có người thật."})

    return index


def _control(province: Province, feeds: list[str]) -> Endpoint:
    async def control(request: Request) -> Response:
        try:
            if request.method == "POST":
                return json_response(start(province, await request.json(), feeds))
            if request.method == "DELETE":
                province.faults.clear(request.query_params.get("feed", "*"))
        except (UserError, ValueError) as exc:
            return json_response({"error": str(exc)}, status=400)
        return json_response(province.faults.active)

    return control


def start(province: Province, wish: object, feeds: Sequence[str]) -> Fault:
    """Start a fault; those that happen once happen in the next second (this one may have been read already)."""
    if not isinstance(wish, dict):
        raise UserError('send an object such as {"feed": "*", "fault": "slow", "delay_s": 2}')
    fault = province.faults.add(wish, feeds)
    for flow in [flow for feed, flows in province.flows.items() if fault.feed in ("*", feed) for flow in flows]:
        if fault.fault == "late":
            flow.inject_late(province.now() + 1, fault.count)
        elif fault.fault == "corrected":
            fault.hits += flow.inject_corrections(province.now() + 1, fault.count)
    return fault


def _truth(province: Province, mounted: dict[str, Mounted]) -> Endpoint:
    async def truth(request: Request) -> Response:
        feed, query = request.path_params["feed"], request.query_params
        if feed not in mounted:
            return json_response({"error": f"no feed is called {feed!r}; known are {', '.join(mounted)}"}, status=404)
        try:
            until = province.story(instant(query["to"])) if "to" in query else province.now()
            since = province.story(instant(query["from"])) if "from" in query else 0.0
        except BadRequest as exc:
            return json_response({"error": str(exc)}, status=400)
        until = min(until, province.now())
        records = await asyncio.to_thread(lambda: list(mounted[feed].truth(since, until)))
        return json_response({"feed": feed, "from": province.iso(max(since, 0.0)), "to": province.iso(until), "records": records})

    return truth


def serve(
    config: Config,
    *,
    rate: float | None = None,
    speed: float | None = None,
    seed: int | None = None,
    port: int | None = None,
    faults: str | Sequence[str] = (),
    clock: Clock = system_clock,
) -> None:
    """Serve the province of `config` until a signal ends it; None takes the option from `config.simulator`. `faults`:
    what to begin with, `FEED:FAULT[:NAME=VALUE...]`, a list or one text with commas between."""
    options = config.simulator
    province = Province(
        config.province.code,
        seed=options.seed if seed is None else seed,
        rate=options.rate if rate is None else rate,
        speed=options.speed if speed is None else speed,
        steady=options.rhythm == "steady",
        clock=clock,
    )
    mounted = mount(province)
    poster = Poster(province, mounted, options.push_url, lambda: secret(config, TOKEN)) if options.push_url else None
    app = application(province, mounted, poster, levers=options.host in LOOPBACK)
    for text in filter(None, faults.split(",") if isinstance(faults, str) else faults):
        start(province, parse(text), list(province.flows))
    uvicorn.run(app, host=options.host, port=port or options.port, log_level="warning", access_log=False)
