"""The simulated source of e-documents: a list of messages, each an edXML 2 document or status message in XML.

Standard: QCVN 102:2016/BTTTT, namespace http://www.mic.gov.vn/TBT/QCVN_102_2016; times are ICT without a zone. Status
messages come late, twice and before the document they speak of. The list and its cursor are ours: the national
exchange publishes no openly licensed answer. Partners outside the province, signers and staff are invented.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.case import CORRECTED, Case
from ioc.simulator.chance import below, pick, unit, weighted
from ioc.simulator.places import person, phone
from ioc.simulator.province import Province
from ioc.simulator.rhythm import OFFICE
from ioc.simulator.source import BadRequest, Mounted, Source, json_response, whole, with_etag
from ioc.simulator.stream import Script, Step

FEED = "e-documents"
MOST = 1000
NAMESPACE = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
_SIGNED_SHARE = 0.9

# name, notation, weight
TYPES = (("Công văn", "CV", 50), ("Báo cáo", "BC", 14), ("Quyết định", "QĐ", 10), ("Thông báo", "TB", 9), ("Kế hoạch", "KH", 6), ("Tờ trình", "TTr", 5), ("Giấy mời", "GM", 5), ("Công điện", "CĐ", 1))
_TYPE_SUMS = [sum(t[2] for t in TYPES[: n + 1]) for n in range(len(TYPES))]
_ABOUT = ("triển khai nhiệm vụ chuyển đổi số", "báo cáo kết quả giải quyết thủ tục hành chính", "phòng, chống thiên tai", "rà soát cơ sở vật chất trường học", "phòng, chống dịch bệnh mùa đông xuân")
_OUTSIDE = tuple((f"000.00.00.G{n}", f"Bộ, ngành mô phỏng {n}") for n in range(90, 98)) + tuple((f"000.00.00.H{n}", f"Tỉnh mô phỏng {n}") for n in range(90, 98))
_SAYS = {
    "01": "Đã đến", "02": "Từ chối tiếp nhận", "03": "Đã tiếp nhận", "04": "Đã phân công", "05": "Đang xử lý", "06": "Đã hoàn thành",
    "13": "Lấy lại", "15": "Đồng ý thu hồi", "16": "Từ chối thu hồi",
}  # fmt: skip
_REASON = {"recall": "Thu hồi do sai sót về thể thức", "update": "Cập nhật nội dung văn bản"}


def _way(weight: float, *steps: tuple[float, str] | tuple[float, str, float]) -> Script:
    """A way of a document: (hours of work after it was sent, what[, hours after which it is told])."""
    return Script(weight, tuple(Step(*step) for step in steps))


SCRIPTS = [
    _way(30, (0, "doc"), (0.05, "01"), (0.6, "03"), (2, "04"), (4, "05"), (14, "06")),
    _way(22, (0, "doc"), (0.03, "01"), (0.4, "03"), (6, "06")),
    _way(14, (0, "doc"), (0.05, "01"), (1.5, "03"), (5, "04"), (9, "05"), (34, "06")),
    _way(8, (0, "doc"), (0.1, "01"), (3, "03"), (12, "04"), (20, "05"), (72, "06")),
    _way(6, (0, "doc"), (0.05, "01"), (2, "03"), (8, "05")),
    _way(3, (0, "doc"), (0.05, "01"), (1, "02")),
    _way(5, (0.05, "01"), (0, "doc", 0.3), (1, "03"), (16, "06"), (8, "05", 18)),  # statuses before the document, and late
    _way(4, (0, "doc"), (0.05, "01"), (0.5, "03"), (0.5, "03", 0.6), (10, "06"), (10, "06", 11)),  # told twice
    _way(2, (0, "doc"), (0.05, "01"), (0.5, "03"), (4, "recall"), (6, "15")),
    _way(1, (0, "doc"), (0.05, "01"), (0.5, "03"), (4, "recall"), (6, "16"), (20, "06")),
    _way(1, (0, "doc"), (0.05, "01"), (1, "13")),
    _way(2, (0, "doc"), (0.05, "01"), (0.5, "03"), (7, "update"), (20, "06")),
]


class Documents:
    """The documents of the province's agencies."""

    def __init__(self, province: Province) -> None:
        self.province = province
        self.flow = province.flow(FEED, FEED, SCRIPTS, OFFICE, share=0.12, thin_per_day=15, full_events=200)

    # -- what a document is -----------------------------------------------------------------------------------------
    def sent(self, case: Case) -> float:
        """When the document was sent: it need not be the first thing told of it."""
        names = [step.what for step in case.script.steps]
        return case.at[names.index("doc")] - (case.at[0] - case.opened)

    def parties(self, key: int) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return the (OrganId, name) of sender and receiver; one of them at least is ours."""
        agency = self.province.places.agency(key, 0.55)
        ours, kind = (agency.code, agency.name), unit(key, "direction")
        if kind < 0.55:
            return pick(key, "outside", _OUTSIDE), ours
        if kind < 0.8:
            return ours, pick(key, "outside", _OUTSIDE)
        other = pick(key, "internal", self.province.places.departments)
        return ours, (other.code, other.name) if other.code != agency.code else pick(key, "outside", _OUTSIDE)

    def number(self, case: Case, part: str = "") -> tuple[str, str]:
        """Return (number, notation) of the document, or of the message that recalls or updates it."""
        _, short, _ = weighted(case.key, "type", TYPES, _TYPE_SUMS)
        return str(int(case.ref[1:], 36) % 100_000), f"{short}-{case.ref}{part}"

    def document_id(self, case: Case, part: str = "") -> str:
        number, notation = self.number(case, part)
        return f"{self.parties(case.key)[0][0]},{self._day(self.sent(case))},{number}/{notation}"

    def _day(self, story: float) -> str:
        return self.province.local(story).strftime("%Y/%m/%d")

    def _second(self, story: float) -> str:
        return self.province.local(story).strftime("%Y/%m/%d %H:%M:%S")

    # -- messages ---------------------------------------------------------------------------------------------------
    def xml(self, case: Case, step: int) -> bytes:
        """Return message `step` of the case."""
        what = "update" if step == CORRECTED else case.script.steps[step].what
        at = case.changed if step == CORRECTED else case.at[step]
        header = self._status(case, what, at) if what in _SAYS else self._document(case, what, at)
        body = f"<edXML:edXMLEnvelope><edXML:edXMLHeader>{header}</edXML:edXMLHeader>{'' if what in _SAYS else _BODY}</edXML:edXMLEnvelope>"
        attached = "" if what in _SAYS else _ATTACHED
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<edXML:edXML xmlns:edXML="{NAMESPACE}">{body}{attached}</edXML:edXML>'.encode()

    def _document(self, case: Case, what: str, at: float) -> str:
        key, (sender, receiver) = case.key, self.parties(case.key)
        name, _, _ = weighted(key, "type", TYPES, _TYPE_SUMS)
        part = "" if what == "doc" else f"-{what}"
        number, notation = self.number(case, part)
        sent = self.sent(case) if what == "doc" else at
        due = self.flow.later(self.sent(case), 40) if unit(key, "due") < 0.6 else None
        message = _tags(
            From=_organ(*sender, key), To=_organ(*receiver, key + 1),
            Code=_tags(CodeNumber=number, CodeNotation=notation),
            PromulgationInfo=_tags(Place=sender[1], PromulgationDate=self._day(self.sent(case))),
            DocumentType=_tags(Type="1" if name == "Quyết định" else "2", TypeDetail=str([t[0] for t in TYPES].index(name) + 1), TypeName=name),
            Subject=f"V/v {pick(key, 'about', _ABOUT)}", Content=f"V/v {pick(key, 'about', _ABOUT)}",
            SignerInfo=_tags(Competence="TM.", Position="Chánh Văn phòng", FullName=person(key)),
            DueDate=self._day(due) if due else "", ToPlaces=_tags(Place=receiver[1]),
            OtherInfo=_tags(Priority=str((0, 0, 0, 0, 0, 0, 1, 1, 2, 3)[below(key, "priority", 10)] if name != "Công điện" else 4), PromulgationAmount="1", PageAmount=str(1 + below(key, "pages", 12))),
            ResponseFor="" if what == "doc" else self._answers(case),
            SteeringType=str(1 + below(key, "steering", 3)), DocumentId=self.document_id(case, part),
        )  # fmt: skip
        business = _tags(BussinessDocType={"doc": "0", "recall": "1", "update": "2"}[what], BussinessDocReason=_REASON.get(what, "Văn bản mới"), Paper="0", StaffInfo=_staff(key))
        trace = _tags(TraceHeader=_tags(OrganId=sender[0], Timestamp=self._second(sent)), Bussiness=business)
        return _tags(MessageHeader=message, TraceHeaderList=trace) + (_SIGNATURE if unit(key, "signed") < _SIGNED_SHARE else "")

    def _status(self, case: Case, what: str, at: float) -> str:
        sender, receiver = self.parties(case.key)
        says = sender if what in ("13",) else receiver
        return _tags(
            Status=_tags(
                ResponseFor=self._answers(case), From=_organ(*says, case.key + 1), StatusCode=what, Description=_SAYS[what],
                Timestamp=self._second(at), StaffInfo=_staff(case.key + 2),
            )
        )  # fmt: skip

    def _answers(self, case: Case) -> str:
        number, notation = self.number(case)
        return _tags(OrganId=self.parties(case.key)[0][0], Code=f"{number}/{notation}", PromulgationDate=self._day(self.sent(case)), DocumentId=self.document_id(case))

    # -- the protocol -----------------------------------------------------------------------------------------------
    async def listing(self, request: Request) -> Response:
        size, after = max(1, whole(request, "limit", 200, MOST)), request.query_params.get("after", "")
        if after and not re.fullmatch(r"\d{1,12}\.\d{1,9}", after):
            raise BadRequest("after is not a cursor of ours")
        told, seen = (int(part) for part in (after or "0.0").split("."))
        now = self.province.now()
        changes = self.flow.changes(told - 1, now, latest=False)
        skip = min(seen, int((changes.told == told).sum()))
        page = changes.where(slice(skip, skip + size))
        names = [f"{case.ref}-{step}" for case, step in zip(self.flow.cases(page), page.step.tolist(), strict=True)]
        following = after or "0.0"
        if len(page) and not self.province.faults.hit(FEED, "endless_next"):
            last = page.told[-1]
            following = f"{int(last)}.{int((page.told == last).sum()) + (skip if last == told else 0)}"
        base = f"{request.url.scheme}://{request.url.netloc}/{FEED}/api/messages"
        rows = [{"id": name, "type": "status" if self._is_status(page, n) else "edoc", "url": f"{base}/{name}"} for n, name in enumerate(names)]
        return json_response({"data": self.province.faults.shake(FEED, rows), "next": following})

    def _is_status(self, page: Any, n: int) -> bool:
        step = int(page.step[n])
        return step != CORRECTED and self.flow.scripts.all[int(page.cases.script[n])].steps[step].what in _SAYS

    async def message(self, request: Request) -> Response:
        name = request.path_params["id"]
        ref, _, step = name.partition("-")
        case = self.flow.find(ref, self.province.now()) if re.fullmatch(r"\d{1,2}", step) else None
        if case is None or not (int(step) <= case.step or (int(step) == CORRECTED and case.corrections)):
            return Response(f"{name} is not known", 404, media_type="text/plain")
        return with_etag(request, self.xml(case, int(step)), "application/xml; charset=utf-8")

    def truth(self, since: float, until: float) -> Iterable[dict[str, Any]]:
        """Each document of which something was told in the window, with the status codes told up to its end, in order."""
        for case in self.flow.cases(self.flow.changes(since, until)):
            steps = case.script.steps[: case.step + 1]
            sender, receiver = self.parties(case.key)
            yield {
                "id": self.document_id(case), "direction": "sent" if sender[0].endswith(".H55") else "received",
                "agency": sender[0] if sender[0].endswith(".H55") else receiver[0], "signed": unit(case.key, "signed") < _SIGNED_SHARE,
                "sent_at": self._second(self.sent(case)), "known": any(step.what == "doc" for step in steps),
                "told": [step.what for step in steps], "status": max(zip(case.at, (s.what for s in steps), strict=False))[1],
                "changed_at": self._second(case.changed),
            }  # fmt: skip


def _tags(**inner: str) -> str:
    """Return elements with their (already escaped or plain) contents; what looks like XML is left as it is."""
    return "".join(f"<edXML:{name}>{text if text.startswith('<') else escape(text)}</edXML:{name}>" for name, text in inner.items())


def _organ(code: str, name: str, key: int) -> str:
    return _tags(OrganId=code, OrganizationInCharge="", OrganName=name, OrganAdd="", Email=f"mau{below(key, 'mail', 1000):03d}@example.org", Telephone=phone(key), Fax="", Website="")


def _staff(key: int) -> str:
    return _tags(Department="Văn thư", Staff=person(key, "staff"), Email="vanthu@example.org", Mobile=phone(key, "staff"))


_SIGNATURE = (
    '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/><SignatureValue>c2ltdWxhdGVk</SignatureValue></Signature>'
)
_BODY = (
    '<edXML:edXMLBody><edXML:edXMLManifest><edXML:Reference xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="cid:van-ban">'
    "<edXML:AttachmentName>van-ban.pdf</edXML:AttachmentName></edXML:Reference></edXML:edXMLManifest></edXML:edXMLBody>"
)
_ATTACHED = "<edXML:AttachmentEncoded><edXML:Attachment><edXML:ContentId>van-ban</edXML:ContentId><edXML:Content>UEsFBgAAAAAAAA==</edXML:Content></edXML:Attachment></edXML:AttachmentEncoded>"


def mount(province: Province) -> Mounted:
    """Set the source up."""
    documents = Documents(province)
    return Mounted({"/api/messages": documents.listing, "/api/messages/{id}": documents.message}, documents.truth)


SOURCE = Source(FEED, mount)
