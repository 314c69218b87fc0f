"""What real sources do that no standard says, one record each: it becomes a fact, or a dead letter whose cause a person understands.

Recorded payloads prove the same for whole files (test_samples.py); here are the oddities that no recorded file holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from unit.connect_rig import context_of

from ioc.connect import registry
from ioc.connect.preview import Preview, preview
from ioc.doubts import in_words

REQUEST = {"service_request_id": "1", "status": "open", "service_code": "A", "requested_datetime": "2026-11-20T00:01:00+07:00"}
PM25 = {
    "@iot.id": 1, "phenomenonTime": "2026-11-20T01:00:00Z/2026-11-20T02:00:00Z", "resultTime": None, "result": "12.5",
    "Datastream": {"@iot.id": 7, "name": "PM2.5", "unitOfMeasurement": {"definition": "ucum:ug/m3"}, "ObservedProperty": {"name": "PM2.5"}, "Thing": {"@iot.id": 3, "name": "T"}},
}  # fmt: skip
DOSSIER = {"MaHoSo": "H1", "TrangThaiHoSo": "2", "MaXa": "05443", "NgayTiepNhan": "20261120080000", "ThoiDiemCapNhat": "20261120080000"}
ENCOUNTER = {"resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "AMB"}, "meta": {"lastUpdated": "2026-11-20T08:00:00+07:00"}}
QUAKE = {"id": "u1", "properties": {"mag": -0.2, "time": 1763600000000, "updated": 1763600100000, "status": "automatic"}, "geometry": {"type": "Point", "coordinates": [105.8, 21.6, 10]}}
GTFS = {"gtfsRealtimeVersion": "2.0", "incrementality": "FULL_DATASET", "timestamp": "1763600000"}
EDXML = (
    '<x:edXML xmlns:x="http://www.mic.gov.vn/TBT/QCVN_102_2016"><x:edXMLEnvelope><x:edXMLHeader><x:MessageHeader><x:From><x:OrganId>012.00.00.H55</x:OrganId></x:From><x:To><x:OrganId>000.00.00.G91</x:OrganId></x:To>'
    "<x:Code><x:CodeNumber>15</x:CodeNumber><x:CodeNotation>SYT-VP</x:CodeNotation></x:Code><x:PromulgationInfo><x:PromulgationDate>2014/02/30</x:PromulgationDate></x:PromulgationInfo>"
    "<x:DocumentId>012.00.00.H55,2014/02/30,15/SYT-VP</x:DocumentId></x:MessageHeader><x:TraceHeaderList><x:TraceHeader><x:OrganId>012.00.00.H55</x:OrganId><x:Timestamp>2026/11/20 08:16:00</x:Timestamp></x:TraceHeader>"
    "</x:TraceHeaderList></x:edXMLHeader></x:edXMLEnvelope></x:edXML>"
)


def _status(said: str) -> str:
    return (
        '<x:edXML xmlns:x="http://www.mic.gov.vn/TBT/QCVN_102_2016"><x:edXMLEnvelope><x:edXMLHeader><x:MessageHeader><x:From><x:OrganId>012.00.00.H55</x:OrganId></x:From>'
        f"<x:ResponseFor><x:DocumentId>000.00.00.H55,2026/11/20,7/UBND-VP</x:DocumentId></x:ResponseFor>{said}</x:MessageHeader></x:edXMLHeader></x:edXMLEnvelope></x:edXML>"
    )


def _cap(status: str = "Actual", sent: str = "2026-11-20T08:00:00-00:00", area: str = "<polygon>21.5,105.7 21.7,105.7 21.7,105.9 21.5,105.7</polygon>") -> str:
    return (
        f'<alert xmlns="urn:oasis:names:tc:emergency:cap:1.1"><identifier>a1</identifier><sender>s@x.vn</sender><sent>{sent}</sent><status>{status}</status><msgType>Alert</msgType><scope>Public</scope>'
        f"<info><category>Met</category><event>Bão</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Likely</certainty><area><areaDesc>x</areaDesc>{area}</area></info></alert>"
    )


def _bundle(**encounter: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": ENCOUNTER | encounter}]}


def _first(found: Preview) -> Any:
    return found.events[0].data


def _quake(**properties: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [QUAKE | {"properties": QUAKE["properties"] | properties}]}  # type: ignore[operator]


def _keys(found: Preview) -> list[str]:
    return [event.subject for event in found.events]


def _structure_specific(data_set: str, moves: str = "TIME_PERIOD") -> str:
    return (
        f'<StructureSpecificData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Header><Structure structureID="S" dimensionAtObservation="{moves}"><Structure><Ref id="F"/></Structure></Structure></Header>'
        f"{data_set}</StructureSpecificData>"
    )


SDMX_JSON = {
    "data": {
        "structures": [{
            "dimensions": {"dataSet": [{"id": "FREQ", "keyPosition": 0, "values": [{"id": "A"}]}], "series": [{"id": "GEO", "keyPosition": 1, "values": [{"id": "VN"}, {"id": "LA"}]}], "observation": [{"id": "TIME_PERIOD", "keyPosition": 2, "values": [{"id": "2025"}]}]},
            "measures": {"observation": [{"id": "WEIGHT"}, {"id": "OBS_VALUE"}]},
            "attributes": {"dimensionGroup": [{"id": "UNIT_MULT", "values": [{"id": "6"}]}], "observation": [{"id": "OBS_STATUS", "values": [{"id": "A"}]}]},
        }],
        "dataSets": [{"dimensionGroupAttributes": {":0:": [0]}, "series": {"0": {"observations": {"0": [1, 3, 0]}}, "1": {"observations": {"0": [1, 4, 0], "7": [1, 5, 0]}}}}],
    }
}  # fmt: skip

Holds = Callable[[Preview], bool]
# what happens, connector, payload, causes of its dead letters, what its events say
QUIRKS: list[tuple[str, str, Any, list[str], Holds]] = [
    ("Open311: latitude and longitude swapped, as texts", "open311", [REQUEST | {"lat": "105.84", "long": "21.59"}], [], lambda p: "swapped" in in_words(_first(p).doubt).en and _first(p).lat == 21.59),
    ("Open311: an update time that is the word null, and one that is true", "open311", [REQUEST | {"updated_datetime": "null"}, REQUEST | {"service_request_id": "2", "updated_datetime": "true"}], ["bad_time"], lambda p: len(p.events) == 1),
    ("Open311: a list of media where an address belongs, notes that are null", "open311", [REQUEST | {"media_url": [{"url": "x"}], "status_notes": None}], [], lambda p: _first(p).status == "open"),
    ("Open311: the file ends inside a request", "open311", "<service_requests><request><service_request_id>1</service_request_id>", ["bad_xml"], lambda p: not p.events),
    ("Open311: an error as the standard writes it", "open311", "<errors><error><code>404</code><description>jurisdiction_id not found</description></error></errors>", ["source_error"], lambda p: "'404'" in p.letters[0].message),
    ("Open311: an error as a bare text in an element", "open311", "<error>jurisdiction_id was not provided</error>", ["source_error"], lambda p: "jurisdiction" not in p.letters[0].message),
    ("Open311: an error as a bare HTTP line", "open311", "HTTP/1.1 400 Bad Request", ["unknown_format"], lambda p: not p.events),
    ("FHIR: a bundle without type, a stay that ends before it begins", "fhir", _bundle(period={"start": "2026-11-20T07:00:00+07:00", "end": "2026-11-20T06:00:00+07:00"}), [], lambda p: "ended before it began" in in_words(_first(p).doubt).en),
    ("FHIR: a document whose resources have no ids, only addresses", "fhir", {"resourceType": "Bundle", "type": "document", "entry": [{"fullUrl": f"urn:uuid:0a4de04a-0000-4000-8000-00000000000{n}", "resource": {"resourceType": "Location", "name": "x", "meta": ENCOUNTER["meta"]}} for n in (1, 2)]}, [], lambda p: _keys(p) == ["0a4de04a-0000-4000-8000-000000000001", "0a4de04a-0000-4000-8000-000000000002"]),
    ("FHIR: entered in error is a withdrawal", "fhir", _bundle(status="entered-in-error"), [], lambda p: _first(p).deleted is True),
    ("FHIR: a start that is only a year", "fhir", _bundle(period={"start": "2015"}), [], lambda p: "does not say the month" in in_words(_first(p).doubt).en),
    ("FHIR: a deletion of the history", "fhir", {"resourceType": "Bundle", "type": "history", "entry": [{"request": {"method": "DELETE", "url": "Encounter/e1"}, "response": {"lastModified": "2026-11-20T08:00:00Z"}}]}, [], lambda p: _first(p).deleted is True),
    ("CAP: UTC written -00:00, version 1.1, latitude first", "cap", _cap(), [], lambda p: _first(p).status == "open" and _first(p).area == "05455"),
    ("CAP: a Z that the standard forbids", "cap", _cap(sent="2026-11-20T08:00:00Z"), [], lambda p: _first(p).status == "open"),
    ("CAP: a circle", "cap", _cap(area="<circle>21.59,105.84 12</circle>"), [], lambda p: _first(p).area == "05443"),
    ("CAP: an area across the 180th meridian", "cap", _cap(area="<polygon>60,178 60,-178 62,-178 62,178 60,178</polygon>"), [], lambda p: (_first(p).lat, abs(_first(p).lon), _first(p).shape) == (61.0, 180.0, None)),
    ("CAP: an area that counts on beyond the 180th meridian", "cap", _cap(area="<polygon>60,-179 60,-181 62,-181 62,-179 60,-179</polygon>"), [], lambda p: (_first(p).lat, abs(_first(p).lon), _first(p).shape) == (61.0, 180.0, None)),
    ("CAP: a warning of more than a megabyte", "cap", _cap(area="<polygon>21.5,105.7 21.7,105.7 21.7,105.9 21.5,105.7</polygon>" * 20_000), [], lambda p: _first(p).area == "05455"),
    ("CAP: a warning of more than four megabytes", "cap", _cap(area="<polygon>21.5,105.7 21.7,105.7 21.7,105.9 21.5,105.7</polygon>" * 100_000), ["too_large"], lambda p: not p.events),
    ("CAP: a message that refers to itself", "cap", _cap().replace("<scope>", "<references>s@x.vn,a1,2026-11-20T08:00:00-00:00</references><scope>").replace(">Alert<", ">Update<"), [], lambda p: [e.data.status for e in p.events] == ["open"]),  # type: ignore[union-attr]
    ("CAP: places that are not on Earth", "cap", _cap(area="<polygon>105.7,21.5 105.7,21.7 105.9,21.7 105.7,21.5</polygon>"), [], lambda p: (_first(p).status, _first(p).lat, _first(p).shape, _first(p).doubt) == ("open", None, None, "no_outline:what=polygon")),
    ("CAP: one area that can be read, one that cannot", "cap", _cap(area="<circle>21.59,105.84 12</circle><polygon>about here</polygon>"), [], lambda p: _first(p).area == "05443" and _first(p).shape is not None and "no_outline" in _first(p).doubt),
    ("CAP: an exercise is never in force", "cap", _cap("Exercise"), [], lambda p: (_first(p).status, _first(p).opened_at) == ("closed", None)),
    ("CAP: a draft is never in force", "cap", _cap("Draft"), [], lambda p: (_first(p).status, _first(p).opened_at) == ("closed", None)),
    ("CAP: an entry that says there is nothing", "cap", '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>x</id><title>There are no active watches, warnings or advisories</title><link href="https://x/"/></entry></feed>', [], lambda p: p.records == 0),
    ("SensorThings: a number as text, an interval, no resultTime", "sensorthings", {"value": [PM25]}, [], lambda p: (str(_first(p).value), _first(p).period) == ("12.5", "PT1H")),
    ("SensorThings: nothing, less than nothing, true, an object", "sensorthings", {"value": [PM25 | {"@iot.id": n, "result": result} for n, result in enumerate((None, -4.9, True, {"a": 1}))]}, ["out_of_range", "wrong_type", "wrong_type"], lambda p: _first(p).value is None),
    ("SensorThings: a Thing with its streams and their measurements inside", "sensorthings", {"value": [{"@iot.id": 3, "name": "T", "description": "d", "Datastreams": [{"@iot.id": 7, "name": "Air temperature", "unitOfMeasurement": {"symbol": "degC"}, "Observations": [{"phenomenonTime": "2026-11-20T01:00:00Z", "result": 4.6}], "Observations@iot.nextLink": "http://x/"}], "MultiDatastreams": [{"@iot.id": 8}]}]}, ["out_of_scope"], lambda p: _keys(p) == ["thing-3", "datastream-7", "thing-3"] and str(p.events[2].data.value) == "4.6"),  # type: ignore[union-attr]
    ("SensorThings: measurements whose streams come without their Things", "sensorthings", {"value": [PM25 | {"@iot.id": n, "Datastream": {"@iot.id": n, "name": "Battery", "unitOfMeasurement": {"name": "V"}}} for n in (1, 2)]}, [], lambda p: _keys(p) == ["thing-of-1", "thing-of-2"]),
    ("SensorThings: where a Thing once was is no Thing", "sensorthings", {"value": [{"@iot.id": 3, "time": "2026-11-20T01:00:00Z", "Thing@iot.navigationLink": "x", "Locations@iot.navigationLink": "x"}]}, ["out_of_scope"], lambda p: not p.events),
    ("SensorThings: no unit, in words", "sensorthings", {"value": [{"@iot.id": 7, "name": "Index", "unitOfMeasurement": {"name": "Unitless", "definition": "http://qudt.org/schema/qudt/UNITLESS"}}]}, [], lambda p: _first(p).dims == {"unit": "1"}),
    ("CKAN: a refusal with its type", "ckan", {"success": False, "error": {"__type": "NotFound", "message": "Nguyễn Văn An"}}, ["source_error"], lambda p: "'NotFound'" in p.letters[0].message and "Nguyễn" not in p.letters[0].record),
    ("CKAN: a page of a proxy", "ckan", "<html><head><title>502 Bad Gateway</title></head></html>", ["html_page"], lambda p: "502" in p.letters[0].message),
    ("edXML: rubbish before the declaration, a day that is none", "edxml", "1212<?xml version='1.0'?>" + EDXML, [], lambda p: _first(p).status == "open"),
    ("edXML: a status told in the header, without a Status of its own", "edxml", _status("<x:StatusCode>06</x:StatusCode><x:Timestamp>2026/11/20 09:00:00</x:Timestamp>"), [], lambda p: (_keys(p), _first(p).outcome) == (["000.00.00.H55,2026/11/20,7/UBND-VP"], "processed")),
    ("edXML: replacements listed in the business part, links whose prefix nobody declared", "edxml", EDXML.replace("</x:TraceHeader>", "</x:TraceHeader><x:Bussiness><x:BussinessDocType>3</x:BussinessDocType><x:ReplacementInfoList><x:ReplacementInfo><x:DocumentId>a,2026/11/01,1/A</x:DocumentId></x:ReplacementInfo><x:ReplacementInfo><x:DocumentId>b,2026/11/01,2/B</x:DocumentId></x:ReplacementInfo></x:ReplacementInfoList></x:Bussiness>").replace("</x:edXMLEnvelope>", '<x:edXMLBody><x:Reference xlink:href="cid:1"/></x:edXMLBody></x:edXMLEnvelope>'), [], lambda p: _keys(p) == ["a,2026/11/01,1/A", "b,2026/11/01,2/B"]),
    ("edXML: an update that names its document in the business part", "edxml", EDXML.replace("</x:TraceHeader>", "</x:TraceHeader><x:Bussiness><x:DocumentId>a,2026/11/01,1/A</x:DocumentId><x:BussinessDocType>2</x:BussinessDocType></x:Bussiness>"), [], lambda p: _keys(p) == ["a,2026/11/01,1/A"]),
    ("DVC: success as the number 0", "dossiers", {"error_code": 0, "hoSo": [DOSSIER]}, [], lambda p: _first(p).status == "open"),
    ("DVC: keys in capitals", "dossiers", {"ERROR_CODE": "00", "HOSO": [{key.upper(): value for key, value in DOSSIER.items()}]}, [], lambda p: _first(p).area == "05443"),
    ("DVC: an error of the portal", "dossiers", {"error_code": "100", "message": "AUTHEN_ERROR"}, ["source_error"], lambda p: "'100'" in p.letters[0].message),
    ("DVC: states 5 and 6 stop the clock, 99 is none", "dossiers", {"error_code": "00", "hoSo": [DOSSIER | {"MaHoSo": f"H{n}", "TrangThaiHoSo": n} for n in (5, 6, 99)]}, ["unknown_status"], lambda p: [event.data.status for event in p.events] == ["paused", "paused"]),  # type: ignore[union-attr]
    ("DVC: the 30th of February", "dossiers", {"error_code": "00", "hoSo": [DOSSIER | {"ThoiDiemCapNhat": "20260230080000"}]}, ["bad_time"], lambda p: p.letters[0].field == "ThoiDiemCapNhat"),
    ("OneRoster: an enrolment without id, and one to be deleted", "oneroster", {"enrollments": [{"sourcedId": ""}, {"sourcedId": "e3", "status": "tobedeleted", "dateLastModified": "2026-08-20T01:00:00Z", "role": "student", "user": {"sourcedId": "u"}, "class": {"sourcedId": "c"}, "school": {"sourcedId": "s"}}]}, ["missing_id"], lambda p: _first(p).status == "closed"),
    ("OneRoster: a refusal with its code", "oneroster", {"imsx_codeMajor": "failure", "imsx_severity": "error", "imsx_description": "Nguyễn Văn An", "imsx_CodeMinor": {"imsx_codeMinorField": [{"imsx_codeMinorFieldName": "x", "imsx_codeMinorFieldValue": "unauthorisedrequest"}]}}, ["source_error"], lambda p: "unauthorisedrequest" in p.letters[0].message and "Nguyễn" not in p.letters[0].record),
    ("OneRoster: files of a bundle that are not read, marks of persons among them", "oneroster", "sourcedId,status,dateLastModified,lineItemSourcedId,studentSourcedId,score\nr1,active,,l1,An,9\n", ["personal_record"], lambda p: "An" not in p.letters[0].record),
    ("OneRoster: the manifest of a bundle", "oneroster", "propertyName,value\noneroster.version,1.1\n", ["out_of_scope"], lambda p: "manifest" in p.letters[0].message),
    ("OneRoster: a day as the time of change, as in version 1.0", "oneroster", "sourcedId,status,dateLastModified,name,type\ns1,active,2026-11-20,THPT Lương Ngọc Quyến,school\n", [], lambda p: p.events[0].time.isoformat() == "2026-11-19T17:00:00+00:00"),
    ("USGS: a magnitude below nothing, times in milliseconds", "earthquakes", _quake(), [], lambda p: (str(_first(p).value), _first(p).deleted) == ("-0.2", False)),
    ("USGS: a quake that was none", "earthquakes", _quake(status="deleted"), [], lambda p: _first(p).deleted is True),
    ("USGS: no magnitude", "earthquakes", _quake(mag=None), ["out_of_scope"], lambda p: not p.events),
    ("World Bank: no rows at all, written null", "worldbank", [{"page": 0, "pages": 0, "total": 0}, None], [], lambda p: p.records == 0),
    ("World Bank: no rows, and no place for them", "worldbank", [{"page": 1}], ["unknown_layout"], lambda p: not p.events),
    ("World Bank: months and quarters as it writes them", "worldbank", [{"page": 1}, [{"indicator": {"id": "X"}, "country": {"id": "VN"}, "date": date, "value": 3} for date in ("2012M01", "2012Q2")]], [], lambda p: [(e.data.period, e.time.month) for e in p.events] == [("P1M", 12), ("P3M", 3)]),  # type: ignore[union-attr]
    ("World Bank: an error with status 200", "worldbank", [{"message": [{"id": "120", "key": "Invalid value", "value": "not valid"}]}], ["source_error"], lambda p: "'120'" in p.letters[0].message),
    ("GBFS: POSIX seconds of version 2.3", "gbfs", {"last_updated": 1763600000, "ttl": 60, "version": "2.3", "data": {"stations": [{"station_id": "1", "num_bikes_available": 3, "is_installed": 1, "is_renting": 1, "is_returning": 1, "last_reported": 1763600000}]}}, [], lambda p: p.events[0].time.year == 2025),
    ("GBFS: opening hours and seasons of version 2", "gbfs", {"last_updated": 1763600000, "ttl": 60, "version": "2.3", "data": {"rental_hours": []}}, ["out_of_scope"], lambda p: "stations and vehicles" in p.letters[0].message),
    ("GTFS Realtime: a speed that can only be km/h", "gtfs_rt", {"header": GTFS, "entity": [{"id": "1", "vehicle": {"trip": {"tripId": "t"}, "position": {"latitude": 21.59, "longitude": 105.84, "speed": 54.82}, "timestamp": "1763600000", "vehicle": {"id": "bus-1"}}}]}, [], lambda p: any("speed 54.82" in in_words(str(event.data.doubt)).en for event in p.events)),
    ("GTFS Realtime: only what changed", "gtfs_rt", {"header": GTFS | {"incrementality": "DIFFERENTIAL"}, "entity": []}, ["unknown_layout"], lambda p: "DIFFERENTIAL" in p.letters[0].message),
    ("SDMX: weeks, halves, a span of days, and no number", "sdmx", "DATAFLOW,FREQ,TIME_PERIOD,OBS_VALUE\nX:F(1.0),W,2026-W05,3\nX:F(1.0),S,2026-S1,4\nX:F(1.0),D,2026-01-05/P7D,4\nX:F(1.0),Q,2026-Q1,NaN\n", [], lambda p: [(e.data.period, e.data.value is None) for e in p.events] == [("P1W", False), ("P6M", False), ("P7D", False), ("P3M", True)]),  # type: ignore[union-attr]
    ("SDMX-CSV: a unit that is a dimension, and notes that are text", "sdmx", 'DATAFLOW,FREQ,UNIT_MEASURE,TIME_PERIOD,OBS_VALUE,METHOD\nX:F(1.0),A,PC,2025,3,"Mean, yearly"\nX:F(1.0),A,VND,2025,4,\n', [], lambda p: _keys(p) == ["F:A.PC", "F:A.VND"]),
    ("SDMX-CSV: when it was published between flow and dimensions, a flag that is empty", "sdmx", "DATAFLOW,LAST UPDATE,freq,unit,geo,TIME_PERIOD,OBS_VALUE,OBS_FLAG\nX:F(1.0),08/10/25 23:00:00,A,PC,VN,2025,3,\n", [], lambda p: _keys(p) == ["F:A.PC.VN"]),
    ("SDMX-CSV: each name in a column of its own", "sdmx", "STRUCTURE,STRUCTURE_ID,STRUCTURE_NAME,ACTION,FREQ,Frequency of observation,TIME_PERIOD,Time period,OBS_VALUE,Observation value,UNIT_MULT,Unit multiplier\ndataflow,X.Y:D@F(1.0),Prices,I,A,Annual,2025,,3,,3,Thousands\n", [], lambda p: (_keys(p), str(_first(p).value)) == (["D@F:A"], "3E+3")),
    ("SDMX-CSV: labels without a blank, attributes with several values", "sdmx", "STRUCTURE[;],STRUCTURE_ID,ACTION,GEO:Area,TIME_PERIOD:Time,OBS_VALUE:Value,NOTE[en;vi]\ndataflow,X:F(1.0): Prices,I,VN: Việt Nam,2025,3,en:a;vi:b\n", [], lambda p: _keys(p) == ["F:VN"]),
    ("SDMX-CSV: the series' key in one column instead of the flow's", "sdmx", "KEY,FREQ,CURRENCY,TIME_PERIOD,OBS_VALUE,TITLE\nEXR.A.VND,A,VND,2025,3,Đồng\n", [], lambda p: _keys(p) == ["EXR:A.VND"]),
    ("SDMX-CSV: values before dimensions, texts among the attributes", "sdmx", 'STRUCTURE,STRUCTURE_ID,ACTION,OBS_VALUE,NOTE,FREQ,TIME_PERIOD\ndataflow,X:F(1.0),I,3,"a, b",A,2025\n', [], lambda p: _keys(p) == ["F:A"]),
    ("SDMX-CSV: a withdrawal that marks the value with a dash", "sdmx", "STRUCTURE,STRUCTURE_ID,ACTION,FREQ,TIME_PERIOD,OBS_VALUE\ndataflow,X:F(1.0),D,A,2025,-\n", [], lambda p: _first(p).deleted is True),
    ("SDMX: a series called by nine digits", "sdmx", "DATAFLOW,IDBANK,TIME_PERIOD,OBS_VALUE\nX:F(1.0),001234567,2025,3\n", ["personal_id"], lambda p: "IDBANK" in p.letters[0].message),
    ("SDMX-ML: thousands said once for the data set, millions by a group, a text among the attributes", "sdmx", _structure_specific('<DataSet UNIT_MULT="3"><Group xsi:type="x:Sibling" GEO="VN" UNIT_MULT="6"/><Series FREQ="A" GEO="VN" METHOD="Mean of months"><Obs TIME_PERIOD="2025" OBS_VALUE="3" NOTE="1"/></Series><Series FREQ="A" GEO="LA"><Obs TIME_PERIOD="2025" OBS_VALUE="3"/></Series></DataSet>'), [], lambda p: [(e.subject, str(e.data.value)) for e in p.events] == [("F:A.VN", "3E+6"), ("F:A.LA", "3E+3")]),  # type: ignore[union-attr]
    ("SDMX-ML: measures told apart by the type of the observation", "sdmx", _structure_specific('<DataSet><Series FREQ="A" TIME_PERIOD="2025"><Obs xsi:type="x:BIRTHS" OBS_VALUE="3"/><Obs xsi:type="x:DEATHS" OBS_VALUE="4"/></Series></DataSet>', "DEMO"), [], lambda p: _keys(p) == ["F:A.BIRTHS", "F:A.DEATHS"]),
    ("SDMX-ML: generic, millions said by a group; of version 2.0", "sdmx", '<GenericData><Header><KeyFamilyRef>F</KeyFamilyRef></Header><DataSet><Group><GroupKey><Value concept="GEO" value="VN"/></GroupKey><Attributes><Value concept="UNIT_MULT" value="6"/></Attributes></Group><Series><SeriesKey><Value concept="FREQ" value="A"/><Value concept="GEO" value="VN"/></SeriesKey><Obs><Time>2025</Time><ObsValue value="3"/></Obs></Series></DataSet></GenericData>', [], lambda p: (_keys(p), str(_first(p).value)) == (["F:A.VN"], "3E+6")),
    ("SDMX-JSON: two measures, millions said by a group, a place that is none", "sdmx", SDMX_JSON, ["contradiction"], lambda p: [(e.subject, str(e.data.value)) for e in p.events] == [("DATA:A.VN", "3E+6"), ("DATA:A.LA", "4")]),  # type: ignore[union-attr]
    ("311 with small letters and underscores, a request that was given up", "open311", "sr_number,sr_type,owner_department,status,created_date,last_modified_date,closed_date,latitude,longitude\nS1,Pothole,Streets,Canceled,2025-03-14T01:20:00.000,2025-03-15T01:20:00.000,2025-03-15T01:20:00.000,21.59,105.84\n", [], lambda p: (_first(p).outcome, _first(p).agency, _first(p).category, _first(p).closed_at.isoformat()) == ("cancelled", "Streets", "Pothole", "2025-03-14T18:20:00+00:00")),
    ("311 with columns called otherwise, several of one kind", "open311", "case_enquiry_id,open_dt,sla_target_dt,closed_dt,case_status,case_title,type,department,latitude,longitude\n101,2025-03-14 01:20:00,2025-03-20 08:30:00,,Open,Hole near my house,Pothole,PWD,21.59,105.84\n", [], lambda p: (_first(p).status, _first(p).title, _first(p).due_at.isoformat()) == ("open", "Pothole", "2025-03-20T01:30:00+00:00")),
    ("311 as Excel writes it: month first, no seconds", "open311", "Unique Key,Created Date,Closed Date,Agency,Complaint Type,Status,Latitude,Longitude\n1,3/14/2025 1:20,,DOT,Pothole,Open,21.59,105.84\n", [], lambda p: p.events[0].time.isoformat() == "2025-03-13T18:20:00+00:00"),
]  # fmt: skip


@pytest.mark.parametrize(("connector", "payload", "causes", "holds"), [quirk[1:] for quirk in QUIRKS], ids=[quirk[0] for quirk in QUIRKS])
def test_a_quirk_becomes_a_fact_or_a_dead_letter_that_says_what_to_do(connector: str, payload: Any, causes: list[str], holds: Holds) -> None:
    body = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    found = preview(registry.get(connector), context_of(connector), body.encode())
    assert sorted(letter.cause for letter in found.letters) == causes
    assert all(letter.message and letter.repair for letter in found.letters)
    assert holds(found), [event.data for event in found.events]
