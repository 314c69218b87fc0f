"""Search over indicators, areas and feeds, with or without diacritics. The field stands on every office page; `/` leads to it."""

from __future__ import annotations

from dataclasses import dataclass

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import frame
from dashboards.figures.picker import part_name
from dashboards.leaders.page import exports
from dashboards.pdf import Paper, Part, Table
from dashboards.state import State
from dashboards.words import Lang, pick, say
from ioc.areas import fold

PATH = "/search"
_MOST = 60  # results shown; who types one letter must type another


@dataclass(frozen=True)
class Entry:
    """`words`: everything it may be found by, in both languages."""

    kind: str
    title: str
    href: str
    words: tuple[str, ...]


def entries(context: Context, state: State) -> list[Entry]:
    """Return everything that can be found, in the state of the page."""
    lang = state.lang
    found = [Entry("kpi", pick(k.title, lang), state.href(f"/kpi/{k.kpi}"), (k.title.vi, k.title.en, k.kpi)) for k in context.kpis.values()]
    found += [
        Entry("area", part_name(code, context, lang), state.href("/", area=code), (part_name(code, context, "vi"), part_name(code, context, "en"), code))
        for code in [*(g.group for g in context.config.province.groups), *context.areas.communes]
    ]
    return found + [Entry("feed", pick(f.title, lang), f"/operations?lang={lang}", (f.title.vi, f.title.en, f.feed)) for f in context.config.feeds if f.enabled]


def search(text: str, among: list[Entry]) -> list[Entry]:
    """Return the entries of which one name has all words of `text`; those whose name begins with it first."""
    words = [folded for word in text.split() if (folded := fold(word))]
    if not words:
        return []
    found = [(entry, [name for name in map(fold, entry.words) if all(word in name for word in words)]) for entry in among]
    hits = [(not any(name.startswith("".join(words)) for name in names), i, entry) for i, (entry, names) in enumerate(found) if names]
    return [entry for _, _, entry in sorted(hits, key=lambda hit: hit[:2])]


def matches(context: Context, state: State) -> list[Entry]:
    """Return what the page shows."""
    return search(state.get("q"), entries(context, state))


def table(found: list[Entry], lang: Lang) -> tuple[list[str], list[list[str]]]:
    """Return what was found as a head and rows: kind, name, code."""
    head = [say("search.kind", lang), say("search.name", lang), say("paper.code", lang)]
    return head, [[say(f"search.{entry.kind}", lang), entry.title, entry.words[-1]] for entry in found[:_MOST]]


def paper(found: list[Entry], context: Context, state: State) -> Paper:
    """Return what was found as A4."""
    lang, (head, rows) = state.lang, table(found, state.lang)
    return Paper(say("search", lang), [_said(len(found), state)], [Part(table=Table(head, rows, (2, 5, 2)))] if rows else [], f"{context.province(lang)} · {say('centre', lang)}")


def _said(n: int, state: State) -> str:
    text = state.get("q")
    return say("search.found", state.lang, n=n, text=text) if text else say("search.type", state.lang)


def layout(context: Context, state: State) -> Component:
    lang, found = state.lang, matches(context, state)
    files = [exports("/api/search", state, keep=True)] if found else []
    groups: list[Component] = []
    for kind in ("kpi", "area", "feed"):
        if rows := [html.A(entry.title, href=entry.href, **{"data-found": kind}) for entry in found[:_MOST] if entry.kind == kind]:
            groups.append(html.Section([html.H2(say(f"search.{kind}", lang)), html.Div(rows, className="found")], className="card change-card"))
    return frame.page([html.Div([html.H1(say("search", lang)), html.P(_said(len(found), state), className="description", role="status"), *files], className="page-title"), *groups], context, state, view="", path=PATH, current="search")
