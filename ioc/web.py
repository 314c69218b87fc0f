"""One web process: the HTTP application, the Dash pages on it, the live hub, under uvicorn."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable

import psycopg
import uvicorn
from fastapi import FastAPI

from dashboards import app as pages
from dashboards.accounts.pages import Pages as AccountPages
from dashboards.context import Context
from dashboards.operations.entries import Entries as EntryPage
from ioc import __version__, api, areas, gate, rights, signin
from ioc.accounts import people
from ioc.accounts.desk import FrontDesk
from ioc.bus import Publisher
from ioc.clock import Clock, system_clock
from ioc.config import Config, secret
from ioc.entry import forms as typed
from ioc.errors import UserError
from ioc.kpi import catalogue
from ioc.kpi.desk import Desk
from ioc.kpi.engine import Engine
from ioc.live import Hub
from ioc.reload import stamp
from ioc.stills import Album
from ioc.store.pool import open_pool
from ioc.store.services import Beat


def build(config: Config, clock: Clock = system_clock, problem: Callable[[], str] = str) -> FastAPI:
    """Return the whole application. It starts while database and broker are away, and says so."""
    units = areas.load(config.province.code)
    kpis = catalogue.load(config.kpis.catalogue)
    engine = Engine(kpis, config, units, clock)
    pool = open_pool(config)
    album = Album(config.stills, lambda camera: secret(config, camera.secret) if camera.secret else None, clock, lambda: hub.watchers() > 0)
    version = f"{__version__}+{stamp(config)}"
    hub = Hub(config, engine, [kpi.kpi for kpi in catalogue.in_use(kpis, config)], pool, clock=clock, problem=problem, version=version, stills=album.shown)
    parts = api.Parts(config, kpis, engine, units, pool, Publisher(config.broker), hub, clock, album)
    app = api.create(parts)
    context = Context(config, units, kpis, hub.version)
    forms = AccountPages(context)
    signin.add(app, parts, FrontDesk(config, pool, clock), forms)  # before Dash, which answers whatever is left
    typed.add(app, config, units, pool, parts.publisher, clock, EntryPage(context))
    screens = pages.create(app, config, hub, units, kpis, Desk(engine, pool), clock)
    gate.put(app, parts, forms, api.content_policy(screens.csp_hashes()))
    return app


def first_link(config: Config, clock: Clock = system_clock) -> str | None:
    """Return a one-time link to become the first administrator; None when there is one, or the database cannot say."""
    try:
        with psycopg.connect(config.database.dsn, autocommit=True, connect_timeout=5) as conn:
            if not people.needs_admin(conn):
                return None
            key = people.invite(conn, "", clock(), who=rights.SYSTEM)
    except psycopg.Error:
        return None
    base = config.web.url or f"http://{config.web.host}:{config.web.port}"
    return f"{base.rstrip('/')}/welcome/{key}"


def run(config: Config, until: threading.Event, problem: Callable[[], str] = str, clock: Clock = system_clock) -> None:
    """Serve until `until` is set, SIGTERM or Ctrl-C. Raise `UserError` when the port is taken."""
    with socket.socket(socket.AF_INET6 if ":" in config.web.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.web.host, config.web.port))
        except OSError as exc:
            raise UserError(f"cannot listen on {config.web.host}:{config.web.port}: {exc.strerror}; choose another port (IOC_WEB__PORT)") from exc
    app = build(config, clock, problem)
    if link := first_link(config, clock):
        sys.stdout.write(f"There is no administrator yet. To become the first one, once, within {people.INVITE_HOURS} hours: {link}\n")
        sys.stdout.flush()
    stop = threading.Event()
    beat = Beat(config.database.dsn, "web", f"{socket.gethostname()}:{os.getpid()}", clock)
    thread = beat.every(5, stop)
    try:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=config.web.host,
                port=config.web.port,
                log_level="warning",
                ws_per_message_deflate=False,  # on a LAN compression costs more than it saves
                ws_ping_interval=None,  # /live has its own heartbeat
                timeout_graceful_shutdown=3,
                server_header=False,
                proxy_headers=True,
                forwarded_allow_ips=config.web.trusted_proxies,
            )
        )
        threading.Thread(target=_end, args=(server, until), name="end", daemon=True).start()
        server.run()
    finally:
        stop.set()
        thread.join(timeout=6)


def _end(server: uvicorn.Server, until: threading.Event) -> None:
    until.wait()
    server.should_exit = True
