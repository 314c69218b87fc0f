"""Where a number comes from: formula in words and in the very SQL that runs, its parts, its feeds, its last events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ioc.kpi.engine import Engine
from ioc.kpi.model import Kpi, Period
from ioc.kpi.periods import Days
from ioc.kpi.symbols import in_symbols
from ioc.kpi.tile import Words
from ioc.kpi.words import in_words
from ioc.store import status
from ioc.store.ledger import restatements
from ioc.store.reader import ObservationTerm, Reader, statement_for

EVENTS = 10  # raw events an explanation shows


def explain(engine: Engine, reader: Reader, kpi: str, *, area: str | None = None, at: datetime, known_at: datetime | None = None, days: Days | None = None, period: Period | None = None) -> dict[str, Any]:
    """Return the explanation of a KPI as plain JSON values; of an area, its events are those of that area.

    Keys: kpi, title, description, theme, value, unit, numerator, denominator, as_of, period, area, tile (whole),
    formula {words {vi, en}, symbols, sql, parameters, version, since}, limits {better, watch, alarm, target},
    feeds [{feed, title, state, cadence_s, as_of, received_at, checked_at, events}], events [{feed, subject, metric,
    time, received_at, id, source, data}], doubts [those of the last week that are marked, with the doubt in words: why {vi, en}], restatements [{first, last, restated_at, was, became, since, reason, why {vi, en}}]
    of the province's published values, newest first. Raise `UserError` for an unknown KPI or area.
    """
    (chosen,) = engine.chosen([kpi])
    with engine.source(reader, at, known_at) as source:
        feeds = source.feeds()
    tile = engine.evaluate(reader, [kpi], area=area, at=at, known_at=known_at, days=days, period=period)[kpi]
    states = engine.feed_states(feeds, at)
    titles = {feed.feed: Words(feed.title.vi, feed.title.en) for feed in engine.config.feeds}
    named = [
        {
            "feed": feed,
            "title": titles[feed],
            "state": states[feed],
            "cadence_s": engine.cadence_s[feed],
            "as_of": feeds[feed].as_of if feed in feeds else None,
            "received_at": feeds[feed].received_at if feed in feeds else None,
            "checked_at": feeds[feed].checked_at if feed in feeds else None,
            "events": feeds[feed].events if feed in feeds else 0,
        }
        for feed in chosen.feeds
    ]
    events = reader.recent_events(chosen.formula.terms, known_at or at, EVENTS, engine.codes(area))
    found = {
        "kpi": kpi,
        "title": chosen.title,
        "description": chosen.description,
        "theme": chosen.theme,
        "value": tile.value,
        "unit": tile.unit,
        "numerator": tile.numerator,
        "denominator": tile.denominator,
        "as_of": tile.as_of,
        "period": tile.period,
        "area": tile.area,
        "tile": tile,
        "formula": {"words": in_words(chosen, titles), "symbols": in_symbols(chosen.formula), **_statement(engine, reader, chosen, area, at, days, period)}
        | {"version": chosen.version, "since": chosen.since, "history": list(chosen.history)}
        | {"inputs": [other.kpi for other in chosen.formula.derived.inputs] if chosen.formula.derived else []},
        "limits": {"better": chosen.better, "watch": chosen.watch, "alarm": chosen.alarm, "judged_from": chosen.judged_from, "target": chosen.target},
        "feeds": named,
        "events": events,
        "doubts": status.doubts(reader.conn, list(chosen.feeds), known_at or at, EVENTS, _metrics(chosen)),
        "restatements": restatements(reader.conn, kpi, known_at or at),
    }
    plain: dict[str, Any] = msgspec.to_builtins(found, str_keys=True)
    return plain


def _metrics(kpi: Kpi) -> list[str]:
    return [term.metric for term in kpi.formula.terms if isinstance(term, ObservationTerm)]


def _statement(engine: Engine, reader: Reader, kpi: Kpi, area: str | None, at: datetime, days: Days | None, period: Period | None) -> dict[str, Any]:
    """Return the SQL as it is sent, with its parameters: run by hand it gives the tile's numbers."""
    statement = statement_for(engine.question([kpi], engine.windows_of(kpi, at, days, period), at, areas=engine.codes(area), spark=True))
    return {"sql": statement.query.as_string(reader.conn), "parameters": statement.params}
