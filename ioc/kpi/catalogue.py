"""The KPI catalogue: one YAML file a theme, each KPI a row of words, a unit, limits and a formula that is data.

A formula is made of terms over the three kinds of fact::

    value: {cases: FEED, measure: opened|closed|open|paused|overdue (or a list of open and paused),
            value: n|n_due|n_on_time|seconds|n_rated|rating, where: {dim: value or list}, without: {...}, distinct: dim}
    value: {observations: FEED, metric: ..., period: P1D, aggregate: total|n|subjects|last|max, or above with limit: 100}
    value: {assets: FEED, kind: ..., state: ok or list (default: all but retired)}
    value: {duration: FEED}                       median hours from opened to closed
    ratio: {numerator: TERM, denominator: TERM, scale: 100}
    kpis: {sum: [A, B]}, {difference: [A, B]}, {ratio: [A, B], scale: 100} or {index: {A: 0.6, B: 0.4}}     over other KPIs

A term may be a list of terms: their sum. A row with `each: {dim: category, values: {VALUE: {vi, en}}}` stands for one
KPI a value, called KPI_VALUE, its terms over cases narrowed to that value, its titles ending in the value's name.

Figures of reports are many and alike, so a file may hold them as a table, one a line: each its newest published value::

    figures: {feed: FEED, since: DATE, rows: [{kpi: ..., metric: ..., unit: ..., vi: TITLE, en: TITLE}]}

A rate of few cases is chance: with `judged_from: 10` limits and target judge it from a denominator of ten on.

A line may say `of` (the metric it is divided by), `printed` (the metric the source prints for it), `length` (P9M: the first nine
months of the year) and whatever any KPI may.

Mistakes end as `UserError` with file, line and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from ioc.config import FEED_NAME, Config, line_of
from ioc.errors import UserError
from ioc.kpi import frozen
from ioc.kpi.model import Change, Derived, Formula, Guard, Kpi, Operation, Period, Theme
from ioc.kpi.tile import Better, Kind, Target, Words
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

__all__ = ["Catalogue", "Change", "Derived", "Formula", "Guard", "Kpi", "Period", "Theme", "in_use", "load"]

KPI_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
UNIT = re.compile(r"(1|%|h|d|min|ms|mm|m|km|m/s|km/h|ug/m3|VND|USD|By|\{[a-z_]+\})(/\{[a-z_]+\})?")  # of UCUM, what KPIs are counted in; {dossier} is an annotated count
_PRESENT_STATES = ("ok", "degraded", "down", "unknown")  # an asset's states, all but retired
_RATIO_KINDS = ("ratio", "mean")


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
    """Read every *.yaml of `folder`, join what is derived, hold formulas against those frozen; raise `UserError` with file, line and repair."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise UserError(f"{folder}: no *.yaml file of KPIs is in it; set kpis.catalogue in config.yaml")
    written: list[tuple[_File, list[tuple[Kpi, _Kpis | None]]]] = []
    where: dict[str, tuple[Path, int]] = {}
    for path in files:
        file, rows = _read(path)
        found: list[tuple[Kpi, _Kpis | None]] = []
        for row, line in rows:
            for kpi in row.kpis(file.theme, overview=file.overview):
                if kpi.kpi in where:
                    raise UserError(f"{path}: line {line}: {kpi.kpi} is already a KPI in {where[kpi.kpi][0]}; give one of them another name")
                where[kpi.kpi] = path, line
                found.append((replace(kpi, where=f"{path}: line {line}"), row.formula.kpis))
        written.append((file, found))
    joined = _Joining({kpi.kpi: (kpi, over) for _, found in written for kpi, over in found}, where)
    catalogue = Catalogue(tuple(Theme(file.theme, file.title.words(), tuple(joined.kpi(kpi.kpi) for kpi, _ in found)) for file, found in written))
    frozen.check(folder, catalogue, where)
    return catalogue


class _Joining:
    """Puts the KPIs that a formula names into it, each after those it needs; refuses what makes no sense, with file and line."""

    def __init__(self, rows: dict[str, tuple[Kpi, _Kpis | None]], where: dict[str, tuple[Path, int]]) -> None:
        self.rows, self.where = rows, where
        self.done: dict[str, Kpi] = {}

    def kpi(self, name: str, above: tuple[str, ...] = ()) -> Kpi:
        """Return the KPI, its formula whole. `above`: those that led here, for a cycle."""
        if name in self.done:
            return self.done[name]
        kpi, over = self.rows[name]
        if over is not None:
            if name in above:
                self.refuse(name, f"{' needs '.join((*above[above.index(name):], name))}: a KPI cannot need itself; take one out")
            for other in over.names:
                if other not in self.rows:
                    near = get_close_matches(other, self.rows, 3) or sorted(self.rows)[:3]
                    self.refuse(name, f"formula.kpis: no KPI is called {other!r}; near it are {', '.join(near)}")
            inputs = tuple(self.kpi(other, (*above, name)) for other in over.names)
            if said := _nonsense(kpi, over, inputs):
                self.refuse(name, f"formula.kpis: {said}")
            kpi = replace(kpi, formula=Formula((), (), over.scale, Derived(over.operation, inputs, over.weights)))
        self.done[name] = kpi
        return kpi

    def refuse(self, name: str, said: str) -> None:
        path, line = self.where[name]
        raise UserError(f"{path}: line {line}: {name}: {said}")


def _nonsense(kpi: Kpi, over: _Kpis, inputs: tuple[Kpi, ...]) -> str:
    """Say what is wrong with a formula over these KPIs, "" where nothing is."""
    units = [other.unit for other in inputs]
    names = " and ".join(f"{other.kpi} ({other.unit})" for other in inputs)
    if over.operation == "ratio":
        if inputs[0] == inputs[1]:
            return f"{inputs[0].kpi} over itself is always {over.scale}; name another denominator"
        below = inputs[1].formula.derived
        if below and below.operation == "difference" and len(set(below.inputs)) == 1:
            return f"{inputs[1].kpi} is always 0, and nothing can be divided by it; name another denominator"
        wanted = "%" if over.scale == 100 else "1" if units[0] == units[1] else f"{units[0]}/{units[1]}"
        if kpi.unit != wanted or (over.scale == 100 and units[0] != units[1]):
            return f"unit {kpi.unit} does not follow from {names}; a ratio of them is in {wanted if over.scale != 100 or units[0] == units[1] else f'{units[0]}/{units[1]}, with scale 1'}"
    elif len(set(units)) > 1 or kpi.unit != units[0]:
        return f"unit {kpi.unit} does not follow from {names}; {over.operation} needs one unit for all"
    if any(other.latest != kpi.latest for other in inputs):
        return f"{names}: figures of reports (latest) join only with figures of reports; write latest: {str(not kpi.latest).lower()}"
    if odd := next((other for other in inputs if (other.period == "now") != (kpi.period == "now") or (kpi.latest and other.period != kpi.period)), None):
        return f"{odd.kpi} is of the period {odd.period}, this one of {kpi.period}; they must be of one"
    return ""


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
    return replace(kpi, target=target, target_due=None)


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
    scale: Decimal = Field(Decimal(1), gt=0)  # 100: a percentage; 3.6: km/h of m/s


_Names = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=2)]


class _Kpis(_Row):
    """A formula over other KPIs: exactly one operation."""

    sum: _Names | None = None
    difference: _Names | None = None
    ratio: _Names | None = None
    index: dict[str, Decimal] | None = None
    scale: Decimal = Field(Decimal(1), gt=0)

    @model_validator(mode="after")
    def _shape(self) -> _Kpis:
        if len(self.model_fields_set - {"scale"}) != 1:
            raise ValueError("a formula over KPIs is exactly one of sum, difference, ratio, index")
        if self.ratio is not None and len(self.ratio) != 2:
            raise ValueError("a ratio has two KPIs: [numerator, denominator]")
        if self.ratio is None and self.scale != 1:
            raise ValueError("scale belongs to a ratio")
        if self.index is not None and (len(self.index) < 2 or any(weight <= 0 for weight in self.index.values())):
            raise ValueError("an index has two KPIs or more, each with a weight above 0: their sum is what is divided by")
        return self

    @property
    def operation(self) -> Operation:
        return "sum" if self.sum else "difference" if self.difference else "ratio" if self.ratio else "index"

    @property
    def names(self) -> tuple[str, ...]:
        return self.sum or self.difference or self.ratio or tuple(self.index or ())

    @property
    def weights(self) -> tuple[Decimal, ...]:
        return tuple((self.index or {}).values())


class _Formula(_Row):
    value: _Terms | None = None
    ratio: _Ratio | None = None
    kpis: _Kpis | None = None

    @model_validator(mode="after")
    def _one(self) -> _Formula:
        if sum(part is not None for part in (self.value, self.ratio, self.kpis)) != 1:
            raise ValueError("a formula is one of value: TERM, ratio: {numerator, denominator, scale}, kpis: {sum, difference, ratio or index}")
        return self

    def formula(self, extra: Conditions = ()) -> Formula:
        if self.kpis:
            return Formula((), (), self.kpis.scale)  # its KPIs come when all files are read
        if self.ratio:
            top, bottom = (tuple(t.term(extra) for t in terms) for terms in (self.ratio.numerator, self.ratio.denominator))
            return Formula(top, bottom, self.ratio.scale)
        assert self.value
        return Formula(tuple(t.term(extra) for t in self.value))


class _Each(_Row):
    dim: str
    values: dict[str, _Words] = Field(min_length=1)


class _Target(_Row):
    """A target, its date and level. Of a level that no longer exists it is shown as retired."""

    value: float
    due: date | None = None
    level: Literal["province", "district", "commune"] = "province"

    def target(self) -> Target:
        return Target(self.value, self.due, self.level, retired=self.level == "district")  # abolished on 1 July 2025


class _Change(_Row):
    version: int = Field(ge=1)
    since: date
    what: _Words


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
    judged_from: int | None = Field(None, ge=2)
    target: float | None = None
    target_due: date | None = None
    period: Period
    latest: bool = False
    formula: _Formula
    version: int = Field(1, ge=1)
    since: date
    each: _Each | None = None
    targets: tuple[_Target, ...] = ()
    history: tuple[_Change, ...] = ()
    plausible: tuple[float, float] | None = None
    printed: _Term | None = None
    steady: float | None = Field(None, gt=0)
    owner: str = ""
    overview: bool = True

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
            raise ValueError(f"{value!r} is not a unit KPIs are counted in; write 1, %, h, d, min, ms, mm, m, km, m/s, km/h, ug/m3, VND, USD, By or a counted thing as {{dossier}}")
        return value

    @model_validator(mode="after")
    def _sense(self) -> _KpiRow:
        self._check_limits()
        self._check_history()
        if self.plausible and self.plausible[0] >= self.plausible[1]:
            raise ValueError("plausible is [low, high], low below high")
        if self.judged_from and self.kind not in _RATIO_KINDS:
            raise ValueError(f"judged_from is the smallest denominator that is judged, and kind {self.kind} has none; take it out")
        if self.formula.kpis is not None:
            if (self.kind in _RATIO_KINDS) != (self.formula.kpis.operation == "ratio"):
                raise ValueError(f"kind {self.kind} and a {self.formula.kpis.operation} of KPIs do not go together; kinds of a ratio are ratio and mean")
            if self.each:
                raise ValueError("each narrows terms over cases; a formula over KPIs has none")
            return self
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
        return self

    def _check_history(self) -> None:
        before = [change.version for change in self.history]
        if before != list(range(1, self.version)):
            raise ValueError(f"history tells every earlier version: version {self.version} needs {', '.join(map(str, range(1, self.version))) or 'none'}, with its date and what it was")
        if any(later <= earlier for earlier, later in pairwise([*(change.since for change in self.history), self.since])):
            raise ValueError("since: a new version begins after the one before it")

    def _check_limits(self) -> None:
        for limit in (self.watch, self.alarm):
            if limit is not None and isinstance(limit, tuple) != (self.better == "band"):
                raise ValueError("watch and alarm are numbers, for better: band they are [low, high]")
        if not isinstance(self.watch, float) or not isinstance(self.alarm, float) or self.watch == self.alarm:
            return
        if (self.better == "up") == (self.alarm > self.watch):
            raise ValueError(f"alarm {self.alarm:g} must be worse than watch {self.watch:g} when better is {self.better}")

    def kpis(self, theme: str, *, overview: bool = True) -> Iterator[Kpi]:
        if not self.each:
            yield self._kpi(theme, self.kpi, self.title.words(), self.description.words(), self.formula.formula(), overview)
            return
        for value, name in self.each.values.items():
            formula = self.formula.formula(((self.each.dim, (value,)),))
            title = self.title.words(f": {name.vi}", f": {name.en}")
            description = self.description.words(f" Loại: {name.vi}.", f" Kind: {name.en}.")
            yield self._kpi(theme, f"{self.kpi}_{value.replace('-', '_')}", title, description, formula, overview)

    def _kpi(self, theme: str, name: str, title: Words, description: Words, formula: Formula, overview: bool) -> Kpi:
        printed = self.printed.term() if self.printed else None
        assert printed is None or isinstance(printed, ObservationTerm)
        return Kpi(
            kpi=name, theme=theme, title=title, description=description, kind=self.kind, unit=self.unit, decimals=self.decimals,
            better=self.better, period=self.period, formula=formula, version=self.version, since=self.since,
            watch=self.watch, alarm=self.alarm, judged_from=self.judged_from, target=self.target, target_due=self.target_due, latest=self.latest,
            targets=tuple(target.target() for target in self.targets), history=tuple(Change(c.version, c.since, c.what.words()) for c in self.history),
            guard=Guard(self.plausible, printed, self.steady), owner=self.owner, overview=self.overview and overview,
        )  # fmt: skip


class _File(_Row):
    theme: str
    title: _Words
    overview: bool = True
    kpis: list[_KpiRow] = Field(min_length=1)


_LENGTHS = {"day": "P1D", "month": "P1M", "quarter": "P3M", "year": "P1Y"}
_OF_PERIOD = {"day": ("ngày", "day"), "month": ("tháng", "month"), "quarter": ("quý", "quarter"), "year": ("năm", "year")}


def _figure(row: Any, table: dict[str, Any]) -> Any:
    """Return the row of a KPI that a line of the table `figures` stands for; what is no such line is left to be refused."""
    if not isinstance(row, dict):
        return row
    period = row.get("period", table.get("period", "year"))
    if period not in _LENGTHS:
        return row
    vi, en = (str(row.get(name, "")) for name in ("vi", "en"))
    words = _OF_PERIOD[period]

    def term(metric: Any) -> dict[str, Any]:
        return {"observations": table.get("feed"), "metric": metric, "period": row.get("length", _LENGTHS[period]), "aggregate": "last"}

    own = {name: value for name, value in row.items() if name not in ("metric", "of", "length", "vi", "en", "printed")}
    if "printed" in row:
        own["printed"] = term(row["printed"])
    metric = term(row.get("metric"))
    formula = {"ratio": {"numerator": metric, "denominator": term(row["of"]), "scale": 100}} if "of" in row else {"value": metric}
    described = {"vi": f"Số liệu của {words[0]} gần nhất đã công bố: {vi}.", "en": f"Figure of the latest published {words[1]}: {en}."}
    return {
        "title": {"vi": vi, "en": en}, "description": described, "kind": "ratio" if "of" in row else "last", "better": "up",
        "period": period, "latest": True, "since": table.get("since"), "formula": formula,
    } | own  # fmt: skip


def _read(path: Path) -> tuple[_File, list[tuple[_KpiRow, int]]]:
    """Return what a file says, and of each row the line it begins at."""
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
        rows, table = raw.get("kpis") or [], raw.get("figures")
        lines: list[tuple[str | int, ...]] = [("kpis", i) for i in range(len(rows))] if isinstance(rows, list) else []
        if isinstance(rows, list) and isinstance(table, dict) and isinstance(table.get("rows"), list):
            raw = {**raw, "kpis": [*rows, *(_figure(row, table) for row in table["rows"])]}
            raw.pop("figures")
            lines += [("figures", "rows", i) for i in range(len(table["rows"]))]
        found = _File(**raw)
    except ValidationError as exc:
        raise UserError(f"{path}: " + "; ".join(_problem(text, error, lines) for error in exc.errors()[:5])) from exc
    places = yaml.compose(text, Loader=yaml.SafeLoader)
    return found, [(row, line_of(text, place, places)) for row, place in zip(found.kpis, lines, strict=True)]


def _problem(text: str, error: Any, lines: list[tuple[str | int, ...]]) -> str:
    loc = tuple(step for step in error["loc"] if step not in ("float", "tuple[float, float]"))
    if len(loc) > 1 and loc[0] == "kpis" and isinstance(loc[1], int) and loc[1] < len(lines):
        loc = (*lines[loc[1]], *loc[2:])
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"{loc[-1]!r} is not a field here; take it out or correct its name"
    return f"line {line_of(text, loc)}: {'.'.join(map(str, loc))}: {message}"

