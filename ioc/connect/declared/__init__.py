"""Connectors without Python: `connectors/NAME/connector.yaml` says what is read and what it becomes."""

from __future__ import annotations

from ioc.connect.declared.connector import Declared, load

__all__ = ["Declared", "load"]
