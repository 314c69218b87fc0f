"""Fields of forms, as components that dashboards/document.py writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboards.words import Lang, known_or


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


def button(action: str, word: str, lang: Lang) -> Component:
    """A form that is one button."""
    return html.Form([hidden("lang", lang), html.Button(word, type="submit", className="button")], method="post", action=action, className="inline")


def table(heads: Sequence[str], rows: list[Component]) -> Component:
    """A table that scrolls sideways where it must."""
    head = html.Thead(html.Tr([html.Th(text, scope="col") for text in heads]))
    return html.Div(html.Table([head, html.Tbody(rows)], className="table"), className="scroll", tabIndex="0")


def problem_note(problem: str) -> list[Component]:
    """Why a form was refused, nothing where it was not."""
    return [html.P([html.Span(className="shape shape-alarm", **{"aria-hidden": "true"}), html.Span(problem)], className="form-problem", role="alert", id="problem")] if problem else []


def done_note(word: str, lang: Lang) -> list[Component]:
    """What was done, by its word; nothing for a word nobody knows."""
    return [html.P(known_or(f"done.{word}", lang, ""), className="form-done", role="status")] if word and known_or(f"done.{word}", lang, "") else []


def refusal(lang: Lang, word: str, sentence: str, values: Mapping[str, object]) -> str:
    """A refusal in the language of the page; `sentence` where the screens have none."""
    return known_or(f"problem.{word}", lang, sentence, **values)
