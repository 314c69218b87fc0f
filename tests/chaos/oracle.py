"""The oracle: what must be stored and shown, computed from the facts that were sent, in the plainest way.

It sorts each thing's events by time and lets the last one that names a field win; it counts by looping. It shares no
code with `ioc`: rollups, totals, medians and every KPI are written here a second time, from their descriptions.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from .truth import ASSET, CASE, ICT, OBSERVATION, SERVICES, Fact

NO_DAY = date(9999, 12, 31)
CASE_DEFAULTS: dict[str, Any] = {
    "status": "open", "native_status": None, "outcome": None, "category": None, "title": None, "area": None, "agency": None, "channel": None,
    "level": None, "opened_at": None, "due_at": None, "closed_at": None, "rating": None, "lat": None, "lon": None, "doubt": None,
    "deleted": False, "dims": {}, "shape": None,
}  # fmt: skip
ASSET_DEFAULTS: dict[str, Any] = {"kind": "", "name": None, "area": None, "state": "unknown", "lat": None, "lon": None, "doubt": None, "deleted": False, "dims": {}}
Thing = dict[str, Any]


def key(fact: Fact) -> str:
    """Return what decides between two events of one instant: the documented digest of source and id."""
    h = hashlib.blake2b(f"{fact['source']}\x1f{fact['id']}\x1f".encode(), digest_size=16)
    return h.hexdigest()


def day_of(at: datetime) -> date:
    return at.astimezone(ICT).date()


def fold(facts: Iterable[Fact], kind: str, defaults: dict[str, Any]) -> dict[tuple[str, str], Thing]:
    """Return (feed, subject) -> state of the cases, or of the assets. `_time`: when the status was set."""
    events: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact["type"] == kind:
            events[fact["feed"], fact["subject"]].append(fact)
    states = {}
    for name, mine in events.items():
        mine.sort(key=lambda fact: (fact["time"], key(fact)))
        state = dict(defaults)
        for fact in mine:
            state |= fact["data"]
            if "status" in fact["data"]:
                state["_status_at"] = fact["time"]
        state["first_at"], state["updated_at"] = mine[0]["time"], mine[-1]["time"]
        states[name] = state
    return states


class Oracle:
    """Everything that must be true after `facts`."""

    def __init__(self, facts: list[Fact]) -> None:
        self.cases = fold(facts, CASE, CASE_DEFAULTS)
        self.assets = fold(facts, ASSET, ASSET_DEFAULTS)
        self.observations = _observations(facts)
        self.as_of = {feed: max(f["time"] for f in facts if f["feed"] == feed) for feed in {f["feed"] for f in facts}}
        self.live_cases = [_case(feed, state) for (feed, _), state in self.cases.items() if not state["deleted"]]
        self.live_assets = [{**state, "feed": feed} for (feed, _), state in self.assets.items() if not state["deleted"]]

    # -- rows of the store -----------------------------------------------------------------------------------------
    def rollup_case(self) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Return (feed, measure, day, area, dims) -> (n, n_due, n_on_time, seconds, n_rated, rating)."""
        return _summed(self._contributions(agency=True))

    def rollup_total(self) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Return (feed, measure, day, dims) -> the same sums over areas and agencies."""
        return _summed(((k[0], k[1], k[2], k[4]), sums) for k, sums in self._contributions(agency=False))

    def rollup_duration(self) -> dict[tuple[Any, ...], int]:
        found: dict[tuple[Any, ...], int] = defaultdict(int)
        for c in self.live_cases:
            if c["closed"]:
                for area in (c["area"] or "", "*"):
                    found[c["feed"], day_of(c["closed"]), area, c["tenths"]] += 1
        return dict(found)

    def _contributions(self, *, agency: bool) -> Iterable[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        for c in self.live_cases:
            dims = json.dumps({k: v for k, v in c["dims"].items() if agency or k != "agency"}, sort_keys=True)
            due, rating = c["due_at"], c["rating"]
            n_due = 1 if due else 0
            place = (c["area"] or "", dims)
            yield (c["feed"], "opened", day_of(c["opened"]), *place), (1, n_due, 0, Decimal(0), 0, 0)
            if c["closed"]:
                sums = (1, n_due, int(c["on_time"]), c["seconds"], 1 if rating else 0, rating or 0)
                yield (c["feed"], "closed", day_of(c["closed"]), *place), sums
            else:
                day = day_of(due) if due and c["status"] == "open" else NO_DAY
                yield (c["feed"], c["status"], day, *place), (1, n_due, 0, Decimal(0), 0, 0)

    # -- KPIs ------------------------------------------------------------------------------------------------------
    def kpis(self, at: datetime, area: str | None = None) -> dict[str, float | None]:
        """Return every KPI of the catalogue for the province, or one commune."""
        return Day(self, at, area).kpis()


def _case(feed: str, state: Thing) -> Thing:
    """Return a case with what follows from its fields."""
    opened = state["opened_at"] or state["first_at"]
    closed = (state["closed_at"] or state["_status_at"]) if state["status"] == "closed" else None
    known = {name: state[name] for name in ("category", "agency", "channel", "level", "outcome") if state[name] is not None}
    took = max(closed - opened, timedelta()) if closed else timedelta()
    seconds = Decimal(took.days * 86_400 + took.seconds) + Decimal(took.microseconds) / 1_000_000
    return {
        **state, "feed": feed, "opened": opened, "closed": closed, "dims": known | state["dims"], "seconds": seconds,
        "tenths": math.ceil(seconds / 360), "on_time": bool(closed and state["due_at"] and closed <= state["due_at"]),
    }  # fmt: skip


def _summed(rows: Iterable[tuple[tuple[Any, ...], tuple[Any, ...]]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    total: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for name, sums in rows:
        had = total.get(name)
        total[name] = tuple(a + b for a, b in zip(had, sums, strict=True)) if had else sums
    return total


def _observations(facts: Iterable[Fact]) -> dict[tuple[Any, ...], Thing]:
    """Return (feed, metric, period, day, subject) -> n, total, last_time, last_value, area."""
    standing: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for fact in facts:
        if fact["type"] != OBSERVATION:
            continue
        data = fact["data"]
        identity = (fact["feed"], data["metric"], data.get("period", ""), fact["subject"], fact["time"].astimezone(ICT))
        version = (data.get("version") or fact["time"], key(fact))
        if identity not in standing or version > standing[identity][0]:
            standing[identity] = (version, data)
    rows: dict[tuple[Any, ...], Thing] = {}
    for (feed, metric, period, subject, at), (_, data) in sorted(standing.items(), key=lambda item: item[0][4]):
        if data.get("deleted") or data["value"] is None:
            continue
        row = rows.setdefault((feed, metric, period, day_of(at), subject), {"n": 0, "total": Decimal(0)})
        value = Decimal(str(data["value"]))
        row |= {"n": row["n"] + 1, "total": row["total"] + value, "last_time": at, "last_value": value, "area": data["area"]}
    return rows


class Day:
    """The KPIs of the day `at` lies in, for the province or (`area`) one commune."""

    def __init__(self, oracle: Oracle, at: datetime, area: str | None) -> None:
        self.at, self.day = at, day_of(at)
        self._cases = [c for c in oracle.live_cases if area is None or c["area"] == area]
        self._assets = [a for a in oracle.live_assets if area is None or a["area"] == area]
        self._numbers = [
            {"feed": k[0], "metric": k[1], "period": k[2], "day": k[3], "subject": k[4], **row}
            for k, row in oracle.observations.items()
            if k[3] == self.day and (area is None or row["area"] == area)
        ]

    def _some(self, feed: str, test: Callable[[Thing], bool], **dims: str) -> list[Thing]:
        return [c for c in self._cases if c["feed"] == feed and test(c) and all(c["dims"].get(k) == v for k, v in dims.items())]

    def opened(self, feed: str, **dims: str) -> list[Thing]:
        return self._some(feed, lambda c: day_of(c["opened"]) == self.day, **dims)

    def closed(self, feed: str, **dims: str) -> list[Thing]:
        return self._some(feed, lambda c: c["closed"] is not None and day_of(c["closed"]) == self.day, **dims)

    def unfinished(self, feed: str, **dims: str) -> list[Thing]:
        return self._some(feed, lambda c: c["status"] in ("open", "paused"), **dims)

    def overdue(self, feed: str, **dims: str) -> list[Thing]:
        return self._some(feed, lambda c: c["status"] == "open" and c["due_at"] is not None and c["due_at"] <= self.at, **dims)

    def total(self, feed: str, metric: str) -> Decimal | None:
        found = [n["total"] for n in self._numbers if (n["feed"], n["metric"], n["period"]) == (feed, metric, "P1D")]
        return sum(found, Decimal(0)) if found else None

    def assets(self, feed: str, kind: str, *states: str) -> int:
        return sum(a["feed"] == feed and a["kind"] == kind and a["state"] in states for a in self._assets)

    def kpis(self) -> dict[str, float | None]:
        found = self._dossiers() | self._documents() | self._health() | self._education() | self._incidents()
        return {name: None if value is None else float(value) for name, value in found.items()}

    def _dossiers(self) -> dict[str, Any]:
        feed = "public-services"
        resolved = self.closed(feed, outcome="resolved")
        return {
            "dossiers_received_today": len(self.opened(feed)),
            "dossiers_resolved_today": len(resolved),
            "dossiers_on_time_rate": _percent(sum(c["on_time"] for c in resolved), sum(c["due_at"] is not None for c in resolved)),
            "dossiers_open": len(self.unfinished(feed)),
            "dossiers_overdue": len(self.overdue(feed)),
            "dossiers_median_hours": _median(self.closed(feed)),
            "dossiers_online_share": _percent(len(self.opened(feed, channel="online")), len(self.opened(feed))),
            "dossiers_satisfaction": _mean_rating(self.closed(feed)),
        }

    def _documents(self) -> dict[str, Any]:
        feed = "e-documents"
        sent = self.opened(feed, direction="sent")
        return {
            "documents_sent_today": len(sent),
            "documents_received_today": len(self.opened(feed, direction="received")),
            "documents_processed_today": len(self.closed(feed, direction="received", outcome="processed")),
            "documents_open": len(self.unfinished(feed, direction="received")),
            "documents_overdue": len(self.overdue(feed, direction="received")),
            "documents_overdue_province": len(self.overdue(feed, direction="received", level="province")),
            "documents_overdue_commune": len(self.overdue(feed, direction="received", level="commune")),
            "documents_signed_share": _percent(sum(c["dims"]["signed"] == "yes" for c in sent), len(sent)),
        }

    def _health(self) -> dict[str, Any]:
        begun = self.opened("health", resource="encounter")
        kept = [c for c in begun if c["outcome"] != "cancelled"]
        return {
            "encounters_today": len(kept),
            "emergency_encounters_today": sum(c["category"] == "EMER" for c in kept),
            "immunisations_today": len(self.closed("health", resource="immunization", outcome="completed")),
            "facilities_reporting": _percent(len({c["agency"] for c in begun if c["agency"]}), self.assets("health", "health_facility", "ok")),
        }

    def _education(self) -> dict[str, Any]:
        present, enrolled = self.total("education", "attendance.present"), self.total("education", "attendance.enrolled")
        reporting = {n["subject"] for n in self._numbers if n["metric"] == "attendance.enrolled"}
        return {
            "attendance_rate": None if present is None or enrolled is None else _percent(present, enrolled),
            "schools_reporting": _percent(len(reporting), self.assets("education", "school", "ok", "degraded", "down", "unknown")),
            "students_absent_unexcused": self.total("education", "attendance.absent_unexcused"),
            "students_enrolled": len(self.unfinished("education", resource="enrollment", role="student")),
        }

    def _incidents(self) -> dict[str, Any]:
        feed = "incident-reports"
        answered = [c for c in self.closed(feed) if c["outcome"] not in ("duplicate", "rejected")]
        found: dict[str, Any] = {
            "incidents_opened_today": len(self.opened(feed)),
            "incidents_closed_today": len(self.closed(feed)),
            "incidents_open": len(self.unfinished(feed)),
            "incidents_overdue": len(self.overdue(feed)),
            "incidents_on_time_rate": _percent(sum(c["on_time"] for c in answered), sum(c["due_at"] is not None for c in answered)),
            "incidents_median_hours": _median(self.closed(feed)),
            "incidents_satisfaction": _mean_rating(self.closed(feed)),
        }
        for code in SERVICES:
            name = code.replace("-", "_")
            found[f"incidents_opened_today_{name}"] = len(self.opened(feed, category=code))
            found[f"incidents_open_{name}"] = len(self.unfinished(feed, category=code))
            found[f"incidents_overdue_{name}"] = len(self.overdue(feed, category=code))
        return found


def _percent(part: Decimal | int, whole: Decimal | int) -> float | None:
    return float(part) * 100 / float(whole) if whole else None


def _median(closed: list[Thing]) -> float | None:
    """Return the mean of the two middle durations, each rounded up to a tenth of an hour."""
    tenths = sorted(c["tenths"] for c in closed)
    return (tenths[(len(tenths) - 1) // 2] + tenths[len(tenths) // 2]) / 20 if tenths else None


def _mean_rating(closed: list[Thing]) -> float | None:
    rated = [c["rating"] for c in closed if c["rating"]]
    return sum(rated) / len(rated) if rated else None


def as_uuid(fact: Fact) -> uuid.UUID:
    """Return the key under which the fact's event must be stored."""
    return uuid.UUID(key(fact))
