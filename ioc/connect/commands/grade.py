"""`ioc connector grade`: how good a connector is, and the rule that holds it back."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import typer

from ioc.connect import grade as grading
from ioc.connect import registry
from ioc.connect.commands._app import Json, app


@app.command()
def grade(
    connector: Annotated[str | None, typer.Argument(help="Folder in connectors/; without it, all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Run the rules and print each connector's grade: bronze, silver, gold, platinum. Exit code 1 when one is below gold."""
    found = [grading.grade(name) for name in ([connector] if connector else registry.names())]
    if as_json:
        typer.echo(json.dumps([msgspec.to_builtins(item) for item in found], ensure_ascii=False))
    else:
        for item in found:
            typer.echo(f"{item.grade:9} {item.connector}" + (f"   held back by {item.held_by}" if item.held_by else ""))
            for verdict in item.verdicts:
                if verdict.exempt:
                    typer.echo(f"          exempt from {verdict.rule}: {verdict.exempt}")
    raise typer.Exit(1 if any(grading.GRADES.index(item.grade) < grading.GRADES.index("gold") for item in found) else 0)
