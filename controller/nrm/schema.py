"""Schema of a device's nodes, as profiles declare it: names, namespaces, keys, leaves, and how each may change."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from lxml import etree

from controller.models.facts import LinkKind
from controller.models.remembered import remembered
from controller.nrm.tree import LeafName, Leaves, Path, Tree, Value, child, parent, step

#: The keys of the steps of a path.
_KEYS = re.compile(r"\[[^]]*]")


class Mutability(StrEnum):
    """How a leaf may change on an existing entry."""

    LIVE = "live"
    LOCKED = "locked"
    RESTART = "restart"
    CREATE_ONLY = "create-only"


class NodeRole(StrEnum):
    """What an entry means to the engine, whatever its name; core links use ``NodeSpec.link``."""

    #: A cell: it has an administrative and an operational state.
    CELL = "cell"
    #: Another part of a cell without its states, as the CU's half of an NR cell.
    CELL_PART = "cell-part"
    #: A PLMN on air in the cell that it stands in, on NR for one slice.
    BROADCAST = "broadcast"
    #: An object of its own that transmits a cell. A profile renders one for each cell, beside it and with its id; a
    #: cell on air may name others (``LeafRole.CARRIERS``).
    CARRIER = "carrier"
    #: A radio share, of the PLMN in its keys or of the members below it.
    SHARE = "share"
    #: The PLMN of a node's global id.
    NODE_PLMN = "node-plmn"
    #: A PLMN that a core link serves.
    SERVED_PLMN = "served-plmn"
    #: The near end of a core link.
    LOCAL_ADDRESS = "local-address"
    #: The near end of an interface within a gNB (F1, E1), named after the device at its other end.
    MIDHAUL = "midhaul"
    #: The user plane of a gNB, of which a station may have several.
    USER_PLANE = "user-plane"
    #: A static route of a router.
    ROUTE = "route"
    #: A function on one pool. If it moves, it is made on the new pool before it is removed from the old one.
    WORKLOAD = "workload"


class KeyRole(StrEnum):
    """What a key means."""

    MCC = "mcc"
    MNC = "mnc"
    SD = "sd"
    SST = "sst"
    ADDRESS = "address"


class LeafRole(StrEnum):
    """What a leaf means to the engine, whatever its name. Values are those of the named standards."""

    #: LOCKED, UNLOCKED or SHUTTINGDOWN (X.731).
    ADMINISTRATIVE_STATE = "administrative-state"
    #: ENABLED or DISABLED (X.731).
    OPERATIONAL_STATE = "operational-state"
    #: ACTIVE, INACTIVE or IDLE (TS 28.541).
    CELL_STATE = "cell-state"
    AVAILABILITY_STATUS = "availability-status"
    #: Address of the core node that a link leads to.
    REMOTE_ADDRESS = "remote-address"
    #: The resource that a radio share divides; PRBs where there is no such leaf.
    SHARE_RESOURCE = "share-resource"
    #: Percentages of a radio share; they have defaults.
    SHARE_DEDICATED = "share-dedicated"
    SHARE_MIN = "share-min"
    SHARE_MAX = "share-max"
    #: Identities and carriers, as in ``controller.models.network``.
    NODE_ID = "node-id"
    NODE_ID_LENGTH = "node-id-length"
    LOCAL_ID = "local-id"
    #: In a tenant's own cell: the joined identity (ECI); or the node id, and where it is.
    CELL_IDENTITY = "cell-identity"
    OWN_NODE_ID = "own-node-id"
    OWN_NODE_ID_LENGTH = "own-node-id-length"
    HOST_CELLS = "host-cells"
    TAC = "tac"
    PCI = "pci"
    ARFCN_DL = "arfcn-dl"
    ARFCN_UL = "arfcn-ul"
    BANDWIDTH = "bandwidth"
    #: Distinguished names of the carriers that transmit a cell.
    CARRIERS = "carriers"
    #: NR-ARFCN of the cell-defining SSB.
    SSB = "ssb"
    PRACH_ROOT = "prach-root"
    #: Largest power of a cell or carrier, in dBm or parts of it as the station takes them, and in milliwatts.
    POWER_DBM = "power-dbm"
    POWER_MILLIWATTS = "power-milliwatts"
    #: In a neighbour relation: the other cell's distinguished name; whether ANR may remove it; whether handover is
    #: allowed.
    NEIGHBOUR = "neighbour"
    REMOVABLE = "removable"
    HANDOVER = "handover"
    #: Distinguished names of the frequency relation of a cell relation, and of that frequency.
    FREQUENCY_RELATION = "frequency-relation"
    FREQUENCY = "frequency"
    #: Administrative distance of a route.
    DISTANCE = "distance"
    #: Whether a PLMN on air admits only its operator's test users: ``true`` or ``false`` (cellReservedForOperatorUse of
    #: SIB1, TS 36.331).
    RESERVED = "reserved"
    #: Whether a function is ready on its pool: ``true`` or ``false``.
    READY = "ready"
    #: Whether it serves there, at least with some of its replicas: ``true`` or ``false``.
    AVAILABLE = "available"
    #: Why it is not ready, in its operator's words.
    REASON = "reason"
    #: Since when it is there.
    SINCE = "since"
    #: Whether its operator gave up: ``true`` or ``false``. It goes on only after a new configuration.
    STALLED = "stalled"
    #: Whether its operator's status is about its present parameters: ``true`` or ``false``.
    NOTICED = "noticed"


@dataclass(frozen=True, slots=True)
class StateWords:
    """Words of a state: of what serves, and of what does not. Whatever else a station says of it means nothing."""

    good: str
    bad: frozenset[str]


#: Words of the states of a cell or core link (X.731; TS 28.541).
_STATES = {
    LeafRole.OPERATIONAL_STATE: StateWords("ENABLED", frozenset({"DISABLED"})),
    LeafRole.CELL_STATE: StateWords("ACTIVE", frozenset({"INACTIVE", "IDLE"})),
}
#: Parts of a radio share; if one of them becomes smaller, the tenant is served less.
SHARE_PARTS = (LeafRole.SHARE_DEDICATED, LeafRole.SHARE_MIN, LeafRole.SHARE_MAX)


#: Leaves that name what stands beside the root, or below that.
_REFERENCES = (LeafRole.NEIGHBOUR, LeafRole.FREQUENCY)


@dataclass(frozen=True, slots=True)
class EntryText:
    """How an entry of a list that is kept as one value of a leaf-list stands on the wire.

    Attributes:
        read: The entry's element → its canonical text.
        write: Fills an empty element of the entry with what the text says.
    """

    read: Callable[[etree._Element], str]
    write: Callable[[etree._Element, str], None]


#: Path of an entry, its leaves so far, the wanted tree → a start value.
Start = Callable[[Path, Leaves, Tree], Value]


@dataclass(frozen=True, slots=True)
class LeafSpec:
    """One leaf (or leaf-list) of an entry, or a list whose entries are kept as texts.

    Attributes:
        name: Local name.
        roles: What it means to the engine; a TDD carrier's one channel number is that of both directions.
        default: Canonical default, or None; a leaf at its default equals an absent one.
        mutability: How it may be changed on an existing entry.
        state: Read-only state data (config false).
        unordered: Of a leaf-list, whether the order of its values means nothing, so that devices may change it.
        normalise: Text as read → canonical text (``sd``, decimals, numbers, addresses).
        namespace: Namespace where it differs from its entry's (an augmented leaf).
        label: Words for the human diff; empty means the name.
        operational_intent: People's and phases' own switch (an administrative state): it is read into the
            tree, profiles never render it, and it is never repaired as drift. A plan writes it
            only in its lock and unlock phases.
        entry: How values stand on the wire where they are entries of a list.
        doubled: It stands beside ``attributes``, too, as the official YANG of OperatorDU has it (TS 28.541, Rel-17).
        beside: It stands beside ``attributes`` only, as the official YANG of DANRManagementFunction has it.
        feature: Feature of its entry's module without which a device has none; empty where all have it.
        initial: Written on entries that we create only; on existing entries any value is right.
        start: Value that a new entry gets where nothing asks for one, or how it follows from the entry's path, its
            leaves so far and the wanted tree. On existing entries any value is right, unless something asks for one.
        follows: Leaves beside it with which it has to agree: where one of them changes, its start value is worked out
            again, from what the entry has.
        extension: A vendor's own state, in no specification: a device without it is judged by the others.
        carrier: It carries the generation (``controller.nrm.generation``): it is read beside the tree, as states are,
            and written beside the edits of a change.
    """

    name: str
    default: Value | None = None
    mutability: Mutability = Mutability.LIVE
    state: bool = False
    leaf_list: bool = False
    unordered: bool = False
    normalise: Callable[[str], str] = str.strip
    namespace: str = ""
    label: str = ""
    operational_intent: bool = False
    initial: bool = False
    start: Value | Start | None = None
    follows: tuple[LeafName, ...] = ()
    doubled: bool = False
    beside: bool = False
    feature: str = ""
    entry: EntryText | None = None
    extension: bool = False
    carrier: bool = False
    roles: tuple[LeafRole, ...] = ()

    @property
    def compared(self) -> bool:
        """Whether a difference on an existing entry counts.

        A compared leaf that is absent from the desired leaves means its default; one without
        default is then not managed there and stays as it is.
        """
        return not (self.state or self.operational_intent or self.initial or self.carrier)


@dataclass(frozen=True)
class NodeSpec:
    """One keyed list of the device model.

    Attributes:
        name: Local name.
        namespace: XML namespace; never derived from a pattern.
        keys: Key leaves in schema order.
        leaves: Leaves other than keys.
        children: Keyed lists below.
        attributes: Whether leaves and attribute lists stand in an ``attributes`` container (3GPP classes).
        in_attributes: Whether this list itself stands in its parent's ``attributes`` container.
        user_ordered: ``ordered-by user``.
        mutability: How entries may be created and deleted: live, or only on a locked cell.
        role: What an entry is to the engine.
        key_roles: What the keys mean, in their order; empty where the engine need not know.
        tdd: Of a cell, whether up- and downlink take turns; None where the model does not tell.
        key_normalisers: Key name → text as read → canonical text, for keys that have several spellings.
        link: Kind of core link that an entry is, None for all else.
        single: At most one entry stands below a parent, so that another one takes the first one's place:
            it is one attribute of the parent, written as a list (TS 28.541, the near end of a link).
        management_path: Whether an entry carries the management session (a router's ports and own routes): it is
            read, never reported as unknown, and an edit of it could cut the way to the device.
        self_made: Whether a device makes such entries itself, too (neighbour relations, by ANR). Those that are not
            ours come and go: they are neither reported as unknown nor missed, and no fingerprint covers them.
        member: Leaf by which entries elsewhere say that they belong to one of these (an interface's VRF): it is not
            removed from under those that stay. Empty where there is none.
        given: What entries are to have that come with the device, which managers neither create nor delete; a device
            without them lacks nothing. Empty of all others.
        feature: Feature of its module without which a device has none; empty where all have it.
        beside: Of a root, keyed lists that stand beside it at the top of the data tree. What is below the root goes and
            comes with it, what is beside it does not.
        lent: Whether an entry is a setting of something that stays when it goes, as a node out of use: to take it back
            removes nothing, so nobody has to name it.
        minimum: Entries of this list that a parent can't be without (YANG, ``min-elements``).
        place: Whether its key says only where it stands (the pool of a function): what goes there and comes under
            another key moves, and nothing is removed.
        external: Of what is known of an object of another station, the class of that object (of ExternalNRCellCU:
            NRCellCU). It stays while a neighbour relation names it. Empty of all others.
        identity: Of that, the leaves by which two entries are the same object, within that of its function.
        apart: Lists among its attributes that are read apart, and no part of the tree (records of alarms).
        watches: Whether an entry only watches what its device serves (its list of alarms, our measurement job).
        label: Words for the human diff; empty means the name.
    """

    name: str
    namespace: str
    keys: tuple[str, ...] = ("id",)
    leaves: tuple[LeafSpec, ...] = ()
    children: tuple[NodeSpec, ...] = ()
    attributes: bool = True
    in_attributes: bool = False
    user_ordered: bool = False
    mutability: Mutability = Mutability.LIVE
    role: NodeRole | None = None
    key_roles: tuple[KeyRole, ...] = ()
    tdd: bool | None = None
    key_normalisers: dict[str, Callable[[str], str]] = field(default_factory=dict)
    link: LinkKind | None = None
    single: bool = False
    management_path: bool = False
    self_made: bool = False
    member: str = ""
    given: dict[LeafName, Value] = field(default_factory=dict)
    feature: str = ""
    beside: tuple[NodeSpec, ...] = ()
    lent: bool = False
    minimum: int = 0
    place: bool = False
    external: str = ""
    identity: tuple[LeafName, ...] = ()
    apart: tuple[str, ...] = ()
    watches: bool = False
    label: str = ""

    @property
    def holds_others(self) -> bool:
        """Whether it is made by anybody and holds what others put there, too (a network around, a station in it)."""
        return self.self_made and any(below.external for below in self.children)

    @property
    def is_cell(self) -> bool:
        """Whether an entry is a cell."""
        return self.role is NodeRole.CELL

    @property
    def broadcast(self) -> bool:
        """Whether an entry is a PLMN on air."""
        return self.role is NodeRole.BROADCAST

    @cached_property
    def leaf_by_role(self) -> dict[LeafRole, LeafSpec]:
        """Leaves that mean something to the engine, by role."""
        return {role: leaf for leaf in self.leaves for role in leaf.roles}

    @cached_property
    def serving(self) -> dict[LeafName, StateWords]:
        """State leaves of a cell or core link that tell whether it serves, and their words."""
        return {self.leaf(role): words for role, words in _STATES.items() if role in self.leaf_by_role}

    @cached_property
    def service(self) -> frozenset[LeafName] | None:
        """Leaves on which the service of tenants rests; None for all of an entry, with that it is there.

        That is all of PLMNs, slices, radio shares and core links, and what means something to the engine elsewhere, as
        identities and carriers. People's own switches are none: whoever locks a cell meanwhile means it.
        """
        if KeyRole.MCC in self.key_roles or self.link or self.role in (NodeRole.SHARE, NodeRole.LOCAL_ADDRESS):
            return None
        return frozenset(leaf.name for leaf in self.leaves if leaf.roles and leaf.compared)

    @cached_property
    def always_reported(self) -> frozenset[LeafName]:
        """State leaves that every device should report, since they show whether it serves; no vendor extensions."""
        return frozenset(name for name in self.serving if not self.leaf_by_name[name].extension)

    def leaf(self, role: LeafRole) -> LeafName:
        """Name of the leaf with a role; empty if there is none."""
        found = self.leaf_by_role.get(role)
        return "" if found is None else found.name

    def keys_of(self, path: Path) -> dict[KeyRole, str]:
        """Keys of the entry at a path, by their meaning."""
        return dict(zip(self.key_roles, step(path)[1], strict=False))

    def plmn_of(self, path: Path) -> str:
        """The PLMN in the keys of the entry at a path; empty if its keys name none."""
        keys = self.keys_of(path)
        return f"{keys[KeyRole.MCC]}-{keys[KeyRole.MNC]}" if KeyRole.MCC in keys else ""

    @cached_property
    def leaf_by_name(self) -> dict[str, LeafSpec]:
        """Leaves by name."""
        return {leaf.name: leaf for leaf in self.leaves}

    @cached_property
    def _starting(self) -> tuple[tuple[LeafName, Value | Start], ...]:
        return tuple((leaf.name, leaf.start) for leaf in self.leaves if leaf.start is not None)

    @cached_property
    def _following(self) -> tuple[tuple[LeafSpec, Start], ...]:
        return tuple((leaf, leaf.start) for leaf in self.leaves if leaf.follows and callable(leaf.start))

    def begun(self, path: Path, wanted: Tree) -> dict[LeafName, Value]:
        """Leaves of a new entry: the wanted ones, and start values of others."""
        leaves = dict(wanted[path])
        for name, start in self._starting:
            if name not in leaves:
                leaves[name] = start(path, leaves, wanted) if callable(start) else start
        return leaves

    def followed(self, path: Path, leaves: Leaves, changed: Set[LeafName], wanted: Tree) -> Leaves:
        """Leaves of an existing entry that follow changed ones, unless something else is wanted of them."""
        return {
            leaf.name: start(path, leaves, wanted)
            for leaf, start in self._following
            if leaf.name in leaves and leaf.name not in wanted[path] and not changed.isdisjoint(leaf.follows)
        }

    @cached_property
    def child_by_name(self) -> dict[str, NodeSpec]:
        """Children by local name (unique within a parent in all profiles)."""
        return {node.name: node for node in self.children}

    @cached_property
    def leaf_by_tag(self) -> dict[str, LeafSpec]:
        """Leaves by qualified name, ``{namespace}name``."""
        return {f"{{{leaf.namespace or self.namespace}}}{leaf.name}": leaf for leaf in self.leaves}

    @cached_property
    def plain_by_tag(self) -> dict[str, tuple[LeafName, Callable[[str], str], Value | None, bool]]:
        """Name, canonical text and default of leaves with one value each, and whether they are read as states are."""
        return {
            tag: (leaf.name, leaf.normalise, leaf.default, leaf.state or leaf.carrier)
            for tag, leaf in self.leaf_by_tag.items()
            if not (leaf.leaf_list or leaf.entry)
        }

    @cached_property
    def top_by_name(self) -> dict[str, NodeSpec]:
        """Of a root: itself and what stands beside it, by local name."""
        return {node.name: node for node in (self, *self.beside)}

    @cached_property
    def child_by_tag(self) -> dict[str, NodeSpec]:
        """Children by qualified name."""
        return {node.tag: node for node in self.children}

    @cached_property
    def apart_tags(self) -> frozenset[str]:
        """Qualified names of nodes that are read separately."""
        return frozenset(f"{{{self.namespace}}}{name}" for name in self.apart)

    @cached_property
    def key_tags(self) -> dict[str, str]:
        """Key names by qualified name."""
        return {f"{{{self.namespace}}}{key}": key for key in self.keys}

    @cached_property
    def key_order(self) -> list[str]:
        """Qualified names of the keys."""
        return list(self.key_tags)

    @cached_property
    def named(self) -> Callable[[tuple[str, ...]], tuple[str, tuple[str, ...]] | None]:
        """From keys as a device writes them: the last step of the path, and these keys where they are not canonical.

        None where a key is missing (an absent ``sd`` is a value). Remembers the latest that are short.
        """
        normalisers = [self.key_normalisers.get(key, str.strip) for key in self.keys]

        @remembered(4096)
        def name(*texts: str) -> tuple[str, tuple[str, ...]] | None:
            keys = tuple(normalise(text) for normalise, text in zip(normalisers, texts, strict=True))
            written = tuple(text.strip() for text in texts)
            return (child("", self.name, *keys)[1:], written if written != keys else ()) if all(keys) else None

        return lambda texts: name(*texts)

    @cached_property
    def attributes_tag(self) -> str:
        """Qualified name of the ``attributes`` container."""
        return f"{{{self.namespace}}}attributes"

    @cached_property
    def tag(self) -> str:
        """Qualified name, ``{namespace}name``."""
        return f"{{{self.namespace}}}{self.name}"

    @property
    def is_relation(self) -> bool:
        """Whether an entry says how a cell relates to others: it names another cell, or a frequency."""
        named = (*_REFERENCES, LeafRole.FREQUENCY_RELATION)
        return any(role in self.leaf_by_role for role in named)

    @cached_property
    def ordered_broadcasts(self) -> tuple[str, ...]:
        """Beginnings of steps of PLMNs on air, in user-ordered lists below this node."""
        return _steps(node for node in self.walk() if node.broadcast and node.user_ordered)

    @cached_property
    def carriers(self) -> tuple[str, ...]:
        """Beginnings of steps of carriers below this node."""
        return _steps(node for node in self.walk() if node.role is NodeRole.CARRIER)

    @cached_property
    def frequency_relations(self) -> tuple[str, ...]:
        """Beginnings of steps of frequency relations below this node."""
        return _steps(node for node in self.walk() if LeafRole.FREQUENCY in node.leaf_by_role and not node.external)

    @cached_property
    def cell_relations(self) -> tuple[str, ...]:
        """Beginnings of steps of neighbour relations below this node."""
        return _steps(node for node in self.walk() if LeafRole.NEIGHBOUR in node.leaf_by_role)

    @cached_property
    def references(self) -> tuple[LeafName, ...]:
        """Leaves with distinguished names of what stands beside the root, or below that."""
        return tuple(leaf for role in _REFERENCES if (leaf := self.leaf(role)))

    @cached_property
    def referring(self) -> tuple[str, ...]:
        """Beginnings of steps of entries with such leaves, this one and below."""
        return _steps(node for node in self.walk() if node.references)

    @cached_property
    def around(self) -> tuple[str, ...]:
        """Beginnings of paths of what stands beside this node."""
        return _steps(self.beside)

    @cached_property
    def reservable(self) -> tuple[str, ...]:
        """Beginnings of steps of PLMNs on air that can be reserved for operator use."""
        return _steps(node for node in self.walk() if node.broadcast and LeafRole.RESERVED in node.leaf_by_role)

    @cached_property
    def self_made_names(self) -> frozenset[str]:
        """Names of nodes, this one and below, that a device also makes itself; others' entries may have equal names."""
        return frozenset(node.name for node in self.walk() if node.self_made)

    @cached_property
    def by_class_path(self) -> dict[str, NodeSpec]:
        """This node, all below and beside by their paths without keys, as in ``/Router/Vrf``."""
        found = {f"/{self.name}": self}
        for node in self.beside:
            found.update(node.by_class_path)
        for node in self.children:
            found.update({f"/{self.name}{below}": spec for below, spec in node.by_class_path.items()})
        return found

    @cached_property
    def at(self) -> Callable[[Path], NodeSpec | None]:
        """The spec of the entry at a path that starts with this node, or beside it; remembers short ones."""
        by_class_path, top = self.by_class_path, f"/{self.name}["

        @remembered(4096)
        def known(path: str) -> NodeSpec | None:
            return by_class_path.get(_KEYS.sub("", path))

        # Devices of one kind have much the same entries below their own names.
        return lambda path: known(f"{top}{path[path.index(']') :]}" if path.startswith(top) else path)

    def walk(self) -> Iterator[NodeSpec]:
        """This node, all below and all beside, parents first."""
        yield self
        for node in (*self.children, *self.beside):
            yield from node.walk()


def _steps(nodes: Iterable[NodeSpec]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"/{node.name}[" for node in nodes))


def spec_of(root: NodeSpec, path: Path) -> NodeSpec | None:
    """The spec of the entry at ``path``, or None if the schema does not know it."""
    return root.at(path)


def lent(root: NodeSpec, path: Path) -> bool:
    """Whether the entry at ``path`` is a setting of an object that remains if the entry is removed."""
    spec = spec_of(root, path)
    return spec is not None and spec.lent


def elsewhere(root: NodeSpec, path: Path, paths: Collection[Path]) -> Iterator[Path]:
    """Other places, among the paths, of the entry at ``path`` or its parents; none if it is also there."""
    path = place_of(root, path)
    if path and path not in paths:
        yield from (other for other in paths if list_of(other) == list_of(path))


def place_of(root: NodeSpec, path: Path) -> Path:
    """The entry at ``path``, or that of its parents, whose key says only where it stands; empty if none does."""
    while path and ((spec := spec_of(root, path)) is None or not spec.place):
        path = parent(path)
    return path


def list_of(path: Path) -> str:
    """The path without the keys of its last entry, which all entries of one list share."""
    return path[: path.index("[", path.rindex("/"))]


def lasting(root: NodeSpec, tree: Tree) -> Iterator[Path]:
    """Paths of a device's tree, without entries that the device makes and drops itself."""
    names = root.self_made_names
    for path in tree:
        at = path.rindex("/") + 1
        if path[at : path.index("[", at)] not in names or not self_made(root, path):
            yield path


def self_made(root: NodeSpec, path: Path) -> bool:
    """Whether the entry at ``path`` is of a kind that the device makes and drops itself."""
    spec = spec_of(root, path)
    return spec is not None and spec.self_made
