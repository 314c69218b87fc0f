"""The simulated weekly report of notifiable diseases: `/epidemics/weekly.csv`, the last eight weeks that are over, of every commune.

Seasons are roughly those of the north: dengue from August to November, hand-foot-mouth in spring and autumn, influenza in
winter. A week's figures are complete on the second Wednesday after it begins; on Monday they are a few short. Nobody is meant by "Người báo cáo".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.chance import key_of, poisson, unit
from ioc.simulator.places import person
from ioc.simulator.province import Province
from ioc.simulator.source import Mounted, Source, with_etag

FEED = "epidemics"
WEEKS = 8
HEADER = ["Tuần", "Mã xã", "Bệnh", "Số ca mắc", "Cập nhật", "Hủy", "Người báo cáo"]
# cases of an ordinary week in a commune, by month
DISEASES: dict[str, tuple[float, ...]] = {
    "Sốt xuất huyết": (0.1, 0.1, 0.1, 0.1, 0.3, 0.7, 1.4, 2.6, 3.4, 3.2, 1.9, 0.5),
    "Tay chân miệng": (0.3, 0.4, 1.1, 1.8, 1.5, 0.9, 0.5, 0.6, 1.4, 1.7, 1.0, 0.4),
    "Cúm mùa": (6.5, 6.0, 4.0, 2.2, 1.4, 1.2, 1.3, 1.5, 2.0, 2.8, 4.2, 6.0),
    "Sởi": (0.3, 0.4, 0.6, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2),
    "Thủy đậu": (0.6, 0.9, 1.2, 1.0, 0.6, 0.3, 0.2, 0.2, 0.2, 0.3, 0.4, 0.5),
}


def cases(seed: int, disease: str, commune: str, monday: date) -> int:
    """Return the cases of a whole week."""
    key = key_of(seed, disease, commune, monday.toordinal())
    cluster = 4.0 if unit(key_of(seed, disease, commune, monday.toordinal() // 28), "cluster") < 0.06 else 1.0  # an outbreak holds for weeks
    return poisson(DISEASES[disease][monday.month - 1] * cluster * (0.4 + 1.2 * unit(key_of(seed, commune), "size")), key, "cases")


def rows(province: Province, now: datetime) -> Iterator[list[Any]]:
    """Yield the rows below the header, as they were told on the morning of `now`'s day."""
    monday = now.date() - timedelta(days=now.weekday())
    for back in range(WEEKS, 0, -1):
        week = monday - timedelta(weeks=back)
        told = min(week + timedelta(days=9), now.date())
        share = 0.9 if told < week + timedelta(days=9) else 1.0
        name = "{}-W{:02d}".format(*week.isocalendar()[:2])
        for area in province.places.communes:
            for disease in DISEASES:
                count = cases(province.seed, disease, area.code, week)
                yield [name, area.code, disease, round(count * share), f"{told}T07:00:00", "", person(key_of(province.seed, "clerk", area.code))]


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is every row, with the count that must not come out."""
    made: dict[date, bytes] = {}

    async def table(request: Request) -> Response:
        now = province.local(province.now())
        if now.date() not in made:
            made.clear()
            out = io.StringIO()
            writer = csv.writer(out)
            writer.writerow(HEADER)
            writer.writerows(rows(province, now))
            made[now.date()] = out.getvalue().encode()
        return with_etag(request, made[now.date()], "text/csv; charset=utf-8")

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for week, commune, disease, count, updated, _, _ in rows(province, province.local(until)):
            yield {"id": f"{week} {commune} {disease}", "status": "reported", "cases": count, "updated": updated}

    return Mounted({"/weekly.csv": table}, truth)


SOURCE = Source(FEED, mount)
