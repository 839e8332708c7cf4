"""Slots for work at many stations at once, so that unreachable stations do not delay work at others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from controller.ports.clock import Clock

T = TypeVar("T")


class WorkSlots:
    """Limits concurrent work; slow work gives up its slot, and goes on without one.

    Args:
        clock: Measures how long it takes.
        number: Slots.
        hold: Seconds after which work gives up its slot.
    """

    def __init__(self, clock: Clock, number: int, hold: float) -> None:
        self._clock = clock
        self._hold = hold
        self._free = number
        self._semaphore = asyncio.Semaphore(number)

    @property
    def free(self) -> int:
        """Slots that are free, and that nobody waits for."""
        return self._free

    async def paced(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work in a slot, or without one after it takes long."""
        self._free -= 1
        try:
            await self._semaphore.acquire()
        except BaseException:
            self._free += 1
            work.close()
            raise
        task, wait = asyncio.create_task(work), asyncio.create_task(self._clock.sleep(self._hold))
        try:
            try:
                await asyncio.wait((task, wait), return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._semaphore.release()
                self._free += 1
            return await task
        finally:
            task.cancel()
            wait.cancel()
