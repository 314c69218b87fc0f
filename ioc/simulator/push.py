"""Sources that wait for no one: what they have to say is posted to `POST /api/events/{feed}` as CloudEvents, as it happens.

The first post tells the history; then each `EVERY_S` what is new, an empty batch when there is nothing: a sign of life.
What was not taken is posted again. Faults that hit answers do not hit posts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import structlog
from starlette.applications import Starlette

from ioc.errors import UserError
from ioc.events import encode
from ioc.simulator.case import DAY
from ioc.simulator.province import Province
from ioc.simulator.source import Mounted

log = structlog.get_logger(__name__)

TOKEN = "SIMULATOR_TOKEN"  # noqa: S105 (the name of the secret)
EVERY_S = 2.0
BATCH = 1000
MEDIA = "application/cloudevents-batch+json"


class Poster:
    """Posts for every mounted source that does. `token` is asked for at each post: it may be made after we start."""

    def __init__(self, province: Province, mounted: dict[str, Mounted], url: str, token: Callable[[], str], transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._province, self._url, self._token, self._transport = province, url.rstrip("/"), token, transport
        self._sources = {feed: source.posts for feed, source in mounted.items() if source.posts}
        self._until = dict.fromkeys(self._sources, 0.0)  # story time up to which all was taken
        self._said: dict[str, str] = {}

    @asynccontextmanager
    async def beside(self, _: Starlette) -> AsyncIterator[None]:
        """Post for as long as the application runs."""
        task = asyncio.create_task(self.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def run(self) -> None:
        """Post until cancelled."""
        async with httpx.AsyncClient(timeout=10, transport=self._transport) as client:
            while True:
                for feed in self._sources:
                    await self.post(client, feed)
                await asyncio.sleep(EVERY_S)

    async def post(self, client: httpx.AsyncClient, feed: str) -> bool:
        """Post what is new of a feed; return whether it was taken."""
        posts, now = self._sources[feed], self._province.now()
        since = self._until[feed] or now - self._province.history_days * DAY
        events = await asyncio.to_thread(lambda: [encode(event) for event in posts(since, now)])
        try:
            headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": MEDIA}
            for first in range(0, len(events) or 1, BATCH):
                answer = await client.post(f"{self._url}/api/events/{feed}", content=b"[" + b",".join(events[first : first + BATCH]) + b"]", headers=headers)
                answer.raise_for_status()
        except (httpx.HTTPError, UserError) as exc:
            self._say(feed, f"{type(exc).__name__}: {exc}")
            return False
        self._say(feed, "")
        self._until[feed] = now
        return True

    def _say(self, feed: str, problem: str) -> None:
        """Log once when posting fails, and once when it works again."""
        if problem and not self._said.get(feed):
            log.warning("events are not taken; they are posted again", feed=feed, reason=problem)
        elif not problem and self._said.get(feed):
            log.info("events are taken again", feed=feed)
        self._said[feed] = problem
