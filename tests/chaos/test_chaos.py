"""A short storm for every run of the tests; `python -m tests.chaos.run` is the long one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.rig import Rig

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # clients whose server was killed leave their sockets to the collector
def test_everything_is_killed_at_random_and_every_number_is_still_right(own_broker: Any, own_database: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Rig(tmp_path, own_broker, own_database, events=4_000, kills=8, seed=7).run()
    with capsys.disabled():
        print("\n" + outcome.table())
    assert outcome.good, outcome.table()
