"""Configuration of a router: small immutable values, and the text that show running-config prints of them.

A change makes a new whole that shares the rest. The text is canonical, and fit to be typed in again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from simulators.routers.addresses import PORTS, Prefix, dotted, is_subinterface, order

_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Interface:
    """A port, sub-interface or loopback; ``vlan`` 0 means untagged, an empty ``vrf`` the global table.

    ``dark`` is no configuration: a port gets no signal (``Router.in_effect``).
    """

    description: str = ""
    vlan: int = 0
    vrf: str = ""
    address: Prefix | None = None
    shutdown: bool = False
    access_in: str = ""
    access_out: str = ""
    dark: bool = False


@dataclass(frozen=True, slots=True)
class Vrf:
    """A routing table of its own; without ``ipv4`` it routes nothing."""

    description: str = ""
    rd: str = ""
    ipv4: bool = False


class Route(NamedTuple):
    """A static route; through an interface, a next hop, or both."""

    vrf: str
    target: Prefix
    interface: str
    next_hop: int | None
    distance: int = 1

    @property
    def order(self) -> tuple[str, Prefix, str, int, int]:
        """A key that sorts routes as a router lists them."""
        return self.vrf, self.target, self.interface, self.next_hop or 0, self.distance

    def line(self) -> str:
        """The configuration line."""
        words = ["ip route", *(["vrf", self.vrf] if self.vrf else []), self.target.with_mask()]
        words += [self.interface] if self.interface else []
        words += [] if self.next_hop is None else [dotted(self.next_hop)]
        words += [str(self.distance)] if self.distance != 1 else []
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class AccessList:
    """A numbered list of permits and denies."""

    kind: str
    entries: tuple[tuple[int, str], ...] = ()


_NOTHING: Mapping[str, Any] = MappingProxyType({})


def with_entry(mapping: Mapping[str, _V], key: str, value: _V | None) -> Mapping[str, _V]:
    """The mapping with an entry changed, or taken out (None)."""
    changed = {name: entry for name, entry in mapping.items() if name != key}
    if value is not None:
        changed[key] = value
    return changed


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """The whole configuration of a router. Lists are in canonical order, so that equal content is equal."""

    hostname: str = "Router"
    interfaces: Mapping[str, Interface] = field(default_factory=lambda: {port: Interface() for port in PORTS})
    vrfs: Mapping[str, Vrf] = field(default_factory=lambda: _NOTHING)
    routes: tuple[Route, ...] = ()
    access_lists: Mapping[str, AccessList] = field(default_factory=lambda: _NOTHING)

    def with_interface(self, name: str, interface: Interface | None) -> RouterConfig:
        """With an interface set, or taken out (None)."""
        return replace(self, interfaces=with_entry(self.interfaces, name, interface))

    def with_vrf(self, name: str, vrf: Vrf | None) -> RouterConfig:
        """With a VRF set, or taken out (None)."""
        return replace(self, vrfs=with_entry(self.vrfs, name, vrf))

    def with_routes(self, routes: tuple[Route, ...]) -> RouterConfig:
        """With these static routes, in any order."""
        return replace(self, routes=tuple(sorted(set(routes), key=lambda route: route.order)))

    def with_access_list(self, name: str, access_list: AccessList | None) -> RouterConfig:
        """With an access list set, or taken out (None)."""
        return replace(self, access_lists=with_entry(self.access_lists, name, access_list))


def lines_of(config: RouterConfig) -> Iterator[str]:
    """All lines from ``version`` to ``end``."""
    yield from ("version 17.6", "!", f"hostname {config.hostname}", "!")
    for name in sorted(config.vrfs):
        yield from (f"vrf definition {name}", *_vrf(config.vrfs[name]), "!")
    for name in sorted(config.interfaces, key=order):
        yield from (f"interface {name}", *_interface(name, config.interfaces[name]), "!")
    yield from (route.line() for route in config.routes)
    yield "!"
    for name in sorted(config.access_lists):
        access_list = config.access_lists[name]
        yield f"ip access-list {access_list.kind} {name}"
        yield from (f" {number} {text}" for number, text in access_list.entries)
        yield "!"
    yield "end"


def _vrf(vrf: Vrf) -> Iterator[str]:
    if vrf.description:
        yield f" description {vrf.description}"
    if vrf.rd:
        yield f" rd {vrf.rd}"
    if vrf.ipv4:
        yield from (" !", " address-family ipv4", " exit-address-family")


def _interface(name: str, interface: Interface) -> Iterator[str]:
    if interface.description:
        yield f" description {interface.description}"
    if interface.vlan:
        yield f" encapsulation dot1Q {interface.vlan}"
    if interface.vrf:
        yield f" vrf forwarding {interface.vrf}"
    if interface.address is not None:
        yield f" ip address {interface.address.with_mask()}"
    elif not is_subinterface(name):
        yield " no ip address"
    if interface.access_in:
        yield f" ip access-group {interface.access_in} in"
    if interface.access_out:
        yield f" ip access-group {interface.access_out} out"
    if interface.shutdown:
        yield " shutdown"


def text_of(config: RouterConfig) -> str:
    """The configuration as one text, lines ended by line feeds."""
    return "".join(f"{line}\n" for line in lines_of(config))
