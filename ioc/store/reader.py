"""What KPIs ask of the store: sums over cases, observations, assets and durations, by window of days and by area.

A question is a set of *terms* (hashable values, written by the KPI catalogue) and the windows of days. All terms of a
question become **one** SQL statement (sql/kpi.sql): one branch for each relation, feed and measure, and in it one
filtered sum for each term, so every row is read once however many KPIs look at it. Nothing here knows a KPI.

The relations a statement reads are named by `Relations`: the stored ones, or temporary ones of the same shape that
hold what was known at an earlier instant (ioc/store/then.py). The text of the statement is the same for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, LiteralString, TypeAlias

import psycopg
from msgspec import Struct
from psycopg import sql
from psycopg.rows import class_row, dict_row, tuple_row
from psycopg_pool import ConnectionPool

from ioc.store.rollup import PROVINCE
from ioc.store.sql import queries

Conditions: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]  # dim -> any of these values; all dims must hold
CaseMeasure: TypeAlias = Literal["opened", "closed", "open", "paused", "overdue"]
CaseValue: TypeAlias = Literal["n", "n_due", "n_on_time", "seconds", "n_rated", "rating"]
By: TypeAlias = Literal["", "area", "agency"]  # what an answer is told apart by, beside the whole
Aggregate: TypeAlias = Literal["total", "n", "subjects", "last", "max", "above"]
LAST = ("last", "max", "above")  # of each thing's newest value in the window
STOCK = ("open", "paused", "overdue")  # measures without a day of their own: they are true now
_COLUMNS = ("category", "agency", "channel", "level", "outcome")  # dims that are columns of case_state
_AGENCY: dict[str, LiteralString] = {  # of a case: block of kpi.sql -> its agency
    "windows": "coalesce(r.dims ->> 'agency', '')",
    "stock": "coalesce(r.dims ->> 'agency', '')",
    "due_today": "coalesce(r.dims ->> 'agency', r.agency, '')",
}
_AGGREGATES: dict[str, LiteralString] = {
    "total": "sum(r.total) FILTER (WHERE r.metric = {})",
    "n": "sum(r.n) FILTER (WHERE r.metric = {})",
    "subjects": "count(DISTINCT r.subject) FILTER (WHERE r.n > 0 AND r.metric = {})",
}


@dataclass(frozen=True)
class CaseTerm:
    """Cases of `feed` by `measure`, where dims are (`where`) and are not (`without`) as said; `distinct` counts a dim's values."""

    feed: str
    measures: tuple[CaseMeasure, ...]
    value: CaseValue = "n"
    where: Conditions = ()
    without: Conditions = ()
    distinct: str | None = None

    @property
    def stock(self) -> bool:
        return self.measures[0] in STOCK


@dataclass(frozen=True)
class ObservationTerm:
    """Observations of one metric: their total, their number, the things that reported, or of the things' newest values the
    sum (`last`), the highest (`max`), or how many are above `limit` (`above`)."""

    feed: str
    metric: str
    period: str
    aggregate: Aggregate
    limit: float | None = None


@dataclass(frozen=True)
class AssetTerm:
    """How many assets of a kind are in one of `states`."""

    feed: str
    kind: str
    states: tuple[str, ...]


@dataclass(frozen=True)
class DurationTerm:
    """Median hours from opened to closed of the cases closed in the window, or how many they were (`n`)."""

    feed: str
    aggregate: Literal["median", "n"] = "median"


Term: TypeAlias = CaseTerm | ObservationTerm | AssetTerm | DurationTerm


@dataclass(frozen=True)
class Windows:
    """Spans of days, both ends included, oldest first, none overlapping. Bucket numbers start at 1; 0 means "now"."""

    spans: tuple[tuple[date, date], ...]

    @property
    def last(self) -> int:
        return len(self.spans)


@dataclass(frozen=True)
class Question:
    """Which terms, over which windows, at which instant; `midnight` is the start of its day where the province is.

    `areas` narrows to these communes; `by_area` asks for every commune beside the whole (keys None and the area's code),
    `by_agency` for every agency of the cases instead.
    """

    terms: tuple[Term, ...]
    windows: Windows
    at: datetime
    midnight: datetime
    today: date
    areas: tuple[str, ...] | None = None
    by_area: bool = False
    by_agency: bool = False

    @property
    def by(self) -> By:
        return "agency" if self.by_agency else "area" if self.by_area else ""


Answer: TypeAlias = dict[tuple[Term, str | None], dict[int, Decimal]]  # (term, area) -> bucket -> value; nothing where no rows


Said: TypeAlias = dict[tuple[str, str, str], list[tuple[date, dict[str, Any]]]]  # (feed, metric, period) -> (day, what the source said of its value)


class FeedTimes(Struct, frozen=True):
    """When a feed was last heard of. `as_of`: newest fact's time; `checked_at`: the source answered, nothing new."""

    feed: str
    as_of: datetime | None
    received_at: datetime | None
    checked_at: datetime | None
    events: int = 0


_FETCHED = 1000  # records of one fetch

RELATIONS = ("rollup_case", "rollup_total", "rollup_duration", "rollup_observation", "case_state", "asset_state")


@dataclass(frozen=True)
class Relations:
    """The relations a question reads: the stored ones, save those named in `temporary` (then pg_temp.then_NAME)."""

    temporary: frozenset[str] = frozenset()

    def names(self) -> dict[str, sql.Composable]:
        return {n: sql.Identifier("pg_temp", f"then_{n}") if n in self.temporary else sql.Identifier(n) for n in RELATIONS}


STORED = Relations()


@dataclass(frozen=True)
class Statement:
    """A question's SQL. `columns[branch]` says which term each element of that branch's sums belongs to."""

    query: sql.Composed
    params: dict[str, Any]
    columns: tuple[tuple[Term, ...], ...]


@dataclass(frozen=True)
class Then:
    """An earlier instant, and until when what is told of it was learnt. `truncate`: later facts are known, and left out."""

    at: datetime
    known_at: datetime

    @property
    def truncate(self) -> bool:
        return self.known_at > self.at


class Reader:
    """Answers questions over one connection. Use it inside one transaction (`snapshot`), so that all answers agree.

    `then`: the earlier instant it answers of; None for what is stored now.
    """

    def __init__(
        self, conn: psycopg.Connection[Any], relations: Relations = STORED, feeds: dict[str, FeedTimes] | None = None, then: Then | None = None
    ) -> None:
        self.conn = conn
        self.relations = relations
        self.then = then
        self._feeds = feeds  # of an earlier instant; None reads the current ones

    def feeds(self) -> dict[str, FeedTimes]:
        """Return when each feed was last heard of; a feed never heard of is absent."""
        if self._feeds is None:
            with self.conn.cursor(row_factory=class_row(FeedTimes)) as cursor:
                return {row.feed: row for row in cursor.execute(_query("feeds"))}
        return self._feeds

    def answer(self, question: Question) -> Answer:
        """Return each term's value by window and area."""
        if not question.terms:
            return {}
        statement = statement_for(question, self.relations)
        answer: Answer = {}
        prepare = False if self.relations.temporary else None  # their names mean something else each time
        with self.conn.cursor(row_factory=tuple_row, binary=True) as cursor:
            for branch, bucket, area, sums in cursor.execute(statement.query, statement.params, prepare=prepare):
                for term, value in zip(statement.columns[branch], sums, strict=True):
                    if value is None:
                        continue
                    values = answer.setdefault((term, area if question.by else None), {})
                    values[bucket] = values.get(bucket, Decimal(0)) + value  # overdue has two branches
        return answer

    def said(self, terms: Iterable[ObservationTerm], days: tuple[date, date], areas: tuple[str, ...] | None) -> Said:
        """Return how the figures of these terms were reported, by day, oldest first; nothing of those that said nothing."""
        asked = list(dict.fromkeys((t.feed, t.metric, t.period) for t in terms))
        found: Said = {}
        if asked:
            query = sql.SQL(_query("said")).format(rollup_observation=self.relations.names()["rollup_observation"])
            given: dict[str, Any] = dict(zip(("feeds", "metrics", "periods"), map(list, zip(*asked, strict=True)), strict=True))
            given |= {"lo": days[0], "hi": days[1], "areas": None if areas is None else list(areas)}
            for feed, metric, period, day, said in self.conn.execute(query, given, prepare=False if self.relations.temporary else None):
                found.setdefault((feed, metric, period), []).append((day, said))
        return found

    def first_day(self, feed: str) -> date | None:
        """Return the first day a feed has rows of, None where it has none."""
        row = self.conn.execute(_query("first_day"), {"feed": feed}).fetchone()
        return row[0] if row else None

    def recent_events(self, terms: Sequence[Term], at: datetime, limit: int, areas: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return the last raw events of the terms' feeds and kinds (None: of every area) received until `at`: feed, subject, metric, time,
        received_at, id, source, data. They hold no personal data: such never gets past a connector."""
        found: list[dict[str, Any]] = []
        for asked in _by_feed(terms, areas):
            with self.conn.cursor(row_factory=dict_row) as cursor:
                found += cursor.execute(_query("recent_events"), asked | {"at": at, "limit": limit}).fetchall()
        found.sort(key=lambda row: row["received_at"], reverse=True)
        return found[:limit]

    def records(self, terms: Sequence[Term], span: tuple[datetime, datetime], areas: Sequence[str] | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the raw events of the terms' feeds, kinds and metrics with a time in `span` (its end excluded), the last received first.

        (feed, subject, metric, time, received_at, area, value, data as JSON): fetched some at a time, however many there are.
        """
        for asked in _by_feed(terms, areas):
            with self.conn.cursor("records", row_factory=tuple_row) as cursor:
                cursor.itersize = _FETCHED
                yield from cursor.execute(_query("records"), asked | {"start": span[0], "end": span[1]})

    def count_records(self, terms: Sequence[Term], span: tuple[datetime, datetime], areas: Sequence[str] | None, most: int) -> int:
        """Return how many `records` there are; no more than `most` are counted."""
        found = 0
        for asked in _by_feed(terms, areas):
            row = self.conn.execute(_query("count_records"), asked | {"start": span[0], "end": span[1], "most": most - found}).fetchone()
            found += row[0] if row else 0
        return found

    def next_due(self, feeds: Sequence[str], now: datetime) -> datetime | None:
        """Return the next instant after `now` at which an open case of these feeds becomes overdue."""
        row = self.conn.execute(_query("next_due"), {"feeds": list(feeds), "now": now}).fetchone()
        return row[0] if row else None


@contextmanager
def snapshot(source: str | ConnectionPool[Any]) -> Iterator[Reader]:
    """Yield a reader whose answers all belong to one instant of the database (a DSN or a pool)."""
    with psycopg.connect(source) if isinstance(source, str) else source.connection() as conn, conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield Reader(conn)


def kind_of(term: Term) -> int:
    """Return the kind of event (event.kind) a term counts."""
    return 1 if isinstance(term, ObservationTerm) else 3 if isinstance(term, AssetTerm) else 2


def _by_feed(terms: Sequence[Term], areas: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """Yield, feed by feed, by what the raw events of the terms are found: {"feed", "kinds", "metrics", "areas"}."""
    for feed in dict.fromkeys(t.feed for t in terms):
        own = [t for t in terms if t.feed == feed]
        metrics = [t.metric for t in own if isinstance(t, ObservationTerm)]
        yield {"feed": feed, "kinds": sorted({kind_of(t) for t in own}), "metrics": metrics, "areas": None if areas is None else list(areas)}


def _query(name: str) -> LiteralString:
    return queries("kpi")[name]


def statement_for(question: Question, relations: Relations = STORED) -> Statement:
    """Return the SQL of a question and the parameters to run it with."""
    text, static, columns = _compose(question.terms, question.areas is not None, question.by, relations)
    spans = question.windows.spans
    params = static | {
        "lo": [lo for lo, _ in spans],
        "hi": [hi for _, hi in spans],
        "at": question.at,
        "midnight": question.midnight,
        "today": question.today,
        "areas": list(question.areas or ()),
    }
    return Statement(text, params, columns)


@lru_cache(maxsize=256)
def _compose(terms: tuple[Term, ...], in_area: bool, by: By, relations: Relations) -> tuple[sql.Composed, dict[str, Any], tuple[tuple[Term, ...], ...]]:
    composer = _Composer(in_area, by, relations)
    composer.add_cases([t for t in terms if isinstance(t, CaseTerm)])
    composer.add_observations([t for t in terms if isinstance(t, ObservationTerm)])
    composer.add_assets([t for t in terms if isinstance(t, AssetTerm)])
    for feed in dict.fromkeys(t.feed for t in terms if isinstance(t, DurationTerm)):
        composer.add_median(feed)
    return sql.SQL("\nUNION ALL\n").join(composer.branches), composer.params, tuple(composer.columns)


class _Composer:
    """Collects the branches of one statement, their parameters, and which terms their sums belong to."""

    def __init__(self, in_area: bool, by: By, relations: Relations) -> None:
        self.in_area = in_area
        self.by = by
        self.by_area = bool(by)
        self.relations = relations.names()
        self.branches: list[sql.Composed] = []
        self.params: dict[str, Any] = {}
        self.columns: list[tuple[Term, ...]] = []

    def param(self, value: Any) -> sql.Placeholder:
        name = f"p{len(self.params)}"
        self.params[name] = value
        return sql.Placeholder(name)

    def branch(self, block: str, terms: Iterable[Term], *, area: LiteralString = "r.area", **parts: sql.Composable) -> None:
        """Add `block` of kpi.sql, its sums belonging to `terms`; `area` is the expression of its rows' area."""
        expression = sql.SQL(_AGENCY[block] if self.by == "agency" else area)
        parts.setdefault("grouping", sql.SQL("GROUPING SETS ((), ({}))").format(expression) if self.by_area else sql.SQL("()"))
        parts.setdefault("area", expression if self.by_area else sql.SQL("NULL::text"))
        parts.setdefault("in_area", sql.SQL(" AND r.area = ANY(%(areas)s::text[])") if self.in_area else sql.SQL(""))
        self.branches.append(sql.SQL(_query(block)).format(branch=sql.Literal(len(self.columns)), **self.relations, **parts))
        self.columns.append(tuple(terms))

    def cases(self, term: CaseTerm) -> str:
        """Return the coarsest rollup that can answer the term: totals know neither area nor agency."""
        dims = {name for name, _ in (*term.where, *term.without)} | {term.distinct}
        return "rollup_case" if self.in_area or self.by_area or "agency" in dims else "rollup_total"

    def add_cases(self, terms: list[CaseTerm]) -> None:
        flows: dict[tuple[str, str, str], list[CaseTerm]] = {}
        stocks: dict[tuple[str, str], list[CaseTerm]] = {}
        for term in terms:
            if term.stock:
                stocks.setdefault((self.cases(term), term.feed), []).append(term)
            elif term.distinct:
                self.add_distinct(term)
            else:
                flows.setdefault((self.cases(term), term.feed, term.measures[0]), []).append(term)
        for (cases, feed, measure), group in flows.items():
            sums = [self.filtered(sql.SQL("sum(r.{})").format(sql.Identifier(t.value)), self.conditions(t)) for t in group]
            self.branch("windows", group, cases=self.relations[cases], feed=self.param(feed), measure=self.param(measure), sums=_list(sums))
        for (cases, feed), group in stocks.items():
            self.branch("stock", group, cases=self.relations[cases], feed=self.param(feed), sums=_list([self.stock(t) for t in group]))
        self.add_due_today([t for t in terms if t.measures == ("overdue",)])

    def add_due_today(self, terms: list[CaseTerm]) -> None:
        for feed in dict.fromkeys(t.feed for t in terms):
            group = [t for t in terms if t.feed == feed]
            sums = [self.filtered(sql.SQL("count(*)"), self.conditions(t, state=True)) for t in group]
            self.branch("due_today", group, area="coalesce(r.area, '')", feed=self.param(feed), sums=_list(sums))

    def stock(self, term: CaseTerm) -> sql.Composable:
        conditions = self.conditions(term)
        if term.measures == ("overdue",):
            conditions = [sql.SQL("r.measure = 'open' AND r.day < %(today)s"), *conditions]
        else:
            conditions = [sql.SQL("r.measure = ANY({}::text[])").format(self.param(list(term.measures))), *conditions]
        return self.filtered(sql.SQL("sum(r.n)"), conditions)

    def add_distinct(self, term: CaseTerm) -> None:
        dim = sql.Literal(term.distinct)
        value = sql.SQL("r.dims ->> {}").format(dim)
        grouping = sql.SQL("GROUPING SETS (({v}), (r.area, {v}))" if self.by_area else "{v}").format(v=value)
        conditions = self.conditions(term) or [sql.SQL("true")]
        self.branch(
            "distinct_values", [term], cases=self.relations[self.cases(term)], dim=dim, feed=self.param(term.feed),
            measure=self.param(term.measures[0]), filter=sql.SQL(" AND ").join(conditions), grouping=grouping,
        )  # fmt: skip

    def add_observations(self, terms: list[ObservationTerm]) -> None:
        area: LiteralString = "coalesce(r.area, '')"
        for feed, period in dict.fromkeys((t.feed, t.period) for t in terms):
            asked = [t for t in terms if (t.feed, t.period) == (feed, period)]
            for block, group in (("last_values", [t for t in asked if t.aggregate in LAST]), ("observations", [t for t in asked if t.aggregate not in LAST])):
                if group:
                    sums = [self.of_last(t) if block == "last_values" else sql.SQL(_AGGREGATES[t.aggregate]).format(self.param(t.metric)) for t in group]
                    metrics = self.param(sorted({t.metric for t in group}))
                    self.branch(block, group, area=area, sums=_list(sums), feed=self.param(feed), metrics=metrics, period=self.param(period))

    def of_last(self, term: ObservationTerm) -> sql.Composable:
        """Where nobody reported there is no number, not a count of none."""
        own = sql.SQL("r.metric = {}").format(self.param(term.metric))
        if term.aggregate == "above":
            above = self.param(Decimal(str(term.limit)))
            return sql.SQL("CASE WHEN count(*) FILTER (WHERE {own}) > 0 THEN count(*) FILTER (WHERE {own} AND r.last_value > {above}) END").format(own=own, above=above)
        return self.filtered(sql.SQL("max(r.last_value)" if term.aggregate == "max" else "sum(r.last_value)"), [own])

    def add_assets(self, terms: list[AssetTerm]) -> None:
        for feed in dict.fromkeys(t.feed for t in terms):
            group = [t for t in terms if t.feed == feed]
            sums = [
                sql.SQL("count(*) FILTER (WHERE r.kind = {} AND r.state = ANY({}::text[]))").format(self.param(t.kind), self.param(list(t.states)))
                for t in group
            ]
            self.branch("assets", group, area="coalesce(r.area, '')", feed=self.param(feed), sums=_list(sums))

    def add_median(self, feed: str) -> None:
        in_area: sql.Composable = sql.SQL("")
        if self.in_area:
            in_area = sql.SQL(" AND r.area = ANY(%(areas)s::text[])")
        elif not self.by_area:
            in_area = sql.SQL(" AND r.area = {}").format(sql.Literal(PROVINCE))
        self.branch("median", [DurationTerm(feed), DurationTerm(feed, "n")], feed=self.param(feed), in_area=in_area)

    def filtered(self, aggregate: sql.Composable, conditions: list[sql.Composable]) -> sql.Composable:
        if not conditions:
            return aggregate
        return sql.SQL("{} FILTER (WHERE {})").format(aggregate, sql.SQL(" AND ").join(conditions))

    def conditions(self, term: CaseTerm, *, state: bool = False) -> list[sql.Composable]:
        """Return the SQL conditions on dims, over a rollup or (`state`) over case_state, whose own columns are dims too."""
        found: list[sql.Composable] = []
        for dim, values in term.where:
            found.append(self.among(_dim(dim, state), values))
        for dim, values in term.without:
            found.append(sql.SQL("NOT coalesce({}, false)").format(self.among(_dim(dim, state), values)))
        return found

    def among(self, expression: sql.Composable, values: tuple[str, ...]) -> sql.Composable:
        if len(values) == 1:
            return sql.SQL("{} = {}").format(expression, self.param(values[0]))
        return sql.SQL("{} = ANY({}::text[])").format(expression, self.param(list(values)))


def _dim(dim: str, state: bool) -> sql.Composable:
    value = sql.SQL("(r.dims ->> {})").format(sql.Literal(dim))
    if state and dim in _COLUMNS:  # a feed's own dim of that name wins, as in the rollup
        return sql.SQL("coalesce({}, {})").format(value, sql.Identifier("r", dim))
    return value


def _list(items: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(items)
