"""Ends a process whose loop hangs, so that its supervisor restarts it."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from controller.ports.clock import Clock

log = structlog.get_logger()

#: Seconds without one turn of the loop after which it counts as hung. Others have declared it dead long before.
HANGS_AFTER = 30
#: Exit status of a process that ends because its loop hangs (sysexits.h: EX_SOFTWARE).
_HUNG = 70


@asynccontextmanager
async def watched(clock: Clock) -> AsyncIterator[None]:
    """End the whole process once the loop that runs this block hangs.

    There is no orderly shutdown: a process that hangs can't do one, and all of Minka survives a kill.
    """
    turns, over = 0, threading.Event()

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await clock.sleep(1)

    def watch() -> None:
        seen, stood = -1, 0
        # Ticks are counted instead of time, so that a process that was stopped as a whole is not taken to hang.
        while stood < HANGS_AFTER:
            clock.pause(1)
            if over.is_set():
                return
            seen, stood = turns, stood + 1 if turns == seen else 0
        log.critical("process.hangs", seconds=stood)
        faulthandler.dump_traceback()
        os._exit(_HUNG)

    turning = asyncio.create_task(turn())
    threading.Thread(target=watch, name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        turning.cancel()
