"""The frame of the office pages: skip link, navigation, clock, banner."""

from __future__ import annotations

from dataclasses import replace

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import header
from dashboards.state import State, address
from dashboards.words import Lang, say
from ioc import rights


def page(content: list[Component], context: Context, state: State, *, view: str, path: str, current: str) -> Component:
    """Return a whole page. `view`: what the live link fills it from ('' for none); `current`: its entry in the menu."""
    lang = state.lang
    data = {"data-version": context.version, "data-theme": "light"} | ({"data-view": view} if view else {})
    return html.Div(
        [
            html.A(say("nav.skip", lang), href="#main", className="skip"),
            *header.link_banner(lang),
            html.Header(
                [
                    html.Div(
                        [html.Span(context.province(lang), className="province"), html.Span(say("centre", lang), className="centre")],
                        className="brand",
                    ),
                    html.Div(className="search", **{"data-search": say("search", lang), "data-lang": lang, "data-value": state.get("q")}),
                    html.Nav(_menu(state, current, path), **{"aria-label": say("nav.menu", lang)}),
                    header.clock(lang, context.config.timezone),
                ],
                className="page-header",
            ),
            html.Main(content, id="main", tabIndex="-1"),
        ],
        className=f"page page-{current}",
        lang=lang,
        **data,
    )


def _menu(state: State, current: str, path: str) -> list[Component]:
    """The pages of leaders keep area and period; the other language keeps everything. Who is signed in sees it here."""
    lang = state.lang
    other: Lang = "en" if lang == "vi" else "vi"
    who = rights.current()
    entries = [(name, say(f"nav.{name}", lang), href) for name, href in (
        ("leaders", state.href("/")), ("compare", state.href("/compare", area="")), ("changes", f"/changes?lang={lang}"), ("operations", f"/operations?lang={lang}"), ("wall", f"/wall?lang={lang}"),
    )]  # fmt: skip
    if rights.may(who, "administer"):
        entries.append(("users", say("nav.users", lang), f"/admin/users?lang={lang}"))
    if who.kind == "person":
        entries.append(("account", who.name, f"/account?lang={lang}"))
    elif who.kind == "nobody":
        entries.append(("login", say("nav.login", lang), f"/login?lang={lang}"))
    links = [html.A(word, href=href, **({"aria-current": "page"} if name == current else {})) for name, word, href in entries]
    return [*links, html.A(say("nav.language", lang), href=address(path, replace(state, lang=other)), className="language", lang=other, hrefLang=other)]
