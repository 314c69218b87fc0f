"""The HTTP application: /healthz, /api, /metrics, the /live websocket; the Dash pages are put on the same application.

Who may ask for what is not decided here: `ioc/rights.py` says it, `ioc/gate.py` keeps it before any of this runs.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import psycopg
import structlog
from fastapi import FastAPI, HTTPException, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from psycopg_pool import ConnectionPool, PoolTimeout
from swagger_ui_bundle import swagger_ui_path

from ioc import __version__, metrics, rights
from ioc.areas import Areas
from ioc.auth import Guard
from ioc.bus import Publisher
from ioc.clock import Clock, read_time, system_clock
from ioc.config import Config
from ioc.connect.convert import cleaned
from ioc.connect.errors import Skip
from ioc.entry import routes
from ioc.errors import Unavailable, UserError
from ioc.events import BadEvent, Event
from ioc.health import Health
from ioc.ingest import accept
from ioc.kpi import explain, export, notes, records
from ioc.kpi.asked import period_of
from ioc.kpi.catalogue import Catalogue, in_use
from ioc.kpi.engine import Engine
from ioc.kpi.geography import Geography
from ioc.kpi.tile import Versus
from ioc.live import Hub, Viewer, pump
from ioc.playback import Past, Playback, Player
from ioc.privacy import is_citizen_number
from ioc.stills import Album
from ioc.store import ledger, status
from ioc.store.reader import snapshot

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 8_000_000
MAX_BATCH = 2_000  # events in one POST
EXPORTS_AT_ONCE = 2  # of records, on one web process
REVOKED, UNKNOWN_VIEW, FOREIGN_ORIGIN = 4403, 4404, 4401  # websocket close codes


class Parts:
    """What the application is made of; made once a process."""

    def __init__(
        self, config: Config, catalogue: Catalogue, engine: Engine, areas: Areas, pool: ConnectionPool[psycopg.Connection[Any]],
        publisher: Publisher, hub: Hub, clock: Clock = system_clock, album: Album | None = None,
    ) -> None:  # fmt: skip
        self.album = album
        self.config, self.catalogue, self.engine, self.areas = config, catalogue, engine, areas
        self.pool, self.publisher, self.hub, self.clock = pool, publisher, hub, clock
        self.guard = Guard(pool, config.web, clock)
        self.health = Health(config, pool, publisher, clock)
        self.playback = Playback(Past(config, engine, pool), engine.kept_since, config.web.playbacks, clock)


def create(parts: Parts) -> FastAPI:
    """Return the application without pages; `dashboards.app.create` adds them."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts.hub.start(asyncio.get_running_loop())
        if parts.album is not None:
            parts.album.start()
        gc.collect()
        gc.freeze()  # what lives for ever need not be looked at again and again
        yield
        if parts.album is not None:
            await asyncio.to_thread(parts.album.stop)
        parts.playback.stop()
        await asyncio.to_thread(parts.hub.stop)
        await asyncio.to_thread(parts.publisher.close)
        await asyncio.to_thread(parts.pool.close)

    app = FastAPI(title="IOC", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json", lifespan=lifespan)
    app.openapi_version = "3.0.3"  # Swagger's page, as its wheel has it, draws nothing newer
    app.state.parts = parts
    app.exception_handler(Unavailable)(_unavailable)
    app.exception_handler(PoolTimeout)(_unavailable)
    app.exception_handler(psycopg.OperationalError)(_unavailable)
    app.exception_handler(UserError)(_user_error)
    _docs(app)
    _health(app, parts)
    _kpis(app, parts)
    _events(app, parts)
    routes.add(app, parts.config, parts.areas, parts.pool, parts.publisher, parts.clock)
    if parts.album is not None:
        serve_stills(app, parts.album)
    _live(app, parts)
    return app


def serve_stills(app: FastAPI, album: Album) -> None:
    """Hand on the newest still of a camera: from here, so that a screen asks nobody else; never from a cache."""

    @app.get("/stills/{camera}", include_in_schema=False)
    def still(camera: str) -> Response:
        found = album.picture(camera)
        if found is None:
            raise HTTPException(404, "there is no picture of this camera")
        return Response(found[1], media_type=found[0], headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def content_policy(script_hashes: list[str]) -> str:
    """Return the Content-Security-Policy of the pages: everything from here, no inline script but those hashed.

    Inline styles stay allowed: figures place bars and dots by them. `data:` are sparklines, `blob:` the map's worker.
    """
    scripts = " ".join(["'self'", *script_hashes])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; worker-src 'self' blob:;"
        " object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    )


def _unavailable(_: Request, exc: Exception) -> Response:
    return _json({"error": str(exc) or "a service is away"}, 503, {"Retry-After": "5"})


def _user_error(_: Request, exc: Exception) -> Response:
    return _json({"error": str(exc)}, 400)


def _json(body: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> Response:
    content = msgspec.json.Encoder(decimal_format="number").encode(body)
    return Response(content, status_code, headers, media_type="application/json")


_DOCS_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>IOC API</title>
<link rel="stylesheet" href="/api/docs-static/swagger-ui.css"><link rel="icon" href="/api/docs-static/favicon-32x32.png"></head>
<body><div id="swagger-ui"></div><script src="/api/docs-static/swagger-ui-bundle.js"></script><script src="/api/docs/start.js"></script></body></html>
"""
_DOCS_START = 'SwaggerUIBundle({url: "/api/openapi.json", dom_id: "#swagger-ui", deepLinking: true});'


def _docs(app: FastAPI) -> None:
    """OpenAPI pages from the package's own files: nothing is fetched from outside, no script stands in the page."""
    app.mount("/api/docs-static", StaticFiles(directory=Path(swagger_ui_path)))

    @app.get("/api/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(_DOCS_PAGE)

    @app.get("/api/docs/start.js", include_in_schema=False)
    def start() -> Response:
        return Response(_DOCS_START, media_type="text/javascript")


def _health(app: FastAPI, parts: Parts) -> None:
    @app.get("/healthz", summary="State of the system and of every feed; 503 only when down")
    def healthz() -> Response:
        body = parts.health.report()
        return _json(body, 503 if body["status"] == "down" else 200, {"Cache-Control": "no-store"})

    @app.get("/metrics", include_in_schema=False)
    def prometheus() -> Response:
        return Response(metrics.render(parts.health.report(), parts.hub), media_type=metrics.CONTENT_TYPE)

    @app.get("/api/doubts", summary="Facts of the last week that are marked as doubtful, newest first")
    def doubts(limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Response:
        with parts.pool.connection() as conn:
            return _json(status.doubts(conn, [feed.feed for feed in parts.config.feeds], parts.clock(), limit))

    @app.get("/api/dead-letters", summary="Dead letters by cause, newest first")
    def dead_letters(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        with parts.pool.connection() as conn:
            return _json(status.dead_letter_causes(conn, limit))


def _moment(text: str | None, name: str) -> datetime | None:
    # an unquoted + of a query arrives as a blank
    return None if text is None else read_time(text.replace(" ", "+"), f"{name}={text!r}")


def _kpis(app: FastAPI, parts: Parts) -> None:
    names = [kpi.kpi for kpi in in_use(parts.catalogue, parts.config)]

    def tiles(kpis: list[str], area: str | None, at: str | None, known_at: str | None, period: str | None = None, versus: Versus | None = None) -> Any:
        now = parts.clock()
        named, days = period_of(period)
        with snapshot(parts.pool) as reader:
            return parts.engine.evaluate(
                reader, kpis, area=area, at=_moment(at, "at") or now, known_at=_moment(known_at, "known_at"), period=named, days=days, versus=versus
            )

    def known(kpi: str) -> str:
        if kpi not in names:
            raise HTTPException(404, f"no KPI is called {kpi!r}; see /api/kpis")
        return kpi

    @app.get("/api/kpis", summary="All KPIs by the tile contract")
    def all_kpis(
        area: str | None = None, period: str | None = None, at: str | None = None, known_at: str | None = None, versus: Versus | None = None
    ) -> Response:
        return _json(list(tiles(names, area, at, known_at, period, versus).values()))

    def exported_as(form: str) -> Callable[..., Response]:
        def exported(
            lang: Literal["vi", "en"] = "vi", area: str | None = None, period: str | None = None, at: str | None = None, known_at: str | None = None,
            versus: Versus | None = None,
        ) -> Response:  # fmt: skip
            found = list(tiles(names, area or None, at, known_at, period, versus).values())
            rows = export.table(found, parts.engine.zone, lang)
            body = export.as_csv(rows, lang) if form == "csv" else export.as_xlsx(rows, "KPI")
            name = f"ioc-{(_moment(at, 'at') or parts.clock()).astimezone(parts.engine.zone):%Y%m%d-%H%M}.{form}"
            return Response(body, media_type=_EXPORTED[form], headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"})

        return exported

    exporting = threading.BoundedSemaphore(EXPORTS_AT_ONCE)

    def recorded_as(form: str) -> Callable[..., Response]:
        def recorded(kpi: str, lang: Literal["vi", "en"] = "vi", area: str | None = None, period: str | None = None) -> Response:
            known(kpi)
            now = parts.clock()
            named, days = period_of(period)
            asked: dict[str, Any] = {"area": area or None, "at": now, "days": days, "period": named}
            headers = {"Content-Disposition": f'attachment; filename="{kpi}-{now.astimezone(parts.engine.zone):%Y%m%d-%H%M}.{form}"', "Cache-Control": "no-store"}
            if form == "xlsx":
                with one_of(exporting), snapshot(parts.pool) as reader:
                    records.check_fits(parts.engine, reader, kpi, **asked)
                    return Response(export.workbook(records.rows(parts.engine, reader, kpi, lang, **asked), kpi), media_type=_EXPORTED[form], headers=headers)

            def pieces() -> Iterator[bytes]:
                with one_of(exporting), snapshot(parts.pool) as reader:
                    yield from export.csv_pieces(records.rows(parts.engine, reader, kpi, lang, **asked), lang)

            made = pieces()
            first = [next(made), next(made)]  # what is wrong is said before the file begins
            return StreamingResponse(chain(first, made), media_type=_EXPORTED[form], headers=headers)

        return recorded

    for form in _EXPORTED:  # each its own path: the pages add another form
        summary = f"The records behind one KPI, however many: {form}" if form == "csv" else f"The records behind one KPI: {form}, up to {export.SHEET_ROWS} rows"
        app.add_api_route(f"/api/kpis/{{kpi}}/records.{form}", recorded_as(form), methods=["GET"], summary=summary, name=f"records_{form}")
        app.add_api_route(f"/api/kpis.{form}", exported_as(form), methods=["GET"], summary=f"All KPIs as a table: {form}", name=f"kpis_{form}")

    @app.get("/api/kpis/{kpi}", summary="One KPI by the tile contract")
    def one_kpi(
        kpi: str, area: str | None = None, period: str | None = None, at: str | None = None, known_at: str | None = None, versus: Versus | None = None
    ) -> Response:
        return _json(tiles([known(kpi)], area, at, known_at, period, versus)[kpi])

    @app.get("/api/kpis/{kpi}/explain", summary="Where a number comes from: words, SQL, parts, feeds, last events")
    def explained(kpi: str, area: str | None = None, period: str | None = None, at: str | None = None) -> Response:
        known(kpi)
        moment = _moment(at, "at") or parts.clock()
        named, days = period_of(period)
        with snapshot(parts.pool) as reader:
            return _json(explain.explain(parts.engine, reader, kpi, area=area or None, at=moment, period=named, days=days))

    @app.get("/api/kpis/{kpi}/agencies", summary="One KPI over cases for every agency")
    def by_agency(kpi: str, at: str | None = None, period: str | None = None) -> Response:
        named, days = period_of(period)
        with snapshot(parts.pool) as reader:
            return _json(parts.engine.by_agency(reader, known(kpi), _moment(at, "at") or parts.clock(), days=days, period=named))

    @app.get("/api/kpis/{kpi}/restatements", summary="How its published values changed: was, became, why; newest first")
    def restated(kpi: str) -> Response:
        with parts.pool.connection() as conn:
            return _json(ledger.restatements(conn, known(kpi), parts.clock()))

    @app.get("/api/kpis/{kpi}/notes", summary="What editors noted on it, the latest day first; names only for whoever is signed in")
    def noted(kpi: str, area: str = "") -> Response:
        parts.engine.codes(area or None)
        with parts.pool.connection() as conn:
            found = notes.notes(conn, known(kpi), area)
        named = rights.current().kind == "person"
        return _json([note if named else msgspec.structs.replace(note, author="", changed_by="") for note in found])

    @app.get("/api/kpis/{kpi}/areas", summary="One KPI for every commune; ?geography=districts or former: as it was until 30 June 2025")
    def by_area(kpi: str, at: str | None = None, period: str | None = None, geography: Geography | None = None) -> Response:
        named, days = period_of(period)
        moment = _moment(at, "at") or parts.clock()
        with snapshot(parts.pool) as reader:
            if geography is None:
                return _json(parts.engine.by_area(reader, known(kpi), moment, days=days, period=named))
            return _json(parts.engine.in_geography(reader, known(kpi), geography, moment, days=days, period=named))


@contextmanager
def one_of(places: threading.BoundedSemaphore) -> Iterator[None]:
    """Hold one of a few places; raise `Unavailable` when all are taken: a long export keeps a connection to the database."""
    if not places.acquire(blocking=False):
        raise Unavailable(f"{EXPORTS_AT_ONCE} exports of records are running; try again when one is done")
    try:
        yield
    finally:
        places.release()


_EXPORTED = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


def _events(app: FastAPI, parts: Parts) -> None:
    single, batch = "application/cloudevents+json", "application/cloudevents-batch+json"

    @app.post("/api/events/{feed}", status_code=202, summary="One CloudEvent, or a batch; all are taken or none. An empty batch is a sign of life")
    async def post(feed: str, request: Request) -> Response:
        try:
            parts.config.feed(feed)
        except UserError as exc:
            raise HTTPException(404, str(exc)) from exc
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (single, batch, "application/json"):
            raise HTTPException(415, f"content type {kind!r} is not taken; send {single} or {batch}")
        body = await _body(request)
        return await asyncio.to_thread(take, feed, body, kind == batch)

    def take(feed: str, body: bytes, is_batch: bool) -> Response:
        try:
            items = msgspec.json.decode(body, type=list[msgspec.Raw]) if is_batch or body.lstrip()[:1] == b"[" else [msgspec.Raw(body)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            return _json({"accepted": 0, "refused": [{"index": None, "cause": "bad_json", "message": str(exc)}]}, 400)
        if len(items) > MAX_BATCH:
            raise HTTPException(413, f"{len(items)} events; at most {MAX_BATCH} in one batch")
        events, refused = _check(items, parts)
        if refused:
            metrics.REFUSED.labels(feed).inc(len(refused))
            return _json({"accepted": 0, "refused": refused}, 400)
        for event in events:
            parts.publisher.send(feed, event)
        parts.publisher.heartbeat(feed, parts.clock())  # a source that has nothing to say says so with an empty batch
        parts.publisher.flush()
        metrics.POSTED.labels(feed).inc(len(events))
        log.log(logging.INFO if events else logging.DEBUG, "events taken", feed=feed, source=rights.current().name, events=len(events))
        return _json({"accepted": len(events)}, 202)


async def _body(request: Request) -> bytes:
    """Read the body, refusing what is too large before it is in memory."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _check(items: list[msgspec.Raw], parts: Parts) -> tuple[list[Event], list[dict[str, Any]]]:
    events: list[Event] = []
    refused: list[dict[str, Any]] = []
    contents: dict[tuple[str, str], str] = {}
    for index, raw in enumerate(items):
        body = bytes(raw)
        try:
            event = accept(body, parts.clock(), parts.areas)
            digest = hashlib.sha256(body).hexdigest()
            if contents.setdefault((event.source, event.id), digest) != digest:
                raise BadEvent("contradiction", f"id {event.id!r} stands twice in this batch with different content", field="id")
            events.append(_guarded(event))
        except (BadEvent, Skip) as exc:
            refused.append({"index": index, "cause": exc.cause, "field": exc.field, "message": str(exc), "repair": exc.repair})
    return events, refused


def _guarded(event: Event) -> Event:
    """Return a posted event as it may land: what a connector does for others, done here. Raise `Skip`. The id stays the sender's."""
    if is_citizen_number(event.subject):
        raise Skip("personal_id", "the subject looks like a citizen number; such a number never lands", field="subject", repair="use the number of the case, not of the person")
    data = cleaned(event.data)
    return event if data is event.data else msgspec.structs.replace(event, data=data)


def _live(app: FastAPI, parts: Parts) -> None:
    async def watch_right(still: Callable[[], bool]) -> None:
        while await asyncio.to_thread(_still, still):  # noqa: ASYNC110 - nobody tells us of a revocation
            await asyncio.sleep(5)

    async def drain(ws: WebSocket, player: Player | None) -> None:
        """Nothing is asked of a live screen, reading notices that it left; one that looks back asks for frames."""
        while True:
            text = await ws.receive_text()
            if player is not None:
                player.ask(text)

    async def show(ws: WebSocket, viewer: Viewer, player: Player | None) -> None:
        tasks = [asyncio.create_task(c) for c in (pump(viewer, ws.send_text, parts.clock), drain(ws, player), watch_right(ws.scope["ioc.still"]))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[2] in done:
                await ws.close(REVOKED)
        except (WebSocketDisconnect, RuntimeError):
            log.debug("screen left", view=viewer.view.name)
        finally:
            for task in tasks:
                _end(task)

    @app.websocket("/live")
    async def live(ws: WebSocket, view: str = "", at: str | None = None) -> None:
        await ws.accept()  # a refused handshake tells a browser nothing; a close code does
        if not parts.hub.looks_back(view) if at is not None else parts.hub.find(view) is None:
            await ws.close(UNKNOWN_VIEW)
        elif at is None:
            viewer = await parts.hub.join(view)
            try:
                await show(ws, viewer, None)
            finally:
                parts.hub.leave(viewer)
        else:
            player = parts.playback.join(parts.hub.views[view])
            try:
                await show(ws, player.viewer, player)
            finally:
                parts.playback.leave(player)


def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task without waiting for it; how it ends (the screen left) is no news."""
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    task.cancel()


def _still(permitted: Callable[[], bool]) -> bool:
    """Has the screen its right still? While nobody can say, it stays on."""
    try:
        return permitted()
    except Unavailable:
        return True
