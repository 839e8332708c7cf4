"""A fleet: thousands of stations in one process on one asyncio loop, each with its own endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType

from simulators.clock import Clock, RealClock
from simulators.cloud.behaviour.images import Registry
from simulators.cloud.behaviour.pool import Pool
from simulators.cloud.ims.service import PREFIX, Ims
from simulators.cloud.server.listener import Tls, listen
from simulators.equipment.equipment import AlarmListener
from simulators.fleet.central_units import connect
from simulators.fleet.functions import Functions
from simulators.fleet.inventory import Endpoint, PoolEndpoint, RouterEndpoint, TlsEndpoint, minka, routers_csv
from simulators.fleet.persistence import SavedConfigs
from simulators.fleet.push import AlarmPush, FilesReady, Push, Shape
from simulators.fleet.scenario import read_scenario
from simulators.fleet.transport import Transport
from simulators.history import EventListener, json_lines
from simulators.host_keys import public_host_key
from simulators.netconf.callhome import Callers, Home
from simulators.netconf.certificates import Authority
from simulators.netconf.limits import MAX_BUFFERED, MAX_PENDING_LOGINS, BufferedInput, PendingLogins
from simulators.netconf.sftp import FOLDER
from simulators.netconf.ssh import SshServers
from simulators.netconf.tls import TlsServers
from simulators.network import PoolRecord, RouterRecord, SimulatedNetwork, StationRecord, Surroundings
from simulators.routers.factory import Provisioning
from simulators.routers.router import Router, RouterSettings
from simulators.routers.ssh import RouterSshServers
from simulators.ssh import Credentials, Logins
from simulators.station import Station, StationSettings

#: Gives the address and port of a station by its index within the fleet and its record; port 0 for any free one.
Placement = Callable[[int, StationRecord], tuple[str, int]]
#: The same for routers, and for pools.
RouterPlacement = Callable[[int, RouterRecord], tuple[str, int]]
PoolPlacement = Callable[[int, PoolRecord], tuple[str, int]]


def anywhere(_index: int, _record: StationRecord | RouterRecord | PoolRecord) -> tuple[str, int]:
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


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """The settings of a fleet.

    Attributes:
        seed: Seed of host keys, certificates and random events; None means the network's id.
        only: Ids of the stations to start; None means all.
        stations: How stations are set up, but for those in ``by_station``, by id.
        credentials: Who may log in.
        placement: Where stations listen.
        tls: Where stations listen for TLS beside SSH; None means nowhere.
        homes: Controllers that all stations call.
        max_pending_logins: Most connections without a login; a further one replaces the oldest.
        max_buffered: Most bytes of unhandled messages; beyond it the session with most is dropped.
        routers: Factory configuration of the routers; None means that the fleet has no routers, and core links
            depend on the stations and the backhaul alone.
        router_placement: Where routers listen.
        router: How routers are set up.
        keep: Folder in which configurations outlive the fleet; None to forget them.
        scenario: File of a scenario that is played once all listen.
        history: File for all events from then on, as lines of JSON.
        receivers: URLs that get the alarms from then on, each in a format.
        file_ready: URL to which measurement files are announced from then on.
        pools: Whether the pools of the network run; without them stations made of functions are like physical ones.
        pool_placement: Where the APIs of pools listen.
        pool_token: Bearer token of the user ``minka``, who may do everything there.
    """

    seed: str | None = None
    only: Collection[str] | None = None
    stations: StationSettings = field(default_factory=StationSettings)
    by_station: Mapping[str, StationSettings] = field(default_factory=lambda: MappingProxyType({}))
    credentials: Credentials = field(default_factory=Credentials)
    placement: Placement = anywhere
    tls: Placement | None = None
    homes: Sequence[Home] = ()
    max_pending_logins: int = MAX_PENDING_LOGINS
    max_buffered: int = MAX_BUFFERED
    routers: Provisioning | None = None
    router_placement: RouterPlacement = anywhere
    router: RouterSettings = field(default_factory=RouterSettings)
    keep: Path | None = None
    scenario: Path | None = None
    history: Path | None = None
    receivers: Mapping[str, Shape] = field(default_factory=lambda: MappingProxyType({}))
    file_ready: str | None = None
    pools: bool = True
    pool_placement: PoolPlacement = anywhere
    pool_token: str = "minka-sim"  # noqa: S105 (the simulators' well-known one)


class Fleet:
    """Stations of a network, and its routers if wanted, running while the context is open.

        async with Fleet(network) as fleet:
            endpoint = fleet.endpoint("PE-CUS-0042")

    Outside of the context nobody can connect; only time changes it.

    Attributes:
        transport: Routers, backhaul, and who can be reached.
        pools: The pools by id.

    Raises:
        ValueError: the network lacks a station that the settings name, or what was kept does not fit one.
        ScenarioError: the scenario can't be played.
    """

    def __init__(
        self, network: SimulatedNetwork, settings: FleetSettings | None = None, clock: Clock | None = None
    ) -> None:
        self._settings = settings = settings or FleetSettings()
        self.clock = clock or RealClock()
        wanted = None if settings.only is None else frozenset(settings.only)
        unknown = {*(wanted or ()), *settings.by_station} - {record.id for record in network.stations}
        if unknown:
            raise ValueError(f"network {network.id} has no station {', '.join(sorted(unknown))}")
        self._scenario = None if settings.scenario is None else read_scenario(settings.scenario, network, settings.seed)
        #: Stations with their index in the whole network, so that parts of a fleet don't use the same addresses.
        self._records = [
            (index, record) for index, record in enumerate(network.stations) if wanted is None or record.id in wanted
        ]
        self.seed = settings.seed or network.id
        self.pending_logins = PendingLogins(settings.max_pending_logins)
        self.buffered_input = BufferedInput(settings.max_buffered)
        logins = Logins(self.seed, settings.credentials)
        self._ssh = SshServers(logins, self.pending_logins, self.buffered_input)
        self._tls = TlsServers(logins, self.pending_logins, self.buffered_input)
        self._router_ssh = RouterSshServers(logins)
        self.transport = Transport(
            network, self.clock, seed=self.seed, routers=settings.routers, settings=settings.router
        )
        self._callers = [
            Callers(home, self._tls if home.tls else self._ssh, self.transport.connections) for home in settings.homes
        ]
        around = Surroundings.of(network, settings.seed, self.transport)
        self.stations: dict[str, Station] = {
            record.id: Station(
                record, network.cores, self.clock, settings.by_station.get(record.id, settings.stations), around
            )
            for _, record in self._records
        }
        self.transport.attach(self.stations)
        connect(network, self.stations, self.transport)
        self.pools = self._make_pools(network) if settings.pools else {}
        self._saved = (
            None
            if settings.keep is None
            else SavedConfigs(
                settings.keep / network.id, [*self.stations.values(), *self.routers.values(), *self.pools.values()]
            )
        )
        self._stack = AsyncExitStack()
        self._servers: list[asyncio.Server] = []
        self._addresses: dict[str, tuple[str, int]] = {}
        self._router_addresses: dict[str, tuple[str, int]] = {}
        self._tls_addresses: dict[str, tuple[str, int]] = {}
        self._pool_addresses: dict[str, tuple[str, int]] = {}

    def _make_pools(self, network: SimulatedNetwork) -> dict[str, Pool]:
        registry = Registry(network.packages.values())
        functions = Functions(network, registry, self.transport, self.stations)
        authority = self.authority.certificate if network.pools else ""
        pools = [
            Pool(record, registry, self.clock, self.seed, functions, authority=authority) for record in network.pools
        ]
        for pool in pools:
            pool.admit_user(self._settings.credentials.username, self._settings.pool_token)
            pool.cluster.services[PREFIX] = Ims(pool).answer
        return {pool.id: pool for pool in pools}

    async def __aenter__(self) -> Fleet:
        try:
            if self._saved is not None:
                self._saved.start()
            await self._listen()
            await self._report()
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
            address, port = self._settings.placement(index, record)
            factory = partial(self._ssh.protocol, station.server)
            self._addresses[record.id] = await self._serve(record.id, factory, address, port)
            if self._settings.tls is not None:
                address, port = self._settings.tls(index, record)
                secure = partial(self._tls.protocol, station.server, address)
                self._tls_addresses[record.id] = await self._serve(record.id, secure, address, port)
        for index, router in enumerate(self.routers.values()):
            address, port = self._settings.router_placement(index, router.record)
            shell = partial(self._router_ssh.protocol, router)
            self._router_addresses[router.id] = await self._serve(router.id, shell, address, port)
        for index, pool in enumerate(self.pools.values()):
            address, port = self._settings.pool_placement(index, pool.record)
            certificate = Tls.of_authority(self.authority, pool.id, address)
            way = self.transport.connections[pool.id]
            api = listen(pool.cluster, address, port, certificate, way, pool.api_faults)
            self._pool_addresses[pool.id] = await self._stack.enter_async_context(api)
        for callers in self._callers:
            callers.start((self.stations[id_].server, address) for id_, (address, _) in self._addresses.items())

    async def _report(self) -> None:
        """Write the history, push alarms, announce files, and play the scenario."""
        settings = self._settings
        if settings.history is not None:
            sink = self._stack.enter_context(settings.history.open("w", encoding="utf-8", buffering=1))
            self.listen(events=json_lines(sink))
        for url, shape in settings.receivers.items():
            push = AlarmPush(url, shape, self.clock)
            await self._stack.enter_async_context(push.running())
            self.listen(alarms=push.add)
        if settings.file_ready is not None:
            announcements = Push(settings.file_ready, self.clock)
            await self._stack.enter_async_context(announcements.running())
            ready = FilesReady(announcements, self.clock, list(self.stations.values()), self._folder)
            self._stack.callback(ready.stop)
            ready.poll()
        if self._scenario is not None:
            self._scenario.play(self)

    def _folder(self, station: str) -> str | None:
        """URL of a station's measurement files; None while the station is unreachable."""
        if self.transport.connections[station].outage is not None:
            return None
        address, port = self._addresses[station]
        host = f"[{address}]" if ":" in address else address
        return f"sftp://{host}:{port}{FOLDER.decode()}"

    async def _serve(
        self, device: str, make: Callable[[], asyncio.Protocol], address: str, port: int
    ) -> tuple[str, int]:
        accept = partial(self.transport.connections[device].accept, make)
        server = await asyncio.get_running_loop().create_server(accept, address, port, backlog=16)
        self._servers.append(server)
        bound: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return bound

    async def _close(self) -> None:
        await self._stack.aclose()
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
        if self._saved is not None:
            await self._saved.close()

    @property
    def routers(self) -> Mapping[str, Router]:
        """The routers by id; none if the fleet runs without."""
        return self.transport.routers

    def listen(self, events: EventListener | None = None, alarms: AlarmListener | None = None) -> None:
        """Add listeners for all events of all stations and pools, or for all alarms."""
        for station in self.stations.values():
            if events is not None:
                station.history.listeners = (*station.history.listeners, events)
            if alarms is not None:
                station.equipment.listeners = (*station.equipment.listeners, alarms)
        for pool in self.pools.values():
            if events is not None:
                pool.history.listeners = (*pool.history.listeners, events)

    def endpoint(self, station: str) -> Endpoint:
        """Where a station listens.

        Raises:
            KeyError: no such station, or the fleet does not run.
        """
        return Endpoint(station, *self._addresses[station], public_host_key(self.seed, station))

    def tls_endpoint(self, station: str) -> TlsEndpoint:
        """Where a station listens for TLS.

        Raises:
            KeyError: no such station, or the fleet does not run, or not with TLS.
        """
        address, port = self._tls_addresses[station]
        return TlsEndpoint(station, address, port, self.authority.fingerprint(station, address))

    @property
    def authority(self) -> Authority:
        """The authority that signs the certificates of stations and clients."""
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
        host_key = public_host_key(self.seed, router)
        return RouterEndpoint(router, record.site, address, port, record.platform, host_key)

    def pool_endpoint(self, pool: str) -> PoolEndpoint:
        """Where the API of a pool listens.

        Raises:
            KeyError: no such pool, or the fleet does not run, or without pools.
        """
        return PoolEndpoint(pool, *self._pool_addresses[pool], self.authority.certificate, self._settings.pool_token)

    def write_routers(self, path: Path) -> None:
        """Write ``routers.csv`` for a controller."""
        path.write_text(routers_csv(map(self.router_endpoint, self.routers)), encoding="utf-8", newline="")

    def write_endpoints(self, path: Path) -> None:
        """Write ``endpoints.csv`` for a controller."""
        path.write_text(minka(self.endpoints()), encoding="utf-8", newline="")
