"""`ioc entry`: figures typed by a person, on the command line."""

from __future__ import annotations

import json
from typing import Annotated, Any

import psycopg
import typer

from ioc import areas as areas_
from ioc.clock import system_clock
from ioc.config import load
from ioc.connect import registry
from ioc.doubts import in_words
from ioc.entry.entries import Row, approve, enter, entries, figures_of, publish_now, reject
from ioc.errors import UserError
from ioc.rights import Identity

app = typer.Typer(no_args_is_help=True, help="Figures typed by a person, approved by a second one.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str, typer.Option("--by", help="Who does it: the name of an account of role editor or admin.")]


def _person(conn: psycopg.Connection[Any], name: str) -> Identity:
    """Return the account called `name` as who types the command; raise `UserError` when there is none that may."""
    row = conn.execute("SELECT role FROM account WHERE name = %s AND disabled_at IS NULL", (name,)).fetchone()
    if row is None:
        raise UserError(f"there is no account {name!r}")
    return Identity(name, row[0], "person", "command line")


def _say(row: Row, as_json: bool) -> None:
    typer.echo(json.dumps(row, default=str, ensure_ascii=False) if as_json else _line(row))


def _line(row: Row) -> str:
    said = f"{row['id']}  {row['status']}  {row['feed']}  {row['figure']} {row['area'] or 'province'}  {row['period']}: " + ("withdrawn" if row["value"] is None else f"{row['value']} {row['unit']}")
    said += f"  ({row['document']}; {row['entered_by']}" + (f", {row['decided_by']}" if row["decided_by"] else "") + ")"
    return said + (f"  doubtful: {in_words(row['doubt']).en}" if row["doubt"] else "") + (f"  because: {row['reason']}" if row["reason"] else "")


@app.command("list")
def list_(status: Annotated[str | None, typer.Option(help="Only waiting, approved, published or rejected ones.")] = None, limit: int = 100, as_json: Json = False) -> None:
    """List entries, newest first."""
    with psycopg.connect(load().database.dsn) as conn:
        rows = entries(conn, status, limit)  # type: ignore[arg-type]
    if as_json:
        typer.echo(json.dumps(rows, default=str, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(_line(row))
    if not rows:
        typer.echo("no entries")


@app.command("figures")
def figures_(as_json: Json = False) -> None:
    """List the figures that may be typed."""
    found = [
        {"feed": feed.feed, "figure": name, "title": rule.title.vi, "unit": rule.unit, "period": rule.period}
        for feed in load().feeds if feed.connector == registry.ENTRY for name, rule in figures_of(feed).items()
    ]  # fmt: skip
    for row in [] if as_json else found:
        typer.echo(f"{row['feed']}  {row['figure']}  {row['title']}, {row['unit']}, by {row['period']}")
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    elif not found:
        typer.echo("no feed of config.yaml has the connector 'entry'; see docs/connectors.md, \"Figures typed by hand\"")


@app.command()
def add(
    feed: Annotated[str, typer.Argument(help="The feed.")],
    figure: Annotated[str, typer.Argument(help="Which figure; `ioc entry figures` lists them.")],
    value: Annotated[str, typer.Argument(help="The number, in the figure's unit; '' withdraws what was published.")],
    period: Annotated[str, typer.Option(help="2026, 2026-Q3, 2026-11, 2026-W47 or 2026-11-24.")],
    document: Annotated[str, typer.Option(help="Where it stands: number and date of the report.")],
    by: By,
    area: Annotated[str, typer.Option(help="Five-digit code of the commune; the province without it.")] = "",
    as_json: Json = False,
) -> None:
    """Enter a figure; somebody else must approve it."""
    config = load()
    with psycopg.connect(config.database.dsn, autocommit=True) as conn:
        areas = areas_.load(config.province.code)
        row = enter(conn, config, areas, _person(conn, by), feed=feed, figure=figure, value=value, period=period, document=document, area=area, at=system_clock())
    _say(row, as_json)


@app.command("approve")
def approve_(number: Annotated[int, typer.Argument(help="Number of the entry.")], by: By, as_json: Json = False) -> None:
    """Approve another one's entry, and publish it."""
    config = load()
    with psycopg.connect(config.database.dsn, autocommit=True) as conn:
        row = approve(conn, number, _person(conn, by), system_clock())
        publish_now(conn, config, system_clock())
    _say(row, as_json)


@app.command("reject")
def reject_(number: Annotated[int, typer.Argument(help="Number of the entry.")], reason: Annotated[str, typer.Option(help="Why.")], by: By, as_json: Json = False) -> None:
    """Reject an entry, with the reason."""
    with psycopg.connect(load().database.dsn, autocommit=True) as conn:
        _say(reject(conn, number, _person(conn, by), reason, system_clock()), as_json)
