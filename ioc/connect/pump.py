"""One poll of one feed, and the order of its commits:

1. publish    the events and dead letters of the pages read so far
2. flush      wait until the broker has acknowledged all of them
3. save       the cursor that stands behind these pages
4. done       tell the source (a message broker) that it need not keep them for us

Killed before 3 (or 4), the next poll reads the same pages again; events have ids made of their content, so the repeats are
duplicates. Killed before 2, the same. Nothing is lost in between.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from ioc.areas import Areas
from ioc.clock import Clock
from ioc.config import Feed
from ioc.connect import shape
from ioc.connect.client import Client
from ioc.connect.connector import Connector, Context, Options, Page
from ioc.connect.convert import convert_page, page_letter
from ioc.connect.errors import Retriable, Unreadable
from ioc.connect.ports import Cursors, Publisher
from ioc.events import DeadLetter
from ioc.store.cursors import REWOUND

COUNTERS = "$counters"  # in a saved cursor: what counters last said
COMMIT_EVERY = 2000  # records; bounds what a crash repeats and what waits for the broker


class Report(Struct):
    """What one poll did. `problems`: parts of the source that failed while others went on; `shape_changes`: in words; `doubts`: marked values."""

    records: int = 0
    events: int = 0
    dead_letters: int = 0
    problems: list[Retriable] = []
    shape_changes: list[str] = []
    doubts: int = 0


class Pump:
    """Reads one feed, poll by poll. Keeps nothing between polls but which page-level failures were already told."""

    def __init__(self, feed: Feed, connector: Connector[Any], options: Options, areas: Areas, client: Client, clock: Clock, secret: str = "") -> None:
        self.feed = feed
        self.connector = connector
        self._options = options
        self._areas = areas
        self._client = client
        self._clock = clock
        self._secret = secret  # a source may echo it; no dead letter may
        self._told: set[str] = set()
        self._shape: shape.Shape | None = None  # as last kept

    def context(self, cursor: dict[str, Any]) -> Context[Any]:
        return Context(self.feed, self._options, self._areas, self._clock(), source_of(self.connector, self.feed), cursor, {}, self._client, self._clock)

    def poll(self, publisher: Publisher, cursors: Cursors, stopping: Callable[[], bool] = lambda: False) -> Report:
        """Read what is new, publish, save. Raises what stops the poll: `Retriable`, `Fatal`, `Unavailable`."""
        cursor = cursors.load(self.feed.feed)
        counters = cursor.pop(COUNTERS, {})
        context = self.context({} if REWOUND in cursor else cursor)
        context.counters = counters
        if REWOUND in cursor:
            context.since = datetime.fromisoformat(cursor[REWOUND])
        report = Report(problems=[], shape_changes=[])
        saver = _Saver(self.feed.feed, publisher, cursors, self._clock, counters)
        looked_at: set[str] = set()
        try:
            for page in self.connector.poll(context):
                self._look(page, cursors, report, looked_at)
                self._publish(page, context, publisher, report)
                saver.page(page)
                if stopping():
                    break
        except Unreadable as exc:
            self._tell(exc, context, publisher, report)
            saver.commit()
            raise
        except Retriable:
            saver.commit()
            raise
        if report.problems or stopping():
            saver.commit()
        else:
            self._told.clear()
            publisher.heartbeat(self.feed.feed, self._clock())
            saver.commit(done=True)
        return report

    def _look(self, page: Page, cursors: Cursors, report: Report, done: set[str]) -> None:
        """Compare the shape of each kind's first records with what is remembered; say what changed."""
        if not page.records or all(record.kind in done for record in page.records[:1]):
            return
        known = self._shape if self._shape is not None else cursors.shape(self.feed.feed)
        self._shape, said = shape.check(known, page.records, done)
        report.shape_changes += said
        if self._shape != known:
            cursors.keep_shape(self.feed.feed, self._shape, "; ".join(said), self._clock())

    def _publish(self, page: Page, context: Context[Any], publisher: Publisher, report: Report) -> None:
        for outcome in convert_page(self.connector, page.records, context):
            report.records += 1
            if isinstance(outcome, DeadLetter):
                publisher.dead_letter(self._without_secret(outcome))
                report.dead_letters += 1
                continue
            for event in outcome:
                publisher.send(self.feed.feed, event)
                if isinstance(event.data.doubt, str):
                    report.doubts += 1
            report.events += len(outcome)
        for problem in page.problems:
            report.problems.append(problem)
            if isinstance(problem, Unreadable):
                self._tell(problem, context, publisher, report)

    def _without_secret(self, letter: DeadLetter) -> DeadLetter:
        if not self._secret or (self._secret not in letter.record and self._secret not in letter.message):
            return letter
        return msgspec.structs.replace(letter, record=letter.record.replace(self._secret, "[secret]"), message=letter.message.replace(self._secret, "[secret]"))

    def _tell(self, exc: Unreadable, context: Context[Any], publisher: Publisher, report: Report) -> None:
        """Send the dead letter of an unreadable page, once until the feed reads well again."""
        mark = exc.cause + re.sub(r"\d+", "", str(exc))  # "line 7" today, "line 9" tomorrow: the same failure
        if mark in self._told:
            return
        publisher.dead_letter(self._without_secret(page_letter(self.connector, self.feed.feed, exc, context)))
        self._told.add(mark)
        report.records += 1
        report.dead_letters += 1


class _Saver:
    """Flushes and saves every `COMMIT_EVERY` records and at the end."""

    def __init__(self, feed: str, publisher: Publisher, cursors: Cursors, clock: Clock, counters: dict[str, Any]) -> None:
        self._feed, self._publisher, self._cursors, self._clock, self._counters = feed, publisher, cursors, clock, counters
        self._cursor: dict[str, Any] | None = None
        self._records = 0  # since the last save
        self._unflushed = 0
        self._done: list[Callable[[], None]] = []

    def page(self, page: Page) -> None:
        self._records += len(page.records)
        self._unflushed += len(page.records)
        if page.cursor is not None:
            self._cursor = page.cursor | ({COUNTERS: dict(self._counters)} if self._counters else {})  # as they stand behind this page
        if page.done is not None:
            self._done.append(page.done)
        if self._done or self._unflushed >= COMMIT_EVERY:  # a broker sends no more until it is told
            self.commit()

    def commit(self, *, done: bool = False) -> None:
        """Flush, then save the newest cursor. `done`: the poll is over, count it even without a cursor."""
        self._publisher.flush()
        self._unflushed = 0
        if self._cursor is not None or done:
            cursor = self._cursor if self._cursor is not None else self._cursors.load(self._feed)
            self._cursors.save(self._feed, cursor, records=self._records, at=self._clock())
            self._cursor, self._records = None, 0
        while self._done:
            self._done.pop(0)()


def source_of(connector: Connector[Any], feed: Feed) -> str:
    """Return the CloudEvents source of a feed's events."""
    return f"/connectors/{connector.name}/{feed.feed}"
