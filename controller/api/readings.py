"""Readings that several requests share: of a station, of the alarms, of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from controller.ports.clock import Clock

Reading = TypeVar("Reading")


class Readings(Generic[Reading]):
    """The latest reading by key; one key is read once in so many seconds, however often it is asked for.

    It is so whether the reading succeeds or not. Belongs to one loop.

    Args:
        seconds: For so long a reading serves.
        rest: It also serves for so many times as long as it took, so that a costly one does not keep the process busy.
    """

    def __init__(self, seconds: float, rest: float = 0.0) -> None:
        self._seconds = seconds
        self._rest = rest
        self._kept: dict[Hashable, _Kept[Reading]] = {}

    async def get(self, key: Hashable, clock: Clock, read: Callable[[], Coroutine[Any, Any, Reading]]) -> Reading:
        """A reading that is young enough, or a new one. Raises what reading it raised."""
        now = clock.monotonic()
        self._kept = {key: kept for key, kept in self._kept.items() if kept.serves(now, self._seconds, self._rest)}
        if key not in self._kept:
            self._kept[key] = _Kept(clock, read)
        return await asyncio.shield(self._kept[key].task)


class _Kept(Generic[Reading]):
    """One reading: when it began, and how long it took."""

    def __init__(self, clock: Clock, read: Callable[[], Coroutine[Any, Any, Reading]]) -> None:
        self._begun = clock.monotonic()
        self._took = 0.0
        self.task = asyncio.get_running_loop().create_task(read())
        self.task.add_done_callback(lambda done: self._ended(done, clock.monotonic()))

    def serves(self, now: float, seconds: float, rest: float) -> bool:
        """Whether it is under way, or was begun no longer than so many seconds ago."""
        return not self.task.done() or now - self._begun < max(seconds, self._took * rest)

    def _ended(self, done: asyncio.Task[Reading], now: float) -> None:
        self._took = now - self._begun
        if not done.cancelled():
            done.exception()  # nobody may wait for it any more
