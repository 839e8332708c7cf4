"""Reads a station's tree back into the words of network files; the reverse of ``render``.

It does not know tenants: the caller knows whose a PLMN is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.inventory.radio import dbm_of
from controller.models.network import Plmn, Rat, ResourceType, Snssai
from controller.models.untrusted import natural
from controller.nrm.profiles.externals import external_path, external_rat, identifying
from controller.nrm.profiles.lookup import carrier_names, carriers_of, cell_of, declared, links
from controller.nrm.profiles.values import NO_SD
from controller.nrm.schema import SHARE_PARTS, KeyRole, LeafRole, NodeRole, NodeSpec
from controller.nrm.tree import Leaves, Path, Tree, Value, names_in, parent, path_of, step, steps


@dataclass(frozen=True, slots=True)
class ShareReading:
    """A radio share as a station has it.

    Attributes:
        members: The PLMNs it is for, on NR each with a slice as text, which is empty on LTE.
        resource: What it divides.
        dedicated: Percentages, as text.
    """

    members: tuple[tuple[Plmn, str], ...]
    resource: str
    dedicated: str
    min: str
    max: str

    @property
    def plmns(self) -> tuple[Plmn, ...]:
        """The PLMNs it is for."""
        return tuple(dict.fromkeys(plmn for plmn, _ in self.members))

    @property
    def guaranteed_prbs(self) -> int:
        """Percent of PRBs of both directions that it guarantees."""
        return min(natural(self.min) or 0, 100) if self.resource == ResourceType.PRB else 0


@dataclass(frozen=True, slots=True)
class OwnReading:
    """A PLMN's own values in a cell: fields of ``controller.models.network.OwnCell``, and its slices.

    On LTE node id and local id are joined, as ``cell_identity``: the device doesn't tell where one ends.
    """

    fields: Mapping[str, str]
    slices: tuple[Snssai, ...] = ()


@dataclass(frozen=True, slots=True)
class RelationReading:
    """A neighbour relation that ANR may not remove: the other cell, and whether handover is allowed.

    Attributes:
        rat: Technology of an external cell, whose name and that of its base station are those of whoever made it; None
            of a cell in its own station.
        node_id: Id of the base station of an external cell.
        local_id: That of the cell within it.
    """

    station: str
    cell: str
    handover: bool
    rat: Rat | None = None
    node_id: int | None = None
    local_id: int | None = None


@dataclass(frozen=True, slots=True)
class CellReading:
    """A cell as a station has it.

    Attributes:
        fields: Fields of ``controller.models.network.Cell`` by name, as text; those not found are absent.
        tdd: Whether up- and downlink take turns; None where the model does not tell (NR).
        broadcasts: PLMNs that share its identity in the order on the device, on NR with their slices.
        own: PLMNs with a tracking area and an identity of their own.
        shares: What its PLMNs have of its resources, and on NR of the user plane of the station.
        relations: Neighbours that somebody listed; those that the station found itself (ANR) are not among them.
        strange: References to carriers that lead to no object of a managed element.
    """

    cell: str
    rat: Rat
    fields: Mapping[str, str]
    tdd: bool | None
    broadcasts: Mapping[Plmn, tuple[Snssai, ...]]
    shares: tuple[ShareReading, ...] = ()
    own: Mapping[Plmn, OwnReading] = field(default_factory=dict)
    relations: tuple[RelationReading, ...] = ()
    strange: tuple[str, ...] = ()

    @property
    def on_air(self) -> dict[Plmn, tuple[Snssai, ...]]:
        """All PLMNs that it broadcasts, on NR with their slices."""
        return {**self.broadcasts, **{plmn: own.slices for plmn, own in self.own.items()}}


@dataclass(frozen=True, slots=True)
class StationReading:
    """A station as it describes itself.

    Attributes:
        profiles: The profiles whose functions it has.
        fields: Identities, as fields of ``controller.models.network.Station``, as text.
        addresses: Local addresses of its core links and of X2, without repetition, in device order.
        linked: Technologies of the cores that its core links lead to.
    """

    profiles: tuple[str, ...]
    fields: Mapping[str, str]
    addresses: tuple[str, ...]
    linked: frozenset[Rat]
    cells: tuple[CellReading, ...]


#: Leaves of a cell, as fields of ``controller.models.network.Cell``.
_CARRIER = {
    "local_id": LeafRole.LOCAL_ID,
    "tac": LeafRole.TAC,
    "pci": LeafRole.PCI,
    "arfcn_dl": LeafRole.ARFCN_DL,
    "arfcn_ul": LeafRole.ARFCN_UL,
    "bandwidth_mhz": LeafRole.BANDWIDTH,
    "prach_root": LeafRole.PRACH_ROOT,
    "ssb_arfcn": LeafRole.SSB,
}
#: Leaves of a function, as fields of ``controller.models.network.Station``.
_IDENTITY = {
    Rat.LTE: {"enb_id": LeafRole.NODE_ID, "enb_id_length": LeafRole.NODE_ID_LENGTH},
    Rat.NR: {"gnb_id": LeafRole.NODE_ID, "gnb_id_length": LeafRole.NODE_ID_LENGTH},
}

#: Leaves of a tenant's own cell, as fields of ``controller.models.network.OwnCell``.
_OWN = {
    "tac": LeafRole.TAC,
    "cell_identity": LeafRole.CELL_IDENTITY,
    "node_id": LeafRole.OWN_NODE_ID,
    "node_id_length": LeafRole.OWN_NODE_ID_LENGTH,
    "local_id": LeafRole.LOCAL_ID,
}
_NODE_PLMN = {Rat.LTE: "enb_plmn", Rat.NR: "gnb_plmn"}


def read_station(tree: Tree, lte_power_in_a_db: int = 10) -> StationReading:
    """The content of one station's tree, in canonical values.

    Args:
        tree: What it carries.
        lte_power_in_a_db: How many units of the power of its LTE cells are one dB.
    """
    below = _below(tree)
    profiles: set[str] = set()
    fields: dict[str, str] = {}
    addresses: dict[str, None] = {}
    cells: list[CellReading] = []
    shares: dict[str, list[ShareReading]] = defaultdict(list)
    own: dict[str, dict[Plmn, OwnReading]] = defaultdict(dict)
    relations = _relations(tree)
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
            cells.append(_cell(profile.rat, node, path, tree, below, lte_power_in_a_db))
        elif LeafRole.HOST_CELLS in node.leaf_by_role:
            for host in _host_cells(leaves.get(node.leaf(LeafRole.HOST_CELLS), ())):
                own[host] |= _own_cell(node, leaves, below.get(path, ()))
    whole = tuple(
        replace(
            cell,
            shares=(*shares[cell.cell], *_of_user_plane(cell, shares[""])),
            own={**cell.own, **(own[cell.cell] if cell.rat is Rat.NR else {})},
            relations=tuple(relations.get(cell.cell, ())),
        )
        for cell in cells
    )
    linked = frozenset(link.kind.core for link in links(tree))
    return StationReading(tuple(sorted(profiles)), fields, tuple(addresses), linked, whole)


def read_shares(tree: Tree) -> dict[Path, ShareReading]:
    """The radio shares of a tree, by path."""
    below, found = _below(tree), dict[Path, ShareReading]()
    for path, leaves in tree.items():
        _, node = declared(path)
        if node is not None and node.role is NodeRole.SHARE:
            found[path] = _share(node, path, leaves, below.get(path, ()))
    return found


def _below(tree: Tree) -> dict[Path, list[Path]]:
    """Entries of a tree by the one that they stand in."""
    below: dict[Path, list[Path]] = defaultdict(list)
    for path in tree:
        below[parent(path)].append(path)
    return below


def _of_user_plane(cell: CellReading, shares: Iterable[ShareReading]) -> Iterator[ShareReading]:
    """Shares of the whole station that count in a cell: those of PLMNs on air there."""
    return (share for share in shares if cell.rat is Rat.NR and not cell.on_air.keys().isdisjoint(share.plmns))


def _relations(tree: Tree) -> dict[str, list[RelationReading]]:
    """Relations that somebody listed, by cell."""
    found: dict[str, list[RelationReading]] = defaultdict(list)
    for path, leaves in tree.items():
        _, cell = declared(parent(path))
        node = None if cell is None else cell.child_by_name.get(step(path)[0])
        if node is not None and LeafRole.NEIGHBOUR in node.leaf_by_role:
            found[cell_of(path)] += _relation(node, leaves, tree)
    return found


def _relation(node: NodeSpec, leaves: Leaves, tree: Tree) -> Iterator[RelationReading]:
    """A relation, if its distinguished name leads to a cell of a base station and ANR may not remove it."""
    of = {
        role: str(leaves.get(leaf.name, leaf.default))
        for role, leaf in node.leaf_by_role.items()
        if role in (LeafRole.NEIGHBOUR, LeafRole.REMOVABLE, LeafRole.HANDOVER)
    }
    if of[LeafRole.REMOVABLE] not in ("false", "NO"):
        return
    handover, named = of[LeafRole.HANDOVER] in ("true", "YES"), of[LeafRole.NEIGHBOUR]
    if path := path_of(named):
        (_, (station,)), *below = steps(path)
        if below:
            yield RelationReading(station, below[-1][1][0], handover)
    elif external := external_path(named):
        yield _external_relation(external, handover, tree)


def _external_relation(path: Path, handover: bool, tree: Tree) -> RelationReading:
    (_, (station,)), (_, (cell,)) = tuple(steps(path))[-2:]
    above = parent(path)
    node, local = (_whole_number(tree.get(one, {}).get(identifying(one))) for one in (above, path))
    return RelationReading(station, cell, handover, external_rat(above), node, local)


def _whole_number(value: Value | None) -> int | None:
    return natural(value) if isinstance(value, str) else None


def _host_cells(references: Value) -> Iterator[str]:
    """Ids of the cells that distinguished names lead to."""
    for reference in (references,) if isinstance(references, str) else references:
        yield from (key for _, key in names_in(reference)[-1:])


def _own_cell(node: NodeSpec, leaves: Leaves, below: Sequence[Path]) -> dict[Plmn, OwnReading]:
    """Values of a tenant's own cell, for each of its PLMNs."""
    slices: dict[Plmn, tuple[Snssai, ...]] = {}
    for entry in below:
        child = node.child_by_name.get(step(entry)[0])
        if child is not None and child.broadcast:
            plmn = child.plmn_of(entry)
            slices[plmn] = (*slices.get(plmn, ()), *_slices(child.keys_of(entry)))
    return {plmn: OwnReading(_fields(node, leaves, _OWN), found) for plmn, found in slices.items()}


def _fields(node: NodeSpec, leaves: Leaves, wanted: Mapping[str, LeafRole]) -> dict[str, str]:
    return {field: str(leaves[leaf]) for field, role in wanted.items() if (leaf := node.leaf(role)) in leaves}


def _node_plmn(function: NodeSpec, field: str, below: Sequence[Path]) -> dict[str, str]:
    """The PLMN of the global id of a function, by the field that holds it."""
    for entry in below:
        node = function.child_by_name.get(step(entry)[0])
        if node is not None and node.role is NodeRole.NODE_PLMN:
            return {field: node.plmn_of(entry)}
    return {}


def _cell(
    rat: Rat, node: NodeSpec, path: Path, tree: Tree, below: Mapping[Path, Sequence[Path]], in_a_db: int
) -> CellReading:
    broadcasts: dict[Plmn, tuple[Snssai, ...]] = {}
    own: dict[Plmn, OwnReading] = {}
    for entry in below.get(path, ()):
        child = node.child_by_name.get(step(entry)[0])
        if child is None or not child.broadcast:
            continue
        plmn = child.plmn_of(entry)
        if LeafRole.CELL_IDENTITY in child.leaf_by_role:
            own[plmn] = OwnReading(_fields(child, tree[entry], _OWN))
        elif child.user_ordered:
            broadcasts[plmn] = (*broadcasts.get(plmn, ()), *_slices(child.keys_of(entry)))
    return CellReading(
        cell=step(path)[1][0],
        rat=rat,
        fields=_fields(node, tree[path], _CARRIER) | _power(node, path, tree, in_a_db),
        tdd=node.tdd,
        broadcasts=broadcasts,
        own=own,
        strange=tuple(named for named, place in carrier_names(tree, path).items() if not place),
    )


def _power(cell: NodeSpec, path: Path, tree: Tree, in_a_db: int) -> dict[str, str]:
    """Most power of a cell, its own or that of its only carrier, if that is a number."""
    own = str(tree[path].get(cell.leaf(LeafRole.POWER_DBM), ""))
    places = carriers_of(tree, path)
    _, carrier = declared(places[0]) if len(places) == 1 else (None, None)
    power = "" if carrier is None else str(tree.get(places[0], {}).get(carrier.leaf(LeafRole.POWER_MILLIWATTS), ""))
    size = natural(own.removeprefix("-"))
    if size is not None:
        return {"max_tx_power_dbm": str((-size if own.startswith("-") else size) / in_a_db)}
    return {"max_tx_power_dbm": str(dbm_of(milliwatts))} if (milliwatts := natural(power)) else {}


def _slices(keys: Mapping[KeyRole, str]) -> Iterator[Snssai]:
    """The slice in keys; none on LTE, and none if it is not valid."""
    sst, sd = natural(keys.get(KeyRole.SST, "")), keys.get(KeyRole.SD, NO_SD)
    if sst is not None and sst <= 255 and len(sd) == len(NO_SD):
        yield Snssai(sst=sst, sd=sd)


def _share(node: NodeSpec, path: Path, leaves: Leaves, below: Iterable[Path]) -> ShareReading:
    """A share of the PLMN in its keys, or of the PLMNs of its members."""
    named = [(node, path)] if node.plmn_of(path) else [(node.child_by_name.get(step(one)[0]), one) for one in below]
    parts = {role: node.leaf_by_role[role] for role in SHARE_PARTS}
    said = {role: str(leaves.get(leaf.name, leaf.default)) for role, leaf in parts.items()}
    return ShareReading(
        members=tuple(
            (plmn, next(map(str, _slices(member.keys_of(one))), ""))
            for member, one in named
            if member is not None and (plmn := member.plmn_of(one))
        ),
        resource=str(leaves.get(node.leaf(LeafRole.SHARE_RESOURCE), ResourceType.PRB)),
        dedicated=said[LeafRole.SHARE_DEDICATED],
        min=said[LeafRole.SHARE_MIN],
        max=said[LeafRole.SHARE_MAX],
    )
