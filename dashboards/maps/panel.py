"""The map on a screen: its frame, legend and stand-in; and what a snapshot changes of it.

Component ids: `map` (the root), `map-canvas` (JavaScript draws here), `map-legend`, `map-ranking` (shown when WebGL
is refused), and the stores `map-spec` (once), `map-areas` (per scene: KPI, freshness, classes), `map-incidents`,
`map-assets`. The hub sends a store only when its content changed. One map serves all scenes; `assets/map.js` draws the
one whose turn it is and says on the root which KPI that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures.numbers import clock_time, iso, number, unit_word
from dashboards.figures.parts import shape, state_chip, to_json
from dashboards.figures.ranking import ranking
from dashboards.maps import chips, points
from dashboards.maps.classes import breaks, class_of, ranges, shade
from dashboards.maps.country import inset
from dashboards.maps.spec import spec
from dashboards.wall.scene import Scene, SceneMap
from dashboards.words import Lang, known_or, pick, say
from ioc.kpi.tile import Tile
from ioc.live import Point, Props, Snapshot


def layout(scenes: Sequence[Scene], context: Context, lang: Lang) -> Component:
    """Return the frame of the map of these scenes (each with a map); `assets/map.js` draws into `map-canvas`."""
    geometry = context.shapes
    stores = [dcc.Store(id=f"map-{name}") for name in ("areas", "incidents", "assets")]
    return html.Section(
        [
            html.Div(id="map-canvas", className="map-canvas"),
            html.Div([html.Div(say("map.refused", lang), className="map-refused"), html.Div(id="map-ranking")], className="map-fallback"),
            html.Div(id="map-legend", className="map-legend"),
            inset(lang),
            html.Div([html.Div(id="map-scale", className="map-scale"), html.Div(say("map.north", lang), className="map-north")], className="map-measure", **{"aria-hidden": "true"}),
            dcc.Store(id="map-spec", data=spec(context.areas, geometry["bounds"], lang) | {"feeds": _feeds(context)}),
            *stores,
        ],
        id="map",
        className="map",
        **{"data-map": _map_of(scenes[0]).kpi, "data-state": "never", "data-as-of": "", "aria-label": say("map", lang)},
    )


def props(scenes: Sequence[Scene], snapshot: Snapshot, context: Context, lang: Lang) -> Props:
    """Return the map's properties for a snapshot."""
    areas: dict[str, dict[str, Any]] = {}
    legends: list[Component] = []
    rankings: list[Component] = []
    bounds = context.shapes["bounds"]
    for scene in scenes:
        scene_map = _map_of(scene)
        tile = snapshot.tiles.get(scene_map.kpi)
        codes = context.parts[scene.area] if scene.area else tuple(context.areas.communes)
        every = snapshot.by_area.get(scene_map.kpi, {})
        values = {code: every.get(code) for code in codes}  # a part of the province has classes of its own
        edges = breaks(values.values(), whole=whole_numbers(tile))
        unit, decimals = (tile.unit, tile.decimals) if tile else ("1", 0)
        areas[scene.name] = {
            "kpi": scene_map.kpi,
            "state": tile.quality.state if tile else "never",
            "as_of": iso(tile.as_of) if tile else "",
            "label": say("map.label", lang, title=pick(tile.title, lang)) if tile else say("map", lang),
            "chips": chips.rows(values, [p for p in _asked(scene_map, snapshot) if points.inside(p, bounds)], context.areas) if scene_map.chips else [],
            "classes": {code: _shade(value, edges) for code, value in values.items()},
        }
        legends.append(html.Div(_legend(scene_map, tile, values, edges, snapshot, context, lang), className="legend-of", **{"data-for": scene.name}))
        rankings.append(html.Div(ranking(values, context.areas, unit, decimals, lang, most=10), className="ranking-of", **{"data-for": scene.name}))
    shown = [_map_of(scene) for scene in scenes]
    order = {feed: i for i, feed in enumerate(_feeds(context))}
    incidents = points.rows([p for p in snapshot.points if p.layer == "incident"], order, bounds) if any(m.incidents for m in shown) else []
    assets = points.rows([p for p in snapshot.points if p.layer == "asset"], order, bounds) if any(m.assets for m in shown) else []
    return {
        "map-areas": {"data": areas},
        "map-incidents": {"data": incidents},
        "map-assets": {"data": assets},
        "map-legend": {"children": to_json(legends)},
        "map-ranking": {"children": to_json(rankings)},
    }


def _map_of(scene: Scene) -> SceneMap:
    assert scene.map is not None, f"{scene.name} has no map"
    return scene.map


def _shade(value: float | None, edges: list[float]) -> int | None:
    found = class_of(value, edges)
    return None if found is None else shade(found, len(edges) + 1)


def _feeds(context: Context) -> list[str]:
    return [feed.feed for feed in context.config.feeds]


def _legend(
    scene_map: SceneMap, tile: Tile | None, values: Mapping[str, float | None], edges: list[float], snapshot: Snapshot, context: Context, lang: Lang
) -> list[Component]:
    """The map's name with its freshness above, classes and symbols beside it."""
    side: list[Component] = []
    head: list[Component] = []
    if tile is not None:
        head = [html.Span(_title(tile, lang)), state_chip(tile.quality.state, lang, clock_time(tile.as_of, snapshot.now, context.zone, lang))]
        side.append(html.Div(_steps(tile, values, edges, lang), className="legend-steps"))
    if scene_map.chips and tile is not None:
        seen = sorted({chips.aqi_class(value) for value in values.values() if value is not None}, reverse=True)
        side.append(html.Div([html.Div([html.Span(className=f"aqi aqi-{i}"), html.Span(say(f"aqi.{i}", lang))], className="legend-step") for i in seen]))
    side.append(html.Div(_symbols(scene_map, snapshot, context.shapes["bounds"], lang), className="legend-symbols"))
    note = [html.Div(say("map.approximate", lang), className="legend-note")] if context.shapes["approximate"] else []
    return [html.Div(head, className="legend-title"), html.Div(side, className="legend-side"), *note]


def _title(tile: Tile, lang: Lang) -> str:
    title, unit = pick(tile.title, lang), unit_word(tile.unit, lang)
    return f"{title} ({unit})" if unit and unit.lower() not in title.lower() else title


def _steps(tile: Tile, values: Mapping[str, float | None], edges: list[float], lang: Lang) -> list[Component]:
    """A line a class, the highest first, and one for communes without a value when there are any."""
    decimals = 0 if all(edge == int(edge) for edge in edges) else max(tile.decimals, 1)
    known = [value for value in values.values() if value is not None]
    lines: list[Component] = []
    if known:
        steps = ranges(edges, whole=whole_numbers(tile))
        lines = [_step(f"swatch-{shade(i, len(steps))}", _range(low, high, known[0], decimals, lang)) for i, (low, high) in enumerate(steps)][::-1]
    if len(known) < len(values):
        lines.append(_step("swatch-none", say("map.no_data", lang)))
    return lines


def _step(swatch: str, text: str) -> Component:
    return html.Div([html.Span(className=f"swatch {swatch}"), html.Span(text)], className="legend-step")


def _range(low: float | None, high: float | None, only: float, decimals: int, lang: Lang) -> str:
    if low is None and high is None:
        return number(only, lang, decimals)  # every commune has the same
    if low is None or high is None:
        sign, edge = ("≤", high) if low is None else ("≥", low)
        assert edge is not None
        return f"{sign} {number(edge, lang, decimals)}"
    return number(low, lang, decimals) if low == high else f"{number(low, lang, decimals)}–{number(high, lang, decimals)}"


def whole_numbers(tile: Tile | None) -> bool:
    """Are the KPI's values by commune counts?"""
    return tile is None or tile.unit.startswith("{") or (tile.unit == "1" and tile.decimals == 0)


def _asked(scene_map: SceneMap, snapshot: Snapshot) -> list[Point]:
    """Return the points this scene's map is to draw, wherever they lie."""
    return [p for p in snapshot.points if (not scene_map.feeds or p.feed in scene_map.feeds) and (scene_map.incidents if p.layer == "incident" else scene_map.assets)]


def _symbols(scene_map: SceneMap, snapshot: Snapshot, bounds: Sequence[float], lang: Lang) -> list[Component]:
    out: list[Component] = []
    mine = _asked(scene_map, snapshot)
    styles = {points.style(p) for p in mine}
    if scene_map.incidents:
        out.append(html.Div([shape("map-open"), html.Span(say("map.incident", lang))]))
        out.append(html.Div([shape("map-overdue"), html.Span(say("map.overdue", lang))]))
    if scene_map.assets:
        kinds = {p.category for p in mine if p.layer == "asset" and p.category != "vehicle"}
        only = kinds.pop() if len(kinds) == 1 else ""
        out.append(html.Div([shape("map-asset"), html.Span(known_or(f"kind.{only}", lang, say("map.asset", lang)))]))
        if "asset_off" in styles:
            out.append(html.Div([shape("map-off"), html.Span(say("map.camera_off" if only == "camera" else "map.asset_off", lang))]))
        if "asset_down" in styles:
            out.append(html.Div([shape("map-down"), html.Span(say("map.asset_down", lang))]))
    if "vehicle" in styles:
        out.append(html.Div([shape("map-vehicle"), html.Span(say("map.vehicle", lang))]))
    inside = [p for p in mine if points.inside(p, bounds)]
    for layer in ("incident", "asset"):
        total = sum(p.layer == layer for p in inside)
        if total > points.MAX_POINTS:
            out.append(html.Div(say("map.grouped", lang, all=number(total, lang, 0))))
    if outside := len(mine) - len(inside):
        out.append(html.Div(say("map.outside", lang, n=number(outside, lang, 0)), **{"data-outside": str(outside)}))
    return out
