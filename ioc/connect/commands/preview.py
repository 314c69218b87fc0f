"""`ioc connector preview`: what a payload, or the source's first records, would become."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ioc.config import Config, Feed, load
from ioc.connect import registry
from ioc.connect.commands._app import Json, app, context_of, feed_of
from ioc.connect.connector import Connector, Context
from ioc.connect.convert import convert_page, page_letter
from ioc.connect.errors import Retriable, Unreadable
from ioc.connect.preview import Preview
from ioc.connect.preview import preview as read
from ioc.connect.runner import client_of
from ioc.errors import UserError
from ioc.events import DeadLetter, Event, encode


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
    return read(connector, context_of(connector, config, feed), body)


def _preview_source(connector: Connector[Any], config: Config, feed: Feed, limit: int) -> Preview:
    client = client_of(config, feed, time.sleep)
    context = context_of(connector, config, feed)
    context.client = client
    result = Preview(0, [], [])
    try:
        for outcome in _outcomes(connector, context):
            result.add(outcome)
            if result.records >= limit:
                break
    except Unreadable as exc:
        result.add(page_letter(connector, feed.feed, exc, context))
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
