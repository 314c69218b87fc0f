"""One scene of the wall: its empty frame, and the pure function that fills it from a snapshot."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import header
from dashboards.figures.feeds import feed_strip
from dashboards.figures.parts import props_of, to_json
from dashboards.figures.ticker import ticker
from dashboards.figures.tile import empty_tile, tile, tile_id
from dashboards.maps import panel
from dashboards.wall.scene import Scene
from dashboards.words import Lang, pick, say
from ioc.live import Props, Render, Snapshot

# Height of a letter as a share of the viewing distance.
DEFAULT_LETTER = 0.0058
LEAST_LETTER = 0.00465


def view_name(scene: Scene, lang: Lang) -> str:
    return f"wall/{scene.name}:{lang}"


def layout(scene: Scene, context: Context, lang: Lang) -> Component:
    """Return the scene's frame; the live link fills it."""
    scenes = context.config.scenes
    return html.Div(
        [
            *header.link_banner(lang),
            _header(scene, context, lang),
            html.Main(_body(scene, context, lang), className="wall-body"),
        ],
        id="scene",
        className="wall",
        lang=lang,
        style=_measures(scene, scenes.viewing_distance_m, scenes.pixel_pitch_mm),
        **{
            "data-scene": scene.name,
            "data-view": view_name(scene, lang),
            "data-version": context.version,
            "data-theme": "dark",
            "data-viewing-distance-m": str(scenes.viewing_distance_m),
            "data-pixel-pitch-mm": str(scenes.pixel_pitch_mm),
        },
    )


def _measures(scene: Scene, distance_m: float, pitch_mm: float) -> dict[str, str | int]:
    """Style properties: the grid, and the height of a small letter that a viewer at this distance needs.

    Default and least after NUREG-0700 and ISO 9241: 20 and 16 minutes of arc. The style sheet caps them by the tiles.
    """
    px_per_m = 1000 / pitch_mm
    return {
        "--columns": scene.columns,
        "--columns-wide": scene.columns_wide,
        "--letter": f"{DEFAULT_LETTER * distance_m * px_per_m:.2f}px",
        "--letter-least": f"{LEAST_LETTER * distance_m * px_per_m:.2f}px",
    }


def _header(scene: Scene, context: Context, lang: Lang) -> Component:
    return html.Header(
        [
            html.H1([html.Span(context.province(lang), className="province"), html.Span(pick(scene.title, lang), className="scene-title")]),
            header.clock(lang, context.config.timezone),
        ],
        className="wall-header",
    )


def _body(scene: Scene, context: Context, lang: Lang) -> list[Component]:
    tiles = html.Section([empty_tile(kpi, lang) for kpi in scene.tiles], className="tiles")
    left: list[Component] = [tiles]
    if scene.feeds:
        left.append(html.Section(id="feeds", className="feed-strip", **{"aria-label": say("feeds", lang)}))
    right: list[Component] = []
    if scene.map:
        right.append(panel.layout(scene.map.kpi, context, lang))
    if scene.ticker:
        right.append(html.Section(id="ticker", className="ticker", **{"aria-label": say("latest", lang)}))
    columns: list[Component] = [html.Div(left, className="wall-left")]
    if right:
        columns.append(html.Div(right, className="wall-right"))
    return columns


def render(scene: Scene, context: Context, lang: Lang) -> Render:
    """Return the function that turns a snapshot into this scene's properties."""
    titles = context.feed_titles(lang)

    def props(snapshot: Snapshot) -> Props:
        out: Props = {}
        for kpi in scene.tiles:
            if (value := snapshot.tiles.get(kpi)) is not None:
                out[tile_id(kpi)] = props_of(tile(value, lang, snapshot.now, context.zone, titles, "wall"))
        if scene.feeds:
            out["feeds"] = {"children": to_json(feed_strip(snapshot.feeds, lang, snapshot.now, context.zone))}
        if scene.ticker:
            lines = ticker(snapshot.ticker, context.areas, lang, snapshot.now, context.zone, scene.ticker)
            out["ticker"] = {"children": to_json(lines)}
        if scene.map:
            out |= panel.props(scene.map, snapshot, context, lang)
        return out

    return props
