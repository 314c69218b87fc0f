"""What a connector is: how to read a source page by page, and how one record becomes events.

An author writes three methods. `poll` asks the source and yields pages; `split` takes a decoded document apart into
records; `map` turns one record into events. The kit does the rest: limits, retries, privacy, areas, dead letters,
publishing, and saving the cursor only when the broker has everything.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from pydantic import BaseModel, ConfigDict

from ioc.areas import Areas
from ioc.clock import Clock
from ioc.config import Feed
from ioc.connect.client import Client
from ioc.connect.decode import Defect, Document, NotANumber, Row, decode
from ioc.connect.errors import Fatal, Retriable, Skip, Unreachable, Unreadable
from ioc.connect.files import Files
from ioc.connect.http import Answer, Http
from ioc.connect.mqtt import Messages
from ioc.connect.sense import Counters, Sense
from ioc.connect.sql import Database
from ioc.doubts import doubt
from ioc.events import Event, Fact, make
from ioc.privacy import FieldClass, Masked, mask_page, shown

MAX_RECORD_BYTES = 1_000_000  # one record; a fact is a few hundred bytes, so this is a mistake or an attack
NEAR_KM = 30.0  # a point this near to a commune's centroid counts as inside the province


class Options(BaseModel):
    """Base of a connector's own options: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Record(Struct):
    """One record of a source. `kind`: which of the source's resources. `hints`: what the page knew beside it."""

    value: Any
    kind: str = ""
    hints: dict[str, Any] = msgspec.field(default_factory=dict)
    defect: Defect | None = None


class Page(Struct):
    """Records, and the cursor that may be saved once they and all before them are acknowledged (None: not here).

    `problems`: parts of the source that failed while others went on; each counts as an error of the feed.
    `done`: called when our bus has this page and all before it (a message broker is told then).
    """

    records: list[Record] = msgspec.field(default_factory=list)
    cursor: dict[str, Any] | None = None
    problems: list[Retriable] = msgspec.field(default_factory=list)
    done: Callable[[], None] | None = None


class Place(Struct, frozen=True):
    """Where something is: commune (None: unknown or outside), degrees, and what is doubtful about it."""

    area: str | None = None
    lat: float | None = None
    lon: float | None = None
    doubt: str | None = None


C = TypeVar("C")
O_co = TypeVar("O_co", bound=Options, covariant=True)


@dataclass
class Context(Generic[O_co]):
    """What one poll (or one preview) knows. `cursor` is as saved; `memory` is the connector's own, for this poll."""

    feed: Feed
    options: O_co
    areas: Areas
    now: datetime
    source: str
    cursor: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    client: Client | None = None
    clock: Clock | None = None
    since: datetime | None = None
    counters: Counters = field(default_factory=dict)  # what counters last said; the kit's own

    def look_again(self) -> None:
        """Set `now` to the present: for a poll that stays open, as one of a message broker does."""
        self.now = self.clock() if self.clock is not None else self.now

    @property
    def http(self) -> Http:
        """Requests to the feed's source."""
        return self._client(Http, "http://... or https://...")

    @property
    def folder(self) -> Files:
        """The feed's folder of files, here or on an SFTP server."""
        return self._client(Files, "file:///path/of/the/folder or sftp://user@host/directory")  # type: ignore[type-abstract]

    @property
    def messages(self) -> Messages:
        """The feed's session with a message broker."""
        return self._client(Messages, "mqtt://host or mqtts://host")  # type: ignore[type-abstract]

    @property
    def database(self) -> Database:
        """The feed's database."""
        return self._client(Database, "postgresql+psycopg://user@host/name")

    def _client(self, kind: type[C], address: str) -> C:
        if self.client is None:
            raise RuntimeError("a preview of a file asks no network")
        if not isinstance(self.client, kind):
            raise Fatal(f"feed {self.feed.feed}: this connector needs a url such as {address}")
        return self.client

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone of times the source writes without one."""
        return ZoneInfo(self.feed.timezone)

    @property
    def oldest(self) -> datetime:
        """How far back the first poll reads; `since` where the feed was set back to that."""
        return self.since or self.now - timedelta(days=self.feed.late_window_days)

    def event(self, subject: str, time: datetime, data: Fact) -> Event:
        """Return an event whose id is derived from its content."""
        return make(self.source, subject, time, data)

    def area(self, code: str | None, name: str) -> str | None:
        """Return the area of today with this code; `Skip` says why there is none. `name` is the record's field."""
        if code is None:
            return None
        if self.feed.geography == "former":
            return self._from_former(code, name)
        if self.areas.known(code):
            return code
        repair = "send the five-digit code of after 1 July 2025, as text; or set the feed's geography to former"
        raise Skip("unknown_area", f"{name}: {self.areas.why_unknown(code) if code.isdigit() and len(code) < 9 else f'{shown(code)} is no commune code'}", field=name, repair=repair)

    def _from_former(self, code: str, name: str) -> str:
        was = self.areas.former.get(code)
        if was is None:
            raise Skip("unknown_area", f"{name}: {shown(code)} was no commune of this province before 1 July 2025", field=name, repair="send the five-digit code, as text; or set the feed's geography to current")
        if was.now is None:
            raise Skip("split_area", f"{name}: the former {code} {was.name} was divided; its code does not say which part", field=name, repair="send the commune's code of after 1 July 2025")
        return was.now

    def place(self, lat: float | None, lon: float | None, area: str | None = None) -> Place:
        """Return where a point is; mark what cannot be. A point at 0, 0 counts as none.

        Swapped coordinates are set right, and say so: kept as they came, 105 degrees north is nowhere on Earth.
        """
        if lat is None or lon is None or (lat == 0 and lon == 0):
            return Place(area)
        if self._near(lat, lon, area):
            return Place(area or self.areas.nearest(lat, lon, NEAR_KM), lat, lon)
        if self._near(lon, lat, area):
            return Place(area or self.areas.nearest(lon, lat, NEAR_KM), lon, lat, doubt("swapped", lat=f"{lat:g}", lon=f"{lon:g}"))
        if not (-90 <= lat <= 90 and -180 <= lon <= 180):
            raise Skip("out_of_range", f"lat {lat:g}, long {lon:g} is not on Earth", field="lat", repair="send degrees, WGS 84")
        return Place(area, lat, lon, doubt("outside"))

    def _near(self, lat: float, lon: float, area: str | None) -> bool:
        known = self.areas.communes.get(area or "")
        if known is not None and abs(known.lat - lat) < 0.3 and abs(known.lon - lon) < 0.3:
            return True
        return self.areas.nearest(lat, lon, NEAR_KM) is not None


class Connector(ABC, Generic[O_co]):
    """One kind of source. Stateless: everything a poll needs comes with its context."""

    name: ClassVar[str]
    version: ClassVar[str]
    options: type[O_co]
    fields: Mapping[str, FieldClass]  # dotted path in a record -> class; a field not named here is personal
    columns: tuple[str, ...] = ()  # column names an excerpt of a broken CSV may show
    cut: re.Pattern[str] | None = None  # what is thrown away before a document is parsed
    exempt: Mapping[str, str] = MappingProxyType({})  # a rule of `ioc connector grade` that cannot be kept -> why (ioc/connect/grade.py)
    sense: Mapping[str, Sense] = MappingProxyType({})  # metric -> what is sensible for it
    largest: int = MAX_RECORD_BYTES  # bytes of a record; more is a dead letter
    contradictions: bool = True  # two contents of one thing at one time on one page: the second is refused

    @abstractmethod
    def poll(self, context: Context[Any]) -> Iterator[Page]:
        """Yield what is new since `context.cursor`."""

    @abstractmethod
    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        """Return the records of a document, in any layout the standard has; raise `Unreadable` when it is none."""

    @abstractmethod
    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        """Return the events of one record, at least one; raise `Skip`."""

    def decode(self, body: bytes, content_type: str = "", charset: str = "") -> Document:
        """Return the document in `body`; raise `Unreadable`."""
        return decode(body, content_type=content_type, charset=charset, keep=self.columns, cut=self.cut)

    def document(self, answer: Answer) -> Document:
        """Return the document of an answer; raise `Unreadable`."""
        return self.decode(answer.body, answer.content_type, answer.charset)

    def read(self, document: Document, context: Context[Any]) -> list[Record]:
        """Return the records of a document, those that cannot be used marked with their defect."""
        records = self.split(document, context)
        if document.not_numbers or document.size > self.largest:
            for record in records:
                record.defect = record.defect or _defect(record.value, document, self.largest)
        return records


def _defect(value: Any, document: Document, largest: int) -> Defect | None:
    if document.not_numbers and _holds_nan(value):
        return Defect("not_a_number", "the record holds NaN or Infinity, which is no JSON number", repair="send null when nothing was measured")
    if document.kind == "xml" and not isinstance(value, dict):
        return None  # the XML parser has limits of its own
    size = _size(value)
    if size > largest:
        return Defect("too_large", f"the record has {size} bytes; at most {largest}", repair="send short fields, without attachments")
    return None


def _holds_nan(value: Any, depth: int = 0) -> bool:
    if isinstance(value, NotANumber):
        return True
    if depth > 50:
        return False
    if isinstance(value, dict):
        return any(_holds_nan(item, depth + 1) for item in value.values())
    return isinstance(value, list) and any(_holds_nan(item, depth + 1) for item in value)


def _size(value: Any) -> int:
    try:
        return len(msgspec.json.encode(value))
    except (TypeError, UnicodeEncodeError, RecursionError):
        return 0


# --- helpers every connector uses ---------------------------------------------------------------------------------


def rows(document: Document, kind: str = "") -> list[Record]:
    """Return the rows of CSV or NDJSON as records, each with its line number as hint."""
    return [Record(row.value, kind, {"line": row.line}, row.defect) for row in document.value if isinstance(row, Row)]


def unreadable_record(exc: Unreadable, kind: str = "") -> Record:
    """Return a document among many that could not be read as a record: one dead letter, and the others go on."""
    return Record(Masked(exc.excerpt), kind, defect=Defect(exc.cause, str(exc), repair=exc.repair))


def unknown_layout(document: Document, wanted: str, keep: tuple[str, ...] = ()) -> Unreadable:
    """Return the refusal of a document that is readable and is not what this connector reads."""
    found = {"json": "JSON", "ndjson": "NDJSON", "xml": "XML", "csv": "a table"}[document.kind]
    return Unreadable("unknown_layout", f"this is {found}, but not {wanted}", repair="check the url and the connector's README", excerpt=mask_page(document.text, keep))


def source_error(document: Document, said: Any = None) -> Unreadable:
    """Return the refusal of an answer in which the source says that it could not answer. `said`: its own code, shown where it is one."""
    code = f" ({shown(said)})" if isinstance(said, str | int) else ""
    return Unreadable("source_error", f"the source answers with an error of its own{code}", repair="look at what is asked (path, query, secret), then ask whoever runs the source", excerpt=mask_page(document.text))


def digest(value: Any) -> str:
    """Return 12 characters that tell this record's content from any other."""
    try:
        content = msgspec.json.encode(value)
    except (TypeError, UnicodeEncodeError, RecursionError):
        content = repr(value).encode("utf-8", "backslashreplace")
    return digest_bytes(content)


def digest_bytes(content: bytes) -> str:
    """Return 12 characters (60 bits) of a digest."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()[:15]


FEW = 500  # marks that are always kept: a small list is small in the cursor, too


class Seen:
    """Bounded memory of the records published from the part of a list that is read again.

    Reading overlaps, so that nothing is missed; what is remembered here is not published again. At most `limit`
    records are kept; forgetting one costs a duplicate, never a fact. `asked`: the time from which this poll asked; a
    source that sends older records all the same ignores the question, and then older ones are remembered too.
    """

    def __init__(self, saved: Any, asked: datetime | None = None, limit: int = 5000) -> None:
        self._limit = limit
        self._asked = int(asked.timestamp()) if asked else 0
        self._ignored = False
        self._groups: dict[int, set[str]] = {}
        if isinstance(saved, dict):
            self._groups = {int(key): set(marks) for key, marks in saved.items()}
        self._known = {mark for marks in self._groups.values() for mark in marks}
        self.full = False  # did the last `save` forget something for want of room?

    def new(self, value: Any, at: datetime | None) -> bool:
        """Return whether this content was not seen yet, and remember it under the source's time `at`."""
        mark, second = digest(value), int(at.timestamp()) if at else 0
        self._ignored = self._ignored or 0 < second < self._asked - 1
        if mark in self._known:
            return False
        self._known.add(mark)
        self._groups.setdefault(second, set()).add(mark)
        return True

    def save(self, since: datetime) -> dict[str, list[str]]:
        """Return what to keep in the cursor: the records at or after `since`, the newest `limit` of them.

        Records without a usable time (group 0) are kept as long as there is room; all are, while they are few.
        """
        oldest = 0 if self._ignored or len(self._known) <= FEW else int(since.timestamp())
        kept: dict[str, list[str]] = {}
        room = self._limit
        self.full = False
        for key in sorted(self._groups, reverse=True):
            if key and key < oldest:
                continue
            self.full = self.full or len(self._groups[key]) > room
            marks = sorted(self._groups[key])[:room]
            if marks:
                kept[str(key)] = marks
            room -= len(marks)
        if len(self._known) > 4 * self._limit:  # a long first reading must not fill the memory
            self._groups = {int(key): set(marks) for key, marks in kept.items()}
            self._known = {mark for marks in self._groups.values() for mark in marks}
        return kept


class Walk:
    """Guards a walk through pages: no page twice, not more than `limit` pages."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._links: set[str] = set()
        self._pages: set[str] = set()
        self._count = 0

    def step(self, link: str, records: list[Any] | None = None) -> None:
        """Note a page; raise `Unreadable` when its link or its (non-empty) records were there before."""
        mark = digest_bytes(link.encode("utf-8", "replace"))
        if mark in self._links:
            raise Unreadable("endless_paging", "the link to the next page leads back to a page that was read already", repair="leave the next link out on the last page")
        self._links.add(mark)
        if not self.new(records or []):
            raise Unreadable("endless_paging", "the next page holds the same records as one before", repair="leave the next link out on the last page")

    def new(self, records: list[Any]) -> bool:
        """Note a page; return False when its (non-empty) records were there before. Raise after `limit` pages."""
        self._count += 1
        if self._count > self._limit:
            raise Unreadable("endless_paging", f"more than {self._limit} pages in one walk", repair="send larger pages, or end the list")
        if not records:
            return True
        content = digest(records)
        known = content in self._pages
        self._pages.add(content)
        return not known


def each_part(parts: Iterable[Callable[[], Iterator[Page]]]) -> Iterator[Page]:
    """Walk the parts of a source one after the other; one that fails does not stop the others.

    When nobody answers at all, the rest is not tried either.
    """
    for part in parts:
        try:
            yield from part()
        except Unreachable:
            raise
        except Retriable as exc:
            yield Page(problems=[exc])
