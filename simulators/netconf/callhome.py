"""Call home (RFC 8071): stations connect to a controller, and are SSH servers on that connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from simulators.netconf.ssh import Gate
from simulators.station import Station

#: Seconds between the end of a connection, or a vain attempt, and the next (O-RAN's re-call-home timer).
AGAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Home:
    """Where stations call, and after how many simulated seconds again."""

    address: str
    port: int = 4334
    again_seconds: float = AGAIN_SECONDS


class Callers:
    """Stations that call home, each over and over."""

    def __init__(self, home: Home, gate: Gate) -> None:
        self._home = home
        self._gate = gate
        self._calls: list[asyncio.Task[None]] = []

    def start(self, stations: Iterable[tuple[Station, str]]) -> None:
        """Let all of them call at once, each from its own address."""
        loop = asyncio.get_running_loop()
        self._calls += [loop.create_task(self._keep_calling(station, source)) for station, source in stations]

    async def close(self) -> None:
        """Call no more."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._calls.clear()

    async def _keep_calling(self, station: Station, source: str) -> None:
        while True:
            await self._call(station, source)
            await station.clock.sleep(self._home.again_seconds)

    async def _call(self, station: Station, source: str) -> None:
        """One connection from its beginning to its end."""
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: self._gate.calling(station), self._home.address, self._home.port, local_addr=(source, 0)
            )
        except OSError:  # nobody listens there: try again later
            return
        try:
            await connection.wait_closed()
        finally:
            connection.abort()
