"""VN_AQI, the air-quality index of Việt Nam, after Quyết định 1459/QĐ-TCMT of 12 November 2019.

Concentrations in µg/m³, CO too. An index is a whole number, rounded half up (the decision does not say how; this gives its
worked examples). Without PM2.5 and PM10 there is no index.

What the decision leaves open is ours, and said here: a day's mean of particles needs 18 of its 24 hours, a mean of eight
hours of ozone six of them, a day's highest hour of a gas one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeAlias

Value: TypeAlias = Decimal | None

_INDEX = (0, 50, 100, 150, 200, 300, 400, 500)
_BREAKS: dict[str, tuple[int, ...]] = {
    "pm25": (0, 25, 50, 80, 150, 250, 350, 500),
    "pm10": (0, 50, 150, 250, 350, 420, 500, 600),
    "o3": (0, 160, 200, 300, 400, 800, 1000, 1200),  # the hour's
    "o3_8h": (0, 100, 120, 170, 210, 400),
    "no2": (0, 100, 200, 700, 1200, 2350, 3100, 3850),
    "so2": (0, 125, 350, 550, 800, 1600, 2100, 2630),
    "co": (0, 10_000, 30_000, 45_000, 60_000, 90_000, 120_000, 150_000),
}
POLLUTANTS = ("pm25", "pm10", "o3", "no2", "so2", "co")
PARTICLES = ("pm25", "pm10")
TOP = {pollutant: _BREAKS[pollutant][-1] for pollutant in POLLUTANTS}  # where the table ends, µg/m³
BANDS = ((50, "good"), (100, "moderate"), (150, "poor"), (200, "bad"), (300, "very_bad"), (500, "hazardous"))
NOWCAST_HOURS = 12
_DAY_MIN, _EIGHT_MIN = 18, 6
_HALF = Decimal(1) / 2


def sub_index(pollutant: str, concentration: Decimal) -> int | None:
    """Return the index of one concentration; None above the last break of the 8-hour row, which has no more."""
    breaks = _BREAKS[pollutant]
    for i in range(len(breaks) - 1):
        if concentration <= breaks[i + 1]:
            low, high = breaks[i], breaks[i + 1]
            exact = Decimal(_INDEX[i + 1] - _INDEX[i]) / (high - low) * (concentration - low) + _INDEX[i]
            return int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    return None if pollutant == "o3_8h" else 500


def nowcast(hours: Sequence[Value]) -> Value:
    """Return the weighted mean of the last twelve hours, the newest first; None unless two of the newest three are there."""
    hours = hours[:NOWCAST_HOURS]
    known = [c for c in hours if c is not None]
    if sum(c is not None for c in hours[:3]) < 2:
        return None
    highest = max(known)
    weight = min(known) / highest if highest else Decimal(1)
    if weight <= _HALF:
        return sum((_HALF ** (i + 1) * c for i, c in enumerate(hours) if c is not None), Decimal(0))
    weights = [weight**i for i, c in enumerate(hours) if c is not None]
    return sum((w * c for w, c in zip(weights, known, strict=True)), Decimal(0)) / sum(weights)


def of_hour(hours: Mapping[str, Sequence[Value]]) -> tuple[int, str] | None:
    """Return (index, pollutant that decides it) of an hour. `hours`: pollutant -> its hourly means, this hour's first."""
    found: dict[str, int | None] = {}
    for pollutant in POLLUTANTS:
        values = hours.get(pollutant, ())
        c = nowcast(values) if pollutant in PARTICLES else (values[0] if values else None)
        if c is not None:
            found[pollutant] = sub_index(pollutant, c)
    return _overall(found)


def of_day(hours: Mapping[str, Sequence[Value]]) -> tuple[int, str] | None:
    """Return (index, pollutant that decides it) of a day. `hours`: pollutant -> its 24 hourly means, the first hour first."""
    found: dict[str, int | None] = {}
    for pollutant in POLLUTANTS:
        values = hours.get(pollutant, ())
        known = [c for c in values if c is not None]
        if not known:
            continue
        if pollutant in PARTICLES:
            found[pollutant] = sub_index(pollutant, sum(known, Decimal(0)) / len(known)) if len(known) >= _DAY_MIN else None
        else:
            found[pollutant] = sub_index(pollutant, max(known))
        if pollutant == "o3" and (eight := _highest_of_eight(values)) is not None:
            found["o3"] = max(found["o3"] or 0, sub_index("o3_8h", eight) or 0)
    return _overall(found)


def _highest_of_eight(values: Sequence[Value]) -> Value:
    means = []
    for start in range(len(values) - 7):
        known = [c for c in values[start : start + 8] if c is not None]
        if len(known) >= _EIGHT_MIN:
            means.append(sum(known, Decimal(0)) / len(known))
    return max(means, default=None)


def _overall(found: Mapping[str, int | None]) -> tuple[int, str] | None:
    known = {pollutant: index for pollutant, index in found.items() if index is not None}
    if not any(pollutant in known for pollutant in PARTICLES):
        return None
    decides = max(known, key=lambda pollutant: known[pollutant])
    return known[decides], decides


def band(index: int) -> str:
    """Return the name of the band: good, moderate, poor, bad, very_bad, hazardous."""
    return next(name for upto, name in BANDS if index <= upto)
