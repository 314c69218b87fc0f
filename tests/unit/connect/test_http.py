"""What the kit does with a source that misbehaves, over real HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from unit.connect_rig import Asked, Bus, Memory, Reply, client_of, feed_of, poll, pump_of, serving

from ioc.causes import because, in_words
from ioc.connect import registry
from ioc.connect.connector import Walk
from ioc.connect.decode import decode
from ioc.connect.errors import Fatal, Missing, Retriable, Unreachable, Unreadable
from ioc.connect.http import Http, Known

JSON = {"Content-Type": "application/json"}


def test_it_refuses_a_redirect_to_another_host_and_follows_one_on_its_own() -> None:
    with serving(lambda asked: Reply("elsewhere")) as other, serving(lambda asked: Reply("here")) as server:
        answers = {"/out": {"Location": other.url + "/x"}, "/in": {"Location": "/there"}, "/loop": {"Location": "/loop"}}
        server.handler = lambda asked: Reply(status=302, headers=answers[asked.path]) if asked.path in answers else Reply("here")
        client = client_of(feed_of("open311", server.url))
        assert client.get("in").body == b"here"
        with pytest.raises(Unreadable, match="a redirect leads to another host") as caught:
            client.get("out")
        assert caught.value.cause == "other_host" and other.asked == []
        with pytest.raises(Unreadable, match="more than 5 redirects"):
            client.get("loop")


def test_it_follows_a_redirect_to_a_host_that_is_allowed() -> None:
    with serving(lambda asked: Reply("elsewhere")) as other, serving(lambda asked: Reply(status=307, headers={"Location": other.url + "/x"})) as server:
        client = client_of(feed_of("open311", server.url, allowed_hosts=[other.url.removeprefix("http://")]))
        assert client.get("out").body == b"elsewhere"


@pytest.mark.parametrize("gzipped", [False, True])
def test_it_stops_reading_an_answer_that_is_too_large_also_after_decompression(gzipped: bool) -> None:
    with serving(lambda asked: Reply(b" " * 5_000_000, gzipped=gzipped)) as server:
        client = client_of(feed_of("open311", server.url, max_response_bytes=1_000_000))
        with pytest.raises(Unreadable) as caught:
            client.get("x")
    assert caught.value.cause == "too_large"


def test_it_sends_back_etag_and_last_modified() -> None:
    def handler(asked: Asked) -> Reply:
        known = asked.headers.get("if-none-match") == '"1"' and asked.headers.get("if-modified-since") == "Fri, 20 Nov 2026 02:00:00 GMT"
        return Reply(status=304) if known else Reply("x", headers={"ETag": '"1"', "Last-Modified": "Fri, 20 Nov 2026 02:00:00 GMT"})

    with serving(handler) as server:
        client = client_of(feed_of("open311", server.url))
        first = client.get("x")
        assert first.changed and first.modified_at == datetime(2026, 11, 20, 2, tzinfo=UTC)
        assert not client.get("x", known=first.known).changed
        assert client.get("x", known=Known()).changed


def _sleeping(url: str) -> tuple[Http, list[float]]:
    slept: list[float] = []
    return Http(url, rate_per_s=1000, timeout_s=2, sleep=slept.append), slept


@pytest.mark.parametrize(("header", "least", "most"), [("3", 3, 3), ("date", 3, 6), ("", 0.1, 2.0), ("rubbish", 0.1, 2.0)])
def test_it_waits_as_long_as_a_busy_source_asks(header: str, least: float, most: float) -> None:
    value = format_datetime(datetime.now(UTC) + timedelta(seconds=5), usegmt=True) if header == "date" else header
    replies = iter([Reply(status=429, headers={"Retry-After": value}), Reply("done")])
    with serving(lambda asked: next(replies)) as server:
        client, slept = _sleeping(server.url)
        assert client.get("x").body == b"done"
        client.close()
    assert len(slept) == 1 and least <= slept[0] <= most


def test_it_hands_a_long_retry_after_to_the_runner_instead_of_sleeping() -> None:
    with serving(lambda asked: Reply(status=503, headers={"Retry-After": "600"})) as server:
        client, slept = _sleeping(server.url)
        with pytest.raises(Retriable) as caught:
            client.get("x")
        client.close()
    assert caught.value.retry_after_s == 600 and slept == []


@pytest.mark.parametrize(("status", "kind", "tries"), [(401, Fatal, 1), (403, Fatal, 1), (404, Missing, 1), (400, Retriable, 1), (500, Retriable, 3)])
def test_the_type_of_the_error_says_what_to_do(status: int, kind: type[Exception], tries: int) -> None:
    with serving(lambda asked: Reply(status=status)) as server:
        client, _ = _sleeping(server.url)
        with pytest.raises(kind, match=str(status)):
            client.get("x")
        client.close()
        assert len(server.asked) == tries


@pytest.mark.parametrize(
    ("status", "code"), [(401, "access_refused"), (404, "not_there"), (410, "not_there"), (429, "too_often"), (400, "request_refused"), (500, "status"), (503, "status")]
)
def test_why_it_failed_is_kept_as_a_code_that_screens_have_words_for(status: int, code: str) -> None:
    with serving(lambda asked: Reply(status=status)) as server:
        client, _ = _sleeping(server.url)
        with pytest.raises((Fatal, Retriable)) as caught:
            client.get("x")
        client.close()
    host = server.url.removeprefix("http://")
    assert caught.value.cause == because(code, host=host, status=status)
    assert all(host in said and str(status) in said for said in in_words(caught.value.cause))


def test_why_there_is_no_connection_is_kept_as_a_code() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with serving(lambda asked: Reply("x")) as plain:
        wrong = [(f"http://127.0.0.1:{port}", "connection_refused"), ("http://nobody.invalid", "unknown_host"), (plain.url.replace("http:", "https:"), "bad_tls")]
        for url, code in wrong:
            client, _ = _sleeping(url)
            with pytest.raises(Unreachable) as caught:
                client.get("x")
            client.close()
            assert caught.value.cause.startswith(code + ":host="), (url, caught.value)


def test_it_says_who_cannot_be_reached() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client, _ = _sleeping(f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(Unreachable, match="cannot be reached"):
            client.get("x")
        client.close()


def test_it_gives_up_on_a_source_that_breaks_off_in_the_middle() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(3):
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    client, _ = _sleeping(f"http://127.0.0.1:{listener.getsockname()[1]}")
    with pytest.raises(Retriable, match="broke off"):
        client.get("x")
    client.close()
    thread.join(5)
    listener.close()


def test_it_keeps_the_rate() -> None:
    with serving(lambda asked: Reply("x")) as server:
        client = Http(server.url, rate_per_s=20, timeout_s=2, sleep=time.sleep)
        started = time.monotonic()
        for _ in range(30):
            client.get("x")
        client.close()
    assert time.monotonic() - started > 0.4  # 20 at once, 10 more at 20 a second


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "host/path", ""])
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(Fatal):
        Http(url)


def test_it_sends_the_secret_only_as_a_header() -> None:
    with serving(lambda asked: Reply("x")) as server:
        client = Http(server.url, token="s3cret")
        client.get("x", {"a": 1})
        client.close()
    assert server.asked[0].headers["authorization"] == "Bearer s3cret" and "s3cret" not in repr(server.asked[0].query)


# --- what a page may hold -----------------------------------------------------------------------------------------

NEST = "[" * 100_000 + "]" * 100_000
BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (NEST.encode(), "too_deep"),
        (('{"a":' * 100_000).encode(), "too_deep"),
        (BOMB.encode(), "dtd_refused"),
        (BOMB.encode("utf-16"), "dtd_refused"),
        (b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1:1/x"><a/>', "dtd_refused"),
        (("<a>" * 5000 + "</a>" * 5000).encode(), "bad_xml"),
        (b"<!doctype html><title>Sign in</title>", "html_page"),
        (b"<html><body>Nguyen Van A</body></html>", "html_page"),
        (b'[{"a": 1},', "bad_json"),
        (b"PK\x03\x04....", "spreadsheet"),
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"\xff\xfe\xff", "wrong_encoding"),
        (b'{"a": "\xe9"}', "wrong_encoding"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "wrong_encoding"),
        (b"a,b\n1,2\n\"x", "unknown_layout"),
        (b"just a sentence", "unknown_format"),
        (b"a,,c\n1,2,3\n", "blank_header"),
        (b"a,b,a\n1,2,3\n", "duplicate_header"),
    ],
)
@pytest.mark.parametrize("name", registry.names())
def test_every_connector_turns_a_hostile_page_into_one_dead_letter_and_goes_on(name: str, body: bytes, cause: str) -> None:
    bus, cursors = Bus(), Memory()
    with serving(lambda asked: Reply(body)) as server:
        pump = pump_of(name, server.url, options={"format": "csv"} if name == "open311" and cause in ("blank_header", "duplicate_header") else {})
        problems = _problems(pump, bus, cursors)
        assert problems
        causes = {letter.cause for letter in bus.letters}
        assert causes <= {cause, "unknown_layout"} and causes, causes
        told = len(bus.letters)
        _problems(pump, bus, cursors)
        assert len(bus.letters) == told  # the same failure is not told at each poll
    assert bus.events == [] and bus.heartbeats == []


def _problems(pump: object, bus: Bus, cursors: Memory) -> list[Retriable]:
    try:
        return poll(pump, bus, cursors)[2].problems  # type: ignore[arg-type]
    except Retriable as exc:
        return [exc]


def test_it_reads_windows_1258_and_bom_and_utf_16_alike() -> None:
    text = "school_id,date,enrolled,present,absent_excused,absent_unexcused\nTrường A,2026-11-20,1,1,0,0\n"
    decomposed = "school_id,date,enrolled,present,absent_excused,absent_unexcused\nTrươ\u0300ng A,2026-11-20,1,1,0,0\n"
    values = [decode(body).value[0].value for body in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16"), decomposed.encode("cp1258"))]
    assert all(value == values[0] for value in values)


def test_nan_in_one_record_does_not_cost_the_others() -> None:
    rows = '[{"service_request_id":"1","status":"open","requested_datetime":"2026-11-20T00:00:00Z","lat":NaN,"long":105.8},{"service_request_id":"2","status":"open","requested_datetime":"2026-11-20T00:00:00Z"}]'
    with serving(lambda asked: Reply(rows if asked.query.get("page") == "1" else "[]", headers=JSON)) as server:
        bus, _, _ = poll(pump_of("open311", server.url))
    assert [e.subject for e in bus.events] == ["2"] and [letter.cause for letter in bus.letters] == ["not_a_number"]


def test_ten_megabytes_of_text_in_one_record_do_not_cost_the_others() -> None:
    row = {"service_request_id": "1", "status": "open", "requested_datetime": "2026-11-20T00:00:00Z"}
    rows = json.dumps([{**row, "description": "x" * 10_000_000}, {**row, "service_request_id": "2"}, {**row, "service_request_id": "3", "service_name": "y" * 5000}])
    with serving(lambda asked: Reply(rows if asked.query.get("page") == "1" else "[]", headers=JSON)) as server:
        bus, _, _ = poll(pump_of("open311", server.url))
    assert [e.subject for e in bus.events] == ["2"]
    assert [letter.cause for letter in bus.letters] == ["too_large", "text_too_long"]
    assert all(len(letter.record) < 65_536 for letter in bus.letters)


def test_an_endless_next_link_ends() -> None:
    def bundle(number: int, url: str) -> str:
        entry = {"resource": {"resourceType": "Encounter", "id": str(number), "status": "planned", "meta": {"lastUpdated": "2026-11-20T00:00:00Z"}}}
        return json.dumps({"resourceType": "Bundle", "entry": [entry], "link": [{"relation": "next", "url": url}]})

    feed = {"options": {"resources": ["Encounter"]}}
    with serving(lambda asked: Reply(bundle(1, "/Encounter?page=1"))) as server:
        _, _, report = poll(pump_of("fhir", server.url, **feed))
        assert [p.cause for p in report.problems if isinstance(p, Unreadable)] == ["endless_paging"]
        server.handler = lambda asked: Reply(bundle(2, f"/Encounter?page={len(server.asked)}"))  # always a new link, always the same page
        _, _, report = poll(pump_of("fhir", server.url, **feed))
        assert [p.cause for p in report.problems if isinstance(p, Unreadable)] == ["endless_paging"]
        server.handler = lambda asked: Reply(bundle(3, "http://elsewhere.example.org/next"))
        bus, _, report = poll(pump_of("fhir", server.url, **feed))
        assert [p.cause for p in report.problems if isinstance(p, Unreadable)] == ["other_host"]
        assert len(bus.events) == 1 and [letter.cause for letter in bus.letters] == ["other_host"]


def test_a_walk_ends_after_so_many_pages() -> None:
    walk = Walk(limit=3)
    for number in range(3):
        walk.step(f"page {number}", [number])
    with pytest.raises(Unreadable, match="more than 3 pages"):
        walk.step("page 3", [3])
