"""Grades are computed by rules that bite: a careless connector is caught by each of them, ours keep them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ioc.cli import app
from ioc.connect import Connector, Context, Document, Options, Page, Record, grade, hostile, killed, registry
from ioc.events import Case, Event

CASE = """
about: a list
now: 2026-11-22T08:00:00+07:00
serve: [{path: /list, file: list.json}]
"""
LIST = '[{"id": "a", "at": "2026-11-21T08:00:00Z", "title": "x", "note": "Trần Văn B"}, {"id": "b", "at": "2026-11-21T09:00:00Z", "title": "y", "note": "C"}]'


class Careless(Connector[Options]):
    """Trusts its source, shows what it should not, and says something else each time it is asked."""

    name, version = "careless", "1"
    options = Options
    fields = {"id": "public", "at": "public", "title": "public"}  # noqa: RUF012
    asked = count()

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        yield Page(self.read(self.document(context.http.get("list")), context), {"read": True})

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        return [Record(item) for item in document.value]

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        row = record.value
        return [context.event(row["id"], context.now, Case(title=row["title"] + row.get("note", ""), native_status=str(next(self.asked)), opened_at=context.now))]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    (tmp_path / "case.yaml").write_text(CASE)
    (tmp_path / "list.json").write_text(LIST)
    return tmp_path


def test_a_connector_that_breaks_on_strange_input_is_told_how(case: Path) -> None:
    said = list(hostile.survive(Careless(), case))
    assert any(line.startswith("null everywhere: a dead letter that does not say what is wrong") for line in said)
    assert any(line.startswith("other names of all fields:") for line in said)


def test_a_connector_that_says_something_else_when_asked_again_is_caught_by_a_kill(case: Path) -> None:
    assert any("events came that are not the same" in line for line in killed.kills(Careless(), case))


def test_what_stands_in_a_field_without_a_class_must_not_come_out(case: Path) -> None:
    assert list(grade._leaks(Careless(), case)) == ["note", "note"]
    open_ = Careless()
    open_.fields = {**Careless.fields, "note": "public"}
    assert list(grade._leaks(open_, case)) == []


@pytest.mark.parametrize("name", registry.names())
def test_every_connector_is_gold_or_better(name: str) -> None:
    found = grade.grade(name)
    assert found.grade in ("gold", "platinum"), found.held_by
    assert set(registry.get(name).exempt) <= set(grade.EXEMPTIBLE)
    assert all(reason.strip() for reason in registry.get(name).exempt.values())


def test_the_command_prints_the_grade_and_what_holds_it_back() -> None:
    result = CliRunner().invoke(app, ["connector", "grade", "edxml"])
    assert result.exit_code == 0
    assert result.output.startswith("gold      edxml   held back by samples:")
    assert "exempt from deletions" in result.output
    assert '"grade":"gold"' in CliRunner().invoke(app, ["connector", "grade", "edxml", "--json"]).output.replace(" ", "")
