"""The grade of a connector, computed: rules anybody can run, from bronze to platinum.

A connector has the highest grade all of whose rules, and those of the grades below, it keeps. What cannot be is said,
not skipped: `exempt = {"deletions": "the portal never withdraws a dossier"}` in the connector; only EXEMPTIBLE rules.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, get_args

import msgspec
from msgspec import Struct

from ioc import areas
from ioc.clock import system_clock
from ioc.config import Feed, Words
from ioc.connect import conformance, hostile, killed, registry, samples
from ioc.connect.connector import Connector, Context, Record
from ioc.connect.convert import convert
from ioc.connect.decode import local
from ioc.connect.errors import Retriable
from ioc.errors import UserError
from ioc.events import DeadLetter, Event, encode
from ioc.privacy import FieldClass

GRADES = ("none", "bronze", "silver", "gold", "platinum")
EXEMPTIBLE = ("corrections", "deletions", "lives")
HEADINGS = ("Configuration", "Fields", "How often", "Delivery", "Example")
CANARY = "Canary Nguyen"  # stands in fields that must not come out


class Verdict(Struct):
    """What one rule says. `why` is empty when the rule is kept; `exempt` holds the connector's own reason."""

    rule: str
    grade: str
    why: str = ""
    exempt: str = ""


class Graded(Struct):
    """A connector's grade and the first rule that holds it back ("" for platinum)."""

    connector: str
    grade: str
    held_by: str
    verdicts: list[Verdict]


class _Case(Struct):
    folder: Path
    events: list[dict[str, Any]]
    letters: list[dict[str, Any]]


Rule: TypeAlias = Callable[[Connector[Any], list[_Case]], str]


def grade(name: str) -> Graded:
    """Run every rule on connector `name`; raise `UserError` when there is none."""
    connector = registry.get(name)
    cases = [_Case(folder, got["events"], got["dead_letters"]) for folder in conformance.folders(name) if (got := conformance.run(connector, folder).got)]
    verdicts = []
    for wanted, rule, check in RULES:
        reason = connector.exempt.get(rule, "") if rule in EXEMPTIBLE else ""
        verdicts.append(Verdict(rule, wanted, "" if reason else check(connector, cases), reason))
    broken = next((verdict for verdict in verdicts if verdict.why), None)
    reached = GRADES[GRADES.index(broken.grade) - 1] if broken else GRADES[-1]
    return Graded(name, reached, f"{broken.rule}: {broken.why}" if broken else "", verdicts)


def _named(connector: Connector[Any], cases: list[_Case]) -> str:
    if registry.get(connector.name) is not connector or not connector.version:
        return f"its name is {connector.name!r}, its folder is called otherwise, or it has no version"
    mute = [name for name, option in connector.options.model_fields.items() if not option.description]
    return f"options without a description: {', '.join(mute)}" if mute else ""


def _cases(connector: Connector[Any], cases: list[_Case]) -> str:
    if not any(case.events for case in cases):
        return "no test case brings an event"
    wrong = [case.folder.name for case in cases if conformance.run(connector, case.folder).differences]
    return f"test cases that bring something else than expected.json: {', '.join(wrong)}" if wrong else ""


def _readme(connector: Connector[Any], cases: list[_Case]) -> str:
    file = registry.folder(connector.name) / "README.md"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    missing = [heading for heading in HEADINGS if f"\n## {heading}\n" not in text]
    missing += [name for name in (*connector.options.model_fields, *connector.fields) if name not in text]
    return f"README.md does not have {', '.join(missing[:5])}" if missing else ""


def _classes(connector: Connector[Any], cases: list[_Case]) -> str:
    unknown = {path: kind for path, kind in connector.fields.items() if kind not in get_args(FieldClass)}
    if unknown:
        return f"no class of a field: {unknown}"
    if not connector.fields:
        return "no field has a class"
    leaks = sorted({field for case in cases for field in _leaks(connector, case.folder)})
    return f"what stands in these fields comes out, though they are personal or not named: {', '.join(leaks[:5])}" if leaks else ""


def _leaks(connector: Connector[Any], folder: Path) -> Iterator[str]:
    """Read the case's answers with a text of ours in every field that may not be read; yield where it came out."""
    with conformance.Stage(connector, folder) as stage:
        feed, options = stage.feed, registry.options_of(connector, stage.feed)
        context: Context[Any] = Context(feed, options, areas.load(stage.case.province), stage.case.now, "/grade")
        for route in stage.case.serve:
            if not route.file or route.status != 200:
                continue
            body = (folder / route.file).read_bytes().replace(b"{{base}}", b"http://127.0.0.1")
            try:
                records = connector.read(connector.decode(body), context)
            except Retriable:
                continue
            for record in records:
                touched: list[str] = []
                planted = Record(_planted(record.value, connector, "", touched), record.kind, record.hints, record.defect)
                outcome = convert(connector, planted, context)
                if touched and CANARY.encode() in _said(outcome):
                    yield touched[0] if len(touched) == 1 else " or ".join(touched[:3])


def _planted(value: Any, connector: Connector[Any], path: str, touched: list[str]) -> Any:
    if hasattr(value, "iterchildren"):
        return _planted_xml(value, connector, touched)
    if isinstance(value, dict):
        return {key: _planted(item, connector, f"{path}.{key}" if path else str(key), touched) for key, item in value.items()}
    if isinstance(value, list):
        return [_planted(item, connector, path, touched) for item in value]
    if isinstance(value, str) and path and _closed(connector, path):
        touched.append(path)
        return CANARY
    return value


def _planted_xml(element: Any, connector: Connector[Any], touched: list[str]) -> Any:
    """A copy of an XML record; a field is named by the end of its path, since the standard may wrap it."""
    found = copy.deepcopy(element)
    for leaf in found.iter():
        names = [local(above) for above in (*reversed(list(leaf.iterancestors())), leaf) if isinstance(above.tag, str)]
        if len(leaf) == 0 and isinstance(leaf.tag, str) and (leaf.text or "").strip() and all(_closed(connector, ".".join(names[n:])) for n in range(len(names))):
            touched.append(".".join(names[1:]))
            leaf.text = CANARY
    return found


def _closed(connector: Connector[Any], path: str) -> bool:
    return {name.lower(): kind for name, kind in connector.fields.items()}.get(path.lower(), "personal") == "personal"


def _said(outcome: list[Event] | DeadLetter) -> bytes:
    return msgspec.json.encode(outcome) if isinstance(outcome, DeadLetter) else b"".join(encode(event) for event in outcome)


def _bad_records(connector: Connector[Any], cases: list[_Case]) -> str:
    return "" if any(case.events and case.letters for case in cases) else "no test case has broken records next to good ones"


def _hostile(connector: Connector[Any], cases: list[_Case]) -> str:
    return next((f"{case.folder.name}: {said}" for case in cases if case.events for said in hostile.survive(connector, case.folder)), "")


def _killed(connector: Connector[Any], cases: list[_Case]) -> str:
    return next((f"{case.folder.name}: {said}" for case in cases if case.events for said in killed.kills(connector, case.folder)), "")


def _corrections(connector: Connector[Any], cases: list[_Case]) -> str:
    for case in cases:
        contents: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for event in case.events:
            data = event["data"]
            contents[(event["type"], event["subject"], data.get("metric", ""), event["time"] if "metric" in data else "")].add(json.dumps([event["time"], data], sort_keys=True))
        if any(len(ids) > 1 for ids in contents.values()):
            return ""
    return "no test case publishes a newer state of a thing that was published before"


def _deletions(connector: Connector[Any], cases: list[_Case]) -> str:
    gone = any(event["data"].get("deleted") or event["data"].get("state") == "retired" for case in cases for event in case.events)
    return "" if gone else "no test case withdraws a thing (deleted, or an asset that is retired)"


def _lives(connector: Connector[Any], cases: list[_Case]) -> str:
    return "" if (registry.folder(connector.name) / "simulated.py").is_file() or samples.of(connector.name) else "neither a simulated source nor a recorded real payload"


def _samples(connector: Connector[Any], cases: list[_Case]) -> str:
    found = samples.of(connector.name)
    if not found:
        return "no recorded payload of a real system"
    folder = samples.folder()
    if folder is None:
        return f"the recorded payloads are not here (IOC_SAMPLES): {len(found)} could not be read"
    for sample in found:
        feed = Feed(**{"feed": "sample", "connector": connector.name, "title": Words(vi="", en=""), "url": "http://127.0.0.1", **sample.feed})
        context: Context[Any] = Context(feed, registry.options_of(connector, feed), areas.load(sample.province), system_clock(), "/sample")
        try:
            account = samples.account(connector, context, sample, folder)
        except (OSError, UserError) as exc:
            return f"{sample.file}: {exc}"
        if account.problems:
            return f"{sample.file}: {account.problems[0]}"
    return ""


RULES: tuple[tuple[str, str, Rule], ...] = (
    ("bronze", "named", _named),
    ("bronze", "cases", _cases),
    ("silver", "readme", _readme),
    ("silver", "classes", _classes),
    ("silver", "bad_records", _bad_records),
    ("silver", "hostile", _hostile),
    ("gold", "killed", _killed),
    ("gold", "corrections", _corrections),
    ("gold", "deletions", _deletions),
    ("gold", "lives", _lives),
    ("platinum", "samples", _samples),
)
