"""The authors' guide is true: its example connector is complete, and what it names exists."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import ioc.connect
from ioc.connect import Connector, Record, decode
from ioc.connect.commands import app
from ioc.connect.convert import convert
from ioc.events import Asset, DeadLetter

GUIDE = (Path(__file__).parents[3] / "docs/connectors.md").read_text(encoding="utf-8")


def test_the_example_connector_of_the_guide_works() -> None:
    from unit.connect_rig import context_of

    code = re.search(r"```python\n(class ParkingOptions.*?)```", GUIDE, re.DOTALL)
    assert code is not None
    names: dict[str, object] = {}
    imports = "from typing import Any\nfrom collections.abc import Iterator\nfrom pydantic import Field\nfrom ioc.connect import *\nfrom ioc.connect import fields\nfrom ioc.events import Asset, Event\n"
    exec(compile(imports + textwrap.dedent(code[1]), "guide", "exec"), names)
    parking = names["Parking"]()  # type: ignore[operator]
    assert isinstance(parking, Connector)
    context = context_of("open311")
    records = parking.read(decode(b'[{"id": "p1", "name": "B", "commune": "05443", "changed": "2026-11-20T00:00:00Z"}, {"id": "p2"}]'), context)
    good, bad = (convert(parking, record, context) for record in records)
    assert isinstance(good, list) and good[0].data == Asset(kind="car_park", name="B", area="05443", state="ok")
    assert isinstance(bad, DeadLetter) and (bad.cause, bad.field) == ("missing_time", "changed")
    assert isinstance(convert(parking, Record("rubbish"), context), DeadLetter)


def test_every_command_and_name_of_the_guide_exists() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert set(re.findall(r"ioc connector (\w+)", GUIDE)) == commands
    for name in ("Skip", "Unreadable", "Retriable", "Unreachable", "Fatal", "Seen", "Walk", "Known", "each_part", "unreadable_record", "unknown_layout", "shown"):
        assert f"`{name}" in GUIDE and hasattr(ioc.connect, name)
