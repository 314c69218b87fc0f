"""`ioc`: one entry point, few verbs. A user's mistake ends in one sentence and exit code 2."""

from __future__ import annotations

import getpass
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

from ioc import __version__, reload, rights
from ioc.clock import system_clock
from ioc.config import Config, load
from ioc.connect.commands import app as connector_app
from ioc.dlq import app as dlq_app
from ioc.embedded.up import DEFAULT_DATA_DIR, running_environment
from ioc.entry.commands import app as entry_app
from ioc.errors import Unavailable, UserError
from ioc.kpi.commands import app as kpi_app

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help="An intelligent operations centre for a province.")
token_app = typer.Typer(no_args_is_help=True, help="Tokens of sources, screens and viewers.")
app.add_typer(connector_app, name="connector")
app.add_typer(dlq_app, name="dlq")
app.add_typer(entry_app, name="entry")
app.add_typer(kpi_app, name="kpi")
app.add_typer(token_app, name="token")
user_app = typer.Typer(no_args_is_help=True, help="Accounts of people.")
app.add_typer(user_app, name="user")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _options(
    ctx: typer.Context,
    config: Annotated[Path | None, typer.Option(help="The province's file (default: config.yaml, or $IOC_CONFIG).")] = None,
    data_dir: Annotated[Path, typer.Option(help="Where `ioc up` keeps its data: other commands find the running system there.")] = DEFAULT_DATA_DIR,
) -> None:
    if ctx.invoked_subcommand not in ("up", "connect", "ingest", "web", "jobs", "simulate"):  # those act for nobody of themselves
        rights.act_as(rights.Identity(f"cli:{_user()}", "admin", "program"))
    if config is not None:
        os.environ["IOC_CONFIG"] = str(config)
    if ctx.invoked_subcommand != "up":  # a second system must not be pointed at the first one's database
        for name, value in running_environment(data_dir).items():
            os.environ.setdefault(name, value)
    ctx.obj = data_dir


def _user() -> str:
    """Whose hands are on the keyboard, for the audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in a container
        return str(os.getuid())


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
    ctx: typer.Context,
    port: Annotated[int, typer.Option(help="Port of the screens.")] = 8050,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for everything that is kept.", show_default=str(DEFAULT_DATA_DIR))] = None,
    timescaledb: Annotated[bool, typer.Option("--timescaledb", help="Provide real TimescaleDB (root, Debian family).")] = False,
    kafka: Annotated[bool, typer.Option("--kafka", help="Provide real Apache Kafka (Java 17, Maven).")] = False,
    rate: Annotated[float | None, typer.Option(help="Simulated events a second.")] = None,
    speed: Annotated[float | None, typer.Option(help="Simulated time runs so much faster.")] = None,
    simulator: Annotated[bool, typer.Option(help="Serve the simulated province.")] = True,
) -> None:
    """Run the whole system on this machine; Ctrl-C stops all of it."""
    from ioc.embedded.up import up as run_up

    raise typer.Exit(run_up(port, data_dir or ctx.obj, timescaledb=timescaledb, kafka=kafka, rate=rate, speed=speed, simulator=simulator))


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
    from dashboards.leaders.brief import letter
    from ioc import jobs as jobs_

    reload.serve(lambda config, until: jobs_.run(config, until, compose=letter), _stop_on_signals())


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
def audit(
    log: Annotated[bool, typer.Option("--log", help="Check the audit log instead: was a row changed, removed, put in between?")] = False,
    expect: Annotated[str, typer.Option("--expect", help="With --log: a head (SEQ:HASH) printed earlier, which must still be in the chain.")] = "",
    as_json: Json = False,
) -> None:
    """Recompute everything from raw events and compare with what is shown; exit code 1 on a difference."""
    from ioc.kpi.commands import audit_command

    if log or expect:
        _audit_log(expect, as_json)
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
def token_revoke(name: Annotated[str, typer.Argument(help="The token's name.")], as_json: Json = False) -> None:
    """Make a token worthless within five seconds, on open screens too."""
    from ioc import auth

    with _connection() as conn:
        auth.revoke(conn, name, system_clock())
    _told({"name": name, "revoked": True}, f"{name} is revoked", as_json)


def _audit_log(expect: str, as_json: bool) -> None:
    from ioc.store.auditlog import verify

    with _connection() as conn:
        verdict = verify(conn, expect)
    if as_json:
        typer.echo(json.dumps({"rows": verdict.rows, "head": verdict.head, "intact": not verdict.problems, "problems": verdict.problems}, ensure_ascii=False))
    else:
        for problem in verdict.problems:
            typer.echo(f"FAIL  {problem['problem']}")
        typer.echo(f"{verdict.rows} rows, {'intact' if not verdict.problems else 'NOT intact'}; head {verdict.head}")
    raise typer.Exit(1 if verdict.problems else 0)


# -- accounts ----------------------------------------------------------------------------------------------------------

Name = Annotated[str, typer.Argument(help="The account's name.")]


def _link(key: str) -> str:
    web = _config().web
    return f"{(web.url or f'http://{web.host}:{web.port}').rstrip('/')}/welcome/{key}"


def _told(body: dict[str, Any], sentence: str, as_json: bool) -> None:
    typer.echo(json.dumps(body, default=str, ensure_ascii=False) if as_json else sentence)


@user_app.command("create")
def user_create(
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, operator, editor or admin.")],
    title: Annotated[str, typer.Option(help="Person or post.")] = "",
    as_json: Json = False,
) -> None:
    """Make an account and print a one-time link, by which its owner chooses a password."""
    from ioc.accounts import people

    with _connection() as conn, conn.transaction():
        made = people.create(conn, name, role, system_clock(), title=title)
        link = _link(people.invite(conn, made, system_clock()))
    _told({"name": made, "role": role, "link": link}, link, as_json)


@user_app.command("list")
def user_list(as_json: Json = False) -> None:
    """List accounts: name, role, state, last login."""
    from ioc.accounts import people

    with _connection() as conn:
        rows = people.accounts(conn)
    if as_json:
        typer.echo(json.dumps(rows, default=str, ensure_ascii=False))
        return
    for row in rows:
        state = "disabled" if row["disabled_at"] else "active" if row["password_at"] or row["issuer"] else "no password yet"
        last = f"last login {row['last_login_at']:%Y-%m-%d %H:%M}" if row["last_login_at"] else "never signed in"
        typer.echo(f"{row['name']}  {row['role']}  {state}  {last}")


@user_app.command("role")
def user_role(name: Name, role: Annotated[str, typer.Argument(help="viewer, operator, editor or admin.")], as_json: Json = False) -> None:
    """Give another role; in force within five seconds, on open pages too."""
    from ioc.accounts import people

    with _connection() as conn:
        people.set_role(conn, name, role, system_clock())
    _told({"name": name, "role": role}, f"{name} has the role {role}", as_json)


@user_app.command("password")
def user_password(
    name: Name,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the password from standard input instead of printing a link.")] = False,
    as_json: Json = False,
) -> None:
    """Print a one-time link for a new password (or set one from standard input, which ends the account's sessions)."""
    from ioc.accounts import people

    with _connection() as conn:
        if stdin:
            people.set_password(conn, name, sys.stdin.readline().rstrip("\r\n"), system_clock())
            _told({"name": name}, f"{name} has a new password", as_json)
        else:
            link = _link(people.invite(conn, name, system_clock()))
            _told({"name": name, "link": link}, link, as_json)


@user_app.command("disable")
def user_disable(name: Name, undo: Annotated[bool, typer.Option("--undo", help="Let the account in again.")] = False, as_json: Json = False) -> None:
    """Let nobody in by this account any more; its sessions end within five seconds."""
    from ioc.accounts import people

    with _connection() as conn:
        (people.enable if undo else people.disable)(conn, name, system_clock())
    _told({"name": name, "disabled": not undo}, f"{name} is {'enabled' if undo else 'disabled'}", as_json)


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
