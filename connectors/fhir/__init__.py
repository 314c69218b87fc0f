"""Health: encounters, immunisations and facilities from any HL7 FHIR R4 server, without any person.

Source: https://hl7.org/fhir/R4/ ; what may be read is the hospital's or the ministry's to grant. Asked every
`cadence_s` seconds.
"""

from __future__ import annotations

from connectors.fhir.connector import Fhir

CONNECTOR = Fhir()
