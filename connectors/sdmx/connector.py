"""Reading a data query whole, each time, and telling only what changed; one SDMX observation is one observation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field, field_validator

from connectors.sdmx import layouts
from ioc.connect import (
    Connector,
    Context,
    Document,
    FieldClass,
    Known,
    Options,
    Page,
    Record,
    Seen,
    Skip,
    fields,
    scrub,
    shown,
    units,
)
from ioc.connect.declared.figures import reference
from ioc.events import Event, Observation

ACCEPT = "application/vnd.sdmx.data+json, application/vnd.sdmx.data+csv;q=0.9, application/vnd.sdmx.genericdata+xml;q=0.8, */*;q=0.1"
REMEMBERED = 20_000
_ACTIONS = {"i": False, "information": False, "a": False, "append": False, "r": False, "replace": False, "m": False, "merge": False, "u": False, "d": True, "delete": True}
_HALF = re.compile(r"(\d{4})-?[SB]([12])")
_SPAN = re.compile(r"(\d{4}-\d\d-\d\d)(?:T[\d:.]+Z?)?/(P\d+[YMWD])")  # a range: from when, how long
_COMPLETE = re.compile(r"(\d{4})-(?:A1|([MQWT])?(\d{1,3}))")


class SdmxOptions(Options):
    path: str = Field("", description="Path of the data query, below the feed's url, for example data/NSO,DF_GRDP/A.19?startPeriod=2020.")
    metrics: dict[str, str] = Field(default_factory=dict, description="FLOW:KEY (with * for anything) -> the metric's name; what fits none is a dead letter. Without it the metric is the flow's name.")
    metric_units: dict[str, str] = Field(default_factory=dict, description="Metric -> UCUM unit, where the code of the data's own unit is none.")
    dimensions: list[str] = Field(default_factory=list, description="CSV and structure-specific XML: the columns that make the key, in its order; without it those before TIME_PERIOD and OBS_VALUE, or all that are no known attribute and hold codes only.")
    area_dimension: str = Field("", description="The dimension that holds a commune's code; without it figures are the province's.")

    @field_validator("metric_units")
    @classmethod
    def _ucum(cls, value: dict[str, str]) -> dict[str, str]:
        return {metric: units.normal(unit) for metric, unit in value.items()}


FIELDS: dict[str, FieldClass] = {
    "flow": "public", "key": "public", "time": "public", "value": "public", "action": "public", "unit": "public", "scale": "public", "status": "public",
}  # fmt: skip


class Sdmx(Connector[SdmxOptions]):
    name = "sdmx"
    version = "2"
    options = SdmxOptions
    fields = FIELDS
    columns = ("STRUCTURE", "STRUCTURE_ID", "DATAFLOW", "KEY", "ACTION", layouts.TIME, layouts.VALUE)

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        answer = context.http.get(context.options.path, known=Known(*context.cursor.get("known", [])), accept=ACCEPT)
        if not answer.changed:
            yield Page([], dict(context.cursor))
            return
        seen = Seen(context.cursor.get("seen"), limit=REMEMBERED)
        fresh = [record for record in self.read(self.document(answer), context) if seen.new(record.value, None)]
        yield Page(fresh, {"seen": seen.save(context.oldest), "known": [answer.known.etag, answer.known.last_modified]})

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        return layouts.split(document, context.options.dimensions)

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        row, options = record.value, context.options
        flow, key = fields.text(row, "flow") or "DATA", fields.text(row, "key")
        deleted = _ACTIONS.get((fields.text(row, "action") or "I").lower())
        if deleted is None:
            raise Skip("unknown_code", f"action {shown(row['action'])} is none of I, A, R, M, D", field="action", repair="send an action of SDMX")
        if not key or any(not part for part in key.split(".")):
            why = "a deletion of many observations at once is not carried out" if deleted else "a dimension is empty: nothing tells this observation from another"
            raise Skip("out_of_scope" if deleted else "missing_id", why, field="key", repair="name every dimension of the key")
        for name, code in row["dimensions"].items():
            if layouts.CODE.fullmatch(code) and scrub(code) != code:
                raise Skip("personal_id", f"the code of {shown(name)} is written like a number that belongs to a person", field="key", repair="ask for series by other codes")
            if not layouts.CODE.fullmatch(code):
                raise Skip("unknown_code", f"{shown(name)} holds no code of a list: such a column is no dimension", field="key", repair="name the columns of the key in the option dimensions")
        start, length = _period(fields.text(row, "time"))
        metric = _metric(options.metrics, flow, key)
        value = None if deleted and fields.text(row, "value") in (None, "", "-") else _value(row)
        unit = options.metric_units.get(metric) or _unit(row)
        area = context.area(row["dimensions"].get(options.area_dimension), options.area_dimension) if options.area_dimension else None
        data = Observation(metric=metric, value=value, unit=unit, area=area, period=length, version=_version(record, context), deleted=deleted, attributes={"key": key} | ({"status": status} if (status := fields.text(row, "status")) else {}))
        return [context.event(f"{flow}:{key}", fields.start_of(start, context.zone), data)]


def _metric(metrics: dict[str, str], flow: str, key: str) -> str:
    if not metrics:
        return flow
    found = next((metric for pattern, metric in metrics.items() if fnmatchcase(f"{flow}:{key}", pattern)), None)
    if found is None:
        raise Skip("out_of_scope", f"{shown(f'{flow}:{key}')} fits none of the feed's metrics", field="key", repair="name it in the option metrics, or ask for less")
    return found


def _value(row: dict[str, Any]) -> Decimal | None:
    """Return the figure, scaled by its UNIT_MULT; an empty one, or NaN, was published as missing."""
    written = fields.text(row, "value")
    if written is None or written.strip().lower() == "nan" or fields.number({"value": written}, "value") is None:
        return None
    scale = fields.text(row, "scale") or "0"
    if not re.fullmatch(r"-?\d{1,2}", scale):
        raise Skip("wrong_type", f"UNIT_MULT {shown(scale)} is no power of ten", field="scale", repair="send 0, 3, 6, 9")
    try:
        return Decimal(written.strip()).scaleb(int(scale))
    except InvalidOperation as exc:
        raise Skip("wrong_type", f"value is {shown(written)}, not a number", field="value", repair="send a number, with a decimal point") from exc


def _unit(row: dict[str, Any]) -> str:
    """Return the data's own unit where it is UCUM; codes of a code list ("PN", "SO") mean nothing without the list."""
    try:
        return units.normal(fields.text(row, "unit") or "1")
    except units.UnknownUnit:
        return "1"


def _period(text: str | None) -> tuple[date, str]:
    """Return first day and length of a TIME_PERIOD: 2020, 2020-S1, 2020-Q1, 2020-03, 2020-W05, 2020-A1, 2020-M03, 2020-03-01, 2020-03-01/P7D."""
    if text is None:
        raise Skip("missing_time", "TIME_PERIOD is empty", field="time", repair="send the period of each observation")
    if found := _HALF.fullmatch(text):
        return date(int(found[1]), 1 if found[2] == "1" else 7, 1), "P6M"
    if (found := _COMPLETE.fullmatch(text)) and (found[2] or text.endswith("A1")):
        text = found[1] if not found[2] else f"{found[1]}-{found[2] if found[2] != 'M' else ''}{found[3].zfill(2) if found[2] != 'Q' else found[3]}"
    if found := _SPAN.fullmatch(text):
        return reference(found[1], "time").start, found[2]
    known = reference(text, "time")
    return known.start, known.length


def _version(record: Record, context: Context[Any]) -> datetime | None:
    """When it was published: as the message says, else what differs from the first reading is newer than that."""
    try:
        prepared = fields.moment(record.hints.get("prepared"), "prepared", context.zone)
    except Skip:
        prepared = None
    return min(prepared, context.now) if prepared else context.now if context.cursor else None
