"""What the commands share: the application they hang on, and --json."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ioc import areas
from ioc.clock import system_clock
from ioc.config import Config, Feed, Words
from ioc.connect import registry
from ioc.connect.connector import Connector, Context
from ioc.connect.pump import source_of
from ioc.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Connectors: list, check, preview, test and grade them; set a feed back.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def feed_of(config: Config, connector: Connector[Any], name: str | None, *, needed: bool) -> Feed:
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


def context_of(connector: Connector[Any], config: Config, feed: Feed) -> Context[Any]:
    """Return the context in which `connector` reads `feed`, without network."""
    return Context(feed, registry.options_of(connector, feed), areas.load(config.province.code), system_clock(), source_of(connector, feed))
