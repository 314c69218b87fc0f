"""Payloads nobody here wrote: each record becomes an event or a dead letter, counted by other means than ours.

Every file under IOC_SAMPLES is listed once: by a connector (connectors/NAME/samples.yaml), or in tests/samples:
plain.yaml (no standard: the generic decoders), push.yaml (CloudEvents as the API takes them), reference.yaml (no feed:
what the engine reads otherwise) or open.yaml (nobody's yet).
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from unit.connect.plain import Plain
from unit.connect_rig import HERE, NOW, context_of

from ioc import areas
from ioc.config import Config, Feed, Words
from ioc.connect import registry
from ioc.connect import samples as recorded
from ioc.connect.commands.preview import preview_file
from ioc.connect.connector import Context
from ioc.connect.preview import Preview
from ioc.connect.preview import preview as read
from ioc.doubts import doubt
from ioc.events import BadEvent, Case, DeadLetter
from ioc.ingest import accept, refused

pytestmark = pytest.mark.samples

LISTS = Path(__file__).parents[2] / "samples"


def preview(connector: str, path: Path) -> Preview:
    return preview_file(registry.get(connector), Config(), context_of(connector).feed, path)


def account(name: str, sample: recorded.Sample, folder: Path) -> recorded.Account:
    """Read a file with the connector that answers for it."""
    if name == "push":
        return recorded.compare(sample, name, pushed((folder / sample.file).read_bytes()), folder)
    connector = Plain() if name == "plain" else registry.get(name)
    feed = Feed(**{"feed": "sample", "connector": connector.name, "title": Words(vi="", en=""), "url": "http://127.0.0.1", **sample.feed})
    options = connector.options() if name == "plain" else registry.options_of(connector, feed)
    return recorded.account(connector, Context(feed, options, areas.load(sample.province), NOW, "/sample"), sample, folder)


def pushed(body: bytes) -> Preview:
    """What the API makes of a posted body: one event, or a list of them."""
    try:
        items = msgspec.json.decode(body, type=list[msgspec.Raw]) if body.lstrip()[:1] == b"[" else [msgspec.Raw(body)]
    except msgspec.DecodeError:
        items = [msgspec.Raw(body)]
    result = Preview(0, [], [])
    for item in items:
        try:
            result.add([accept(bytes(item), NOW, HERE)])
        except BadEvent as exc:
            result.add(refused("push", bytes(item), exc, NOW))
    return result


def listed() -> dict[str, list[recorded.Sample]]:
    lists = {name: recorded.of(name) for name in registry.names()}
    return lists | {name: recorded.load(LISTS / f"{name}.yaml") for name in ("plain", "push")}


def nobodys() -> dict[str, list[str]]:
    """Return the beginnings of paths of files that are no feed's (reference), and of those nobody answers for yet (open)."""
    return {name: list(yaml.safe_load((LISTS / f"{name}.yaml").read_text(encoding="utf-8")) or []) for name in ("reference", "open")}


def reasons() -> dict[str, str]:
    """Return why a file is no feed's."""
    found: dict[str, str] = yaml.safe_load((LISTS / "reference.yaml").read_text(encoding="utf-8"))
    return found


def test_it_accounts_for_every_record_of_every_real_payload(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accounts = [account(name, sample, samples) for name, found in listed().items() for sample in found]
    table = [f"{'file':62} {'connector':12} {'records':>8} {'events':>7} {'letters':>8}  causes"]
    for a in sorted(accounts, key=lambda a: a.file):
        causes = ", ".join(f"{cause} {n}" for cause, n in sorted(a.dead_letters.items()))
        table.append(f"{a.file:62} {a.connector:12} {a.records:8} {a.events:7} {sum(a.dead_letters.values()):8}  {causes}")
    mine = {a.file for a in accounts}
    left = [path for path in files(samples) if path not in mine and not path.startswith(tuple(nobodys()["reference"]))]
    table += [f"{path:62} {'OPEN':12}" for path in left]
    table += [f"{path:62} {'(no feed)':12} {'-':>8} {'-':>7} {'-':>8}  {why}" for path, why in reasons().items()]
    with capsys.disabled():
        print("\n" + "\n".join(table))
        print(f"{len(accounts)} files, {sum(a.records for a in accounts)} records, {sum(a.events for a in accounts)} events, {sum(sum(a.dead_letters.values()) for a in accounts)} dead letters; {len(reasons())} files are no feed's; {len(left)} open")
    assert {a.file: a.problems for a in accounts if a.problems} == {}
    assert [path for path in left if not path.startswith(tuple(nobodys()["open"]))] == [], "nobody answers for these files"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "SOURCES.md")


def test_no_file_has_two_owners_and_no_list_names_a_file_that_is_not_there(samples: Path) -> None:
    named = [sample.file for found in listed().values() for sample in found]
    assert [file for file, n in Counter(named).items() if n > 1] == []
    there = files(samples)
    assert set(named) <= set(there)
    for name, beginnings in nobodys().items():
        for beginning in beginnings:
            mine = [file for file in there if file.startswith(beginning)]
            assert mine, f"{beginning} in tests/samples/{name}.yaml names nothing"
            assert not set(mine) <= set(named), f"{beginning} in tests/samples/{name}.yaml is answered for by now: take it out"


@pytest.mark.parametrize(
    ("count", "text", "records"),
    [
        ({"json": ""}, "[1, 2, 3]", 3), ({"json": "a.b"}, '{"a": {"b": [1, 2]}}', 2), ({"json": "a.*.b"}, '{"a": {"x": {"b": [1]}, "y": {"b": [1, 2]}}}', 3),
        ({"json": "a.*"}, '{"a": {"x": 1, "y": [2, 3]}}', 2), ({"json": "a"}, "{}", 0), ({"json": ""}, "{}", 1), ({"xml": "b"}, '<a xmlns="urn:x"><b/><c><b/></c></a>', 2),
        ({"csv": ";"}, "a;b\n1;2\n\n3;4\n", 2), ({"lines": True}, "{}\n\n{}\n", 2), ({"bytes": "<b"}, "<a><b/><b/></a>", 2), ({"file": 7}, "", 7),
    ],
)  # fmt: skip
def test_records_are_counted_by_the_standard_library(count: dict[str, Any], text: str, records: int, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text(text)
    assert recorded.counted(msgspec.convert(count, recorded.Count), file) == records


def test_a_wrong_account_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"a": 1}, {"a": 2}]')
    for count, events, problems in (({"json": ""}, 2, 0), ({"file": 3}, 2, 1), ({"json": ""}, 1, 1)):
        sample = recorded.Sample("x.json", msgspec.convert(count, recorded.Count), events)
        assert len(recorded.compare(sample, "plain", read(Plain(), context_of("fhir"), (tmp_path / "x.json").read_bytes()), tmp_path).problems) == problems


def test_it_marks_coordinates_that_cannot_be_of_this_province(samples: Path) -> None:
    event = preview("open311", samples / "open311/helsinki/taskful_request.json").events[0]
    assert isinstance(event.data, Case)
    assert event.data.area is None and event.data.doubt == doubt("outside")
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
    mine = {sample.file for sample in recorded.of(connector)}  # of its own standard: accounted for one by one above
    for path in files:
        if str(path.relative_to(samples)) in mine:
            continue
        result = preview(connector, path)
        assert result.events == [] and len(result.letters) == result.records, path.name
        assert result.records or path.parent.name == "feed", path.name  # a feed without an entry is an empty one
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
