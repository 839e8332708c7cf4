"""Requests without a valid token. They are counted, and the counts go on record now and then.

Whoever finds the port may send as many as they like, so none of them waits for the database or makes it write.
"""

from __future__ import annotations

import asyncio

import structlog
from starlette.concurrency import run_in_threadpool

from controller.models.errors import StoreError
from controller.ports.clock import Clock
from controller.ports.store import Store

log = structlog.get_logger()

#: All of them together, on the audit trail; no user can have a name with a blank.
UNAUTHENTICATED = "an unauthenticated caller"
#: Seconds between two writes at least.
_PAUSE = 10.0


class UnauthenticatedRequests:
    """Counts of one process; a process that is killed takes the last ten seconds with it."""

    def __init__(self) -> None:
        self._count = 0
        self._asked = ""
        self._writing: asyncio.Task[None] | None = None
        self._one = asyncio.Lock()

    def refused(self, asked: str, store: Store, clock: Clock) -> None:
        """Count a request; the first is written at once, others with their number a little later."""
        self._count += 1
        self._asked = asked
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_on(store, clock))

    async def settle(self, store: Store) -> None:
        """Write what was counted, and nothing more."""
        async with self._one:
            if self._writing is not None:
                self._writing.cancel()
        await self._write(store)

    async def _write_on(self, store: Store, clock: Clock) -> None:
        while self._count:
            await self._write(store)
            await clock.sleep(_PAUSE)

    async def _write(self, store: Store) -> None:
        async with self._one:
            count, self._count = self._count, 0
            if not count:
                return
            try:
                await run_in_threadpool(store.audit.deny, UNAUTHENTICATED, "", "", self._asked, count)
            except StoreError as error:
                self._count += count
                log.warning("api.denials_unwritten", count=self._count, reason=error.message)
