"""A camera's still: the picture, whose it is, and how long ago it last changed; one that stands still says so."""

from __future__ import annotations

from datetime import datetime, timedelta

from dash import html
from dash.development.base_component import Component

from dashboards.figures.numbers import iso, number
from dashboards.figures.parts import shape
from dashboards.words import Lang, pick, say
from ioc.config import Camera
from ioc.stills import Still

LOST = timedelta(seconds=30)  # without any answer; until then the last picture may be a live one
_SHAPES = {"live": "live", "frozen": "map-frozen", "lost": "lost", "never": "never"}


def still_id(camera: str) -> str:
    return f"still-{camera}"


def state_of(still: Still | None, now: datetime, frozen_s: float) -> str:
    """Return never, lost (it does not answer), frozen (the same picture for `frozen_s`) or live."""
    if still is None or still.seen_at is None or still.changed_at is None:
        return "never"
    if now - still.seen_at >= LOST:
        return "lost"
    return "frozen" if (now - still.changed_at).total_seconds() >= frozen_s else "live"


def tile(camera: Camera, still: Still | None, lang: Lang, now: datetime | None, frozen_s: float) -> Component:
    """Return the tile; `now` None: nothing is known yet."""
    state = state_of(still, now, frozen_s) if now else "never"
    title = pick(camera.title, lang)
    picture: list[Component] = []
    words = say("still.never", lang)
    if now and still and still.changed_at and still.seen_at:
        picture = [html.Img(src=f"/stills/{camera.camera}?v={still.mark}", alt=title)]
        words = say(f"still.{state}", lang, age=age(now - (still.seen_at if state == "lost" else still.changed_at), lang))
    return html.Figure(
        [
            html.Div(picture, className="still-picture"),
            html.Figcaption([html.Span(title, className="still-name"), html.Span([shape(_SHAPES[state]), html.Span(words)], className="still-age")], className="still-words"),
        ],
        id=still_id(camera.camera),
        className="still",
        **{"data-still": state, "data-changed-at": iso(still.changed_at) if still and still.changed_at else ""},
    )


def age(passed: timedelta, lang: Lang) -> str:
    """Return a time that has passed in whole seconds, minutes or hours."""
    seconds = max(0, int(passed.total_seconds()))
    unit, n = ("s", seconds) if seconds < 120 else ("min", seconds // 60) if seconds < 7200 else ("h", seconds // 3600)
    return say(f"still.age.{unit}", lang, n=number(n, lang, 0))
