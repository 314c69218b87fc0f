"""Reading the exchange: a list of messages behind an opaque cursor, and each message from its own address.

The cursor is the exchange's own: {"after": text}. It moves on when all messages of a page are published.
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
    Skip,
    Unreadable,
    Walk,
    shown,
    unreadable_record,
)
from ioc.events import Event


class EdXmlOptions(Options):
    organ_suffix: str = Field("H55", description="The province's group of agency codes: an OrganId ending so is ours.")
    path: str = Field("api/messages", description="Path of the list, below the feed's url.")
    page_size: int = Field(200, ge=1, le=5000, description="limit: messages a page of the list.")
    concurrency: int = Field(8, ge=1, le=32, description="Messages fetched at the same time.")


class EdXml(Connector[EdXmlOptions]):
    name = "edxml"
    version = "1"
    options = EdXmlOptions
    fields = FIELDS
    cut = ATTACHMENTS
    contradictions = False  # several status messages of one document in one second are no contradiction

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        after, walk = str(context.cursor.get("after", "")), Walk()
        with ThreadPoolExecutor(context.options.concurrency, thread_name_prefix="edxml") as pool:
            while True:
                links, following = self._list(context, after)
                if links:
                    if following == after:
                        raise Unreadable("endless_paging", "the list gives messages and does not move on: next is the cursor we asked with", repair="let next point behind the page's last message")
                    walk.step(following, links)
                    records = [record for found in pool.map(lambda link: self._fetch(context, link), links) for record in found]
                    yield Page(records, {"after": following})
                after = following
                if not links:
                    return

    def _list(self, context: Context[Any], after: str) -> tuple[list[Any], str]:
        """Return the addresses of the next messages, and the cursor behind them."""
        answer = context.http.get(context.options.path, {"after": after or None, "limit": context.options.page_size}, accept="application/json")
        decoded = self.document(answer)
        value = decoded.value if decoded.kind == "json" else None
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise Unreadable("unknown_layout", "this is not the list of messages: an object with data and next", repair="check the feed's url and path")
        following = value.get("next")
        # Without a next the list ends here; the next poll asks from the same place.
        links = list({digestible(item): item for item in value["data"]}.values())
        return links, following if isinstance(following, str) and following else after

    def _fetch(self, context: Context[Any], item: Any) -> list[Record]:
        """Return the records of one message; a message that cannot be read is one record with its defect."""
        url = item.get("url") if isinstance(item, dict) else None
        if not isinstance(url, str):
            return [Record(item, "listed", defect=Defect("missing_url", "a listed message has no url", "url", "list each message with its url"))]
        try:
            answer = context.http.get(context.http.absolute(url), accept="application/xml")
            return self.read(self.document(answer), context)
        except Missing as exc:
            return [Record(item, "listed", defect=Defect("missing_document", str(exc), "url", "keep listed messages readable"))]
        except Unreadable as exc:
            return [unreadable_record(exc, "listed")]

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        return split(document)

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if record.kind == "status":
            return [status.to_event(record.value, context)]
        if record.kind == "document":
            return [document.to_event(record.value, context)]
        raise Skip("out_of_scope", f"this is neither a document nor a status message but {shown(record.kind)}", body=False)


def digestible(item: Any) -> str:
    """Return what tells a listed message from another."""
    return str(item.get("id") or item.get("url")) if isinstance(item, dict) else repr(item)[:200]
