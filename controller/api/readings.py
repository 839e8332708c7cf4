"""Readings that requests share: costly answers are worked out once for all who ask meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from controller.ports.clock import Clock

Reading = TypeVar("Reading")


class Readings(Generic[Reading]):
    """The latest reading by key; a key is read only once in so many seconds, however often it is requested.

    This also holds for a reading that fails. An equal reading returns the earlier object, so that callers see at once
    that nothing changed. Belongs to one loop.

    Args:
        seconds: Lifetime of a reading.
        rest: A reading also lives this many times as long as it took, so that a costly one does not keep the process
            busy.
    """

    def __init__(self, seconds: float, rest: float = 0.0) -> None:
        self._seconds = seconds
        self._rest = rest
        self._kept: dict[Hashable, _Kept[Reading]] = {}

    async def get(self, key: Hashable, clock: Clock, read: Callable[[], Coroutine[Any, Any, Reading]]) -> Reading:
        """A young reading, or a new one. Raises the exception of a failed reading."""
        now = clock.monotonic()
        self._kept = {key: kept for key, kept in self._kept.items() if kept.is_young(now, 2)}
        kept = self._kept.get(key)
        if kept is None or not kept.is_young(now):
            kept = self._kept[key] = _Kept(clock, read, self._seconds, self._rest, kept)
        return await asyncio.shield(kept.task)


class _Kept(Generic[Reading]):
    """One reading, with its beginning and duration."""

    def __init__(
        self,
        clock: Clock,
        read: Callable[[], Coroutine[Any, Any, Reading]],
        seconds: float,
        rest: float,
        before: _Kept[Reading] | None,
    ) -> None:
        self._begun = clock.monotonic()
        self._serves = seconds
        self._rest = rest
        self._reading: Reading | None = None
        self.task = asyncio.get_running_loop().create_task(self._read(read, before._reading if before else None))
        self.task.add_done_callback(lambda done: self._ended(done, clock.monotonic()))

    async def _read(self, read: Callable[[], Coroutine[Any, Any, Reading]], before: Reading | None) -> Reading:
        reading = await read()
        self._reading = before if before is not None and before == reading else reading
        return self._reading

    def is_young(self, now: float, times: int = 1) -> bool:
        """Whether the reading is under way, or began within this many lifetimes."""
        return not self.task.done() or now - self._begun < self._serves * times

    def _ended(self, done: asyncio.Task[Reading], now: float) -> None:
        self._serves = max(self._serves, (now - self._begun) * self._rest)
        if not done.cancelled():
            done.exception()  # all waiting callers may have left
