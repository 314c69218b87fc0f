"""The Dash application on the engine's FastAPI application: pages, static parts, and the views of the live link.

Pages are drawn once as empty frames; values come over `/live` (see ioc/live.py and assets/live.js).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs

import dash
import fastapi
import pydeck
from dash import ClientsideFunction, Input, Output, State, dcc, html
from dash.development.base_component import Component
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.responses import Response

from dashboards.context import Context
from dashboards.leaders import kpi as kpi_page
from dashboards.leaders import page as leaders_page
from dashboards.maps.country import svg
from dashboards.operations import page as operations_page
from dashboards.wall import page as wall_page
from dashboards.wall.scene import Scene
from dashboards.wall.scene import load as load_scenes
from dashboards.words import LANGS, Lang, as_lang, say
from ioc.areas import Areas
from ioc.config import Config
from ioc.kpi.catalogue import Catalogue
from ioc.live import Render

_HERE = Path(__file__).parent


class Views(Protocol):
    """What the pages need of `ioc.live.Hub`."""

    version: str

    def add_view(self, name: str, render: Render, by_area: Iterable[str] = (), of_parts: Mapping[str, Iterable[str]] | None = None) -> None: ...


def create(api: fastapi.FastAPI, config: Config, hub: Views, areas: Areas, catalogue: Catalogue) -> dash.Dash:
    """Put the pages on `api`, register their views with `hub`, and return the Dash application.

    Raises `UserError` when a scene or the boundaries cannot be used.
    """
    context = Context(config, areas, catalogue, hub.version)
    scenes = load_scenes(config.scenes.folder, config.scenes.use, context.kpis, {feed.feed for feed in config.feeds}, context.parts)
    _serve_static(api, context)
    app = dash.Dash(
        "dashboards",
        server=api,
        backend="fastapi",
        assets_folder=str(_HERE / "assets"),
        title=f"IOC {config.province.name.vi}",
        update_title=None,  # a tab that says "Updating..." at every value is noise
        suppress_callback_exceptions=True,  # pages are swapped in by the router
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.backend.websocket_capability = False  # values come over /live; Dash's own websocket stays shut
    app.layout = html.Div([dcc.Location(id="url", refresh=True), html.Div(id="page")])
    _route(app, context, scenes)
    app.clientside_callback(
        ClientsideFunction("ioc", "map"),
        Output("map-canvas", "data-drawn"),
        Input("map-areas", "data"),
        Input("map-incidents", "data"),
        Input("map-assets", "data"),
        State("map-spec", "data"),
    )
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
            mapped = list(dict.fromkeys(scene.map.kpi for scene in turn if scene.map))
            hub.add_view(wall_page.view_name(turn, lang), wall_page.render(turn, context, lang), mapped, wall_page.of_parts(turn))
        hub.add_view(leaders_page.view_name(lang), leaders_page.render(context, lang))
        hub.add_view(operations_page.view_name(lang), operations_page.render(context, lang))
        for kpi in context.kpis:
            hub.add_view(kpi_page.view_name(kpi, lang), kpi_page.render(kpi, context, lang), [kpi])


def _route(app: dash.Dash, context: Context, scenes: Mapping[str, Scene]) -> None:
    @app.callback(Output("page", "children"), Input("url", "pathname"), Input("url", "search"))  # type: ignore[untyped-decorator]
    def page(pathname: str | None, search: str | None) -> Component:
        asked = parse_qs((search or "").lstrip("?"), keep_blank_values=True)
        lang, at = (asked.get(name, [None])[0] for name in ("lang", "at"))
        return page_at(pathname or "/", as_lang(lang, context.config.language), context, scenes, at)


def page_at(path: str, lang: Lang, context: Context, scenes: Mapping[str, Scene], at: str | None = None) -> Component:
    """Return the page at a path: the frames of DESIGN's four addresses, or one that says there is none.

    `at`: the earlier moment that is asked of the wall.
    """
    parts = [part for part in path.split("/") if part]
    match parts:
        case []:
            return leaders_page.layout(context, lang)
        case ["operations"]:
            return operations_page.layout(context, lang)
        case ["wall"]:
            return wall_page.layout(list(scenes.values()), context, lang, at)
        case ["wall", name] if name in scenes:
            return wall_page.layout([scenes[name]], context, lang, at)
        case ["kpi", kpi]:
            return kpi_page.layout(kpi, context, lang)
    link = html.A(say("nav.back", lang), href=f"/?lang={lang}")
    return html.Div([html.P(say("page.unknown", lang)), link], className="page page-unknown", **{"data-theme": "light"}, lang=lang)
