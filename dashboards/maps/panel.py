"""The map on a screen: its frame, legend and stand-in; and what a snapshot changes of it.

Component ids: `map` (the root), `map-canvas` (JavaScript draws here, by what stands in `data-spec`), `map-legend`, `map-ranking`
(shown when WebGL is refused). Parts of the map that are no components, which `assets/map.js` takes from the live link itself: `map-areas`
(per scene: KPI, freshness, classes, how points are drawn), `map-incidents`, `map-assets` (dashboards/maps/points.py) and
`map-outlines` (dashboards/maps/outlines.py). The hub sends a part only when its content changed. One map serves all scenes;
`assets/map.js` draws the one whose turn it is and says on the root which KPI that is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures.camera import state_of
from dashboards.figures.numbers import clock_time, iso, number, unit_word
from dashboards.figures.parts import shape, state_chip, to_json
from dashboards.figures.ranking import ranking
from dashboards.kept import Kept
from dashboards.maps import chips, country, outlines, points
from dashboards.maps.classes import breaks, class_of, ranges, shade
from dashboards.maps.country import inset
from dashboards.maps.points import Columns, Drawn
from dashboards.maps.spec import spec
from dashboards.wall.scene import Scene, SceneMap
from dashboards.words import Lang, known_or, pick, say
from ioc.clock import local_day
from ioc.kpi.tile import Tile
from ioc.live import Point, Props, Snapshot

PARTS = ("map-areas", "map-incidents", "map-assets", "map-outlines")  # what is sent and is no component
LAYERS: tuple[points.Layer, ...] = ("incident", "asset")


def layout(scenes: Sequence[Scene], context: Context, lang: Lang) -> Component:
    """Return the frame of the map of these scenes (each with a map); `assets/map.js` draws into `map-canvas`."""
    geometry = context.shapes
    return html.Section(
        [
            html.Div(id="map-canvas", className="map-canvas", **{"data-spec": json.dumps(spec(context.areas, geometry["bounds"], lang), ensure_ascii=False, separators=(",", ":"))}),
            html.Div([html.Div(say("map.refused", lang), className="map-refused"), html.Div(id="map-ranking")], className="map-fallback"),
            html.Div(id="map-legend", className="map-legend"),
            inset(lang),
            html.Div([html.Div(id="map-scale", className="map-scale"), html.Div(say("map.north", lang), className="map-north")], className="map-measure", **{"aria-hidden": "true"}),
        ],
        id="map",
        className="map",
        **{"data-map": _map_of(scenes[0]).kpi, "data-state": "never", "data-as-of": "", "aria-label": say("map", lang)},
    )


class Mine(NamedTuple):
    """What one scene draws of the points: layer -> [mode, key], its lines in the legend (JSON), the stations beside which chips are written."""

    draw: dict[str, list[str]]
    symbols: list[Any]
    stations: list[Point]


def props(scenes: Sequence[Scene], snapshot: Snapshot, context: Context, lang: Lang, kept: Kept | None = None) -> Props:
    """Return the map's properties for a snapshot. `kept`: what was drawn last; without it everything is drawn."""
    kept = kept or Kept()
    day = local_day(snapshot.now, context.zone)
    found = points.columns(snapshot.points, _standing_still(snapshot, context))
    parts, mine = kept.of("map places", (found,), partial(_places, scenes, found, snapshot.points, context, lang))
    areas: dict[str, Any] = {}
    legends: list[Any] = []
    rankings: list[Any] = []
    for scene in scenes:
        kpi = _map_of(scene).kpi
        tile, every = snapshot.tiles.get(kpi), snapshot.by_area.get(kpi, {})
        own = mine[scene.name]
        area, legend, rows = kept.of(f"map {scene.name}", (tile, every, own, day), partial(_scene, scene, tile, every, own, snapshot.now, context, lang))
        areas[scene.name] = area
        legends.append(legend)
        rankings.append(rows)
    return {"map-areas": {"data": areas}, **parts, "map-legend": {"children": legends}, "map-ranking": {"children": rankings}}


def _places(scenes: Sequence[Scene], found: Columns, every: Sequence[Point], context: Context, lang: Lang) -> tuple[Props, dict[str, Mine]]:
    """Return the parts of points and shapes, and by scene what it draws of them."""
    bounds = context.shapes["bounds"]
    drawn = {scene.name: _drawn(scene, found, bounds, context) for scene in scenes}
    sets = {layer: points.sets(found, [d for layers in drawn.values() for d in layers if d.layer == layer], bounds) for layer in LAYERS}
    near = [p for p in found.shaped if outlines.touches(p, bounds)]
    parts: Props = {
        "map-incidents": {"data": sets["incident"]},
        "map-assets": {"data": sets["asset"]},
        "map-outlines": {"data": outlines.rows(near, bounds, lang)},
    }
    mine = {}
    for scene in scenes:
        scene_map, layers = _map_of(scene), drawn[scene.name]
        asked = [p for p in found.shaped if scene_map.incidents and _of_feed(scene_map, p)]
        shapes = [p for p in asked if outlines.touches(p, context.extent(scene.area))]
        away = sum(not outlines.touches(p, bounds) for p in asked)
        symbols = to_json(_symbols(scene_map, found, layers, sets, shapes, away, bounds, lang))
        stations = _stations(scene_map, every, bounds) if scene_map.chips else []
        mine[scene.name] = Mine({layer.layer: [layer.mode, layer.key] for layer in layers}, symbols, stations)
    return parts, mine


def _scene(
    scene: Scene, tile: Tile | None, every: Mapping[str, float | None], mine: Mine, now: datetime, context: Context, lang: Lang
) -> tuple[dict[str, Any], Any, Any]:
    """Return of one scene what the map must know, its legend and its ranking."""
    scene_map = _map_of(scene)
    codes = context.parts[scene.area] if scene.area else tuple(context.areas.communes)
    values = {code: every.get(code) for code in codes}  # a part of the province has classes of its own
    edges = breaks(values.values(), whole=whole_numbers(tile))
    unit, decimals = (tile.unit, tile.decimals) if tile else ("1", 0)
    area = {
        "kpi": scene_map.kpi,
        "state": tile.quality.state if tile else "never",
        "as_of": iso(tile.as_of) if tile else "",
        "label": say("map.label", lang, title=pick(tile.title, lang)) if tile else say("map", lang),
        "chips": chips.rows(values, mine.stations, context.areas) if scene_map.chips else [],
        "classes": {code: _shade(value, edges) for code, value in values.items()},
        "draw": mine.draw,
    }
    legend = _legend(scene_map, tile, values, edges, mine.symbols, context, now, lang)
    own = {"data-for": scene.name}
    return area, to_json(html.Div(legend, className="legend-of", **own)), to_json(html.Div(ranking(values, context.areas, unit, decimals, lang, most=10), className="ranking-of", **own))


def _standing_still(snapshot: Snapshot, context: Context) -> points.Frozen:
    """Return the cameras of the map whose stills are the same for too long."""
    stills = context.config.stills
    return frozenset(
        (feed, subject)
        for camera in stills.cameras
        if camera.asset and state_of(snapshot.stills.get(camera.camera), snapshot.now, stills.frozen_s) == "frozen"
        for feed, _, subject in [camera.asset.partition("/")]
    )


def _drawn(scene: Scene, found: Columns, bounds: Sequence[float], context: Context) -> list[Drawn]:
    """Return how the scene draws each of its layers."""
    scene_map = _map_of(scene)
    view = country.BOUNDS if scene_map.view == "country" else context.extent(scene.area)
    look = scene_map.view if scene_map.view == "country" else scene.area or ""
    out = []
    for layer in LAYERS:
        if scene_map.incidents if layer == "incident" else scene_map.assets:
            which = found.of(layer, scene_map.feeds) & found.within(bounds)
            if scene.area:
                which &= found.of_areas(context.parts[scene.area])
            out.append(Drawn(layer, which, points.mode_of(scene_map.points, int(which.sum())), view, tuple(scene_map.feeds), look))
    return out


def _stations(scene_map: SceneMap, every: Sequence[Point], bounds: Sequence[float]) -> list[Point]:
    """Return the assets beside which chips are written."""
    return [p for p in every if p.layer == "asset" and _of_feed(scene_map, p) and points.inside(p.lon, p.lat, bounds)]


def _of_feed(scene_map: SceneMap, point: Point) -> bool:
    return not scene_map.feeds or point.feed in scene_map.feeds


def _map_of(scene: Scene) -> SceneMap:
    assert scene.map is not None, f"{scene.name} has no map"
    return scene.map


def _shade(value: float | None, edges: list[float]) -> int | None:
    found = class_of(value, edges)
    return None if found is None else shade(found, len(edges) + 1)


def _legend(
    scene_map: SceneMap, tile: Tile | None, values: Mapping[str, float | None], edges: list[float], symbols: list[Any], context: Context,
    now: datetime, lang: Lang,
) -> list[Component]:  # fmt: skip
    """The map's name with its freshness above, classes and symbols beside it."""
    side: list[Component] = []
    head: list[Component] = []
    if tile is not None:
        head = [html.Span(_title(tile, lang)), state_chip(tile.quality.state, lang, clock_time(tile.as_of, now, context.zone, lang))]
        side.append(html.Div(_steps(tile, values, edges, lang), className="legend-steps"))
    if scene_map.chips and tile is not None:
        seen = sorted({chips.aqi_class(value) for value in values.values() if value is not None}, reverse=True)
        side.append(html.Div([html.Div([html.Span(className=f"aqi aqi-{i}"), html.Span(say(f"aqi.{i}", lang))], className="legend-step") for i in seen]))
    side.append(html.Div(symbols, className="legend-symbols"))
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
        lines = [_step(f"swatch-{shade(i, len(steps))}", _range(low, high, min(known), decimals, lang)) for i, (low, high) in enumerate(steps)][::-1]
    if len(known) < len(values):
        lines.append(_step("swatch-none", say("map.no_value", lang)))
    return lines


def _step(swatch: str, text: str) -> Component:
    return html.Div([html.Span(className=f"swatch {swatch}"), html.Span(text)], className="legend-step")


def _range(low: float | None, high: float | None, least: float, decimals: int, lang: Lang) -> str:
    if low is None and high is None:
        return number(least, lang, decimals)  # every commune has the same
    if low is None and high == 0 <= least:
        return number(0, lang, decimals)  # of counts: none
    if low is None or high is None:
        sign, edge = ("≤", high) if low is None else ("≥", low)
        assert edge is not None
        return f"{sign} {number(edge, lang, decimals)}"
    return number(low, lang, decimals) if low == high else f"{number(low, lang, decimals)}–{number(high, lang, decimals)}"


def whole_numbers(tile: Tile | None) -> bool:
    """Are the KPI's values by commune counts?"""
    return tile is None or tile.unit.startswith("{") or (tile.unit == "1" and tile.decimals == 0)


def _symbols(
    scene_map: SceneMap, found: Columns, drawn: Sequence[Drawn], sets: Mapping[points.Layer, Any], shapes: Sequence[Point], away: int, bounds: Sequence[float],
    lang: Lang,
) -> list[Component]:  # fmt: skip
    """A line a symbol that is on this scene's map, and what is not on it."""
    out: list[Component] = []
    for layer in drawn:
        if layer.mode == "heat":
            out += _heat(layer, sets[layer.layer]["heat"][layer.key]["edges"], lang)
        elif layer.layer == "asset":
            out += _assets(found, layer, lang)
        elif layer.n or not shapes:
            out += _incidents(layer, lang)
        if layer.mode == "clusters":
            out.append(html.Div([html.Span("n", className="map-cluster"), html.Span(say("map.grouped", lang, n=number(layer.n, lang, 0)))]))
    if shapes:
        out.append(_outlined(shapes, lang))
    if outside := _outside(scene_map, found, away, bounds):
        out.append(html.Div(say("map.outside", lang, n=number(outside, lang, 0)), **{"data-outside": str(outside)}))
    return out


def _outlined(shapes: Sequence[Point], lang: Lang) -> Component:
    """One line, for there is no room for more: how many areas there are, how many of them are grave. Each says its own level on the map."""
    grave = sum(outlines.gravity(p.level) >= outlines.GRAVE for p in shapes)
    n = f"{number(grave, lang, 0)}/{number(len(shapes), lang, 0)}" if 0 < grave < len(shapes) else number(len(shapes), lang, 0)
    symbol, words = ("map-outline-grave", "map.outline_grave") if grave else ("map-outline", "map.outline")
    return html.Div([shape(symbol), html.Span(say(words, lang, n=n))], **{"data-grave": str(grave)})


def _outside(scene_map: SceneMap, found: Columns, away: int, bounds: Sequence[float]) -> int:
    """Return how many of the scene's points, and (`away`) shapes, lie outside the province, wherever they are."""
    layers: tuple[tuple[points.Layer, bool], ...] = (("incident", scene_map.incidents), ("asset", scene_map.assets))
    return away + sum(int((found.of(layer, scene_map.feeds) & ~found.within(bounds)).sum()) for layer, asked in layers if asked)


def _incidents(layer: Drawn, lang: Lang) -> list[Component]:
    bad = [html.Span("n", className="map-cluster map-cluster-bad")] if layer.mode == "clusters" else []
    return [html.Div([shape("map-open"), html.Span(say("map.incident", lang))]), html.Div([shape("map-overdue"), *bad, html.Span(say("map.overdue", lang))])]


def _assets(found: Columns, layer: Drawn, lang: Lang) -> list[Component]:
    styles = {points.STYLES[i] for i in set(found.style[layer.which].tolist())}
    kinds = {found.kinds[i] for i in set(found.kind[layer.which].tolist())} - {"vehicle"}
    only = kinds.pop() if len(kinds) == 1 else ""
    out = [html.Div([shape("map-asset"), html.Span(known_or(f"kind.{only}", lang, say("map.asset", lang)))])]
    bad = [html.Span("n", className="map-cluster map-cluster-bad")] if layer.mode == "clusters" else []
    if "asset_off" in styles:
        out.append(html.Div([shape("map-off"), *bad, html.Span(say("map.camera_off" if only == "camera" else "map.asset_off", lang))]))
    if "asset_frozen" in styles:
        out.append(html.Div([shape("map-frozen"), *bad, html.Span(say("map.camera_frozen", lang))]))
    if "asset_down" in styles:
        out.append(html.Div([shape("map-down"), *bad, html.Span(say("map.asset_down", lang))]))
    if "vehicle" in styles:
        out.append(html.Div([shape("map-vehicle"), html.Span(say("map.vehicle", lang))]))
    return out


def _heat(layer: Drawn, edges: list[float], lang: Lang) -> list[Component]:
    steps = ranges(edges, whole=True)
    lines = [html.Div([html.Span(className=f"swatch heat-{shade(i, len(steps))}"), html.Span(say("map.in_cell", lang, n=_range(low, high, 1, 0, lang)))]) for i, (low, high) in enumerate(steps)]
    return [html.Div(say("map.grouped", lang, n=number(layer.n, lang, 0))), *lines[::-1]] if layer.n else []
