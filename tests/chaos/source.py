"""A source behind Open311 GeoReport v2 whose content grows and changes while it is polled."""

from __future__ import annotations

import json
import random
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .truth import CASE, SERVICES, Fact

FEED = "incident-reports"
Request = dict[str, Any]


class Reports:
    """Reports and their versions. `publish` makes the next version visible; `final` is what must be known at the end."""

    def __init__(self, seed: int, now: datetime, areas: list[str], count: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._areas = areas
        self._now = now
        self._visible: dict[str, Request] = {}
        self.waiting = self._shuffled([self._life(n) for n in range(count)])
        self.published: list[Request] = []

    def _life(self, n: int) -> list[Request]:
        """Return the versions of one report: open, moved, closed, rated, reopened."""
        r = self._random
        requested = self._now - timedelta(seconds=r.uniform(100, r.choice((0.7, 10, 58)) * 86_400))
        code = r.choice(list(SERVICES))
        report: Request = {
            "service_request_id": f"SR-{n}", "status": "open", "service_name": SERVICES[code], "service_code": code,
            "agency_responsible": f"UBND {r.randrange(40)}", "requested_datetime": requested, "updated_datetime": requested,
            "expected_datetime": requested + timedelta(hours=r.uniform(2, 200)), "description": f"Gọi 0912345{n % 1000:03d}", "lat": None, "long": None,
            "extended_attributes": {"commune_code": r.choice(self._areas), "detailed_status": "open"},
        }  # fmt: skip
        versions = [report]
        while r.random() < 0.7:
            updated = report["updated_datetime"] + timedelta(seconds=r.uniform(1, 90_000))
            if updated > self._now:
                break
            report = report | {"updated_datetime": updated} | self._change(report)
            versions.append(report)
        return versions

    def _change(self, report: Request) -> Request:
        r, more = self._random, report["extended_attributes"]
        if report["status"] == "open":
            if r.random() < 0.3:
                return {"expected_datetime": report["expected_datetime"] + timedelta(hours=9), "extended_attributes": more | {"detailed_status": "processing"}}
            return {"status": "closed", "extended_attributes": more | {"detailed_status": r.choice(("resolved", "resolved", "rejected", "duplicate"))}}
        if r.random() < 0.5:
            return {"extended_attributes": more | {"rating": r.randint(1, 5)}}
        return {"status": "open", "extended_attributes": more | {"detailed_status": "reopened"}}

    def _shuffled(self, lives: list[list[Request]]) -> list[Request]:
        """Interleave the lives, each in its own order."""
        order = [n for n, life in enumerate(lives) for _ in life]
        self._random.shuffle(order)
        each = [iter(life) for life in lives]
        return [next(each[n]) for n in order]

    def publish(self, upto: float) -> None:
        """Show the share `upto` (0 to 1) of all versions."""
        total = len(self.waiting) + len(self.published)
        with self._lock:
            while self.waiting and len(self.published) < upto * total:
                self._show(self.waiting.pop(0))

    def add(self, name: str, now: datetime) -> None:
        """Show one more report, made now."""
        with self._lock:
            self._show({
                "service_request_id": name, "status": "open", "service_name": "Khác", "service_code": "khac", "agency_responsible": "UBND",
                "requested_datetime": now, "updated_datetime": now, "expected_datetime": None, "lat": None, "long": None,
                "extended_attributes": {"commune_code": self._areas[0], "detailed_status": "open"},
            })  # fmt: skip

    def _show(self, report: Request) -> None:
        self._visible[report["service_request_id"]] = report
        self.published.append(report)

    def find(self, query: dict[str, list[str]]) -> list[Request]:
        """Return what a GET of requests.json shows."""
        with self._lock:
            reports = list(self._visible.values())
        if "service_request_id" in query:
            wanted = set(query["service_request_id"][0].split(","))
            return [report for report in reports if report["service_request_id"] in wanted]
        start, end = (datetime.fromisoformat(query[name][0]) for name in ("start_date", "end_date"))
        found = sorted((r for r in reports if start <= r["requested_datetime"] <= end), key=lambda r: (r["requested_datetime"], r["service_request_id"]))
        page, size = int(query["page"][0]), int(query["page_size"][0])
        return found[(page - 1) * size : page * size]

    @property
    def facts(self) -> list[Fact]:
        """Return the final version of each report as the fact it must become."""
        return [as_fact(report) for report in self._visible.values()]


def as_fact(report: Request) -> Fact:
    """Return what the connector must make of a report, by the contract of the feed."""
    closed = report["status"] == "closed"
    more = report["extended_attributes"]
    data = {
        "status": report["status"], "native_status": more["detailed_status"], "outcome": more["detailed_status"] if closed else None,
        "category": report["service_code"], "title": report["service_name"], "area": more["commune_code"], "agency": report["agency_responsible"],
        "opened_at": report["requested_datetime"], "due_at": report["expected_datetime"],
        "closed_at": report["updated_datetime"] if closed else None, "rating": more.get("rating"),
    }  # fmt: skip
    return {
        "feed": FEED, "type": CASE, "source": f"/connectors/open311/{FEED}", "id": "", "subject": report["service_request_id"],
        "time": report["updated_datetime"], "data": data,
    }  # fmt: skip


class Server(ThreadingHTTPServer):
    """Serves `reports` on a loopback port."""

    daemon_threads = True

    def __init__(self, reports: Reports) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reports = reports
        self._thread = threading.Thread(target=self.serve_forever, name="source", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/open311/v2"

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed broke off: nothing to say."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        found = self.server.reports.find(parse_qs(parts.query)) if parts.path.endswith("/requests.json") else []
        body = json.dumps(found, default=lambda at: at.isoformat(), ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
