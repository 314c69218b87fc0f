"""Why something about an account was refused: a sentence for the command line, a word for the pages to translate."""

from __future__ import annotations

from ioc.errors import UserError


class Problem(UserError):
    """`word` names the sentence in the screens' languages (dashboards/words.py, "problem.WORD"), `values` fill it."""

    def __init__(self, word: str, sentence: str, **values: object) -> None:
        super().__init__(sentence)
        self.word, self.values = word, values
