"""The page of typed figures: /operations/entries. Forms that need no script; `page` draws it.

The gate has looked at rights and origin before any of this runs (ioc/gate.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import psycopg
from fastapi import FastAPI, Request
from psycopg_pool import ConnectionPool
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ioc import forms, rights
from ioc.areas import Areas
from ioc.bus import Publisher
from ioc.config import Config
from ioc.connect import registry
from ioc.entry.entries import Row, approve, enter, entries, figures_of, publish, reject
from ioc.errors import Problem, Unavailable, UserError

HERE = "/operations/entries"
_TYPED = ("value", "period", "document", "area")


class Page(Protocol):
    """What draws the page: dashboards.operations.entries.Entries."""

    def language(self, asked: str | None) -> str: ...
    def page(self, lang: str, *, figures: Sequence[Mapping[str, Any]], rows: Sequence[Row], who: str, now: datetime, typed: Mapping[str, str], problem: str = "", done: str = "") -> str: ...
    def problem(self, lang: str, word: str, sentence: str, values: Mapping[str, object]) -> str: ...


def add(app: FastAPI, config: Config, areas: Areas, pool: ConnectionPool[psycopg.Connection[Any]], publisher: Publisher, clock: Callable[[], datetime], page: Page) -> None:
    """Put the page on the application."""

    def shown(lang: str, status: int = 200, typed: Mapping[str, str] | None = None, problem: str = "", done: str = "") -> Response:
        with pool.connection() as conn:
            rows = entries(conn)
        text = page.page(lang, figures=_figures(config), rows=rows, who=rights.current().name, now=clock(), typed=typed or {}, problem=problem, done=done)
        return HTMLResponse(text, status)

    def decided(number: int, what: str, form: Mapping[str, str]) -> str:
        """Approve or reject; return the word of what was done."""
        with pool.connection() as conn:
            if what == "reject":
                reject(conn, number, rights.current(), form.get("reason", ""), clock())
                return "rejected"
            approve(conn, number, rights.current(), clock())
            conn.commit()  # approved it stays, whether or not the broker is there
            try:
                publish(conn, publisher, clock())
            except (Unavailable, psycopg.OperationalError):
                return "approved_waits"
        return "approved"

    def entered(form: Mapping[str, str]) -> None:
        feed, _, figure = form.get("figure", "").partition("|")
        with pool.connection() as conn:
            enter(conn, config, areas, rights.current(), feed=feed, figure=figure, **{name: form.get(name, "") for name in _TYPED}, at=clock())

    def why(lang: str, exc: UserError) -> str:
        word, values = (exc.word, exc.values) if isinstance(exc, Problem) else ("", {})
        return page.problem(lang, word, str(exc), values)

    @app.get(HERE, include_in_schema=False)
    async def listed(request: Request) -> Response:
        query = request.query_params
        return await run_in_threadpool(shown, page.language(query.get("lang")), done=query.get("done", ""))

    @app.post(HERE, include_in_schema=False)
    async def typed(request: Request) -> Response:
        form = await forms.posted(request)
        lang = page.language(form.get("lang"))
        try:
            await run_in_threadpool(entered, form)
        except UserError as exc:
            return await run_in_threadpool(shown, lang, 400, form, why(lang, exc))
        return RedirectResponse(f"{HERE}?done=entered&lang={lang}", 303)

    @app.post(HERE + "/{number}/{what}", include_in_schema=False)
    async def decide(request: Request, number: int, what: str) -> Response:
        form = await forms.posted(request)
        lang = page.language(form.get("lang"))
        if what not in ("approve", "reject"):
            return await run_in_threadpool(shown, lang, 404)
        try:
            done = await run_in_threadpool(decided, number, what, form)
        except UserError as exc:
            return await run_in_threadpool(shown, lang, 400, None, why(lang, exc))
        return RedirectResponse(f"{HERE}?done={done}&lang={lang}", 303)


def _figures(config: Config) -> list[dict[str, Any]]:
    """Return what may be typed: {feed, feed_title, figure, title, unit, period}."""
    return [
        {"feed": feed.feed, "feed_title": feed.title, "figure": name, "title": rule.title, "unit": rule.unit, "period": rule.period}
        for feed in config.feeds if feed.connector == registry.ENTRY for name, rule in figures_of(feed).items()
    ]  # fmt: skip
