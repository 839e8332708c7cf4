"""Call home (RFC 8071): stations connect to a controller, and are SSH servers on that connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import asyncssh

from simulators.connections import Lines
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

    def __init__(self, home: Home, gate: Gate, lines: Mapping[str, Lines]) -> None:
        self._home = home
        self._lines = lines
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
            if not station.life.down:
                await self._call(station, source)
            await station.clock.sleep(self._home.again_seconds)

    async def _call(self, station: Station, source: str) -> None:
        """One connection from its beginning to its end."""
        lines = self._lines[station.id]
        if lines.outage is not None:
            return
        made: list[asyncssh.SSHServerConnection] = []

        def make() -> asyncssh.SSHServerConnection:
            made.append(self._gate.calling(station))
            return made[0]

        try:
            await asyncio.get_running_loop().create_connection(
                lambda: lines.accept(make), self._home.address, self._home.port, local_addr=(source, 0)
            )
        except OSError:  # nobody listens there: try again later
            return
        for connection in made:
            try:
                await connection.wait_closed()
            finally:
                connection.abort()
