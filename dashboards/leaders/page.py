"""All indicators by theme, for a browser, a tablet and a phone: the same tiles as on the wall."""

from __future__ import annotations

from collections.abc import Iterable

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import breakdown, frame
from dashboards.figures.parts import props_of, shape, to_json
from dashboards.figures.tile import empty_tile, tile, tile_id
from dashboards.words import Lang, pick, say
from ioc.kpi.catalogue import Theme
from ioc.kpi.tile import Tile
from ioc.live import Props, Render, Snapshot


def view_name(lang: Lang) -> str:
    return f"leaders:{lang}"


def layout(context: Context, lang: Lang) -> Component:
    """Return the page's frame: a section a theme, a place a KPI, a table for those told apart by category."""
    sections = [_section(theme, kpis, context, lang) for theme, kpis in context.themes]
    exports = html.P(
        [say("leaders.export", lang), *(html.A(form.upper(), href=f"/api/kpis.{form}?lang={lang}", download="") for form in ("csv", "xlsx"))], className="exports"
    )
    head = html.Div([html.H1(say("leaders.title", lang)), html.Div(id="summary", className="summary"), exports], className="page-title")
    return frame.page([head, *sections], context, lang, view=view_name(lang), path="/", current="leaders")


def _section(theme: Theme, kpis: list[str], context: Context, lang: Lang) -> Component:
    whole, by_category = breakdown.split([context.kpis[kpi] for kpi in kpis])
    parts: list[Component] = [html.H2(pick(theme.title, lang)), html.Div([empty_tile(kpi.kpi, lang) for kpi in whole], className="tiles")]
    if by_category is not None:
        parts += [html.H3(say("leaders.by_category", lang)), breakdown.table(by_category, lang)]
    return html.Section(parts, className="theme", **{"data-theme-id": theme.theme})


def render(context: Context, lang: Lang) -> Render:
    """Return the function that turns a snapshot into the page's properties."""
    titles = context.feed_titles(lang)
    small: set[str] = set()
    for _, kpis in context.themes:
        found = breakdown.split([context.kpis[kpi] for kpi in kpis])[1]
        small |= set(found.kpis) if found else set()

    def figure(t: Tile, snapshot: Snapshot) -> Component:
        if t.kpi in small:
            return breakdown.cell(t, lang, snapshot.now, context.zone)
        return tile(t, lang, snapshot.now, context.zone, titles, "page")

    def props(snapshot: Snapshot) -> Props:
        shown = [snapshot.tiles[kpi] for kpi in context.kpis if kpi in snapshot.tiles]
        out: Props = {tile_id(t.kpi): props_of(figure(t, snapshot)) for t in shown}
        out["summary"] = {"children": to_json(_summary([t for t in shown if t.kpi not in small], lang))}
        return out

    return props


def _summary(tiles: Iterable[Tile], lang: Lang) -> list[Component]:
    """One sentence: how many values are outside their thresholds."""
    n = sum(t.status in ("watch", "alarm") and t.value is not None for t in tiles)
    if not n:
        return [html.Span(say("leaders.normal", lang))]
    text = say("leaders.abnormal.one", lang) if n == 1 else say("leaders.abnormal", lang, n=n)
    return [shape("watch"), html.Span(text)]
