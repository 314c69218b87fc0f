"""The source of truth: what a province would tell, as plain dictionaries, made from a seed.

Every fact is a dict `{"feed", "type", "source", "id", "subject", "time", "data"}` with aware datetimes and Decimals in
it; `wire` turns one into the bytes of a CloudEvent. Nothing of `ioc` is imported: what is stored is judged by this.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

Fact = dict[str, Any]

ICT = timezone(timedelta(hours=7))  # Vietnam keeps no summer time
CASE, ASSET, OBSERVATION = "vn.ioc.case.v1", "vn.ioc.asset.v1", "vn.ioc.observation.v1"
LATE_DAYS = 60
SERVICES = {
    "duong-giao-thong": "Đường giao thông", "moi-truong": "Môi trường, rác thải", "dien-chieu-sang": "Điện chiếu sáng",
    "cap-thoat-nuoc": "Cấp, thoát nước", "trat-tu-do-thi": "Trật tự đô thị", "an-ninh-trat-tu": "An ninh trật tự",
    "an-toan-thuc-pham": "An toàn thực phẩm", "cay-xanh": "Cây xanh", "khac": "Khác",
}  # fmt: skip
# feed -> share of all facts; `air` and `drill` are feeds no KPI reads
SHARES = {"public-services": 0.28, "e-documents": 0.15, "health": 0.16, "education": 0.21, "incident-reports": 0.10, "air": 0.10}
OUTCOMES = {
    "public-services": ("resolved", "resolved", "resolved", "refused", "withdrawn", "stopped"),
    "e-documents": ("processed", "processed", "processed", "refused", "recalled"),
    "health": ("finished", "finished", "finished", "cancelled"),
    "education": (None,),
    "incident-reports": ("resolved", "resolved", "rejected", "duplicate"),
}


def wire(fact: Fact) -> bytes:
    """Return the fact as CloudEvents JSON."""
    body = {"specversion": "1.0", **{name: fact[name] for name in ("id", "source", "type", "subject", "time", "data")}}
    return json.dumps(body, default=_plain, ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else float(value)


class Truth:
    """A province's facts up to `now`, reproducible from `seed`. `areas` are codes of communes."""

    def __init__(self, seed: int, now: datetime, areas: list[str]) -> None:
        self.random = random.Random(seed)
        self.now = now
        self.areas = areas
        self._number = 0

    def facts(self, count: int) -> list[Fact]:
        """Return about `count` different facts, the feeds mixed, each thing's life in its order."""
        found: list[tuple[float, int, Fact]] = []
        makers = {"health": self._health, "education": self._education, "air": self._air}
        for feed, share in SHARES.items():
            mine: list[Fact] = []
            make = makers.get(feed, lambda feed=feed: self._case(feed))
            while len(mine) < count * share:
                mine += make()
            found += [(i / len(mine), len(found) + i, fact) for i, fact in enumerate(mine)]
        return [fact for _, _, fact in sorted(found, key=lambda item: item[:2])]

    # -- cases -----------------------------------------------------------------------------------------------------
    def _age(self) -> timedelta:
        """Much is of today, some of the last two weeks, some as old as the late window."""
        days = self.random.choices((0.8, 14, LATE_DAYS), (45, 35, 20))[0]
        return timedelta(seconds=self.random.uniform(60, days * 86_400))

    def _case(self, feed: str) -> list[Fact]:
        """Return the life of one case: opened, moved, paused, closed, rated, reopened, deleted, as partial states."""
        subject = f"{feed[:2]}-{self._next()}"
        opened = self.now - self._age()
        first = self._first_state(feed, opened)
        return list(self._life(feed, subject, opened, first))

    def _first_state(self, feed: str, opened: datetime) -> dict[str, Any]:
        r = self.random
        data: dict[str, Any] = {
            "status": "open", "native_status": "1", "category": r.choice(list(SERVICES)), "title": "Thủ tục", "area": r.choice([*self.areas, None]),
            "agency": f"A{r.randrange(25)}.H55", "opened_at": opened,
        }  # fmt: skip
        if r.random() < 0.8:
            data["due_at"] = opened + timedelta(hours=r.uniform(1, 400))
        if feed == "public-services":
            data |= {"channel": r.choice(("online", "paper", "post")), "level": r.choice(("province", "commune"))}
        if feed == "e-documents":
            data |= {"level": r.choice(("province", "commune")), "dims": {"direction": r.choice(("sent", "received")), "signed": r.choice(("yes", "no")), "priority": "0"}}
        if feed == "health":
            data |= {"category": r.choice(("AMB", "EMER", "IMP")), "dims": {"resource": r.choice(("encounter", "encounter", "immunization"))}}
            if data["dims"]["resource"] == "immunization":
                return data | {"status": "closed", "outcome": r.choice(("completed", "completed", "not-done")), "closed_at": opened, "due_at": None}
        if feed == "education":
            data |= {"dims": {"resource": "enrollment", "role": r.choice(("student", "student", "teacher"))}, "due_at": None}
        if r.random() < 0.05:
            del data["opened_at"]  # nobody said: the first event's time stands in
        return data

    def _life(self, feed: str, subject: str, opened: datetime, first: dict[str, Any]) -> Iterator[Fact]:
        r = self.random
        at = opened
        yield self._fact(feed, CASE, subject, at, first)
        status = first["status"]
        while r.random() < 0.72:
            at = min(self.now, at if r.random() < 0.07 else at + timedelta(seconds=r.uniform(1, 200_000)))
            steps = self._closed_steps(at) if status == "closed" else self._open_steps(feed, at)
            change = r.choice(steps)
            status = change.get("status", status)
            yield self._fact(feed, CASE, subject, at, change)

    def _open_steps(self, feed: str, at: datetime) -> list[dict[str, Any]]:
        r = self.random
        closing: dict[str, Any] = {"status": "closed", "native_status": "10", "outcome": r.choice(OUTCOMES[feed])}
        if r.random() < 0.9:
            closing["closed_at"] = at  # else the closing event's time stands in
        return [
            closing, closing, closing,
            {"due_at": at + timedelta(hours=r.uniform(-50, 300))},
            {"status": "paused", "native_status": "5"},
            {"status": "open", "native_status": "4"},
            {"area": r.choice(self.areas), "agency": f"A{r.randrange(25)}.H55"},
            {"due_at": None},
            {"category": r.choice(list(SERVICES))},
            {"deleted": r.random() < 0.7},
            {"lat": 21.5, "lon": 105.8, "doubt": None, "shape": {"type": "Polygon", "coordinates": [[[105.7, 21.4], [105.9, 21.4], [105.8, 21.6], [105.7, 21.4]]]}},
        ]  # fmt: skip

    def _closed_steps(self, at: datetime) -> list[dict[str, Any]]:
        r = self.random
        return [
            {"rating": r.randint(1, 5)},
            {"rating": r.randint(1, 5), "title": "Đã đánh giá"},
            {"status": "open", "closed_at": None, "outcome": None, "native_status": "reopened"},
            {"closed_at": at - timedelta(minutes=r.uniform(0, 600))},
            {"deleted": True},
            {"deleted": False},
        ]

    # -- things and numbers ----------------------------------------------------------------------------------------
    def _health(self) -> list[Fact]:
        if self.random.random() < 0.06:
            return self._asset("health", "health_facility")
        return self._case("health")

    def _education(self) -> list[Fact]:
        chance = self.random.random()
        if chance < 0.03:
            return self._asset("education", "school")
        return self._case("education") if chance < 0.35 else self._attendance()

    def _asset(self, feed: str, kind: str) -> list[Fact]:
        r = self.random
        subject, at = f"{kind}-{self._next()}", self.now - self._age()
        facts = [self._fact(feed, ASSET, subject, at, {"kind": kind, "name": f"Cơ sở {subject}", "area": r.choice(self.areas), "state": "ok", "lat": 21.6, "lon": 105.8})]
        while r.random() < 0.5:
            at = min(self.now, at + timedelta(seconds=r.uniform(0, 300_000)))
            change = r.choice(({"state": r.choice(("ok", "degraded", "down", "retired"))}, {"area": r.choice(self.areas)}, {"deleted": r.random() < 0.6}, {"dims": {"beds": str(r.randrange(50))}}))
            facts.append(self._fact(feed, ASSET, subject, at, change))
        return facts

    def _attendance(self) -> list[Fact]:
        """Return one school's day: four numbers, some of them corrected, withdrawn or sent as missing."""
        r = self.random
        subject = f"sch-{r.randrange(40_000)}"
        day = (self.now - self._age()).astimezone(ICT).replace(hour=0, minute=0, second=0, microsecond=0)
        area, enrolled = r.choice(self.areas), r.randint(100, 900)
        absent, unexcused = r.randint(0, 30), r.randint(0, 10)
        facts = []
        numbers = {"enrolled": enrolled, "present": enrolled - absent - unexcused, "absent_excused": absent, "absent_unexcused": unexcused}
        for name, number in numbers.items():
            told = self.now - timedelta(seconds=r.uniform(1, 3000))
            data = {"metric": f"attendance.{name}", "value": number, "unit": "{student}", "area": area, "period": "P1D", "version": told}
            facts += self._versions("education", subject, day, data)
        return facts

    def _air(self) -> list[Fact]:
        """Return a few readings of one station; the newest of a day is what its rollup must show."""
        r = self.random
        subject = f"st-{r.randrange(60)}"
        facts: list[Fact] = []
        for _ in range(4):
            at = (self.now - self._age()).replace(microsecond=0)
            data = {"metric": r.choice(("air.pm25", "air.no2")), "value": Decimal(r.randint(0, 900)) / 10, "unit": "ug/m3", "area": r.choice(self.areas)}
            facts += self._versions("air", subject, at, data)
        return facts

    def _versions(self, feed: str, subject: str, at: datetime, data: dict[str, Any]) -> Iterator[Fact]:
        """Yield an observation and, for some, what later versions say of it."""
        r = self.random
        yield self._fact(feed, OBSERVATION, subject, at, data)
        version = data.get("version") or at
        while r.random() < 0.15:
            version = version if r.random() < 0.1 else min(self.now, version + timedelta(seconds=r.uniform(1, 4000)))
            value = data["value"]
            change = r.choice(({"value": value + r.randint(1, 9)}, {"value": value + 1, "area": r.choice(self.areas)}, {"deleted": True}, {"value": None}))
            yield self._fact(feed, OBSERVATION, subject, at, data | {"version": version} | change)

    # -- what cannot be stored ----------------------------------------------------------------------------------------
    def bad(self, count: int) -> list[tuple[str, bytes, bytes, str]]:
        """Return (feed, key, bytes, cause): records that must become dead letters of that cause, all different."""
        found = []
        for i in range(count):
            feed = self.random.choice(list(OUTCOMES))
            good = self._case(feed)[0]
            name, spoiled = list(self._spoiled(good).items())[i % 7]
            found.append((feed, good["subject"].encode(), spoiled, name.partition("/")[0]))
        return found

    def _spoiled(self, good: Fact) -> dict[str, bytes]:
        data = good["data"]
        year_ahead = self.now + timedelta(days=365)
        return {
            "bad_json": wire(good)[:-20],
            "unknown_area": wire(good | {"data": data | {"area": "99999"}}),
            "time_ahead": wire(good | {"time": year_ahead}),
            "no_zone": wire(good | {"time": good["time"].replace(tzinfo=None)}),
            "out_of_range": wire(good | {"data": data | {"rating": 9}}),
            "unknown_type": wire(good | {"type": "vn.ioc.rumour.v1"}),
            "bad_json/nan": wire(good | {"data": data | {"lat": float("nan")}}),
        }

    def contradictions(self, count: int) -> list[tuple[Fact, Fact]]:
        """Return pairs of one id with two contents; the first one sent must stand, the other be a dead letter."""
        pairs = []
        for _ in range(count):
            first = self._asset("health", "health_facility")[0]
            pairs.append((first, first | {"data": first["data"] | {"name": "another name"}}))
        return pairs

    def fact(self, feed: str, kind: str, subject: str, at: datetime, data: dict[str, Any]) -> Fact:
        """Return one more fact (a probe of the rig)."""
        return self._fact(feed, kind, subject, at, data)

    def _fact(self, feed: str, kind: str, subject: str, at: datetime, data: dict[str, Any]) -> Fact:
        # Sources write their times in zones of their own.
        zone = ICT if self.random.random() < 0.5 else UTC
        return {"feed": feed, "type": kind, "source": f"/chaos/{feed}", "id": f"e{self._next()}", "subject": subject, "time": at.astimezone(zone), "data": dict(data)}

    def _next(self) -> int:
        self._number += 1
        return self._number
