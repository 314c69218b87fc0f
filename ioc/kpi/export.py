"""KPIs as a table for people: CSV as a Vietnamese spreadsheet program reads it, XLSX with native numbers and dates.

The same tiles as on every screen, one row a tile, nothing rounded. Times are those of the province.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import openpyxl
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from ioc.errors import UserError
from ioc.kpi.tile import Tile

SHEET_ROWS = 100_000  # a workbook is built in memory; what is larger is no table for people
Language: TypeAlias = Literal["vi", "en"]
Cell: TypeAlias = str | float | int | datetime | date | None

_HEAD: tuple[tuple[str, str], ...] = (
    ("Mã", "KPI"), ("Chỉ tiêu", "Indicator"), ("Giá trị", "Value"), ("Đơn vị", "Unit"), ("Tử số", "Numerator"), ("Mẫu số", "Denominator"),
    ("Từ ngày", "From"), ("Đến ngày", "To"), ("Kỳ đã kết thúc", "Period over"), ("Khu vực", "Area"), ("Số liệu đến", "As of"), ("Công bố", "Published"),
    ("Chênh lệch", "Difference"), ("So với", "Versus"), ("Mục tiêu", "Target"), ("Đánh giá", "Status"), ("Độ mới", "Freshness"), ("Nguồn thiếu", "Missing feeds"),
    ("Nguồn", "Feeds"), ("Công thức", "Formula"), ("Phiên bản", "Version"),
)  # fmt: skip
_WORDS = {
    "previous_period": ("kỳ trước", "previous period"), "same_weekday": ("cùng thứ tuần trước", "same weekday last week"), "target": ("mục tiêu", "target"),
    "plan": ("kế hoạch đến nay", "plan to date"),
    "same_period_last_year": ("cùng kỳ năm trước", "same period last year"),
    "good": ("đạt", "good"), "watch": ("chú ý", "watch"), "alarm": ("báo động", "alarm"), "unknown": ("", ""),
    "live": ("mới", "live"), "late": ("trễ", "late"), "stale": ("cũ", "stale"), "lost": ("mất", "lost"), "never": ("chưa có", "none yet"),
    "yes": ("có", "yes"), "no": ("chưa", "no"),
}  # fmt: skip


def table(tiles: Iterable[Tile], zone: ZoneInfo, language: Language) -> list[list[Cell]]:
    """Return the header and a row a tile. Times come without zone: they are the province's."""
    column = 0 if language == "vi" else 1

    def word(name: str) -> str:
        return _WORDS.get(name, (name, name))[column]

    def local(at: datetime | None) -> datetime | None:
        return at.astimezone(zone).replace(tzinfo=None, microsecond=0) if at else None

    rows: list[list[Cell]] = [[names[column] for names in _HEAD]]
    for t in tiles:
        start, end = t.period.start.astimezone(zone).date(), (t.period.end.astimezone(zone) - timedelta(microseconds=1)).date()
        rows.append(
            [
                t.kpi, getattr(t.title, language), t.value if t.as_of else None, t.unit, t.numerator, t.denominator, start, end, word("yes" if t.period.complete else "no"), t.area,
                local(t.as_of), local(t.published_at), t.delta.value if t.delta else None, word(t.delta.versus) if t.delta else "", t.target.value if t.target else None,
                word(t.status), word(t.quality.state), ", ".join(t.quality.missing_sources), ", ".join(t.source), t.formula, t.formula_version,
            ]
        )  # fmt: skip
    return rows


def as_csv(rows: list[list[Cell]], language: Language) -> bytes:
    """Return UTF-8 with a byte order mark, `;` between cells; decimals with a comma in Vietnamese."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerows([_text(cell, language) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _text(cell: Cell, language: Language) -> str:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    if isinstance(cell, int | float):
        plain = format(Decimal(repr(cell)), "f")
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        return plain.replace(".", ",") if language == "vi" else plain
    if isinstance(cell, datetime):
        return cell.strftime("%d/%m/%Y %H:%M:%S" if language == "vi" else "%Y-%m-%d %H:%M:%S")
    if isinstance(cell, date):
        return cell.strftime("%d/%m/%Y" if language == "vi" else "%Y-%m-%d")
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell  # a text, never a formula


def as_xlsx(rows: list[list[Cell]], title: str) -> bytes:
    """Return a workbook with one sheet; numbers, dates and times are what they are. Raise `UserError` for more rows than fit."""
    if len(rows) > SHEET_ROWS:
        raise UserError(f"{len(rows)} rows do not fit a spreadsheet, which holds {SHEET_ROWS}; ask for CSV, or for fewer areas or days")
    book, made = openpyxl.Workbook(), io.BytesIO()
    sheet = book.create_sheet(title[:31], 0)
    del book["Sheet"]
    for number, row in enumerate(rows, 1):
        for place, value in enumerate(row, 1):
            cell = sheet.cell(number, place)
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"  # a text, never a formula
            elif isinstance(value, datetime):
                cell.number_format = "dd/mm/yyyy hh:mm:ss"
            elif isinstance(value, date):
                cell.number_format = "dd/mm/yyyy"
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "C2"
    for place, column in enumerate(zip(*rows, strict=True), 1):
        sheet.column_dimensions[get_column_letter(place)].width = min(60, max(len(str(value or "")) for value in column) + 2)
    book.save(made)
    return made.getvalue()
