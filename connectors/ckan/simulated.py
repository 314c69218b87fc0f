"""The simulated open-data portal: `/open-data/api/3/action/package_search`, three dozen datasets, one of them renewed every few hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ioc.simulator.chance import below, key_of
from ioc.simulator.places import DEPARTMENTS, person
from ioc.simulator.province import Province
from ioc.simulator.source import Mounted, Source, json_response, whole

FEED = "open-data"
HOUR, DAY = 3600, 86_400
TOPICS = ("Danh mục thủ tục hành chính", "Số liệu thống kê năm", "Danh sách cơ sở được cấp phép", "Quy hoạch đã công bố", "Kết quả quan trắc", "Dự án đầu tư công")


def datasets(province: Province, now: float) -> list[dict[str, Any]]:
    """Return the datasets as they are at this time, the one changed longest ago first."""
    found = []
    for n in range(36):
        key = key_of(province.seed, "dataset", n)
        every = DAY * (1 + below(key, "every", 40))
        modified = now - (now + below(key, "shift", int(every))) % every
        agency = DEPARTMENTS[n % len(DEPARTMENTS)]
        found.append(
            {
                "id": f"{n:08x}-0000-4000-8000-{key % 10**12:012d}", "title": f"{TOPICS[n % len(TOPICS)]}: {agency}", "state": "active",
                "metadata_modified": datetime.fromtimestamp(int(modified), UTC).strftime("%Y-%m-%dT%H:%M:%S.000000"), "organization": {"title": agency}, "license_id": "cc-by",
                "maintainer": person(key, "maintainer"), "maintainer_email": "du-lieu@example.org",
            }
        )  # fmt: skip
    return sorted(found, key=lambda dataset: str(dataset["metadata_modified"]))


def mount(province: Province) -> Mounted:
    """Return the routes; the truth is every dataset."""

    async def search(request: Request) -> Response:
        start, count = whole(request, "start", 0, 10_000), whole(request, "rows", 10, 1000)
        found = datasets(province, province.now())
        return json_response({"success": True, "result": {"count": len(found), "results": found[start : start + count]}})

    def truth(since: float, until: float) -> Iterator[dict[str, Any]]:
        for dataset in datasets(province, until):
            yield {"id": dataset["id"], "status": dataset["state"], "modified": dataset["metadata_modified"]}

    return Mounted({"/api/3/action/package_search": search}, truth)


SOURCE = Source(FEED, mount)
