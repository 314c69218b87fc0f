"""A province's whole history in bulk: one ordinary day written through the writer, then repeated into the past by SQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from ioc import areas
from ioc.events import Asset, Case, Event, Observation, make
from ioc.store.writer import Record, Writer

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)  # a Friday, 16:00 in Thái Nguyên
MIDNIGHT = datetime(2026, 11, 19, 17, 0, tzinfo=UTC)
SCHOOLS = 200
_METRICS = {"attendance.enrolled": 600, "attendance.present": 580, "attendance.absent_unexcused": 5}


def ordinary_day(cases: int) -> Iterator[tuple[str, Event]]:
    """Yield (feed, event): `cases` cases a feed opened today, two in three closed, and every school's attendance."""
    dice = random.Random(19)
    codes = sorted(areas.load("19").communes)
    for i in range(cases):
        opened = MIDNIGHT + timedelta(seconds=dice.randrange(3600 * 14))
        common: dict[str, Any] = {"area": dice.choice(codes), "level": dice.choice(("province", "commune")), "category": f"c{i % 9}", "opened_at": opened}
        common["agency"] = f"{common['area']}.H55"
        for feed, own in (
            ("public-services", {"channel": dice.choice(("online", "paper")), "due_at": opened + timedelta(days=3)}),
            ("e-documents", {"dims": {"direction": dice.choice(("sent", "received")), "signed": dice.choice(("yes", "no"))}, "due_at": opened + timedelta(days=5)}),
            ("incident-reports", {"due_at": opened + timedelta(days=2), "lat": 21.6, "lon": 105.8}),
            ("health", {"dims": {"resource": dice.choice(("encounter", "immunization"))}}),
        ):
            yield feed, make("/bench", f"{feed}-{i}", opened, Case(status="open", **common, **own))
            if i % 3:
                closed = opened + timedelta(minutes=dice.randrange(10, 120))
                yield feed, make("/bench", f"{feed}-{i}", closed, Case(status="closed", closed_at=closed, outcome="processed" if feed == "e-documents" else "resolved", rating=1 + i % 5))
    for i in range(SCHOOLS):
        area = codes[i % len(codes)]
        yield "education", make("/bench", f"school-{i}", MIDNIGHT, Asset(kind="school", name=f"Trường {i}", area=area, state="ok"))
        yield "health", make("/bench", f"station-{i}", MIDNIGHT, Asset(kind="health_facility", name=f"Trạm {i}", area=area, state="ok"))
        for metric, value in _METRICS.items():
            yield "education", make("/bench", f"school-{i}", MIDNIGHT, Observation(metric=metric, value=Decimal(value), unit="{student}", period="P1D", area=area))


def write_today(conn: psycopg.Connection[Any], cases: int) -> None:
    """Write the ordinary day through the writer, so that states and rollups are those of the real thing."""
    writer = Writer(conn)
    by_feed: dict[str, list[Event]] = {}
    for feed, event in ordinary_day(cases):
        by_feed.setdefault(feed, []).append(event)
    for feed, events in by_feed.items():
        writer.assign(f"ioc.{feed}", 0, "bench", feed)
        for start in range(0, len(events), 5000):
            writer.write([Record(f"ioc.{feed}", 0, start + i, feed, NOW, e) for i, e in enumerate(events[start : start + 5000])], {f"ioc.{feed}": "bench"})


# Earlier days differ from today in that all their cases are closed: what is open is a stock, not history.
_REPEAT = """
CREATE TEMP TABLE past AS SELECT generate_series(1, %(days)s) AS d;
INSERT INTO rollup_case SELECT feed, measure, day - d, area, dims, n, n_due, n_on_time, seconds, n_rated, rating
    FROM rollup_case, past WHERE measure IN ('opened', 'closed');
INSERT INTO rollup_total SELECT feed, measure, day - d, dims, n, n_due, n_on_time, seconds, n_rated, rating
    FROM rollup_total, past WHERE measure IN ('opened', 'closed');
INSERT INTO rollup_duration SELECT feed, day - d, area, tenths, n FROM rollup_duration, past;
INSERT INTO rollup_observation SELECT feed, metric, period, day - d, subject, area, n, total, last_time - d * interval '1 day', last_value, said
    FROM rollup_observation, past;
INSERT INTO case_state (feed, subject, status, native_status, outcome, category, title, area, agency, channel, level, opened_at, due_at, closed_at,
        rating, lat, lon, doubt, deleted, dims, first_at, updated_at, versions)
    SELECT feed, subject || '-' || d, status, native_status, outcome, category, title, area, agency, channel, level, opened_at - d * interval '1 day',
        due_at - d * interval '1 day', closed_at - d * interval '1 day', rating, lat, lon, doubt, deleted, dims, first_at, updated_at, versions
    FROM case_state, past WHERE status = 'closed';
INSERT INTO event SELECT feed, kind, CASE WHEN kind = 2 THEN subject || '-' || d ELSE subject END, metric, period, time - d * interval '1 day', gen_random_uuid(), content,
        received_at - d * interval '1 day', version - d * interval '1 day', value, area, deleted, id, source, data
    FROM event, past WHERE kind <> 3;
DROP TABLE past;
"""


def repeat(conn: psycopg.Connection[Any], days: int) -> None:
    """Repeat what is stored of today on each of `days` days before."""
    with conn.transaction():
        for statement in _REPEAT.split(";\n"):
            if statement.strip():
                conn.execute(statement.encode(), {"days": days} if "%(days)s" in statement else None)
    conn.execute("VACUUM (ANALYZE)")  # what the server does by itself over those days
