"""The reference of connector.yaml, from the schema itself: docs/connectors.md holds it word for word."""

from __future__ import annotations

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ioc.connect.declared.schema import Declaration, FactRule, FieldRule, Paging, Since, Source, Sql
from ioc.connect.sense import Sense

PARTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("connector.yaml", Declaration), ("source", Source), ("source.paging", Paging), ("source.since", Since), ("source.sql", Sql), ("fields.NAME", FieldRule), ("facts[]", FactRule), ("sense.METRIC", Sense),
)  # fmt: skip


def reference() -> str:
    """Return the reference as Markdown."""
    parts = []
    for where, model in PARTS:
        lines = [f"### {where}", "", "| option | values | default | |", "|---|---|---|---|"]
        lines += [f"| `{field.alias or name}` | {_values(field.annotation)} | {_default(field)} | {field.description} |" for name, field in model.model_fields.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    return "-" if value in (None, "", PydanticUndefined) or value == {} or isinstance(value, BaseModel) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_values(part) for part in get_args(annotation) if part is not type(None))
    known = {str: "text", int: "whole number", float: "number", bool: "true, false"}
    if annotation in known:
        return known[annotation]
    if get_origin(annotation) is list:
        return "list"
    return "mapping"
