"""What stands between a feed and its source, by the scheme of the feed's url."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ioc.connect.files import Files, Folder
from ioc.connect.http import Http
from ioc.connect.mqtt import Messages, Mqtt
from ioc.connect.sftp import Sftp
from ioc.connect.sql import Database, is_database

Client: TypeAlias = Http | Files | Messages | Database


def open_client(url: str, feed: str, *, token: str | None, allowed_hosts: list[str], rate_per_s: float, timeout_s: float, max_bytes: int, sleep: Callable[[float], None], host_key: str = "") -> Client:
    """Return the client for `url`; nothing is asked yet. Raise `Fatal` for an address that is none."""
    if url.startswith("file:"):
        return Folder(url, max_bytes=max_bytes)
    if url.startswith("sftp:"):
        return Sftp(url, secret=token, host_key=host_key, timeout_s=timeout_s, max_bytes=max_bytes)
    if url.startswith(("mqtt:", "mqtts:")):
        return Mqtt(url, feed, password=token, timeout_s=timeout_s, max_bytes=max_bytes)
    if is_database(url):
        return Database(url, password=token, timeout_s=timeout_s, max_bytes=max_bytes)
    return Http(url, allowed_hosts=allowed_hosts, token=token, rate_per_s=rate_per_s, timeout_s=timeout_s, max_bytes=max_bytes, sleep=sleep)
