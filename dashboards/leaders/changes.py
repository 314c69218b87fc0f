"""What changed since yesterday: statuses, values far from the same weekday, published values that were restated, feeds that
fell silent; each a link to its page. The same as A4 and as one table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import frame
from dashboards.figures.numbers import clock_time, in_words, period_words, plain, signed
from dashboards.figures.parts import shape, state_chip, status_chip
from dashboards.figures.tile import titled, without_today
from dashboards.leaders.page import exports
from dashboards.pdf import Paper, Part, Table
from dashboards.state import State
from dashboards.words import Lang, pick, say
from ioc.kpi.changes import WEEK, Change, Changes, Restated, Silent
from ioc.kpi.export import Cell, cell_days, cell_time
from ioc.kpi.tile import Status, Tile

MOST = 40  # restated values shown; how many more there are is said, and the table has them all


def layout(context: Context, state: State, found: Changes | None) -> Component:
    """Return the page; without an answer (the database is away) it says so."""
    lang = state.lang
    head = html.H1(say("changes.title", lang))
    if found is None:
        content: list[Component] = [html.Div(head, className="page-title"), html.P(say("page.away", lang), className="notice")]
        return frame.page(content, context, state, view="", path="/changes", current="changes")
    content = [
        html.Div([head, exports("/api/changes", State(lang)), html.P(_since(found, context, lang), className="description")], className="page-title"),
        _section(say("changes.statuses", lang), [_status(c, state) for c in found.statuses], lang),
        _section(_moved(found, context, lang), [_move(c, state) for c in found.moves], lang),
        _section(say("changes.restated", lang), [_restated(r, state) for r in found.restated[:MOST]], lang, more_restated(len(found.restated) - MOST, lang), len(found.restated)),
        _section(say("changes.silent", lang), [_silent(s, found, context, lang) for s in found.silent], lang),
        html.P(say("changes.rules", lang), className="rank-none"),
    ]
    return frame.page(content, context, state, view="", path="/changes", current="changes")


def _since(found: Changes, context: Context, lang: Lang) -> str:
    return say("changes.since", lang, then=_time(found, context, lang, then=True), now=_time(found, context, lang))


def _moved(found: Changes, context: Context, lang: Lang) -> str:
    day = (found.now - timedelta(days=1)).astimezone(context.zone).date()
    return say("changes.moves", lang, day=period_words(day, day + timedelta(days=1), lang))


def _time(found: Changes, context: Context, lang: Lang, then: bool = False) -> str:
    at = (found.since if then else found.now).astimezone(context.zone)
    return f"{at:%H:%M %d/%m/%Y}"


def more_restated(n: int, lang: Lang) -> list[str]:
    """Return the sentence that `n` more values were restated than are shown, nothing for none."""
    return [say("changes.more", lang, n=n)] if n > 0 else []


def _section(title: str, rows: Sequence[Component], lang: Lang, more: Sequence[str] = (), n: int | None = None) -> Component:
    content = [*rows, *(html.P(text, className="rank-none") for text in more)] or [html.P(say("changes.none", lang), className="rank-none")]
    return html.Section([html.H2([title, html.Span(str(len(rows) if n is None else n), className="count")]), html.Div(content, className="changes")], className="card change-card")


def _row(c: Change, state: State, before: list[Component | str], after: list[Component | str]) -> Component:
    mark = c.tile.status if c.rule == "status" else "up" if (c.tile.value or 0.0) > (c.was or 0.0) else "down"
    return html.A(
        [html.Span(shape(mark), className=f"mark mark-{mark}"), html.Span(titled(c.tile, state.lang), className="change-title"),
         html.Span(before, className="change-was"), html.Span("→", className="change-arrow", **{"aria-hidden": "true"}), html.Span(after, className="change-now")],
        href=state.href(f"/kpi/{c.tile.kpi}"), **{"data-change": c.rule, "data-kpi": c.tile.kpi, "data-was": plain(c.was), "data-value": plain(c.tile.value)},
    )  # fmt: skip


def _status(c: Change, state: State) -> Component:
    lang = state.lang
    was: Status = "watch" if c.was_status == "watch" else "alarm" if c.was_status == "alarm" else "good"
    return _row(c, state, [_words(c, c.was, lang), status_chip(was, lang)], [_words(c, c.tile.value, lang), status_chip(c.tile.status, lang)])


def _move(c: Change, state: State) -> Component:
    lang = state.lang
    moved = signed((c.tile.value or 0.0) - (c.was or 0.0), c.tile.unit, lang, c.tile.decimals)
    return _row(c, state, [_words(c, c.was, lang)], [_words(c, c.tile.value, lang), html.Span(moved, className="change-by")])


class RestatedWords(NamedTuple):
    """A restatement in words: of which indicator and period, what was published, what it became, and why."""

    title: str
    period: str
    was: str
    became: str
    why: str


def in_restated_words(r: Restated, lang: Lang) -> RestatedWords:
    """Return a restatement as page, paper and brief say it."""
    line = r.line
    period = period_words(line.first, line.last + timedelta(days=1), lang)
    was, became = (_value(r.tile, value, lang) for value in (line.was, line.became))
    return RestatedWords(without_today(pick(r.tile.title, lang)), period, was, became, line.why.get(lang) or line.reason)


def _restated(r: Restated, state: State) -> Component:
    line, words = r.line, in_restated_words(r, state.lang)
    mark = "up" if (line.became or 0.0) > (line.was or 0.0) else "down"
    return html.A(
        [html.Span(shape(mark), className=f"mark mark-{mark}"), html.Span([words.title, html.Small(f"{words.period} · {words.why}")], className="change-title"),
         html.Span(words.was, className="change-was"), html.Span("→", className="change-arrow", **{"aria-hidden": "true"}), html.Span(words.became, className="change-now")],
        href=state.href(f"/kpi/{r.tile.kpi}"), **{"data-change": "restated", "data-kpi": r.tile.kpi, "data-was": plain(line.was), "data-value": plain(line.became)},
    )  # fmt: skip


def _words(c: Change, value: float | None, lang: Lang) -> str:
    return _value(c.tile, value, lang)


def _value(t: Tile, value: float | None, lang: Lang) -> str:
    return say("no_data", lang) if value is None else in_words(value, t.unit, lang, t.decimals)


def _silent(silent: Silent, found: Changes, context: Context, lang: Lang) -> Component:
    feed, state, as_of = silent.feed, silent.state, silent.as_of
    name = next((pick(f.title, lang) for f in context.config.feeds if f.feed == feed), feed)
    return html.A([html.Span(name, className="change-title"), state_chip(state, lang, clock_time(as_of, found.now, context.zone, lang))], href=f"/operations?lang={lang}", className="change-feed", **{"data-feed": feed, "data-state": state})


def paper(found: Changes, context: Context, lang: Lang) -> Paper:
    """Return the page as A4, line by line what the screen says."""
    names = context.feed_titles(lang)
    statuses = [[titled(c.tile, lang), f"{_words(c, c.was, lang)} ({say(f'status.{c.was_status}', lang)})", f"{_words(c, c.tile.value, lang)} ({say(f'status.{c.tile.status}', lang)})"] for c in found.statuses]
    moves = [[titled(c.tile, lang), _words(c, c.was, lang), f"{_words(c, c.tile.value, lang)} ({signed((c.tile.value or 0.0) - (c.was or 0.0), c.tile.unit, lang, c.tile.decimals)})"] for c in found.moves]
    restated = [[f"{words.title}, {words.period}: {words.why}", words.was, words.became] for words in (in_restated_words(r, lang) for r in found.restated[:MOST])]
    silent = [[names.get(s.feed, s.feed), say(f"state.{s.state}", lang), clock_time(s.as_of, found.now, context.zone, lang)] for s in found.silent]
    more = [Part(sentences=[text]) for text in more_restated(len(found.restated) - MOST, lang)]
    parts = [
        _part(say("changes.statuses", lang), statuses, lang), _part(_moved(found, context, lang), moves, lang),
        _part(say("changes.restated", lang), restated, lang, ("paper.indicator", "kpi.was", "kpi.became")), *more, _part(say("changes.silent", lang), silent, lang, ("paper.source", "ops.state", "ops.as_of")),
        Part(sentences=[say("changes.rules", lang)]),
    ]  # fmt: skip
    return Paper(say("changes.title", lang), [_since(found, context, lang)], parts, f"{context.province(lang)} · {say('centre', lang)}")


def _part(heading: str, rows: Iterable[list[str]], lang: Lang, head: Sequence[str] = ("paper.indicator", "changes.was", "changes.is")) -> Part:
    found = list(rows)
    table = Table([say(word, lang) for word in head], found, (6, 3, 3), () if head[0] == "paper.source" else (1, 2))
    return Part(heading, table=table) if found else Part(heading, [say("changes.none", lang)])


_COLUMNS = (
    "changes.kind", "paper.code", "search.name", "paper.area", "paper.from", "paper.to", "changes.was", "changes.was_at", "changes.is", "changes.is_at", "paper.unit",
    "changes.was_rated", "paper.status", "kpi.why", "paper.version",
)  # fmt: skip


def table(found: Changes, context: Context, lang: Lang) -> list[list[Cell]]:
    """Return a head and a row a change, numbers and times as such. What was is told with when it was so, as what is.

    A restated value was so from its publication on, and is what it is since it was restated.
    """
    names, zone, whole = context.feed_titles(lang), context.zone, context.province(lang)

    def changed(c: Change, kind: str, was_at: Cell) -> list[Cell]:
        rated = [say(f"status.{status}", lang) if c.rule == "status" else "" for status in (c.was_status, c.tile.status)]
        return [kind, c.tile.kpi, titled(c.tile, lang), whole, *cell_days(c.tile, zone), c.was, was_at, c.tile.value, cell_time(c.tile.as_of, zone), c.tile.unit, *rated, "", c.tile.formula_version]

    def restated(r: Restated) -> list[Cell]:
        line, words = r.line, in_restated_words(r, lang)
        was, became = ((value, cell_time(at, zone)) for value, at in ((line.was, line.since), (line.became, line.restated_at)))
        return [say("changes.restated", lang), r.tile.kpi, words.title, whole, line.first, line.last, *was, *became, r.tile.unit, "", "", words.why, line.formula_version]

    rows: list[list[Cell]] = [[say(word, lang) for word in _COLUMNS]]
    rows += [changed(c, say("changes.statuses", lang), cell_time(found.since, zone)) for c in found.statuses]
    rows += [changed(c, _moved(found, context, lang), cell_days(c.tile, zone)[0] - timedelta(days=WEEK)) for c in found.moves]
    rows += [restated(r) for r in found.restated]
    silent = say("changes.silent", lang)
    return rows + [[silent, s.feed, names.get(s.feed, s.feed), "", None, None, None, None, None, cell_time(s.as_of, zone), "", "", say(f"state.{s.state}", lang), "", None] for s in found.silent]
