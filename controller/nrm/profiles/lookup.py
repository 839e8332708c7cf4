"""What the entries of a device tree are about: cells, core links, PLMNs, and whether they work."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain

from controller.models.facts import LinkKind
from controller.models.health import ServiceState
from controller.models.network import Plmn, Rat
from controller.nrm.profiles import lte_28658, nr_28541
from controller.nrm.profiles.base import Profile
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Observed, Path, Tree, parent, step

#: All shipped profiles by name.
PROFILES: dict[str, Profile] = {profile.name: profile for profile in (lte_28658.PROFILE, nr_28541.PROFILE)}

_NODES: tuple[tuple[Rat, NodeSpec], ...] = tuple(
    (profile.rat, node)
    for profile in PROFILES.values()
    for node in chain.from_iterable(function.walk() for function in profile.functions)
)
_CELLS: dict[str, Rat] = {node.name: rat for rat, node in _NODES if node.is_cell}
_LINKS: dict[str, LinkKind] = {node.name: node.link for _, node in _NODES if node.link}
_BROADCASTS: frozenset[str] = frozenset(
    f"/{node.name}[" for _, cell in _NODES for node in cell.children if node.broadcast
)
#: Steps that lie in a cell, as they stand in a path; NRCellCU is the CU's half of an NR cell.
_CELL_STEPS: tuple[str, ...] = (*(f"/{name}[" for name in _CELLS), "/NRCellCU[")
_SERVED = "/servedPlmnList["
_OPERATIONAL = "operationalState"
#: State leaves of a cell that serves.
_SERVING = {_OPERATIONAL: "ENABLED", "cellState": "ACTIVE"}


@dataclass(frozen=True, slots=True)
class CellEntry:
    """A cell of a tree: the entry that has its states."""

    path: Path
    cell: str
    rat: Rat


@dataclass(frozen=True, slots=True)
class LinkEntry:
    """A core link of a tree; ``plmns`` are empty on NR, where the wire does not name them."""

    path: Path
    kind: LinkKind
    id: str
    plmns: tuple[Plmn, ...]


def cells(tree: Tree) -> tuple[CellEntry, ...]:
    """Cells of a tree, in its order; an NR cell is its NRCellDU."""
    found = []
    for path in tree:
        rat = _CELLS.get(_class_of(path))
        if rat is not None:
            found.append(CellEntry(path, step(path)[1][0], rat))
    return tuple(found)


def links(tree: Tree) -> tuple[LinkEntry, ...]:
    """Core links of a tree, in its order."""
    served: dict[Path, list[Plmn]] = defaultdict(list)
    for path in tree:
        if _SERVED in path:
            served[parent(path)].append("-".join(step(path)[1]))
    found = []
    for path in tree:
        kind = _LINKS.get(_class_of(path))
        if kind is not None:
            found.append(LinkEntry(path, kind, step(path)[1][0], tuple(served.get(path, ()))))
    return tuple(found)


def cell_of(path: Path) -> str:
    """Id of the cell that an entry concerns, an empty string for entries of the whole station.

    On NR both the DU's and the CU's half of a cell concern it.
    """
    for start in _CELL_STEPS:
        at = path.find(start)
        if at >= 0:
            end = path.find("/", at + 1)
            return step(path if end < 0 else path[:end])[1][0]
    return ""


def link_of(path: Path) -> Path:
    """Path of the core link that an entry is or belongs to, an empty string for all others."""
    while path:
        if _class_of(path) in _LINKS:
            return path
        path = parent(path)
    return ""


def broadcast_plmn(path: Path) -> Plmn:
    """PLMN that the entry puts on air in its cell, an empty string for all other entries."""
    at = path.rindex("/")
    if path[at : path.index("[", at) + 1] not in _BROADCASTS or not cell_of(path):
        return ""
    return "-".join(step(path)[1][:2])


def administrative_state(tree: Tree, path: Path) -> str:
    """LOCKED, UNLOCKED or SHUTTINGDOWN of a cell; canonical trees leave the default out, which is LOCKED."""
    return str(tree[path].get("administrativeState", "LOCKED"))


def cell_state(observed: Observed, path: Path) -> ServiceState:
    """Whether the cell at ``path`` serves: UNLOCKED, ENABLED and ACTIVE (X.731; TS 28.541 cellState)."""
    if path not in observed.tree or administrative_state(observed.tree, path) != "UNLOCKED":
        return ServiceState.DOWN
    state = observed.state.get(path, {})
    return ServiceState.all_of(ServiceState.of(state.get(leaf), good) for leaf, good in _SERVING.items())


def link_state(observed: Observed, path: Path) -> ServiceState:
    """Whether the core link at ``path`` works; one that is locked, or not there, does not.

    Many stations do not tell: the official EP_NgC and EP_NgU have no operational state. A link of another device
    (``WaitFor``) is in no tree here.
    """
    told = ServiceState.of(observed.state.get(path, {}).get(_OPERATIONAL), "ENABLED")
    if told is ServiceState.UNKNOWN and path.startswith("/") and not _is_unlocked_link(observed.tree, path):
        return ServiceState.DOWN
    return told


def link_locked(tree: Tree, path: Path) -> bool:
    """Whether somebody locked the core link at ``path``: it is not up then, and that is no fault."""
    return path in tree and not _is_unlocked_link(tree, path)


def _is_unlocked_link(tree: Tree, path: Path) -> bool:
    return path in tree and tree[path].get("administrativeState", "UNLOCKED") == "UNLOCKED"


def untold(observed: Observed) -> frozenset[str]:
    """Classes of cells and core links (as in ``EP_NgC``) of which the device has some, and tells the state of none."""
    found: dict[str, bool] = {}
    for path in observed.tree:
        name = _class_of(path)
        if name in _CELLS or name in _LINKS:
            leaves = _SERVING.keys() if name in _CELLS else {_OPERATIONAL}
            found[name] = found.get(name, False) or leaves <= observed.state.get(path, {}).keys()
    return frozenset(name for name, told in found.items() if not told)


def _class_of(path: Path) -> str:
    at = path.rindex("/") + 1
    return path[at : path.index("[", at)]
