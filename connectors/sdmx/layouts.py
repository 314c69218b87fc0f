"""Every layout of SDMX data -> records alike: {flow, key, time, value, action, unit, scale, status, dimensions}.

`key` is the series key ("D.NZD.EUR.SP00.A"); `dimensions` maps a dimension to its code. What the standard leaves open: a CSV
file and structure-specific XML do not tell dimensions from attributes; there all columns that are no known attribute make
the key, unless the feed's option `dimensions` names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ioc.connect import Document, Record, Unreadable, local, mask_page, rows, unknown_layout

# Attributes by the content-oriented guidelines; columns and XML attributes so called are never part of a key.
ATTRIBUTES = frozenset(
    ["OBS_VALUE", "OBS_STATUS", "OBS_CONF", "OBS_COM", "OBS_PRE_BREAK", "OBS_QUALIFIER", "CONF_STATUS", "COLLECTION", "AVAILABILITY", "UNIT", "UNIT_MEASURE", "UNIT_MULT", "DECIMALS", "TITLE", "TITLE_COMPL", "TIME_FORMAT", "LAST_UPDATE", "EMBARGO_TIME", "COMMENT_OBS", "COMMENT_TS", "COMMENT_DSET", "SOURCE_AGENCY", "BASE_PER", "TIME_PER_COLLECT", "BREAKS", "COMPILATION", "DIFF_DISSEMINATION"]
)
TIME, VALUE = "TIME_PERIOD", "OBS_VALUE"
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
    flow = _flow_of(structure)
    fixed = {d["id"]: (d["values"][0], d.get("keyPosition", 99)) for d in dimensions.get("dataSet") or []}

    def one(keys: list[tuple[dict[str, Any], int]], cells: list[Any], series: list[Any]) -> Record:
        codes = dict(fixed) | {d["id"]: (d["values"][at], d.get("keyPosition", 99)) for d, at in keys}
        times = [code for name, (code, _) in codes.items() if name == TIME]
        key = {name: str(_code(code)) for name, (code, _) in sorted(codes.items(), key=lambda item: item[1][1]) if name != TIME}
        values: dict[str, Any] = {TIME: _code(times[0]) if times else None, VALUE: cells[0] if cells else None}
        for level, given in (("series", series), ("observation", cells[1:])):
            for attribute, at in zip(attributes.get(level) or [], given, strict=False):
                if at is not None and attribute["id"] in ("UNIT", "UNIT_MEASURE", "UNIT_MULT", "OBS_STATUS"):
                    values[attribute["id"]] = _code(attribute["values"][at]) if isinstance(at, int) else at
        for attribute in attributes.get("dataSet") or []:
            if len(attribute.get("values") or []) == 1 and attribute["id"] in ("UNIT", "UNIT_MEASURE", "UNIT_MULT"):
                values.setdefault(attribute["id"], _code(attribute["values"][0]))
        return _record(flow, key, values, found.get("action", "Information"), prepared)

    per_series, per_observation = dimensions.get("series") or [], dimensions.get("observation") or []
    for position, cells in (found.get("observations") or {}).items():  # flat: every dimension at the observation
        yield one(_placed(per_observation, position), cells, [])
    for outer, series in (found.get("series") or {}).items():  # by series, or cross-section: the other way round
        for inner, cells in (series.get("observations") or {}).items():
            yield one(_placed(per_series, outer) + _placed(per_observation, inner), cells, series.get("attributes") or [])


def _placed(dimensions: list[dict[str, Any]], position: str) -> list[tuple[dict[str, Any], int]]:
    return [(dimension, int(at)) for dimension, at in zip(dimensions, position.split(":"), strict=True)]


def _code(value: dict[str, Any]) -> Any:
    return value["id"] if "id" in value else value["value"] if "value" in value else value.get("name")


def _flow_of(structure: dict[str, Any]) -> str:
    for link in structure.get("links") or []:
        if isinstance(link, dict) and (found := _DATAFLOW_LINK.search(f"{link.get('href', '')} {link.get('urn', '')}")):
            return found[1] or found[2]
    return str(structure.get("dataflow") or structure.get("id") or "DATA")


# --- SDMX-CSV -----------------------------------------------------------------------------------------------------


def _csv(document: Document, wanted: Sequence[str]) -> Iterator[Record]:
    labelled = any(": " in name for name in document.header)
    names = {name: name.split(": ", 1)[0] if labelled else name for name in document.header}
    known = set(names.values())
    if not known & {"DATAFLOW", "STRUCTURE_ID"} or VALUE not in known:
        raise unknown_layout(document, "SDMX-CSV: the columns DATAFLOW (1.0), or STRUCTURE and STRUCTURE_ID (2.0), and OBS_VALUE are missing", tuple(document.header))
    outside = {"DATAFLOW", "STRUCTURE", "STRUCTURE_ID", "ACTION", TIME} | ATTRIBUTES
    for record in rows(document):
        if record.defect is not None:
            yield record
            continue
        row = {names[name]: str(cell).split(": ", 1)[0] if labelled else cell for name, cell in record.value.items()}
        where = row.get("DATAFLOW") or row.get("STRUCTURE_ID") or ""
        key = {name: row[name] for name in (wanted or [name for name in row if name not in outside]) if name in row}
        flow = _FLOW.match(where)
        yield Record(_record(flow[1] if flow else where, key, row, row.get("ACTION") or "I").value, hints=record.hints)


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
        attributes = {name.rpartition("}")[2]: value for name, value in found.attrib.items()}
        structure = attributes.get("structureRef") or next(iter(flows), "")
        flow, at = flows.get(structure) or texts.get("KeyFamilyRef") or "DATA", moves.get(structure) or TIME
        action = attributes.get("action") or texts.get("DataSetAction") or "I"
        for inner in found:
            if local(inner) == "Series":
                yield from (_observation(flow, inner, obs, at, action, texts.get("Prepared", ""), wanted) for obs in inner if local(obs) == "Obs")
            elif local(inner) == "Obs":
                yield _observation(flow, None, inner, at, action, texts.get("Prepared", ""), wanted)


def _observation(flow: str, series: Any, obs: Any, at: str, action: str, prepared: str, wanted: Sequence[str]) -> Record:
    generic = any(local(e) in ("ObsKey", "ObsDimension", "ObsValue") for e in obs)
    values: dict[str, Any] = {}
    key: dict[str, str] = {}
    for part in (series, obs):
        if part is None:
            continue
        if not generic:
            given = {name.rpartition("}")[2]: value for name, value in part.attrib.items() if name.rpartition("}")[2] not in ("type", "action")}
            values |= given
            key |= {name: value for name, value in given.items() if (name in wanted if wanted else name not in ATTRIBUTES)}
            continue
        for e in part:
            pairs = {str(v.get("id")): v.get("value") for v in e if local(v) == "Value"}
            if local(e) in ("SeriesKey", "ObsKey"):
                key |= pairs
            elif local(e) == "Attributes":
                values |= pairs
            elif local(e) == "ObsDimension":
                key[e.get("id") or at] = e.get("value")
            elif local(e) == "ObsValue":
                values[VALUE] = e.get("value")
    values[TIME] = key.pop(TIME, values.get(TIME))
    return _record(flow, key, values, action, prepared)
