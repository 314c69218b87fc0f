"""Communes (or former units) ranked by a KPI: name, bar, number. Also the map's stand-in where no map can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import in_words, plain
from dashboards.figures.parts import shortened
from dashboards.figures.ticker import area_name
from dashboards.words import Lang, say
from ioc.areas import Areas

MAX_NAME = 48  # characters of a name; a longer one ends in an ellipsis, and is whole for the mouse


def ordered(values: Mapping[str, float | None]) -> list[tuple[float, str]]:
    """Return (value, code) from the highest value down, equal ones by code; those without a value have no place."""
    return sorted(((value, code) for code, value in values.items() if value is not None), key=lambda pair: (-pair[0], pair[1]))


def ranking(
    values: Mapping[str, float | None], areas: Areas, unit: str, decimals: int, lang: Lang, most: int | None = None,
    link: Callable[[str], str] | None = None, here: str = "", names: Mapping[str, str] | None = None, estimated: Collection[str] = (),
) -> list[Component]:  # fmt: skip
    """Return rows from the highest value down; equal values share a place. Communes without a value are counted, not shown.

    `link`: commune -> the address its row leads to; `here`: the commune to mark. `names`: the units, where they are not
    today's communes; those `estimated` are marked.
    """
    without_word = "kpi.areas_without" if names is None else "kpi.units_without"
    if names is None:
        names = {code: area_name(code, areas, lang) for code in areas.communes}
    known = [(value, code) for value, code in ordered(values) if code in names]
    if not known:
        return [html.Div(say("kpi.ranking.none", lang), className="rank-none")]
    top = max(abs(value) for value, _ in known) or 1.0
    rows: list[Component] = []
    place = 0
    for i, (value, code) in enumerate(known[:most], start=1):
        if i == 1 or value != known[i - 2][0]:
            place = i
        text = in_words(value, unit, lang, decimals)
        line = row(str(place), names[code], code, value, abs(value) / top, say("estimated", lang, value=text) if code in estimated else text, link(code) if link else "")
        if code == here:
            line.className += " rank-here"
        rows.append(line)
    without = len(names) - len(known)
    if without and most is None:
        rows.append(html.Div(say(without_word, lang, n=without), className="rank-none"))
    if any(code in estimated for _, code in known):
        rows.append(html.Div(say("estimated.note", lang), className="rank-none"))
    return rows


def row(place: str, name: str, code: str, value: float, share: float, text: str, link: str = "") -> Component:
    """A line of a ranking: place, name, a bar of `share` (0 to 1), `text`."""
    # The bar is a meter: its length is in an attribute, so no inline style is needed.
    shown = shortened(name, MAX_NAME)
    whole = {} if shown == name else {"title": name}
    return html.Div(
        [
            html.Span(place, className="rank-place"),
            html.A(shown, href=link, className="rank-name", **whole) if link else html.Span(shown, className="rank-name", **whole),
            html.Meter(value=str(round(share, 4)), min="0", max="1", className="rank-bar", **{"aria-hidden": "true"}),
            html.Span(text, className="rank-value"),
        ],
        className="rank",
        **{"data-area": code, "data-value": plain(value)},
    )
