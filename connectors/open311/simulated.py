"""The simulated source of incident reports: Open311 GeoReport v2, JSON and XML, with the paging extension.

Standard: open311.org GeoReport v2. A window is on `requested_datetime`, at most 90 days and 1,000 requests; a list of
`service_request_id` overrides everything else; there is no way to ask what changed. Reports are invented, and so are
the reporters; they are there so that the connector's privacy guard has work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.case import DAY, Case
from ioc.simulator.chance import below, pick, unit, weighted
from ioc.simulator.places import person, phone, street
from ioc.simulator.province import Province
from ioc.simulator.rhythm import CITIZEN
from ioc.simulator.source import BadRequest, Mounted, Source, instant, json_response, whole, with_etag
from ioc.simulator.stream import Script, Step

FEED = "incident-reports"
WINDOW_S, MOST = 90 * DAY, 1000

# code: name, weight, hours of work allowed, what people write
SERVICES: dict[str, tuple[str, int, int, tuple[str, ...]]] = {
    "duong-giao-thong": ("Đường giao thông", 24, 24, ("Mặt đường bong tróc, có ổ gà lớn", "Nắp hố ga bị vỡ, nguy hiểm cho người đi xe máy", "Biển báo giao thông bị đổ")),
    "moi-truong": ("Môi trường, rác thải", 22, 16, ("Rác thải tồn đọng nhiều ngày chưa được thu gom", "Đốt rác gây khói bụi trong khu dân cư", "Đổ trộm phế thải xây dựng ven đường")),
    "dien-chieu-sang": ("Điện chiếu sáng", 14, 16, ("Đèn đường không sáng từ nhiều ngày nay", "Dây điện chùng thấp, mất an toàn", "Cột đèn bị nghiêng")),
    "cap-thoat-nuoc": ("Cấp, thoát nước", 10, 12, ("Cống thoát nước bị tắc, ngập khi mưa", "Đường ống nước bị vỡ, nước chảy tràn ra đường", "Mất nước sinh hoạt từ sáng")),
    "trat-tu-do-thi": ("Trật tự đô thị", 12, 24, ("Lấn chiếm vỉa hè để kinh doanh", "Đỗ xe sai quy định, cản trở lối đi", "Quảng cáo, rao vặt dán trái phép")),
    "an-ninh-trat-tu": ("An ninh trật tự", 6, 8, ("Mở loa công suất lớn sau 22 giờ", "Tụ tập gây mất trật tự ban đêm")),
    "an-toan-thuc-pham": ("An toàn thực phẩm", 4, 16, ("Cơ sở ăn uống không bảo đảm vệ sinh", "Thực phẩm bày bán không rõ nguồn gốc")),
    "cay-xanh": ("Cây xanh", 5, 16, ("Cành cây gãy, có nguy cơ rơi xuống đường", "Cây đổ chắn ngang đường")),
    "khac": ("Khác", 3, 24, ("Đề nghị hướng dẫn liên hệ bộ phận một cửa", "Phản ánh nội dung khác")),
}  # fmt: skip
_CODES = list(SERVICES)
_CUMULATED = [sum(SERVICES[c][1] for c in _CODES[: n + 1]) for n in range(len(_CODES))]

_NOTES = {
    "open": "Đã tiếp nhận phản ánh",
    "assigned": "Đã chuyển {agency} xử lý",
    "processing": "{agency} đang xử lý",
    "resolved": "Đã xử lý xong",
    "rejected": "Không đủ thông tin để xử lý",
    "duplicate": "Trùng với phản ánh đã tiếp nhận",
    "reopened": "Người dân đề nghị xử lý lại",
}
_CLOSED = ("resolved", "rejected", "duplicate")


def _path(weight: float, theme: str = "", **hours: float) -> Script:
    return Script(weight, (Step(0, "open"), *(Step(after, what.rstrip("_")) for what, after in hours.items())), theme)


SCRIPTS = [
    _path(16, assigned=0.3, processing=0.8, resolved=2.5),
    _path(20, "rated", assigned=0.5, processing=1.5, resolved=5, resolved_=14),
    _path(18, assigned=0.7, processing=2.5, resolved=7.5),
    _path(12, "rated", assigned=1, processing=4, resolved=11, resolved_=18),
    _path(8, assigned=1.5, processing=6, resolved=15),
    _path(6, assigned=2, processing=8, resolved=23),
    _path(5, assigned=3, processing=12, resolved=34),
    _path(3, assigned=6, processing=20, resolved=60),
    _path(1.5, assigned=8, processing=40),
    _path(4, rejected=2.2),
    _path(3, assigned=1, duplicate=3.5),
    _path(2.5, "rated", assigned=1, processing=3, resolved=8, reopened=20, processing_=22, resolved_=30),
]


class Reports:
    """The reports of the province."""

    def __init__(self, province: Province) -> None:
        self.province = province
        self.flow = province.flow(FEED, FEED, SCRIPTS, CITIZEN, share=0.08, thin_per_day=45)

    def record(self, case: Case, *, extended: bool = True) -> dict[str, Any]:
        """Return the request as Open311 shows it."""
        p, key = self.province, case.key
        code = self.code(case)
        name, _, hours, texts = SERVICES[code]
        area = p.places.commune(key)
        lat, lon = p.places.point(area, key) if unit(key, "astray") > 0.002 else (21.028, 105.854)  # a phone that thinks it is in Hà Nội
        agency = p.places.offices[area.code].name
        seen: dict[str, Any] = {
            "service_request_id": f"PA-{case.ref}",
            "status": "closed" if case.what in _CLOSED else "open",
            "status_notes": _NOTES[case.what].format(agency=agency),
            "service_name": name,
            "service_code": code,
            "description": self._description(key, texts),
            "agency_responsible": agency,
            "service_notice": None,
            "requested_datetime": p.iso(case.opened),
            "updated_datetime": p.iso(case.changed),
            "expected_datetime": p.iso(self.flow.later(case.opened, hours)),
            "address": f"{street(key)}, {area.name}",
            "address_id": area.code,
            "zipcode": None,
            "lat": lat,
            "long": lon,
            "media_url": f"https://media.example.org/{case.ref}.jpg" if unit(key, "photo") < 0.6 else None,
        }
        if extended:
            seen["extended_attributes"] = self._extended(case, area.code)
        return seen

    @staticmethod
    def code(case: Case) -> str:
        """Return the service the report is filed under; a correction files an unresolved one elsewhere."""
        if case.corrections and case.what != "resolved":
            return pick(case.key + case.corrections, "again", _CODES)
        return weighted(case.key, "code", _CODES, _CUMULATED)

    @staticmethod
    def _description(key: int, texts: tuple[str, ...]) -> str:
        text = f"{pick(key, 'text', texts)} tại {street(key).lower()}."
        return f"{text} Liên hệ {person(key)}, điện thoại {phone(key)}." if unit(key, "signs") < 0.15 else text

    @staticmethod
    def _extended(case: Case, area: str) -> dict[str, Any]:
        key = case.key
        shown: dict[str, Any] = {"commune_code": area, "detailed_status": case.what, "channel": pick(case.key, "by", ("app", "app", "app", "web", "1022"))}
        more: dict[str, Any] = {"reporter": {"name": person(key), "phone": phone(key)}} if unit(key, "named") < 0.3 else {}
        if case.script.theme == "rated" and case.step == len(case.script.steps) - 1:
            more["rating"] = (5, 5, 5, 4, 4, 4, 4, 3, 2, 1)[below(key, "rating", 10)]
        return shown | more

    # -- the protocol -----------------------------------------------------------------------------------------------
    async def services(self, request: Request) -> Response:
        rows = [
            {"service_code": code, "service_name": name, "description": name, "metadata": False, "type": "realtime", "keywords": "", "group": "Phản ánh hiện trường"}
            for code, (name, *_) in SERVICES.items()
        ]
        return with_etag(request, bytes(json_response(rows).body), "application/json")

    async def json(self, request: Request) -> Response:
        return json_response(self._found(request))

    async def xml(self, request: Request) -> Response:
        rows = "".join(f"<request>{_elements(row)}</request>" for row in self._found(request))
        return Response(f'<?xml version="1.0" encoding="utf-8"?>\n<service_requests>{rows}</service_requests>', media_type="text/xml")

    async def one(self, request: Request) -> Response:
        found = self._by_id(request.path_params["id"], extended=_extensions(request))
        if not found:
            return json_response([{"code": 404, "description": "service_request_id was not found"}], status=404)
        return json_response(found)

    def _found(self, request: Request) -> list[dict[str, Any]]:
        q, extended = request.query_params, _extensions(request)
        if "service_request_id" in q:
            return [row for name in q["service_request_id"].split(",")[:MOST] for row in self._by_id(name.strip(), extended=extended)]
        now = self.province.now()
        until = min(now, self.province.story(instant(q["end_date"]))) if "end_date" in q else now
        since = self.province.story(instant(q["start_date"])) if "start_date" in q else until - WINDOW_S
        if until - since > WINDOW_S + 1:
            raise BadRequest("start_date and end_date may span 90 days at most")
        changes = self.flow.opened(since, until, now)
        page, size = max(1, whole(request, "page", 1, 10**6)), max(1, whole(request, "page_size", MOST if "page" not in q else 100, MOST))
        if self.province.faults.hit(FEED, "endless_next"):
            page = 1
        chosen = slice((page - 1) * size, page * size)
        if "status" in q or "service_code" in q:
            cases = [case for case in self.flow.cases(changes) if self._matches(case, q)][chosen]
        else:
            cases = self.flow.cases(changes.where(chosen))
        return self.province.faults.shake(FEED, [self.record(case, extended=extended) for case in cases])

    def _matches(self, case: Case, q: Mapping[str, str]) -> bool:
        status, code = "closed" if case.what in _CLOSED else "open", self.code(case)
        return status in q.get("status", status).split(",") and code in q.get("service_code", code).split(",")

    def _by_id(self, name: str, *, extended: bool) -> list[dict[str, Any]]:
        case = self.flow.find(name.removeprefix("PA-"), self.province.now()) if name.startswith("PA-") else None
        return [self.record(case, extended=extended)] if case else []

    def truth(self, since: float, until: float) -> Iterable[dict[str, Any]]:
        """Each report opened in the window, as it stood at its end."""
        for case in self.flow.cases(self.flow.opened(max(since, until - WINDOW_S), until, until)):
            row = self.record(case)
            yield {
                "id": row["service_request_id"], "status": row["status"], "native_status": case.what, "category": row["service_code"],
                "area": row["address_id"], "opened_at": row["requested_datetime"], "due_at": row["expected_datetime"],
                "updated_at": row["updated_datetime"], "rating": row["extended_attributes"].get("rating"),
            }  # fmt: skip


def _extensions(request: Request) -> bool:
    return request.query_params.get("extensions") == "true"


def _elements(row: dict[str, Any]) -> str:
    parts = []
    for name, value in row.items():
        inner = _elements(value) if isinstance(value, dict) else "" if value is None else escape(str(value))
        parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)


def mount(province: Province) -> Mounted:
    """Set the source up."""
    r, at = Reports(province), "/open311/v2"
    routes = {f"{at}/services.json": r.services, f"{at}/requests.json": r.json, f"{at}/requests.xml": r.xml, f"{at}/requests/{{id}}.json": r.one}
    return Mounted(routes, r.truth)


SOURCE = Source(FEED, mount)
