"""The strip of feeds at the foot of the wall: name, freshness, as-of; those beyond what can be read from afar as one sum."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import clock_time, iso
from dashboards.figures.parts import state_chip
from dashboards.words import Lang, pick, say
from ioc.kpi.tile import State
from ioc.live import FeedView

MOST = 5  # blocks that fit side by side in letters the viewing distance asks for
_CHIP_LETTERS = 11  # of '● mới 14:31'
_WORST: tuple[State, ...] = ("lost", "stale", "late", "never", "live")


def feed_strip(feeds: Sequence[FeedView], lang: Lang, now: datetime, zone: ZoneInfo) -> list[Component]:
    """Return at most `MOST` blocks: every feed, or those in the worst state and one block that sums up the others.

    Named feeds stand in the order of the configuration. `--n` is how many letters stand side by side.
    """
    named, rest = _split(feeds)
    blocks = [(pick(feed.title, lang), feed.state, clock_time(feed.as_of, now, zone, lang), feed.feed, iso(feed.as_of)) for feed in named]
    if rest:
        worst = min((feed.state for feed in rest), key=_WORST.index)
        blocks.append((say("feeds.others", lang, n=len(rest)), worst, "", "", ""))
    letters = sum(max(len(title), _CHIP_LETTERS) for title, *_ in blocks)
    return [
        html.Div(
            [html.Div(title, className="feed-name"), state_chip(state, lang, when)],
            className=f"feed state-{state}",
            style={"--n": letters},
            **{"data-feed": name, "data-state": state, "data-as-of": as_of},
        )
        for title, state, when, name, as_of in blocks
    ]


def _split(feeds: Sequence[FeedView]) -> tuple[list[FeedView], list[FeedView]]:
    """Return the feeds to name and the others: the worst are named first, then the first of the configuration."""
    if len(feeds) <= MOST:
        return list(feeds), []
    order = sorted(range(len(feeds)), key=lambda i: (_WORST.index(feeds[i].state), i))
    named = sorted(order[: MOST - 1])
    return [feeds[i] for i in named], [feeds[i] for i in order[MOST - 1 :]]
