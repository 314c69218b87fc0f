"""A database that is reached over TLS, its certificate and ours from the connection string: checked, not just encrypted."""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ioc.config import Config, Database
from ioc.embedded.postgres import Postgres
from ioc.store.migrate import migrate
from ioc.store.pool import open_pool


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a self-made certificate for 127.0.0.1 and its key; return their files."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who).issuer_name(who).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    cert, private = folder / f"{name}.crt", folder / f"{name}.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    private.chmod(0o600)
    return cert, private


def test_the_database_is_reached_over_tls_and_another_servers_certificate_is_refused(own_database: Postgres, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    other, _ = certificate(tmp_path, "other")
    with psycopg.connect(own_database.dsn(superuser=True), autocommit=True) as admin:
        (data,) = admin.execute("SHOW data_directory").fetchone() or ("",)
        root = own_database.install.root
        folder = Path(f"{root}{data}") if root is not None else Path(data)
        owner = folder.stat()
        for name, file in (("server.crt", cert), ("server.key", key)):
            (folder / name).write_bytes(file.read_bytes())
            (folder / name).chmod(0o600)
            os.chown(folder / name, owner.st_uid, owner.st_gid)
        admin.execute("ALTER SYSTEM SET ssl = on")
        admin.execute("SELECT pg_reload_conf()")
    plain = own_database.dsn()
    dsn = plain + ("&" if "?" in plain else "?") + "sslmode=verify-full&sslrootcert="
    for _ in range(50):  # the reload is not instantaneous
        try:
            psycopg.connect(f"{dsn}{cert}").close()
            break
        except psycopg.OperationalError:
            continue
    migrate(f"{dsn}{cert}")
    pool = open_pool(Config(database=Database(dsn=f"{dsn}{cert}")), max_size=1)
    try:
        with pool.connection(timeout=10) as conn:
            assert conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
    finally:
        pool.close()
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(f"{dsn}{other}")
