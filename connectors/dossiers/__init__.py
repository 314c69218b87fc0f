"""Dossiers of public services (dịch vụ công, một cửa điện tử), as the national portal names their fields.

Source: a province's portal or its LGSP; no openly licensed answer of one is known, so the fields follow the national
portal's synchronisation services and the test cases are synthetic. Asked every `cadence_s` seconds.
"""

from __future__ import annotations

from connectors.dossiers.connector import Dossiers

CONNECTOR = Dossiers()
