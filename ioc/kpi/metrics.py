"""Does what a formula reads exist? A metric misspelt would wait for its feed for ever, and look like a feed that is silent.

Known are the metrics of connectors of one YAML file and of figures typed by people; what a source names itself, or what
code makes, is not known before it comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from ioc.config import Config, Feed
from ioc.connect import registry
from ioc.connect.declared import Declared
from ioc.entry.entries import figures_of
from ioc.errors import UserError
from ioc.kpi.model import Kpi
from ioc.store.reader import ObservationTerm

_FIELD = re.compile(r"\$\{?\w+\}?")  # a field of the record in a metric's name: cases.$disease


def check(kpis: Iterable[Kpi], config: Config) -> None:
    """Refuse a KPI that reads a metric its feed's connector never makes, with file, line and those it makes."""
    feeds = {feed.feed: feed for feed in config.feeds}
    made: dict[str, list[str] | None] = {}
    for kpi in kpis:
        for term in kpi.formula.terms:
            if isinstance(term, ObservationTerm) and term.feed in feeds:
                if term.feed not in made:
                    made[term.feed] = metrics_of(feeds[term.feed])
                known = made[term.feed]
                if known is not None and not any(_fits(term.metric, name) for name in known):
                    raise UserError(f"{kpi.where}: {kpi.kpi}: no metric of the feed {term.feed} is called {term.metric!r}; {_instead(term.metric, known)}")


def metrics_of(feed: Feed) -> list[str] | None:
    """Return the metrics the feed's connector makes, fields of records written $NAME; None where that is not known beforehand."""
    if feed.connector == registry.ENTRY:
        return [*figures_of(feed)]
    if feed.connector == registry.PUSH:
        return None
    connector = registry.get(feed.connector)
    return connector.declaration.metrics if isinstance(connector, Declared) else None


def _fits(metric: str, name: str) -> bool:
    parts = _FIELD.split(name)
    return re.fullmatch(".+".join(map(re.escape, parts)), metric) is not None


def _instead(metric: str, known: list[str]) -> str:
    near = get_close_matches(metric, known, 3) or known
    return f"its connector makes {', '.join(near)}" if known else "its connector makes no observations"
