"""Runs every enabled pull feed of config.yaml, each in its own thread and on its own cadence.

A feed that fails says so once when it goes down and once when it comes back; the others do not notice. While broker
or database are away nothing is read: the feed waits and tries again within seconds. A wrong option stops the start.
"""

from __future__ import annotations

import gc
import random
import threading
import time
from typing import Any

import structlog
from prometheus_client import Counter, Gauge

from ioc import areas as area_list
from ioc.areas import Areas
from ioc.clock import Clock, system_clock
from ioc.config import Config, Feed, secret
from ioc.connect import registry
from ioc.connect.client import Client, open_client
from ioc.connect.convert import where
from ioc.connect.errors import Fatal, Retriable, Stopping
from ioc.connect.ports import Cursors, Publisher
from ioc.connect.pump import Pump, Report
from ioc.doubts import together
from ioc.errors import Unavailable, UserError

log = structlog.get_logger(__name__)

SERVICE_WAIT_S = 5.0  # at most this long between two tries of a broker or database that is away
FATAL_WAIT_S = 300.0  # a wrong secret is looked at again this often
FIRST_WAIT_S = 2.0
STOP_S = 20.0  # a thread that has not ended by then is left behind

POLLS = Counter("ioc_connect_polls_total", "Polls of a feed", ["feed", "result"])
RECORDS = Counter("ioc_connect_records_total", "Records read from a feed", ["feed"])
EVENTS = Counter("ioc_connect_events_total", "Events published for a feed", ["feed"])
DEAD_LETTERS = Counter("ioc_connect_dead_letters_total", "Dead letters published for a feed", ["feed"])
DOUBTS = Counter("ioc_connect_doubtful_total", "Values published with a mark of doubt for a feed", ["feed"])
SHAPE_CHANGES = Counter("ioc_connect_shape_changes_total", "Fields of a feed's records that came, went or changed their type", ["feed"])
BYTES = Gauge("ioc_connect_bytes_read", "Bytes read from a feed's source since the start", ["feed"])
UP = Gauge("ioc_connect_up", "1 while the last poll of a feed went well", ["feed"])


def run(config: Config, publisher: Publisher, cursors: Cursors, stop: threading.Event, clock: Clock = system_clock) -> None:
    """Run all feeds until `stop` is set; raise `UserError` at once when a connector or an option is wrong."""
    areas = area_list.load(config.province.code)
    spare_the_collector()
    feeds = [FeedRun(config, feed, areas, publisher, cursors, stop, clock) for feed in config.feeds if feed.enabled and feed.connector not in registry.PASSIVE]
    threads = [threading.Thread(target=feed.loop, name=f"feed-{feed.name}", daemon=True) for feed in feeds]
    log.info("connect started", feeds=[feed.name for feed in feeds])
    for thread in threads:
        thread.start()
    stop.wait()
    ends = time.monotonic() + STOP_S
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    late = [thread.name for thread in threads if thread.is_alive()]
    log.info("connect stopped", still_busy=late)


def spare_the_collector() -> None:
    """Look for cycles seldom: a page is tens of thousands of small objects, gone by themselves when it is done (a fifth of the work)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def client_of(config: Config, feed: Feed, sleep: Any) -> Client:
    """Return what reads a feed's source, by its url; raise `UserError` for a missing secret or a wrong url."""
    if not feed.url:
        raise UserError(f"feed {feed.feed}: url is missing")
    return open_client(
        feed.url, feed.feed, allowed_hosts=feed.allowed_hosts, token=secret(config, feed.secret) if feed.secret else None,
        rate_per_s=feed.rate_per_s, timeout_s=feed.timeout_s, max_bytes=feed.max_response_bytes, sleep=sleep, host_key=feed.host_key,
    )  # fmt: skip


class FeedRun:
    """One feed's loop: poll, wait for the cadence, or back off."""

    def __init__(self, config: Config, feed: Feed, areas: Areas, publisher: Publisher, cursors: Cursors, stop: threading.Event, clock: Clock) -> None:
        self.name = feed.feed
        self._feed = feed
        self._publisher, self._cursors, self._stop, self._clock = publisher, cursors, stop, clock
        connector = registry.get(feed.connector)
        options = registry.options_of(connector, feed)
        self._client = client_of(config, feed, self._sleep)
        self._secret = (secret(config, feed.secret) or "") if feed.secret else ""
        self._pump = Pump(feed, connector, options, areas, self._client, clock, self._secret)
        self._down_since: float | None = None
        self._failures = 0
        self._bytes_read = 0  # as last told

    def loop(self) -> None:
        """Poll until stopped. Nothing a source does ends this loop."""
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                wait_s = self._step()
            except Stopping:
                break
            except Exception as exc:
                wait_s = self._failed(f"internal error: {type(exc).__name__}", None, "internal", "internal")
                log.error("a feed failed in a way nobody thought of", feed=self.name, error=type(exc).__name__, at=where(exc))
            self._stop.wait(max(0.0, wait_s - (time.monotonic() - started)))
        self._client.close()

    def _step(self) -> float:
        """Poll once; return the seconds from the start of this poll to the next one."""
        try:
            report = self._pump.poll(self._publisher, self._cursors, self._stop.is_set)
        except Unavailable as exc:
            return self._paused(str(exc))
        except Fatal as exc:
            self._failed(str(exc), None, "fatal", exc.cause)
            return FATAL_WAIT_S
        except Retriable as exc:
            return self._failed(str(exc), exc.retry_after_s, type(exc).__name__.lower(), exc.cause)
        try:
            self._count(report)
        except Unavailable as exc:  # counting is not worth a poll
            log.debug("a poll could not be counted", feed=self.name, reason=str(exc))
        if report.problems:
            after = [p.retry_after_s for p in report.problems if p.retry_after_s is not None]
            told = report.problems[:3]
            causes = together(dict.fromkeys(p.cause for p in told)) or ""
            return self._failed("; ".join(map(str, told)), max(after, default=None), type(told[0]).__name__.lower(), causes)
        self._went_well()
        return self._feed.cadence_s

    def _count(self, report: Report) -> None:
        RECORDS.labels(self.name).inc(report.records)
        EVENTS.labels(self.name).inc(report.events)
        DEAD_LETTERS.labels(self.name).inc(report.dead_letters)
        DOUBTS.labels(self.name).inc(report.doubts)
        BYTES.labels(self.name).set(self._client.bytes_read)
        fresh, self._bytes_read = self._client.bytes_read - self._bytes_read, self._client.bytes_read
        if fresh or report.doubts:
            self._cursors.counted(self.name, bytes_read=fresh, doubtful=report.doubts)
        if report.shape_changes:
            SHAPE_CHANGES.labels(self.name).inc(len(report.shape_changes))
            log.warning("the source's records look different from before", feed=self.name, changes=report.shape_changes)

    def _went_well(self) -> None:
        POLLS.labels(self.name, "ok").inc()
        UP.labels(self.name).set(1)
        if self._down_since is not None:
            log.info("feed is back", feed=self.name, down_s=round(time.monotonic() - self._down_since, 1))
        self._down_since, self._failures = None, 0

    def _failed(self, reason: str, retry_after_s: float | None, kind: str, cause: str) -> float:
        """Count the failure, say it once, and return how long to wait. `kind`: fatal, unreachable, missing, rejected, unreadable, retriable, internal; `cause`: see ioc/causes.py."""
        POLLS.labels(self.name, "error").inc()
        reason = reason.replace(self._secret, "[secret]") if self._secret else reason
        self._say_down(reason)
        try:
            self._cursors.failed(self.name, reason, self._clock(), kind, cause)
        except Unavailable as exc:
            log.debug("the failure could not be noted", feed=self.name, reason=str(exc))
        self._failures += 1
        longest = min(300.0, max(30.0, self._feed.cadence_s))
        backoff = min(longest, FIRST_WAIT_S * 2.0 ** min(self._failures - 1, 10)) * random.uniform(0.75, 1.25)  # noqa: S311
        return max(backoff, retry_after_s or 0.0)

    def _paused(self, reason: str) -> float:
        """Broker or database are away: pause, and look again soon."""
        POLLS.labels(self.name, "paused").inc()
        self._say_down(reason)
        self._failures += 1
        return min(SERVICE_WAIT_S, 0.5 * 2.0 ** min(self._failures, 6)) * random.uniform(0.75, 1.0)  # noqa: S311

    def _say_down(self, reason: str) -> None:
        UP.labels(self.name).set(0)
        if self._down_since is None:
            self._down_since = time.monotonic()
            log.warning("feed is down", feed=self.name, reason=reason)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopping
