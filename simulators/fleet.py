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
from simulators.netconf.callhome import Callers, Home
from simulators.netconf.certificates import Authority
from simulators.netconf.ssh import Credentials, Gate, public_host_key
from simulators.netconf.strangers import MOST, Strangers
from simulators.netconf.tls import TlsGate
from simulators.network import SimulatedNetwork, StationRecord
from simulators.station import Observer, Quirks, Station
from simulators.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a station of the fleet listens, and the host key it shows there."""

    station: str
    address: str
    port: int
    host_key: str


@dataclass(frozen=True, slots=True)
class TlsEndpoint:
    """Where a station of the fleet listens for TLS, and the fingerprint of the certificate it shows there."""

    station: str
    address: str
    port: int
    certificate: str


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


def on_port(placement: Placement, port: int) -> Placement:
    """Another port of the addresses of a placement."""
    return lambda index, record: (placement(index, record)[0], port)


class Fleet:
    """Stations of a network, running while the context is open.

        async with Fleet(network) as fleet:
            endpoint = fleet.endpoint("PE-CUS-0042")

    Args:
        quirks: What some stations can't do, by id; ``default_quirks`` hold for the others.
        seed: Makes the host keys; the network's id unless told otherwise.
        only: Ids of the stations to start; none given means all.
        tls: Where stations listen for TLS beside SSH; none given means nowhere.
        home: The controller that all stations call.
        strangers: Connections without a log-in that are kept; the oldest makes room for the next.

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
        tls: Placement | None = None,
        home: Home | None = None,
        strangers: int = MOST,
    ) -> None:
        self.clock = clock or RealClock()
        wanted = None if only is None else frozenset(only)
        unknown = {*(wanted or ()), *(quirks or {})} - {record.id for record in network.stations}
        if unknown:
            raise ValueError(f"network {network.id} has no station {', '.join(sorted(unknown))}")
        #: With the place of each in the whole network, so that parts of a fleet don't get in each other's way.
        self._records = [
            (index, record) for index, record in enumerate(network.stations) if wanted is None or record.id in wanted
        ]
        self._placement = placement
        self._tls_placement = tls
        self.strangers = Strangers(strangers)
        credentials = credentials or Credentials()
        self._gate = Gate(seed or network.id, credentials, self.strangers)
        self._tls_gate = TlsGate(seed or network.id, credentials, self.strangers)
        self._home = home
        self._callers = Callers(home, self._gate) if home else None
        default = default_quirks or Quirks()
        around = Surroundings.of(network, seed)
        self.stations: dict[str, Station] = {
            record.id: Station(record, network.cores, self.clock, (quirks or {}).get(record.id, default), around)
            for _, record in self._records
        }
        self._servers: list[asyncio.Server] = []
        self._addresses: dict[str, tuple[str, int]] = {}
        self._tls_addresses: dict[str, tuple[str, int]] = {}

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
        for index, record in self._records:
            station = self.stations[record.id]
            address, port = self._placement(index, record)
            factory = partial(self._gate.protocol, station)
            self._addresses[record.id] = await self._serve(factory, address, port)
            if self._tls_placement is not None:
                address, port = self._tls_placement(index, record)
                secure = partial(self._tls_gate.protocol, station, address)
                self._tls_addresses[record.id] = await self._serve(secure, address, port)
        if self._callers is not None:
            self._callers.start((self.stations[id_], address) for id_, (address, _) in self._addresses.items())

    async def _serve(self, factory: Callable[[], asyncio.Protocol], address: str, port: int) -> tuple[str, int]:
        server = await asyncio.get_running_loop().create_server(factory, address, port, backlog=16)
        self._servers.append(server)
        bound: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return bound

    async def _close(self) -> None:
        if self._callers is not None:
            await self._callers.close()
        for server in self._servers:
            server.close()
        for station in self.stations.values():
            for session in list(station.sessions.values()):
                session.drop()
        self._servers.clear()

    def watch(self, observer: Observer) -> None:
        """Tell an observer all that happens on all stations from now on."""
        for station in self.stations.values():
            station.observers = (*station.observers, observer)

    def endpoint(self, station: str) -> Endpoint:
        """Where a station listens.

        Raises:
            KeyError: no such station, or the fleet does not run.
        """
        return Endpoint(station, *self._addresses[station], public_host_key(self._gate.seed, station))

    def tls_endpoint(self, station: str) -> TlsEndpoint:
        """Where a station listens for TLS.

        Raises:
            KeyError: no such station, or the fleet does not run, or not with TLS.
        """
        address, port = self._tls_addresses[station]
        return TlsEndpoint(station, address, port, self.authority.fingerprint(station, address))

    @property
    def authority(self) -> Authority:
        """Who signs the certificates of stations and clients."""
        return self._tls_gate.authority

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
