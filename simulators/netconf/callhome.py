"""Call home (RFC 8071): stations connect to a controller, and are SSH or TLS servers on that connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from simulators.connections import Connections
from simulators.netconf.server import Server

#: Seconds from the end of a connection or a failed attempt to the next (O-RAN's re-call-home timer).
AGAIN_SECONDS = 60.0


class Call(Protocol):
    """The protocol of a connection that a station opened."""

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        ...

    def abort(self) -> None:
        """End the connection."""
        ...


class Serving(Protocol):
    """Servers of one transport, on connections that their stations opened."""

    def calling(self, server: Server, source: str) -> Any:
        """A ``Call``: the protocol of a connection that a station opens from an address."""
        ...


@dataclass(frozen=True, slots=True)
class Home:
    """The address that stations call, the simulated seconds until they call again, and whether over TLS."""

    address: str
    port: int = 4334
    again_seconds: float = AGAIN_SECONDS
    tls: bool = False


class Callers:
    """Stations that call home repeatedly."""

    def __init__(self, home: Home, servers: Serving, connections: Mapping[str, Connections]) -> None:
        self._home = home
        self._connections = connections
        self._servers = servers
        self._calls: list[asyncio.Task[None]] = []

    def start(self, servers: Iterable[tuple[Server, str]]) -> None:
        """Let all stations call at once, each from its own address."""
        loop = asyncio.get_running_loop()
        self._calls += [loop.create_task(self._keep_calling(server, source)) for server, source in servers]

    async def close(self) -> None:
        """Stop calling."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._calls.clear()

    async def _keep_calling(self, server: Server, source: str) -> None:
        while True:
            if not server.equipment.down:
                await self._call(server, source)
            await server.clock.sleep(self._home.again_seconds)

    async def _call(self, server: Server, source: str) -> None:
        """One connection from its beginning to its end."""
        connections = self._connections[server.device.id]
        if connections.outage is not None:
            return
        made: list[Call] = []

        def make() -> Any:
            made.append(self._servers.calling(server, source))
            return made[0]

        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connections.accept(make), self._home.address, self._home.port, local_addr=(source, 0)
            )
        except OSError:  # nobody listens there: try again later
            return
        for connection in made:
            try:
                await connection.wait_closed()
            finally:
                connection.abort()
