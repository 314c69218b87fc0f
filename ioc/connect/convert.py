"""One record -> its events or exactly one dead letter. Whatever a connector's `map` returns passes the guard here."""

from __future__ import annotations

import re
import traceback
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import structlog
from msgspec import UNSET

from ioc.connect.connector import Connector, Context, Record
from ioc.connect.decode import looks_double_encoded, looks_lossy
from ioc.connect.errors import Skip, Unreadable
from ioc.connect.sense import doubted
from ioc.events import (
    MAX_EVENT_BYTES,
    MAX_ID,
    MAX_TEXT,
    Asset,
    BadEvent,
    Case,
    DeadLetter,
    Event,
    Fact,
    Observation,
    check_fact,
    check_time,
    make,
)
from ioc.privacy import MAX_RECORD, Masked, guarded, is_citizen_number, scrub
from ioc.units import UnknownUnit, normal

log = structlog.get_logger(__name__)

_TEXTS: dict[type[Any], tuple[str, ...]] = {
    Observation: ("doubt", "period"),
    Case: ("native_status", "outcome", "category", "title", "agency", "channel", "level", "doubt"),
    Asset: ("kind", "name", "doubt"),
}
_DICTS: dict[type[Any], str] = {Observation: "attributes", Case: "dims", Asset: "dims"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]+")


def convert(connector: Connector[Any], record: Record, context: Context[Any]) -> list[Event] | DeadLetter:
    """Return the record's events (at least one), or the dead letter that says why there are none."""
    try:
        if record.defect is not None:
            d = record.defect
            raise Skip(d.cause, d.message, field=d.field, repair=d.repair)
        events = [_guard(event, context) for event in connector.map(record, context)]
        if not events:
            raise Skip("out_of_scope", "the record says nothing this connector knows")
        return events
    except Skip as exc:
        return _letter(connector, record, context, exc)
    except BadEvent as exc:
        return _letter(connector, record, context, Skip(exc.cause, str(exc), field=exc.field, repair=exc.repair))
    except UnicodeEncodeError:
        return _letter(connector, record, context, Skip("bad_text", "a text holds half a character (a lone surrogate)", repair="send valid UTF-8"))
    except RecursionError:
        return _letter(connector, record, context, Skip("too_deep", "the record is nested too deeply", repair="send flat records", body=False))
    except Exception as exc:
        # A mistake in a connector must not stop the feed; it is counted, named and visible.
        log.error("a connector failed on a record", feed=context.feed.feed, connector=connector.name, error=type(exc).__name__, at=where(exc))
        return _letter(connector, record, context, Skip("connector_error", f"{connector.name} failed on this record: {type(exc).__name__}", repair="report it to the connector's author"))


def convert_page(connector: Connector[Any], records: list[Record], context: Context[Any]) -> Iterable[list[Event] | DeadLetter]:
    """Return the outcome of each record of a page, doubtful values marked (ioc/connect/sense.py)."""
    outcomes = _outcomes(connector, records, context)
    return doubted(connector.sense, list(outcomes), context.counters) if connector.sense else outcomes


def _outcomes(connector: Connector[Any], records: list[Record], context: Context[Any]) -> Iterator[list[Event] | DeadLetter]:
    """Yield the outcome of each record.

    A page that shows one thing twice, at the same time and with different content, contradicts itself: the first is
    taken, the second is a dead letter. (Later pages and polls may well bring a newer state of the same second, and a table
    of figures may list a figure once for each publication.)
    """
    first: dict[tuple[Any, ...], str] = {}
    for record in records:
        outcome = convert(connector, record, context)
        if connector.contradictions and not isinstance(outcome, DeadLetter):
            for event in outcome:
                if first.setdefault(_identity(event), event.id) != event.id:
                    outcome = contradiction(connector, record, context, event)
                    break
        yield outcome


def _identity(event: Event) -> tuple[Any, ...]:
    data = event.data
    if isinstance(data, Observation):
        return event.type, event.subject, event.time, data.metric, data.period, data.version
    return event.type, event.subject, event.time


def page_letter(connector: Connector[Any], feed: str, exc: Unreadable, context: Context[Any]) -> DeadLetter:
    """Return the dead letter of a page that could not be read."""
    return DeadLetter(
        feed=feed, cause=exc.cause, message=_clip(scrub(str(exc))), record=exc.excerpt[:MAX_RECORD], repair=exc.repair,
        connector=f"{connector.name} {connector.version}", at=context.now,
    )  # fmt: skip


def contradiction(connector: Connector[Any], record: Record, context: Context[Any], event: Event) -> DeadLetter:
    """Return the dead letter of a second content of the same thing at the same time on one page."""
    skip = Skip("contradiction", f"{event.subject} is on this page twice, at the same time, with different content; the first was taken", repair="list each thing once, or give each change its own update time")
    return _letter(connector, record, context, skip)


def _letter(connector: Connector[Any], record: Record, context: Context[Any], skip: Skip) -> DeadLetter:
    return DeadLetter(
        feed=context.feed.feed, cause=skip.cause, message=_clip(scrub(_CONTROL.sub(" ", str(skip)))), record=_body(connector, record) if skip.body else _withheld(record),
        field=skip.field, repair=skip.repair, connector=f"{connector.name} {connector.version}", at=context.now,
    )  # fmt: skip


def _body(connector: Connector[Any], record: Record) -> str:
    if isinstance(record.value, Masked):  # an unreadable part
        return _CONTROL.sub(" ", record.value)[:MAX_RECORD]
    value = guarded(record.value, connector.fields) if isinstance(record.value, dict | list) else "[withheld]"
    text = msgspec.json.encode(value).decode("utf-8", "replace")
    return text.encode()[:MAX_RECORD].decode("utf-8", "ignore")


def _withheld(record: Record) -> str:
    return msgspec.json.encode({"kind": record.kind, "withheld": "the record is about a person, or may be"}).decode()


def _clip(text: str) -> str:
    return text if len(text) <= 500 else text[:500] + "…"


def where(exc: BaseException) -> str:
    """Return file and line an exception came from. Its text is not logged: it may quote a record, and so a person."""
    frames = traceback.extract_tb(exc.__traceback__)
    return " < ".join(f"{Path(frame.filename).parent.name}/{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))


# --- the guard --------------------------------------------------------------------------------------------------


def _guard(event: Event, context: Context[Any]) -> Event:
    _check_subject(event.subject)
    check_time("time", event.time, context.now)
    event = _clean(event)
    check_fact(event.data, context.now, short=True)  # texts were looked at by `cleaned`
    area = event.data.area
    if isinstance(area, str) and not context.areas.known(area):
        raise Skip("unknown_area", context.areas.why_unknown(area) if area.isdigit() and len(area) < 9 else 'not a commune code', field="area")
    return event


@lru_cache(maxsize=8192)
def _check_subject(subject: str) -> None:
    """Raise `Skip` for what cannot be a thing's name. (What raises is not kept, and looked at each time.)"""
    if not subject.strip() or len(subject) > MAX_ID:
        raise Skip("missing_id" if not subject.strip() else "text_too_long", "the subject is empty or too long", field="subject")
    subject.encode()
    if is_citizen_number(subject):
        raise Skip("personal_id", "the subject looks like a citizen number", field="subject", body=False)


def _clean(event: Event) -> Event:
    """Return the event with its texts scrubbed and in NFC, its unit in UCUM."""
    data = cleaned(event.data)
    return event if data is event.data else make(event.source, event.subject, event.time, data)


def cleaned(data: Fact) -> Fact:
    """Return the fact with its texts scrubbed and in NFC, its unit in UCUM; itself when nothing had to change. Raise `Skip`."""
    changes: dict[str, Any] = {}
    for name in _TEXTS[type(data)]:
        value = getattr(data, name)
        if value and isinstance(value, str) and (clean := _text(name, value)) != value:
            changes[name] = clean
    entries = getattr(data, _DICTS[type(data)])
    if entries is not UNSET and entries:
        texts = {_key(key): _text(key, value) for key, value in entries.items()}
        if texts != entries:
            changes[_DICTS[type(data)]] = texts
    if isinstance(data, Observation):
        try:
            unit = normal(data.unit)
        except UnknownUnit as exc:
            raise Skip("unknown_unit", str(exc), field="unit", repair="write the unit as UCUM does") from exc
        if unit != data.unit:
            changes["unit"] = unit
    return msgspec.structs.replace(data, **changes) if changes else data


def _key(key: str) -> str:
    if len(key) > MAX_TEXT or "\x00" in key:
        raise Skip("bad_text", "the name of a property is too long or holds a zero byte", repair="send short names")
    return key


def _text(name: str, value: str) -> str:
    if len(value) > MAX_TEXT:
        raise Skip("text_too_long", f"{name} has {len(value)} characters; at most {MAX_TEXT}", field=name, repair="send a short text")
    clean, wrong = _clean_text(value)
    if wrong:
        raise Skip("wrong_encoding", f"{name} {wrong}", field=name, repair="export once more, as UTF-8")
    return clean


@lru_cache(maxsize=8192)
def _clean_text(value: str) -> tuple[str, str]:
    """Return the text as it may leave, and how it was damaged ("" when it was not)."""
    text = unicodedata.normalize("NFC", _CONTROL.sub(" ", value))
    wrong = "lost letters on its way (a question mark inside a word)" if looks_lossy(text) else ""
    if not text.isascii() and looks_double_encoded(text):
        wrong = "was encoded twice (UTF-8 read as windows-1252)"
    return scrub(text), wrong


assert MAX_RECORD < MAX_EVENT_BYTES
