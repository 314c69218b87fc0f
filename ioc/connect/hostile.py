"""What a source may serve on a bad day, whoever wrote the connector: each attack changes what a recorded case answers.

Two kinds. An *unreadable* answer is no data: nothing may be published, and the next good answer must be read as if
nothing had been. *Strange values* in an otherwise good answer: every record becomes events or a dead letter with a cause.
In both nothing may crash, and processor time and memory stay within `CPU_S` and `MEMORY_BYTES`.
"""

from __future__ import annotations

import json
import re
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct

from ioc.connect.conformance import Stage, Tamper
from ioc.connect.connector import Connector
from ioc.connect.convert import where
from ioc.connect.replay import Asked, Reply

CPU_S = 30.0  # of one poll; a good one takes hundredths
MEMORY_BYTES = 600_000_000  # what one poll may need more than all before it

Change: TypeAlias = Callable[[Reply], Reply]


class Attack(Struct, frozen=True):
    """One bad day. `unreadable`: no record lies in the answer, but for the whole rows of a table that was cut."""

    name: str
    tamper: Callable[[], Tamper]  # a new one for each use: some remember
    unreadable: bool = True


def _always(body: bytes | str, status: int = 200, **headers: str) -> Callable[[], Tamper]:
    return lambda: lambda asked, reply: Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def _changed(change: Change) -> Callable[[], Tamper]:
    """Change the good answers only."""
    return lambda: lambda asked, reply: change(reply) if reply.status == 200 and reply.body else reply


def _bytes(reply: Reply) -> bytes:
    return reply.body.encode() if isinstance(reply.body, str) else reply.body


def _cut(reply: Reply) -> Reply:
    return Reply(_bytes(reply)[: max(1, len(_bytes(reply)) * 2 // 5)], 200, reply.headers)


def _repeat() -> Tamper:
    """Whatever is asked, the first page comes."""
    first: list[Reply] = []

    def tamper(asked: Asked, reply: Reply) -> Reply:
        if not first and reply.status == 200 and reply.body:
            first.append(reply)
        return first[0] if first else reply

    return tamper


def _bomb() -> str:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><x>&a9;</x>'


HTML = "<!DOCTYPE html><html><head><title>Login</title></head><body><form>user</form></body></html>"
XXE = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'

# --- strange values ---------------------------------------------------------------------------------------------

_XML_TEXT = re.compile(rb">([^<>\s][^<>]*)<")


def _values(strange: Any, text: str) -> Change:
    """Every value of the answer becomes `strange` (JSON) or `text` (XML, tables)."""

    def change(reply: Reply) -> Reply:
        body = _bytes(reply)
        start = body.lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
        if start in (b"{", b"["):
            changed = json.dumps(_leaves(json.loads(body.decode("utf-8-sig")), strange)).encode()
        elif start == b"<":
            changed = _XML_TEXT.sub(b">" + text.encode("utf-8", "replace") + b"<", body)
        else:
            head, _, rows = body.partition(b"\n")
            mark = max(b",;\t|", key=head.count).to_bytes(1, "big") if head else b","
            cell = b'"' + text.encode("utf-8", "replace").replace(b'"', b'""') + b'"'
            changed = head + b"\n" + b"\n".join(mark.join(cell for _ in row.split(mark)) for row in rows.splitlines())
        return Reply(changed, 200, reply.headers)

    return change


def _leaves(value: Any, strange: Any) -> Any:
    if isinstance(value, dict):
        return {key: _leaves(item, strange) for key, item in value.items()}
    return [_leaves(item, strange) for item in value] if isinstance(value, list) else strange


def _keys(reply: Reply) -> Reply:
    """Other names of all fields of a JSON answer: spaces, dashes, leading digits, emoji, nothing at all."""
    if _bytes(reply).lstrip()[:1] not in (b"{", b"["):
        return reply

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            odd = ("", " ", "1st", "a-b", "\U0001f600", "__proto__", "a.b")
            return {f"{odd[n % len(odd)]}{n}": renamed(item) for n, item in enumerate(value.values())}
        return [renamed(item) for item in value] if isinstance(value, list) else value

    return Reply(json.dumps(renamed(json.loads(_bytes(reply).decode("utf-8-sig")))), 200, reply.headers)


ATTACKS: tuple[Attack, ...] = (
    Attack("nothing at all", _always(b"")),
    Attack("an HTML page with status 200", _always(HTML, Content_Type="text/html")),
    Attack("an HTML page that calls itself JSON", _always(HTML, Content_Type="application/json")),
    Attack("a page cut in the middle", _changed(_cut)),
    Attack("bytes in UTF-16 that say UTF-8", _changed(lambda r: Reply(_bytes(r).decode("utf-8", "replace").encode("utf-16-le"), 200, {"Content-Type": "text/plain; charset=utf-8"}))),
    Attack("gzip that is none", _changed(lambda r: Reply(b"\x1f\x8b" + _bytes(r), 200, {**r.headers, "Content-Encoding": "gzip"}))),
    Attack("100,000 nested arrays", _always("[" * 100_000)),
    Attack("100,000 nested objects", _always('{"a":' * 100_000 + "1" + "}" * 100_000)),
    Attack("100,000 nested elements", _always("<a>" * 100_000)),
    Attack("an entity bomb", _always(_bomb())),
    Attack("an external entity", _always(XXE)),
    Attack("10 MB of one letter", _always(b"a" * 10_000_000)),
    Attack("10 MB of a JSON text", _always(b'{"a": "' + b"x" * 10_000_000 + b'"}')),
    Attack("a table of 10,000 columns", _always(",".join(f"c{n}" for n in range(10_000)) + "\n1\n")),
    Attack("an answer larger than allowed", _always(b" " * 33_000_000)),
    Attack("a spreadsheet", _always(b"PK\x03\x04" + bytes(2000))),
    Attack("only zero bytes", _always(bytes(2000))),
    Attack("a list of everything", _always('[null, true, 1, "x", [], {}, [[]]]'), unreadable=False),
    Attack("a redirect to another host", _always(b"", 302, Location="http://192.0.2.1/x")),
    Attack("a redirect without end", _always(b"", 302, Location="?again")),
    Attack("status 500", _always(b"broken", 500)),
    Attack("status 429 and an hour to wait", _always(b"", 429, Retry_After="3600")),
    Attack("status 403", _always(b"", 403)),
    Attack("the same page for ever", _repeat, unreadable=False),
    Attack("null everywhere", _changed(_values(None, "")), unreadable=False),
    Attack("lists everywhere", _changed(_values([[]], "[]")), unreadable=False),
    Attack("objects everywhere", _changed(_values({"x": {"y": "z"}}, "{}")), unreadable=False),
    Attack("numbers without bounds everywhere", _changed(_values(10**400, "1e999")), unreadable=False),
    Attack("negative numbers everywhere", _changed(_values(-1, "-1")), unreadable=False),
    Attack("NaN everywhere", _changed(_values(float("nan"), "NaN")), unreadable=False),
    Attack("half characters everywhere", _changed(_values("\ud800", "\ufffd")), unreadable=False),
    Attack("long texts everywhere", _changed(_values("x" * 3000, "x" * 3000)), unreadable=False),
    Attack("times that cannot be everywhere", _changed(_values("9999-99-99T99:99:99Z", "9999-99-99T99:99:99Z")), unreadable=False),
    Attack("other names of all fields", _changed(_keys), unreadable=False),
)


def survive(connector: Connector[Any], folder: Path, attacks: tuple[Attack, ...] = ATTACKS) -> Iterator[str]:
    """Yield in words what went wrong when the case in `folder` is served by each attack."""
    with Stage(connector, folder) as stage:
        for _ in range(stage.case.polls):
            stage.poll()
    wanted = {event.id: event.subject for event in stage.bus.events}
    for attack in attacks:
        for said in _attacked(connector, folder, attack, wanted):
            yield f"{attack.name}: {said}"


def _attacked(connector: Connector[Any], folder: Path, attack: Attack, wanted: dict[str, str]) -> Iterator[str]:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with Stage(connector, folder, attack.tamper(), timeout_s=5) as stage:
        try:
            stage.poll()
        except Exception as exc:
            yield f"{type(exc).__name__} at {where(exc)}"
            return
        if (spent := time.process_time() - started) > CPU_S:
            yield f"took {spent:.0f} s of processor; at most {CPU_S:.0f}"
        if (grown := (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024) > MEMORY_BYTES:
            yield f"needed {grown // 1_000_000} MB of memory; at most {MEMORY_BYTES // 1_000_000}"
        for letter in stage.bus.letters:
            if letter.cause == "connector_error" or not letter.message:
                yield f"a dead letter that does not say what is wrong: {letter.cause} {letter.message}"
                return
        if not attack.unreadable:
            return
        if made_up := sum(event.id not in wanted for event in stage.bus.events):
            yield f"{made_up} events came out of it"
        stage.tamper, stage.number = None, 0
        for _ in range(stage.case.polls):
            stage.poll()
        if missing := set(wanted.values()) - {event.subject for event in stage.bus.events}:
            yield f"afterwards {len(missing)} of {len(set(wanted.values()))} things were not read any more"
