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
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from ioc.areas import Areas
from ioc.clock import Clock, day_start, local_day, system_clock
from ioc.config import Config
from ioc.errors import UserError
from ioc.kpi import freshness, guard, metrics
from ioc.kpi.catalogue import Catalogue, in_use
from ioc.kpi.geography import Geography, InGeography
from ioc.kpi.geography import read as geography_of
from ioc.kpi.model import Derived, Kpi, Period
from ioc.kpi.periods import FAR, SPARK, Against, Days, against, share_of_year, windows
from ioc.kpi.reported import qualifier, reports
from ioc.kpi.symbols import in_symbols
from ioc.kpi.tile import Delta, History, Quality, State, Status, Target, Tile, Versus, Words
from ioc.kpi.tile import Period as TilePeriod
from ioc.store.reader import (
    Answer,
    AssetTerm,
    CaseTerm,
    FeedTimes,
    ObservationTerm,
    Question,
    Reader,
    Said,
    Term,
    Windows,
)
from ioc.store.then import as_then

# Periods of a course: fourteen whole weeks of days, so that a weekday can be compared with itself.
COURSE: dict[Period, int] = {"now": 98, "day": 98, "week": 53, "month": 36, "quarter": 20, "year": 14, "ytd": 14}
_LIVE = timedelta(minutes=1)  # an evaluation this close to the clock is of now: reads what is stored
_NAMED_AT_MOST = 50  # ingest names no more changes of a feed; so many may be all there were, or not
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
        metrics.check(self.kpis.values(), config)
        self.cadence_s = {feed.feed: feed.cadence_s for feed in config.feeds}
        self.kept = {feed.feed: feed.retention_days for feed in config.feeds}
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
        versus: Versus | None = None,
    ) -> dict[str, Tile]:
        """Return the tiles of `kpis` (None: all in use) for the province, a commune or a group of communes, as of `at`.

        `known_at`: as it was known then. `period` or `days` (both included) replaces the period of KPIs that have one: not of
        what is true now. A figure of reports keeps its own period, the newest published that does not begin after `days`.
        `versus`: what the delta is against (None: as the page on KPIs says); a KPI that has no such thing has no delta.
        Raise `UserError` for a KPI or an area that is not there.
        """
        chosen = self.chosen(kpis)
        codes = self.codes(area)
        part = area if codes else None
        tiles: dict[str, Tile] = {}
        with self.source(reader, at, known_at) as source:
            feeds = source.feeds()
            for spans, group in self._by_windows(chosen, at, days, period).items():
                answer = source.answer(self.question(group, spans, at, areas=codes, spark=True))
                of_reports = [t for kpi in group if kpi.latest for t in _figures(kpi)]
                said = source.said(of_reports, (spans.spans[0][0], spans.spans[SPARK - 1][1]), codes)
                looking = _Looking(self, source, at, known_at, codes, feeds, said, part)
                found = {kpi.kpi: Values(answer, spans, kpi, without=self.left_out(kpi, feeds, at)) for kpi in group}
                references = looking.references(group, found, versus)
                for kpi in group:
                    tiles[kpi.kpi] = self._tile(kpi, found[kpi.kpi], looking, references.get(kpi.kpi), versus)
        return {kpi.kpi: tiles[kpi.kpi] for kpi in chosen}

    def by_area(
        self, reader: Reader, kpi: str, at: datetime, known_at: datetime | None = None, days: Days | None = None, period: Period | None = None, geography: Geography = "today"
    ) -> dict[str, float | None]:
        """Return the KPI's value for every commune (every unit of `geography`), by code, from the same rows that make up the province's value."""
        if geography != "today":
            return {unit.code: unit.value for unit in self.in_geography(reader, kpi, geography, at, known_at, days, period).units}
        of = self._by_commune(reader, kpi, at, known_at, days, period)
        return {code: _number(of(code).at(of.bucket)) if of else None for code in self.areas.communes}

    def by_agency(
        self, reader: Reader, kpi: str, at: datetime, known_at: datetime | None = None, days: Days | None = None, period: Period | None = None
    ) -> dict[str, float | None]:
        """Return the KPI's value for every agency that has cases in it, by code; "" is of cases whose agency nobody said.

        Raise `UserError` for a KPI that counts what has no agency.
        """
        (chosen,) = self.chosen([kpi])
        if not all(isinstance(term, CaseTerm) and term.distinct is None for term in chosen.formula.terms):
            raise UserError(f"{kpi} counts what has no agency; only numbers over cases can be told apart by it")
        with self.source(reader, at, known_at) as source:
            spans = Windows(self.windows_of(chosen, at, days, period).spans[SPARK - 1 : SPARK])
            question = self.question([chosen], spans, at)
            answer = source.answer(replace(question, by_agency=True))
        agencies = sorted({agency for _, agency in answer if agency is not None})
        return {agency: _number(Values(answer, spans, chosen, agency).at(1)) for agency in agencies}

    def in_geography(
        self, reader: Reader, kpi: str, geography: Geography, at: datetime, known_at: datetime | None = None, days: Days | None = None, period: Period | None = None
    ) -> InGeography:
        """Return the KPI over the units of a geography, today's or the one until 30 June 2025, with the province's total."""
        of = self._by_commune(reader, kpi, at, known_at, days, period)
        parts = {code: of(code).both(of.bucket) for code in self.areas.communes} if of else {}
        return geography_of(self.kpis[kpi], self.areas, of(None).both(of.bucket) if of else (None, None), parts, geography)

    def _by_commune(
        self, reader: Reader, kpi: str, at: datetime, known_at: datetime | None, days: Days | None, period: Period | None
    ) -> _ByCommune | None:
        """Return a KPI's values by commune and in all, from one statement; None where no fact was ever seen."""
        (chosen,) = self.chosen([kpi])
        with self.source(reader, at, known_at) as source:
            spans = self.windows_of(chosen, at, days, period).spans
            looked = Windows(spans[:SPARK] if chosen.latest else spans[SPARK - 1 : SPARK])
            answer = source.answer(self.question([chosen], looked, at, by_area=True))
            feeds = source.feeds()
        if not any(times.as_of for feed, times in feeds.items() if feed in chosen.feeds) or self.gone(chosen, at, known_at) is not None:
            return None
        return _ByCommune(answer, looked, chosen, self.left_out(chosen, feeds, at))

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
                    seen = any(times.as_of for feed, times in feeds.items() if feed in kpi.feeds) and self.gone(kpi, at) is None
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
            for term in (*kpi.formula.terms, *([kpi.guard.printed] if kpi.guard.printed else [])):
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
        """For how many days raw events are kept, of the feeds that keep them longest; of others see `gone`."""
        return max((feed.retention_days for feed in self.config.feeds), default=0)

    def gone(self, kpi: Kpi, at: datetime, known_at: datetime | None = None) -> int | None:
        """Return for how many days the KPI's raw events are kept where those of `at` are gone: of then it is not known."""
        now, moment = self.clock(), at if known_at is None else min(at, known_at)
        days = min((self.kept[feed] for feed in kpi.feeds), default=0)
        return days if moment < now - _LIVE and moment < now - timedelta(days=days) else None

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

    def _tile(self, kpi: Kpi, values: Values, looking: _Looking, reference: Reference | None, versus: Versus | None) -> Tile:
        feeds, at, part = looking.feeds, looking.at, looking.part
        times = [feeds[feed] for feed in kpi.feeds if feed in feeds]
        as_of = max((t.as_of for t in times if t.as_of), default=None)
        states = {feed: found for feed, found in self.feed_states(feeds, at).items() if feed in kpi.feeds}
        bucket = values.newest(SPARK)
        lo, hi = values.windows.spans[bucket - 1]
        doubts: list[Words] = []
        begun, gone = looking.begun(kpi, hi), self.gone(kpi, at, looking.known_at)
        if gone is not None:
            as_of = None
            doubts.append(Words(f"bản ghi gốc của nguồn này chỉ giữ {gone} ngày", f"raw events of this source are kept for {gone} days"))
        spark: list[_Value] = values.spark() if as_of and begun else [None] * SPARK
        if as_of and not begun:
            doubts.append(looking.before_any(kpi))
        top, bottom = values.parts(bucket) if as_of and begun else (None, None)
        told = reports(_figures(kpi), looking.said, (lo, hi)) if kpi.latest else []
        doubts += looking.doubts(kpi, values, bucket, spark)
        targets = _targets(kpi)
        target = _target(kpi, targets, looking.today, whole=part is None)
        published = max((report.published for report in told if report.published), default=None)
        return Tile(
            kpi=kpi.kpi,
            title=kpi.title,
            theme=kpi.theme,
            value=_number(spark[-1]),
            unit=kpi.unit,
            kind=kpi.kind,
            better=kpi.better,
            status=status(kpi, spark[-1], bottom, whole=part is None),
            period=looking.period((lo, hi)),
            as_of=as_of,
            published_at=published or max((t.received_at for t in times if t.received_at), default=at),
            area=part or self.areas.province,
            source=list(kpi.feeds),
            formula=in_symbols(kpi.formula),
            formula_version=kpi.version,
            quality=Quality(freshness.worst(states.values()), freshness.missing(states)),
            numerator=_number(top) if kpi.formula.divides else None,
            denominator=_number(bottom) if kpi.formula.divides else None,
            target=target,
            delta=delta(kpi, spark[-1], reference, target, looking.plan(kpi, (lo, hi)), versus),
            qualifier=qualifier(kpi.formula, looking.said, (lo, hi)) if kpi.latest else "exact",
            decimals=kpi.decimals,
            spark=[_number(point) for point in spark],
            targets=[other for other in targets if other != target],
            reports=told,
            doubts=doubts,
            owner=kpi.owner,
            judged_from=kpi.judged_from if too_few(kpi, bottom) else None,
            written=told[0].written if told and [*kpi.formula.numerator] == [*kpi.formula.terms] and len(kpi.formula.terms) == 1 else "",
        )


class _ByCommune:
    """One KPI's values by commune (None: in all), read off one answer; `bucket` is the asked period's."""

    def __init__(self, answer: Answer, windows: Windows, kpi: Kpi, without: frozenset[str]) -> None:
        self.answer, self.windows, self.kpi, self.without = answer, windows, kpi, without
        self.bucket = self(None).newest(windows.last)

    def __call__(self, area: str | None) -> Values:
        return Values(self.answer, self.windows, self.kpi, area, without=self.without)


@dataclass(frozen=True)
class Reference:
    """The value that a delta is against, and of which days it is; `fair` as in `periods.Against`."""

    versus: Versus
    value: Decimal
    period: TilePeriod
    fair: bool


class _Looking:
    """One evaluation's view: the reader, the instant, the part of the province, and what the sources said."""

    def __init__(
        self, engine: Engine, source: Reader, at: datetime, known_at: datetime | None, codes: tuple[str, ...] | None, feeds: Mapping[str, FeedTimes], said: Said,
        part: str | None,
    ) -> None:  # fmt: skip
        self.engine, self.source, self.at, self.known_at = engine, source, at, known_at
        self.codes, self.feeds, self.said, self.part = codes, feeds, said, part
        self.today = local_day(at, engine.zone)
        self._firsts: dict[str, date | None] = {}

    def period(self, days: Days) -> TilePeriod:
        end = day_start(days[1] + timedelta(days=1), self.engine.zone)
        return TilePeriod(day_start(days[0], self.engine.zone), end, complete=self.at >= end)

    def begun(self, kpi: Kpi, last: date) -> bool:
        """Had any of the KPI's feeds begun by this day? Of a time before, nothing is known: not even that it was nothing."""
        if kpi.latest or last >= self.today:
            return True
        first = self.first_day(kpi)
        return first is None or first <= last

    def first_day(self, kpi: Kpi) -> date | None:
        """Return the first day any of the KPI's feeds has anything of."""
        for feed in kpi.feeds:
            if feed not in self._firsts:
                self._firsts[feed] = self.source.first_day(feed)
        return min((day for feed in kpi.feeds if (day := self._firsts[feed])), default=None)

    def before_any(self, kpi: Kpi) -> Words:
        first = self.first_day(kpi) or self.today
        return Words(f"kỳ này ở trước số liệu đầu tiên ({first:%d/%m/%Y})", f"this period lies before the first data ({first:%d/%m/%Y})")

    def references(self, kpis: Iterable[Kpi], values: Mapping[str, Values], versus: Versus | None) -> dict[str, Reference]:
        """Return what each KPI's value is compared with; those that the answer does not hold are asked for together."""
        found: dict[str, Reference] = {}
        ask: dict[tuple[Days, bool], list[tuple[Kpi, Versus, Against]]] = {}
        for kpi in kpis:
            own = values[kpi.kpi]
            if kpi.latest:
                found |= self._published_before(kpi, own, versus)
                continue
            span, before = own.windows.spans[SPARK - 1], own.windows.spans[SPARK - 2]
            wanted = versus or ("same_weekday" if kpi.kind == "sum" and span[0] == span[1] else "previous_period")
            other = against(wanted, span, before, self.today)
            if other is None:
                continue
            other = Against(other.days, other.fair or kpi.kind != "sum")
            if other.days in own.windows.spans[: SPARK - 1]:
                value = own.spark()[own.windows.spans.index(other.days)]
                if value is not None:
                    found[kpi.kpi] = Reference(wanted, value, self.period(other.days), other.fair)
            else:
                ask.setdefault((other.days, _has_stock(kpi)), []).append((kpi, wanted, other))
        for (days, stock), group in ask.items():
            # What was open then follows from what was opened and closed since: those days are asked for as well.
            since = ((days[1] + timedelta(days=1), self.today), (self.today + timedelta(days=1), FAR)) if stock else ()
            spans = Windows((days, *since))
            answer = self.source.answer(self.engine.question([kpi for kpi, _, _ in group], spans, self.at, areas=self.codes, spark=stock))
            for kpi, wanted, other in group:
                value = Values(answer, spans, kpi, asked=2 if stock else 1, without=values[kpi.kpi].without).at(1)
                if value is not None and self.begun(kpi, days[1]):
                    found[kpi.kpi] = Reference(wanted, value, self.period(days), other.fair)
        return found

    def _published_before(self, kpi: Kpi, values: Values, versus: Versus | None) -> dict[str, Reference]:
        """A figure of reports is compared with the one of the period before it, or of the same a year before."""
        back = {"previous_period": 1, "same_period_last_year": {"year": 1, "quarter": 4, "month": 12}.get(kpi.period, 0)}.get(versus or "previous_period", 0)
        bucket = values.newest(SPARK) - back
        value = values.at(bucket) if back and bucket > 0 else None
        return {} if value is None else {kpi.kpi: Reference(versus or "previous_period", value, self.period(values.windows.spans[bucket - 1]), fair=True)}

    def plan(self, kpi: Kpi, span: Days) -> Decimal | None:
        """Return what of a year's target for a sum is due by now."""
        if kpi.target is None or kpi.kind != "sum" or self.part is not None:
            return None
        due, of = share_of_year(span, self.today)
        return Decimal(str(kpi.target)) * due / of

    def doubts(self, kpi: Kpi, values: Values, bucket: int, spark: list[_Value]) -> list[Words]:
        """Return what the guard asks about the value."""
        value = spark[-1]
        if value is None:
            return []
        asked = [guard.implausible(kpi, value), guard.unsteady(kpi.guard, value, next((point for point in reversed(spark[:-1]) if point is not None), None))]
        if kpi.guard.printed and (printed := values.term(kpi.guard.printed, bucket)) is not None:
            asked.append(guard.misprinted(value, printed))
        if kpi.latest:
            now, before = (reports(_figures(kpi), self.said, values.windows.spans[b - 1]) if b else [] for b in (bucket, bucket - 1))
            asked += guard.of_reports(kpi, now, before, same=kpi.kind == "rank" and spark[-2] == value)
        return [words for words in asked if words]


class Values:
    """One KPI's values read off an answer: by bucket, for the whole (`area` None) or one area of it; `without` these feeds.

    `asked`: the bucket of the period that was asked for, before it the earlier ones; from it on, what is true now is.
    """

    def __init__(
        self, answer: Answer, windows: Windows, kpi: Kpi, area: str | None = None, *, asked: int | None = None, without: frozenset[str] = frozenset()
    ) -> None:
        self.asked = min(SPARK, windows.last) if asked is None else asked
        self.without = without
        self.answer = answer
        self.windows = windows
        self.kpi = kpi
        self.area = area

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
        derived = self.kpi.formula.derived
        if derived and derived.operation != "ratio":
            return _derive(derived, self._inputs(derived, bucket))
        top, bottom = self.parts(bucket)
        if not self.kpi.formula.divides:
            return top
        if top is None or not bottom:
            return None
        return top * self.kpi.formula.scale / bottom

    def both(self, bucket: int) -> tuple[_Value, _Value]:
        """Return numerator and denominator of what divides, else the value and nothing."""
        return self.parts(bucket) if self.kpi.formula.divides else (self.at(bucket), None)

    def parts(self, bucket: int) -> tuple[_Value, _Value]:
        """Return numerator and denominator in a bucket."""
        if self.kpi.formula.derived:
            found = self._inputs(self.kpi.formula.derived, bucket)
            return found[0], found[1]
        return self._sum(self.kpi.formula.numerator, bucket), self._sum(self.kpi.formula.denominator, bucket)

    def _inputs(self, derived: Derived, bucket: int) -> list[_Value]:
        there = [kpi for kpi in derived.inputs if derived.operation != "sum" or not self.without.issuperset(kpi.feeds)]
        return [Values(self.answer, self.windows, kpi, self.area, asked=self.asked, without=self.without).at(bucket) for kpi in there]

    def _sum(self, terms: tuple[Term, ...], bucket: int) -> _Value:
        found = [self.term(term, bucket) for term in terms if term.feed not in self.without]
        known = [value for value in found if value is not None]
        return sum(known, Decimal(0)) if found and len(known) == len(found) else None

    def term(self, term: Term, bucket: int) -> _Value:
        """Return one term's value in a bucket."""
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


def status(kpi: Kpi, value: _Value, denominator: _Value = None, *, whole: bool = True) -> Status:
    """Return how `value` stands against the KPI's limits; "unknown" where there is nothing to judge or to judge by.

    Limits of a count are the province's: a commune's count is not judged by them. Nor is a rate of too few.
    """
    if value is None or too_few(kpi, denominator) or (not whole and kpi.kind in ("sum", "count_now")):
        return "unknown"
    if kpi.watch is None and kpi.alarm is None:
        if kpi.target is None or kpi.better == "band":
            return "unknown"
        return "watch" if _worse(kpi, float(value), kpi.target) else "good"
    if _worse(kpi, float(value), kpi.alarm):
        return "alarm"
    return "watch" if _worse(kpi, float(value), kpi.watch) else "good"


def too_few(kpi: Kpi, denominator: _Value) -> bool:
    """Is this less than what the KPI's limits judge? An on-time rate of one dossier, at one in the morning, is chance."""
    return kpi.judged_from is not None and denominator is not None and denominator < kpi.judged_from


def _worse(kpi: Kpi, value: float, limit: float | tuple[float, float] | None) -> bool:
    if limit is None:
        return False
    if isinstance(limit, tuple):
        return not limit[0] <= value <= limit[1]
    return value < limit if kpi.better == "up" else value > limit


def delta(kpi: Kpi, value: _Value, reference: Reference | None, target: Target | None = None, plan: _Value = None, versus: Versus | None = None) -> Delta | None:
    """Return the difference to the reference; where none is known and none was asked for, to the target; never to nothing.

    In percent of it only where that means something: not of percentages (points), of ranks (places), or of zero.
    """
    if value is None:
        return None
    if versus == "plan":
        return None if plan is None else _against(kpi, value, plan, "plan")
    if versus != "target" and reference is not None:
        return _against(kpi, value, reference.value, reference.versus, reference.period, fair=reference.fair)
    if target is not None and versus in (None, "target"):
        return _against(kpi, value, Decimal(str(target.value)), "target")
    return None


def _against(kpi: Kpi, value: Decimal, reference: Decimal, versus: Versus, period: TilePeriod | None = None, *, fair: bool = True) -> Delta:
    relative = kpi.unit != "%" and kpi.kind != "rank" and reference != 0
    percent = float((value - reference) / abs(reference) * 100) if relative else None
    return Delta(float(value - reference), versus, float(reference), percent, period, fair)


def _targets(kpi: Kpi) -> list[Target]:
    own = [Target(kpi.target, kpi.target_due)] if kpi.target is not None else []
    return [*own, *(target for target in kpi.targets if target not in own)]


def _target(kpi: Kpi, targets: list[Target], today: date, *, whole: bool) -> Target | None:
    """Return the target that counts: of the level looked at, the next that is due, else the last that was."""
    fitting = [t for t in targets if not t.retired and t.level == ("province" if whole else "commune")]
    if not fitting and not whole and kpi.formula.divides:  # a share may be asked of every commune; a sum is the province's
        fitting = [t for t in targets if t.level == "province"]
    open_ended = [t for t in fitting if t.due is None]
    ahead = sorted((t for t in fitting if t.due and t.due >= today), key=lambda t: t.due or today)
    passed = sorted((t for t in fitting if t.due and t.due < today), key=lambda t: t.due or today)
    return next(iter(ahead or open_ended or passed[-1:]), None)


def _figures(kpi: Kpi) -> list[ObservationTerm]:
    """The figures a KPI of reports is made of, and the one its source prints."""
    terms = [*kpi.formula.terms, *([kpi.guard.printed] if kpi.guard.printed else [])]
    return [term for term in terms if isinstance(term, ObservationTerm)]


def _has_stock(kpi: Kpi) -> bool:
    return any(isinstance(term, CaseTerm) and term.stock for term in kpi.formula.terms)


def _derive(derived: Derived, values: list[_Value]) -> _Value:
    known = [value for value in values if value is not None]
    if len(known) != len(values):
        return None
    if derived.operation == "index":
        return sum((value * weight for value, weight in zip(known, derived.weights, strict=True)), Decimal(0)) / sum(derived.weights)
    return sum(known, Decimal(0)) if derived.operation == "sum" else known[0] - sum(known[1:], Decimal(0))


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
