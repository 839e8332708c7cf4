"""Live reads of stations that several requests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from controller.nrm.tree import Observed
from controller.ports.clock import Clock

#: Seconds for which a tenant gets the same reading of a station again.
SHARED = 10.0

_Read = Callable[[], Coroutine[Any, Any, Observed]]


class Readings:
    """The latest reading of each station, for each tenant by itself: none learns what another one reads.

    A station is read for one tenant once in so many seconds, whether it answers or not, however often it is asked for.
    Belongs to one loop.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[float, asyncio.Task[Observed]]] = {}

    async def get(self, tenant: str, station: str, clock: Clock, read: _Read) -> Observed:
        """A reading of a station that is young enough, or a new one. Raises what reading it raised."""
        now = clock.monotonic()
        self._kept = {
            key: (at, reading) for key, (at, reading) in self._kept.items() if now - at < SHARED or not reading.done()
        }
        if (tenant, station) not in self._kept:
            reading = asyncio.get_running_loop().create_task(read())
            # Nobody may wait for it any more when it fails.
            reading.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._kept[tenant, station] = now, reading
        return await asyncio.shield(self._kept[tenant, station][1])
