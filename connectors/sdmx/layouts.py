"""Every layout of SDMX data -> records alike: {flow, key, time, value, action, unit, scale, status, dimensions}.

`key` is the series key ("D.NZD.EUR.SP00.A"); `dimensions` maps a dimension to its code. What the standard leaves open: a CSV
file and structure-specific XML do not tell dimensions from attributes. In a CSV whose TIME_PERIOD stands right before OBS_VALUE,
as services write it, the key is what stands before them; elsewhere all columns that are no known attribute and hold nothing
but codes, unless the feed's option `dimensions` names them. What a data set or a group says of its series (UNIT_MULT!) holds
for each observation below it that does not say otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ioc.connect import Defect, Document, Record, Unreadable, local, mask_page, rows, unknown_layout

# Attributes by the content-oriented guidelines; columns and XML attributes so called are never part of a key.
ATTRIBUTES = frozenset(
    ["OBS_VALUE", "OBS_STATUS", "OBS_CONF", "OBS_COM", "OBS_PRE_BREAK", "OBS_QUALIFIER", "CONF_STATUS", "COLLECTION", "AVAILABILITY", "UNIT", "UNIT_MEASURE", "UNIT_MULT", "DECIMALS", "TITLE", "TITLE_COMPL", "TIME_FORMAT", "LAST_UPDATE", "EMBARGO_TIME", "COMMENT_OBS", "COMMENT_TS", "COMMENT_DSET", "SOURCE_AGENCY", "BASE_PER", "TIME_PER_COLLECT", "BREAKS", "COMPILATION", "DIFF_DISSEMINATION", "OBS_FLAG"]
)
TIME, VALUE = "TIME_PERIOD", "OBS_VALUE"
CODE = re.compile(r"[A-Za-z0-9_@$\-]{1,60}")  # as the standard writes a code; a name, a sentence is none
_CONTROL = frozenset(["DATAFLOW", "STRUCTURE", "STRUCTURE_ID", "STRUCTURE_NAME", "ACTION", "SERIES_KEY", "OBS_KEY", "KEY", TIME])
_HANDED_DOWN = ("UNIT", "UNIT_MEASURE", "UNIT_MULT", "OBS_STATUS")  # attributes that are read, wherever they are attached
_FLOW = re.compile(r"(?:[^:]*:)?([A-Za-z0-9_@$-]+)(?:\([\d.+~*]*\))?")
_DATAFLOW_LINK = re.compile(r"/dataflow/[^/]+/([^/?]+)|Dataflow=[^:]+:([^(]+)")


def split(document: Document, wanted: Sequence[str]) -> list[Record]:
    """Return the observations of a document; raise `Unreadable` for what is no data, and for an answer that is to follow."""
    if document.kind == "csv":
        return list(_csv(document, wanted))
    if document.kind == "xml":
        return list(_xml(document, wanted))
    if document.kind == "json" and isinstance(document.value, dict):
        return list(_json(document))
    raise unknown_layout(document, "SDMX data")


def _record(flow: str, key: Mapping[str, str], values: Mapping[str, Any], action: Any, prepared: str = "") -> Record:
    value = {
        "flow": flow, "key": ".".join(key.values()), "time": values.get(TIME), "value": values.get(VALUE), "action": action, "unit": values.get("UNIT_MEASURE") or values.get("UNIT"),
        "scale": values.get("UNIT_MULT"), "status": values.get("OBS_STATUS"), "dimensions": dict(key),
    }  # fmt: skip
    return Record(value, hints={"prepared": prepared} if prepared else {})


def _later(code: str, text: str) -> Unreadable:
    link = re.search(r"https?://[^\s<]+", text)
    return Unreadable(
        "answer_later", f"there is no data in this answer, but a message{f' ({code})' if code else ''}: {'the data will be a file at an address of its own' if link else 'the service could not answer'}",
        repair="ask for less at a time (startPeriod, a narrower key), or read the file once it is there",
    )  # fmt: skip


# --- SDMX-JSON ----------------------------------------------------------------------------------------------------


def _json(document: Document) -> Iterator[Record]:
    top = document.value
    data = top["data"] if isinstance(top.get("data"), dict) else top
    sets = data.get("dataSets")
    if isinstance(top.get("errors"), list) and top["errors"] and not sets:
        first = top["errors"][0] if isinstance(top["errors"][0], dict) else {}
        raise _later(str(first.get("code", ""))[:10], "")
    structures = data.get("structures") if isinstance(data.get("structures"), list) else [data.get("structure")]
    if not isinstance(sets, list) or not all(isinstance(s, dict) for s in structures or [None]):
        raise unknown_layout(document, "SDMX-JSON (dataSets and structure)")
    header: dict[str, Any] = next((top[name] for name in ("meta", "header") if isinstance(top.get(name), dict)), {})
    for n, found in enumerate(sets):
        if not isinstance(found, dict):
            raise unknown_layout(document, "SDMX-JSON (a data set is an object)")
        which = found.get("structure", n if n < len(structures) else 0)
        try:
            yield from _data_set(found, structures[which if isinstance(which, int) and which < len(structures) else 0], str(header.get("prepared") or ""))
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as exc:
            raise Unreadable("contradiction", "the positions of the data set do not fit the dimensions of its structure", repair="send the structure the data was made with", excerpt=mask_page(document.text)) from exc


def _data_set(found: dict[str, Any], structure: dict[str, Any], prepared: str) -> Iterator[Record]:
    dimensions, attributes = structure["dimensions"], structure.get("attributes") or {}
    flow, action = _flow_of(structure), found.get("action", "Information")
    measures = [str(m.get("id")) for m in (structure.get("measures") or {}).get("observation") or [{"id": VALUE}]]
    which = measures.index(VALUE) if VALUE in measures else 0
    fixed = [(d, 0) for d in dimensions.get("dataSet") or []]
    whole = _said(attributes.get("dataSet"), found.get("attributes") or [0 if len(a.get("values") or []) == 1 else None for a in attributes.get("dataSet") or []])
    groups = {position: _said(attributes.get("dimensionGroup"), given) for position, given in (found.get("dimensionGroupAttributes") or {}).items()}
    groups = {position: said for position, said in groups.items() if said}

    above: dict[str, dict[str, Any]] = {}  # what data set, groups and series say of the observations of a series

    def handed(placed: list[tuple[dict[str, Any], int]], series: list[Any]) -> dict[str, Any]:
        at = {d.get("keyPosition", 99): str(n) for d, n in placed}
        mine = [said for position, said in groups.items() if all(part in ("", at.get(n, "")) for n, part in enumerate(position.split(":")))]
        return {name: value for said in (whole, *mine, _said(attributes.get("series"), series)) for name, value in said.items()}

    def one(outer: str, inner: str, cells: Any, series: list[Any]) -> Record:
        try:
            # A flat data set places every dimension at the observation; also those its structure lists as a series'.
            flat = per_series + per_observation if not outer and inner.count(":") >= len(per_observation) else per_observation
            placed = fixed + (_placed(per_series, outer) if outer else []) + _placed(flat, inner)
            codes = {d["id"]: (_code(d["values"][at]), d.get("keyPosition", 99)) for d, at in placed}
            if not outer or outer not in above:
                above[outer] = handed(placed, series)
            own = _said(attributes.get("observation"), cells[len(measures) :])
            value = cells[which] if len(cells) > which else None
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            return Record({"position": f"{outer} {inner}"}, defect=Defect("contradiction", "the observation's position does not fit the dimensions and attributes of the structure", repair="send the structure the data was made with"))
        time = codes.pop(TIME, (None, 0))[0]
        key = {name: str(code) for name, (code, _) in sorted(codes.items(), key=lambda item: item[1][1])}
        return _record(flow, key, above[outer] | own | {TIME: time, VALUE: value}, action, prepared)

    per_series, per_observation = dimensions.get("series") or [], dimensions.get("observation") or []
    for position, cells in (found.get("observations") or {}).items():
        yield one("", position, cells, [])
    for outer, series in (found.get("series") or {}).items():  # by series, or cross-section: the other way round
        for inner, cells in (series.get("observations") or {}).items():
            yield one(outer, inner, cells, series.get("attributes") or [])


def _placed(dimensions: list[dict[str, Any]], position: str) -> list[tuple[dict[str, Any], int]]:
    return [(dimension, int(at)) for dimension, at in zip(dimensions, position.split(":"), strict=True)]


def _said(attributes: list[dict[str, Any]] | None, given: list[Any]) -> dict[str, Any]:
    """Return what the attributes that are read say; each is told by its position in the list of its values, or is the value."""
    return {
        attribute["id"]: _code(attribute["values"][at]) if isinstance(at, int) and attribute.get("values") else at
        for attribute, at in zip(attributes or [], given, strict=False)
        if at is not None and attribute["id"] in _HANDED_DOWN
    }


def _code(value: dict[str, Any]) -> Any:
    return value["id"] if "id" in value else value["value"] if "value" in value else value.get("name")


def _flow_of(structure: dict[str, Any]) -> str:
    for link in structure.get("links") or []:
        if isinstance(link, dict) and (found := _DATAFLOW_LINK.search(f"{link.get('href', '')} {link.get('urn', '')}")):
            return found[1] or found[2]
    return str(structure.get("dataflow") or structure.get("id") or "DATA")


# --- SDMX-CSV -----------------------------------------------------------------------------------------------------


def _csv(document: Document, wanted: Sequence[str]) -> Iterator[Record]:
    names = _names(document.header)
    columns = list(names.values())
    if not set(columns) & {"DATAFLOW", "STRUCTURE_ID", "KEY"} or VALUE not in columns:
        raise unknown_layout(document, "SDMX-CSV: the columns DATAFLOW (1.0), or STRUCTURE and STRUCTURE_ID (2.0), and OBS_VALUE are missing", tuple(document.header))
    labelled = any(":" in name for name in document.header)
    found = rows(document)
    cells = [{names[name]: str(cell).split(": ", 1)[0] if labelled else cell for name, cell in record.value.items() if name in names} for record in found if record.defect is None]
    key_of = wanted or _before_value(columns) or _codes(cells, columns)
    told = iter(cells)
    for record in found:
        if record.defect is not None:
            yield record
            continue
        row = next(told)
        where = row.get("DATAFLOW") or row.get("STRUCTURE_ID") or str(row.get("KEY") or "").partition(".")[0]
        flow = _FLOW.match(where)
        yield Record(_record(flow[1] if flow else where, {name: row[name] for name in key_of if name in row}, row, row.get("ACTION") or "I").value, hints=record.hints)


def _names(header: Sequence[str]) -> dict[str, str]:
    """Return column -> component: "REF_AREA: Area" and "ATTR[en;fr]" without what follows, and no columns of names only."""
    names = {name: re.split(r"[:\[]", name, maxsplit=1)[0].strip() for name in header}
    parts = [name for name, component in names.items() if component not in _CONTROL or component == TIME]
    if "STRUCTURE_NAME" in names.values() and {TIME, VALUE} <= {names[name] for name in parts[::2]}:  # labels=name: a component's name stands in the column after it
        for name in parts[1::2]:
            del names[name]
    return names


def _before_value(columns: list[str]) -> list[str]:
    """Return the dimensions where the columns are in the order services write: dimensions, TIME_PERIOD, OBS_VALUE, attributes."""
    at = columns.index(VALUE)
    return [name for name in columns[: at - 1] if name not in _CONTROL and CODE.fullmatch(name)] if at and columns[at - 1] == TIME else []


def _codes(found: Iterable[Mapping[str, Any]], names: Iterable[str]) -> list[str]:
    """Return the columns that may be dimensions: no known attribute, and no text in any row."""
    texts = {name for row in found for name, value in row.items() if value and not CODE.fullmatch(str(value))}
    return [name for name in names if name not in texts and name not in ATTRIBUTES and name not in _CONTROL]


# --- SDMX-ML ------------------------------------------------------------------------------------------------------


def _xml(document: Document, wanted: Sequence[str]) -> Iterator[Record]:
    root = document.value
    if local(root) in ("Error", "Fault"):
        raise _later("", "")
    sets = [element for element in root if local(element) == "DataSet"]
    if not local(root).endswith("Data") or (not sets and not any(local(e) == "Header" for e in root)):
        raise unknown_layout(document, "SDMX-ML data (a message of structures, or another document)")
    texts = {local(element): (element.text or "").strip() for element in root.iter() if not len(element) and isinstance(element.tag, str)}
    if not sets and (message := next((e for e in root.iter() if local(e) == "Message" and e.get("code")), None)) is not None:
        raise _later(message.get("code") or "", " ".join(message.itertext()))
    flows = {str(e.get("structureID")): ref.get("id") for e in root.iter() if local(e) == "Structure" for ref in e.iter() if local(ref) == "Ref"}
    moves = {str(e.get("structureID")): e.get("dimensionAtObservation") for e in root.iter() if local(e) == "Structure"}
    for found in sets:
        said = _attributes(found)
        structure = said.get("structureRef") or next(iter(flows), "")
        flow, at = flows.get(structure) or texts.get("KeyFamilyRef") or "DATA", moves.get(structure) or TIME
        action = said.get("action") or texts.get("DataSetAction") or "I"
        yield from (_record(flow, key, values, action, texts.get("Prepared", "")) for key, values in _observations(found, at, wanted))


def _observations(data_set: Any, at: str, wanted: Sequence[str]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Yield key and values of each observation, with what the data set, its groups and its series say of it."""
    series = [e for e in data_set if local(e) == "Series"]
    flat = [e for e in data_set if local(e) == "Obs"]
    generic = any(local(part) in ("SeriesKey", "ObsKey") for e in (*series[:1], *flat[:1]) for part in e)
    dimensions = set(wanted) if wanted else set() if generic else set(_codes(map(_attributes, series or flat), {name: None for e in series or flat for name in _attributes(e)}))
    whole = _parts(data_set, dimensions, generic)[1]
    groups = _Groups([_parts(e, dimensions, generic) for e in data_set if local(e) in ("Group", "Atts")])
    for outer in series:
        key, said = _parts(outer, dimensions, generic)
        above = whole | groups.say(key) | said
        for obs in outer:
            if local(obs) == "Obs":
                mine, values = _parts(obs, {at} | set(wanted), generic, at)
                yield _timed(key | mine, above | values)
    for obs in flat:
        key, values = _parts(obs, dimensions, generic, at)
        yield _timed(key, whole | groups.say(key) | values)


def _timed(key: dict[str, str], values: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    time = key.get(TIME) or values.get(TIME)
    return {name: value for name, value in key.items() if name != TIME}, values | {TIME: time}


def _attributes(element: Any) -> dict[str, str]:
    return {name.rpartition("}")[2]: value for name, value in element.attrib.items()}


def _parts(element: Any, dimensions: set[str], generic: bool, at: str = TIME) -> tuple[dict[str, str], dict[str, Any]]:
    """Return (key, values) of a data set, group, series or observation: as elements (generic), or as XML attributes."""
    key: dict[str, str] = {}
    values: dict[str, Any] = {}
    if not generic:
        given = _attributes(element)
        measure = given.pop("type", "").rpartition(":")[2]  # the type of an observation is the measure where several are told apart by it
        key = {name: value for name, value in given.items() if name in dimensions}
        if local(element) == "Obs" and at not in (TIME, "AllDimensions") and at not in given and measure:
            key[at] = measure
        return key, given
    for e in element:
        pairs = {str(v.get("id") or v.get("concept")): v.get("value") for v in e if local(v) == "Value"}
        if local(e) in ("SeriesKey", "ObsKey", "GroupKey"):
            key |= pairs
        elif local(e) == "Attributes":
            values |= pairs
        elif local(e) == "ObsDimension":
            key[e.get("id") or at] = e.get("value")
        elif local(e) == "Time":  # 2.0
            key[TIME] = (e.text or "").strip()
        elif local(e) == "ObsValue":
            values[VALUE] = e.get("value")
    return key, values


class _Groups:
    """What groups say of the series whose key they hold a part of."""

    def __init__(self, groups: list[tuple[dict[str, str], dict[str, Any]]]) -> None:
        self._by_names: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, Any]]] = {}
        for key, values in groups:
            said = {name: values[name] for name in _HANDED_DOWN if name in values and name not in key}
            if key and said:
                names = tuple(sorted(key))
                self._by_names.setdefault(names, {}).setdefault(tuple(key[name] for name in names), {}).update(said)

    def say(self, key: Mapping[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for names, known in self._by_names.items():
            found |= known.get(tuple(key.get(name, "") for name in names), {})
        return found
