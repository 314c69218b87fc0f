"""The contract of shape: which fields a source's records had, and of what type; a change is said in words, once.

Looked at on the first page of each poll, at most `LOOK` records of each kind: that is where a change shows, and costs
nothing where a page has thousands. Old fields keep flowing whatever is said here; what a connector cannot read becomes a
dead letter as ever. What is remembered of a kind::

    {"seen": 20, "fields": {"status": ["text"], "place.lat": ["number"]}, "always": ["status"]}

`seen` counts up to `ENOUGH`; before, a field that is new or missing is no news. `always`: in every record so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ioc.connect.connector import Record
from ioc.privacy import known_key

LOOK = 100  # records of a page
ENOUGH = 20  # records after which a source is known
MOST_FIELDS, MOST_KINDS, MOST_DEPTH = 200, 20, 6
MOST_WORDS = 6  # changes that are told one by one

Shape = dict[str, Any]  # kind -> as above


def check(known: Shape, records: Iterable[Record], done: set[str]) -> tuple[Shape, list[str]]:
    """Return what is to be remembered from now on, and in words what changed. `done`: kinds looked at in this poll; grows."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if isinstance(record.value, dict) and record.defect is None and record.kind not in done and len(kinds.setdefault(record.kind, [])) < LOOK:
            kinds[record.kind].append(record.value)
    shapes, said = dict(known), []
    for kind, values in kinds.items():
        done.add(kind)
        if values and (kind in shapes or len(shapes) < MOST_KINDS):
            shapes[kind], changes = _compare(shapes.get(kind), values)
            said += [f"{kind}: {change}" if kind else change for change in changes]
    return shapes, said[:MOST_WORDS] + ([f"and {len(said) - MOST_WORDS} more"] if len(said) > MOST_WORDS else [])


def _compare(known: Shape | None, values: list[dict[str, Any]]) -> tuple[Shape, list[str]]:
    found, counts = _shape(values)
    here = {path for path, n in counts.items() if n == len(values)}
    if known is None:
        return {"seen": min(ENOUGH, len(values)), "fields": {path: sorted(types) for path, types in sorted(found.items())}, "always": sorted(here)}, []
    before = {path: set(types) for path, types in known["fields"].items()}
    said = []
    if known["seen"] >= ENOUGH:
        said += [f"the field {path} is gone; every record had it" for path in _tops([path for path in known["always"] if path not in found])]
        said += [f"the field {path} is new ({' or '.join(sorted(found[path])) or 'empty'})" for path in _tops([path for path in found if path not in before])]
    for path, types in found.items():
        if path in before and types and before[path] and not types & before[path]:
            said.append(f"the field {path} was {' or '.join(sorted(before[path]))}, it is {' or '.join(sorted(types))}")
    fields = {path: sorted(before.get(path, set()) | found.get(path, set())) for path in sorted(before.keys() | found.keys())[:MOST_FIELDS]}
    return {"seen": min(ENOUGH, known["seen"] + len(values)), "fields": fields, "always": sorted(set(known["always"]) & here)}, said


def _tops(paths: list[str]) -> list[str]:
    """Return the paths that do not lie below another one of them."""
    return [path for path in paths if not any(path.startswith(f"{parent}.") for parent in paths)]


def _shape(values: list[dict[str, Any]]) -> tuple[dict[str, set[str]], Counter[str]]:
    types: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    for value in values:
        paths: set[str] = set()
        for path, kind in _leaves(value, "", 0):
            if path in types or len(types) < MOST_FIELDS:
                paths.add(path)
                types.setdefault(path, set()).update({kind} if kind else ())
        counts.update(paths)
    return types, counts


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, type; "" for null) of a record's fields; lists are looked through."""
    if isinstance(value, dict) and depth < MOST_DEPTH:
        if path:
            yield path, "object"
        for key, item in value.items():
            name = known_key(key)
            yield from _leaves(item, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list):
        yield path, "list"
        for item in value[:3]:
            if isinstance(item, dict):
                yield from _leaves(item, path, depth + 1)
    elif value is None or value == "":
        yield path, ""
    else:
        yield path, "true/false" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else "object"
