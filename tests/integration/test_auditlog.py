"""The audit log: nothing in it can be changed or removed without being named."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ioc.rights import SYSTEM, Identity
from ioc.store.auditlog import audit, entries, verify

AN = Identity("an.nguyen", "editor", "person", "10.0.0.7")
AT = datetime(2026, 11, 24, 8, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as conn:
        for n in range(1, 6):
            audit(conn, "entry", f"figure {n}", {"value": n + 0.5, "reason": "Số liệu quý, đã đối chiếu"}, who=AN, at=AT + timedelta(minutes=n))
        yield conn


def tamper(conn: psycopg.Connection[Any], *statements: str) -> None:
    """What the database's owner can do; nobody else gets past the trigger."""
    conn.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
    for statement in statements:
        conn.execute(statement)  # type: ignore[arg-type]
    conn.execute("ALTER TABLE audit_log ENABLE TRIGGER USER")


def found(conn: psycopg.Connection[Any], **options: str) -> list[tuple[int, str]]:
    return [(p["seq"], p["problem"]) for p in verify(conn, **options).problems]


def test_an_untouched_log_is_intact_and_reads_newest_first(db: psycopg.Connection[Any]) -> None:
    verdict = verify(db)
    assert verdict.problems == [] and verdict.rows == 5 and verdict.head.startswith("5:")
    newest = entries(db, limit=2)
    assert [row["subject"] for row in newest] == ["figure 5", "figure 4"]
    assert newest[0]["detail"] == {"value": 5.5, "reason": "Số liệu quý, đã đối chiếu"}
    assert (newest[0]["actor"], newest[0]["role"], newest[0]["address"]) == ("an.nguyen", "editor", "10.0.0.7")
    assert [row["seq"] for row in entries(db, before=3)] == [2, 1]
    assert entries(db, action="login") == [] and len(entries(db, actor="an.nguyen")) == 5


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor = 'x' WHERE seq = 3", "DELETE FROM audit_log WHERE seq = 3", "TRUNCATE audit_log"])
def test_the_log_refuses_to_be_changed(db: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        db.execute(statement)  # type: ignore[arg-type]
    assert verify(db).rows == 5


@pytest.mark.parametrize(
    ("column", "value"),
    [("actor", "'binh'"), ("role", "'admin'"), ("action", "'login'"), ("subject", "'x'"), ("detail", """'{"value": 99}'"""), ("address", "''"), ("at", "at + interval '1 microsecond'")],
)
def test_a_changed_row_is_named(db: psycopg.Connection[Any], column: str, value: str) -> None:
    tamper(db, f"UPDATE audit_log SET {column} = {value} WHERE seq = 3")
    problems = found(db)
    assert [seq for seq, _ in problems] == [3]
    assert "row 3" in problems[0][1] and "was changed" in problems[0][1]


def test_a_row_forged_together_with_its_hash_is_named_too(db: psycopg.Connection[Any]) -> None:
    from ioc.store import auditlog

    row = next(auditlog._rows(db, "WHERE seq = 3")) | {"actor": "binh"}
    tamper(db, f"UPDATE audit_log SET actor = 'binh', hash = '{auditlog.digest(row)}' WHERE seq = 3")
    assert found(db) == [(3, "row 3 was replaced: row 4 was written after another one")]


def test_removed_rows_are_named_in_the_middle_at_the_end_and_all_of_them(db: psycopg.Connection[Any]) -> None:
    tamper(db, "DELETE FROM audit_log WHERE seq = 2")
    assert found(db) == [(2, "row 2 was removed")]
    tamper(db, "DELETE FROM audit_log WHERE seq = 5")
    assert (5, "the end was cut off: the log went up to row 5, now it ends at 4") in found(db)
    tamper(db, "DELETE FROM audit_log")
    assert found(db) == [(1, "the end was cut off: the log went up to row 5, now it ends at 0")]


def test_a_chain_written_anew_is_seen_by_a_head_kept_elsewhere(db: psycopg.Connection[Any]) -> None:
    kept = verify(db).head
    audit(db, "login", "an.nguyen", who=AN)
    assert found(db, expect=kept) == []
    tamper(db, "DELETE FROM audit_log", "UPDATE audit_head SET seq = 0, hash = ''")
    for n in range(6):
        audit(db, "entry", f"another {n}", who=AN)
    assert found(db) == []
    assert [seq for seq, _ in found(db, expect=kept)] == [5]


def test_nothing_secret_and_nothing_endless_is_written(db: psycopg.Connection[Any]) -> None:
    audit(db, "account", "x" * 9000, {"password": "hunter2hunter2", "new": {"client_secret": "s3cret"}, "text": "y" * 9000, "bad": "a\x00b\ud800"}, who=SYSTEM)
    row = entries(db, limit=1)[0]
    assert "hunter2" not in json.dumps(row, default=str) and "s3cret" not in json.dumps(row, default=str)
    assert len(row["subject"]) == len(row["detail"]["text"]) == 2000
    assert verify(db).problems == []


def test_a_change_that_is_taken_back_leaves_no_row_and_no_gap(db: psycopg.Connection[Any]) -> None:
    with pytest.raises(RuntimeError), db.transaction():
        audit(db, "role", "an.nguyen", who=AN)
        raise RuntimeError
    audit(db, "login", "an.nguyen", who=AN)
    assert verify(db).problems == [] and verify(db).head.startswith("6:")


def test_many_writers_make_one_chain(db: psycopg.Connection[Any], database: str) -> None:
    def write(n: int) -> None:
        with psycopg.connect(database, autocommit=True) as conn:
            for i in range(10):
                audit(conn, "login", f"{n}-{i}", who=AN)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(db).problems == [] and verify(db).rows == 45
