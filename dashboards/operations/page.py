"""Feeds, services and dead letters. Dead letters are asked for by the page (`assets/explain.js`); the rest is live."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import frame
from dashboards.figures.numbers import clock_time_s, iso, number
from dashboards.figures.parts import shape, state_chip, to_json
from dashboards.leaders.page import exports
from dashboards.state import State
from dashboards.words import Lang, known_or, pick, say
from ioc import rights
from ioc.causes import in_words
from ioc.live import FeedView, Props, Render, Snapshot

COLUMNS = ("feed", "state", "as_of", "received", "checked", "rate", "events", "duplicates", "dead_letters", "lag", "error")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_NUMBERS = ("rate", "events", "duplicates", "dead_letters", "lag")
DOUBT_COLUMNS = ("feed", "subject", "value", "doubt", "time", "received")
DEAD_COLUMNS = ("feed", "cause", "message", "field", "repair", "times", "last")


def heads(columns: Iterable[str], kind: str, lang: Lang) -> list[str]:
    """Return the heads of a table; `kind`: what its words begin with, "dead." or "doubt."."""
    return [say(f"ops.{kind if name != 'feed' else ''}{name}", lang) for name in columns]


def view_name(lang: Lang) -> str:
    return f"operations:{lang}"


def layout(context: Context, lang: Lang) -> Component:
    """Return the page's frame."""
    feed_heads = [html.Th(word, scope="col", className="number" if name in _NUMBERS else "") for name, word in zip(COLUMNS, heads(COLUMNS, "", lang), strict=True)]
    dead_heads = [html.Th(word, scope="col") for word in heads(DEAD_COLUMNS, "dead.", lang)]
    doubt_heads = [html.Th(word, scope="col", className="number" if name == "value" else "") for name, word in zip(DOUBT_COLUMNS, heads(DOUBT_COLUMNS, "doubt.", lang), strict=True)]
    content: list[Component] = [
        html.Div([html.H1(say("ops.title", lang)), *([html.A(say("entries.title", lang), href=f"/operations/entries?lang={lang}")] if rights.may(rights.current(), "edit") else []), exports("/api/operations", State(lang))], className="page-title"),
        html.Section(
            [
                html.H2(say("feeds", lang)),
                html.Div(html.Table([html.Thead(html.Tr(feed_heads)), html.Tbody(id="ops-feeds")], className="table"), className="scroll", tabIndex="0"),
            ]
        ),
        html.Section([html.H2(say("ops.services", lang)), html.Div(id="ops-note"), html.Div(id="ops-services", className="services")]),
        html.Section(
            [
                html.H2(say("ops.doubt.title", lang)),
                html.Div(
                    html.Table([html.Thead(html.Tr(doubt_heads)), html.Tbody(id="doubts")], className="table"),
                    className="scroll",
                    tabIndex="0",
                    **{"data-doubts": "", "data-word-none": say("ops.doubt.none", lang), "data-lang": lang, "data-zone": context.config.timezone},
                ),
            ]
        ),
        html.Section(
            [
                html.H2(say("ops.dead.title", lang)),
                html.Div(
                    html.Table([html.Thead(html.Tr(dead_heads)), html.Tbody(id="dead-letters")], className="table"),
                    className="scroll",
                    tabIndex="0",
                    **{"data-dead-letters": "", "data-word-none": say("ops.dead.none", lang), "data-lang": lang, "data-zone": context.config.timezone},
                ),
            ]
        ),
    ]
    return frame.page(content, context, State(lang), view=view_name(lang), path="/operations", current="operations")


def render(context: Context, lang: Lang) -> Render:
    """Return the function that turns a snapshot into the page's properties."""

    def props(snapshot: Snapshot) -> Props:
        memory_only = context.config.broker.kind == "embedded" or "embedded" in str(snapshot.services.get("broker", ""))
        note = [html.P([shape("watch"), html.Span(say("ops.memory_only", lang))], className="notice")] if memory_only else []
        if problem := snapshot.services.get("configuration", {}).get("problem"):
            note.insert(0, html.P([shape("alarm"), html.Span(say("ops.config_problem", lang, problem=problem))], className="notice"))
        for failed in snapshot.services.get("failed_jobs", []):
            at = clock_time_s(datetime.fromisoformat(failed["at"]), snapshot.now, context.zone, lang)
            note.insert(0, html.P([shape("watch"), html.Span(say("ops.job_failed", lang, job=known_or(f"job.{failed['job']}", lang, failed["job"]), at=at))], className="notice", **{"data-failed-job": failed["job"]}))
        return {
            "ops-feeds": {"children": to_json([_feed_row(feed, snapshot, context, lang) for feed in snapshot.feeds])},
            "ops-services": {"children": to_json([_service(name, value, snapshot, context, lang) for name, value in snapshot.services.items() if name not in ("configuration", "failed_jobs")])},
            "ops-note": {"children": to_json(note)},
        }

    return props


def _feed_row(feed: FeedView, snapshot: Snapshot, context: Context, lang: Lang) -> Component:
    def at(name: str, value: Any) -> Component:
        return html.Td(clock_time_s(value, snapshot.now, context.zone, lang) or "–", className="time", **{"data-column": name})

    def count(name: str, value: float | None, decimals: int = 0) -> Component:
        text = "–" if value is None else number(value, lang, decimals)
        mark = " nonzero" if name == "dead_letters" and value else ""
        return html.Td(text, className=f"number{mark}", **{"data-column": name, "data-value": "" if value is None else str(value)})

    told = troubles(feed, lang)
    return html.Tr(
        [
            html.Th([html.Span(pick(feed.title, lang)), html.Small(f"{feed.feed} · {feed.connector}")], scope="row"),
            html.Td(state_chip(feed.state, lang)),
            at("as_of", feed.as_of),
            at("received", feed.received_at),
            at("checked", feed.checked_at),
            count("rate", feed.rate, 1),
            count("events", feed.events),
            count("duplicates", feed.duplicates),
            count("dead_letters", feed.dead_letters),
            count("lag", feed.lag),
            html.Td([part for why, detail in told for part in (html.Span(why), html.Small(detail, title=detail))] or "–", className="error"),
        ],
        className=f"state-{feed.state}",
        **{"data-feed": feed.feed, "data-state": feed.state, "data-as-of": iso(feed.as_of)},
    )


def troubles(feed: FeedView, lang: Lang) -> list[tuple[str, str]]:
    """Return what is wrong with a feed: why, in the reader's language, and what the program said of it."""
    found = []
    if feed.last_error:
        found.append((pick(in_words(feed.last_cause or "retriable"), lang), feed.last_error))
    if feed.change:
        found.append((say("ops.changed", lang), feed.change))
    return found


def _service(name: str, value: Any, snapshot: Snapshot, context: Context, lang: Lang) -> Component:
    """A service as in /healthz: its properties as a short list; several of a kind as a table."""

    def text(item: Any) -> str:
        return _text(item, snapshot, context, lang)

    if isinstance(value, list):
        rows = [item for item in value if isinstance(item, Mapping)]
        keys = list(dict.fromkeys(key for row in rows for key in row))
        heads = html.Tr([html.Th(_word(key, lang), scope="col") for key in keys])
        body: Component = html.Table([html.Thead(heads), html.Tbody([html.Tr([html.Td(text(row.get(key))) for key in keys]) for row in rows])], className="table")
    else:
        pairs = value.items() if isinstance(value, Mapping) else [("", value)]
        body = html.Dl([part for key, item in pairs for part in (html.Dt(_word(str(key), lang)), html.Dd(text(item)))])
    wide = " service-wide" if isinstance(value, list) else ""
    return html.Div([html.H3(_word(name, lang)), body], className=f"service{wide}", **{"data-service": name})


def _word(key: str, lang: Lang) -> str:
    return known_or(f"ops.{key}", lang, key.replace("_", " "))


def _text(value: Any, snapshot: Snapshot, context: Context, lang: Lang) -> str:
    if isinstance(value, bool):
        return say("ops.yes" if value else "ops.no", lang)
    if value is None or value == "":
        return "–"
    if isinstance(value, str) and _INSTANT.match(value):
        return clock_time_s(datetime.fromisoformat(value), snapshot.now, context.zone, lang)
    if isinstance(value, Mapping):
        return " · ".join(_text(item, snapshot, context, lang) for item in value.values())
    return str(value)
