"""Facts: the vendor-neutral things a device should carry, each with its owners.

Intent makes facts, profiles render them into device trees. Facts are plain frozen
dataclasses, since a network has hundreds of thousands of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from controller.models.network import HOST, Plmn, Rat, ResourceType, Snssai
from controller.models.sharing import Plane

#: Owners of a fact or node: tenant ids, or ``("host",)``; sorted, never empty.
Owners = tuple[str, ...]
HOST_OWNED: Owners = (HOST,)


class GnbPart(StrEnum):
    """A part of a gNB that has a managed function of its own (TS 28.541)."""

    CU_CP = "gNB-CU-CP"
    CU_UP = "gNB-CU-UP"
    DU = "gNB-DU"


@dataclass(frozen=True, slots=True)
class StationFact:
    """The station's own identity: node ids and the PLMNs of its global ids, None where there is no such node.

    Attributes:
        anr: Whether it finds neighbours itself, None where that is left to the field.
        parts: Which parts of a gNB are at this endpoint.
        gnb_du_id: Its gNB-DU id; None where it is all of a gNB.
    """

    station: str
    name: str
    enb_plmn: Plmn | None
    enb_id: int | None
    enb_id_length: int
    gnb_plmn: Plmn | None
    gnb_id: int | None
    gnb_id_length: int
    anr: bool | None = None
    owners: Owners = HOST_OWNED
    parts: tuple[GnbPart, ...] = tuple(GnbPart)
    gnb_du_id: int | None = None


@dataclass(frozen=True, slots=True)
class CellFact:
    """A cell's identity and carrier, owned by the host; None is what network files leave to the field."""

    station: str
    cell: str
    rat: Rat
    local_id: int
    band: str
    arfcn_dl: int
    arfcn_ul: int
    bandwidth_mhz: float
    pci: int
    tac: int
    primary_plmn: Plmn
    max_tx_power_dbm: float | None = None
    prach_root: int | None = None
    ssb_arfcn: int | None = None
    owners: Owners = HOST_OWNED


class OwnIdentity(NamedTuple):
    """Tracking area code and cell identity that a PLMN has in a cell by itself, and shares with no other tenant."""

    tac: int
    node_id: int
    node_id_length: int
    local_id: int


@dataclass(frozen=True, slots=True)
class BroadcastFact:
    """A PLMN (on NR with its slices) broadcast by a cell, owned by that PLMN's tenant.

    ``own`` is its tracking area and identity, where it does not share the cell's. ``primary`` marks the PLMN that
    stands first. The order of the others is by tenant and PLMN for new cells; on existing cells new entries append.
    """

    station: str
    cell: str
    rat: Rat
    plmn: Plmn
    slices: tuple[Snssai, ...]
    primary: bool
    owners: Owners
    own: OwnIdentity | None = None


@dataclass(frozen=True, slots=True)
class ShareFact:
    """A tenant's share of one radio resource, in percent (TS 28.541 §4.3.36).

    ``cell`` divides it; an empty one means the user plane of the whole station (data radio bearers of NR). ``part`` is
    empty where it is for all that the tenant has there, and else tells it from the tenant's share for the rest.
    """

    station: str
    cell: str
    rat: Rat
    resource: ResourceType
    plmns: tuple[Plmn, ...]
    slices: tuple[Snssai, ...]
    dedicated: int
    min: int
    max: int
    owners: Owners
    part: str = ""


@dataclass(frozen=True, slots=True)
class NeighbourFact:
    """A neighbour relation of a cell to another one, owned by the host (TS 28.541 NRCellRelation).

    From LTE to NR it makes the cell an anchor of the other one (EN-DC); ``anchored`` says of one from NR to LTE that
    the other cell is an anchor of this one. The other cell is named and not described: its identity and PCI are what
    its own station says of it.

    Attributes:
        neighbour_ssb: NR-ARFCN of the other cell's SSB, where it is NR: by that users find it.
        neighbour_tci: ECI and PCI of the other cell in one number, where it is LTE: where a relation starts.
    """

    station: str
    cell: str
    rat: Rat
    neighbour_station: str
    neighbour_cell: str
    neighbour_rat: Rat
    neighbour_band: str
    neighbour_ssb: int | None
    neighbour_tci: int | None
    handover: bool
    anchored: bool = False
    owners: Owners = HOST_OWNED


class Interface(StrEnum):
    """Interface between base stations: X2 with an eNB at one end at least (TS 36.420), Xn between gNBs (TS 38.420)."""

    X2 = "X2"
    XN = "Xn"


@dataclass(frozen=True, slots=True)
class PeerFact:
    """One end of an interface between two base stations, owned by the host, or by the tenant whose own CU-UP is there.

    Attributes:
        rat: Technology of the node at this end: eNB or gNB.
        peer: Station at the other end.
        peer_rat: Technology of the node there.
        planes: What it carries between these two: the parts of a central unit have one each.
    """

    station: str
    rat: Rat
    interface: Interface
    peer: str
    peer_rat: Rat
    local_address: str
    vlan: int
    remote_address: str
    owners: Owners = HOST_OWNED
    planes: tuple[Plane, ...] = tuple(Plane)


class Midhaul(StrEnum):
    """An interface within a gNB: F1 between DU and CU, for signalling and for users' packets; E1 within the CU."""

    F1C = "F1C"
    F1U = "F1U"
    E1 = "E1"


@dataclass(frozen=True, slots=True)
class MidhaulFact:
    """One end of an interface within a gNB whose parts have endpoints of their own; both ends have the same owner.

    Attributes:
        peer: The station that is the other end's endpoint.
    """

    station: str
    interface: Midhaul
    peer: str
    local_address: str
    vlan: int
    remote_address: str
    owners: Owners


class LinkKind(StrEnum):
    """Kind of core link: control plane to an MME or AMF, user plane to the S-GWs or a UPF."""

    S1C = "S1C"
    S1U = "S1U"
    NGC = "NGC"
    NGU = "NGU"

    @property
    def user_plane(self) -> bool:
        """Whether it carries users' packets and no signalling."""
        return self.plane is Plane.USER

    @property
    def plane(self) -> Plane:
        """What it carries."""
        return Plane.USER if self in (LinkKind.S1U, LinkKind.NGU) else Plane.CONTROL


@dataclass(frozen=True, slots=True)
class CoreLinkFact:
    """One core link of a tenant: endpoint here, core node there, in the tenant's VLAN.

    Attributes:
        remote_address: The core node; empty for S1-U, where the MME names the S-GW of each session.
        networks: Where its packets go, as in ``10.64.0.0/28`` or ``10.64.0.1/32``: to the core node, or to the
            security gateway that its tunnel ends at.
    """

    station: str
    kind: LinkKind
    id: str
    plmns: tuple[Plmn, ...]
    local_address: str
    vlan: int
    remote_address: str
    networks: tuple[str, ...]
    owners: Owners


@dataclass(frozen=True, slots=True)
class MeasurementFact:
    """A station's measurement job (TS 28.622 PerfMetricJob), owned by the host: it counts the traffic of all tenants.

    Attributes:
        seconds: Length of its periods; a file holds one of them.
        metrics: A vendor's families of counters, beside those of 3GPP.
    """

    station: str
    seconds: int
    metrics: tuple[str, ...] = ()
    owners: Owners = HOST_OWNED


Fact = (
    StationFact
    | CellFact
    | BroadcastFact
    | ShareFact
    | NeighbourFact
    | PeerFact
    | MidhaulFact
    | CoreLinkFact
    | MeasurementFact
)


@dataclass(frozen=True, slots=True)
class RouterFact:
    """A router's own ways out of its site, owned by the host.

    Attributes:
        uplink: Port to the backhaul.
        standby: Port to the backhaul's second way, empty where there is none.
        downlink: Port to the stations of the site.
        gateways: Next hops of its own default routes, the preferred one first; empty where the files give none.
    """

    router: str
    uplink: str
    standby: str
    downlink: str
    gateways: tuple[str, ...] = ()
    owners: Owners = HOST_OWNED


@dataclass(frozen=True, slots=True)
class TransportFact:
    """A way from the stations of a site: a VRF and VLANs on the site's router.

    It is a tenant's to its core, or the host's to other stations (X2, Xn).

    Attributes:
        vrf: Its name: the tenant's id, or ``host-`` and the VLAN.
        station_side: The router's address towards the stations with its length, as in ``10.64.0.2/30``.
        networks: Where packets of the stations' links go, in order of address; nothing else is reached.
    """

    router: str
    vrf: str
    vlan: int
    station_side: str
    networks: tuple[str, ...]
    owners: Owners


RouterFacts = tuple[RouterFact, tuple[TransportFact, ...]]


@dataclass(frozen=True, slots=True)
class FunctionFact:
    """A function on its pool, owned by the host or by the tenant whose own it is.

    Attributes:
        owner: The host or a tenant: whose namespace it is in.
        pool: Where it should run; empty where there is room for it nowhere.
        package: Id of its package.
        image: Repository and digest.
        priority: Priority class of its pods.
        address: Of its OAM interface, empty where it has none.
        mbps: Users' packets that one replica carries, in Mbit/s; 0 where it carries none.
        network: Network instance that its users' packets go through, empty where it carries none.
        vlan: VLAN of that one, 0 where the packets of several tenants come by their own.
        parameters: Names and values for the vendor's operator, in order of name.
    """

    function: str
    owner: str
    pool: str
    package: str
    image: str
    replicas: int
    cpus: int
    memory_gb: int
    hugepages_gb: int
    accelerators: int
    ptp: bool
    priority: str
    address: str
    owners: Owners
    mbps: int = 0
    network: str = ""
    vlan: int = 0
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PoolShareFact:
    """What the functions of one owner may take of a pool at most, and who may send packets to them.

    Attributes:
        reached_by: Owners whose functions do, in order, itself among them.
    """

    owner: str
    cpus: int
    memory_gb: int
    hugepages_gb: int
    accelerators: int
    functions: int
    reached_by: tuple[str, ...]
    owners: Owners


@dataclass(frozen=True, slots=True)
class PoolFact:
    """What a pool has for its owners, and the priorities of kinds of functions; owned by the host."""

    pool: str
    shares: tuple[PoolShareFact, ...]
    priorities: tuple[tuple[str, int], ...]
    owners: Owners = HOST_OWNED


class Severity(StrEnum):
    """Weight of a finding. Errors refuse a plan for the stations they name."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should know: a contract broken, an unenforceable share, an unknown node.

    Attributes:
        code: Stable kebab-case name of the check, as in ``plmn-limit`` or ``unknown-plmn-on-air``.
        severity: ``error`` keeps the named station out of plans.
        message: One sentence naming agreement and cell.
        station: Station id, or an empty string for the network as a whole.
        cell: Cell id within the station, or an empty string.
        tenant: Tenant id, or an empty string.
        agreement: Agreement id, or an empty string.
    """

    code: str
    severity: Severity
    message: str
    station: str = ""
    cell: str = ""
    tenant: str = ""
    agreement: str = ""


@dataclass(frozen=True, slots=True)
class Intent:
    """What every device should carry, and what was found on the way.

    Attributes:
        facts: Facts by station id, in canonical order.
        findings: Contract findings, in canonical order; those about a router name it as their station.
        routers: Facts of managed routers by id, tenants in order.
        functions: Those of functions, by id.
        pools: Those of pools, by id.
    """

    facts: dict[str, tuple[Fact, ...]]
    findings: tuple[Finding, ...]
    routers: dict[str, RouterFacts] = field(default_factory=dict)
    functions: dict[str, FunctionFact] = field(default_factory=dict)
    pools: dict[str, PoolFact] = field(default_factory=dict)
