"""The simulated spreadsheet of indicators: `/indicators/indicators.xlsx`, figures of Thái Nguyên and other provinces as reports printed them.

Reference period, wording and source are those of the reports; nothing is invented, so the periods are old, and say so. Beside it
`/indicators/quality/indicators.xlsx`, the monthly service index, which is invented (simulated_quality.py).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
from starlette.requests import Request
from starlette.responses import Response

from connectors.indicators import simulated_quality
from ioc.simulator.province import Province
from ioc.simulator.source import Mounted, Source, with_etag

FEED = "indicators"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# document -> (publication date, what it is). Where a page gives no date: the end of the month it speaks of.
DOCUMENTS = {
    "S0": ("2022-08-12", "Báo Thái Nguyên, tháng 8/2022"),
    "S1": ("2021-12-24", "Ban Tuyên giáo Tỉnh ủy Thái Nguyên, 24/12/2021"),
    "S2": ("2022-11-21", "Hội nghị chuyển đổi số tỉnh Sóc Trăng, 21/11/2022"),
    "S3": ("2022-06-30", "Báo Nhân Dân, năm 2022"),
    "S4": ("2023-10-31", "Diễn đàn Doanh nghiệp, sau quý III/2023"),
}
REPORTS = Path(__file__).with_name("reports.csv")  # code, name, period, figure (as the document has it), document


def rows() -> list[tuple[str, str, str, str, str, str]]:
    """Return (code, name, period, figure, publication date, document) of every figure."""
    with REPORTS.open(encoding="utf-8", newline="") as file:
        return [(row["code"], row["name"], row["period"], row["figure"], *DOCUMENTS[row["document"]]) for row in csv.DictReader(file)]


def workbook(found: Iterable[tuple[str, ...]]) -> bytes:
    """Return the spreadsheet of these rows."""
    book, made = openpyxl.Workbook(), io.BytesIO()
    sheet = book.create_sheet("Chỉ tiêu", 0)
    sheet.append(["CHỈ TIÊU KINH TẾ - XÃ HỘI, CHUYỂN ĐỔI SỐ"])
    sheet.append(["Mã", "Chỉ tiêu", "Kỳ", "Số liệu", "Công bố", "Nguồn", "Người nhập"])
    for row in found:
        sheet.append([*row, "Cán bộ tổng hợp"])
    book.save(made)
    return made.getvalue()


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is every row."""
    made: list[bytes] = []
    monthly: dict[date, bytes] = {}

    async def sheet(request: Request) -> Response:
        if not made:
            made.append(workbook(rows()))
        return with_etag(request, made[0], XLSX)

    async def quality(request: Request) -> Response:
        now = province.local(province.now())
        if now.date() not in monthly:
            monthly.clear()
            monthly[now.date()] = workbook(simulated_quality.rows(province.seed, now))
        return with_etag(request, monthly[now.date()], XLSX)

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for code, _, period, figure, published, _ in rows():
            yield {"id": f"{code} {period}", "status": "published", "figure": figure, "published": published}

    return Mounted({"/indicators.xlsx": sheet, "/quality/indicators.xlsx": quality}, truth)


SOURCE = Source(FEED, mount)
