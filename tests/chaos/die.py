"""`python die.py STEP NTH ARGUMENTS...`: run `ioc ARGUMENTS...` and kill -9 it at a step of a poll, the nth time it comes there.

Steps, in the order of ioc/connect/pump.py: fetched (an answer has come), produced (an event is with the producer, not
yet acknowledged), acknowledged (the broker has all of them), saved (the cursor is in the database).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from ioc.bus import Publisher
from ioc.cli import main
from ioc.connect.http import Http
from ioc.store.cursors import Cursors

STEPS = {"fetched": (Http, "get"), "produced": (Publisher, "send"), "acknowledged": (Publisher, "flush"), "saved": (Cursors, "save")}


def arm(step: str, nth: int) -> None:
    """Let the process die right after the nth call of the step."""
    owner, name = STEPS[step]
    real = getattr(owner, name)
    left = nth

    def deadly(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        result = real(self, *args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv[1:] = sys.argv[3:]
    main()
