"""The table for people: every cell what it is, no text a formula."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import openpyxl

from ioc.kpi.export import as_csv, as_xlsx, table
from ioc.kpi.tile import Target, Words
from tests.browser import province

ICT = ZoneInfo("Asia/Ho_Chi_Minh")
TILE = province.snapshot().tiles["dossiers_on_time_rate"]


def test_a_row_holds_the_tile_unrounded_in_the_provinces_time() -> None:
    t = msgspec.structs.replace(TILE, value=96.529999999, as_of=datetime(2026, 11, 19, 17, 30, tzinfo=UTC))
    head, row = table([t], ICT, "vi")
    cells = dict(zip(head, row, strict=True))
    assert (cells["Giá trị"], cells["Từ ngày"], cells["Đến ngày"]) == (96.529999999, date(2026, 11, 20), date(2026, 11, 20))
    assert cells["Số liệu đến"] == datetime(2026, 11, 20, 0, 30)
    assert table([t], ICT, "en")[0][1] == "Indicator"


def test_a_row_keeps_how_exact_the_number_is_how_a_document_has_it_and_until_when_the_target_is() -> None:
    t = msgspec.structs.replace(TILE, qualifier="at_most", written="gần 230.000", doubts=[Words("hỏi", "ask"), Words("lại", "again")], target=Target(98.0, date(2026, 12, 31)))
    for lang, said in (("vi", "tối đa"), ("en", "at most")):
        head, row = table([t], ICT, "vi" if lang == "vi" else "en")
        assert row[-4:] == [date(2026, 12, 31), said, "gần 230.000", "hỏi; lại" if lang == "vi" else "ask; again"] and len(head) == len(row)
    assert table([msgspec.structs.replace(TILE, target=None)], ICT, "vi")[1][-4:] == [None, "", "", ""]


def test_csv_is_what_a_vietnamese_spreadsheet_program_reads() -> None:
    t = msgspec.structs.replace(TILE, value=-1234567.25, title=Words("=SUM(A1)", "x"))
    text = as_csv(table([t], ICT, "vi"), "vi").decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text), delimiter=";")
    assert (row["Giá trị"], row["Chỉ tiêu"], row["Từ ngày"]) == ("-1234567,25", "'=SUM(A1)", "20/11/2026")
    assert "-1234567.25" in as_csv(table([t], ICT, "en"), "en").decode("utf-8-sig")
    assert ";1e" not in as_csv(table([msgspec.structs.replace(TILE, value=8.44e14)], ICT, "vi"), "vi").decode()


def test_xlsx_has_numbers_dates_and_texts() -> None:
    t = msgspec.structs.replace(TILE, title=Words("=SUM(A1)", "x"))
    never = msgspec.structs.replace(TILE, as_of=None, value=None)
    sheet = openpyxl.load_workbook(io.BytesIO(as_xlsx(table([t, never], ICT, "vi"), "KPI"))).active
    assert sheet is not None
    assert (sheet["C2"].value, sheet["C2"].data_type, sheet["B2"].value, sheet["B2"].data_type) == (96.53, "n", "=SUM(A1)", "s")
    assert sheet["G2"].value == datetime(2026, 11, 20) and sheet["C3"].value is None
    assert timedelta(0) <= sheet["K2"].value - datetime(2026, 11, 20, 14, 31) < timedelta(minutes=1)
