"""Recorded payloads of real systems: which connector answers for which file, and how many records lie in it.

`connectors/NAME/samples.yaml` lists them, one line a file below the folder of samples (`IOC_SAMPLES`)::

    - {file: open311/boston/services.json, count: {json: "*"}, dead_letters: {out_of_scope: 118}}
    - {file: open311/sf_gem/service_requests.xml, count: {xml: request}, events: 2}
    - {file: malformed/csv/latin1.csv, count: {file: 1}, dead_letters: {wrong_encoding: 1}, feed: {options: {...}}}

`count` says how the records are counted without a line of our decoders:

* json: dotted path to the list ("" the document itself, a name, a number, `*` for every item); what is no list counts 1,
  what is not there 0
* xml: local name of the element a record is; csv: the delimiter (the header is not counted); lines: true
* xlsx: number of header rows of the first sheet; bytes: a regular expression, each match a record
* file: so many, counted by a person (`why` says how); 1 for a page that cannot be read as a whole

`events` may be more than records: one record may say several things. `records` = those that became events + dead letters.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import yaml
from msgspec import Struct

from ioc.connect import registry
from ioc.connect.connector import Connector, Context
from ioc.connect.preview import Preview, preview
from ioc.errors import UserError


class Count(Struct, forbid_unknown_fields=True):
    """How the records of a file are counted; exactly one of these."""

    json: str | None = None
    xml: str | None = None
    csv: str | None = None
    lines: bool = False
    xlsx: int | None = None
    bytes: str | None = None
    file: int | None = None


class Sample(Struct, forbid_unknown_fields=True):
    """A recorded payload and what must become of it. `feed`: as a feed of config.yaml would say it."""

    file: str
    count: Count
    events: int = 0
    dead_letters: dict[str, int] = {}
    feed: dict[str, Any] = {}
    province: str = "19"
    why: str = ""


class Account(Struct):
    """What became of a file. `problems` in words; none: every record is accounted for, as expected."""

    file: str
    connector: str
    records: int
    events: int
    dead_letters: dict[str, int]
    problems: list[str]


def folder() -> Path | None:
    """Return where the recorded payloads are (IOC_SAMPLES, or shared/samples beside the checkout), or None."""
    found = Path(os.environ.get("IOC_SAMPLES") or Path(__file__).resolve().parents[3] / "shared" / "samples")
    return found if found.is_dir() else None


def load(path: Path) -> list[Sample]:
    """Return the samples a file lists ([] when there is no such file); raise `UserError`."""
    if not path.is_file():
        return []
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")) or [], list[Sample])
    except (yaml.YAMLError, msgspec.ValidationError) as exc:
        raise UserError(f"{path}: {exc}") from exc


def of(name: str) -> list[Sample]:
    """Return the samples connector `name` answers for."""
    return load(registry.folder(name) / "samples.yaml")


def account(connector: Connector[Any], context: Context[Any], sample: Sample, folder: Path) -> Account:
    """Read one file with the connector, count its records without it, and compare."""
    return compare(sample, connector.name, preview(connector, context, (folder / sample.file).read_bytes()), folder)


def compare(sample: Sample, connector: str, got: Preview, folder: Path) -> Account:
    """Return the account of what was `got` from the sample's file."""
    records, causes = counted(sample.count, folder / sample.file), dict(Counter(letter.cause for letter in got.letters))
    found = Account(sample.file, connector, records, len(got.events), causes, [])
    if got.records != records:
        found.problems.append(f"{records} records lie in the file, {got.records} came out")
    if got.records < len(got.letters) or (got.records > len(got.letters)) != bool(got.events):
        found.problems.append("a record became neither events nor a dead letter")
    if (found.events, causes) != (sample.events, sample.dead_letters):
        found.problems.append(f"expected {sample.events} events and {sample.dead_letters}, got {found.events} and {causes}")
    if any(not letter.message or letter.cause == "connector_error" for letter in got.letters):
        found.problems.append("a dead letter does not say what is wrong")
    return found


# --- counting: the standard library only ------------------------------------------------------------------------


def counted(count: Count, path: Path) -> int:
    """Return how many records lie in a file."""
    if count.file is not None:
        return count.file
    if count.json is not None:
        return _json(json.loads(path.read_text(encoding="utf-8-sig")), [step for step in count.json.split(".") if step])
    if count.xml is not None:
        root = ElementTree.parse(path).getroot()  # noqa: S314 (a file of ours, listed by hand)
        return sum(1 for element in root.iter() if element.tag.rpartition("}")[2] == count.xml)
    if count.csv is not None:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return sum(1 for row in csv.reader(file, delimiter=count.csv) if any(row)) - 1
    if count.lines:
        return sum(1 for line in path.read_bytes().splitlines() if line.strip())
    if count.xlsx is not None:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as book:
            sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314
        return sum(1 for row in sheet.iter() if row.tag.endswith("}row") and any(cell.tag.endswith("}v") or cell.tag.endswith("}t") for cell in row.iter())) - count.xlsx
    if count.bytes is not None:
        return len(re.findall(count.bytes.encode(), path.read_bytes()))
    raise UserError(f"{path.name}: count says nothing; see ioc/connect/samples.py")


def _json(value: Any, steps: list[str]) -> int:
    if not steps:
        return len(value) if isinstance(value, list) else 1
    step, rest = steps[0], steps[1:]
    if step == "*":
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        return sum(_json(item, rest) if rest else 1 for item in items)
    if isinstance(value, dict) and step in value:
        return _json(value[step], rest)
    if isinstance(value, list) and step.isdigit() and int(step) < len(value):
        return _json(value[int(step)], rest)
    return 0
