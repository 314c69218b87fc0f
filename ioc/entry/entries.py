"""Figures typed by a person: entered by one, approved by a second one, then published like any other fact.

A feed of config.yaml with `connector: entry` names the figures that may be typed (`options.figures`). An entry carries
its period and the document it stands in. What becomes of it, each step with a row in the audit log:

    waiting -> approved (by somebody else) -> published
            -> rejected (with a reason)

Approved and published are two steps, so that a broker that is away loses nothing: `publish` sends what is approved, and
is run again every minute. The event's id is made of the entry, so sending it twice is sending it once.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import psycopg
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ioc import rights
from ioc.areas import Areas
from ioc.bus import Publisher
from ioc.clock import ICT
from ioc.config import Config, Feed, Words
from ioc.connect import fields, registry
from ioc.connect.convert import cleaned
from ioc.connect.declared import figures, values
from ioc.connect.errors import Skip
from ioc.doubts import doubt
from ioc.errors import Problem, UserError
from ioc.events import Event, Observation, check_time, make
from ioc.rights import Identity
from ioc.store.auditlog import audit
from ioc.store.sql import queries
from ioc.units import UnknownUnit, normal

Status: TypeAlias = Literal["waiting", "approved", "published", "rejected"]
LENGTHS = {"day": "P1D", "week": "P1W", "month": "P1M", "quarter": "P3M", "year": "P1Y"}
MOST_TEXT = 300  # characters of a document or a reason
_SQL = queries("entries")

Row: TypeAlias = dict[str, Any]


class Figure(BaseModel):
    """A figure that may be typed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Words
    unit: str = Field("1", description="UCUM; the typed number is in this unit.")
    period: Literal["day", "week", "month", "quarter", "year"] = Field(description="What a value is about.")
    low: float | None = Field(None, description="Below it a value is kept and marked as doubtful.")
    high: float | None = Field(None, description="Above it a value is kept and marked as doubtful.")

    @field_validator("unit")
    @classmethod
    def _known(cls, unit: str) -> str:
        try:
            return normal(unit)
        except UnknownUnit as exc:
            raise ValueError(str(exc)) from exc


class Options(BaseModel):
    """Options of a feed whose connector is `entry`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    figures: dict[str, Figure] = Field(min_length=1, description="Metric -> what it is.")


def figures_of(feed: Feed) -> dict[str, Figure]:
    """Return the figures of a feed; raise `UserError` naming feed and option, or saying that nothing is typed there."""
    if feed.connector != registry.ENTRY:
        raise UserError(f"feed {feed.feed} is read by {feed.connector}; figures are typed into feeds whose connector is {registry.ENTRY}")
    try:
        return Options.model_validate(feed.options).figures
    except ValidationError as exc:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise UserError(f"feed {feed.feed}: options: {said}") from exc


def enter(
    conn: psycopg.Connection[Any], config: Config, areas: Areas, who: Identity, *, feed: str, figure: str, value: str, period: str, document: str, area: str = "", at: datetime
) -> Row:
    """Note a typed figure, for somebody else to approve. `value` empty withdraws. Raise `UserError`."""
    _allowed(who)
    known = figures_of(config.feed(feed))
    if figure not in known:
        raise UserError(f"feed {feed} has no figure {figure!r}; it has {', '.join(known)}")
    rule = known[figure]
    if area and not areas.known(area):
        raise UserError(areas.why_unknown(area))
    try:
        read = figures.reference(period, "period")
        number = values.number(value, "value", "either") if value.strip() else None
    except Skip as exc:
        raise Problem("entry_number" if exc.field == "value" else "entry_period", f"{exc}; {exc.repair}", value=value, period=period) from exc
    if read.length != LENGTHS[rule.period]:
        raise Problem(f"entry_{rule.period}", f"{figure} is a figure of a {rule.period}; {period!r} is not one", period=period)
    if fields.start_of(read.start, ICT) > at:
        raise Problem("entry_begun", f"the period {period!r} has not begun", period=period)
    if not document.strip():
        raise Problem("entry_document", "document is empty: say in which report the figure stands (number, date)")
    row = {
        "feed": feed, "figure": figure, "area": area, "period": read.written, "begins": read.start, "length": read.length, "value": number, "unit": rule.unit,
        "document": document.strip()[:MOST_TEXT], "doubt": _doubt(figure, rule, number), "entered_by": who.name, "entered_at": at,
    }  # fmt: skip
    with conn.transaction():
        made = _one(conn, "enter", row)
        assert made is not None
        audit(conn, "entry", _name(made), _told(made), who=who, at=at)
    return made


def approve(conn: psycopg.Connection[Any], number: int, who: Identity, at: datetime) -> Row:
    """Approve another one's entry. Raise `UserError` for one's own, one that is decided, or none."""
    _allowed(who)
    return _decide(conn, number, who, at, "approved", "")


def reject(conn: psycopg.Connection[Any], number: int, who: Identity, reason: str, at: datetime) -> Row:
    """Reject an entry (one's own, too: that takes it back). Raise `UserError`."""
    _allowed(who)
    if not reason.strip():
        raise Problem("entry_reason", "say why: whoever entered it must know what to mend")
    return _decide(conn, number, who, at, "rejected", reason.strip()[:MOST_TEXT])


def _decide(conn: psycopg.Connection[Any], number: int, who: Identity, at: datetime, status: Status, reason: str) -> Row:
    with conn.transaction():
        row = _one(conn, "hold", {"id": number})
        if row is None:
            raise Problem("entry_none", f"there is no entry {number}", n=number)
        if row["status"] != "waiting":
            raise Problem("entry_decided", f"entry {number} is {row['status']} already, by {row['decided_by']}", n=number, name=row["decided_by"])
        if status == "approved" and row["entered_by"].casefold() == who.name.casefold():
            raise Problem("entry_own", f"entry {number} is your own: a second person must approve it", n=number)
        changed = _one(conn, "decide", {"status": status, "by": who.name, "at": at, "reason": reason, "id": number})
        assert changed is not None
        audit(conn, "approve" if status == "approved" else "reject", _name(changed), _told(changed), who=who, at=at)
    return changed


def publish(conn: psycopg.Connection[Any], publisher: Publisher, at: datetime) -> int:
    """Send what is approved and not yet published; return how many. Killed anywhere, the next run sends the same events."""
    with conn.transaction():
        rows = _all(conn, "approved", {})
        for row in rows:
            publisher.send(row["feed"], event_of(row))
        if rows:
            publisher.flush()
        for row in rows:
            conn.execute(_SQL["published"], {"at": at, "id": row["id"]})
            audit(conn, "publish", _name(row), _told(row), who=rights.SYSTEM, at=at)
    return len(rows)


def publish_now(conn: psycopg.Connection[Any], config: Config, at: datetime) -> int:
    """Publish with a producer of our own, if anything is approved; return how many. Raise `Unavailable`."""
    if conn.execute("SELECT 1 FROM entry WHERE status = 'approved' LIMIT 1").fetchone() is None:
        return 0
    publisher = Publisher(config.broker)
    try:
        return publish(conn, publisher, at)
    finally:
        publisher.close()


def event_of(row: Row) -> Event:
    """Return the fact an approved entry is. Its version is when it was approved: a later entry of the same period corrects it."""
    data = Observation(
        metric=row["figure"], value=row["value"], unit=row["unit"], area=row["area"] or None, period=row["length"], version=row["decided_at"], deleted=row["value"] is None,
        doubt=row["doubt"] or None, attributes={"document": row["document"], "written": row["period"]},
    )  # fmt: skip
    time = fields.start_of(row["begins"], ICT)
    check_time("time", time, row["decided_at"])
    subject = f"{row['figure']}:{row['area']}" if row["area"] else row["figure"]
    return make(f"/connectors/{registry.ENTRY}/{row['feed']}", subject, time, cleaned(data), row["id"])


def entries(conn: psycopg.Connection[Any], status: Status | None = None, limit: int = 100) -> list[Row]:
    """Return entries, newest first."""
    return _all(conn, "list", {"status": status, "limit": limit})


def _allowed(who: Identity) -> None:
    if not who.name or not rights.may(who, "edit"):
        raise UserError(f"{who.name or 'nobody'} ({who.role}) may not enter or decide on figures: that takes the role editor")


def _doubt(figure: str, rule: Figure, value: Decimal | None) -> str:
    if value is not None and rule.low is not None and value < Decimal(str(rule.low)):
        return doubt("below", what=figure, value=f"{value} {rule.unit}", limit=f"{rule.low:g}")
    return doubt("above", what=figure, value=f"{value} {rule.unit}", limit=f"{rule.high:g}") if value is not None and rule.high is not None and value > Decimal(str(rule.high)) else ""


def _name(row: Row) -> str:
    return f"entry {row['id']}: {row['feed']} {row['figure']} {row['area']}".strip()


def _told(row: Row) -> Row:
    return {name: row[name] for name in ("period", "value", "unit", "document", "doubt", "status", "reason") if row[name] not in ("", None)}


def _all(conn: psycopg.Connection[Any], name: str, params: Row) -> list[Row]:
    with conn.cursor(row_factory=dict_row) as cur:
        return cur.execute(_SQL[name], params).fetchall()


def _one(conn: psycopg.Connection[Any], name: str, params: Row) -> Row | None:
    return next(iter(_all(conn, name, params)), None)
