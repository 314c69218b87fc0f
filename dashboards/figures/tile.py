"""A KPI tile: one `Tile` in, one component out. The same on the wall and on the pages; only the style sheet differs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import (
    clock_time,
    in_words,
    iso,
    number,
    period_words,
    plain,
    quantity,
    signed,
    unit_word,
)
from dashboards.figures.parts import Theme, shape, shortened, state_chip, status_chip
from dashboards.figures.spark import spark
from dashboards.words import Lang, pick, say
from ioc.kpi.tile import Delta, Tile

Place: TypeAlias = Literal["wall", "page"]
MONEY = ("VND", "USD")

_WALL_VALUE_CHARS = 9  # number and unit that fit beside the notes on a wall tile
_UNIT_CHARS = 24  # of a unit in one line of a page; a longer one gets smaller letters and several lines
_TITLE_CHARS = 72  # of a title in two lines; a longer one ends in an ellipsis, and is whole on its page and for the mouse
_CHIP_CHARS = 16  # characters of a two-line title that a status chip takes the place of
_OF_TODAY = re.compile(r" (trong ngày|hôm nay|today)(?=$|:| \()")
_WRITTEN = re.compile(r"(?P<words>\D*?)\s*(?P<digits>\d[\d.,]*)\s*(?P<unit>.*)", re.DOTALL)
_WORDS_IN_DIGITS = re.compile(r"([^\W\d_]+)")


def tile_id(kpi: str, area: str | None = None) -> str:
    """Return the id of a KPI's tile; `area`: of a part of the province."""
    return f"tile-{kpi}-{area}" if area else f"tile-{kpi}"


def tile(
    t: Tile, lang: Lang, now: datetime, zone: ZoneInfo, titles: dict[str, str], place: Place = "wall", link: str = "", theme: Theme | None = None
) -> Component:
    """Return the tile. `titles`: feed -> its name in `lang`, for "waiting for ..."; `now` only dates the as-of; `link`: its page.

    `theme`: what it stands on; without it the wall is dark and a page light.
    """
    if place == "wall":
        body = _wall_body(t, lang, now, zone, titles, theme or "dark")
    else:
        body = [html.A(_page_body(t, lang, now, zone, titles, theme or "light"), href=link or f"/kpi/{t.kpi}?lang={lang}", className="tile-link")]
    return html.Div(body, id=tile_id(t.kpi), className=_classes(t), **data_attributes(t))


def _wall_body(t: Tile, lang: Lang, now: datetime, zone: ZoneInfo, titles: dict[str, str], theme: Theme) -> list[Component]:
    """Three rows that every tile of the wall shares: title and alarm; value and what it is against; freshness."""
    title = shortened(pick(t.title, lang), _TITLE_CHARS)
    target = _target(t, lang) if t.value is not None else None
    against = _known([_waits(t, lang, titles), _missing(t, lang), _few(t, lang), _delta(t, lang), target])[:1]
    abnormal = _abnormal(t, lang)
    size = title_size(title + " " * _CHIP_CHARS if abnormal else title)
    beside = _known([_period(t, lang, zone), _parts(t, lang), _line(t, lang, theme)])[:1]  # more do not fit
    return [
        html.Div(_known([abnormal, _heading(title, pick(t.title, lang), size)]), className="tile-head"),  # its second line runs below the chip
        html.Div([value_line(t, lang, "wall"), html.Div(against, className="tile-notes")], className="tile-main"),
        html.Div([_freshness(t, lang, now, zone), *beside], className="tile-foot"),
    ]


def _page_body(t: Tile, lang: Lang, now: datetime, zone: ZoneInfo, titles: dict[str, str], theme: Theme) -> list[Component]:
    """Four rows that every tile of a page shares, filled or not: title and alarm; value and course; against what; of when."""
    title = shortened(titled(t, lang), _TITLE_CHARS)
    against = [_waits(t, lang, titles), _missing(t, lang), _doubt(t, lang), _few(t, lang), _delta(t, lang, "page"), _target(t, lang) if t.value is not None else None]
    return [
        html.Div(_known([_heading(title, titled(t, lang), title_size(title)), _abnormal(t, lang)]), className="tile-head"),
        html.Div(_known([value_line(t, lang, "page"), _line(t, lang, theme)]), className="tile-main"),
        html.Div(_known(against), className="tile-notes"),
        html.Div([html.Div(_known([_period(t, lang, zone) or running(t, lang, zone), _parts(t, lang)]), className="tile-of"), _freshness(t, lang, now, zone)], className="tile-foot"),
    ]


def _heading(shown: str, whole: str, size: str) -> Component:
    return html.Div(shown, className=f"tile-title {size}", **({} if shown == whole else {"title": whole}))


def _doubt(t: Tile, lang: Lang) -> Component | None:
    """That the guard asks about the value; what, its own page says."""
    if not t.doubts or t.value is None:
        return None
    return html.Div([shape("watch"), html.Span(say("doubt", lang))], className="note note-doubt", title="; ".join(pick(words, lang) for words in t.doubts))


def _few(t: Tile, lang: Lang) -> Component | None:
    """That the denominator is too small for the value to be judged."""
    return None if t.judged_from is None else html.Div(say("few", lang, n=t.judged_from), className="note note-few")


def titled(t: Tile, lang: Lang) -> str:
    """Return the title; that of a day's figure loses its "today" where it is of another period."""
    title = pick(t.title, lang)
    if (t.period.end - t.period.start).days <= 1 and not t.period.complete:
        return title
    return without_today(title)


def without_today(title: str) -> str:
    return _OF_TODAY.sub("", title)


def shown_value(t: Tile, lang: Lang) -> str:
    """Return the value as a sentence or a paper has it: number, unit and qualifier, or the words that say why there is none.

    As on the tile, a figure of a report is as its document has it.
    """
    if t.as_of is None:
        return say("no_data", lang)
    if t.value is None:
        return say("not_computable", lang)
    if t.written and lang == "vi":
        return t.written
    text = in_words(t.value, t.unit, lang, t.decimals)
    return say(t.qualifier, lang, value=text) if t.qualifier in ("at_least", "at_most", "about") else text


def running(t: Tile, lang: Lang, zone: ZoneInfo) -> Component | None:
    """Of which period the value is, while that period still runs: hatched, and said. What is true now has no period."""
    if t.period.complete or t.as_of is None or t.kind == "count_now":
        return None
    start, end = (at.astimezone(zone).date() for at in (t.period.start, t.period.end))
    words = say("today", lang) if (end - start).days <= 1 else period_words(start, end, lang)
    return html.Div([shape("running"), html.Span(say("so_far", lang, period=words))], className="note note-period note-running")


def _known(parts: Iterable[Component | None]) -> list[Component]:
    return [part for part in parts if part is not None]


def data_attributes(t: Tile) -> dict[str, str]:
    """What a machine may read from a tile's root."""
    return {
        "data-kpi": t.kpi,
        "data-value": plain(t.value if t.as_of else None),
        "data-unit": t.unit,
        "data-as-of": iso(t.as_of),
        "data-formula-version": str(t.formula_version),
        "data-state": t.quality.state,
        "data-status": t.status,
    }


def empty_tile(kpi: str, lang: Lang, area: str | None = None) -> Component:
    """The tile's place before the first values arrive."""
    return html.Div(
        html.Div("…", className="tile-title", **{"aria-hidden": "true"}),
        id=tile_id(kpi, area),
        className="tile tile-empty",
        **{"data-kpi": kpi, "data-value": "", "data-unit": "", "data-as-of": "", "data-formula-version": "", "data-state": "never", "data-status": "unknown"},
    )


def title_size(title: str) -> str:
    """Long titles get narrower letters instead of being cut."""
    if len(title) <= 30:
        return "size-normal"
    return "size-long" if len(title) <= 44 else "size-longer"


def _classes(t: Tile) -> str:
    has_value = t.value is not None and t.as_of is not None
    return f"tile status-{t.status if has_value else 'unknown'} state-{t.quality.state}{'' if has_value else ' tile-empty'}"


def value_line(t: Tile, lang: Lang, place: Place = "page") -> Component:
    """The number with its unit and qualifier, or the words that say why there is none.

    A figure of a report is shown as its document has it; in English, as English writes it.
    """
    if t.value is None or t.as_of is None:
        word = "no_data" if t.as_of is None else "not_computable"
        return html.Div(say(word, lang), className="tile-value tile-novalue")
    as_written = _WRITTEN.fullmatch(t.written) if lang == "vi" else None
    if as_written:
        digits, unit = f"{as_written['words']} {as_written['digits']}".strip(), as_written["unit"]
    else:
        digits, unit = quantity(t.value, t.unit, lang, t.decimals)
        if t.qualifier in ("at_least", "at_most", "about"):
            digits = say(t.qualifier, lang, value=digits)
    if place == "wall" and t.unit.startswith("{") and len(digits) + len(unit) > _WALL_VALUE_CHARS:
        unit = unit.removesuffix(unit_word(t.unit, lang)).removesuffix(unit_word(t.unit, lang, "1")).strip()  # the title says what is counted; "triệu" stays
    # Words inside a number ("2 ngày 4", "trên 200") are set small, like the unit.
    pieces = [p.strip() for p in _WORDS_IN_DIGITS.split(digits) if p.strip()]
    spans: list[Component] = [html.Span(p, className="value-unit" if p[0].isalpha() else "value-number") for p in pieces]
    if unit:
        kind = " value-percent" if unit == "%" else " unit-long" if len(unit) > _UNIT_CHARS else ""
        scale, _, currency = unit.partition(f" {unit_word(t.unit, lang)}") if t.unit in MONEY else ("", "", "")
        if place == "wall" and scale and not currency:  # "nghìn tỷ" above "đồng": in one line the number beside them would be too small
            spans.append(html.Span([f"{scale} ", html.Span(unit_word(t.unit, lang))], className="value-unit unit-money"))
        else:
            spans.append(html.Span(unit, className=f"value-unit{kind}"))
    return html.Div(spans, className=f"tile-value {_digits_size(digits, unit)}")


def _digits_size(digits: str, unit: str) -> str:
    """Long numbers get narrower digits instead of being cut."""
    if len(digits) > 6 or len(digits + unit) > _WALL_VALUE_CHARS:
        return "digits-longer"
    return "digits-long" if len(digits) == 6 else "digits-normal"


def _waits(t: Tile, lang: Lang, titles: dict[str, str]) -> Component | None:
    """Without any fact: which feed the tile waits for."""
    if t.as_of is not None:
        return None
    return html.Div(say("waits_for", lang, feeds=", ".join(titles.get(feed, feed) for feed in t.source)), className="note note-waits")


def _missing(t: Tile, lang: Lang) -> Component | None:
    n = len(t.quality.missing_sources)
    if not n or t.as_of is None:
        return None
    text = say("missing", lang, n=n)
    return html.Div([shape("lost"), html.Span(text)], className="note note-missing")


def _abnormal(t: Tile, lang: Lang) -> Component | None:
    if t.value is None or t.as_of is None or t.status not in ("watch", "alarm"):
        return None
    return html.Div(status_chip(t.status, lang), className="note-status")


def _parts(t: Tile, lang: Lang) -> Component | None:
    """Both parts of a ratio: '1.148.705/1.190.032'."""
    if t.kind != "ratio" or t.numerator is None or t.denominator is None:
        return None
    return html.Div(f"{number(t.numerator, lang)}/{number(t.denominator, lang)}", className="note note-parts")


def _delta(t: Tile, lang: Lang, place: Place = "wall") -> Component | None:
    if t.delta is None or t.value is None:
        return None
    said = signed(t.delta.value, t.unit, lang, t.decimals)
    if place == "wall" and t.unit in MONEY:  # the number beside it names the currency, and needs the room
        said = said.removesuffix(f" {unit_word(t.unit, lang)}")
    arrow = [] if said == say("unchanged", lang) else [shape("up" if t.delta.value > 0 else "down")]
    change = html.Span([*arrow, html.Span(said)], className="note-change")
    return html.Div([change, html.Span(versus(t, t.delta, lang, place), className="note-versus")], className="note note-delta", **{"data-delta": plain(t.delta.value)})


def versus(t: Tile, delta: Delta, lang: Lang, place: Place) -> str:
    """Return what a difference is against: "so với hôm qua", on a page also "(cả ngày)" where the day still runs."""
    day = delta.versus == "previous_period" and (t.period.end - t.period.start).days <= 1
    words = say(f"versus.{delta.versus}{'.day' if day else ''}", lang)
    return words if delta.fair or place == "wall" else say("versus.whole", lang, versus=words)


def _target(t: Tile, lang: Lang) -> Component | None:
    if t.target is None:
        return None
    value = in_words(t.target.value, t.unit, lang, t.decimals)
    if t.target.due is None:
        return html.Div(say("target", lang, value=value), className="note note-target")
    due = t.target.due.strftime("%d/%m/%Y")
    return html.Div(say("target.due", lang, value=value, date=due), className="note note-target")


def _freshness(t: Tile, lang: Lang, now: datetime, zone: ZoneInfo) -> Component:
    """The state of the feeds; of a period that is over, how long ago it was says nothing about them."""
    return state_chip(t.quality.state, lang, "" if t.period.complete else clock_time(t.as_of, now, zone, lang))


def _period(t: Tile, lang: Lang, zone: ZoneInfo) -> Component | None:
    """Of which period the value is, where that period is over: figures of reports are of last year, and must say so."""
    if not t.period.complete or t.as_of is None:
        return None
    return html.Div(period_words(t.period.start.astimezone(zone).date(), t.period.end.astimezone(zone).date(), lang), className="note note-period")


def _line(t: Tile, lang: Lang, theme: Theme) -> Component | None:
    if t.as_of is None:
        return None
    return spark(t.spark, say("trend", lang, title=pick(t.title, lang)), theme)
