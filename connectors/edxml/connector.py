"""Reading the exchange: a list of messages behind an opaque cursor, and each message from its own address.

The cursor is the exchange's own: {"after": text, "again": {address: times tried}}. It moves on when all messages of a
page are published; one that could not be read is asked again at each poll, and is a dead letter after `attempts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import Field

from connectors.edxml import document, status
from connectors.edxml.envelope import ATTACHMENTS, FIELDS, split
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
    Walk,
    shown,
    unreadable_record,
)
from ioc.events import Event

MOST_AGAIN = 1000  # messages to be asked again; bounds the cursor
CERTAIN = frozenset({"dtd_refused", "too_deep", "unknown_layout"})  # asking again will not make these better


class EdXmlOptions(Options):
    organ_suffix: str = Field("H55", description="The province's group of agency codes: an OrganId ending so is ours.")
    path: str = Field("api/messages", description="Path of the list, below the feed's url.")
    page_size: int = Field(200, ge=1, le=5000, description="limit: messages a page of the list.")
    attempts: int = Field(10, ge=1, le=1000, description="Polls in which a message that cannot be read is tried, before it is a dead letter.")
    concurrency: int = Field(8, ge=1, le=32, description="Messages fetched at the same time.")


class EdXml(Connector[EdXmlOptions]):
    name = "edxml"
    version = "1"
    options = EdXmlOptions
    fields = FIELDS
    exempt = {"deletions": "a recall (13, 15) closes the document it names; that it was sent stays true"}  # noqa: RUF012
    cut = ATTACHMENTS
    contradictions = False  # several status messages of one document in one second are no contradiction

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        after, walk = str(context.cursor.get("after", "")), Walk()
        again: dict[str, int] = dict(context.cursor.get("again") or {})
        with ThreadPoolExecutor(context.options.concurrency, thread_name_prefix="edxml") as pool:
            if again:
                yield self._page(context, pool, [{"url": url} for url in again], again, after)
            while True:
                links, following = self._list(context, after)
                if links:
                    if following == after:
                        raise Unreadable("endless_paging", "the list gives messages and does not move on: next is the cursor we asked with", repair="let next point behind the page's last message")
                    walk.step(following, links)
                    yield self._page(context, pool, links, again, following)
                after = following
                if not links:
                    return

    def _page(self, context: Context[Any], pool: ThreadPoolExecutor, links: list[Any], again: dict[str, int], after: str) -> Page:
        """Return the records of some messages; note in `again` which of them must be asked once more."""
        records: list[Record] = []
        for item, found in zip(links, pool.map(lambda item: self._fetch(context, item), links), strict=True):
            if isinstance(found, list):
                records += found
                again.pop(_url(item), None)
                continue
            times = again.get(_url(item), 0) + 1
            if times < context.options.attempts and (len(again) < MOST_AGAIN or _url(item) in again):
                again[_url(item)] = times
            else:
                again.pop(_url(item), None)
                records.append(_given_up(item, found))
        return Page(records, {"after": after, "again": dict(again)})

    def _list(self, context: Context[Any], after: str) -> tuple[list[Any], str]:
        """Return the addresses of the next messages, and the cursor behind them."""
        answer = context.http.get(context.options.path, {"after": after or None, "limit": context.options.page_size}, accept="application/json")
        decoded = self.document(answer)
        value = decoded.value if decoded.kind == "json" else None
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise Unreadable("unknown_layout", "this is not the list of messages: an object with data and next", repair="check the feed's url and path")
        following = value.get("next")
        # Without a next the list ends here; the next poll asks from the same place.
        links = list({_mark(item): item for item in value["data"]}.values())
        return links, following if isinstance(following, str) and following else after

    def _fetch(self, context: Context[Any], item: Any) -> list[Record] | Retriable:
        """Return the records of one message, or why it could not be read now. Raises only when nobody answers."""
        if not _url(item):
            return [Record(item, "listed", defect=Defect("missing_url", "a listed message has no url", "url", "list each message with its url"))]
        try:
            answer = context.http.get(context.http.absolute(_url(item)), accept="application/xml")
            return self.read(self.document(answer), context)
        except Unreachable:
            raise
        except Unreadable as exc:
            return [unreadable_record(exc, "listed")] if exc.cause in CERTAIN else exc
        except Retriable as exc:
            return exc

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        return split(document)

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if record.kind == "status":
            return [status.to_event(record.value, context)]
        if record.kind == "document":
            return document.to_events(record.value, context)
        raise Skip("out_of_scope", f"this is neither a document nor a status message but {shown(record.kind)}", body=False)


def _url(item: Any) -> str:
    url = item.get("url") if isinstance(item, dict) else None
    return url if isinstance(url, str) else ""


def _given_up(item: Any, exc: Retriable) -> Record:
    """Return a message that could not be read in any of its attempts."""
    if isinstance(exc, Unreadable):
        return unreadable_record(exc, "listed")
    cause = "missing_document" if isinstance(exc, Missing) else "source_error"
    return Record(item, "listed", defect=Defect(cause, str(exc), "url", "keep listed messages readable"))


def _mark(item: Any) -> str:
    """Return what tells a listed message from another."""
    return str(item.get("id") or item.get("url")) if isinstance(item, dict) else repr(item)[:200]
