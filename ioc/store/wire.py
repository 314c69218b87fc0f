"""Values as PostgreSQL's text protocol takes them: lines of COPY and array literals, made many at a time.

The driver does the same value by value; for thousands of rows a second that is most of the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

NULL = "\\N"  # of COPY
_COPY = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_APART = "\x1f"  # stands between texts while they are escaped together
_encode = msgspec.json.Encoder().encode
_ARRAY = str.maketrans({"\\": "\\\\", '"': '\\"'})


def escaped(text: str) -> str:
    """Return a text as a field of COPY."""
    # nearly always nothing needs a backslash, and looking is several times faster than replacing
    return text.translate(_COPY) if "\\" in text or "\t" in text or "\n" in text or "\r" in text else text


def texts(*fields: str) -> str:
    """Return texts as fields of COPY, with tabs between."""
    joined = "\t".join(fields)
    if "\\" not in joined and "\n" not in joined and "\r" not in joined and joined.count("\t") == len(fields) - 1:
        return joined
    return "\t".join([escaped(field) for field in fields])


def line(values: Iterable[Any]) -> str:
    """Return values (texts, numbers, times, booleans; None; a dict as JSON) as a line of COPY."""
    return "\t".join([NULL if v is None else escaped(v) if type(v) is str else _field(v) for v in values]) + "\n"


def _field(value: Any) -> str:
    return escaped(_encode(value).decode()) if isinstance(value, dict) else str(value)


def array(values: Sequence[Any]) -> str:
    """Return values of one kind (texts, numbers, dates, times; None) as an array literal."""
    if None in values:
        return "{" + ",".join([_element(value) for value in values]) + "}"
    if not values or not isinstance(values[0], str):
        return "{" + ",".join(map(str, values)) + "}"
    joined = _APART.join(values)
    if joined.count(_APART) != len(values) - 1:
        return "{" + ",".join([_element(value) for value in values]) + "}"
    return '{"' + joined.replace("\\", "\\\\").replace('"', '\\"').replace(_APART, '","') + '"}'


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    return f'"{value.translate(_ARRAY)}"' if isinstance(value, str) else str(value)
