"""Device trees read back: what a station carries, in the words of network files; the reverse of ``render``.

Only what tenants can't be told from is here; who a PLMN belongs to, the caller knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.models.network import Plmn, Rat, ResourceType, Snssai
from controller.nrm.profiles.lookup import cell_of, declared
from controller.nrm.profiles.values import NO_SD
from controller.nrm.schema import SHARE_PARTS, KeyRole, LeafRole, NodeRole, NodeSpec
from controller.nrm.tree import Leaves, Path, Tree, parent, step


@dataclass(frozen=True, slots=True)
class ShareReading:
    """A radio share as a station has it: the PLMNs it is for, its resource and percentages."""

    plmns: tuple[Plmn, ...]
    resource: str
    dedicated: str
    min: str
    max: str


@dataclass(frozen=True, slots=True)
class CellReading:
    """A cell as a station has it.

    Attributes:
        fields: Fields of ``controller.models.network.Cell`` by name, as text; those not found are absent.
        tdd: Whether up- and downlink take turns; None where the model does not tell (NR).
        broadcasts: PLMNs in the order on the device, on NR with their slices.
        shares: What its PLMNs have of its resources, and on NR of the user plane of the station.
    """

    cell: str
    rat: Rat
    fields: Mapping[str, str]
    tdd: bool | None
    broadcasts: Mapping[Plmn, tuple[Snssai, ...]]
    shares: tuple[ShareReading, ...] = ()


@dataclass(frozen=True, slots=True)
class StationReading:
    """A station as it describes itself.

    Attributes:
        profiles: The profiles whose functions it has.
        fields: Identities, as fields of ``controller.models.network.Station``, as text.
        addresses: Local addresses of its core links, without repetition, in device order.
    """

    profiles: tuple[str, ...]
    fields: Mapping[str, str]
    addresses: tuple[str, ...]
    cells: tuple[CellReading, ...]


#: Leaves of a cell, as fields of ``controller.models.network.Cell``.
_CARRIER = {
    "local_id": LeafRole.LOCAL_ID,
    "tac": LeafRole.TAC,
    "pci": LeafRole.PCI,
    "arfcn_dl": LeafRole.ARFCN_DL,
    "arfcn_ul": LeafRole.ARFCN_UL,
    "bandwidth_mhz": LeafRole.BANDWIDTH,
}
#: Leaves of a function, as fields of ``controller.models.network.Station``.
_IDENTITY = {
    Rat.LTE: {"enb_id": LeafRole.NODE_ID, "enb_id_length": LeafRole.NODE_ID_LENGTH},
    Rat.NR: {"gnb_id": LeafRole.NODE_ID, "gnb_id_length": LeafRole.NODE_ID_LENGTH},
}

_NODE_PLMN = {Rat.LTE: "enb_plmn", Rat.NR: "gnb_plmn"}


def read_station(tree: Tree) -> StationReading:
    """What one station's tree says, in canonical values."""
    below: dict[Path, list[Path]] = defaultdict(list)
    for path in tree:
        below[parent(path)].append(path)
    profiles: set[str] = set()
    fields: dict[str, str] = {}
    addresses: dict[str, None] = {}
    cells: list[CellReading] = []
    shares: dict[str, list[ShareReading]] = defaultdict(list)
    for path, leaves in tree.items():
        profile, node = declared(path)
        if profile is None or node is None:
            continue
        if LeafRole.NODE_ID in node.leaf_by_role:
            profiles.add(profile.name)
            fields |= _fields(node, leaves, _IDENTITY[profile.rat])
            fields |= _node_plmn(node, _NODE_PLMN[profile.rat], below.get(path, ()))
        elif node.role is NodeRole.LOCAL_ADDRESS:
            addresses[node.keys_of(path)[KeyRole.ADDRESS]] = None
        elif node.role is NodeRole.SHARE:
            shares[cell_of(path)].append(_share(node, path, leaves, below.get(path, ())))
        elif node.is_cell:
            cells.append(_cell(profile.rat, node, path, tree, below))
    told = tuple(replace(cell, shares=(*shares[cell.cell], *_of_user_plane(cell, shares[""]))) for cell in cells)
    return StationReading(tuple(sorted(profiles)), fields, tuple(addresses), told)


def _of_user_plane(cell: CellReading, shares: Iterable[ShareReading]) -> Iterator[ShareReading]:
    """Shares of the whole station that count in a cell: those of PLMNs on air there."""
    return (share for share in shares if cell.rat is Rat.NR and not cell.broadcasts.keys().isdisjoint(share.plmns))


def _fields(node: NodeSpec, leaves: Leaves, wanted: Mapping[str, LeafRole]) -> dict[str, str]:
    return {field: str(leaves[leaf]) for field, role in wanted.items() if (leaf := node.leaf(role)) in leaves}


def _node_plmn(function: NodeSpec, field: str, below: Sequence[Path]) -> dict[str, str]:
    """The PLMN of the global id of a function, by the field that holds it."""
    for entry in below:
        node = function.child_by_name.get(step(entry)[0])
        if node is not None and node.role is NodeRole.NODE_PLMN:
            return {field: node.plmn_of(entry)}
    return {}


def _cell(rat: Rat, node: NodeSpec, path: Path, tree: Tree, below: Mapping[Path, Sequence[Path]]) -> CellReading:
    broadcasts: dict[Plmn, tuple[Snssai, ...]] = {}
    for entry in below.get(path, ()):
        child = node.child_by_name.get(step(entry)[0])
        if child is None:
            continue
        # A PLMN with its own tracking area is not in the order of those on air.
        if child.broadcast and child.user_ordered:
            plmn = child.plmn_of(entry)
            broadcasts[plmn] = (*broadcasts.get(plmn, ()), *_slices(child.keys_of(entry)))
    return CellReading(
        cell=step(path)[1][0],
        rat=rat,
        fields=_fields(node, tree[path], _CARRIER),
        tdd=node.tdd,
        broadcasts=broadcasts,
    )


def _slices(keys: Mapping[KeyRole, str]) -> Iterator[Snssai]:
    """The slice that keys name; none on LTE, and none for what is no slice."""
    sst, sd = keys.get(KeyRole.SST, ""), keys.get(KeyRole.SD, NO_SD)
    if sst.isdigit() and int(sst) <= 255 and len(sd) == len(NO_SD):
        yield Snssai(sst=int(sst), sd=sd)


def _share(node: NodeSpec, path: Path, leaves: Leaves, below: Sequence[Path]) -> ShareReading:
    """A share of the PLMN in its keys, or of those of its members."""
    named = [node.plmn_of(path)] if node.plmn_of(path) else [_member(node, member) for member in below]
    parts = {role: node.leaf_by_role[role] for role in SHARE_PARTS}
    said = {role: str(leaves.get(leaf.name, leaf.default)) for role, leaf in parts.items()}
    return ShareReading(
        plmns=tuple(dict.fromkeys(filter(None, named))),
        resource=str(leaves.get(node.leaf(LeafRole.SHARE_RESOURCE), ResourceType.PRB)),
        dedicated=said[LeafRole.SHARE_DEDICATED],
        min=said[LeafRole.SHARE_MIN],
        max=said[LeafRole.SHARE_MAX],
    )


def _member(share: NodeSpec, path: Path) -> Plmn:
    member = share.child_by_name.get(step(path)[0])
    return member.plmn_of(path) if member is not None else ""
