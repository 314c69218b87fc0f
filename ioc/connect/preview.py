"""What a payload becomes, without a network, a bus or a cursor."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ioc.connect.connector import Connector, Context
from ioc.connect.convert import convert_page, page_letter
from ioc.connect.errors import Retriable, Unreadable
from ioc.events import DeadLetter, Event, encode


class Preview(Struct):
    """What a payload would become. `records`: those that became events, and the dead letters."""

    records: int
    events: list[Event]
    letters: list[DeadLetter]

    def add(self, outcome: list[Event] | DeadLetter) -> None:
        """Count one record and what became of it."""
        self.records += 1
        if isinstance(outcome, DeadLetter):
            self.letters.append(outcome)
        else:
            self.events.extend(outcome)

    def shown(self) -> dict[str, Any]:
        """Return the preview as --json prints it."""
        letters = [{"cause": x.cause, "record": x.record, "field": x.field, "repair": x.repair, "message": x.message} for x in self.letters]
        return {"records": self.records, "events": [msgspec.json.decode(encode(e)) for e in self.events], "dead_letters": letters}


def preview(connector: Connector[Any], context: Context[Any], body: bytes) -> Preview:
    """Return what the payload `body` becomes; its format is recognised by its content."""
    result = Preview(0, [], [])
    try:
        records = connector.read(connector.decode(body), context)
    except Unreadable as exc:
        return Preview(1, [], [page_letter(connector, context.feed.feed, exc, context)])
    except Retriable as exc:  # an error answer of the source
        said = Unreadable("source_error", str(exc), repair="ask whoever runs the source")
        return Preview(1, [], [page_letter(connector, context.feed.feed, said, context)])
    for outcome in convert_page(connector, records, context):
        result.add(outcome)
    return result
