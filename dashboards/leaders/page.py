"""All indicators by theme, for a browser, a tablet and a phone: the same tiles as on the wall."""

from __future__ import annotations

from collections.abc import Iterable

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import frame
from dashboards.figures.parts import props_of, shape, to_json
from dashboards.figures.tile import empty_tile, tile, tile_id
from dashboards.words import Lang, pick, say
from ioc.kpi.tile import Tile
from ioc.live import Props, Render, Snapshot


def view_name(lang: Lang) -> str:
    return f"leaders:{lang}"


def layout(context: Context, lang: Lang) -> Component:
    """Return the page's frame: a section a theme, a place a KPI."""
    sections = [
        html.Section(
            [html.H2(pick(theme.title, lang)), html.Div([empty_tile(kpi, lang) for kpi in kpis], className="tiles")],
            className="theme",
            **{"data-theme-id": theme.theme},
        )
        for theme, kpis in context.themes
    ]
    head = html.Div([html.H1(say("leaders.title", lang)), html.Div(id="summary", className="summary")], className="page-title")
    return frame.page([head, *sections], context, lang, view=view_name(lang), path="/", current="leaders")


def render(context: Context, lang: Lang) -> Render:
    """Return the function that turns a snapshot into the page's properties."""
    titles = context.feed_titles(lang)

    def props(snapshot: Snapshot) -> Props:
        out: Props = {
            tile_id(kpi): props_of(tile(snapshot.tiles[kpi], lang, snapshot.now, context.zone, titles, "page"))
            for kpi in context.kpis
            if kpi in snapshot.tiles
        }
        out["summary"] = {"children": to_json(_summary(snapshot.tiles.values(), lang))}
        return out

    return props


def _summary(tiles: Iterable[Tile], lang: Lang) -> list[Component]:
    """One sentence: how many values are outside their thresholds."""
    n = sum(t.status in ("watch", "alarm") and t.value is not None for t in tiles)
    if not n:
        return [html.Span(say("leaders.normal", lang))]
    text = say("leaders.abnormal.one", lang) if n == 1 else say("leaders.abnormal", lang, n=n)
    return [shape("watch"), html.Span(text)]
