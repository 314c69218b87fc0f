"""The addresses of accounts: /login, /welcome, /oidc, /account, /admin. Forms that need no script; `pages` draws them.

The gate has looked at rights and origin before any of this runs (ioc/gate.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ioc import forms
from ioc.accounts.desk import Arrival, FrontDesk, Refused
from ioc.api import Parts
from ioc.auth import Caller
from ioc.errors import Problem, Unavailable, UserError
from ioc.gate import CALLER, session_set_cookie, set_cookie

DEVICE_COOKIE, STATE_COOKIE = "ioc_device", "ioc_oidc"
DEVICE_S, STATE_S = 400 * 86_400, 600


class Pages(Protocol):
    """What draws the pages: dashboards.accounts.pages.Pages."""

    def language(self, asked: str | None) -> str: ...
    def login(self, lang: str, *, after: str, name: str = "", problem: str = "", provider: bool = False) -> str: ...
    def welcome(self, lang: str, key: str, *, owner: str | None, name: str = "", problem: str = "") -> str: ...
    def account(self, lang: str, *, name: str, role: str, local: bool, sessions: Sequence[Mapping[str, Any]], now: datetime, problem: str = "", done: str = "") -> str: ...
    def users(self, lang: str, *, accounts: Sequence[Mapping[str, Any]], now: datetime, link: tuple[str, str] | None = None, problem: str = "", done: str = "") -> str: ...
    def log(self, lang: str, *, rows: Sequence[Mapping[str, Any]], problems: Sequence[Mapping[str, Any]] | None, head: str, action: str, actor: str, now: datetime) -> str: ...
    def problem(self, lang: str, word: str, sentence: str, values: Mapping[str, object]) -> str: ...


class _Ask:
    """A request to one of these pages: its form, its language, what its cookies say."""

    def __init__(self, request: Request, form: dict[str, str], pages: Pages) -> None:
        self.request, self.form = request, form
        self.lang = pages.language(form.get("lang") or request.query_params.get("lang"))
        self.secure = request.scope["scheme"] == "https"
        self.address = request.client.host if request.client else ""
        self.agent = request.headers.get("user-agent", "")
        self.device = request.cookies.get(DEVICE_COOKIE, "")

    @property
    def caller(self) -> Caller:
        found: Caller = self.request.scope[CALLER]
        return found

    @property
    def browser(self) -> dict[str, str]:
        return {"device": self.device, "address": self.address, "agent": self.agent}


async def _asked(request: Request, pages: Pages) -> _Ask:
    return _Ask(request, await forms.posted(request), pages)


def local_path(after: str) -> str:
    """Return where to go after signing in: a page of this server, whatever was asked for."""
    parts = urlsplit(after)
    if parts.scheme or parts.netloc or not after.startswith("/") or after.startswith(("//", "/\\", "/login", "/logout")) or any(ord(c) < 32 or c == "\\" for c in after):
        return "/"
    return after


def public_url(parts: Parts, request: Request) -> str:
    """Return what addresses of this server begin with, for people: `web.url`, else as the browser wrote it."""
    return (parts.config.web.url or f"{request.scope['scheme']}://{request.headers.get('host', '')}").rstrip("/")


def add(app: FastAPI, parts: Parts, desk: FrontDesk, pages: Pages) -> None:
    """Put the pages of accounts on `app`."""
    _login(app, parts, desk, pages)
    _links(app, parts, desk, pages)
    _provider(app, parts, desk, pages)
    _own(app, parts, desk, pages)
    _administration(app, parts, desk, pages)


def _in(ask: _Ask, arrival: Arrival, after: str) -> Response:
    """Answer somebody who came in: another session id, the browser remembered, and on."""
    answer = RedirectResponse(quote(local_path(after), safe="/?&=%:,;+~@!$'()*#"), 303)
    answer.headers.append("Set-Cookie", session_set_cookie(arrival.session, ask.secure))
    answer.headers.append("Set-Cookie", set_cookie(DEVICE_COOKIE, arrival.device, secure=ask.secure, max_age_s=DEVICE_S))
    return answer


def _why(pages: Pages, lang: str, exc: UserError | Refused | Unavailable) -> str:
    """Return the sentence for a refusal, in the language of the page."""
    if isinstance(exc, Refused):
        minutes = -(-exc.wait_s // 60)
        return pages.problem(lang, "wait" if exc.wait_s else "wrong", str(exc), {"n": minutes} if exc.wait_s else {})
    if isinstance(exc, Problem):
        return pages.problem(lang, exc.word, str(exc), exc.values)
    return pages.problem(lang, "away" if isinstance(exc, Unavailable) else "", str(exc), {})


def _login(app: FastAPI, parts: Parts, desk: FrontDesk, pages: Pages) -> None:
    def form(ask: _Ask, after: str, status: int = 200, problem: str = "", wait_s: int = 0) -> Response:
        headers = {"Retry-After": str(wait_s)} if wait_s else {}
        text = pages.login(ask.lang, after=after, name=ask.form.get("name", "")[:64], problem=problem, provider=desk.provider is not None)
        return HTMLResponse(text, status, headers)

    @app.get("/login", include_in_schema=False)
    async def login(request: Request) -> Response:
        ask = await _asked(request, pages)
        after = local_path(request.query_params.get("next", "/"))
        return RedirectResponse(after, 303) if ask.caller.session else form(ask, after)

    @app.post("/login", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        ask = await _asked(request, pages)
        after = local_path(ask.form.get("next", "/"))
        try:
            arrival = await run_in_threadpool(desk.sign_in, ask.form.get("name", ""), ask.form.get("password", ""), **ask.browser)
        except Refused as exc:
            return form(ask, after, 429 if exc.wait_s else 401, _why(pages, ask.lang, exc), exc.wait_s)
        return _in(ask, arrival, after)

    @app.post("/logout", include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        ask = await _asked(request, pages)
        if ask.caller.session:
            await run_in_threadpool(desk.sign_out, ask.caller.session, ask.caller.identity)
            parts.guard.forget()
        return _out(ask)


def _out(ask: _Ask) -> Response:
    answer = RedirectResponse(f"/login?lang={ask.lang}", 303)
    answer.headers.append("Set-Cookie", session_set_cookie("", ask.secure))
    answer.headers.append("Clear-Site-Data", '"cache"')
    return answer


def _links(app: FastAPI, parts: Parts, desk: FrontDesk, pages: Pages) -> None:
    @app.get("/welcome/{key}", include_in_schema=False)
    async def welcome(request: Request, key: str) -> Response:
        ask = await _asked(request, pages)
        found = await run_in_threadpool(desk.invited, key)
        return HTMLResponse(pages.welcome(ask.lang, key, owner=found.name if found else None), 200 if found else 404)

    @app.post("/welcome/{key}", include_in_schema=False)
    async def choose(request: Request, key: str) -> Response:
        ask = await _asked(request, pages)
        name, password = ask.form.get("name", ""), ask.form.get("password", "")
        try:
            if password != ask.form.get("again"):
                raise Problem("differ", "the two passwords differ")
            arrival = await run_in_threadpool(desk.redeem, key, name, password, **ask.browser)
        except UserError as exc:
            found = await run_in_threadpool(desk.invited, key)
            return HTMLResponse(pages.welcome(ask.lang, key, owner=found.name if found else None, name=name[:64], problem=_why(pages, ask.lang, exc)), 400)
        parts.guard.forget()
        return _in(ask, arrival, f"/account?lang={ask.lang}")


def _provider(app: FastAPI, parts: Parts, desk: FrontDesk, pages: Pages) -> None:
    def back(request: Request) -> str:
        return public_url(parts, request) + "/oidc/callback"

    def refused(ask: _Ask, exc: UserError | Unavailable) -> Response:
        text = pages.login(ask.lang, after="/", problem=_why(pages, ask.lang, exc), provider=True)
        answer = HTMLResponse(text, 503 if isinstance(exc, Unavailable) else 401)
        answer.headers.append("Set-Cookie", set_cookie(STATE_COOKIE, "", secure=ask.secure, path="/oidc"))
        return answer

    @app.get("/oidc/start", include_in_schema=False)
    async def start(request: Request) -> Response:
        ask = await _asked(request, pages)
        try:
            url, state = await run_in_threadpool(desk.oidc_start, local_path(request.query_params.get("next", "/")), back(request))
        except (UserError, Unavailable) as exc:
            return refused(ask, exc)
        answer = RedirectResponse(url, 303)
        answer.headers.append("Set-Cookie", set_cookie(STATE_COOKIE, state, secure=ask.secure, max_age_s=STATE_S, path="/oidc"))
        return answer

    @app.get("/oidc/callback", include_in_schema=False)
    async def callback(request: Request) -> Response:
        ask = await _asked(request, pages)
        try:
            arrival = await run_in_threadpool(desk.oidc_finish, dict(request.query_params), request.cookies.get(STATE_COOKIE, ""), back(request), **ask.browser)
        except (UserError, Unavailable) as exc:
            return refused(ask, exc)
        answer = _in(ask, arrival, arrival.after)
        answer.headers.append("Set-Cookie", set_cookie(STATE_COOKIE, "", secure=ask.secure, path="/oidc"))
        return answer


def _own(app: FastAPI, parts: Parts, desk: FrontDesk, pages: Pages) -> None:
    async def show(ask: _Ask, status: int = 200, problem: str = "") -> Response:
        who = ask.caller.identity
        found = await run_in_threadpool(desk.sessions, who.name)
        local = ask.caller.session is not None and ask.caller.session.local
        done = ask.request.query_params.get("done", "")
        return HTMLResponse(pages.account(ask.lang, name=who.name, role=who.role, local=local, sessions=found, now=parts.clock(), problem=problem, done=done), status)

    @app.get("/account", include_in_schema=False)
    async def account(request: Request) -> Response:
        return await show(await _asked(request, pages))

    @app.post("/account/password", include_in_schema=False)
    async def change(request: Request) -> Response:
        ask = await _asked(request, pages)
        new = ask.form.get("password", "")
        try:
            if new != ask.form.get("again"):
                raise Problem("differ", "the two passwords differ")
            arrival = await run_in_threadpool(desk.change_password, ask.caller.identity, ask.form.get("old", ""), new, device=ask.device, agent=ask.agent)
        except Refused as exc:
            return await show(ask, 429 if exc.wait_s else 400, _why(pages, ask.lang, exc) if exc.wait_s else pages.problem(ask.lang, "old", "the old password is wrong", {}))
        except UserError as exc:
            return await show(ask, 400, _why(pages, ask.lang, exc))
        parts.guard.forget()
        return _in(ask, arrival, f"/account?done=password&lang={ask.lang}")

    @app.post("/account/logout-everywhere", include_in_schema=False)
    async def everywhere(request: Request) -> Response:
        ask = await _asked(request, pages)
        await run_in_threadpool(desk.sign_out_everywhere, ask.caller.identity)
        parts.guard.forget()
        return _out(ask)


def _administration(app: FastAPI, parts: Parts, desk: FrontDesk, pages: Pages) -> None:
    async def show(ask: _Ask, status: int = 200, **said: Any) -> Response:
        found = await run_in_threadpool(desk.accounts)
        return HTMLResponse(pages.users(ask.lang, accounts=found, now=parts.clock(), **said), status)

    @app.get("/admin/users", include_in_schema=False)
    async def users(request: Request) -> Response:
        return await show(await _asked(request, pages), done=request.query_params.get("done", ""))

    @app.post("/admin/users", include_in_schema=False)
    async def create(request: Request) -> Response:
        ask = await _asked(request, pages)
        try:
            name, key = await run_in_threadpool(desk.create, ask.form.get("name", ""), ask.form.get("role", ""), ask.form.get("title", ""))
        except UserError as exc:
            return await show(ask, 400, problem=_why(pages, ask.lang, exc))
        return await show(ask, link=(name, f"{public_url(parts, request)}/welcome/{key}"))

    @app.post("/admin/users/{name}/{what}", include_in_schema=False)
    async def change(request: Request, name: str, what: str) -> Response:
        ask = await _asked(request, pages)
        changes: dict[str, Callable[[], Any]] = {
            "role": lambda: desk.set_role(name, ask.form.get("role", "")),
            "disable": lambda: desk.disable(name),
            "enable": lambda: desk.enable(name),
            "invite": lambda: desk.invite(name),
        }
        if what not in changes:
            return await show(ask, 404)
        try:
            key = await run_in_threadpool(changes[what])
        except UserError as exc:
            return await show(ask, 400, problem=_why(pages, ask.lang, exc))
        parts.guard.forget()
        if what == "invite":
            return await show(ask, link=(name, f"{public_url(parts, request)}/welcome/{key}"))
        return RedirectResponse(f"/admin/users?done={what}&lang={ask.lang}", 303)

    @app.get("/admin/log", include_in_schema=False)
    async def log(request: Request) -> Response:
        ask, query = await _asked(request, pages), request.query_params
        before = int(query["before"]) if query.get("before", "").isdigit() and len(query["before"]) < 18 else None
        action, actor = query.get("action", "")[:40], query.get("actor", "")[:64]
        rows = await run_in_threadpool(desk.log, before=before, action=action, actor=actor)
        verdict = await run_in_threadpool(desk.log_verdict) if query.get("check") else None
        return HTMLResponse(
            pages.log(ask.lang, rows=rows, problems=verdict.problems if verdict else None, head=verdict.head if verdict else "", action=action, actor=actor, now=parts.clock())
        )


