"""Units as UCUM writes them (https://ucum.org): one spelling a unit, so that equal things compare equal.

A feed may write "µg/m³", "ug/m3" or "°C"; what leaves a connector is UCUM. Curly braces hold what is counted:
"{student}", "{document}". Units that are not in the table are refused rather than guessed.
"""

from __future__ import annotations

import re
from decimal import Decimal

_ANNOTATION = re.compile(r"\{[\x21-\x7a|~]{1,40}\}")

# UCUM code -> (quantity, factor to the first unit of that quantity)
_UNITS: dict[str, tuple[str, Decimal]] = {
    "1": ("ratio", Decimal(1)),
    "%": ("ratio", Decimal("0.01")),
    "[ppth]": ("ratio", Decimal("0.001")),
    "[ppm]": ("ratio", Decimal("0.000001")),
    "[ppb]": ("ratio", Decimal("0.000000001")),
    "ug/m3": ("density", Decimal(1)),
    "mg/m3": ("density", Decimal(1000)),
    "g/m3": ("density", Decimal(1_000_000)),
    "ug/L": ("density", Decimal(1000)),
    "mg/L": ("density", Decimal(1_000_000)),
    "ng/m3": ("density", Decimal("0.001")),
    "uS/cm": ("conductivity", Decimal(1)),
    "mS/cm": ("conductivity", Decimal(1000)),
    "S/m": ("conductivity", Decimal(10_000)),
    "m": ("length", Decimal(1)),
    "mm": ("length", Decimal("0.001")),
    "cm": ("length", Decimal("0.01")),
    "km": ("length", Decimal(1000)),
    "[ft_i]": ("length", Decimal("0.3048")),
    "[in_i]": ("length", Decimal("0.0254")),
    "m2": ("surface", Decimal(1)),
    "km2": ("surface", Decimal(1_000_000)),
    "har": ("surface", Decimal(10_000)),
    "m3": ("volume", Decimal(1)),
    "L": ("volume", Decimal("0.001")),
    "m3/s": ("flow", Decimal(1)),
    "L/s": ("flow", Decimal("0.001")),
    "m3/h": ("flow", Decimal(1) / Decimal(3600)),
    "[cft_i]/s": ("flow", Decimal("0.028316846592")),
    "m/s": ("speed", Decimal(1)),
    "km/h": ("speed", Decimal(1) / Decimal("3.6")),
    "[kn_i]": ("speed", Decimal(1852) / Decimal(3600)),
    "mm/h": ("intensity", Decimal(1)),
    "g": ("mass", Decimal(1)),
    "kg": ("mass", Decimal(1000)),
    "t": ("mass", Decimal(1_000_000)),
    "s": ("time", Decimal(1)),
    "ms": ("time", Decimal("0.001")),
    "min": ("time", Decimal(60)),
    "h": ("time", Decimal(3600)),
    "d": ("time", Decimal(86400)),
    "Pa": ("pressure", Decimal(1)),
    "hPa": ("pressure", Decimal(100)),
    "kPa": ("pressure", Decimal(1000)),
    "bar": ("pressure", Decimal(100_000)),
    "W": ("power", Decimal(1)),
    "kW": ("power", Decimal(1000)),
    "MW": ("power", Decimal(1_000_000)),
    "kW.h": ("energy", Decimal(1)),
    "MW.h": ("energy", Decimal(1000)),
    "W/m2": ("irradiance", Decimal(1)),
    "J": ("heat", Decimal(1)),
    "V": ("voltage", Decimal(1)),
    "mV": ("voltage", Decimal("0.001")),
    "A": ("current", Decimal(1)),
    "mA": ("current", Decimal("0.001")),
    "Hz": ("frequency", Decimal(1)),
    "lx": ("illuminance", Decimal(1)),
    "By": ("data", Decimal(1)),
    "Cel": ("temperature", Decimal(1)),
    "K": ("kelvin", Decimal(1)),  # another zero than Cel, as [degF]: no factor leads from one to the other
    "[degF]": ("fahrenheit", Decimal(1)),
    "deg": ("angle", Decimal(1)),
    "dB": ("level", Decimal(1)),
    "[pH]": ("acidity", Decimal(1)),
    "VND": ("dong", Decimal(1)),  # UCUM has no money; ISO 4217
    "USD": ("dollar", Decimal(1)),
}

# What sources write -> UCUM. Keys are compared without blanks, micro and superscripts already folded.
_ALIASES = {
    "": "1",
    "unitless": "1",
    "dimensionless": "1",
    "percent": "%",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "degc": "Cel",
    "°c": "Cel",
    "celsius": "Cel",
    "degreecelsius": "Cel",
    "degf": "[degF]",
    "°f": "[degF]",
    "degree": "deg",
    "°": "deg",
    "ug/m^3": "ug/m3",
    "mg/m^3": "mg/m3",
    "ft": "[ft_i]",
    "feet": "[ft_i]",
    "ft^3/s": "[cft_i]/s",
    "ft3/s": "[cft_i]/s",
    "in": "[in_i]",
    "m^3/s": "m3/s",
    "m^3/h": "m3/h",
    "w/m^2": "W/m2",
    "ms/cm": "mS/cm",
    "knot": "[kn_i]",
    "volt": "V",
    "lux": "lx",
    "hz": "Hz",
    "ha": "har",
    "l": "L",
    "l/s": "L/s",
    "km/hr": "km/h",
    "kmh": "km/h",
    "hpa": "hPa",
    "mbar": "hPa",
    "psu": "[ppth]",
    "[ppth]approx.": "[ppth]",
    "mg/l": "mg/L",
    "ug/l": "ug/L",
    "us/cm": "uS/cm",
    "kwh": "kW.h",
    "mwh": "MW.h",
    "byte": "By",
    "đồng": "VND",
    "vnđ": "VND",
    "vnd": "VND",
}
_FOLD = str.maketrans({"µ": "u", "μ": "u", "³": "3", "²": "2", "º": "°", " ": None, "\u00a0": None})


class UnknownUnit(ValueError):
    """A unit that is neither UCUM as we know it nor one of its usual spellings."""


def normal(unit: str) -> str:
    """Return the UCUM code of `unit`; raise `UnknownUnit`."""
    if unit in _UNITS or _ANNOTATION.fullmatch(unit):
        return unit
    folded = unit.translate(_FOLD)
    if folded in _UNITS:
        return folded
    known = _ALIASES.get(folded.lower())
    if known is None:
        raise UnknownUnit(f"the unit {unit[:40]!r} is not known; write it as UCUM does, for example ug/m3, Cel, %")
    return known


def convert(value: Decimal, unit: str, to: str) -> Decimal:
    """Return `value` given in `unit` as a number of `to`; raise `UnknownUnit` when one cannot become the other."""
    unit, to = normal(unit), normal(to)
    if unit == to:
        return value
    have, want = _UNITS.get(unit), _UNITS.get(to)
    if have is None or want is None or have[0] != want[0]:
        raise UnknownUnit(f"{unit} cannot be expressed in {to}")
    return value * have[1] / want[1]
