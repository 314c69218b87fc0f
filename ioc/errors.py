"""The errors of the engine. The type says what the caller does: stop and tell the user, or try again."""

from __future__ import annotations


class UserError(Exception):
    """A mistake of whoever configures or types: shown as one sentence, exit code 2, never a traceback."""


class Unavailable(Exception):
    """A service (broker, database) is away: pause, try again, say so; nothing is lost by waiting."""


class Problem(UserError):
    """A refusal that the screens have a sentence for: `word` names it (dashboards/words.py, "problem.WORD"), `values` fill it."""

    def __init__(self, word: str, sentence: str, **values: object) -> None:
        super().__init__(sentence)
        self.word, self.values = word, values
