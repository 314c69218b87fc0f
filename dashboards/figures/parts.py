"""Small pieces every figure uses: state chips, shapes, and components as plain JSON for the live link."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from dash import html
from dash.development.base_component import Component

from dashboards.words import Lang, say
from ioc.kpi.tile import State, Status

Theme: TypeAlias = Literal["dark", "light"]


def shape(kind: str) -> Component:
    """A small drawn shape (CSS, no font needed): never colour alone tells a state."""
    return html.Span(className=f"shape shape-{kind}", **{"aria-hidden": "true"})


def state_chip(state: State, lang: Lang, time_text: str = "") -> Component:
    """Freshness as shape, word and time: '● mới 14:32'."""
    word = html.Span(say(f"state.{state}", lang), className="chip-word")
    when = [html.Span(time_text, className="chip-time")] if time_text else []
    return html.Span([shape(state), word, *when], className=f"chip chip-{state}")


def status_chip(status: Status, lang: Lang) -> Component:
    """How a value stands against its thresholds, as shape and word."""
    return html.Span([shape(status), html.Span(say(f"status.{status}", lang))], className=f"chip chip-{status}")


def shortened(text: str, most: int) -> str:
    """Return `text` cut between words, with an ellipsis, to at most `most` characters."""
    if len(text) <= most:
        return text
    return text[: most - 1].rsplit(" ", 1)[0].rstrip(",;: ") + "…"


def to_json(node: Any) -> Any:
    """Return a component tree as the JSON the browser's Dash understands."""
    if isinstance(node, Component):
        node = node.to_plotly_json()
    if isinstance(node, dict):
        return {key: to_json(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [to_json(item) for item in node]
    return node


def props_of(component: Component) -> dict[str, Any]:
    """Return a component's properties without its id: what the live link sends to bring the page up to date."""
    props: dict[str, Any] = to_json(component)["props"]
    props.pop("id", None)
    return props
