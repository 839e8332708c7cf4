"""What a station's configuration says about its cells and core links (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from simulators.datastore import Config, Instance, Path
from simulators.network import Core, StationRecord

#: Function class → the cell classes in it, and where a cell class lists its PLMNs.
_CELLS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ENBFunction": MappingProxyType({"EUtranCellFDD": "plmnIdList", "EUtranCellTDD": "plmnIdList"}),
        "GNBDUFunction": MappingProxyType({"NRCellDU": "pLMNInfoList"}),
    }
)
#: Leaves that a cell can't change while it is on air without going off for a moment.
_CARRIER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "EUtranCellFDD": ("pci", "earfcnDl", "earfcnUl", "dlChannelBandwidth", "ulChannelBandwidth"),
        "EUtranCellTDD": ("pci", "earfcn", "channelBandwidth"),
        "NRCellDU": ("nRPCI", "arfcnDL", "arfcnUL", "bSChannelBwDL", "bSChannelBwUL"),
    }
)
#: Function class → the end point class in it, and which nodes of a core it leads to.
_LINKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ENBFunction": ("EP_S1C", "mme"),
        "GNBCUCPFunction": ("EP_NgC", "amf"),
        "GNBCUUPFunction": ("EP_NgU", "upf"),
    }
)


@dataclass(frozen=True, slots=True)
class CellSurvey:
    """A configured cell; ``path`` leads to its ``attributes``."""

    path: Path
    wants_air: bool
    unlocked: bool
    carrier: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class LinkSurvey:
    """A configured core link; ``path`` leads to its ``attributes``, ``name`` is as in ``EP_S1C=claro-mme-1``.

    ``tenant`` is the one whose core it leads to, empty if none; ``right`` says that all of it is as that core wants it.
    """

    path: Path
    name: str
    id: str
    tenant: str
    remote: str
    unlocked: bool
    right: bool

    @property
    def distinguished_name(self) -> str:
        """The object's name within the network (TS 32.300)."""
        return ",".join(f"{step[0]}={step[1]}" for step in self.path if not isinstance(step, str))


def cells_of(config: Config) -> Iterator[CellSurvey]:
    """All configured cells."""
    for function, classes in _CELLS.items():
        for path, parent in _functions(config, function):
            for cell_class, plmns in classes.items():
                for cell in parent.entries(cell_class):
                    yield _cell((*path, (cell_class, *cell.keys), "attributes"), cell_class, cell, plmns)


def _cell(path: Path, cell_class: str, cell: Instance, plmns: str) -> CellSurvey:
    attributes = _attributes(cell)
    unlocked = attributes.leaf("administrativeState") == "UNLOCKED"
    return CellSurvey(
        path=path,
        unlocked=unlocked,
        wants_air=unlocked and any(True for _ in attributes.entries(plmns)),
        carrier=tuple(attributes.leaf(name) for name in _CARRIER[cell_class]),
    )


def links_of(config: Config, record: StationRecord, cores: tuple[Core, ...]) -> Iterator[LinkSurvey]:
    """All configured core links."""
    for function, (link_class, pool) in _LINKS.items():
        for path, parent in _functions(config, function):
            for link in parent.entries(link_class):
                yield _link((*path, (link_class, *link.keys), "attributes"), link, pool, record, cores)


def _link(path: Path, link: Instance, pool: str, record: StationRecord, cores: tuple[Core, ...]) -> LinkSurvey:
    attributes = _attributes(link)
    local = {(near.leaf("ipAddress"), near.leaf("vlanId")) for near in attributes.entries("localAddress")}
    remote = attributes.leaf("remoteAddress") or ""
    core = next((core for core in cores if remote in getattr(core, pool)), None)
    lockable = "administrativeState" in attributes.node.by_name
    return LinkSurvey(
        path=path,
        name=f"{link.node.name}={link.keys[0]}",
        id=link.keys[0],
        tenant="" if core is None else core.tenant,
        remote=remote,
        unlocked=not lockable or attributes.leaf("administrativeState") == "UNLOCKED",
        right=core is not None and local == {(record.transport_address, str(core.vlan))},
    )


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
