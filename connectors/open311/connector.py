"""Open311: one connector, two ways to read: the API (with what the standard cannot ask for), or a CSV export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from connectors.open311 import reading, requests, table
from ioc.connect import Connector, Context, Document, FieldClass, Options, Page, Record
from ioc.events import Event


class Open311Options(Options):
    format: Literal["json", "xml", "csv"] = Field("json", description="What the source answers; csv reads a 311 export at `url`.")
    jurisdiction_id: str = Field("", description="Sent with each request where a server hosts several cities.")
    page_size: int = Field(500, ge=1, le=1000, description="Requests a page; the standard allows 1000.")
    overlap_s: int = Field(300, ge=0, le=86_400, description="How far back the newest window is read again: reports may be published late.")
    sweep_every_s: int = Field(3600, ge=60, description="How often the whole late window (at most 90 days) is read again.")
    ids_per_request: int = Field(100, ge=1, le=500, description="Reports asked again in one request, by service_request_id.")
    recheck: int = Field(2000, ge=1, le=50_000, description="Reports asked again in one poll; more take turns.")
    watch: int = Field(10_000, ge=100, le=100_000, description="Reports remembered in the cursor: open ones first, then lately closed ones, then the rest.")
    watch_closed_days: int = Field(7, ge=0, le=90, description="How long a closed report is asked again: it may be rated or reopened.")


FIELDS: dict[str, FieldClass] = {
    "service_request_id": "public",
    "status": "public",
    "service_name": "public",
    "service_code": "public",
    "agency_responsible": "internal",
    "requested_datetime": "public",
    "updated_datetime": "public",
    "expected_datetime": "public",
    "lat": "internal",
    "long": "internal",
    "address_id": "internal",
    "extended_attributes.commune_code": "public",
    "extended_attributes.detailed_status": "internal",
    "extended_attributes.rating": "public",
    # the CSV export
    "Unique Key": "public",
    "Created Date": "public",
    "Closed Date": "public",
    "Due Date": "public",
    "Resolution Action Updated Date": "public",
    "Agency": "internal",
    "Complaint Type": "public",
    "Status": "public",
    "Latitude": "internal",
    "Longitude": "internal",
}


class Open311(Connector[Open311Options]):
    name = "open311"
    version = "1"
    options = Open311Options
    fields = FIELDS
    exempt = {"deletions": "GeoReport v2 has no deletion: a withdrawn request is no longer listed"}  # noqa: RUF012
    columns = tuple(table.COLUMNS)

    def poll(self, context: Context[Any]) -> Iterator[Page]:
        return table.poll(self, context) if context.options.format == "csv" else reading.poll(self, context)

    def split(self, document: Document, context: Context[Any]) -> list[Record]:
        return table.split(document) if document.kind == "csv" else requests.split(document)

    def map(self, record: Record, context: Context[Any]) -> list[Event]:
        return table.to_events(record, context) if record.kind == "csv" else requests.to_events(record, context)
