"""Notes of editors on a KPI: why a number is as it is, on a day, in an area; shown on its page and its trend.

An editor writes and changes them, a note's author or an administrator removes them; each step is a row of the audit log,
with the text as it was. Phones, e-mails, citizen numbers and plates are taken out, as of any text. Whoever changes or removes says which version he saw: of two at once the second one is refused
in a sentence and nothing of his is kept.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import psycopg
from msgspec import Struct
from psycopg.rows import class_row

from ioc import rights
from ioc.errors import Problem
from ioc.privacy import scrub
from ioc.rights import Identity
from ioc.store.auditlog import audit
from ioc.store.sql import queries

MOST_TEXT = 1000  # characters of a note
MOST = 200  # notes shown of a KPI
_SQL = queries("notes")


class Note(Struct, frozen=True):
    """`area`: "" for the province. `day`: what it is about, None for the KPI as such. `version`: 1, and one more for each change."""

    id: int
    kpi: str
    area: str
    day: date | None
    body: str
    author: str
    written_at: datetime
    version: int
    changed_by: str = ""
    changed_at: datetime | None = None


def notes(conn: psycopg.Connection[Any], kpi: str, area: str = "") -> list[Note]:
    """Return the notes on a KPI, the latest day first: of an area (with those of the province), or all of them."""
    return _rows(conn, "of_kpi", {"kpi": kpi, "areas": ["", area] if area else None, "limit": MOST})


def add(conn: psycopg.Connection[Any], kpi: str, area: str, day: date | None, body: str, who: Identity, at: datetime) -> Note:
    """Write a note; raise `Problem`. KPI and area are known to be there."""
    _allowed(who)
    given = {"kpi": kpi, "area": area, "day": day, "body": _text(body), "author": who.name, "at": at}
    with conn.transaction():
        (made,) = _rows(conn, "add", given)
        _told(conn, made, "added", who, at, text=made.body)
    return made


def change(conn: psycopg.Connection[Any], kpi: str, number: int, version: int, day: date | None, body: str, who: Identity, at: datetime) -> Note:
    """Change a note's text and day; raise `Problem`, also when somebody else changed it since `version`."""
    _allowed(who)
    text = _text(body)
    with conn.transaction():
        was = _held(conn, kpi, number, version)
        if (was.body, was.day) == (text, day):
            return was
        (made,) = _rows(conn, "change", {"id": number, "body": text, "day": day, "by": who.name, "at": at})
        _told(conn, made, "changed", who, at, text=made.body, was=was.body)
    return made


def remove(conn: psycopg.Connection[Any], kpi: str, number: int, version: int, who: Identity, at: datetime) -> None:
    """Remove one's own note (an administrator: anybody's); raise `Problem`."""
    _allowed(who)
    with conn.transaction():
        was = _held(conn, kpi, number, version)
        if not removable(was, who):
            raise Problem("note_not_yours", f"this note is {was.author}'s: its author or an administrator removes it", name=was.author)
        conn.execute(_SQL["remove"], {"id": number, "by": who.name, "at": at})
        _told(conn, was, "removed", who, at, was=was.body)


def removable(note: Note, who: Identity) -> bool:
    """May `who` remove it?"""
    return rights.may(who, "administer") or (rights.may(who, "edit") and note.author.casefold() == who.name.casefold())


def _held(conn: psycopg.Connection[Any], kpi: str, number: int, version: int) -> Note:
    """Return the note, locked; raise `Problem` when it is gone or another version by now."""
    found = _rows(conn, "hold", {"id": number, "kpi": kpi})
    if not found:
        raise Problem("note_gone", "this note was removed meanwhile; nothing of yours was saved")
    if found[0].version != version:
        by = found[0].changed_by
        raise Problem("note_changed", f"{by} changed this note meanwhile; nothing of yours was saved: below it stands as it is now", name=by)
    return found[0]


def _text(body: str) -> str:
    text = scrub(body.replace("\x00", "").replace("\r\n", "\n").strip())
    if not text:
        raise Problem("note_empty", "the note is empty")
    if len(text) > MOST_TEXT:
        raise Problem("note_long", f"the note has {len(text)} characters; at most {MOST_TEXT} fit", n=len(text), most=MOST_TEXT)
    return text


def _allowed(who: Identity) -> None:
    if not who.name or not rights.may(who, "edit"):
        raise Problem("note_right", f"{who.name or 'nobody'} ({who.role}) may not write notes: that takes the role editor")


def _told(conn: psycopg.Connection[Any], note: Note, what: str, who: Identity, at: datetime, **texts: str) -> None:
    detail = {"what": what, "version": note.version, "area": note.area, "day": note.day, **texts}
    audit(conn, "annotate", f"note {note.id}: {note.kpi}", {name: value for name, value in detail.items() if value not in ("", None)}, who=who, at=at)


def _rows(conn: psycopg.Connection[Any], name: str, given: dict[str, Any]) -> list[Note]:
    with conn.cursor(row_factory=class_row(Note)) as cursor:
        return cursor.execute(_SQL[name], given).fetchall()
