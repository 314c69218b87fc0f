"""Looking back: the moment an address asks for, and the frame of the bar that says it is not now; `assets/past.js` fills it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import iso
from dashboards.words import Lang, say

_WORDS = (
    "title", "not_now", "as_then", "as_now", "mode", "slider", "play", "stop", "day_before", "day_after", "live", "fetching",
    "bad_time", "ahead", "not_kept", "busy", "away", "slow",
)  # fmt: skip


def moment(text: str, zone: ZoneInfo) -> str:
    """Return the instant a person wrote in the address as ISO 8601 in UTC, '' for what is none.

    A time without a zone is the province's, a day alone its midnight.
    """
    try:
        at = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())  # a + of a query arrives as a blank
        return iso((at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC))
    except (ValueError, OverflowError):
        return ""


def bar(lang: Lang) -> Component:
    """Return the place of the banner and its controls, with the words they need."""
    words = {name: say(f"past.{name}", lang) for name in _WORDS}
    return html.Section(id="past", className="past", **{"aria-label": words["title"], "data-words": json.dumps(words, ensure_ascii=False)})
