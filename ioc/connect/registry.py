"""Which connectors there are: the folders of `connectors/` that hold a connector.yaml, or a package that exposes CONNECTOR."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ioc.config import Feed
from ioc.connect.connector import Connector, Options
from ioc.connect.declared import Declared, load
from ioc.connect.errors import Fatal
from ioc.errors import UserError

DECLARATION = "connector.yaml"
PUSH = "push"  # a feed whose source posts CloudEvents itself needs no connector
ENTRY = "entry"  # a feed whose figures are typed by people (ioc/entry.py)
PASSIVE = (PUSH, ENTRY)  # nobody asks these


def names() -> list[str]:
    """Return the names of all connectors, sorted."""
    package = importlib.import_module("connectors")
    coded = {found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg}
    return sorted(coded | {file.parent.name for file in _home().glob(f"*/{DECLARATION}")})


def _home() -> Path:
    return Path(next(iter(importlib.import_module("connectors").__path__)))


def folder(name: str) -> Path:
    """Return the folder of connector `name`, whether or not there is one."""
    return _home() / name


def get(name: str) -> Connector[Any]:
    """Return the connector in folder `name`; raise `UserError` naming the known ones."""
    known = names()
    if name not in known:
        raise UserError(f"no connector is called {name!r}; known are {', '.join(known) or 'none'}")
    declaration = folder(name) / DECLARATION
    if declaration.is_file():
        return _declared(declaration, declaration.stat().st_mtime_ns)
    connector = getattr(importlib.import_module(f"connectors.{name}"), "CONNECTOR", None)
    if not isinstance(connector, Connector):
        raise UserError(f"connectors/{name}/__init__.py exposes no CONNECTOR")
    return connector


@lru_cache(maxsize=256)
def _declared(file: Path, changed_ns: int) -> Declared:
    return load(file)


def about(name: str) -> str:
    """Return in one line what connector `name` reads."""
    connector = get(name)
    if isinstance(connector, Declared):
        return connector.declaration.about
    return (importlib.import_module(f"connectors.{name}").__doc__ or "").partition("\n")[0]


def options_of(connector: Connector[Any], feed: Feed) -> Options:
    """Return the feed's options, checked; raise `Fatal` naming feed, option and what is allowed."""
    try:
        return connector.options.model_validate(feed.options)  # type: ignore[no-any-return]
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        known = ", ".join(connector.options.model_fields) or "none"
        raise Fatal(f"feed {feed.feed}: options of {connector.name}: {problems}; known options are {known}") from exc
