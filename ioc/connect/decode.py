"""Bytes -> document, whatever the bytes are: JSON, NDJSON, XML, CSV, in the encodings sources really use.

Everything here ends in a `Document` or in `Unreadable` with a cause: entity bombs, 100,000 nested arrays, an HTML
page, a spreadsheet, a truncated file. Nothing is fetched, no entity is resolved, no recursion is unbounded.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import unicodedata
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec
from lxml import etree
from msgspec import Struct

from ioc.connect.errors import Unreadable
from ioc.privacy import mask_page

Kind: TypeAlias = Literal["json", "ndjson", "xml", "csv"]

MAX_COLUMNS = 500
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_XML_ENCODING = re.compile(rb"""^\s{0,16}<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")
_DOCTYPE = re.compile(r"<!(?:DOCTYPE|ENTITY)\b")
_HTML = re.compile(r"^\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_RUBBISH = re.compile(r"^[^<{\[]{1,16}(?=<\?xml)")
_TITLE = re.compile(r"<title[^>]*>([^<]{0,80})", re.IGNORECASE)
_LOSSY = re.compile(r"[^\W\d_]\?[^\W\d_]")
# UTF-8 read as windows-1252 and written as UTF-8 again: what Vietnamese vowels turn into.
_MOJIBAKE = re.compile(r"Ã[\x80-\xbf¡-¿]|á[º»][\x80-\xbf¡-¿\u2010-\u2122\ufffd€]?|Ä[\x90‘\ufffd]|Æ[°¡]|â€")


class NotANumber:
    """Stands for NaN or Infinity in JSON that a strict parser refuses; the record that holds it is skipped."""


NOT_A_NUMBER = NotANumber()


class Defect(Struct, frozen=True):
    """Why one record of a readable page cannot be used."""

    cause: str
    message: str
    field: str = ""
    repair: str = ""


class Row(Struct):
    """One record of a page: a line of CSV or NDJSON, with its line number (the header is line 1)."""

    value: Any
    line: int
    defect: Defect | None = None


class Document(Struct):
    """A decoded answer. `value`: the JSON value, the XML root, or a list of `Row` (csv, ndjson); `size` in bytes."""

    kind: Kind
    value: Any
    text: str
    size: int
    header: list[str] = msgspec.field(default_factory=list)
    not_numbers: bool = False


def decode(body: bytes, *, content_type: str = "", charset: str = "", keep: tuple[str, ...] = (), cut: re.Pattern[str] | None = None) -> Document:
    """Return the document in `body`; raise `Unreadable`.

    `keep`: column names an excerpt may show. `cut`: what is thrown away before anything is parsed (attachments).
    """
    if body.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Unreadable("spreadsheet", "the answer is a spreadsheet or an archive, not text", repair="export CSV (UTF-8) or JSON")
    text = text_of(body, charset)
    if cut is not None:
        text = cut.sub("", text)
    start = text.lstrip()
    if not start:
        raise Unreadable("empty", "the answer is empty", repair="answer [] or {} when there is nothing")
    if _HTML.match(start) or ("html" in content_type and start.startswith("<") and not start.startswith("<?xml")):
        raise _html(text)
    start = _RUBBISH.sub("", start)
    if start[0] in "{[":
        return _json(start, len(body))
    if start[0] == "<":
        return Document("xml", _xml(start), start, len(body))
    if "json" in content_type or "xml" in content_type:
        raise Unreadable("bad_json" if "json" in content_type else "bad_xml", f"the answer is declared {content_type[:40]} and is none: it starts like plain text", repair="send what the header says", excerpt=mask_page(text))
    if not any(mark in start.partition("\n")[0] for mark in ",;\t|") and start.count("\n") < 2:
        raise Unreadable("unknown_format", "the answer is neither JSON nor XML nor a table", repair="send JSON, XML or CSV", excerpt=mask_page(text))
    return _csv(text, len(body), keep)


def _html(text: str) -> Unreadable:
    title = _TITLE.search(text[:5000])
    # Only well-known words of a title are shown: it may carry anything.
    words = " ".join(re.findall(r"(?i)\b(?:login|log in|sign in|error|not found|forbidden|proxy|gateway|unavailable|maintenance|đăng nhập|bảo trì|\d{3})\b", title[1] if title else ""))
    named = f" ({words!r})" if words else ""
    return Unreadable("html_page", f"an HTML page came instead of data{named}: a login, a proxy or an error page", repair="check the url and whether the source asks for a login", excerpt=mask_page(text[:4096]))


# --- text -------------------------------------------------------------------------------------------------------


def text_of(body: bytes, charset: str = "") -> str:
    """Return the text of `body`: by its BOM, its declaration, UTF-8; a table also as windows-1258."""
    for bom, name in _BOMS:
        if body.startswith(bom):
            return _decoded(body[len(bom) :] if name == "utf-8" else body, name)
    declared = _XML_ENCODING.match(body[:300])
    name = declared[1].decode("ascii") if declared else charset
    if name and name.lower().replace("_", "-") not in ("utf-8", "utf8", "us-ascii", "ascii"):
        return _decoded(body, name)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as exc:
        if name or body.lstrip()[:1] in (b"{", b"[", b"<"):
            # Said to be UTF-8, or must be: a guess could write wrong letters into every title.
            raise Unreadable("wrong_encoding", f"the answer is not UTF-8 (byte {exc.start}: {body[exc.start]:#04x}), as its format or its header says", repair="send UTF-8, or declare the encoding", excerpt=mask_page(body[:65_536].decode("utf-8", "replace"))) from exc
        return _vietnamese(body, exc)


def _decoded(body: bytes, name: str) -> str:
    try:
        return body.decode(name)
    except LookupError as exc:
        raise Unreadable("wrong_encoding", f"the declared encoding {name[:40]!r} is not known", repair="send UTF-8") from exc
    except UnicodeError as exc:
        raise Unreadable("wrong_encoding", f"the bytes are not the declared {name[:40]}", repair="send UTF-8") from exc


def _vietnamese(body: bytes, cause: UnicodeDecodeError) -> str:
    """Bytes that are not UTF-8: old Vietnamese software writes windows-1258 (letters with combining marks)."""
    try:
        text = unicodedata.normalize("NFC", body.decode("cp1258"))
    except UnicodeDecodeError:
        text = ""
    letters = [c for c in text if ord(c) > 127]
    if text and letters and sum(c.isalpha() and c.lower() in _VIETNAMESE for c in letters) >= 0.9 * len(letters):
        return text
    raise Unreadable("wrong_encoding", f"the bytes are not UTF-8 (byte {cause.start}: {body[cause.start]:#04x}) and not windows-1258 either", repair="send UTF-8, or declare the encoding", excerpt=mask_page(body[:65_536].decode("utf-8", "replace"))) from cause


_VIETNAMESE = frozenset("àáảãạăằắẳẵặâầấẩẫậèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵđ")


def looks_double_encoded(text: str) -> bool:
    """Is this UTF-8 that was decoded as windows-1252 and encoded again ("XÃ£")?"""
    return _MOJIBAKE.search(text) is not None


def looks_lossy(text: str) -> bool:
    """Were letters replaced when this was written ("L?p 1A"): a question mark inside a word, or U+FFFD?"""
    return "\ufffd" in text or ("?" in text and _LOSSY.search(text) is not None)


# --- JSON -------------------------------------------------------------------------------------------------------


def _json(text: str, size: int) -> Document:
    try:
        return Document("json", msgspec.json.decode(text), text, size)
    except RecursionError as exc:
        raise _too_deep(text) from exc
    except msgspec.DecodeError as exc:
        strict = exc
    if rows := _ndjson(text):
        return Document("ndjson", rows, text, size)
    found: list[str] = []

    def constant(name: str) -> NotANumber:
        found.append(name)
        return NOT_A_NUMBER

    try:
        value = _mended(json.loads(text, parse_constant=constant))
    except RecursionError as exc:
        raise _too_deep(text) from exc
    except ValueError as exc:
        raise Unreadable("bad_json", f"not readable as JSON: {_reason(exc)}", repair="send valid JSON (RFC 8259)", excerpt=mask_page(text)) from strict
    return Document("json", value, text, size, not_numbers=bool(found))


def _mended(value: Any) -> Any:
    """Return the value with U+FFFD for each half of a character (an escape like \\ud800 alone): no encoding can carry it."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, list) else value


def _reason(exc: ValueError) -> str:
    """What json says, without the text it quotes."""
    return f"{exc.msg} at line {exc.lineno}, column {exc.colno}" if isinstance(exc, json.JSONDecodeError) else type(exc).__name__


def _too_deep(text: str) -> Unreadable:
    return Unreadable("too_deep", "the JSON is nested too deeply to be data", repair="send flat records", excerpt=mask_page(text[:200]))


def _ndjson(text: str) -> list[Row]:
    """Return the rows when this is one JSON object a line (at least the first line reads), else []."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) < 2 or not lines[0][1].lstrip().startswith("{"):
        return []
    rows = [_ndjson_row(number, line) for number, line in lines]
    return rows if rows[0].defect is None else []


def _ndjson_row(number: int, line: str) -> Row:
    try:
        return Row(msgspec.json.decode(line), number)
    except RecursionError:
        defect = Defect("too_deep", f"line {number} is nested too deeply")
    except msgspec.DecodeError:
        defect = Defect("bad_json", f"line {number} is not readable as JSON", repair="send one JSON object a line")
    return Row(mask_page(line), number, defect)


# --- XML --------------------------------------------------------------------------------------------------------


def _xml(text: str) -> Any:
    if ("<!D" in text or "<!E" in text) and (found := _DOCTYPE.search(text)):
        # Refused before the parser sees it: entity bombs and external entities need a DTD.
        raise Unreadable("dtd_refused", f"the XML has a document type or entities at character {found.start()}; they are never read", repair="send XML without DOCTYPE", excerpt=mask_page(text[:4096]))
    body = _XML_DECLARATION.sub("", text, count=1).lstrip()
    if "\x00" in body:
        raise Unreadable("bad_xml", "the XML holds a zero byte", repair="send valid XML 1.0")
    try:
        return etree.fromstring(body.encode("utf-8", "surrogatepass"), _parser())
    except etree.XMLSyntaxError as exc:
        line, column = exc.position or (0, 0)
        raise Unreadable("bad_xml", f"not readable as XML at line {line}, column {column} ({_xml_reason(exc)})", repair="send well-formed XML 1.0", excerpt=mask_page(text)) from exc


def _xml_reason(exc: Any) -> str:
    last = exc.error_log.last_error
    return last.type_name.removeprefix("ERR_").lower().replace("_", " ") if last is not None else "syntax"


def _parser() -> Any:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, recover=False, remove_comments=True, remove_pis=True)


def local(element: Any) -> str:
    """Return the tag of an element without its namespace ("" for what is no element)."""
    tag = element.tag
    return _local(tag) if isinstance(tag, str) else ""


@lru_cache(maxsize=4096)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def children(element: Any) -> dict[str, Any]:
    """Return a flat element as a dict: local tag -> text; nested ones become dicts; a repeated tag becomes a list."""
    return _children(element, 0)


def _children(element: Any, depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for child in element if depth <= 12 else ():
        tag = child.tag
        if not isinstance(tag, str):
            continue
        name = _local(tag)
        value: Any = _children(child, depth + 1) if len(child) else (child.text or "").strip() or None
        if name not in out:
            out[name] = value
        elif isinstance(out[name], list):
            out[name].append(value)
        else:
            out[name] = [out[name], value]
    return out


# --- CSV --------------------------------------------------------------------------------------------------------


def _csv(text: str, size: int, keep: tuple[str, ...]) -> Document:
    csv.field_size_limit(64_000_000)  # the answer's own limit guards memory; a huge cell is refused with its record
    head = text.lstrip("\ufeff\r\n ").partition("\n")[0]
    delimiter = max(",;\t|", key=head.count)
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=delimiter)
    try:
        header = [unicodedata.normalize("NFC", name.strip()) for name in _first(reader)]
        _check_header(header, text, keep)
        rows = [_row(header, cells, reader.line_num) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as exc:
        raise Unreadable("bad_csv", f"line {reader.line_num} is not readable as CSV", repair="quote cells that hold delimiters or line breaks", excerpt=mask_page(text, keep)) from exc
    return Document("csv", rows, text, size, header=header)


def _first(reader: Any) -> list[str]:
    return next((cells for cells in reader if any(cell.strip() for cell in cells)), [])


def _check_header(header: list[str], text: str, keep: tuple[str, ...]) -> None:
    def refuse(cause: str, message: str, repair: str) -> Unreadable:
        return Unreadable(cause, message, repair=repair, excerpt=mask_page(text, keep))

    if len(header) > MAX_COLUMNS:
        raise refuse("bad_csv", f"{len(header)} columns; at most {MAX_COLUMNS}", "send only the columns that are asked for")
    if any(looks_double_encoded(name) for name in header):
        raise refuse("wrong_encoding", "the header was encoded twice (UTF-8 read as windows-1252)", "export once more, as UTF-8")
    if any(not name for name in header):
        raise refuse("blank_header", f"column {header.index('') + 1} has no name", "name every column in the first line")
    double = next((name for name in header if header.count(name) > 1), None)
    if double is not None:
        raise refuse("duplicate_header", f"column {header.index(double) + 1} and another have the same name", "name every column once")


def _row(header: list[str], cells: list[str], line: int) -> Row:
    value = dict(zip(header, cells, strict=False))
    if len(cells) == len(header) or (len(cells) > len(header) and not any(cells[len(header) :])):
        return Row(value, line)
    # Nobody knows which cell belongs to which column, so none is kept.
    return Row(mask_page(",".join(cells)), line, Defect("ragged_row", f"line {line} has {len(cells)} cells, the header {len(header)}", repair="quote cells that hold the delimiter"))


