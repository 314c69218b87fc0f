"""`ioc connector check`: try a feed step by step and say where it fails."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct

from ioc import areas
from ioc.clock import system_clock
from ioc.config import load
from ioc.connect import registry
from ioc.connect.commands._app import Json, app
from ioc.connect.connector import Connector, Context
from ioc.connect.convert import convert_page
from ioc.connect.errors import Fatal, Retriable
from ioc.connect.pump import source_of
from ioc.connect.runner import client_of
from ioc.errors import UserError
from ioc.events import DeadLetter


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
    except UserError as exc:
        yield Step("options", False, str(exc))
        return
    try:
        client = client_of(config, feed, time.sleep)
    except UserError as exc:
        yield Step("address", False, str(exc))
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
