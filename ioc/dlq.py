"""`ioc dlq`: look at what could not be read, and try again after the cause was mended.

A replay reads the kept bytes through today's code: the connector that refused the record, or the envelope check for
events that came over the bus. What now reads well is published; event ids are derived from content, so a replay that
is repeated changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any

import psycopg
import typer

from ioc import areas as areas_
from ioc.areas import Areas
from ioc.bus import Publisher
from ioc.clock import system_clock
from ioc.config import Config, load
from ioc.connect import registry
from ioc.connect.connector import Context
from ioc.connect.convert import convert
from ioc.connect.decode import decode
from ioc.connect.errors import Unreadable
from ioc.connect.pump import source_of
from ioc.errors import UserError
from ioc.events import BadEvent, DeadLetter, Event, encode
from ioc.ingest import accept
from ioc.kpi import catalogue
from ioc.kpi.engine import Engine
from ioc.store import status

app = typer.Typer(no_args_is_help=True, help="Dead letters: records that could not be read.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Feed = Annotated[str | None, typer.Option("--feed", help="Only this feed's.")]


@dataclass
class Retry:
    """What reading a dead letter again gave: events, or still a reason why not."""

    id: str
    feed: str
    events: list[Event] = field(default_factory=list)
    reason: str = ""


def read_again(letter: dict[str, Any], config: Config, areas: Areas) -> Retry:
    """Read the letter's bytes with today's code and configuration."""
    retry = Retry(letter["id"], letter["feed"])
    now = system_clock()
    if letter["cause"] == "contradiction":
        retry.reason = "it contradicts an event that is stored; the source must send the change with a new id"
        return retry
    try:
        retry.events = [accept(letter["record"].encode(), now, areas)]
        return retry
    except BadEvent as exc:
        retry.reason = str(exc)
    feed = config.feed(letter["feed"])
    if feed.connector in registry.PASSIVE or letter["connector"] == "ingest":
        return retry
    connector = registry.get(feed.connector)
    context = Context(feed, registry.options_of(connector, feed), areas, now, source_of(connector, feed))
    try:
        records = connector.split(decode(letter["record"].encode()), context)
    except Unreadable as exc:
        retry.reason = str(exc)
        return retry
    outcomes = [convert(connector, record, context) for record in records]
    retry.events = [event for outcome in outcomes if not isinstance(outcome, DeadLetter) for event in outcome]
    reasons = [outcome.message for outcome in outcomes if isinstance(outcome, DeadLetter)]
    retry.reason = "" if retry.events and not reasons else "; ".join(reasons) or "the kept bytes hold no record"
    return retry


def _letters(conn: psycopg.Connection[Any], feed: str | None, ids: list[str], limit: int) -> list[dict[str, Any]]:
    letters = status.dead_letters(conn, feed, limit)
    if not ids:
        return letters
    chosen = [letter for letter in letters if any(letter["id"].startswith(i) for i in ids)]
    if not chosen:
        raise UserError(f"no dead letter has an id that begins with {', '.join(ids)}")
    return chosen


@app.command("list")
def list_(feed: Feed = None, limit: int = 100, as_json: Json = False) -> None:
    """List dead letters by cause, newest first."""
    with psycopg.connect(load().database.dsn) as conn:
        rows = [row for row in status.dead_letter_causes(conn, limit) if feed in (None, row["feed"])]
    if as_json:
        typer.echo(json.dumps(rows, default=str, ensure_ascii=False))
        return
    if not rows:
        typer.echo("no dead letters")
    for row in rows:
        typer.echo(f"{row['feed']}  {row['cause']}{' in ' + row['field'] if row['field'] else ''}: {row['n']} records, met {row['times']} times, last {row['last_at']:%Y-%m-%d %H:%M}")
        typer.echo(f"    {row['message']}" + (f"  -> {row['repair']}" if row["repair"] else ""))


@app.command()
def show(feed: Feed = None, limit: int = 20, ids: Annotated[list[str] | None, typer.Argument(help="Beginnings of ids.")] = None, as_json: Json = False) -> None:
    """Show dead letters whole: bytes as received (without personal data), cause, repair."""
    with psycopg.connect(load().database.dsn) as conn:
        rows = _letters(conn, feed, ids or [], max(limit, 10_000 if ids else limit))
    if as_json:
        typer.echo(json.dumps(rows, default=str, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['id']}  {row['feed']}  {row['cause']}  {row['connector']}  first {row['first_at']:%Y-%m-%d %H:%M}, met {row['times']} times")
        typer.echo(f"    {row['message']}" + (f"  -> {row['repair']}" if row["repair"] else ""))
        typer.echo(f"    {row['record'][:500]}")


@app.command()
def replay(
    feed: Feed = None,
    ids: Annotated[list[str] | None, typer.Argument(help="Beginnings of ids; without them, all of the feed.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent and which KPIs would move.")] = False,
    limit: int = 1000,
    as_json: Json = False,
) -> None:
    """Read dead letters again with today's code, and publish what now reads well."""
    config = load()
    areas = areas_.load(config.province.code)
    if not ids and feed is None:
        raise UserError("say which: ids, or --feed NAME for all of a feed")
    with psycopg.connect(config.database.dsn, autocommit=True) as conn:
        retries = [read_again(letter, config, areas) for letter in _letters(conn, feed, ids or [], limit)]
        good = [retry for retry in retries if not retry.reason]
        if not dry_run and good:
            _publish(config, good)
            conn.execute("UPDATE dead_letter SET replayed_at = %s WHERE id = ANY(%s)", (system_clock(), [retry.id for retry in good]))
    moved = _moved(config, areas, good)
    if as_json:
        body = [{"id": r.id, "feed": r.feed, "events": [json.loads(encode(e)) for e in r.events], "reason": r.reason} for r in retries]
        typer.echo(json.dumps({"dry_run": dry_run, "letters": body, "kpis": moved}, ensure_ascii=False))
        return
    for retry in retries:
        typer.echo(f"{retry.id[:12]}  {retry.feed}  " + (f"still refused: {retry.reason}" if retry.reason else f"{len(retry.events)} events"))
    verb = "would be sent" if dry_run else "sent"
    typer.echo(f"{sum(len(r.events) for r in good)} events of {len(good)} letters {verb}; {len(retries) - len(good)} still refused" + (f"; KPIs that may move: {', '.join(moved)}" if moved else ""))


def _publish(config: Config, retries: list[Retry]) -> None:
    publisher = Publisher(config.broker)
    try:
        publisher.ensure_topics([feed.feed for feed in config.feeds])
        for retry in retries:
            for event in retry.events:
                publisher.send(retry.feed, event)
        publisher.flush()
    finally:
        publisher.close()


def _moved(config: Config, areas: Areas, retries: list[Retry]) -> list[str]:
    """Return the KPIs that read what these events speak of."""
    changed: dict[str, set[str]] = {}
    for retry in retries:
        for event in retry.events:
            what = getattr(event.data, "metric", None) or type(event.data).__name__.lower()
            changed.setdefault(retry.feed, set()).add(what)
    engine = Engine(catalogue.load(config.kpis.catalogue), config, areas)
    return sorted(engine.depends_on({feed: sorted(what) for feed, what in changed.items()}))
