"""The simulated sources keep their protocols, tell no real person's name, and show what they say is true."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from defusedxml import ElementTree

from connectors.sdmx import simulated as statistics
from ioc import areas, config
from ioc.clock import ICT
from ioc.config import Feed, Words
from ioc.connect import Context, registry
from ioc.connect.preview import preview
from ioc.events import Asset, Observation

FEEDS = ["e-documents", "education", "health", "incident-reports", "public-services"]
OTHERS = ["bikes", "buses", "cameras", "digital-platforms", "emergency-calls", "environment", "epidemics", "indicators", "open-data", "portals", "statistics", "tourism", "warnings"]  # made from the day alone: no late or corrected records on demand
EDXML = "{http://www.mic.gov.vn/TBT/QCVN_102_2016}"
V311 = "/incident-reports/open311/v2"
ROSTER = "/education/ims/oneroster/rostering/v1p2"
World = Any  # conftest.World
ROOT = Path(__file__).parents[3]


def dossiers(world: World, size: int = 700, since: str = "19700101000000") -> list[dict[str, Any]]:
    rows, page = [], 1
    while True:
        answer = world.get("/public-services/api/hoso", capNhatTu=since, trang=page, soLuong=size)
        assert answer["error_code"] == "00"
        rows += answer["hoSo"]
        if page * size >= answer["tongSo"]:
            return rows
        page += 1


def resources(world: World, kind: str, size: int = 300, **params: str) -> list[dict[str, Any]]:
    rows, answer = [], world.get(f"/health/fhir/{kind}", _count=size, _sort="_lastUpdated", **params)
    while True:
        rows += [entry["resource"] for entry in answer["entry"]]
        following = [link["url"] for link in answer["link"] if link["relation"] == "next"]
        if not following:
            assert answer["total"] == len(rows)
            return rows
        answer = world.get(following[0])


def messages(world: World, size: int = 150) -> list[dict[str, str]]:
    rows, after = [], ""
    while True:
        answer = world.get("/e-documents/api/messages", after=after, limit=size)
        if not answer["data"]:
            assert answer["next"] == (after or answer["next"])
            return rows
        rows, after = rows + answer["data"], answer["next"]


def roster(world: World, kind: str, size: int = 900, **params: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        page = world.get(f"{ROSTER}/{kind}", limit=size, offset=len(rows), **params)[kind]
        rows += page
        if len(page) < size:
            return rows


def requests(world: World, size: int = 400, **params: str) -> list[dict[str, Any]]:
    rows, page = [], 1
    while True:
        found = world.get(f"{V311}/requests.json", page=page, page_size=size, extensions="true", **params)
        rows += found
        if len(found) < size:
            return rows
        page += 1


READ: dict[str, Callable[[World], dict[str, str]]] = {
    "public-services": lambda w: {r["MaHoSo"]: r["TrangThaiHoSo"] for r in dossiers(w)},
    "health": lambda w: {r["id"]: r["status"] for kind in ("Location", "Encounter", "Immunization") for r in resources(w, kind)},
    "incident-reports": lambda w: {r["service_request_id"]: r["status"] for r in requests(w)},
}


# -- all sources --------------------------------------------------------------------------------------------------------
def test_it_lists_its_feeds_and_faults(world: World) -> None:
    index = world.get("/")
    assert list(index["feeds"]) == sorted(FEEDS + OTHERS)
    assert {"error", "rate_limit", "late", "endless_next"} <= set(index["known_faults"])


def digest(world: World) -> str:
    hashed = hashlib.sha256()
    for feed in FEEDS:
        hashed.update(json.dumps(world.truth(feed)).encode())
    for path in ("/public-services/api/hoso?soLuong=500", "/health/fhir/Encounter?_count=500", f"{V311}/requests.xml?extensions=true"):
        hashed.update(world.ask(path).content)
    return hashed.hexdigest()


def test_it_tells_the_same_day_for_the_same_seed_and_another_for_another(make_world: Callable[..., World]) -> None:
    one, again, other = (digest(make_world(rate=0.2, history_days=3, seed=seed)) for seed in (19, 19, 20))
    assert one == again != other


@pytest.mark.parametrize("feed", READ)
def test_it_shows_every_record_once_and_as_the_truth_says(world: World, feed: str) -> None:
    truth = {row["id"]: row["status"] for row in world.truth(feed)}
    assert READ[feed](world) == truth
    assert len(truth) > 100


def test_it_invents_every_person(world: World) -> None:
    names = [row["ChuHoSo"] for row in dossiers(world)]
    names += [row["subject"]["display"] for row in resources(world, "Encounter")]
    assert len(names) > 500 and all(re.search(r" Mẫu \d{4}$", name) for name in names)
    phones = [row["SoDienThoai"] for row in dossiers(world)]
    assert all(phone.startswith("0900000") for phone in phones)
    assert all(row["MaDoiTuong"].startswith("000") and row["Email"].endswith("@example.org") for row in dossiers(world))


def test_it_puts_everything_into_communes_of_the_province(world: World) -> None:
    communes = {area.code for area in world.province.places.communes}
    seen = Counter(row["extended_attributes"]["commune_code"] for row in requests(world, start_date="2026-09-01T00:00:00Z"))
    assert set(seen) <= communes and len(seen) > 80
    wards = {area.code for area in world.province.places.communes if area.kind == "Phường"}
    assert sum(seen[c] for c in wards) / len(wards) > 2 * sum(seen[c] for c in communes - wards) / len(communes - wards)
    assert {row["MaXa"] for row in dossiers(world)} <= communes
    assert {row["metadata"]["communeCode"] for row in roster(world, "orgs")} == communes


# -- public services ----------------------------------------------------------------------------------------------------
def test_it_lists_dossiers_by_their_time_of_update(world: World) -> None:
    rows = dossiers(world)
    times = [row["ThoiDiemCapNhat"] for row in rows]
    assert times == sorted(times)
    assert all(re.fullmatch(r"\d{14}", t) and t <= "20261116100000" for t in times)
    middle = times[len(times) // 2]
    assert [row["MaHoSo"] for row in dossiers(world, since=middle)] == [row["MaHoSo"] for row in rows if row["ThoiDiemCapNhat"] >= middle]


def test_it_moves_the_due_date_when_a_supplement_was_given(large: World) -> None:
    rows = dossiers(large)
    paused = [row for row in rows if row["TrangThaiHoSo"] == "5"]
    given = [row for row in rows if row["DanhSachHoSoBoSung"] and row["TrangThaiHoSo"] != "5"]
    assert paused and given
    assert all(row["DanhSachHoSoBoSung"][0]["NgayHenTraMoi"] == "" for row in paused)
    for row in given:
        (supplement,) = row["DanhSachHoSoBoSung"]
        assert supplement["NgayHenTraTruoc"] < supplement["NgayHenTraMoi"] == row["NgayHenTra"]
        assert row["NgayTiepNhan"] <= supplement["NgayYeuCau"]


def test_it_resolves_most_dossiers_in_time_and_some_late(large: World) -> None:
    rows = dossiers(large)
    done = [row for row in rows if row["TrangThaiHoSo"] in ("9", "10")]
    on_time = sum(row["NgayKetThucXuLy"] <= row["NgayHenTra"] for row in done) / len(done)
    assert 0.8 < on_time < 0.99
    assert {row["TrangThaiHoSo"] for row in rows} >= {"1", "2", "3", "4", "5", "7", "9", "10"}
    assert {row["HinhThuc"] for row in rows} == {"1", "2", "3"}
    rated = [row["MucDoHaiLong"] for row in rows if row["MucDoHaiLong"]]
    assert set(rated) <= {1, 2, 3, 4, 5} and 3.5 < sum(rated) / len(rated) < 4.6
    assert [row for row in rows if row["TrangThaiHoSo"] == "4" and row["NgayHenTra"] < "20261116100000"]


@pytest.mark.parametrize("query", ["capNhatTu=2026-11-01", "capNhatTu=20261399000000", "trang=x", "soLuong=-1"])
def test_it_refuses_a_question_it_does_not_understand(world: World, query: str) -> None:
    assert world.ask(f"/public-services/api/hoso?{query}").status_code == 400


# -- incident reports ---------------------------------------------------------------------------------------------------
def test_it_keeps_the_limits_of_open311(large: World) -> None:
    everything = large.get(f"{V311}/requests.json")
    assert len(everything) == 1000 and "extended_attributes" not in everything[0]
    assert large.ask(f"{V311}/requests.json?start_date=2026-01-01T00:00:00Z&end_date=2026-06-01T00:00:00Z").status_code == 400
    day = requests(large, start_date="2026-11-13T00:00:00+07:00", end_date="2026-11-13T23:59:59+07:00")
    assert day and all(row["requested_datetime"].startswith("2026-11-13") for row in day)
    closed = requests(large, status="closed")
    assert closed and {row["status"] for row in closed} == {"closed"}


def test_it_answers_for_a_list_of_ids_whatever_else_is_asked(world: World) -> None:
    ids = [row["service_request_id"] for row in requests(world)][-30:]
    found = world.get(f"{V311}/requests.json", service_request_id=",".join([*ids, "PA-NOPE"]), status="none", start_date="x")
    assert [row["service_request_id"] for row in found] == ids
    assert world.get(f"{V311}/requests/{ids[0]}.json")[0]["service_request_id"] == ids[0]
    assert world.ask(f"{V311}/requests/PA-NOPE.json").status_code == 404


def test_it_says_the_same_in_xml_as_in_json(world: World) -> None:
    answer = world.ask(f"{V311}/requests.xml?page=1&page_size=50&extensions=true")
    tree = ElementTree.fromstring(answer.content)
    rows = world.get(f"{V311}/requests.json", page=1, page_size=50, extensions="true")
    assert [node.findtext("service_request_id") for node in tree] == [row["service_request_id"] for row in rows]
    assert [node.findtext("extended_attributes/detailed_status") for node in tree] == [row["extended_attributes"]["detailed_status"] for row in rows]


def test_it_has_reports_of_every_fate(make_world: Callable[..., World]) -> None:
    world = make_world(rate=0.5, started=datetime(2026, 11, 9, 10, 0, tzinfo=ICT))
    fates: Counter[str] = Counter()
    for _ in range(4):
        rows = requests(world, 1000)
        fates.update(row["extended_attributes"]["detailed_status"] for row in rows)
        world.clock.tick(days=1, hours=2)
    assert {"open", "assigned", "processing", "resolved", "rejected", "duplicate", "reopened"} <= set(fates)
    assert 0.7 < fates["resolved"] / fates.total() < 0.97
    now = world.province.iso(world.province.now())
    assert [row for row in rows if row["status"] == "open" and row["expected_datetime"] < now]
    assert [row for row in rows if "rating" in row["extended_attributes"]]
    assert len(world.get(f"{V311}/services.json")) == 9


def test_it_shows_a_report_going_on_with_its_life(fresh: World) -> None:
    (row,) = requests(fresh)[:1]
    seen = [row["extended_attributes"]["detailed_status"]]
    for _ in range(60):
        fresh.clock.tick(hours=3)
        (now,) = fresh.get(f"{V311}/requests/{row['service_request_id']}.json?extensions=true")
        assert now["requested_datetime"] == row["requested_datetime"] and now["updated_datetime"] >= row["updated_datetime"]
        seen.append(now["extended_attributes"]["detailed_status"])
    assert len(set(seen)) >= 3


# -- health -------------------------------------------------------------------------------------------------------------
def test_it_pages_through_resources_while_they_change(fresh: World) -> None:
    answer = fresh.get("/health/fhir/Encounter", _count=100)
    fresh.clock.tick(minutes=30)
    rows, following = [e["resource"]["id"] for e in answer["entry"]], answer["link"][-1]
    while following["relation"] == "next":
        answer = fresh.get(following["url"])
        rows, following = rows + [e["resource"]["id"] for e in answer["entry"]], answer["link"][-1]
    assert len(rows) == len(set(rows)) == answer["total"]


def test_it_shows_what_was_updated_after_an_instant(world: World) -> None:
    rows = resources(world, "Encounter")
    cut = rows[len(rows) // 2]["meta"]["lastUpdated"]
    later = [row["id"] for row in rows if row["meta"]["lastUpdated"] > cut]
    assert [row["id"] for row in resources(world, "Encounter", _lastUpdated=f"gt{cut}")] == later
    assert world.ask("/health/fhir/Encounter?_lastUpdated=2026").status_code == 400
    assert world.ask("/health/fhir/Encounter?_page=zzz").status_code == 400


def test_it_has_encounters_and_doses_of_every_kind(large: World) -> None:
    rows = resources(large, "Encounter", 2000)
    assert {row["status"] for row in rows} >= {"planned", "arrived", "in-progress", "finished", "cancelled", "entered-in-error", "onleave"}
    assert {row["class"]["code"] for row in rows} == {"AMB", "EMER", "IMP", "HH"}
    assert all(("end" in row["period"]) == (row["status"] in ("finished", "cancelled")) for row in rows if row["status"] != "entered-in-error")
    doses = resources(large, "Immunization", 2000)
    assert {row["status"] for row in doses} == {"completed", "not-done", "entered-in-error"}
    known = {f"Location/{row['id']}" for row in resources(large, "Location")}
    assert {row["location"][0]["location"]["reference"] for row in rows} | {row["location"]["reference"] for row in doses} <= known
    read = large.ask(f"/health/fhir/Encounter/{rows[-1]['id']}")
    assert read.json() == rows[-1] and read.headers["etag"].startswith('W/"')


# -- e-documents --------------------------------------------------------------------------------------------------------
def test_it_lists_every_message_once_as_well_formed_xml(world: World) -> None:
    rows = messages(world)
    assert len({row["id"] for row in rows}) == len(rows) > 200
    for row in rows[:120]:
        answer = world.ask(row["url"])
        root = ElementTree.fromstring(answer.content)
        assert root.tag == f"{EDXML}edXML"
        assert (root.find(f".//{EDXML}Status") is not None) == (row["type"] == "status")
        assert (root.find(f".//{EDXML}MessageHeader") is not None) == (row["type"] == "edoc")
        assert world.ask(row["url"], headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_it_sends_statuses_late_twice_and_before_their_document(make_world: Callable[..., World]) -> None:
    world = make_world(rate=0.3, history_days=12)
    order: dict[str, list[tuple[str, str, str]]] = {}
    codes, kinds, signed = Counter(), Counter(), 0  # type: ignore[var-annotated]
    for row in messages(world, 900):
        root = ElementTree.fromstring(world.ask(row["url"]).content)
        if row["type"] == "status":
            name = root.findtext(f".//{EDXML}ResponseFor/{EDXML}DocumentId")
            code, at = root.findtext(f".//{EDXML}StatusCode"), root.findtext(f".//{EDXML}Timestamp")
            codes[code] += 1
        else:
            name, code = root.findtext(f".//{EDXML}MessageHeader/{EDXML}DocumentId"), "doc"
            at = root.findtext(f".//{EDXML}TraceHeader/{EDXML}Timestamp")
            kinds[root.findtext(f".//{EDXML}BussinessDocType")] += 1
            signed += root.find(".//{http://www.w3.org/2000/09/xmldsig#}Signature") is not None
            assert re.fullmatch(r"[0-9A-Z.]+,\d{4}/\d\d/\d\d,\d+/\S+", name)
            assert ".H55" in name.split(",")[0] or root.findtext(f".//{EDXML}To/{EDXML}OrganId").endswith(".H55")
        order.setdefault(name, []).append((code, at, row["id"]))
    assert {"01", "02", "03", "04", "05", "06", "13", "15", "16"} <= set(codes) and {"0", "1", "2"} <= set(kinds)
    assert 0.85 < signed / kinds.total() < 0.95
    whole = [told for told in order.values() if any(code == "doc" for code, _, _ in told)]
    assert [t for t in whole if t[0][0] != "doc"]  # before the document
    assert [t for t in whole if len({(c, a) for c, a, _ in t}) < len(t)]  # twice
    assert [t for t in whole if [a for _, a, _ in t] != sorted(a for _, a, _ in t)]  # out of order


# -- education ----------------------------------------------------------------------------------------------------------
def test_it_has_schools_classes_and_enrolments_that_belong_together(world: World) -> None:
    schools = {row["sourcedId"] for row in roster(world, "orgs") if row["type"] == "school"}
    classes = {row["sourcedId"]: row["school"]["sourcedId"] for row in roster(world, "classes")}
    assert len(schools) == 700 and set(classes.values()) == schools
    terms = {row["sourcedId"] for row in roster(world, "academicSessions")}
    assert terms == {"nam-hoc-2026-2027", "hk1-2026-2027", "hk2-2026-2027"}
    rows = roster(world, "enrollments")
    assert len({row["sourcedId"] for row in rows}) == len(rows) > 2100
    assert all(classes[row["class"]["sourcedId"]] == row["school"]["sourcedId"] for row in rows)
    assert {row["status"] for row in rows} == {"active", "inactive", "tobedeleted"} and {row["role"] for row in rows} == {"student", "teacher"}


def test_it_filters_by_date_last_modified(world: World) -> None:
    rows = roster(world, "enrollments")
    cut = rows[-100]["dateLastModified"]
    found = roster(world, "enrollments", filter=f"dateLastModified>='{cut}'")
    assert [row["sourcedId"] for row in found] == [row["sourcedId"] for row in rows if row["dateLastModified"] >= cut]
    first = world.ask(f"{ROSTER}/orgs?limit=500")
    assert first.headers["x-total-count"] == "701" and 'rel="next"' in first.headers["link"]
    assert world.ask(f"{ROSTER}/orgs?filter=name='x'").status_code == 400


def attendance(world: World, day: str) -> dict[str, list[int]]:
    answer = world.ask(f"/education/attendance/attendance-{day}.csv")
    answer.raise_for_status()
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["school_id", "date", "enrolled", "present", "absent_excused", "absent_unexcused", "late"]
    return {row[0]: [int(n) for n in row[2:]] for row in rows[1:]}


def test_it_collects_attendance_in_the_morning_of_school_days(make_world: Callable[..., World]) -> None:
    world = make_world(at=datetime(2026, 11, 16, 7, 0, tzinfo=ICT))
    assert world.ask("/education/attendance/attendance-2026-11-16.csv").status_code == 404
    counts = []
    for _ in range(4):
        world.clock.tick(hours=1)
        counts.append(len(attendance(world, "2026-11-16")))
    assert 100 < counts[0] < counts[1] < counts[3] <= 700 and counts[3] > 650
    for enrolled, present, excused, unexcused, late in attendance(world, "2026-11-16").values():
        assert enrolled == present + excused + unexcused and 0 <= late <= present and present > 0.8 * enrolled
    files = {row["name"]: row["modified"] for row in world.get("/education/attendance/")}
    assert "attendance-2026-11-15.csv" not in files and len(attendance(world, "2026-11-14")) < 400  # Sunday; Saturday
    assert files["attendance-2026-11-16.csv"] <= "2026-11-16T11:00:00+07:00"


def test_it_corrects_some_attendance_in_the_afternoon(make_world: Callable[..., World]) -> None:
    world = make_world(at=datetime(2026, 11, 16, 10, 30, tzinfo=ICT))
    morning, answer = attendance(world, "2026-11-16"), world.ask("/education/attendance/attendance-2026-11-16.csv")
    same = world.ask("/education/attendance/attendance-2026-11-16.csv", headers={"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304 and answer.headers["last-modified"].endswith("GMT")
    world.clock.tick(hours=7)
    evening = attendance(world, "2026-11-16")
    assert 1 <= sum(evening[school] != morning[school] for school in morning) < 30
    assert [row for row in world.truth("education", **{"from": "2026-11-16T17:00:00+07:00"}) if row["kind"] == "attendance"] == []
    told = {r["id"]: r["present"] for r in world.truth("education", **{"from": "2026-11-16T00:00:00+07:00"}) if r["kind"] == "attendance"}
    assert told == {school: numbers[1] for school, numbers in evening.items()}


# -- faults -------------------------------------------------------------------------------------------------------------
def test_it_breaks_as_asked_and_heals(fresh: World) -> None:
    path = "/public-services/api/hoso?soLuong=5"
    for wish, seen in (
        ({"fault": "error", "status": 503}, lambda a: a.status_code == 503),
        ({"fault": "rate_limit", "delay_s": 7}, lambda a: a.status_code == 429 and a.headers["retry-after"] == "7"),
        ({"fault": "redirect"}, lambda a: a.status_code == 302 and "203.0.113.1" in a.headers["location"]),
        ({"fault": "html"}, lambda a: a.status_code == 200 and a.content.startswith(b"<!doctype html>")),
        ({"fault": "bad_json"}, lambda a: a.status_code == 200 and not _readable(a.content)),
        ({"fault": "encoding"}, lambda a: a.status_code == 200 and not _readable(a.content)),
    ):
        fresh.control(feed="public-services", times=2, **wish)
        assert seen(fresh.ask(path)) and seen(fresh.ask(path)), wish
        assert _readable(fresh.ask(path).content), wish
        assert fresh.ask("/health/fhir/Location").status_code == 200


def _readable(body: bytes) -> bool:
    try:
        return bool(json.loads(body))
    except ValueError:
        return False


def test_it_is_slow_when_asked(fresh: World) -> None:
    fresh.control(feed="*", fault="slow", delay_s=0.15, times=1)
    slow, quick = fresh.ask("/health/fhir/metadata"), fresh.ask("/health/fhir/metadata")
    assert slow.elapsed > timedelta(seconds=0.14) > quick.elapsed


def test_it_repeats_and_shuffles_records_when_asked(fresh: World) -> None:
    path = f"{V311}/requests.json?page=1&page_size=80"
    ids = [row["service_request_id"] for row in fresh.ask(path).json()]
    fresh.ask("/control", "POST", json={"feed": "incident-reports", "fault": "duplicates", "share": 0.5})
    twice = Counter(row["service_request_id"] for row in fresh.ask(path).json())
    assert set(twice) == set(ids) and 90 < twice.total() < 160
    fresh.ask("/control", "DELETE")
    fresh.ask("/control", "POST", json={"feed": "incident-reports", "fault": "reorder"})
    shuffled = [row["service_request_id"] for row in fresh.ask(path).json()]
    assert shuffled != ids and sorted(shuffled) == sorted(ids)


@pytest.mark.parametrize("feed", FEEDS)
def test_it_sends_late_and_corrected_records_when_asked(fresh: World, feed: str) -> None:
    since = fresh.province.iso(fresh.province.now())
    fresh.control(feed=feed, fault="corrected", count=9)
    fresh.control(feed=feed, fault="late", count=12)
    changed = fresh.truth(feed, **{"from": since})
    if feed == "incident-reports":  # its truth is by the time of opening, as its protocol is
        changed = [row for row in fresh.truth(feed) if row["updated_at"] > since]
    assert len(changed) >= 20
    if feed in READ:
        assert {row["id"] for row in changed} <= set(READ[feed](fresh))


@pytest.mark.parametrize(
    ("path", "goes_on"),
    [
        ("/public-services/api/hoso?trang=900", lambda a: a.json()["hoSo"] and a.json()["tongSo"] > 900 * 100),
        (f"{V311}/requests.json?page=900&page_size=50", lambda a: len(a.json()) == 50),
        ("/health/fhir/Location?_count=500", lambda a: a.json()["link"][-1]["relation"] == "next"),
        (f"{ROSTER}/orgs?offset=9000", lambda a: len(a.json()["orgs"]) == 100 and 'rel="next"' in a.headers["link"]),
        ("/e-documents/api/messages", lambda a: a.json()["data"] and a.json()["next"] == "0.0"),
    ],
)
def test_it_never_ends_when_asked(fresh: World, path: str, goes_on: Callable[[Any], bool]) -> None:
    assert not goes_on(fresh.ask(path))
    fresh.control(feed="*", fault="endless_next")
    assert goes_on(fresh.ask(path))


@pytest.mark.parametrize("wish", [{"feed": "nope", "fault": "error"}, {"feed": "*", "fault": "nope"}, {"fault": "error"}, {"feed": "*", "fault": "error", "x": 1}, []])
def test_it_refuses_a_fault_it_does_not_know(fresh: World, wish: object) -> None:
    answer = fresh.ask("/control", "POST", json=wish)
    assert answer.status_code == 400 and answer.json()["error"]
    assert fresh.ask("/truth/nope").status_code == 404


def test_its_spreadsheet_is_read_by_the_connector_and_says_what_the_truth_says(world: World) -> None:
    body = world.ask("/tourism/daily.xlsx").content
    connector = registry.get("tourism")
    feed = Feed(feed="tourism", connector="tourism", title=Words(vi="", en=""), url="http://127.0.0.1")
    got = preview(connector, Context(feed, connector.options(), areas.load("19"), world.province.clock(), "/test"), body)
    assert got.letters == []
    told = {row["id"]: row for row in world.truth("tourism")}
    assert got.records == len(told) == 15 * 6
    days = {event.time.astimezone(ICT).date().isoformat() for event in got.events}
    for event in got.events:
        if isinstance(event.data, Observation) and event.data.metric == "visitors.domestic":
            assert event.data.value == told[f"{event.subject} {event.time.astimezone(ICT).date()}"]["domestic"]
    assert len(days) == 15


def test_its_stations_speak_sensorthings_and_measure_what_the_truth_says(world: World) -> None:
    connector = registry.get("sensorthings")
    feed = Feed(feed="environment", connector="sensorthings", title=Words(vi="", en=""), url="http://127.0.0.1", options={"streams": {"101": "pm25 ug/m3", "1101": "water_level m"}})
    options = connector.options.model_validate(feed.options)
    context = Context(feed, options, areas.load("19"), world.province.clock(), "/test")
    page = world.ask("/environment/v1.1/Observations?$top=2000")
    got = preview(connector, context, page.content)
    told = {row["id"]: row for row in world.truth("environment")}
    assert "@iot.nextLink" in page.json() or len(told) <= 2000
    values = {(event.time, event.data.metric): event.data.value for event in got.events if isinstance(event.data, Observation)}
    mine = [row for row in page.json()["value"] if row["Datastream"]["@iot.id"] in (101, 1101)]
    assert len(values) == len(mine) and all(float(told[str(row["@iot.id"])]["result"]) == row["result"] for row in mine)
    stations = {stream["Thing"]["@iot.id"] for stream in world.ask("/environment/v1.1/Datastreams?$top=500").json()["value"]}
    assert len(stations) == 12


def test_its_cameras_are_read_by_the_connector_without_plate_or_picture(world: World) -> None:
    connector = registry.get("cameras")
    feed = Feed(feed="cameras", connector="cameras", title=Words(vi="", en=""), url="http://127.0.0.1")
    context = Context(feed, connector.options(), areas.load("19"), world.province.clock(), "/test")
    page = world.ask("/cameras/cameras.json")
    got = preview(connector, context, page.content)
    rows = {row["id"]: row for row in world.truth("cameras")}
    assert got.letters == [] and got.records == len(rows) == 120
    states = {event.subject: event.data.state for event in got.events if isinstance(event.data, Asset)}
    word = {"online": "ok", "offline": "down"}
    assert states == {camera: word.get(row["status"], "degraded") for camera, row in rows.items()}
    values = {(event.subject, event.data.metric): event.data.value for event in got.events if isinstance(event.data, Observation)}
    assert all(values[camera, "camera.silent"] == row["silent_s"] and values[camera, "camera.frozen"] == (row["status"] == "frozen") for camera, row in rows.items())
    assert all(values[camera, f"vehicles.{kind}"] == row[kind] for camera, row in rows.items() for kind in ("motorcycle", "car", "bus", "truck") if kind in row)
    out = str(got.events)
    assert b"20A-000.00" in page.content and "20A" not in out and "192.0.2" not in out


def test_its_buses_are_protobuf_and_their_plates_stay_there(world: World) -> None:
    connector = registry.get("gtfs_rt")
    feed = Feed(feed="buses", connector="gtfs_rt", title=Words(vi="", en=""), url="http://127.0.0.1")
    context = Context(feed, connector.options(), areas.load("19"), world.province.clock(), "/test")
    page = world.ask("/buses/vehicle_positions.pb").content
    got = preview(connector, context, page)
    told = {row["id"]: row for row in world.truth("buses")}
    there = {event.subject: event.data for event in got.events if isinstance(event.data, Asset)}
    assert got.letters == [] and got.records == len(told) > 15 and there.keys() == told.keys()
    assert all(abs(there[bus].lat - row["lat"]) < 1e-4 and there[bus].area for bus, row in told.items())
    assert b"20B-" in page and "20B" not in str(got.events) and any(bus.startswith("trip:") for bus in there)
    cut = preview(connector, context, page[: len(page) // 2 + 1])
    assert [letter.cause for letter in cut.letters] == ["bad_protobuf"] and cut.events == []


def test_its_bikes_are_gbfs_file_by_file(world: World) -> None:
    connector = registry.get("gbfs")
    feed = Feed(feed="bikes", connector="gbfs", title=Words(vi="", en=""), url="http://127.0.0.1")
    context = Context(feed, connector.options(), areas.load("19"), world.province.clock(), "/test")
    files = {item["name"]: httpx.URL(item["url"]).path for item in world.get("/bikes/gbfs.json")["data"]["feeds"]}
    found = [preview(connector, context, world.ask(path).content) for path in files.values()]
    told = {row["id"]: row for row in world.truth("bikes")}
    assert [got.letters for got in found] == [[], [], []]
    assert {event.subject for got in found for event in got.events} == told.keys()
    counted = {event.subject: event.data.value for event in found[1].events if isinstance(event.data, Observation) and event.data.metric == "bikes.available"}
    assert counted == {name: row["bikes"] for name, row in told.items() if name.startswith("station:")}


def test_its_report_of_diseases_comes_out_without_a_small_count(world: World) -> None:
    connector = registry.get("epidemics")
    feed = Feed(feed="epidemics", connector="epidemics", title=Words(vi="", en=""), url="http://127.0.0.1")
    got = preview(connector, Context(feed, connector.options(), areas.load("19"), world.province.clock(), "/test"), world.ask("/epidemics/weekly.csv").content)
    told = world.truth("epidemics")
    assert got.letters == [] and got.records == len(told) == 8 * 92 * 5
    assert {(event.data.value, event.data.qualifier) for event in got.events if event.data.value < 5} == {(0, "exact"), (4, "at_most")}
    assert sum(event.data.qualifier == "at_most" for event in got.events) == sum(0 < row["cases"] < 5 for row in told) > 500


def test_its_service_index_has_five_groups_a_month_of_a_hundred_points_in_all(world: World) -> None:
    connector = registry.get("indicators")
    feed = Feed(feed="service-quality", connector="indicators", title=Words(vi="", en=""), url="http://127.0.0.1")
    got = preview(connector, Context(feed, connector.options(), areas.load("19"), world.province.clock(), "/test"), world.ask("/indicators/quality/indicators.xlsx").content)
    assert got.letters == [] and got.records == 8 * 5
    months = Counter(event.time for event in got.events)
    assert set(months.values()) == {5} and max(months).astimezone(ICT).strftime("%Y-%m") == "2026-10"
    assert all(event.data.period == "P1M" and event.data.unit == "{point}" and 0 < event.data.value <= 22 for event in got.events)
    assert all(50 < sum(e.data.value for e in got.events if e.time == month) < 100 for month in months)


def test_its_portals_are_read_glued_counters_and_all(world: World) -> None:
    connector = registry.get("portals")
    feed = Feed(feed="portals", connector="portals", title=Words(vi="", en=""), url="http://127.0.0.1")
    got = preview(connector, Context(feed, connector.options(), areas.load("19"), world.province.clock(), "/test"), world.ask("/portals/status.json").content)
    told = {row["id"]: row for row in world.truth("portals")}
    assert got.letters == [] and got.records == len(told) > 15
    for metric, name in (("portal.visits_total", "total"), ("portal.visits_month", "month"), ("portal.visits_today", "today"), ("portal.online", "online")):
        read = {event.subject: event.data.value for event in got.events if isinstance(event.data, Observation) and event.data.metric == metric}
        assert read == {portal: row[name] for portal, row in told.items() if row["status"] != "down"}


def test_its_open_data_portal_is_ckan_page_by_page(world: World) -> None:
    connector = registry.get("ckan")
    feed = Feed(feed="open-data", connector="ckan", title=Words(vi="", en=""), url="http://127.0.0.1", timezone="UTC")
    context = Context(feed, connector.options(), areas.load("19"), world.province.clock(), "/test")
    got = [event for start in (0, 20) for event in preview(connector, context, world.ask(f"/open-data/api/3/action/package_search?rows=20&start={start}").content).events]
    assert sorted(event.subject for event in got) == sorted(row["id"] for row in world.truth("open-data"))
    assert max(event.time for event in got) <= world.province.clock()
    assert "Nguyễn" not in "".join(str(event.data) for event in got)


def test_its_monthly_statistics_are_sdmx_and_a_provisional_figure_is_revised(world: World) -> None:
    connector = registry.get("sdmx")
    feed = next(feed for feed in config.load(ROOT / "config.yaml").feeds if feed.feed == "statistics")
    context = Context(feed, registry.options_of(connector, feed), areas.load("19"), world.province.clock(), "/test")
    got = preview(connector, context, world.ask("/statistics/data/NSO,DF_MONTHLY/all").content)
    told = {row["id"]: row for row in world.truth("statistics")}
    assert got.letters == [] and got.records == len(told) == 4 * 26
    figures = {(event.data.attributes["key"].split(".")[1], event.time): event.data for event in got.events}
    newest = max(event.time for event in got.events)
    assert {data.attributes["status"] for (_, at), data in figures.items() if at == newest} == {"P"}
    assert {str(data.metric): str(data.unit) for data in figures.values()} == {"cpi.change": "%", "industry.index_change": "%", "retail.turnover": "VND", "enterprises.new": "{enterprise}"}
    for row in told.values():
        name, month = row["id"].split()
        data = figures[name, datetime.fromisoformat(f"{month}-01T00:00:00+07:00")]
        assert (data.period, float(data.value)) == ("P1M", pytest.approx(row["value"] * 10 ** row["scale"]))
    month = f"{newest.astimezone(ICT):%Y-%m}"
    number = int(month[:4]) * 12 + int(month[5:]) - 1
    assert statistics.figure(world.province.seed, "RETAIL", number, provisional=True) != statistics.figure(world.province.seed, "RETAIL", number, provisional=False)


def test_its_warnings_are_cap_and_listed_while_they_are_in_force(world: World) -> None:
    connector = registry.get("cap")
    feed = Feed(feed="warnings", connector="cap", title=Words(vi="", en=""), url="http://127.0.0.1")
    now = world.province.clock()
    context = Context(feed, connector.options(), areas.load("19"), now, "/test")
    index = ElementTree.fromstring(world.ask("/warnings/index.atom").content)
    links = [link.get("href") for link in index.iter("{http://www.w3.org/2005/Atom}link")]
    listed = {row["id"] for row in world.truth("warnings") if row["status"] == "listed"}
    assert {link.rpartition("/")[2].removesuffix(".xml") for link in links} == listed
    for link in links:
        got = preview(connector, context, world.ask("/warnings" + link.partition("/warnings")[2]).content)
        assert got.letters == []
        data = got.events[0].data
        assert data.opened_at is None or (data.status == "open" and data.title and data.area and data.doubt is None)
