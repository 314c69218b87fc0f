"""The deck as pydeck writes it, once per page: layers, camera, colours. Rows come later, layer by layer."""

from __future__ import annotations

import json
from typing import Any

import pydeck as pdk

from dashboards.maps import country, points
from dashboards.maps.geometry import main_communes
from dashboards.words import Lang, say
from ioc.areas import Areas

# Calm steps of one hue, dark to light: more is lighter on the dark wall. Last: alpha.
PALETTE: list[list[int]] = [[38, 50, 62, 255], [58, 82, 104, 255], [84, 118, 148, 255], [122, 160, 190, 255], [176, 206, 228, 255]]
# A commune without a value: empty, with a line around it and hatched across the hatching of warnings. Widths and gap in hundredths of the text size.
NO_DATA: dict[str, Any] = {"fill": [26, 34, 43, 255], "line": [112, 123, 134, 255], "width": 6, "hatch": [112, 123, 134, 150], "hatch_width": 5, "gap": 50}
MAX_LABEL = 24  # characters of a commune's name on the map; the longest of the country today has 19
_LINE = [14, 19, 25, 255]
# An area a case concerns: outlined and hatched, heavier where it is grave. Widths likewise.
OUTLINES: dict[str, dict[str, Any]] = {
    "grave": {"line": [255, 176, 32, 255], "width": 14, "hatch": [255, 176, 32, 170], "hatch_width": 6, "gap": 55},
    "other": {"line": [240, 244, 248, 255], "width": 8, "hatch": [240, 244, 248, 110], "hatch_width": 4, "gap": 90},
}
HEAT: list[list[int]] = [[245, 248, 250, alpha] for alpha in (45, 90, 140, 190, 240)]
_SHARP = {"sdf": True, "fontSize": 64, "buffer": 12, "smoothing": 0.2}

# open is a ring, overdue a full disc: told apart without colour. Radius in hundredths of the text size.
STYLES: dict[str, dict[str, Any]] = {
    "open": {"fill": [0, 0, 0, 0], "line": [240, 244, 248, 210], "radius": 13, "width": 5},
    "overdue": {"fill": [255, 176, 32, 255], "line": [16, 20, 26, 255], "radius": 20, "width": 5},
    "vehicle": {"fill": [240, 244, 248, 255], "line": [16, 20, 26, 255], "radius": 10, "width": 3},
    "asset": {"fill": [200, 210, 220, 150], "line": [0, 0, 0, 0], "radius": 6, "width": 0},
    "asset_off": {"fill": [0, 0, 0, 0], "line": [255, 176, 32, 255], "radius": 12, "width": 5},
    "asset_frozen": {"text": "ll", "line": [255, 176, 32, 255], "size": 90},  # two bars, as of a film that is held
    "asset_down": {"text": "×", "line": [255, 176, 32, 255], "size": 135},  # a cross: what works in part and what does not differ without colour
}


def spec(areas: Areas, bounds: list[float], lang: Lang) -> dict[str, Any]:
    """Return {"deck": pydeck's JSON with empty layers, "bounds", "palette", "no_data", "styles", "url", ...}."""
    # Strings become "@@=" expressions over a row, so words of the library are wrapped in String.
    word = pdk.types.String
    layers = [
        pdk.Layer(
            "GeoJsonLayer", [], id="areas", filled=True, stroked=True, get_fill_color="properties.fill",
            get_line_color="properties.line", get_line_width="properties.width", line_width_units=word("pixels"), line_joint_rounded=True,
        ),
        _lines("blank"),
        pdk.Layer("SolidPolygonLayer", [], id="heat", get_polygon="polygon", get_fill_color="fill"),
        _lines("hatch"),
        pdk.Layer(
            "GeoJsonLayer", [], id="outlines", filled=False, stroked=True, get_line_color="properties.line", get_line_width="properties.width",
            line_width_units=word("pixels"), line_joint_rounded=True,
        ),
        _points("assets"),
        pdk.Layer(
            "TextLayer", [], id="marks", get_position="position", get_text="text", get_size="size", size_units=word("pixels"), get_color="line",
            character_set=word("×l"), font_family=word("Noto Sans Variable, sans-serif"), font_weight=800, outline_width=6, outline_color=[16, 20, 26, 255],
            font_settings=_SHARP, get_text_anchor=word("middle"), get_alignment_baseline=word("center"),
        ),
        _points("incidents"),
        pdk.Layer(
            "TextLayer", _labels(areas, lang), id="labels", get_position="position", get_text="text", get_size=24,
            size_units=word("pixels"), get_color=[245, 248, 250, 255], character_set=word("auto"), font_family=word("Noto Sans Variable, sans-serif"),
            font_weight=word("600 condensed"), outline_width=6, outline_color=[10, 14, 18, 255], font_settings=_SHARP,
            get_text_anchor=word("middle"), get_alignment_baseline=word("center"), get_pixel_offset="offset",
        ),
        pdk.Layer(
            "TextLayer", [], id="clusters", get_position="position", get_text="text", get_size=24, size_units=word("pixels"), get_color="ink",
            character_set=word("0123456789.,"), font_family=word("Noto Sans Variable, sans-serif"), font_weight=word("700 condensed"), background=True,
            get_background_color="fill", get_border_color="line", get_border_width=2, background_padding=[8, 2], background_border_radius=8,
            get_text_anchor=word("middle"), get_alignment_baseline=word("center"), get_pixel_offset="offset",
        ),
        pdk.Layer(
            "TextLayer", [], id="notices", get_position="position", get_text="text", get_size=24, size_units=word("pixels"), get_color="ink",
            character_set=word("auto"), font_family=word("Noto Sans Variable, sans-serif"), font_weight=word("600 condensed"), background=True,
            get_background_color=[10, 14, 18, 225], get_border_color="ink", get_border_width=2, background_padding=[8, 4], line_height=1.08,
            get_text_anchor=word("middle"), get_alignment_baseline=word("center"), get_pixel_offset="offset",
        ),
        pdk.Layer(
            "TextLayer", [], id="chips", get_position="position", get_text="text", get_size=24, size_units=word("pixels"), get_color="ink",
            character_set=word("0123456789"), font_family=word("Noto Sans Variable, sans-serif"), font_weight=word("700 condensed"), background=True,
            get_background_color="fill", get_border_color=[16, 20, 26, 255], get_border_width=2, background_padding=[5, 0],
            get_text_anchor=word("middle"), get_alignment_baseline=word("center"),
        ),
    ]  # fmt: skip
    west, south, east, north = bounds
    camera = pdk.ViewState(longitude=(west + east) / 2, latitude=(south + north) / 2, zoom=8)
    deck = pdk.Deck(
        layers=layers, initial_view_state=camera, views=[pdk.View(type="MapView", controller=False)], map_provider=None, map_style=None
    )
    return {
        "deck": json.loads(deck.to_json()),
        "bounds": bounds,
        "palette": PALETTE,
        "no_data": NO_DATA,
        "line": _LINE,
        "styles": [STYLES[name] for name in points.STYLES],
        "style_names": list(points.STYLES),
        "outlines": OUTLINES,
        "heat": HEAT,
        "country": country.shapes(lang),
        "words": {"north": say("map.north", lang), "scale": say("map.scale", lang)},
        "url": "/map/areas.json",
    }


def _lines(name: str) -> pdk.Layer:
    return pdk.Layer("LineLayer", [], id=name, get_source_position="from", get_target_position="to", get_color="line", get_width="width", width_units=pdk.types.String("pixels"))


def _points(name: str) -> pdk.Layer:
    return pdk.Layer(
        "ScatterplotLayer", [], id=name, get_position="position", get_fill_color="fill", get_line_color="line", get_radius="radius",
        get_line_width="width", radius_units=pdk.types.String("pixels"), line_width_units=pdk.types.String("pixels"), stroked=True, filled=True,
    )  # fmt: skip


def _labels(areas: Areas, lang: Lang) -> list[dict[str, Any]]:
    return [
        {"position": [area.lon, area.lat], "text": shortened(area.short if lang == "vi" else area.name_en.rsplit(" ", 1)[0])}
        for area in main_communes(areas)
    ]


def shortened(name: str) -> str:
    """Return a name that leaves room for others: at most `MAX_LABEL` characters, cut between words where there are any."""
    if len(name) <= MAX_LABEL:
        return name
    cut = name[: MAX_LABEL - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" ,.-") + "…"
