"""One test walks the recorded situations of every connector, over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from ioc.connect import conformance, registry

CASES = [pytest.param(name, folder, id=f"{name}/{folder.name}") for name in registry.names() for folder in conformance.folders(name)]


@pytest.mark.parametrize(("name", "folder"), CASES)
def test_it_reads_the_recorded_situation_as_expected(name: str, folder: Path) -> None:
    result = conformance.run(registry.get(name), folder)
    assert result.differences == []
    assert "published_again" not in result.got, "the source had nothing new, and something was published"


def test_every_connector_has_test_cases_with_events_and_with_dead_letters() -> None:
    for name in registry.names():
        got = [conformance.run(registry.get(name), folder).got for folder in conformance.folders(name)]
        assert any(case["events"] for case in got) and any(case["dead_letters"] for case in got), name


def test_a_wrong_expectation_is_noticed(tmp_path: Path) -> None:
    folder = conformance.folders("dossiers")[0]
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "expected.json").write_text('{"events": [], "dead_letters": []}')
    assert conformance.run(registry.get("dossiers"), tmp_path).differences


def test_a_readme_names_every_option_and_every_field_that_leaves() -> None:
    for name in registry.names():
        connector = registry.get(name)
        folder = conformance.folders(name)[0].parent.parent
        text = (folder / "README.md").read_text(encoding="utf-8")
        for section in ("## Configuration", "## Fields", "## How often", "## Delivery", "## Example"):
            assert section in text, f"{name}: {section} is missing"
        for option in connector.options.model_fields:
            assert f"`{option}`" in text, f"{name}: option {option} is not described"
        for path, cls in connector.fields.items():
            assert f"`{path}`" in text, f"{name}: field {path} ({cls}) is not described"
