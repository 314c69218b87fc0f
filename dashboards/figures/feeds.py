"""The strip of feeds at the foot of the wall: name, freshness, as-of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import clock_time, iso
from dashboards.figures.parts import state_chip
from dashboards.words import Lang, pick
from ioc.live import FeedView

_CHIP_LETTERS = 11  # of '● mới 14:31'


def feed_strip(feeds: Sequence[FeedView], lang: Lang, now: datetime, zone: ZoneInfo) -> list[Component]:
    """Return one block a feed, in the order of the configuration. `--n` is how many letters stand side by side."""
    letters = sum(max(len(pick(feed.title, lang)), _CHIP_LETTERS) for feed in feeds)
    return [
        html.Div(
            [
                html.Div(pick(feed.title, lang), className="feed-name"),
                state_chip(feed.state, lang, clock_time(feed.as_of, now, zone, lang)),
            ],
            className=f"feed state-{feed.state}",
            style={"--n": letters},
            **{"data-feed": feed.feed, "data-state": feed.state, "data-as-of": iso(feed.as_of)},
        )
        for feed in feeds
    ]
