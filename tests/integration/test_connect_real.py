"""Recorded payloads on a plain web server, through connectors and runner, to a real broker and a real database."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg_pool import ConnectionPool
from topics import whole

from ioc.bus import HEARTBEAT, Publisher
from ioc.config import Broker, Config, Feed, Words
from ioc.connect import runner
from ioc.connect.replay import Asked, Reply, serving
from ioc.events import DeadLetter, decode
from ioc.store.cursors import Cursors

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.samples, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

# feed -> connector, options, path on the server -> file; events and dead letters the files hold, counted by hand
FEEDS: dict[str, tuple[str, dict[str, Any], dict[str, str], int, int]] = {
    "nyc": ("open311", {"format": "csv"}, {"/nyc": "open311/nyc311_csv/nyc_311_animals_part1.csv"}, 2484, 0),
    "sf": ("open311", {"format": "xml"}, {"/sf/requests.xml": "open311/sf_gem/service_requests.xml"}, 2, 0),
    "chicago": ("open311", {}, {"/chicago/requests.json": "open311/chicago/service_requests.json"}, 2, 0),
    "synthea": ("fhir", {"resources": ["Encounter"]}, {"/synthea/Encounter": "fhir/synthea/patient_bundle_1.json"}, 78, 160),
    "roster": (
        "oneroster", {"attendance_path": "", "resources": ["enrollments", "academicSessions"]},
        {"/roster/ims/oneroster/rostering/v1p2/enrollments": "oneroster/json/enrollments_page1.json", "/roster/ims/oneroster/rostering/v1p2/academicSessions": "oneroster/json/academicSessions.json"},
        3, 0,
    ),
}  # fmt: skip
EMPTY = {"enrollments": '{"enrollments": []}', "academicSessions": '{"academicSessions": []}'}


def _static(samples: Path) -> Any:
    """A web server that knows files, and nothing of dates, pages or filters; only a list's end it knows."""
    files = {path: samples / file for _, _, paths, _, _ in FEEDS.values() for path, file in paths.items()}

    def answer(asked: Asked) -> Reply:
        if asked.query.get("offset", "0") != "0":
            return Reply(EMPTY[asked.path.rpartition("/")[2]])
        return Reply(files[asked.path].read_bytes()) if asked.path in files else Reply(status=404)

    return answer


@pytest.fixture
def pool(database: str) -> Iterator[ConnectionPool[psycopg.Connection[Any]]]:
    with ConnectionPool(database, min_size=1, max_size=4, open=True) as pool:
        yield pool


def _config(url: str, broker: Broker) -> Config:
    feeds = [
        Feed(feed=name, connector=connector, title=Words(vi=name, en=name), url=f"{url}/{name}", cadence_s=0.5, rate_per_s=1000, options=options)
        for name, (connector, options, _, _, _) in FEEDS.items()
    ]
    return Config(feeds=feeds, broker=broker)


def _run(config: Config, publisher: Publisher, cursors: Cursors, polls: int, pool: Any) -> None:
    """Run until every feed was polled so many times more."""
    stop = threading.Event()
    before = _polls(pool)
    thread = threading.Thread(target=runner.run, args=(config, publisher, cursors, stop))
    thread.start()
    ends = time.monotonic() + 60
    while any(_polls(pool)[name] < before[name] + polls for name in FEEDS):
        assert time.monotonic() < ends, (_polls(pool), "not every feed was polled in time")
        time.sleep(0.1)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def _polls(pool: Any) -> Counter[str]:
    with pool.connection() as conn:
        return Counter(dict(conn.execute("SELECT feed, polls - errors FROM connector_cursor").fetchall()))


def test_every_record_of_real_payloads_reaches_the_broker_once_as_event_or_dead_letter(samples: Path, broker: Broker, pool: ConnectionPool[Any]) -> None:
    publisher, cursors, now = Publisher(broker), Cursors(pool), datetime.now(UTC)
    publisher.ensure_topics(list(FEEDS))
    with serving(_static(samples)) as server:
        config = _config(server.url, broker)
        _run(config, publisher, cursors, 1, pool)
        _run(config, publisher, cursors, 2, pool)  # a new process, which has nothing new to say
    publisher.close()
    letters = Counter(msgspec.json.decode(record.value, type=DeadLetter).feed for record in whole(broker.bootstrap, [f"{broker.prefix}.dead-letters"]))
    for name, (_, _, _, events, dead) in FEEDS.items():
        records = whole(broker.bootstrap, [f"{broker.prefix}.{name}"])
        facts = [decode(record.value, now) for record in records if record.value is not None]
        assert (len(facts), len({fact.id for fact in facts}), letters[name]) == (events, events, dead), name
        assert all(record.key == fact.subject.encode() for record, fact in zip([r for r in records if r.value is not None], facts, strict=True))
        assert [record for record in records if record.value is None and record.headers[0][0] == HEARTBEAT], name
    with pool.connection() as conn:
        errors = conn.execute("SELECT feed, last_error FROM connector_cursor WHERE errors > 0").fetchall()
    assert errors == []
