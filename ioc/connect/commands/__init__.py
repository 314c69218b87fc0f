"""`ioc connector`: one module a command; each hangs itself on `app`."""

from __future__ import annotations

from ioc.connect.commands import check, grade, list, new, preview, rewind, test
from ioc.connect.commands._app import app

__all__ = ["app", "check", "grade", "list", "new", "preview", "rewind", "test"]
