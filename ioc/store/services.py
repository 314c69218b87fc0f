"""Signs of life of our own processes: who runs, since when, seen when."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import psycopg
import structlog

from ioc.clock import Clock
from ioc.store.pool import VIGILANT

log = structlog.get_logger(__name__)

_BEAT = (
    "INSERT INTO service (name, instance, started_at, seen_at, info) VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (name, instance) DO UPDATE SET started_at = excluded.started_at, seen_at = excluded.seen_at, info = excluded.info"
)


class Beat:
    """Writes this process's sign of life, at most every so often, never in the way: an absent database is no error here."""

    def __init__(self, dsn: str, name: str, instance: str, clock: Clock) -> None:
        self._dsn, self._name, self._instance, self._clock = dsn, name, instance, clock
        self._started = clock()
        self._last = 0.0
        self._conn: psycopg.Connection[Any] | None = None

    def __call__(self, every_s: float, info: dict[str, Any]) -> None:
        """Write unless the last sign is younger than `every_s`."""
        if time.monotonic() - self._last < every_s:
            return
        self._last = time.monotonic()
        try:
            if self._conn is None or self._conn.closed:
                self._conn = psycopg.connect(self._dsn, autocommit=True, application_name=f"ioc-{self._name}", **VIGILANT | {"connect_timeout": 2})
            self._conn.execute(_BEAT, (self._name, self._instance, self._started, self._clock(), json.dumps(info)))
        except psycopg.Error as exc:
            log.debug("no sign of life written", reason=str(exc))
            self.close()

    def every(self, seconds: float, stop: threading.Event) -> threading.Thread:
        """Start a thread that beats until `stop` is set (for processes without a loop of their own)."""

        def loop() -> None:
            while not stop.is_set():
                self(seconds / 2, {})
                stop.wait(seconds)
            self.close()

        thread = threading.Thread(target=loop, name="beat", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()
