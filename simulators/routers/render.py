"""The configuration as text, the way ``show running-config`` prints it: canonical, and fit to be typed in again."""

from __future__ import annotations

from collections.abc import Iterator

from simulators.routers.addresses import is_subinterface, order
from simulators.routers.config import Interface, RouterConfig, Vrf


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
