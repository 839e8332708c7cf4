"""Output of the show commands, in the layout that people and their parsers know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from simulators.routers.addresses import dotted, is_subinterface, order
from simulators.routers.config import Interface, RouterConfig, text_of
from simulators.routers.forwarding import Entry, is_up, table
from simulators.routers.grammar import CommandError
from simulators.routers.router import Router

_CODES = "Codes: L - local, C - connected, S - static, * - candidate default"


def version(router: Router) -> str:
    """Software, uptime and kind of a router."""
    uptime = int(router.clock.monotonic() - router.booted)
    hours, minutes = uptime // 3600, uptime // 60 % 60
    return (
        "IOS-like Software, Cell-Site Router Software, Version 17.6.5, simulated\n\n"
        f"{router.running.hostname} uptime is {hours} hours, {minutes} minutes\n"
        'System image file is "bootflash:csr-17.6.5.bin"\n\n'
        f"Processor board ID {router.id}\n"
        "4 Gigabit Ethernet interfaces\n\n"
        "Configuration register is 0x2102\n"
    )


def running(config: RouterConfig) -> str:
    """The configuration in effect, with its usual head."""
    text = text_of(config)
    return f"Building configuration...\n\nCurrent configuration : {len(text)} bytes\n!\n{text}"


def startup(config: RouterConfig) -> str:
    """The saved configuration, with its usual head."""
    text = text_of(config)
    return f"Using {len(text)} out of 33554432 bytes\n!\n{text}"


def running_of_interface(config: RouterConfig, name: str) -> str:
    """The part of the configuration about one interface."""
    _existing(config, name)
    lines = text_of(config).splitlines()
    start = lines.index(f"interface {name}")
    part = "\n".join(lines[start : lines.index("!", start)])
    return f"Building configuration...\n\nCurrent configuration : {len(part)} bytes\n!\n{part}\nend\n"


def _existing(config: RouterConfig, name: str) -> Interface:
    if name not in config.interfaces:
        raise CommandError(f"% Interface {name} does not exist")
    return config.interfaces[name]


def _status(config: RouterConfig, name: str) -> tuple[str, str]:
    """Status and line protocol of an interface."""
    if config.interfaces[name].shutdown:
        return "administratively down", "down"
    return ("up", "up") if is_up(config, name) else ("down", "down")


def ip_interface_brief(config: RouterConfig) -> str:
    """One line an interface."""
    lines = [f"{'Interface':<22} {'IP-Address':<15} OK? Method Status                Protocol"]
    for name in sorted(config.interfaces, key=order):
        address = config.interfaces[name].address
        shown, method = ("unassigned", "unset") if address is None else (dotted(address.address), "manual")
        status, protocol = _status(config, name)
        lines.append(f"{name:<22} {shown:<15} YES {method:<6} {status:<21} {protocol}")
    return "\n".join(lines) + "\n"


def interface_descriptions(config: RouterConfig) -> str:
    """One line an interface, with its description."""
    lines = [f"{'Interface':<30} {'Status':<14} {'Protocol':<8} Description"]
    for name in sorted(config.interfaces, key=order):
        status, protocol = _status(config, name)
        short = "admin down" if status.startswith("admin") else status
        lines.append(f"{name:<30} {short:<14} {protocol:<8} {config.interfaces[name].description}".rstrip())
    return "\n".join(lines) + "\n"


def interfaces(config: RouterConfig, name: str = "") -> str:
    """All about one interface, or all of them."""
    if name:
        _existing(config, name)
    names = [name] if name else sorted(config.interfaces, key=order)
    return "".join(f"{line}\n" for one in names for line in _interface(config, one))


def _interface(config: RouterConfig, name: str) -> Iterator[str]:
    interface = config.interfaces[name]
    status, protocol = _status(config, name)
    yield f"{name} is {status}, line protocol is {protocol}"
    if interface.description:
        yield f"  Description: {interface.description}"
    if interface.address is not None:
        yield f"  Internet address is {interface.address.with_length()}"
    yield "  MTU 1500 bytes, BW 1000000 Kbit/sec, DLY 10 usec,"
    if interface.vlan:
        yield f"  Encapsulation 802.1Q Virtual LAN, Vlan ID  {interface.vlan}."
    else:
        yield f"  Encapsulation {'LOOPBACK' if name.startswith('Loopback') else 'ARPA'}, loopback not set"


def ip_route(config: RouterConfig, vrf: str = "") -> str:
    """The routing table of a VRF, or the global one."""
    if vrf and vrf not in config.vrfs:
        raise CommandError(f"% IP routing table vrf {vrf} does not exist")
    entries = table(config, vrf)
    default = next((entry for entry in entries if not entry.target.length), None)
    head = [f"Routing Table: {vrf}"] if vrf else []
    head += [_CODES, "", f"Gateway of last resort is {_gateway(default)}", ""]
    return "\n".join([*head, *(line for entry in entries for line in _routes(config, entry))]) + "\n"


def _gateway(default: Entry | None) -> str:
    if default is None or default.route is None:
        return "not set"
    hop = default.route.next_hop
    return f"{dotted(hop) if hop is not None else '0.0.0.0'} to network 0.0.0.0"  # noqa: S104 (a route, no socket)


def _routes(config: RouterConfig, entry: Entry) -> Iterator[str]:
    target, route = entry.target, entry.route
    if route is None:
        yield f"C        {target.with_length()} is directly connected, {entry.interface}"
        own = config.interfaces[entry.interface].address
        assert own is not None
        yield f"L        {dotted(own.address)}/32 is directly connected, {entry.interface}"
    elif route.next_hop is None:
        yield f"{_static(entry)} {target.with_length()} is directly connected, {entry.interface}"
    else:
        yield f"{_static(entry)} {target.with_length()} [{route.distance}/0] via {dotted(route.next_hop)}"


def _static(entry: Entry) -> str:
    return "S       " if entry.target.length else "S*      "


def vrfs(config: RouterConfig) -> str:
    """All VRFs with their interfaces."""
    lines = [f"  {'Name':<32} {'Default RD':<21} {'Protocols':<11} Interfaces"]
    for name in sorted(config.vrfs):
        vrf = config.vrfs[name]
        inside = sorted((key for key, i in config.interfaces.items() if i.vrf == name), key=order)
        first, *rest = inside or [""]
        protocols = "ipv4" if vrf.ipv4 else ""
        lines.append(f"  {name:<32} {vrf.rd or '<not set>':<21} {protocols:<11} {first}".rstrip())
        lines += [f"  {'':<32} {'':<21} {'':<11} {other}" for other in rest]
    return "\n".join(lines) + "\n"


def vlans(config: RouterConfig) -> str:
    """All VLANs with their sub-interfaces."""
    lines = [f"{'VLAN':<5} {'Interface':<30} {'VRF':<20} Status"]
    tagged = [(i.vlan, name) for name, i in config.interfaces.items() if i.vlan and is_subinterface(name)]
    for vlan, name in sorted(tagged, key=lambda found: (found[0], order(found[1]))):
        lines.append(f"{vlan:<5} {name:<30} {config.interfaces[name].vrf or '-':<20} {_status(config, name)[0]}")
    return "\n".join(lines) + "\n"


def access_lists(config: RouterConfig) -> str:
    """All access lists with their entries."""
    lines = []
    for name in sorted(config.access_lists):
        access_list = config.access_lists[name]
        lines.append(f"{access_list.kind.capitalize()} IP access list {name}")
        lines += [f"    {number} {text}" for number, text in access_list.entries]
    return "".join(f"{line}\n" for line in lines)


def reload(router: Router) -> str:
    """The scheduled reload."""
    if router.reload is None:
        return "No reload is scheduled.\n"
    left = max(0, round((router.reload.due - router.clock.now()).total_seconds()))
    text = f"Reload scheduled for {clock(router.reload.due)} (in {left // 60} minutes and {left % 60} seconds)\n"
    return text + f"Reload reason: {router.reload.reason}\n"


def clock(moment: object) -> str:
    """A time in the format of routers."""
    return format(moment, "%H:%M:%S UTC %a %b %d %Y")


# ----------------------------------------------------------------------- filters


def _section(lines: list[str], pattern: re.Pattern[str]) -> Iterator[str]:
    """Every block whose head fits: a line and those indented below it."""
    inside = False
    for line in lines:
        if not line.startswith(" "):
            inside = pattern.search(line) is not None
        if inside:
            yield line


def _begin(lines: list[str], pattern: re.Pattern[str]) -> Iterator[str]:
    start = next((index for index, line in enumerate(lines) if pattern.search(line)), len(lines))
    return iter(lines[start:])


def _count(lines: list[str], pattern: re.Pattern[str]) -> Iterator[str]:
    yield f"Number of lines which match regexp = {sum(pattern.search(line) is not None for line in lines)}"


_FILTERS: Mapping[str, Callable[[list[str], re.Pattern[str]], Iterator[str]]] = MappingProxyType(
    {
        "include": lambda lines, pattern: (line for line in lines if pattern.search(line)),
        "exclude": lambda lines, pattern: (line for line in lines if not pattern.search(line)),
        "begin": _begin,
        "section": _section,
        "count": _count,
    }
)


def read_filter(text: str) -> Callable[[str], str]:
    """Parse the filter after the bar of ``show … | include REGEX``.

    Raises:
        CommandError: it is not a filter, or its regular expression is wrong.
    """
    name, _, words = text.strip().partition(" ")
    found = [key for key in _FILTERS if name and key.startswith(name.lower())]
    if len(found) != 1 or not words.strip():
        raise CommandError("% Invalid filter: include, exclude, begin, section or count, and a regular expression")
    pattern = _regular_expression(words.strip())

    def apply(output: str) -> str:
        return "".join(f"{line}\n" for line in _FILTERS[found[0]](output.splitlines(), pattern))

    return apply


#: The longest regular expression that a router takes.
_LONGEST = 200
#: A bracket expression, an escaped character, or any other one.
_TOKEN = re.compile(r"\[\^?\]?[^\]]*\]|\\.|.", re.DOTALL)
#: Characters with another meaning in Python's regular expressions; ``_`` matches what separates words.
_MEANINGS: Mapping[str, str] = MappingProxyType({"_": r"(?:^|$|[ ,{}()])", "{": r"\{", "}": r"\}"})


def _regular_expression(text: str) -> re.Pattern[str]:
    """Compile a regular expression of a router: ``. * + ? ^ $ [] () |`` and ``_``, the rest literally."""
    tokens = [_meaning(token) for token in _TOKEN.findall(text)]
    try:
        if len(text) <= _LONGEST:
            return re.compile("".join(tokens))
    except re.error:
        pass
    raise CommandError(f"% Failed to compile regular expression: {text[:_LONGEST]}")


def _meaning(token: str) -> str:
    if token.startswith("\\") and len(token) == 2:
        return re.escape(token[1])
    if token.startswith("[") and len(token) > 1:
        return token.replace("\\", "\\\\")
    return _MEANINGS.get(token, token)
