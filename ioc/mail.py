"""Letters by SMTP: one letter with what is attached, to those the configuration names.

A letter has an id of its own, made by whoever sends it: sent twice, mail programs know it for the same.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from ioc import config as config_
from ioc.config import Config, Smtp
from ioc.errors import Unavailable

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Letter:
    """`attached`: (file name, media type, content)."""

    subject: str
    text: str
    attached: Sequence[tuple[str, str, bytes]] = ()


def send(config: Config, smtp: Smtp, to: Sequence[str], letter: Letter, letter_id: str, at: datetime) -> list[str]:
    """Send the letter; return which of `to` the server refused while it took the others.

    Raise `Unavailable` when it went to nobody, `UserError` when the configuration lacks what it takes.
    """
    password = config_.secret(config, smtp.secret) if smtp.secret else ""
    message = _message(smtp, to, letter, letter_id, at)
    context = ssl.create_default_context()
    try:
        with _connected(smtp, context) as server:
            if smtp.security == "starttls":
                server.starttls(context=context)
            if smtp.user:
                server.login(smtp.user, password)
            return sorted(server.send_message(message, smtp.sender, list(to)))
    except (smtplib.SMTPException, OSError) as exc:
        raise Unavailable(f"{smtp.host}:{smtp.port} did not take the letter: {_said(exc)}") from exc


def _connected(smtp: Smtp, context: ssl.SSLContext) -> smtplib.SMTP:
    if smtp.security == "tls":
        return smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=TIMEOUT_S, context=context)
    return smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_S)


def _message(smtp: Smtp, to: Sequence[str], letter: Letter, letter_id: str, at: datetime) -> EmailMessage:
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = smtp.sender, ", ".join(to), letter.subject
    message["Date"], message["Message-ID"] = format_datetime(at), letter_id
    message["Auto-Submitted"] = "auto-generated"  # no answer of a program is wanted
    message.set_content(letter.text)
    for name, media_type, content in letter.attached:
        main, _, sub = media_type.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message


def _said(exc: Exception) -> str:
    """What the server said, in one line; never what we sent."""
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{address}: {code} {text.decode('utf-8', 'replace')}" for address, (code, text) in exc.recipients.items())
    if isinstance(exc, smtplib.SMTPResponseException):
        error = exc.smtp_error
        return f"{exc.smtp_code} {error.decode('utf-8', 'replace') if isinstance(error, bytes) else error}"
    return " ".join(str(exc).split()) or type(exc).__name__
