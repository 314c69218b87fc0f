"""Charts of the wall: values in, components out. Graphics are small SVG images, texts are the page's own (its font, its size).

Every chart has a head (title, how old the values are) and says so of itself: `data-chart`, `data-of` (its KPIs),
`data-as-of`, `data-state`. A chart's newest points are its tile's spark, so that chart and tile never differ; only what lies
before them comes from the longer course.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import format_date
from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import LOCALES, clock_time, in_words, iso, number, quantity, unit_word
from dashboards.figures.parts import Theme, shape, state_chip
from dashboards.figures.ranking import row
from dashboards.figures.spark import DOT, INK
from dashboards.figures.tile import title_size
from dashboards.maps.classes import breaks, class_of, nice, shade
from dashboards.words import Lang, pick, say
from ioc.kpi.tile import STATES, History, State, Tile

# Steps of one hue, dark to light on the dark wall, light to dark on white; the same as --step-0 ... of the style sheet.
STEPS: dict[Theme, tuple[str, ...]] = {"dark": ("#26323e", "#3a5268", "#547694", "#7aa0be", "#b0cee4"), "light": ("#e3e9ee", "#c4d2de", "#9db5c8", "#6c8da7", "#456a88")}
BAND: dict[Theme, str] = {"dark": "#2b3947", "light": "#dde5ec"}
BAND_EDGE: dict[Theme, str] = {"dark": "#5f819e", "light": "#6c8da7"}  # 3:1 on the tile, as whatever carries a meaning
GRID: dict[Theme, str] = {"dark": "#3d4a57", "light": "#c3ccd5"}
WIDTH, HEIGHT = 600, 200  # units of a trend's drawing; it is stretched over its place
TREND_DAYS = 28  # days a trend of days shows
BAND_WEEKS = 8  # weeks before a day whose same weekdays make its band
BAND_LEAST = 3  # of them that must be known
WEEKS = 14  # of a calendar


class Point(NamedTuple):
    """A period's first day, its value, and the least and most of the same weekday before."""

    start: date
    value: float | None
    low: float | None = None
    high: float | None = None


def course(t: Tile, past: History | None, zone: ZoneInfo) -> list[tuple[date, float | None]]:
    """Return (first day, value) of the KPI's periods, oldest first: the tile's spark, and before it what is known."""
    known = [] if past is None else list(zip(past.starts, past.values, strict=True))
    newest = t.spark[-len(known) :] if known else t.spark
    if not known:
        known = [(start, None) for start in _starts(t, len(newest), zone)]
    for i, value in enumerate(newest):
        at = len(known) - len(newest) + i
        if value is not None:  # a spark does not know what came before it: None there may be 0 here
            known[at] = (known[at][0], value)
    return known


def _starts(t: Tile, n: int, zone: ZoneInfo) -> list[date]:
    """Without a course: the periods before the tile's, as long as it is."""
    first, length = t.period.start.astimezone(zone).date(), max(1, (t.period.end - t.period.start).days)
    return [first - timedelta(days=length * (n - 1 - i)) for i in range(n)]


def banded(known: Sequence[tuple[date, float | None]]) -> list[Point]:
    """Return the points a trend shows; of a course by days, each with the band of its weekday in the weeks before."""
    daily = len(known) > 1 and (known[-1][0] - known[-2][0]).days == 1
    if not daily:
        return [Point(start, value) for start, value in _from_first(known)]
    found = []
    for i in range(max(0, len(known) - TREND_DAYS), len(known)):
        before = [known[j][1] for j in range(i - 7 * BAND_WEEKS, i, 7) if j >= 0]
        same = [value for value in before if value is not None]
        edges = (min(same), max(same)) if len(same) >= BAND_LEAST else (None, None)
        found.append(Point(*known[i], *edges))
    return found


def _from_first(known: Sequence[tuple[date, float | None]]) -> list[tuple[date, float | None]]:
    """Leave out what lies before the first value."""
    first = next((i for i, (_, value) in enumerate(known) if value is not None), len(known))
    return list(known[first:])


def trend(t: Tile, past: History | None, lang: Lang, now: datetime, zone: ZoneInfo, theme: Theme = "dark") -> list[Component]:
    """The KPI's course as a line; behind it, of days, where the same weekday usually lies."""
    points = banded(course(t, past, zone)) if t.as_of else []
    known = [p.value for p in points if p.value is not None]
    if len(known) < 2:
        return [*_head(t, lang, now, zone), _nothing(t, lang)]
    every = known + [edge for p in points for edge in (p.low, p.high) if edge is not None]
    low, high = _span(every, t)
    banded_too = any(p.low is not None for p in points)
    edges = [_scale(value, t, lang) for value in (high, low)]
    length = (points[1].start - points[0].start).days
    days = [_day(p.start, length) for p in (points[0], points[len(points) // 2], points[-1])]
    return [
        *_head(t, lang, now, zone),
        html.Div(
            [
                html.Div([html.Span(text) for text in edges], className="trend-scale"),
                html.Img(src=_image(_trend_svg(points, low, high, theme)), alt=say("trend", lang, title=pick(t.title, lang)), className="trend-line"),
                html.Div([html.Span(text) for text in (days if len(points) > 2 else [days[0], days[2]])], className="trend-days"),
            ],
            className="trend-plot",
        ),
        html.Div(
            [
                html.Span([html.Span(className="key key-line"), say("chart.value", lang, value=in_words(known[-1], t.unit, lang, t.decimals))]),
                *([html.Span([html.Span(className="key key-band"), say("chart.band", lang)])] if banded_too else []),
            ],
            className="chart-foot",
        ),
    ]


def _scale(value: float, t: Tile, lang: Lang) -> str:
    """A number at the axis: '12.874', '97,1%', '16,8 triệu'; a time in its own unit."""
    if t.unit == "%":
        return f"{number(value, lang, 0 if value == int(value) else 1)}%"
    if t.unit == "h":
        return in_words(value, "h", lang)
    digits, unit = quantity(value, "1", lang, 0 if value == int(value) else max(1, t.decimals))
    return f"{digits} {unit}".strip()


def _span(values: Sequence[float], t: Tile) -> tuple[float, float]:
    """Return the ends of the axis: counts begin at zero, percentages end at a hundred, nothing is flat."""
    low, high = min(values), max(values)
    if t.unit.startswith("{") and low >= 0 and t.kind != "rank":
        low = 0.0
    if low == high:
        room = abs(low) / 5 or 1.0
        low, high = (low - room, high + room) if low else (0.0, 1.0)
    step = nice((high - low) / 4)
    low, high = (float(f"{end:.12g}") for end in (step * math.floor(low / step), step * math.ceil(high / step)))
    if t.unit == "%":
        low, high = max(low, min(0.0, *values)), min(high, max(100.0, *values))
    return low, high


def _trend_svg(points: Sequence[Point], low: float, high: float, theme: Theme) -> str:
    def x(i: int) -> float:
        return round(i * WIDTH / (len(points) - 1), 1)

    def y(value: float) -> float:
        return round(HEIGHT - (value - low) / (high - low) * HEIGHT, 1)

    grid = "".join(f'<path d="M0 {h}H{WIDTH}" stroke="{GRID[theme]}" stroke-width="1" vector-effect="non-scaling-stroke"/>' for h in (1, HEIGHT / 2, HEIGHT - 1))
    bands = []
    for run in _runs([p.low is not None for p in points]):
        top = " ".join(f"{x(i)},{y(points[i].high or 0)}" for i in run)
        bottom = " ".join(f"{x(i)},{y(points[i].low or 0)}" for i in reversed(run))
        bands.append(f'<polygon points="{top} {bottom}" fill="{BAND[theme]}" stroke="{BAND_EDGE[theme]}" stroke-width="1" vector-effect="non-scaling-stroke"/>')
    lines = []
    for run in _runs([p.value is not None for p in points]):
        path = " ".join(f"{x(i)},{y(points[i].value or 0)}" for i in run)
        first = f"M{path.split()[0].replace(',', ' ')}h.01"  # a value between two gaps is a dot
        shape_of = f'<polyline points="{path}"' if len(run) > 1 else f'<path d="{first}"'
        lines.append(f'{shape_of} fill="none" stroke="{INK[theme]}" stroke-width="3" stroke-linejoin="round" stroke-linecap="round" vector-effect="non-scaling-stroke"/>')
    last = max(i for i, p in enumerate(points) if p.value is not None)
    dot = f'<path d="M{x(last)} {y(points[last].value or 0)}h.01" stroke="{DOT[theme]}" stroke-width="11" stroke-linecap="round" vector-effect="non-scaling-stroke"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -8 {WIDTH + 16} {HEIGHT + 16}" preserveAspectRatio="none">{grid}{"".join(bands)}{"".join(lines)}{dot}</svg>'


def _runs(there: Sequence[bool]) -> list[list[int]]:
    """Return the stretches of indices without a gap."""
    found: list[list[int]] = [[]]
    for i, known in enumerate(there):
        if known:
            found[-1].append(i)
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def calendar(t: Tile, past: History | None, lang: Lang, now: datetime, zone: ZoneInfo, theme: Theme = "dark") -> list[Component]:
    """The last weeks as a table of weekdays, each day shaded by its value: what a week looks like, and which days did not."""
    known = dict(course(t, past, zone)) if t.as_of else {}
    values = {day: value for day, value in known.items() if value is not None}
    if len(values) < 2:
        return [*_head(t, lang, now, zone), _nothing(t, lang)]
    today = max(known)
    monday = today - timedelta(days=today.weekday())
    weeks = [monday - timedelta(weeks=WEEKS - 1 - i) for i in range(WEEKS)]
    edges = breaks(values.values(), whole=t.unit.startswith("{"))
    names = [format_date(monday + timedelta(days=i), "EEEEE" if lang == "en" else "EEEEEE", locale=LOCALES[lang]) for i in range(7)]
    least, most = min(values.values()), max(values.values())
    return [
        *_head(t, lang, now, zone),
        html.Div(
            [
                html.Div([html.Span(name) for name in names], className="calendar-days", **{"aria-hidden": "true"}),
                html.Img(
                    src=_image(_calendar_svg(weeks, today, values, edges, theme)), className="calendar-cells",
                    alt=say("chart.calendar", lang, title=pick(t.title, lang), n=WEEKS),
                ),
                html.Div([html.Span(f"{day:%d/%m}") for day in (weeks[0], weeks[WEEKS // 2], today)], className="trend-days"),
            ],
            className="calendar-plot",
        ),
        html.Div(
            [
                html.Span([_scale(least, t, lang), *(html.Span(className=f"swatch swatch-{shade(i, len(edges) + 1)}") for i in range(len(edges) + 1)), _scale(most, t, lang)]),
                html.Span([html.Span(className="swatch swatch-empty"), say("map.no_data", lang)]),
            ],
            className="chart-foot calendar-foot",
        ),
    ]  # fmt: skip


def _calendar_svg(weeks: Sequence[date], today: date, values: Mapping[date, float], edges: list[float], theme: Theme) -> str:
    cells = []
    for column, monday in enumerate(weeks):
        for row_of in range(7):
            day = monday + timedelta(days=row_of)
            if day > today:
                continue
            at = f'x="{column * 20 + 1}" y="{row_of * 20 + 1}" width="18" height="18"'
            found = class_of(values.get(day), edges)
            if found is None:
                cells.append(f'<rect {at} fill="none" stroke="{GRID[theme]}" stroke-width="1" vector-effect="non-scaling-stroke"/>')
            else:
                mark = f' stroke="{DOT[theme]}" stroke-width="3" vector-effect="non-scaling-stroke"' if day == today else ""
                cells.append(f'<rect {at} fill="{STEPS[theme][shade(found, len(edges) + 1)]}"{mark}/>')
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(weeks) * 20} 140" preserveAspectRatio="none">{"".join(cells)}</svg>'


def flow(tiles: Sequence[Tile], lang: Lang, now: datetime, zone: ZoneInfo, title: str = "") -> list[Component]:
    """What came, what lies there (and how much of it is what), what went: cases through their states.

    The KPIs' kinds say which is which: sums before the first count of now came, counts of now lie there (the first is
    the whole, the others parts of it), sums after it went.
    """
    stock = [i for i, t in enumerate(tiles) if t.kind == "count_now"]
    came, there, went = tiles[: stock[0]], [tiles[i] for i in stock], [t for t in tiles[stock[0] :] if t.kind != "count_now"]
    whole = there[0].value or 0.0
    names = told_apart([pick(t.title, lang) for t in tiles])
    named = {t.kpi: name for t, name in zip(tiles, names, strict=True)}
    parts = [html.Div([_stage(t, named[t.kpi], lang), _share(t.value, whole, t.status)], className="flow-part") for t in there[1:]]
    steps: list[Component] = []
    for name, group in (("came", came), ("there", there[:1]), ("went", went)):
        if group:
            steps += [html.Span(className="flow-arrow", **{"aria-hidden": "true"})] if steps else []
            inside = [_stage(t, named[t.kpi], lang) for t in group]
            steps.append(html.Div(inside + (parts if name == "there" else []), className=f"flow-step flow-{name}"))
    return [*_head_of(title or say("chart.flow", lang), tiles, lang, now, zone), html.Div(steps, className="flow")]


def _stage(t: Tile, title: str, lang: Lang) -> Component:
    known = t.value is not None and t.as_of is not None
    value = number(t.value or 0.0, lang) if known and abs(t.value or 0) < 1e6 else in_words(t.value or 0.0, "1", lang) if known else "–"
    mark = [shape(t.status)] if known and t.status in ("watch", "alarm") else []
    return html.Div([html.Span([*mark, value], className=f"flow-value mark-{t.status}" if mark else "flow-value"), html.Span(title, className=f"flow-name {title_size(title)}")], className="flow-stage")


def _share(value: float | None, whole: float, status: str) -> Component:
    share = 0.0 if not whole or value is None else min(1.0, max(0.0, value / whole))
    return html.Meter(value=str(round(share, 4)), min="0", max="1", className="rank-bar", **{"aria-hidden": "true", "data-status": status})


def ranked(
    t: Tile, values: Mapping[str, float | None], names: Mapping[str, str], lang: Lang, now: datetime, zone: ZoneInfo, most: int = 8, lowest: bool = False
) -> list[Component]:
    """The areas with the highest (or lowest) values. `names`: code -> name, of the areas that are ranked."""
    known = sorted(((value, code) for code, value in values.items() if value is not None and code in names), key=lambda pair: (pair[0] if lowest else -pair[0], names[pair[1]]))
    if not known or t.as_of is None:
        return [*_head(t, lang, now, zone), _nothing(t, lang)]
    top = max(abs(value) for value, _ in known) or 1.0
    rows, place = [], 0
    for i, (value, code) in enumerate(known[:most]):
        place = place if i and value == known[i - 1][0] else i + 1
        rows.append(row(str(place), names[code], code, value, abs(value) / top, _scale(value, t, lang)))
    without = len(names) - len(known)
    notes = [say("chart.lowest" if lowest else "chart.highest", lang, n=len(rows), all=len(names))] if len(rows) < len(names) else []
    notes += [say("chart.without", lang, n=without)] if without else []
    foot = [html.Div([html.Span(note) for note in notes], className="chart-foot")] if notes else []
    return [*_head(t, lang, now, zone), html.Div(rows, className="ranking"), *foot]


def bars(title: str, tiles: Sequence[Tile], lang: Lang, now: datetime, zone: ZoneInfo) -> list[Component]:
    """KPIs of one unit beside each other, the largest first; what their titles have in common is the chart's title."""
    titles = [pick(t.title, lang) for t in tiles]
    names = dict(zip((t.kpi for t in tiles), told_apart(titles), strict=True))
    known = sorted((t for t in tiles if t.value is not None and t.as_of is not None), key=lambda t: -(t.value or 0.0))
    head = _head_of(title or _shared(titles).strip(" :-–,") or titles[0], tiles, lang, now, zone)
    if not known:
        return [*head, _nothing(tiles[0], lang)]
    top = max(abs(t.value or 0.0) for t in known) or 1.0
    rows = [row("", names[t.kpi], t.kpi, t.value or 0.0, abs(t.value or 0.0) / top, _scale(t.value or 0.0, t, lang)) for t in known]
    without = len(tiles) - len(known)
    unit = unit_word(tiles[0].unit, lang)
    foot = [html.Span(say("chart.unit", lang, unit=unit))] if unit and unit not in ("%",) else []
    foot += [html.Span(say("chart.without", lang, n=without))] if without else []
    return [*head, html.Div(rows, className="ranking ranking-plain"), *([html.Div(foot, className="chart-foot")] if foot else [])]


def _shared(titles: Sequence[str]) -> str:
    """Return the words all titles begin with."""
    words = [title.split(" ") for title in titles]
    n = next((i for i, same in enumerate(zip(*words, strict=False)) if len(set(same)) > 1), 0)
    return " ".join(words[0][:n])


def told_apart(titles: Sequence[str]) -> list[str]:
    """Return titles without the words that all begin and end with: 'Lượt xe tải trong ngày' beside cars is 'Xe tải'."""
    first = len(_shared(titles).split())
    last = len(_shared([" ".join(reversed(title.split(" "))) for title in titles]).split())
    found = []
    for title in titles:
        words = title.split(" ")
        kept = " ".join(words[first : len(words) - last]) or title
        found.append(kept[:1].upper() + kept[1:])
    return found


def _head(t: Tile, lang: Lang, now: datetime, zone: ZoneInfo) -> list[Component]:
    title, unit = pick(t.title, lang), unit_word(t.unit, lang)
    # A unit that the title does not say; percentages and times say theirs at each number.
    shown = title if not unit or t.unit in ("%", "h") or unit.lower() in title.lower() else f"{title} ({unit})"
    return _head_of(shown, [t], lang, now, zone)


def _head_of(title: str, tiles: Sequence[Tile], lang: Lang, now: datetime, zone: ZoneInfo) -> list[Component]:
    oldest = worst(tiles)
    as_of = oldest.as_of
    over = all(t.period.complete for t in tiles)
    chip = state_chip(oldest.quality.state, lang, "" if over else clock_time(as_of, now, zone, lang))
    return [html.Div([html.Span(title, className=f"chart-title {title_size(title)}"), chip], className="chart-head")]


def worst(tiles: Sequence[Tile]) -> Tile:
    """Return the tile whose values are oldest: a figure of several is as old as that one."""
    order: dict[State, int] = {state: i for i, state in enumerate(STATES)}
    return max(tiles, key=lambda t: (order[t.quality.state], -(t.as_of.timestamp() if t.as_of else 0)))


def _nothing(t: Tile, lang: Lang) -> Component:
    return html.Div(say("no_data" if t.as_of is None else "kpi.no_trend", lang), className="chart-none")


def _day(day: date, length: int) -> str:
    """Return a period's first day as its axis says it; `length` of the period in days."""
    return f"{day.year}" if length > 360 else f"{day:%m/%Y}" if length > 27 else f"{day:%d/%m}"


def root(kind: str, inside: list[Component], tiles: Sequence[Tile]) -> Component:
    """Return a chart's root with what is in it."""
    return html.Div(inside, className=f"chart chart-{kind} state-{worst(tiles).quality.state}", **attributes(kind, tiles))


def attributes(kind: str, tiles: Sequence[Tile]) -> dict[str, str]:
    """What a machine may read from a chart's root."""
    oldest = worst(tiles) if tiles else None
    return {
        "data-chart": kind,
        "data-of": " ".join(t.kpi for t in tiles),
        "data-as-of": iso(oldest.as_of) if oldest else "",
        "data-state": oldest.quality.state if oldest else "never",
    }


def _image(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
