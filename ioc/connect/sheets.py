"""Spreadsheets (XLSX) -> the rows a table has, with the doubts only a spreadsheet brings.

The header is the row near the top in which most columns have a text, or so many rows when it spans several: a merged
heading stands over each of its columns ("Khách quốc tế" = "Khách" over "quốc tế"). A hidden row, cells merged over several
rows, and a formula that was never calculated become records with a defect: somebody has to say what they mean.
"""

from __future__ import annotations

import io
import unicodedata
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from ioc.connect.decode import MAX_COLUMNS, Defect, Document, Row
from ioc.connect.errors import Unreadable

MAX_UNPACKED = 100_000_000  # bytes; a workbook is a zip file, and a zip file may be a bomb
MAX_ROWS = 100_000
LOOK_FOR_HEADER = 20  # rows


def is_workbook(body: bytes) -> bool:
    """Is this a workbook of Office Open XML (and not some other archive)?"""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def decode(body: bytes, *, header_rows: int = 1, sheet: str = "") -> Document:
    """Return the rows of a sheet, each with its number in the sheet; raise `Unreadable`."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        unpacked = sum(part.file_size for part in archive.infolist())
    if unpacked > MAX_UNPACKED:
        raise Unreadable("too_large", f"the workbook unpacks to {unpacked} bytes; at most {MAX_UNPACKED}", repair="send one table, without pictures")
    try:
        values, formulas = (openpyxl.load_workbook(io.BytesIO(body), data_only=cached) for cached in (True, False))
    except (InvalidFileException, KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, zipfile.BadZipFile, SyntaxError) as exc:
        raise Unreadable("spreadsheet", f"the workbook is broken ({type(exc).__name__})", repair="open it and save it again as .xlsx, or export CSV (UTF-8)") from exc
    if sheet and sheet not in values.sheetnames:
        raise Unreadable("unknown_layout", f"the workbook has no sheet {sheet!r}", repair=f"name it so; it has {len(values.sheetnames)} other sheets")
    table = values[sheet] if sheet else values.worksheets[0] if values.worksheets else None
    if table is None or table.max_row is None or table.max_row > MAX_ROWS or (table.max_column or 0) > MAX_COLUMNS:
        raise Unreadable("too_large", f"the sheet is larger than {MAX_ROWS} rows or {MAX_COLUMNS} columns", repair="send only the table, without formatted empty cells")
    return _document(table, formulas[table.title], header_rows, len(body))


def _document(table: Any, formulas: Any, header_rows: int, size: int) -> Document:
    cells = [[cell.value for cell in row] for row in table.iter_rows()]
    if not any(value is not None for row in cells for value in row):
        raise Unreadable("empty", "the sheet is empty", repair="fill it, or take the file away")
    first = _first_of_header(table, cells, header_rows)
    header = _header(table, cells, first, header_rows)
    hidden = {number for number, row in table.row_dimensions.items() if row.hidden}
    merged = {row: block.coord for block in table.merged_cells.ranges if block.max_row > block.min_row for row in range(block.min_row, block.max_row + 1)}
    rows = []
    for number, row in enumerate(cells[first + header_rows :], first + header_rows + 1):
        named = {name: _plain(value) for name, value in zip(header, row, strict=False) if name}
        if any(value is not None for value in named.values()) or _formula_without_value(formulas, number, row):
            rows.append(Row(named, number, _defect(number, hidden, merged, formulas, row)))
    return Document("csv", rows, "", size, header=[name for name in header if name])


def _first_of_header(table: Any, cells: list[list[Any]], header_rows: int) -> int:
    """Return the index of the header's first row: near the top, where the most columns have a name of their own."""
    last = max(1, min(LOOK_FOR_HEADER, len(cells) - header_rows + 1))
    return max(range(last), key=lambda i: (len(set(_names(table, cells, i, header_rows)) - {""}), -i))


def _header(table: Any, cells: list[list[Any]], first: int, header_rows: int) -> list[str]:
    names = _names(table, cells, first, header_rows)
    double = next((name for name in names if name and names.count(name) > 1), None)
    if double is not None:
        raise Unreadable("duplicate_header", f"column {names.index(double) + 1} and another have the same name", repair="name every column once, or say header_rows when the header has several rows")
    return names


def _names(table: Any, cells: list[list[Any]], first: int, header_rows: int) -> list[str]:
    """Return each column's texts in these rows, put together; a number is no heading."""
    merged = {(row, column): block for block in table.merged_cells.ranges for row in range(block.min_row, block.max_row + 1) for column in range(block.min_col, block.max_col + 1)}

    def text(row: int, column: int) -> str:
        block = merged.get((row + 1, column + 1))
        value = cells[block.min_row - 1][block.min_col - 1] if block is not None else cells[row][column]
        return unicodedata.normalize("NFC", " ".join(value.split())) if isinstance(value, str) else ""

    names = []
    for column in range(len(cells[first])):
        parts = [text(row, column) for row in range(first, min(first + header_rows, len(cells)))]
        names.append(" ".join(part for i, part in enumerate(parts) if part and part not in parts[:i]))
    return names


def _defect(number: int, hidden: set[int], merged: dict[int, str], formulas: Any, row: list[Any]) -> Defect | None:
    if number in hidden:
        return Defect("hidden_row", f"row {number} is hidden: nobody can tell whether it counts", repair="show it, or delete it")
    if number in merged:
        return Defect("merged_cells", f"row {number}: {merged[number]} is merged over several rows: nobody can tell which of them its value belongs to", repair="unmerge the cells, and fill every row")
    if column := _formula_without_value(formulas, number, row):
        return Defect("no_value", f"row {number}, column {column}: the formula was never calculated", repair="open the file in a spreadsheet program and save it again")
    return None


def _formula_without_value(formulas: Any, number: int, row: list[Any]) -> str:
    for column, value in enumerate(row, 1):
        cell = formulas.cell(number, column)
        if value is None and cell.data_type == "f":
            return str(cell.column_letter)
    return ""


def _plain(value: Any) -> Any:
    """A cell as JSON would have it: times as ISO 8601, a whole float as a whole number."""
    if isinstance(value, datetime):
        return value.isoformat() if value.time() != time() else value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, str):
        return value.strip() or None
    return value
