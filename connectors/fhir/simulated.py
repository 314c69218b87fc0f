"""The simulated source of health: FHIR R4 search for Location, Encounter, Immunization.

Standard: hl7.org/fhir/R4. `_lastUpdated`, `_sort=_lastUpdated`, `_count`; `link[next]` is opaque; deletions are shown as
`entered-in-error`. Patients and staff are invented; their names are in the references as real servers have them, so
that the connector's privacy guard has work. Facilities are invented too: one hospital a ward, one station a commune.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.case import Case
from ioc.simulator.chance import below, pick, unit, weighted
from ioc.simulator.flow import Flow
from ioc.simulator.places import person, place_key
from ioc.simulator.province import Province
from ioc.simulator.rhythm import CLINIC, OFFICE
from ioc.simulator.source import BadRequest, Endpoint, Mounted, Source, instant, json_response, whole
from ioc.simulator.stream import Script, Step

FEED = "health"
MOST = 2000
MEDIA = "application/fhir+json; charset=utf-8"
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CLASSES = {"AMB": "ambulatory", "EMER": "emergency", "IMP": "inpatient encounter", "HH": "home health"}
_REASONS = (("J06.9", "Nhiễm trùng hô hấp trên cấp"), ("J11.1", "Cúm"), ("I10", "Tăng huyết áp"), ("E11.9", "Đái tháo đường"), ("K29.7", "Viêm dạ dày"), ("M54.5", "Đau lưng"))
# CVX code, name, weight, month in which it is given most
VACCINES = (("21", "Thủy đậu", 8), ("08", "Viêm gan B sơ sinh", 18), ("107", "DPT", 20), ("03", "Sởi - quai bị - rubella", 18), ("141", "Cúm mùa", 24), ("139", "Uốn ván", 12))
_VACCINE_SUMS = [sum(v[2] for v in VACCINES[: n + 1]) for n in range(len(VACCINES))]


def _visit(weight: float, code: str, **hours: float) -> Script:
    steps = [Step(after, what.replace("_", "-").removesuffix("-")) for what, after in hours.items()]
    return Script(weight, tuple(steps), code)


ENCOUNTERS = [
    _visit(30, "AMB", arrived=0, in_progress=0.4, finished=1.0),
    _visit(26, "AMB", arrived=0, in_progress=0.8, finished=2.0),
    _visit(8, "AMB", in_progress=0, finished=0.6),
    _visit(4, "AMB", planned=0, arrived=26, in_progress=26.4, finished=27.2),
    _visit(2, "AMB", planned=0, cancelled=20),
    _visit(1, "AMB", arrived=0, cancelled=1.4),
    _visit(0.6, "AMB", arrived=0, entered_in_error=0.9),
    _visit(7, "EMER", arrived=0, triaged=0.1, in_progress=0.3, finished=4),
    _visit(2, "EMER", arrived=0, triaged=0.1, in_progress=0.2, finished=11),
    _visit(6, "IMP", in_progress=0, finished=70),
    _visit(4, "IMP", planned=0, in_progress=18, finished=130),
    _visit(1.5, "IMP", in_progress=0, onleave=80, in_progress_=100, finished=210),
    _visit(1, "HH", in_progress=0, finished=1.5),
    Script(0.8, (Step(0, "arrived"), Step(0.5, "in-progress"), Step(1.6, "finished"), Step(1.6, "finished!", told=30)), "AMB"),
]
DOSES = [
    Script(95, (Step(0, "completed"),)),
    Script(3, (Step(0, "not-done"),)),
    Script(1, (Step(0, "completed"), Step(3, "entered-in-error"))),
    Script(1, (Step(0, "completed"), Step(5, "completed!"))),
]


class Health:
    """The facilities, visits and doses of the province."""

    def __init__(self, province: Province) -> None:
        self.province = province
        self.flows: dict[str, Flow] = {
            "Encounter": province.flow(FEED, "Encounter", ENCOUNTERS, CLINIC, share=0.42, thin_per_day=150, nights=True),
            "Immunization": province.flow(FEED, "Immunization", DOSES, OFFICE, share=0.08, thin_per_day=50),
        }
        self.render = {"Encounter": self.encounter, "Immunization": self.immunization}
        areas = province.places.communes
        self.hospitals = [f"benh-vien-{a.code}" for a in areas if a.kind == "Phường"]
        self.locations = [self._facility(n, f"benh-vien-{a.code}", f"Bệnh viện đa khoa khu vực {a.short}", a) for n, a in enumerate(areas) if a.kind == "Phường"]
        self.locations += [self._facility(200 + n, f"tram-y-te-{a.code}", f"Trạm y tế {a.name.lower()[0]}{a.name[1:]}", a) for n, a in enumerate(areas)]
        self.names = {row["id"]: row["name"] for row in self.locations}

    def _facility(self, n: int, name_id: str, name: str, area: Any) -> dict[str, Any]:
        key = place_key(self.province.seed, "facility", n)
        lat, lon = self.province.places.point(area, key)
        status = "active" if unit(key, "state") < 0.97 else "suspended"
        return {
            "resourceType": "Location", "id": name_id,
            "meta": {"lastUpdated": f"2026-01-{1 + below(key, 'day', 28):02d}T08:00:00+07:00", "versionId": "1"},
            "identifier": [{"system": "urn:vn:gso:commune", "value": area.code}],
            "status": status, "name": name, "mode": "instance",
            "address": {"use": "work", "city": area.name, "country": "VN"},
            "position": {"longitude": lon, "latitude": lat},
        }  # fmt: skip

    def _where(self, key: int, in_hospital: bool) -> str:
        area = self.province.places.commune(key)
        if not in_hospital and unit(key, "site") < 0.6:
            return f"tram-y-te-{area.code}"
        return f"benh-vien-{area.code}" if area.kind == "Phường" else pick(key, "hospital", self.hospitals or [f"tram-y-te-{area.code}"])

    def encounter(self, case: Case) -> dict[str, Any]:
        """Return an Encounter as it stands."""
        p, key, code = self.province, case.key, case.script.theme
        if case.corrections and unit(key, "moved") < 0.5:
            code = "EMER" if code == "AMB" else "AMB"
        place = self._where(key, code in ("EMER", "IMP"))
        ended = case.when("finished") or case.when("cancelled")
        reason = pick(key, "reason", _REASONS)
        return {
            "resourceType": "Encounter",
            "id": f"E{case.ref}",
            "meta": {"versionId": str(case.step + 1 + case.corrections), "lastUpdated": p.iso(case.changed)},
            "status": case.what,
            "class": {"system": _ACT, "code": code, "display": _CLASSES[code]},
            "subject": {"reference": f"Patient/{below(key, 'patient', 10**7)}", "display": person(key)},
            "participant": [{"individual": {"reference": f"Practitioner/{below(key, 'doctor', 900)}", "display": person(key, "doctor")}}],
            "period": {"start": p.iso(case.opened)} | ({"end": p.iso(ended)} if ended else {}),
            "reasonCode": [{"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": reason[0]}], "text": reason[1]}],
            "location": [{"location": {"reference": f"Location/{place}", "display": self.names[place]}}],
        }

    def immunization(self, case: Case) -> dict[str, Any]:
        """Return an Immunization as it stands."""
        p, key = self.province, case.key
        code, name, _ = weighted(key + (case.corrections << 7), "vaccine", VACCINES, _VACCINE_SUMS)
        place = self._where(key, False)
        return {
            "resourceType": "Immunization",
            "id": f"I{case.ref}",
            "meta": {"versionId": str(case.step + 1 + case.corrections), "lastUpdated": p.iso(case.changed)},
            "status": case.what,
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": code}], "text": name},
            "patient": {"reference": f"Patient/{below(key, 'patient', 10**7)}", "display": person(key)},
            "occurrenceDateTime": p.iso(case.opened),
            "primarySource": True,
            "location": {"reference": f"Location/{place}", "display": self.names[place]},
            "lotNumber": f"MP{below(key, 'lot', 1000):03d}",
        }

    # -- the protocol -----------------------------------------------------------------------------------------------
    async def search(self, kind: str, request: Request) -> Response:
        size = max(1, whole(request, "_count", 100, MOST))
        since, until, offset = self._window(request)
        if kind == "Location":
            known = [row for row in self.locations if since < self.province.story(instant(row["meta"]["lastUpdated"])) <= until]
            known.sort(key=lambda row: (row["meta"]["lastUpdated"], row["id"]))
            total, rows = len(known), known[offset : offset + size]
        else:
            flow = self.flows[kind]
            changes = flow.changes(since, until)
            total, rows = len(changes), [self.render[kind](c) for c in flow.cases(changes.where(slice(offset, offset + size)))]
        base = f"{request.url.scheme}://{request.url.netloc}/{FEED}/fhir"
        links = [{"relation": "self", "url": str(request.url)}]
        if self.province.faults.hit(FEED, "endless_next"):
            links.append({"relation": "next", "url": str(request.url)})
        elif offset + size < total:
            links.append({"relation": "next", "url": f"{base}/{kind}?_count={size}&_page={_token(since, until, offset + size)}"})
        entries = [{"fullUrl": f"{base}/{kind}/{row['id']}", "resource": row, "search": {"mode": "match"}} for row in self.province.faults.shake(FEED, rows)]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": total, "link": links, "entry": entries}
        return json_response(bundle, media=MEDIA)

    def _window(self, request: Request) -> tuple[float, float, int]:
        """Return (since, until] in story time and the offset, of a first page or of a next link."""
        if page := request.query_params.get("_page"):
            try:
                first, last, offset = base64.urlsafe_b64decode(page.encode()).decode().split("|")
                return float(first), float(last), int(offset)
            except ValueError as exc:
                raise BadRequest("_page is not one of our next links") from exc
        since, until = 0.0, float(int(self.province.now()))
        for wish in request.query_params.getlist("_lastUpdated"):
            bound = self.province.story(instant(wish[2:] if wish[:2].isalpha() else wish))
            if wish[:2] in ("gt", "ge"):
                since = max(since, bound - (wish[:2] == "ge") * 0.001)
            elif wish[:2] in ("lt", "le"):
                until = min(until, bound - (wish[:2] == "lt") * 0.001)
            else:
                raise BadRequest(f"_lastUpdated={wish!r}: write gt, ge, lt or le before the instant")
        return since, until, 0

    async def read(self, kind: str, request: Request) -> Response:
        wanted, now = request.path_params["id"], self.province.now()
        if kind == "Location":
            found = next((row for row in self.locations if row["id"] == wanted), None)
        else:
            case = self.flows[kind].find(wanted[1:], now) if wanted[:1] == kind[:1] else None
            found = self.render[kind](case) if case else None
        if found is None:
            issue = [{"severity": "error", "code": "not-found", "diagnostics": f"{kind}/{wanted} is not known"}]
            return json_response({"resourceType": "OperationOutcome", "issue": issue}, media=MEDIA, status=404)
        return json_response(found, media=MEDIA, headers={"ETag": f'W/"{found["meta"]["versionId"]}"'})

    async def metadata(self, _: Request) -> Response:
        kinds = [{"type": kind, "interaction": [{"code": "read"}, {"code": "search-type"}]} for kind in ("Location", *self.flows)]
        about = {"resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "fhirVersion": "4.0.1", "format": ["json"]}
        return json_response(about | {"date": datetime.now(UTC).date().isoformat(), "rest": [{"mode": "server", "resource": kinds}]}, media=MEDIA)

    def truth(self, since: float, until: float) -> Iterable[dict[str, Any]]:
        """Each resource that changed in the window, as it stood at its end."""
        for row in self.locations:
            if since < self.province.story(instant(row["meta"]["lastUpdated"])) <= until:
                yield {"resource": "Location", "id": row["id"], "status": row["status"], "area": row["identifier"][0]["value"]}
        for kind, flow in self.flows.items():
            for case in flow.cases(flow.changes(since, until)):
                row = self.render[kind](case)
                code = row["class"]["code"] if kind == "Encounter" else row["vaccineCode"]["coding"][0]["code"]
                place = row["location"][0]["location"] if kind == "Encounter" else row["location"]
                yield {
                    "resource": kind, "id": row["id"], "status": row["status"], "category": code,
                    "facility": place["reference"].removeprefix("Location/"), "opened_at": self.province.iso(case.opened),
                    "closed_at": row.get("period", {}).get("end"), "updated_at": row["meta"]["lastUpdated"],
                }  # fmt: skip


def _token(since: float, until: float, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{since}|{until}|{offset}".encode()).decode()


def mount(province: Province) -> Mounted:
    """Set the source up."""
    health = Health(province)
    routes: dict[str, Endpoint] = {"/fhir/metadata": health.metadata}
    for kind in ("Location", "Encounter", "Immunization"):
        routes[f"/fhir/{kind}"] = partial(health.search, kind)
        routes[f"/fhir/{kind}/{{id}}"] = partial(health.read, kind)
    return Mounted(routes, health.truth)


SOURCE = Source(FEED, mount)
