"""GTFS-RT: vehicle positions of public transport, protobuf or its JSON form; a number plate never leaves."""

from __future__ import annotations

from connectors.gtfs_rt.connector import GtfsRealtime

CONNECTOR = GtfsRealtime()
