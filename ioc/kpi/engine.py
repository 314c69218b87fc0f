"""The one evaluation of a KPI: wall, pages, API, exports and audit all come here.

The terms of all asked KPIs become one question to the store (one SQL statement), over the last `SPARK` periods and by
area where asked; the tile's value, its parts, its spark and its delta are read off the same answer.

What the numbers mean:

* a count of cases that has no rows is 0; an observation that nobody made is None, never 0;
* a ratio with nothing to divide by is None;
* "open" at the end of an earlier day = open now + closed since - opened since, exact for open and paused together.
  Of what was overdue earlier the rollups know nothing: such points are None;
* of a KPI over several feeds, one that is stale, lost or never spoke is left out of the sums, and the tile says how many
  are missing: a total must not mix what is so with what was;
* points of the spark before the first day with any row are None: the feed was not there yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from ioc.areas import Areas
from ioc.clock import Clock, day_start, local_day, system_clock
from ioc.config import Config
from ioc.errors import UserError
from ioc.kpi import freshness
from ioc.kpi.catalogue import Catalogue, Formula, Kpi, Period, in_use
from ioc.kpi.tile import Delta, History, Quality, State, Status, Target, Tile
from ioc.kpi.tile import Period as TilePeriod
from ioc.store.reader import Answer, AssetTerm, CaseTerm, FeedTimes, ObservationTerm, Question, Reader, Term, Windows
from ioc.store.then import as_then

SPARK = 14  # periods a spark shows, the asked one the last
# Periods of a course: fourteen whole weeks of days, so that a weekday can be compared with itself.
COURSE: dict[Period, int] = {"now": 98, "day": 98, "week": 53, "month": 36, "quarter": 20, "year": 14}
_FAR = date(9999, 12, 30)  # the day before the store's "no day"
_LIVE = timedelta(minutes=1)  # an evaluation this close to the clock is of now: reads what is stored
_NAMED_AT_MOST = 50  # ingest names no more changes of a feed; so many may be all there were, or not
Days: TypeAlias = tuple[date, date]
_Value: TypeAlias = Decimal | None


class Engine:
    """Evaluates the KPIs a province uses. Stateless between calls; safe to share between threads."""

    def __init__(self, catalogue: Catalogue, config: Config, areas: Areas, clock: Clock = system_clock) -> None:
        self.catalogue = catalogue
        self.config = config
        self.areas = areas
        self.clock = clock
        self.zone = ZoneInfo(config.timezone)
        self.kpis: dict[str, Kpi] = {kpi.kpi: kpi for kpi in in_use(catalogue, config)}
        self.cadence_s = {feed.feed: feed.cadence_s for feed in config.feeds}
        self.groups: dict[str, tuple[str, ...]] = {group.group: tuple(group.communes) for group in config.province.groups}
        for group, codes in self.groups.items():
            for code in codes:
                if code not in areas.communes:
                    raise UserError(f"province.groups: {group}: {areas.why_unknown(code)}")

    def evaluate(
        self,
        reader: Reader,
        kpis: Iterable[str] | None = None,
        *,
        area: str | None = None,
        at: datetime,
        known_at: datetime | None = None,
        days: Days | None = None,
        period: Period | None = None,
    ) -> dict[str, Tile]:
        """Return the tiles of `kpis` (None: all in use) for the province, a commune or a group of communes, as of `at`.

        `known_at`: as it was known then. `period` or `days` (both included) replaces the period of KPIs that have one: not of
        what is true now. A figure of reports keeps its own period, the newest published that does not begin after `days`.
        Raise `UserError` for a KPI or an area that is not there.
        """
        chosen = self.chosen(kpis)
        codes = self.codes(area)
        part = area if codes else None
        tiles: dict[str, Tile] = {}
        with self.source(reader, at, known_at) as source:
            feeds = source.feeds()
            for windows, group in self._by_windows(chosen, at, days, period).items():
                answer = source.answer(self.question(group, windows, at, areas=codes, spark=True))
                for kpi in group:
                    tiles[kpi.kpi] = self._tile(kpi, Values(answer, windows, kpi, without=self.left_out(kpi, feeds, at)), feeds, at, part)
        return {kpi.kpi: tiles[kpi.kpi] for kpi in chosen}

    def by_area(self, reader: Reader, kpi: str, at: datetime, known_at: datetime | None = None, days: Days | None = None, period: Period | None = None) -> dict[str, float | None]:
        """Return the KPI's value for every commune, by code, from the same rows that make up the province's value."""
        (chosen,) = self.chosen([kpi])
        with self.source(reader, at, known_at) as source:
            spans = self.windows_of(chosen, at, days, period).spans
            windows = Windows(spans[:SPARK] if chosen.latest else spans[SPARK - 1 : SPARK])
            answer = source.answer(self.question([chosen], windows, at, by_area=True))
            feeds = source.feeds()
        if not any(times.as_of for feed, times in feeds.items() if feed in chosen.feeds):
            return dict.fromkeys(self.areas.communes)
        without = self.left_out(chosen, feeds, at)
        bucket = Values(answer, windows, chosen, without=without).newest(windows.last)
        return {code: _number(Values(answer, windows, chosen, code, without).at(bucket)) for code in self.areas.communes}

    def history(self, reader: Reader, kpis: Iterable[str], *, area: str | None = None, at: datetime) -> dict[str, History]:
        """Return the course of these KPIs over `COURSE` periods until `at`: a spark, only longer."""
        chosen = self.chosen(kpis)
        codes = self.codes(area)
        today = local_day(at, self.zone)
        found: dict[str, History] = {}
        with self.source(reader, at) as source:
            feeds = source.feeds()
            for period in dict.fromkeys(kpi.period for kpi in chosen):
                n = COURSE[period]
                spans = windows(period, today, None, n)
                group = [kpi for kpi in chosen if kpi.period == period]
                answer = source.answer(self.question(group, spans, at, areas=codes, spark=True))
                for kpi in group:
                    values = Values(answer, spans, kpi, without=self.left_out(kpi, feeds, at), asked=n)
                    last = values.newest(n)
                    seen = any(times.as_of for feed, times in feeds.items() if feed in kpi.feeds)
                    known = values.spark()[n - last :] if seen else [None] * last
                    found[kpi.kpi] = History([lo for lo, _ in spans.spans[:last]], [_number(value) for value in known])
        return found

    def depends_on(self, changed: Iterable[str] | Mapping[str, Collection[str]]) -> set[str]:
        """Return the KPIs that may differ after these feeds changed; a mapping says what did, as ingest's NOTIFY does:
        "case", "asset" or a metric's name (nothing named: everything)."""
        what: dict[str, Collection[str]] = dict(changed) if isinstance(changed, Mapping) else dict.fromkeys(changed, ())
        return {kpi.kpi for kpi in self.kpis.values() if any(_touched(term, what) for term in kpi.formula.terms)}

    def moving(self) -> set[str]:
        """Return the KPIs whose value changes with time alone (overdue). At midnight, all do."""
        return {kpi.kpi for kpi in self.kpis.values() if kpi.moves_with_time}

    def next_change(self, reader: Reader, now: datetime) -> datetime:
        """Return the next instant after `now` at which a number changes without an event: a due time, or midnight."""
        feeds = {feed for kpi in self.kpis.values() if kpi.moves_with_time for feed in kpi.feeds}
        midnight = day_start(local_day(now, self.zone) + timedelta(days=1), self.zone)
        due = reader.next_due(sorted(feeds), now)
        return midnight if due is None else min(due, midnight)

    def feed_states(self, feeds: Mapping[str, FeedTimes], now: datetime) -> dict[str, State]:
        """Return how fresh each configured feed is."""
        states: dict[str, State] = {}
        for feed, cadence_s in self.cadence_s.items():
            times = feeds.get(feed)
            states[feed] = freshness.state(now, cadence_s, times.checked_at if times else None, times.received_at if times else None)
        return states

    def left_out(self, kpi: Kpi, feeds: Mapping[str, FeedTimes], at: datetime) -> frozenset[str]:
        """Return the feeds that a KPI over several does without: the missing ones, unless all are."""
        states = self.feed_states(feeds, at) if len(kpi.feeds) > 1 else {}
        lost = frozenset(freshness.missing({feed: states[feed] for feed in kpi.feeds if feed in states}))
        return lost if len(lost) < len(kpi.feeds) else frozenset()

    def chosen(self, kpis: Iterable[str] | None) -> list[Kpi]:
        """Return the definitions of these KPIs in use (None: all); raise `UserError` for another."""
        if kpis is None:
            return list(self.kpis.values())
        found = []
        for name in dict.fromkeys(kpis):
            if name not in self.kpis:
                self.catalogue.get(name)
                raise UserError(f"the KPI {name} is in the catalogue but not in use here; add it to kpis.use and its feeds to config.yaml")
            found.append(self.kpis[name])
        return found

    def question(self, kpis: Iterable[Kpi], windows: Windows, at: datetime, *, areas: tuple[str, ...] | None = None, by_area: bool = False, spark: bool = False) -> Question:
        """Return what the store is asked for these KPIs. `spark` adds the flows from which earlier stocks follow."""
        today = local_day(at, self.zone)
        terms: dict[Term, None] = {}
        for kpi in kpis:
            for term in kpi.formula.terms:
                terms.setdefault(term)
                if spark and isinstance(term, CaseTerm) and term.measures == ("open", "paused"):
                    terms.update(dict.fromkeys(flows(term)))
        return Question(tuple(terms), windows, at, day_start(today, self.zone), today, areas, by_area)

    def windows_of(self, kpi: Kpi, at: datetime, days: Days | None = None, period: Period | None = None) -> Windows:
        """Return the periods a tile of this KPI looks at, the asked one last but one: the last is what lies ahead.

        What is true now has no other period; figures of reports have only those they are published for: until the last of `days`.
        """
        today = local_day(at, self.zone)
        if kpi.latest:
            return windows(kpi.period, today if days is None else min(today, days[1]))
        if kpi.period == "now":
            return windows(kpi.period, today)
        return windows(period or kpi.period, today, days)

    def source(self, reader: Reader, at: datetime, known_at: datetime | None = None, *, seen: bool = False) -> AbstractContextManager[Reader]:
        """Return the reader of what is stored, or one of what was so at `at` as known at `known_at` (None: now).

        A reader of an earlier instant stays what it is: whoever asks much of one instant makes it once. `seen`: as in `as_then`.
        Raise `UserError` for a time that is not over, or from which raw events are no longer kept.
        """
        if reader.then is not None:
            return nullcontext(reader)
        now = self.clock()
        if at > now + _LIVE:
            raise UserError(f"{at.isoformat()} lies ahead; a KPI can be asked of now or of an earlier time")
        known_at = now if known_at is None else min(known_at, now)
        if known_at == now and at >= now - _LIVE:
            return nullcontext(reader)
        if min(at, known_at) < self.kept_since(now):
            raise UserError(f"raw events are kept for {self.kept_days} days; what was so at {min(at, known_at).isoformat()} cannot be rebuilt")
        return as_then(reader, sorted(self.cadence_s), at, known_at, self.zone, seen=seen)

    @property
    def kept_days(self) -> int:
        """For how many days the raw events of all feeds are kept."""
        return min((feed.retention_days for feed in self.config.feeds), default=0)

    def kept_since(self, now: datetime) -> datetime:
        """Return the earliest instant that can be rebuilt."""
        return now - timedelta(days=self.kept_days)

    def codes(self, area: str | None) -> tuple[str, ...] | None:
        """Return the communes of an area: a commune's code or a group's name; None for the province. Raise `UserError` for another."""
        if area is None or area == self.areas.province:
            return None
        if area in self.groups:
            return self.groups[area]
        if not self.areas.known(area):
            raise UserError(self.areas.why_unknown(area) + (f"; groups are {', '.join(self.groups)}" if self.groups else ""))
        return (area,)

    def _by_windows(self, kpis: list[Kpi], at: datetime, days: Days | None = None, period: Period | None = None) -> dict[Windows, list[Kpi]]:
        groups: dict[Windows, list[Kpi]] = {}
        for kpi in kpis:
            groups.setdefault(self.windows_of(kpi, at, days, period), []).append(kpi)
        return groups

    def _tile(self, kpi: Kpi, values: Values, feeds: Mapping[str, FeedTimes], at: datetime, part: str | None) -> Tile:
        times = [feeds[feed] for feed in kpi.feeds if feed in feeds]
        as_of = max((t.as_of for t in times if t.as_of), default=None)
        states = {feed: found for feed, found in self.feed_states(feeds, at).items() if feed in kpi.feeds}
        spark: list[_Value] = values.spark() if as_of else [None] * SPARK
        bucket = values.newest(SPARK)
        top, bottom = values.parts(bucket) if as_of else (None, None)
        lo, hi = values.windows.spans[bucket - 1]
        end = day_start(hi + timedelta(days=1), self.zone)
        return Tile(
            kpi=kpi.kpi,
            title=kpi.title,
            theme=kpi.theme,
            value=_number(spark[-1]),
            unit=kpi.unit,
            kind=kpi.kind,
            better=kpi.better,
            status=status(kpi, spark[-1], whole=part is None),
            period=TilePeriod(day_start(lo, self.zone), end, complete=at >= end),
            as_of=as_of,
            published_at=max((t.received_at for t in times if t.received_at), default=at),
            area=part or self.areas.province,
            source=list(kpi.feeds),
            formula=in_symbols(kpi.formula),
            formula_version=kpi.version,
            quality=Quality(freshness.worst(states.values()), freshness.missing(states)),
            numerator=_number(top) if kpi.formula.denominator else None,
            denominator=_number(bottom) if kpi.formula.denominator else None,
            target=Target(kpi.target, kpi.target_due) if kpi.target is not None and (part is None or kpi.formula.denominator) else None,
            delta=delta(kpi, spark, a_day=lo == hi, whole=part is None),
            decimals=kpi.decimals,
            spark=[_number(point) for point in spark],
        )


class Values:
    """One KPI's values read off an answer: by bucket, for the whole (`area` None) or one area of it; `without` these feeds.

    `asked`: the bucket of the period that was asked for, before it the earlier ones.
    """

    def __init__(
        self, answer: Answer, windows: Windows, kpi: Kpi, area: str | None = None, without: frozenset[str] = frozenset(), asked: int | None = None
    ) -> None:
        self.without = without
        self.answer = answer
        self.windows = windows
        self.kpi = kpi
        self.area = area
        self.asked = asked or min(SPARK, windows.last)

    def spark(self) -> list[_Value]:
        """Return the values of the last periods, the asked one last."""
        last = self.newest(self.asked)
        first = next((i for i in range(1, last + 1) if self._any_rows(i)), last)
        return [None] * (self.asked - last) + [self.at(i) if i >= first else None for i in range(1, last + 1)]

    def newest(self, last: int) -> int:
        """Return the bucket a tile is of: `last`, or for a KPI of the latest period the newest one until then that has a value."""
        if not self.kpi.latest:
            return last
        return next((i for i in range(last, 0, -1) if self.at(i) is not None), last)

    def at(self, bucket: int) -> _Value:
        """Return the value in a bucket: None where there is nothing to say."""
        top, bottom = self.parts(bucket)
        if not self.kpi.formula.denominator:
            return top
        if top is None or not bottom:
            return None
        return top * self.kpi.formula.scale / bottom

    def parts(self, bucket: int) -> tuple[_Value, _Value]:
        """Return numerator and denominator in a bucket."""
        return self._sum(self.kpi.formula.numerator, bucket), self._sum(self.kpi.formula.denominator, bucket)

    def _sum(self, terms: tuple[Term, ...], bucket: int) -> _Value:
        found = [self._term(term, bucket) for term in terms if term.feed not in self.without]
        known = [value for value in found if value is not None]
        return sum(known, Decimal(0)) if found and len(known) == len(found) else None

    def _term(self, term: Term, bucket: int) -> _Value:
        values = self.answer.get((term, self.area), {})
        if isinstance(term, CaseTerm):
            return self._stock(term, bucket) if term.stock else values.get(bucket, Decimal(0))
        if isinstance(term, AssetTerm):
            return values.get(0, Decimal(0))  # assets keep no history: earlier points are divided by today's number
        if isinstance(term, ObservationTerm) and term.aggregate in ("n", "subjects"):
            return values.get(bucket, Decimal(0))
        return values.get(bucket)

    def _stock(self, term: CaseTerm, bucket: int) -> _Value:
        now = self.answer.get((term, self.area), {}).get(0, Decimal(0))
        if bucket >= self.asked:
            return now
        if term.measures != ("open", "paused"):
            return None
        opened, closed = (self.answer.get((flow, self.area), {}) for flow in flows(term))
        later = range(bucket + 1, self.windows.last + 1)
        return now + sum((closed.get(i, Decimal(0)) - opened.get(i, Decimal(0)) for i in later), Decimal(0))

    def _any_rows(self, bucket: int) -> bool:
        for term in self.kpi.formula.terms:
            if isinstance(term, AssetTerm):
                continue
            if isinstance(term, CaseTerm) and term.stock:
                if term.measures != ("open", "paused") or any(i <= bucket for flow in flows(term) for i in self.answer.get((flow, self.area), {})):
                    return True
            elif bucket in self.answer.get((term, self.area), {}):
                return True
        return False


def flows(term: CaseTerm) -> tuple[CaseTerm, CaseTerm]:
    """Return the terms (opened, closed) that move this stock."""
    opened, closed = (CaseTerm(term.feed, (measure,), "n", term.where, term.without) for measure in _FLOWS)
    return opened, closed


_FLOWS: tuple[Literal["opened"], Literal["closed"]] = ("opened", "closed")


@lru_cache(maxsize=64)
def windows(period: Period, today: date, days: Days | None = None, n: int = SPARK) -> Windows:
    """Return `n` periods ending with the one `today` lies in (or with `days`), and one for what lies ahead."""
    if days is not None:
        lo, hi = days
        if hi < lo:
            raise UserError(f"the period from {lo} to {hi} ends before it begins")
        length = (hi - lo).days + 1
        spans = [(lo - timedelta(days=i * length), hi - timedelta(days=i * length)) for i in range(n)]
    else:
        spans = []
        start = _start(period, today)
        end = _start(period, start + timedelta(days=_LONGEST[period])) - timedelta(days=1)
        for _ in range(n):
            spans.append((start, end))
            end = start - timedelta(days=1)
            start = _start(period, end)
    spans.reverse()
    return Windows((*spans, (spans[-1][1] + timedelta(days=1), _FAR)))


_LONGEST: dict[Period, int] = {"now": 1, "day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}  # days; reaches the next one


def _start(period: Period, day: date) -> date:
    """Return the first day of the period that `day` lies in; a week begins on Monday."""
    if period == "week":
        return day - timedelta(days=day.weekday())
    if period == "month":
        return day.replace(day=1)
    if period == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    if period == "year":
        return day.replace(month=1, day=1)
    return day


def status(kpi: Kpi, value: _Value, *, whole: bool = True) -> Status:
    """Return how `value` stands against the KPI's limits; "unknown" where there is nothing to judge or to judge by.

    Limits of a count are the province's: a commune's count is not judged by them.
    """
    if value is None or (not whole and kpi.kind in ("sum", "count_now")):
        return "unknown"
    if kpi.watch is None and kpi.alarm is None:
        if kpi.target is None or kpi.better == "band":
            return "unknown"
        return "watch" if _worse(kpi, float(value), kpi.target) else "good"
    if _worse(kpi, float(value), kpi.alarm):
        return "alarm"
    return "watch" if _worse(kpi, float(value), kpi.watch) else "good"


def _worse(kpi: Kpi, value: float, limit: float | tuple[float, float] | None) -> bool:
    if limit is None:
        return False
    if isinstance(limit, tuple):
        return not limit[0] <= value <= limit[1]
    return value < limit if kpi.better == "up" else value > limit


def delta(kpi: Kpi, spark: list[_Value], *, a_day: bool = True, whole: bool = True) -> Delta | None:
    """Return the difference to the reference: for a day's sum the same weekday last week, else the period before.

    Where that is unknown, the difference to the target, where there is one; never a difference to nothing.
    """
    value = spark[-1]
    if value is None:
        return None
    weekly = kpi.kind == "sum" and a_day
    reference = spark[-8] if weekly else spark[-2]
    if reference is not None:
        return Delta(float(value - reference), "same_weekday" if weekly else "previous_period")
    if kpi.target is not None and (whole or kpi.formula.denominator):
        return Delta(float(value - Decimal(str(kpi.target))), "target")
    return None


def in_symbols(formula: Formula) -> str:
    """Return the formula in one line, the same in every language."""
    top = " + ".join(_symbol(term) for term in formula.numerator)
    if not formula.denominator:
        return top
    bottom = " + ".join(_symbol(term) for term in formula.denominator)
    scale = f"{formula.scale} × " if formula.scale != 1 else ""
    top = f"({top})" if len(formula.numerator) > 1 else top
    return f"{scale}{top} / {f'({bottom})' if len(formula.denominator) > 1 else bottom}"


def _symbol(term: Term) -> str:
    if isinstance(term, CaseTerm):
        dims = [f"{dim}={'|'.join(values)}" for dim, values in term.where] + [f"{dim}≠{'|'.join(values)}" for dim, values in term.without]
        what = f"distinct {term.distinct}" if term.distinct else term.value
        return f"{what}({', '.join([term.feed, '+'.join(term.measures), *dims])})"
    if isinstance(term, ObservationTerm):
        return f"{term.aggregate}({term.feed}, {term.metric}{'' if term.limit is None else f', {term.limit:g}'})"
    if isinstance(term, AssetTerm):
        return f"assets({term.feed}, {term.kind}, {'|'.join(term.states)})"
    return f"{term.aggregate} hours({term.feed}, closed)"


def _touched(term: Term, changed: Mapping[str, Collection[str]]) -> bool:
    if term.feed not in changed:
        return False
    named = changed[term.feed]
    if not named or len(named) >= _NAMED_AT_MOST:
        return True
    if isinstance(term, ObservationTerm):
        return term.metric in named
    return ("asset" if isinstance(term, AssetTerm) else "case") in named


def _number(value: _Value) -> float | None:
    return None if value is None else float(value)
