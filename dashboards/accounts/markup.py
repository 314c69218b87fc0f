"""Fields of forms, as components that dashboards/document.py writes."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component


def field(label: str, name: str, kind: str = "text", *, value: str = "", note: str = "", **more: Any) -> Component:
    """A labelled field of a form. `more`: the attributes of an input, as Dash names them."""
    described = {"aria-describedby": f"{name}-note"} if note else {}
    made = html.Div([html.Label(label, htmlFor=name), Input(id=name, name=name, type=kind, value=value or None, **described, **more)], className="field")
    if note:
        made.children.append(html.Small(note, id=f"{name}-note"))
    return made


class Input(Component):  # type: ignore[misc]
    """An HTML input; `dash.html` has none, and `dcc.Input` is a React component."""

    def __init__(self, **attributes: Any) -> None:
        self._attributes = attributes

    def to_plotly_json(self) -> dict[str, Any]:
        return {"type": "Input", "props": self._attributes, "namespace": "html"}


def hidden(name: str, value: str) -> Component:
    """A value a form carries along."""
    return Input(type="hidden", name=name, value=value)


