"""`ioc connector list`: what connectors there are, and which feeds use them."""

from __future__ import annotations

import json
from typing import Any

import typer

from ioc.config import load
from ioc.connect import registry
from ioc.connect.commands._app import Json, app


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
    options = [
        {"name": key, "default": field.get_default(call_default_factory=True), "description": field.description or ""} for key, field in connector.options.model_fields.items()
    ]
    return {"connector": name, "version": connector.version, "about": registry.about(name), "feeds": feeds, "options": options}
