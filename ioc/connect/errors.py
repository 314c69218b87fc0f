"""The errors of a connector. The type says what the kit does: stop and say, try again, or skip this record.

`cause` says why in a word that screens have a sentence for, with its values (`ioc.causes.because`); the message is the detail.
"""

from __future__ import annotations

from ioc.errors import UserError


class Fatal(UserError):
    """The configuration is wrong (option, credentials): say so, and look again only now and then."""

    def __init__(self, message: str, *, cause: str = "fatal") -> None:
        super().__init__(message)
        self.cause = cause


class Stopping(Exception):
    """The runner was asked to stop while a connector waited."""


class Retriable(Exception):
    """The source failed for now. `retry_after_s`: what the source asked for, None when it did not say."""

    def __init__(self, message: str, *, retry_after_s: float | None = None, cause: str = "") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.cause = cause or type(self).__name__.lower()


class Unreachable(Retriable):
    """Nobody answered: what else would be asked of the same host now would fail as well."""


class Missing(Retriable):
    """The source says 404 or 410."""


class Rejected(Retriable):
    """The source refuses this request (other 4xx): asking the same again at once makes no sense."""


class Unreadable(Retriable):
    """An answer came and cannot be used: one dead letter, and an error of the feed until it reads again.

    `cause` is a stable word to cluster by; `excerpt` is the page after the privacy guard.
    """

    def __init__(self, cause: str, message: str, *, repair: str = "", excerpt: str = "") -> None:
        super().__init__(message, cause=cause)
        self.repair = repair
        self.excerpt = excerpt


class Skip(Exception):
    """This record cannot be an event: one dead letter, and the feed goes on. `body`: False withholds the record."""

    def __init__(self, cause: str, message: str, *, field: str = "", repair: str = "", body: bool = True) -> None:
        super().__init__(message)
        self.cause = cause
        self.field = field
        self.repair = repair
        self.body = body
