"""Polite HTTP: asks one source, and only that one, within limits.

* only the hosts that are allowed, also after a redirect and behind a next link
* at most `rate_per_s` requests, `timeout_s` for each silence, `max_bytes` of an answer after decompression
* 429, 5xx and broken connections are tried again with growing, jittered pauses; Retry-After is honoured
* ETag and Last-Modified are sent back when the caller keeps them
* the secret is a bearer token; where the url names a user (http://user@host), it is that user's password, by HTTP digest
"""

from __future__ import annotations

import email.utils
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import httpx
from msgspec import Struct

from ioc.causes import because, unreached
from ioc.connect.errors import Fatal, Missing, Rejected, Retriable, Unreachable, Unreadable

USER_AGENT = "ioc-connector/0.1"
MAX_REDIRECTS = 5
ATTEMPTS = 3  # of one request within one poll; after that the runner backs off
MAX_WAIT_S = 10.0  # a longer Retry-After ends the poll and is kept by the runner
PAUSE_S = 0.3
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_DEFAULT_PORT = {"http": 80, "https": 443}
_USER = re.compile(r"(\w+://)([^/?#@]+)@(.+)", re.DOTALL)


class Known(Struct, frozen=True):
    """What the source said last time about a document that rarely changes."""

    etag: str = ""
    last_modified: str = ""


class Answer(Struct, frozen=True):
    """One answer, read whole. `changed` False: the source says what we know is still so (304), `body` is empty."""

    url: str
    status: int
    body: bytes
    content_type: str
    charset: str
    headers: Mapping[str, str]

    @property
    def changed(self) -> bool:
        return self.status != 304

    @property
    def known(self) -> Known:
        return Known(self.headers.get("etag", "")[:200], self.headers.get("last-modified", "")[:100])

    @property
    def modified_at(self) -> datetime | None:
        """When the source says the document changed, aware, or None."""
        return _http_date(self.headers.get("last-modified", ""))


class Http:
    """Requests of one feed. Thread-safe. `sleep` may raise `Stopping`."""

    def __init__(
        self,
        base: str,
        *,
        allowed_hosts: Iterable[str] = (),
        token: str | None = None,
        rate_per_s: float = 20,
        timeout_s: float = 10,
        max_bytes: int = 32_000_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        user, base = _user_of(base)
        self.base = base.rstrip("/")
        self._scheme, self._host, self._port = _origin(base)
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        self._headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"}
        if token and not user:
            self._headers["Authorization"] = f"Bearer {token}"
        self._max_bytes = max_bytes
        self._deadline_s = max(30.0, 6 * timeout_s)  # a source that drips is cut off
        self._sleep = sleep
        self._rate = _Rate(rate_per_s, sleep)
        # trust_env off: a proxy variable of the machine must not see what the province reads.
        self._client = httpx.Client(
            timeout=timeout_s, follow_redirects=False, trust_env=False, headers=self._headers, verify=_certificates(),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=32), auth=httpx.DigestAuth(user, token or "") if user else None,
        )  # fmt: skip
        self.bytes_read = 0
        self.requests = 0

    def close(self) -> None:
        self._client.close()

    def get(self, path: str = "", params: Mapping[str, Any] | None = None, *, known: Known | None = None, accept: str = "") -> Answer:
        """Return the answer to GET base/path?params (or an absolute, allowed URL).

        Raises `Fatal` (401, 403, a URL that is none), `Missing` (404, 410), `Unreadable` (another host, too large),
        `Unreachable` (no answer), `Retriable` (the source is busy or broken, after `ATTEMPTS`).
        """
        url = self._url(path, params)
        headers = _conditional(known, accept)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(url, headers)
            except (Fatal, Missing, Rejected, Unreadable):
                raise
            except Retriable as exc:
                wait = exc.retry_after_s if exc.retry_after_s is not None else PAUSE_S * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311
                if attempt == ATTEMPTS or wait > MAX_WAIT_S:
                    raise
                self._sleep(wait)
        raise AssertionError("unreachable: the last attempt raises")

    def post(self, path: str, body: bytes, *, content_type: str) -> Answer:
        """Return the answer to a question that is asked by POST (SOAP).

        Asked once: what is handed out with an answer may not be there a second time. Raises as `get` does.
        """
        return self._once(self._url(path, None), {"Content-Type": content_type}, body)

    def _url(self, path: str, params: Mapping[str, Any] | None) -> str:
        url = f"{self.base}/{path.lstrip('/')}" if path else self.base
        if urlsplit(path).scheme:
            url = path
        self.check_host(url, "the address")
        if params:
            url += ("&" if "?" in url else "?") + urlencode({k: v for k, v in params.items() if v is not None})
        return url

    def absolute(self, link: str, base: str | None = None) -> str:
        """Return a link found in an answer as an absolute URL on an allowed host; raise `Unreadable`."""
        url = urljoin((base or self.base) + ("" if base else "/"), link.strip())
        self.check_host(url, "a link")
        return url

    def check_host(self, url: str, what: str) -> None:
        """Raise `Unreadable` when `url` is not on an allowed host."""
        try:
            url.encode()
            scheme, host, port = _origin(url)
        except (Fatal, UnicodeEncodeError) as exc:
            raise Unreadable("bad_link", f"{what} is not an http address", repair="send absolute http(s) links") from exc
        same = (scheme, host, port) == (self._scheme, self._host, self._port)
        upgraded = host == self._host and (self._scheme, scheme) == ("http", "https") and (self._port, port) == (80, 443)
        if not (same or upgraded or host in self._allowed or f"{host}:{port}" in self._allowed):
            raise Unreadable(
                "other_host",
                f"{what} leads to another host, {host[:100]}:{port}; this feed may only talk to {self._host}:{self._port}",
                repair="add the host to the feed's allowed_hosts, if it is trusted",
            )

    def _once(self, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            answer, location = self._fetch(url, headers, body)
            if location is None:
                return answer
            url = urljoin(url, location)
            self.check_host(url, "a redirect")
        raise Unreadable("endless_redirect", f"more than {MAX_REDIRECTS} redirects", repair="check the url")

    def _fetch(self, url: str, headers: Mapping[str, str], sent: bytes | None) -> tuple[Answer, str | None]:
        self._rate.wait()
        self.requests += 1
        started = time.monotonic()
        try:
            with self._client.stream("GET" if sent is None else "POST", url, headers=dict(headers), content=sent) as response:
                if response.status_code in (301, 302, 303, 307, 308):
                    return _EMPTY, response.headers.get("location", "")
                self._check_status(response)
                body = self._read(response, started)
                return _answer(url, response, body), None
        except httpx.DecodingError as exc:
            raise Unreadable("bad_compression", "the answer is not validly compressed", repair="send valid gzip or none") from exc
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            raise Unreachable(f"{self._host}:{self._port} cannot be reached: {_why(exc)}", cause=self._because("silent") if isinstance(exc, httpx.TimeoutException) else unreached(exc, f"{self._host}:{self._port}")) from exc
        except httpx.TimeoutException as exc:
            raise Unreachable(f"{self._host}:{self._port} was silent for too long ({_why(exc)})", cause=self._because("silent")) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Retriable(f"{self._host}:{self._port} broke off: {_why(exc)}", cause=self._because("broke_off")) from exc

    def _because(self, code: str, **values: object) -> str:
        return because(code, host=f"{self._host}:{self._port}", **values)

    def _check_status(self, response: httpx.Response) -> None:
        status = response.status_code
        if status < 300 or status == 304:
            return
        said = f"{self._host}:{self._port}{response.url.path[:100]} answered {status}"
        if status in (401, 403):
            raise Fatal(f"{said}: the source refuses us; check the feed's secret", cause=self._because("access_refused", status=status))
        if status in (404, 410):
            raise Missing(f"{said}: there is no such thing; check the feed's url", cause=self._because("not_there", status=status))
        after = _retry_after(response.headers.get("retry-after", "")) if status in (429, 503) else None
        if status in _AGAIN:
            raise Retriable(said, retry_after_s=after, cause=self._because("too_often" if status == 429 else "status", status=status))
        raise Rejected(f"{said}: the source refuses the request", cause=self._because("request_refused", status=status))

    def _read(self, response: httpx.Response, started: float) -> bytes:
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_bytes:
            raise self._too_large(f"declares {declared} bytes")
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > self._max_bytes:
                raise self._too_large(f"has more than {self._max_bytes} bytes")
            if time.monotonic() - started > self._deadline_s:
                raise Unreachable(f"{self._host}:{self._port} took longer than {self._deadline_s:.0f} s for one answer", cause=self._because("silent"))
            parts.append(part)
        self.bytes_read += size
        return b"".join(parts)

    def _too_large(self, what: str) -> Unreadable:
        return Unreadable("too_large", f"the answer {what}; at most {self._max_bytes} are read", repair="ask for smaller pages, or raise max_response_bytes")


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Return whom we trust, read once: it takes longer than a poll."""
    return httpx.create_ssl_context(trust_env=False)


class _Rate:
    """At most `per_s` requests a second, in bursts of at most one second's worth."""

    def __init__(self, per_s: float, sleep: Callable[[float], None]) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s)
        self._tokens = self._burst
        self._at = time.monotonic()
        self._sleep = sleep
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s) - 1
            self._at = now
            wait_s = -self._tokens / self._per_s
        if wait_s > 0:
            self._sleep(wait_s)


_EMPTY = Answer("", 0, b"", "", "", {})


def _answer(url: str, response: httpx.Response, body: bytes) -> Answer:
    content_type, _, rest = response.headers.get("content-type", "").lower().partition(";")
    charset = rest.partition("charset=")[2].strip(" \"'").partition(";")[0]
    headers = {k.lower(): v for k, v in response.headers.items()}
    return Answer(url, response.status_code, body, content_type.strip(), charset, headers)


def _user_of(url: str) -> tuple[str, str]:
    """Return the user an address names ("" none), and the address without it; raise `Fatal` for a password in it."""
    found = _USER.match(url)
    if found is None:
        return "", url
    if ":" in found[2]:
        raise Fatal("the url of a source holds no password; name it with `secret`")
    return unquote(found[2]), found[1] + found[3]


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise Fatal(f"{url[:100]!r} is not an address") from exc
    if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
        raise Fatal(f"{url[:100]!r} is not an http(s) address; write for example https://host/path")
    return parts.scheme, parts.hostname.lower(), port or _DEFAULT_PORT[parts.scheme]


def _conditional(known: Known | None, accept: str) -> dict[str, str]:
    headers = {"Accept": accept} if accept else {}
    if known and known.etag:
        headers["If-None-Match"] = known.etag
    if known and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    return headers


def _retry_after(text: str) -> float | None:
    """Return the seconds a Retry-After asks for (a number or an HTTP date), at most an hour."""
    if text.strip().isdigit():
        return min(float(text), 3600.0)
    at = _http_date(text)
    return None if at is None else min(max((at - datetime.now(UTC)).total_seconds(), 0.0), 3600.0)


def _http_date(text: str) -> datetime | None:
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _why(exc: Exception) -> str:
    return f"{type(exc).__name__}: {str(exc)[:120]}" if str(exc) else type(exc).__name__
