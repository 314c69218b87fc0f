"""Incident reports from any Open311 GeoReport v2 server (JSON or XML), or from a 311 CSV export.

Source: https://wiki.open311.org/GeoReport_v2/ ; the licence is each city's own. Asked every `cadence_s` seconds.
"""

from __future__ import annotations

from connectors.open311.connector import Open311

CONNECTOR = Open311()
