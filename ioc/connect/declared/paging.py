"""Walks through the pages of an HTTP source, in each way sources have of ending a list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ioc.connect.connector import Context, Record, Walk
from ioc.connect.declared import values
from ioc.connect.declared.schema import Paging
from ioc.connect.decode import Document
from ioc.connect.errors import Unreadable
from ioc.connect.http import Answer

if TYPE_CHECKING:
    from ioc.connect.declared.connector import Declared

_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel\s*=\s*"?next"?', re.IGNORECASE)


def pages(connector: Declared, context: Context[Any], query: dict[str, Any]) -> Iterator[list[Record]]:
    """Yield the records of every page; raise `Unreadable` where the walk would never end."""
    path, rule = connector.declaration.source.path, connector.declaration.source.paging
    if rule is None:
        yield connector.read(connector.document(context.http.get(path, query)), context)
        return
    if rule.size_parameter:
        query = query | {rule.size_parameter: rule.size}
    walk, number, read = Walk(), rule.first, 0
    link: str | None = None
    while True:
        answer = context.http.get(link) if link else context.http.get(path, query | _position(rule, number, read))
        document = connector.document(answer)
        records = connector.read(document, context)
        walk.step(link or f"{number}/{read}/{query.get(rule.parameter)}", [record.value for record in records])
        yield records
        number, read = number + 1, read + len(records)
        if not records:
            return
        if rule.by in ("page", "offset"):
            if rule.by == "page" and rule.pages and _whole(values.pick(document.value, rule.pages)) < number - rule.first + 1:
                return
            continue
        found = _further(rule, document, answer)
        if found is None:
            return
        if rule.by == "token":
            query = query | {rule.parameter: found}
        else:
            link = context.http.absolute(found, answer.url)


def _position(rule: Paging, number: int, read: int) -> dict[str, Any]:
    return {rule.parameter: number} if rule.by == "page" else {rule.parameter: read} if rule.by == "offset" else {}


def _further(rule: Paging, document: Document, answer: Answer) -> str | None:
    if rule.by == "link":
        found = _NEXT.search(answer.headers.get("link", ""))
        return found[1] if found else None
    value = values.pick(document.value, rule.value) if document.kind == "json" else None
    if value is None or value == "" or value is False:
        return None
    if isinstance(value, dict | list):
        raise Unreadable("unknown_layout", f"{rule.value} is neither a text nor a number", repair="name the dotted path of the token or link itself")
    return str(value)


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as exc:
        raise Unreadable("unknown_layout", "the number of pages is no number", repair="leave `pages` out: an empty page ends the walk, too") from exc
