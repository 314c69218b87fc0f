"""Pages as A4 paper: what a table says on the screen, word for word, with its filters, its as-of and its page number.

The letters are those of the screens (Noto Sans, embedded), so Vietnamese prints the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, TextEmphasis
from fpdf.fonts import FontFace

_FONTS = Path(__file__).parent / "assets" / "fonts"
_SOFT, _EDGE, _INK, _GROUND = (82, 96, 110), (211, 218, 225), (22, 33, 44), (238, 241, 244)


@dataclass(frozen=True)
class Table:
    """`widths`: in parts of the line; the columns of `right` (from 0) are numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int]
    right: Sequence[int] = ()


@dataclass(frozen=True)
class Part:
    """A heading with sentences and a table, either of them may be absent."""

    heading: str = ""
    sentences: Sequence[str] = ()
    table: Table | None = None


@dataclass(frozen=True)
class Paper:
    """`about`: the filters and the as-of, a line each, printed under the title; `foot`: on every page."""

    title: str
    about: Sequence[str]
    parts: Sequence[Part]
    foot: str
    wide: bool = field(default=False)


class _Sheet(FPDF):
    foot = ""

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font("noto", size=8)
        self.set_text_color(*_SOFT)
        self.cell(0, 5, self.foot, align="L")
        self.set_x(self.l_margin)
        self.cell(0, 5, f"{self.page_no()}/{{nb}}", align="R")


def as_pdf(paper: Paper) -> bytes:
    """Return the file."""
    sheet = _Sheet("landscape" if paper.wide else "portrait", "mm", "A4")
    sheet.foot = paper.foot
    sheet.set_title(paper.title)
    sheet.set_creator("IOC")
    sheet.add_font("noto", "", _FONTS / "noto-sans-regular.ttf")
    sheet.add_font("noto", "B", _FONTS / "noto-sans-bold.ttf")
    sheet.set_margins(14, 14)
    sheet.set_auto_page_break(True, 16)
    sheet.set_draw_color(*_EDGE)
    sheet.add_page()
    _text(sheet, paper.title, 16, bold=True)
    for line in paper.about:
        _text(sheet, line, 9, _SOFT)
    for part in paper.parts:
        _part(sheet, part)
    return bytes(sheet.output())


def _text(sheet: FPDF, text: str, size: float, colour: tuple[int, int, int] = _INK, *, bold: bool = False) -> None:
    sheet.set_font("noto", "B" if bold else "", size)
    sheet.set_text_color(*colour)
    sheet.multi_cell(0, size * 0.5, text, new_x="LMARGIN", new_y="NEXT", align="L")


def _part(sheet: FPDF, part: Part) -> None:
    sheet.ln(4)
    if part.heading:
        if sheet.will_page_break(26):
            sheet.add_page()
        _text(sheet, part.heading, 12, bold=True)
        sheet.ln(1)
    for sentence in part.sentences:
        _text(sheet, sentence, 10)
        sheet.ln(1)
    if part.table and part.table.rows:
        _table(sheet, part.table)


def _table(sheet: FPDF, table: Table) -> None:
    sheet.set_font("noto", "", 8.5)
    sheet.set_text_color(*_INK)
    align = tuple("RIGHT" if i in table.right else "LEFT" for i in range(len(table.head)))
    head = FontFace(emphasis=TextEmphasis.B, color=_SOFT, fill_color=_GROUND)
    with sheet.table(col_widths=tuple(table.widths), text_align=align, headings_style=head, line_height=4.6, padding=(0.7, 1.2), borders_layout=TableBordersLayout.HORIZONTAL_LINES) as made:
        for cells in (table.head, *table.rows):
            row = made.row()
            for cell in cells:
                row.cell(cell)
