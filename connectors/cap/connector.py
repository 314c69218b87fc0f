"""Reading an index of warnings and each message behind it; telling when one expired or is no longer listed.

The cursor: {"entries": {address: mark}, "live": {subject: [address, expires or null]}}. A message is fetched when its entry is
new or changed. One that leaves the index, or whose `expires` passes, is closed here: nobody sends a message for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import Field

from connectors.cap import alert
from ioc.connect import (
    Connector,
    Context,
    Defect,
    Document,
    Missing,
    Options,
    Page,
    Record,
    Retriable,
    Skip,
    Unreachable,
    Unreadable,
    digest,
    local,
    unknown_layout,
    unreadable_record,
)
from ioc.events import Event

MOST_ENTRIES = 2000
CAP_TYPE = "application/cap+xml"


class CapOptions(Options):
    path: str = Field("", description="Path of the index, or of a single message, below the feed's url.")
    language: str = Field("vi", pattern="^[a-z]{2}$", description="Language of the info block that is read; English or the first one where it is missing.")


class Cap(Connector[CapOptions]):
    name = "cap"
    version = "1"
    options = CapOptions
    fields = alert.FIELDS
    largest = 4_000_000  # outlines of coasts; an outline that is told has at most MAX_SHAPE corners
    exempt = {"deletions": "CAP never deletes: a warning is cancelled, replaced, expires, or leaves the index; each closes it"}  # noqa: RUF012

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        document = self.document(context.http.get(context.options.path, accept="application/atom+xml, application/rss+xml, application/cap+xml, application/xml"))
        entries = {str(entry["link"]): entry for entry in _entries(document) if entry["link"]}
        known: dict[str, str] = dict(context.cursor.get("entries") or {})
        live: dict[str, list[Any]] = dict(context.cursor.get("live") or {})
        marks: dict[str, str] = {}  # of this index: what is no longer listed is forgotten
        # What an index lists is read from its own address; here only what it holds itself, or cannot be found.
        here = []
        for record in self.read(document, context):
            if record.kind != "entry" or not record.value["link"]:
                mark = digest(record.value)
                marks[mark] = mark
                here += [record] if mark not in known else []
        records = self._told(here, "", live, context)
        problems: list[Retriable] = []
        for link, entry in list(entries.items())[:MOST_ENTRIES]:
            mark = digest(entry)
            if known.get(link) == mark:
                marks[link] = mark
                continue
            found = self._fetch(context, link)
            if isinstance(found, Retriable):
                problems.append(found)
                if link in known:
                    marks[link] = known[link]
                continue
            marks[link] = mark
            records += self._told(found, link, live, context)
        records += _over(live, entries, context) if not problems else []
        yield Page(records, {"entries": marks, "live": live}, problems[:3])

    def _told(self, records: list[Record], link: str, live: dict[str, list[Any]], context: Context[Any]) -> list[Record]:
        """Note which warnings are in force after these records."""
        for record in records:
            try:
                events = self.map(record, context)
            except Skip:
                continue
            for event in events:
                if getattr(event.data, "status", "") == "open":
                    due = getattr(event.data, "due_at", None)
                    live[event.subject] = [link, due.isoformat() if isinstance(due, datetime) else None]
                else:
                    live.pop(event.subject, None)
        return records

    def _fetch(self, context: Context[Any], link: str) -> list[Record] | Retriable:
        try:
            answer = context.http.get(context.http.absolute(link), accept=CAP_TYPE)
            return self.read(self.document(answer), context)
        except Unreachable:
            raise
        except Unreadable as exc:
            return [unreadable_record(exc, "listed")]
        except Missing as exc:
            return [Record({"link": link}, "listed", defect=Defect("missing_document", str(exc), "link", "keep listed messages readable"))]
        except Retriable as exc:
            return exc

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        if document.kind != "xml":
            raise unknown_layout(document, "a CAP message or an index of them")
        root = document.value
        if alert.is_alert(root):
            return [Record(alert.value_of(root))]
        inside = [element for element in root.iter() if alert.is_alert(element)]
        if local(root) not in ("feed", "rss", "RDF") and not inside:
            raise unknown_layout(document, "a CAP message or an index of them")
        return [Record(alert.value_of(element)) for element in inside] + [Record(entry, "entry") for entry in _entries(document)]

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if record.kind == "over":
            return [alert.ended(record.value["subject"], datetime.fromisoformat(record.value["at"]), record.value["outcome"], context)]
        if record.kind == "entry":
            if not record.value.get("link"):
                raise Skip("missing_url", "an entry of the index has no link to its message", field="link", repair="link each entry to its CAP message")
            raise Skip("out_of_scope", "this lists a message, which is read from its own address", field="link", repair="nothing to do")
        return alert.to_events(record, context)


def _is_index(document: Document) -> bool:
    return document.kind == "xml" and not alert.is_alert(document.value)


def _entries(document: Document) -> list[dict[str, Any]]:
    """Return id, link and time of what an Atom or RSS index lists; entries that hold their message are left out."""
    if not _is_index(document):
        return []
    found = []
    for entry in document.value.iter():
        if local(entry) not in ("entry", "item") or any(alert.is_alert(inner) for inner in entry.iter()):
            continue
        texts = {local(child): (child.text or "").strip() for child in entry if len(child) == 0}
        link = _link(entry)
        if link and texts.get("title", "").lower().startswith("there are no active"):
            continue  # how one index says that it is empty
        found.append({"id": texts.get("id") or texts.get("guid") or "", "link": link, "updated": texts.get("updated") or texts.get("pubDate") or ""})
    return found


def _link(entry: Any) -> str:
    """Return the address of an entry's message: the link that says it is CAP, or the first."""
    links = [child for child in entry if local(child) == "link"]
    declared = [child for child in links if CAP_TYPE in (child.get("type") or "")]
    alternate = [child for child in links if (child.get("rel") or "alternate") == "alternate"]
    addresses = [str(child.get("href") or child.text or "").strip() for child in (*declared, *alternate, *links)]
    return next((address for address in addresses if address), "")


def _over(live: dict[str, list[Any]], entries: dict[str, Any], context: Context[Any]) -> list[Record]:
    """Return the ends of what expired or is no longer listed, and forget it."""
    records = []
    for subject, (link, expires) in list(live.items()):
        if expires and datetime.fromisoformat(expires) <= context.now:
            records.append(Record({"subject": subject, "at": expires, "outcome": "expired"}, "over"))
        elif link and link not in entries:
            records.append(Record({"subject": subject, "at": context.now.isoformat(), "outcome": "withdrawn"}, "over"))
        else:
            continue
        del live[subject]
    return records
