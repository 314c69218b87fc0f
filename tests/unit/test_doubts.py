"""Doubts: kept as codes with values, said in the reader's language."""

from __future__ import annotations

import json
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from ioc.doubts import _REASONS, doubt, in_words, together

CONNECTORS = Path(__file__).parents[2] / "connectors"


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


@pytest.mark.parametrize("code", sorted(set(_REASONS) - {"own"}))
def test_both_languages_say_the_same_of_a_doubt(code: str) -> None:
    reason = _REASONS[code]
    assert _fields(reason.vi) == _fields(reason.en) and reason.vi != reason.en
    kept = doubt(code, **dict.fromkeys(_fields(reason.en), "7; x&y=Ắ%"))
    assert ";" not in kept and kept.isascii()
    assert in_words(kept) == tuple(text.format_map(dict.fromkeys(_fields(text), "7; x&y=Ắ%")) for text in reason)


def test_numbers_are_written_as_the_language_does() -> None:
    assert in_words(doubt("above", what="pm25", value="12000.5 ug/m3", limit="1e+04")) == ("pm25 12.000,5 ug/m3 lớn hơn 10.000", "pm25 12,000.5 ug/m3 is above 10,000")


def test_several_doubts_stay_apart_and_none_is_none() -> None:
    kept = together([None, doubt("outside"), "", doubt("own", vi="cổng đóng; thật?", en="gate shut; really?")])
    assert kept and in_words(kept).vi == "điểm nằm ngoài tỉnh; cổng đóng; thật?"
    assert in_words(kept).en == "the point lies outside the province; gate shut; really?"
    assert together([None, ""]) is None


@pytest.mark.parametrize("text", ["closed before it was made", "why? a=b", "below", "below:what=x", "no_such_code:s=1", ""])
def test_what_is_no_code_is_shown_as_it_stands(text: str) -> None:
    assert in_words(text) == (text, text)


def test_a_code_without_words_is_a_mistake_of_the_author() -> None:
    with pytest.raises(KeyError):
        doubt("no_such_code")
    with pytest.raises(KeyError):
        doubt("below", what="x", value=1)


def _kept(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for name, item in value.items() for text in ([item] if name == "doubt" and item else _kept(item))]
    return [text for item in value for text in _kept(item)] if isinstance(value, list) else []


def test_whatever_our_connectors_doubt_has_words_in_both_languages() -> None:
    found = [text for path in CONNECTORS.glob("*/testcases/*/expected.json") for text in _kept(json.loads(path.read_text(encoding="utf-8")))]
    assert len(found) > 15
    assert [text for text in found if in_words(text).vi == in_words(text).en] == []
