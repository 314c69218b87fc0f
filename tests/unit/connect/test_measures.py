"""Notifiable diseases by FHIR: the same facts as from the table, no small count anywhere, nothing counted twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.connect_rig import context_of

from ioc.connect import registry
from ioc.connect.preview import Preview, preview
from ioc.events import Observation

ICD, GSO = "http://hl7.org/fhir/sid/icd-10", "urn:vn:gso:commune"
TABLE = "Tuần,Mã xã,Bệnh,Số ca mắc,Cập nhật,Hủy,Người báo cáo\n2026-W46,05443,Sốt xuất huyết,12,2026-11-16T08:00:00,,x\n2026-W46,05455,Sốt xuất huyết,3,2026-11-16T08:00:00,,x\n2026-W46,05467,Sốt xuất huyết,0,2026-11-16T08:00:00,,x\n"


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def stratum(count: Any, *concepts: dict[str, Any]) -> dict[str, Any]:
    told = {"value": concepts[0]} if len(concepts) == 1 else {"component": [{"value": concept} for concept in concepts]}
    return told | {"population": [{"code": coded("http://terminology.hl7.org/CodeSystem/measure-population", "initial-population"), "count": count}]}


def read(*groups: dict[str, Any], options: dict[str, Any] | None = None, **changes: Any) -> Preview:
    report = {
        "resourceType": "MeasureReport", "id": "r", "meta": {"lastUpdated": "2026-11-16T08:00:00+07:00"}, "status": "complete", "type": "summary",
        "period": {"start": "2026-11-09", "end": "2026-11-15"}, "group": list(groups),
    }  # fmt: skip
    return preview(registry.get("fhir"), context_of("fhir", options=options or {}), json.dumps(report | changes).encode())


def group(*strata: dict[str, Any], code: str = "A97.0") -> dict[str, Any]:
    return {"code": coded(ICD, code), "stratifier": [{"stratum": list(strata)}]}


COMMUNES = [stratum(count, coded(GSO, code)) for code, count in (("05443", 12), ("05455", 3), ("05467", 0))]


def facts(found: Preview) -> list[tuple[Any, ...]]:
    return [(event.subject, event.time, event.data) for event in found.events]


def test_a_summary_and_the_weekly_table_become_the_same_facts() -> None:
    table = preview(registry.get("epidemics"), context_of("epidemics"), TABLE.encode())
    found = read(group(*COMMUNES))
    assert len(found.events) == 3 and not found.letters and facts(found) == facts(table)


@pytest.mark.parametrize("period", [{"start": "2026-11-09T00:00:00+07:00", "end": "2026-11-16T00:00:00+07:00"}, {"start": "2026-11-08T17:00:00Z", "end": "2026-11-15T16:59:59Z"}])
def test_a_week_is_the_same_by_days_and_by_times(period: dict[str, str]) -> None:
    assert facts(read(group(*COMMUNES), period=period)) == facts(read(group(*COMMUNES)))


def test_strata_by_age_are_the_same_cases_and_not_counted() -> None:
    aged = group(*COMMUNES)
    aged["stratifier"] += [{"stratum": [stratum(7, {"text": "0-14"})]}, {"stratum": [stratum(7, coded(GSO, "05443"), {"text": "0-14"})]}]
    assert facts(read(aged)) == facts(read(group(*COMMUNES)))


def test_a_stratum_whose_commune_is_not_known_is_a_dead_letter_and_the_others_count() -> None:
    found = read(group(*COMMUNES, stratum(5, coded(GSO, "99999")), stratum(5, {"text": "không rõ"})))
    assert len(found.events) == 3 and [letter.cause for letter in found.letters] == ["unknown_area", "unknown_area"]


def test_no_dead_letter_tells_a_count() -> None:
    found = read(group(stratum(7351, coded(GSO, "99999")), *COMMUNES), group(stratum(7351, coded(GSO, "05443"))), group(stratum(7351.5, coded(GSO, "05518"))))
    assert [letter.cause for letter in found.letters] == ["unknown_area", "contradiction", "contradiction", "wrong_type"]
    assert not [letter for letter in found.letters if "7351" in letter.record + letter.message]
    assert any("99999" in letter.record for letter in found.letters)  # and yet it says which commune


def test_an_error_withdraws_what_was_said_and_says_so_where_it_no_longer_can() -> None:
    said, withdrawn = read(group(*COMMUNES)), read(group(*COMMUNES), status="error")
    assert [(event.subject, event.time) for event in withdrawn.events] == [(event.subject, event.time) for event in said.events]
    assert all(isinstance(event.data, Observation) and event.data.deleted and event.data.value is None for event in withdrawn.events)
    assert [letter.cause for letter in read(status="error").letters] == ["missing_value"]


def test_a_servers_own_codes_are_told_by_the_option() -> None:
    own = group(*COMMUNES, code="SXH")
    assert [letter.cause for letter in read(own).letters] == ["unknown_code"] * 3
    assert facts(read(own, options={"diseases": {"SXH": "dengue"}})) == facts(read(group(*COMMUNES)))


def test_without_a_time_of_change_the_day_of_the_report_is_the_version() -> None:
    found = read(group(*COMMUNES), meta={}, date="2026-11-16T08:00:00+07:00")
    assert facts(found) == facts(read(group(*COMMUNES)))
    assert [letter.cause for letter in read(group(*COMMUNES), meta={}).letters] == ["missing_time"] * 3
