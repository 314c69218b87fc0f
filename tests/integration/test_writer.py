"""A batch in one transaction: twice the same changes nothing, whatever the order; contradictions are dead letters."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest

from ioc.events import Asset, Case, DeadLetter, Event, Observation, make
from ioc.store.writer import Fenced, Record, Result, Writer

T0 = datetime(2026, 11, 22, 1, tzinfo=UTC)
TOPIC = "ioc.f"
IDS = {TOPIC: "id-1"}


class Bus:
    """Numbers records like a partition does."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn
        self.writer = Writer(conn)
        self.next = self.writer.assign(TOPIC, 0, "id-1", "f")

    def records(self, events: Sequence[Event | DeadLetter]) -> list[Record]:
        found = []
        for item in events:
            record = Record(TOPIC, 0, self.next, "f", T0 + timedelta(hours=2))
            if isinstance(item, DeadLetter):
                record.letter = item
            else:
                record.event = item
            found.append(record)
            self.next += 1
        return found

    def put(self, *events: Event | DeadLetter) -> Result:
        return self.writer.write(self.records(events), IDS)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.conn.execute(query.encode()).fetchall()


@pytest.fixture
def bus(each_database: str) -> Iterator[Bus]:
    with psycopg.connect(each_database) as conn:
        yield Bus(conn)


def obs(value: Any, *, at: datetime = T0, subject: str = "st1", version: datetime | None = None, deleted: bool = False, area: str | None = "05443") -> Event:
    number = None if value is None else Decimal(str(value))
    return make("/o", subject, at, Observation(metric="pm25", value=number, version=version, deleted=deleted, area=area))


def case(at: datetime, subject: str = "c1", **fields: Any) -> Event:
    return make("/c", subject, at, Case(**fields))


ROLLUP = "SELECT day, subject, area, n, total, last_value FROM rollup_observation ORDER BY day, subject"


def test_repeated_events_are_counted_and_change_nothing(bus: Bus) -> None:
    events = [obs(1.5), obs(2.5, at=T0 + timedelta(hours=1)), case(T0, status="open", opened_at=T0)]
    assert bus.put(*events, events[0]).duplicates == 1
    before = bus.rows(ROLLUP) + bus.rows("SELECT measure, n FROM rollup_case ORDER BY 1")
    again = bus.put(*events)
    assert (again.events, again.duplicates) == (0, 3)
    assert bus.rows(ROLLUP) + bus.rows("SELECT measure, n FROM rollup_case ORDER BY 1") == before
    assert before[0] == (date(2026, 11, 22), "st1", "05443", 2, Decimal("4.0"), Decimal("2.5"))


def test_a_batch_read_twice_from_the_bus_is_written_once(bus: Bus) -> None:
    records = bus.records([obs(1), obs(2, at=T0 + timedelta(minutes=1))])
    assert bus.writer.write(records, IDS).events == 2
    again = bus.writer.write(records, IDS)
    assert (again.events, again.duplicates) == (0, 0)  # below the committed offset: not even looked at
    assert bus.rows("SELECT next_offset, events, duplicates FROM consumer_offset") == [(2, 2, 0)]


def test_a_partition_of_a_topic_made_again_is_fenced_and_starts_at_zero(bus: Bus) -> None:
    bus.put(obs(1))
    with pytest.raises(Fenced):
        bus.writer.write(bus.records([obs(2)]), {TOPIC: "id-2"})
    assert bus.writer.assign(TOPIC, 0, "id-1", "f") == 1
    assert bus.writer.assign(TOPIC, 0, "id-2", "f") == 0


def test_a_database_that_forgot_a_batch_is_noticed_before_the_next_one_is_written(bus: Bus) -> None:
    bus.put(obs(1))
    bus.conn.execute("UPDATE consumer_offset SET next_offset = 0")  # a standby took over that had not seen it yet
    with pytest.raises(Fenced, match="only up to 0, not 1"):
        bus.writer.write(bus.records([obs(2, at=T0 + timedelta(hours=1))]), IDS, begins={(TOPIC, 0): 1})
    assert bus.rows("SELECT count(*) FROM event") == [(1,)]


def test_the_newest_version_of_an_observation_stands_in_any_order(bus: Bus) -> None:
    versions = [obs(v, version=T0 + timedelta(hours=v)) for v in (1, 2, 3)]
    for i in (2, 0, 1):
        bus.put(versions[i])
    assert bus.rows(ROLLUP) == [(date(2026, 11, 22), "st1", "05443", 1, Decimal(3), Decimal(3))]


def test_all_versions_in_one_batch_leave_the_newest(bus: Bus) -> None:
    bus.put(*[obs(v, version=T0 + timedelta(hours=v)) for v in (2, 3, 1)])
    assert bus.rows(ROLLUP) == [(date(2026, 11, 22), "st1", "05443", 1, Decimal(3), Decimal(3))]


def test_a_withdrawn_observation_leaves_the_sums_and_the_last_value(bus: Bus) -> None:
    later = T0 + timedelta(hours=1)
    bus.put(obs(5), obs(9, at=later))
    bus.put(obs(None, at=later, version=later + timedelta(hours=1), deleted=True))
    assert bus.rows(ROLLUP) == [(date(2026, 11, 22), "st1", "05443", 1, Decimal(5), Decimal(5))]
    bus.put(obs(None, version=later, deleted=True))
    assert bus.rows(ROLLUP) == []


def test_a_withdrawal_that_came_first_still_holds(bus: Bus) -> None:
    bus.put(obs(None, version=T0 + timedelta(hours=1), deleted=True))
    bus.put(obs(5))
    assert bus.rows(ROLLUP) == []


def test_the_same_id_with_other_content_is_a_dead_letter(bus: Bus) -> None:
    one = obs(1)
    other = Event(one.id, one.source, one.type, one.subject, one.time, Observation(metric="pm25", value=Decimal(7), area="05443"))
    result = bus.put(one, other)
    assert (result.events, result.duplicates, result.dead_letters) == (1, 0, 1)
    assert bus.put(other).dead_letters == 1
    assert bus.rows("SELECT cause, times FROM dead_letter") == [("contradiction", 2)]
    assert bus.rows(ROLLUP)[0][4] == 1


def test_a_case_moves_through_the_rollups_as_it_lives(bus: Bus) -> None:
    due = T0 + timedelta(days=2)
    bus.put(case(T0, status="open", category="k", area="05443", opened_at=T0, due_at=due))
    bus.put(case(T0 + timedelta(hours=1), status="paused"))
    bus.put(case(T0 + timedelta(hours=3), status="closed", closed_at=T0 + timedelta(hours=3), rating=5))
    bus.put(case(T0 + timedelta(hours=2), status="open"))  # late news of the past
    rows = bus.rows("SELECT measure, day, n, n_due, n_on_time, seconds, n_rated, rating FROM rollup_case ORDER BY measure")
    day = date(2026, 11, 22)
    assert rows == [("closed", day, 1, 1, 1, Decimal(10800), 1, 5), ("opened", day, 1, 1, 0, Decimal(0), 0, 0)]
    assert bus.rows("SELECT status, rating, category FROM case_state") == [("closed", 5, "k")]
    assert bus.rows("SELECT area, tenths, n FROM rollup_duration ORDER BY area") == [("*", 30, 1), ("05443", 30, 1)]
    bus.put(case(T0 + timedelta(hours=5), status="open", closed_at=None))  # reopened
    assert [r[0] for r in bus.rows("SELECT measure FROM rollup_case ORDER BY 1")] == ["open", "opened"]
    assert bus.rows("SELECT n FROM rollup_duration") == []


def test_assets_keep_their_newest_state(bus: Bus) -> None:
    def asset(at: datetime, **fields: Any) -> Event:
        return make("/a", "cam1", at, Asset(**fields))

    bus.put(asset(T0 + timedelta(hours=1), state="down"))
    bus.put(asset(T0, kind="camera", name="Ngã tư Đồng Quang", state="ok", lat=21.59, lon=105.83))
    assert bus.rows("SELECT kind, name, state FROM asset_state") == [("camera", "Ngã tư Đồng Quang", "down")]


def test_odd_texts_come_back_as_they_were(bus: Bus) -> None:
    odd = 'tab\t, line\n, return\r, back\\slash \\N, "quote", {brace}, Đồng Quang, \x01'
    bus.put(
        make(odd, odd, T0, Observation(metric=odd, value=Decimal(1), period=odd, area="05443", attributes={odd: odd})),
        make(odd, odd + "2", T0, Case(status="closed", category=odd, title=odd, agency=odd, dims={odd: odd})),
        make(odd, odd + "3", T0, Asset(kind=odd, name=odd, dims={odd: odd})),
        DeadLetter(feed="f", cause=odd, message=odd, record=odd, at=T0),
    )
    assert bus.rows("SELECT subject, metric, period, source, data->'attributes' FROM event WHERE kind = 1") == [(odd, odd, odd, odd, {odd: odd})]
    assert bus.rows("SELECT metric, period, subject FROM rollup_observation") == [(odd, odd, odd)]
    assert bus.rows("SELECT subject, category, title, agency, dims FROM case_state") == [(odd + "2", odd, odd, odd, {odd: odd})]
    assert bus.rows("SELECT dims->>'agency', dims->>%s FROM rollup_case LIMIT 1".replace("%s", "(SELECT subject FROM event WHERE kind = 1)")) == [(odd, odd)]
    assert bus.rows("SELECT kind, name, dims FROM asset_state") == [(odd, odd, {odd: odd})]
    assert bus.rows("SELECT cause, message, record FROM dead_letter") == [(odd, odd, odd)]


def test_dead_letters_met_again_are_counted(bus: Bus) -> None:
    letter = DeadLetter(feed="f", cause="bad_json", message="m", record="{\x00", at=T0)
    bus.put(letter)
    bus.put(letter)
    assert bus.rows("SELECT feed, cause, times, record FROM dead_letter") == [("f", "bad_json", 2, "{\\x00")]


def test_the_same_dead_letter_several_times_in_one_batch_is_counted_each_time(bus: Bus) -> None:
    letter = DeadLetter(feed="f", cause="bad_json", message="m", record="{", at=T0)
    bus.put(letter, letter, letter)
    bus.put(letter)
    assert bus.rows("SELECT times FROM dead_letter") == [(4,)]


def test_contradictions_of_two_events_are_two_dead_letters_even_with_equal_data(bus: Bus) -> None:
    firsts = [obs(1, subject="a"), obs(1, subject="b")]
    others = [msgspec.structs.replace(first, data=obs(2).data) for first in firsts]
    assert bus.put(*firsts, *others).dead_letters == 2
    assert {subject for (record,) in bus.rows("SELECT record FROM dead_letter") for subject in [msgspec.json.decode(record)["subject"]]} == {"a", "b"}


def test_any_order_and_repetition_of_many_facts_give_the_same_database(each_database: str, empty_copy: Any) -> None:
    rng = random.Random(19)
    facts: list[Event] = []
    for i in range(40):
        at = T0 + timedelta(minutes=rng.randrange(3000))
        for v in range(rng.randrange(1, 4)):
            facts.append(obs(rng.randrange(100), at=at, subject=f"s{i % 7}", version=at + timedelta(hours=v), deleted=rng.random() < 0.1))
        for v in range(rng.randrange(1, 5)):
            when = at + timedelta(hours=v)
            status = rng.choice(["open", "paused", "closed"])
            facts.append(case(when, f"c{i}", status=status, area=rng.choice(["05443", "01840"]), opened_at=at, due_at=at + timedelta(hours=5), closed_at=when if status == "closed" else None))
    shuffled = facts * 2
    rng.shuffle(shuffled)
    results = []
    for dsn, order, size in ((each_database, facts, 1000), (empty_copy(), shuffled, 7)):
        with psycopg.connect(dsn) as conn:
            bus = Bus(conn)
            for i in range(0, len(order), size):
                bus.put(*order[i : i + size])
            results.append([bus.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5") for table in ("rollup_observation", "rollup_case", "rollup_duration")])
            results[-1].append(bus.rows("SELECT subject, status, area, opened_at, due_at, closed_at, first_at, updated_at, versions FROM case_state ORDER BY 1"))
    assert results[0] == results[1]
    assert results[0][1]


@pytest.fixture
def empty_copy(database: str) -> Any:
    return lambda: database


def test_versions_of_one_observation_in_two_partitions_do_not_miss_each_other(database: str) -> None:
    with psycopg.connect(database) as one, psycopg.connect(database) as two, psycopg.connect(database, autocommit=True) as watch:
        writers = [Writer(one), Writer(two)]
        for partition, writer in enumerate(writers):
            writer.assign(TOPIC, partition, "id-1", "f")
        batches = [[Record(TOPIC, p, 0, "f", T0 + timedelta(hours=2), event=obs(v, version=T0 + timedelta(hours=v)))] for p, v in enumerate((5, 7))]
        one.execute("BEGIN")
        writers[0].write(batches[0], IDS)  # not yet committed
        other = threading.Thread(target=writers[1].write, args=(batches[1], IDS))
        other.start()
        while other.is_alive() and watch.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone() == (0,):
            time.sleep(0.01)
        one.execute("COMMIT")
        other.join()
        assert watch.execute("SELECT n, total FROM rollup_observation").fetchall() == [(1, Decimal(7))]


def test_events_of_one_case_in_two_partitions_do_not_miss_each_other(database: str) -> None:
    """Of a case nobody knows, and of one that is there: the second writer waits, is refused, and writes again."""
    with psycopg.connect(database) as one, psycopg.connect(database) as two, psycopg.connect(database, autocommit=True) as watch:
        writers = [Writer(one), Writer(two)]
        for partition, writer in enumerate(writers):
            writer.assign(TOPIC, partition, "id-1", "f")

        def batch(partition: int, offset: int, hours: int, **fields: Any) -> list[Record]:
            return [Record(TOPIC, partition, offset, "f", T0 + timedelta(days=1), event=case(T0 + timedelta(hours=hours), "c1", **fields))]

        def at_once(first: list[Record], second: list[Record]) -> list[BaseException]:
            met: list[BaseException] = []

            def write() -> None:
                try:
                    writers[1].write(second, IDS)
                except psycopg.Error as exc:
                    met.append(exc)

            one.execute("BEGIN")
            writers[0].write(first, IDS)  # not yet committed
            other = threading.Thread(target=write)
            other.start()
            while other.is_alive() and watch.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
                time.sleep(0.01)
            assert other.is_alive()
            one.execute("COMMIT")
            other.join()
            return met

        writers[0].write([Record(TOPIC, 0, 0, "f", T0, event=case(T0, "c0", deleted=True))], IDS)  # whoever makes a chunk of TimescaleDB makes others wait
        second = batch(1, 0, 2, area="05443")
        met = at_once(batch(0, 1, 1, status="open", opened_at=T0), second)
        assert [type(exc) for exc in met] == [psycopg.errors.UniqueViolation]
        writers[1].write(second, IDS)
        second = batch(1, 1, 4, status="closed", closed_at=T0 + timedelta(hours=4))
        met = at_once(batch(0, 2, 3, channel="online"), second)
        assert [type(exc) for exc in met] == [psycopg.errors.UniqueViolation]
        writers[1].write(second, IDS)
        assert watch.execute("SELECT status, area, channel FROM case_state WHERE subject = 'c1'").fetchall() == [("closed", "05443", "online")]
        rows = watch.execute("SELECT measure, area, dims, n FROM rollup_case ORDER BY 1").fetchall()
        assert rows == [("closed", "05443", {"channel": "online"}, 1), ("opened", "05443", {"channel": "online"}, 1)]
