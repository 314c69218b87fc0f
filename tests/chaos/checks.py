"""After the storm: every table and every number against the oracle. Each check returns differences in words."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
from kafka import KafkaConsumer, TopicPartition
from psycopg.rows import dict_row

from .oracle import ASSET_DEFAULTS, CASE_DEFAULTS, Oracle, as_uuid
from .system import System
from .truth import Fact

AREAS_ASKED = 3
Rows = dict[Any, Any]


def compare(what: str, expected: Rows, stored: Rows) -> list[str]:
    """Return one line a key on which the two disagree."""
    found = [f"{what} {name}: expected {expected[name]}, stored {stored.get(name, 'nothing')}" for name in expected if stored.get(name) != expected[name]]
    return found + [f"{what} {name}: stored {stored[name]}, expected nothing" for name in stored.keys() - expected.keys()]


def rollups(conn: psycopg.Connection[Any], oracle: Oracle) -> list[str]:
    """Compare the four rollup tables row by row."""
    sums = "n, n_due, n_on_time, seconds, n_rated, rating"
    cases = {(*row[:4], json.dumps(row[4], sort_keys=True)): row[5:] for row in conn.execute(f"SELECT feed, measure, day, area, dims, {sums} FROM rollup_case")}
    totals = {(*row[:3], json.dumps(row[3], sort_keys=True)): row[4:] for row in conn.execute(f"SELECT feed, measure, day, dims, {sums} FROM rollup_total")}
    durations = {row[:4]: row[4] for row in conn.execute("SELECT feed, day, area, tenths, n FROM rollup_duration")}
    columns = ("n", "total", "last_time", "last_value", "area")
    numbers = {row[:5]: dict(zip(columns, row[5:], strict=True)) for row in conn.execute(f"SELECT feed, metric, period, day, subject, {', '.join(columns)} FROM rollup_observation")}
    return [
        *compare("rollup_case", oracle.rollup_case(), cases),
        *compare("rollup_total", oracle.rollup_total(), totals),
        *compare("rollup_duration", oracle.rollup_duration(), durations),
        *compare("rollup_observation", oracle.observations, numbers),
    ]


def states(conn: psycopg.Connection[Any], oracle: Oracle, polled: set[str]) -> list[str]:
    """Compare the current state of every case and asset. Of `polled` subjects nobody knows which early version was seen."""
    found = []
    for table, things, defaults in (("case_state", oracle.cases, CASE_DEFAULTS), ("asset_state", oracle.assets, ASSET_DEFAULTS)):
        fields = [*defaults, "first_at", "updated_at"]
        with conn.cursor(row_factory=dict_row) as cur:
            stored = {(row["feed"], row["subject"]): {name: row[name] for name in fields} for row in cur.execute(f"SELECT * FROM {table}")}
        expected = {name: {field: state[field] for field in fields} for name, state in things.items()}
        for name in stored.keys() & expected.keys():
            if name[1] in polled:
                stored[name].pop("first_at"), expected[name].pop("first_at")
        found += compare(table, expected, stored)
    return found


def kpis(system: System, oracle: Oracle, areas: list[str]) -> tuple[int, list[str]]:
    """Ask the API for every KPI, for the province and some communes; return how many values, and the differences."""
    found, asked = [], 0
    for area in (None, *areas[:AREAS_ASKED]):
        at = datetime.now(UTC)
        answer = httpx.get(f"{system.url}/api/kpis", params={"at": at.isoformat()} | ({"area": area} if area else {}), timeout=60, trust_env=False)
        answer.raise_for_status()
        tiles = {tile["kpi"]: tile for tile in answer.json()}
        expected = oracle.kpis(at, area)
        asked += len(tiles)
        found += [f"KPI {name}: the oracle does not know it; write it down in tests/chaos/oracle.py" for name in tiles.keys() - expected.keys()]
        found += [f"KPI {name}: the API does not show it" for name in expected.keys() - tiles.keys()]
        found += [f"KPI {name} of {area or 'the province'}: expected {expected[name]}, shown {tiles[name]['value']}" for name in expected.keys() & tiles.keys() if not _same(expected[name], tiles[name]["value"])]
        found += [f"KPI {name}: as_of {tile['as_of']} is not its feeds' newest fact" for name, tile in tiles.items() if not _newest(tile, oracle)]
    return asked, found


def _same(expected: float | None, shown: float | None) -> bool:
    if expected is None or shown is None:
        return expected is shown
    return abs(expected - shown) <= 1e-9 * max(1.0, abs(expected))


def _newest(tile: dict[str, Any], oracle: Oracle) -> bool:
    times = [oracle.as_of[feed] for feed in tile["source"] if feed in oracle.as_of]
    return bool(times) and datetime.fromisoformat(tile["as_of"]) == max(times)


class Bus:
    """What really lies in Kafka, read from its beginning by a consumer of its own."""

    def __init__(self, system: System, prefix: str = "chaos") -> None:
        self._bootstrap, self._prefix = system.bootstrap, prefix
        self._tells_ends = system.broker.kind == "kafka"  # the embedded broker tells wrong ends
        self.records: Counter[str] = Counter()  # by feed, without signs of life
        self.ids: dict[str, set[tuple[str, str]]] = defaultdict(set)  # by feed, (source, id) of what is JSON

    def ends(self) -> dict[tuple[str, int], int]:
        """Return (topic, partition) -> end offset."""
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap)
        try:
            parts = self._partitions(consumer)
            ends = consumer.end_offsets(parts) if self._tells_ends else _read_to_silence(consumer, parts)
            return {(tp.topic, tp.partition): end for tp, end in ends.items()}
        finally:
            consumer.close()

    def _partitions(self, consumer: Any) -> list[TopicPartition]:
        topics = [topic for topic in consumer.topics() if topic.startswith(f"{self._prefix}.")]
        return [TopicPartition(topic, part) for topic in topics for part in consumer.partitions_for_topic(topic) or ()]

    def read(self, ends: dict[tuple[str, int], int]) -> None:
        """Read everything up to `ends`."""
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap, max_poll_records=20_000, max_partition_fetch_bytes=8_000_000)
        left = {TopicPartition(*name): end for name, end in ends.items() if end}
        consumer.assign(list(left))
        consumer.seek_to_beginning(*left)
        while left:
            for tp, records in consumer.poll(timeout_ms=1000).items():
                for record in records:
                    self._count(tp.topic.removeprefix(f"{self._prefix}."), record.value)
            for tp in [tp for tp, end in left.items() if consumer.position(tp) >= end]:
                del left[tp]
        consumer.close()

    def _count(self, feed: str, value: bytes | None) -> None:
        if value is None:
            return
        self.records[feed] += 1
        try:
            body = json.loads(value)
            self.ids[feed].add((body["source"], body["id"]))
        except (ValueError, KeyError, TypeError):
            pass  # a record that must be a dead letter


def _read_to_silence(consumer: Any, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Return where reading ends when nothing has come for some seconds."""
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    silent = 0
    while silent < 3:
        silent = 0 if consumer.poll(timeout_ms=1500, max_records=20_000) else silent + 1
    return {tp: consumer.position(tp) for tp in parts}


def accounts(conn: psycopg.Connection[Any], bus: Bus) -> tuple[dict[str, Counter[str]], list[str]]:
    """Return per feed its records, events, duplicates, dead letters, and where they do not add up."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for feed, n in bus.records.items():
        table[feed]["records"] = n
    for feed, events, duplicates in conn.execute("SELECT feed, sum(events)::bigint, sum(duplicates)::bigint FROM consumer_offset GROUP BY feed"):
        table[feed] |= Counter(events=events, duplicates=duplicates)
    for feed, connector, times in conn.execute("SELECT feed, connector, sum(times)::bigint FROM dead_letter GROUP BY feed, connector"):
        # those a connector made came as records of the topic of dead letters
        table["dead-letters" if connector == "open311" else feed]["dead_letters"] += times
    for feed, rows in conn.execute("SELECT feed, count(*) FROM event GROUP BY feed"):
        table[feed]["stored"] = rows
    found = []
    for feed, n in sorted(table.items()):
        if n["records"] != n["events"] + n["duplicates"] + n["dead_letters"]:
            found.append(f"{feed}: {n['records']} records are not {n['events']} events + {n['duplicates']} duplicates + {n['dead_letters']} dead letters")
        if n["events"] != n["stored"]:
            found.append(f"{feed}: {n['events']} events counted, {n['stored']} stored")
    return table, found


def nothing_lost(conn: psycopg.Connection[Any], facts: Iterable[Fact], polled: Iterable[Fact]) -> tuple[int, list[str]]:
    """Return how many facts are not in the table `event`, with examples, and stored events nobody sent."""
    stored = {row[0] for row in conn.execute("SELECT key FROM event WHERE source LIKE '/chaos/%'")}
    sent = {as_uuid(fact): fact for fact in facts}
    lost = [f"lost: {fact['feed']} {fact['subject']} {fact['id']}" for name, fact in sent.items() if name not in stored]
    newest = {row[0]: row[1] for row in conn.execute("SELECT subject, max(time) FROM event WHERE source NOT LIKE '/chaos/%' GROUP BY subject")}
    lost += [f"lost: {fact['subject']} as of {fact['time']}" for fact in polled if newest.get(fact["subject"]) != fact["time"]]
    return len(lost), lost + [f"stored, but never sent: {name}" for name in stored - sent.keys()]


def dead_letters(conn: psycopg.Connection[Any], expected: Counter[str]) -> list[str]:
    """Compare the number of different dead letters by cause."""
    stored = dict(conn.execute("SELECT cause, count(*) FROM dead_letter GROUP BY cause").fetchall())
    return compare("dead letters", dict(expected), stored)


def drained(conn: psycopg.Connection[Any], ends: dict[tuple[str, int], int]) -> bool:
    """Say whether ingest has read every partition to its end."""
    read = {(topic, partition): offset for topic, partition, offset in conn.execute("SELECT topic, partition, next_offset FROM consumer_offset")}
    return all(read.get(name, 0) >= end for name, end in ends.items())
