"""The morning brief: plain sentences made by rules, each of one number and leading to its page.

The rules, over the overview's numbers but not their categories: what stands at alarm now; of the whole day before, the first
figures of each theme, against what their tile is against; statuses that changed; published values that were restated; feeds
that fell silent. Every number is the tile's own (or the ledger's), written as the screen writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol

from dash import html
from dash.development.base_component import Component

from dashboards.context import Context
from dashboards.figures import frame
from dashboards.figures.breakdown import split
from dashboards.figures.numbers import clock_time, in_words, period_words, signed
from dashboards.figures.tile import shown_value, titled
from dashboards.leaders.changes import in_restated_words, more_restated
from dashboards.leaders.page import exports
from dashboards.pdf import Paper, Part, as_pdf
from dashboards.state import State
from dashboards.words import Lang, say
from ioc.areas import Areas
from ioc.config import Config
from ioc.kpi.asked import Asked
from ioc.kpi.catalogue import Catalogue
from ioc.kpi.changes import Changes, Restated
from ioc.kpi.export import Cell, cell_time
from ioc.kpi.tile import Tile
from ioc.mail import Letter

OF_A_THEME = 3  # sentences about the day before
RESTATED = 6  # sentences about published values that changed; how many more there are is said, and /changes has them
ALARMS = 12  # sentences; how many more there are is said
FORMS = ("csv", "xlsx", "pdf", "txt")


class Questions(Protocol):
    def tiles(self, asked: Asked, kpis: Iterable[str] | None = None) -> dict[str, Tile]: ...
    def changes(self) -> Changes: ...


class Number(NamedTuple):
    """What a sentence says as a number. `version`: of the formula. A sentence about a feed says only until when there are figures."""

    value: float | None = None
    unit: str = ""
    as_of: datetime | None = None
    version: int | None = None


NO_NUMBER = Number()


@dataclass(frozen=True)
class Sentence:
    """`kpi`: the number it is about; a sentence about a feed has none. `path`: where it leads."""

    text: str
    path: str
    kpi: str = ""
    number: Number = NO_NUMBER


@dataclass(frozen=True)
class Brief:
    """`day`: the whole day it tells of. `parts`: (heading, sentences), also the empty ones."""

    made: datetime
    day: date
    parts: list[tuple[str, list[Sentence]]]


def write(context: Context, state: State, desk: Questions) -> Brief:
    """Return the brief of the province. Raises `Unavailable` while the database is away."""
    lang = state.lang
    found = desk.changes()
    day = (found.now - timedelta(days=1)).astimezone(context.zone).date()
    whole = [kpi.kpi for _, kpis in context.themes for kpi in split([context.kpis[k] for k in kpis if context.kpis[k].overview])[0]]
    daily = [kpi for kpi in whole if context.kpis[kpi].period == "day"]
    tiles, yesterday = desk.tiles(Asked(), whole), desk.tiles(Asked("", f"{day}..{day}"), daily)
    told = period_words(day, day + timedelta(days=1), lang)
    return Brief(found.now, day, [
        (say("brief.alarms", lang), _alarms(tiles.values(), state)),
        (say("brief.yesterday", lang, day=told), [s for _, kpis in context.themes for s in _of_theme([yesterday[k] for k in kpis if k in yesterday], state)]),
        (say("changes.statuses", lang), [_sentence(c.tile, state, "brief.status", was=say(f"status.{c.was_status}", lang), now=say(f"status.{c.tile.status}", lang)) for c in found.statuses]),
        (say("changes.restated", lang), [*(_restated(r, state) for r in found.restated[:RESTATED]), *(Sentence(text, state.href("/changes")) for text in more_restated(len(found.restated) - RESTATED, lang))]),
        (say("changes.silent", lang), list(_silent(found, context, state))),
    ])  # fmt: skip


def _alarms(tiles: Iterable[Tile], state: State) -> list[Sentence]:
    """What is at alarm and known to be so: of an old value nobody knows whether it still holds."""
    found = [t for t in tiles if t.status == "alarm" and t.value is not None and t.quality.state in ("live", "late")]
    told = [_sentence(t, state, "brief.alarm") for t in found[:ALARMS]]
    rest = [Sentence(say("brief.rest", state.lang, n=len(found) - ALARMS), state.href("/"))] if len(found) > ALARMS else []
    return told + rest


def _of_theme(tiles: list[Tile], state: State) -> Iterator[Sentence]:
    for t in [t for t in tiles if t.value is not None and t.as_of is not None and t.period.complete][:OF_A_THEME]:
        yield _sentence(t, state, "brief.day", against=_against(t, state.lang), target=_target(t, state.lang))


def _sentence(t: Tile, state: State, words: str, **more: str) -> Sentence:
    said = say(words, state.lang, title=titled(t, state.lang), value=shown_value(t, state.lang), **more)
    return Sentence(said, state.href(f"/kpi/{t.kpi}"), t.kpi, Number(t.value, t.unit, t.as_of, t.formula_version))


def _against(t: Tile, lang: Lang) -> str:
    """Return ", tăng 68 so với cùng thứ tuần trước", or nothing where there is nothing to hold it against."""
    if t.delta is None or t.delta.versus == "target":
        return ""
    by, reference = signed(t.delta.value, t.unit, lang, t.decimals), say(f"brief.versus.{t.delta.versus}", lang)
    if by == say("unchanged", lang):
        return say("brief.same", lang, reference=reference)
    return say("brief.more" if by.startswith("+") else "brief.less", lang, by=by[1:], reference=reference)


def _target(t: Tile, lang: Lang) -> str:
    if t.target is None or t.value is None or t.better == "band":
        return ""
    met = t.value >= t.target.value if t.better == "up" else t.value <= t.target.value
    return say("brief.met" if met else "brief.missed", lang, target=in_words(t.target.value, t.unit, lang, t.decimals))


def _restated(r: Restated, state: State) -> Sentence:
    said = say("brief.restated", state.lang, **in_restated_words(r, state.lang)._asdict())
    return Sentence(said, state.href(f"/kpi/{r.tile.kpi}"), r.tile.kpi, Number(r.line.became, r.tile.unit, r.line.restated_at, r.line.formula_version))


def _silent(found: Changes, context: Context, state: State) -> Iterator[Sentence]:
    names = context.feed_titles(state.lang)
    for s in found.silent:
        since = clock_time(s.as_of, found.now, context.zone, state.lang) or say("no_data", state.lang)
        yield Sentence(say("brief.silent", state.lang, feed=names.get(s.feed, s.feed), since=since), f"/operations?lang={state.lang}", number=Number(as_of=s.as_of))


def layout(context: Context, state: State, found: Brief | None) -> Component:
    """Return the page; without an answer (the database is away) it says so."""
    lang = state.lang
    head: list[Component] = [html.H1(say("brief.title", lang))]
    if found is None:
        return frame.page([html.Div(head, className="page-title"), html.P(say("page.away", lang), className="notice")], context, state, view="", path="/brief", current="brief")
    head += [html.P(about(found, context, lang), className="description"), exports("/api/brief", State(lang), forms=FORMS)]
    content = [html.Div(head, className="page-title"), *[_section(heading, sentences, lang) for heading, sentences in found.parts], html.P(say("brief.rules", lang), className="rank-none")]
    return frame.page(content, context, state, view="", path="/brief", current="brief")


def _section(heading: str, sentences: list[Sentence], lang: Lang) -> Component:
    lines = [html.A(s.text, href=s.path, **({"data-kpi": s.kpi} if s.kpi else {})) for s in sentences]
    return html.Section([html.H2(heading), html.Div(lines or [html.P(say("changes.none", lang), className="rank-none")], className="brief")], className="card change-card")


def about(found: Brief, context: Context, lang: Lang) -> str:
    local = found.made.astimezone(context.zone)
    return say("brief.about", lang, province=context.province(lang), made=f"{local:%H:%M %d/%m/%Y}")


def paper(found: Brief, context: Context, lang: Lang) -> Paper:
    """Return the brief as A4; each sentence names its number."""
    parts = [Part(heading, [_cited(s) for s in sentences] or [say("changes.none", lang)]) for heading, sentences in found.parts]
    return Paper(say("brief.title", lang), [about(found, context, lang)], [*parts, Part(sentences=[say("brief.rules", lang)])], f"{context.province(lang)} · {say('centre', lang)}")


def table(found: Brief, context: Context, lang: Lang) -> list[list[Cell]]:
    """Return a head and a row a sentence: its part of the brief, the sentence, and its number as such."""
    rows: list[list[Cell]] = [[say(word, lang) for word in ("brief.part", "brief.sentence", "paper.code", "paper.value", "paper.unit", "paper.as_of", "paper.version")]]
    return rows + [
        [heading, s.text, s.kpi, s.number.value, s.number.unit, cell_time(s.number.as_of, context.zone), s.number.version]
        for heading, sentences in found.parts for s in sentences
    ]  # fmt: skip


def text(found: Brief, context: Context, lang: Lang) -> str:
    """Return the brief as the text of a letter, an address under each sentence where `web.url` says how ours begin."""
    base = context.config.web.url.rstrip("/")
    lines = [say("brief.title", lang), about(found, context, lang)]
    for heading, sentences in found.parts:
        lines += ["", heading.upper()]
        for s in sentences:
            lines += [f"- {_cited(s)}", *([f"  {base}{s.path}"] if base else [])]
        lines += [] if sentences else [say("changes.none", lang)]
    return "\n".join([*lines, "", say("brief.rules", lang), ""])


def letter(config: Config, areas: Areas, catalogue: Catalogue, desk: Questions) -> Letter:
    """Return the brief of now as a letter, its A4 attached: what jobs send in the morning."""
    context = Context(config, areas, catalogue, "")
    lang: Lang = (config.brief and config.brief.language) or config.language
    found = write(context, State(lang), desk)
    made = found.made.astimezone(context.zone)
    subject = say("brief.subject", lang, province=context.province(lang), day=f"{made:%d/%m/%Y}")
    return Letter(subject, text(found, context, lang), [(f"brief-{made:%Y%m%d}.pdf", "application/pdf", as_pdf(paper(found, context, lang)))])


def _cited(s: Sentence) -> str:
    return f"{s.text} [{s.kpi}]" if s.kpi else s.text


