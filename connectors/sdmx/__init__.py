"""SDMX: statistics of offices that speak SDMX-JSON (1.0, 2.0), SDMX-CSV (1.0, 2.x) or SDMX-ML data 2.1."""

from __future__ import annotations

from connectors.sdmx.connector import Sdmx

CONNECTOR = Sdmx()
