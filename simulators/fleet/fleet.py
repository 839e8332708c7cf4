"""A fleet: thousands of stations in one process on one asyncio loop, each at an endpoint of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from simulators.clock import Clock, RealClock
from simulators.equipment.equipment import AlarmListener
from simulators.fleet.inventory import Endpoint, RouterEndpoint, TlsEndpoint, minka, routers_csv
from simulators.fleet.persistence import SavedConfigs
from simulators.fleet.transport import Transport
from simulators.history import EventListener
from simulators.host_keys import public_host_key
from simulators.netconf.callhome import Callers, Home
from simulators.netconf.certificates import Authority
from simulators.netconf.limits import MAX_BUFFERED, MAX_PENDING_LOGINS, BufferedInput, PendingLogins
from simulators.netconf.ssh import SshServers
from simulators.netconf.tls import TlsServers
from simulators.network import RouterRecord, SimulatedNetwork, StationRecord, Surroundings
from simulators.routers.factory import Provisioning
from simulators.routers.router import Router, RouterSettings
from simulators.routers.ssh import RouterSshServers
from simulators.ssh import Credentials, Logins
from simulators.station import Station, StationSettings

__all__ = [
    "Endpoint",
    "Fleet",
    "Placement",
    "RouterPlacement",
    "TlsEndpoint",
    "anywhere",
    "as_in",
    "on_port",
    "ports_from",
]

#: Where a station listens: its index within the fleet and its record → address and port, port 0 for any free one.
Placement = Callable[[int, StationRecord], tuple[str, int]]
#: The same for routers.
RouterPlacement = Callable[[int, RouterRecord], tuple[str, int]]


def anywhere(_index: int, _record: StationRecord | RouterRecord) -> tuple[str, int]:
    """A free port of 127.0.0.1."""
    return "127.0.0.1", 0


def ports_from(address: str, base: int) -> Callable[[int, object], tuple[str, int]]:
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
    """Stations of a network, and its routers if wanted, running while the context is open.

        async with Fleet(network) as fleet:
            endpoint = fleet.endpoint("PE-CUS-0042")

    Args:
        settings: What some stations can't do, by id; ``default_settings`` hold for the others.
        seed: Makes the host keys; the network's id unless told otherwise.
        only: Ids of the stations to start; none given means all.
        tls: Where stations listen for TLS beside SSH; none given means nowhere.
        homes: Controllers that all stations call.
        pending_logins: Connections without a log-in that are kept; the oldest makes room for the next.
        buffered_input: Bytes of unhandled messages that are kept; the session with most makes room.
        routers: What the routers of the network come with; none given means that the fleet has no
            routers, and core links depend on the stations and the backhaul alone.
        router_placement: Where routers listen.
        router_settings: How the routers are set up.
        keep: Folder in which configurations outlive the fleet; none given means that they end with it.

    Attributes:
        transport: Routers, backhaul, and who can be reached.

    Raises:
        ValueError: the network lacks a station named in ``settings`` or ``only``, or what was kept does not fit one.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        *,
        clock: Clock | None = None,
        credentials: Credentials | None = None,
        placement: Placement = anywhere,
        settings: Mapping[str, StationSettings] | None = None,
        default_settings: StationSettings | None = None,
        seed: str | None = None,
        only: Iterable[str] | None = None,
        tls: Placement | None = None,
        homes: Sequence[Home] = (),
        pending_logins: int = MAX_PENDING_LOGINS,
        buffered_input: int = MAX_BUFFERED,
        routers: Provisioning | None = None,
        router_placement: RouterPlacement = anywhere,
        router_settings: RouterSettings | None = None,
        keep: Path | None = None,
    ) -> None:
        self.clock = clock or RealClock()
        wanted = None if only is None else frozenset(only)
        unknown = {*(wanted or ()), *(settings or {})} - {record.id for record in network.stations}
        if unknown:
            raise ValueError(f"network {network.id} has no station {', '.join(sorted(unknown))}")
        #: With the place of each in the whole network, so that parts of a fleet don't get in each other's way.
        self._records = [
            (index, record) for index, record in enumerate(network.stations) if wanted is None or record.id in wanted
        ]
        self._placement = placement
        self._tls_placement = tls
        self.pending_logins = PendingLogins(pending_logins)
        credentials = credentials or Credentials()
        self.buffered_input = BufferedInput(buffered_input)
        logins = Logins(seed or network.id, credentials)
        self._seed = logins.seed
        self._ssh = SshServers(logins, self.pending_logins, self.buffered_input)
        self._tls = TlsServers(logins, self.pending_logins, self.buffered_input)
        self.transport = Transport(
            network, self.clock, seed=seed or network.id, routers=routers, settings=router_settings
        )
        self._router_placement = router_placement
        self._router_ssh = RouterSshServers(logins)
        self._callers = [Callers(home, self._ssh, self.transport.lines) for home in homes]
        default = default_settings or StationSettings()
        around = Surroundings.of(network, seed, self.transport)
        self.stations: dict[str, Station] = {
            record.id: Station(record, network.cores, self.clock, (settings or {}).get(record.id, default), around)
            for _, record in self._records
        }
        self.transport.hang(self.stations)
        self._keeper = (
            None
            if keep is None
            else SavedConfigs(keep / network.id, [*self.stations.values(), *self.transport.routers.values()])
        )
        self._servers: list[asyncio.Server] = []
        self._addresses: dict[str, tuple[str, int]] = {}
        self._router_addresses: dict[str, tuple[str, int]] = {}
        self._tls_addresses: dict[str, tuple[str, int]] = {}

    async def __aenter__(self) -> Fleet:
        try:
            if self._keeper is not None:
                self._keeper.start()
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
            factory = partial(self._ssh.protocol, station.server)
            self._addresses[record.id] = await self._serve(record.id, factory, address, port)
            if self._tls_placement is not None:
                address, port = self._tls_placement(index, record)
                secure = partial(self._tls.protocol, station.server, address)
                self._tls_addresses[record.id] = await self._serve(record.id, secure, address, port)
        for index, router in enumerate(self.routers.values()):
            address, port = self._router_placement(index, router.record)
            shell = partial(self._router_ssh.protocol, router)
            self._router_addresses[router.id] = await self._serve(router.id, shell, address, port)
        for callers in self._callers:
            callers.start((self.stations[id_].server, address) for id_, (address, _) in self._addresses.items())

    async def _serve(
        self, device: str, make: Callable[[], asyncio.Protocol], address: str, port: int
    ) -> tuple[str, int]:
        accept = partial(self.transport.lines[device].accept, make)
        server = await asyncio.get_running_loop().create_server(accept, address, port, backlog=16)
        self._servers.append(server)
        bound: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return bound

    async def _close(self) -> None:
        for callers in self._callers:
            await callers.close()
        for server in self._servers:
            server.close()
        for station in self.stations.values():
            station.server.drop_sessions()
        for router in self.routers.values():
            router.close()
        self.transport.close()
        self._servers.clear()
        if self._keeper is not None:
            await self._keeper.close()

    @property
    def routers(self) -> Mapping[str, Router]:
        """The routers by id; none if the fleet runs without."""
        return self.transport.routers

    def listen(self, events: EventListener | None = None, alarms: AlarmListener | None = None) -> None:
        """Give listeners all events, or all alarms, of all stations from now on."""
        for station in self.stations.values():
            if events is not None:
                station.history.listeners = (*station.history.listeners, events)
            if alarms is not None:
                station.equipment.listeners = (*station.equipment.listeners, alarms)

    def endpoint(self, station: str) -> Endpoint:
        """Where a station listens.

        Raises:
            KeyError: no such station, or the fleet does not run.
        """
        return Endpoint(station, *self._addresses[station], public_host_key(self._seed, station))

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
        return self._tls.authority

    def endpoints(self) -> list[Endpoint]:
        """All endpoints, in order of station id."""
        return [self.endpoint(station) for station in self._addresses]

    def tls_endpoints(self) -> list[TlsEndpoint]:
        """All endpoints over TLS, in order of station id; none without TLS."""
        return [self.tls_endpoint(station) for station in self._tls_addresses]

    def router_endpoint(self, router: str) -> RouterEndpoint:
        """Where a router listens.

        Raises:
            KeyError: no such router, or the fleet does not run, or without routers.
        """
        record = self.routers[router].record
        address, port = self._router_addresses[router]
        host_key = public_host_key(self._seed, router)
        return RouterEndpoint(router, record.site, address, port, record.platform, host_key)

    def write_routers(self, path: Path) -> None:
        """Write ``routers.csv`` for a controller."""
        path.write_text(routers_csv(map(self.router_endpoint, self.routers)), encoding="utf-8", newline="")

    def write_endpoints(self, path: Path) -> None:
        """Write ``endpoints.csv`` for a controller."""
        path.write_text(minka(self.endpoints()), encoding="utf-8", newline="")
