"""One dossier -> one case. The applicant (name, number, phone, e-mail, address) and free text are never read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ioc.connect import Context, FieldClass, Skip, fields, shown
from ioc.doubts import doubt
from ioc.events import Case, CaseStatus, Event

LIST = ("hoso", "danhsachhoso", "data", "result")

# TrangThaiHoSo -> (status, outcome). Overdue is no status: it follows from the due date.
STATUS: dict[str, tuple[CaseStatus, str | None]] = {
    "1": ("open", None),  # mới đăng ký
    "2": ("open", None),  # được tiếp nhận
    "3": ("closed", "refused"),  # không được tiếp nhận
    "4": ("open", None),  # đang xử lý
    "5": ("paused", None),  # yêu cầu bổ sung giấy tờ
    "6": ("paused", None),  # yêu cầu thực hiện nghĩa vụ tài chính
    "7": ("closed", "withdrawn"),  # công dân yêu cầu rút
    "8": ("closed", "stopped"),  # dừng xử lý
    "9": ("closed", "resolved"),  # đã xử lý xong
    "10": ("closed", "resolved"),  # đã trả kết quả
}
CHANNEL = {"1": "paper", "2": "online", "3": "post"}

FIELDS: dict[str, FieldClass] = {
    "MaHoSo": "public",
    "MaTTHC": "public",
    "TenTTHC": "public",
    "MaLinhVuc": "public",
    "TenLinhVuc": "public",
    "NgayTiepNhan": "public",
    "NgayHenTra": "public",
    "TrangThaiHoSo": "public",
    "NgayTra": "public",
    "NgayKetThucXuLy": "public",
    "HinhThuc": "public",
    "Kenh": "public",
    "DonViXuLy": "internal",
    "TenDonViXuLy": "internal",
    "MaXa": "public",
    "MucDoHaiLong": "public",
    "ThoiDiemCapNhat": "public",
    "DanhSachHoSoBoSung.NgayHenTraTruoc": "public",
    "DanhSachHoSoBoSung.NgayHenTraMoi": "public",
    # Never read, listed so that nobody has to wonder:
    "ChuHoSo": "personal",
    "MaDoiTuong": "personal",
    "Email": "personal",
    "SoDienThoai": "personal",
    "DiaChi": "personal",
    "TrichYeuHoSo": "personal",
    "GhiChu": "personal",
}
_NAMES = {path.lower(): path for path in (*FIELDS, "DanhSachHoSoBoSung") if "." not in path}


def named(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the record with the usual names: some portals answer in UPPER CASE."""
    if "MaHoSo" in record:
        return record
    return {_NAMES.get(str(key).lower(), str(key)): value for key, value in record.items()}


def to_events(record: Mapping[str, Any], context: Context[Any]) -> list[Event]:
    """Return the case of a dossier, a full state at its update time."""
    zone = context.zone

    def date(field: str) -> datetime | None:
        return fields.compact(record.get(field), field, zone)

    subject = fields.identifier(record, "MaHoSo")
    time = date("ThoiDiemCapNhat")
    if time is None:
        raise Skip("missing_time", "ThoiDiemCapNhat is missing", field="ThoiDiemCapNhat", repair="send when the dossier changed last, yyyyMMddHHmmss")
    native = fields.text(record, "TrangThaiHoSo") or ""
    native = native.lstrip("0") or native
    if native not in STATUS:
        raise Skip("unknown_status", f"TrangThaiHoSo is {shown(record.get('TrangThaiHoSo'))}; known are 1 to 10", field="TrangThaiHoSo", repair="map the state to one of the national ten")
    status, outcome = STATUS[native]
    opened = date("NgayTiepNhan")
    if opened is None and native != "1":
        raise Skip("missing_time", "NgayTiepNhan is missing", field="NgayTiepNhan", repair="send when the dossier was received")
    agency = fields.text(record, "DonViXuLy")
    if context.options.organ_suffix and not (agency or "").endswith(context.options.organ_suffix):
        raise Skip("out_of_scope", f"DonViXuLy {shown(agency)} is not an agency of ...{context.options.organ_suffix}", field="DonViXuLy")
    closed = (date("NgayKetThucXuLy") or date("NgayTra")) if status == "closed" else None
    case = Case(
        status=status,
        native_status=native,
        outcome=outcome,
        category=fields.text(record, "MaLinhVuc"),
        title=fields.text(record, "TenTTHC"),
        area=context.area(fields.text(record, "MaXa"), "MaXa"),
        agency=agency,
        channel=_channel(record),
        level=level_of(agency),
        opened_at=opened or time,
        due_at=_due(record, context),
        closed_at=(closed or time) if status == "closed" else None,
        rating=fields.rating(record, "MucDoHaiLong"),
        doubt=_doubt(status, closed, opened),
    )
    return [context.event(subject, time, case)]


def _doubt(status: str, closed: datetime | None, opened: datetime | None) -> str | None:
    if status == "closed" and closed is None:
        return doubt("no_end")
    if closed is not None and opened is not None and closed < opened:
        return doubt("ended_early")
    return None


def _due(record: Mapping[str, Any], context: Context[Any]) -> datetime | None:
    """The date promised: NgayHenTra, or what the last supplement moved it to where the head was not moved along."""
    due = fields.compact(record.get("NgayHenTra"), "NgayHenTra", context.zone)
    moves = record.get("DanhSachHoSoBoSung")
    last = moves[-1] if isinstance(moves, list) and moves and isinstance(moves[-1], dict) else {}
    before = fields.compact(last.get("NgayHenTraTruoc"), "DanhSachHoSoBoSung.NgayHenTraTruoc", context.zone)
    after = fields.compact(last.get("NgayHenTraMoi"), "DanhSachHoSoBoSung.NgayHenTraMoi", context.zone)
    return after if after is not None and (due is None or due == before) else due


def _channel(record: Mapping[str, Any]) -> str | None:
    field = "HinhThuc" if record.get("HinhThuc") not in (None, "") else "Kenh"
    value = fields.text(record, field)
    if value is None:
        return None
    if value not in CHANNEL:
        raise Skip("unknown_code", f"{field} is {shown(value)}; known are 1 (trực tiếp), 2 (trực tuyến), 3 (bưu chính)", field=field)
    return CHANNEL[value]


def level_of(agency: str | None) -> str | None:
    """Return province or commune by the agency's code: 0NN.00.00.H55 is a department, 000.0NN.NN.H55 a commune."""
    groups = (agency or "").split(".")
    if len(groups) < 3 or not all(group.isdigit() for group in groups[:-1]):
        return None
    if groups[0].strip("0"):
        return "province"
    return "commune" if any(group.strip("0") for group in groups[1:-1]) else "province"
