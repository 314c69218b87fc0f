"""`ioc connector preview`: what a payload, or the source's first records, would become."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct

from ioc.config import Config, Feed, load
from ioc.connect import registry
from ioc.connect.commands._app import Json, app, context_of, feed_of
from ioc.connect.connector import Connector, Context
from ioc.connect.convert import convert_page, page_letter
from ioc.connect.errors import Retriable, Unreadable
from ioc.connect.runner import client_of
from ioc.errors import UserError
from ioc.events import DeadLetter, Event, encode


class Preview(Struct):
    """What a payload would become. `records`: those that became events, and the dead letters."""

    records: int
    events: list[Event]
    letters: list[DeadLetter]

    def shown(self) -> dict[str, Any]:
        letters = [{"cause": x.cause, "record": x.record, "field": x.field, "repair": x.repair, "message": x.message} for x in self.letters]
        return {"records": self.records, "events": [msgspec.json.decode(encode(e)) for e in self.events], "dead_letters": letters}


@app.command()
def preview(
    connector: Annotated[str, typer.Argument(help="Folder in connectors/.")],
    file: Annotated[Path | None, typer.Option(help="A recorded payload; without it the feed's source is asked.")] = None,
    feed: Annotated[str | None, typer.Option(help="Use the options and url of this feed of config.yaml.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Stop after so many records of the source (a file is always read whole).")] = 20,
    as_json: Json = False,
) -> None:
    """Show the events and dead letters of a payload, or of the source's first records. Publishes nothing, saves nothing."""
    found = registry.get(connector)
    config = load()
    of = feed_of(config, found, feed, needed=file is None)
    result = preview_file(found, config, of, file) if file is not None else _preview_source(found, config, of, limit)
    if as_json:
        typer.echo(json.dumps(result.shown(), ensure_ascii=False))
        return
    for event in result.events:
        typer.echo(encode(event).decode())
    for letter in result.letters:
        typer.echo(f"dead letter: {letter.cause}: {letter.message}" + (f" -> {letter.repair}" if letter.repair else ""), err=True)
    typer.echo(f"{result.records} records: {len(result.events)} events, {len(result.letters)} dead letters", err=True)


def preview_file(connector: Connector[Any], config: Config, feed: Feed, file: Path) -> Preview:
    """Return what the payload in `file` becomes; its format is recognised by its content."""
    try:
        body = file.read_bytes()
    except OSError as exc:
        raise UserError(f"{file}: cannot be read: {exc.strerror}") from exc
    context = context_of(connector, config, feed)
    result = Preview(0, [], [])
    try:
        records = connector.read(connector.decode(body), context)
    except Unreadable as exc:
        return Preview(1, [], [page_letter(connector, feed.feed, exc, context)])
    except Retriable as exc:  # an error answer of the source
        return Preview(1, [], [page_letter(connector, feed.feed, Unreadable("source_error", str(exc), repair="ask whoever runs the source"), context)])
    for outcome in convert_page(connector, records, context):
        _add(result, outcome)
    return result


def _preview_source(connector: Connector[Any], config: Config, feed: Feed, limit: int) -> Preview:
    client = client_of(config, feed, time.sleep)
    context = context_of(connector, config, feed)
    context.client = client
    result = Preview(0, [], [])
    try:
        for outcome in _outcomes(connector, context):
            _add(result, outcome)
            if result.records >= limit:
                break
    except Unreadable as exc:
        _add(result, page_letter(connector, feed.feed, exc, context))
    except Retriable as exc:
        raise UserError(f"feed {feed.feed}: {exc}") from exc
    finally:
        client.close()
    return result


def _outcomes(connector: Connector[Any], context: Context[Any]) -> Iterator[list[Event] | DeadLetter]:
    for page in connector.poll(context):
        yield from convert_page(connector, page.records, context)
        for problem in page.problems:
            if not isinstance(problem, Unreadable):
                raise problem
            yield page_letter(connector, context.feed.feed, problem, context)


def _add(result: Preview, outcome: list[Event] | DeadLetter) -> None:
    result.records += 1
    if isinstance(outcome, DeadLetter):
        result.letters.append(outcome)
    else:
        result.events.extend(outcome)
