"""The area of a warning: from CAP's polygons and circles to an outline a fact may carry."""

from __future__ import annotations

import math
from typing import Any

import pytest
import shapely
from shapely.geometry import shape

from connectors.cap import outline
from ioc.events import MAX_SHAPE


def area(found: dict[str, Any] | None) -> float:
    assert found is not None
    return float(shape(found).area)


def test_the_latitude_comes_first_in_cap_and_last_in_the_outline() -> None:
    found = outline.together([outline.polygon([(21.5, 105.7), (21.5, 105.9), (21.7, 105.9), (21.7, 105.7), (21.5, 105.7)])])
    assert found is not None and found["type"] == "Polygon"
    assert shape(found).bounds == (105.7, 21.5, 105.9, 21.7)


def test_a_circle_is_as_wide_as_its_radius_says() -> None:
    west, south, east, north = shape(outline.together([outline.circle(21.6, 105.8, 10.0)])).bounds
    assert (north - south) / 2 * 111.2 == pytest.approx(10, rel=0.01)
    assert (east - west) / 2 * 111.2 * math.cos(math.radians(21.6)) == pytest.approx(10, rel=0.01)
    assert outline.circle(21.6, 105.8, 0) is None and outline.circle(21.6, 105.8, math.nan) is None


def test_areas_apart_stay_two_and_areas_that_meet_become_one() -> None:
    one, near, far = (outline.circle(21.6, lon, 5.0) for lon in (105.8, 105.85, 106.4))
    together, apart = outline.together([one, near]), outline.together([one, far])
    assert together is not None and together["type"] == "Polygon"
    assert apart is not None and apart["type"] == "MultiPolygon" and len(apart["coordinates"]) == 2


def test_an_outline_that_crosses_itself_is_set_right_and_one_that_encloses_nothing_is_none() -> None:
    bow = outline.polygon([(21.5, 105.7), (21.7, 105.9), (21.7, 105.7), (21.5, 105.9)])
    found = outline.together([bow])
    assert found is not None and shape(found).is_valid and area(found) > 0
    assert outline.polygon([(21.5, 105.7), (21.5, 105.7), (21.6, 105.8)]) is None
    assert outline.together([outline.polygon([(21.5, 105.7), (21.6, 105.8), (21.7, 105.9)])]) is None
    assert outline.together([]) is None


def test_a_fine_outline_becomes_coarse_enough_for_a_fact_and_keeps_its_area() -> None:
    corners = [(21.6 + 0.2 * math.sin(i / 800) * (1 + 0.01 * (i % 3)), 105.8 + 0.2 * math.cos(i / 800) * (1 + 0.01 * (i % 3))) for i in range(5000)]
    found = outline.together([outline.polygon(corners)])
    assert found is not None and int(shapely.get_num_coordinates(shape(found))) <= MAX_SHAPE
    assert area(found) == pytest.approx(math.pi * 0.04, rel=0.05)


def test_a_crowd_of_small_areas_becomes_their_hull() -> None:
    crowd = [outline.circle(10 + i // 30 * 0.4, 100 + i % 30 * 0.4, 2.0) for i in range(900)]
    found = outline.together(part for part in crowd if part is not None)
    assert found is not None and int(shapely.get_num_coordinates(shape(found))) <= MAX_SHAPE
    assert shape(found).contains(shapely.Point(104, 14))
