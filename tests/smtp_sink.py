"""A mail server that keeps what it is sent: enough of SMTP for smtplib, and told what to refuse."""

from __future__ import annotations

import socketserver
import threading
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


class Sink:
    """`letters`: (recipients, message), as they came. `refuses`: addresses it does not take; `broken`: it says 451 to all."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], EmailMessage]] = []
        self.refuses: set[str] = set()
        self.broken = False
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                sink._talk(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Sink:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, talk: socketserver.StreamRequestHandler) -> None:
        def say(line: str) -> None:
            talk.wfile.write(f"{line}\r\n".encode())

        say("220 sink")
        to: list[str] = []
        while line := talk.rfile.readline().decode().strip():
            word, _, rest = line.partition(" ")
            match word.upper():
                case "EHLO" | "HELO":
                    say("250 sink")
                case "MAIL":
                    to = []
                    say("451 try again later" if self.broken else "250 ok")
                case "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    refused = address in self.refuses
                    say("550 no such mailbox" if refused else "250 ok")
                    to += [] if refused else [address]
                case "DATA":
                    say("354 go on")
                    body = b""
                    while (part := talk.rfile.readline()) != b".\r\n":
                        body += part[1:] if part.startswith(b"..") else part
                    message = message_from_bytes(body, policy=default)
                    assert isinstance(message, EmailMessage)
                    self.letters.append((to, message))
                    say("250 kept")
                case "QUIT":
                    say("221 bye")
                    return
                case _:
                    say("250 ok")
