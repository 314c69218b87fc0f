"""Personal data never lands: planted in every feed's payloads, good and broken, it is in no event and no dead letter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.connect_rig import context_of

from ioc.config import Config
from ioc.connect import conformance, registry
from ioc.connect.commands.preview import preview_file
from ioc.privacy import guarded, mask_page, scrub, shown

NAME, STREET = "Nguyễn Thị Hồng Nhung", "Số 12 ngõ 34 đường Bến Oánh"
CITIZEN, OLD_CITIZEN, PHONE, MAIL, PLATE = "019185001234", "090123456", "0912 345 678", "hong.nhung@example.com", "20A-123.45"
PLANTED = (NAME, "Hồng Nhung", STREET, "Bến Oánh", CITIZEN, OLD_CITIZEN, PHONE, "0912345678", MAIL, PLATE)
SENTENCE = f"{NAME}, {STREET}, CCCD {CITIZEN}, CMND {OLD_CITIZEN}, gọi {PHONE} hoặc 0912345678, {MAIL}, xe {PLATE}"
NUMBERS = f"CCCD {CITIZEN}, CMND {OLD_CITIZEN}, gọi {PHONE} hoặc +84 912 345 678, {MAIL}, xe {PLATE}"


def _payloads() -> Iterator[tuple[str, Path]]:
    for name in registry.names():
        for folder in conformance.folders(name):
            for file in sorted(folder.iterdir()):
                if file.name not in ("case.yaml", "expected.json"):
                    yield name, file


def _planted_json(text: str, connector: str) -> str:
    """Put personal data in every field that is not in the connector's table, and in new ones everywhere."""
    fields = registry.get(connector).fields

    def walk(value: object, path: str) -> object:
        if isinstance(value, dict):
            out = {key: walk(item, f"{path}.{key}".removeprefix(".")) for key, item in value.items()}
            return {**out, "hoTen": NAME, "ghiChuThem": SENTENCE, "lienHe": {"ten": [NAME], "diaChi": STREET}} if path.count(".") < 6 else out
        if isinstance(value, list):
            return [walk(item, path) for item in value]
        candidates = {path, path.partition(".")[2], path.partition("entry.resource.")[2]}
        known = next((cls for name, cls in fields.items() if name.lower() in {c.lower() for c in candidates}), "personal")
        structural = path.rpartition(".")[2] in ("resourceType", "relation", "url", "mode", "type", "error_code", "system", "next", "data", "id", "fullUrl")
        return SENTENCE if isinstance(value, str) and known == "personal" and not structural and not re.fullmatch(r"\d{5}|05443", value) else value

    return json.dumps(walk(json.loads(text), ""), ensure_ascii=False)


def _planted(file: Path, connector: str) -> str:
    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix == ".json":
        return _planted_json(text, connector)
    if file.suffix == ".csv":
        head, _, rest = text.partition("\n")
        return "\n".join([f"{head},ho_ten,ghi_chu", *(f'{row},{NAME},"{SENTENCE}"' for row in rest.splitlines() if row)]) + "\n"
    return re.sub(r"<((?:edXML:)?(?:Subject|Content|FullName|Staff|Description|Email|Telephone|address|description|OrganName))>[^<]*<", rf"<\1>{SENTENCE}<", text)


@pytest.mark.parametrize(("connector", "file"), [pytest.param(c, f, id=f"{c}/{f.parent.name}/{f.name}") for c, f in _payloads()])
def test_nothing_planted_leaves(connector: str, file: Path, tmp_path: Path) -> None:
    text = _planted(file, connector)
    for number, body in enumerate((text, text[: len(text) * 2 // 3], text.replace("}", "", 1).replace("</", "<", 1), text.replace('"', "'"))):
        payload = tmp_path / f"{number}{file.suffix}"
        payload.write_text(body, encoding="utf-8")
        result = preview_file(registry.get(connector), Config(), context_of(connector).feed, payload)
        left = json.dumps(result.shown(), ensure_ascii=False)
        assert [word for word in PLANTED if word in left] == [], (number, left[:2000])


@pytest.mark.parametrize(
    ("connector", "body", "kept"),
    [
        ("dossiers", {"hoSo": [{"MaHoSo": "A", "TenTTHC": f"Thủ tục {NUMBERS}", "TrangThaiHoSo": "1", "MaXa": "05443", "ThoiDiemCapNhat": "20261120081000", "DonViXuLy": f"UBND {PHONE}"}]}, "Thủ tục"),
        ("open311", [{"service_request_id": "1", "status": "open", "requested_datetime": "2026-11-20T00:00:00Z", "service_name": f"Cây xanh {NUMBERS}", "agency_responsible": f"UBND {MAIL}"}], "Cây xanh"),
        ("fhir", {"resourceType": "Location", "id": "1", "status": "active", "name": f"Trạm y tế {NUMBERS}"}, "Trạm y tế"),
        ("oneroster", {"orgs": [{"sourcedId": "1", "type": "school", "name": f"Trường {NUMBERS}"}]}, "Trường"),
    ],
)
def test_public_text_is_scrubbed_all_the_same(connector: str, body: object, kept: str, tmp_path: Path) -> None:
    payload = tmp_path / "x.json"
    payload.write_text(json.dumps(body, ensure_ascii=False))
    result = preview_file(registry.get(connector), Config(), context_of(connector).feed, payload)
    left = json.dumps(result.shown(), ensure_ascii=False)
    assert len(result.events) == 1 and kept in left and ("[phone]" in left or "[e-mail]" in left)
    assert [word for word in (*PLANTED, "912 345 678") if word in left] == []


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("gọi 0912345678 ngay", "gọi [phone] ngay"),
        ("(+84) 912.345.678", "([phone]"),
        ("+84912345678", "[phone]"),
        ("0208 3855 555", "[phone]"),
        ("+1 734 677 7777", "[phone]"),
        ("a.b+c@d-e.gov.vn.", "[e-mail]."),
        ("CCCD: 019085001234", "CCCD: [citizen number]"),
        ("019 085 001234", "[citizen number]"),
        ("CMND 090123456", "CMND [citizen number]"),
        ("xe 20A-123.45 và 20-B1 123.45, 20B1-1234", "xe [plate] và [plate], [plate]"),
        ("ngày 22/11/2026 08:15", "ngày 22/11/2026 08:15"),
        ("000.012.01.H55-261120-0001", "000.012.01.H55-261120-0001"),
        ("012.00.00.H55,2026/11/20,15/SYT-VP", "012.00.00.H55,2026/11/20,15/SYT-VP"),
        ("lat 21.594123456, long 105.841234567", "lat 21.594123456, long 105.841234567"),
        ("2026-11-22T08:00:00+07:00", "2026-11-22T08:00:00+07:00"),
        ("Trường Tiểu học số 12", "Trường Tiểu học số 12"),
    ],
)
def test_it_scrubs_what_names_a_person_and_leaves_what_does_not(text: str, clean: str) -> None:
    got = scrub(text)
    assert got == clean or (clean == "([phone]" and "912" not in got)


def test_a_field_that_is_not_in_the_table_is_withheld_with_its_key_kept() -> None:
    record = {"A": "kept-1", "b": NAME, "c": {"a": NAME, "d": ["x", {"e": MAIL}]}, NAME: 1, "long": "y" * 1000, "name": NAME, "id": CITIZEN, "n": 5}
    assert guarded(record, {"a": "public", "long": "internal", "name": "public", "id": "public", "n": "public"}) == {
        "A": "kept-1", "b": "[withheld]", "c": {"a": "[withheld]", "d": ["[withheld]", {"e": "[withheld]"}]}, "[key]": "[withheld]",
        "long": "[a text of 1000 characters]", "name": f"[a text of {len(NAME)} characters]", "id": "[a text of 12 characters]", "n": 5,
    }  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from(['{"ten": "%s"', '[{"ten": "%s}', "<a><b>%s</a>", "<a b='%s' <c>", "%s", "a;b\n%s;1\n", "<!-- %s", "{%s: 1}", "<![CDATA[%s"]), st.text(max_size=60))
def test_no_word_of_an_unreadable_page_survives_the_mask(before: str, shape: str, after: str) -> None:
    masked = mask_page(before + shape % SENTENCE + after)
    assert [word for word in (*PLANTED, "Nhung", "019185") if word in masked] == []


def test_messages_show_codes_and_withhold_texts() -> None:
    assert shown("2026-02-30 08:00") == "'2026-02-30 08:00'"
    assert shown("pending") == "'pending'"
    assert shown(NAME) == f"[a text of {len(NAME)} characters]"
    assert shown(CITIZEN) == "[a text of 12 characters]"
    assert shown({"a": NAME}) == "[a dict]"


def test_a_mistake_of_a_connector_does_not_write_the_record_into_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connector = registry.get("dossiers")

    def broken(record: object, context: object) -> None:
        raise ValueError(f"cannot read {SENTENCE}")

    monkeypatch.setattr(connector, "map", broken)
    payload = tmp_path / "x.json"
    payload.write_text(json.dumps({"hoSo": [{"MaHoSo": "A", "ChuHoSo": NAME}]}))
    with structlog.testing.capture_logs() as logs:
        result = preview_file(connector, Config(), context_of("dossiers").feed, payload)
    assert [letter.cause for letter in result.letters] == ["connector_error"]
    assert logs[0]["error"] == "ValueError" and "test_privacy.py" in logs[0]["at"]
    assert [word for word in PLANTED if word in repr(logs) + repr(result.letters)] == []
