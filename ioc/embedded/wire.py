"""A broker on a loopback port, whichever it is, and the smallest question the Kafka protocol knows: which requests do you understand?"""

from __future__ import annotations

import socket
import struct

from ioc.embedded.process import LOOPBACK, Process, wait_until

_CORRELATION = 19
_API_VERSIONS = 18


def speaks_kafka(port: int, timeout_s: float = 1.0) -> bool:
    """Say whether a broker on the loopback `port` answers (to ApiVersions, version 0). A port that is merely open does not count."""
    body = struct.pack(">hhih", _API_VERSIONS, 0, _CORRELATION, -1)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as link:
            link.sendall(struct.pack(">i", len(body)) + body)
            head = b""
            while len(head) < 10:
                more = link.recv(10 - len(head))
                if not more:
                    return False
                head += more
    except OSError:
        return False
    _, correlation, error = struct.unpack(">iih", head)
    return bool(correlation == _CORRELATION and error == 0)


class LocalBroker:
    """What every broker that is started here can do. `ready_s`: how long it may take until it answers."""

    ready_s: float

    def __init__(self, port: int, process: Process) -> None:
        self.port = port
        self.process = process

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it; `wait_ready` says when it answers."""
        self.process.start()

    def answers(self) -> bool:
        """Say whether it answers now."""
        return speaks_kafka(self.port)

    def wait_ready(self) -> None:
        """Wait until it answers; raise `UserError` with the reason when it does not."""
        wait_until(self.answers, self.process, self.ready_s)

    def stop(self) -> None:
        """End it in order."""
        self.process.stop()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
