"""The nouns of the network files: what is shared, by whom, and under which agreement.

All models are frozen and refuse unknown fields. Limits and their sources are beside the fields (3GPP TS 28.541,
TS 28.658, TS 36.101, TS 38.104). Rules about more than one object are elsewhere: references, identities and bands in
``controller.inventory``, contracts (PLMNs per tracking area, sums of shares) in ``controller.intent``.

The network as a whole is here; what is installed is in ``sites``, tenants and agreements are in ``sharing``, pools and
functions in ``cloud``, small types in ``scalars``. Import all of them from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self, assert_never
from zoneinfo import ZoneInfo

import orjson
from pydantic import BeforeValidator, Field, model_validator

from controller.models.cloud import (
    Function,
    FunctionKind,
    Latency,
    Node,
    Package,
    Pool,
    PoolPlace,
)
from controller.models.credentials import ManagementDefaults
from controller.models.delays import Delays
from controller.models.device_kinds import DEFAULT_KIND, NAMED_KINDS, DeviceKind
from controller.models.scalars import (
    HOST,
    PROFILE_RATS,
    CellId,
    Country,
    FolderPath,
    Identifier,
    IpAddress,
    Metric,
    Name,
    Noun,
    Percent,
    Plmn,
    Rat,
    StationId,
    Timezone,
    choice,
    mcc_mnc,
    whole_number,
)
from controller.models.sharing import (
    ActionClass,
    Agreement,
    Consent,
    Contact,
    Core,
    CoreNode,
    Gateways,
    MaintenanceWindow,
    RadioShare,
    ResourceType,
    Scope,
    SharingKind,
    Sla,
    Snssai,
    Tenant,
    UserPlaneFunction,
    Validity,
    Weekday,
)
from controller.models.sites import (
    BackhaulKind,
    BackhaulNode,
    Cell,
    Endpoint,
    ExternalInput,
    Neighbour,
    OwnCell,
    PowerUnit,
    Region,
    Router,
    Site,
    Station,
)

__all__ = [
    "HOST",
    "NAMED_KINDS",
    "PROFILE_RATS",
    "ActionClass",
    "Agreement",
    "BackhaulKind",
    "BackhaulNode",
    "Cell",
    "CellId",
    "Consent",
    "Contact",
    "Core",
    "CoreNode",
    "DeviceKind",
    "EnDc",
    "Endpoint",
    "ExternalInput",
    "Function",
    "FunctionKind",
    "Gateways",
    "Identifier",
    "IpAddress",
    "Latency",
    "MaintenanceWindow",
    "ManagementDefaults",
    "Neighbour",
    "Network",
    "NetworkHeader",
    "Node",
    "Noun",
    "OwnCell",
    "Package",
    "Percent",
    "PerformanceData",
    "Plmn",
    "Pool",
    "PoolPlace",
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
    "UserPlaneFunction",
    "Validity",
    "Weekday",
    "mcc_mnc",
]


class PerformanceData(Noun):
    """What stations measure, and where they store the files; a network without it has no measurement jobs.

    Stations that are not reached over SSH have no files for us: their latest period is read instead.
    """

    granularity_minutes: Annotated[Literal[5, 15, 30, 60], BeforeValidator(whole_number)] = Field(
        15, description="Length of the periods of the measurement job that Minka makes (TS 28.622 granularityPeriod)."
    )
    jobs: bool = Field(
        True, description="Whether Minka makes a measurement job (PerfMetricJob) on stations that can have one."
    )
    metrics: tuple[Metric, ...] = Field(
        (), max_length=100, description="A vendor's families of counters for the job, beside those of 3GPP."
    )
    folder: FolderPath = Field("/pm", description="Folder of the files on a station's file server (SFTP).")
    file_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Port of the file servers; none means that of each endpoint."
    )


class EnDc(StrEnum):
    """How NR cells beside LTE cells carry users' packets (TR 38.801 §5.1.3, EN-DC of TS 37.340)."""

    OPTION_3 = "3"
    OPTION_3A = "3a"
    OPTION_3X = "3x"

    @property
    def core_at_gnb(self) -> bool:
        """Whether S1-U ends at the gNB too, and not at the eNB alone."""
        return self is not EnDc.OPTION_3

    @property
    def over_x2(self) -> bool:
        """Whether packets go over X2-U: all of the NR cells' (option 3), or those of bearers that are split (3x)."""
        return self is not EnDc.OPTION_3A


class NetworkHeader(Noun):
    """The head of the network: one in each directory, in any YAML file under ``network``."""

    id: Identifier
    name: Name
    country: Country
    timezone: Timezone
    host_plmn: Plmn | None = Field(
        None, description="PLMN of the host: that of the global eNB and gNB ids, where a station names no other."
    )
    anr: bool | None = Field(
        None,
        description="Whether stations find neighbours themselves (ANR), beside those that are listed; "
        "none leaves that to the field.",
    )
    x2_vlan: Annotated[int, Field(ge=1, le=4094)] | None = Field(
        None, description="VLAN of X2 between stations with relations from LTE cells; none: Minka configures no X2."
    )
    xn_vlan: Annotated[int, Field(ge=1, le=4094)] | None = Field(
        None, description="VLAN of Xn between stations with relations between NR cells, X2's or another; none: no Xn."
    )
    midhaul_vlan: Annotated[int, Field(ge=1, le=4094)] | None = Field(
        None, description="VLAN of F1 and E1, where central units have management endpoints of their own."
    )
    standalone: bool = Field(
        True, description="Whether NR cells have cores of their own (NG), or serve beside LTE cells only (EN-DC)."
    )
    en_dc: Annotated[EnDc, BeforeValidator(choice, json_schema_input_type=EnDc | Literal[3])] = Field(
        EnDc.OPTION_3X,
        description="How NR cells that are not standalone carry packets: 3 over X2-U and the eNB's S1-U, 3a over an "
        "S1-U of the gNB's own, 3x over both.",
    )
    lte_power_unit: PowerUnit = Field(
        PowerUnit.TENTHS, description="Unit in which LTE stations take their power (maximumTransmissionPower)."
    )
    management: ManagementDefaults = ManagementDefaults()
    performance: PerformanceData | None = Field(
        None, description="How performance data comes in; none means that Minka asks for none."
    )
    contacts: tuple[Contact, ...] = Field(
        default=(), max_length=20, description="Where the host's own NOC is notified of incidents."
    )

    @model_validator(mode="after")
    def _contacts(self) -> NetworkHeader:
        if len({one.id for one in self.contacts}) != len(self.contacts):
            raise ValueError("two contacts have the same id")
        return self


class Network(Noun):
    """A whole network as loaded: every list is ordered by id, so equal content is equal."""

    header: NetworkHeader
    regions: tuple[Region, ...] = ()
    backhaul: tuple[BackhaulNode, ...] = ()
    sites: tuple[Site, ...] = ()
    stations: tuple[Station, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    cells: tuple[Cell, ...] = ()
    own_cells: tuple[OwnCell, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    routers: tuple[Router, ...] = ()
    pools: tuple[Pool, ...] = ()
    nodes: tuple[Node, ...] = ()
    latencies: tuple[Latency, ...] = ()
    packages: tuple[Package, ...] = ()
    functions: tuple[Function, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    agreements: tuple[Agreement, ...] = ()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy without the cached values of this one."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    @cached_property
    def station_by_id(self) -> dict[str, Station]:
        """Stations by id."""
        return {station.id: station for station in self.stations}

    @cached_property
    def router_by_id(self) -> dict[str, Router]:
        """Managed routers (their host key is known) by id."""
        return {router.id: router for router in self.routers if router.host_key is not None}

    @cached_property
    def addressed(self) -> frozenset[str]:
        """Ids of stations with a management endpoint, and of managed routers."""
        return frozenset(self.endpoint_by_station.keys() & self.station_by_id.keys()) | self.router_by_id.keys()

    @cached_property
    def routers_at(self) -> dict[str, tuple[str, ...]]:
        """Ids of managed routers by site."""
        found: dict[str, tuple[str, ...]] = {}
        for router in self.router_by_id.values():
            found[router.site] = (*found.get(router.site, ()), router.id)
        return found

    @cached_property
    def stations_at(self) -> dict[str, tuple[str, ...]]:
        """Ids of stations by site, without central units, which run on pools anywhere."""
        found: dict[str, list[str]] = {}
        for station in self.stations:
            if station.id not in self.central_units:
                found.setdefault(station.site, []).append(station.id)
        return {site: tuple(sorted(stations)) for site, stations in found.items()}

    @cached_property
    def site_by_id(self) -> dict[str, Site]:
        """Sites by id."""
        return {site.id: site for site in self.sites}

    @cached_property
    def backhaul_by_id(self) -> dict[str, BackhaulNode]:
        """Nodes of the backhaul by id."""
        return {node.id: node for node in self.backhaul}

    @cached_property
    def tenant_by_id(self) -> dict[str, Tenant]:
        """Tenants by id."""
        return {tenant.id: tenant for tenant in self.tenants}

    @cached_property
    def endpoint_by_station(self) -> dict[str, Endpoint]:
        """Management endpoints by station id."""
        return {endpoint.station: endpoint for endpoint in self.endpoints}

    @cached_property
    def pool_by_id(self) -> dict[str, Pool]:
        """Pools by id."""
        return {pool.id: pool for pool in self.pools}

    @cached_property
    def nodes_of(self) -> dict[str, tuple[Node, ...]]:
        """Nodes by pool, ordered by id."""
        found: dict[str, list[Node]] = {pool.id: [] for pool in self.pools}
        for node in sorted(self.nodes, key=lambda one: one.id):
            found.setdefault(node.pool, []).append(node)
        return {pool: tuple(nodes) for pool, nodes in found.items()}

    @cached_property
    def package_by_id(self) -> dict[str, Package]:
        """Packages by id."""
        return {package.id: package for package in self.packages}

    @cached_property
    def function_by_id(self) -> dict[str, Function]:
        """Functions by id."""
        return {function.id: function for function in self.functions}

    @cached_property
    def stations_served(self) -> dict[str, tuple[str, ...]]:
        """Sorted ids of the stations with cells that name a function, by function; without its own endpoint."""
        found: dict[str, list[str]] = {function.id: [] for function in self.functions}
        for station in self.stations:
            for function in station.functions if station.id not in self.central_units else ():
                found.setdefault(function, []).append(station.id)
        return {function: tuple(sorted(stations)) for function, stations in found.items()}

    @cached_property
    def _function_kinds(self) -> dict[str, FunctionKind | None]:
        packages = self.package_by_id
        return {one.id: packages[one.package].kind if one.package in packages else None for one in self.functions}

    @cached_property
    def central_units(self) -> dict[str, str]:
        """The vcu-cp or vcu-up of which a station is the management endpoint, by station; only such stations."""
        found: dict[str, str] = {}
        for station in self.stations:
            kind = self._function_kinds.get(station.functions[0]) if len(station.functions) == 1 else None
            if kind is not None and kind.is_central and not self.cells_by_station[station.id]:
                found[station.id] = station.functions[0]
        return found

    @cached_property
    def unit_of(self) -> dict[str, str]:
        """The station that is the management endpoint of a vcu-cp or vcu-up, by function, if it has one."""
        return {function: station for station, function in sorted(self.central_units.items(), reverse=True)}

    @cached_property
    def units_above(self) -> dict[str, tuple[str, ...]]:
        """The endpoints of a station's central unit, the control plane first, by station; empty for most."""
        kinds, found = self._function_kinds, dict[str, tuple[str, ...]]()
        for function, unit in sorted(self.unit_of.items(), key=lambda one: (kinds[one[0]] or "", one[1])):
            for station in self.stations_served[function]:
                found[station] = (*found.get(station, ()), unit)
        return found

    def cells_through(self, station: str) -> tuple[Cell, ...]:
        """Cells of a station; for a central unit, the NR cells of the stations that its function serves, by station."""
        if station not in self.central_units:
            return self.cells_by_station.get(station, ())
        served = self.stations_served[self.central_units[station]]
        return tuple(cell for one in served for cell in self.cells_by_station[one] if cell.rat is Rat.NR)

    def gnb_of(self, station: str) -> str:
        """Representative of the gNB that a station is part of: the control plane of its central unit, or itself.

        A central unit's user plane is part of the gNB of the stations that it serves.
        """
        served = self.stations_served[self.central_units[station]] if station in self.central_units else ()
        return next((above[0] for one in (station, *served) if (above := self.units_above.get(one))), station)

    def is_gnb(self, station: str) -> bool:
        """Whether a station represents a gNB; a central unit that serves nobody is part of none."""
        idle = station in self.central_units and not self.stations_served[self.central_units[station]]
        return not idle and self.gnb_of(station) == station

    @cached_property
    def delays(self) -> Delays:
        """Delays between pools and sites, and the pools that they leave for each function."""
        return Delays(
            pools=self.pools,
            latencies=self.latencies,
            functions=self.functions,
            kinds=self._function_kinds,
            site_of={station.id: station.site for station in self.stations},
            served=self.stations_served,
        )

    @cached_property
    def devices_below(self) -> dict[str, frozenset[str]]:
        """Ids of the devices at or below a node of the backhaul, by node."""
        found: dict[str, set[str]] = {node.id: set() for node in self.backhaul}
        for device in self.device_kinds:
            for node in self.backhaul_above(device):
                found[node].add(device)
        return {node: frozenset(devices) for node, devices in found.items()}

    @cached_property
    def remote_ends(self) -> dict[str, frozenset[tuple[str, str]]]:
        """Networks and gateways that several core links lead to, each with the tenants and ids of these links."""
        found: dict[str, set[tuple[str, str]]] = {}
        for tenant in self.tenants:
            for link, ends in tenant.far_ends.items():
                for end in ends:
                    name = str(end.network_address) if end.num_addresses == 1 else str(end)
                    found.setdefault(name, set()).add((tenant.id, link))
        return {end: frozenset(links) for end, links in found.items() if len(links) > 1}

    @cached_property
    def remote_ends_of(self) -> dict[tuple[str, str], frozenset[str]]:
        """The remote ends of each core link, from ``remote_ends``."""
        found: dict[tuple[str, str], set[str]] = {}
        for end, links in self.remote_ends.items():
            for link in links:
                found.setdefault(link, set()).add(end)
        return {link: frozenset(ends) for link, ends in found.items()}

    @cached_property
    def cells_by_station(self) -> dict[str, tuple[Cell, ...]]:
        """Cells by station id, ordered by cell id."""
        grouped: dict[str, list[Cell]] = {station.id: [] for station in self.stations}
        for cell in self.cells:
            grouped.setdefault(cell.station, []).append(cell)
        return {station: tuple(cells) for station, cells in grouped.items()}

    @cached_property
    def own_by_cell(self) -> dict[tuple[str, str], dict[str, OwnCell]]:
        """Tenants' own cells: by station and cell, then by tenant."""
        found: dict[tuple[str, str], dict[str, OwnCell]] = {}
        for own in sorted(self.own_cells, key=lambda one: (one.station, one.id)):
            found.setdefault((own.station, own.cell), {})[own.tenant] = own
        return found

    @cached_property
    def cell_by_name(self) -> dict[tuple[str, str], Cell]:
        """Cells by station and id."""
        return {(cell.station, cell.id): cell for cell in self.cells}

    @cached_property
    def neighbours_of(self) -> dict[tuple[str, str], tuple[Neighbour, ...]]:
        """Listed neighbours by station and cell, in order."""
        found: dict[tuple[str, str], list[Neighbour]] = {}
        for one in sorted(self.neighbours, key=lambda one: (one.station, one.id, one.handover)):
            found.setdefault((one.station, one.cell), []).append(one)
        return {cell: tuple(listed) for cell, listed in found.items()}

    @cached_property
    def region_by_id(self) -> dict[str, Region]:
        """Regions by id."""
        return {region.id: region for region in self.regions}

    @cached_property
    def tenants_by_plmn(self) -> dict[Plmn, tuple[str, ...]]:
        """Sorted ids of the tenants that have a PLMN; exactly one in a checked network."""
        found: dict[Plmn, tuple[str, ...]] = {}
        for tenant in sorted(self.tenants, key=lambda one: one.id):
            for plmn in dict.fromkeys(tenant.plmns):
                found[plmn] = (*found.get(plmn, ()), tenant.id)
        return found

    @cached_property
    def zone(self) -> ZoneInfo:
        """The network's time zone, in which days of agreements count."""
        return ZoneInfo(self.header.timezone)

    def day(self, at: datetime) -> date:
        """The day of a point in time."""
        return at.astimezone(self.zone).date()

    def next_terms(self, at: datetime) -> datetime | None:
        """When the first day after a point in time begins on which an agreement begins, or holds no more."""
        today = self.day(at)
        days = [one.validity.start for one in self.agreements]
        last = (one.validity.end for one in self.agreements)
        days += [day + timedelta(days=1) for day in last if day is not None and today <= day < date.max]
        later = min((day for day in days if day > today), default=None)
        return None if later is None else datetime.combine(later, time(), self.zone).astimezone(UTC)

    def agreements_of(self, tenant: str, day: date | None = None) -> tuple[Agreement, ...]:
        """Agreements of a tenant: those in force on a day, or all."""
        own = (one for one in self.agreements if one.tenant == tenant)
        return tuple(one for one in own if day is None or one.validity.holds_on(day))

    def reaches_any(self, agreement: str, cells: Iterable[str]) -> bool:
        """Whether an agreement, by its id, reaches one of these cells (``station/cell``), regardless of its validity.

        Where nobody can tell, since the agreement is not in the network or none of the cells is, it does.
        """
        names = (name.partition("/") for name in cells)
        known = [cell for station, _, name in names if (cell := self.cell_by_name.get((station, name)))]
        named = [one for one in self.agreements if one.id == agreement]
        return not (known and named) or any(self.reaches(one, cell) for one in named for cell in known)

    def reaches(self, agreement: Agreement, cell: Cell) -> bool:
        """Whether an agreement reaches a cell, regardless of its validity.

        Its scope covers the cell, and the station is not another tenant's own.
        """
        station = self.station_by_id.get(cell.station)
        site = None if station is None else self.site_by_id.get(station.site)
        if station is not None and station.owner not in (None, agreement.tenant):
            return False
        return agreement.scope.covers(
            region="" if site is None else site.region,
            site="" if station is None else station.site,
            station=cell.station,
            cell=cell.name,
            band=cell.band,
            rat=cell.rat,
        )

    def in_places_of(self, scope: Scope) -> Iterator[str]:
        """Ids of the stations in the places that a scope names, whichever of their cells it restricts itself to."""
        named = {*scope.stations, *(cell.partition("/")[0] for cell in scope.cells)}
        for station in self.stations:
            site = self.site_by_id.get(station.site)
            placed = station.site in scope.sites or (site is not None and site.region in scope.regions)
            if scope.everywhere or placed or station.id in named:
                yield station.id

    def cells_of(self, agreement: Agreement, stations: Iterable[str] | None = None) -> Iterator[Cell]:
        """Cells that an agreement reaches, of these stations or of all, regardless of its validity."""
        for station in self.cells_by_station if stations is None else stations:
            yield from (cell for cell in self.cells_by_station.get(station, ()) if self.reaches(agreement, cell))

    def lets_in(self, tenant: str, cells: Iterable[Cell], day: date) -> bool:
        """Whether an agreement of a tenant that is in force on a day reaches one of these cells."""
        held = self.agreements_of(tenant, day)
        return any(self.reaches(agreement, cell) for cell in cells for agreement in held)

    def node_plmn(self, station: Station, rat: Rat) -> Plmn | None:
        """PLMN of a station's global eNB or gNB id (TS 36.413 §9.2.1.37, TS 38.413 §9.3.1.6).

        It is the station's own setting, or the host's PLMN, or the primary PLMN that all its cells share. None if its
        cells differ and nothing else is set.
        """
        stated = (station.enb_plmn if rat is Rat.LTE else station.gnb_plmn) or self.header.host_plmn
        primaries = {cell.primary_plmn for cell in self.cells_through(station.id)}
        return stated or (primaries.pop() if len(primaries) == 1 else None)

    def contacts_of(self, side: str) -> tuple[Contact, ...]:
        """Contacts of the host or of a tenant."""
        if side == HOST:
            return self.header.contacts
        tenant = self.tenant_by_id.get(side)
        return () if tenant is None else tenant.contacts

    def backhaul_above(self, device: str) -> tuple[str, ...]:
        """Ids of the backhaul nodes from a device's site to the root; empty for a function."""
        placed = self.device_kinds[device].rules.has_place
        site = self.site_by_id.get(self.site_of(device)) if placed else None
        return () if site is None else self.backhaul_from(site.backhaul)

    def backhaul_from(self, node: str | None) -> tuple[str, ...]:
        """Ids of the backhaul nodes from one of them to the root."""
        found = dict[str, None]()
        while node in self.backhaul_by_id and node not in found:  # the loader refuses circles
            found[node] = None
            node = self.backhaul_by_id[node].parent
        return tuple(found)

    def lte_power_unit(self, station: Station) -> PowerUnit:
        """Unit in which a station takes the power of its LTE cells."""
        return station.lte_power_unit or self.header.lte_power_unit

    def is_standalone(self, station: Station) -> bool:
        """Whether a station's NR cells have cores of their own (NG), and do not only serve beside LTE cells (EN-DC)."""
        return self.header.standalone if station.standalone is None else station.standalone

    @cached_property
    def device_kinds(self) -> dict[str, DeviceKind]:
        """Kinds of managed devices by id: stations, routers whose host key is known, functions and pools."""
        kinds: tuple[tuple[Iterable[str], DeviceKind], ...] = (
            (self.station_by_id, DeviceKind.STATION),
            (self.router_by_id, DeviceKind.ROUTER),
            (self.function_by_id, DeviceKind.FUNCTION),
            (self.pool_by_id, DeviceKind.POOL),
        )
        return {device: kind for devices, kind in kinds for device in devices}

    def kind_of(self, device: str) -> DeviceKind:
        """Kind of a device; one that is in the network files no more is taken for one of the default kind."""
        return self.device_kinds.get(device, DEFAULT_KIND)

    def manages(self, device: str) -> bool:
        """Whether a device of this id exists and is managed."""
        return device in self.device_kinds

    def has_cells(self, device: str) -> bool:
        """Whether a device of this id is managed, and cells of its own are served there."""
        return self.manages(device) and self.device_kinds[device].rules.has_cells

    def functions_of(self, device: str) -> tuple[str, ...]:
        """Ids of the functions that a station is made of; none of other devices."""
        station = self.station_by_id.get(device)
        return () if station is None else station.functions

    def holdover_of(self, device: str) -> float | None:
        """Hours for which a station serves without synchronisation; None where the files don't say, or of others."""
        station = self.station_by_id.get(device)
        return None if station is None else station.holdover_hours

    def profiles_of(self, device: str) -> tuple[str, ...]:
        """Profiles of a station; the platform of a router; the kind of a function or pool.

        Raises:
            KeyError: There is no such device.
        """
        kind = self.device_kinds[device]
        match kind:
            case DeviceKind.STATION:
                return self.station_by_id[device].profiles
            case DeviceKind.ROUTER:
                return (self.router_by_id[device].platform,)
            case DeviceKind.FUNCTION | DeviceKind.POOL:
                return (kind.value,)
            case _:
                assert_never(kind)

    @cached_property
    def endpoint_function(self) -> dict[str, str]:
        """The function that is the management endpoint of a station, by station; only virtual stations have one."""
        found = dict(self.central_units)
        for station in self.stations:
            for name in station.functions:
                kind = self._function_kinds.get(name)
                if kind is not None and kind.is_endpoint:
                    found[station.id] = name
        return found

    @cached_property
    def stations_in(self) -> dict[str, tuple[str, ...]]:
        """Ids of the stations that live in a function, and lose their configuration with its pod, by function."""
        found: dict[str, tuple[str, ...]] = {}
        for station, function in sorted(self.endpoint_function.items()):
            found[function] = (*found.get(function, ()), station)
        return found

    def stations_behind(self, device: str) -> tuple[str, ...]:
        """Ids of the stations that depend on a device: itself, all at a router's site, or those that a function serves.

        On the endpoint of a central unit the stations of its function depend, and the endpoint depends on that
        function. For a pool the result is empty, since the functions on it change.

        Raises:
            KeyError: There is no such device.
        """
        kind = self.device_kinds[device]
        match kind:
            case DeviceKind.STATION:
                served = self.stations_served[self.central_units[device]] if device in self.central_units else ()
                return (device, *served)
            case DeviceKind.ROUTER:
                return self.stations_at.get(self.router_by_id[device].site, ())
            case DeviceKind.FUNCTION:
                unit = self.unit_of.get(device)
                return (*(() if unit is None else (unit,)), *self.stations_served[device])
            case DeviceKind.POOL:
                return ()
            case _:
                assert_never(kind)

    @cached_property
    def devices_at(self) -> dict[str, tuple[str, ...]]:
        """Ids of the devices that stand at a site, by site; central units run on pools anywhere."""
        found: dict[str, tuple[str, ...]] = {}
        for device, kind in self.device_kinds.items():
            if kind.rules.has_place and device not in self.central_units:
                site = self.site_of(device)
                found[site] = (*found.get(site, ()), device)
        return found

    @cached_property
    def in_front_of(self) -> dict[str, frozenset[str]]:
        """Ids of the devices that a station depends on (``stations_behind``), by station; itself among them."""
        found: dict[str, set[str]] = {}
        for device in self.device_kinds:
            for station in self.stations_behind(device):
                found.setdefault(station, set()).add(device)
        return {station: frozenset(devices) for station, devices in found.items()}

    def external_inputs_of(self, device: str) -> tuple[ExternalInput, ...]:
        """External inputs of a station that tell of its site's power; none of other devices."""
        station = self.station_by_id.get(device)
        site = self.site_by_id.get(station.site) if station is not None else None
        return () if site is None else site.external_inputs

    def site_of(self, device: str) -> str:
        """Site id of a device; for a function that of its first station or of a pool for it; empty if there is none.

        Raises:
            KeyError: There is no such device.
        """
        kind = self.device_kinds[device]
        match kind:
            case DeviceKind.STATION:
                return self.station_by_id[device].site
            case DeviceKind.ROUTER:
                return self.router_by_id[device].site
            case DeviceKind.POOL:
                return self.pool_by_id[device].site or ""
            case DeviceKind.FUNCTION:
                served, pools = self.stations_served[device], self.delays.pools_for[device]
                return self.site_of(served[0]) if served else self.site_of(pools[0]) if pools else ""
            case _:
                assert_never(kind)

    def sites_behind(self, device: str) -> tuple[str, ...]:
        """Sorted ids of the sites of a device and of the stations that depend on it."""
        found = {self.site_of(device), *(self.station_by_id[station].site for station in self.stations_behind(device))}
        return tuple(sorted(found - {""}))

    def people_behind(self, devices: Iterable[str]) -> int:
        """Population of the sites of devices, and of the stations that depend on them."""
        sites = {site for device in devices for site in self.sites_behind(device)}
        return sum(self.site_by_id[site].population for site in sites)

    def people_at(self, cells: Iterable[str]) -> int:
        """Population of the sites of cells (``station/cell``)."""
        return sum(self.people_by_site(cells).values())

    def people_by_site(self, cells: Iterable[str]) -> dict[str, int]:
        """Population of each site of cells (``station/cell``), by site; nothing of stations that are not known."""
        stations = {cell.partition("/")[0] for cell in cells}
        sites = {self.station_by_id[station].site for station in stations if station in self.station_by_id}
        return {site: self.site_by_id[site].population for site in sorted(sites)}

    def bound_by(self, device: str) -> tuple[str, ...]:
        """Places behind a device whose holds and freezes bind it, as a function: stations, their sites and regions.

        They have the form that holds and freezes use (``PE-CUS-0042``, ``site:cusco-1``, ``region:cusco``). Empty for
        other devices.
        """
        if not self.kind_of(device).rules.bound_behind:
            return ()
        sites = self.sites_behind(device)
        regions = sorted({self.site_by_id[site].region for site in sites})
        return (
            *self.stations_behind(device),
            *(f"site:{site}" for site in sites),
            *(f"region:{region}" for region in regions),
        )

    def region_of(self, device: str) -> str:
        """Region id of a device; without a site, that of a pool for it, or of a pool where it may be found.

        Raises:
            KeyError: There is no such device.
        """
        if site := self.site_of(device):
            return self.site_by_id[site].region
        kind = self.device_kinds[device]
        match kind:
            case DeviceKind.STATION | DeviceKind.ROUTER:
                return ""
            case DeviceKind.POOL:
                return self.pool_by_id[device].region
            case DeviceKind.FUNCTION:
                pools = self.delays.pools_for[device] or self.delays.pools_asked[device]
                return self.pool_by_id[pools[0]].region if pools else ""
            case _:
                assert_never(kind)


def network_digest(network: Network) -> str:
    """SHA-256 of a network's canonical JSON, hex; equal networks have equal digests."""
    return hashlib.sha256(orjson.dumps(network.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).hexdigest()
