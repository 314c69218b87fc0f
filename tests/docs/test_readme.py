"""What the README and the guides say is so: files, commands, targets and the example are checked."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from ioc import areas, cli
from ioc.ingest import accept

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "connectors").glob("*/README.md"))]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)")
COMMAND = re.compile(r"(?<![\w./-])(?<!-g )ioc ((?:[a-z]+)(?: [a-z]+)?)")
TARGET = re.compile(r"\bmake ([a-z]+)")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def command_names() -> set[str]:
    """Return "up", "dlq", "dlq list", ..."""
    found = set()

    def walk(app: typer.Typer, prefix: str) -> None:
        for command in app.registered_commands:
            name = command.name or (command.callback.__name__.strip("_").replace("_", "-") if command.callback else "")
            found.add(f"{prefix}{name}")
        for group in app.registered_groups:
            assert group.typer_instance is not None
            found.add(f"{prefix}{group.name}")
            walk(group.typer_instance, f"{prefix}{group.name} ")

    walk(cli.app, "")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_and_target_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    code = " ; ".join(blocks + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)))
    known = command_names()
    groups = {name.split()[0] for name in known if " " in name}
    unknown = [said for said in COMMAND.findall(code) if said not in known and (said.split()[0] not in known or (said.split()[0] in groups and " " in said))]
    assert not unknown
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(TARGET.findall(code)) <= targets


def test_the_readme_shows_both_commands_and_a_picture() -> None:
    assert "make up" in README and "make test" in README
    assert re.search(r"!\[.*\]\(docs/images/[\w-]+\.webp\)", README)


def test_the_example_event_of_the_readme_is_accepted() -> None:
    example = re.search(r"-d '(\{.*?\})'", README, re.DOTALL)
    assert example is not None
    event = accept(example[1].encode(), datetime(2026, 11, 22, 8, tzinfo=UTC), areas.load("19"))
    assert event.subject == "station-7"
    assert json.loads(example[1])["data"]["unit"] == "ug/m3"


def test_every_document_the_project_promises_is_there() -> None:
    for name in ("architecture", "connectors", "operators", "deployment", "security", "kpis", "pictures"):
        assert (ROOT / "docs" / f"{name}.md").is_file(), name


def test_no_host_of_a_registry_and_no_path_of_a_machine_stands_in_a_file() -> None:
    forbidden = re.compile(r"https?://[a-z0-9.-]*(?:pypi|pythonhosted|npmjs|maven\.org|debian\.org)|(?<![\w.])/(?:work|farm)/|(?<![\w./])/root/")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: which files belong to the project is not known")
    found = []
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file() and path != Path(__file__) and path.stat().st_size < 1_000_000:
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {hit[0]}" for hit in forbidden.finditer(text)]
    assert not found
