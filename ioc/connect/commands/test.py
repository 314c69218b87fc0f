"""`ioc connector test`: replay a connector's recorded cases."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ioc.connect import conformance, registry
from ioc.connect.commands._app import Json, app
from ioc.errors import UserError


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
