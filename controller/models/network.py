"""The nouns of the network files: what is shared, by whom, and under which agreement.

All models are frozen and refuse unknown fields. Limits and their sources stand beside
the fields (3GPP TS 28.541, TS 28.658, TS 36.101, TS 38.104). Rules that need more than
one object stand elsewhere: references, identities and bands in ``controller.inventory``,
contracts (PLMNs per tracking area, sums of shares) in ``controller.intent``.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from controller.models.scalars import (
    Band,
    CellId,
    Country,
    Credential,
    Day,
    HostAddress,
    HostKey,
    Identifier,
    IpAddress,
    Name,
    Percent,
    Platform,
    Plmn,
    SliceDifferentiator,
    StationId,
    TimeOfDay,
    Timezone,
    Username,
    mcc_mnc,
    whole_number,
    words,
)

__all__ = [
    "HOST",
    "ActionClass",
    "Agreement",
    "BackhaulKind",
    "BackhaulNode",
    "Cell",
    "CellId",
    "Consent",
    "Core",
    "CoreNode",
    "Endpoint",
    "Identifier",
    "IpAddress",
    "MaintenanceWindow",
    "ManagementDefaults",
    "Network",
    "NetworkHeader",
    "Noun",
    "Percent",
    "Plmn",
    "RadioShare",
    "Rat",
    "Region",
    "ResourceType",
    "Router",
    "Scope",
    "SharingKind",
    "Site",
    "Sla",
    "Snssai",
    "Station",
    "StationId",
    "Tenant",
    "Timezone",
    "Validity",
    "Weekday",
    "mcc_mnc",
]

#: Owner name of everything that belongs to no tenant.
HOST = "host"


class Noun(BaseModel):
    """Base of every frozen model: unknown fields are errors, change is by copy."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ignored_types=(cached_property,))


class Rat(StrEnum):
    """Radio access technology of a cell."""

    LTE = "LTE"
    NR = "NR"


class SharingKind(StrEnum):
    """Kind of active sharing (TS 32.130): MOCN shares the carrier, MORAN only the equipment."""

    MOCN = "MOCN"
    MORAN = "MORAN"


class ResourceType(StrEnum):
    """Radio resource that a share divides (TS 28.541 §4.4.1, resourceType)."""

    PRB = "PRB"
    PRB_UL = "PRB_UL"
    PRB_DL = "PRB_DL"
    RRC = "RRC"
    DRB = "DRB"


class Snssai(Noun):
    """Single network slice selection assistance information (TS 23.003 §28.4.2)."""

    sst: Annotated[int, Field(ge=0, le=255)]
    sd: SliceDifferentiator = "FFFFFF"

    def __str__(self) -> str:
        return f"{self.sst}" if self.sd == "FFFFFF" else f"{self.sst}-{self.sd}"


# ----------------------------------------------------------------------- inventory


class ManagementDefaults(Noun):
    """How stations are reached when their endpoint does not say otherwise."""

    username: Username = "minka"
    credential: Credential = "env:MINKA_DEVICE_PASSWORD"


class NetworkHeader(Noun):
    """The head of the network: one per directory, in any YAML file under ``network``."""

    id: Identifier
    name: Name
    country: Country
    timezone: Timezone
    management: ManagementDefaults = ManagementDefaults()


class Region(Noun):
    """A part of the country that agreements refer to."""

    id: Identifier
    name: Name
    timezone: Timezone | None = None


class BackhaulKind(StrEnum):
    """Transport technology of a backhaul node."""

    FIBRE = "fibre"
    MICROWAVE = "microwave"
    SATELLITE = "satellite"


class BackhaulNode(Noun):
    """A node of the backhaul tree; ``parent`` leads towards the core, none is a root."""

    id: Identifier
    kind: BackhaulKind
    parent: Identifier | None = None
    capacity_mbps: Annotated[int, Field(gt=0)] = 1000


class Site(Noun):
    """A place with a mast."""

    id: Identifier
    name: Name
    region: Identifier
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    population: Annotated[int, Field(ge=0)] = 0
    backhaul: Identifier | None = None


class Station(Noun):
    """A base station: one management endpoint, one or more profiles, cells of its own."""

    id: StationId
    site: Identifier
    profiles: Annotated[tuple[Literal["lte-28658", "nr-28541"], ...], BeforeValidator(words), Field(min_length=1)]
    transport_address: IpAddress = Field(description="Local address of the core links, the same in each tenant's VRF.")
    enb_id: Annotated[int, Field(ge=0, lt=2**28)] | None = None
    enb_id_length: Annotated[Literal[18, 20, 21, 28], BeforeValidator(whole_number)] = 20
    gnb_id: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    gnb_id_length: Annotated[int, Field(ge=22, le=32)] = 24

    @model_validator(mode="after")
    def _identities(self) -> Station:
        if len(set(self.profiles)) != len(self.profiles):
            raise ValueError("a profile is named twice")
        if "lte-28658" in self.profiles:
            if self.enb_id is None:
                raise ValueError("a station with profile lte-28658 needs enb_id")
            if self.enb_id >= 2**self.enb_id_length:
                raise ValueError(f"enb_id {self.enb_id} does not fit into enb_id_length {self.enb_id_length} bits")
        if "nr-28541" in self.profiles:
            if self.gnb_id is None:
                raise ValueError("a station with profile nr-28541 needs gnb_id")
            if self.gnb_id >= 2**self.gnb_id_length:
                raise ValueError(f"gnb_id {self.gnb_id} does not fit into gnb_id_length {self.gnb_id_length} bits")
        return self


class Endpoint(Noun):
    """Management endpoint of a station; a file of its own, since it differs between laboratory and field."""

    station: StationId
    address: HostAddress
    port: Annotated[int, Field(ge=1, le=65535)] = 830
    host_key: HostKey
    username: Username | None = None
    credential: Credential | None = None


class Cell(Noun):
    """A cell: its identity, carrier and primary PLMN.

    ``primary_plmn`` forms the global cell identity (ECGI, NCGI), so it always stands first
    among the broadcast PLMNs; changing it is an operation of its own.
    """

    station: StationId
    id: CellId
    rat: Rat
    local_id: Annotated[int, Field(ge=0, le=16383)] = Field(description="cellLocalId: LTE 0..255, NR 0..16383.")
    band: Band
    arfcn_dl: Annotated[int, Field(ge=0, le=3279165)]
    arfcn_ul: Annotated[int, Field(ge=0, le=3279165)]
    bandwidth_mhz: Annotated[float, Field(gt=0, le=100)]
    pci: Annotated[int, Field(ge=0, le=1007)]
    tac: Annotated[int, Field(ge=0, le=16777215)]
    primary_plmn: Plmn

    @property
    def name(self) -> str:
        """Network-wide name, ``station/cell``."""
        return f"{self.station}/{self.id}"


class Router(Noun):
    """The cell-site router of a site."""

    id: StationId
    site: Identifier
    address: HostAddress
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    platform: Platform = "cisco_ios"
    host_key: HostKey | None = None


# ------------------------------------------------------------- tenants, agreements


class CoreNode(Noun):
    """One MME, AMF or UPF of a tenant."""

    id: Identifier
    address: IpAddress


class Core(Noun):
    """A tenant's core network as the shared RAN sees it."""

    vlan: Annotated[int, Field(ge=1, le=4094)]
    mme_pool: tuple[CoreNode, ...] = ()
    amf_pool: tuple[CoreNode, ...] = ()
    upf_pool: tuple[CoreNode, ...] = ()


class Tenant(Noun):
    """A mobile operator that uses the shared RAN."""

    id: Identifier
    name: Name
    plmns: tuple[Plmn, ...] = Field(min_length=1)
    slices: tuple[Snssai, ...] = ()
    core: Core

    @model_validator(mode="after")
    def _not_host(self) -> Tenant:
        if self.id == HOST:
            raise ValueError("the id 'host' is taken by the neutral host itself")
        return self


class Scope(Noun):
    """Which cells an agreement covers.

    Places (``everywhere``, ``regions``, ``sites``, ``stations``, ``cells``) are alternatives: a cell
    lies in the scope if any of them names it. ``bands`` and ``rats``, where given, then restrict.
    """

    everywhere: bool = False
    regions: tuple[Identifier, ...] = ()
    sites: tuple[Identifier, ...] = ()
    stations: tuple[StationId, ...] = ()
    cells: tuple[str, ...] = Field(default=(), description="Cells as station/cell.")
    bands: tuple[Band, ...] = ()
    rats: tuple[Rat, ...] = ()

    @model_validator(mode="after")
    def _says_where(self) -> Scope:
        if not (self.everywhere or self.regions or self.sites or self.stations or self.cells):
            raise ValueError("a scope names regions, sites, stations or cells, or says everywhere: true")
        return self


class RadioShare(Noun):
    """Share of one radio resource in percent (TS 28.541 §4.3.36 RRMPolicyRatio).

    Dedicated is never lent, min − dedicated is guaranteed on demand, max − min is best effort.
    The order dedicated ≤ min ≤ max is a contract check, so that it can name the cell.
    """

    resource: ResourceType = ResourceType.PRB
    dedicated: Percent = 0
    min: Percent = 0
    max: Percent = 100


class Validity(Noun):
    """Days on which an agreement holds, both included, in the network's time zone."""

    start: Day
    end: Day | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Validity:
        if self.end is not None and self.end < self.start:
            raise ValueError("end is before start")
        return self


class Weekday(StrEnum):
    """Day of the week of a maintenance window."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class MaintenanceWindow(Noun):
    """A weekly window in local time; ``end`` before ``start`` runs past midnight."""

    days: tuple[Weekday, ...] = tuple(Weekday)
    start: TimeOfDay
    end: TimeOfDay


class Consent(StrEnum):
    """How an owner agrees to a class of action on a shared node."""

    STANDING = "standing"
    NOTICE = "notice"
    APPROVAL = "approval"


class ActionClass(StrEnum):
    """Classes of action that a consent speaks of."""

    RESTORE = "restore"
    CONFIGURE = "configure"
    INTERRUPT = "interrupt"
    REDUCE = "reduce"


class Sla(Noun):
    """What the host owes the tenant."""

    availability_percent: Annotated[float, Field(gt=0, le=100)] = 99.0
    restore_hours: Annotated[float, Field(gt=0)] = 24.0


class Agreement(Noun):
    """A sharing agreement of one tenant."""

    id: Identifier
    tenant: Identifier
    sharing: SharingKind = SharingKind.MOCN
    scope: Scope
    plmns: tuple[Plmn, ...] = Field(default=(), description="Subset of the tenant's PLMNs; none given means all.")
    slices: tuple[Snssai, ...] = Field(default=(), description="Subset of the tenant's slices; none given means all.")
    shares: tuple[RadioShare, ...] = ()
    validity: Validity
    windows: tuple[MaintenanceWindow, ...] = ()
    consents: dict[ActionClass, Consent] = {}
    sla: Sla = Sla()


# --------------------------------------------------------------------- the network


class Network(Noun):
    """A whole network as loaded: every list in canonical order (by id), so equal content is equal."""

    header: NetworkHeader
    regions: tuple[Region, ...] = ()
    backhaul: tuple[BackhaulNode, ...] = ()
    sites: tuple[Site, ...] = ()
    stations: tuple[Station, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    cells: tuple[Cell, ...] = ()
    routers: tuple[Router, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    agreements: tuple[Agreement, ...] = ()

    @cached_property
    def station_by_id(self) -> dict[str, Station]:
        """Stations by id."""
        return {station.id: station for station in self.stations}

    @cached_property
    def site_by_id(self) -> dict[str, Site]:
        """Sites by id."""
        return {site.id: site for site in self.sites}

    @cached_property
    def tenant_by_id(self) -> dict[str, Tenant]:
        """Tenants by id."""
        return {tenant.id: tenant for tenant in self.tenants}

    @cached_property
    def endpoint_by_station(self) -> dict[str, Endpoint]:
        """Management endpoints by station id."""
        return {endpoint.station: endpoint for endpoint in self.endpoints}

    @cached_property
    def cells_by_station(self) -> dict[str, tuple[Cell, ...]]:
        """Cells by station id, ordered by cell id."""
        grouped: dict[str, list[Cell]] = {station.id: [] for station in self.stations}
        for cell in self.cells:
            grouped.setdefault(cell.station, []).append(cell)
        return {station: tuple(cells) for station, cells in grouped.items()}

    def region_of(self, station: str) -> str:
        """Region id of a station."""
        return self.site_by_id[self.station_by_id[station].site].region

    def timezone_of(self, station: str) -> ZoneInfo:
        """Local time zone of a station: its region's, else the network's."""
        region = next(r for r in self.regions if r.id == self.region_of(station))
        return ZoneInfo(region.timezone or self.header.timezone)
