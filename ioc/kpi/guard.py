"""What is odd about a figure, asked in words. A value is never changed or held back for it: the source is to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ioc.doubts import in_words
from ioc.kpi.model import Guard, Kpi
from ioc.kpi.tile import Report, Words

_SLIPS = ((Decimal(1000), "nghìn", "a thousand"), (Decimal(1_000_000), "triệu", "a million"))


def implausible(kpi: Kpi, value: Decimal) -> Words | None:
    """Ask about a value outside what is plausible; a slip of the unit by a thousand or a million is named."""
    if kpi.guard.plausible is None:
        return None
    low, high = (Decimal(str(limit)) for limit in kpi.guard.plausible)
    if low <= value <= high:
        return None
    for factor, vi, en in _SLIPS:
        for right, times_vi, times_en in ((value * factor, "nhỏ đi", "too small"), (value / factor, "lớn lên", "too large")):
            if low <= right <= high:
                return Words(
                    f"ngoài khoảng hợp lý ({_vi(low)} đến {_vi(high)}): có thể sai đơn vị, số liệu {times_vi} một {vi} lần?",
                    f"outside of what is plausible ({_en(low)} to {_en(high)}): a slip of the unit, {times_en} by {en}?",
                )
    return Words(f"ngoài khoảng hợp lý ({_vi(low)} đến {_vi(high)})", f"outside of what is plausible ({_en(low)} to {_en(high)})")


def misprinted(value: Decimal, printed: Decimal) -> Words | None:
    """Ask about a figure that its source prints otherwise than its parts give it; equal to the printed digits is equal."""
    exponent = printed.normalize().as_tuple().exponent
    digits = max(0, -exponent) if isinstance(exponent, int) else 0
    shown = value.quantize(Decimal(1).scaleb(-max(digits, 2)))
    if shown == printed:
        return None
    rounded = value.quantize(Decimal(1).scaleb(-digits)) == printed
    return Words(
        f"nguồn in {_vi(printed)}, hai phần cho {_vi(shown)}" + (" (nguồn đã làm tròn)" if rounded else ""),
        f"the source prints {_en(printed)}, its parts give {_en(shown)}" + (" (rounded by the source)" if rounded else ""),
    )


def unsteady(guard: Guard, value: Decimal, before: Decimal | None) -> Words | None:
    """Ask about a factor that should stay the same and moved."""
    if guard.steady is None or not before:
        return None
    moved = abs(value - before) / abs(before) * 100
    if moved <= Decimal(str(guard.steady)):
        return None
    was, now = before.quantize(Decimal(1)), value.quantize(Decimal(1))
    return Words(f"hệ số đổi từ {_vi(was)} thành {_vi(now)}: cách tính có đổi không?", f"the factor went from {_en(was)} to {_en(now)}: is it computed otherwise now?")


def of_reports(kpi: Kpi, now: Sequence[Report], before: Sequence[Report], *, same: bool) -> list[Words]:
    """Ask about what documents say: a doubt of the connector, another unit, one figure (`same`) under two periods."""
    found = [Words(*in_words(report.doubt)) for report in now if report.doubt]
    if not kpi.formula.divides and not kpi.formula.derived:
        found += [
            Words(f"nguồn ghi đơn vị {report.unit}, chỉ tiêu tính bằng {kpi.unit}", f"the source gives it in {report.unit}, the KPI is in {kpi.unit}")
            for report in now
            if report.unit != kpi.unit
        ]
    for report, was in zip(now, before, strict=False):
        if same and report.document != was.document:
            found.append(
                Words(
                    f"cùng giá trị: “{was.document}” ghi kỳ {was.period}, “{report.document}” ghi kỳ {report.period}; đúng là kỳ nào?",
                    f"one value: “{was.document}” gives it for {was.period}, “{report.document}” for {report.period}; which is it of?",
                )
            )
    return found


def _en(value: Decimal) -> str:
    return f"{value.normalize():,f}"


def _vi(value: Decimal) -> str:
    return _en(value).translate(str.maketrans(",.", ".,"))
