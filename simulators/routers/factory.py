"""Factory configuration of a router: bare, or with the tenants' VLANs.

Port 0 leads to the backhaul, port 1 to the stations of the site. A tenant has a VRF of its name, a
sub-interface of its VLAN on both ports, and routes to the nodes of its core that the stations of the site need.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache

from simulators.network import Core
from simulators.routers.addresses import PORTS, Prefix, read_address
from simulators.routers.config import Interface, Route, RouterConfig, Vrf

UPLINK, DOWNLINK = PORTS[0], PORTS[1]
#: The link to the next router within each VRF; link-local, since nothing else needs its addresses.
_UPLINK_ADDRESS = Prefix(read_address("169.254.0.2"), 30)
_UPSTREAM = read_address("169.254.0.1")
#: Management address of a router whose network file names a host.
_NO_ADDRESS = read_address("192.0.2.2")
_ANYWHERE = Prefix(0, 0)


class Provisioning(StrEnum):
    """Factory configurations of routers."""

    BARE = "bare"
    PROVISIONED = "provisioned"


def management_address(address: str) -> int:
    """The management address of a router in the field."""
    try:
        return read_address(address)
    except ValueError:
        return _NO_ADDRESS


def bare(router: str, management: int) -> RouterConfig:
    """A configuration that makes the router reachable, and no more."""
    uplink = Interface(description="backhaul", address=_management_prefix(management))
    gateway = next(uplink_host for uplink_host in _hosts(_management_prefix(management)) if uplink_host != management)
    config = RouterConfig(hostname=router).with_interface(UPLINK, uplink)
    config = config.with_interface(DOWNLINK, Interface(description="stations"))
    for port in PORTS[2:]:
        config = config.with_interface(port, Interface(shutdown=True))
    return config.with_routes((Route("", _ANYWHERE, "", gateway),))


#: All technologies that a site can have.
EVERY = frozenset({"LTE", "NR"})


def provisioned(
    router: str,
    management: int,
    stations: Iterable[str],
    cores: tuple[Core, ...],
    technologies: frozenset[str] = EVERY,
) -> RouterConfig:
    """A configuration that carries every tenant for the stations (transport addresses) of the site."""
    config = bare(router, management)
    local = _station_side(tuple(sorted(filter(None, map(_ipv4, stations)))))
    interfaces, vrfs, routes = dict(config.interfaces), {}, list(config.routes)
    for core in cores:
        parts = _of_tenant(core.tenant, core.vlan, core.networks(technologies))
        if parts is None:
            continue
        vrf, uplink, downlink, ways = parts
        vrfs[core.tenant] = vrf
        interfaces[f"{UPLINK}.{core.vlan}"] = uplink
        interfaces[f"{DOWNLINK}.{core.vlan}"] = replace(downlink, address=local)
        routes += ways
    return replace(config, interfaces=interfaces, vrfs=vrfs).with_routes(tuple(routes))


@lru_cache(maxsize=64)
def _of_tenant(
    tenant: str, vlan: int, networks: tuple[str, ...]
) -> tuple[Vrf, Interface, Interface, tuple[Route, ...]] | None:
    """A tenant's part that all routers share; None if its core has no IPv4 address."""
    known = [prefix for network in networks if (prefix := _network(network)) is not None]
    if not known:
        return None
    vrf = Vrf(rd=f"65000:{vlan}", ipv4=True)
    downlink = Interface(description=tenant, vlan=vlan, vrf=tenant)
    uplink = replace(downlink, address=_UPLINK_ADDRESS)
    return vrf, uplink, downlink, tuple(Route(tenant, prefix, "", _UPSTREAM) for prefix in sorted(set(known)))


def _network(text: str) -> Prefix | None:
    """The IPv4 network or address in a text."""
    address, _, length = text.partition("/")
    number = _ipv4(address)
    return None if number is None else Prefix(number, int(length or 32))


def _station_side(stations: tuple[int, ...]) -> Prefix | None:
    """The router's address among its stations: the first free host of the smallest network that suits all."""
    for length in range(30, 7, -1) if stations else ():
        network = Prefix(stations[0], length).network
        if all(network.contains(station) and Prefix(station, length).is_host for station in stations):
            free = next((host for host in _hosts(network) if host not in stations), None)
            if free is not None:
                return Prefix(free, length)
    return None


def _management_prefix(management: int) -> Prefix:
    length = next(length for length in range(30, 0, -1) if Prefix(management, length).is_host)
    return Prefix(management, length)


def _hosts(prefix: Prefix) -> Iterable[int]:
    first = prefix.network.address + 1
    return range(first, first + (1 << (32 - prefix.length)) - 2)


def _ipv4(text: str) -> int | None:
    try:
        return read_address(text)
    except ValueError:
        return None
