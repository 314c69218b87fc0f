"""A form as a browser posts it."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request

from ioc.errors import UserError

MAX_BYTES = 20_000
POSTED = "ioc.form"  # what was posted, in the request's scope: the page that says "not now" gives it back


async def posted(request: Request) -> dict[str, str]:
    """Return the fields of a posted form, {} for any other request; raise `UserError` when it is too large."""
    body = bytearray()
    if request.method == "POST":
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                raise UserError("the form is too large")
    request.scope[POSTED] = form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return form
