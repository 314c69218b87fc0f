"""The simulated monthly sheet of the service index after QĐ 766/QĐ-TTg: five groups, the last eight months that were published. Invented figures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from ioc.simulator.chance import key_of, normal

MONTHS = 8
PUBLISHED_DAY = 5  # of the next month
SOURCE_NOTE = "Tính theo QĐ 766/QĐ-TTg, tham khảo"
# code: group, most points, share of them that is usual
GROUPS: dict[str, tuple[str, int, float]] = {
    "quality.publicity": ("Công khai, minh bạch", 18, 0.86),
    "quality.progress": ("Tiến độ giải quyết", 20, 0.93),
    "quality.digitised": ("Số hóa hồ sơ", 22, 0.74),
    "quality.online": ("Cung cấp dịch vụ trực tuyến", 22, 0.69),
    "quality.satisfaction": ("Mức độ hài lòng", 18, 0.95),
}


def rows(seed: int, now: datetime) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield code, name, period, figure, publication date and source of each group and month."""
    month = (now.date() - timedelta(days=PUBLISHED_DAY - 1)).replace(day=1)
    for back in range(MONTHS, 0, -1):
        n = month.year * 12 + month.month - 1 - back
        told, following = date(n // 12, n % 12 + 1, 1), date((n + 1) // 12, (n + 1) % 12 + 1, PUBLISHED_DAY)
        for code, (name, most, usual) in GROUPS.items():
            points = min(float(most), most * (usual - 0.008 * back + 0.015 * normal(key_of(seed, code, n), "points")))
            yield code, name, f"{told:%Y-%m}", f"{points:.1f} điểm".replace(".", ","), following.isoformat(), SOURCE_NOTE
