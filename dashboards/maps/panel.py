"""The map on a screen: its frame, legend and stand-in; and what a snapshot changes of it.

Component ids: `map` (the root), `map-canvas` (JavaScript draws here), `map-legend`, `map-ranking` (shown when WebGL
is refused), and the stores `map-spec` (once), `map-areas`, `map-incidents`, `map-assets`. The hub sends a store only
when its content changed.
"""

from __future__ import annotations

from dash import dcc, html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures.numbers import clock_time, iso, number, unit_word
from dashboards.figures.parts import shape, state_chip, to_json
from dashboards.figures.ranking import ranking
from dashboards.maps.classes import breaks, class_of, ranges
from dashboards.maps.spec import spec
from dashboards.wall.scene import SceneMap
from dashboards.words import Lang, pick, say
from ioc.kpi.tile import Tile
from ioc.live import Point, Props, Snapshot

MAX_POINTS = 2000  # of a layer: beyond this, points cover each other and the choropleth says more


def layout(kpi: str, context: Context, lang: Lang) -> Component:
    """Return the map's frame; `assets/map.js` draws into `map-canvas`."""
    geometry = context.shapes
    stores = [dcc.Store(id=f"map-{name}") for name in ("areas", "incidents", "assets")]
    return html.Section(
        [
            html.Div(id="map-canvas", className="map-canvas"),
            html.Div([html.Div(say("map.refused", lang), className="map-refused"), html.Div(id="map-ranking")], className="map-fallback"),
            html.Div(id="map-legend", className="map-legend"),
            dcc.Store(id="map-spec", data=spec(context.areas, geometry["bounds"], lang)),
            *stores,
        ],
        id="map",
        className="map",
        **{"data-map": kpi, "data-state": "never", "data-as-of": "", "aria-label": say("map", lang)},
    )


def props(scene_map: SceneMap, snapshot: Snapshot, context: Context, lang: Lang) -> Props:
    """Return the map's properties for a snapshot."""
    tile = snapshot.tiles.get(scene_map.kpi)
    values = snapshot.by_area.get(scene_map.kpi, {})
    whole = tile is None or (tile.unit != "%" and tile.decimals == 0)
    edges = breaks(values.values(), whole=whole)
    areas = {code: class_of(values.get(code), edges) for code in context.areas.communes}
    incidents = _rows([p for p in snapshot.points if p.layer == "incident"]) if scene_map.incidents else []
    assets = _rows([p for p in snapshot.points if p.layer == "asset" and p.state != "retired"]) if scene_map.assets else []
    legend = _legend(scene_map, tile, edges, whole, snapshot, context, lang)
    unit, decimals = (tile.unit, tile.decimals) if tile else ("1", 0)
    return {
        "map": {
            "data-state": tile.quality.state if tile else "never",
            "data-as-of": iso(tile.as_of) if tile else "",
            "aria-label": say("map.label", lang, title=pick(tile.title, lang)) if tile else say("map", lang),
        },
        "map-areas": {"data": areas},
        "map-incidents": {"data": incidents},
        "map-assets": {"data": assets},
        "map-legend": {"children": to_json(legend)},
        "map-ranking": {"children": to_json(ranking(values, context.areas, unit, decimals, lang, most=10))},
    }


def _rows(points: list[Point]) -> list[list[float | str]]:
    """Return [lon, lat, style] a point, plain ones first so that the abnormal are drawn on top; capped."""
    rows: list[list[float | str]] = [[round(p.lon, 5), round(p.lat, 5), _style(p)] for p in points]
    rows.sort(key=lambda row: row[2] in ("overdue", "asset_off"))
    return rows[-MAX_POINTS:]


def _style(point: Point) -> str:
    if point.layer == "incident":
        return "overdue" if point.state == "overdue" else "open"
    return "asset" if point.state == "ok" else "asset_off" if point.state in ("degraded", "down") else "asset"


def _legend(
    scene_map: SceneMap, tile: Tile | None, edges: list[float], whole: bool, snapshot: Snapshot, context: Context, lang: Lang
) -> list[Component]:
    out: list[Component] = []
    if tile is not None:
        unit = unit_word(tile.unit, lang)
        title = pick(tile.title, lang) + (f" ({unit})" if unit and unit not in pick(tile.title, lang).lower() else "")
        out.append(html.Div(title, className="legend-title"))
        out.append(state_chip(tile.quality.state, lang, clock_time(tile.as_of, snapshot.now, context.zone, lang)))
        decimals = 0 if whole else max(tile.decimals, 1)
        steps = ranges(edges, whole=whole)
        out.append(html.Div([_step(i, low, high, decimals, lang) for i, (low, high) in enumerate(steps)], className="legend-steps"))
    out.append(html.Div(_symbols(scene_map, snapshot, lang), className="legend-symbols"))
    if context.shapes["approximate"]:
        out.append(html.Div(say("map.approximate", lang), className="legend-note"))
    return out


def _step(i: int, low: float | None, high: float | None, decimals: int, lang: Lang) -> Component:
    if low is None and high is None:
        text = "="
    elif low is None:
        assert high is not None
        text = f"≤ {number(high, lang, decimals)}"
    elif high is None:
        text = f"≥ {number(low, lang, decimals)}"
    else:
        text = number(low, lang, decimals) if low == high else f"{number(low, lang, decimals)}–{number(high, lang, decimals)}"
    return html.Div([html.Span(className=f"swatch swatch-{i}"), html.Span(text)], className="legend-step")


def _symbols(scene_map: SceneMap, snapshot: Snapshot, lang: Lang) -> list[Component]:
    out: list[Component] = []
    if scene_map.incidents:
        out.append(html.Div([shape("map-open"), html.Span(say("map.incident", lang))]))
        out.append(html.Div([shape("map-overdue"), html.Span(say("map.overdue", lang))]))
    if scene_map.assets:
        out.append(html.Div([shape("map-asset"), html.Span(say("map.asset", lang))]))
    for layer, shown in (("incident", scene_map.incidents), ("asset", scene_map.assets)):
        total = sum(p.layer == layer for p in snapshot.points)
        if shown and total > MAX_POINTS:
            out.append(html.Div(say("map.capped", lang, shown=MAX_POINTS, all=total)))
    return out
