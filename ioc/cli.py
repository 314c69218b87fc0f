"""`ioc`: one entry point, few verbs. A user's mistake ends in one sentence and exit code 2."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import psycopg
import structlog
import typer

from ioc import __version__, reload
from ioc.clock import system_clock
from ioc.config import Config, load
from ioc.connect.commands import app as connector_app
from ioc.dlq import app as dlq_app
from ioc.embedded.up import DEFAULT_DATA_DIR, running_environment
from ioc.errors import Unavailable, UserError
from ioc.kpi.commands import app as kpi_app

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help="An intelligent operations centre for a province.")
token_app = typer.Typer(no_args_is_help=True, help="Tokens of sources, screens and viewers.")
app.add_typer(connector_app, name="connector")
app.add_typer(dlq_app, name="dlq")
app.add_typer(kpi_app, name="kpi")
app.add_typer(token_app, name="token")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _options(
    ctx: typer.Context,
    config: Annotated[Path | None, typer.Option(help="The province's file (default: config.yaml, or $IOC_CONFIG).")] = None,
    data_dir: Annotated[Path, typer.Option(help="Where `ioc up` keeps its data: other commands find the running system there.")] = DEFAULT_DATA_DIR,
) -> None:
    if config is not None:
        os.environ["IOC_CONFIG"] = str(config)
    if ctx.invoked_subcommand != "up":  # a second system must not be pointed at the first one's database
        for name, value in running_environment(data_dir).items():
            os.environ.setdefault(name, value)


def _config() -> Config:
    return load()


def _stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of the screens.")] = 8050,
    data_dir: Annotated[Path, typer.Option(help="Folder for everything that is kept.")] = DEFAULT_DATA_DIR,
    timescaledb: Annotated[bool, typer.Option("--timescaledb", help="Provide real TimescaleDB (root, Debian family).")] = False,
    kafka: Annotated[bool, typer.Option("--kafka", help="Provide real Apache Kafka (Java 17, Maven).")] = False,
    rate: Annotated[float | None, typer.Option(help="Simulated events a second.")] = None,
    speed: Annotated[float | None, typer.Option(help="Simulated time runs so much faster.")] = None,
    simulator: Annotated[bool, typer.Option(help="Serve the simulated province.")] = True,
) -> None:
    """Run the whole system on this machine; Ctrl-C stops all of it."""
    from ioc.embedded.up import up as run_up

    raise typer.Exit(run_up(port, data_dir, timescaledb=timescaledb, kafka=kafka, rate=rate, speed=speed, simulator=simulator))


@app.command()
def connect() -> None:
    """Ask every source, and publish what it says."""
    from ioc.bus import Publisher
    from ioc.connect import runner
    from ioc.store.cursors import Cursors
    from ioc.store.pool import open_pool

    def work(config: Config, until: threading.Event) -> None:
        publisher, pool = Publisher(config.broker), open_pool(config, max_size=4)
        beat = _beat(config, "connect", until)
        try:
            runner.run(config, publisher, Cursors(pool, publisher.topic_id), until, system_clock)
        finally:
            until.set()
            publisher.close()
            pool.close()
            beat.join(timeout=6)

    reload.serve(work, _stop_on_signals())


@app.command()
def ingest() -> None:
    """Store what is on the bus. Run as many as there are partitions to share."""
    from ioc import ingest as ingest_

    reload.serve(ingest_.run, _stop_on_signals())


@app.command()
def web() -> None:
    """Serve screens and API."""
    from ioc import web as web_

    stop, problem = _stop_on_signals(), reload.Problem()
    reload.serve(lambda config, until: web_.run(config, until, problem), stop, problem)


@app.command()
def jobs() -> None:
    """Run what must happen by the clock."""
    from ioc import jobs as jobs_

    reload.serve(jobs_.run, _stop_on_signals())


@app.command()
def simulate(
    rate: Annotated[float | None, typer.Option(min=0.01, max=10_000, help="Events a second, averaged over the day.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.01, max=10_000, help="How much faster than real time.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same day.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to serve on.")] = None,
    faults: Annotated[str, typer.Option(help="Faults to begin with, FEED:FAULT[,FEED:FAULT]; see the simulator's index page.")] = "",
) -> None:
    """Serve a simulated province behind the real protocols."""
    from ioc.simulator.server import serve

    config = _config()
    chosen = {name: value for name, value in (("rate", rate), ("speed", speed), ("seed", seed), ("port", port)) if value is not None}
    serve(config.model_copy(update={"simulator": config.simulator.model_copy(update=chosen)}), faults=faults)


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    from ioc.store.migrate import migrate as run_migrate

    config = _config()
    found = run_migrate(
        config.database.dsn,
        late_window_days=max((f.late_window_days for f in config.feeds), default=60),
        retention_days=max((f.retention_days for f in config.feeds), default=1095),
        say=typer.echo,
    )
    extension = f"TimescaleDB {found.timescaledb} ({found.edition})" if found.timescaledb else "without TimescaleDB"
    typer.echo(f"PostgreSQL {found.server}, {extension}: schema is up to date")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check configuration, database, schema, broker and feeds, one line each; exit code 1 when something is wrong."""
    from ioc.doctor import examine

    findings = examine(_config())
    if as_json:
        typer.echo(json.dumps([{"check": f.check, "ok": f.ok, "said": f.said} for f in findings], ensure_ascii=False))
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check}: {finding.said}")
    raise typer.Exit(0 if all(f.ok for f in findings) else 1)


@app.command()
def audit(as_json: Json = False) -> None:
    """Recompute everything from raw events and compare with what is shown; exit code 1 on a difference."""
    from ioc.kpi.commands import audit_command

    audit_command(as_json=as_json)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Whose it is: a source, a screen, a person.")],
    role: Annotated[str, typer.Option(help="source, screen or viewer.")],
    replace: Annotated[bool, typer.Option("--replace", help="End the token of that name and make a new one.")] = False,
    as_json: Json = False,
) -> None:
    """Make a token and print it: it cannot be read again."""
    from ioc import auth

    with _connection() as conn:
        token = auth.create(conn, name, role, system_clock(), replace=replace)
    typer.echo(json.dumps({"name": name, "role": role, "token": token}) if as_json else token)


@token_app.command("list")
def token_list(as_json: Json = False) -> None:
    """List tokens (never their secret)."""
    from ioc import auth

    with _connection() as conn:
        rows = auth.tokens(conn)
    if as_json:
        typer.echo(json.dumps(rows, default=str))
        return
    for row in rows:
        typer.echo(f"{row['name']}  {row['role']}  {'revoked ' + str(row['revoked_at']) if row['revoked_at'] else 'valid'}")


@token_app.command("revoke")
def token_revoke(name: Annotated[str, typer.Argument(help="The token's name.")]) -> None:
    """Make a token worthless within five seconds, on open screens too."""
    from ioc import auth

    with _connection() as conn:
        auth.revoke(conn, name, system_clock())
    typer.echo(f"{name} is revoked")


def _connection() -> psycopg.Connection[Any]:
    return psycopg.connect(_config().database.dsn, autocommit=True, connect_timeout=5)


def _beat(config: Config, name: str, stop: threading.Event) -> threading.Thread:
    import socket

    from ioc.store.services import Beat

    return Beat(config.database.dsn, name, f"{socket.gethostname()}:{os.getpid()}", system_clock).every(5, stop)


def _logging() -> None:
    """Structured lines on standard error: readable on a terminal, JSON elsewhere."""
    interactive = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if interactive else structlog.processors.JSONRenderer(ensure_ascii=False)
    processors: list[Any] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso")]
    if not interactive:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # our own lines say when the broker is away, once
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)


def main() -> None:
    """Run the command line."""
    _logging()
    try:
        app()
    except (UserError, Unavailable) as exc:
        typer.echo(f"ioc: {exc}", err=True)
        raise SystemExit(2) from exc
    except psycopg.errors.UndefinedTable as exc:
        typer.echo(f"ioc: the database has no such table ({str(exc).splitlines()[0]}); run `ioc migrate` first", err=True)
        raise SystemExit(2) from exc
    except psycopg.OperationalError as exc:
        typer.echo(f"ioc: cannot reach the database: {str(exc).strip().splitlines()[0]}", err=True)
        raise SystemExit(2) from exc
