"""Area, period and geography of a page: periods and geographies as links, area and days as a form. `assets/picker.js` makes the form's fields.

Dash has no plain form fields; those of the browser are known to every phone, keyboard and screen reader.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.state import State, address
from dashboards.words import Lang, pick, say
from ioc.areas import Areas, english
from ioc.kpi.geography import Geography, names_of

PERIODS: tuple[str, ...] = ("", "week", "month", "quarter", "year", "ytd")


def picker(path: str, state: State, context: Context, periods: Sequence[str] = PERIODS, area: bool = True) -> Component:
    """Return the row that changes period and (`area`) area; every choice is an address."""
    lang = state.lang
    known = state.period in (*PERIODS, "today", "day")
    links = [
        html.A(
            say(f"period.{name or 'own'}", lang),
            href=address(path, replace(state, period=name)),
            **({"aria-current": "true"} if state.period == name or (name == "" and state.period in ("today", "day")) else {}),
        )
        for name in periods
    ]
    more = dict(state.more) | ({"geography": state.geography} if state.geography else {})
    form = {
        "action": path, "lang": lang, "area": state.area, "period": state.period if not known else "", "more": more,
        "areas": choices(context, lang) if area else [], "words": {name: say(f"picker.{name}", lang) for name in ("area", "from", "to", "show", "days")},
        "keep": state.period if known else "",
    }  # fmt: skip
    return html.Div(
        [
            html.Nav(links, className="periods", **{"aria-label": say("picker.period", lang)}),
            html.Div(className="picker-form", **{"data-picker": json.dumps(form, ensure_ascii=False)}),
        ],
        className="picker",
    )


def chooser(path: str, state: State, context: Context, kpis: Sequence[str], areas: Sequence[str], most: int) -> Component:
    """Return the form that chooses indicators (at most `most`) and areas (none: all) side by side."""
    lang = state.lang
    form = {
        "action": path, "lang": lang, "period": state.period, "geography": state.geography, "kpis": list(kpis), "areas": list(areas), "most": most,
        "themes": [(pick(theme.title, lang), [[kpi, pick(context.kpis[kpi].title, lang)] for kpi in of_theme]) for theme, of_theme in context.themes],
        "parts": [(say(f"geography.{state.geography}", lang), [*unit_names(context, state).items()])] if state.geography else choices(context, lang)[1:],
        "words": {name: say(f"picker.{name}", lang) for name in ("kpis", "areas", "show")},
    }  # fmt: skip
    return html.Div(className="chooser", **{"data-chooser": json.dumps(form, ensure_ascii=False)})


def choices(context: Context, lang: Lang) -> list[tuple[str, list[list[str]]]]:
    """Return the areas as groups of [code, name]: the province, its groups, its communes by name."""
    groups = [[g.group, pick(g.title, lang)] for g in context.config.province.groups]
    communes = [[code, area.name if lang == "vi" else area.name_en] for code, area in context.areas.communes.items()]
    return [
        ("", [["", say("picker.province", lang, name=context.province(lang))]]),
        *([(say("picker.groups", lang), groups)] if groups else []),
        (say("picker.communes", lang), sorted(communes, key=lambda pair: pair[1])),
    ]


def geographies(path: str, state: State) -> Component:
    """Return the links that tell values apart by today's communes or by the units until 30 June 2025."""
    lang = state.lang
    links = [
        html.A(say(f"geography.{name or 'today'}", lang), href=address(path, replace(state, geography=name)), **({"aria-current": "true"} if state.geography == name else {}))
        for name in ("", "districts", "former")
    ]
    return html.Nav(links, className="periods geographies", **{"aria-label": say("geography", lang)})


def unit_names(context: Context, state: State) -> Mapping[str, str]:
    """Return the units of the geography asked for, by code; of today's communes, in their order."""
    return _unit_names(context.areas, state.units, state.lang)


@lru_cache(maxsize=8)
def _unit_names(areas: Areas, geography: Geography, lang: Lang) -> Mapping[str, str]:
    """A table asks for them with every row."""
    return {code: name if lang == "vi" else ", ".join(map(english, name.split(", "))) for code, name in names_of(areas, geography).items()}


def part_name(code: str, context: Context, lang: Lang) -> str:
    """Return the name of the province ("" or its code), a group or a commune."""
    if code in ("", context.areas.province):
        return context.province(lang)
    for group in context.config.province.groups:
        if group.group == code:
            return pick(group.title, lang)
    area = context.areas.communes.get(code)
    return code if area is None else area.name if lang == "vi" else area.name_en
