"""Notes on an indicator: what editors wrote, their marks on the trend, and the forms that need no script.

A form says which version of a note it was drawn with. What is refused is drawn again with what was typed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from dash import html
from dash.development.base_component import Component

from dashboards.accounts.markup import Input, hidden, problem_note, refusal
from dashboards.context import Context
from dashboards.figures.picker import part_name
from dashboards.figures.trend import places
from dashboards.state import State, address
from dashboards.words import Lang, say
from ioc import rights
from ioc.errors import Problem
from ioc.kpi.asked import Asked
from ioc.kpi.notes import MOST_TEXT, Note, removable
from ioc.kpi.tile import Tile


class Questions(Protocol):
    def tiles(self, asked: Asked, kpis: Iterable[str] | None = None) -> dict[str, Tile]: ...
    def notes(self, kpi: str, area: str = "") -> list[Note]: ...
    def note_added(self, kpi: str, area: str, day: date | None, body: str) -> Note: ...
    def note_changed(self, kpi: str, number: int, version: int, day: date | None, body: str) -> Note: ...
    def note_removed(self, kpi: str, number: int, version: int) -> None: ...


@dataclass(frozen=True)
class Typed:
    """A form that was refused: of which note (0: a new one), what was typed, and why not."""

    number: int
    day: str
    body: str
    problem: str


@dataclass(frozen=True)
class Noted:
    """`tile`: whose spark the dated notes are marked on; None where none is dated."""

    notes: Sequence[Note] = ()
    tile: Tile | None = None
    typed: Typed | None = field(default=None)


def gather(kpi: str, state: State, desk: Questions, typed: Typed | None = None) -> Noted:
    """Ask for the notes of a page. Raises `Unavailable` while the database is away."""
    found = desk.notes(kpi, state.area)
    dated = any(note.day for note in found)
    return Noted(found, desk.tiles(state.asked, [kpi]).get(kpi) if dated else None, typed)


def act(kpi: str, number: int, form: Mapping[str, str], state: State, desk: Questions) -> Typed | None:
    """Do what a form asks for (`number` 0: a new note); return it with the reason where it is refused, None where it is done."""
    day, body = form.get("day", "")[:10], form.get("body", "")
    try:
        if number == 0:
            desk.note_added(kpi, state.area, _day(day), body)
        elif form.get("what") == "remove":
            desk.note_removed(kpi, number, _version(form))
        else:
            desk.note_changed(kpi, number, _version(form), _day(day), body)
    except Problem as exc:
        return Typed(number, day, body, refusal(state.lang, exc.word, str(exc), exc.values))
    return None


def _version(form: Mapping[str, str]) -> int:
    text = form.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not 1990 <= day.year <= 2100:
        raise Problem("note_day", f"{text!r} is no day of a note; choose one, or leave it empty", day=text)
    return day


def section(kpi: str, context: Context, state: State, noted: Noted) -> Component:
    """Return the notes of an indicator's page, with forms for whoever may write."""
    lang, who, typed = state.lang, rights.current(), noted.typed
    writes = rights.may(who, "edit")
    rows = [_note(note, kpi, context, state, typed if typed and typed.number == note.id else None) for note in noted.notes]
    lost = typed and typed.number and typed.number not in {note.id for note in noted.notes}
    said = [*problem_note(typed.problem), html.Pre(typed.body, className="note-lost")] if typed and lost else []
    new = typed if typed and typed.number == 0 else None
    write = [_folded(say("notes.add", lang), _form(kpi, 0, state, new.day if new else "", new.body if new else "", 0, new), open_=new is not None)] if writes else []
    empty = [html.P(say("notes.none", lang), className="rank-none")] if not rows and not said else []
    return html.Section([html.H2(say("notes", lang)), *said, *rows, *empty, *write], id="notes", className="card notes")


def _note(note: Note, kpi: str, context: Context, state: State, typed: Typed | None) -> Component:
    lang, who = state.lang, rights.current()
    about = [f"{note.day:%d/%m/%Y}"] if note.day else []
    about += [part_name(note.area, context, lang)] if note.area and note.area != state.area else []
    by = [note.author] if who.kind == "person" else []
    written = f"{note.written_at.astimezone(context.zone):%d/%m/%Y %H:%M}"
    changed = []
    if note.changed_at:
        at = f"{note.changed_at.astimezone(context.zone):%d/%m/%Y %H:%M}"
        changed = [say("notes.changed", lang, by=note.changed_by, at=at) if who.kind == "person" else say("notes.changed_at", lang, at=at)]
    forms: list[Component] = []
    if rights.may(who, "edit"):
        day, body = (typed.day, typed.body) if typed else (note.day.isoformat() if note.day else "", note.body)
        forms.append(_folded(say("notes.change", lang), _form(kpi, note.id, state, day, body, note.version, typed), open_=typed is not None))
    if removable(note, who):
        remove = [hidden("version", str(note.version)), hidden("what", "remove"), html.Button(say("notes.remove", lang), type="submit", className="button")]
        forms.append(html.Form(remove, method="post", action=_action(kpi, note.id, state), className="inline"))
    head = [html.Strong(" · ".join(about))] if about else []
    return html.Article(
        [html.P([*head, html.Span(note.body)], className="note-body"), html.P(" · ".join([*by, written, *changed]), className="rank-none"), *([html.Div(forms, className="note-forms")] if forms else [])],
        id=f"note-{note.id}", **{"data-note": str(note.id), "data-note-version": str(note.version)},
    )  # fmt: skip


def _form(kpi: str, number: int, state: State, day: str, body: str, version: int, typed: Typed | None) -> Component:
    lang = state.lang
    return html.Form(
        [
            *(problem_note(typed.problem) if typed else []),
            html.Div([html.Label(say("notes.body", lang), htmlFor=f"body-{number}"), html.Textarea(body, id=f"body-{number}", name="body", rows="3", maxLength=str(MOST_TEXT), required=True, autoFocus=typed is not None)], className="field"),
            html.Div([html.Label(say("notes.day", lang), htmlFor=f"day-{number}"), Input(id=f"day-{number}", name="day", type="date", value=day or None)], className="field note-day"),
            *([hidden("version", str(version))] if number else []),
            html.Button(say("notes.save", lang), type="submit", className="button button-main"),
        ],
        method="post", action=_action(kpi, number, state), className="form",
    )  # fmt: skip


def _action(kpi: str, number: int, state: State) -> str:
    return address(f"/kpi/{kpi}/notes" + (f"/{number}" if number else ""), state)


def _folded(title: str, content: Component, *, open_: bool) -> Component:
    return html.Details([html.Summary(title), content], **({"open": True} if open_ else {}))


def marks(noted: Noted, spans: Sequence[tuple[date, date]]) -> list[Component]:
    """Return the marks of dated notes above the trend: each where its day lies, leading to its note."""
    if noted.tile is None:
        return []
    at = places(noted.tile, len(spans))
    found: dict[int, list[Note]] = {}
    for note in noted.notes:
        i = next((i for i, (lo, hi) in enumerate(spans) if note.day and lo <= note.day <= hi), None)
        if i is not None:
            found.setdefault(i, []).append(note)
    return [
        html.A(str(len(own)) if len(own) > 1 else "▾", href=f"#note-{own[0].id}", className="trend-mark", title="\n".join(note.body for note in own), style={"left": f"{at[i]:.2f}%"}, **{"data-mark": str(own[0].id)})
        for i, own in sorted(found.items())
    ]


def sentences(notes: Sequence[Note], context: Context, lang: Lang) -> list[str]:
    """Return the notes as a paper has them."""
    return [" · ".join([*([f"{n.day:%d/%m/%Y}"] if n.day else []), *([part_name(n.area, context, lang)] if n.area else []), n.body]) for n in notes]
