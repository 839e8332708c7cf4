"""Common parts of profiles: node specs, and a renderer that adds entries to an output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.models.facts import (
    HOST_OWNED,
    BroadcastFact,
    CellFact,
    CoreLinkFact,
    Fact,
    Finding,
    Interface,
    LinkKind,
    MeasurementFact,
    MidhaulFact,
    NeighbourFact,
    Owners,
    PeerFact,
    Severity,
    ShareFact,
    StationFact,
)
from controller.models.network import Plmn, Rat
from controller.models.sharing import Plane
from controller.nrm import namespaces as ns
from controller.nrm.profiles.alarm_list import ALARM_LIST
from controller.nrm.profiles.measurement_job import MEASUREMENT_JOB
from controller.nrm.profiles.values import address, integer
from controller.nrm.schema import KeyRole, LeafRole, LeafSpec, Mutability, NodeRole, NodeSpec, Start
from controller.nrm.tree import LeafName, Path, Value, child

#: Id of every function object; a station has one of each kind.
FUNCTION_ID = "1"

#: Keys of entries for a PLMN, and of those for a PLMN and a slice.
PLMN_KEYS = (KeyRole.MCC, KeyRole.MNC)
PLMN_AND_SLICE_KEYS = (*PLMN_KEYS, KeyRole.SD, KeyRole.SST)

USER_LABEL = LeafSpec("userLabel")
#: Mandatory in all 3GPP functions, but meaningless for sharing: a start value.
PRIORITY_LABEL = LeafSpec("priorityLabel", normalise=integer, start="1")


def number(
    name: str,
    label: str = "",
    *,
    default: Value | None = None,
    mutability: Mutability = Mutability.LIVE,
    initial: bool = False,
    start: Value | Start | None = None,
    roles: tuple[LeafRole, ...] = (),
) -> LeafSpec:
    """Spec of a leaf that holds a whole number."""
    return LeafSpec(
        name,
        default=default,
        mutability=mutability,
        normalise=integer,
        label=label,
        initial=initial,
        start=start,
        roles=roles,
    )


def state(
    name: str, *roles: LeafRole, leaf_list: bool = False, namespace: str = "", extension: bool = False
) -> LeafSpec:
    """Spec of a read-only leaf."""
    return LeafSpec(name, state=True, leaf_list=leaf_list, namespace=namespace, extension=extension, roles=roles)


def administrative_state(default: str, name: str = "administrativeState") -> LeafSpec:
    """Spec of an administrative state (X.731; TS 28.625): LOCKED, UNLOCKED or SHUTTINGDOWN."""
    roles = (LeafRole.ADMINISTRATIVE_STATE,)
    return LeafSpec(name, default=default, label="administrative state", operational_intent=True, roles=roles)


def operational_state(namespace: str = "") -> LeafSpec:
    """Spec of an operationalState (X.731; TS 28.625): ENABLED or DISABLED."""
    return state("operationalState", LeafRole.OPERATIONAL_STATE, namespace=namespace)


def cell_state(*, extension: bool = False) -> LeafSpec:
    """Spec of a cellState (TS 28.541, NR): ACTIVE, INACTIVE or IDLE. On LTE it is a vendor's ``extension``."""
    return state("cellState", LeafRole.CELL_STATE, extension=extension)


def availability_status(namespace: str = "") -> LeafSpec:
    """Spec of an availabilityStatus (X.731; TS 28.625)."""
    return state("availabilityStatus", LeafRole.AVAILABILITY_STATUS, leaf_list=True, namespace=namespace)


def anr_switches(feature: str, *names: str, namespace: str = "", beside: bool = False) -> tuple[LeafSpec, ...]:
    """Specs of the switches of automatic neighbour relations (ANR), of one's own system and of others."""
    return tuple(LeafSpec(name, label="ANR", namespace=namespace, beside=beside, feature=feature) for name in names)


def switched(switches: tuple[LeafSpec, ...], anr: bool | None) -> dict[LeafName, Value]:
    """Values of ANR switches as in the network files; none if Minka does not manage them."""
    return {} if anr is None else dict.fromkeys((leaf.name for leaf in switches), str(anr).lower())


def relation(name: str, namespace: str, adjacent: str, *leaves: LeafSpec, allowed: str | None = "true") -> NodeSpec:
    """Spec of a neighbour relation, which the device also makes itself: NRCellRelation (TS 28.541), EUtranRelation.

    ``adjacent`` is the leaf that names the other cell, ``allowed`` what it means where nothing says what is allowed.
    """
    return NodeSpec(
        name,
        namespace,
        leaves=(
            LeafSpec(adjacent, roles=(LeafRole.NEIGHBOUR,), label="neighbour"),
            LeafSpec("isRemoveAllowed", default=allowed, roles=(LeafRole.REMOVABLE,), label="ANR may remove it"),
            LeafSpec("isHOAllowed", default=allowed, roles=(LeafRole.HANDOVER,), label="handover"),
            *leaves,
        ),
        self_made=True,
        label="neighbour relation",
    )


def relation_id(fact: NeighbourFact) -> str:
    """Id of a relation of ours: no id of station or cell has a dot."""
    return f"{fact.neighbour_station}.{fact.neighbour_cell}"


def relation_leaves(fact: NeighbourFact, adjacent: str, distinguished_name: str) -> dict[LeafName, Value]:
    """Leaves of a relation of ours, which ANR may not remove."""
    return {adjacent: distinguished_name, "isRemoveAllowed": "false", "isHOAllowed": str(fact.handover).lower()}


def local_address(namespace: str) -> NodeSpec:
    """Spec of a link's near end (TS 28.541, localAddress): a keyed list of one, so a new VLAN is a new entry."""
    return NodeSpec(
        "localAddress",
        namespace,
        keys=("ipAddress", "vlanId"),
        role=NodeRole.LOCAL_ADDRESS,
        key_roles=(KeyRole.ADDRESS,),
        key_normalisers={"ipAddress": address, "vlanId": integer},
        attributes=False,
        in_attributes=True,
        single=True,
        minimum=1,
        label="local address and VLAN",
    )


#: Planes of an interface between stations, as the end of a class name.
CONTROL_PLANE, USER_PLANE = "C", "U"


_PLANES = {CONTROL_PLANE: Plane.CONTROL, USER_PLANE: Plane.USER}


def peer_end_points(namespace: str, plane: str, *interfaces: Interface) -> tuple[NodeSpec, ...]:
    """Specs of the ends of X2 and Xn in one plane, which stations also make (TS 28.541 EP_X2C, EP_X2U, EP_XnC …)."""
    local = replace(local_address(namespace), self_made=True)
    leaves = (USER_LABEL, LeafSpec("remoteAddress", normalise=address, label="far end"))
    return tuple(
        NodeSpec(
            f"EP_{interface}{plane}",
            namespace,
            leaves=leaves,
            children=(local,),
            self_made=True,
            label=f"{interface}-{plane} end point",
        )
        for interface in interfaces
    )


def render_peer(fact: PeerFact, function: NodeSpec, plane: str, at: Path, out: Output) -> None:
    """Render an end of X2 or Xn, named after the node at the other end: its station and technology.

    Renders nothing if there is none in this plane.
    """
    if _PLANES[plane] not in fact.planes:
        return
    spec = function.child_by_name[f"EP_{fact.interface}{plane}"]
    leaves = {"remoteAddress": address(fact.remote_address)}
    path = out.add(spec, at, (f"{fact.peer}.{fact.peer_rat}",), leaves, fact.owners)
    out.add(spec.children[0], path, (address(fact.local_address), str(fact.vlan)), owners=fact.owners)


def managed_element(functions: tuple[NodeSpec, ...], beside: tuple[NodeSpec, ...] = ()) -> NodeSpec:
    """Spec of the root, ManagedElement (TS 28.622 §4.3.3); vendors set its attributes, we add functions."""
    return NodeSpec(
        "ManagedElement",
        ns.MANAGED_ELEMENT,
        leaves=(
            LeafSpec("dnPrefix"),
            USER_LABEL,
            # An operator's own state (TS 28.622), which does not affect the station.
            LeafSpec("userDefinedState", carrier=True),
            PRIORITY_LABEL,
            state("locationName"),
            state("managedBy", leaf_list=True),
            state("managedElementTypeList", leaf_list=True),
            state("vendorName"),
            state("swVersion"),
        ),
        children=(ALARM_LIST, MEASUREMENT_JOB, *functions),
        beside=beside,
        label="station",
    )


@dataclass(frozen=True)
class StationFacts:
    """The facts of one station by kind, in canonical order; shares of the whole station have cell ""."""

    station: StationFact
    cells: tuple[CellFact, ...]
    broadcasts: Mapping[str, tuple[BroadcastFact, ...]]
    shares: Mapping[str, tuple[ShareFact, ...]]
    neighbours: Mapping[str, tuple[NeighbourFact, ...]]
    links: tuple[CoreLinkFact, ...]
    peers: tuple[PeerFact, ...]
    midhaul: tuple[MidhaulFact, ...]
    measurements: MeasurementFact | None

    @classmethod
    def of(cls, facts: Sequence[Fact]) -> StationFacts:
        """Sort the facts of one station.

        Raises:
            ValueError: Not exactly one station, or a PLMN or share without its cell.
        """
        stations = [fact for fact in facts if isinstance(fact, StationFact)]
        if len(stations) != 1 or any(fact.station != stations[0].station for fact in facts):
            raise ValueError("the facts of exactly one station, with its StationFact, are wanted")
        cells = {fact.cell: fact for fact in facts if isinstance(fact, CellFact)}
        broadcasts: dict[str, list[BroadcastFact]] = defaultdict(list)
        shares: dict[str, list[ShareFact]] = defaultdict(list)
        neighbours: dict[str, list[NeighbourFact]] = defaultdict(list)
        for fact in facts:
            if isinstance(fact, BroadcastFact):
                broadcasts[fact.cell].append(fact)
            elif isinstance(fact, ShareFact):
                shares[fact.cell].append(fact)
            elif isinstance(fact, NeighbourFact):
                neighbours[fact.cell].append(fact)
        if (
            orphans := broadcasts.keys() - cells.keys()
            | shares.keys() - {*cells, ""}
            | neighbours.keys() - cells.keys()
        ):
            raise ValueError(f"facts of cells without a CellFact: {sorted(orphans)}")
        return cls(
            station=stations[0],
            cells=tuple(cells[cell] for cell in sorted(cells)),
            broadcasts={cell: tuple(sorted(found, key=_broadcast_order)) for cell, found in broadcasts.items()},
            shares={cell: tuple(sorted(found, key=_share_order)) for cell, found in shares.items()},
            neighbours={cell: tuple(sorted(found, key=relation_id)) for cell, found in neighbours.items()},
            links=tuple(
                sorted((f for f in facts if isinstance(f, CoreLinkFact)), key=lambda f: (f.rat, f.kind, f.owners, f.id))
            ),
            peers=tuple(sorted((f for f in facts if isinstance(f, PeerFact)), key=_peer_order)),
            midhaul=tuple(
                sorted((f for f in facts if isinstance(f, MidhaulFact)), key=lambda f: (f.interface, f.peer))
            ),
            measurements=next((fact for fact in facts if isinstance(fact, MeasurementFact)), None),
        )

    def on_air(self, rat: Rat) -> Iterator[CellFact]:
        """Cells of one radio technology that have a PLMN to broadcast."""
        return (cell for cell in self.cells if cell.rat is rat and cell.cell in self.broadcasts)


def _broadcast_order(fact: BroadcastFact) -> tuple[bool, Owners, Plmn]:
    return not fact.primary, fact.owners, fact.plmn


def _peer_order(fact: PeerFact) -> tuple[object, ...]:
    return fact.rat, fact.interface, fact.peer, fact.peer_rat


def _share_order(fact: ShareFact) -> tuple[object, ...]:
    return fact.owners, fact.resource, fact.plmns, fact.dedicated, fact.min, fact.max


@dataclass
class Output:
    """A device tree under construction."""

    station: str
    tree: dict[Path, dict[LeafName, Value]] = field(default_factory=dict)
    owners: dict[Path, Owners] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(
        self,
        spec: NodeSpec,
        above: Path,
        keys: tuple[str, ...],
        leaves: Mapping[LeafName, Value] | None = None,
        owners: Owners = HOST_OWNED,
    ) -> Path:
        """Add an entry; if several owners add the same entry, they own it together.

        Returns:
            Path of the entry.
        """
        path = child(above, spec.name, *keys)
        if path in self.tree:
            owners = tuple(sorted({*self.owners[path], *owners}))
        entry = self.tree.setdefault(path, {})
        if leaves:
            known = spec.leaf_by_name
            entry.update({name: value for name, value in leaves.items() if value != known[name].default})
        self.owners[path] = owners
        return path

    def find(self, code: str, message: str, *, cell: str = "", tenant: str = "") -> None:
        """Report something that the profile can't express."""
        self.findings.append(Finding(code, Severity.WARNING, message, self.station, cell, tenant))


@dataclass(frozen=True)
class Profile:
    """How a device family writes facts.

    Attributes:
        functions: Specs of the functions below ManagedElement.
        beside: Specs of what stands beside ManagedElement.
        links: Kinds of core link that a node of its technology can have.
        render: Adds the station's entries of this radio technology, below the given ManagedElement.
        families: Families of counters that 3GPP has for it; without any it has no measurement job.
        cell_path: Path of a cell below ManagedElement, by cell id and band.
    """

    name: str
    rat: Rat
    functions: tuple[NodeSpec, ...]
    links: tuple[LinkKind, ...]
    render: Callable[[StationFacts, Path, Output], None]
    cell_path: Callable[[Path, str, str], Path]
    families: tuple[str, ...] = ()
    beside: tuple[NodeSpec, ...] = ()


def tenant_of(owners: Owners) -> str:
    """The owners as one word, for ids and findings."""
    return "-".join(owners)
