"""The page of typed figures as HTML text: what waits for a second person, the form, what was decided. Pure; `ioc/entry/forms.py` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboards.accounts.markup import Input, button, done_note, field, hidden, problem_note, refusal, table
from dashboards.context import Context
from dashboards.document import document
from dashboards.figures import frame
from dashboards.figures.numbers import clock_time_s, number, unit_word
from dashboards.state import State
from dashboards.words import Lang, as_lang, pick, say
from ioc.doubts import in_words

HERE = "/operations/entries"
DECIDED = 50  # entries that are over, newest first


class Entries:
    """The page, in the languages of the screens."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def language(self, asked: str | None) -> Lang:
        return as_lang(asked, self._context.config.language)

    def problem(self, lang: str, word: str, sentence: str, values: Mapping[str, object]) -> str:
        return refusal(self.language(lang), word, sentence, values)

    def page(
        self, lang: str, *, figures: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], who: str, now: datetime, typed: Mapping[str, str], problem: str = "", done: str = ""
    ) -> str:
        """`figures`: what may be typed; `rows`: entries, newest first; `typed`: what to put back into a form that was refused."""
        lang_ = self.language(lang)
        titles = {(figure["feed"], figure["figure"]): pick(figure["title"], lang_) for figure in figures}
        waiting = [row for row in rows if row["status"] == "waiting"]
        over = [row for row in rows if row["status"] != "waiting"][:DECIDED]
        content: list[Component] = [
            html.Div([html.H1(say("entries.title", lang_)), html.A(say("nav.operations", lang_), href=f"/operations?lang={lang_}")], className="page-title"),
            html.P(say("entries.rule", lang_), className="form-note"),
            *problem_note(problem), *done_note(done, lang_),
            html.Section([html.H2(say("entries.waiting", lang_)), self._waiting(waiting, titles, who, now, lang_)]),
            html.Section([html.H2(say("entries.new", lang_)), html.Div(self._form(figures, typed, lang_) if figures else html.P(say("entries.none_known", lang_)), className="card")]),
        ]  # fmt: skip
        if over:
            heads = [say(f"entries.{word}", lang_) for word in ("figure", "period", "value", "document", "entered", "state")]
            lines = [html.Tr([*self._said(row, titles, now, lang_), html.Td(self._state(row, now, lang_))], **{"data-entry": str(row["id"]), "data-state": row["status"]}) for row in over]
            content.append(html.Section([html.H2(say("entries.over", lang_)), table(heads, lines)]))
        state = State(lang_)
        drawn = frame.page(content, self._context, state, view="", path=HERE, current="entries")
        return document(drawn, f"{say('entries.title', lang_)} · {self._context.province(lang_)}", lang_)

    def _waiting(self, rows: list[Mapping[str, Any]], titles: Mapping[tuple[str, str], str], who: str, now: datetime, lang: Lang) -> Component:
        if not rows:
            return html.P(say("entries.nothing", lang))
        heads = [say(f"entries.{word}", lang) for word in ("figure", "period", "value", "document", "entered", "decide")]
        return table(heads, [html.Tr([*self._said(row, titles, now, lang), html.Td(_decide(row, who, lang))], **{"data-entry": str(row["id"]), "data-state": "waiting"}) for row in rows])

    def _said(self, row: Mapping[str, Any], titles: Mapping[tuple[str, str], str], now: datetime, lang: Lang) -> list[Component]:
        """The cells every entry has: figure and area, period, value, document, who entered it."""
        area = self._context.areas.communes.get(row["area"])
        where = self._context.province(lang) if area is None else area.name if lang == "vi" else area.name_en
        doubt = [html.Small(f"{say('entries.doubt', lang)}: {pick(in_words(row['doubt']), lang)}", className="note-doubt")] if row["doubt"] else []
        return [
            html.Th([titles.get((row["feed"], row["figure"]), row["figure"]), html.Small(f"{where} · {row['feed']}")], scope="row"),
            html.Td(row["period"]),
            html.Td([_value(row["value"], row["unit"], lang), *doubt]),
            html.Td(row["document"], className="detail"),
            html.Td([row["entered_by"], html.Small(self._time(row["entered_at"], now, lang))]),
        ]

    def _state(self, row: Mapping[str, Any], now: datetime, lang: Lang) -> list[Any]:
        by = say("entries.by", lang, name=row["decided_by"], at=self._time(row["decided_at"], now, lang))
        return [say(f"entries.{row['status']}", lang), html.Small(by), *([html.Small(row["reason"])] if row["reason"] else [])]

    def _form(self, figures: Sequence[Mapping[str, Any]], typed: Mapping[str, str], lang: Lang) -> Component:
        chosen, area = typed.get("figure", ""), typed.get("area", "")
        options = []
        for figure in figures:
            name = f"{figure['feed']}|{figure['figure']}"
            unit = unit_word(figure["unit"], lang)
            words = ", ".join(part for part in (unit, say(f"entries.each.{figure['period']}", lang)) if part)
            options.append(html.Option(f"{pick(figure['title'], lang)} ({words})", value=name, **({"selected": True} if name == chosen else {})))
        communes = sorted(self._context.areas.communes.values(), key=lambda commune: commune.short)
        areas = [html.Option(self._context.province(lang), value="")]
        areas += [html.Option(c.name if lang == "vi" else c.name_en, value=c.code, **({"selected": True} if c.code == area else {})) for c in communes]
        return html.Form(
            [
                hidden("lang", lang),
                html.Div([html.Label(say("entries.figure", lang), htmlFor="figure"), html.Select(options, id="figure", name="figure")], className="field field-wide"),
                html.Div([html.Label(say("entries.area", lang), htmlFor="area"), html.Select(areas, id="area", name="area")], className="field"),
                field(say("entries.period", lang), "period", value=typed.get("period", ""), note=say("entries.period.note", lang), required=True, maxLength=60, autoComplete="off"),
                field(say("entries.value", lang), "value", value=typed.get("value", ""), note=say("entries.value.note", lang), maxLength=60, autoComplete="off", inputMode="decimal"),
                field(say("entries.document", lang), "document", value=typed.get("document", ""), note=say("entries.document.note", lang), required=True, maxLength=300, autoComplete="off"),
                html.Button(say("entries.enter", lang), type="submit", className="button button-main"),
            ],
            method="post", action=HERE, className="form form-row form-entry",
        )  # fmt: skip

    def _time(self, at: datetime | None, now: datetime, lang: Lang) -> str:
        return clock_time_s(at, now, self._context.zone, lang) or "–"


def _decide(row: Mapping[str, Any], who: str, lang: Lang) -> Component:
    """What this person may do: another one's entry is approved or rejected, one's own taken back."""
    own = str(row["entered_by"]).casefold() == who.casefold()
    reason = html.Form(
        [
            hidden("lang", lang),
            Input(name="reason", type="text", required=True, maxLength=300, autoComplete="off", placeholder=say("entries.reason", lang), **{"aria-label": say("entries.reason", lang)}),
            html.Button(say("entries.take_back" if own else "entries.reject", lang), type="submit", className="button"),
        ],
        method="post", action=f"{HERE}/{row['id']}/reject", className="inline form-reason",
    )  # fmt: skip
    approve = html.Small(say("entries.own", lang)) if own else button(f"{HERE}/{row['id']}/approve", say("entries.approve", lang), lang)
    return html.Div([approve, reason], className="decide")


def _value(value: Decimal | None, unit: str, lang: Lang) -> str:
    if value is None:
        return say("entries.withdrawn", lang)
    exponent = value.normalize().as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    written = number(value, lang, decimals)  # type: ignore[arg-type]
    word = unit_word(unit, lang, written)
    return f"{written}{'' if word == '%' else ' '}{word}".strip() if word else written
