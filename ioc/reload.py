"""config.yaml is read again when it changes: what serves by it is ended in good order and served anew, in the same process.

One mechanism for every process. Beside config.yaml itself count the KPI catalogue, the scenes and the declared connectors.
A change that cannot be used is said once, and the last good configuration stays in force until the next change.
"""

from __future__ import annotations

import gc
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from ioc.config import Config, load, path_of
from ioc.errors import UserError

log = structlog.get_logger(__name__)

LOOK_S = 1.0
_CONNECTORS = Path(__file__).resolve().parent.parent / "connectors"


class Problem:
    """What is wrong with the configuration as it stands; '' while it is in force."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self) -> str:
        return self.text


def serve(work: Callable[[Config, threading.Event], None], stop: threading.Event, problem: Problem | None = None, *, look_s: float = LOOK_S) -> None:
    """Call `work(config, until)` until `stop`; `until` is set when `stop` is, or when another configuration is in force.

    Raise `UserError` when there never was a configuration that could be used.
    """
    problem = problem or Problem()
    marks, config = stamp(load()), load()
    good: Config | None = None
    while not stop.is_set():
        until, found = threading.Event(), _Found()
        watcher = threading.Thread(target=_watch, args=(marks, config, until, stop, found, problem, look_s), name="reload", daemon=True)
        watcher.start()
        try:
            work(config, until)
            good = config
        except UserError as exc:
            if good is None or config is good:
                raise
            problem.text = str(exc)
            log.error("the changed configuration cannot be used; the last good one stays in force", problem=problem.text)
            config = good
            until.set()
            watcher.join()
            continue
        finally:
            until.set()
        watcher.join()
        if found.config is None:
            return  # asked to end, or ended by itself
        marks, config = found.marks, found.config
        problem.text = ""
        gc.unfreeze()  # what served before is no longer for ever
        gc.collect()
        log.info("the configuration changed; serving by it", feeds=[feed.feed for feed in config.feeds])


class _Found:
    """What the watcher found: another configuration, and the marks of its files."""

    config: Config | None = None
    marks = ""


def _watch(marks: str, config: Config, until: threading.Event, stop: threading.Event, found: _Found, problem: Problem, look_s: float) -> None:
    seen = marks
    while not until.wait(look_s):
        if stop.is_set():
            until.set()
            return
        now = stamp(config)
        if now == seen:
            continue
        if until.wait(look_s / 2) or stamp(config) != now:
            continue  # still being written
        seen = now
        try:
            changed = load()
        except UserError as exc:
            problem.text = str(exc)
            log.error("config.yaml was changed and cannot be used; the last good one stays in force", problem=problem.text)
            continue
        if now == marks:  # the mistake was taken back
            problem.text = ""
            continue
        found.config, found.marks = changed, stamp(changed)
        until.set()


def stamp(config: Config) -> str:
    """Return 8 characters that tell these files' contents from any other."""
    mark = hashlib.blake2b(digest_size=4)
    folders = (config.kpis.catalogue, config.scenes.folder)
    files = [path_of(), *(file for folder in folders for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.csv")])), *sorted(_CONNECTORS.glob("*/connector.yaml"))]
    for file in files:
        try:
            mark.update(str(file).encode() + b"\0" + file.read_bytes())
        except OSError:
            mark.update(b"gone")
    return mark.hexdigest()
