"""Areas: today's communes, what became of the former ones, and why a code is refused."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from ioc import areas
from ioc.areas import Areas, load
from ioc.errors import UserError


@pytest.fixture(scope="module")
def thai_nguyen() -> Areas:
    return load("19")


def test_thai_nguyen_has_92_communes_made_of_280(thai_nguyen: Areas) -> None:
    assert len(thai_nguyen.communes) == 92
    assert len(thai_nguyen.former) == 280
    assert thai_nguyen.communes["05443"].name == "Phường Phan Đình Phùng"
    assert thai_nguyen.communes["05443"].name_en == "Phan Dinh Phung Ward"


@pytest.mark.samples
def test_codes_and_former_codes_are_those_of_an_independent_list(thai_nguyen: Areas, samples: Path) -> None:
    now = json.loads((samples / "vn_admin/thai_nguyen_19_units.json").read_text(encoding="utf-8"))
    assert {ward["Code"] for ward in now["Wards"]} == set(thai_nguyen.communes)
    before = json.loads((samples / "vn_admin/pre_merger_2025-06_thai_nguyen_bac_kan.json").read_text(encoding="utf-8"))
    assert {ward["Code"] for p in before for district in p["District"] for ward in district["Ward"]} == set(thai_nguyen.former)


def test_every_former_commune_that_was_not_divided_has_a_successor(thai_nguyen: Areas) -> None:
    divided = [was.code for was in thai_nguyen.former.values() if was.now is None]
    assert divided == ["05461", "05467", "05932"]
    assert {was.now for was in thai_nguyen.former.values() if was.now} == set(thai_nguyen.communes)


@pytest.mark.parametrize("name", ["Phường Đức Xuân", "đức xuân", "DUC XUAN", unicodedata.normalize("NFD", "Đức Xuân")])
def test_a_commune_is_found_however_its_name_was_typed(thai_nguyen: Areas, name: str) -> None:
    assert thai_nguyen.by_name(name) == "01840"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1840", "leading zero of 01840"),
        ("05431", "former unit (Phường Quan Triều"),
        ("164", "districts were abolished"),
        ("99999", "not a commune code of province 19"),
    ],
)
def test_it_says_why_a_code_is_refused(thai_nguyen: Areas, code: str, words: str) -> None:
    assert not thai_nguyen.known(code)
    assert words in thai_nguyen.why_unknown(code)


def test_the_nearest_commune_of_a_point_and_none_far_away(thai_nguyen: Areas) -> None:
    phan_dinh_phung = thai_nguyen.communes["05443"]
    assert thai_nguyen.nearest(phan_dinh_phung.lat, phan_dinh_phung.lon) == "05443"
    assert thai_nguyen.nearest(40.7, -73.9) is None


def test_an_unknown_province_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match="leading zero"):
        areas.load("1")


def test_communes_that_differ_by_a_mark_are_never_taken_for_each_other() -> None:
    home = load("19")
    assert home.by_name("Xã Văn Lang") == "02143" and home.by_name("xã Văn Lăng") == "05665"
    assert home.by_name("Van Lang") is None, "without marks it could be either"
    assert home.by_name("Định Hoá") == home.by_name("ĐỊNH HÓA") == home.by_name("Dinh Hoa") == "05569"


def test_former_units_are_named_as_people_write_them_in_both_languages() -> None:
    districts = {was.district for was in areas.load("19").former.values()}
    assert {"Thành phố Bắc Kạn", "Thành phố Sông Công", "Huyện Phú Bình"} <= districts
    assert areas.english("Thành phố Bắc Kạn") == "Bac Kan City" and areas.english("Thị trấn Đu") == "Du Township" and areas.english("Phường Phan Đình Phùng") == "Phan Dinh Phung Ward"
