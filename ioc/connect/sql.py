"""An agency's database as a source: one SELECT, read-only, in steps of so many rows along a column that only grows.

`postgresql+psycopg://user@host/name` comes with IOC; `mysql+pymysql://`, `mssql+pymssql://`, `oracle+oracledb://` need
their driver installed. The password is the feed's secret; a secret that holds `://` is the whole address (then `url: "sql:"`).
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from ioc.causes import because, unreached
from ioc.connect.errors import Fatal, Retriable, Unreachable, Unreadable

SCHEMES = ("sql", "postgresql", "mysql", "mariadb", "mssql", "oracle", "sqlite")
CONNECT_S = 10
_COLON = re.compile(r"(?<![:\w\\]):(?=\w)")
# SQLSTATE classes and codes that asking again does not heal: credentials, rights, syntax, unknown names.
_WRONG = ("28", "42", "3D", "3F")
_LOGIN_WORDS = ("authentication failed", "no password supplied")
_WRONG_WORDS = ("no such", "syntax error", *_LOGIN_WORDS)  # where there is no SQLSTATE
# How a database is told that this transaction only reads. SQL Server has no such word: give its user read rights only.
_READ_ONLY = {"postgresql": "SET TRANSACTION READ ONLY", "mysql": "SET TRANSACTION READ ONLY", "mariadb": "SET TRANSACTION READ ONLY", "oracle": "SET TRANSACTION READ ONLY", "sqlite": "PRAGMA query_only = ON"}
_LIMIT_MS = {"postgresql": "SET LOCAL statement_timeout = {ms}", "mysql": "SET SESSION MAX_EXECUTION_TIME = {ms}", "mariadb": "SET SESSION max_statement_time = {s}"}


def is_database(url: str) -> bool:
    """Is this the address of a database?"""
    return url.partition(":")[0].partition("+")[0] in SCHEMES


class Step(Struct, frozen=True):
    """Rows; `newest`: where the next step begins (it may bring the last rows again); `full`: there may be more."""

    rows: list[dict[str, Any]]
    newest: str
    full: bool


class Database:
    """The database of one feed. Each read is a connection and a transaction of its own, rolled back at its end."""

    def __init__(self, url: str, *, password: str | None = None, timeout_s: float = 10, max_bytes: int = 32_000_000) -> None:
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
        from sqlalchemy.pool import NullPool

        whole = password is not None and "://" in password
        try:
            address = sqlalchemy.make_url(password if whole and password else url)
            if address.password and not whole:
                raise Fatal("the url of a database holds no password; name it with `secret`")
            if password is not None and not whole:
                address = address.set(password=password)
            if address.drivername == "postgresql":
                address = address.set(drivername="postgresql+psycopg")
            self._kind = address.get_backend_name()
            given = {"connect_timeout": CONNECT_S} if self._kind in ("postgresql", "mysql", "mariadb") else {}
            self._engine = sqlalchemy.create_engine(address, poolclass=NullPool, connect_args=given)
        except (NoSuchModuleError, ModuleNotFoundError) as exc:
            raise Fatal(f"the driver of this database is not installed: {exc}; install it with pip where connect runs") from exc
        except ArgumentError as exc:
            raise Fatal("this is not the address of a database; write for example postgresql+psycopg://user@host/name") from exc
        self._at = f"the database {address.host or ''}/{address.database or ''}"
        self._host = address.host or address.database or self._kind
        self._timeout_s, self._max_bytes = timeout_s, max_bytes
        self.bytes_read = 0

    def close(self) -> None:
        """Let go of what is open."""
        self._engine.dispose()

    def rows(self, select: str, *, column: str = "", after: str = "", overlap_s: float = 0, most: int = 5000) -> Step:
        """Return at most `most` rows of `select` whose `column` is at least `after`, in its order; all without `column`.

        `after` is the `newest` of an earlier step; `overlap_s` is taken off where it is a time.

        Numbers come as int, float or exact text, times as ISO 8601. Raise `Fatal`, `Unreachable`, `Retriable`, `Unreadable`.
        """
        import sqlalchemy

        select = _COLON.sub(r"\\:", select.strip().rstrip(";"))  # a colon in the query is not a parameter of ours
        inner = sqlalchemy.text(f"({select}) AS ioc_rows" if self._kind != "oracle" else f"({select})")
        query = sqlalchemy.select(sqlalchemy.text("*")).select_from(inner)
        if column:
            grows: Any = sqlalchemy.literal_column(self._engine.dialect.identifier_preparer.quote(column))
            query = query.order_by(grows)
            if after:
                query = query.where(grows >= _less(_value(after), overlap_s))
        query = query.limit(most if column else most + 1)
        with self._reading() as connection:
            marks: list[Any] = [None]
            found = list(self._read(connection.execute(query, execution_options={"stream_results": True}), column, marks))
        if not column and len(found) > most:
            raise Unreadable("too_large", f"the query brings more than {most} rows", repair="name a column that only grows (source.sql.cursor), or ask for less")
        return Step(found, _mark(marks[0]) if column and found else after, full=len(found) == most)

    def _read(self, result: Any, column: str, marks: list[Any]) -> Iterator[dict[str, Any]]:
        started, size = time.monotonic(), 0
        for row in result.mappings():
            value = {name: _plain(cell) for name, cell in row.items()}
            if column:
                if column not in row:
                    raise Fatal(f"source.sql.cursor: the query brings no column {column}; it brings {', '.join(row)[:300]}", cause=self._because("query_refused"))
                marks[0] = row[column] if row[column] is not None else marks[0]
            size += len(msgspec.json.encode(value))
            if size > self._max_bytes:
                raise Unreadable("too_large", f"the rows have more than {self._max_bytes} bytes", repair="select fewer columns, or lower source.sql.size")
            if time.monotonic() - started > 5 * self._timeout_s:
                raise Unreachable(f"{self._at} took longer than {5 * self._timeout_s:.0f} s for one read", cause=self._because("query_slow"))
            yield value
        self.bytes_read += size

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        try:
            with self._engine.connect() as connection:
                if words := _READ_ONLY.get(self._kind):
                    connection.exec_driver_sql(words)
                if limit := _LIMIT_MS.get(self._kind):
                    connection.exec_driver_sql(limit.format(ms=int(self._timeout_s * 1000), s=self._timeout_s))
                yield connection
                connection.rollback()
        except DBAPIError as exc:
            raise self._said(exc) from exc
        except ModuleNotFoundError as exc:
            raise Fatal(f"the driver of this database is not installed: {exc}") from exc
        except SQLAlchemyError as exc:
            raise Retriable(f"{self._at}: {type(exc).__name__}") from exc

    def _said(self, exc: Any) -> Exception:
        """Sort a driver's error. Its text may quote rows, so only its first line goes on, and that shortened."""
        state = str(getattr(exc.orig, "sqlstate", None) or "")
        said = f"{self._at}: {type(exc.orig).__name__} {state}: {str(exc.orig).partition(chr(10))[0][:200]}"
        if state == "57014":
            return Retriable(f"{self._at}: the query took longer than {self._timeout_s:.0f} s; ask for less, or raise timeout_s", cause=self._because("query_slow"))
        if state.startswith(_WRONG) or (not state and (type(exc.orig).__name__ == "ProgrammingError" or any(words in said for words in _WRONG_WORDS))):
            code = "login_refused" if state.startswith("28") or any(words in said for words in _LOGIN_WORDS) else "no_right" if state == "42501" else "query_refused"
            return Fatal(f"{said}; check source.sql, the user's rights and the feed's secret", cause=self._because(code))
        if exc.connection_invalidated or type(exc).__name__ in ("OperationalError", "InterfaceError"):
            return Unreachable(said, cause=unreached(exc.orig, self._host))
        return Retriable(said)

    def _because(self, code: str) -> str:
        return because(code, host=self._host)


def _plain(cell: Any) -> Any:
    """A cell as JSON would have it."""
    if isinstance(cell, Decimal | uuid.UUID | timedelta):
        return str(cell)
    if isinstance(cell, datetime | date | time_of_day):
        return cell.isoformat()
    if isinstance(cell, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(cell)[:300]).decode()
    if isinstance(cell, list | tuple):
        return [_plain(item) for item in cell]
    return cell


def _mark(value: Any) -> str:
    """A value of the cursor column as text that says its type: it must be compared as what it is."""
    if isinstance(value, datetime):
        return f"time {value.isoformat()}"
    if isinstance(value, date):
        return f"date {value.isoformat()}"
    return f"{'number' if isinstance(value, int | float | Decimal) else 'text'} {value}"


def _value(mark: str) -> Any:
    kind, _, text = mark.partition(" ")
    if kind == "time":
        return datetime.fromisoformat(text)
    if kind == "date":
        return date.fromisoformat(text)
    if kind == "number":
        return int(text) if text.lstrip("-").isdigit() else Decimal(text)
    return text


def _less(value: Any, overlap_s: float) -> Any:
    if isinstance(value, date):
        return value - timedelta(seconds=overlap_s)
    if not isinstance(value, str):
        return value
    try:  # a time kept as text (SQLite, old systems) is compared as text, so it keeps its form
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return (at - timedelta(seconds=overlap_s)).isoformat(sep=value[10:11] or "T")[: len(value)] if len(value) > 10 else value
