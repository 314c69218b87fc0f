"""ONVIF: what a camera says in its own protocol (SOAP): events, clock, model; no picture, ever."""

from __future__ import annotations

from connectors.onvif.connector import Onvif

CONNECTOR = Onvif()
