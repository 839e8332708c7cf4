"""Limits how many sessions are opened at once to what this machine and the stations can handle.

A handshake takes CPU time on both sides. If too many run at once, all are slow and time out together.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controller.ports.clock import Clock

#: Handshakes at once: the first and lowest limit, and the highest. A station that accepts a connection and then sends
#: nothing holds its place until the time-out, so the lowest limit leaves room for many of these.
_LEAST, _MOST = 32, 400
#: Seconds within which TCP usually connects. A station that takes longer is far away or down, and costs no CPU time.
_SOON = 1.0


class Pace:
    """Turns for opening sessions, in the order of arrival.

    After a fast handshake the limit rises by one. After a slow one it falls to the number of handshakes that were made
    within the last ``slow`` seconds, since so many can be made in that time.

    Args:
        clock: Measures the handshakes.
        slow: Seconds beyond which a handshake counts as slow: too many are under way.
    """

    def __init__(self, clock: Clock, slow: float) -> None:
        self._clock = clock
        self._slow = slow
        self._limit = _LEAST
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        #: Times of the latest handshakes.
        self._made: deque[float] = deque()

    @property
    def limit(self) -> int:
        """How many sessions may be opened at once."""
        return self._limit

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it during the block."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    async def reach(self, address: str, port: int) -> socket.socket:
        """Within a turn, connect TCP to an IP address; a slow connection gives the turn back while it waits.

        Raises OSError.
        """
        reaching = asyncio.create_task(_reach(address, port))
        try:
            await asyncio.wait({reaching}, timeout=_SOON)
            if not reaching.done():
                self._leave()
                try:
                    await asyncio.wait({reaching})
                finally:
                    self._under_way += 1
            return await reaching
        finally:
            reaching.cancel()

    @asynccontextmanager
    async def handshake(self) -> AsyncIterator[None]:
        """Within a turn, measure the handshake in the block, and adjust the limit."""
        began = self._clock.monotonic()
        try:
            yield
        except TimeoutError:
            self._learn(slow=True)
            raise
        now = self._clock.monotonic()
        self._made.append(now)
        self._learn(slow=now - began > self._slow)

    async def _enter(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        self._under_way -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._under_way < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._under_way += 1
                place.set_result(None)

    def _learn(self, *, slow: bool) -> None:
        since = self._clock.monotonic() - self._slow
        while self._made and self._made[0] < since:
            self._made.popleft()
        self._limit = max(_LEAST, min(self._limit, len(self._made))) if slow else min(_MOST, self._limit + 1)


async def _reach(address: str, port: int) -> socket.socket:
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection
