"""A status message -> a partial event of the document it speaks of. It may come late, twice, or before the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.edxml.envelope import document_of, missing_document, moment, part
from ioc.connect import Context, Skip, fields, shown
from ioc.events import Case, CaseStatus, Event

# StatusCode -> (status, outcome)
CODES: dict[str, tuple[CaseStatus, str | None]] = {
    "01": ("open", None),  # đã đến
    "02": ("closed", "refused"),  # từ chối tiếp nhận
    "03": ("open", None),  # đã tiếp nhận
    "04": ("open", None),  # phân công
    "05": ("open", None),  # đang xử lý
    "06": ("closed", "processed"),  # hoàn thành
    "13": ("closed", "recalled"),  # lấy lại
    "15": ("closed", "recalled"),  # đồng ý thu hồi
    "16": ("open", None),  # từ chối thu hồi
}


def to_event(value: Mapping[str, Any], context: Context[Any]) -> Event:
    """Return what the message says and nothing more: status, code, outcome, end."""
    body = part(value, "Status")
    code = (fields.text(body, "StatusCode") or "").zfill(2)
    if code not in CODES:
        raise Skip("unknown_status", f"StatusCode is {shown(body.get('StatusCode'))}; known are {', '.join(CODES)}", field="Status.StatusCode")
    document = document_of(part(body, "ResponseFor"))
    if document is None:
        raise missing_document()
    at = moment(body, "Timestamp", context)
    if at is None:
        raise Skip("missing_time", "Status.Timestamp is missing", field="Status.Timestamp", repair="send when it was so, yyyy/MM/dd HH:mm:ss")
    status, outcome = CODES[code]
    return context.event(document, at, Case(status=status, native_status=code, outcome=outcome, closed_at=at if status == "closed" else None))
