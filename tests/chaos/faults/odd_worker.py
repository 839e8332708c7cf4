"""``minka worker`` on a machine that is not as it should be.

``python -m tests.chaos.faults.odd_worker [--ahead S] worker …``: ``--ahead S`` sets its wall clock by so many
seconds (less than zero: behind). On SIGALRM its device loop hangs while the process, and its consumer, live on:
what a third party's action can do that never comes back.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from datetime import datetime, timedelta

from controller.cli.main import main
from controller.observe import watchdog
from controller.ports.clock import SystemClock
from controller.worker.process import LoopThread

_now = SystemClock.now


def _set_clock(seconds: float) -> None:
    def now(clock: SystemClock) -> datetime:
        return _now(clock) + timedelta(seconds=seconds)

    SystemClock.now = now  # type: ignore[method-assign, assignment]


def _hang(*_: object) -> None:
    for thread in threading.enumerate():
        if isinstance(thread, LoopThread) and thread._asyncio is not None:
            thread._asyncio.call_soon_threadsafe(time.sleep, 3600)


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, _hang)
    watchdog.HANGS_AFTER = 8  # so that tests need not wait for long
    if sys.argv[1] == "--ahead":
        _set_clock(float(sys.argv[2]))
        del sys.argv[1:3]
    main()
