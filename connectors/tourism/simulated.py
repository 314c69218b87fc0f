"""The simulated spreadsheet of tourism: `/tourism/daily.xlsx`, the last two weeks and today as far as it has come.

Sites are real places; visitors follow the season, the weekend and the hour. Nobody is meant by "Người nhập".
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import openpyxl
from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.chance import key_of, normal
from ioc.simulator.places import person
from ioc.simulator.province import Province
from ioc.simulator.source import Mounted, Source, with_etag

FEED = "tourism"
DAYS = 14
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# id: name, commune, visitors of an ordinary day, share from abroad, rooms near it
SITES: dict[str, tuple[str, str, int, float, int]] = {
    "NUI-COC": ("Khu du lịch quốc gia Hồ Núi Cốc", "Xã Đại Phúc", 2600, 0.03, 640),
    "BA-BE": ("Hồ Ba Bể", "Xã Ba Bể", 1900, 0.16, 720),
    "ATK": ("Di tích quốc gia đặc biệt ATK Định Hóa", "Xã Phượng Tiến", 1500, 0.02, 180),
    "PHUONG-HOANG": ("Hang Phượng Hoàng, suối Mỏ Gà", "Xã Võ Nhai", 800, 0.02, 60),
    "TAN-CUONG": ("Không gian văn hóa trà Tân Cương", "Xã Tân Cương", 900, 0.06, 90),
    "BAO-TANG": ("Bảo tàng Văn hóa các dân tộc Việt Nam", "Phường Phan Đình Phùng", 700, 0.09, 1850),
}
_HOURS = (0, 0, 0, 0, 0, 0, 0.01, 0.04, 0.13, 0.25, 0.37, 0.46, 0.53, 0.6, 0.7, 0.8, 0.89, 0.95, 0.98, 0.99, 1, 1, 1, 1)  # how much of a day's visitors has come
_MONTHS = (0.8, 1.3, 1.1, 1.0, 1.1, 1.3, 1.4, 1.2, 1.0, 1.1, 0.9, 0.8)


def visitors(seed: int, site: str, day: date) -> tuple[int, int]:
    """Return the visitors of a whole day, from the country and from abroad."""
    _, _, usual, abroad, _ = SITES[site]
    busy = _MONTHS[day.month - 1] * (1.9 if day.weekday() == 5 else 2.1 if day.weekday() == 6 else 0.8) * (1 + 0.18 * normal(key_of(seed, site, day.toordinal()), "visitors"))
    total = max(20, round(usual * busy))
    return total - round(total * abroad), round(total * abroad)


def rows(province: Province, now: datetime) -> Iterator[list[Any]]:
    """Yield the rows of the sheet below its header."""
    for back in range(DAYS, -1, -1):
        day = now.date() - timedelta(days=back)
        done = 1.0 if back else _HOURS[now.hour] + (_HOURS[min(now.hour + 1, 23)] - _HOURS[now.hour]) * now.minute / 60
        entered = f"{day + timedelta(days=1)}T07:30:00" if back else f"{now:%Y-%m-%dT%H:%M}:00"
        if back == 1 and entered > f"{now:%Y-%m-%dT%H:%M:%S}":
            entered = f"{now:%Y-%m-%dT%H:%M}:00"
        for site, (name, commune, _, _, rooms) in SITES.items():
            key = key_of(province.seed, site, day.toordinal())
            home, abroad = visitors(province.seed, site, day)
            taken = min(rooms, round(rooms * min(0.97, max(0.12, 0.34 + 0.22 * (day.weekday() >= 4) + 0.09 * normal(key, "rooms")))))
            yield [datetime(day.year, day.month, day.day), site, name, commune, round(home * done), round(abroad * done), taken, rooms, entered, person(key, "clerk")]  # noqa: DTZ001


def workbook(province: Province, minute: str) -> bytes:
    """Return the spreadsheet as it is in this minute."""
    book, made = openpyxl.Workbook(), io.BytesIO()
    sheet = book.create_sheet("Du lịch", 0)
    sheet.append(["BÁO CÁO KHÁCH DU LỊCH VÀ LƯU TRÚ (dữ liệu mô phỏng)"])
    sheet.append(["Ngày", "Mã", "Điểm du lịch", "Xã, phường", "Khách", None, "Buồng phòng", None, "Cập nhật", "Người nhập"])
    sheet.append([None, None, None, None, "nội địa", "quốc tế", "có khách", "tổng số", None, None])
    for merged in ("E2:F2", "G2:H2"):
        sheet.merge_cells(merged)
    for row in rows(province, datetime.fromisoformat(minute)):
        sheet.append(row)
    book.save(made)
    return made.getvalue()


class _Sheets:
    """The source; a minute's workbook is made once."""

    def __init__(self, province: Province) -> None:
        self.province = province
        self._made: tuple[str, bytes] = ("", b"")

    def now(self) -> str:
        return f"{self.province.local(self.province.now()):%Y-%m-%dT%H:%M}"

    async def daily(self, request: Request) -> Response:
        minute = self.now()
        if self._made[0] != minute:
            self._made = (minute, workbook(self.province, minute))
        return with_etag(request, self._made[1], XLSX)


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is every row as it stands."""
    source = _Sheets(province)

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for row in rows(province, province.local(until).replace(tzinfo=None)):
            yield {"id": f"{row[1]} {row[0]:%Y-%m-%d}", "status": "reported", "domestic": row[4], "international": row[5], "occupied": row[6], "rooms": row[7]}

    return Mounted({"/daily.xlsx": source.daily}, truth)


SOURCE = Source(FEED, mount)
