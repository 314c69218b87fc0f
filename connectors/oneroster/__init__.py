"""Education: schools, classes, enrolments (OneRoster 1.1/1.2, REST or CSV) and daily attendance, without any person.

Source: https://www.imsglobal.org/spec/oneroster/v1p2 ; the attendance table is ours (README). Asked every `cadence_s`
seconds.
"""

from __future__ import annotations

from connectors.oneroster.connector import OneRoster

CONNECTOR = OneRoster()
