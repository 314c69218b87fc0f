"""A newcomer's afternoon: the commands of docs/connectors.md, as they stand there, on a source nobody here has seen.

Twice, with a reservoir list (JSON, from --from http_json) and a market's price sheet (a spreadsheet): the folder is made, the YAML changed,
an answer recorded, previewed, tested, graded. Printed: commands typed, lines written, seconds of the machine.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from typer.testing import CliRunner

from ioc.cli import app
from ioc.connect import registry

GUIDE = (Path(__file__).parents[2] / "docs" / "connectors.md").read_text(encoding="utf-8")
MOST_LINES, MOST_COMMANDS = 40, 8

RESERVOIRS = """\
about: Water levels of the province's reservoirs.
source: {path: lots.json, records: ho_chua}
fields:
  ma: {class: public, required: true}
  ten: {class: public}
  muc_nuoc: {class: public, type: number, low: 0, high: 200}
  cap_nhat: {class: public, type: time}
  nguoi_truc: {class: personal}
subject: ho-$ma
time: $cap_nhat
facts:
  - observation: {metric: reservoir.level, value: $muc_nuoc, unit: m}
  - asset: {kind: reservoir, name: $ten, state: ok}
sense: {reservoir.level: {siblings: true}}
exempt:
  deletions: the source never says that something is gone
  lives: nobody has recorded more of it yet
"""
PRICES = """\
about: Prices of a market, from the sheet its office keeps.
source: {files: "*.xlsx"}
fields:
  ma: {path: Mã hàng, class: public, required: true}
  gia: {path: Giá bán, class: public, type: number, decimal: comma, low: 0}
  ngay: {path: Ngày, class: public, type: date, required: true}
  nguoi: {path: Người ghi, class: personal}
subject: hang-$ma
time: $ngay
facts:
  - observation: {metric: market.price, value: $gia, unit: VND, period: P1D}
exempt:
  deletions: the source never says that something is gone
  lives: nobody has recorded more of it yet
"""


def _json(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"ho_chua": rows}, ensure_ascii=False).encode()


def _sheet(rows: list[list[Any]]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in [["Mã hàng", "Giá bán", "Ngày", "Người ghi"], *rows]:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


LAKE = {"ma": "H1", "ten": "Hồ Núi Cốc", "muc_nuoc": 46.2, "cap_nhat": "2026-11-22T11:00:00+07:00", "nguoi_truc": "Nguyễn Văn An"}
SOURCES = {
    "http_json": (RESERVOIRS, "lots.json", _json([LAKE, {"ma": "H2", "muc_nuoc": "cạn"}]), _json([LAKE | {"muc_nuoc": 46.3, "cap_nhat": "2026-11-22T11:30:00+07:00"}, {"ma": "H2", "muc_nuoc": "cạn"}]), 4),
    "spreadsheet": (PRICES, "lots.xlsx", _sheet([["G1", "18.500", "22/11/2026", "Lan"], ["G2", "hết", "22/11/2026", "Lan"]]), _sheet([["G1", "19.000", "22/11/2026", "Lan"], ["G2", "hết", "22/11/2026", "Lan"]]), 2),
}  # fmt: skip


def _describe(readme: Path, fields: list[str]) -> None:
    """Add a row of the table of fields for each."""
    text = readme.read_text(encoding="utf-8")
    rows = "".join(f"| `{field}` | as the source has it | public |\n" for field in fields)
    readme.write_text(text.replace("| `id` | text | public |\n", rows), encoding="utf-8")


@pytest.mark.parametrize("kind", SOURCES)
def test_a_newcomer_has_a_connector_that_conforms_by_the_guides_commands(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    declared, name, first, later, events = SOURCES[kind]
    home = tmp_path / "connectors"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_home", lambda: home)
    Path("config.yaml").write_text("feeds: []\n")
    Path("answer" + Path(name).suffix).write_bytes(first)
    block = re.search(r"## An afternoon\n\n```\n(.*?)```", GUIDE, re.DOTALL)
    assert block is not None
    lines = [line.partition("#")[0].strip().replace("http_json", kind).replace("lots.json", name).replace("answer.json", "answer" + Path(name).suffix) for line in block[1].splitlines()]
    said: dict[str, str] = {}
    fields = [rule.get("path", key) for key, rule in yaml.safe_load(declared)["fields"].items()]
    edit: Callable[[Path], object] = lambda file: file.write_text(declared, encoding="utf-8")  # noqa: E731
    started = time.monotonic()
    for line in lines:
        verb, *arguments = shlex.split(line)
        if verb == "$EDITOR":
            edit(tmp_path / arguments[0])
        elif arguments[1] == "grade":
            for again in (False, True):  # it names what the README does not tell; a row a field, and once more
                said["grade"] = CliRunner().invoke(app, arguments).output
                if not again:
                    assert "held back by readme" in said["grade"], said["grade"]
                    _describe(tmp_path / "connectors/parking/README.md", fields)
        elif verb == "cp":
            Path(arguments[1]).write_bytes(Path(arguments[0]).read_bytes())
            Path(arguments[1]).with_name(f"later_{name}").write_bytes(later)  # the source an hour later
        else:
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, (line, done.output, done.exception)
            said[arguments[1]] = done.output
    spent = time.monotonic() - started
    tested = CliRunner().invoke(app, ["connector", "test", "parking"])
    assert tested.exit_code == 0, tested.output
    expected = json.loads((home / "parking/testcases/first/expected.json").read_bytes())
    assert (len(expected["events"]), [letter["cause"] for letter in expected["dead_letters"]]) == (events, ["wrong_type"]), expected
    assert "Nguyễn Văn An" not in json.dumps(expected, ensure_ascii=False)
    assert said["grade"].startswith("gold"), said["grade"]
    written = len(declared.splitlines()) + len(fields)
    with capsys.disabled():
        print(f"\nnewcomer, {kind}: {len(lines) + 1} commands, {written} lines written, {spent:.1f} s of the machine; {said['grade'].splitlines()[0].strip()}")
    assert len(lines) <= MOST_COMMANDS and written <= MOST_LINES
