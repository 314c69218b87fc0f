"""A connector without a standard: what the generic decoders make of a file, each row or item a thing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ioc.connect import Connector, Context, Document, Options, Page, Record, Skip, digest, local, rows
from ioc.events import Asset, Event


class Plain(Connector[Options]):
    """Reads any document; every text of a record goes through the guard as one of the thing's properties."""

    name, version = "plain", "1"
    options = Options
    fields = {}  # noqa: RUF012

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        yield Page(self.read(self.document(context.http.get()), context))

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        if document.kind in ("csv", "ndjson"):
            return rows(document)
        if document.kind == "xml":
            return [Record({child.tag: child.text for child in item}) for item in document.value.iter() if local(item) in ("item", "entry")]
        return [Record(item) for item in document.value] if isinstance(document.value, list) else [Record(document.value)]

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        if not isinstance(record.value, dict):
            raise Skip("wrong_type", "a record is an object of named fields", repair="send objects")
        texts = {f"field {n}": str(value) for n, value in enumerate(record.value.values()) if value is not None}
        return [context.event(digest(record.value), datetime(2026, 11, 1, tzinfo=UTC), Asset(kind="row", dims=texts))]
