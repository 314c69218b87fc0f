"""What a Datastream measures: which metric, in which unit, within which limits, at which station."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from ioc.connect import Context, Skip, fields, shown, units
from ioc.events import Asset, Event

# metric -> (its unit, lowest, highest value that can be, how property and stream are called); the first that fits counts
METRICS: dict[str, tuple[str, float, float, str]] = {
    "pm25": ("ug/m3", 0, 2000, r"\bpm\s*2[.,_]?5"),
    "pm10": ("ug/m3", 0, 5000, r"\bpm\s*10\b"),
    "o3": ("ug/m3", 0, 2000, r"\bo3\b|ozone|\bozon\b"),
    "no2": ("ug/m3", 0, 6000, r"\bno2\b|nitrogen dioxide"),
    "so2": ("ug/m3", 0, 6000, r"\bso2\b|sulphur dioxide|sulfur dioxide"),
    "co": ("ug/m3", 0, 300_000, r"\bco\b|carbon monoxide"),
    "water_level": ("m", -50, 3000, r"water level|muc nuoc"),
    "rain": ("mm", 0, 500, r"\brain|precipitation|luong mua"),
    "temperature": ("Cel", -60, 60, r"air temperature|nhiet do khong khi"),
    "humidity": ("%", 0, 100, r"humidity|do am"),
    "wind_speed": ("m/s", 0, 100, r"wind speed|toc do gio"),
}
_SLUG = re.compile(r"[^a-z0-9]+")
ALARMS = ("alarm1", "alarm2", "alarm3")  # of a water gauge, metres: báo động I, II, III


class Stream(Struct, frozen=True):
    """One Datastream. `unit` is the source's; values become `to`. `alarms`: metres of the three alarm levels, or none."""

    thing: str
    metric: str
    unit: str
    to: str
    area: str | None = None
    alarms: tuple[float, ...] = ()


def plain(text: str) -> str:
    """Return the text in small letters without marks."""
    found = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(c for c in found if not unicodedata.combining(c)).lower()


def stream_of(value: Mapping[str, Any], context: Context[Any]) -> Stream:
    """Return what a Datastream entity (with its Thing and ObservedProperty) says; `Skip` where it cannot be used."""
    thing = value.get("Thing")
    measured = value.get("ObservedProperty")
    names = [str(part.get("name") or "") for part in (measured, value) if isinstance(part, dict)]
    given = context.options.metrics
    metric = next((given[name] for name in names if name in given), "")
    named = metric or next((m for m, (*_, words) in METRICS.items() for name in names if re.search(words, plain(name))), "")
    metric = named or _SLUG.sub("_", plain(next((name for name in names if name), ""))).strip("_")[:60]
    if not metric:
        raise Skip("missing_value", "a Datastream without a name measures nobody knows what", field="name", repair="give it a name or an ObservedProperty")
    unit = _unit(value)
    to = METRICS[metric][0] if metric in METRICS else unit
    if to != unit:
        try:
            units.convert(Decimal(1), unit, to)
        except units.UnknownUnit as exc:
            raise Skip("unit_mismatch", f"{metric} comes in {unit}: {exc}", field="unitOfMeasurement", repair=f"send {metric} in {to}, or name the metric in the option metrics") from exc
    own = value.get("properties")
    alarms = tuple(float(own[name]) for name in ALARMS if isinstance(own, dict) and isinstance(own.get(name), int | float))
    where = place_of(thing, context) if isinstance(thing, dict) else (None, None, None, None)
    return Stream(fields.identifier(thing, "@iot.id") if isinstance(thing, dict) else f"of-{fields.identifier(value, '@iot.id')}", metric, unit, to, where[0], alarms if len(alarms) == len(ALARMS) else ())


def named_stream(name: str, context: Context[Any]) -> Stream | None:
    """Return what the option `streams` says of a Datastream."""
    metric, _, unit = context.options.streams.get(name, "").partition(" ")
    if not metric:
        return None
    unit = units.normal(unit.strip())
    return Stream(f"of-{name}", metric, unit, METRICS[metric][0] if metric in METRICS else unit)


def _unit(value: Mapping[str, Any]) -> str:
    said = value.get("unitOfMeasurement")
    said = said if isinstance(said, dict) else {}
    written = [str(said.get(name) or "") for name in ("definition", "symbol", "name")]
    for text in (written[0].rpartition("ucum:")[2], *written[1:]):
        try:
            if text.strip():
                return units.normal(text.strip())
        except units.UnknownUnit:
            continue
    raise Skip("unknown_unit", f"the unit {shown(written[1] or written[2] or written[0])} is not known" if any(written) else "no unit is said", field="unitOfMeasurement", repair="send its UCUM code as definition, for example ucum:ug/m3")


def place_of(thing: Mapping[str, Any], context: Context[Any]) -> tuple[str | None, float | None, float | None, str | None]:
    """Return (area, lat, lon, doubt) of a Thing with its Locations (GeoJSON: longitude first)."""
    own = thing.get("properties")
    code = fields.text(own, "commune_code") if isinstance(own, dict) else None
    locations = thing.get("Locations")
    first = locations[0] if isinstance(locations, list) and locations and isinstance(locations[0], dict) else {}
    lon, lat = point_of(first.get("location"))
    place = context.place(lat, lon, context.area(code, "properties.commune_code"))
    return place.area, place.lat, place.lon, place.doubt


def point_of(shape: Any) -> tuple[float | None, float | None]:
    """Return (longitude, latitude) of a GeoJSON point, also inside a Feature."""
    inner = shape.get("geometry", shape) if isinstance(shape, dict) else None
    found = inner.get("coordinates") if isinstance(inner, dict) and inner.get("type") == "Point" else None
    if isinstance(found, list) and len(found) >= 2 and all(isinstance(x, int | float) and not isinstance(x, bool) for x in found[:2]):
        return float(found[0]), float(found[1])
    return None, None


def station(value: Mapping[str, Any], context: Context[Any]) -> Event:
    """Return the asset of a Thing."""
    area, lat, lon, doubt = place_of(value, context)
    data = Asset(kind="station", name=fields.text(value, "name"), area=area, lat=lat, lon=lon, doubt=doubt)
    return context.event(f"thing-{fields.identifier(value, '@iot.id')}", context.now, data)


def sensor(value: Mapping[str, Any], context: Context[Any]) -> Event:
    """Return the asset of a Datastream that comes without its Thing."""
    lon, lat = point_of(value.get("observedArea"))
    place = context.place(lat, lon)
    data = Asset(kind="sensor", name=fields.text(value, "name"), area=place.area, lat=place.lat, lon=place.lon, doubt=place.doubt, dims={"unit": _unit(value)})
    return context.event(f"datastream-{fields.identifier(value, '@iot.id')}", context.now, data)


def measured(result: Any, stream: Stream) -> Decimal | None:
    """Return a result as a number of the metric's unit; `Skip` for what is no number, or cannot be."""
    if result is None:
        return None
    if isinstance(result, bool) or not isinstance(result, int | float | str | Decimal):
        raise Skip("wrong_type", f"result is {shown(result)}, not a number", field="result", repair="a Datastream of numbers is read; of a MultiDatastream read its parts")
    try:
        value = Decimal(str(result).strip())
    except InvalidOperation as exc:
        raise Skip("wrong_type", f"result is {shown(result)}, not a number", field="result", repair="send a number, or null when nothing was measured") from exc
    if not value.is_finite():
        raise Skip("not_a_number", f"result is {shown(result)}", field="result", repair="send null when nothing was measured")
    value = units.convert(value, stream.unit, stream.to)
    if stream.metric in METRICS:
        _, low, high, _ = METRICS[stream.metric]
        if not low <= value <= high:
            raise Skip("out_of_range", f"{stream.metric} {value:f} {stream.to} lies outside {low:g} to {high:g}", field="result", repair="check the instrument, and its unit")
    return value
