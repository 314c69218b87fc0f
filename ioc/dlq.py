"""`ioc dlq`: look at what could not be read, and try again after the cause was mended.

A replay reads the kept bytes through today's code: the connector that refused the record, or the envelope check for
events that came over the bus. What now reads well is published; event ids are derived from content, so a replay that
is repeated changes nothing. A letter whose texts were withheld is not replayed: what was withheld would become a value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from dataclasses import field as dataclass_field
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
from ioc.connect.connector import Record as Read
from ioc.connect.convert import convert
from ioc.connect.declared import Declared
from ioc.connect.decode import decode
from ioc.connect.errors import Unreadable
from ioc.connect.pump import source_of
from ioc.errors import UserError
from ioc.events import BadEvent, DeadLetter, Event, Observation, encode
from ioc.ingest import accept
from ioc.kpi import catalogue
from ioc.kpi.engine import Engine
from ioc.kpi.tile import Tile
from ioc.store import status
from ioc.store.auditlog import audit
from ioc.store.reader import Reader
from ioc.store.writer import Record, Writer

app = typer.Typer(no_args_is_help=True, help="Dead letters: records that could not be read.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Feed = Annotated[str | None, typer.Option("--feed", help="Only this feed's.")]


REHEARSAL = "rehearsal"  # a topic that is none
TRIES = 4
_WITHHELD = re.compile(rb"\[(?:withheld|deeper|a text of \d+ characters)\]")


@dataclass
class Retry:
    """What reading a dead letter again gave: events, or still a reason why not."""

    id: str
    feed: str
    cause: str
    field: str
    events: list[Event] = dataclass_field(default_factory=list)
    reason: str = ""


def read_again(letter: dict[str, Any], config: Config, areas: Areas) -> Retry:
    """Read the letter's bytes with today's code and configuration."""
    retry = Retry(letter["id"], letter["feed"], letter["cause"], letter["field"])
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
        document = decode(letter["record"].encode())
        lone = isinstance(connector, Declared) and document.kind == "json"  # a letter holds the record, not the list it stood in
        records = [Read(document.value)] if lone else connector.split(document, context)
    except Unreadable as exc:
        retry.reason = str(exc)
        return retry
    outcomes = [convert(connector, record, context) for record in records]
    retry.events = [event for outcome in outcomes if not isinstance(outcome, DeadLetter) for event in outcome]
    reasons = [outcome.message for outcome in outcomes if isinstance(outcome, DeadLetter)]
    retry.reason = "" if retry.events and not reasons else "; ".join(reasons) or "the kept bytes hold no record"
    if not retry.reason and any(_WITHHELD.search(encode(event)) for event in retry.events):
        retry.reason = f"texts of it were withheld when it was kept; read the source again: ioc connector rewind {retry.feed}"
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent, which KPIs would change and by how much.")] = False,
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
        moved = moves(config, areas, good) if good else []
        if not dry_run and good:
            _publish(config, good)
            with conn.transaction():
                conn.execute("UPDATE dead_letter SET replayed_at = %s WHERE id = ANY(%s)", (system_clock(), [retry.id for retry in good]))
                audit(conn, "dlq_replay", ", ".join(sorted({retry.feed for retry in good})), {"letters": len(good), "events": sum(len(r.events) for r in good)})
    groups = clustered(retries)
    if as_json:
        body = [{"id": r.id, "feed": r.feed, "cause": r.cause, "field": r.field, "events": [json.loads(encode(e)) for e in r.events], "reason": r.reason} for r in retries]
        typer.echo(json.dumps({"dry_run": dry_run, "clusters": groups, "letters": body, "kpis": moved}, ensure_ascii=False))
        return
    for group in groups:
        typer.echo(f"{group['feed']}  {group['cause']}{' in ' + group['field'] if group['field'] else ''}: {group['letters']} letters, {group['events']} events, {group['refused']} still refused")
        for reason in group["reasons"]:
            typer.echo(f"    still refused: {reason}")
    typer.echo(f"{sum(len(r.events) for r in good)} events of {len(good)} letters {'would be sent' if dry_run else 'sent'}; {len(retries) - len(good)} still refused")
    for kpi in moved:
        typer.echo(f"  {kpi['kpi']}: {_said(kpi['before'])} -> {_said(kpi['after'])} {kpi['unit']}" + ("" if kpi["change"] is None else f" ({kpi['change']:+g})"))
    if good and not moved:
        typer.echo("  no KPI changes")


def clustered(retries: list[Retry]) -> list[dict[str, Any]]:
    """Return the letters by feed, cause and field, the largest group first, each with at most three of the reasons that still hold."""
    groups: dict[tuple[str, str, str], dict[str, Any]] = {}
    for r in retries:
        group = groups.setdefault((r.feed, r.cause, r.field), {"feed": r.feed, "cause": r.cause, "field": r.field, "letters": 0, "events": 0, "refused": 0, "reasons": []})
        group["letters"] += 1
        group["events"] += len(r.events) if not r.reason else 0
        group["refused"] += bool(r.reason)
        if r.reason and r.reason not in group["reasons"] and len(group["reasons"]) < 3:
            group["reasons"].append(r.reason)
    return sorted(groups.values(), key=lambda group: -group["letters"])


def _said(value: float | None) -> str:
    return "nothing" if value is None else f"{value:g}"


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


def moves(config: Config, areas: Areas, retries: list[Retry]) -> list[dict[str, Any]]:
    """Return the KPIs these events change, the province's value before and after: {kpi, unit, before, after, change}.

    The events are stored by the very writer of ingest and the KPIs evaluated by the one engine, in a transaction that is
    rolled back; ingest may wait for it (a second or two). Somebody else's write in between makes it begin again.
    """
    engine = Engine(catalogue.load(config.kpis.catalogue), config, areas)
    changed: dict[str, set[str]] = {}
    for retry in retries:
        for event in retry.events:
            changed.setdefault(retry.feed, set()).add(event.data.metric if isinstance(event.data, Observation) else type(event.data).__name__.lower())
    kpis = sorted(engine.depends_on({feed: sorted(what) for feed, what in changed.items()}))
    with psycopg.connect(config.database.dsn) as conn:
        writer = Writer(conn)
        for left in reversed(range(TRIES)):
            try:
                before, after = _tried(writer, engine, kpis, retries)
                break
            except (psycopg.errors.SerializationFailure, psycopg.errors.UniqueViolation):
                if not left:
                    raise
    return [
        {"kpi": name, "unit": tile.unit, "before": before[name].value, "after": tile.value, "change": _change(before[name].value, tile.value)}
        for name, tile in after.items()
        if tile.value != before[name].value
    ]  # fmt: skip


def _tried(writer: Writer, engine: Engine, kpis: list[str], retries: list[Retry]) -> tuple[dict[str, Tile], dict[str, Tile]]:
    now = system_clock()
    with writer.conn.transaction(force_rollback=True):
        writer.conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader = Reader(writer.conn)
        before = engine.evaluate(reader, kpis, at=now)
        for number, feed in enumerate(sorted({retry.feed for retry in retries})):
            events = [event for retry in retries if retry.feed == feed for event in retry.events]
            writer.assign(REHEARSAL, number, REHEARSAL, feed)
            writer.write([Record(REHEARSAL, number, offset, feed, now, event=event) for offset, event in enumerate(events)], {REHEARSAL: REHEARSAL})
        return before, engine.evaluate(reader, kpis, at=now)


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else round(after - before, 9)
