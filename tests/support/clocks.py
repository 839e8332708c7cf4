"""One time for controller and simulated stations."""

from __future__ import annotations

import asyncio
from datetime import datetime

from simulators.clock import VirtualClock

#: Turns of the loop that carry the effects of a step of time over its sockets.
_MOMENTS = 20


class BridgedClock:
    """The controller's Clock on the stations' virtual time: a sleep of the controller moves time on for all.

    Made for one task of the controller that sleeps at a time; every timer of the stations that falls due on
    the way runs, in order.
    """

    def __init__(self, stations: VirtualClock) -> None:
        self._stations = stations

    def now(self) -> datetime:
        """Virtual time of day, UTC."""
        return self._stations.now()

    def monotonic(self) -> float:
        """Virtual seconds since the start."""
        return self._stations.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Move time on by ``seconds``."""
        self.pause(seconds)
        for _ in range(_MOMENTS):
            await asyncio.sleep(0)

    def pause(self, seconds: float) -> None:
        """Move time on by ``seconds`` at once."""
        self._stations.advance(max(seconds, 0.0))
