"""Queries by name. A .sql file holds blocks that begin with `-- name: what_it_does`, each read once into a dict."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def queries(file: str) -> dict[str, LiteralString]:
    """Return the named blocks of sql/FILE.sql."""
    text = (files("ioc.store") / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    blocks = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    return cast(dict[str, LiteralString], blocks)  # shipped with the code, as good as literal
