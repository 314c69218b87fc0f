"""Payloads nobody here wrote: each record becomes an event or a dead letter, counted by other means than ours."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from unit.connect_rig import context_of

from ioc.config import Config
from ioc.connect import registry
from ioc.connect.commands.preview import Preview, preview_file
from ioc.events import Case, DeadLetter

pytestmark = pytest.mark.samples

Count = Callable[[Path], int]


def _json(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8-sig"))


def _list_or_one(path: Path) -> int:
    value = _json(path)
    return len(value) if isinstance(value, list) else 1


def _xml(tag: str) -> Count:
    return lambda path: sum(1 for _ in ElementTree.parse(path).getroot().iter(tag))


def _csv(path: Path) -> int:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return sum(1 for row in csv.reader(file) if row) - 1


def _bundle(path: Path) -> int:
    value = _json(path)
    assert isinstance(value, dict)
    return len(value.get("entry", [])) if value.get("resourceType") == "Bundle" else 1


def _lines(path: Path) -> int:
    return sum(1 for line in path.read_text().splitlines() if line.strip())


def _only_list(path: Path) -> int:
    value = _json(path)
    assert isinstance(value, dict)
    return len(next(iter(value.values())))


# connector, file, how to count its records independently, events expected, causes of dead letters expected
FILES: list[tuple[str, str, Count, int, dict[str, int]]] = [
    ("open311", "open311/boston/services.json", _list_or_one, 0, {"out_of_scope": 118}),
    ("open311", "open311/chicago/service_list.json", _list_or_one, 0, {"out_of_scope": 3}),
    ("open311", "open311/chicago/service_requests.json", _list_or_one, 2, {}),
    ("open311", "open311/helsinki/taskful_request.json", _list_or_one, 1, {}),
    ("open311", "open311/nyc311_csv/nyc_311_animals_part1.csv", _csv, 2484, {}),
    ("open311", "open311/sf_gem/request_id_from_token.xml", _xml("request"), 0, {"out_of_scope": 1}),
    ("open311", "open311/sf_gem/service_definition.xml", _xml("service_definition"), 0, {"out_of_scope": 1}),
    ("open311", "open311/sf_gem/service_requests.xml", _xml("request"), 2, {}),
    ("open311", "open311/sf_gem/service_requests_empty.xml", _xml("request"), 0, {}),
    ("open311", "open311/sf_gem/services.xml", _xml("service"), 0, {"out_of_scope": 36}),
    ("open311", "open311/toronto/requests_single.xml", _xml("request"), 1, {}),
    ("fhir", "fhir/fhir_data_pipes/bulk_export_status.json", _bundle, 0, {"out_of_scope": 1}),
    ("fhir", "fhir/fhir_data_pipes/encounter.json", _bundle, 1, {}),
    ("fhir", "fhir/fhir_data_pipes/immunization.json", _bundle, 1, {}),
    ("fhir", "fhir/fhir_data_pipes/observation_bundle.json", _bundle, 0, {"out_of_scope": 6}),
    ("fhir", "fhir/fhir_data_pipes/patient_bundle.json", _bundle, 0, {"out_of_scope": 1}),
    ("fhir", "fhir/fhir_data_pipes/patients.ndjson", _lines, 0, {"out_of_scope": 3}),
    ("fhir", "fhir/hl7_examples/location-example.json", _bundle, 1, {}),
    ("fhir", "fhir/hl7_examples/operationoutcome-example.json", _bundle, 0, {"operation_outcome": 1}),
    ("fhir", "fhir/hl7_examples/organization-example.json", _bundle, 0, {"out_of_scope": 1}),
    ("fhir", "fhir/hl7_validator/bundle-id-search-1.json", _bundle, 0, {"operation_outcome": 1}),
    ("fhir", "fhir/synthea/patient_bundle_1.json", _bundle, 78, {"out_of_scope": 160}),
    ("fhir", "fhir/synthea/patient_bundle_2.json", _bundle, 76, {"out_of_scope": 183}),
    ("oneroster", "oneroster/json/academicSessions.json", _only_list, 1, {}),
    ("oneroster", "oneroster/json/enrollments_page1.json", _only_list, 2, {}),
    ("oneroster", "oneroster/json/enrollments_page2.json", _only_list, 2, {}),
    ("oneroster", "oneroster/json/enrollments_page_end.json", _only_list, 0, {}),
    ("oneroster", "oneroster/json/teachers.json", _only_list, 0, {"personal_record": 3}),
    ("oneroster", "oneroster/sds_v2_1/academicSessions.csv", _csv, 2, {}),
    ("oneroster", "oneroster/sds_v2_1/classes.csv", _csv, 2, {}),
    ("oneroster", "oneroster/sds_v2_1/courses.csv", _csv, 0, {"out_of_scope": 3}),
    ("oneroster", "oneroster/sds_v2_1/demographics.csv", _csv, 0, {"personal_record": 6}),
    ("oneroster", "oneroster/sds_v2_1/enrollments.csv", _csv, 0, {"missing_id": 6}),
    ("oneroster", "oneroster/sds_v2_1/orgs.csv", _csv, 4, {}),
    ("oneroster", "oneroster/sds_v2_1/relationships.csv", _csv, 0, {"personal_record": 3}),
    ("oneroster", "oneroster/sds_v2_1/roles.csv", _csv, 0, {"personal_record": 7}),
    ("oneroster", "oneroster/sds_v2_1/users.csv", _csv, 0, {"personal_record": 8}),
]


def preview(connector: str, path: Path) -> Preview:
    return preview_file(registry.get(connector), Config(), context_of(connector).feed, path)


def test_it_accounts_for_every_record_of_every_real_payload(samples: Path) -> None:
    table = [f"{'file':58} {'records':>8} {'events':>7} {'dead letters':>13}  causes"]
    for connector, file, count, events, causes in FILES:
        result = preview(connector, samples / file)
        records, found = count(samples / file), dict(Counter(letter.cause for letter in result.letters))
        table.append(f"{file:58} {records:8} {len(result.events):7} {len(result.letters):13}  {found or ''}")
        assert result.records == records == len(result.events) + len(result.letters), file
        assert (len(result.events), found) == (events, causes), file
    print("\n".join(table))


def test_no_real_payload_is_left_out(samples: Path) -> None:
    there = {str(path.relative_to(samples)) for part in ("open311", "fhir", "oneroster") for path in (samples / part).rglob("*") if path.is_file()}
    assert there == {file for _, file, *_ in FILES}


def test_it_marks_coordinates_that_cannot_be_of_this_province(samples: Path) -> None:
    event = preview("open311", samples / "open311/helsinki/taskful_request.json").events[0]
    assert isinstance(event.data, Case)
    assert event.data.area is None and event.data.doubt == "the point lies outside the province"
    assert (event.data.lat, event.data.lon) == (22.266944, 60.451667)


def test_it_reads_the_table_of_new_york_like_an_independent_reader(samples: Path) -> None:
    path = samples / "open311/nyc311_csv/nyc_311_animals_part1.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    cases = {event.subject: event.data for event in preview("open311", path).events}
    assert Counter(case.status for case in cases.values() if isinstance(case, Case)) == Counter("closed" if r["Status"] == "Closed" else "open" for r in rows)
    assert Counter(case.category for case in cases.values() if isinstance(case, Case)) == Counter(r["Complaint Type"] for r in rows)


MALFORMED = ("json", "fhir", "csv", "vn_encoding", "cap", "feed")


@pytest.mark.parametrize("connector", registry.names())
def test_it_refuses_every_malformed_file_with_a_cause(connector: str, samples: Path) -> None:
    files = sorted(path for part in MALFORMED for path in (samples / "malformed" / part).iterdir())
    assert len(files) > 45
    for path in files:
        result = preview(connector, path)
        assert result.events == [] and len(result.letters) == result.records >= 1, path.name
        assert all(letter.cause and letter.message and len(letter.record.encode()) <= 65_536 for letter in result.letters), path.name
        assert all(letter.cause != "connector_error" for letter in result.letters), path.name


def test_names_of_real_payloads_do_not_leave(samples: Path) -> None:
    planted = {
        "oneroster/sds_v2_1/users.csv": ["Craig", "Smithee", "P@ssword123", "+11234567890"],
        "oneroster/json/teachers.json": ["goodteacher", "gmail"],
        "fhir/synthea/patient_bundle_1.json": ["Bob965", "Keeling57", "Ronny764"],
        "fhir/fhir_data_pipes/encounter.json": ["Witting912", "Lebsack687"],
        "open311/nyc311_csv/nyc_311_animals_part1.csv": ["COZINE AVENUE"],
        "open311/helsinki/taskful_request.json": ["Katja Lappi", "Kiitos"],
        "malformed/fhir/bad-json-close-1.json": ["Robin", "Christopher"],
        "malformed/fhir/json-comma-bad-1.json": ["Simmons", "Sarah", "Strahan"],
    }
    for file, words in planted.items():
        connector = next((c for c in ("oneroster", "fhir", "open311") if c in file), "fhir")
        result = preview(connector, samples / file)
        text = repr(result.events) + repr(result.letters)
        assert words and not [word for word in words if word in text], file
        assert all(isinstance(letter, DeadLetter) for letter in result.letters)
