"""Ed-Fi: attendance events and schools of the XML interchange; pupils are counted, never read."""

from __future__ import annotations

from connectors.edfi.connector import EdFi

CONNECTOR = EdFi()
