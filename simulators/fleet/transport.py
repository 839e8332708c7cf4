"""The path from stations to cores: routers, backhaul, and which devices can be reached.

A station depends on the router of its site, if the fleet runs with routers; a site depends on a backhaul node. Changes
there take effect at once: connections fall silent, core links go down and come up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from simulators.clock import Clock
from simulators.connections import Connections, Outage
from simulators.network import TECHNOLOGIES, Core, RouterRecord, SimulatedNetwork, StationRecord, ends
from simulators.routers import factory
from simulators.routers.addresses import read_address
from simulators.routers.config import RouterConfig
from simulators.routers.factory import Provisioning
from simulators.routers.router import Router, RouterSettings
from simulators.station import Station

#: Whether a station's functions serve a tenant, on the ``control`` or ``user`` plane.
IsServed = Callable[[StationRecord, str, str], bool]


class UnknownNodeError(Exception):
    """The backhaul has no such node."""


class Backhaul:
    """A tree of nodes, each with a link to its parent that can be cut.

    Args:
        parents: Parent of each node; empty for those at the top.
    """

    def __init__(self, parents: Mapping[str, str]) -> None:
        self._parents = parents
        self._cuts: dict[str, Outage] = {}

    @property
    def cuts(self) -> Mapping[str, Outage]:
        """The nodes whose upward link is cut, and what clients see of them."""
        return dict(self._cuts)

    def cut(self, node: str, outage: Outage = Outage.SILENCE) -> None:
        """Cut the link between a node and the one above it; all below is unreachable.

        Raises:
            UnknownNodeError: there is no such node.
        """
        self._known(node)
        self._cuts[node] = outage

    def restore(self, node: str) -> bool:
        """Connect a node again; return whether it was cut.

        Raises:
            UnknownNodeError: there is no such node.
        """
        self._known(node)
        return self._cuts.pop(node, None) is not None

    def outage(self, node: str) -> Outage | None:
        """The outage of a node: by the cut nearest to the core if there are several; None while the node is connected.

        A node that no file describes hangs directly on the cores.
        """
        found = None
        for above in self._path(node):
            found = self._cuts.get(above, found)
        return found

    def _path(self, node: str) -> list[str]:
        """The node and those above it; a circle, which no network file should have, ends where it closes."""
        path: list[str] = []
        while node and node not in path:
            path.append(node)
            node = self._parents.get(node, "")
        return path

    def _known(self, node: str) -> None:
        if node not in self._parents:
            raise UnknownNodeError(f"the backhaul has no node {node}")


class Transport:
    """Routers and backhaul of a fleet.

    Args:
        routers: Factory configuration of the routers; None means that there are none, and stations reach the cores
            without them.
        settings: How the routers are set up.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        clock: Clock,
        *,
        seed: str,
        routers: Provisioning | None = None,
        settings: RouterSettings | None = None,
    ) -> None:
        self.backhaul = Backhaul(network.parents)
        self._cores = network.cores
        self._core_by_tenant = {core.tenant: core for core in network.cores}
        self._nodes = {address for core in network.cores for address in _addresses(core)}
        self._node_of_site = {station.site: station.backhaul for station in network.stations}
        self._node_of_site |= {router.site: router.backhaul for router in network.routers}
        self._site_of = {station.id: station.site for station in network.stations}
        self._stations_of_site: dict[str, list[StationRecord]] = {}
        for station in network.stations:
            self._stations_of_site.setdefault(station.site, []).append(station)
        self._attached: dict[str, Station] = {}
        self._lost_cores: set[str] = set()
        self._absent: dict[str, Outage] = {}
        #: Sites of virtual stations: those of the pools where their functions run.
        self._hosts: dict[str, str] = {}
        self._site_of_pool = {pool.id: pool.site for pool in network.pools}
        self._served: IsServed = lambda _station, _tenant, _plane: True
        self.connections: dict[str, Connections] = {}
        records = network.routers if routers is not None else ()
        settings = settings or RouterSettings()
        self.routers: dict[str, Router] = {
            record.id: Router(
                record,
                clock,
                settings,
                seed=seed,
                factory=partial(self._factory, record, routers),
                surroundings=self,
            )
            for record in records
        }
        self._router_of_site = {router.record.site: router for router in self.routers.values()}
        pools = [pool.id for pool in network.pools]
        for device in (*(record.id for record in network.stations), *self.routers, *pools):
            self.connections[device] = Connections()

    def attach(self, stations: Mapping[str, Station]) -> None:
        """Notify these stations of changes of their path to the cores."""
        self._attached.update(stations)

    def _factory(self, record: RouterRecord, provisioning: Provisioning | None) -> RouterConfig:
        management = factory.management_address(record.address)
        if provisioning is not Provisioning.PROVISIONED:
            return factory.bare(record.id, management)
        stations = [one for one in self._stations_of_site.get(record.site, ()) if not one.unit]
        technologies = frozenset(TECHNOLOGIES[profile] for station in stations for profile in station.profiles)
        addresses = [station.transport_address for station in stations]
        return factory.provisioned(record.id, management, addresses, self._cores, technologies)

    # ------------------------------------------------------------- the backhaul

    def cut(self, node: str, outage: Outage = Outage.SILENCE) -> None:
        """Cut the link between a backhaul node and the one above it; all below is unreachable.

        Raises:
            UnknownNodeError: there is no such node.
        """
        self.backhaul.cut(node, outage)
        self._follow(self._node_of_site)

    def restore(self, node: str) -> None:
        """Connect a backhaul node again.

        Raises:
            UnknownNodeError: there is no such node.
        """
        if self.backhaul.restore(node):
            self._follow(self._node_of_site)

    def lose_core(self, tenant: str) -> None:
        """Make all nodes of a tenant's core unreachable."""
        self._lost_cores.add(tenant)
        self._follow(self._node_of_site)

    def restore_core(self, tenant: str) -> None:
        """Make them reachable again."""
        self._lost_cores.discard(tenant)
        self._follow(self._node_of_site)

    @property
    def lost_cores(self) -> frozenset[str]:
        """Tenants whose core can't be reached."""
        return frozenset(self._lost_cores)

    def is_cut_off(self, station: str) -> bool:
        """Whether the backhaul of a station's site is cut, somewhere on the way to the cores."""
        return not self.on_net(self._site_of[station])

    def off_net(self) -> list[str]:
        """Ids of the devices that can't be reached now."""
        return sorted(device for device, connections in self.connections.items() if connections.outage is not None)

    # ------------------------------------------------------------ for functions

    def depend_on(self, served: IsServed) -> None:
        """Make the traffic of stations depend on whether their functions serve."""
        self._served = served

    def take_away(self, station: str, outage: Outage) -> None:
        """Remove a station, as its clients see it."""
        self._absent[station] = outage
        self._hosts.pop(station, None)
        self.follow_stations([station])

    def put_on(self, pool: str, station: str) -> None:
        """Add a station again, on a pool."""
        self._absent.pop(station, None)
        self._hosts[station] = self._site_of_pool[pool]
        self.follow_stations([station])

    def follow_stations(self, stations: Iterable[str]) -> None:
        """Update stations whose functions began or stopped to serve."""
        self._follow(dict.fromkeys(self._site_of[station] for station in stations))

    # ------------------------------------------------------------- for stations

    def carries(self, station: StationRecord, tenant: str, remote: str) -> bool:
        """Whether packets of a station reach a node of a tenant's core; without a tenant, other stations.

        Routers know IPv4 only: what has other addresses is not held up by them.
        """
        sites = (station.site, self._hosts.get(station.id, ""))
        if tenant in self._lost_cores or not all(map(self.on_net, sites)):
            return False
        router = None if station.unit else self._router_of_site.get(station.site)
        core = self._core_by_tenant.get(tenant)
        plane = "" if core is None or not station.functions else core.plane(remote)
        if plane and not self._served(station, tenant, plane):
            return False
        if router is None or core is None:
            return router is None or not router.reloading
        try:
            local, there = read_address(station.transport_address), read_address(remote)
        except ValueError:
            return not router.reloading
        return router.carries(core.vlan, local, there)

    def connects(self, one: StationRecord, other: StationRecord) -> bool:
        """Whether packets get from one part of a gNB to another, between the places where they run."""
        return all(self.on_net(self._hosts.get(part.id, part.site)) for part in (one, other))

    # -------------------------------------------------------------- for routers

    def on_net(self, site: str) -> bool:
        """Whether the backhaul of a site is connected."""
        return self._outage_at(site) is None

    def answers(self, site: str, address: int) -> bool:
        """Whether a station of the site or a core node has this address, and can be reached from there."""
        if address in self._nodes:
            return self.on_net(site)
        there = (station for station in self._stations_of_site.get(site, ()) if not station.unit)
        return address in _readable(station.transport_address for station in there)

    def router_changed(self, router: Router) -> None:
        """Note that a router's forwarding or reachability may have changed."""
        self._follow([router.record.site])

    # ------------------------------------------------------------- what follows

    def _follow(self, sites: Iterable[str]) -> None:
        """Update the connections and core links of sites to the present paths."""
        for site in sites:
            outage = self._outage_at(site)
            router = self._router_of_site.get(site)
            if router is not None:
                self._reach(router.id, outage or (None if router.reachable else Outage.SILENCE))
                outage = outage or (Outage.SILENCE if router.reloading else None)
            for station in self._stations_of_site.get(site, ()):
                self._reach(station.id, self._outage_of(station.id, outage))
                if station.id in self._attached:
                    self._attached[station.id].equipment.radio.path_changed()

        for pool, site in self._site_of_pool.items():
            self._reach(pool, self._outage_at(site))

    def _outage_of(self, station: str, at_its_site: Outage | None) -> Outage | None:
        """The outage of a station: at its site, or where its functions run."""
        outage = self._outage_at(self._hosts[station]) if station in self._hosts else at_its_site
        return outage or self._absent.get(station)

    def _outage_at(self, site: str) -> Outage | None:
        return self.backhaul.outage(self._node_of_site.get(site, ""))

    def _reach(self, device: str, outage: Outage | None) -> None:
        connections = self.connections[device]
        if outage is connections.outage:
            return
        if outage is None:
            connections.restore()
        else:
            connections.cut(outage)

    def close(self) -> None:
        """Reset the connections that fell silent."""
        for connections in self.connections.values():
            connections.reset_silent()


def _addresses(core: Core) -> set[int]:
    """The addresses that answer packets of a site; those behind a security gateway answer in its tunnels only."""
    control = core.way("control", *core.mme, *core.amf)
    user = core.way("user", *core.upf, *core.sgw, *core.n3.values())
    return _readable((*control, *(address for network in user for address in ends(network))))


def _readable(texts: Iterable[str]) -> set[int]:
    """The addresses among texts that are IPv4."""
    found = set()
    for text in texts:
        try:
            found.add(read_address(text))
        except ValueError:
            continue  # IPv6, which these routers do not carry
    return found
