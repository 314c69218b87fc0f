"""The simulated monitoring of networks and platforms: it posts each link, platform and shared database when its state changes.

Links: the dedicated network (mạng truyền số liệu chuyên dùng), one a commune. Platforms: what citizens and officials use. Shared
databases: what the integration platform (LGSP) connects; one that is not connected yet is degraded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ioc.events import Asset, AssetState, Event, make
from ioc.simulator.chance import key_of, unit
from ioc.simulator.province import Province
from ioc.simulator.source import Mounted, Source

FEED = "digital-platforms"
SOURCE_URI = "/monitoring/digital-platforms"
SLOT_S = 1800  # a state holds for half an hour
PLATFORMS = ("Trục tích hợp, chia sẻ dữ liệu (LGSP)", "ThaiNguyen ID", "C-ThaiNguyen", "Dịch vụ công trực tuyến", "Văn bản điện tử liên thông", "Phòng họp không giấy", "Họp trực tuyến", "Kho dữ liệu dùng chung")
DATABASES = (
    "Dân cư", "Đất đai", "Doanh nghiệp", "Hộ tịch", "Bảo hiểm xã hội", "Cán bộ, công chức, viên chức", "Thủ tục hành chính", "Giá", "Giáo dục", "Y tế", "Hộ nghèo", "Người có công", "Xây dựng", "Nông nghiệp", "Du lịch", "Môi trường",
)  # fmt: skip
CONNECTED = 13  # of them; the others wait for their owners


@dataclass(frozen=True)
class Watched:
    """A thing that is watched: its subject, kind, name, commune and place, and how often it is down."""

    subject: str
    kind: str
    name: str
    area: str
    lat: float | None
    lon: float | None
    down: float


class Monitoring:
    """Everything that is watched."""

    def __init__(self, province: Province) -> None:
        self.province = province
        places = province.places
        hub = places.departments[0].area
        self.watched = [Watched(f"link-{area.code}", "network_link", f"Mạng chuyên dùng {area.name}", area.code, area.lat, area.lon, 0.006) for area in places.communes]
        self.watched += [Watched(f"platform-{n:02d}", "platform", name, hub.code, None, None, 0.004) for n, name in enumerate(PLATFORMS, 1)]
        self.watched += [Watched(f"database-{n:02d}", "shared_database", name, hub.code, None, None, 0.004 if n <= CONNECTED else 1.0) for n, name in enumerate(DATABASES, 1)]

    def state(self, thing: Watched, slot: int) -> AssetState:
        """Return the state of a thing in one slot of `SLOT_S` since 1970."""
        if unit(key_of(self.province.seed, thing.subject, slot), "down") >= thing.down:
            return "ok"
        return "degraded" if thing.kind == "shared_database" else "down"

    def posts(self, since: float, until: float) -> Iterator[Event]:
        """Yield each thing whose state changed in this time; at first all, as they are."""
        last, begins = int(until) // SLOT_S, int(since) // SLOT_S
        first = until - since > 86_400
        for thing in self.watched:
            state = self.state(thing, last)
            if first or (last > begins and any(self.state(thing, slot) != self.state(thing, slot - 1) for slot in range(begins + 1, last + 1))):
                data = Asset(kind=thing.kind, name=thing.name, area=thing.area, state=state, lat=thing.lat, lon=thing.lon)
                yield make(SOURCE_URI, thing.subject, self.province.wall(float(last * SLOT_S)), data)

    def truth(self, since: float, until: float) -> Iterable[dict[str, Any]]:
        """Everything as it stood at the end."""
        for thing in self.watched:
            yield {"id": thing.subject, "status": self.state(thing, int(until) // SLOT_S), "kind": thing.kind, "area": thing.area}


def mount(province: Province) -> Mounted:
    """Set the source up."""
    monitoring = Monitoring(province)
    return Mounted({}, monitoring.truth, monitoring.posts)


SOURCE = Source(FEED, mount)
