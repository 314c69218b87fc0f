"""The privacy proof: ten thousand made-up persons are planted into what every source says, and none of them is found again.

The way is the real one: answers over HTTP, connectors and their runner, Kafka, ingest, TimescaleDB, the web process, a
browser. The sources are the simulated province's, and every recorded case of every connector (whole, and cut off in the
middle). Then everything that was kept is searched: the broker's segments and records, all tables as text, all logs,
dead letters, API and exports, what the browser stores and was sent.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import structlog
import uvicorn
from kafka import KafkaConsumer, TopicPartition
from planting import MANY, Person, Planter, Search, persons, ways_to_write
from playwright.sync_api import Browser, Page
from psycopg import sql
from topics import whole
from typer.testing import CliRunner

from ioc import config as config_
from ioc import ingest, web
from ioc.bus import Publisher, topic_of
from ioc.clock import ICT, FrozenClock
from ioc.config import Broker, Config, Database
from ioc.connect import conformance, registry, runner
from ioc.connect.conformance import Stage, Tamper
from ioc.connect.replay import Asked, Reply, serving
from ioc.dlq import app as dlq
from ioc.embedded.process import free_port
from ioc.simulator.province import Province
from ioc.simulator.server import build
from ioc.store.cursors import Cursors
from ioc.store.pool import open_pool

pytestmark = [pytest.mark.browser, pytest.mark.kafka, pytest.mark.postgres]

ROOT = Path(__file__).parents[2]
STORED = """async () => JSON.stringify({
  local: {...localStorage}, session: {...sessionStorage}, cookie: document.cookie, caches: await caches.keys(),
  databases: (await indexedDB.databases()).map(found => found.name), html: document.documentElement.outerHTML})"""


class _Simulated:
    """The simulated province behind a server that plants persons into each answer."""

    def __init__(self, planter: Planter, config: Config) -> None:
        now = datetime.now(ICT) - timedelta(minutes=1)
        self._app = build(Province(clock=FrozenClock(now), rate=0.1, history_days=1))
        self._planter, self._lock = planter, threading.Lock()
        self._classes = {feed.url.rpartition("8051/")[2].partition("/")[0]: registry.get(feed.connector).fields for feed in config.feeds if feed.connector not in registry.PASSIVE}
        self.url = ""

    def __call__(self, asked: Asked) -> Reply:
        with self._lock:
            answer = asyncio.run(self._ask(asked))
            body = self._planter.plant(answer.content, self._classes.get(asked.path.split("/")[1], {})) if answer.status_code == 200 else answer.content
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in ("content-length", "etag", "last-modified", "date")}
        return Reply(body, answer.status_code, kept)

    async def _ask(self, asked: Asked) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self._app), base_url=self.url) as client:
            return await client.get(asked.path, params=asked.query)


@pytest.fixture
def province(database: str, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The shipped configuration on the test's own services."""
    monkeypatch.setenv("IOC_DATABASE__DSN", database)  # for `ioc dlq`
    monkeypatch.chdir(ROOT)
    loaded = config_.load(ROOT / "config.yaml")
    served = loaded.web.model_copy(update={"port": free_port()})
    return loaded.model_copy(update={"database": Database(dsn=database), "broker": broker, "web": served})


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[list[Any]]:
    """What our own processes say, debug lines included."""
    caplog.set_level(logging.WARNING)
    with structlog.testing.capture_logs() as said:
        yield said


@pytest.fixture
def running(province: Config, logs: list[Any]) -> Iterator[Config]:
    """Ingest and web of the province, in this process."""
    stop = threading.Event()
    server = uvicorn.Server(uvicorn.Config(web.build(province), host="127.0.0.1", port=province.web.port, log_level="warning", ws_ping_interval=None))
    threads = [threading.Thread(target=ingest.Ingest(province, stop).run), threading.Thread(target=server.run)]
    for thread in threads:
        thread.start()
    yield province
    stop.set()
    server.should_exit = True
    for thread in threads:
        thread.join(30)


def test_of_ten_thousand_planted_persons_nothing_is_found_anywhere(running: Config, chrome: Browser, services: Any, logs: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    everybody = persons()
    planter, search = Planter(everybody), Search(everybody)
    feeds = _told(running, planter)
    assert planter.used == MANY, f"only {planter.used} of {MANY} persons were planted"
    kept = _kept(running, feeds, chrome, services) | {"logs": json.dumps(logs, default=repr) + caplog.text}
    assert {name: sorted(found)[:5] for name, text in kept.items() if (found := search.traces(text))} == {}
    sizes = {name: len(text) for name, text in kept.items()}
    print(f"{planter.planted} times a person of {MANY} planted; searched, bytes: {sizes}")
    assert all(sizes.values()), f"nothing was kept, so nothing was searched: {sizes}"
    for thing in ("Trạm y tế", "Trường"):  # what is no person came through
        assert thing in _text(kept["database"]), thing


def test_a_person_in_a_field_that_is_called_public_is_found_in_each_place(running: Config, chrome: Browser, services: Any) -> None:
    """The control: the search can fail. A declaration that calls a name public lets it through, and it is seen everywhere."""
    (wrong,) = persons(1, seed=7)
    name = next(feed.feed for feed in running.feeds if feed.connector == "open311")
    case = next(folder for folder in conformance.folders("open311") if folder.name == "life_of_a_report")

    def tamper(asked: Asked, reply: Reply) -> Reply:
        rows = json.loads(reply.body) if reply.status == 200 else []
        called = [row | {"service_name": f"Cây xanh của {wrong.name}"} if "service_name" in row else row for row in rows]
        broken = [{"service_request_id": wrong.plate.replace(".", ""), "status": "maybe", "requested_datetime": "2026-11-20T00:00:00Z"}]
        return Reply(json.dumps(called + broken if rows else rows), reply.status, reply.headers)

    _play(running, "open311", case, tamper, name)
    _until_stored(running, [name])
    search, kept = Search([wrong]), _kept(running, [name], chrome, services)
    found = {place for place, text in kept.items() if search.traces(text)}
    assert {"broker", "database", "exports", "browser"} <= found, found


@pytest.mark.parametrize("person", persons()[:3], ids=lambda person: person.citizen)
def test_the_search_finds_a_person_however_it_is_written(person: Person) -> None:
    search = Search(persons())
    for text, what in ways_to_write(person):
        assert what in search.traces(f'{{"x":"{text}"}}\n' if not text.startswith(("{", '"')) else text), text
    assert search.traces("Trạm y tế phường Phan Đình Phùng, 0208 3855 555, 20A-000.00") == set()


# -- telling -------------------------------------------------------------------------------------------------------------


def _told(config: Config, planter: Planter) -> list[str]:
    """Let every source speak, with persons in all it says; return the feeds when all of it is stored."""
    simulated = _Simulated(planter, config)
    with serving(simulated) as server:
        simulated.url = server.url
        feeds = [feed.model_copy(update={"url": server.url + "/" + feed.url.rpartition("8051/")[2], "rate_per_s": 10_000, "cadence_s": 3600}) for feed in config.feeds if feed.connector not in registry.PASSIVE]
        _poll_once(config.model_copy(update={"feeds": feeds}))
    names = [feed.feed for feed in feeds]
    for connector in registry.names():
        for folder in conformance.folders(connector):
            for way, tamper in (("whole", _planted), ("cut", _cut)):
                name = f"{connector}-{folder.name}-{way}".replace("_", "-")
                _play(config, connector, folder, partial(tamper, planter, registry.get(connector).fields), name)
                names.append(name)
    _until_stored(config, names)
    return names


def _planted(planter: Planter, classes: Mapping[str, str], asked: Asked, reply: Reply) -> Reply:
    body = reply.body.encode() if isinstance(reply.body, str) else reply.body
    return Reply(planter.plant(body, classes), reply.status, reply.headers) if reply.status == 200 and body else reply


def _cut(planter: Planter, classes: Mapping[str, str], asked: Asked, reply: Reply) -> Reply:
    whole = _planted(planter, classes, asked, reply)
    return Reply(whole.body[: len(whole.body) * 2 // 3], whole.status, whole.headers)


def _poll_once(config: Config) -> None:
    publisher, pool, stop = Publisher(config.broker), open_pool(config), threading.Event()
    publisher.ensure_topics([feed.feed for feed in config.feeds])
    thread = threading.Thread(target=runner.run, args=(config, publisher, Cursors(pool, publisher.topic_id), stop))
    thread.start()
    _wait(lambda: _number(config, "SELECT count(*) FROM connector_cursor WHERE polls > 0") >= len(config.feeds), "not every feed was polled")
    stop.set()
    thread.join(30)
    publisher.close()
    pool.close()


def _play(config: Config, connector: str, folder: Path, tamper: Tamper, feed: str) -> None:
    publisher = Publisher(config.broker)
    with Stage(registry.get(connector), folder, tamper, feed=feed) as stage:
        stage.bus = publisher  # type: ignore[assignment]
        for _ in range(stage.case.polls):
            stage.poll()
    publisher.close()


def _until_stored(config: Config, feeds: list[str]) -> None:
    """Wait until ingest has read all that is on the bus."""
    wanted = [topic_of(config.broker, name) for name in (*feeds, "dead-letters")]
    consumer = KafkaConsumer(bootstrap_servers=config.broker.bootstrap.split(","))
    parts = [TopicPartition(topic, number) for topic in wanted for number in consumer.partitions_for_topic(topic) or ()]
    ends = {(part.topic, part.partition): end for part, end in consumer.end_offsets(parts).items() if end}
    consumer.close()

    def missing() -> dict[tuple[str, int], int]:
        with psycopg.connect(config.database.dsn) as conn:
            read = {(topic, number): offset for topic, number, offset in conn.execute("SELECT topic, partition, next_offset FROM consumer_offset")}
        return {name: end - read.get(name, 0) for name, end in ends.items() if read.get(name, 0) < end}

    _wait(lambda: not missing(), "not all was stored", missing)


def _number(config: Config, question: str) -> int:
    with psycopg.connect(config.database.dsn) as conn:
        row = conn.execute(question.encode()).fetchone()
        return int(row[0] or 0) if row else 0


def _wait(done: Callable[[], bool], otherwise: str, state: Callable[[], object] = str, most_s: float = 180) -> None:
    ends = time.monotonic() + most_s
    while not done():
        assert time.monotonic() < ends, (otherwise, state())
        time.sleep(0.2)


# -- what was kept -------------------------------------------------------------------------------------------------------


def _kept(config: Config, feeds: list[str], chrome: Browser, services: Any) -> dict[str, str | bytes]:
    """Return all that was kept anywhere, by place."""
    found: dict[str, str | bytes] = {
        "broker": _records(config, feeds),
        "database": _dump(config),
        "dead letters": _letters(),
        "exports": _exports(config),
        "browser": _browsed(config, chrome),
    }
    segments = sorted((services.folder / "broker").rglob(f"{config.broker.prefix}.*/*.log"))
    if services.broker.server is not None and not services.broker.server.memory_only:
        found["segments"] = b"\n".join(file.read_bytes() for file in segments)
    return found | {f"{file.parent.name}/{file.name}": file.read_bytes() for file in services.folder.rglob("*.log") if file not in segments and "data" not in file.parts and file.stat().st_size}


def _records(config: Config, feeds: list[str]) -> bytes:
    records = whole(config.broker.bootstrap, [topic_of(config.broker, name) for name in (*feeds, "dead-letters")])
    return b"\n".join(piece for record in records for piece in (record.key, record.value, *(value for _, value in record.headers)) if piece)


def _dump(config: Config) -> bytes:
    """Return every table of the database as text."""
    out = bytearray()
    with psycopg.connect(config.database.dsn) as conn:
        tables = conn.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for schema, table in tables:
            with conn.cursor().copy(sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(sql.Identifier(schema, table))) as copy:
                for block in copy:
                    out += bytes(block)
    return bytes(out)


def _letters() -> str:
    return CliRunner().invoke(dlq, ["show", "--limit", "100000", "--json"], catch_exceptions=False).stdout


def _exports(config: Config) -> bytes:
    """Return what the API says: values, explanations with their raw events, dead letters, tables, metrics."""
    with httpx.Client(base_url=f"http://127.0.0.1:{config.web.port}", timeout=60) as web_:
        kpis = [tile["kpi"] for tile in web_.get("/api/kpis").raise_for_status().json()]
        paths = ["/api/kpis", "/api/kpis.csv", "/api/dead-letters?limit=1000", "/healthz", "/metrics", *(f"/api/kpis/{kpi}/explain" for kpi in kpis)]
        found = [web_.get(path).raise_for_status().content for path in paths]
        with zipfile.ZipFile(io.BytesIO(web_.get("/api/kpis.xlsx").raise_for_status().content)) as book:
            found += [book.read(name) for name in book.namelist()]
    return b"\n".join(found)


def _browsed(config: Config, chrome: Browser) -> str:
    """Return what the browser keeps of the pages, shows, and was sent over the live link."""
    context = chrome.new_context(viewport={"width": 800, "height": 450})
    found: list[str] = []
    page: Page = context.new_page()
    page.on("websocket", lambda socket: socket.on("framereceived", lambda payload: found.append(payload if isinstance(payload, str) else payload.decode())))
    for path in ("/wall", "/", "/operations"):
        page.goto(f"http://127.0.0.1:{config.web.port}{path}")
        page.wait_for_selector("html[data-live]", state="attached", timeout=90_000)
        found.append(page.evaluate(STORED))
    found.append(json.dumps(context.storage_state()))
    context.close()
    return "\n".join(found)


def _text(kept: str | bytes) -> str:
    return kept if isinstance(kept, str) else kept.decode("utf-8", "replace")
