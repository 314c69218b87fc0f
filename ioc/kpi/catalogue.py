"""The KPI catalogue: one YAML file a theme, each KPI a row of words, a unit, limits and a formula that is data.

A formula is made of terms over the three kinds of fact::

    value: {cases: FEED, measure: opened|closed|open|paused|overdue (or a list of open and paused),
            value: n|n_due|n_on_time|seconds|n_rated|rating, where: {dim: value or list}, without: {...}, distinct: dim}
    value: {observations: FEED, metric: ..., period: P1D, aggregate: total|n|subjects|last|max, or above with limit: 100}
    value: {assets: FEED, kind: ..., state: ok or list (default: all but retired)}
    value: {duration: FEED}                       median hours from opened to closed
    ratio: {numerator: TERM, denominator: TERM, scale: 100}

A term may be a list of terms: their sum. A row with `each: {dim: category, values: {VALUE: {vi, en}}}` stands for one
KPI a value, called KPI_VALUE, its terms over cases narrowed to that value, its titles ending in the value's name.

Mistakes end as `UserError` with file, line and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from ioc.config import FEED_NAME, Config, line_of
from ioc.errors import UserError
from ioc.kpi.tile import Better, Kind, Words
from ioc.store.reader import (
    STOCK,
    Aggregate,
    AssetTerm,
    CaseMeasure,
    CaseTerm,
    CaseValue,
    Conditions,
    DurationTerm,
    ObservationTerm,
    Term,
)

KPI_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
UNIT = re.compile(r"1|%|h|d|min|ms|mm|m|km|m/s|ug/m3|VND|USD|By|\{[a-z_]+\}")  # of UCUM, what KPIs are counted in; {dossier} is an annotated count
Period = Literal["now", "day", "week", "month", "quarter", "year"]
_PRESENT_STATES = ("ok", "degraded", "down", "unknown")  # an asset's states, all but retired
_RATIO_KINDS = ("ratio", "mean")


@dataclass(frozen=True)
class Formula:
    """`numerator` summed, over `denominator` summed where there is one, times `scale`."""

    numerator: tuple[Term, ...]
    denominator: tuple[Term, ...] = ()
    scale: int = 1

    @property
    def terms(self) -> tuple[Term, ...]:
        return (*self.numerator, *self.denominator)


@dataclass(frozen=True)
class Kpi:
    """One row of the catalogue. `watch` and `alarm` are the last value still better (for band: the last (low, high))."""

    kpi: str
    theme: str
    title: Words
    description: Words
    kind: Kind
    unit: str
    decimals: int
    better: Better
    period: Period
    formula: Formula
    version: int
    since: date
    watch: float | tuple[float, float] | None = None
    alarm: float | tuple[float, float] | None = None
    target: float | None = None
    target_due: date | None = None
    latest: bool = False  # the value is of the newest period that has one: figures published weeks after their period

    @property
    def feeds(self) -> tuple[str, ...]:
        """The feeds its formula reads, in the formula's order."""
        return tuple(dict.fromkeys(term.feed for term in self.formula.terms))

    @property
    def moves_with_time(self) -> bool:
        """Can its value change without any event before the day ends?"""
        return any(isinstance(t, CaseTerm) and "overdue" in t.measures for t in self.formula.terms)


@dataclass(frozen=True)
class Theme:
    theme: str
    title: Words
    kpis: tuple[Kpi, ...]


@dataclass(frozen=True)
class Catalogue:
    themes: tuple[Theme, ...]

    def __iter__(self) -> Iterator[Kpi]:
        return (kpi for theme in self.themes for kpi in theme.kpis)

    def get(self, name: str) -> Kpi:
        """Return the KPI called `name`; raise `UserError` naming those that look like it."""
        for kpi in self:
            if kpi.kpi == name:
                return kpi
        near = [k.kpi for k in self if k.kpi.split("_")[0] == name.split("_")[0]] or [k.kpi for k in self]
        raise UserError(f"no KPI is called {name!r}; known are {', '.join(near)}")


def load(folder: Path) -> Catalogue:
    """Read every *.yaml of `folder`; raise `UserError` with file, line and repair."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise UserError(f"{folder}: no *.yaml file of KPIs is in it; set kpis.catalogue in config.yaml")
    themes: list[Theme] = []
    where: dict[str, Path] = {}
    for path in files:
        theme = _read(path)
        for kpi in theme.kpis:
            if kpi.kpi in where:
                raise UserError(f"{path}: {kpi.kpi} is already a KPI in {where[kpi.kpi]}; give one of them another name")
            where[kpi.kpi] = path
        themes.append(theme)
    return Catalogue(tuple(themes))


def in_use(catalogue: Catalogue, config: Config) -> list[Kpi]:
    """Return the KPIs this province uses: those named in kpis.use, or all whose feeds it has; targets applied.

    Raise `UserError` for a KPI or target that names what is not there.
    """
    feeds = {feed.feed for feed in config.feeds}
    for name in config.kpis.targets:
        catalogue.get(name)
    if config.kpis.use == "all":
        chosen = [kpi for kpi in catalogue if feeds.issuperset(kpi.feeds)]
    else:
        chosen = [catalogue.get(name) for name in config.kpis.use]
    for kpi in chosen:
        if absent := sorted(set(kpi.feeds) - feeds):
            raise UserError(f"kpis.use: {kpi.kpi} reads the feed {absent[0]}, which config.yaml does not have; add the feed or take the KPI out")
    return [_with_target(kpi, config.kpis.targets.get(kpi.kpi)) for kpi in chosen]


def _with_target(kpi: Kpi, target: float | None) -> Kpi:
    if target is None:
        return kpi
    return Kpi(**{**{name: getattr(kpi, name) for name in Kpi.__dataclass_fields__}, "target": target, "target_due": None})


# The rows as written, checked by pydantic; below they become Kpi.


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Words(_Row):
    vi: str = Field(min_length=1)
    en: str = Field(min_length=1)

    def words(self, ending: str = "", ending_en: str = "") -> Words:
        return Words(vi=self.vi + ending, en=self.en + ending_en)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


# What may stand in a term beside its source, and what must.
_BELONGS: dict[str, set[str]] = {
    "cases": {"measure", "value", "where", "without", "distinct"},
    "observations": {"metric", "period", "aggregate", "limit"},
    "assets": {"kind", "state"},
    "duration": set(),
}
_NEEDED = {"cases": ("measure",), "observations": ("metric", "period", "aggregate"), "assets": ("kind",), "duration": ()}

_Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class _Term(_Row):
    """One term, as written: exactly one of the four sources, and only what belongs to it."""

    cases: str | None = None
    observations: str | None = None
    assets: str | None = None
    duration: str | None = None
    measure: Annotated[tuple[CaseMeasure, ...], BeforeValidator(_as_list)] = ()
    value: CaseValue = "n"
    where: dict[str, _Texts] = Field(default_factory=dict)
    without: dict[str, _Texts] = Field(default_factory=dict)
    distinct: str | None = None
    metric: str | None = None
    period: str | None = None
    aggregate: Aggregate | None = None
    limit: float | None = None
    kind: str | None = None
    state: _Texts = _PRESENT_STATES

    @model_validator(mode="after")
    def _shape(self) -> _Term:
        written = self.model_fields_set
        sources = [name for name in ("cases", "observations", "assets", "duration") if name in written]
        if len(sources) != 1:
            raise ValueError("a term names exactly one of cases, observations, assets, duration, with its feed")
        source = sources[0]
        if not FEED_NAME.fullmatch(getattr(self, source) or ""):
            raise ValueError(f"{source}: {getattr(self, source)!r} is not a feed's name")
        if strange := sorted(written - {source} - _BELONGS[source]):
            raise ValueError(f"{strange[0]} does not belong to a term over {source}; it may have {', '.join(sorted(_BELONGS[source])) or 'nothing else'}")
        if lacking := [name for name in _NEEDED[source] if name not in written]:
            raise ValueError(f"a term over {source} needs {' and '.join(lacking)}")
        if source == "cases":
            self._check_cases()
        if (self.aggregate == "above") != (self.limit is not None):
            raise ValueError("limit belongs to aggregate above, and above needs one")
        return self

    def _check_cases(self) -> None:
        stock = [m for m in self.measure if m in STOCK]
        if len(self.measure) > 1 and set(self.measure) != {"open", "paused"}:
            raise ValueError("several measures can only be [open, paused]; write the others as a list of terms")
        if stock and self.value != "n":
            raise ValueError(f"value {self.value} is not known of cases that are {stock[0]}; only n is")
        if stock and self.distinct:
            raise ValueError("distinct counts among cases opened or closed in a period; it is not known of open ones")
        if self.distinct and self.value != "n":
            raise ValueError("a term has either distinct or value, not both")
        for name in (*self.where, *self.without, *([self.distinct] if self.distinct else [])):
            if not KPI_NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot be a dim's name")

    def term(self, extra: Conditions = ()) -> Term:
        if self.cases:
            where = tuple(sorted(self.where.items()))
            without = tuple(sorted(self.without.items()))
            return CaseTerm(self.cases, tuple(sorted(self.measure)), self.value, where + extra, without, self.distinct)
        if self.observations:
            assert self.metric and self.period is not None and self.aggregate
            return ObservationTerm(self.observations, self.metric, self.period, self.aggregate, self.limit)
        if self.assets:
            assert self.kind
            return AssetTerm(self.assets, self.kind, self.state)
        assert self.duration
        return DurationTerm(self.duration)


_Terms = Annotated[tuple[_Term, ...], BeforeValidator(_as_list), Field(min_length=1)]


class _Ratio(_Row):
    numerator: _Terms
    denominator: _Terms
    scale: int = Field(1, ge=1)


class _Formula(_Row):
    value: _Terms | None = None
    ratio: _Ratio | None = None

    @model_validator(mode="after")
    def _one(self) -> _Formula:
        if (self.value is None) == (self.ratio is None):
            raise ValueError("a formula is either value: TERM or ratio: {numerator, denominator, scale}")
        return self

    def formula(self, extra: Conditions = ()) -> Formula:
        if self.ratio:
            top, bottom = (tuple(t.term(extra) for t in terms) for terms in (self.ratio.numerator, self.ratio.denominator))
            return Formula(top, bottom, self.ratio.scale)
        assert self.value
        return Formula(tuple(t.term(extra) for t in self.value))


class _Each(_Row):
    dim: str
    values: dict[str, _Words] = Field(min_length=1)


_Limit = float | tuple[float, float] | None


class _KpiRow(_Row):
    kpi: str
    title: _Words
    description: _Words
    kind: Kind
    unit: str
    decimals: int = Field(0, ge=0, le=4)
    better: Better
    watch: _Limit = None
    alarm: _Limit = None
    target: float | None = None
    target_due: date | None = None
    period: Period
    latest: bool = False
    formula: _Formula
    version: int = Field(1, ge=1)
    since: date
    each: _Each | None = None

    @field_validator("kpi")
    @classmethod
    def _name(cls, value: str) -> str:
        if not KPI_NAME.fullmatch(value):
            raise ValueError(f"{value!r} cannot be a KPI's name; use small letters, digits and single underscores")
        return value

    @field_validator("unit")
    @classmethod
    def _unit(cls, value: str) -> str:
        if not UNIT.fullmatch(value):
            raise ValueError(f"{value!r} is not a unit KPIs are counted in; write 1, %, h, d, min, ms, mm, m, km, m/s, ug/m3, VND, USD, By or a counted thing as {{dossier}}")
        return value

    @model_validator(mode="after")
    def _sense(self) -> _KpiRow:
        formula = self.formula.formula()
        stock = [t for t in formula.terms if isinstance(t, AssetTerm) or (isinstance(t, CaseTerm) and t.stock)]
        if (self.kind in _RATIO_KINDS) != bool(formula.denominator):
            raise ValueError(f"kind {self.kind} {'needs a ratio' if self.kind in _RATIO_KINDS else 'cannot be a ratio'}; kinds of a ratio are ratio and mean")
        measured = not formula.denominator and all(isinstance(t, ObservationTerm) for t in formula.terms)  # a source may say percentages itself
        if (self.unit == "%") != (formula.scale == 100) and not measured:
            raise ValueError("a percentage has unit '%' and scale 100, and nothing else has")
        if (self.kind == "duration") != any(isinstance(t, DurationTerm) for t in formula.terms):
            raise ValueError("kind duration and a term over duration go together")
        if (self.kind == "count_now") != (bool(stock) and len(stock) == len(formula.terms) and not formula.denominator):
            raise ValueError("kind count_now is for what is true now: cases open, paused or overdue, and assets")
        if self.latest and any(not isinstance(t, ObservationTerm) for t in formula.terms):
            raise ValueError("latest is for observations: of cases and assets there always is a present")
        if (self.kind == "count_now") != (self.period == "now"):
            raise ValueError("period now and kind count_now go together")
        self._check_limits()
        return self

    def _check_limits(self) -> None:
        for limit in (self.watch, self.alarm):
            if limit is not None and isinstance(limit, tuple) != (self.better == "band"):
                raise ValueError("watch and alarm are numbers, for better: band they are [low, high]")
        if not isinstance(self.watch, float) or not isinstance(self.alarm, float) or self.watch == self.alarm:
            return
        if (self.better == "up") == (self.alarm > self.watch):
            raise ValueError(f"alarm {self.alarm:g} must be worse than watch {self.watch:g} when better is {self.better}")

    def kpis(self, theme: str) -> Iterator[Kpi]:
        if not self.each:
            yield self._kpi(theme, self.kpi, self.title.words(), self.description.words(), self.formula.formula())
            return
        for value, name in self.each.values.items():
            formula = self.formula.formula(((self.each.dim, (value,)),))
            title = self.title.words(f": {name.vi}", f": {name.en}")
            description = self.description.words(f" Loại: {name.vi}.", f" Kind: {name.en}.")
            yield self._kpi(theme, f"{self.kpi}_{value.replace('-', '_')}", title, description, formula)

    def _kpi(self, theme: str, name: str, title: Words, description: Words, formula: Formula) -> Kpi:
        return Kpi(
            kpi=name, theme=theme, title=title, description=description, kind=self.kind, unit=self.unit, decimals=self.decimals,
            better=self.better, period=self.period, formula=formula, version=self.version, since=self.since,
            watch=self.watch, alarm=self.alarm, target=self.target, target_due=self.target_due, latest=self.latest,
        )  # fmt: skip


class _File(_Row):
    theme: str
    title: _Words
    kpis: list[_KpiRow] = Field(min_length=1)


def _read(path: Path) -> Theme:
    try:
        text = path.read_text(encoding="utf-8")
        raw = yaml.safe_load(text)
    except OSError as exc:
        raise UserError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (UnicodeDecodeError, yaml.YAMLError) as exc:
        raise UserError(f"{path}: not valid YAML in UTF-8: {exc}") from exc
    if not isinstance(raw, dict):
        raise UserError(f"{path}: line 1: a catalogue file is a mapping with theme, title and kpis")
    try:
        found = _File(**raw)
    except ValidationError as exc:
        raise UserError(f"{path}: " + "; ".join(_problem(text, error) for error in exc.errors()[:5])) from exc
    return Theme(found.theme, found.title.words(), tuple(kpi for row in found.kpis for kpi in row.kpis(found.theme)))


def _problem(text: str, error: Any) -> str:
    loc = tuple(step for step in error["loc"] if step not in ("float", "tuple[float, float]"))
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"{loc[-1]!r} is not a field here; take it out or correct its name"
    return f"line {line_of(text, loc)}: {'.'.join(map(str, loc))}: {message}"

