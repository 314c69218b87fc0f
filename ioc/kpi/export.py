"""KPIs as a table for people: CSV as a Vietnamese spreadsheet program reads it, XLSX with native numbers and dates.

The same tiles as on every screen, one row a tile, nothing rounded. Times are those of the province. Rows may come one by
one and are written one by one: a table of a million rows never stands in memory.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from ioc.errors import UserError
from ioc.kpi.tile import Tile

SHEET_ROWS = 100_000  # what is larger is no table for people, and opens in no spreadsheet program of theirs
_CHUNK_ROWS = 500  # rows of one piece of a CSV
_BOLD = Font(bold=True)
_MEASURED_ROWS = 200  # rows a sheet's columns are made wide enough for
Language: TypeAlias = Literal["vi", "en"]
Cell: TypeAlias = str | float | int | datetime | date | None

_HEAD: tuple[tuple[str, str], ...] = (
    ("Mã", "KPI"), ("Chỉ tiêu", "Indicator"), ("Giá trị", "Value"), ("Đơn vị", "Unit"), ("Tử số", "Numerator"), ("Mẫu số", "Denominator"),
    ("Từ ngày", "From"), ("Đến ngày", "To"), ("Kỳ đã kết thúc", "Period over"), ("Khu vực", "Area"), ("Số liệu đến", "As of"), ("Công bố", "Published"),
    ("Chênh lệch", "Difference"), ("So với", "Versus"), ("Mục tiêu", "Target"), ("Đánh giá", "Status"), ("Độ mới", "Freshness"), ("Nguồn thiếu", "Missing feeds"),
    ("Nguồn", "Feeds"), ("Công thức", "Formula"), ("Phiên bản", "Version"), ("Hạn mục tiêu", "Target by"), ("Mức chính xác", "Qualifier"),
    ("Theo văn bản", "As written"), ("Cần hỏi lại", "To be asked"),
)  # fmt: skip
_WORDS = {
    "previous_period": ("kỳ trước", "previous period"), "same_weekday": ("cùng thứ tuần trước", "same weekday last week"), "target": ("mục tiêu", "target"),
    "plan": ("kế hoạch đến nay", "plan to date"),
    "same_period_last_year": ("cùng kỳ năm trước", "same period last year"),
    "good": ("đạt", "good"), "watch": ("chú ý", "watch"), "alarm": ("báo động", "alarm"), "unknown": ("", ""),
    "live": ("mới", "live"), "late": ("trễ", "late"), "stale": ("cũ", "stale"), "lost": ("mất", "lost"), "never": ("chưa có", "none yet"),
    "exact": ("", ""), "at_least": ("ít nhất", "at least"), "at_most": ("tối đa", "at most"), "about": ("khoảng", "about"),
    "yes": ("có", "yes"), "no": ("chưa", "no"),
}  # fmt: skip


def table(tiles: Iterable[Tile], zone: ZoneInfo, language: Language) -> list[list[Cell]]:
    """Return the header and a row a tile. Times come without zone: they are the province's."""
    column = 0 if language == "vi" else 1

    def word(name: str) -> str:
        return _WORDS.get(name, (name, name))[column]

    rows: list[list[Cell]] = [[names[column] for names in _HEAD]]
    for t in tiles:
        rows.append(
            [
                t.kpi, getattr(t.title, language), t.value if t.as_of else None, t.unit, t.numerator, t.denominator, *cell_days(t, zone), word("yes" if t.period.complete else "no"), t.area,
                cell_time(t.as_of, zone), cell_time(t.published_at, zone), t.delta.value if t.delta else None, word(t.delta.versus) if t.delta else "", t.target.value if t.target else None,
                word(t.status), word(t.quality.state), ", ".join(t.quality.missing_sources), ", ".join(t.source), t.formula, t.formula_version,
                t.target.due if t.target else None, word(t.qualifier), t.written, "; ".join(getattr(words, language) for words in t.doubts),
            ]
        )  # fmt: skip
    return rows


def cell_time(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    """Return a time as a cell has it: the province's, to the second; spreadsheet programs know no zones."""
    return at.astimezone(zone).replace(tzinfo=None, microsecond=0) if at else None


def cell_days(t: Tile, zone: ZoneInfo) -> tuple[date, date]:
    """Return the first and the last day of the tile's period."""
    return t.period.start.astimezone(zone).date(), (t.period.end.astimezone(zone) - timedelta(microseconds=1)).date()


def as_csv(rows: Iterable[list[Cell]], language: Language) -> bytes:
    """Return UTF-8 with a byte order mark, `;` between cells; decimals with a comma in Vietnamese."""
    return b"".join(csv_pieces(rows, language))


def csv_pieces(rows: Iterable[list[Cell]], language: Language) -> Iterator[bytes]:
    """Yield the CSV piece by piece; no more rows are asked for than the piece that is taken holds."""
    left = iter(rows)
    yield codecs.BOM_UTF8
    while some := list(islice(left, _CHUNK_ROWS)):
        out = io.StringIO()
        csv.writer(out, delimiter=";", lineterminator="\r\n").writerows([_text(cell, language) for cell in row] for row in some)
        yield out.getvalue().encode()


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


def as_xlsx(rows: Sequence[list[Cell]], title: str) -> bytes:
    """Return a workbook with one sheet; numbers, dates and times are what they are. Raise `UserError` for more rows than fit."""
    if len(rows) > SHEET_ROWS:
        raise too_many()
    return workbook(rows, title)


def workbook(rows: Iterable[list[Cell]], title: str) -> bytes:
    """As `as_xlsx`, of rows that come one by one and are known to fit."""
    book, made = openpyxl.Workbook(write_only=True), io.BytesIO()
    sheet = book.create_sheet(title[:31])
    sheet.freeze_panes = "C2"
    left = iter(rows)
    first = list(islice(left, _MEASURED_ROWS))
    for place, column in enumerate(zip(*first, strict=True), 1):
        sheet.column_dimensions[get_column_letter(place)].width = min(60, max(len(str(value or "")) for value in column) + 2)
    for number, row in enumerate(chain(first, left)):
        sheet.append([_cell(sheet, value, bold=number == 0) for value in row])
    book.save(made)
    return made.getvalue()


def too_many() -> UserError:
    return UserError(f"more than {SHEET_ROWS} rows do not fit a spreadsheet; ask for CSV, which has no end, or for fewer areas or days")


def _cell(sheet: Any, value: Cell, *, bold: bool) -> Any:
    cell = WriteOnlyCell(sheet, value)  # type: ignore[arg-type] # it takes dates, too
    if isinstance(value, str):
        cell.data_type = "s"  # a text, never a formula
    elif isinstance(value, datetime):
        cell.number_format = "dd/mm/yyyy hh:mm:ss"
    elif isinstance(value, date):
        cell.number_format = "dd/mm/yyyy"
    if bold:
        cell.font = _BOLD
    return cell
