"""Stills of cameras for the wall: fetched while somebody watches, held in memory, never stored and never sent through the bus.

A picture that stays the same to the byte is not a live one, whatever the camera says: `changed_at` is when the newest
picture differed from the one before. Only the addresses of config.yaml are asked (`ioc.connect.http`: that host, no
other, not more than so many bytes), a thread a camera, so that one which does not answer keeps no other waiting.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime

import structlog
from msgspec import Struct

from ioc.clock import Clock, system_clock
from ioc.config import Camera, Stills
from ioc.connect.errors import Fatal, Missing, Rejected, Retriable, Unreachable, Unreadable
from ioc.connect.http import Http

log = structlog.get_logger(__name__)

TIMEOUT_S = 4.0
MEDIA = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}  # by how a file begins; nothing else is shown


class Still(Struct, frozen=True):
    """What is known of a camera's newest picture. Times are None, `mark` is empty, before the first one."""

    mark: str = ""  # names the picture: part of its digest
    changed_at: datetime | None = None  # since when it has been this picture
    seen_at: datetime | None = None  # when it was fetched last


def media_of(body: bytes) -> str | None:
    """Return the type of a picture, None for what is none of ours."""
    return next((media for begins, media in MEDIA.items() if body.startswith(begins)), None)


class Album:
    """The newest still of each camera. Thread-safe; `wanted` says whether anybody watches."""

    def __init__(self, stills: Stills, token: Callable[[Camera], str | None], clock: Clock = system_clock, wanted: Callable[[], bool] = lambda: True) -> None:
        self._stills, self._clock, self._wanted = stills, clock, wanted
        self._token = token
        self._known = {camera.camera: Still() for camera in stills.cameras}
        self._pictures: dict[str, tuple[str, bytes]] = {}
        self._trouble: dict[str, str] = {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._watch, args=(camera,), name=f"still-{camera.camera}", daemon=True) for camera in self._stills.cameras]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=1)  # one that waits for a camera ends with the process

    def shown(self) -> dict[str, Still]:
        """Return camera -> what is known of its picture."""
        return dict(self._known)

    def picture(self, camera: str) -> tuple[str, bytes] | None:
        """Return type and bytes of the newest picture, None where there is none."""
        return self._pictures.get(camera)

    def take(self, camera: str, body: bytes) -> bool:
        """Take in a picture fetched now; False when it is none."""
        media = media_of(body)
        if media is None:
            return False
        now, mark = self._clock(), hashlib.sha256(body).hexdigest()[:16]
        before = self._known[camera]
        self._pictures[camera] = (media, body)
        self._known[camera] = Still(mark, before.changed_at if mark == before.mark else now, now)
        return True

    def _watch(self, camera: Camera) -> None:
        try:
            http = Http(camera.url, token=self._token(camera), timeout_s=TIMEOUT_S, max_bytes=self._stills.max_bytes, sleep=self._sleep)
        except Exception as exc:
            self._told(camera, str(exc))
            return
        while not self._stop.wait(self._stills.every_s):
            if self._wanted():
                self._told(camera, self._fetch(http, camera))
        http.close()

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _fetch(self, http: Http, camera: Camera) -> str:
        """Fetch one still; return what went wrong, '' for nothing."""
        try:
            answer = http.get()
        except (Fatal, Missing, Rejected, Retriable, Unreachable, Unreadable) as exc:
            return str(exc)
        return "" if self.take(camera.camera, answer.body) else "the answer is neither a JPEG nor a PNG picture"

    def _told(self, camera: Camera, trouble: str) -> None:
        """Log what went wrong once, and once that it is over."""
        before = self._trouble.get(camera.camera, "")
        self._trouble[camera.camera] = trouble
        if trouble and not before:
            log.warning("a camera's still cannot be had", camera=camera.camera, reason=trouble)
        elif before and not trouble:
            log.info("a camera's still is back", camera=camera.camera)
