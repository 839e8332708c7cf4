"""Facts: what a device should carry, in vendor-neutral form, each with its owners.

Intent makes facts, profiles render them into device trees. Facts are plain frozen
dataclasses, since a network has hundreds of thousands of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import NamedTuple

from controller.models.device_kinds import DeviceKind
from controller.models.network import HOST, Plmn, Rat, ResourceType, Snssai
from controller.models.sharing import Plane

#: Owners of a fact or node: tenant ids, or ``("host",)``; sorted, never empty.
Owners = tuple[str, ...]
HOST_OWNED: Owners = (HOST,)


class GnbPart(StrEnum):
    """A part of a gNB with a managed function of its own (TS 28.541)."""

    CU_CP = "gNB-CU-CP"
    CU_UP = "gNB-CU-UP"
    DU = "gNB-DU"


@dataclass(frozen=True, slots=True)
class StationFact:
    """Identity of a station: node ids, and the PLMNs of its global ids; None if there is no such node.

    Attributes:
        anr: Whether it finds neighbours itself (ANR); None if Minka does not manage that.
        parts: Parts of a gNB at this endpoint.
        gnb_du_id: Its gNB-DU id; None if it is a whole gNB.
        lte_power_in_a_db: How many units of the power of its LTE cells are one dB.
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
    lte_power_in_a_db: int = 10


@dataclass(frozen=True, slots=True)
class CellFact:
    """Identity and carrier of a cell, owned by the host; None is what Minka does not manage."""

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
    max_eirp_dbm: float | None = None
    prach_root: int | None = None
    ssb_arfcn: int | None = None
    owners: Owners = HOST_OWNED


class OwnIdentity(NamedTuple):
    """Tracking area code and cell identity that a PLMN has in a cell for itself."""

    tac: int
    node_id: int
    node_id_length: int
    local_id: int


@dataclass(frozen=True, slots=True)
class BroadcastFact:
    """A PLMN (on NR with its slices) that a cell broadcasts, owned by that PLMN's tenant.

    ``own`` is its tracking area and identity if it does not share the cell's. ``primary`` marks the first PLMN. In new
    cells the others are ordered by tenant and PLMN; on existing cells new entries are appended.
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

    ``cell`` is the cell that divides it; empty means the user plane of the whole station (data radio bearers of NR).
    ``part`` is empty if the share covers all that the tenant has there; otherwise it distinguishes it from the tenant's
    share for the rest.
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


class ExternalCell(NamedTuple):
    """What a base station has to know of a cell elsewhere (TS 28.541 ExternalNRCellCU, ExternalEUtranCellFDD).

    Attributes:
        node_plmn: PLMN of the global id of its node.
    """

    node_id: int
    node_id_length: int
    node_plmn: Plmn
    local_id: int
    pci: int
    arfcn_dl: int
    arfcn_ul: int
    primary_plmn: Plmn


@dataclass(frozen=True, slots=True)
class NeighbourFact:
    """A neighbour relation from a cell to another one, owned by the host (TS 28.541 NRCellRelation).

    From LTE to NR it makes the cell an anchor of the other one (EN-DC). From NR to LTE, ``anchored`` says that the
    other cell is an anchor of this one.

    Attributes:
        external: What to know of the other cell; None if it is at the same endpoint, which defines it.
        neighbour_ssb: NR-ARFCN of the SSB by which users find the other cell, if it is NR.
        neighbour_tci: ECI and PCI of the other cell in one number, if it is LTE.
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
    external: ExternalCell | None = None
    owners: Owners = HOST_OWNED


class Interface(StrEnum):
    """Interface between base stations: X2 with an eNB at one or both ends (TS 36.420), Xn between gNBs (TS 38.420)."""

    X2 = "X2"
    XN = "Xn"


@dataclass(frozen=True, slots=True)
class PeerFact:
    """One end of an interface between two base stations, owned by the host, or by the tenant whose CU-UP is there.

    Attributes:
        rat: Technology of the node at this end: eNB or gNB.
        peer: Station at the other end.
        peer_rat: Technology of the node at the other end.
        planes: Planes that it carries; each part of a central unit has one.
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
    """An interface within a gNB: F1 between DU and CU, for the control or user plane; E1 within the CU."""

    F1C = "F1C"
    F1U = "F1U"
    E1 = "E1"


@dataclass(frozen=True, slots=True)
class MidhaulFact:
    """One end of an interface within a gNB whose parts have endpoints of their own; both ends have the same owner.

    Attributes:
        peer: The station that is the endpoint of the other part.
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
    def core(self) -> Rat:
        """Technology of the core that it leads to: EPC or 5GC. S1-U leads gNBs to an EPC, too (EN-DC)."""
        return Rat.LTE if self in (LinkKind.S1C, LinkKind.S1U) else Rat.NR

    @property
    def user_plane(self) -> bool:
        """Whether it belongs to the user plane."""
        return self.plane is Plane.USER

    @property
    def plane(self) -> Plane:
        """Its plane."""
        return Plane.USER if self in (LinkKind.S1U, LinkKind.NGU) else Plane.CONTROL


@dataclass(frozen=True, slots=True)
class CoreLinkFact:
    """One core link of a tenant: endpoint here, core node there, in the tenant's VLAN.

    Attributes:
        rat: Technology of the node at this end: eNB or gNB. S1-U may end at both (EN-DC).
        remote_address: Address of the core node; of S1-U, where the MME assigns an S-GW to each session, the first one
            in the networks of the tenant's S-GWs.
        networks: Destinations of its packets, as in ``10.64.0.0/28`` or ``10.64.0.1/32``: the core node, or the
            security gateway where its tunnel ends.
    """

    station: str
    rat: Rat
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
        metrics: A vendor's families of counters, in addition to those of 3GPP.
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
    """Uplinks and default routes of a router, owned by the host.

    Attributes:
        uplink: Port to the backhaul.
        standby: Port to a second backhaul link; empty if there is none.
        downlink: Port to the stations of the site.
        gateways: Next hops of its own default routes, the preferred one first; empty if the files give none.
    """

    router: str
    uplink: str
    standby: str
    downlink: str
    gateways: tuple[str, ...] = ()
    owners: Owners = HOST_OWNED


@dataclass(frozen=True, slots=True)
class TransportFact:
    """A VRF with VLANs on a site's router, for the stations of the site.

    It leads to a tenant's core, or to other stations of the host (X2, Xn).

    Attributes:
        vrf: Its name: the tenant's id, or ``host-`` and the VLAN.
        station_side: The router's address towards the stations with its length, as in ``10.64.0.2/30``.
        networks: Destinations of the stations' links, ordered by address; nothing else is reachable.
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
    """A function on its pool, owned by the host, or by the tenant whose function it is.

    Attributes:
        owner: The host or a tenant, which owns its namespace.
        pool: Where it should run; empty if no pool has room.
        package: Id of its package.
        image: Repository and digest.
        priority: Priority class of its pods.
        address: Address of its OAM interface; empty if it has none.
        mbps: User-plane capacity of one replica in Mbit/s; 0 if it carries none.
        network: Network instance of its user plane; empty if it has none.
        vlan: VLAN of that network instance; 0 if several tenants each have their own.
        parameters: Names and values for the vendor's operator, ordered by name.
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
    """The most that functions of one owner may take of a pool, and whose functions may send packets to them.

    Attributes:
        reached_by: Owners whose functions may send packets to them, sorted, including this owner.
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
    """Owners' shares of a pool, and the priorities of kinds of functions; owned by the host."""

    pool: str
    shares: tuple[PoolShareFact, ...]
    priorities: tuple[tuple[str, int], ...]
    owners: Owners = HOST_OWNED


class Severity(StrEnum):
    """Severity of a finding. Errors refuse a plan for the stations they name."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know: a violated contract, an unenforceable share, an unknown node.

    Attributes:
        code: Stable kebab-case name of the check, as in ``plmn-limit`` or ``unknown-plmn-on-air``.
        severity: ``error`` keeps the named station out of plans.
        message: One sentence that names agreement and cell, for people only.
        station: Device id; empty for the network as a whole.
        cell: Cell id within the station, or empty.
        tenant: Tenant id, or empty.
        agreement: Agreement id, or empty.
        kind: Kind of the device; null for the network as a whole.
        subject: Id of the station or function whose lines in the network files would be corrected, where no device has
            the finding, such as a function that no station names; else empty.
        agreements: Ids of all agreements that would be corrected, ``agreement`` first.
    """

    code: str
    severity: Severity
    message: str
    station: str = ""
    cell: str = ""
    tenant: str = ""
    agreement: str = ""
    kind: DeviceKind | None = None
    subject: str = ""
    agreements: tuple[str, ...] = ()


#: What an intent has that is not by device.
_NOT_BY_DEVICE = ("findings", "elsewhere")


@dataclass(frozen=True, slots=True)
class Intent:
    """What every device should carry, with the findings.

    Attributes:
        facts: Facts by station id, in canonical order.
        findings: Contract findings, in canonical order; those about a router name it as their station.
        routers: Facts of managed routers by id, in order of tenants.
        functions: Facts of functions by id.
        pools: Facts of pools by id.
        elsewhere: How many warnings about the network as a whole are not among the findings, since they concern none of
            the devices that were asked for.
    """

    facts: dict[str, tuple[Fact, ...]]
    findings: tuple[Finding, ...]
    routers: dict[str, RouterFacts] = field(default_factory=dict)
    functions: dict[str, FunctionFact] = field(default_factory=dict)
    pools: dict[str, PoolFact] = field(default_factory=dict)
    elsewhere: int = 0

    def of(self, device: str) -> tuple[object, ...]:
        """All from which the desired tree of a device is rendered, whatever its kind, for comparison."""
        return tuple(getattr(self, one.name).get(device) for one in fields(self) if one.name not in _NOT_BY_DEVICE)
