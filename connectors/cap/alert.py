"""One CAP message -> the case of a warning, and the end of those it replaces or withdraws.

Identity of a message is the triple sender, identifier, sent; `references` names earlier ones so. Senders are often mail
addresses, so the subject is the identifier with a digest of the triple. Headlines and descriptions are prose that may
name people (a missing child): only the kind of event is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from connectors.cap import outline
from ioc.connect import Context, FieldClass, Record, Skip, children, digest, fields, local, scrub, shown
from ioc.doubts import doubt, together
from ioc.events import Case, Event

FIELDS: dict[str, FieldClass] = {
    "identifier": "internal",
    "sender": "internal",
    "sent": "public",
    "status": "public",
    "msgType": "public",
    "references": "internal",
    "info.language": "public",
    "info.category": "public",
    "info.event": "public",
    "info.urgency": "public",
    "info.severity": "public",
    "info.certainty": "public",
    "info.effective": "public",
    "info.onset": "public",
    "info.expires": "public",
    "info.senderName": "public",
    "info.area.polygon": "public",
    "info.area.circle": "public",
    # of an index
    "id": "internal",
    "link": "internal",
    "updated": "public",
    # never read: prose may name people
    "info.headline": "personal",
    "info.description": "personal",
    "info.contact": "personal",
}
SEVERITIES = ("extreme", "severe", "moderate", "minor", "unknown")
_UNREAL = ("exercise", "system", "test", "draft")
_WHITE = re.compile(r"\s+")


def value_of(element: Any) -> dict[str, Any]:
    """Return an alert element as nested dicts."""
    return children(element)


def is_alert(element: Any) -> bool:
    """Is this the root of a CAP message?"""
    return local(element) == "alert" and any(local(child) == "identifier" for child in element)


def subject_of(sender: str, identifier: str, sent: str) -> str:
    """Return the subject of the message with this triple."""
    plain = re.sub(r"[^\w.:-]+", "-", scrub(identifier))[:120]
    return f"{plain}-{digest([sender.strip(), identifier.strip(), _same_instant(sent)])[:8]}"


def _same_instant(sent: str) -> str:
    try:
        at = datetime.fromisoformat(sent.strip())
    except ValueError:
        return sent.strip()
    return str(int(at.timestamp())) if at.tzinfo else sent.strip()


def infos(value: Mapping[str, Any], lang: str) -> list[dict[str, Any]]:
    """Return the info blocks of the language that is wanted, or of English, or of the first."""
    found = value.get("info")
    blocks = [block for block in (found if isinstance(found, list) else [found]) if isinstance(block, dict)]
    for wanted in (lang, "en"):
        mine = [block for block in blocks if str(block.get("language") or "en").lower().startswith(wanted)]
        if mine:
            return mine
    first = str(blocks[0].get("language")) if blocks else ""
    return [block for block in blocks if str(block.get("language")) == first]


def expires_of(value: Mapping[str, Any], lang: str) -> datetime | None:
    """Return when the last of the message's blocks expires; None when one of them never does."""
    ends = [fields.moment(block.get("expires"), "info.expires") for block in infos(value, lang)]
    return max(end for end in ends if end) if ends and all(ends) else None


def to_events(record: Record, context: Context[Any]) -> list[Event]:
    """Return what a message says: its own warning, and what becomes of those it refers to."""
    value = record.value
    if not isinstance(value, dict):
        raise Skip("wrong_type", f"an alert is an XML element, not {shown(value)}", repair="send CAP messages")
    sender, identifier = fields.identifier(value, "sender"), fields.identifier(value, "identifier")
    sent = fields.moment(value.get("sent"), "sent")
    if sent is None:
        raise Skip("missing_time", "sent is missing", field="sent", repair="send when it was issued, with its offset")
    kind, status = (str(value.get(name) or "").strip().lower() for name in ("msgType", "status"))
    if kind not in ("alert", "update", "cancel", "ack", "error"):
        raise Skip("unknown_code", f"msgType is {shown(value.get('msgType'))}", field="msgType", repair="send Alert, Update, Cancel, Ack or Error")
    if status not in ("actual", *_UNREAL):
        raise Skip("unknown_status", f"status is {shown(value.get('status'))}", field="status", repair="send Actual, Exercise, System, Test or Draft")
    if kind in ("ack", "error"):
        raise Skip("out_of_scope", f"this is an answer between systems ({kind}), no warning", field="msgType", repair="nothing to do")
    ended = _ended(value, sent, "cancelled" if kind == "cancel" else "superseded", context) if status == "actual" else []
    if kind == "cancel":
        if not ended and status == "actual":
            raise Skip("missing_reference", "a Cancel that says not of what", field="references", repair="name sender,identifier,sent of what is withdrawn")
        return ended or [_unreal(value, subject_of(sender, identifier, str(value.get("sent"))), sent, status, context)]
    subject = subject_of(sender, identifier, str(value.get("sent")))
    return [_unreal(value, subject, sent, status, context) if status != "actual" else _warning(value, subject, sent, context), *ended]


def _warning(value: Mapping[str, Any], subject: str, sent: datetime, context: Context[Any]) -> Event:
    blocks = infos(value, context.options.language)
    if not blocks:
        raise Skip("missing_value", "info is missing: nobody can tell what the warning is about", field="info", repair="send at least one info block")
    main = min(blocks, key=lambda block: SEVERITIES.index(_severity(block)))
    expires = expires_of(value, context.options.language)
    opened = fields.moment(main.get("onset"), "info.onset") or fields.moment(main.get("effective"), "info.effective") or sent
    over = expires is not None and expires <= context.now
    drawn, unread = _drawn(blocks)
    lat, lon = _middle(drawn)
    place = context.place(lat, lon)
    doubts = doubt("ended_early") if expires and expires < opened else place.doubt if lat is not None else None
    return context.event(subject, sent, Case(
        status="closed" if over else "open", native_status=str(value.get("msgType")).strip(), outcome="expired" if over else None,
        category=_kind_of(main), title=_name(main), level=_severity(main), agency=fields.text(main, "senderName"), area=place.area, lat=place.lat, lon=place.lon,
        doubt=together([doubts, doubt("no_outline", what=unread) if unread else None]),
        opened_at=min(opened, expires) if expires else opened, due_at=expires, closed_at=expires if over else None,
        dims=_dims(main), shape=_shape(drawn),
    ))  # fmt: skip


def _unreal(value: Mapping[str, Any], subject: str, sent: datetime, status: str, context: Context[Any]) -> Event:
    """An exercise or a test: kept, never counted, never shown as a warning."""
    blocks = infos(value, context.options.language)
    return context.event(subject, sent, Case(status="closed", native_status=status, outcome=status, category=_kind_of(blocks[0]) if blocks else None, opened_at=None, closed_at=sent))


def ended(subject: str, at: datetime, outcome: str, context: Context[Any]) -> Event:
    """Return the end of a warning that was told before."""
    return context.event(subject, at, Case(status="closed", closed_at=at, outcome=outcome))


def _ended(value: Mapping[str, Any], sent: datetime, outcome: str, context: Context[Any]) -> list[Event]:
    found = []
    for reference in _WHITE.split(str(value.get("references") or "").strip()):
        parts = reference.split(",")
        if len(parts) >= 3:
            # An identifier may hold commas: the first part is the sender, the last the time.
            found.append(ended(subject_of(parts[0], ",".join(parts[1:-1]), parts[-1]), sent, outcome, context))
    # Some senders refer to the message itself: it does not end by being sent.
    own = subject_of(str(value.get("sender")), str(value.get("identifier")), str(value.get("sent")))
    return [event for event in found if event.subject != own]


def _severity(block: Mapping[str, Any]) -> str:
    text = str(block.get("severity") or "").strip().lower()
    return text if text in SEVERITIES else "unknown"


def _name(block: Mapping[str, Any]) -> str | None:
    text = fields.text(block, "event")
    return text[:120] if text else None


def _kind_of(block: Mapping[str, Any]) -> str | None:
    """Return the CAP category (Met, Geo, Fire, ...); of several the first."""
    found = block.get("category")
    text = found[0] if isinstance(found, list) and found else found
    return str(text).strip().lower() if text else None


def _dims(block: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(block.get(name)).strip().lower() for name in ("urgency", "certainty") if block.get(name)}


class Drawn(NamedTuple):
    """A polygon or circle as it is written, and its places (lat, lon): CAP writes the latitude first."""

    name: str
    text: str
    points: list[tuple[float, float]]


def _drawn(blocks: list[dict[str, Any]]) -> tuple[list[Drawn], str]:
    """Return all polygons and circles, each once, and the names of those that cannot be read.

    A warning whose area is written wrongly is a warning all the same: it is told without that area, and marked.
    """
    found: list[Drawn] = []
    unread: list[str] = []
    for name, text in _outlines(blocks):
        try:
            found.append(Drawn(name, text, _points(text, name)))
        except ValueError:
            unread.append(name)
    return found, ", ".join(dict.fromkeys(unread))


def _middle(drawn: list[Drawn]) -> tuple[float | None, float | None]:
    """Return the middle (lat, lon) of all polygons and circles."""
    points = [point for one in drawn for point in one.points]
    if not points:
        return None, None
    lats, lons = [lat for lat, _ in points], [lon for _, lon in points]
    if _crosses(points):
        lons = [lon + 360 if lon < 0 else lon for lon in lons]
    lon = (min(lons) + max(lons)) / 2
    return (min(lats) + max(lats)) / 2, lon - 360 if lon > 180 else lon


def _crosses(points: list[tuple[float, float]]) -> bool:
    """Do these places lie on both sides of the 180th meridian?"""
    lons = [lon for _, lon in points]
    return max(lons) - min(lons) > 180


def _shape(drawn: list[Drawn]) -> dict[str, Any] | None:
    """Return the area of all polygons and circles; a circle without a usable radius is only a place, and so is a polygon across the 180th meridian."""
    parts = [_circle(one) if one.name == "circle" else None if _crosses(one.points) else outline.polygon(one.points) for one in drawn]
    return outline.together(part for part in parts if part is not None)


def _circle(one: Drawn) -> Any | None:
    (lat, lon), *_ = one.points
    try:
        return outline.circle(lat, lon, float(_WHITE.split(one.text.strip())[1]))
    except (ValueError, IndexError):
        return None


def _outlines(blocks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return ("polygon" or "circle", its text) of all areas, each once: the blocks of a message often repeat them."""
    found: list[tuple[str, str]] = []
    for block in blocks:
        areas = block.get("area")
        for area in areas if isinstance(areas, list) else [areas]:
            if isinstance(area, dict):
                found += [(name, text) for name in ("polygon", "circle") for text in _texts(area.get(name))]
    return list(dict.fromkeys(found))


def _texts(found: Any) -> list[str]:
    return [text for text in (found if isinstance(found, list) else [found]) if isinstance(text, str)]


def _wrapped(lon: float) -> float:
    """Return a longitude counted on beyond the 180th meridian (-180.4, 190) as it is written on this side of it."""
    return lon - 360 if 180 < lon <= 360 else lon + 360 if -360 <= lon < -180 else lon


def _points(text: str, name: str) -> list[tuple[float, float]]:
    """Return the places of a polygon, the middle of a circle; raise ValueError where they are none, or not on Earth."""
    pairs = _WHITE.split(text.strip())[: 1 if name == "circle" else None]
    points = [(float(lat), _wrapped(float(lon))) for lat, lon in (pair.split(",")[:2] for pair in pairs)]
    if any(not (-90 <= lat <= 90 and -180 <= lon <= 180) for lat, lon in points):
        raise ValueError("not on Earth")
    return points
