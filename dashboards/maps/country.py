"""The country in the corner of the map: Việt Nam with the archipelagos Hoàng Sa and Trường Sa, and where the province lies.

A sketch of our own, drawn from about 80 rounded coordinates (degrees east, north; WGS 84): it places things, it is no
source for a border. It is one SVG from our own server, so it is there without internet, and in every scene with a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboards.words import Lang, say

WEST, SOUTH, EAST, NORTH = 101.6, 6.4, 118.0, 23.8
BOUNDS = (WEST, SOUTH, EAST, NORTH)
_SCALE = 20  # units of the drawing in a degree

MAINLAND = [
    (102.15, 22.40), (102.5, 22.75), (103.0, 22.45), (103.5, 22.75), (103.95, 22.52), (104.4, 22.78), (104.8, 22.90), (105.33, 23.39), (105.9, 22.95),
    (106.6, 22.90), (106.75, 22.35), (106.7, 21.98), (107.3, 21.60), (108.05, 21.53), (107.4, 21.15), (106.9, 20.8), (106.6, 20.3), (106.1, 19.95),
    (105.8, 19.3), (105.75, 18.75), (106.2, 18.25), (106.5, 17.85), (107.05, 17.0), (107.7, 16.5), (108.25, 16.15), (108.75, 15.45), (109.05, 14.8),
    (109.25, 13.8), (109.3, 13.1), (109.45, 12.75), (109.2, 12.2), (109.2, 11.75), (108.95, 11.35), (108.1, 10.9), (107.3, 10.45), (106.95, 10.35),
    (106.75, 10.05), (106.6, 9.7), (106.2, 9.35), (105.4, 8.98), (104.8, 8.58), (104.85, 9.4), (105.05, 9.95), (104.5, 10.35), (105.1, 10.95),
    (106.1, 11.1), (105.85, 11.65), (106.45, 11.72), (107.5, 12.35), (107.55, 13.5), (107.35, 14.15), (107.55, 14.75), (107.65, 15.35), (107.2, 15.85),
    (107.45, 16.1), (106.85, 16.45), (106.4, 17.05), (105.75, 17.65), (105.15, 18.4), (105.1, 18.65), (103.9, 19.3), (104.1, 19.65), (104.95, 20.0),
    (104.65, 20.4), (104.35, 20.7), (103.75, 20.7), (103.1, 20.9), (102.85, 21.3), (102.95, 21.7), (102.55, 22.0),
]  # fmt: skip
ISLANDS = [(103.98, 10.2), (106.6, 8.7)]  # Phú Quốc, Côn Đảo
HOANG_SA = [(111.2, 15.78), (111.61, 16.53), (111.5, 17.1), (112.33, 16.83), (112.73, 16.67)]
TRUONG_SA = [
    (111.92, 8.64), (112.23, 8.85), (112.91, 7.89), (113.3, 8.17), (113.7, 8.97), (113.98, 8.8), (114.33, 9.89), (114.36, 10.18), (114.37, 10.38), (114.33, 11.43),
    (115.53, 9.9),
]  # fmt: skip


def _xy(lon: float, lat: float) -> tuple[float, float]:
    return round((lon - WEST) * _SCALE, 1), round((NORTH - lat) * _SCALE, 1)


def svg(bounds: Sequence[float]) -> str:
    """Return the drawing; `bounds` (west, south, east, north) of the province become a frame in it."""
    land = " ".join(f"{x},{y}" for x, y in (_xy(*place) for place in MAINLAND))
    west, south, east, north = bounds
    (left, top), (right, bottom) = _xy(west, north), _xy(east, south)
    dots = [_dots("other", ISLANDS, 4), _dots("hoang-sa", HOANG_SA, 4), _dots("truong-sa", TRUONG_SA, 4)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {(EAST - WEST) * _SCALE:.0f} {(NORTH - SOUTH) * _SCALE:.0f}">'
        f'<polygon id="mainland" points="{land}" fill="#5b6b7a"/>{"".join(dots)}'
        f'<rect id="province" x="{left}" y="{top}" width="{right - left:.1f}" height="{bottom - top:.1f}" fill="none" stroke="#f5f8fa" stroke-width="5"/></svg>'
    )


def shapes(lang: Lang) -> dict[str, Any]:
    """Return the same drawing for a map that looks at the whole country: bounds, land, and the islands with their names."""
    groups = [("map.hoang_sa", HOANG_SA), ("map.truong_sa", TRUONG_SA)]
    return {
        "bounds": [WEST, SOUTH, EAST, NORTH],
        "land": [[*MAINLAND, MAINLAND[0]]],
        "islands": [list(place) for place in (*ISLANDS, *HOANG_SA, *TRUONG_SA)],
        "labels": [{"position": [max(x for x, _ in places) - 0.6, min(y for _, y in places) - 0.7], "text": say(name, lang)} for name, places in groups],
    }


def _dots(name: str, places: Sequence[tuple[float, float]], radius: float) -> str:
    circles = "".join(f'<circle cx="{x}" cy="{y}" r="{radius}"/>' for x, y in (_xy(*place) for place in places))
    return f'<g id="{name}" fill="#dce4ea">{circles}</g>'


def inset(lang: Lang) -> Component:
    """Return the corner of the map; the names are text of the page, in its font and language."""
    return html.Figure(
        [
            html.Img(src="/map/country.svg", alt=say("map.country", lang)),
            html.Span(say("map.hoang_sa", lang), className="country-name country-hoang-sa"),
            html.Span(say("map.truong_sa", lang), className="country-name country-truong-sa"),
        ],
        className="map-country",
    )
