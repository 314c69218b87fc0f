"""A connector.yaml at work: the same Connector an author writes in Python, its three methods driven by the declaration."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import yaml
from pydantic import ValidationError

from ioc.config import line_of
from ioc.connect import fields, sheets
from ioc.connect.connector import (
    Connector,
    Context,
    Options,
    Page,
    Record,
    Seen,
    rows,
    source_error,
    unknown_layout,
    unreadable_record,
)
from ioc.connect.declared import paging, values
from ioc.connect.declared.figures import Quantity, Reference
from ioc.connect.declared.schema import KINDS, REFERENCE, TIMES, Declaration, FactRule
from ioc.connect.decode import Document, children
from ioc.connect.errors import Fatal, Skip, Unreadable
from ioc.connect.files import Files, Found, marks
from ioc.connect.mqtt import Message, Messages
from ioc.connect.sql import Database
from ioc.doubts import doubt, together
from ioc.errors import UserError
from ioc.events import Event, Observation


class NoOptions(Options):
    """A declared connector has none: what differs between feeds is the feed's url."""


class Declared(Connector[NoOptions]):
    """The connector a connector.yaml declares."""

    options = NoOptions

    def __init__(self, name: str, declaration: Declaration) -> None:
        # The class of a Python connector names it; here each declaration is an object of one class.
        self.name, self.version = name, declaration.version  # type: ignore[misc]
        self.declaration = declaration
        self.exempt = declaration.exempt
        self.sense = declaration.sense
        # What is asked of each record is taken apart once.
        readable = [(key, rule) for key, rule in declaration.fields.items() if rule.field_class != "personal"]
        self._readers = {key: values.reader(key, rule) for key, rule in readable}
        self._bounded = [(key, _exactly(rule.low), _exactly(rule.high)) for key, rule in readable if rule.low is not None or rule.high is not None]
        self._named, self._titled = REFERENCE.findall(declaration.subject), _filling(declaration.subject)
        self._plans = [_Plan(fact) for fact in declaration.facts]
        self.fields = {_plain_path(rule.path or key): rule.field_class for key, rule in declaration.fields.items()}
        self.fields |= {_plain_path(rule.path or key): "personal" for key, rule in declaration.fields.items() if rule.suppress_below}  # a dead letter must not tell it either
        self.columns = tuple(rule.path or key for key, rule in declaration.fields.items() if rule.field_class != "personal")

    # --- reading ------------------------------------------------------------------------------------------------

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        if isinstance(context.client, Files):
            return self._files(context, context.client)
        if isinstance(context.client, Messages):
            return self._messages(context, context.client)
        if isinstance(context.client, Database):
            return self._rows(context, context.client)
        return self._answers(context)

    def _answers(self, context: Context[Any]) -> Iterator[Page]:
        source = self.declaration.source
        newest = datetime.fromisoformat(context.cursor["newest"]) if "newest" in context.cursor else None
        asked = (newest or context.oldest) - timedelta(seconds=source.since.overlap_s if newest and source.since else 0)
        seen = Seen(context.cursor.get("seen"), asked if source.since else None)
        query: dict[str, Any] = dict(source.query)
        if source.since:
            query[source.since.parameter] = _asked(asked, source.since.form, context)
        for records in paging.pages(self, context, query):
            fresh = []
            for record in records:
                at = self._moment(record, context) if source.since else None
                if at is not None and at <= context.now + timedelta(days=1):
                    newest = max(newest or at, at)
                if seen.new(record.value, at):
                    fresh.append(record)
            yield Page(fresh)
        since = newest - timedelta(seconds=source.since.overlap_s) if newest and source.since else context.oldest
        yield Page([], {"seen": seen.save(since)} | ({"newest": newest.isoformat()} if newest and source.since else {}))

    def _moment(self, record: Record, context: Context[Any]) -> datetime | None:
        since = self.declaration.source.since
        assert since is not None
        try:
            found = self._readers[since.field](record.value, context)
        except (Skip, TypeError, AttributeError):
            return None  # said when the record is mapped
        return found if isinstance(found, datetime) else None

    def _files(self, context: Context[Any], folder: Files) -> Iterator[Page]:
        known, seen = marks(context.cursor.get("files")), Seen(context.cursor.get("seen"))
        if not self.declaration.source.files:
            raise UserError(f"{self.name} reads no folder: its connector.yaml has no source.files")
        for found in folder.changed(self.declaration.source.files, known):
            problem: Unreadable | None = found if isinstance(found, Unreadable) else None
            fresh: list[Record] = []
            if isinstance(found, Found):
                known[found.name] = found.mark
                if not found.same:
                    try:
                        fresh = [record for record in self.read(self.decode(found.body), context) if seen.new(record.value, None)]
                    except Unreadable as exc:
                        problem = Unreadable(exc.cause, f"{found.name[:100]}: {exc}", repair=exc.repair, excerpt=exc.excerpt)
            yield Page(fresh, {"files": dict(known), "seen": seen.save(context.oldest)}, [problem] if problem else [])

    def _messages(self, context: Context[Any], broker: Messages) -> Iterator[Page]:
        if not self.declaration.source.topics:
            raise Fatal(f"{self.name} reads no messages: its connector.yaml has no source.topics")
        for batch in broker.batches(self.declaration.source.topics, context.feed.cadence_s):
            context.look_again()
            yield from (Page(self._message(message, context)) for message in batch)
            yield Page(done=partial(broker.acknowledge, batch) if batch else None)

    def _message(self, message: Message, context: Context[Any]) -> list[Record]:
        try:
            if message.too_large:
                raise Unreadable("too_large", f"the message has {message.too_large} bytes", repair="send small messages, or raise max_response_bytes")
            lone = _lone(message.body)
            records = [Record({"value": lone})] if lone else self.read(self.decode(message.body), context)
        except Unreadable as exc:
            return [unreadable_record(exc)]
        about = {"topic": message.topic, "levels": message.topic.split("/")}
        for record in records:
            if isinstance(record.value, dict):
                record.value = {**record.value, "mqtt": about}
        return records

    def _rows(self, context: Context[Any], database: Database) -> Iterator[Page]:
        asked = self.declaration.source.sql
        if asked is None:
            raise Fatal(f"{self.name} reads no database: its connector.yaml has no source.sql")
        after, seen = str(context.cursor.get("after", "")), Seen(context.cursor.get("seen"), limit=max(5000, 2 * asked.size))
        overlap_s: float = asked.overlap_s
        while True:
            step = database.rows(asked.select, column=asked.cursor, after=after, overlap_s=overlap_s, most=asked.size)
            fresh = [Record(row) for row in step.rows if seen.new(row, context.now)]
            yield Page(fresh, {"after": step.newest, "seen": seen.save(context.oldest)})
            if not step.full or not asked.cursor:
                return
            if step.newest == after and not fresh:
                raise Unreadable("endless_paging", f"more than {asked.size} rows have the same {asked.cursor}", repair="raise source.sql.size, or name a column that grows with each row")
            after, overlap_s = step.newest, 0

    def decode(self, body: bytes, content_type: str = "", charset: str = "") -> Document:
        if body.startswith(b"PK\x03\x04") and sheets.is_workbook(body):
            return sheets.decode(body, header_rows=self.declaration.source.header_rows, sheet=self.declaration.source.sheet)
        return super().decode(body, content_type, charset)

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        where = self.declaration.source.records
        if document.kind in ("csv", "ndjson"):
            if document.kind == "csv" and not set(document.header) & {unicodedata.normalize("NFC", rule.path or key) for key, rule in self.declaration.fields.items()}:
                raise unknown_layout(document, f"a table with a column of {self.name}", self.columns)
            return rows(document)
        if document.kind == "xml":
            source = self.declaration.source
            if source.format in ("json", "csv") or source.path.endswith(("json", ".csv")) or (where and not where.replace("-", "").isidentifier()):
                # Where JSON was declared, no element is called so; what is not there would pass for an empty list.
                raise unknown_layout(document, f"what source.path and source.records ({where or 'a list'}) say")
            return [Record(children(element)) for element in document.value.iter(f"{{*}}{where}")] if where else [Record(children(document.value))]
        refused = values.pick(document.value, self.declaration.source.error) if self.declaration.source.error else None
        if refused is not None:
            raise source_error(document, refused)
        found = values.pick(document.value, where) if where else document.value
        if isinstance(found, dict) and not where:
            return [Record(found)]
        if found is None and "." not in where and _says_none(document.value, where):
            return []
        if not isinstance(found, list):
            raise unknown_layout(document, f"a list at {where!r}" if where else "a list")
        return [Record(item) for item in found]

    # --- mapping ------------------------------------------------------------------------------------------------

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if not isinstance(record.value, dict):
            raise Skip("wrong_type", "a record is an object of named fields", repair="send objects")
        declared = self.declaration
        row = record.value
        read = {name: reader(row, context) for name, reader in self._readers.items()}
        doubts = {name: said for name, low, high in self._bounded if (said := _doubt(name, read[name], low, high))}
        subject = fields.identifier_of(self._subject(read), "subject")
        at, period = _when(read.get(declared.time[1:]) if declared.time else None, context)
        if declared.time and at is None:
            raise Skip("missing_time", f"{declared.fields[declared.time[1:]].path or declared.time[1:]} is empty", field=declared.time[1:], repair="send when it was so")
        events = [event for plan in self._plans if (event := plan.event(read, subject, at or context.now, period, doubts, context)) is not None]
        if not events:
            raise Skip("out_of_scope", "the record holds none of the values this connector reads", repair="leave the row out, or fill it")
        return events

    def _subject(self, read: dict[str, Any]) -> str:
        found = self.declaration.subject if self._titled is None else self._titled(read)
        if found is None:
            missing = ", ".join(name for name in self._named if read.get(name) is None)
            raise Skip("missing_id", f"{missing} is missing: nothing tells this record from another", field=self._named[0], repair="send it, the same each time")
        return str(found)


def _when(value: Any, context: Context[Any]) -> tuple[datetime | None, str]:
    """Return the instant, and the period where the time is one."""
    if isinstance(value, datetime):
        return value, ""
    if isinstance(value, Reference):
        return fields.start_of(value.start, context.zone), value.length
    if isinstance(value, date):
        return datetime.combine(value, time(), tzinfo=context.zone).astimezone(UTC), f"{value:%Y-%m}"
    return None, ""


def _exactly(bound: float | None) -> Decimal | None:
    """A bound as what it is compared with: a Decimal beside a float is made one each time."""
    return None if bound is None else Decimal(bound)


_UNBOUNDED = (str, bool, datetime, date, Reference)


def _doubt(name: str, value: Any, low: Decimal | None, high: Decimal | None) -> str:
    value = value.value if isinstance(value, Quantity) else value
    if value is None or isinstance(value, _UNBOUNDED):
        return ""
    if low is not None and value < low:
        return doubt("below", what=name, value=value, limit=f"{float(low):g}")
    return doubt("above", what=name, value=value, limit=f"{float(high):g}") if high is not None and value > high else ""


Fill: TypeAlias = Callable[[dict[str, Any]], Any]  # the values that were read -> a value of the fact


def _filling(template: Any) -> Fill | None:
    """Return how a template is filled, None for one that is always itself. A lone $name keeps its type; an unknown one gives None."""
    if isinstance(template, dict):
        parts = [(key, _filling(item), item) for key, item in template.items()]

        def entries(read: dict[str, Any]) -> dict[str, str]:
            filled = {}
            for key, fill, item in parts:
                if (value := item if fill is None else fill(read)) is not None:
                    filled[key] = _worded(value)
            return filled

        return entries
    if not isinstance(template, str) or "$" not in template:
        return None
    if REFERENCE.fullmatch(template):
        lone = template[1:]
        return lambda read: read.get(lone)
    first, *rest = REFERENCE.split(template)
    steps = list(zip(rest[::2], rest[1::2], strict=True))  # a name, and the words behind it

    def text(read: dict[str, Any]) -> str | None:
        said = first
        for name, words in steps:
            if (value := read.get(name)) is None:
                return None
            said += _worded(value) + words
        return said

    return text if steps else None


_AS_WRITTEN = (Quantity, Reference)


def _worded(value: Any) -> str:
    return value.written if isinstance(value, _AS_WRITTEN) else str(value)


class _Plan:
    """A fact's rule, taken apart once: what is always the same, and how the rest is filled."""

    def __init__(self, fact: FactRule) -> None:
        self.word, self.kind = fact.kind, KINDS[fact.kind]
        fills = {name: _filling(template) for name, template in fact.rule.items()}
        self.same = {name: template for name, template in fact.rule.items() if fills[name] is None}
        self.fills = [(name, fill) for name, fill in fills.items() if fill is not None]
        self.used = frozenset(REFERENCE.findall(str(fact.rule)))
        self.times = [name for name in TIMES if name in fact.rule]
        self.placed = "lat" in fact.rule and "lon" in fact.rule

    def event(self, read: dict[str, Any], subject: str, at: datetime, period: str, doubts: dict[str, str], context: Context[Any]) -> Event | None:
        """Return the fact of a record, None where there is none; raise `Skip`."""
        filled = dict(self.same)
        for name, fill in self.fills:
            filled[name] = fill(read)
        if self.kind is Observation:
            if filled["value"] is None and not filled.get("deleted"):
                return None
            if isinstance(filled["value"], Quantity):
                found = filled["value"]
                filled = {"unit": found.unit, "qualifier": found.qualifier} | filled | {"value": found.value, "attributes": {**(filled.get("attributes") or {}), **({"written": found.written} if found.written else {})}}
            if period and "period" not in filled:
                filled["period"] = period
            filled = {name: value for name, value in filled.items() if value is not None or name == "value"}
            if context.cursor and "version" not in filled:
                # The source does not say when it published a value. What differs from the first reading is newer than that.
                filled["version"] = context.now.isoformat()
        for name in self.times:
            if isinstance(filled.get(name), datetime):
                filled[name] = filled[name].isoformat()
        if doubts and (said := [text for name, text in doubts.items() if name in self.used]) and not filled.get("doubt"):
            filled["doubt"] = together(said)
        if self.placed:
            self._place(filled, context)
        try:
            data = msgspec.convert(filled, self.kind)
        except msgspec.ValidationError as exc:
            raise Skip("wrong_type", f"{self.word}: {exc}", repair="look at the fact's rule in connector.yaml") from exc
        return context.event(subject, at, data)

    @staticmethod
    def _place(filled: dict[str, Any], context: Context[Any]) -> None:
        for name in ("lat", "lon"):
            if filled.get(name) is not None:
                filled[name] = float(filled[name])
        if filled.get("lat") is not None and filled.get("lon") is not None and not filled.get("area"):
            place = context.place(filled["lat"], filled["lon"])
            filled |= {"area": place.area, "lat": place.lat, "lon": place.lon} | ({"doubt": place.doubt} if place.doubt else {})


def _asked(at: datetime, form: str, context: Context[Any]) -> str:
    if form == "epoch":
        return str(int(at.timestamp()))
    return at.astimezone(context.zone).date().isoformat() if form == "date" else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _lone(body: bytes) -> str:
    """Return a message that is one bare value ("21.5", "ON"), "" when it is something else."""
    if len(body) > 64 or body.lstrip()[:1] in (b"{", b"[", b"<", b""):
        return ""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return ""
    return text.strip('"') if text.isprintable() and not set(text) & set(",;\t|") else ""


def _plain_path(path: str) -> str:
    """A path as the privacy guard knows it: lists are transparent."""
    return ".".join(step for step in path.split(".") if not step.isdigit())


def load(file: Path) -> Declared:
    """Return the connector declared in `file`; raise `UserError` with file, line and what to do."""
    try:
        text = file.read_text(encoding="utf-8")
        raw = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as exc:
        raise UserError(f"{file}: cannot be read: {exc}") from exc
    except yaml.YAMLError as exc:
        raise UserError(f"{file}: not valid YAML: {exc}") from exc
    if not isinstance(raw, dict):
        raise UserError(f"{file}: the top level must be a mapping such as 'about:'")
    try:
        return Declared(file.parent.name, Declaration.model_validate(raw))
    except ValidationError as exc:
        problems = [f"line {line_of(text, error['loc'])}: {'.'.join(map(str, error['loc'])) or 'connector'}: {error['msg'].removeprefix('Value error, ')}" for error in exc.errors()]
        raise UserError(f"{file}: " + "; ".join(problems)) from exc


def _says_none(value: Any, where: str) -> bool:
    """Is there a null where the list should be? Some write so that they have nothing; what is not there at all is another document."""
    if isinstance(value, list):
        return where.isdigit() and int(where) < len(value)
    return isinstance(value, dict) and where in value
