"""All indicators by theme, for a browser, a tablet and a phone: the same tiles as on the wall, of any area and period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import breakdown, frame
from dashboards.figures.numbers import in_words, signed
from dashboards.figures.parts import props_of, shape, to_json
from dashboards.figures.picker import part_name, picker
from dashboards.figures.tile import empty_tile, tile, tile_id, titled
from dashboards.kept import Kept
from dashboards.state import State, address
from dashboards.words import Lang, pick, say
from ioc.clock import local_day
from ioc.kpi.catalogue import Theme
from ioc.kpi.tile import STATES, Tile
from ioc.live import FeedView, Props, Render, Snapshot

MOST = 8  # values that need attention, named at the top; the others are counted
VIEW = "leaders"
FORMS = ("csv", "xlsx", "pdf")


def view_name(state: State) -> str:
    return state.view(VIEW)


def layout(context: Context, state: State) -> Component:
    """Return the page's frame: what needs attention, then a section a theme, a place a KPI, a table for those told apart by category."""
    lang = state.lang
    sections = [_section(theme, kpis, context, state) for theme, kpis in context.themes]
    title = say("leaders.title", lang) if not state.area else f"{say('leaders.title', lang)} · {part_name(state.area, context, lang)}"
    head = html.Div([html.H1(title), html.Div(id="sources", className="sources"), exports("/api/kpis", state), html.A(say("brief.open", lang), href=f"/brief?lang={lang}", className="to-brief")], className="page-title")
    first = html.Section(
        [html.Div(id="summary", className="summary"), html.Div(id="attention", className="attention")], className="first", **{"aria-label": say("leaders.first", lang)}
    )
    jump = html.Nav(
        [html.A(pick(theme.title, lang), href=f"#theme-{theme.theme}") for theme, _ in context.themes],
        className="jump", **{"aria-label": say("leaders.jump", lang)},
    )  # fmt: skip
    content = [head, picker("/", state, context), first, jump, *sections]
    return frame.page(content, context, state, view=view_name(state), path="/", current="leaders")


def exports(path: str, state: State, keep: bool = False, forms: Sequence[str] = FORMS, what: str = "leaders.export") -> Component:
    """Links to what is on the screen, as files. `keep`: with everything the address says; `what`: the word before them."""
    links = [html.A(form.upper(), href=address(f"{path}.{form}", state) if keep else state.href(f"{path}.{form}"), download="") for form in forms]
    return html.P([say(what, state.lang), *links], className="exports")


def _section(theme: Theme, kpis: list[str], context: Context, state: State) -> Component:
    lang = state.lang
    whole, by_category = breakdown.split([context.kpis[kpi] for kpi in kpis if context.kpis[kpi].overview])
    parts: list[Component] = [html.H2(pick(theme.title, lang))]
    if whole:
        parts.append(html.Div([empty_tile(kpi.kpi, lang) for kpi in whole], className="tiles"))
    if by_category is not None:
        parts += [html.H3(say("leaders.by_category", lang)), breakdown.table(by_category, lang)]
    if more := [context.kpis[kpi] for kpi in kpis if not context.kpis[kpi].overview]:
        links = [html.Li(html.A(pick(kpi.title, lang), href=state.href(f"/kpi/{kpi.kpi}"))) for kpi in more]
        parts.append(html.Details([html.Summary(say("leaders.more", lang, n=len(more))), html.Ul(links)], className="more"))
    return html.Section(parts, id=f"theme-{theme.theme}", className="theme", **{"data-theme-id": theme.theme})


def of_parts(context: Context, state: State) -> dict[str, list[str]]:
    """Return what the page asks for beside the tiles every screen shows."""
    return {} if state.plain else {str(state.asked): context.overview}


def render(context: Context, state: State) -> Render:
    """Return the function that turns a snapshot into the page's properties; what has not changed is not drawn again."""
    lang = state.lang
    titles = context.feed_titles(lang)
    small: set[str] = set()
    for _, kpis in context.themes:
        found = breakdown.split([context.kpis[kpi] for kpi in kpis if context.kpis[kpi].overview])[1]
        small |= set(found.kpis) if found else set()

    kept = Kept()

    def figure(t: Tile, now: datetime) -> dict[str, Any]:
        link = state.href(f"/kpi/{t.kpi}")
        if t.kpi in small:
            return props_of(breakdown.cell(t, lang, now, context.zone, link))
        return props_of(tile(t, lang, now, context.zone, titles, "page", link))

    def props(snapshot: Snapshot) -> Props:
        day = local_day(snapshot.now, context.zone)  # all that a figure takes of the time
        tiles = snapshot.tiles if state.plain else snapshot.parts.get(str(state.asked), {})
        shown = [tiles[kpi] for kpi in context.overview if kpi in tiles]
        out: Props = {tile_id(t.kpi): kept.of(t.kpi, (t, day), partial(figure, t, snapshot.now)) for t in shown}
        abnormal = sorted((t for t in shown if t.kpi not in small and t.status in ("watch", "alarm") and t.value is not None), key=lambda t: t.status != "alarm")
        if shown:
            out["summary"] = {"children": to_json(_summary(len(abnormal), lang))}
            out["attention"] = {"children": to_json([_line(t, state) for t in abnormal[:MOST]])}
        out["sources"] = {"children": to_json(_sources(snapshot.feeds, lang))}
        return out

    return props


def _summary(n: int, lang: Lang) -> list[Component]:
    """One sentence: how many values are outside their thresholds."""
    if not n:
        return [shape("good"), html.Span(say("leaders.normal", lang))]
    text = say("leaders.abnormal", lang, n=n)
    rest = [html.Span(say("leaders.rest", lang, n=n - MOST), className="rest")] if n > MOST else []
    return [shape("watch"), html.Strong(text), *rest]


def _line(t: Tile, state: State) -> Component:
    """A value that needs attention, in one line: how bad, what, how much, which way it goes."""
    lang = state.lang
    assert t.value is not None
    change = [html.Span(signed(t.delta.value, t.unit, lang, t.decimals), className="attention-change")] if t.delta else []
    return html.A(
        [
            html.Span(shape(t.status), className=f"mark mark-{t.status}", role="img", **{"aria-label": say(f"status.{t.status}", lang)}),
            html.Span(titled(t, lang), className="attention-title"),
            html.Span(in_words(t.value, t.unit, lang, t.decimals), className="attention-value"),
            *change,
        ],
        href=state.href(f"/kpi/{t.kpi}"),
        **{"data-attention": t.kpi},
    )


def _sources(feeds: Sequence[FeedView], lang: Lang) -> list[Component]:
    """How many feeds are in which state; those that are not live lead the eye to the operators' page."""
    counted = [(state, sum(feed.state == state for feed in feeds)) for state in STATES]
    chips = [html.Span([shape(state), html.Span(f"{n} {say(f'state.{state}', lang)}")], className=f"chip chip-{state}") for state, n in counted if n]
    return [html.A([html.Span(say("leaders.sources", lang)), *chips], href=f"/operations?lang={lang}")]
