"""`python -m tests.chaos.run --events 200000 --kills 50 --seed 1 [--json]`: the storm, for the record."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import services

from .rig import Rig


def main() -> int:
    """Run once on the best broker and database of this machine; exit code 1 when anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="different facts; each is sent twice")
    parser.add_argument("--kills", type=int, default=12, help="how often something is killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="afterwards kill each victim once more, alone, to measure its recovery")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--keep", action="store_true", help="keep the logs, and say where they are")
    chosen = parser.parse_args()
    services.remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix="ioc-chaos-"))
    folder.chmod(0o711)  # the database's account must pass
    broker, database = services.make_broker(folder / "broker"), services.make_database(folder)
    began = time.monotonic()
    good = False
    try:
        for server in (broker, database):
            server.prepare()
            server.start()
        for server in (broker, database):
            server.wait_ready()
        say = lambda line: print(f"[{time.monotonic() - began:6.1f} s] {line}", file=sys.stderr, flush=True)  # noqa: E731
        outcome = Rig(folder, broker, database, events=chosen.events, kills=chosen.kills, seed=chosen.seed, alone=chosen.alone, say=say).run()
        print(outcome.as_json() if chosen.json else outcome.table())
        good = outcome.good
    finally:
        broker.stop()
        services.discard_database(database)
        if chosen.keep or not good:
            print(f"logs: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
