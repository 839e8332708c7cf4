"""Meaning of the entries in a device tree: cells, core links, PLMNs, and whether they work.

Profiles declare what their nodes and leaves mean (``controller.nrm.schema``). The engine asks for that here, so it does
not depend on their names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from controller.models.alarm import ObjectClass
from controller.models.facts import LinkKind
from controller.models.health import ServiceState
from controller.models.network import PROFILE_RATS, Plmn, Rat
from controller.models.untrusted import visible
from controller.nrm.profiles import lte_28658, nr_28541
from controller.nrm.profiles.base import Profile
from controller.nrm.schema import SHARE_PARTS, KeyRole, LeafRole, LeafSpec, NodeRole, NodeSpec
from controller.nrm.tree import LeafName, Observed, Path, Tree, Value, class_of, parent, path_of, step

#: All profiles by name.
PROFILES: dict[str, Profile] = {}
#: Nodes of all profiles that mean something to the engine, by name, with their profile.
_NODES: dict[str, tuple[Profile, NodeSpec]] = {}
#: Profiles by the names of their functions: eNB and gNB have nodes of equal names, as EP_S1U (EN-DC).
_FUNCTIONS: dict[str, Profile] = {}
#: Steps of a path that lead into a cell.
_CELL_STEPS: dict[str, None] = {}
#: Leaf roles that a node must declare, so that the engine can judge it.
_NEEDED: dict[NodeRole | None, frozenset[LeafRole]] = {
    NodeRole.CELL: frozenset({LeafRole.ADMINISTRATIVE_STATE, LeafRole.OPERATIONAL_STATE}),
    NodeRole.SHARE: frozenset(SHARE_PARTS),
}
_CELLS = (NodeRole.CELL, NodeRole.CELL_PART)
#: Administrative states (X.731) of a core link that nobody means to work.
_SWITCHED_OFF = ("LOCKED", "SHUTTINGDOWN")
#: Characters of an unknown word of a station that are shown.
_LONGEST_WORD = 40
#: Classes of managed objects that alarms name and no profile renders (TS 28.541, TS 28.622).
_CLASSES = {"SectorEquipmentFunction": ObjectClass.RADIO_UNIT}


def register(profile: Profile) -> None:
    """Register a profile.

    Raises:
        ValueError: A node lacks a leaf that its role needs, or means something else in another profile.
    """
    found: dict[str, tuple[Profile, NodeSpec]] = {}
    for node in (node for top in (*profile.functions, *profile.beside) for node in top.walk()):
        if node.role is None and node.link is None and LeafRole.NODE_ID not in node.leaf_by_role:
            continue
        _check(node, _NODES.get(node.name, (profile, node))[1])
        found[node.name] = (profile, node)
    if PROFILE_RATS.setdefault(profile.name, profile.rat) is not profile.rat:
        raise ValueError(f"profile {profile.name} is for {PROFILE_RATS[profile.name]} cells")
    PROFILES[profile.name] = profile
    _NODES.update(found)
    _FUNCTIONS.update((function.name, profile) for function in profile.functions)
    _CELL_STEPS.update({f"/{name}[": None for name, (_, node) in found.items() if node.role in _CELLS})


def _check(node: NodeSpec, known: NodeSpec) -> None:
    needed = {LeafRole.OPERATIONAL_STATE} if node.link else _NEEDED.get(node.role, frozenset())
    if missing := sorted(needed - node.leaf_by_role.keys()):
        raise ValueError(f"{node.name} has no leaf for {', '.join(missing)}, which its role needs")
    if node.role is NodeRole.BROADCAST and KeyRole.MCC not in node.key_roles:
        raise ValueError(f"{node.name} has no keys for MCC and MNC, which its role needs")
    if (node.role, node.link, node.leaf_by_role.keys()) != (known.role, known.link, known.leaf_by_role.keys()) or any(
        node.leaf(role) != known.leaf(role) for role in node.leaf_by_role
    ):
        raise ValueError(f"{node.name} means something else in another profile")


for _profile in (lte_28658.PROFILE, nr_28541.PROFILE):
    register(_profile)


@dataclass(frozen=True, slots=True)
class CellEntry:
    """A cell of a tree: the entry with its states."""

    path: Path
    cell: str
    rat: Rat


@dataclass(frozen=True, slots=True)
class LinkEntry:
    """A core link of a tree; ``plmns`` is empty on NR, where the device does not name them."""

    path: Path
    kind: LinkKind
    id: str
    plmns: tuple[Plmn, ...]


def cells(tree: Tree) -> tuple[CellEntry, ...]:
    """Cells of a tree, in its order; for an NR cell, the DU's half."""
    found = []
    for path in tree:
        known = _NODES.get(class_of(path))
        if known is not None and known[1].role is NodeRole.CELL:
            found.append(CellEntry(path, step(path)[1][0], known[0].rat))
    return tuple(found)


def plmn_lists(tree: Tree) -> dict[str, tuple[Plmn, ...]]:
    """PLMNs of each LTE cell in the order in which it broadcasts them (SIB1 of TS 36.331), by its id.

    Those with a tracking area of their own come last. They are in a list without an order: of several, nobody knows
    which is which, and none is here. Nor are those of a cell that has more than it can broadcast.
    """
    listed: dict[str, list[Plmn]] = {}
    own: dict[str, list[Plmn]] = defaultdict(list)
    for path in tree:
        profile, node = declared(path)
        if profile is None or node is None or profile.rat is not Rat.LTE or not node.broadcast:
            continue
        cell = cell_of(path)
        names = listed.setdefault(cell, [])
        (names if node.user_ordered else own[cell]).append(node.plmn_of(path))
    found = {cell: (*names, *(own[cell] if len(own[cell]) == 1 else ())) for cell, names in sorted(listed.items())}
    return {cell: names if len(names) <= Rat.LTE.plmn_limit else () for cell, names in found.items()}


def links(tree: Tree) -> tuple[LinkEntry, ...]:
    """Core links of a tree, in its order."""
    served: dict[Path, list[Plmn]] = defaultdict(list)
    found: list[tuple[Path, LinkKind]] = []
    for path in tree:
        node = _node(path)
        if node is not None and node.link is not None:
            found.append((path, node.link))
        elif node is not None and node.role is NodeRole.SERVED_PLMN:
            served[parent(path)].append(node.plmn_of(path))
    return tuple(LinkEntry(path, kind, step(path)[1][0], tuple(served.get(path, ()))) for path, kind in found)


def carriers_of(tree: Tree, cell: Path) -> tuple[Path, ...]:
    """Carriers that a cell of a tree names, whether they exist or not."""
    return tuple(carrier_names(tree, cell).values())


def carrier_names(tree: Tree, cell: Path) -> Mapping[str, Path]:
    """Carriers that a cell names, by the distinguished name; empty for one that names no managed element."""
    named = tree.get(cell, {}).get(leaf_of(cell, LeafRole.CARRIERS), ())
    return {one: path_of(one) for one in ((named,) if isinstance(named, str) else named)}


def is_carrier(path: Path) -> bool:
    """Whether an entry transmits cells."""
    node = _node(path)
    return node is not None and node.role is NodeRole.CARRIER


def is_user_plane(path: Path) -> bool:
    """Whether an entry is a user plane of a gNB."""
    node = _node(path)
    return node is not None and node.role is NodeRole.USER_PLANE


def cell_of(path: Path) -> str:
    """Id of the cell that an entry concerns; empty for entries of the whole station.

    On NR both the DU's and the CU's half of a cell concern it.
    """
    for start in _CELL_STEPS:
        at = path.find(start)
        if at >= 0:
            end = path.find("/", at + 1)
            return step(path if end < 0 else path[:end])[1][0]
    return ""


def link_of(path: Path) -> Path:
    """Path of the core link that an entry is or belongs to; empty for all others."""
    while path and not is_link(path):
        path = parent(path)
    return path


def rat_of(path: Path) -> Rat | None:
    """Radio technology of the profile that declares the entry; None if it means nothing to the engine."""
    profile, _ = declared(path)
    return None if profile is None else profile.rat


def is_link(path: Path) -> bool:
    """Whether an entry is a core link."""
    return link_kind(path) is not None


def is_midhaul(path: Path) -> bool:
    """Whether an entry is the near end of an interface within a gNB, named after the device at its other end."""
    node = _node(path)
    return node is not None and node.role is NodeRole.MIDHAUL


def link_kind(path: Path) -> LinkKind | None:
    """Kind of the core link that an entry is; None for other entries."""
    node = _node(path)
    return None if node is None else node.link


def object_class(path: Path) -> ObjectClass:
    """Class of the managed object that the entry is; an entry that is no object is part of the station."""
    node = _node(path)
    if node is None:
        return _CLASSES.get(class_of(path), ObjectClass.STATION)
    if node.link is not None:
        return ObjectClass.CORE_LINK
    if node.role is NodeRole.CARRIER:
        return ObjectClass.CARRIER
    return ObjectClass.CELL if node.role in _CELLS else ObjectClass.STATION


def broadcast_plmn(path: Path) -> Plmn:
    """PLMN that the entry puts on air in its cell; empty for all other entries."""
    node = _node(path)
    return node.plmn_of(path) if node is not None and node.broadcast and cell_of(path) else ""


def is_reserved(tree: Tree, path: Path) -> bool:
    """Whether the entry is a PLMN on air that admits its operator's test users only."""
    leaves = tree.get(path)
    if not leaves:  # as of almost all PLMNs on air
        return False
    leaf = leaf_of(path, LeafRole.RESERVED)
    return bool(leaf) and leaves.get(leaf) == "true"


def broadcast_rat(path: Path) -> Rat | None:
    """Radio technology of the cell where the entry puts a PLMN on air; None for all other entries."""
    return _NODES[class_of(path)][0].rat if broadcast_plmn(path) else None


def share_parts(path: Path) -> tuple[LeafSpec, ...]:
    """Leaves of the entry with parts of a radio share; empty if it is no share."""
    node = _node(path)
    known = node.leaf_by_role if node is not None else {}
    return tuple(known[role] for role in SHARE_PARTS if role in known)


def leaf_of(path: Path, role: LeafRole) -> LeafName:
    """Name of the entry's leaf with a role; empty if there is none."""
    node = _node(path)
    return "" if node is None else node.leaf(role)


def default_of(path: Path, leaf: LeafName) -> Value | None:
    """Default of an entry's leaf; None if it has none, or if the entry means nothing to the engine."""
    node = _node(path)
    known = None if node is None else node.leaf_by_name.get(leaf)
    return None if known is None else known.default


def administrative_leaf(path: Path) -> LeafName:
    """Name of the leaf that locks the cell or core link at ``path``; empty if it can't be locked."""
    return leaf_of(path, LeafRole.ADMINISTRATIVE_STATE)


def administrative_state(tree: Tree, path: Path) -> str:
    """LOCKED, UNLOCKED or SHUTTINGDOWN of a cell or core link; UNLOCKED if it can't be locked.

    Canonical trees leave the default out, so an absent leaf has it.
    """
    node = _node(path)
    leaf = node.leaf_by_role.get(LeafRole.ADMINISTRATIVE_STATE) if node is not None else None
    return "UNLOCKED" if leaf is None else str(tree.get(path, {}).get(leaf.name, leaf.default))


def is_unlocked(tree: Tree, path: Path) -> bool:
    """Whether a cell or core link exists, and is neither locked nor shutting down."""
    return path in tree and administrative_state(tree, path) == "UNLOCKED"


def cell_state(observed: Observed, path: Path) -> ServiceState:
    """Whether the cell at ``path`` serves: not LOCKED, ENABLED (X.731) and, on NR, ACTIVE (TS 28.541 cellState).

    One that is SHUTTINGDOWN serves the users that it has until it is LOCKED (X.731).
    """
    if path not in observed.tree or administrative_state(observed.tree, path) == "LOCKED":
        return ServiceState.DOWN
    node, state, found = _node(path), observed.state.get(path, {}), ServiceState.UP
    if node is None:
        return found
    for leaf, words in node.serving.items():
        if leaf not in state and leaf not in node.always_reported:
            continue
        said = ServiceState.of(state.get(leaf), words.good, words.bad)
        if said is ServiceState.DOWN:
            return said
        found = found if said else said
    return found


def link_state(observed: Observed, path: Path) -> ServiceState:
    """Whether the core link at ``path`` works; a locked or missing one does not.

    Many stations do not report it: the official EP_NgC and EP_NgU have no operational state. A link of another device
    (``WaitFor``) is in no tree here.
    """
    node, state, reported = _node(path), observed.state.get(path, {}), ServiceState.UNKNOWN
    for leaf, words in node.serving.items() if node is not None else ():
        reported = ServiceState.of(state.get(leaf), words.good, words.bad)
    if reported is ServiceState.UNKNOWN and path.startswith("/"):
        there = path in observed.tree and administrative_state(observed.tree, path) not in _SWITCHED_OFF
        return reported if there else ServiceState.DOWN
    return reported


def odd_state(observed: Observed, path: Path) -> str:
    """The state of a cell or core link in the station's own words, where no specification has them; else empty.

    Its state is unknown then. People have to hear what was said: a new release may say it for good.
    """
    node, state = _node(path), observed.state.get(path, {})
    if node is None or not state:
        return ""
    odd = (
        f"{leaf} '{visible(str(state[leaf])[:_LONGEST_WORD])}'"
        for leaf, words in node.serving.items()
        if leaf in state and state[leaf] != words.good and state[leaf] not in words.bad
    )
    return ", ".join(odd)


def link_locked(tree: Tree, path: Path) -> bool:
    """Whether somebody locked the core link at ``path``: then it is down, which is no fault."""
    return path in tree and not is_unlocked(tree, path)


def unreported(observed: Observed, classes: Collection[str]) -> frozenset[str]:
    """Classes of cells and core links (as in ``EP_NgC``) of which the device has some, but reports no state.

    Args:
        observed: What it says of itself.
        classes: Those that are asked for.
    """
    silent = set(filter(_is_expected, classes))
    for path, state in observed.state.items():
        if not silent:
            break
        name = class_of(path) if path in observed.tree else ""
        if name in silent and _NODES[name][1].always_reported <= state.keys():
            silent.remove(name)
    return frozenset(silent.intersection(map(class_of, observed.tree)) if silent else ())


def _is_expected(name: str) -> bool:
    """Whether every device should report states of a class."""
    known = _NODES.get(name)
    return known is not None and bool((known[1].link or known[1].is_cell) and known[1].always_reported)


def declared(path: Path) -> tuple[Profile, NodeSpec] | tuple[None, None]:
    """The profile that declares the entry at ``path``, and its spec; None if it means nothing to the engine.

    The empty path, which a reference of a device may lead to (``path_of``), is that of no entry.
    """
    known = _NODES.get(class_of(path)) if path else None
    if known is None:
        return None, None
    profile, node = known
    at = path.find("/", 1) + 1
    return _FUNCTIONS.get(path[at : path.find("[", at)], profile), node


def _node(path: Path) -> NodeSpec | None:
    """The spec of the entry at ``path``; None if it means nothing to the engine, as the empty path."""
    known = _NODES.get(class_of(path)) if path else None
    return None if known is None else known[1]
