"""Places for work at many stations at once: dark stations, however many, delay the work at no others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from controller.ports.clock import Clock

T = TypeVar("T")


class Places:
    """Bounds how much is done at once; what takes long gives its place to the next, and goes on.

    Args:
        clock: Measures how long it takes.
        number: Places.
        hold: Seconds after which a place is given on.
    """

    def __init__(self, clock: Clock, number: int, hold: float) -> None:
        self._clock = clock
        self._hold = hold
        self._free = number
        self._places = asyncio.Semaphore(number)

    @property
    def free(self) -> int:
        """Places that nobody has or waits for."""
        return self._free

    async def paced(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it with a place, and without one where it takes long."""
        self._free -= 1
        try:
            await self._places.acquire()
        except BaseException:
            self._free += 1
            work.close()
            raise
        task, wait = asyncio.create_task(work), asyncio.create_task(self._clock.sleep(self._hold))
        try:
            try:
                await asyncio.wait((task, wait), return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._places.release()
                self._free += 1
            return await task
        finally:
            task.cancel()
            wait.cancel()
