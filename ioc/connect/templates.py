"""What `ioc connector new` writes: a folder that works as it stands, to be bent to the author's own source."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import openpyxl

KINDS = ("http_json", "http_csv", "http_xml", "spreadsheet", "sql", "mqtt")

_ROWS: list[dict[str, Any]] = [
    {"id": "P1", "name": "Bãi đỗ xe Trung tâm", "commune": "05443", "free": 12, "changed": "2026-11-22T11:50:00+07:00"},
    {"id": "P2", "name": "Bãi đỗ xe Ga", "commune": "05443", "free": "không rõ", "changed": "2026-11-22T11:50:00+07:00"},
]
_LATER = _ROWS[0] | {"free": 9, "changed": "2026-11-22T11:55:00+07:00"}

_YAML = """\
# What each option means: docs/connectors.md, "Reference of connector.yaml".
about: "{name}: free places of car parks (change this line, and everything below it)."
source:
{source}
fields:
  id: {{class: public, required: true}}
  name: {{class: public}}
  commune: {{class: public, type: area}}
  free: {{class: public, type: count, high: 5000}}
  changed: {{class: public, type: time}}
  keeper: {{class: personal}}          # never read
subject: $id
time: $changed
facts:
  - observation: {{metric: free_places, value: $free, unit: "{{place}}", area: $commune}}
  - asset: {{kind: car_park, name: $name, area: $commune, state: ok}}
"""
_SOURCES = {
    "http_json": '  path: lots.json\n  records: data',
    "http_csv": "  path: lots.csv",
    "http_xml": "  path: lots.xml\n  records: lot",
    "spreadsheet": '  files: "*.xlsx"        # the feed\'s url is a folder: file:///srv/drop/{name}, or sftp://user@host/{name}',
    "sql": "  sql:\n    select: SELECT id, name, commune, free, changed FROM lots\n    cursor: changed        # a column that only grows",
    "mqtt": '  topics: ["{name}/+/state"]',
}
_URLS = {"spreadsheet": "file:///srv/drop/{name}", "sql": "postgresql+psycopg://reader@db.example.org/{name}   # the password: secret: NAME", "mqtt": "mqtts://reader@broker.example.org   # the password: secret: NAME"}
_FILES = {"sql": "lots.sql", "mqtt": "lots.json", "http_json": "lots.json", "http_csv": "lots.csv", "http_xml": "lots.xml", "spreadsheet": "lots.xlsx"}

_README = """\
# {name}: car parks (what it reads, from whom, under which licence)

One record becomes one observation (free places) and one asset (the car park).

## Configuration

```yaml
- feed: {name}
  connector: {name}
  title: {{vi: {name}, en: {name}}}
  url: {url}
  cadence_s: 60
```

## Fields

`public` and `internal` fields are read; `personal` ones never are, and neither is any field that is not in this table.

| field | type, unit | class |
|---|---|---|
| `id` | text | public |
| `name` | text | public |
| `commune` | commune code, five digits | public |
| `free` | whole number, {{place}} | public |
| `changed` | ISO 8601 | public |
| `keeper` | text | personal |

## How often

Every 60 s.

## Delivery

A record is published again when it changes. What cannot be a fact becomes a dead letter with field and repair.

## Example

`ioc connector preview {name} --file connectors/{name}/testcases/first/{file}`
"""


def files(name: str, kind: str) -> dict[str, bytes]:
    """Return path below connectors/NAME -> content."""
    recorded = _FILES[kind]
    where = {"spreadsheet": recorded, "mqtt": f"{name}/p/state"}.get(kind, f"/{recorded}")
    later: dict[str, Any] = {"path": where, "file": f"later_{recorded}"} | ({"poll": 2} if kind == "mqtt" else {})
    serve = [{"path": where, "file": recorded, "poll": 1}, later]
    beside = {"spreadsheet": "folder: true\n", "mqtt": "messages: true\n", "sql": "database: true\n"}.get(kind, "")
    case = f"about: One car park that changes, one whose number is none.\nnow: 2026-11-22T12:00:00+07:00\npolls: 2\n{beside}serve:\n"
    case += "".join(f"  - {json.dumps(route)}\n" for route in serve)
    url = _URLS.get(kind, "https://{name}.example.org/api").format(name=name)
    return {
        "connector.yaml": _YAML.format(name=name, source=_SOURCES[kind].format(name=name)).encode(),
        "README.md": _README.format(name=name, url=url, file=recorded).encode(),
        "testcases/first/case.yaml": case.encode(),
        f"testcases/first/{recorded}": _payload(kind, _ROWS),
        f"testcases/first/later_{recorded}": _payload(kind, [_LATER, _ROWS[1]]),
    }


def write(folder: Path, name: str, kind: str) -> list[str]:
    """Write the folder; raise `FileExistsError` when there is one."""
    made = files(name, kind)
    folder.mkdir(parents=True)
    for path, content in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return sorted(made)


def _payload(kind: str, rows: list[dict[str, Any]]) -> bytes:
    if kind == "http_json":
        return json.dumps({"data": rows}, ensure_ascii=False, indent=1).encode() + b"\n"
    if kind == "mqtt":
        return json.dumps(rows if len(rows) > 1 else rows[0], ensure_ascii=False).encode() + b"\n"
    if kind == "sql":
        columns = list(_ROWS[0])
        inserts = "".join(f"INSERT INTO lots VALUES ({', '.join(repr(row[key]) for key in columns)});\n" for row in rows)  # noqa: S608 - a sample of our own
        return f"CREATE TABLE lots ({', '.join(columns)});\n{inserts}".encode()
    if kind == "http_csv":
        return "\n".join([",".join(_ROWS[0]), *(",".join(str(value) for value in row.values()) for row in rows)]).encode() + b"\n"
    if kind == "http_xml":
        lots = "".join(" <lot>" + "".join(f"<{key}>{value}</{key}>" for key, value in row.items()) + "</lot>\n" for row in rows)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<lots>\n{lots}</lots>\n'.encode()
    book, made = openpyxl.Workbook(), io.BytesIO()
    sheet = book.create_sheet("lots", 0)
    for cells in (list(_ROWS[0]), *(list(row.values()) for row in rows)):
        sheet.append(cells)
    book.save(made)
    return made.getvalue()
