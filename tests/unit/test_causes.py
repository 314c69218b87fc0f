"""Causes of dead letters and of feeds' errors: codes, each said in both languages."""

from __future__ import annotations

import ast
from pathlib import Path
from string import Formatter

import pytest

from ioc.causes import _CAUSES, because, in_words
from ioc.connect.errors import Fatal, Missing, Rejected, Retriable, Unreachable

ROOT = Path(__file__).parents[2]
SAYING = {"Skip", "Unreadable", "BadEvent", "Defect", "refuse"}  # what takes a cause first


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _said() -> set[str]:
    """Return the causes that are written in the engine and its connectors."""
    found = set()
    for path in [*(ROOT / "ioc").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYING and node.args:
                first = node.args[0]
                given = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
                found |= {part.value for part in given if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    return found


def test_every_cause_the_program_gives_has_words() -> None:
    said = _said()
    assert len(said) > 50 and {"html_page", "ragged_row", "out_of_scope", "bad_envelope"} <= said
    assert said - set(_CAUSES) == set()
    assert {error("x").cause for error in (Fatal, Retriable, Unreachable, Missing, Rejected)} <= set(_CAUSES)


@pytest.mark.parametrize("code", sorted(_CAUSES))
def test_both_languages_say_the_same_of_a_cause(code: str) -> None:
    reason = _CAUSES[code]
    assert _fields(reason.vi) == _fields(reason.en) and reason.vi != reason.en
    values = dict.fromkeys(_fields(reason.en), "ấp; x&y=%")
    assert in_words(because(code, **values)) == tuple(text.format_map(values) for text in reason)


def test_a_cause_nobody_has_words_for_is_shown_as_it_stands() -> None:
    assert in_words("of_their_own") == ("of_their_own", "of_their_own")
    assert in_words("empty; silent:host=a.vn%3A443").vi == "nội dung trống; a.vn:443 không trả lời kịp"
    with pytest.raises(KeyError):
        because("of_their_own")
    with pytest.raises(KeyError):
        because("silent")  # without its host
