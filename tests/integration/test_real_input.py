"""Recorded payloads of real systems, from a plain static web server through connectors, Kafka and the database to tiles.

For each file: its records, counted here with json, csv and xml alone, are the events stored plus the dead letters by
cause; and every KPI of its theme, evaluated by the engine over the days the file speaks of, is what an oracle written
here reads out of the file. Each file is a feed of its own; the catalogue is the project's, its feed's name replaced.
"""

from __future__ import annotations

import csv
import functools
import http.server
import json
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import psycopg
import pytest

from ioc import areas as areas_
from ioc.bus import Publisher
from ioc.config import Broker, Config, Database, Feed, Kpis, Words
from ioc.connect import runner
from ioc.ingest import Ingest
from ioc.kpi import catalogue
from ioc.kpi.engine import Engine
from ioc.store.cursors import Cursors
from ioc.store.pool import open_pool
from ioc.store.reader import snapshot

pytestmark = [pytest.mark.samples, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]

CATALOGUE = Path(__file__).resolve().parents[2] / "dashboards" / "catalogue"
ICT, NEW_YORK = ZoneInfo("Asia/Ho_Chi_Minh"), ZoneInfo("America/New_York")
THEME_FEED = {"open311": "incident-reports", "fhir": "health", "oneroster": "education"}
THEME_FILE = {"open311": "incidents.yaml", "fhir": "health.yaml", "oneroster": "education.yaml"}
Thing = dict[str, Any]


@dataclass
class Expected:
    """What must come of one file."""

    cases: list[Thing] = field(default_factory=list)  # opened, closed, due, outcome, category, rating, dims, agency
    assets: list[Thing] = field(default_factory=list)  # kind, state
    letters: Counter[str] = field(default_factory=Counter)
    errors: int = 0  # 1: the poll ends in an error (an error the server reports, a link to another host)

    @property
    def events(self) -> int:
        return len(self.cases) + len(self.assets)

    @property
    def records(self) -> int:
        return self.events + sum(self.letters.values())


@dataclass
class File:
    """A recorded payload: read by which connector, where it lies on the web server, what must come of it."""

    path: str
    connector: str
    serve_as: str
    expect: Callable[[Path], Expected]
    options: dict[str, Any] = field(default_factory=dict)
    timezone: str = "Asia/Ho_Chi_Minh"
    url: str = ""  # below the file's own folder

    @property
    def feed(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.path.lower()).strip("-")[-50:].strip("-")


# -- the oracles: one for each kind of file ------------------------------------------------------------------------------


def at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def requests_json(path: Path) -> Expected:
    """Open311 JSON: a list of requests, or one; services are out of scope."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return _requests(found if isinstance(found, list) else [found])


def requests_xml(path: Path) -> Expected:
    """Open311 XML: requests below the root; a list of services or the definition of one holds no report."""
    root = ElementTree.parse(path).getroot()
    name = root.tag.rpartition("}")[2]
    if name == "service_definition":
        return Expected(letters=Counter(out_of_scope=1))
    return _requests([{part.tag: part.text for part in item} for item in root])


def _requests(items: list[Thing]) -> Expected:
    expected = Expected()
    for item in items:
        if "service_request_id" not in item or "status" not in item:
            expected.letters["out_of_scope"] += 1
            continue
        opened, updated = at(item["requested_datetime"]), at(item.get("updated_datetime"))
        closed = max(updated or opened, opened) if item["status"] == "closed" and opened else None
        outcome = ("duplicate" if "duplicate" in (item.get("status_notes") or "").lower() else "resolved") if closed else None
        expected.cases.append({"opened": opened, "closed": closed, "due": at(item.get("expected_datetime")), "outcome": outcome, "category": item["service_code"]})
    return expected


def nyc_csv(path: Path) -> Expected:
    """The export of New York: local times as a spreadsheet left them."""
    expected = Expected()

    def moment(text: str) -> datetime | None:
        return datetime.strptime(text, "%m/%d/%Y %H:%M").replace(tzinfo=NEW_YORK) if text else None

    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            closed = moment(row["Closed Date"]) if row["Status"] == "Closed" else None
            expected.cases.append({"opened": moment(row["Created Date"]), "closed": closed, "due": moment(row["Due Date"]), "outcome": "resolved" if closed else None, "category": row["Complaint Type"]})
    return expected


def fhir(path: Path) -> Expected:
    """FHIR JSON: a Bundle, one resource, NDJSON, the manifest of an export, or an OperationOutcome as the answer."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ndjson":
        return _resources([json.loads(line) for line in text.splitlines() if line.strip()])
    found = json.loads(text)
    if found.get("resourceType") == "OperationOutcome":
        return Expected(errors=1)
    if found.get("resourceType") != "Bundle":
        return _resources([found])
    expected = _resources([entry["resource"] for entry in found["entry"]])
    if any(link["relation"] == "next" for link in found.get("link", ())):
        expected.errors = 1
        expected.letters["other_host"] += 1  # the recorded link leads to the server it was recorded from
    return expected


def _resources(items: list[Thing]) -> Expected:
    expected = Expected()
    for item in items:
        kind = item.get("resourceType")
        if kind == "Encounter":
            start, end = (_hour(item["period"][name]) for name in ("start", "end"))
            done = item["status"] in ("finished", "cancelled")
            expected.cases.append(_case("encounter", start, end if done else None, item["status"] if done else None, item["class"]["code"], _place(item)))
        elif kind == "Immunization":
            given = _hour(item["occurrenceDateTime"])
            expected.cases.append(_case("immunization", given, given, item["status"], item["vaccineCode"]["coding"][0]["code"], _place(item)))
        elif kind == "Location":
            expected.assets.append({"kind": "health_facility", "state": {"active": "ok", "suspended": "degraded", "inactive": "retired"}[item["status"]]})
        else:
            expected.letters["operation_outcome" if kind == "OperationOutcome" else "out_of_scope"] += 1
    return expected


def _case(resource: str, opened: datetime, closed: datetime | None, outcome: str | None, category: str, agency: str | None) -> Thing:
    return {"resource": resource, "opened": opened, "closed": closed, "outcome": outcome, "category": category, "agency": agency, "due": None}


def _hour(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(minute=0, second=0, microsecond=0)


def _place(item: Thing) -> str | None:
    place = item.get("location")
    place = place[0]["location"] if isinstance(place, list) else place
    return place["reference"] if place else None


def roster_json(path: Path) -> Expected:
    """OneRoster JSON: one list under its name."""
    ((name, items),) = json.loads(path.read_text(encoding="utf-8")).items()
    return _roster(name, items)


def roster_csv(path: Path) -> Expected:
    """Microsoft SDS 2.1: one table a file, named after what it lists."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return _roster(path.stem, list(csv.DictReader(file)))


def _roster(name: str, items: list[Thing]) -> Expected:
    expected = Expected()
    for item in items:
        active = item.get("status", "active") == "active"
        if name in ("users", "demographics", "relationships", "roles"):
            expected.letters["personal_record"] += 1
        elif name == "courses":
            expected.letters["out_of_scope"] += 1
        elif name == "enrollments" and "sourcedId" not in item:
            expected.letters["missing_id"] += 1  # class, user and role would tell who it is
        elif name == "enrollments":
            expected.cases.append({"resource": "enrollment", "role": item["role"], "opened": None, "closed": None if active else datetime.now(UTC), "due": None})
        else:
            kind = {"orgs": "school" if item.get("type") == "school" else "agency", "classes": "class"}.get(name, "academic_session")
            expected.assets.append({"kind": kind, "state": "ok" if active else "retired"})
    return expected


FILES = [
    File("open311/boston/services.json", "open311", "requests.json", requests_json),
    File("open311/chicago/service_list.json", "open311", "requests.json", requests_json),
    File("open311/chicago/service_requests.json", "open311", "requests.json", requests_json),
    File("open311/helsinki/taskful_request.json", "open311", "requests.json", requests_json),
    *(
        File(f"open311/{name}.xml", "open311", "requests.xml", requests_xml, {"format": "xml"})
        for name in ("sf_gem/request_id_from_token", "sf_gem/service_definition", "sf_gem/service_requests", "sf_gem/service_requests_empty", "sf_gem/services", "toronto/requests_single")
    ),
    File("open311/nyc311_csv/nyc_311_animals_part1.csv", "open311", "export.csv", nyc_csv, {"format": "csv"}, "America/New_York", "export.csv"),
    *(
        File(f"fhir/{name}", "fhir", "Encounter", fhir, {"resources": ["Encounter"]})
        for name in (
            "fhir_data_pipes/bulk_export_status.json", "fhir_data_pipes/encounter.json", "fhir_data_pipes/immunization.json",
            "fhir_data_pipes/observation_bundle.json", "fhir_data_pipes/patient_bundle.json", "fhir_data_pipes/patients.ndjson",
            "hl7_examples/location-example.json", "hl7_examples/operationoutcome-example.json", "hl7_examples/organization-example.json",
            "hl7_validator/bundle-id-search-1.json", "synthea/patient_bundle_1.json", "synthea/patient_bundle_2.json",
        )
    ),
    *(
        File(f"oneroster/{name}", "oneroster", "orgs", roster_csv if name.endswith("csv") else roster_json, {"resources": ["orgs"], "rostering_path": "", "attendance_path": ""})
        for name in (
            "json/academicSessions.json", "json/enrollments_page1.json", "json/enrollments_page2.json", "json/enrollments_page_end.json", "json/teachers.json",
            "sds_v2_1/academicSessions.csv", "sds_v2_1/classes.csv", "sds_v2_1/courses.csv", "sds_v2_1/demographics.csv", "sds_v2_1/enrollments.csv",
            "sds_v2_1/orgs.csv", "sds_v2_1/relationships.csv", "sds_v2_1/roles.csv", "sds_v2_1/users.csv",
        )
    ),
]  # fmt: skip


# -- the KPIs, from their descriptions -----------------------------------------------------------------------------------


def days_of(expected: Expected) -> tuple[date, date] | None:
    """Return the first and last day the file speaks of, where the province is."""
    days = [moment.astimezone(ICT).date() for case in expected.cases for moment in (case["opened"], case["closed"]) if moment]
    return (min(days), max(days)) if days else None


def kpis_of(file: File, expected: Expected, now: datetime) -> dict[str, float | None]:
    """Return every KPI of the file's theme over all its days; None of everything when nothing could be stored."""
    found = {"open311": _incidents, "fhir": _health, "oneroster": _education}[file.connector](expected, now)
    return found if expected.events else dict.fromkeys(found)


def _incidents(expected: Expected, now: datetime) -> dict[str, float | None]:
    cases = expected.cases
    closed = [c for c in cases if c["closed"]]
    answered = [c for c in closed if c["outcome"] not in ("duplicate", "rejected") and c["due"]]
    hours = [ceil(max(c["closed"] - c["opened"], timedelta()) / timedelta(minutes=6)) / 10 for c in closed]
    return {
        "incidents_opened_today": len(cases),
        "incidents_closed_today": len(closed),
        "incidents_open": len(cases) - len(closed),
        "incidents_overdue": sum(not c["closed"] and c["due"] is not None and c["due"] <= now for c in cases),
        "incidents_on_time_rate": _percent(sum(c["closed"] <= c["due"] for c in answered), len(answered)),
        "incidents_median_hours": median(hours) if hours else None,
        "incidents_satisfaction": None,  # none of the files is rated
    }


def _health(expected: Expected, now: datetime) -> dict[str, float | None]:
    encounters = [c for c in expected.cases if c["resource"] == "encounter"]
    kept = [c for c in encounters if c["outcome"] != "cancelled"]
    facilities = sum(asset["state"] == "ok" for asset in expected.assets)
    return {
        "encounters_today": len(kept),
        "emergency_encounters_today": sum(c["category"] == "EMER" for c in kept),
        "immunisations_today": sum(c["resource"] == "immunization" and c["outcome"] == "completed" for c in expected.cases),
        "facilities_reporting": _percent(len({c["agency"] for c in encounters if c["agency"]}), facilities),
    }


def _education(expected: Expected, now: datetime) -> dict[str, float | None]:
    return {
        "attendance_rate": None,  # none of the files is a table of attendance
        "students_absent_unexcused": None,
        "schools_reporting": _percent(0, sum(asset["kind"] == "school" for asset in expected.assets)),
        "students_enrolled": sum(case["role"] == "student" and not case["closed"] for case in expected.cases),
    }


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


# -- the run -------------------------------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder with the plainest web server there is."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def config_of(base: str, dsn: str, broker: Broker, folder: Path) -> Config:
    feeds = [
        Feed(
            feed=file.feed, connector=file.connector, title=Words(vi=file.path, en=file.path), url=f"{base}/{file.feed}/{file.url}".rstrip("/"),
            cadence_s=86_400, options=file.options, timezone=file.timezone,
        )
        for file in FILES
    ]  # fmt: skip
    one_partition = broker.model_copy(update={"partitions": 1})
    return Config(database=Database(dsn=dsn), broker=one_partition, feeds=feeds, kpis=Kpis(catalogue=folder))


@contextmanager
def running(config: Config) -> Iterator[None]:
    """Run connect and ingest, as `ioc connect` and `ioc ingest` do."""
    stop = threading.Event()
    publisher, pool = Publisher(config.broker), open_pool(config, max_size=4)
    publisher.ensure_topics([feed.feed for feed in config.feeds])
    threads = [
        threading.Thread(target=runner.run, args=(config, publisher, Cursors(pool), stop)),
        threading.Thread(target=Ingest(config, stop).run),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        publisher.close()
        pool.close()


def wait_until_read(conn: psycopg.Connection[Any], letters: int, within_s: float = 150) -> None:
    """Wait until each feed was polled and what it said is stored: the sign of life comes after the facts of a poll."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        alive = {feed for (feed,) in conn.execute("SELECT feed FROM consumer_offset WHERE checked_at IS NOT NULL")}
        failed = {feed for (feed,) in conn.execute("SELECT feed FROM connector_cursor WHERE errors > 0")}
        known = conn.execute("SELECT coalesce(sum(times), 0) FROM dead_letter").fetchone()
        if {file.feed for file in FILES} <= alive | failed and known is not None and known[0] >= letters:
            return
        time.sleep(0.3)
    raise AssertionError(f"not read in time: {sorted({file.feed for file in FILES} - alive - failed)}; {known} of {letters} dead letters")


def tiles_of(config: Config, file: File, expected: Expected, now: datetime, folder: Path) -> dict[str, float | None]:
    """Evaluate the theme's KPIs over the file's feed and days."""
    folder.mkdir()
    text = (CATALOGUE / THEME_FILE[file.connector]).read_text(encoding="utf-8")
    (folder / "theme.yaml").write_text(re.sub(rf"\b{THEME_FEED[file.connector]}\b", file.feed, text), encoding="utf-8")
    engine = Engine(catalogue.load(folder), config, areas_.load("19"))
    with snapshot(config.database.dsn) as reader:
        tiles = engine.evaluate(reader, at=now, days=days_of(expected))
    return {name: tile.value for name, tile in tiles.items()}


def test_every_recorded_payload_is_accounted_for_and_its_kpis_are_what_the_file_says(
    samples: Path, database: str, broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web = tmp_path / "web"
    for file in FILES:
        (web / file.feed).mkdir(parents=True)
        shutil.copyfile(samples / file.path, web / file.feed / file.serve_as)
    expected = {file.feed: file.expect(samples / file.path) for file in FILES}
    with served(web) as base:
        config = config_of(base, database, broker, tmp_path)
        with running(config), psycopg.connect(database, autocommit=True) as conn:
            wait_until_read(conn, sum(sum(e.letters.values()) for e in expected.values()))
    wrong: list[str] = []
    table = ["| file | connector | records | events | dead letters by cause | KPIs equal |", "|---|---|---:|---:|---|---:|"]
    with psycopg.connect(database, autocommit=True) as conn:
        events = dict(conn.execute("SELECT feed, sum(events)::int FROM consumer_offset GROUP BY feed").fetchall())
        letters: dict[str, Counter[str]] = {}
        for feed, cause, times in conn.execute("SELECT feed, cause, sum(times)::int FROM dead_letter GROUP BY feed, cause"):
            letters.setdefault(feed, Counter())[cause] = times
        errors = dict(conn.execute("SELECT feed, errors FROM connector_cursor").fetchall())
    for number, file in enumerate(FILES):
        must = expected[file.feed]
        stored, dead = events.get(file.feed, 0), letters.get(file.feed, Counter())
        if must.errors:  # a poll that failed is tried again, and its records come again
            dead = Counter({cause: min(n, must.letters[cause]) for cause, n in dead.items()})
        if (stored, dead) != (must.events, must.letters):
            wrong.append(f"{file.path}: {stored} events and dead letters {dict(dead)}, not {must.events} and {dict(must.letters)}")
        if bool(errors.get(file.feed)) != bool(must.errors):
            wrong.append(f"{file.path}: {errors.get(file.feed)} failed polls, not {must.errors}")
        now = datetime.now(UTC)
        tiles, oracle = tiles_of(config, file, must, now, tmp_path / f"catalogue-{number}"), kpis_of(file, must, now)
        by_category = {name for name in tiles if re.match(r"incidents_(opened_today|open|overdue)_", name)}
        oracle |= dict.fromkeys(by_category, 0 if must.events else None)  # no city here has the province's categories
        different = {name: (tiles.get(name), value) for name, value in oracle.items() if not _same(tiles.get(name), value)}
        wrong += [f"{file.path}: {name} is {shown}, the oracle says {value}" for name, (shown, value) in different.items()]
        wrong += [f"{file.path}: no oracle for {name}" for name in tiles.keys() - oracle.keys()]
        causes = ", ".join(f"{n} {cause}" for cause, n in sorted(dead.items())) or ("the server's error" if must.errors else "")
        table.append(f"| {file.path} | {file.connector} | {must.records} | {stored} | {causes} | {len(oracle) - len(different)}/{len(oracle)} |")
    with capsys.disabled():
        print("\n" + "\n".join(table))
    assert not wrong, "\n".join(wrong)


def _same(shown: float | None, value: float | None) -> bool:
    if shown is None or value is None:
        return shown is value
    return abs(shown - value) < 1e-9 * max(1.0, abs(value))
