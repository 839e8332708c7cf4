"""Device trees of routers as command lines: reads a running-config, and writes lines that turn one tree into another.

Two dialects are known: IOS (``cisco_ios``) and FRRouting (``frr``). What a block holds that the tree can't is
listed as unknown if the block is a VRF or a VLAN's interface; everything else of a router is none of our business.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Interface, IPv4Network, NetmaskValueError

from controller.models.errors import DeviceRefusedError
from controller.nrm.profiles.router import PREFERRED, RouterProfile
from controller.nrm.tree import (
    LONGEST_KEY,
    LeafName,
    Leaves,
    NodeCount,
    Observed,
    Path,
    Tree,
    Value,
    child,
    parent,
    shortened,
    step,
)

_Reading = tuple[LeafName, Value]


def _address(*words: str) -> str:
    return str(IPv4Interface("/".join(words)))


def _plain(leaf: LeafName, pattern: str) -> tuple[re.Pattern[str], Callable[[re.Match[str]], _Reading]]:
    return re.compile(pattern), lambda found: (leaf, found[1].strip())


#: Lines of a block → leaf and value.
_VRF_LINES = (
    _plain("description", r"description (.+)"),
    _plain("rd", r"rd (\S+)"),
    (re.compile(r"address-family ipv4(?: unicast)?"), lambda _: ("ipv4", "enabled")),
)
_INTERFACE_LINES = (
    _plain("description", r"description (.+)"),
    _plain("vlan", r"encapsulation dot1[qQ] (\d{1,4})"),
    _plain("vrf", r"(?:ip )?vrf forwarding (\S+)"),
    (re.compile(r"ip address (\d\S+) (\d\S+)"), lambda found: ("address", _address(found[1], found[2]))),
    (re.compile(r"ip address (\d[\d.]+/\d+)"), lambda found: ("address", _address(found[1]))),
    _plain("accessIn", r"ip access-group (\S+) in"),
    _plain("accessOut", r"ip access-group (\S+) out"),
    (re.compile(r"shutdown"), lambda _: ("shutdown", "true")),
)
#: Most characters of a line that is read; routers take 254.
_LONGEST_LINE = 1000
#: Lines that only state a default.
_SILENT = re.compile(r"!.*|exit.*|no ip address|no shutdown|")
_ADDRESS = re.compile(r"\d+(?:\.\d+){3}")
_ROUTE = re.compile(r"ip route (?:vrf (?P<vrf>\S+) )?(?P<rest>\d.*)")
_DISTANCE = re.compile(r"[1-9]\d{0,2}", re.ASCII)
#: Leaf for whether a port has a signal, by the name that IOS uses.
_LINE_PROTOCOL = "line-protocol"
#: A line about an interface; on IOS the line protocol counts, which is down if the status is.
_IOS_STATE = re.compile(
    r"(?P<name>[A-Z][\w/.-]*) +\S+ +\w+ +\S+ +(?:up|(?P<shut>administratively )?down) +(?P<state>up|down) *$"
)
_FRR_STATE = re.compile(r"(?P<name>[a-z][\w.-]*) +(?P<state>up|down)(?P<shut>)(?: |$)")
#: The head of a banner, whose text may look like anything, up to the same mark.
_BANNER = re.compile(r"banner [\w-]+ (?P<mark>\^C)(?P<text>.*)")


def read_config(profile: RouterProfile, text: str, router: str) -> Observed:
    """The tree in the output of ``show running-config``; a line that is longer than any known one is unknown.

    Raises:
        DeviceRefusedError: The router lists more nodes than any has.
    """
    reader = _Reader(profile, router, NodeCount(router))
    for head, lines in _blocks(text):
        reader.block(head, lines)
    return reader.observed()


def port_states(profile: RouterProfile, text: str, router: str) -> dict[Path, Leaves]:
    """States of ports from ``show ip interface brief``: ``up``, ``down``, or ``shut`` by somebody.

    On FRRouting from ``show interface brief``, which does not distinguish shut ports from ports without signal.

    Raises:
        DeviceRefusedError: The router lists more ports than any has.
    """
    pattern = _IOS_STATE if profile.virtual else _FRR_STATE
    found = (pattern.match(line) for line in text.split("\n") if len(line) <= LONGEST_KEY)
    states: dict[Path, Leaves] = {
        child(child("", "Router", router), "Port", line["name"]): {
            _LINE_PROTOCOL: "shut" if line["shut"] else line["state"]
        }
        for line in found
        if line is not None and "." not in line["name"]
    }
    count = NodeCount(router)
    for path in states:
        count.add(path)
    return states


def ports_without_signal(observed: Observed, ledger: Collection[Path], before: Collection[Path]) -> tuple[Path, ...]:
    """Ports with sub-interfaces of the ledger that nobody shut down, and that are down.

    A port without a reported state keeps its state of ``before``.
    """

    def is_down(port: Path) -> bool:
        state = observed.state.get(port, {}).get(_LINE_PROTOCOL)
        return port in before if state is None else state == "down"

    used = {
        child(parent(path), "Port", step(path)[1][0].partition(".")[0])
        for path in ledger
        if step(path)[0] == "SubInterface"
    }
    return tuple(sorted(port for port in used if is_down(port) and "shutdown" not in observed.tree.get(port, {})))


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Lines at the margin, each with the indented lines below it, without banners."""
    head, below, mark = "", list[str](), ""
    for line in text.split("\n"):
        if mark:
            mark = "" if mark in line else mark
        elif banner := _BANNER.match(line):
            mark = "" if banner["mark"] in banner["text"] else banner["mark"]
        elif line.startswith(" "):
            below.append(line.strip())
        elif line.strip():
            yield head, below
            head, below = line.strip(), []
    yield head, below


@dataclass
class _Reader:
    profile: RouterProfile
    router: str
    count: NodeCount
    vrfs: dict[Path, dict[LeafName, Value]] = field(default_factory=dict)
    routes: dict[Path, dict[LeafName, Value]] = field(default_factory=dict)
    interfaces: dict[Path, dict[LeafName, Value]] = field(default_factory=dict)
    unknown: list[Path] = field(default_factory=list)
    odd: set[Path] = field(default_factory=set)

    @property
    def root(self) -> Path:
        return child("", "Router", self.router)

    def block(self, head: str, lines: list[str]) -> None:
        """Read one block."""
        match head[:_LONGEST_LINE].split():
            case ["vrf" | "interface", *_] | ["ip", "vrf" | "route", *_] if len(head) > LONGEST_KEY:
                self._unknown(self.root, head)
            case ["vrf", "definition", name] | ["ip", "vrf", name] | ["vrf", name]:
                self._vrf(child(self.root, "Vrf", name), lines)
            case ["interface", name, *_]:
                self._interface(name, lines)
            case ["ip", "route", *_]:
                self._route(head, "")

    def _vrf(self, path: Path, lines: list[str]) -> None:
        self.count.add(path)
        leaves: dict[LeafName, Value] = {}
        for line in lines:
            if len(line) <= LONGEST_KEY and _ROUTE.fullmatch(line):
                self._route(line, path)
            else:
                self._line(line, _VRF_LINES, leaves, path)
        self.vrfs[path] = leaves

    def _interface(self, name: str, lines: list[str]) -> None:
        leaves: dict[LeafName, Value] = {}
        inside: list[str] = []
        for line in lines:
            self._line(line, _INTERFACE_LINES, leaves, "", inside)
        known = "." in name
        path = child(self.root, "SubInterface" if known else "Port", name)
        self.count.add(path)
        for line in inside if known else ():
            self._unknown(path, line)
        self.interfaces[path] = leaves

    def _unknown(self, path: Path, line: str) -> None:
        unknown = f"{path}/{shortened(line)}"
        self.count.add(unknown)
        self.unknown.append(unknown)
        self.odd.add(path)

    def _line(
        self,
        line: str,
        known: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], _Reading]], ...],
        leaves: dict[LeafName, Value],
        path: Path,
        inside: list[str] | None = None,
    ) -> None:
        for pattern, read in known if len(line) <= _LONGEST_LINE else ():
            found = pattern.fullmatch(line)
            if found is not None:
                try:
                    leaf, value = read(found)
                except (AddressValueError, NetmaskValueError):
                    break
                if leaf not in leaves:
                    leaves[leaf] = value
                    return
        if _SILENT.fullmatch(line):
            return
        if inside is None:
            self._unknown(path, line)
        else:
            inside.append(line)

    def _route(self, line: str, vrf: Path) -> None:
        found = _ROUTE.fullmatch(line)
        if found is None:
            return
        above = child(self.root, "Vrf", found["vrf"]) if found["vrf"] else vrf or self.root
        parsed = _route_of(found["rest"])
        path = child(above, "Route", *parsed[:2]) if parsed else ""
        if parsed and path not in self.routes:
            self.count.add(path)
            self.routes[path] = {"distance": parsed[2]} if parsed[2] != PREFERRED else {}
        elif above != self.root:
            self._unknown(above, line)

    def observed(self) -> Observed:
        """The result; routes are with their VRFs."""
        tree: dict[Path, dict[LeafName, Value]] = {self.root: {}}
        routes: dict[Path, dict[Path, dict[LeafName, Value]]] = {}
        for path, leaves in self.routes.items():
            routes.setdefault(parent(path), {})[path] = leaves
        for path, leaves in self.vrfs.items():
            below = routes.get(path, {})
            if leaves or below or self.profile.virtual or path in self.odd:
                tree |= {path: leaves, **below}
        for path, leaves in self.interfaces.items():
            if leaves or self.profile.virtual or path in self.odd:
                tree[path] = leaves
        tree |= routes.get(self.root, {})
        return Observed(tree, unknown=tuple(self.unknown))


def _route_of(rest: str) -> tuple[str, str, str] | None:
    """Network, next hop and distance of a static route; None for one with unknown words."""
    words = rest.split()
    first = words.pop(0)
    if "/" not in first and words:
        first = f"{first}/{words.pop(0)}"
    distance = words.pop() if words[1:] and _DISTANCE.fullmatch(words[-1]) else PREFERRED
    if not words or len(words) > 2 or (len(words) == 2 and not _ADDRESS.fullmatch(words[1])):
        return None
    try:
        return str(IPv4Network(first)), " ".join(words), distance
    except ValueError:
        return None


# --------------------------------------------------------------------------- writing

#: Characters that can be typed: printable ASCII except the question mark, which asks for help.
_TYPED = re.compile(r"[ ->@-~]*")


def command_lines(profile: RouterProfile, tree: Tree, wanted: Tree) -> tuple[str, ...]:
    """Configuration lines that turn one tree of a router into another; empty if they are equal.

    Nothing else is touched. What goes, goes first: routes, interfaces, VRFs; then come VRFs, interfaces and routes.
    A route that shall count is raised before the one that counted steps back.

    Raises:
        DeviceRefusedError: The lines would concern more than the trees say: an interface that is in use
            outside any VRF would be moved, or a VRF be taken away under an interface that stays. Or one has
            characters that a command line takes for keys.
    """
    _refuse(profile, tree, wanted)
    writer = (_Ios if profile.virtual else _Frr)(tree, wanted)
    lines = tuple(writer.lines())
    for line in lines:
        if not _TYPED.fullmatch(line):
            raise DeviceRefusedError(f"{line.strip()!r} can't be typed: a command line reads some of it as keys")
    return lines


def _refuse(profile: RouterProfile, tree: Tree, wanted: Tree) -> None:
    for path, leaves in tree.items():
        outside = step(path)[0] == "SubInterface" and profile.virtual and "vrf" not in leaves and "address" in leaves
        if outside and wanted.get(path, leaves) != leaves:
            raise DeviceRefusedError(f"interface {step(path)[1][0]} is in use outside any VRF: it is not touched")
    vrfs = {step(path)[1][0] for path in wanted if step(path)[0] == "Vrf"}
    for path, leaves in wanted.items():
        vrf = leaves.get("vrf")
        if vrf is not None and vrf not in vrfs:
            raise DeviceRefusedError(f"interface {step(path)[1][0]} is in VRF {vrf}, which would not be there")


@dataclass(frozen=True)
class _Writer(ABC):
    tree: Tree
    wanted: Tree

    def lines(self) -> Iterator[str]:
        """All lines, in their order."""
        gone = [path for path in self.tree if path not in self.wanted]
        for path in self._of(gone, "Route"):
            if parent(path) in self.wanted:
                yield from self.route(path, self.tree[path], "no ")
        for kind, remove in (("SubInterface", self.no_interface), ("Port", self.no_interface), ("Vrf", self.no_vrf)):
            for path in self._of(gone, kind):
                yield from remove(path)
        for kind, write in (("Vrf", self.vrf), ("SubInterface", self.interface), ("Port", self.interface)):
            for path in self._of(self.wanted, kind):
                if self.wanted[path] != self.tree.get(path):
                    yield from write(path, self.tree.get(path), self.wanted[path])
        changed = [path for path in self._of(self.wanted, "Route") if self.wanted[path] != self.tree.get(path)]
        for path in sorted(changed, key=lambda path: int(_distance(self.wanted[path]))):
            yield from self.route(path, self.wanted[path])

    def _of(self, paths: Iterator[Path] | list[Path] | Tree, kind: str) -> list[Path]:
        return [path for path in paths if step(path)[0] == kind]

    def leaf_lines(
        self, templates: Mapping[LeafName, str], before: Leaves | None, after: Leaves, again: frozenset[LeafName]
    ) -> Iterator[str]:
        """Lines for leaves that differ, in order of the templates; for leaves in ``again`` always."""
        for leaf, template in templates.items():
            old, new = (before or {}).get(leaf), after.get(leaf)
            if old != new and new is None:
                # FRRouting takes no text after it, and IOS needs none.
                yield " no description" if leaf == "description" else f" no {template.format(self.spell(leaf, old))}"
            elif new is not None and (old != new or leaf in again):
                yield f" {template.format(self.spell(leaf, new))}".rstrip()

    @abstractmethod
    def spell(self, leaf: LeafName, value: Value | None) -> str:
        """A value in the spelling of the dialect."""

    @abstractmethod
    def vrf(self, path: Path, before: Leaves | None, after: Leaves) -> Iterator[str]:
        """Make or change a VRF."""

    @abstractmethod
    def no_vrf(self, path: Path) -> Iterator[str]:
        """Take a VRF away, with its routes."""

    @abstractmethod
    def interface(self, path: Path, before: Leaves | None, after: Leaves) -> Iterator[str]:
        """Make or change an interface."""

    @abstractmethod
    def no_interface(self, path: Path) -> Iterator[str]:
        """Take an interface away."""

    @abstractmethod
    def route(self, path: Path, leaves: Leaves, no: str = "") -> Iterator[str]:
        """Set a route, whose distance replaces that of the same route; or take it away."""


_INTERFACE = {
    "description": "description {}",
    "vlan": "encapsulation dot1Q {}",
    "vrf": "vrf forwarding {}",
    "address": "ip address {}",
    "accessIn": "ip access-group {} in",
    "accessOut": "ip access-group {} out",
    "shutdown": "shutdown",
}


class _Ios(_Writer):
    def spell(self, leaf: LeafName, value: Value | None) -> str:
        if leaf == "address":
            return IPv4Interface(str(value)).with_netmask.replace("/", " ")
        return str(value)

    def vrf(self, path: Path, before: Leaves | None, after: Leaves) -> Iterator[str]:
        yield f"vrf definition {step(path)[1][0]}"
        if before and "rd" in before and before["rd"] != after.get("rd"):
            yield f" no rd {before['rd']}"
            before = {leaf: value for leaf, value in before.items() if leaf != "rd"}
        yield from self.leaf_lines({"description": "description {}", "rd": "rd {}"}, before, after, frozenset())
        if (before or {}).get("ipv4") != after.get("ipv4"):
            yield " address-family ipv4" if "ipv4" in after else " no address-family ipv4"
        if "ipv4" in after and "ipv4" not in (before or {}):
            yield " exit-address-family"
        yield "exit"

    def no_vrf(self, path: Path) -> Iterator[str]:
        yield f"no vrf definition {step(path)[1][0]}"

    def interface(self, path: Path, before: Leaves | None, after: Leaves) -> Iterator[str]:
        # An interface that moves to another VRF loses its address, with only a notice.
        moved = before is not None and any(before.get(leaf) != after.get(leaf) for leaf in ("vrf", "vlan"))
        again = frozenset({"address"} if moved else ())
        yield f"interface {step(path)[1][0]}"
        yield from self.leaf_lines(_INTERFACE, before, after, again)
        yield "exit"

    def no_interface(self, path: Path) -> Iterator[str]:
        yield f"no interface {step(path)[1][0]}"

    def route(self, path: Path, leaves: Leaves, no: str = "") -> Iterator[str]:
        network, way = step(path)[1]
        vrf = f"vrf {step(parent(path))[1][0]} " if step(parent(path))[0] == "Vrf" else ""
        distance = "" if no or _distance(leaves) == PREFERRED else f" {_distance(leaves)}"
        yield f"{no}ip route {vrf}{IPv4Network(network).with_netmask.replace('/', ' ')} {way}{distance}"


class _Frr(_Writer):
    def spell(self, leaf: LeafName, value: Value | None) -> str:
        return str(value)

    def vrf(self, path: Path, before: Leaves | None, after: Leaves) -> Iterator[str]:
        yield from ()  # it exists as soon as a route does

    def no_vrf(self, path: Path) -> Iterator[str]:
        for route in self._of([one for one in self.tree if parent(one) == path], "Route"):
            yield from self.route(route, self.tree[route], "no ")

    def interface(self, path: Path, before: Leaves | None, after: Leaves) -> Iterator[str]:
        yield f"interface {step(path)[1][0]}"
        if before and "address" in before and before["address"] != after.get("address"):
            yield f" no ip address {before['address']}"
            before = {leaf: value for leaf, value in before.items() if leaf != "address"}
        own = {leaf: _INTERFACE[leaf] for leaf in ("description", "address", "shutdown")}
        yield from self.leaf_lines(own, before, after, frozenset())
        yield "exit"

    def no_interface(self, path: Path) -> Iterator[str]:
        yield from self.interface(path, self.tree[path], {})

    def route(self, path: Path, leaves: Leaves, no: str = "") -> Iterator[str]:
        network, way = step(path)[1]
        inside = step(parent(path))[0] == "Vrf"
        distance = "" if _distance(leaves) == PREFERRED else f" {_distance(leaves)}"
        if inside:
            yield f"vrf {step(parent(path))[1][0]}"
        yield f"{' ' if inside else ''}{no}ip route {network} {way}{distance}"
        if inside:
            yield "exit-vrf"


def _distance(leaves: Leaves) -> str:
    return str(leaves.get("distance", PREFERRED))
