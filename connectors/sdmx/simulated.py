"""The simulated statistics office: `/statistics/data/NSO,DF_MONTHLY/all`, SDMX-CSV, monthly figures of two years. Invented figures.

A month is published on the 6th of the next one, as provisional (P); with the publication after that it is revised (A).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.chance import key_of, normal
from ioc.simulator.province import Province
from ioc.simulator.source import Mounted, Source, with_etag

FEED = "statistics"
CSV = "application/vnd.sdmx.data+csv; charset=utf-8; version=1.0.0"
MONTHS, PUBLISHED_DAY = 26, 6
AREA = "19"


@dataclass(frozen=True)
class Series:
    """An indicator: its usual figure, how far it swings over a year and from month to month, its unit by the office's code list, its power of ten."""

    usual: float
    swing: float
    noise: float
    unit: str
    scale: int = 0
    decimals: int = 2


SERIES = {
    "CPI_YOY": Series(3.3, 0.5, 0.25, "PT"),
    "IIP_YOY": Series(7.4, 1.6, 1.1, "PT"),
    "RETAIL": Series(6_900, 520, 110, "VND", 9, 1),
    "NEW_ENT": Series(118, 22, 11, "EN", 0, 0),
}


def figure(seed: int, name: str, month: int, *, provisional: bool) -> str:
    """Return the figure of a month (counted from year 0) as the office writes it; the provisional one is a little off."""
    s, key = SERIES[name], key_of(seed, f"nso{name}", month)
    value = s.usual + s.swing * math.sin(2 * math.pi * (month % 12 - 3) / 12) + s.noise * normal(key, "month") + (0.25 * s.noise * normal(key, "first") if provisional else 0)
    return f"{max(0.0, value):.{s.decimals}f}"


def rows(seed: int, now: datetime) -> Iterator[tuple[str, str, str, str]]:
    """Yield indicator, month (2026-10), figure and status of everything published by `now`, the newest month last."""
    newest = now.year * 12 + now.month - 2 - (now.day < PUBLISHED_DAY)
    for month in range(newest - MONTHS + 1, newest + 1):
        for name in SERIES:
            yield name, f"{date(month // 12, month % 12 + 1, 1):%Y-%m}", figure(seed, name, month, provisional=month == newest), "P" if month == newest else "A"


def table(seed: int, now: datetime) -> bytes:
    """Return the answer: SDMX-CSV 1.0."""
    lines = ["DATAFLOW,FREQ,INDICATOR,REF_AREA,TIME_PERIOD,OBS_VALUE,UNIT_MEASURE,UNIT_MULT,OBS_STATUS"]
    lines += [f"NSO:DF_MONTHLY(1.0),M,{name},{AREA},{month},{value},{SERIES[name].unit},{SERIES[name].scale},{status}" for name, month, value, status in rows(seed, now)]
    return ("\r\n".join(lines) + "\r\n").encode()


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is every figure."""

    async def data(request: Request) -> Response:
        return with_etag(request, table(province.seed, province.local(province.now())), CSV)

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for name, month, value, status in rows(province.seed, province.local(until)):
            yield {"id": f"{name} {month}", "status": status, "value": float(value), "scale": SERIES[name].scale}

    return Mounted({"/data/NSO,DF_MONTHLY/all": data}, truth)


SOURCE = Source(FEED, mount)
