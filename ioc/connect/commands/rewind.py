"""`ioc connector rewind`: let a feed be read again from a time, or from as far back as it is kept."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated

import psycopg
import typer

from ioc.clock import read_time, system_clock
from ioc.config import load
from ioc.connect import registry
from ioc.connect.commands._app import Json, app
from ioc.errors import UserError
from ioc.store.auditlog import audit
from ioc.store.cursors import rewind as set_back


@app.command()
def rewind(
    feed: Annotated[str, typer.Argument(help="Feed of config.yaml.")],
    to: Annotated[str, typer.Option("--to", help="From when on the source is read again: ISO 8601 with offset.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="As far back as the feed's late_window_days.")] = False,
    as_json: Json = False,
) -> None:
    """Set a feed back: its next poll reads the source again. What is stored already is recognised, and counts once."""
    config = load()
    found = config.feed(feed)
    if found.connector in registry.PASSIVE:
        raise UserError(f"{feed} is pushed to us; there is no source to read again")
    if bool(to) == everything:
        raise UserError("say how far: --to 2026-11-22T00:00:00+07:00, or --all")
    now = system_clock()
    oldest = now - timedelta(days=found.late_window_days)
    since = oldest if everything else read_time(to, f"--to {to!r}")
    if since > now:
        raise UserError(f"{to} lies ahead")
    if since < oldest and not everything:
        raise UserError(f"{feed} is kept open to corrections for {found.late_window_days} days, since {oldest:%Y-%m-%d}; raise late_window_days to go further back")
    with psycopg.connect(config.database.dsn, autocommit=True, connect_timeout=5) as conn, conn.transaction():
        if not set_back(conn, feed, since):
            raise UserError(f"{feed} was never read; there is nothing to set back")
        audit(conn, "rewind", feed, {"from": since.isoformat()})
    if as_json:
        typer.echo(json.dumps({"feed": feed, "from": since.isoformat()}))
    else:
        typer.echo(f"{feed} is read again from {since.isoformat(timespec='seconds')} at its next poll (sources that cannot be asked by time: whole)")
