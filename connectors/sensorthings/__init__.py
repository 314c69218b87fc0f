"""Environmental stations after OGC SensorThings 1.1: air, water level, rain; with VN_AQI by the hour and by the day.

Source: https://docs.ogc.org/is/18-088/18-088.html ; asked every `cadence_s` seconds.
"""

from __future__ import annotations

from connectors.sensorthings.connector import SensorThings

CONNECTOR = SensorThings()
