"""Configuration of a router: small immutable values; a change makes a new whole that shares the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from simulators.routers.addresses import PORTS, Prefix, dotted

_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Interface:
    """A port, sub-interface or loopback; ``vlan`` 0 means untagged, an empty ``vrf`` the global table."""

    description: str = ""
    vlan: int = 0
    vrf: str = ""
    address: Prefix | None = None
    shutdown: bool = False
    access_in: str = ""
    access_out: str = ""


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
    """All that a router is told. Lists are kept in canonical order, so that equal content is equal."""

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
        """With these static routes, in whatever order."""
        return replace(self, routes=tuple(sorted(set(routes), key=lambda route: route.order)))

    def with_access_list(self, name: str, access_list: AccessList | None) -> RouterConfig:
        """With an access list set, or taken out (None)."""
        return replace(self, access_lists=with_entry(self.access_lists, name, access_list))
