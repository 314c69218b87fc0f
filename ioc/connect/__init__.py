"""The connector kit: what an author of a source imports. See docs/connectors.md."""

from __future__ import annotations

from ioc import units
from ioc.connect import fields
from ioc.connect.connector import (
    Connector,
    Context,
    Options,
    Page,
    Place,
    Record,
    Seen,
    Walk,
    digest,
    digest_bytes,
    each_part,
    rows,
    source_error,
    unknown_layout,
    unreadable_record,
)
from ioc.connect.decode import Defect, Document, Row, children, decode, local
from ioc.connect.errors import Fatal, Missing, Retriable, Skip, Unreachable, Unreadable
from ioc.connect.http import Answer, Http, Known
from ioc.connect.sense import Sense
from ioc.privacy import FieldClass, mask_page, scrub, shown

__all__ = [
    "Answer",
    "Connector",
    "Context",
    "Defect",
    "Document",
    "Fatal",
    "FieldClass",
    "Http",
    "Known",
    "Missing",
    "Options",
    "Page",
    "Place",
    "Record",
    "Retriable",
    "Row",
    "Seen",
    "Sense",
    "Skip",
    "Unreachable",
    "Unreadable",
    "Walk",
    "children",
    "decode",
    "digest",
    "digest_bytes",
    "each_part",
    "fields",
    "local",
    "mask_page",
    "rows",
    "scrub",
    "shown",
    "source_error",
    "units",
    "unknown_layout",
    "unreadable_record",
]
