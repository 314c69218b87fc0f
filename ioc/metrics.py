"""Prometheus metrics: what /healthz says, as numbers, and what this process counted."""

from __future__ import annotations

from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_STATES = ("live", "late", "stale", "lost", "never")

_registry = CollectorRegistry()
POSTED = Counter("ioc_posted_events", "Events taken by POST /api/events", ["feed"], registry=_registry)
REFUSED = Counter("ioc_refused_events", "Events refused by POST /api/events", ["feed"], registry=_registry)


class Screens(Protocol):
    def watchers(self) -> int: ...


def render(report: dict[str, Any], hub: Screens) -> bytes:
    """Return the text of /metrics."""
    registry = CollectorRegistry()
    up = Gauge("ioc_up", "1 while the part can be reached", ["part"], registry=registry)
    up.labels("database").set(report["database"]["reachable"])
    up.labels("broker").set(report["broker"]["reachable"])
    Gauge("ioc_screens", "Open websockets", registry=registry).set(hub.watchers())
    numbers = {
        "events": "Facts stored", "duplicates": "Repeated events recognised", "dead_letters": "Records that could not be read",
        "lag": "Records on the bus not yet stored", "polls": "Times the source was asked", "errors": "Polls that failed",
        "records": "Records read from the source", "bytes_read": "Bytes read from the source", "doubtful": "Values published with a mark of doubt",
        "shape_changes": "Times the source's records looked different from before",
    }  # fmt: skip
    gauges = {name: Gauge(f"ioc_feed_{name}", text, ["feed"], registry=registry) for name, text in numbers.items()}
    newest = Gauge("ioc_feed_newest_fact_seconds", "Unix time of the newest fact", ["feed"], registry=registry)
    age = Gauge("ioc_feed_newest_fact_age_seconds", "How old the newest fact is", ["feed"], registry=registry)
    failed = Gauge("ioc_feed_errors_by_type", "Polls that failed, by type of error", ["feed", "type"], registry=registry)
    state = Gauge("ioc_feed_state", "1 for the state the feed is in", ["feed", "state"], registry=registry)
    for feed in report["feeds"]:
        for name, gauge in gauges.items():
            gauge.labels(feed["feed"]).set(feed[name] or 0)
        if feed["as_of"] is not None:
            newest.labels(feed["feed"]).set(feed["as_of"].timestamp())
            age.labels(feed["feed"]).set((report["now"] - feed["as_of"]).total_seconds())
        for kind, n in feed["errors_by_type"].items():
            failed.labels(feed["feed"], kind).set(n)
        for name in _STATES:
            state.labels(feed["feed"], name).set(feed["state"] == name)
    return generate_latest(registry) + generate_latest(_registry)
