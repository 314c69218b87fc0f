"""The simulated spreadsheet of indicators: `/indicators/indicators.xlsx`, figures of Thái Nguyên as reports printed them.

Reference period, wording and source are those of the reports; nothing is invented, so the periods are old, and say so.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import openpyxl
from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.province import Province
from ioc.simulator.source import Mounted, Source, with_etag

FEED = "indicators"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_PARTY, _PRESS, _PLAN = "Báo cáo kết quả chuyển đổi số của tỉnh, 2022", "Báo Thái Nguyên, 2022", "Hội nghị chuyển đổi số tỉnh, 2022"
# code, name, period, figure, published, source
ROWS: tuple[tuple[str, str, str, str, str, str], ...] = (
    ("grdp.growth", "Tốc độ tăng trưởng kinh tế", "2021", "6,56%", "2022-01-31", _PARTY),
    ("grdp.per_capita", "GRDP bình quân đầu người", "2021", "95,1 triệu đồng/người", "2022-01-31", _PARTY),
    ("grdp.per_capita", "GRDP bình quân đầu người", "2020", "88,7 triệu đồng/người", "2022-01-31", _PARTY),
    ("industry.output", "Giá trị sản xuất công nghiệp", "2021", "ước đạt 844 nghìn tỷ đồng", "2022-01-31", _PARTY),
    ("export.value", "Giá trị xuất khẩu", "2021", "gần 29 tỷ USD", "2022-01-31", _PARTY),
    ("budget.revenue", "Tổng thu ngân sách nhà nước", "2021", "16.750 tỷ đồng", "2022-01-31", _PARTY),
    ("agriculture.output", "Giá trị sản xuất nông, lâm nghiệp và thủy sản", "2021", "trên 14,65 tỷ đồng", "2022-01-31", _PARTY),
    ("investment.total", "Tổng vốn đầu tư phát triển toàn xã hội", "2021", "trên 52 nghìn tỷ đồng", "2022-01-31", _PARTY),
    ("investment.domestic_projects", "Dự án đầu tư trong nước", "2021", "35 dự án", "2022-01-31", _PARTY),
    ("investment.fdi_projects", "Dự án FDI", "2021", "27 dự án", "2022-01-31", _PARTY),
    ("investment.fdi_value", "Vốn FDI đăng ký", "2021", "158 triệu USD", "2022-01-31", _PARTY),
    ("poverty.rate", "Tỷ lệ hộ nghèo", "2021", "2,17%", "2022-01-31", _PARTY),
    ("invoice.electronic", "Doanh nghiệp dùng hóa đơn điện tử", "2022", "100%", "2022-12-31", _PLAN),
    ("invoice.electronic", "Doanh nghiệp dùng hóa đơn điện tử", "2021", "98,9%", "2022-08-12", _PRESS),
    ("tax.electronic", "Doanh nghiệp nộp thuế điện tử", "2022", "99%", "2022-12-31", _PLAN),
    ("trade.products", "Sản phẩm trên sàn thương mại điện tử", "2022", "hơn 2.600 sản phẩm", "2022-12-31", _PLAN),
    ("trade.accounts", "Tài khoản kinh doanh trực tuyến", "2022", "trên 68.000 tài khoản", "2022-12-31", _PLAN),
    ("dti.rank", "Xếp hạng chuyển đổi số (DTI)", "2021", "8", "2022-08-12", _PRESS),
    ("dti.rank", "Xếp hạng chuyển đổi số (DTI)", "2020", "12", "2022-01-31", _PARTY),
    ("dti.government_rank", "Xếp hạng chính quyền số", "2020", "3", "2022-01-31", _PARTY),
    ("dti.economy_rank", "Xếp hạng kinh tế số", "2020", "19", "2022-01-31", _PARTY),
    ("dti.society_rank", "Xếp hạng xã hội số", "2020", "37", "2022-01-31", _PARTY),
    ("ict.rank", "Xếp hạng ICT Index", "2019", "44", "2022-08-12", _PRESS),
    ("broadband.mobile", "Tốc độ tải xuống di động băng rộng", "2022", "33,95 Mbps", "2022-08-12", _PRESS),
    ("broadband.fixed", "Tốc độ tải xuống cố định băng rộng", "2022", "67,96 Mbps", "2022-08-12", _PRESS),
    ("app.installs", "Lượt tải C-ThaiNguyen", "2022", "gần 230.000 lượt tải", "2022-08-12", _PRESS),
    ("app.installs", "Lượt tải C-ThaiNguyen", "2021", "trên 200 nghìn lượt tải", "2022-01-31", _PARTY),
    ("signature.issued", "Chữ ký số chuyên dùng đã cấp", "2022", "hơn 7.730 chữ ký số", "2022-12-31", _PLAN),
    ("document.exchanged", "Văn bản điện tử trao đổi", "2022", "hơn 4 triệu văn bản", "2022-12-31", _PLAN),
    ("document.saved", "Chi phí tiết kiệm nhờ văn bản điện tử", "2022", "hơn 15 tỷ đồng", "2022-12-31", _PLAN),
    ("document.exchanged", "Văn bản điện tử trao đổi", "2021", "gần 1,9 triệu văn bản", "2022-01-31", _PARTY),
    ("document.saved", "Chi phí tiết kiệm nhờ văn bản điện tử", "2021", "7,5 tỷ đồng", "2022-01-31", _PARTY),
    ("service.essential", "Dịch vụ công thiết yếu đã cung cấp", "2022", "25", "2022-12-31", _PLAN),
    ("service.essential_all", "Dịch vụ công thiết yếu phải cung cấp", "2022", "25", "2022-12-31", _PLAN),
    ("service.whole_process", "Thủ tục hành chính toàn trình", "2022", "760 thủ tục", "2022-12-31", _PLAN),
    ("insurance.verified", "Người tham gia BHXH, BHYT đã xác thực", "2022", "1.148.705 người", "2022-12-31", _PLAN),
    ("insurance.all", "Người tham gia BHXH, BHYT", "2022", "1.190.032 người", "2022-12-31", _PLAN),
    ("enterprise.digital", "Doanh nghiệp số", "2022", "324 doanh nghiệp", "2022-12-31", _PLAN),
)  # fmt: skip


def workbook() -> bytes:
    """Return the spreadsheet."""
    book, made = openpyxl.Workbook(), io.BytesIO()
    sheet = book.create_sheet("Chỉ tiêu", 0)
    sheet.append(["CHỈ TIÊU KINH TẾ - XÃ HỘI, CHUYỂN ĐỔI SỐ"])
    sheet.append(["Mã", "Chỉ tiêu", "Kỳ", "Số liệu", "Công bố", "Nguồn", "Người nhập"])
    for row in ROWS:
        sheet.append([*row, "Cán bộ tổng hợp"])
    book.save(made)
    return made.getvalue()


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is every row."""
    made: list[bytes] = []

    async def sheet(request: Request) -> Response:
        if not made:
            made.append(workbook())
        return with_etag(request, made[0], XLSX)

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for code, _, period, figure, published, _ in ROWS:
            yield {"id": f"{code} {period}", "status": "published", "figure": figure, "published": published}

    return Mounted({"/indicators.xlsx": sheet}, truth)


SOURCE = Source(FEED, mount)
