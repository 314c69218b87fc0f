"""What the address says of a leaders' page: language, area, period. The address is the only place where it is kept.

`/?lang=vi&area=05443&period=month` is the same page for whoever opens it; the back button brings the state before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlencode

from dashboards.context import Context
from dashboards.words import Lang, as_lang
from ioc.errors import UserError
from ioc.kpi.asked import Asked, period_of


@dataclass(frozen=True)
class State:
    """`area`: "" for the province; `period`: "" for each KPI's own. `more`: what else the page reads, as written."""

    lang: Lang
    area: str = ""
    period: str = ""
    more: tuple[tuple[str, str], ...] = ()

    @property
    def asked(self) -> Asked:
        return Asked(self.area, self.period)

    @property
    def plain(self) -> bool:
        """Does it ask for nothing but what every screen shows?"""
        return not (self.area or self.period)

    def href(self, path: str, **changes: str) -> str:
        """Return the address of `path` in this state, with changes of lang, area or period."""
        return address(path, replace(self, more=(), **changes))  # type: ignore[arg-type]

    def get(self, name: str) -> str:
        return dict(self.more).get(name, "")

    def view(self, page: str) -> str:
        """Return the name of the live view of a page in this state."""
        return f"{page}:{self.lang}" + (f"?{self.asked}" if not self.plain else "")


def address(path: str, state: State) -> str:
    asked = {"lang": state.lang, "area": state.area, "period": state.period, **dict(state.more)}
    return f"{path}?{urlencode({name: value for name, value in asked.items() if value}, safe='.,:')}"


def read(search: str | None, context: Context) -> State:
    """Return the state an address asks for; raise `UserError` for an area or a period that is none."""
    asked = {name: values[0].strip() for name, values in parse_qs((search or "").lstrip("?")).items()}
    state = State(as_lang(asked.pop("lang", None), context.config.language), asked.pop("area", ""), asked.pop("period", ""), tuple(sorted(asked.items())))
    if state.area == context.areas.province:
        state = replace(state, area="")
    check(state.asked, context)
    return state


def check(asked: Asked, context: Context) -> None:
    """Raise `UserError` for an area or a period that is none."""
    if asked.area and asked.area not in context.parts:
        raise UserError(context.areas.why_unknown(asked.area))
    period_of(asked.period)
