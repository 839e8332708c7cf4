"""Notices transactions in which something is worked out: they keep their locks, and PostgreSQL ends idle ones."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import Any

from sqlalchemy import Engine, event

#: CPU seconds between two statements of a transaction from which it counts as idle. Not seconds of the clock: a busy
#: machine is no finding.
LONGEST = 1.0
_PROJECT = str(Path(__file__).parents[2] / "controller")


class Idle(local):
    """Since which CPU time of its thread a transaction is idle; None outside of transactions.

    Looking for garbage is no work of a transaction: a test process holds what thousands of tests left behind, and
    whoever happens to ask for memory looks through it.
    """

    since: float | None = None
    collecting = 0.0

    def look_for_garbage(self, phase: str, _info: dict[str, int]) -> None:
        """Called at begin and end of each collection, in the thread that carries it out."""
        if phase == "start":
            self.collecting = time.thread_time()
        elif self.since is not None:
            self.since += time.thread_time() - self.collecting


@contextmanager
def watched(longest: float = LONGEST) -> Iterator[list[str]]:
    """Transactions of all engines that idle for longer meanwhile, each by where it went on."""
    found: list[str] = []
    idle = Idle()

    def rest(*_: Any) -> None:
        idle.since = time.thread_time()

    def go_on(*_: Any) -> None:
        since, idle.since = idle.since, None
        if since is not None and (spent := time.thread_time() - since) > longest:
            ours = [one for one in traceback.extract_stack() if one.filename.startswith(_PROJECT)]
            where = " > ".join(f"{Path(one.filename).stem}.{one.name}:{one.lineno}" for one in ours[-6:])
            found.append(f"{spent:.1f} s of CPU before {where}")

    hooks = (
        ("begin", rest),
        ("before_cursor_execute", go_on),
        ("after_cursor_execute", rest),
        ("commit", go_on),
        ("rollback", go_on),
    )
    for name, hook in hooks:
        event.listen(Engine, name, hook)
    gc.callbacks.append(idle.look_for_garbage)
    try:
        yield found
    finally:
        gc.callbacks.remove(idle.look_for_garbage)
        for name, hook in hooks:
            event.remove(Engine, name, hook)
