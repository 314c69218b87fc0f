"""The latest events, newest first, one line each. Nothing scrolls: moving text cannot be read at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import clock_time, iso
from dashboards.figures.parts import shape, shortened
from dashboards.words import Lang, say
from ioc.areas import Areas
from ioc.live import TickerItem

MAX_TITLE = 30  # characters of a title that fit one line beside the time
MAX_PLACE = 34  # of a place, beside the state


def ticker(items: Sequence[TickerItem], areas: Areas, lang: Lang, now: datetime, zone: ZoneInfo) -> list[Component]:
    """Return events as lines: time, state, what, where."""
    if not items:
        return [html.Div(say("latest.none", lang), className="event event-none")]
    return [_line(item, areas, lang, now, zone) for item in items]


def _line(item: TickerItem, areas: Areas, lang: Lang, now: datetime, zone: ZoneInfo) -> Component:
    status = say(f"case.{item.status}", lang) if item.status in ("open", "paused", "closed") else item.status
    place = area_name(item.area, areas, lang)
    below = [html.Span([shape(f"case-{item.status}"), html.Span(status)], className="event-status")]
    if place:
        below.append(html.Span(shortened(place, MAX_PLACE), className="event-area"))
    return html.Div(
        [
            html.Span(clock_time(item.time, now, zone, lang), className="event-time"),
            html.Span(shortened(item.title or item.category, MAX_TITLE), className="event-title"),
            html.Span(below, className="event-below"),
        ],
        className="event",
        **{"data-feed": item.feed, "data-time": iso(item.time)},
    )


def area_name(code: str | None, areas: Areas, lang: Lang) -> str:
    """Return a commune's name in `lang`, the code itself when it is none of ours, '' for none."""
    if code is None:
        return ""
    area = areas.communes.get(code)
    if area is None:
        return "" if code == areas.province else code
    return area.name if lang == "vi" else area.name_en
