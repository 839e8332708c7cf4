"""Where a router sends packets: routing tables from its configuration (pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from simulators.routers.addresses import NULL, Prefix, is_subinterface
from simulators.routers.config import Route, RouterConfig


class Entry(NamedTuple):
    """A line of a routing table; ``route`` is none for a connected network."""

    target: Prefix
    interface: str
    route: Route | None = None


def is_up(config: RouterConfig, name: str) -> bool:
    """Whether an interface carries packets: it and its port are up, with a signal, and a sub-interface has its VLAN."""
    interface = config.interfaces.get(name)
    port = config.interfaces.get(name.partition(".")[0])
    if interface is None or port is None or interface.shutdown or port.shutdown or port.dark:
        return False
    return bool(interface.vlan) or not is_subinterface(name)


def table(config: RouterConfig, vrf: str = "") -> tuple[Entry, ...]:
    """The routing table of a VRF, or the global one; a VRF without the IPv4 family has nothing in it."""
    if vrf and (vrf not in config.vrfs or not config.vrfs[vrf].ipv4):
        return ()
    entries = [
        Entry(interface.address.network, name)
        for name, interface in config.interfaces.items()
        if interface.vrf == vrf and interface.address is not None and is_up(config, name)
    ]
    waiting = [route for route in config.routes if route.vrf == vrf]
    while resolved := list(_resolved(config, waiting, entries)):
        entries += resolved
        waiting = [route for route in waiting if all(route is not entry.route for entry in resolved)]
    return tuple(sorted(_best(entries), key=lambda entry: (entry.target, entry.interface)))


def _resolved(config: RouterConfig, routes: list[Route], entries: list[Entry]) -> Iterator[Entry]:
    """The routes whose next hop can be resolved."""
    for route in routes:
        if route.interface:
            if route.interface == NULL or is_up(config, route.interface):
                yield Entry(route.target, route.interface, route)
        elif route.next_hop is not None and (way := lookup(entries, route.next_hop)) is not None:
            yield Entry(route.target, way.interface, route)


def _best(entries: list[Entry]) -> Iterator[Entry]:
    """The routes of the shortest distance to each network."""
    distances: dict[Prefix, int] = {}
    for entry in entries:
        distances[entry.target] = min(_distance(entry), distances.get(entry.target, 255))
    return (entry for entry in entries if _distance(entry) == distances[entry.target])


def _distance(entry: Entry) -> int:
    return 0 if entry.route is None else entry.route.distance


def lookup(entries: tuple[Entry, ...] | list[Entry], address: int) -> Entry | None:
    """The entry for an address: the longest prefix, then the shortest distance."""
    fitting = [entry for entry in entries if entry.target.contains(address)]
    return max(fitting, key=lambda entry: (entry.target.length, -_distance(entry)), default=None)


def carries(config: RouterConfig, vlan: int, local: int, remote: int, lost: Collection[str] = ()) -> bool:
    """Whether packets that come in on a VLAN from a station reach a core node, and the answers return.

    Packets that leave by a VLAN of a ``lost`` port are dropped.
    """
    return any(
        interface.vlan == vlan and interface.vrf and is_up(config, name) and _joins(config, name, local, remote, lost)
        for name, interface in config.interfaces.items()
    )


def _joins(config: RouterConfig, name: str, local: int, remote: int, lost: Collection[str]) -> bool:
    entries = table(config, config.interfaces[name].vrf)
    there, back = lookup(entries, remote), lookup(entries, local)
    if there is None or there.interface in (NULL, name) or there.interface.partition(".")[0] in lost:
        return False
    return back is not None and back.interface == name


def manageable(config: RouterConfig, management: int) -> bool:
    """Whether the router is reachable: an interface that is up has its address, and there is a default route."""
    entries = table(config)
    default = any(not entry.target.length and entry.interface != NULL for entry in entries)
    return default and any(
        interface.address is not None
        and interface.address.address == management
        and not interface.vrf
        and is_up(config, name)
        for name, interface in config.interfaces.items()
    )
