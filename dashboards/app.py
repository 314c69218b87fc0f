"""The Dash application on the engine's FastAPI application: pages, static parts, and the views of the live link.

Pages are drawn once as empty frames; values come over `/live` (see ioc/live.py and assets/live.js).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

import dash
import fastapi
import msgspec
import pydeck
from dash import Input, Output, dcc, html
from dash.development.base_component import Component
from fastapi import HTTPException
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboards import files
from dashboards.context import Context
from dashboards.document import SCRIPTS, STYLES, document
from dashboards.gallery import page as gallery_page
from dashboards.leaders import brief as brief_page
from dashboards.leaders import changes as changes_page
from dashboards.leaders import compare as compare_page
from dashboards.leaders import kpi as kpi_page
from dashboards.leaders import notes
from dashboards.leaders import page as leaders_page
from dashboards.leaders import search as search_page
from dashboards.leaders.notes import Typed
from dashboards.maps.country import svg
from dashboards.operations import page as operations_page
from dashboards.state import State, check, read
from dashboards.wall import page as wall_page
from dashboards.wall.scene import Scene
from dashboards.wall.scene import load as load_scenes
from dashboards.words import LANGS, Lang, as_lang, say
from ioc import forms
from ioc.areas import Areas
from ioc.clock import Clock, system_clock
from ioc.config import Config
from ioc.errors import Unavailable, UserError
from ioc.kpi.asked import Asked
from ioc.kpi.catalogue import Catalogue
from ioc.kpi.changes import Changes
from ioc.live import Made, Maker, Render, Snapshot

_HERE = Path(__file__).parent
T = TypeVar("T")


class Views(Protocol):
    """What the pages need of `ioc.live.Hub`."""

    version: str
    snapshot: Snapshot

    def add_view(
        self, name: str, render: Render, by_area: Iterable[str] = (), of_parts: Mapping[str, Iterable[str]] | None = None,
        of_courses: Mapping[str, Iterable[str]] | None = None,
    ) -> None: ...  # fmt: skip
    def add_maker(self, make: Maker) -> None: ...


class Questions(notes.Questions, Protocol):
    """What the pages need of `ioc.kpi.desk.Desk`."""

    def by_area(self, kpi: str, period: str = "", geography: str = "") -> dict[str, float | None]: ...
    def changes(self) -> Changes: ...
    def doubted(self) -> list[dict[str, Any]]: ...
    def letters(self) -> list[dict[str, Any]]: ...


def create(
    api: fastapi.FastAPI, config: Config, hub: Views, areas: Areas, catalogue: Catalogue, desk: Questions, clock: Clock = system_clock
) -> dash.Dash:
    """Put the pages on `api`, register their views with `hub`, and return the Dash application. `desk`: ioc.kpi.desk.Desk.

    Raises `UserError` when a scene or the boundaries cannot be used.
    """
    context = Context(config, areas, catalogue, hub.version)
    scenes = load_scenes(config.scenes.folder, config.scenes.use, context.kpis, {feed.feed for feed in config.feeds}, context.parts, {c.camera for c in config.stills.cameras})
    _serve_static(api, context)
    _office(api, context, hub, desk)
    files.serve(api, context, desk, clock, lambda: hub.snapshot)
    app = dash.Dash(
        "dashboards",
        server=api,
        backend="fastapi",
        assets_folder=str(_HERE / "assets"),
        assets_ignore=r"gallery\.css",
        title=f"IOC {config.province.name.vi}",
        update_title=None,  # a tab that says "Updating..." at every value is noise
        suppress_callback_exceptions=True,  # pages are swapped in by the router
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.backend.websocket_capability = False  # values come over /live; Dash's own websocket stays shut
    app.layout = html.Div([dcc.Location(id="url", refresh=True), html.Div(id="page")])
    _route(app, context, scenes)
    _register(hub, context, scenes)
    app._setup_server()  # otherwise a restarted server knows no callback until somebody loads a page
    return app


def _serve_static(api: fastapi.FastAPI, context: Context) -> None:
    """Serve pydeck's own bundle and the commune shapes: nothing is fetched from elsewhere."""
    bundle = Path(pydeck.__file__).parent / "nbextension" / "static"
    api.mount("/pydeck-static", StaticFiles(directory=bundle), name="pydeck-static")
    body = json.dumps(context.shapes, separators=(",", ":"), ensure_ascii=False).encode()

    async def areas_json(request: Request) -> Response:
        return Response(body, media_type="application/geo+json", headers={"Cache-Control": "no-cache"})

    drawing = svg(context.shapes["bounds"]).encode()

    async def country_svg(request: Request) -> Response:
        return Response(drawing, media_type="image/svg+xml", headers={"Cache-Control": "no-cache"})

    api.add_api_route("/map/areas.json", areas_json, methods=["GET"], include_in_schema=False)
    api.add_api_route("/map/country.svg", country_svg, methods=["GET"], include_in_schema=False)


def _register(hub: Views, context: Context, scenes: Mapping[str, Scene]) -> None:
    for lang in LANGS:
        turns = [[scene] for scene in scenes.values()]
        for turn in [*turns, list(scenes.values())] if len(turns) > 1 else turns:
            hub.add_view(wall_page.view_name(turn, lang), wall_page.render(turn, context, lang), wall_page.of_areas(turn), wall_page.of_parts(turn), wall_page.of_courses(turn))
    hub.add_maker(lambda name: made(name, context))


def filled(page: Component, context: Context, hub: Views, desk: Questions) -> Component:
    """Return an office page with the values it has now; the live link then has only to bring what changes.

    While the database is away a page of another area or period comes without values.
    """
    found = made(str(getattr(page, "data-view", "")), context)
    if found is None:
        return page
    render, by_area, of_parts = found
    try:
        parts = {name: desk.tiles(Asked.read(name), kpis) for name, kpis in of_parts.items()}
        values = {name: desk.by_area(*Asked.read(name)) for name in by_area}
    except Unavailable:
        return page
    props = render(msgspec.structs.replace(hub.snapshot, parts=parts, by_area=values))
    for node in [page, *page._traverse()]:
        for name, value in props.get(getattr(node, "id", ""), {}).items():
            setattr(node, name, value)
    return page


_MADE = re.compile(r"(leaders|operations|kpi/(?P<kpi>[a-z0-9_]+)):(?P<lang>vi|en)(\?(?P<asked>.+))?")


def made(name: str, context: Context) -> Made | None:
    """Return the office page of this name: one for each KPI, language, area and period; None for another name."""
    found = _MADE.fullmatch(name)
    if found is None or (found["kpi"] and found["kpi"] not in context.kpis):
        return None
    state = State("vi" if found["lang"] == "vi" else "en", *Asked.read(found["asked"] or ""))
    try:
        check(state.by_place, context)
    except UserError:
        return None
    if found[1] == "operations":
        return operations_page.render(context, state.lang), (), {}
    if kpi := found["kpi"]:
        return kpi_page.render(kpi, context, state), [kpi_page.ranked(kpi, state)], kpi_page.of_parts(kpi, state)
    return leaders_page.render(context, state), (), leaders_page.of_parts(context, state)


def _route(app: dash.Dash, context: Context, scenes: Mapping[str, Scene]) -> None:
    @app.callback(Output("page", "children"), Input("url", "pathname"), Input("url", "search"))  # type: ignore[untyped-decorator]
    def page(pathname: str | None, search: str | None) -> Component:
        return page_at(pathname or "/", search, context, scenes)


def _office(api: fastapi.FastAPI, context: Context, hub: Views, desk: Questions) -> None:
    """Serve the pages of offices, and the gallery, as plain documents."""

    def drawn(path: str, query: str, typed: Typed | None = None, styles: Iterable[str] = STYLES, scripts: Iterable[str] = SCRIPTS) -> Response:
        page = filled(page_at(path, query, context, {}, desk, typed), context, hub, desk)
        lang: Lang = "en" if getattr(page, "lang", "vi") == "en" else "vi"
        return HTMLResponse(document(page, f"IOC {context.province(lang)}", lang, styles, scripts), 409 if typed else 200, headers={"Cache-Control": "no-store"})

    def office(request: Request) -> Response:
        return drawn(request.url.path, request.url.query)

    def gallery(request: Request) -> Response:
        return drawn("/gallery", request.url.query, None, gallery_page.STYLES, gallery_page.SCRIPTS)

    def note(kpi: str, number: int, form: dict[str, str], query: str) -> Response:
        if kpi not in context.kpis:
            raise HTTPException(404, f"no KPI is called {kpi!r}")
        state = read(query, context)
        typed = notes.act(kpi, number, form, state, desk)
        return drawn(f"/kpi/{kpi}", query, typed) if typed else RedirectResponse(state.href(f"/kpi/{kpi}") + "#notes", 303)

    async def noted(kpi: str, request: Request, number: int = 0) -> Response:
        return await run_in_threadpool(note, kpi, number, await forms.posted(request), request.url.query)

    for path in ("/kpi/{kpi}/notes", "/kpi/{kpi}/notes/{number}"):
        api.add_api_route(path, noted, methods=["POST"], include_in_schema=False)

    for path in ("/", "/kpi/{kpi}", "/compare", "/changes", "/brief", "/search", "/operations"):
        api.add_api_route(path, office, methods=["GET"], include_in_schema=False)
    api.add_api_route("/gallery", gallery, methods=["GET"], include_in_schema=False)


def page_at(
    path: str, search: str | None, context: Context, scenes: Mapping[str, Scene], desk: Questions | None = None, typed: Typed | None = None
) -> Component:
    """Return the page at an address, or one that says there is none or why not. `desk`: whom to ask; None: who may not read.

    `typed`: a form of that page that was refused.
    """
    try:
        return _page_at(path, search, context, scenes, desk, typed)
    except UserError as exc:
        return _refusal(str(exc), as_lang(parse_qs((search or "").lstrip("?")).get("lang", [None])[0], context.config.language))


def _page_at(path: str, search: str | None, context: Context, scenes: Mapping[str, Scene], desk: Questions | None, typed: Typed | None) -> Component:
    state = read(search, context)
    lang = state.lang
    at = parse_qs((search or "").lstrip("?"), keep_blank_values=True).get("at", [None])[0]  # an earlier moment, asked of the wall
    parts = [part for part in path.split("/") if part]
    match parts:
        case []:
            return leaders_page.layout(context, state)
        case ["operations"]:
            return operations_page.layout(context, lang)
        case ["wall"]:
            return wall_page.layout(list(scenes.values()), context, lang, at)
        case ["wall", name] if name in scenes:
            return wall_page.layout([scenes[name]], context, lang, at)
        case ["compare"]:
            return compare_page.layout(context, state, _answer(lambda: compare_page.compare(context, state, desk) if desk else None))
        case ["changes"]:
            return changes_page.layout(context, state, _answer(lambda: desk.changes() if desk else None))
        case ["brief"]:
            return brief_page.layout(context, state, _answer(lambda: brief_page.write(context, state, desk) if desk else None))
        case ["gallery"]:
            return gallery_page.layout(context, state)
        case ["search"]:
            return search_page.layout(context, state)
        case ["kpi", kpi]:
            return kpi_page.layout(kpi, context, state, _answer(lambda: notes.gather(kpi, state, desk, typed) if desk and kpi in context.kpis else None))
    return _refusal(say("page.unknown", lang), lang)


def _answer(ask: Callable[[], T]) -> T | None:
    """Return an answer, None while the database is away."""
    try:
        return ask()
    except Unavailable:
        return None


def _refusal(why: str, lang: Lang) -> Component:
    link = html.A(say("nav.back", lang), href=f"/?lang={lang}")
    return html.Div([html.P(why), link], className="page page-unknown", **{"data-theme": "light"}, lang=lang)
