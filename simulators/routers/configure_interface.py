"""Configuration lines of interfaces and sub-interfaces."""

from __future__ import annotations

from dataclasses import replace

from simulators.routers.addresses import Prefix, dotted, is_subinterface, mask_length
from simulators.routers.config import Interface, RouterConfig
from simulators.routers.editor import GRAMMARS, Editor, Mode
from simulators.routers.grammar import CommandError

_inside = GRAMMARS[Mode.INTERFACE]


def _current(editor: Editor, config: RouterConfig) -> Interface:
    return config.interfaces.get(editor.subject, Interface())


@_inside.command("description LINE")
def _description(editor: Editor, config: RouterConfig, text: str) -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), description=text))


@_inside.command("no description [LINE]")
def _no_description(editor: Editor, config: RouterConfig, _text: str = "") -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), description=""))


@_inside.command("shutdown")
def _shutdown(editor: Editor, config: RouterConfig) -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), shutdown=True))


@_inside.command("no shutdown")
def _no_shutdown(editor: Editor, config: RouterConfig) -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), shutdown=False))


@_inside.command("encapsulation dot1q VLAN")
def _encapsulation(editor: Editor, config: RouterConfig, vlan: int) -> RouterConfig:
    if not is_subinterface(editor.subject):
        raise CommandError("% Invalid encapsulation: 802.1Q is for sub-interfaces")
    port = editor.subject.partition(".")[0]
    for name, other in config.interfaces.items():
        if other.vlan == vlan and name != editor.subject and name.startswith(f"{port}."):
            raise CommandError(
                "%Configuration of multiple subinterfaces of the same main\n"
                f"interface with the same VID ({vlan}) is not permitted.\n"
                f"This VID is already configured on {name}."
            )
    return config.with_interface(editor.subject, replace(_current(editor, config), vlan=vlan))


@_inside.command("no encapsulation [dot1q VLAN]")
def _no_encapsulation(editor: Editor, config: RouterConfig, _vlan: int = 0) -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), vlan=0, address=None))


@_inside.command("vrf forwarding NAME", "ip vrf forwarding NAME")
def _vrf(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    if name not in config.vrfs:
        raise CommandError(f"% VRF {name} does not exist or is not configured")
    return _moved(editor, config, name, f"enabling VRF {name}")


@_inside.command("no vrf forwarding [NAME]", "no ip vrf forwarding [NAME]")
def _no_vrf(editor: Editor, config: RouterConfig, _name: str = "") -> RouterConfig:
    left = _current(editor, config).vrf
    return _moved(editor, config, "", f"disabling VRF {left}")


def _moved(editor: Editor, config: RouterConfig, vrf: str, reason: str) -> RouterConfig:
    """An interface that moves to another table loses its address, with no more than a notice."""
    interface = _current(editor, config)
    if interface.vrf == vrf:
        return config
    if interface.address is not None:
        editor.notice = f"% Interface {editor.subject} IPv4 disabled and address(es) removed due to {reason}"
    return config.with_interface(editor.subject, replace(interface, vrf=vrf, address=None))


@_inside.command("ip address ADDRESS MASK")
def _address(editor: Editor, config: RouterConfig, address: int, mask: int) -> RouterConfig:
    interface = _current(editor, config)
    length = mask_length(mask)
    if length is None:
        raise CommandError(f"Bad mask 0x{mask:X} for address {dotted(address)}")  # this refusal has no % on purpose
    wanted = Prefix(address, length)
    if not length or not wanted.is_host:
        raise CommandError(f"Bad mask /{length} for address {dotted(address)}")
    if is_subinterface(editor.subject) and not interface.vlan:
        raise CommandError(
            "% Configuring IP routing on a LAN subinterface is only allowed if that\n"
            "subinterface is already configured as part of an IEEE 802.10, IEEE 802.1Q,\n"
            "or ISL vLAN."
        )
    _refuse_overlap(editor, config, interface.vrf, wanted)
    return config.with_interface(editor.subject, replace(interface, address=wanted))


def _refuse_overlap(editor: Editor, config: RouterConfig, vrf: str, wanted: Prefix) -> None:
    for name, other in config.interfaces.items():
        if name == editor.subject or other.vrf != vrf or other.address is None:
            continue
        if other.address.overlaps(wanted):
            raise CommandError(f"% {dotted(wanted.network.address)} overlaps with {name}")


@_inside.command("no ip address [ADDRESS MASK]")
def _no_address(editor: Editor, config: RouterConfig, *_address: int) -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), address=None))


@_inside.command("ip access-group NAME in")
def _access_in(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), access_in=name))


@_inside.command("ip access-group NAME out")
def _access_out(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), access_out=name))


@_inside.command("no ip access-group NAME in", "no ip access-group in")
def _no_access_in(editor: Editor, config: RouterConfig, _name: str = "") -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), access_in=""))


@_inside.command("no ip access-group NAME out", "no ip access-group out")
def _no_access_out(editor: Editor, config: RouterConfig, _name: str = "") -> RouterConfig:
    return config.with_interface(editor.subject, replace(_current(editor, config), access_out=""))
