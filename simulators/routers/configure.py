"""Configuration mode: the session's context, and the effect of a line on the configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from types import MappingProxyType
from typing import Any

from simulators.routers.addresses import NULL, PORTS, Prefix, dotted, is_subinterface, mask_length
from simulators.routers.config import AccessList, Interface, Route, RouterConfig, Vrf
from simulators.routers.grammar import CommandError, Grammar, Match, UnknownInputError


class Mode(Enum):
    """A level of configuration mode."""

    CONFIG = "config"
    INTERFACE = "config-if"
    VRF = "config-vrf"
    ADDRESS_FAMILY = "config-vrf-af"
    STANDARD_LIST = "config-std-nacl"
    EXTENDED_LIST = "config-ext-nacl"


#: Where ``exit`` leads; from the top level it leaves configuration mode.
_PARENTS: Mapping[Mode, Mode] = MappingProxyType(
    {
        Mode.INTERFACE: Mode.CONFIG,
        Mode.VRF: Mode.CONFIG,
        Mode.ADDRESS_FAMILY: Mode.VRF,
        Mode.STANDARD_LIST: Mode.CONFIG,
        Mode.EXTENDED_LIST: Mode.CONFIG,
    }
)


class Editor:
    """A session's place in configuration mode. Every line takes effect by itself, as on the real thing."""

    __slots__ = ("ended", "mode", "notice", "subject")

    def __init__(self) -> None:
        self.mode = Mode.CONFIG
        self.subject = ""
        self.ended = False
        self.notice = ""

    @property
    def label(self) -> str:
        """The mode in the prompt."""
        inside_port = self.mode is Mode.INTERFACE and is_subinterface(self.subject)
        return "config-subif" if inside_port else self.mode.value

    def enter(self, mode: Mode, subject: str = "") -> None:
        """Enter a level for an object of this name."""
        self.mode, self.subject = mode, subject

    def leave(self) -> None:
        """Go one level up."""
        if self.mode is Mode.CONFIG:
            self.ended = True
        self.mode = _PARENTS.get(self.mode, Mode.CONFIG)

    def match(self, line: str) -> Match[Change]:
        """The command of a line; a line that this level does not know may belong to the top level.

        Raises:
            CommandError: the line is unknown or ambiguous.
        """
        try:
            return GRAMMARS[self.mode].match(line)
        except UnknownInputError as error:
            if self.mode is Mode.CONFIG:
                raise
            return self._match_above(line, error)

    def _match_above(self, line: str, error: UnknownInputError) -> Match[Change]:
        try:
            return GRAMMARS[Mode.CONFIG].match(line)
        except UnknownInputError as above:
            raise max(error, above, key=lambda found: found.offset) from None

    def apply(self, match: Match[Change], config: RouterConfig) -> RouterConfig:
        """The configuration after a line.

        Raises:
            CommandError: the line is refused.
        """
        self.notice = ""
        return match.action(self, config, *match.arguments)


#: Carries out a configuration line.
Change = Callable[..., RouterConfig]
GRAMMARS: Mapping[Mode, Grammar[Change]] = MappingProxyType({mode: Grammar() for mode in Mode})


@GRAMMARS[Mode.CONFIG].command("exit")
@GRAMMARS[Mode.INTERFACE].command("exit")
@GRAMMARS[Mode.VRF].command("exit")
@GRAMMARS[Mode.ADDRESS_FAMILY].command("exit", "exit-address-family")
@GRAMMARS[Mode.STANDARD_LIST].command("exit")
@GRAMMARS[Mode.EXTENDED_LIST].command("exit")
def _exit(editor: Editor, config: RouterConfig) -> RouterConfig:
    editor.leave()
    return config


@GRAMMARS[Mode.CONFIG].command("end")
def _end(editor: Editor, config: RouterConfig) -> RouterConfig:
    editor.ended = True
    return config


@GRAMMARS[Mode.CONFIG].command("version LINE")
def _version(_editor: Editor, config: RouterConfig, _text: Any) -> RouterConfig:
    return config


_top = GRAMMARS[Mode.CONFIG]
_vrf = GRAMMARS[Mode.VRF]
_LIST_MODES = {"standard": Mode.STANDARD_LIST, "extended": Mode.EXTENDED_LIST}
#: Protocols of an extended entry.
_PROTOCOLS = frozenset({"ip", "tcp", "udp", "icmp", "sctp", "gre", "esp"})


@_top.command("hostname WORD")
def _hostname(_editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    if not re.fullmatch(r"[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", name):
        raise CommandError("% Hostname contains one or more illegal characters.")
    return replace(config, hostname=name)


@_top.command("no hostname [WORD]")
def _no_hostname(_editor: Editor, config: RouterConfig, _name: str = "") -> RouterConfig:
    return replace(config, hostname="Router")


# ------------------------------------------------------------------- interfaces


@_top.command("interface INTERFACE")
def _interface(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    if name == NULL:
        raise CommandError("% Interface Null0 can not be configured")
    editor.enter(Mode.INTERFACE, name)
    return config if name in config.interfaces else config.with_interface(name, Interface())


@_top.command("no interface INTERFACE")
def _no_interface(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    if name in PORTS:
        raise CommandError("% Removal of physical interfaces is not permitted")
    if name not in config.interfaces:
        raise CommandError("% Interface does not exist")
    editor.enter(Mode.CONFIG)
    kept = tuple(route for route in config.routes if route.interface != name)
    return config.with_interface(name, None).with_routes(kept)


@_top.command("default interface INTERFACE")
def _default_interface(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    editor.enter(Mode.CONFIG)
    editor.notice = f"Interface {name} set to default configuration"
    return config.with_interface(name, Interface())


# ------------------------------------------------------------------------- VRFs


@_top.command("vrf definition NAME", "ip vrf NAME")
def _vrf_definition(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    editor.enter(Mode.VRF, name)
    return config if name in config.vrfs else config.with_vrf(name, Vrf())


@_top.command("no vrf definition NAME", "no ip vrf NAME")
def _no_vrf_definition(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    """Remove a VRF with its routes; its interfaces lose their addresses."""
    if name not in config.vrfs:
        raise CommandError(f"% VRF {name} does not exist")
    editor.enter(Mode.CONFIG)
    editor.notice = f"% IPv4 and IPv6 addresses from all interfaces in VRF {name} have been removed"
    bare = _without_ipv4(config, name).with_vrf(name, None)
    interfaces = {
        key: replace(interface, vrf="") if interface.vrf == name else interface
        for key, interface in bare.interfaces.items()
    }
    return replace(bare, interfaces=interfaces)


def _without_ipv4(config: RouterConfig, name: str) -> RouterConfig:
    """Without the addresses and the routes of a VRF."""
    interfaces = {
        key: replace(interface, address=None) if interface.vrf == name else interface
        for key, interface in config.interfaces.items()
    }
    kept = tuple(route for route in config.routes if route.vrf != name)
    return replace(config, interfaces=interfaces).with_routes(kept)


def _with_vrf(editor: Editor, config: RouterConfig, vrf: Vrf) -> RouterConfig:
    return config.with_vrf(editor.subject, vrf)


def _current_vrf(editor: Editor, config: RouterConfig) -> Vrf:
    return config.vrfs.get(editor.subject, Vrf())


@_vrf.command("description LINE")
def _vrf_description(editor: Editor, config: RouterConfig, text: str) -> RouterConfig:
    return _with_vrf(editor, config, replace(_current_vrf(editor, config), description=text))


@_vrf.command("no description [LINE]")
def _no_vrf_description(editor: Editor, config: RouterConfig, _text: str = "") -> RouterConfig:
    return _with_vrf(editor, config, replace(_current_vrf(editor, config), description=""))


@_vrf.command("rd RD")
def _rd(editor: Editor, config: RouterConfig, rd: str) -> RouterConfig:
    vrf = _current_vrf(editor, config)
    if any(other.rd == rd for name, other in config.vrfs.items() if name != editor.subject):
        raise CommandError(f'% Cannot set RD, "{rd}" is already in use')
    if vrf.rd not in ("", rd):
        raise CommandError('% Do "no rd" first before changing RD')
    return _with_vrf(editor, config, replace(vrf, rd=rd))


@_vrf.command("no rd [RD]")
def _no_rd(editor: Editor, config: RouterConfig, _rd: str = "") -> RouterConfig:
    return _with_vrf(editor, config, replace(_current_vrf(editor, config), rd=""))


@_vrf.command("address-family ipv4 [unicast]")
def _address_family(editor: Editor, config: RouterConfig) -> RouterConfig:
    changed = _with_vrf(editor, config, replace(_current_vrf(editor, config), ipv4=True))
    editor.enter(Mode.ADDRESS_FAMILY, editor.subject)
    return changed


@_vrf.command("no address-family ipv4 [unicast]")
def _no_address_family(editor: Editor, config: RouterConfig) -> RouterConfig:
    changed = _with_vrf(editor, config, replace(_current_vrf(editor, config), ipv4=False))
    return _without_ipv4(changed, editor.subject)


# ---------------------------------------------------------------- static routes


@_top.command(
    "ip route ADDRESS MASK ADDRESS [DISTANCE]",
    "ip route ADDRESS MASK INTERFACE [DISTANCE]",
    "ip route ADDRESS MASK INTERFACE ADDRESS [DISTANCE]",
)
def _global_route(_editor: Editor, config: RouterConfig, address: int, mask: int, *way: int | str) -> RouterConfig:
    return _add_route(config, _route("", address, mask, way))


@_top.command(
    "ip route vrf NAME ADDRESS MASK ADDRESS [DISTANCE]",
    "ip route vrf NAME ADDRESS MASK INTERFACE [DISTANCE]",
    "ip route vrf NAME ADDRESS MASK INTERFACE ADDRESS [DISTANCE]",
)
def _vrf_route(
    _editor: Editor, config: RouterConfig, vrf: str, address: int, mask: int, *way: int | str
) -> RouterConfig:
    return _add_route(config, _route(vrf, address, mask, way))


@_top.command(
    "no ip route ADDRESS MASK",
    "no ip route ADDRESS MASK ADDRESS [DISTANCE]",
    "no ip route ADDRESS MASK INTERFACE [DISTANCE]",
    "no ip route ADDRESS MASK INTERFACE ADDRESS [DISTANCE]",
)
def _no_global_route(_editor: Editor, config: RouterConfig, address: int, mask: int, *way: int | str) -> RouterConfig:
    return _remove_route(config, _route("", address, mask, way), anyway=not way)


@_top.command(
    "no ip route vrf NAME ADDRESS MASK",
    "no ip route vrf NAME ADDRESS MASK ADDRESS [DISTANCE]",
    "no ip route vrf NAME ADDRESS MASK INTERFACE [DISTANCE]",
    "no ip route vrf NAME ADDRESS MASK INTERFACE ADDRESS [DISTANCE]",
)
def _no_vrf_route(
    _editor: Editor, config: RouterConfig, vrf: str, address: int, mask: int, *way: int | str
) -> RouterConfig:
    return _remove_route(config, _route(vrf, address, mask, way), anyway=not way)


def _route(vrf: str, address: int, mask: int, way: tuple[int | str, ...]) -> Route:
    length = mask_length(mask)
    if length is None or Prefix(address, length).network.address != address:
        raise CommandError("%Inconsistent address and mask")
    interface = next((step for step in way if isinstance(step, str)), "")
    numbers = [step for step in way if isinstance(step, int)]
    # An address is always above the largest distance, 255: 0.0.0.x is no next hop.
    next_hop = next((number for number in numbers if number > 255), None)
    distance = next((number for number in numbers if 0 < number <= 255), 1)
    if next_hop is None and way and not interface:
        raise CommandError("%Invalid next hop address")
    if next_hop is not None and not Prefix(next_hop, 32).is_unicast:
        raise CommandError("%Invalid next hop address")
    return Route(vrf, Prefix(address, length), interface, next_hop, distance)


def _add_route(config: RouterConfig, route: Route) -> RouterConfig:
    if route.vrf and route.vrf not in config.vrfs:
        raise CommandError(f"% VRF {route.vrf} does not exist")
    if route.vrf and not config.vrfs[route.vrf].ipv4:
        raise CommandError(f"% IPv4 address family is not enabled in VRF {route.vrf}")
    if route.interface not in ("", NULL) and route.interface not in config.interfaces:
        raise CommandError(f"% Interface {route.interface} does not exist")
    same = [other for other in config.routes if other._replace(distance=route.distance) == route]
    return config.with_routes((*(other for other in config.routes if other not in same), route))


def _remove_route(config: RouterConfig, route: Route, *, anyway: bool) -> RouterConfig:
    """Remove a route; without a next hop, all routes to the target. The distance may be left out."""

    def meant(other: Route) -> bool:
        if other.vrf != route.vrf or other.target != route.target:
            return False
        return anyway or (other.interface == route.interface and other.next_hop == route.next_hop)

    kept = tuple(other for other in config.routes if not meant(other))
    if len(kept) == len(config.routes):
        raise CommandError("%No matching route to delete")
    return config.with_routes(kept)


# ----------------------------------------------------------------- access lists


@_top.command("ip access-list standard NAME")
def _standard_list(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    return _open_list(editor, config, "standard", name)


@_top.command("ip access-list extended NAME")
def _extended_list(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    return _open_list(editor, config, "extended", name)


def _open_list(editor: Editor, config: RouterConfig, kind: str, name: str) -> RouterConfig:
    if name in config.access_lists and config.access_lists[name].kind != kind:
        raise CommandError("% A named list of another type has this name")
    editor.enter(_LIST_MODES[kind], name)
    return config if name in config.access_lists else config.with_access_list(name, AccessList(kind))


@_top.command("no ip access-list standard NAME", "no ip access-list extended NAME", "no access-list NAME")
def _no_list(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    editor.enter(Mode.CONFIG)
    return config.with_access_list(name, None)


def _with_rule(config: RouterConfig, name: str, kind: str, number: int | None, text: str) -> RouterConfig:
    """Add an entry at its number, or ten after the last; an equal entry is not added again."""
    words = text.split()
    if kind == "extended" and words[1].lower() not in _PROTOCOLS:
        raise CommandError(f"% Unknown protocol {words[1]}")
    rule = " ".join(words)
    entries = dict(config.access_lists.get(name, AccessList(kind)).entries)
    if number is None and rule in entries.values():
        return config
    position = number or max(entries, default=0) // 10 * 10 + 10
    if entries.get(position, rule) != rule:
        raise CommandError("% Duplicate sequence number")
    entries[position] = rule
    return config.with_access_list(name, AccessList(kind, tuple(sorted(entries.items()))))


def _without_rules(config: RouterConfig, name: str, gone: Callable[[tuple[int, str]], bool]) -> RouterConfig:
    access_list = config.access_lists.get(name)
    if access_list is None:
        return config
    kept = tuple(entry for entry in access_list.entries if not gone(entry))
    return config.with_access_list(name, replace(access_list, entries=kept))


def _add_list_commands(mode: Mode, kind: str, verb: str) -> None:
    """The commands about entries that permit, or deny: inside a list, and on one line from the top."""

    @GRAMMARS[mode].command(f"{verb} LINE")
    def _add(editor: Editor, config: RouterConfig, text: str) -> RouterConfig:
        return _with_rule(config, editor.subject, kind, None, f"{verb} {text}")

    @GRAMMARS[mode].command(f"SEQUENCE {verb} LINE")
    def _add_at(editor: Editor, config: RouterConfig, number: int, text: str) -> RouterConfig:
        return _with_rule(config, editor.subject, kind, number, f"{verb} {text}")

    @GRAMMARS[mode].command(f"no {verb} LINE")
    def _remove(editor: Editor, config: RouterConfig, text: str) -> RouterConfig:
        rule = " ".join(f"{verb} {text}".split())
        changed = _without_rules(config, editor.subject, lambda entry: entry[1] == rule)
        if changed == config:
            raise CommandError("% Specified access-list entry does not exist")
        return changed

    @_top.command(f"access-list {kind.upper()} {verb} LINE")
    def _add_numbered(_editor: Editor, config: RouterConfig, number: int, text: str) -> RouterConfig:
        return _with_rule(config, str(number), kind, None, f"{verb} {text}")


for _kind, _mode in _LIST_MODES.items():
    for _verb in ("permit", "deny"):
        _add_list_commands(_mode, _kind, _verb)


@GRAMMARS[Mode.STANDARD_LIST].command("no SEQUENCE [LINE]")
@GRAMMARS[Mode.EXTENDED_LIST].command("no SEQUENCE [LINE]")
def _no_sequence(editor: Editor, config: RouterConfig, number: int, _text: str = "") -> RouterConfig:
    return _without_rules(config, editor.subject, lambda entry: entry[0] == number)


_inside = GRAMMARS[Mode.INTERFACE]


def _current(editor: Editor, config: RouterConfig) -> Interface:
    return config.interfaces.get(editor.subject, Interface())


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


@_inside.command("vrf forwarding NAME", "ip vrf forwarding NAME")
def _vrf_forwarding(editor: Editor, config: RouterConfig, name: str) -> RouterConfig:
    if name not in config.vrfs:
        raise CommandError(f"% VRF {name} does not exist or is not configured")
    return _moved(editor, config, name, f"enabling VRF {name}")


@_inside.command("no vrf forwarding [NAME]", "no ip vrf forwarding [NAME]")
def _no_vrf(editor: Editor, config: RouterConfig, _name: str = "") -> RouterConfig:
    left = _current(editor, config).vrf
    return _moved(editor, config, "", f"disabling VRF {left}")


def _moved(editor: Editor, config: RouterConfig, vrf: str, reason: str) -> RouterConfig:
    """Move an interface to another table: it loses its address, with a notice only."""
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
    if not wanted.is_unicast:
        raise CommandError(f"Not a valid host address - {dotted(address)}")
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


def _sets(syntaxes: tuple[str, ...], **changes: Any) -> None:
    """Let a line set fields of an interface to fixed values."""

    @_inside.command(*syntaxes)
    def _set(editor: Editor, config: RouterConfig, *_arguments: Any) -> RouterConfig:
        return config.with_interface(editor.subject, replace(_current(editor, config), **changes))


def _takes(syntax: str, field: str) -> None:
    """Let a line set a field of an interface to its argument."""

    @_inside.command(syntax)
    def _set(editor: Editor, config: RouterConfig, value: str) -> RouterConfig:
        changes: dict[str, Any] = {field: value}
        return config.with_interface(editor.subject, replace(_current(editor, config), **changes))


_takes("description LINE", "description")
_takes("ip access-group NAME in", "access_in")
_takes("ip access-group NAME out", "access_out")
_sets(("no description [LINE]",), description="")
_sets(("shutdown",), shutdown=True)
_sets(("no shutdown",), shutdown=False)
_sets(("no ip address [ADDRESS MASK]",), address=None)
_sets(("no encapsulation [dot1q VLAN]",), vlan=0, address=None)
_sets(("no ip access-group NAME in", "no ip access-group in"), access_in="")
_sets(("no ip access-group NAME out", "no ip access-group out"), access_out="")
