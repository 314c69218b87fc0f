"""`ioc connector new`: a folder that works as it stands."""

from __future__ import annotations

import json
import keyword
import re
from typing import Annotated, Literal

import typer

from ioc.connect import conformance, registry, templates
from ioc.connect.commands._app import Json, app
from ioc.errors import UserError

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
Kind = Literal["http_json", "http_csv", "http_xml", "spreadsheet", "sql", "mqtt"]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the connector, and of its folder.")],
    source: Annotated[Kind, typer.Option("--from", help="What it reads: JSON, CSV or XML over HTTP, spreadsheets dropped into a folder, rows of a database, or messages of a broker.")] = "http_json",
    as_json: Json = False,
) -> None:
    """Write connectors/NAME: connector.yaml, README, one recorded case and what it brings. Overwrites nothing."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} cannot be a connector's name; use small letters, digits and _, for example car_parks")
    folder = registry.folder(name)
    try:
        made = templates.write(folder, name, source)
    except FileExistsError as exc:
        raise UserError(f"{folder} is there already; nothing was changed") from exc
    except OSError as exc:
        raise UserError(f"{folder} cannot be written: {exc.strerror}") from exc
    connector = registry.get(name)
    for case in conformance.folders(name):
        conformance.accept(connector, case)
    wrote = [f"{folder.name}/{path}" for path in (*made, "testcases/first/expected.json")]
    following = f"change connector.yaml, record an answer of your source, then: ioc connector test {name} --accept"
    if as_json:
        typer.echo(json.dumps({"connector": name, "wrote": wrote, "next": following}))
        return
    for path in wrote:
        typer.echo(f"wrote {path}")
    typer.echo(f"next: {following}")
