"""GBFS: stations and free vehicles of bike and scooter sharing, 2.x and 3.0."""

from __future__ import annotations

from connectors.gbfs.connector import Gbfs

CONNECTOR = Gbfs()
