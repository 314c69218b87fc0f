"""Chips of VN_AQI on the map: the regulated classes, at the stations, nothing where nobody measures."""

from __future__ import annotations

import pytest

from dashboards.maps import chips
from ioc.live import Point
from tests.browser.province import AREAS


@pytest.mark.parametrize(("value", "step"), [(0, 0), (50, 0), (50.4, 0), (51, 1), (100, 1), (150, 2), (200, 3), (201, 4), (300, 4), (301, 5), (900, 5)])
def test_a_value_has_the_regulated_class(value: float, step: int) -> None:
    assert chips.aqi_class(value) == step


def test_a_chip_lies_at_the_stations_of_its_commune_and_the_worst_on_top() -> None:
    station = Point("asset", "environment", "s", "Trạm", "station", "ok", "05443", 21.5, 105.8, None)
    rows = chips.rows({"05443": 163.2, "05455": 34.0, "05467": None, "99999": 5.0}, [station], AREAS)
    other = AREAS.communes["05455"]
    assert rows == [[round(other.lon, 5), round(other.lat, 5), "34", 0], [105.8, 21.5, "163", 3]]
