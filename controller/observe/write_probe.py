"""Whether the record takes writes, as a process finds it by trying.

The process keeps that in memory: while the record takes no writes, it can't be on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from controller.models.errors import MinkaError
from controller.models.metrics import Figures
from controller.models.record import Writable
from controller.observe.rounds import repeat
from controller.ports.clock import Clock

#: Seconds between two tries; seconds for which the result of one holds: longer than one that waits for locks takes.
_APART, _HOLDS = 10.0, 40.0


class WriteProbe:
    """Tries again and again whether a write would be committed.

    Args:
        check: Returns if a write would be committed now, or raises; called in a thread, since it may wait for locks for
            longer than a heartbeat may.
        clock: Source of time.
    """

    def __init__(self, check: Callable[[], None], clock: Clock) -> None:
        self._check = check
        self._clock = clock
        self._last = Writable.UNKNOWN
        self._until = float("-inf")

    async def look(self) -> None:
        """Try once.

        Raises:
            MinkaError: A write would not be committed.
        """
        try:
            await asyncio.to_thread(self._check)
        except MinkaError:
            self._found(Writable.NO)
            raise
        self._found(Writable.YES)

    def _found(self, state: Writable) -> None:
        self._last, self._until = state, self._clock.monotonic() + _HOLDS

    @property
    def state(self) -> Writable:
        """Result of the last try that came to its end; unknown if that was too long ago."""
        return self._last if self._clock.monotonic() < self._until else Writable.UNKNOWN

    def figures(self) -> Figures:
        """The state, as ``minka_record_writable`` shows it."""
        return {(one.value,): float(one is self.state) for one in Writable}

    @asynccontextmanager
    async def kept_up(self) -> AsyncIterator[None]:
        """Try for as long as the block runs."""
        trying = asyncio.create_task(repeat("write probe", self.look, self._clock, _APART))
        try:
            yield
        finally:
            trying.cancel()
            await asyncio.gather(trying, return_exceptions=True)
