"""What a station's configuration says about its cells and core links (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from simulators.datastore import Config, Instance, Path, RpcError
from simulators.network import Core, StationRecord, ends

#: Function class → the cell classes in it, and where a cell class lists its PLMNs.
_CELLS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ENBFunction": MappingProxyType({"EUtranCellFDD": "plmnIdList", "EUtranCellTDD": "plmnIdList"}),
        "GNBDUFunction": MappingProxyType({"NRCellDU": "pLMNInfoList"}),
    }
)
_ROOT = "rootSequenceIndex"
#: Leaves that a cell can't change while it is on air without going off for a moment.
_CARRIER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "EUtranCellFDD": ("pci", "earfcnDl", "earfcnUl", "dlChannelBandwidth", "ulChannelBandwidth", _ROOT),
        "EUtranCellTDD": ("pci", "earfcn", "channelBandwidth", _ROOT),
        "NRCellDU": ("nRPCI", "arfcnDL", "arfcnUL", "bSChannelBwDL", "bSChannelBwUL", "ssbFrequency"),
    }
)
_NUMBER = re.compile(r"\d+$")
#: Function class → the end point classes in it, and which nodes of a core they lead to.
_LINKS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ENBFunction": MappingProxyType({"EP_S1C": "mme", "EP_S1U": "sgw"}),
        "GNBCUCPFunction": MappingProxyType({"EP_NgC": "amf"}),
        "GNBCUUPFunction": MappingProxyType({"EP_NgU": "upf", "EP_S1U": "sgw"}),
    }
)


@dataclass(frozen=True, slots=True)
class ConfiguredCell:
    """A configured cell; ``path`` leads to its ``attributes``.

    ``plmns`` is the list of its PLMNs, as in pLMNInfoList, ``carrier`` what can't change while it is on air, ``tac``
    what strict stations refuse to change then. ``local_id`` is that of an NR cell within its gNB.
    """

    path: Path
    plmns: str
    administrative: str
    broadcasts: bool
    carrier: tuple[str | None, ...]
    tac: str | None
    local_id: str | None = None

    @property
    def unlocked(self) -> bool:
        """Whether the cell is unlocked."""
        return self.administrative == "UNLOCKED"

    @property
    def should_serve(self) -> bool:
        """Whether the cell is unlocked and broadcasts a PLMN."""
        return self.unlocked and self.broadcasts

    @property
    def cell_class(self) -> str:
        """Its class, as in NRCellDU."""
        return str(self.path[-2][0])

    @property
    def id(self) -> str:
        """Its id within its function."""
        return str(self.path[-2][1])

    @property
    def name(self) -> str:
        """Its name, as in NRCellDU=n78-1."""
        return f"{self.cell_class}={self.id}"

    @property
    def central(self) -> Path:
        """Path of its other half (NRCellCU) at the CU-CP of the station."""
        return (*self.path[:1], ("GNBCUCPFunction", "1"), ("NRCellCU", self.id))

    @property
    def unit(self) -> str:
        """Radio unit that transmits it: cells with the same number at the end share a unit."""
        return unit_of(self.id)

    @property
    def distinguished_name(self) -> str:
        """The object's name within the network (TS 32.300)."""
        return distinguished_name(self.path)


@dataclass(frozen=True, slots=True)
class ConfiguredLink:
    """A configured core link; ``path`` leads to its ``attributes``, ``name`` is as in ``EP_S1C=claro-mme-1``.

    ``tenant`` is the one whose core it leads to, empty if none; ``matches_core`` says that all of it is as that
    core wants it. ``far`` are addresses that its packets go to, ``slices`` those that it carries, none where all.
    """

    path: Path
    name: str
    id: str
    tenant: str
    remote: str
    unlocked: bool
    matches_core: bool
    far: tuple[str, ...] = ()
    slices: frozenset[str] = frozenset()

    @property
    def technology(self) -> str:
        """LTE or NR."""
        return "LTE" if self.path[-3][0] == "ENBFunction" else "NR"

    @property
    def user_plane(self) -> bool:
        """Whether it carries user packets, and not signalling."""
        return self.name.startswith(("EP_S1U=", "EP_NgU="))

    def carries(self, slice_: str) -> bool:
        """Whether the configuration lets packets of a slice take it."""
        return not self.slices or slice_ in self.slices

    @property
    def distinguished_name(self) -> str:
        """The object's name within the network (TS 32.300)."""
        return distinguished_name(self.path)


def distinguished_name(path: Path) -> str:
    """Name of the object at a path (TS 32.300)."""
    return ",".join(f"{step[0]}={step[1]}" for step in path if not isinstance(step, str))


def unit_of(cell: str) -> str:
    """Name of the radio unit that transmits a cell."""
    number = _NUMBER.search(cell)
    return f"ru-{int(number[0]) if number else 1}"


def cells_of(config: Config) -> Iterator[ConfiguredCell]:
    """All configured cells."""
    for function, classes in _CELLS.items():
        for path, parent in _functions(config, function):
            for cell_class, plmns in classes.items():
                for cell in parent.entries(cell_class):
                    yield _cell((*path, (cell_class, *cell.keys), "attributes"), cell_class, cell, plmns)


def check_cells(before: Config, after: Config) -> None:
    """Refuse a change of carrier or tracking area of a cell that stays unlocked (strict stations).

    Raises:
        RpcError: in-use, for the first such cell.
    """
    known = {cell.path: cell for cell in cells_of(before)}
    for cell in cells_of(after):
        old = known.get(cell.path)
        changed = old is not None and (old.carrier, old.tac) != (cell.carrier, cell.tac)
        if old is not None and changed and old.unlocked and cell.unlocked:
            message = f"{cell.name} is unlocked: lock it before its carrier or tracking area is changed"
            raise RpcError("in-use", message)


def _cell(path: Path, cell_class: str, cell: Instance, plmns: str) -> ConfiguredCell:
    attributes = _attributes(cell)
    return ConfiguredCell(
        path=path,
        plmns=plmns,
        administrative=attributes.leaf("administrativeState") or "LOCKED",
        broadcasts=any(True for _ in attributes.entries(plmns)),
        carrier=tuple(attributes.leaf(name) for name in _CARRIER[cell_class]),
        tac=attributes.leaf("nRTAC" if cell_class == "NRCellDU" else "tac"),
        local_id=attributes.leaf("cellLocalId") if cell_class == "NRCellDU" else None,
    )


def links_of(config: Config, record: StationRecord, cores: tuple[Core, ...]) -> Iterator[ConfiguredLink]:
    """All configured core links."""
    for function, classes in _LINKS.items():
        for path, parent in _functions(config, function):
            for link_class, pool in classes.items():
                for link in parent.entries(link_class):
                    yield _link((*path, (link_class, *link.keys), "attributes"), link, pool, record, cores)


def _link(path: Path, link: Instance, pool: str, record: StationRecord, cores: tuple[Core, ...]) -> ConfiguredLink:
    attributes = _attributes(link)
    local = {(near.leaf("ipAddress"), near.leaf("vlanId")) for near in attributes.entries("localAddress")}
    remote = (attributes.leaf("remoteAddress") if "remoteAddress" in attributes.node.by_name else None) or ""
    if pool == "sgw":  # of which the MME names one for each session: the VLAN says whose they are
        vlans = {vlan for _, vlan in local}
        core = next((core for core in cores if core.sgw and str(core.vlan) in vlans), None)
        far = () if core is None else _far(core, "user", *core.sgw)
    else:
        core = next((core for core in cores if remote in getattr(core, pool)), None)
        far = (remote,)
        if core is not None:
            far = _far(core, "user", core.n3.get(remote, remote)) if pool == "upf" else core.way("control", remote)
    lockable = "administrativeState" in attributes.node.by_name
    return ConfiguredLink(
        path=path,
        name=f"{link.node.name}={link.keys[0]}",
        id=link.keys[0],
        tenant="" if core is None else core.tenant,
        remote=remote,
        unlocked=not lockable or attributes.leaf("administrativeState") == "UNLOCKED",
        matches_core=core is not None and local == {(record.transport_address, str(core.vlan))},
        far=far,
        slices=frozenset() if core is None or pool != "upf" else core.slices.get(remote, frozenset()),
    )


def _far(core: Core, plane: str, *networks: str) -> tuple[str, ...]:
    return tuple(address for network in core.way(plane, *networks) for address in ends(network))


# ----------------------------------------------------------- parts of a gNB


def ends_of(config: Config, interface: str) -> Iterator[tuple[str, str, str]]:
    """Ends of an interface within a gNB (``EP_F1C``, ``EP_F1U``, ``EP_E1``): near address, VLAN and far address."""
    for function in ("GNBDUFunction", "GNBCUCPFunction", "GNBCUUPFunction"):
        for _, parent in _functions(config, function):
            for end in parent.entries(interface) if interface in parent.node.by_name else ():
                attributes = _attributes(end)
                far = attributes.leaf("remoteAddress") or ""
                for near in attributes.entries("localAddress"):
                    yield near.leaf("ipAddress") or "", near.leaf("vlanId") or "", far


def halves_of_cells(config: Config) -> Mapping[str, tuple[Path, frozenset[str]]]:
    """Cells of a control plane (NRCellCU) with their PLMNs, by their local ids."""
    return {
        attributes.leaf("cellLocalId") or "": ((*path, ("NRCellCU", *cell.keys)), _plmns(attributes))
        for path, parent in _functions(config, "GNBCUCPFunction")
        for cell in parent.entries("NRCellCU")
        for attributes in (_attributes(cell),)
    }


def has_end(config: Config, function: str, end: str) -> bool:
    """Whether a function has an end point of a class, as EP_X2C."""
    there = (parent for _, parent in _functions(config, function) if end in parent.node.by_name)
    return any(True for parent in there for _ in parent.entries(end))


def user_planes(config: Config) -> Iterator[Path]:
    """Where its user planes stand (GNBCUUPFunction)."""
    return (path for path, _ in _functions(config, "GNBCUUPFunction"))


def plmns_of_user_plane(config: Config) -> frozenset[str]:
    """PLMNs of a user plane."""
    found = (_plmns(_attributes(parent)) for _, parent in _functions(config, "GNBCUUPFunction"))
    return frozenset().union(*found)


def _plmns(attributes: Instance) -> frozenset[str]:
    return frozenset(f"{one.leaf('mcc')}-{one.leaf('mnc')}" for one in attributes.entries("pLMNInfoList"))


def _functions(config: Config, function: str) -> Iterator[tuple[Path, Instance]]:
    root = config.root
    for element in root.entries("ManagedElement"):
        if function in element.node.by_name:
            for entry in element.entries(function):
                yield (("ManagedElement", *element.keys), (function, *entry.keys)), entry


def _attributes(entry: Instance) -> Instance:
    attributes = entry.child("attributes")
    assert attributes is not None
    return attributes
