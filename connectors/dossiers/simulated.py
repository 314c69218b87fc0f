"""The simulated source of public services: a portal's list of dossiers, with the national field names.

Synthetic: no openly licensed answer of such a portal is known, so fields, codes and date forms (yyyyMMddHHmmss, no
zone) follow the national portal's synchronisation services. `ThoiDiemCapNhat` (update time) and `MucDoHaiLong` (rating
1 to 5) are ours. Applicants are invented; they are there so that the connector's privacy guard has work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ioc.clock import ICT
from ioc.simulator.case import Case
from ioc.simulator.chance import below, mix, pick, unit
from ioc.simulator.places import citizen_number, person, phone, street
from ioc.simulator.province import Province
from ioc.simulator.rhythm import OFFICE
from ioc.simulator.source import BadRequest, Mounted, Snapshots, Source, json_response, whole
from ioc.simulator.stream import Script, Step

FEED = "public-services"
MOST = 2000

# code: field, share handled by departments of the province, procedures
FIELDS: dict[str, tuple[str, float, tuple[str, ...]]] = {
    "HT": ("Hộ tịch", 0.0, ("Đăng ký khai sinh", "Đăng ký kết hôn", "Đăng ký khai tử", "Cấp Giấy xác nhận tình trạng hôn nhân", "Cấp bản sao trích lục hộ tịch")),
    "TP": ("Tư pháp", 0.1, ("Chứng thực bản sao từ bản chính", "Chứng thực chữ ký", "Chứng thực hợp đồng, giao dịch")),
    "DN": ("Đăng ký kinh doanh", 0.4, ("Đăng ký thành lập hộ kinh doanh", "Đăng ký thay đổi nội dung đăng ký hộ kinh doanh", "Đăng ký thành lập công ty trách nhiệm hữu hạn một thành viên")),
    "LD": ("Lao động - xã hội", 0.1, ("Trợ cấp xã hội hằng tháng", "Hỗ trợ chi phí mai táng", "Cấp Giấy xác nhận khuyết tật")),
    "YT": ("Y tế", 0.9, ("Cấp giấy phép hành nghề khám bệnh, chữa bệnh", "Cấp Giấy chứng nhận cơ sở đủ điều kiện an toàn thực phẩm")),
    "GD": ("Giáo dục", 0.5, ("Chuyển trường đối với học sinh trung học phổ thông", "Cấp bản sao văn bằng, chứng chỉ từ sổ gốc")),
    "DD": ("Đất đai", 0.3, ("Đăng ký biến động quyền sử dụng đất", "Cấp đổi Giấy chứng nhận quyền sử dụng đất", "Tách thửa đất, hợp thửa đất", "Chuyển mục đích sử dụng đất")),
    "XD": ("Xây dựng", 0.4, ("Cấp giấy phép xây dựng nhà ở riêng lẻ", "Cấp giấy phép xây dựng mới công trình")),
    "GT": ("Giao thông", 0.9, ("Cấp phù hiệu xe ô tô kinh doanh vận tải", "Cấp giấy phép kinh doanh vận tải bằng xe ô tô")),
    "MT": ("Môi trường", 0.7, ("Cấp giấy phép môi trường", "Đăng ký môi trường")),
}  # fmt: skip
# hours of work allowed -> fields, each as often as it is named; weight of the class
CLASSES: dict[int, tuple[tuple[str, ...], float]] = {
    8: (("HT", "HT", "HT", "TP", "TP"), 0.45),
    40: (("DN", "DN", "LD", "LD", "YT", "GD"), 0.3),
    120: (("DD", "DD", "DD", "DD", "XD", "GT", "MT"), 0.25),
}
_PAUSE = 2.0  # a supplement takes this many times the tenth of the allowed time
_PAPERS = ("Bổ sung bản sao giấy tờ tùy thân", "Bổ sung bản vẽ hiện trạng", "Kê khai lại thông tin trong tờ khai")


def _scripts(allowed: int, weight: float) -> list[Script]:
    """The ways of a dossier: (weight, when each TrangThaiHoSo is reached, in parts of the allowed time)."""
    ways: list[tuple[float, tuple[tuple[float, str], ...]]] = [
        (30, ((0.05, "2"), (0.1, "4"), (0.5, "9"), (0.6, "10"))),
        (22, ((0.05, "2"), (0.15, "4"), (0.75, "9"), (0.85, "10"), (1.0, "10 rated"))),
        (14, ((0.1, "2"), (0.2, "4"), (0.93, "9"), (1.1, "10"))),
        (4, ((0.1, "2"), (0.3, "4"), (1.12, "9"), (1.3, "10 rated"))),
        (2, ((0.15, "2"), (0.4, "4"), (1.6, "9"), (1.8, "10"))),
        (5, ((0.05, "2"), (0.15, "4"), (0.3, "5"), (0.3 + _PAUSE / 10, "4"), (1.0, "9"), (1.2, "10 rated"))),
        (2, ((0.05, "2"), (0.1, "4"), (0.5, "6"), (0.6, "4"), (0.8, "9"), (0.9, "10"))),
        (1.5, ((0.08, "3"),)),
        (1, ((0.05, "2"), (0.1, "4"), (0.35, "7"))),
        (0.5, ((0.05, "2"), (0.2, "4"), (0.7, "8"))),
        (1, ((0.05, "2"), (0.15, "4"), (0.6, "9"), (0.7, "10"), (1.4, "10!"))),
    ]
    return [Script(weight * w, (Step(0, "1"), *(Step(part * allowed, what) for part, what in steps)), str(allowed)) for w, steps in ways]


class Dossiers:
    """The dossiers of the province."""

    def __init__(self, province: Province) -> None:
        self.province = province
        scripts = [script for allowed, (_, weight) in CLASSES.items() for script in _scripts(allowed, weight)]
        self.flow = province.flow(FEED, FEED, scripts, OFFICE, share=0.25, thin_per_day=160)
        self._snapshots = Snapshots()

    def record(self, case: Case) -> dict[str, Any]:
        """Return the dossier with the national portal's field names."""
        key, allowed = case.key, int(case.script.theme)
        field = pick(key, "field", CLASSES[allowed][0])
        name, provincial, procedures = FIELDS[field]
        title = procedures[below(mix(key + case.corrections) if case.corrections else key, "procedure", len(procedures))]
        office = self.province.places.agency(key, provincial)
        status = case.what.split()[0]
        return {
            "MaHoSo": f"{office.code}-{self._date(case.told[0])[2:8]}-{case.ref}",
            "MaTTHC": f"{field}.{procedures.index(title) + 1:03d}",
            "TenTTHC": title,
            "MaLinhVuc": field,
            "TenLinhVuc": name,
            **self._applicant(key, title),
            "NgayTiepNhan": self._date(case.opened),
            **self._dates(case, allowed),
            "TrangThaiHoSo": status,
            "HinhThuc": "2" if unit(key, "channel") < 0.62 else "1" if unit(key, "channel") < 0.94 else "3",
            "DonViXuLy": office.code,
            "TenDonViXuLy": office.name,
            "MaXa": office.area.code,
            "MucDoHaiLong": (5, 5, 5, 5, 4, 4, 4, 3, 2, 1)[below(key, "rating", 10)] if case.what == "10 rated" else None,
            "GhiChu": "",
            "TaiLieuNop": [],
            "ThoiDiemCapNhat": self._date(case.changed),
        }

    @staticmethod
    def _applicant(key: int, title: str) -> dict[str, Any]:
        name = person(key)
        return {
            "ChuHoSo": name, "LoaiDoiTuong": "1" if unit(key, "kind") < 0.85 else "2", "MaDoiTuong": citizen_number(key),
            "Email": f"mau{below(key, 'mail', 10_000):04d}@example.org", "SoDienThoai": phone(key), "DiaChi": street(key),
            "TrichYeuHoSo": f"{title} - {name}",
        }  # fmt: skip

    def _dates(self, case: Case, allowed: int) -> dict[str, Any]:
        due = self.flow.later(case.opened, allowed)
        supplements = []
        asked = case.when("5")
        if asked is not None:
            moved = self.flow.later(due, _PAUSE / 10 * allowed)
            given = case.what != "5"
            supplements = [
                {
                    "NgayYeuCau": self._date(asked), "LyDo": pick(case.key, "paper", _PAPERS),
                    "NgayHenTraTruoc": self._date(due), "NgayHenTraMoi": self._date(moved) if given else "",
                }
            ]  # fmt: skip
            due = moved if given else due
        done = case.when("9") or case.when("3") or case.when("7") or case.when("8")
        handed = case.when("10") or case.when("10 rated")
        return {
            "NgayHenTra": self._date(due), "NgayKetThucXuLy": self._date(done), "NgayTra": self._date(handed),
            "DanhSachHoSoBoSung": supplements,
        }  # fmt: skip

    def _date(self, story: float | None) -> str:
        return self.province.stamp(story) if story is not None else ""

    # -- the protocol -----------------------------------------------------------------------------------------------
    async def listing(self, request: Request) -> Response:
        text = request.query_params.get("capNhatTu", "19700101000000")
        if not re.fullmatch(r"\d{14}", text):
            raise BadRequest(f"capNhatTu={text!r} is not yyyyMMddHHmmss")
        try:
            since = self.province.story(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=ICT)) - 1
        except ValueError as exc:
            raise BadRequest(f"capNhatTu={text!r} is not a date") from exc
        page, size = max(1, whole(request, "trang", 1, 10**6)), max(1, whole(request, "soLuong", 100, MOST))
        until = self._snapshots.as_of(text, first=page == 1, now=self.province.now())
        changes = self.flow.changes(since, until)
        if self.province.faults.hit(FEED, "endless_next"):
            page, total = 1, 10**9
        else:
            total = len(changes)
        cases = self.flow.cases(changes.where(slice((page - 1) * size, page * size)))
        rows = self.province.faults.shake(FEED, [self.record(case) for case in cases])
        return json_response({"error_code": "00", "message": "Thành công", "tongSo": total, "trang": page, "soLuong": size, "hoSo": rows})

    def truth(self, since: float, until: float) -> Iterable[dict[str, Any]]:
        """Each dossier that changed in the window, as it stood at its end."""
        for case in self.flow.cases(self.flow.changes(since, until)):
            row = self.record(case)
            yield {
                "id": row["MaHoSo"], "status": row["TrangThaiHoSo"], "category": row["MaLinhVuc"], "channel": row["HinhThuc"],
                "agency": row["DonViXuLy"], "area": row["MaXa"], "opened_at": row["NgayTiepNhan"], "due_at": row["NgayHenTra"],
                "closed_at": row["NgayKetThucXuLy"] or row["NgayTra"], "rating": row["MucDoHaiLong"], "updated_at": row["ThoiDiemCapNhat"],
            }  # fmt: skip


def mount(province: Province) -> Mounted:
    """Set the source up."""
    source = Dossiers(province)
    return Mounted({"/api/hoso": source.listing}, source.truth)


SOURCE = Source(FEED, mount)
