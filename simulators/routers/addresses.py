"""IPv4 addresses, masks and interface names as a router's command line writes them."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from typing import NamedTuple

_ALL_ONES = 0xFFFFFFFF
#: Kinds of interface; any unambiguous prefix names one.
_KINDS = ("GigabitEthernet", "Loopback", "Null")
_NAME = re.compile(r"([A-Za-z]+)(\d{1,3}(?:/\d{1,3}){0,2})(?:\.(\d{1,10}))?", re.ASCII)
#: Ports that every simulated router has.
PORTS = tuple(f"GigabitEthernet0/0/{number}" for number in range(4))
#: The interface that drops packets.
NULL = "Null0"


class Prefix(NamedTuple):
    """An address with the length of its mask."""

    address: int
    length: int

    @property
    def mask(self) -> int:
        """The mask as a number."""
        return _ALL_ONES << (32 - self.length) & _ALL_ONES

    @property
    def network(self) -> Prefix:
        """The prefix without host bits."""
        return Prefix(self.address & self.mask, self.length)

    @property
    def is_host(self) -> bool:
        """Whether an interface may have this address: neither the network's own nor its broadcast address."""
        host = self.address & ~self.mask & _ALL_ONES
        return self.address > 0 and (self.length > 30 or 0 < host < (~self.mask & _ALL_ONES))

    @property
    def is_unicast(self) -> bool:
        """Whether an interface may have it: it is none of 0.0.0.0/8, multicast or reserved (RFC 5771, RFC 6890)."""
        return 0 < self.address >> 24 < 224

    def contains(self, address: int) -> bool:
        """Whether an address lies within."""
        return address & self.mask == self.address & self.mask

    def overlaps(self, other: Prefix) -> bool:
        """Whether the two networks share an address."""
        wider, narrower = sorted((self, other), key=lambda prefix: prefix.length)
        return wider.contains(narrower.address)

    def with_mask(self) -> str:
        """As in ``10.0.0.1 255.255.255.0``."""
        return f"{dotted(self.address)} {dotted(self.mask)}"

    def with_length(self) -> str:
        """As in ``10.0.0.1/24``."""
        return f"{dotted(self.address)}/{self.length}"


def dotted(address: int) -> str:
    """The address in dotted decimals."""
    return str(IPv4Address(address))


def read_address(text: str) -> int:
    """An address in dotted decimals.

    Raises:
        ValueError: it is none.
    """
    try:
        return int(IPv4Address(text))
    except AddressValueError as error:
        raise ValueError(str(error)) from error


def mask_length(mask: int) -> int | None:
    """The length of a mask; none if its ones have gaps."""
    length = mask.bit_count()
    return length if Prefix(0, length).mask == mask else None


def read_interface(text: str) -> str:
    """The full name of an interface from any beginning of its kind, as in ``gi0/0/1.1010``.

    Raises:
        ValueError: there is no such kind of interface.
    """
    found = _NAME.fullmatch(text)
    kinds = [] if found is None else [kind for kind in _KINDS if kind.lower().startswith(found[1].lower())]
    if found is None or len(kinds) != 1:
        raise ValueError(f"no interface is called {text}")
    numbers = "/".join(str(int(number)) for number in found[2].split("/"))
    name = f"{kinds[0]}{numbers}" + (f".{int(found[3])}" if found[3] else "")
    if not exists(name):
        raise ValueError(f"there is no interface {name}")
    return name


def exists(name: str) -> bool:
    """Whether a router has, or can be given, an interface of this full name."""
    port, dot, _ = name.partition(".")
    return port in PORTS or (not dot and (name == NULL or (name.startswith("Loopback") and "/" not in name)))


def is_subinterface(name: str) -> bool:
    """Whether a name is a sub-interface."""
    return "." in name


def order(name: str) -> tuple[str, tuple[int, ...]]:
    """A key that sorts interfaces as a router lists them."""
    return name.rstrip("0123456789/."), tuple(int(number) for number in re.findall(r"\d+", name))
