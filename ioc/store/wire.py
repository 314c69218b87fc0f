"""Values as PostgreSQL's text protocol takes them: lines of COPY and array literals, made many at a time.

The driver does the same value by value; for thousands of rows a second that is most of the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NULL = "\\N"  # of COPY
_COPY = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ARRAY = str.maketrans({"\\": "\\\\", '"': '\\"'})


def escaped(text: str) -> str:
    """Return a text as a field of COPY."""
    return text.translate(_COPY)


def texts(*fields: str) -> str:
    """Return texts as fields of COPY, with tabs between."""
    joined = "\t".join(fields)
    # nearly always nothing needs a backslash, and looking once is several times faster than replacing in each
    if "\\" not in joined and "\n" not in joined and "\r" not in joined and joined.count("\t") == len(fields) - 1:
        return joined
    return "\t".join([escaped(field) for field in fields])


def array(values: Sequence[Any]) -> str:
    """Return values of one kind (texts, numbers, dates, times; None) as an array literal."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f'"{value}"' if '"' not in value and "\\" not in value else f'"{value.translate(_ARRAY)}"'
    return str(value)
