"""The simulated source of education: OneRoster 1.2 rostering, and the daily attendance file of each school day.

Standard: IMS/1EdTech OneRoster 1.2: `limit`, `offset`, `filter=dateLastModified>='...'`, `X-Total-Count`, `Link`. The
file (`attendance-YYYY-MM-DD.csv`) is ours. Some 700 invented schools over all communes; pupils are only references.
Schools report between 7:15 and 9:30, some later, some correct themselves in the afternoon. School days follow the
wall clock whatever the speed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ioc.clock import ICT, day_start
from ioc.simulator.case import Case
from ioc.simulator.chance import below, key_of, normal, pick, unit
from ioc.simulator.places import place_key
from ioc.simulator.province import Province
from ioc.simulator.rhythm import FLU, OFFICE, is_school_day
from ioc.simulator.source import (
    BadRequest,
    Endpoint,
    Mounted,
    Snapshots,
    Source,
    instant,
    json_response,
    whole,
    with_etag,
)
from ioc.simulator.stream import Script, Step

FEED = "education"
MOST = 5000
SCHOOLS = 700
CLASSES_A_SCHOOL, ENROLLED_A_CLASS = 3, 1  # enough to show the protocol; a province has half a million enrolments
LEVELS = (("Mầm non", 0.34, ("PR", "KG")), ("Tiểu học", 0.68, ("01", "02", "03", "04", "05")), ("THCS", 0.94, ("06", "07", "08", "09")), ("THPT", 1.0, ("10", "11", "12")))
HEADER = "school_id,date,enrolled,present,absent_excused,absent_unexcused,late\n"
SCRIPTS = [
    Script(86, (Step(0, "active"),)),
    Script(8, (Step(0, "active"), Step(60, "inactive"))),
    Script(4, (Step(0, "active"), Step(40, "tobedeleted"))),
    Script(2, (Step(0, "active"), Step(2, "active!"))),
]


class Attendance:
    """What schools report of a day. A report is (when, of which school, which version)."""

    def __init__(self, province: Province, schools: list[dict[str, Any]]) -> None:
        self.province, self.schools = province, schools
        self._asked: dict[date, dict[int, list[datetime]]] = {}  # corrections somebody asked for
        self._moments: dict[date, list[datetime]] = {}  # all reports of a day, in order

    def reported(self, day: date, n: int) -> list[datetime]:
        """When school `n` reported, and corrected itself; empty when it has no lessons or forgets."""
        key = key_of(self.province.seed, "attendance", day.toordinal(), n)
        if (day.weekday() == 5 and self.schools[n]["level"] < 2) or unit(key, "forgets") < 0.01:
            return []
        minutes = 435 + min(135, max(0, 45 + 28 * normal(key, "minute")))  # 7:15 + up to 2 h 15 min
        if unit(key, "late") < 0.03:
            minutes = 570 + 400 * unit(key, "how late")
        at = [day_start(day) + timedelta(seconds=int(minutes * 60))]
        if unit(key, "corrects") < 0.015:
            at.append(at[0] + timedelta(seconds=int(3600 + 18_000 * unit(key, "when"))))
        return at + self._asked.get(day, {}).get(n, [])

    def row(self, day: date, n: int, version: int) -> list[int]:
        """Return enrolled, present, excused, unexcused, late of a report; present + excused + unexcused = enrolled."""
        school, key = self.schools[n], key_of(self.province.seed, "attendance", day.toordinal(), n, version)
        share = 0.018 * FLU[day.month - 1] ** 2 * (1.25 if day.weekday() in (0, 5) else 1.0) * (1 + 0.35 * normal(key, "sick"))
        enrolled: int = school["enrolled"]
        absent = min(enrolled, max(0, round(enrolled * share)))
        unexcused = round(absent * 0.25 * unit(key, "unexcused"))
        return [enrolled, enrolled - absent, absent - unexcused, unexcused, below(key, "late", 1 + enrolled // 60)]

    def rows(self, day: date, now: datetime) -> list[tuple[str, list[int], datetime]]:
        """Return (school, numbers, when reported) of a day as known at `now`."""
        rows = []
        for n, school in enumerate(self.schools if is_school_day(day) else ()):
            told = [at for at in self.reported(day, n) if at <= now]
            if told:
                rows.append((school["sourcedId"], self.row(day, n, len(told)), max(told)))
        return rows

    def modified(self, day: date, now: datetime) -> datetime | None:
        """Return when the file of a day last changed, None before its first report."""
        if day not in self._moments:
            self._moments[day] = sorted(at for n in range(len(self.schools)) for at in self.reported(day, n))
            while len(self._moments) > 100:
                self._moments.pop(next(iter(self._moments)))
        before = bisect_right(self._moments[day], now)
        return self._moments[day][before - 1] if before else None

    def days(self, now: datetime) -> list[date]:
        """Return the days a file may exist for, oldest first."""
        today = now.astimezone(ICT).date()
        recent = {today - timedelta(days=n) for n in range(int(self.province.history_days) + 1)}
        return sorted(day for day in recent | set(self._asked) if is_school_day(day))

    def inject_corrections(self, at: float, count: int) -> int:
        """Let `count` schools correct their report of the last school day before today."""
        return self._ask(at, count, next(d for d in self._back(at, 1) if is_school_day(d)))

    def inject_late(self, at: float, count: int) -> None:
        """Let `count` schools send the report of a school day about two months ago again."""
        self._ask(at, count, next(d for d in self._back(at, 55) if is_school_day(d)))

    def _back(self, at: float, first: int) -> Iterable[date]:
        today = self.province.local(at).date()
        return (today - timedelta(days=n) for n in range(first, 400))

    def _ask(self, at: float, count: int, day: date) -> int:
        schools = [n for n in range(len(self.schools)) if self.reported(day, n)][:count]
        for n in schools:
            self._asked.setdefault(day, {}).setdefault(n, []).append(self.province.local(at).replace(microsecond=0))
        self._moments.pop(day, None)
        while len(self._asked) > 60:
            self._asked.pop(next(iter(self._asked)))
        return len(schools)


class Education:
    """The schools, classes and enrolments of the province."""

    def __init__(self, province: Province) -> None:
        self.province = province
        today = province.clock().astimezone(ICT).date()
        self.year = today.year if today >= date(today.year, 8, 1) else today.year - 1
        self.schools = [self._school(n, area) for n, area in enumerate(province.places.spread(SCHOOLS))]
        self.attendance = Attendance(province, self.schools)
        self.flow = province.flow(FEED, FEED, SCRIPTS, OFFICE, share=0.05, thin_per_day=40)
        province.flows[FEED].append(self.attendance)
        self._snapshots = Snapshots()
        fixed = {"orgs": self._orgs(), "academicSessions": self._sessions(), "classes": self._classes(), "enrollments": self._enrolments()}
        self.fixed = {kind: sorted(rows, key=lambda row: (row["dateLastModified"], row["sourcedId"])) for kind, rows in fixed.items()}
        self._stamps = {kind: [province.story(instant(row["dateLastModified"])) for row in rows] for kind, rows in self.fixed.items()}

    # -- what is there ----------------------------------------------------------------------------------------------
    def _school(self, n: int, area: Any) -> dict[str, Any]:
        key = place_key(self.province.seed, "school", n)
        level = next(i for i, (_, upto, _) in enumerate(LEVELS) if unit(key, "level") < upto)
        return {"sourcedId": f"sch-{n + 1:04d}", "level": level, "area": area, "key": key, "enrolled": (120, 260, 320, 800)[level] + below(key, "size", (200, 400, 400, 700)[level])}

    def _stamp(self, key: int) -> str:
        """When a fixed record was last changed: in the weeks before the school year."""
        return (day_start(date(self.year, 8, 10)) + timedelta(seconds=below(key, "stamp", 14 * 86_400))).isoformat()

    def _base(self, name: str, key: int) -> dict[str, Any]:
        return {"sourcedId": name, "status": "active", "dateLastModified": self._stamp(key)}

    def _orgs(self) -> list[dict[str, Any]]:
        seat = self.province.places.departments[0].area
        office = self._base("org-so-gddt", 1) | {"name": "Sở Giáo dục và Đào tạo", "type": "state", "identifier": "SGDDT", "metadata": {"communeCode": seat.code}}
        orgs = [office]
        for n, school in enumerate(self.schools, 1):
            name = f"Trường {LEVELS[school['level']][0]} {school['area'].short} số {n}"
            more = {"name": name, "type": "school", "identifier": f"{n:05d}", "parent": _ref("org", "org-so-gddt"), "metadata": {"communeCode": school["area"].code}}
            orgs.append(self._base(school["sourcedId"], school["key"]) | more)
        return orgs

    def _sessions(self) -> list[dict[str, Any]]:
        year, y = f"{self.year}-{self.year + 1}", self.year
        spans = (("nam-hoc", f"Năm học {year}", "schoolYear", date(y, 9, 5), date(y + 1, 5, 31)), ("hk1", f"Học kỳ 1, {year}", "term", date(y, 9, 5), date(y + 1, 1, 15)), ("hk2", f"Học kỳ 2, {year}", "term", date(y + 1, 1, 16), date(y + 1, 5, 31)))
        rows = []
        for n, (name, title, kind, first, last) in enumerate(spans):
            row = self._base(f"{name}-{year}", n) | {"title": title, "type": kind, "startDate": first.isoformat(), "endDate": last.isoformat(), "schoolYear": str(y + 1)}
            rows.append(row | ({"parent": _ref("academicSession", f"nam-hoc-{year}")} if kind == "term" else {}))
        return rows

    def _classes(self) -> list[dict[str, Any]]:
        rows, terms = [], [_ref("academicSession", f"{t}-{self.year}-{self.year + 1}") for t in ("hk1", "hk2")]
        for school in self.schools:
            grades = LEVELS[school["level"]][2]
            for c in range(CLASSES_A_SCHOOL):
                grade = grades[c % len(grades)]
                row = {"title": f"Lớp {grade.lstrip('0')}{'ABC'[c]}", "classType": "homeroom", "grades": [grade], "school": _ref("org", school["sourcedId"]), "terms": terms}
                rows.append(self._base(f"cls-{school['sourcedId'][4:]}-{c}", school["key"] + c) | row)
        return rows

    def _enrolments(self) -> list[dict[str, Any]]:
        return [
            self._base(f"enr-{cls['sourcedId'][4:]}-{n}", place_key(self.province.seed, cls["sourcedId"], n)) | self._place(cls["sourcedId"], "teacher" if unit(place_key(self.province.seed, cls["sourcedId"], n), "role") < 0.06 else "student", f"{cls['sourcedId'][4:]}-{n}")
            for cls in self._classes() for n in range(ENROLLED_A_CLASS)
        ]  # fmt: skip

    def _place(self, cls: str, role: str, user: str) -> dict[str, Any]:
        return {"role": role, "primary": "true", "user": _ref("user", f"usr-{user}"), "class": _ref("class", cls), "school": _ref("org", f"sch-{cls[4:8]}"), "beginDate": f"{self.year}-09-05", "endDate": f"{self.year + 1}-05-31"}

    def enrolment(self, case: Case) -> dict[str, Any]:
        """Return a moving pupil's (or teacher's) enrolment as it stands."""
        school = pick(case.key + (case.corrections << 9), "school", self.schools)
        cls = f"cls-{school['sourcedId'][4:]}-{below(case.key, 'class', CLASSES_A_SCHOOL)}"
        row = {"sourcedId": f"enr-{case.ref}", "status": case.what, "dateLastModified": self.province.iso(case.changed)}
        return row | self._place(cls, "teacher" if unit(case.key, "role") < 0.06 else "student", case.ref)

    # -- the protocol -----------------------------------------------------------------------------------------------
    async def records(self, kind: str, request: Request) -> Response:
        size, offset = max(1, whole(request, "limit", 100, MOST)), whole(request, "offset", 0, 10**9)
        text = request.query_params.get("filter", "")
        until = self._snapshots.as_of(f"{kind}?{text}", first=offset == 0, now=self.province.now())
        since, endless = self._since(text), self.province.faults.hit(FEED, "endless_next")
        if endless:
            offset = 0
        total, rows = self._page(kind, since, until, offset, size)
        headers = {"X-Total-Count": str(total)}
        if endless or offset + size < total:
            following = request.url.include_query_params(limit=size, offset=offset + size)
            headers["Link"] = f'<{following}>; rel="next"'
        return json_response({kind: self.province.faults.shake(FEED, rows)}, headers=headers)

    def _since(self, text: str) -> float:
        """Return the story time after which records are asked for."""
        if not text:
            return 0.0
        found = re.fullmatch(r"dateLastModified\s*(>=|>)\s*'([^']+)'", text.strip())
        if not found:
            raise BadRequest(f"filter={text!r}: only dateLastModified>='...' is served here")
        return self.province.story(instant(found[2])) - (1 if found[1] == ">=" else 0)

    def _page(self, kind: str, since: float, until: float, offset: int, size: int) -> tuple[int, list[dict[str, Any]]]:
        """Return how many records there are and one page, by dateLastModified: what is fixed first, it is older."""
        first, last = bisect_right(self._stamps[kind], since), bisect_right(self._stamps[kind], until)
        rows, total = self.fixed[kind][min(first + offset, last) : min(first + offset + size, last)], last - first
        if kind == "enrollments":
            changes = self.flow.changes(since, until)
            skip = max(0, offset - total)
            page = changes.where(slice(skip, skip + size - len(rows)))
            rows, total = rows + [self.enrolment(case) for case in self.flow.cases(page)], total + len(changes)
        return total, rows

    async def files(self, request: Request) -> Response:
        now = self.province.clock()
        changed = [(day, self.attendance.modified(day, now)) for day in self.attendance.days(now)]
        rows = [{"name": f"attendance-{day}.csv", "modified": at.isoformat()} for day, at in changed if at]
        return with_etag(request, bytes(json_response(rows).body), "application/json")

    async def file(self, request: Request) -> Response:
        found = re.fullmatch(r"attendance-(\d{4}-\d\d-\d\d)\.csv", request.path_params["name"])
        now = self.province.clock()
        try:
            day = date.fromisoformat(found[1]) if found else None
        except ValueError:
            day = None
        at = self.attendance.modified(day, now) if day and day in self.attendance.days(now) else None
        if not day or not at:
            return Response("no such file", 404, media_type="text/plain")
        rows = self.attendance.rows(day, now)
        lines = self.province.faults.shake(FEED, [f"{school},{day},{','.join(map(str, numbers))}\n" for school, numbers, _ in rows])
        modified = format_datetime(at.astimezone(UTC), usegmt=True)
        return with_etag(request, (HEADER + "".join(lines)).encode(), "text/csv; charset=utf-8", modified=modified)

    def truth(self, since: float, until: float) -> Iterable[dict[str, Any]]:
        """Each record that changed in the window and each school's attendance reported in it, as it stood at its end."""
        for kind in self.fixed:
            _, rows = self._page(kind, since, until, 0, 10**9)
            for row in rows:
                yield {"kind": kind, "id": row["sourcedId"], "status": row["status"], "role": row.get("role"), "updated_at": row["dateLastModified"]}
        first, last = self.province.wall(since), self.province.wall(until)
        for day in self.attendance.days(last):
            for school, numbers, at in self.attendance.rows(day, last):
                if at > first:
                    names = ("enrolled", "present", "absent_excused", "absent_unexcused", "late")
                    yield {"kind": "attendance", "id": school, "date": day.isoformat(), "updated_at": at.isoformat()} | dict(zip(names, numbers, strict=True))


def _ref(kind: str, name: str) -> dict[str, str]:
    plural = {"org": "orgs", "class": "classes", "user": "users", "academicSession": "academicSessions"}[kind]
    return {"href": f"/{FEED}/ims/oneroster/rostering/v1p2/{plural}/{name}", "sourcedId": name, "type": kind}


def mount(province: Province) -> Mounted:
    """Set the source up."""
    education, base = Education(province), "/ims/oneroster/rostering/v1p2"
    routes: dict[str, Endpoint] = {f"{base}/{kind}": partial(education.records, kind) for kind in education.fixed}
    return Mounted(routes | {"/attendance/": education.files, "/attendance/{name}": education.file}, education.truth)


SOURCE = Source(FEED, mount)
