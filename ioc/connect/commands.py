"""`ioc connector`: what connectors there are, whether a feed can be read, and what it would publish."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct

from ioc import areas
from ioc.clock import system_clock
from ioc.config import Config, Feed, Words, load
from ioc.connect import conformance, registry
from ioc.connect.connector import Connector, Context
from ioc.connect.convert import convert_page, page_letter
from ioc.connect.errors import Fatal, Retriable, Unreadable
from ioc.connect.pump import source_of
from ioc.connect.runner import client_of
from ioc.errors import UserError
from ioc.events import DeadLetter, Event, encode

app = typer.Typer(no_args_is_help=True, help="Connectors: list them, check a feed, preview what it would publish, test them.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show the connectors, their options and the feeds that use them."""
    feeds = load().feeds
    found = [_described(name, [feed.feed for feed in feeds if feed.connector == name]) for name in registry.names()]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for item in found:
        typer.echo(f"{item['connector']} {item['version']}: {item['about']}")
        typer.echo(f"  feeds: {', '.join(item['feeds']) or 'none'}")
        for option in item["options"]:
            typer.echo(f"  {option['name']} = {json.dumps(option['default'], ensure_ascii=False)}: {option['description']}")


def _described(name: str, feeds: list[str]) -> dict[str, Any]:
    connector = registry.get(name)
    about = (__import__(f"connectors.{name}", fromlist=["CONNECTOR"]).__doc__ or "").partition("\n")[0]
    options = [
        {"name": key, "default": field.get_default(call_default_factory=True), "description": field.description or ""} for key, field in connector.options.model_fields.items()
    ]
    return {"connector": name, "version": connector.version, "about": about, "feeds": feeds, "options": options}


# --- preview ----------------------------------------------------------------------------------------------------


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
    of = _feed(config, found, feed, needed=file is None)
    result = preview_file(found, config, of, file) if file is not None else _preview_source(found, config, of, limit)
    if as_json:
        typer.echo(json.dumps(result.shown(), ensure_ascii=False))
        return
    for event in result.events:
        typer.echo(encode(event).decode())
    for letter in result.letters:
        typer.echo(f"dead letter: {letter.cause}: {letter.message}" + (f" -> {letter.repair}" if letter.repair else ""), err=True)
    typer.echo(f"{result.records} records: {len(result.events)} events, {len(result.letters)} dead letters", err=True)


def _feed(config: Config, connector: Connector[Any], name: str | None, *, needed: bool) -> Feed:
    """Return the named feed, the first that uses the connector, or (for a file) one with default options."""
    if name is not None:
        feed = config.feed(name)
        if feed.connector != connector.name:
            raise UserError(f"feed {name} uses the connector {feed.connector}, not {connector.name}")
        return feed
    used = next((feed for feed in config.feeds if feed.connector == connector.name), None)
    if used is not None:
        return used
    if needed:
        raise UserError(f"no feed of config.yaml uses {connector.name}; name a file with --file, or add a feed")
    return Feed(feed=f"preview-{connector.name}", connector=connector.name, title=Words(vi=connector.name, en=connector.name))


def _context(connector: Connector[Any], config: Config, feed: Feed) -> Context[Any]:
    return Context(feed, registry.options_of(connector, feed), areas.load(config.province.code), system_clock(), source_of(connector, feed))


def preview_file(connector: Connector[Any], config: Config, feed: Feed, file: Path) -> Preview:
    """Return what the payload in `file` becomes; its format is recognised by its content."""
    try:
        body = file.read_bytes()
    except OSError as exc:
        raise UserError(f"{file}: cannot be read: {exc.strerror}") from exc
    context = _context(connector, config, feed)
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
    context = _context(connector, config, feed)
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


# --- check ------------------------------------------------------------------------------------------------------


class Step(Struct):
    """One thing that was tried."""

    step: str
    ok: bool
    said: str


@app.command()
def check(
    feed: Annotated[str, typer.Argument(help="Feed of config.yaml.")],
    as_json: Json = False,
) -> None:
    """Try a feed step by step: options, secret and address, first page, mapping. Exit code 1 when a step fails."""
    steps = list(_checked(feed))
    ok = all(step.ok for step in steps)
    if as_json:
        typer.echo(json.dumps({"feed": feed, "ok": ok, "steps": [msgspec.structs.asdict(step) for step in steps]}, ensure_ascii=False))
    else:
        for step in steps:
            typer.echo(f"{'ok  ' if step.ok else 'FAIL'} {step.step}: {step.said}")
    raise typer.Exit(0 if ok else 1)


def _checked(name: str) -> Iterator[Step]:
    """Yield the steps, up to and including the first that fails."""
    config = load()
    feed = config.feed(name)
    try:
        connector = registry.get(feed.connector)
        options = registry.options_of(connector, feed)
        yield Step("options", True, ", ".join(f"{key}={value!r}" for key, value in feed.options.items()) or "all defaults")
        client = client_of(config, feed, time.sleep)
    except UserError as exc:
        yield Step("options", False, str(exc))
        return
    yield Step("address", True, f"{feed.url}, secret {feed.secret or 'none'}")
    context = Context(feed, options, areas.load(config.province.code), system_clock(), source_of(connector, feed), client=client)
    try:
        yield from _first_page(connector, context)
    except (Retriable, Fatal) as exc:
        yield Step("first page", False, str(exc))
    finally:
        client.close()


def _first_page(connector: Connector[Any], context: Context[Any]) -> Iterator[Step]:
    started = time.monotonic()
    page = next((page for page in connector.poll(context) if page.records or page.problems), None)
    seconds = time.monotonic() - started
    if page is None:
        yield Step("first page", True, f"the source answers and has nothing to say ({seconds:.1f} s)")
        return
    if page.problems:
        raise page.problems[0]
    yield Step("first page", True, f"{len(page.records)} records in {seconds:.1f} s")
    outcomes = list(convert_page(connector, page.records, context))
    letters = [outcome for outcome in outcomes if isinstance(outcome, DeadLetter)]
    for letter in letters[:5]:
        yield Step("mapping", False, f"{letter.cause}: {letter.message}" + (f" -> {letter.repair}" if letter.repair else "") + f" | record {letter.record[:300]}")
    if not letters:
        events = sum(len(outcome) for outcome in outcomes if not isinstance(outcome, DeadLetter))
        yield Step("mapping", True, f"{events} events, all within the contract and the privacy guard")


# --- test -------------------------------------------------------------------------------------------------------


@app.command()
def test(
    connector: Annotated[str, typer.Argument(help="Folder in connectors/.")],
    accept: Annotated[bool, typer.Option("--accept", help="Write what comes out now as expected.json; read it before you commit it.")] = False,
    as_json: Json = False,
) -> None:
    """Replay the connector's recorded test cases over HTTP and compare. Exit code 1 when one differs."""
    found = registry.get(connector)
    folders = conformance.folders(connector)
    if not folders:
        raise UserError(f"connectors/{connector}/testcases has no case; see docs/connectors.md")
    if accept:
        for folder in folders:
            conformance.accept(found, folder)
    results = [conformance.run(found, folder) for folder in folders]
    if as_json:
        typer.echo(json.dumps([{"case": result.case, "differences": result.differences} for result in results], ensure_ascii=False))
    else:
        for result in results:
            typer.echo(f"{'ok  ' if not result.differences else 'FAIL'} {result.case}")
            for line in result.differences[:20]:
                typer.echo(f"     {line}")
    raise typer.Exit(1 if any(result.differences for result in results) else 0)
