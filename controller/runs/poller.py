"""Waits for changes on record; one query serves all waiters in a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

from controller.ports.clock import Clock
from controller.store import AsyncStore, Store

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Poller(Generic[K, V]):
    """Asks the record every few seconds while somebody waits.

    Args:
        store: The record.
        clock: Clock of the pauses.
        seconds: Seconds between two queries.
        ask: Returns known values by key, without unknown ones.
    """

    def __init__(
        self, store: AsyncStore, clock: Clock, seconds: float, ask: Callable[[Store, Collection[K]], Mapping[K, V]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._ask = ask
        self._waiting: dict[asyncio.Future[V], K] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """The number of waiters."""
        return len(self._waiting)

    async def wait(self, key: K) -> V:
        """Wait until there is a value for ``key``, and return it.

        Raises:
            StoreError: The database is away.
        """
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = key
        if self._task is None:
            self._task = asyncio.create_task(self._poll())
        try:
            return await answer
        finally:
            del self._waiting[answer]
            if not self._waiting and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _poll(self) -> None:
        while True:
            waiting = dict(self._waiting)
            keys = frozenset(waiting.values())
            try:
                known = await self._store.transaction(self._ask, keys)
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait
                for answer in waiting:
                    if not answer.done():
                        answer.set_exception(error)
                known = {}
            for answer, key in waiting.items():
                if key in known and not answer.done():
                    answer.set_result(known[key])
            await self._clock.sleep(self._seconds)
