"""What is known beforehand, against files others made: communes and provinces of today and before the merger, boundaries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dashboards.maps.geometry import shapes
from ioc import areas
from ioc.errors import UserError

pytestmark = pytest.mark.samples


def found(samples: Path, name: str) -> Any:
    return json.loads((samples / "vn_admin" / name).read_text(encoding="utf-8"))


def test_the_communes_of_today_are_those_of_the_published_list(samples: Path) -> None:
    listed = found(samples, "thai_nguyen_19_units.json")
    home = areas.load("19")
    assert sorted(unit["Code"] for unit in listed["Wards"]) == sorted(home.communes) and len(home.communes) == 92
    # Three names differ by where the mark stands (Định Hoá, Định Hóa): the same name, and found all the same.
    assert [unit["Code"] for unit in listed["Wards"] if home.by_name(unit["FullName"]) != unit["Code"]] == []


def test_every_commune_of_before_the_merger_is_known_as_a_former_one(samples: Path) -> None:
    listed = found(samples, "pre_merger_2025-06_thai_nguyen_bac_kan.json")
    old = {ward["Code"] for province in listed for district in province["District"] for ward in district["Ward"]}
    assert len(old) == 280 and old <= set(areas.load("19").former)


def test_every_province_of_today_has_its_communes(samples: Path) -> None:
    codes = {province["Code"] for province in found(samples, "provinces_34_codes.json")}
    assert len(codes) == 34 and all(areas.load(code).communes for code in codes)


def test_published_boundaries_draw_the_map_and_one_commune_alone_is_refused(samples: Path) -> None:
    home = areas.load("19")
    drawn = shapes(home, samples / "vn_admin" / "thai_nguyen_19_communes_simplified.geojson")
    assert drawn["approximate"] is False and {feature["properties"]["code"] for feature in drawn["features"]} == set(home.communes)
    with pytest.raises(UserError, match=r"province\.boundaries"):
        shapes(home, samples / "vn_admin" / "raw" / "01840_duc_xuan.geojson")
