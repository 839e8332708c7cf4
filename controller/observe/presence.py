"""Heartbeats: each process shows on record that it runs and that its rounds succeed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress

import structlog

from controller.models.errors import LeaseLostError, StoreError
from controller.models.metrics import Figures, Observations
from controller.models.process import ProcessRole
from controller.observe.rounds import repeat
from controller.ports.clock import Clock
from controller.store import AsyncStore

log = structlog.get_logger()

#: Seconds between two heartbeats.
_HEARTBEAT = 1.5


class Presence:
    """Heartbeats of a process that holds no leases (a worker's are part of its loop).

    Args:
        instance: Name of the process among those of its role.
        sessions: Number of open sessions to devices, for the figures.
        late: Names of rounds that have not succeeded for too long.
        observations: Measurements of the process's own work.
    """

    def __init__(
        self,
        store: AsyncStore,
        role: ProcessRole,
        instance: str,
        *,
        sessions: Callable[[], int],
        late: Callable[[], Collection[str]] = tuple,
        observations: Observations | None = None,
    ) -> None:
        self._store = store
        self._role = role
        self._instance = instance
        self._sessions = sessions
        self._late = late
        self._observations = observations or Observations()
        self._incarnation = ""

    def states(self) -> dict[str, Figures]:
        """States of the process now, with the labels that metrics have: its heartbeats put them on record."""
        own = self._role.value, self._instance
        return {
            metric: {(*own, *labels): value for labels, value in figures.items()}
            for metric, figures in self._observations.states.items()
        }

    async def beat(self) -> None:
        """Show once that the process lives.

        Raises:
            LeaseLostError: The process was declared dead while it could not reach the database; the next beat registers
            it again.
            StoreError: The database is away.
        """
        if not self._incarnation:
            self._incarnation = await self._store.processes.register(self._instance, self._role)
        try:
            late, observed = ", ".join(self._late()), self._observations.encoded()
            await self._store.processes.heartbeat(self._incarnation, self._sessions(), late, observed)
        except LeaseLostError:
            self._incarnation = ""
            self._observations.begin_anew()
            raise

    async def end(self) -> None:
        """Note that the process ends in good order, if the database is there."""
        if self._incarnation:
            with suppress(StoreError):
                await self._store.processes.end(self._incarnation)

    @asynccontextmanager
    async def shown(self, clock: Clock) -> AsyncIterator[None]:
        """Beat for as long as the block runs."""
        beating = asyncio.create_task(repeat("heartbeat", self.beat, clock, _HEARTBEAT))
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await self.end()
