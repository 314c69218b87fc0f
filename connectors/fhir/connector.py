"""Reading a FHIR server: Location, Encounter, Immunization, MeasureReport by _lastUpdated, following opaque next links.

The cursor: {resource: {"since": newest lastUpdated, "from": where the next search starts, "seen": marks},
"areas": {facility: commune}}. A search never shows deletions; `entered-in-error` counts as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

from pydantic import Field

from connectors.fhir import bundle, measures, resources
from ioc.connect import Connector, Context, Document, Options, Page, Record, Seen, Skip, Walk, each_part, fields
from ioc.events import MAX_AHEAD, Event

Resource: TypeAlias = Literal["Location", "Encounter", "Immunization", "MeasureReport"]
RESOURCES: tuple[Resource, ...] = get_args(Resource)


class FhirOptions(Options):
    resources: list[Resource] = Field(["Location", "Encounter", "Immunization"], description="Which resources are asked for; Location first, it says where a facility is. MeasureReport: weekly cases of notifiable diseases.")
    page_size: int = Field(200, ge=1, le=5000, description="_count: resources a page.")
    overlap_s: int = Field(60, ge=0, le=86_400, description="How far back of the newest _lastUpdated the next search starts.")
    commune_system: str = Field("urn:vn:gso:commune", description="Identifier system or extension url that carries a Location's commune code; of a stratum's code, too.")
    diseases: dict[str, str] = Field(dict(measures.DISEASES), description="Codes of MeasureReports (ICD-10 by code or category, or the server's own) and the disease in the metric: cases.DISEASE.")


class Fhir(Connector[FhirOptions]):
    name = "fhir"
    version = "1"
    options = FhirOptions
    fields = resources.FIELDS

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        reading = _Reading(self, context)
        names = list(context.options.resources)
        if names[:1] == ["Location"] and not context.cursor.get("Location", {}).get("whole"):
            # Until all facilities were read once, nobody can say where an encounter was: no Location, no rest.
            yield from reading.resource(names.pop(0))
        yield from each_part([partial(reading.resource, name) for name in names])

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        return bundle.split(document, context)

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        return [measures.to_event(record.value, record, context)] if record.kind == "MeasureReport" else resources.to_events(record, context)


class _Reading:
    """One poll: the searches and the cursor they share."""

    def __init__(self, connector: Fhir, context: Context[Any]) -> None:
        self._connector, self._context = connector, context
        self._cursor: dict[str, Any] = {name: context.cursor[name] for name in RESOURCES if name in context.cursor}
        self._cursor["areas"] = bundle.facility_areas(context)  # grows while pages are read

    def resource(self, name: str) -> Iterator[Page]:
        """Yield what changed of one resource since its own cursor."""
        context = self._context
        saved = self._cursor.get(name, {})
        newest = _time(saved.get("since"))
        start = _time(saved.get("from")) or (None if name == "Location" else context.oldest)
        seen = Seen(saved.get("seen"), start)
        params = {"_sort": "_lastUpdated", "_count": context.options.page_size}
        if start is not None:
            params["_lastUpdated"] = f"gt{start.astimezone(UTC).isoformat(timespec='seconds').replace('+00:00', 'Z')}"
        answer = context.http.get(name, params, accept="application/fhir+json")
        walk, sorted_ = Walk(), True
        while True:
            document = self._connector.document(answer)
            bundle.refuse_outcome(document)
            records = self._connector.read(document, context)
            walk.step(answer.url, [record.value for record in records])
            times = [at for at in map(self._updated, records) if at is not None]
            sorted_ = sorted_ and times == sorted(times) and (not times or newest is None or times[-1] >= newest)
            newest = max([*times, *([newest] if newest else [])], default=None)
            link = bundle.next_link(document)
            fresh = [record for record in records if seen.new(record.value, self._updated(record))]
            if link is None or (newest is not None and sorted_):
                # Only a server that keeps the order may be left in the middle of a walk.
                self._cursor[name] = self._saved(newest, seen) | ({"whole": True} if link is None or saved.get("whole") else {})
            yield Page(fresh, dict(self._cursor))
            if link is None:
                return
            answer = context.http.get(context.http.absolute(link, answer.url), accept="application/fhir+json")

    def _saved(self, newest: datetime | None, seen: Seen) -> dict[str, Any]:
        if newest is None:  # no resource says when it changed: the list is read whole each time, and remembered
            return {"seen": seen.save(datetime.fromtimestamp(0, UTC))}
        since = newest - timedelta(seconds=self._context.options.overlap_s)
        marks = seen.save(since)
        kept = [int(key) for key in marks if key != "0"]
        start = max(since, datetime.fromtimestamp(min(kept), UTC)) if seen.full and kept else since
        # One second less: "gt" leaves out what happened in that very second.
        return {"since": newest.isoformat(), "from": (start - timedelta(seconds=1)).isoformat(), "seen": marks}

    def _updated(self, record: Record) -> datetime | None:
        meta = record.value.get("meta") if isinstance(record.value, dict) else None
        try:
            at = fields.moment(meta.get("lastUpdated"), "meta.lastUpdated") if isinstance(meta, dict) else None
        except Skip:
            return None  # said when the record is mapped
        return at if at is not None and at <= self._context.now + MAX_AHEAD else None


def _time(saved: Any) -> datetime | None:
    return datetime.fromisoformat(saved) if isinstance(saved, str) else None


