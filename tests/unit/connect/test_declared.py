"""connector.yaml: every way of paging, every type of field, every mistake with its line; spreadsheets as people make them."""

from __future__ import annotations

import io
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from typer.testing import CliRunner
from unit.connect_rig import HERE, NOW

from ioc.cli import app
from ioc.config import Feed, Words
from ioc.connect import Context, Page, Record, registry, sheets
from ioc.connect.declared import Declared, load
from ioc.connect.declared.docs import reference
from ioc.connect.files import Folder
from ioc.connect.http import Http
from ioc.connect.preview import Preview, preview
from ioc.connect.replay import Asked, Reply, serving
from ioc.errors import UserError

LOTS: dict[str, Any] = {
    "about": "car parks",
    "source": {"records": "data"},
    "fields": {
        "id": {"class": "public"},
        "free": {"class": "public", "type": "number", "high": 100},
        "day": {"class": "public", "type": "date"},
        "keeper": {"class": "personal"},
    },
    "subject": "lot-$id",
    "time": "$day",
    "facts": [{"observation": {"metric": "free", "value": "$free", "unit": "{place}"}}],
}


def declared(tmp_path: Path, **changes: Any) -> Declared:
    file = tmp_path / "lots" / "connector.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(LOTS | changes, allow_unicode=True, sort_keys=False))
    return load(file)


def context(connector: Declared, url: str = "http://127.0.0.1", client: Http | Folder | None = None, **cursor: Any) -> Context[Any]:
    feed = Feed(feed="lots", connector="lots", title=Words(vi="", en=""), url=url)
    return Context(feed, connector.options(), HERE, NOW, "/test", cursor, {}, client)


def read(connector: Declared, rows: list[dict[str, Any]]) -> Preview:
    return preview(connector, context(connector), json.dumps({"data": rows}).encode())


def value_of(tmp_path: Path, rule: dict[str, Any], value: Any) -> Any:
    """Return what one field makes of a value: the value of the observation or its attribute, or the cause of the refusal."""
    fact: dict[str, Any] = {"observation": {"metric": "m", "value": "$x"}} if rule.get("type") in ("number", "count", "rating") else {"asset": {"kind": "k", "area": "$x"}} if "area" in rule.get("type", "") else {"asset": {"name": "$x"}}
    connector = declared(tmp_path, fields={"id": {"class": "public"}, "x": {"class": "public", **rule}}, time="", facts=[fact])
    got = read(connector, [{"id": "1", "x": value}])
    if got.letters:
        return got.letters[0].cause
    data = got.events[0].data
    return str(data.value) if hasattr(data, "value") else data.area if "area" in rule.get("type", "") else data.name  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ({"type": "number"}, "12,5", "12.5"), ({"type": "number"}, "12.5", "12.5"), ({"type": "number"}, 0.1, "0.1"), ({"type": "number"}, "1,234", "wrong_type"),
        ({"type": "number", "decimal": "comma"}, "1.234,5", "1234.5"), ({"type": "number", "decimal": "comma"}, "1,234", "1.234"), ({"type": "number"}, "12 500", "12500"),
        ({"type": "number"}, "nhiều", "wrong_type"), ({"type": "number"}, "NaN", "not_a_number"), ({"type": "count"}, "12.5", "wrong_type"), ({"type": "count"}, -1, "out_of_range"),
        ({"type": "number", "decimal": "point"}, "1,234.5", "1234.5"), ({"type": "count", "decimal": "point"}, "18,336,885", "18336885"), ({"type": "count", "decimal": "point"}, "1,23", "wrong_type"),
        ({"type": "count", "pattern": r"Hôm nay\s*(\d+)"}, "Đang truy cập151Hôm nay99", "99"), ({"type": "count", "pattern": r"Hôm nay\s*(\d+)", "required": True}, "Tháng 5", "missing_value"),
        ({"type": "rating"}, 6, "out_of_range"), ({"type": "text", "required": True}, "", "missing_value"), ({"type": "area"}, "05443", "05443"), ({"type": "area"}, "5443", "unknown_area"),
        ({"type": "area_name"}, "Phường Phan Đình Phùng", "05443"), ({"type": "area_name"}, "Phố Núi", "unknown_area"), ({"values": {"mở": "open"}}, "MỞ", "open"), ({"values": {"mở": "open"}}, "đóng", "unknown_code"),
    ],
)  # fmt: skip
def test_a_field_is_what_it_says_or_a_dead_letter(tmp_path: Path, rule: dict[str, Any], value: Any, expected: str) -> None:
    assert value_of(tmp_path, rule, value) == expected


def test_a_record_becomes_facts_and_what_is_doubtful_is_kept_and_marked(tmp_path: Path) -> None:
    got = read(declared(tmp_path), [{"id": 1, "free": 250, "day": "21/11/2026", "keeper": "Trần Văn B"}, {"id": 2, "free": None, "day": "2026-11-21"}, {"id": 3, "free": 1, "day": "hôm qua"}])
    (event,) = got.events
    assert (event.subject, event.time, str(event.data.value), event.data.doubt) == ("lot-1", datetime(2026, 11, 20, 17, tzinfo=UTC), "250", "above:what=free&value=250&limit=100")  # type: ignore[union-attr]
    assert [letter.cause for letter in got.letters] == ["out_of_scope", "bad_time"]
    assert "Trần" not in str(got)


def test_a_month_is_the_reference_period_of_a_number(tmp_path: Path) -> None:
    fields = LOTS["fields"] | {"day": {"class": "public", "type": "month"}}
    got = read(declared(tmp_path, fields=fields), [{"id": 1, "free": 5, "day": "Tháng 10/2026"}, {"id": 1, "free": 6, "day": "2026-13"}])
    assert [(event.time, event.data.period) for event in got.events] == [(datetime(2026, 9, 30, 17, tzinfo=UTC), "2026-10")]  # type: ignore[union-attr]
    assert [letter.cause for letter in got.letters] == ["bad_time"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": "all", "time": ""}, "subject names no field"),
        ({"subject": "all", "facts": [{"asset": {"kind": "car_park", "state": "ok"}}]}, "subject names no field"),
        ({"subject": "$nr"}, "$nr is no field; fields are id, free, day, keeper"),
        ({"facts": [{"case": {"title": "$keeper"}}]}, "$keeper is personal and may not be used"),
        ({"facts": [{"observation": {"metric": "m", "value": "$free", "colour": "red"}}]}, "observation has no colour; it has"),
        ({"facts": [{"observation": {"metric": "m", "value": "$free", "unit": "furlong"}}]}, "furlong"),
        ({"time": "$free"}, "is not $field of type time, date, month or period"),
        ({"source": {"paging": {"by": "token", "parameter": "after"}}}, "needs value: the dotted path"),
        ({"fields": LOTS["fields"] | {"free": {"class": "secret"}}}, "line 8: fields.free.class"),
        ({"sources": {}}, "sources: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_names_file_line_and_what_is_wrong(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as exc:
        declared(tmp_path, **changes)
    assert str(tmp_path / "lots" / "connector.yaml") in str(exc.value)
    assert said in str(exc.value)
    assert "line " in str(exc.value)


ROWS = [{"id": n, "free": n, "day": "2026-11-21"} for n in range(5)]


def _page(asked: Asked) -> Reply:
    def body(rows: list[Any], **more: Any) -> Reply:
        return Reply(json.dumps({"data": rows} | more))

    query = {name: int(value) for name, value in asked.query.items() if value.isdigit()}
    match asked.path:
        case "/page":
            return body(ROWS[(query["page"] - 1) * 2 : query["page"] * 2])
        case "/pages":
            return body(ROWS[query["page"] * 2 : query["page"] * 2 + 2] if query["page"] < 3 else ROWS, meta={"pages": 3})
        case "/offset":
            return body(ROWS[query["offset"] : query["offset"] + query["limit"]])
        case "/token":
            at = query.get("after", 0)
            return body(ROWS[at : at + 2], next={"token": at + 2 if at + 2 < 5 else None})
        case "/next":
            at = query.get("at", 0)
            return body(ROWS[at : at + 2], **({"links": {"next": f"/next?at={at + 2}"}} if at + 2 < 5 else {}))
        case "/link":
            at = query.get("at", 0)
            return Reply(json.dumps({"data": ROWS[at : at + 2]}), 200, {"Link": f'</link?at=0>; rel="first", </link?at={at + 2}>; rel="next"'} if at + 2 < 5 else {})
    return Reply(b"", 404)


@pytest.mark.parametrize(
    "paging",
    [
        {"by": "page", "parameter": "page"}, {"by": "page", "parameter": "page", "first": 0, "pages": "meta.pages"}, {"by": "offset", "parameter": "offset", "size_parameter": "limit", "size": 2},
        {"by": "token", "parameter": "after", "value": "next.token"}, {"by": "next", "value": "links.next"}, {"by": "link"},
    ],
    ids=["page", "pages", "offset", "token", "next", "link"],
)  # fmt: skip
def test_every_way_of_paging_reads_all_records_once(tmp_path: Path, paging: dict[str, Any], request: pytest.FixtureRequest) -> None:
    way = request.node.callspec.id
    connector = declared(tmp_path, source={"path": way, "records": "data", "paging": paging})
    with serving(_page) as server:
        client = Http(server.url)
        try:
            pages = list(connector.poll(context(connector, server.url, client)))
            again = list(connector.poll(context(connector, server.url, client, **pages[-1].cursor or {})))
        finally:
            client.close()
    assert [record.value["id"] for page in pages for record in page.records] == [0, 1, 2, 3, 4]
    assert [record for page in again for record in page.records] == []


def test_it_asks_only_for_what_changed_since(tmp_path: Path) -> None:
    connector = declared(tmp_path, source={"path": "l", "records": "data", "since": {"parameter": "from", "field": "day", "form": "date", "overlap_s": 86_400}})
    with serving(lambda asked: Reply(json.dumps({"data": ROWS}))) as server:
        client = Http(server.url)
        first = list(connector.poll(context(connector, server.url, client)))
        list(connector.poll(context(connector, server.url, client, **first[-1].cursor or {})))
        client.close()
        asked = [request.query["from"] for request in server.asked]
    assert asked[0] < "2026-10-01"
    assert asked[1] == "2026-11-20"


# --- folders and spreadsheets -----------------------------------------------------------------------------------


def workbook(*rows: list[Any], merge: str = "", hide: int = 0) -> bytes:
    book, made = openpyxl.Workbook(), io.BytesIO()
    sheet = book.create_sheet("T11", 0)
    for row in rows:
        sheet.append(row)
    if merge:
        sheet.merge_cells(merge)
    if hide:
        sheet.row_dimensions[hide].hidden = True
    book.save(made)
    return made.getvalue()


def test_a_sheet_as_people_make_it_becomes_rows_with_their_numbers() -> None:
    body = workbook(
        ["BÁO CÁO KHÁCH DU LỊCH"], ["Ngày", "Cơ sở", "Khách", None], [None, None, "quốc tế", "nội địa"],
        [datetime(2026, 11, 20), "Hồ Núi Cốc", 12.0, "1.250"], ["21/11/2026", "ATK", 3, 40], [None, None, None, None], ["22/11/2026", "Hang Phượng Hoàng", 1, "=C5+C6"],
        merge="C2:D2", hide=5,
    )  # fmt: skip
    document = sheets.decode(body, header_rows=2)
    assert document.header == ["Ngày", "Cơ sở", "Khách quốc tế", "Khách nội địa"]
    assert [(row.line, row.defect.cause if row.defect else "") for row in document.value] == [(4, ""), (5, "hidden_row"), (7, "no_value")]
    assert document.value[0].value == {"Ngày": "2026-11-20", "Cơ sở": "Hồ Núi Cốc", "Khách quốc tế": 12, "Khách nội địa": "1.250"}


def test_cells_merged_over_rows_are_told_with_their_place_and_nothing_of_those_rows_is_taken() -> None:
    """A number over three communes is no commune's; what was merged is the first row's only by the file format."""
    body = workbook(["Ngày", "Xã", "Khách"], ["20/11/2026", "A", 1], ["20/11/2026", "B", 90], ["20/11/2026", "C", None], ["21/11/2026", "D", 4], merge="C3:C4")
    rows = sheets.decode(body).value
    assert [(row.line, row.defect.cause if row.defect else "") for row in rows] == [(2, ""), (3, "merged_cells"), (4, "merged_cells"), (5, "")]
    defect = rows[1].defect
    assert defect is not None and "row 3: C3:C4 is merged" in str(defect) and "unmerge the cells" in str(defect)


def test_a_broken_or_wrong_workbook_is_refused_with_a_sentence() -> None:
    for body, sheet, cause in ((workbook(["a", "b"], [1, 2]), "T12", "unknown_layout"), (workbook(), "", "empty"), (workbook(["a", "a"], [1, 2]), "", "duplicate_header")):
        with pytest.raises(Exception) as exc:
            sheets.decode(body, sheet=sheet)
        assert exc.value.cause == cause  # type: ignore[attr-defined]
    assert not sheets.is_workbook(b"PK\x03\x04" + bytes(100))


def drop(folder: Path, name: str, body: bytes, age_s: float = 60) -> None:
    (folder / name).write_bytes(body)
    at = (folder / name).stat().st_mtime - age_s
    os.utime(folder / name, (at, at))


def test_a_folder_is_read_file_by_file_and_a_corrected_file_again(tmp_path: Path) -> None:
    connector = declared(tmp_path, source={"files": "*.csv"})
    folder = tmp_path / "drop"
    folder.mkdir()
    drop(folder, "1.csv", b"id,free,day\n1,5,2026-11-20\n2,6,2026-11-20\n")
    drop(folder, "2.csv", b"id;free;day\n1;7,5;2026-11-21\n", 50)
    drop(folder, "half.csv", b"id,free", 0)
    drop(folder, "~$1.csv", b"lock")
    drop(folder, "other.txt", b"x")
    (folder / "link.csv").symlink_to("/etc/passwd")
    cursor: dict[str, Any] = {}

    def poll() -> list[Record]:
        nonlocal cursor
        pages: list[Page] = list(connector.poll(context(connector, folder.as_uri(), Folder(folder.as_uri()), **cursor)))
        cursor = next((page.cursor for page in reversed(pages) if page.cursor), cursor)
        assert [problem for page in pages for problem in page.problems] == []
        return [record for page in pages for record in page.records]

    assert [(record.value["id"], record.value["free"]) for record in poll()] == [("1", "5"), ("2", "6"), ("1", "7,5")]
    assert poll() == []
    drop(folder, "1.csv", b"id,free,day\n1,5,2026-11-20\n2,66,2026-11-20\n", 10)
    assert [(record.value["id"], record.value["free"]) for record in poll()] == [("2", "66")]
    os.utime(folder / "1.csv", (1_700_000_000, 1_700_000_000))
    assert poll() == []
    assert sorted(path.name for path in folder.iterdir()) == ["1.csv", "2.csv", "half.csv", "link.csv", "other.txt", "~$1.csv"]


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    connector = declared(tmp_path, source={"files": "*"})
    folder = tmp_path / "drop"
    folder.mkdir()
    drop(folder, "1.xlsx", b"PK\x03\x04 broken")
    drop(folder, "2.csv", b"id,free,day\n1,5,2026-11-20\n", 30)
    pages = list(connector.poll(context(connector, folder.as_uri(), Folder(folder.as_uri()))))
    assert [str(problem)[:8] for page in pages for problem in page.problems] == ["1.xlsx: "]
    assert sum(len(page.records) for page in pages) == 1


def test_xml_in_the_place_of_json_is_refused_and_not_taken_for_an_empty_list(tmp_path: Path) -> None:
    page = b"<status><message>maintenance</message></status>"
    connector = declared(tmp_path, source={"path": "lots.json", "records": "data"})
    got = preview(connector, context(connector), page)
    assert [letter.cause for letter in got.letters] == ["unknown_layout"] and got.events == []
    connector = declared(tmp_path, source={"path": "lots.xml", "records": "lot"})
    assert preview(connector, context(connector), b"<lots/>").records == 0


def test_a_time_is_read_as_its_format_says_in_the_zone_of_the_feed(tmp_path: Path) -> None:
    connector = declared(tmp_path, fields={"id": {"class": "public"}, "free": {"class": "public", "type": "number"}, "day": {"class": "public", "type": "time", "format": "%d/%m/%Y %I:%M %p"}})
    got = read(connector, [{"id": 1, "free": 1, "day": "21/11/2026 06:30 PM"}, {"id": 2, "free": 1, "day": "2026-11-21T18:30:00Z"}])
    assert [event.time for event in got.events] == [datetime(2026, 11, 21, 11, 30, tzinfo=UTC)]
    assert [(letter.cause, letter.repair) for letter in got.letters] == [("bad_time", "write it as %d/%m/%Y %I:%M %p, or correct `format`")]


def test_a_small_count_of_persons_leaves_neither_as_a_value_nor_in_a_dead_letter(tmp_path: Path) -> None:
    fields = {"id": {"class": "public"}, "free": {"class": "public", "type": "count", "suppress_below": 5, "required": True}, "day": {"class": "public", "type": "date", "required": True}}
    connector = declared(tmp_path, fields=fields)
    day = "2026-11-20"
    got = read(connector, [{"id": n, "free": n, "day": day} for n in (0, 1, 3, 4, 5)] + [{"id": 7, "free": 3, "day": ""}])
    assert [(str(e.data.value), e.data.qualifier) for e in got.events] == [("0", "exact"), ("4", "at_most"), ("4", "at_most"), ("4", "at_most"), ("5", "exact")]  # type: ignore[union-attr]
    assert len(got.letters) == 1 and '"free":"[withheld]"' in got.letters[0].record


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"pattern": "x"}, "exactly one group"), ({"pattern": "(x"}, "missing )"), ({"format": "%d"}, "belongs to type time"),
        ({"suppress_below": 5}, "belongs to type count"),
    ],
)  # fmt: skip
def test_what_cannot_be_of_a_field_is_told_with_its_line(rule: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"line \\d+.*{re.escape(said)}"):
        declared(tmp_path, fields=LOTS["fields"] | {"name": {"class": "public", **rule}})


# --- ioc connector new ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http_json", "http_csv", "http_xml", "spreadsheet", "sql", "mqtt"])
def test_a_new_connector_works_as_it_stands(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_home", lambda: tmp_path)
    runner = CliRunner()
    made = runner.invoke(app, ["connector", "new", "parking", "--from", kind])
    assert made.exit_code == 0, made.output
    assert runner.invoke(app, ["connector", "test", "parking"]).exit_code == 0
    grade = runner.invoke(app, ["connector", "grade", "parking"]).output
    assert grade.startswith("silver    parking   held back by deletions")
    again = runner.invoke(app, ["connector", "new", "parking"])
    assert "is there already; nothing was changed" in str(again.exception or again.output)


def test_a_name_that_cannot_be_a_folder_is_refused() -> None:
    result = CliRunner().invoke(app, ["connector", "new", "../x"])
    assert "cannot be a connector's name" in str(result.exception or result.output)


def test_the_guide_holds_the_reference_of_the_schema() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "connectors.md").read_text(encoding="utf-8")
    assert reference() in guide, "write ioc.connect.declared.docs.reference() into docs/connectors.md"
