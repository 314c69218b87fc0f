"""Warnings after the Common Alerting Protocol (CAP 1.1, 1.2), one by one or behind an Atom or RSS index.

Source: https://docs.oasis-open.org/emergency/cap/v1.2/ ; asked every `cadence_s` seconds.
"""

from __future__ import annotations

from connectors.cap.connector import Cap

CONNECTOR = Cap()
