"""The gate every request goes through: who asks, may they (ioc/rights.py), was it sent from one of our pages, and the
headers of every answer. It stands before routes, Dash and files alike; what has no line in a table is refused.

State is changed only by requests that are no GET. A browser says where such a request comes from (Origin, else
Sec-Fetch-Site): one from another site is refused, and so is one with our cookies that does not say. Programs with a
bearer token carry nothing a foreign page could borrow. The same rule holds for websockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any, Protocol, cast
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import psycopg
import structlog
from fastapi import FastAPI
from psycopg_pool import PoolTimeout
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ioc import forms, rights
from ioc.accounts import sessions
from ioc.api import FOREIGN_ORIGIN, REVOKED, Parts
from ioc.auth import TOKEN_COOKIE, Caller, session_cookie
from ioc.errors import Unavailable, UserError
from ioc.rights import Access
from ioc.store.auditlog import audit

log = structlog.get_logger(__name__)

SAFE = ("GET", "HEAD", "OPTIONS")
MAX_CALLBACK_BYTES = 1_000_000
TRY_AGAIN = 1013  # websocket close code: come back later
SCREEN_COOKIE_S = 400 * 86_400
HSTS = "max-age=31536000"
CALLER = "ioc.caller"  # the caller's place in a scope


class Refusals(Protocol):
    """The pages that say no, in a language: to a screen without a right, to a person, and to anybody while the database is away."""

    def screen(self, lang: str) -> str: ...
    def person(self, lang: str) -> str: ...
    def away(self, lang: str, address: str, form: Mapping[str, str]) -> str: ...


class _Callback(msgspec.Struct):
    """What the gate reads of a Dash callback's request."""

    output: str
    inputs: list[Any] = []

    def pathname(self) -> str:
        return next((str(i["value"]) for i in self.inputs if isinstance(i, dict) and i.get("property") == "pathname" and i.get("value")), "/")


def put(app: FastAPI, parts: Parts, refusals: Refusals, policy: str) -> None:
    """Put the gate before everything of `app`. `policy`: the Content-Security-Policy of every answer."""
    app.add_middleware(Gate, site=app, parts=parts, refusals=refusals, policy=policy)

    def away(asked: Request, exc: Exception) -> Response:
        return _away(asked, exc, refusals, parts.config.language, asked.scope.get(forms.POSTED, {}))

    for kind in (Unavailable, psycopg.OperationalError):
        app.exception_handler(kind)(away)
    app.exception_handlers.pop(PoolTimeout, None)  # one of the operational errors


class Gate:
    def __init__(self, app: ASGIApp, site: FastAPI, parts: Parts, refusals: Refusals, policy: str) -> None:
        self._app, self._site, self._parts, self._refusals, self._policy = app, site, parts, refusals, policy
        self._web, self._web_lang = parts.config.web, parts.config.language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    # -- pages, callbacks, API, files ------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = HTTPConnection(scope)
        secure = scope["scheme"] == "https"
        send = self._with_headers(send, secure, page=_wants_page(asked) and scope["method"] in SAFE)
        try:
            caller = await self._caller(asked, secure)
        except Unavailable as exc:
            nobody = Caller(rights.Identity("", "nobody", "nobody", _address(asked)))
            try:
                form = await forms.posted(Request(scope, receive)) if self._from_here(asked, nobody) else {}
            except UserError:
                form = {}
            await _away(asked, exc, self._refusals, self._web_lang, form)(scope, receive, send)
            return
        scope[CALLER] = caller
        rights.act_as(caller.identity)
        refusal = None if scope["method"] in SAFE or self._from_here(asked, caller) else self._foreign(asked)
        access: Access | None = None
        if refusal is None:
            key = route_key(self._site, scope)
            access, receive = await self._access(key, scope, receive)
            if access is None:
                refusal = Response("the request is too large", 413)
            elif not self._may(caller, access) and not (access == "measure" and _from_the_machine(asked)):
                refusal = self._refusal(asked, caller, access)
            elif key in rights.EXPORTS:
                refusal = await self._export(asked)
        if refusal is None and scope["method"] == "GET" and _wants_page(asked):
            if caller.identity.role == "screen" and asked.query_params.get("token"):
                refusal = _keep_token(asked, secure)
            elif caller.session is not None:
                send = await self._rotated(send, caller.session, secure)
        await (refusal or self._app)(scope, receive, send)

    async def _caller(self, asked: HTTPConnection, secure: bool) -> Caller:
        cookies = asked.cookies
        if not (asked.headers.get("authorization") or asked.query_params.get("token") or cookies.get(session_cookie(secure)) or cookies.get(TOKEN_COOKIE)):
            return Caller(rights.Identity("", "nobody", "nobody", _address(asked)))
        return await asyncio.to_thread(self._parts.guard.caller, asked.headers, asked.query_params, cookies, secure=secure, address=_address(asked))

    def _may(self, caller: Caller, access: Access) -> bool:
        return access == "open" or rights.may(caller.identity, access, public=self._web.public and not caller.refused)

    async def _export(self, asked: HTTPConnection) -> Response | None:
        """Write an export down before it leaves; without that, none leaves."""
        query = {name: value for name, value in asked.query_params.items() if name != "token"}

        def write() -> None:
            with self._parts.pool.connection() as conn:
                audit(conn, "export", asked.url.path, query, at=self._parts.clock())

        try:
            await asyncio.to_thread(write)
        except psycopg.Error:
            why = Unavailable("the database is away; exports are written down, so there is none now")
            return _away(asked, why, self._refusals, self._web_lang, {})
        return None

    async def _access(self, key: str | None, scope: Scope, receive: Receive) -> tuple[Access | None, Receive]:
        """Return what the request asks for (None: it is too large to tell), and how its body is received from here on."""
        if key is None:
            return "open", receive  # nothing is there, and that is what the application will say
        access = rights.ROUTES.get(key, "never")
        if access == "page":
            return rights.of_page(scope["path"]), receive
        if key != "POST /_dash-update-component":
            return access, receive
        body = await _body(receive, MAX_CALLBACK_BYTES)
        if body is None:
            return None, receive
        try:
            callback = msgspec.json.decode(body, type=_Callback)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return "never", _again(body, receive)
        found = rights.CALLBACKS.get(callback.output, "never")
        return rights.of_page(callback.pathname()) if found == "page" else found, _again(body, receive)

    def _refusal(self, asked: HTTPConnection, caller: Caller, access: Access) -> Response:
        lang = asked.query_params.get("lang") or self._parts.config.language
        if _wants_page(asked):
            path = asked.url.path
            if path == "/wall" or path.startswith("/wall/") or (caller.refused and asked.scope["method"] in SAFE):
                return HTMLResponse(self._refusals.screen(lang), 403)
            if caller.identity.kind != "person" and access not in ("never", "measure", "post") and asked.scope["method"] in SAFE:
                after = path + (f"?{asked.url.query}" if asked.url.query else "")
                return RedirectResponse(f"/login?{urlencode({'next': after, 'lang': lang})}", 303)
            return HTMLResponse(self._refusals.person(lang), 403)
        if caller.identity.role == "nobody":
            role = "source" if access == "post" else "viewer"
            return JSONResponse({"error": f"a token is needed: ioc token create NAME --role {role}"}, 401, {"WWW-Authenticate": "Bearer"})
        return JSONResponse({"error": f"{caller.identity.name} has the role {caller.identity.role}, which may not do this"}, 403)

    # -- from one of our pages? ------------------------------------------------------------------------------------

    def _from_here(self, asked: HTTPConnection, caller: Caller) -> bool:
        if caller.token is not None and asked.headers.get("authorization"):
            return True
        origin, site = asked.headers.get("origin"), asked.headers.get("sec-fetch-site")
        if origin is not None:
            return self._ours(origin, asked)
        if site is not None:
            return site in ("same-origin", "none")
        return not asked.headers.get("cookie")

    def _ours(self, origin: str, asked: HTTPConnection) -> bool:
        return urlsplit(origin).netloc == asked.headers.get("host") or origin in self._web.origins

    def _foreign(self, asked: HTTPConnection) -> Response:
        log.warning("a request from a foreign page was refused", path=asked.url.path, origin=asked.headers.get("origin"))
        return JSONResponse({"error": "this request did not come from a page of this server; behind a proxy that renames the host, name the public address in web.origins"}, 403)

    # -- the live link ---------------------------------------------------------------------------------------------

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = HTTPConnection(scope)
        secure = scope["scheme"] == "wss"
        key = route_key(self._site, scope)
        access = cast(Access, rights.ROUTES.get(key or "", "never"))
        if key == "WS /live":
            access = rights.of_view(asked.query_params.get("view", ""))
            if access == "never":
                access = "open"  # there is none of that name, and that is what the route says
        origin = asked.headers.get("origin")
        code = None
        if origin is not None and not self._ours(origin, asked):
            code = FOREIGN_ORIGIN
        else:
            try:
                caller = await self._caller(asked, secure)
            except Unavailable:
                code = TRY_AGAIN
            else:
                scope[CALLER] = caller
                rights.act_as(caller.identity)
                scope["ioc.still"] = lambda: self._may(self._parts.guard.still(caller) if caller.session or caller.token else caller, access)
                if not self._may(caller, access) or caller.refused:
                    code = REVOKED
        if code is None:
            await self._app(scope, receive, send)
            return
        if key == "WS /live":  # a refused handshake tells a browser nothing; a close code does
            await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code})

    # -- the answer ------------------------------------------------------------------------------------------------

    def _with_headers(self, send: Send, secure: bool, *, page: bool) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", self._policy)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("X-Frame-Options", "SAMEORIGIN")
                headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
                if page:
                    headers.setdefault("Cache-Control", "no-store")  # it may say who is signed in
                if secure:
                    headers.setdefault("Strict-Transport-Security", HSTS)
            await send(message)

        return with_headers

    async def _rotated(self, send: Send, session: sessions.Session, secure: bool) -> Send:
        """Give a session whose id grew old another one, with the answer to this request."""
        now = self._parts.clock()
        if not sessions.due(session, now):
            return send

        def rotate() -> str | None:
            with self._parts.pool.connection(timeout=3) as conn:
                return sessions.rotate(conn, session, now)

        try:
            made = await asyncio.to_thread(rotate)
        except (psycopg.Error, PoolTimeout):
            return send  # the old id is still good
        if made is None:
            return send
        cookie = session_set_cookie(made, secure)

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        return with_cookie


def route_key(site: FastAPI, scope: Scope) -> str | None:
    """Return the route that would answer, as the table names it; None when none would."""
    for route in site.router.routes:
        match, _ = route.matches(scope)
        if match == Match.FULL:
            path = getattr(route, "path", "")
            if isinstance(route, Mount):
                return f"* {path}"
            method = "WS" if scope["type"] == "websocket" else "GET" if scope["method"] == "HEAD" else scope["method"]
            return f"{method} {path}"
    return None


def set_cookie(name: str, value: str, *, secure: bool, max_age_s: int | None = None, path: str = "/") -> str:
    """Return a Set-Cookie header: for this host only, for no script, with no foreign page's POST. An empty value ends it."""
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    made = cookie[name]
    made["path"], made["httponly"], made["samesite"] = path, True, "Lax"
    if secure:
        made["secure"] = True
    if not value:
        made["max-age"] = 0
    elif max_age_s is not None:
        made["max-age"] = max_age_s
    return made.OutputString()


def session_set_cookie(value: str, secure: bool) -> str:
    """Return the Set-Cookie header of a session; it ends with the browser, whatever the table says."""
    return set_cookie(session_cookie(secure), value, secure=secure)


def _keep_token(asked: HTTPConnection, secure: bool) -> Response:
    """Move a screen's token from the address, where logs and shoulders see it, into a cookie."""
    query = [(name, value) for name, value in asked.query_params.multi_items() if name != "token"]
    to = quote(asked.url.path) + (f"?{urlencode(query)}" if query else "")
    answer = RedirectResponse(to, 303)
    answer.headers.append("Set-Cookie", set_cookie(TOKEN_COOKIE, asked.query_params["token"], secure=secure, max_age_s=SCREEN_COOKIE_S))
    return answer


def _away(asked: HTTPConnection, exc: Exception, refusals: Refusals, language: str, form: Mapping[str, str]) -> Response:
    """Say that the database is away: to a reader as a page that keeps what he typed, to a program as JSON."""
    retry = {"Retry-After": "5"}
    if not _wants_page(asked):
        return JSONResponse({"error": str(exc) or "the database is away"}, 503, retry)
    query = urlencode([(name, value) for name, value in asked.query_params.multi_items() if name != "token"])
    lang = form.get("lang") or asked.query_params.get("lang") or language
    return HTMLResponse(refusals.away(lang, quote(asked.url.path) + (f"?{query}" if query else ""), form), 503, retry | {"Cache-Control": "no-store"})


def _wants_page(asked: HTTPConnection) -> bool:
    return "text/html" in asked.headers.get("accept", "")


def _address(asked: HTTPConnection) -> str:
    return asked.client.host if asked.client else ""


def _from_the_machine(asked: HTTPConnection) -> bool:
    """Say whether a program on this machine asks, itself: no proxy in between, no page by way of another name."""
    forwarded = any(name in asked.headers for name in ("x-forwarded-for", "x-real-ip", "forwarded", "via"))
    host = urlsplit(f"//{asked.headers.get('host', '')}").hostname
    return not forwarded and _address(asked) in ("127.0.0.1", "::1") and host in ("127.0.0.1", "::1", "localhost")


async def _body(receive: Receive, most: int) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, then what comes after it."""
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more
