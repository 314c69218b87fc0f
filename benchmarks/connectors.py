"""A connector alone: records of an HTTP source to the broker (acknowledged), by JSON pages, one CSV table, one XML document.

ours    a connector of one YAML file through the kit's own poll: limits, decoding, mapping, areas, units, privacy guard, doubts, shape,
        stable event ids, publish, flush, cursor
limit   the loop one writes without a kit: httpx, msgspec (JSON), csv (CSV), lxml (XML), a CloudEvent of the same fields and a random
        id, kafka-python with the same options. No check of anything
Every round runs both one after the other, the order turned round each time; the ratio is the median of rounds. Target: at most 2 times
the time of the bare loop (ratio_to_limit 0.5). The source is another process; producer, broker and options are the same for both.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import yaml
from kafka import KafkaProducer
from lxml import etree

from benchmarks._rig import Rig, options, rig, show, tell
from ioc import areas
from ioc.bus import Publisher
from ioc.clock import system_clock
from ioc.config import Broker, Feed, Words
from ioc.connect import runner
from ioc.connect.client import open_client
from ioc.connect.declared import Declared
from ioc.connect.declared.connector import NoOptions
from ioc.connect.declared.schema import Declaration
from ioc.connect.pump import Pump
from ioc.connect.replay import Kept
from ioc.embedded.process import free_port

FULL, SMALL = 20_000, 5_000
PAGE = 1_000
DECLARED = """
about: Readings of stations.
source: {}
fields:
  id: {class: public, required: true}
  name: {class: public}
  commune: {class: public, type: area}
  value: {class: public, type: number, low: 0, high: 5000}
  at: {class: public, type: time}
  keeper: {class: personal}
subject: station-$id
time: $at
facts: [{observation: {metric: pm25, value: $value, unit: ug/m3, area: $commune, attributes: {name: $name}}}]
"""
SOURCES: dict[str, dict[str, Any]] = {
    "json": {"path": "page-0.json", "records": "data", "paging": {"by": "next", "value": "links.next"}},
    "csv": {"path": "table.csv"},
    "xml": {"path": "document.xml", "records": "reading"},
}


class Reading(msgspec.Struct):
    id: str
    name: str
    commune: str
    value: str
    at: str


class Page(msgspec.Struct):
    data: list[Reading]
    links: dict[str, str | None]


def records(n: int) -> list[dict[str, str]]:
    """Return readings, each of a station and an instant of its own."""
    codes, start = sorted(areas.load("19").communes), datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    return [
        {
            "id": f"{i % 500:04}", "name": f"Trạm quan trắc số {i % 500}", "commune": codes[i % len(codes)], "value": f"{i * 37 % 30_000 / 100:.2f}",
            "at": (start + timedelta(seconds=i)).isoformat(), "keeper": "Nguyễn Văn An, 0912345678",
        }
        for i in range(n)
    ]  # fmt: skip


def write(folder: Path, rows: list[dict[str, str]]) -> None:
    """Write the source's files."""
    for at in range(0, len(rows), PAGE):
        following = f"page-{at // PAGE + 1}.json" if at + PAGE < len(rows) else None
        (folder / f"page-{at // PAGE}.json").write_text(json.dumps({"data": rows[at : at + PAGE], "links": {"next": following}}, ensure_ascii=False), encoding="utf-8")
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    readings = "".join("<reading>" + "".join(f"<{name}>{text}</{name}>" for name, text in row.items()) + "</reading>" for row in rows)
    (folder / "document.xml").write_text(f'<?xml version="1.0" encoding="utf-8"?><readings>{readings}</readings>', encoding="utf-8")


# -- the loop without a kit ----------------------------------------------------------------------------------------------


def read_json(client: httpx.Client, url: str) -> Iterator[Reading]:
    path: str | None = "page-0.json"
    while path:
        page = msgspec.json.decode(client.get(f"{url}/{path}").content, type=Page)
        yield from page.data
        path = page.links["next"]


def read_csv(client: httpx.Client, url: str) -> Iterator[Reading]:
    for row in csv.DictReader(io.StringIO(client.get(f"{url}/table.csv").content.decode())):
        yield Reading(row["id"], row["name"], row["commune"], row["value"], row["at"])


def read_xml(client: httpx.Client, url: str) -> Iterator[Reading]:
    for element in etree.fromstring(client.get(f"{url}/document.xml").content):
        found = {part.tag: part.text for part in element}
        yield Reading(found["id"], found["name"], found["commune"], found["value"], found["at"])


READ: dict[str, Callable[[httpx.Client, str], Iterator[Reading]]] = {"json": read_json, "csv": read_csv, "xml": read_xml}


Cost = tuple[float, float]  # seconds by the clock, seconds of this process's processor time (of all its threads)


def run_bare(bootstrap: str, url: str, case: str, topic: str, n: int) -> Cost:
    """Return what the bare loop costs, acknowledged."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=10, batch_size=262_144)
    encode = msgspec.json.Encoder().encode
    producer.partitions_for(topic)
    started, used = time.perf_counter(), time.process_time()
    with httpx.Client(timeout=60) as client:
        made = 0
        for made, r in enumerate(READ[case](client, url), 1):  # noqa: B007
            data = {"metric": "pm25", "value": float(r.value), "unit": "ug/m3", "area": r.commune, "attributes": {"name": r.name}}
            event = {"specversion": "1.0", "id": uuid.uuid4().hex, "source": "/bench", "type": "vn.ioc.observation.v1", "subject": f"station-{r.id}", "time": r.at, "data": data}
            producer.send(topic, key=f"station-{r.id}".encode(), value=encode(event))
    producer.flush()
    cost = time.perf_counter() - started, time.process_time() - used
    producer.close()
    assert made == n, f"{made} of {n} records"
    return cost


# -- ours ----------------------------------------------------------------------------------------------------------------


def pump_of(case: str, url: str, name: str) -> Pump:
    """Return the poll of a declared connector on this source."""
    connector = Declared("bench", Declaration.model_validate(yaml.safe_load(DECLARED) | {"source": SOURCES[case]}))
    feed = Feed(feed=name, connector="bench", title=Words(vi="x", en="x"), url=url, rate_per_s=10_000, timeout_s=60)
    client = open_client(url, name, token=None, allowed_hosts=[], rate_per_s=10_000, timeout_s=60, max_bytes=64_000_000, sleep=time.sleep)
    return Pump(feed, connector, NoOptions(), areas.load("19"), client, system_clock)


def run_ours(broker: Broker, url: str, case: str, n: int) -> Cost:
    """Return what one poll costs, acknowledged, the cursor saved."""
    name = f"{case}-{uuid.uuid4().hex[:6]}"
    pump, publisher, cursors = pump_of(case, url, name), Publisher(broker), Kept()
    publisher.ensure_topics([name])
    publisher.heartbeat(name, system_clock())
    publisher.flush()
    started, used = time.perf_counter(), time.process_time()
    report = pump.poll(publisher, cursors)
    cost = time.perf_counter() - started, time.process_time() - used
    publisher.close()
    assert (report.records, report.events, report.dead_letters) == (n, n, 0), report
    return cost


def measure(it: Rig, url: str, case: str, n: int, rounds: int) -> dict[str, Any]:
    """Run the rounds of one kind of source."""
    broker = Broker(bootstrap=it.bootstrap, kind=it.broker_kind, prefix=f"bench{uuid.uuid4().hex[:6]}")
    topics = Publisher(broker)
    topics.ensure_topics(["bare"])
    topics.close()
    ours: list[Cost] = []
    bare: list[Cost] = []
    for i in range(rounds):
        for mine in (True, False) if i % 2 == 0 else (False, True):
            if mine:
                ours.append(run_ours(broker, url, case, n))
            else:
                bare.append(run_bare(it.bootstrap, url, case, f"{broker.prefix}.bare", n))
        tell(f"{case}: ours {n / ours[-1][0]:,.0f}/s, bare loop {n / bare[-1][0]:,.0f}/s: {ours[-1][0] / bare[-1][0]:.2f}x; processor {ours[-1][1] / bare[-1][1]:.2f}x")
    walls, processors = ([b[k] / a[k] for a, b in zip(ours, bare, strict=True)] for k in (0, 1))
    return {
        "ours": round(n / statistics.median(a for a, _ in ours)), "bare": round(n / statistics.median(a for a, _ in bare)), "ratio": round(statistics.median(walls), 3),
        "ratios": [round(r, 3) for r in walls], "processor": round(statistics.median(processors), 3),
        "us_per_record": {"ours": round(statistics.median(c for _, c in ours) / n * 1e6, 1), "bare": round(statistics.median(c for _, c in bare) / n * 1e6, 1)},
    }  # fmt: skip


def run(*, small: bool, rounds: int, only: str = "") -> dict[str, Any]:
    """Return the object that is printed."""
    n = SMALL if small else FULL
    with rig() as it:
        source = it.folder / "source"
        source.mkdir()
        write(source, records(n))
        port = free_port()
        server = it.run("source", [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(source), "--protocol", "HTTP/1.1"])
        url = f"http://127.0.0.1:{port}"
        _until_served(url)
        runner.spare_the_collector()  # as `ioc connect` does; the bare loop has it, too
        found = {case: measure(it, url, case, n, rounds) for case in SOURCES if only in ("", case)}
        server.stop()
        machine = it.machine()
    return {
        "benchmark": "connectors",
        "title": "Connectors: records of an HTTP source to the acknowledged broker, against a bare httpx + msgspec/csv/lxml loop",
        "unit": "records/s",
        "better": "higher",
        "ours": {case: f["ours"] for case, f in found.items()},
        "peers": {},
        "limit": {case: f["bare"] for case, f in found.items()},
        "ratio_to_limit": {case: f["ratio"] for case, f in found.items()},
        "machine": machine,
        "details": {"records": n, "page": PAGE, "ratios": {case: f["ratios"] for case, f in found.items()}, "overhead": {case: round(1 / f["ratio"], 2) for case, f in found.items()},
            "overhead_processor": {case: round(1 / f["processor"], 2) for case, f in found.items()}, "processor_us_per_record": {case: f["us_per_record"] for case, f in found.items()}},
    }


def _until_served(url: str) -> None:
    for _ in range(100):
        try:
            httpx.get(url, timeout=1)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the source does not answer")


def main() -> None:
    args = options(__doc__ or "", rounds={"type": int, "default": 0, "help": "rounds of ours and the bare loop (default 5, small 1)"}, only={"default": "", "help": "json, csv or xml"})
    show(run(small=args.small, rounds=args.rounds or (1 if args.small else 5), only=args.only), as_json=args.json)


if __name__ == "__main__":
    main()
