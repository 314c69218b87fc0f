"""Who may import whom: the house of docs/architecture.md, kept."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The ground floor first: a module of ioc imports only what stands before it.
FLOORS = [
    "errors", "clock", "rights", "forms", "doubts", "causes", "events", "config", "mail", "reload", "areas", "units", "privacy", "bus", "store", "ingest", "connect", "entry", "kpi", "alerts", "stills", "live", "playback",
    "accounts", "morning", "jobs", "alive", "auth", "health", "metrics", "dlq", "doctor", "api", "gate", "signin", "embedded", "simulator", "web", "cli", "__main__",
]  # fmt: skip
DASHBOARDS_MAY = {"live", "stills", "kpi", "config", "areas", "errors", "clock", "alerts", "rights", "mail", "forms", "doubts", "causes"}
CONNECTORS_MAY = {"connect", "events", "errors", "clock", "doubts", "causes"}


def imports(path: Path) -> set[str]:
    """Return the dotted names a file imports ("ioc.store.writer", "connectors.open311")."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
            if node.module == "ioc":
                found |= {f"ioc.{alias.name}" for alias in node.names}
    return found


def floors_of(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("ioc.")} & set(FLOORS)


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", files("ioc"), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_of_the_engine_imports_only_what_stands_before_it(path: Path) -> None:
    part = path.relative_to(ROOT / "ioc").parts[0].removesuffix(".py")
    if part == "__init__":
        return
    assert part in FLOORS, f"{part} has no floor; give it one here and in docs/architecture.md"
    above = {name for name in floors_of(path) if FLOORS.index(name) > FLOORS.index(part)}
    assert not above, f"{path.name} imports {above}, which stand above it"
    if part not in ("web", "cli"):
        assert not [name for name in imports(path) if name.split(".")[0] in ("dashboards", "connectors")]


@pytest.mark.parametrize("path", files("dashboards"), ids=lambda p: str(p.relative_to(ROOT)))
def test_screens_never_touch_store_or_bus(path: Path) -> None:
    assert floors_of(path) <= DASHBOARDS_MAY


@pytest.mark.parametrize("path", files("connectors"), ids=lambda p: str(p.relative_to(ROOT)))
def test_connectors_know_the_kit_and_the_facts_only(path: Path) -> None:
    may = CONNECTORS_MAY | ({"simulator"} if path.name.startswith("simulated") else set())
    assert floors_of(path) <= may


def texts(path: Path) -> list[str]:
    """Return the string constants of a file."""
    return [n.value for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def test_the_engine_knows_no_feed() -> None:
    import yaml

    feeds = [feed["feed"] for feed in yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["feeds"]]
    named = [f"{path.relative_to(ROOT)}: {text}" for path in files("ioc") for text in texts(path) if text in feeds or any(f"ioc.{f}" in text for f in feeds)]
    assert not named
