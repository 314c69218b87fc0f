"""Stands in for `python -m ioc` where only starting, watching and stopping is tested: each verb notes what it was told.

It appends "VERB begin|end pid" to $FAKE_IOC_NOTES. `web` answers /healthz on $IOC_WEB__PORT. $FAKE_IOC_MISTAKE names a
verb that ends at once with one sentence and exit code 2, as a user's mistake does.
"""

from __future__ import annotations

import http.server
import os
import signal
import sys
import threading
from pathlib import Path


def note(what: str) -> None:
    with Path(os.environ["FAKE_IOC_NOTES"]).open("a") as file:
        file.write(f"{verb} {what} {os.getpid()} {os.environ.get('IOC_BROKER__BOOTSTRAP', '-')}\n")


class Healthz(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


verb = sys.argv[1]
if verb == os.environ.get("FAKE_IOC_MISTAKE"):
    sys.stderr.write("config.yaml: line 3: no such connector\n")
    sys.exit(2)
note("begin")
if verb == "token":
    sys.stdout.write("ioc_made-for-a-test\n")
elif verb != "migrate":
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    if verb == "web":
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["IOC_WEB__PORT"])), Healthz)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ended.wait()
    note("end")
