"""The audit log: what people and programs did, append-only, each row chained to the one before by its hash.

`audit` is called in the transaction of the change it tells of, so neither is there without the other. `verify` finds
rows that were changed, removed or put in between, and names them. Against somebody who rewrites the whole chain, keep
a head (`ioc audit --log`, or the nightly line in the log of jobs) elsewhere and ask with `--expect`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import psycopg

from ioc import rights
from ioc.clock import system_clock

Action: TypeAlias = Literal[
    "login", "login_failed", "logout", "logout_everywhere", "password", "invite", "account", "role", "disable", "enable",
    "token", "token_revoked", "configuration", "export", "dlq_replay", "rewind", "acknowledge", "assign", "entry", "approve",
    "reject", "annotate", "publish", "alert",
]  # fmt: skip

TEXT = 2_000  # characters kept of one text
_SECRET = ("password", "token", "secret", "cookie", "authorization", "key", "hash", "dsn")
_COLUMNS = "seq, at, actor, role, action, subject, detail::text, address, previous, hash"


def audit(
    conn: psycopg.Connection[Any], action: Action, subject: str, detail: dict[str, Any] | None = None, *, who: rights.Identity | None = None, at: datetime | None = None
) -> int:
    """Append a row and return its number. `who`: by default whose request is being answered.

    `subject` is what it was done to (an account, a KPI, an entry); `detail` a small JSON object. Values under names
    such as "password" are left out, long texts are cut.
    """
    who = who or rights.current()
    row: dict[str, Any] = {
        "at": (at or system_clock()).astimezone(UTC),
        "actor": who.name or "public",
        "role": who.role,
        "action": action,
        "subject": _text(subject),
        "detail": json.dumps(_clean(detail or {}), ensure_ascii=False, sort_keys=True, default=str),
        "address": who.address,
    }
    with conn.transaction():
        head = conn.execute("SELECT seq, hash FROM audit_head FOR UPDATE").fetchone()
        assert head is not None, "audit_head has one row, always"
        row = {"seq": head[0] + 1} | row | {"previous": head[1]}
        row["hash"] = digest(row)
        conn.execute(
            "INSERT INTO audit_log (seq, at, actor, role, action, subject, detail, address, previous, hash)"
            " VALUES (%(seq)s, %(at)s, %(actor)s, %(role)s, %(action)s, %(subject)s, %(detail)s, %(address)s, %(previous)s, %(hash)s)",
            row,
        )
        conn.execute("UPDATE audit_head SET seq = %(seq)s, hash = %(hash)s", row)
    return int(row["seq"])


def _text(value: str) -> str:
    """What the database can keep of a text."""
    return value.replace("\x00", "")[:TEXT].encode("utf-8", "replace").decode()


def _clean(value: Any, name: str = "") -> Any:
    if any(word in name.lower() for word in _SECRET):
        return "(left out)"
    if isinstance(value, dict):
        return {str(key): _clean(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return _text(value) if isinstance(value, str) else value


def digest(row: dict[str, Any]) -> str:
    """Return the hash of a row: of its columns in order, the hash before included."""
    at: datetime = row["at"]
    columns = [row["seq"], at.astimezone(UTC).isoformat(timespec="microseconds"), *(row[name] for name in ("actor", "role", "action", "subject", "detail", "address", "previous"))]
    return hashlib.sha256(json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


@dataclass
class Verdict:
    """What `verify` found. `problems`: one sentence each, with the row it is about; `head` is "SEQ:HASH"."""

    rows: int = 0
    head: str = "0:"
    problems: list[dict[str, Any]] = field(default_factory=list)

    def found(self, seq: int, problem: str) -> None:
        self.problems.append({"seq": seq, "problem": problem})


def verify(conn: psycopg.Connection[Any], expect: str = "") -> Verdict:
    """Follow the chain from its beginning. `expect`: a head "SEQ:HASH" seen earlier, which must still be a row."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")  # rows and head of one moment; nobody waits for us
        return _verify(conn, expect)


def _verify(conn: psycopg.Connection[Any], expect: str) -> Verdict:
    verdict, seq, link = Verdict(), 0, ""
    wanted_seq, _, wanted_hash = expect.partition(":")
    seen = not expect or expect == "0:"
    for row in _rows(conn, "ORDER BY seq"):
        verdict.rows += 1
        if row["seq"] > seq + 1:
            gap = f"row {seq + 1} was" if row["seq"] == seq + 2 else f"rows {seq + 1} to {row['seq'] - 1} were"
            verdict.found(seq + 1, f"{gap} removed")
        elif row["previous"] != link:
            verdict.found(seq, f"row {seq} was replaced: row {row['seq']} was written after another one")
        if digest(row) != row["hash"]:
            verdict.found(row["seq"], f"row {row['seq']} ({row['action']} of {row['subject']!r} by {row['actor']}, {row['at']:%Y-%m-%d %H:%M:%S} UTC) was changed")
        seq, link = row["seq"], row["hash"]
        seen = seen or (str(seq) == wanted_seq and link == wanted_hash)
    head = conn.execute("SELECT seq, hash FROM audit_head").fetchone() or (0, "")
    if head[0] > seq:
        verdict.found(seq + 1, f"the end was cut off: the log went up to row {head[0]}, now it ends at {seq}")
    elif head != (seq, link):
        verdict.found(seq, f"the newest row is not the one that was written last (row {head[0]})")
    if not seen:
        verdict.found(int(wanted_seq) if wanted_seq.isdigit() else 0, f"the chain does not contain {expect}: it was written anew since then")
    verdict.head = f"{seq}:{link}"
    return verdict


def entries(conn: psycopg.Connection[Any], *, limit: int = 100, before: int | None = None, action: str = "", actor: str = "") -> list[dict[str, Any]]:
    """Return rows newest first, with `detail` as an object; `before`: only older than this row."""
    found = _rows(
        conn,
        "WHERE (%(before)s::bigint IS NULL OR seq < %(before)s) AND (%(action)s = '' OR action = %(action)s) AND (%(actor)s = '' OR actor = %(actor)s)"
        " ORDER BY seq DESC LIMIT %(limit)s",
        {"before": before, "action": action, "actor": actor, "limit": limit},
    )
    return [row | {"detail": json.loads(row["detail"])} for row in found]


def _rows(conn: psycopg.Connection[Any], rest: Any, values: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    names = ("seq", "at", "actor", "role", "action", "subject", "detail", "address", "previous", "hash")
    with conn.transaction(), conn.cursor("auditlog") as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM audit_log {rest}".encode(), values)  # noqa: S608 - only our own words
        for row in cursor:
            yield dict(zip(names, row, strict=True))
