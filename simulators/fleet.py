"""A fleet: thousands of stations in one process on one asyncio loop, each at an endpoint of its own."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from simulators.clock import Clock, RealClock
from simulators.netconf.ssh import Credentials, Gate, public_host_key
from simulators.network import SimulatedNetwork, StationRecord
from simulators.station import Quirks, Station


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a station of the fleet listens, and the host key it shows there."""

    station: str
    address: str
    port: int
    host_key: str


#: Where a station listens: its index within the fleet and its record → address and port, port 0 for any free one.
Placement = Callable[[int, StationRecord], tuple[str, int]]


def anywhere(_index: int, _record: StationRecord) -> tuple[str, int]:
    """A free port of 127.0.0.1."""
    return "127.0.0.1", 0


def ports_from(address: str, base: int) -> Placement:
    """Consecutive ports of one address."""
    return lambda index, _record: (address, base + index)


def as_in(network: SimulatedNetwork) -> Placement:
    """The endpoints that the network files name; a station without one gets a free port of 127.0.0.1."""

    def place(index: int, record: StationRecord) -> tuple[str, int]:
        endpoint = network.endpoints.get(record.id)
        return anywhere(index, record) if endpoint is None else (endpoint.address, endpoint.port)

    return place


class Fleet:
    """Stations of a network, running while the context is open.

        async with Fleet(network) as fleet:
            endpoint = fleet.endpoint("PE-CUS-0042")

    Args:
        quirks: What some stations can't do, by id; ``default_quirks`` hold for the others.
        seed: Makes the host keys; the network's id unless told otherwise.
        only: Ids of the stations to start; none given means all.

    Raises:
        ValueError: a station named in ``quirks`` or ``only`` is not in the network.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        *,
        clock: Clock | None = None,
        credentials: Credentials | None = None,
        placement: Placement = anywhere,
        quirks: Mapping[str, Quirks] | None = None,
        default_quirks: Quirks | None = None,
        seed: str | None = None,
        only: Iterable[str] | None = None,
    ) -> None:
        self.clock = clock or RealClock()
        wanted = None if only is None else frozenset(only)
        unknown = {*(wanted or ()), *(quirks or {})} - {record.id for record in network.stations}
        if unknown:
            raise ValueError(f"network {network.id} has no station {', '.join(sorted(unknown))}")
        self._records = [record for record in network.stations if wanted is None or record.id in wanted]
        self._placement = placement
        self._gate = Gate(seed or network.id, credentials or Credentials())
        default = default_quirks or Quirks()
        self.stations: dict[str, Station] = {
            record.id: Station(record, network.cores, self.clock, (quirks or {}).get(record.id, default))
            for record in self._records
        }
        self._servers: list[asyncio.Server] = []
        self._addresses: dict[str, tuple[str, int]] = {}

    async def __aenter__(self) -> Fleet:
        try:
            await self._listen()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for index, record in enumerate(self._records):
            address, port = self._placement(index, record)
            factory = partial(self._gate.protocol, self.stations[record.id])
            server = await loop.create_server(factory, address, port, backlog=16)
            self._servers.append(server)
            self._addresses[record.id] = server.sockets[0].getsockname()[:2]

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for station in self.stations.values():
            for session in list(station.sessions.values()):
                session.drop()
        self._servers.clear()

    def endpoint(self, station: str) -> Endpoint:
        """Where a station listens.

        Raises:
            KeyError: no such station, or the fleet does not run.
        """
        return Endpoint(station, *self._addresses[station], public_host_key(self._gate.seed, station))

    def endpoints(self) -> list[Endpoint]:
        """All endpoints, in order of station id."""
        return [self.endpoint(station) for station in self._addresses]

    def write_endpoints(self, path: Path) -> None:
        """Write ``endpoints.csv`` for a controller."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["station", "address", "port", "host_key"])
            for endpoint in self.endpoints():
                writer.writerow([endpoint.station, endpoint.address, endpoint.port, endpoint.host_key])
