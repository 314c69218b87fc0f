"""The smallest question the Kafka protocol knows: which requests do you understand (ApiVersions, version 0)?"""

from __future__ import annotations

import socket
import struct

from ioc.embedded.process import LOOPBACK

_CORRELATION = 19
_API_VERSIONS = 18


def speaks_kafka(port: int, timeout_s: float = 1.0) -> bool:
    """Say whether a broker on the loopback `port` answers. A port that is merely open does not count."""
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
