"""Personal data never lands: what may leave a connector, and how text is scrubbed before it does.

Each field of a source has a class:

* public    may be shown to anybody (procedure names, facility names, codes, dates)
* internal  may be kept, for people who work with the system (native states, codes of agencies)
* personal  never leaves the connector: names, citizen numbers, phones, e-mails, plates, addresses, free text

A field that is not in a connector's table counts as personal. Text of the other two classes is scrubbed all the
same. Hashing is no way out: a hash of a citizen number is still personal data (Law 91/2025/QH15).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Literal, TypeAlias

FieldClass: TypeAlias = Literal["public", "internal", "personal"]

MAX_RECORD = 65_536  # bytes of a dead letter's record
MAX_VALUE = 300  # characters of one value in a dead letter
MAX_DEPTH = 12

_EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
# Vietnamese mobile (0[35789]) and fixed (02) numbers, +84 or 84 or 0 before them; anything international with a plus.
_PHONE = (
    r"(?<![\w.,/-])(?:\+?84|0)[\s.\-]?(?:[35789]|2[\s.\-]?\d)(?:[\s.\-]?\d){8}(?!\w)"
    r"|\+\d(?:[\s.\-()]{0,2}\d){7,13}(?!\w)|\(\+?\d{1,4}\)[\s.\-]?\d{3,4}[\s.\-]?\d{3,4}(?!\w)"
)
_CITIZEN = r"(?<![\w.,/-])(?:\d{12}|\d{9}|\d{3}(?:[ .]\d{3}){3}|\d{3}[ .]\d{3}[ .]\d{6})(?![\w])"
_PLATE = r"(?<![\w.,/-])[1-9]\d[ \-]?[A-ZĐ]{1,2}\d?[ \-.]{0,3}(?:\d{3}\.?\d{2}|\d{4})(?!\w)"
_PERSONAL = re.compile(f"(?P<email>{_EMAIL})|(?P<phone>{_PHONE})|(?P<citizen>{_CITIZEN})|(?P<plate>{_PLATE})")
_SUSPECT = re.compile(r"@|\d{2}")
_WORDS = {"email": "[e-mail]", "phone": "[phone]", "citizen": "[citizen number]", "plate": "[plate]"}

# Citizen number: province of birth 001-096, then century and sex, year, six digits.
_CITIZEN_ID = re.compile(r"0(?:0[1-9]|[1-8]\d|9[0-6])\d{9}")
_CODE = re.compile(r"[\w.:/+\-,]{1,60}|[\d\s.:/TZ+\-]{1,40}", re.ASCII)  # no blanks between letters: no names
_KEY = re.compile(r"[A-Za-z_@$][\w.:@$ -]{0,60}", re.ASCII)


@lru_cache(maxsize=8192)
def scrub(text: str) -> str:
    """Return `text` with phones, e-mails, citizen numbers and plates replaced by what they were."""
    if not _SUSPECT.search(text):
        return text
    return _PERSONAL.sub(lambda found: _WORDS[found.lastgroup or "phone"], text)


def is_citizen_number(text: str) -> bool:
    """Does an identifier look like the number of a citizen's card?"""
    return len(text) == 12 and _CITIZEN_ID.fullmatch(text) is not None


def shown(value: object) -> str:
    """Return `value` as an error message may show it: a short code, number or date; anything else is withheld."""
    if value is None or isinstance(value, bool | int | float):
        return str(value)[:40]
    if isinstance(value, str):
        if _CODE.fullmatch(value.strip()) and scrub(value) == value:
            return repr(value)
        return f"[a text of {len(value)} characters]"
    return f"[a {type(value).__name__}]"


def guarded(value: Any, fields: Mapping[str, FieldClass], path: str = "", depth: int = 0) -> Any:
    """Return a record as a dead letter may hold it: codes, numbers and dates of known harmless fields; nothing else.

    `fields` maps dotted paths (lists are transparent, case does not matter) to classes. Whatever is personal, unknown
    or prose keeps its key and loses its value, so that a person still sees the record's shape: in a record that is
    wrong, a name may stand in any field.
    """
    if depth == 0:
        fields = {name.lower(): cls for name, cls in fields.items()}
    if depth > MAX_DEPTH:
        return "[deeper]"
    if isinstance(value, dict):
        guarded_keys = list(value.items())[:200]
        return {known_key(key): guarded(item, fields, f"{path}.{key}" if path else str(key), depth + 1) for key, item in guarded_keys}
    if isinstance(value, list | tuple):
        return [guarded(item, fields, path, depth + 1) for item in list(value)[:50]]
    if value is None or isinstance(value, bool):
        return value
    if fields.get(path.lower(), "personal") == "personal":
        return "[withheld]"
    text = str(value)
    if scrub(text[:MAX_VALUE]) != text or not (_CODE.fullmatch(text.strip()) or not text.strip()):
        return f"[a text of {len(text)} characters]"
    return value if isinstance(value, int | float) else text


def known_key(key: object) -> str:
    """Return a field's name as it may be shown: one that may be a name or a number of a person becomes [key]."""
    text = str(key)
    return scrub(text) if _KEY.fullmatch(text) else "[key]"


_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"?(\s*:)?', re.DOTALL)
_XML_PART = re.compile(r"<!--.*?(?:-->|$)|<!\[CDATA\[.*?(?:\]\]>|$)|<[^<>]*>?|[^<]+", re.DOTALL)
_XML_TAG = re.compile(r"</?[A-Za-z_][\w:.\-]{0,60}|<[?!][A-Za-z]{1,20}", re.ASCII)
_XML_NAME = re.compile(r"([A-Za-z_][\w:.\-]{0,60}\s*=\s*)(\"[^\"]*\"?|'[^']*'?)", re.ASCII)
_WORD = re.compile(r"[^\W\d_]+|\d+")
_LITERALS = frozenset({"true", "false", "null", "NaN", "Infinity", "xml", "version", "encoding", "html", "DOCTYPE"})


class Masked(str):
    """A text that went through `mask_page`: it may leave as it is."""

    __slots__ = ()


def mask_page(text: str, keep: Collection[str] = ()) -> Masked:
    """Return a page that could not be read with its shape only: tags and keys stay, letters become x, digits 9.

    Nobody knows which part of an unreadable page is a person's name, so no value survives. `keep` are column names
    that may stay as they are in a header line. At most `MAX_RECORD` bytes.
    """
    text = text[:MAX_RECORD]
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start in ("{", "["):
        masked = _mask_json(text)
    elif "<" in text[:2000]:
        masked = "".join(_mask_xml(part) for part in _XML_PART.findall(text))
    else:
        masked = _mask_words(text, keep)
    return Masked(masked.encode("utf-8", "replace")[:MAX_RECORD].decode("utf-8", "ignore"))


def _mask_json(text: str) -> str:
    out, at = [], 0
    for found in _JSON_STRING.finditer(text):
        out.append(_mask_words(text[at : found.start()]))
        if found[2] is not None and _KEY.fullmatch(found[1]):
            out.append(scrub(found[0]))
        else:
            out.append(_mask_words(found[0]))
        at = found.end()
    out.append(_mask_words(text[at:]))
    return "".join(out)


def _mask_xml(part: str) -> str:
    if not part.startswith("<") or part.startswith(("<!--", "<![CDATA[")):
        return _mask_words(part)
    tag = _XML_TAG.match(part)
    if tag is None:  # a bracket and something: no tag
        return _mask_words(part)
    out, at = [tag[0]], tag.end()
    for found in _XML_NAME.finditer(part, at) if part.endswith(">") else ():  # of a tag that never ends, only its name is known
        out += [_mask_words(part[at : found.start()]), found[1], _mask_words(found[2])]
        at = found.end()
    return scrub("".join(out)) + _mask_words(part[at:])


def _mask_words(text: str, keep: Collection[str] = ()) -> str:
    known = _LITERALS.union(keep)
    return _WORD.sub(lambda found: found[0] if found[0] in known else ("9" if found[0].isdigit() else "x") * len(found[0]), text)
