"""A restore drill: what docs/deployment.md says brings back every row, and ingest can go on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import services as found

from ioc.embedded.postgres import Postgres
from ioc.store.auditlog import audit, verify
from ioc.store.migrate import migrate

FACT = """
INSERT INTO event (feed, kind, subject, time, key, content, received_at, version, area, id, source, data)
SELECT 'incident-reports', 2, 'SR-' || n, now() - n * interval '1 hour', gen_random_uuid(), gen_random_uuid(), now(), now(), '05443', n::text, '/x', '{}'
FROM generate_series(1, 3000) n
"""
OFFSET = """
INSERT INTO consumer_offset (topic, partition, topic_id, next_offset, feed, events) VALUES ('ioc.incident-reports', 0, 'x', 3000, 'incident-reports', 3000)
"""


def run(server: Postgres, program: str, *arguments: str) -> None:
    """Run a PostgreSQL program: the server's own, inside its folder when it has one."""
    install = server.install
    prefix = ["chroot", str(install.root)] if install.root is not None else []
    argv = [*prefix, str(install.bin / program), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def contents(dsn: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(dsn) as db:
        tables = [name for (name,) in db.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1")]
        return {name: db.execute(f"SELECT * FROM {name} t ORDER BY t::text").fetchall() for name in tables}  # type: ignore[arg-type]


def test_a_dump_restored_as_documented_is_the_same_database(own_database: Postgres, tmp_path: Path) -> None:
    documented = (found.REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
    dsn = own_database.dsn()
    migrate(dsn)
    with psycopg.connect(dsn) as db:
        db.execute(FACT)
        db.execute(OFFSET)
        audit(db, "entry", "a figure", {"value": 12.5})
    before = contents(dsn)
    assert len(before["event"]) == 3000

    root = own_database.install.root
    dump = (root / "tmp" if root is not None else tmp_path) / f"{own_database.folder.name}.dump"
    inside = str(own_database.install.inside(dump))
    admin = own_database.dsn(superuser=True)
    try:
        assert "pg_dump --username=ioc --format=custom" in documented
        run(own_database, "pg_dump", "--format=custom", "--file", inside, admin)
        with psycopg.connect(own_database.dsn("postgres", superuser=True), autocommit=True) as db:
            db.execute("DROP DATABASE ioc WITH (FORCE)")
            db.execute("CREATE DATABASE ioc OWNER ioc")
        hooks = own_database.install.timescaledb
        if hooks:
            sql(admin, "CREATE EXTENSION IF NOT EXISTS timescaledb", "SELECT timescaledb_pre_restore()")
        assert "pg_restore --username=ioc --dbname=ioc --no-owner --exit-on-error" in documented
        run(own_database, "pg_restore", "--dbname", admin, "--no-owner", "--exit-on-error", inside)
        if hooks:
            sql(admin, "SELECT timescaledb_post_restore()", "ANALYZE")
    finally:
        dump.unlink(missing_ok=True)
    assert contents(admin) == before
    with psycopg.connect(admin) as db:
        assert verify(db).rows == 1 and verify(db).problems == []


def sql(dsn: str, *statements: str) -> None:
    """Run statements as the documented psql lines do, and see that they are documented."""
    documented = (found.REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
    for statement in statements:
        assert f"'{statement}'" in documented
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute(statement)
