"""What may stand in a connector.yaml. Every name and sentence here is the reference of docs/connectors.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ioc.connect.sense import Sense
from ioc.events import Asset, Case, Observation
from ioc.privacy import FieldClass
from ioc.units import UnknownUnit, normal

REFERENCE = re.compile(r"\$(\w+)")
KINDS: dict[str, type[Any]] = {"observation": Observation, "case": Case, "asset": Asset}
TIMES = ("opened_at", "due_at", "closed_at", "version")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Paging(_Part):
    """How to come to the next page."""

    by: Literal["page", "offset", "token", "next", "link"] = Field(description="page: a number; offset: how many records came before; token: a value of the answer; next: a link in the answer; link: the header Link, rel=next.")
    parameter: str = Field("", description="Query parameter of the page number, the offset or the token.")
    first: int = Field(1, ge=0, description="Number of the first page.")
    size_parameter: str = Field("", description="Query parameter of the page size.")
    size: int = Field(100, ge=1, le=10_000, description="Records a page.")
    value: str = Field("", description="Dotted path in the answer to the token or the next link.")
    pages: str = Field("", description="Dotted path to the number of pages, where the answer says it; else an empty page ends the walk.")

    @model_validator(mode="after")
    def _whole(self) -> Paging:
        if self.by in ("page", "offset", "token") and not self.parameter:
            raise ValueError(f"paging by {self.by} needs parameter: the name of the query parameter")
        if self.by in ("token", "next") and not self.value:
            raise ValueError(f"paging by {self.by} needs value: the dotted path in the answer")
        return self


class Since(_Part):
    """Asks only for what changed: the newest value of a field goes into the next poll's query."""

    parameter: str = Field(description="Query parameter.")
    field: str = Field(description="The field (of type time or date) it is taken from.")
    form: Literal["iso", "date", "epoch"] = Field("iso", description="iso: 2026-11-22T01:00:00Z; date: 2026-11-22; epoch: seconds since 1970.")
    overlap_s: int = Field(300, ge=0, le=2_678_400, description="How much further back is asked, so that nothing is missed.")


class Sql(_Part):
    """What a database is asked. Read-only; the rows are taken in steps along `cursor`."""

    select: str = Field(description="One SELECT, without ORDER BY and LIMIT. Name the columns you need; leave persons out.")
    cursor: str = Field("", description="Column that only grows (time of change, or number). Without it all rows are read each time.")
    overlap_s: int = Field(300, ge=0, le=2_678_400, description="How much further back is asked where the cursor is a time: a transaction may end later than it began.")
    size: int = Field(5000, ge=1, le=50_000, description="Rows a step; without a cursor the most there may be.")

    @model_validator(mode="after")
    def _reads(self) -> Sql:
        if not re.match(r"(?is)\s*(select|with)\b", self.select) or ";" in self.select.rstrip().rstrip(";"):
            raise ValueError("sql.select must be one SELECT (or WITH ... SELECT)")
        return self


class Source(_Part):
    """Where the records are. The address itself is the feed's `url`: http(s)://, file:// or sftp:// (a folder), mqtt(s)://, postgresql+psycopg:// (a database)."""

    path: str = Field("", description="Path below the feed's url.")
    files: str = Field("", description="For a feed whose url is a folder (file://, sftp://): which files, for example '*.xlsx'. Each complete file is read once; one that changed is read again.")
    topics: list[str] = Field(default_factory=list, description="For a feed whose url is a broker (mqtt://): topics, + is one level, # all below. The topic is in the record: `path: mqtt.topic`, or its second level `mqtt.levels.1`.")
    sql: Sql | None = Field(None, description="For a feed whose url is a database: what it is asked.")
    query: dict[str, str | int] = Field(default_factory=dict, description="Query parameters of every request.")
    format: Literal["", "json", "xml", "csv"] = Field("", description="What the answer is, where the path does not end in it: XML in the place of JSON is then no empty list.")
    records: str = Field("", description="JSON: dotted path to the list ('' when the answer is the list). XML: name of the element that is a record.")
    error: str = Field("", description="JSON: dotted path that is there only when the source refuses ('error', '0.message'): the answer is then told as the source's error.")
    header_rows: int = Field(1, ge=1, le=3, description="Spreadsheets: how many rows the header has; merged headings above are put before those below.")
    sheet: str = Field("", description="Spreadsheets: name of the sheet; the first one without it.")
    paging: Paging | None = Field(None, description="How to come to the next page.")
    since: Since | None = Field(None, description="How to ask only for what changed.")


class FieldRule(_Part):
    """One field of a record."""

    path: str = Field("", description="Dotted path in the record, or the column; the field's own name without it.")
    type: Literal["text", "code", "number", "count", "rating", "flag", "time", "date", "month", "period", "quantity", "area", "area_name"] = Field("text", description="What it must be; anything else is a dead letter. period: 2026, 2026-Q3, quý III/2026, 2026-11, 2026-W47, tuần 47/2026; quantity: a figure as people write it, with its unit ('gần 29 tỷ USD').")
    field_class: FieldClass = Field(alias="class", description="public, internal or personal; a personal field is never read.")
    required: bool = Field(False, description="Empty is a dead letter.")
    values: dict[str, str | bool | int | float | None] = Field(default_factory=dict, description="What the source's words mean; any other word is a dead letter. Of a quantity: the words for units, with their UCUM code.")
    low: float | None = Field(None, description="Below it a number is kept and marked as doubtful.")
    high: float | None = Field(None, description="Above it a number is kept and marked as doubtful.")
    decimal: Literal["point", "comma", "either"] = Field("either", description="How a number in a text writes its decimals; 'either' refuses what could be both (1,234).")
    end_of_day: bool = Field(False, description="A date is the last second of that day (due dates), not its first.")
    pattern: str = Field("", description="Regular expression with one group: what of the text is the value ('Tổng\\s*([\\d.,]+)' of glued counters); a text without it is empty.")
    format: str = Field("", description="How the source writes this time, as strptime says it ('%d/%m/%Y %I:%M %p'); without zone it is the feed's.")
    suppress_below: int = Field(0, ge=0, le=100, description="Counts of persons: from 1 to below this a number never leaves; it becomes 'at most' the number before this (5: at most 4). Dead letters withhold the field.")

    @model_validator(mode="after")
    def _sense(self) -> FieldRule:
        try:
            if self.pattern and re.compile(self.pattern).groups != 1:
                raise ValueError(f"pattern {self.pattern!r} needs exactly one group")
        except re.error as exc:
            raise ValueError(f"pattern {self.pattern!r}: {exc}") from exc
        if self.format and self.type != "time":
            raise ValueError("format belongs to type time")
        if self.suppress_below and self.type != "count":
            raise ValueError("suppress_below belongs to type count")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self


class FactRule(_Part):
    """One fact a record becomes. In every text `$name` is the value of a field; a lone `$name` keeps its type."""

    observation: dict[str, Any] | None = Field(None, description="metric, value, unit, area, period, ...: ioc.events.Observation. Left out where the value is empty.")
    case: dict[str, Any] | None = Field(None, description="status, category, opened_at, due_at, ...: ioc.events.Case.")
    asset: dict[str, Any] | None = Field(None, description="kind, name, state, lat, lon, ...: ioc.events.Asset.")

    @model_validator(mode="after")
    def _one(self) -> FactRule:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError("name exactly one of observation, case, asset")
        kind, rule = given[0], getattr(self, given[0])
        known = set(KINDS[kind].__struct_fields__) - {"shape"}  # which is no value of a field
        if unknown := sorted(set(rule) - known):
            raise ValueError(f"{kind} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        if kind == "observation":
            if missing := [name for name in ("metric", "value") if name not in rule]:
                raise ValueError(f"observation needs {', '.join(missing)}")
            unit = str(rule.get("unit", "1"))
            try:
                "$" in unit or normal(unit)
            except UnknownUnit as exc:
                raise ValueError(str(exc)) from exc
        return self

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def rule(self) -> dict[str, Any]:
        found: dict[str, Any] = getattr(self, self.kind)
        return found


class Declaration(_Part):
    """A whole connector.yaml."""

    about: str = Field(min_length=1, description="One line: what it reads.")
    version: str = Field("1", description="Goes up when the same record becomes another fact.")
    source: Source = Field(default_factory=Source, description="Where the records are.")
    fields: dict[str, FieldRule] = Field(min_length=1, description="The fields of a record; what is not named is personal, and never read.")
    subject: str = Field(description="What tells one thing from another, for example 'lot-$id'; the same each time.")
    time: str = Field("", description="When it was so: a field of type time, date, month or period. Without it, when we looked.")
    facts: list[FactRule] = Field(min_length=1, description="What a record becomes.")
    sense: dict[str, Sense] = Field(default_factory=dict, description="Metric -> what is sensible for it; a value that is not is kept and marked.")
    exempt: dict[str, str] = Field(default_factory=dict, description="A rule of `ioc connector grade` that cannot be kept, and why.")

    @model_validator(mode="after")
    def _references(self) -> Declaration:
        for where, text in self._texts():
            for name in REFERENCE.findall(text):
                if name not in self.fields:
                    raise ValueError(f"{where}: ${name} is no field; fields are {', '.join(self.fields)}")
                if self.fields[name].field_class == "personal":
                    raise ValueError(f"{where}: ${name} is personal and may not be used")
        metrics = self.metrics
        for metric in self.sense:
            if metric not in metrics and not any("$" in name for name in metrics):
                raise ValueError(f"sense.{metric}: no fact has this metric; they are {', '.join(metrics) or 'none'}")
        if self.time and not (REFERENCE.fullmatch(self.time) and self.fields[self.time[1:]].type in ("time", "date", "month", "period")):
            raise ValueError(f"time: {self.time!r} is not $field of type time, date, month or period")
        if self.source.since and self.source.since.field not in self.fields:
            raise ValueError(f"source.since.field: {self.source.since.field} is no field; fields are {', '.join(self.fields)}")
        if not REFERENCE.search(self.subject) and not (self.time and all(rule.observation for rule in self.facts)):
            raise ValueError("subject names no field: all records would be one thing; one thing alone can only be measured (observations, with their time)")
        return self

    @property
    def metrics(self) -> list[str]:
        """The metrics of its observations as they are written, fields of the record as $NAME."""
        return [str(rule.observation["metric"]) for rule in self.facts if rule.observation]

    def _texts(self) -> Iterator[tuple[str, str]]:
        yield "subject", self.subject
        yield "time", self.time
        for i, fact in enumerate(self.facts):
            for name, value in fact.rule.items():
                for text in value.values() if isinstance(value, dict) else [value]:
                    if isinstance(text, str):
                        yield f"facts[{i}].{fact.kind}.{name}", text
