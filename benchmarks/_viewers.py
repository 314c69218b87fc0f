"""Many viewers in one process: `python -m benchmarks._viewers socket|poll URL VIEWERS SECONDS [BODY]`; prints one JSON object.

A viewer's delay is counted once for each state of the screen: from the instant that state is dated by the server to the
viewer's first sight of it. A polled page sees a state when it next asks; that wait is part of the delay.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
from datetime import datetime

import httpx
from websockets.asyncio.client import connect

from benchmarks._rig import percentiles

_NOW = re.compile(r'"now":\s*"?([^",}]+)')
_CHILDREN = re.compile(r'"now":\{"children":"([^"]+)"')


class Sights:
    """What all viewers saw, once the warm-up is over."""

    def __init__(self, warm_s: float) -> None:
        self.since = time.time() + warm_s
        self.delays: list[float] = []
        self.bytes = self.messages = 0

    def note(self, size: int, now: str | None, last: str | None) -> None:
        """Note a message of `size` bytes that is dated `now`, after one dated `last`."""
        at = time.time()
        if at < self.since:
            return
        self.bytes += size
        self.messages += 1
        if now is not None and last is not None and now != last:
            dated = float(now) if now[0] == "1" else datetime.fromisoformat(now).timestamp()
            if dated >= self.since:
                self.delays.append(at - dated)


async def socket(url: str, sights: Sights) -> None:
    """Watch /live."""
    last: str | None = None
    async with connect(url, max_size=None, compression=None) as ws:
        async for text in ws:
            assert isinstance(text, str)
            head = _NOW.search(text, 0, 200)
            now = head[1] if head and '"hb"' not in text[:10] else last
            sights.note(len(text.encode()), now, last)
            last = now


async def poll(url: str, body: str, start_s: float, sights: Sights) -> None:
    """Ask a Dash callback once a second, as dcc.Interval does, over a connection that is kept."""
    last: str | None = None
    await asyncio.sleep(start_s)
    async with httpx.AsyncClient(timeout=30) as client:
        n, began = 0, time.monotonic()
        while True:
            answer = await client.post(url, content=body.replace('"N"', str(n)), headers={"Content-Type": "application/json"})
            answer.raise_for_status()
            found = _CHILDREN.search(answer.text)
            now = found[1] if found else last
            sights.note(len(answer.content), now, last)
            last, n = now, n + 1
            await asyncio.sleep(max(0.0, began + n - time.monotonic()))


async def watch(kind: str, url: str, viewers: int, seconds: float, body: str) -> Sights:
    warm_s = 3.0
    sights = Sights(warm_s)
    tasks = [asyncio.create_task(socket(url, sights) if kind == "socket" else poll(url, body, i / viewers, sights)) for i in range(viewers)]
    done, pending = await asyncio.wait(tasks, timeout=warm_s + seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()  # a viewer that ended has failed
    for task in pending:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*pending)
    return sights


def main() -> None:
    kind, url, viewers, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    sights = asyncio.run(watch(kind, url, viewers, seconds, sys.argv[5] if len(sys.argv) > 5 else ""))
    print(json.dumps({"delay_s": percentiles(sights.delays), "sights": len(sights.delays), "messages": sights.messages,
                      "bytes_per_viewer_s": round(sights.bytes / viewers / seconds), "bytes_per_message": round(sights.bytes / max(1, sights.messages))}))  # fmt: skip


if __name__ == "__main__":
    main()
