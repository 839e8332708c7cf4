"""Routers: which VRFs the router of a site carries, of tenants to their cores and of the host to other stations.

A tenant needs a VRF if a station of the site has a core link of it, whatever other tenants do: its facts depend only on
the site's stations, the tenant and its agreements. The VRF leads only where these links go. The host has one for each
VLAN of X2 and Xn, which leads to the stations of other sites.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_network

from controller.intent.findings import Check, finding
from controller.models.facts import CoreLinkFact, Fact, Finding, PeerFact, RouterFact, RouterFacts, TransportFact
from controller.models.network import HOST, Network, Router

#: Platforms whose configuration Minka reads and writes.
PLATFORMS = ("cisco_ios", "frr")
#: Longest name of a VRF and of an interface, by platform; Linux has 15 for both (IFNAMSIZ less the final NUL).
_LONGEST = {"cisco_ios": (32, 64), "frr": (15, 15)}
#: Names that router commands do not take as a VRF, mainly their names of the default table.
_RESERVED = frozenset({"all", "default", "global"})


def router_facts(
    network: Network, routers: Iterable[str], facts: Mapping[str, Sequence[Fact]]
) -> tuple[dict[str, RouterFacts], list[Finding]]:
    """Facts of routers, from the facts of all stations of their sites, and the findings."""
    found: dict[str, RouterFacts] = {}
    findings: list[Finding] = []
    for name in sorted(routers):
        router = network.router_by_id[name]
        serves = _Site(network, router, facts)
        own = RouterFact(
            router=name,
            uplink=router.uplink,
            standby=router.standby or "",
            downlink=router.downlink,
            gateways=tuple(str(way) for way in (router.gateway, router.standby_gateway) if way is not None),
        )
        found[name] = (own, tuple(serves.transports()))
        findings += serves.findings
        findings += _broken(network, router)
    return found, findings


def stations_of(network: Network, routers: Iterable[str]) -> set[str]:
    """Stations at the sites of these routers."""
    return {name for router in routers for name in network.stations_at.get(network.router_by_id[router].site, ())}


def _broken(network: Network, router: Router) -> Iterator[Finding]:
    if router.platform not in PLATFORMS:
        text = f"router {router.id}: platform {router.platform} is not known; known: {', '.join(PLATFORMS)}"
        yield finding(Check.ROUTER_PLATFORM, text, station=router.id)
    others = [other for other in network.routers_at[router.site] if other != router.id]
    if others:
        text = f"router {router.id}: site {router.site} has router {', '.join(others)} too; a site has one"
        yield finding(Check.ROUTER_TWICE, text, station=router.id)


class _Site:
    """What the stations of one site need of its router; ``findings`` collects what is wrong."""

    def __init__(self, network: Network, router: Router, facts: Mapping[str, Sequence[Fact]]) -> None:
        self._network = network
        self._router = router
        names = sorted(stations_of(network, [router.id]))
        self._addresses = [network.station_by_id[name].transport_address for name in names]
        self._networks: dict[str, set[str]] = defaultdict(set)
        self._peers: dict[int, set[str]] = defaultdict(set)
        for fact in (fact for name in names for fact in facts.get(name, ())):
            if isinstance(fact, CoreLinkFact):
                self._networks[fact.owners[0]].update(fact.networks)
            elif isinstance(fact, PeerFact) and fact.peer not in names:
                self._peers[fact.vlan].add(str(ip_network(fact.remote_address)))
        self.findings: list[Finding] = []

    def transports(self) -> Iterator[TransportFact]:
        """VRFs of tenants in order of tenant, then those of the host."""
        side = self._router.station_side or station_side(self._addresses)
        if side is None and (self._networks or self._peers):
            self._find(
                Check.ROUTER_NO_ADDRESS,
                f"router {self._router.id}: no address towards its stations can be worked out; give its station_side",
            )
        for name, networks in sorted(self._networks.items()):
            vlan = self._network.tenant_by_id[name].core.vlan
            yield from self._transport(name, name, vlan, networks, side)
        for vlan, networks in sorted(self._peers.items()):
            yield from self._transport(HOST, f"{HOST}-{vlan}", vlan, networks, side)

    def _transport(
        self, owner: str, vrf: str, vlan: int, networks: Iterable[str], side: IPv4Interface | None
    ) -> Iterator[TransportFact]:
        carried, left_out = _in_order(networks)
        tenant = "" if owner == HOST else owner
        if left_out:
            text = f"{owner}'s {', '.join(left_out)} is IPv6, and routers carry IPv4 only"
            self._find(Check.ROUTER_UNENFORCEABLE, f"router {self._router.id}: {text}", tenant)
        if reason := _unenforceable(self._router, vrf, vlan):
            self._find(Check.ROUTER_UNENFORCEABLE, f"router {self._router.id}: {reason}", tenant)
        elif side is not None and carried:
            yield TransportFact(
                router=self._router.id,
                vrf=vrf,
                vlan=vlan,
                station_side=str(side),
                networks=carried,
                owners=(owner,),
            )

    def _find(self, check: Check, text: str, tenant: str = "") -> None:
        self.findings.append(finding(check, text, station=self._router.id, tenant=tenant))


def _in_order(networks: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Networks in order of address: those that routers carry, and those that they don't."""
    known = sorted(map(_network, networks), key=lambda network: (network.version, network))
    carried = tuple(str(network) for network in known if isinstance(network, IPv4Network))
    return carried, tuple(str(network) for network in known if not isinstance(network, IPv4Network))


#: Cached, since networks of a tenant's core are the same at all sites.
_network = lru_cache(maxsize=4096)(ip_network)


def _unenforceable(router: Router, vrf: str, vlan: int) -> str:
    longest, longest_interface = _LONGEST.get(router.platform, _LONGEST["cisco_ios"])
    if len(vrf) > longest:
        return f"{vrf} is too long a name for a VRF, which has at most {longest} characters"
    ports = [port for port in (router.uplink, router.downlink, router.standby) if port is not None]
    if vrf in _RESERVED.union(ports):
        return f"a VRF can't be named {vrf}: that means something else to a router"
    for port in ports:
        if len(name := f"{port}.{vlan}") > longest_interface:
            return f"{name} is too long a name for an interface, which has at most {longest_interface} characters"
    return ""


def station_side(stations: Iterable[object]) -> IPv4Interface | None:
    """The first free address of the smallest network in which all stations have a host address."""
    taken = sorted(address for address in stations if isinstance(address, IPv4Address))
    for length in range(30, 7, -1) if taken else ():
        network = IPv4Network((int(taken[0]), length), strict=False)
        ends = (network.network_address, network.broadcast_address)
        if all(address in network and address not in ends for address in taken):
            free = next((host for host in network.hosts() if host not in taken), None)
            if free is not None:
                return IPv4Interface((free, length))
    return None
