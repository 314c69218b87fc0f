"""Values as PostgreSQL's text protocol takes them: lines of COPY and array literals, made many at a time.

The driver does the same value by value; for thousands of rows a second that is most of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
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


def stamp(at: datetime) -> str:
    """Return an aware time as PostgreSQL reads it; several times faster than `str`."""
    return _encode(at).decode()[1:-1]


_FORMS: dict[type, Callable[[Any], str]] = {datetime: stamp, dict: lambda value: _encode(value).decode()}  # others: str


def line(values: Sequence[Any]) -> str:
    """Return values (texts, numbers, times, booleans; None; a dict as JSON) as a line of COPY."""
    fields = [v if type(v) is str else NULL if v is None else _FORMS.get(type(v), str)(v) for v in values]
    joined = "\t".join(fields)
    if joined.count("\\") == values.count(None) and joined.count("\t") == len(fields) - 1 and "\n" not in joined and "\r" not in joined:
        return joined + "\n"  # nothing in them needs a backslash: nearly always
    return "\t".join([NULL if v is None else escaped(f) for v, f in zip(values, fields, strict=True)]) + "\n"


def array(values: Sequence[Any]) -> str:
    """Return values of one kind (texts, numbers, dates, times; None) as an array literal."""
    if None in values:
        return "{" + ",".join([_element(value) for value in values]) + "}"
    if not values or type(values[0]) is not str:
        return "{" + ",".join(map(_FORMS.get(type(values[0]), str) if values else str, values)) + "}"
    joined = _APART.join(values)
    if joined.count(_APART) != len(values) - 1:
        return "{" + ",".join([_element(value) for value in values]) + "}"
    return '{"' + joined.replace("\\", "\\\\").replace('"', '\\"').replace(_APART, '","') + '"}'


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    return f'"{value.translate(_ARRAY)}"' if isinstance(value, str) else _FORMS.get(type(value), str)(value)
