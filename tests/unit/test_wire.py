"""Texts that would break a line of COPY or an array literal are escaped."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from ioc.store.wire import NULL, array, escaped, line, texts


def test_a_tab_in_any_field_does_not_make_another_field() -> None:
    assert texts("a", "b") == "a\tb"
    assert texts("a\tb", "c") == "a\\tb\tc"
    assert texts("a", "b\nc\r", "\\N") == "a\tb\\nc\\r\t\\\\N"
    assert escaped("\\N") != NULL


def test_a_line_tells_nothing_from_a_text_that_looks_like_it() -> None:
    at = datetime(2026, 11, 22, 1, 0, 0, 5, tzinfo=UTC)
    assert line(("a", None, 1, True, at, {"k": "v"})) == 'a\t\\N\t1\tTrue\t2026-11-22T01:00:00.000005Z\t{"k":"v"}\n'
    assert line(("\\N", None, "b\tc")) == "\\\\N\t\\N\tb\\tc\n"
    assert line(("\\N", None)) == "\\\\N\t\\N\n"
    assert line(({"k": "say \"x\""}, None)) == '{"k":"say \\\\"x\\\\""}\t\\N\n'


def test_an_array_keeps_what_it_was_given() -> None:
    assert array([]) == "{}"
    assert array(["a", 'say "x"', "\\", "", "NULL", None]) == '{"a","say \\"x\\"","\\\\","","NULL",NULL}'
    assert array([1, None, Decimal("2.50")]) == "{1,NULL,2.50}"
    assert array([date(2026, 11, 22)]) == "{2026-11-22}"
    assert array([datetime(2026, 11, 22, 1, tzinfo=UTC)]) == "{2026-11-22T01:00:00Z}"
    assert array([None, datetime(2026, 11, 22, 1, tzinfo=UTC)]) == "{NULL,2026-11-22T01:00:00Z}"
