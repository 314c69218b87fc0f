"""What the address says of a leaders' page: language, area, period, geography. The address is the only place where it is kept.

`/?lang=vi&area=05443&period=month` is the same page for whoever opens it; the back button brings the state before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlencode

from dashboards.context import Context
from dashboards.words import Lang, as_lang
from ioc.errors import UserError
from ioc.kpi.asked import Asked, geography_of, period_of
from ioc.kpi.geography import Geography


@dataclass(frozen=True)
class State:
    """`area`: "" for the province; `period`: "" for each KPI's own; `geography`: "" for today's communes.

    `more`: what else the page reads, as written.
    """

    lang: Lang
    area: str = ""
    period: str = ""
    geography: str = ""
    more: tuple[tuple[str, str], ...] = ()

    @property
    def asked(self) -> Asked:
        """What tiles are asked for: those of former units there are none."""
        return Asked(self.area, self.period)

    @property
    def by_place(self) -> Asked:
        """What a value told apart by place is asked for."""
        return Asked(self.area, self.period, self.geography)

    @property
    def units(self) -> Geography:
        """In whose units a value is told apart by place."""
        return geography_of(self.geography)

    @property
    def plain(self) -> bool:
        """Does it ask for nothing but what every screen shows?"""
        return not (self.area or self.period)

    def href(self, path: str, **changes: str) -> str:
        """Return the address of `path` in this state, with changes of lang, area, period or geography."""
        return address(path, replace(self, more=(), **changes))  # type: ignore[arg-type]

    def get(self, name: str) -> str:
        return dict(self.more).get(name, "")

    def view(self, page: str, *, by_place: bool = False) -> str:
        """Return the name of the live view of a page in this state; `by_place`: of one that tells values apart by place."""
        asked = self.by_place if by_place else self.asked
        return f"{page}:{self.lang}" + (f"?{asked}" if any(asked) else "")


def address(path: str, state: State) -> str:
    asked = {"lang": state.lang, "area": state.area, "period": state.period, "geography": state.geography, **dict(state.more)}
    return f"{path}?{urlencode({name: value for name, value in asked.items() if value}, safe='.,:')}"


def read(search: str | None, context: Context) -> State:
    """Return the state an address asks for; raise `UserError` for an area, a period or a geography that is none."""
    asked = {name: values[0].strip() for name, values in parse_qs((search or "").lstrip("?")).items()}
    lang = as_lang(asked.pop("lang", None), context.config.language)
    state = State(lang, asked.pop("area", ""), asked.pop("period", ""), asked.pop("geography", ""), tuple(sorted(asked.items())))
    if state.area == context.areas.province:
        state = replace(state, area="")
    if state.geography == "today":
        state = replace(state, geography="")
    check(state.by_place, context)
    return state


def check(asked: Asked, context: Context) -> None:
    """Raise `UserError` for an area, a period or a geography that is none."""
    if asked.area and asked.area not in context.parts:
        raise UserError(context.areas.why_unknown(asked.area))
    period_of(asked.period)
    geography_of(asked.geography)
