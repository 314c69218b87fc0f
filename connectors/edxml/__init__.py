"""E-documents between agencies: edXML 2 after QCVN 102:2016/BTTTT, with its status messages.

Source: the province's document exchange (trục liên thông văn bản); no licensed sample exists in public, so the test
cases are synthetic, written from the field list of the regulation. Asked every `cadence_s` seconds.
"""

from __future__ import annotations

from connectors.edxml.connector import EdXml

CONNECTOR = EdXml()
