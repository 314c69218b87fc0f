"""Where things are: communes weighted by how much happens there, points around their centres, agencies, invented persons.

Communes, names and centroids are real (`ioc.areas`); agencies carry the names such agencies have; every person, phone
and address is invented and says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

from ioc.areas import Area, Areas
from ioc.simulator.chance import below, key_of, normal, pick, unit, weighted

ORGAN_SUFFIX = "H55"  # the province's group of agency codes after QĐ 20/2020/QĐ-TTg

DEPARTMENTS = (
    "Văn phòng Ủy ban nhân dân tỉnh", "Sở Nội vụ", "Sở Tư pháp", "Sở Tài chính", "Sở Công Thương", "Sở Nông nghiệp và Môi trường",
    "Sở Xây dựng", "Sở Khoa học và Công nghệ", "Sở Văn hóa, Thể thao và Du lịch", "Sở Giáo dục và Đào tạo", "Sở Y tế",
    "Sở Dân tộc và Tôn giáo", "Thanh tra tỉnh", "Ban Quản lý các khu công nghiệp",
)  # fmt: skip

_FAMILY = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi", "Nông", "Ma", "Triệu", "Lường", "Hà", "Dương", "Lý", "Hứa")
_MIDDLE = ("Văn", "Thị", "Đức", "Minh", "Thu", "Quang", "Ngọc", "Hữu")


@dataclass(frozen=True)
class Agency:
    """An office that works on cases: code (OrganId), name, level province or commune, the commune it sits in."""

    code: str
    name: str
    level: str
    area: Area


class Places:
    """The communes and agencies of the province, drawn by weight."""

    def __init__(self, areas: Areas) -> None:
        self.communes = list(areas.communes.values())
        self._weights = list(accumulate(_weight(area) for area in self.communes))
        wards = [area for area in self.communes if area.kind == "Phường"] or self.communes
        centre = max(wards, key=lambda area: sum(_near(area, other) for other in self.communes))
        self.departments = [Agency(f"{n:03d}.00.00.{ORGAN_SUFFIX}", name, "province", centre) for n, name in enumerate(DEPARTMENTS, 1)]
        self.offices = {
            area.code: Agency(f"000.{n:03d}.01.{ORGAN_SUFFIX}", f"Ủy ban nhân dân {area.kind.lower()} {area.short}", "commune", area)
            for n, area in enumerate(self.communes, 1)
        }

    def commune(self, key: int, salt: str = "commune") -> Area:
        """Return a commune; wards are busier than rural communes."""
        return weighted(key, salt, self.communes, self._weights)

    def spread(self, count: int) -> list[Area]:
        """Return `count` communes so that each gets its share by weight and at least one, in the communes' order."""
        total = self._weights[-1]
        chosen: list[Area] = []
        for area, upto in zip(self.communes, self._weights, strict=True):
            share = max(1, round(count * upto / total) - len(chosen))
            chosen += [area] * share
        return chosen[:count]

    def point(self, area: Area, key: int, salt: str = "point") -> tuple[float, float]:
        """Return (lat, lon) near the centre of the commune, denser inside; degrees, six decimals."""
        sigma_km = 0.42 * math.sqrt(max(area.area_km2, 4.0) / math.pi)
        north, east = (max(-2.0, min(2.0, normal(key, salt + axis))) * sigma_km for axis in ("n", "e"))
        return round(area.lat + north / 110.6, 6), round(area.lon + east / (111.3 * math.cos(math.radians(area.lat))), 6)

    def agency(self, key: int, provincial_share: float) -> Agency:
        """Return a department or a commune's office."""
        if unit(key, "provincial") < provincial_share:
            return pick(key, "department", self.departments)
        return self.offices[self.commune(key).code]


def _weight(area: Area) -> float:
    return 3.0 if area.kind == "Phường" else 1.0 - 0.4 * (area.area_km2 > 150)


def _near(a: Area, b: Area) -> float:
    return 1.0 / (1.0 + ((a.lat - b.lat) * 110.6) ** 2 + ((a.lon - b.lon) * 103.2) ** 2)


def person(key: int, salt: str = "person") -> str:
    """Return an invented person's name; the given name is 'Mẫu' (sample), so nobody is meant."""
    return f"{pick(key, salt + 'f', _FAMILY)} {pick(key, salt + 'm', _MIDDLE)} Mẫu {below(key, salt + 'n', 10_000):04d}"


def phone(key: int, salt: str = "phone") -> str:
    """Return an invented number; 0900 000 is not given out."""
    return f"0900000{below(key, salt, 1000):03d}"


def citizen_number(key: int, salt: str = "citizen") -> str:
    """Return twelve digits that cannot be a citizen's number: no province has the code 000."""
    return f"000{below(key, salt, 10**9):09d}"


def street(key: int, salt: str = "street") -> str:
    """Return an invented address without a commune."""
    return f"Số {1 + below(key, salt, 300)}, tổ {1 + below(key, salt + 't', 24)}"


def place_key(seed: int, kind: str, n: int) -> int:
    """Return the key of the n-th fixed thing of a kind (school, facility)."""
    return key_of(seed, kind, n)
