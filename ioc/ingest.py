"""Bus -> store, one transaction a batch.

The main thread polls, decodes and prepares batch n+1 while a worker thread writes batch n. Offsets come from the database when a
partition is assigned and go to the database with the facts; Kafka's own committed offsets are not used. While the
database is away nothing more than two batches is held: polling pauses, the write is tried again until it succeeds.
"""

from __future__ import annotations

import gc
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import psycopg
import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import MemberState

from ioc import areas as areas_
from ioc import privacy
from ioc.areas import Areas
from ioc.bus import DEAD_LETTERS, HEARTBEAT, REQUEST_TIMEOUT_MS, Topics, feed_of, opened, topic_of
from ioc.clock import Clock, system_clock
from ioc.config import POLL_GRACE_S, Config
from ioc.errors import Unavailable
from ioc.events import BadEvent, DeadLetter, Event, decode, encode
from ioc.store.pool import VIGILANT
from ioc.store.services import Beat
from ioc.store.writer import Fenced, Record, Result, Row, Writer, prepare

log = structlog.get_logger(__name__)

RETRY_MIN_S, RETRY_MAX_S = 0.5, 10.0  # between attempts to write while the database is away
ID_CHECK_S = 5.0  # how often the topics' ids are looked at: a memory-only broker forgets its topics
MAX_RECORD_CHARS = 65_536  # of a dead letter's bytes that are kept
BEAT_S = 5.0
POLL_MS = 1_000  # at most, where there is nothing to read; a poll returns with the first record
EMBEDDED_WAIT_MS = 100  # Tansu does not wake a waiting fetch: this is its delay, and asking more often costs both a fifth of a core
METADATA_MS = 10_000  # how soon a topic that was made is seen
# A rebalance that lasts longer is one the client forgot: kafka-python (3.0) joins anew because of a new topic, gives the join
# up to the end of the poll, and then takes the topic for joined: it never asks for the outcome, and neither beats nor reads.
JOIN_S = 20.0
# Worth trying again as they stand: somebody else was quicker, or the server is busy, full or restarting.
_AGAIN = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.UniqueViolation)


class Decoder:
    """Turns a record of the bus into what the writer stores; what cannot be a fact becomes a dead letter."""

    def __init__(self, config: Config, areas: Areas, clock: Clock) -> None:
        self._broker = config.broker
        self._dead = topic_of(config.broker, DEAD_LETTERS)
        self._areas = areas
        self._clock = clock
        self._letters = msgspec.json.Decoder(DeadLetter)

    def __call__(self, raw: Any, now: datetime) -> Record:
        """Return the record; `raw` is kafka-python's ConsumerRecord, `now` its time of arrival."""
        record = Record(raw.topic, raw.partition, raw.offset, feed_of(self._broker, raw.topic), now)
        if raw.value is None:
            record.checked_at = _heartbeat(raw.headers)
            return record
        if raw.topic == self._dead:
            record.letter = self._letter(raw.value, now)
            return record
        try:
            record.event = accept(raw.value, now, self._areas)
        except BadEvent as exc:
            record.letter = refused(record.feed, raw.value, exc, now)
        return record

    def _letter(self, value: bytes, now: datetime) -> DeadLetter:
        try:
            letter = self._letters.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            return refused(DEAD_LETTERS, value, BadEvent("bad_json", f"a dead letter that is not one: {exc}"), now)
        return letter if letter.at is not None else msgspec.structs.replace(letter, at=now)


def accept(body: bytes, now: datetime, areas: Areas) -> Event:
    """Return the event in `body` if it can be a fact of this province; raise `BadEvent` otherwise."""
    event = decode(body, now)
    area = event.data.area
    if isinstance(area, str) and not areas.known(area):
        raise BadEvent("unknown_area", areas.why_unknown(area), field="area", repair="send the five-digit code in force since 1 July 2025")
    return event


def refused(feed: str, value: bytes, exc: BadEvent, now: datetime) -> DeadLetter:
    """Return the dead letter of bytes that are no fact, scrubbed of what looks personal."""
    text = value[: 4 * MAX_RECORD_CHARS].decode("utf-8", "replace")[:MAX_RECORD_CHARS]
    return DeadLetter(
        feed=feed, cause=exc.cause, message=str(exc)[:2000], field=exc.field, repair=exc.repair, record=privacy.scrub(text), connector="ingest", at=now
    )


def _heartbeat(headers: Sequence[tuple[str, bytes]]) -> datetime | None:
    for name, value in headers:
        if name == HEARTBEAT:
            try:
                at = datetime.fromisoformat(value.decode())
            except ValueError:
                return None
            return at if at.tzinfo else None
    return None


@dataclass(slots=True)
class Batch:
    records: list[Record]
    topic_ids: dict[str, str]
    lags: dict[tuple[str, int], int]  # partition -> records still to come
    begins: dict[tuple[str, int], int]  # partition -> up to where everything was handed over before
    rows: list[Row]  # what the writer makes of the records


class Sink:
    """Writes batches, again and again until each is in. Owns the database connection; used by one thread at a time."""

    def __init__(self, config: Config, stop: threading.Event) -> None:
        self._config = config
        self._stop = stop
        self._writer: Writer | None = None

    def writer(self) -> Writer:
        """Return a writer on a live connection."""
        if self._writer is None or self._writer.conn.closed:
            conn = psycopg.connect(self._config.database.dsn, application_name="ioc-ingest", **VIGILANT)
            self._writer = Writer(conn, gap_s={feed.feed: feed.cadence_s + POLL_GRACE_S for feed in self._config.feeds})
        return self._writer

    def put(self, batch: Batch) -> Result:
        """Return when the batch is committed. Raise `Fenced`; or `Unavailable` when asked to stop while waiting."""
        delay, down, outrun = RETRY_MIN_S, False, False
        while True:
            try:
                result = self._put(batch.records, batch, batch.rows)
                if down:
                    log.info("database is back; batch written", records=len(batch.records))
                return result
            except _AGAIN as exc:
                self.drop()
                if isinstance(exc, psycopg.errors.UniqueViolation) and not outrun:
                    outrun = True
                    log.info("another process stored something of this batch meanwhile; writing it again", records=len(batch.records))
                    continue
                if not down:
                    log.error("cannot write; pausing and trying again", reason=_say(exc))
                    down = True
                if self._stop.wait(delay):
                    raise Unavailable("stopped while the database was away; the batch will be read again") from exc
                delay = min(delay * 2, RETRY_MAX_S)

    def _put(self, records: list[Record], batch: Batch, rows: list[Row] | None = None) -> Result:
        """Write; halve what the database refuses until the culprit stands alone, and make that a dead letter."""
        try:
            return self.writer().write(records, batch.topic_ids, batch.lags, batch.begins, rows)
        except _AGAIN:
            raise
        except psycopg.Error as exc:
            self.drop()
            if len(records) == 1:
                lone = records[0]
                if lone.event is None:
                    raise
                lone.letter = refused(lone.feed, encode(lone.event), BadEvent("database_refused", _say(exc)), lone.received_at)
                lone.event = None
                return self._put(records, batch)
            middle = len(records) // 2
            first, second = self._put(records[:middle], batch), self._put(records[middle:], batch)
            return Result(first.events + second.events, first.duplicates + second.duplicates, first.dead_letters + second.dead_letters)

    def drop(self) -> None:
        """Forget the connection; the next use makes a new one."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.conn.close()


def _say(exc: Exception) -> str:
    text = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
    if isinstance(exc, psycopg.errors.DiskFull):
        return f"the database's disk is full: {text}. Free space; ingest goes on by itself, nothing acknowledged is lost"
    return text


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._ingest.unplaced |= set(assigned)

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._ingest.unplaced -= set(revoked)


class Ingest:
    """One member of the consumer group. Run as many as there are partitions to share."""

    def __init__(self, config: Config, stop: threading.Event, *, clock: Clock = system_clock, areas: Areas | None = None) -> None:
        self._config = config
        self._stop = stop
        self._clock = clock
        self._decode = Decoder(config, areas or areas_.load(config.province.code), clock)
        self._topics = Topics(config.broker)
        self._sink = Sink(config, stop)
        self._ids: dict[str, str] = {}
        self._ids_checked = 0.0
        self._stable_at = 0.0
        self._beat = Beat(config.database.dsn, "ingest", f"{socket.gethostname()}:{os.getpid()}", clock)
        self.unplaced: set[TopicPartition] = set()  # assigned, but where to read from is not yet known
        self._next: dict[tuple[str, int], int] = {}  # partition -> up to where it was handed over to be written
        self.written = Result()

    def run(self) -> None:
        """Ingest until `stop` is set; then finish the batch in hand and leave the group."""
        while not self._stop.is_set():
            try:
                self._topics.ensure([feed.feed for feed in self._config.feeds])
                consumer = self._consumer()
            except (Unavailable, KafkaError, OSError) as exc:
                log.warning("the broker is away; trying again", reason=str(exc))
                self._stop.wait(2)
                continue
            try:
                self._consume(consumer)
            except (KafkaError, OSError, Unavailable) as exc:
                if not self._stop.is_set():
                    log.warning("lost the broker; joining again", reason=str(exc))
                    self._stop.wait(1)
            finally:
                self._close(consumer)
        self._sink.drop()
        self._beat.close()
        self._topics.close()

    def _consumer(self) -> Any:
        cfg = self._config
        consumer = opened(
            KafkaConsumer, cfg.broker,
            group_id=cfg.broker.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=cfg.ingest.batch,
            fetch_max_wait_ms=EMBEDDED_WAIT_MS if cfg.broker.kind == "embedded" else cfg.ingest.linger_ms,
            fetch_min_bytes=1,
            max_partition_fetch_bytes=4_194_304,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=METADATA_MS,
        )  # fmt: skip
        self.unplaced = set()
        consumer.subscribe(pattern=f"^{re.escape(cfg.broker.prefix)}\\..+", listener=_Listener(self))
        return consumer

    def _consume(self, consumer: Any) -> None:
        self._stable_at = time.monotonic()
        with ThreadPoolExecutor(1, "ingest-write") as pool:
            writing: Future[Result] | None = None
            try:
                while not self._stop.is_set():
                    if self.unplaced:
                        self._settle(writing, consumer)
                        writing = None
                        self._place(consumer)
                    polled = consumer.poll(timeout_ms=POLL_MS, max_records=self._config.ingest.batch)
                    batch = self._batch(consumer, polled)
                    self._say_alive()
                    self._check_group(consumer)
                    if time.monotonic() - self._ids_checked > ID_CHECK_S:
                        self._settle(writing, consumer)
                        writing = None
                        self._check_ids(consumer)
                    if not batch.records:
                        continue
                    self._settle(writing, consumer)
                    writing = None
                    if any(r.topic not in self._ids for r in batch.records):
                        continue  # the topic's identity changed meanwhile: its records are read again
                    writing = pool.submit(self._sink.put, batch)
            finally:
                self._settle(writing, consumer)

    def _settle(self, writing: Future[Result] | None, consumer: Any) -> None:
        """Wait for the write in hand. A long wait pauses the partitions and keeps our place in the group."""
        if writing is None:
            return
        paused: set[TopicPartition] = set()
        while True:
            try:
                result = writing.result(timeout=5)
                self.written.events += result.events
                self.written.duplicates += result.duplicates
                self.written.dead_letters += result.dead_letters
                break
            except FutureTimeout:
                paused |= set(consumer.assignment())
                consumer.pause(*paused)
                consumer.poll(timeout_ms=0)
            except Fenced as exc:
                log.warning("reading the offsets again", reason=str(exc))
                self.unplaced |= set(consumer.assignment())
                break
        if paused:
            consumer.resume(*(paused & set(consumer.assignment())))

    def _place(self, consumer: Any) -> None:
        """Seek each newly assigned partition to where the database says; partitions stay paused until then."""
        wanted = self.unplaced & set(consumer.assignment())
        if not wanted:
            self.unplaced = set()
            return
        consumer.pause(*wanted)
        self._ids.update(self._topics.ids(sorted({tp.topic for tp in wanted})))
        for tp in sorted(wanted):
            if tp.topic not in self._ids:
                continue
            try:
                offset = self._sink.writer().assign(tp.topic, tp.partition, self._ids[tp.topic], feed_of(self._config.broker, tp.topic))
            except _AGAIN as exc:
                self._sink.drop()
                log.error("cannot read the offsets; trying again", reason=_say(exc))
                self._stop.wait(2)
                return
            consumer.seek(tp, offset)
            self._next[(tp.topic, tp.partition)] = offset
            consumer.resume(tp)
            self.unplaced.discard(tp)
            log.info("partition assigned", topic=tp.topic, partition=tp.partition, offset=offset)

    def _check_group(self, consumer: Any) -> None:
        """Raise `Unavailable` when a rebalance does not end (see `JOIN_S`): another consumer joins in its place."""
        if consumer.group_metadata().state != MemberState.REBALANCING:
            self._stable_at = time.monotonic()
        elif time.monotonic() - self._stable_at > JOIN_S:
            raise Unavailable(f"the consumer group has been rebalancing for {JOIN_S:g} s")

    def _check_ids(self, consumer: Any) -> None:
        """Notice topics that were made again under the same name: their offsets start again."""
        self._ids_checked = time.monotonic()
        assigned = set(consumer.assignment())
        try:
            now = self._topics.ids(sorted({tp.topic for tp in assigned}))
        except Unavailable as exc:
            log.warning("the broker does not answer", reason=str(exc))
            return
        for topic in {tp.topic for tp in assigned}:
            if now.get(topic) and now[topic] != self._ids.get(topic):
                self._ids.pop(topic, None)
                self.unplaced |= {tp for tp in assigned if tp.topic == topic}

    def _batch(self, consumer: Any, polled: dict[TopicPartition, list[Any]]) -> Batch:
        now = self._clock()
        records: list[Record] = []
        lags: dict[tuple[str, int], int] = {}
        begins: dict[tuple[str, int], int] = {}
        for tp, raws in polled.items():
            if tp in self.unplaced or not raws:
                continue  # fetched before we knew where to read from
            records += [self._decode(raw, now) for raw in raws]
            begins[(tp.topic, tp.partition)] = self._next.get((tp.topic, tp.partition), 0)
            self._next[(tp.topic, tp.partition)] = raws[-1].offset + 1
            high = consumer.highwater(tp)
            if high is not None:
                lags[(tp.topic, tp.partition)] = max(0, high - raws[-1].offset - 1)
        return Batch(records, {r.topic: self._ids[r.topic] for r in records if r.topic in self._ids}, lags, begins, prepare(records))

    def _say_alive(self) -> None:
        self._beat(BEAT_S, {"events": self.written.events, "duplicates": self.written.duplicates, "dead_letters": self.written.dead_letters})

    def _close(self, consumer: Any) -> None:
        if self._config.broker.kind == "embedded" and consumer.group_metadata().state != MemberState.STABLE:
            # Tansu (0.6) waits for ever for a leader that left while the group was forming; one that fell silent it forgets after its session.
            consumer._coordinator.reset_generation()
        try:
            consumer.close(autocommit=False)
        except (KafkaError, OSError) as exc:
            log.debug("leaving the group failed", reason=str(exc))


def run(config: Config, stop: threading.Event, ready: Callable[[], None] = lambda: None) -> None:
    """Ingest until `stop` is set."""
    ingest = Ingest(config, stop)
    # A batch is some hundred thousand objects without a cycle among them: looking for cycles in it costs a quarter of the time.
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)
    ready()
    ingest.run()


