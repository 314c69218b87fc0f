"""The wall's header and the banner of a cut link. `assets/live.js` fills clock, date and times; React leaves them alone."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dashboards.words import Lang, say


def clock(lang: Lang, timezone: str) -> Component:
    """Date and time of the province, ticking in the browser, corrected by the server's clock."""
    marks = {"data-zone": timezone, "data-lang": lang}
    return html.Div(
        [html.Span(className="clock-date", **{"data-clock": "date", **marks}), html.Span(className="clock-time", **{"data-clock": "time", **marks})],
        className="clock",
    )


def link_banner(lang: Lang) -> list[Component]:
    """What is shown when the link to the server is cut, and when this screen's token was refused."""
    lost = html.Div(
        [
            html.Span(className="shape shape-lost", **{"aria-hidden": "true"}),
            html.Strong(say("link.lost", lang)),
            html.Span([say("link.since", lang), " ", html.Span(**{"data-link-since": ""})]),
            html.Span(say("link.note", lang), className="link-note"),
        ],
        id="link-lost",
        hidden=True,
        role="alert",
    )
    denied = html.Div(
        [html.Strong(say("link.denied", lang)), html.Span(say("link.denied.note", lang))], id="link-denied", hidden=True, role="alert"
    )
    return [lost, denied]
