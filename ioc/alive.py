"""`python -m ioc.alive NAME`: has this host's process NAME given a sign of life lately? For container health checks.

Exit code 0: yes. 1: no, or the database (where signs of life are kept) is away; the reason is printed.
"""

from __future__ import annotations

import socket
import sys

import psycopg

from ioc.config import load
from ioc.errors import UserError

FRESH_S = 30  # processes beat every 5 s

_LATEST = "SELECT extract(epoch FROM now() - max(seen_at))::float8 FROM service WHERE name = %s AND starts_with(instance, %s)"


def silence_s(dsn: str, name: str, host: str) -> float | None:
    """Return the seconds since the last sign of life of process `name` on `host`, None when there never was one."""
    with psycopg.connect(dsn, connect_timeout=5) as conn:
        row = conn.execute(_LATEST, (name, f"{host}:")).fetchone()
    return None if row is None else row[0]


def main(arguments: list[str]) -> int:
    """Return the exit code for `arguments` = [NAME]."""
    try:
        (name,) = arguments
        seconds = silence_s(load().database.dsn, name, socket.gethostname())
    except ValueError:
        return _no("one argument is needed: connect, ingest, jobs or web")
    except (UserError, psycopg.Error) as exc:
        return _no(str(exc).splitlines()[0])
    if seconds is None or seconds > FRESH_S:
        return _no(f"{name} on this host was last seen {f'{seconds:.0f} s ago' if seconds is not None else 'never'}")
    return 0


def _no(reason: str) -> int:
    sys.stdout.write(reason + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
