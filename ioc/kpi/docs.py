"""docs/kpis.md, written from the catalogue: `ioc kpi docs` makes it, a test keeps it up to date."""

from __future__ import annotations

from collections.abc import Mapping

from ioc.kpi.catalogue import Catalogue, Kpi
from ioc.kpi.symbols import in_symbols
from ioc.kpi.tet import AFTER, BEFORE
from ioc.kpi.tile import Words
from ioc.kpi.words import in_words

_HEAD = """# KPIs

Written by `ioc kpi docs` from the catalogue (`dashboards/catalogue/`); do not edit. {n} KPIs in {themes} themes.

Every number is evaluated in one place (`ioc/kpi/engine.py`) from rollups that ingest keeps exactly; `ioc kpi explain KPI`
shows the very SQL, and `ioc audit` recomputes all of them from raw events.

What holds for all of them:

- Days are the province's calendar days (Asia/Ho_Chi_Minh). A deleted case counts nowhere; a corrected fact counts as corrected.
- A count without any case is 0. An observation nobody made is no value, and a ratio with nothing to divide by is none either.
- A closed case is closed at the time the source says; where it says none, at the time of the event that closed it. A case
  whose opening the source does not say was opened when it was first heard of.
- Overdue: open, not paused, due time at or before now.
- Median hours: over all cases of the feed closed that day, whatever the outcome; each case's hours are rounded up to tenths.
- A thing whose area changed within a day is, for that day's observations, where it was last.
- The delta of a day's sum is against the same weekday of last week, of all others against the period before; `versus` asks for
  another: `previous_period`, `same_weekday`, `same_period_last_year`, `plan` (the part of a year's target that is due by now),
  `target`. A period that still runs is compared with the same part of the other; a day that still runs only with a whole one,
  and says so (`fair` false). Days from {before} before Tết to {after} after it are compared by their distance from Tết.
- A difference of percentages is in points, of ranks in places; a percentage of zero is none.
- A period before the first data of its feeds is no number, not 0.
- Figures of reports keep their qualifier: a sum of "at least" is at least; over "at least" it is at most; mixed, it is about.
- The guard asks, and changes nothing: outside of `plausible`, unlike what the source `printed` for the same parts, a factor that
  moved more than `steady` percent, another unit, one rank under two periods.
- `watch` and `alarm` are the last value that is not yet worth watching, or alarming. Limits and targets of counts are the
  province's and do not judge a commune. A rate whose denominator is smaller than "judged from" is shown and not judged.
"""


def markdown(catalogue: Catalogue, titles: Mapping[str, Words]) -> str:
    """Return the page. `titles`: feed -> how it is called on the screens."""
    parts = [_HEAD.format(n=len(list(catalogue)), themes=len(catalogue.themes), before=BEFORE, after=AFTER)]
    for theme in catalogue.themes:
        parts.append(f"\n## {theme.title.en} ({theme.title.vi})\n")
        parts += [_kpi(kpi, titles) for kpi in theme.kpis]
    return "".join(parts)


def _kpi(kpi: Kpi, titles: Mapping[str, Words]) -> str:
    words = in_words(kpi, titles)
    limits = [f"better: {kpi.better}"]
    limits += [f"{name} {limit if isinstance(limit, tuple) else f'{limit:g}'}" for name, limit in (("watch", kpi.watch), ("alarm", kpi.alarm)) if limit is not None]
    limits += [f"judged from {kpi.judged_from} on"] if kpi.judged_from else []
    limits += [f"target {kpi.target:g}"] if kpi.target is not None else []
    limits += [f"{'retired ' if t.retired else ''}target of the {t.level} {t.value:g}" + (f" by {t.due}" if t.due else "") for t in kpi.targets]
    limits += [f"plausible {kpi.guard.plausible[0]:g} to {kpi.guard.plausible[1]:g}"] if kpi.guard.plausible else []
    limits += [f"steady within {kpi.guard.steady:g}%"] if kpi.guard.steady else []
    return (
        f"\n### `{kpi.kpi}`\n\n"
        f"**{kpi.title.vi}** / {kpi.title.en}: {kpi.kind}, unit `{kpi.unit}`, {kpi.decimals} decimals, period {kpi.period}; {', '.join(limits)}; "
        f"version {kpi.version} since {kpi.since}{''.join(f'; version {c.version} since {c.since}: {c.what.en}' for c in kpi.history)}.\n\n"
        f"{kpi.description.vi}\n\n{kpi.description.en}\n\n"
        f"- {words.vi}\n- {words.en}\n- `{in_symbols(kpi.formula)}`\n"
    )
