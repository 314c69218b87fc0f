"""The wall: the empty frame of its scenes, and the pure function that fills them from a snapshot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import camera, charts, header
from dashboards.figures.feeds import feed_strip
from dashboards.figures.parts import props_of, to_json
from dashboards.figures.ticker import area_name, ticker
from dashboards.figures.tile import empty_tile, tile, tile_id
from dashboards.kept import Kept
from dashboards.maps import panel
from dashboards.wall import past
from dashboards.wall.scene import Chart, Scene
from dashboards.words import Lang, pick, say
from ioc.clock import local_day
from ioc.config import Camera
from ioc.kpi.tile import History, Tile
from ioc.live import Props, Render, Snapshot, TickerItem

# Height of a letter as a share of the viewing distance.
DEFAULT_LETTER = 0.0058
LEAST_LETTER = 0.00465


def view_name(scenes: Sequence[Scene], lang: Lang) -> str:
    return f"wall/{scenes[0].name}:{lang}" if len(scenes) == 1 else f"wall:{lang}"


def layout(scenes: Sequence[Scene], context: Context, lang: Lang, at: str | None = None) -> Component:
    """Return the frame of a wall that shows these scenes by turns; the live link fills it, `assets/scenes.js` turns it.

    `at`: what the address says of an earlier moment; the wall then shows that one and says so.

    Everything of every scene is in it once: a tile that is on three scenes is one tile, the map is one map. What belongs
    to a scene is shown by rules that `assets/scenes.js` makes of `data-scenes`.
    """
    settings = context.config.scenes
    return html.Div(
        [
            *header.link_banner(lang),
            *([] if at is None else [past.bar(lang)]),
            _header(scenes, context, lang),
            html.Main(_body(scenes, context, lang), className="wall-body"),
            html.Div(id="wall-help", className="wall-help", hidden=True, role="dialog", **{"aria-label": say("wall.help", lang)}),
        ],
        id="scene",
        className="wall",
        lang=lang,
        style=_measures(settings.viewing_distance_m, settings.pixel_pitch_mm),
        **{
            "data-scene": scenes[0].name,
            "data-scenes": json.dumps([_turn(scene, context, lang) for scene in scenes], ensure_ascii=False),
            "data-words": json.dumps({name: say(f"wall.{name}", lang) for name in _WORDS}, ensure_ascii=False),
            "data-dimming": json.dumps(settings.dimming.model_dump()),
            "data-zone": context.config.timezone,
            "data-view": view_name(scenes, lang),
            "data-version": context.version,
            "data-theme": "dark",
            "data-viewing-distance-m": str(settings.viewing_distance_m or ""),
            "data-pixel-pitch-mm": str(settings.pixel_pitch_mm),
        }
        | ({} if at is None else {"data-at": past.moment(at, context.zone)}),
    )


_WORDS = ("help", "paused", "keys", "find", "none", "short")


def _turn(scene: Scene, context: Context, lang: Lang) -> dict[str, object]:
    """What the browser must know of a scene."""
    return {
        "name": scene.name,
        "title": pick(scene.title, lang),
        "tiles": [{"kpi": kpi, "id": tile_id(kpi, scene.area), "title": pick(context.kpis[kpi].title, lang)} for kpi in scene.tiles],
        "columns": scene.columns,
        "columns_wide": scene.columns_wide,
        "charts": [chart_id(chart, scene.area) for chart in scene.charts],
        "stills": [camera.still_id(name) for name in scene.cameras],
        "dwell_s": scene.dwell_s or context.config.scenes.dwell_s,
        "hours": scene.schedule.hours,
        "days": scene.schedule.days,
        "skip": scene.skip_when_empty,
        "map": scene.map.model_dump() if scene.map else None,
        "codes": context.parts[scene.area] if scene.area else None,  # the camera shows these communes
        "ticker": scene.ticker,
        "feeds": scene.feeds,
    }


def _measures(distance_m: float | None, pitch_mm: float) -> dict[str, str | int]:
    """Style properties: the height of a small letter that a viewer at this distance needs.

    Default and least after NUREG-0700 and ISO 9241: 20 and 16 minutes of arc. Where a whole scene has no room for the least,
    `assets/far.js` divides it. Without a distance letters are as large as a whole scene has room for.
    """
    if distance_m is None:
        return {}
    px_per_m = 1000 / pitch_mm
    return {
        "--letter": f"{DEFAULT_LETTER * distance_m * px_per_m:.2f}px",
        "--letter-least": f"{LEAST_LETTER * distance_m * px_per_m:.2f}px",
    }


def _header(scenes: Sequence[Scene], context: Context, lang: Lang) -> Component:
    titles = [html.Span(pick(scene.title, lang), className="scene-title", **{"data-for": scene.name}) for scene in scenes]
    marks = html.Span([html.Span(className="scene-mark", **{"data-mark": scene.name}) for scene in scenes], className="scene-marks", **{"aria-hidden": "true"})
    turning = [*([marks] if len(scenes) > 1 else []), html.Span(id="scene-state", className="scene-state")]
    return html.Header(
        [
            html.H1([html.Span(context.province(lang), className="province"), *titles, *turning]),
            header.clock(lang, context.config.timezone),
        ],
        className="wall-header",
    )


def _body(scenes: Sequence[Scene], context: Context, lang: Lang) -> list[Component]:
    tiles = html.Section([empty_tile(kpi, lang, area) for kpi, area in _tiles(scenes)], className="tiles")
    left: list[Component] = [tiles]
    if drawn := _charts(scenes):
        left.append(html.Section([html.Div(id=name, className="chart", **charts.attributes(chart.chart, [])) for name, (chart, _) in drawn.items()], className="charts"))
    if cameras := _cameras(scenes):
        left.append(html.Section([camera.tile(_named(name, context), None, lang, None, context.config.stills.frozen_s) for name in cameras], className="stills"))
    if any(scene.feeds for scene in scenes):
        left.append(html.Section(id="feeds", className="feed-strip", **{"aria-label": say("feeds", lang)}))
    right: list[Component] = []
    if mapped := [scene for scene in scenes if scene.map]:
        right.append(panel.layout(mapped, context, lang))
    if any(scene.ticker for scene in scenes):
        right.append(html.Section(id="ticker", className="ticker", **{"aria-label": say("latest", lang)}))
    columns: list[Component] = [html.Div(left, className="wall-left")]
    if right:
        columns.append(html.Div(right, className="wall-right"))
    return columns


def _tiles(scenes: Sequence[Scene]) -> list[tuple[str, str | None]]:
    """Return the (KPI, area) of all scenes, each once."""
    return list(dict.fromkeys((kpi, scene.area) for scene in scenes for kpi in scene.tiles))


def chart_id(chart: Chart, area: str | None) -> str:
    """Return the id of a chart: the same for the same chart on two scenes."""
    own = [chart.chart, *chart.of, *([chart.order, str(chart.most)] if chart.chart == "ranking" else []), *([area] if area else [])]
    return "chart-" + "-".join(own)


def _charts(scenes: Sequence[Scene]) -> dict[str, tuple[Chart, str | None]]:
    """Return id -> (chart, area) of all scenes, each once."""
    return {chart_id(chart, scene.area): (chart, scene.area) for scene in scenes for chart in scene.charts}


def _cameras(scenes: Sequence[Scene]) -> list[str]:
    """Return the cameras of all scenes, each once."""
    return list(dict.fromkeys(name for scene in scenes for name in scene.cameras))


def _named(name: str, context: Context) -> Camera:
    return next(found for found in context.config.stills.cameras if found.camera == name)


def of_areas(scenes: Sequence[Scene]) -> list[str]:
    """Return the KPIs whose values by commune the scenes' maps and rankings show."""
    mapped = [scene.map.kpi for scene in scenes if scene.map]
    return list(dict.fromkeys(mapped + [kpi for scene in scenes for chart in scene.charts if chart.chart == "ranking" for kpi in chart.of]))


def of_courses(scenes: Sequence[Scene]) -> dict[str, list[str]]:
    """Return area ("" the province) -> KPIs whose past the scenes' charts draw."""
    found: dict[str, list[str]] = {}
    for chart, area in _charts(scenes).values():
        if chart.chart in ("trend", "calendar"):
            found.setdefault(area or "", []).extend(chart.of)
    return found


def of_parts(scenes: Sequence[Scene]) -> dict[str, list[str]]:
    """Return area -> KPIs of the scenes that show a part of the province."""
    found: dict[str, list[str]] = {}
    for kpi, area in [*_tiles(scenes), *((kpi, area) for chart, area in _charts(scenes).values() for kpi in chart.of)]:
        if area is not None and kpi not in found.setdefault(area, []):
            found[area].append(kpi)
    return found


def render(scenes: Sequence[Scene], context: Context, lang: Lang) -> Render:
    """Return the function that turns a snapshot into these scenes' properties; what has not changed is not drawn again."""
    titles = context.feed_titles(lang)
    mapped = [scene for scene in scenes if scene.map]
    shown, drawn, cameras = _tiles(scenes), _charts(scenes), _cameras(scenes)
    listed = [scene for scene in scenes if scene.ticker]
    strip = any(scene.feeds for scene in scenes)
    kept = Kept()

    def props(snapshot: Snapshot) -> Props:
        out: Props = {}
        now = snapshot.now
        day = local_day(now, context.zone)  # all that a tile, a chart or a line takes of the time
        for kpi, area in shown:
            if (value := _part(snapshot, area).get(kpi)) is not None:
                name = tile_id(kpi, area)
                out[name] = kept.of(name, (value, day), partial(_tile, value, lang, now, context.zone, titles))
        for name, (chart, area) in drawn.items():
            tiles = _part(snapshot, area)
            if all(kpi in tiles for kpi in chart.of):
                of = [tiles[kpi] for kpi in chart.of]
                past, values = snapshot.courses.get(area or "", {}).get(of[0].kpi), snapshot.by_area.get(of[0].kpi, {}) if chart.chart == "ranking" else {}
                out[name] = kept.of(name, (of, past, values, day), partial(_chart, chart, area, of, past, values, now, context, lang))
        for name in cameras:
            found = camera.tile(_named(name, context), snapshot.stills.get(name), lang, now, context.config.stills.frozen_s)
            out[camera.still_id(name)] = props_of(found)
        if strip:
            out["feeds"] = {"children": to_json(feed_strip(snapshot.feeds, lang, now, context.zone))}
        if listed:
            latest = [(scene.name, _latest(scene, snapshot)) for scene in listed]
            out["ticker"] = kept.of("ticker", (latest, day), partial(_tickers, latest, now, context, lang))
        if mapped:
            out |= panel.props(mapped, snapshot, context, lang, kept)
        return out

    return props


def _part(snapshot: Snapshot, area: str | None) -> dict[str, Tile]:
    """Return the tiles of the province, or of a part of it."""
    return snapshot.tiles if area is None else snapshot.parts.get(area, {})


def _latest(scene: Scene, snapshot: Snapshot) -> list[TickerItem]:
    """Return the newest events of the feeds the scene is about: those of its tiles. Where these list none, of all feeds."""
    feeds = {feed for kpi in scene.tiles if kpi in snapshot.tiles for feed in snapshot.tiles[kpi].source}
    return ([item for item in snapshot.ticker if item.feed in feeds] or snapshot.ticker)[: scene.ticker]


def _tickers(latest: list[tuple[str, list[TickerItem]]], now: datetime, context: Context, lang: Lang) -> dict[str, object]:
    """Return the ticker's properties: the lines of each scene."""
    of = [html.Div(ticker(items, context.areas, lang, now, context.zone), className="ticker-of", **{"data-for": name}) for name, items in latest]
    return {"children": to_json(of)}


def _tile(value: Tile, lang: Lang, now: datetime, zone: ZoneInfo, titles: dict[str, str]) -> dict[str, object]:
    return props_of(tile(value, lang, now, zone, titles, "wall"))


def _chart(
    chart: Chart, area: str | None, tiles: list[Tile], past: History | None, values: dict[str, float | None], now: datetime, context: Context, lang: Lang
) -> dict[str, object]:
    """Return the properties of a chart's root. `past`, `values`: the first KPI's, from before its spark and by commune."""
    zone, first = context.zone, tiles[0]
    match chart.chart:
        case "trend":
            inside = charts.trend(first, past, lang, now, zone)
        case "calendar":
            inside = charts.calendar(first, past, lang, now, zone)
        case "ranking":
            codes = context.parts[area] if area else tuple(context.areas.communes)
            names = {code: area_name(code, context.areas, lang) for code in codes}
            inside = charts.ranked(first, values, names, lang, now, zone, chart.most, chart.order == "lowest")
        case "flow":
            inside = charts.flow(tiles, lang, now, zone, pick(chart.title, lang) if chart.title else "")
        case "bars":
            inside = charts.bars(pick(chart.title, lang) if chart.title else "", tiles, lang, now, zone)
    return props_of(charts.root(chart.chart, inside, tiles))
