"""Administrative units: today's 92 communes of the province, their centroids, and the units they were made of.

Names, codes, centroids and the former units come from the package `vietnamadminunits` (MIT; names and codes after
QĐ 19/2025/QĐ-TTg), never from a list of ours. A code says nothing without a date: codes were reused on 1 July 2025,
so a former code and a current code that look the same may be different places.
"""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import as_file, files

from ioc.errors import UserError

MERGER = date(2025, 7, 1)


@dataclass(frozen=True)
class Area:
    """A unit: (code, valid_from) is its identity. `lat`, `lon` in degrees; `area_km2` may be 0 when unpublished."""

    code: str
    name: str
    name_en: str
    kind: str
    lat: float
    lon: float
    area_km2: float
    valid_from: date = MERGER

    @property
    def short(self) -> str:
        """The name without its kind: 'Phan Đình Phùng'."""
        return self.name.removeprefix(self.kind).strip()


@dataclass(frozen=True)
class FormerArea:
    """A commune as it was until 30 June 2025, with the current commune it went to (None when it was split), or those (`into`)."""

    code: str
    name: str
    district_code: str
    district: str
    province_code: str
    now: str | None
    into: tuple[str, ...] = ()


class Areas:
    """The communes of one province, by code."""

    def __init__(self, province: str, communes: list[Area], former: list[FormerArea]) -> None:
        self.province = province
        self.communes = {area.code: area for area in communes}
        self.former = {area.code: area for area in former}
        # As it is written first (Văn Lang and Văn Lăng are two communes), then without marks where that means one only.
        self._names = [_unique(communes, spelled), _unique(communes, fold)]

    def known(self, code: str) -> bool:
        """Is `code` the province or one of its communes today?"""
        return code == self.province or code in self.communes

    def by_name(self, name: str) -> str | None:
        """Return the code of the commune called `name` (any case, NFC or NFD, also without marks), or None when there is none, or more than one."""
        return self._names[0].get(spelled(name)) or self._names[1].get(fold(name))

    def why_unknown(self, code: str) -> str:
        """Say in a sentence why `code` is not an area of today."""
        if was := self.former.get(code):
            went = f", now in {was.now} {self.communes[was.now].name}" if was.now in self.communes else ""
            return f"{code} is a former unit ({was.name}, {was.district}; until 30 June 2025){went}"
        if len(code) < 5 and code.isdigit() and self.known(code.zfill(5)):
            return f"{code} is not a commune code of province {self.province}; did a spreadsheet drop the leading zero of {code.zfill(5)}?"
        if any(code == was.district_code for was in self.former.values()):
            return f"{code} is a district; districts were abolished on 1 July 2025"
        return f"{code} is not a commune code of province {self.province}"

    def nearest(self, lat: float, lon: float, within_km: float = 30.0) -> str | None:
        """Return the commune whose centroid is nearest to a point, or None when all are further than `within_km`."""
        best = min(self.communes.values(), key=lambda a: _distance2(a, lat, lon))
        return best.code if _distance2(best, lat, lon) <= within_km**2 else None


def _distance2(area: Area, lat: float, lon: float) -> float:
    """Squared distance in km², on the plane: good within a province near 22° north."""
    return ((area.lat - lat) * 110.6) ** 2 + ((area.lon - lon) * 103.2) ** 2


def _unique(communes: list[Area], key: Callable[[str], str]) -> dict[str, str]:
    """Return key(name) -> code for full and short names that are of one commune only."""
    found: dict[str, set[str]] = {}
    for area in communes:
        for name in (area.name, area.short):
            found.setdefault(key(name), set()).add(area.code)
    return {name: next(iter(codes)) for name, codes in found.items() if len(codes) == 1}


_TONES = "\u0300\u0301\u0303\u0309\u0323"


def spelled(text: str) -> str:
    """Return `text` without case and spacing, each word's tone at its end: Hoá and Hóa are one spelling, Lang and Lăng are not."""
    words = unicodedata.normalize("NFD", text).lower().split()
    return "".join("".join(c for c in word if c not in _TONES) + "".join(c for c in word if c in _TONES) for word in words)


def fold(text: str) -> str:
    """Return `text` without marks, case and spacing, for comparing Vietnamese names however they were typed."""
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(c for c in plain if c.isalnum() and not unicodedata.combining(c)).lower()


def ascii_name(text: str) -> str:
    """Return the name as English texts write it: 'Đức Xuân' -> 'Duc Xuan'."""
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(c for c in plain if not unicodedata.combining(c))


_ENGLISH = {
    "Phường": "Ward", "Xã": "Commune", "Đặc khu": "Special Zone", "Thị trấn": "Township", "Huyện": "District", "Thị xã": "Town", "Thành phố": "City",
}  # fmt: skip


def english(name: str) -> str:
    """Return a unit's full name as English texts write it: 'Huyện Phú Bình' -> 'Phu Binh District'."""
    kind = next((kind for kind in _ENGLISH if name.startswith(f"{kind} ")), "")
    return f"{ascii_name(name.removeprefix(kind).strip())} {_ENGLISH.get(kind, '')}".strip()


@cache
def load(province: str) -> Areas:
    """Return the areas of the province with this two-digit code; raise `UserError` when there is none."""
    data = files("vietnamadminunits") / "data"
    with as_file(data / "dataset.db") as path:
        db = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        try:
            communes = [
                Area(code, name, f"{ascii_name(short)} {_ENGLISH.get(kind, '')}".strip(), kind, lat, lon, km2 or 0.0)
                for code, name, short, kind, lat, lon, km2 in db.execute(
                    "SELECT wardCode, ward, wardShort, wardType, wardLat, wardLon, wardAreaKm2"
                    " FROM admin_units WHERE provinceCode = ? ORDER BY wardCode",
                    (province,),
                )
            ]
            key = db.execute("SELECT provinceKey FROM admin_units WHERE provinceCode = ? LIMIT 1", (province,)).fetchone()
            if not communes or key is None:
                raise UserError(f"province.code {province!r} is not one of the 34 provinces; write it as text with its leading zero")
            former = _former(db, json.loads((data / "converter_2025.json").read_text(encoding="utf-8")), key[0], province)
        finally:
            db.close()
    return Areas(province, communes, former)


def _tidied(name: str) -> str:
    """Return a former unit's name with its kind as people write it: the package has 'Thành Phố Bắc Kạn' beside 'Thành phố Sông Công'."""
    for kind in ("Thành phố", "Thị xã"):
        if name.startswith(kind.title()):
            return kind + name[len(kind) :]
    return name


def _former(db: sqlite3.Connection, converter: dict[str, dict[str, object]], province_key: str, province: str) -> list[FormerArea]:
    """Return the former communes of the provinces merged into `province_key`, with where each went."""
    now_code: dict[str, str] = dict(db.execute("SELECT wardKey, wardCode FROM admin_units WHERE provinceCode = ?", (province,)).fetchall())
    went: dict[str, str] = {}
    undivided = converter["DICT_PROVINCE_WARD_NO_DIVIDED"].get(province_key, {})
    assert isinstance(undivided, dict)
    for new_key, old_keys in undivided.items():
        for old in old_keys:
            went[old] = new_key
    divided = converter["DICT_PROVINCE_WARD_DIVIDED"].get(province_key, {})
    assert isinstance(divided, dict)
    split = {old: tuple(sorted(now_code[part["newWardKey"]] for part in parts)) for old, parts in divided.items()}
    merged = converter["DICT_PROVINCE"].get(province_key, [])
    assert isinstance(merged, list)
    marks = ",".join("?" * len(merged))
    rows = db.execute(
        "SELECT wardCode, ward, districtCode, district, provinceCode, provinceKey, districtKey, wardKey"  # noqa: S608
        f" FROM admin_units_legacy WHERE provinceKey IN ({marks}) AND wardCode IS NOT NULL ORDER BY wardCode",
        merged,
    )
    found = []
    for code, name, district_code, district, p, pk, dk, wk in rows:
        key = f"{pk}_{dk}_{wk}"
        now = now_code.get(went.get(key, ""))
        found.append(FormerArea(code, name, district_code, _tidied(district), p, now, (now,) if now else split.get(key, ())))
    return found
