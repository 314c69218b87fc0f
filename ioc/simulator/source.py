"""What a connector's `simulated.py` exposes, and the helpers its answers are made with.

    SOURCE = Source(prefix="parking", mount=mount)         # prefix: the feed's name

    def mount(province: Province) -> Mounted: ...           # routes below /parking, and the truth behind them
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ioc.clock import ICT
from ioc.events import Event
from ioc.simulator.province import Province

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
Truth: TypeAlias = Callable[[float, float], Iterable[dict[str, Any]]]
Posted: TypeAlias = Callable[[float, float], Iterable[Event]]


@dataclass(frozen=True)
class Mounted:
    """A source at work. `routes`: path below the prefix -> handler of GET; `truth(since, until)`: what changed in story
    time (since, until], each case once, as it stood at `until`: {"id", "status", ...} in the source's own words.
    `posts(since, until)`: what a source that waits for no one posts for that time (push.py)."""

    routes: Mapping[str, Endpoint]
    truth: Truth
    posts: Posted | None = None


@dataclass(frozen=True)
class Source:
    """A simulated source: the feed it plays and how it is set up in a province."""

    prefix: str
    mount: Callable[[Province], Mounted]


class BadRequest(Exception):
    """The request cannot be answered: status and a sentence."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


_encoder = msgspec.json.Encoder()


def json_response(value: Any, *, headers: dict[str, str] | None = None, media: str = "application/json", status: int = 200) -> Response:
    """Return `value` as JSON."""
    return Response(_encoder.encode(value), status, headers, media)


def with_etag(request: Request, body: bytes, media: str, *, modified: str | None = None) -> Response:
    """Return `body` with its ETag, or 304 when the client has it already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {"ETag": etag} | ({"Last-Modified": modified} if modified else {})
    known = request.headers.get("if-none-match")
    if (known is not None and etag in known) or (known is None and modified and request.headers.get("if-modified-since") == modified):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media)


class Snapshots:
    """Later pages of a list show it as it was when its first page was asked for, as a server with a prepared result does.
    Without that a list that changes while it is paged through would repeat and skip records."""

    def __init__(self) -> None:
        self._as_of: OrderedDict[str, float] = OrderedDict()

    def as_of(self, query: str, *, first: bool, now: float) -> float:
        """Return the story time whose list a page of `query` shows."""
        if first or query not in self._as_of:
            self._as_of[query] = now
            self._as_of.move_to_end(query)
            if len(self._as_of) > 64:
                self._as_of.popitem(last=False)
        return self._as_of[query]


def whole(request: Request, name: str, default: int, most: int) -> int:
    """Return a whole number of the query, at least 0 and at most `most`; raise `BadRequest` when it is none."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"\d{1,9}", text):
        raise BadRequest(f"{name}={text!r} is not a whole number")
    return min(int(text), most)


def instant(text: str) -> datetime:
    """Return an ISO 8601 time (without zone: where the province is); raise `BadRequest` when it is none."""
    try:
        at = datetime.fromisoformat(text.strip().replace(" ", "+"))
    except ValueError as exc:
        raise BadRequest(f"{text!r} is not an ISO 8601 time") from exc
    return at if at.tzinfo else at.replace(tzinfo=ICT)
