"""What a tenant sees of the network: a network of its own, with only what is listed here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import TypeVar

from pydantic import BaseModel

from controller.intent.central_units import carries
from controller.intent.impact import objects_of
from controller.models.network import (
    Agreement,
    Cell,
    Function,
    Network,
    NetworkHeader,
    OwnCell,
    Region,
    Site,
    Station,
    Tenant,
    network_digest,
)
from controller.nrm.profiles import cell_of
from controller.nrm.tree import parent

N = TypeVar("N", bound=BaseModel)

#: Fields of an object that each tenant who shares it sees, and those of its own functions, own cells, tenant and
#: agreements. A field that is not named here, such as a new one, is not disclosed. A tenant sees no endpoints, routers,
#: backhaul, pools and packages.
LISTED: Mapping[type[BaseModel], tuple[str, ...]] = {
    NetworkHeader: ("id", "name", "country", "timezone"),
    Region: ("id", "name", "timezone"),
    Site: ("id", "name", "region", "latitude", "longitude", "population"),
    Station: ("id", "site", "profiles", "transport_address", "enb_id", "enb_id_length", "gnb_id", "gnb_id_length"),
    Cell: (
        *("station", "id", "rat", "local_id", "band", "arfcn_dl", "arfcn_ul", "bandwidth_mhz", "pci", "tac"),
        "primary_plmn",
    ),
    OwnCell: ("tenant", "station", "cell", "tac", "node_id", "node_id_length", "local_id"),
    Function: ("id", "package", "owner", "replicas", "max_latency_us"),
    Tenant: ("id", "name", "plmns", "slices", "core", "contacts"),
    Agreement: (
        *("id", "tenant", "sharing", "scope", "plmns", "slices", "shares", "validity", "windows", "consents"),
        *("notice_hours", "approvals_needed", "approvers", "reduce_clauses", "sign_in_to_approve", "capacity"),
        *("functions", "sla", "prices"),
    ),
}
#: Kinds of network objects that a tenant may list.
KINDS = ("regions", "sites", "stations", "cells", "own_cells", "functions", "tenants", "agreements")


@dataclass(frozen=True, slots=True)
class TenantScope:
    """What a tenant sees.

    Attributes:
        network: The network, reduced to what is disclosed.
        digest: Its digest.
        cells: Ids of the cells shared with the tenant, by station; it sees no other station. Of the live network, only
            those that an agreement in force shares.
    """

    tenant: str
    network: Network
    digest: str
    cells: Mapping[str, frozenset[str]]

    def at_cell(self, station: str, cell: str) -> bool:
        """Whether a cell is shared with the tenant."""
        return cell in self.cells.get(station, ())

    def is_live(self, device: str) -> bool:
        """Whether the tenant sees the state of one of its devices: a function of its own, or a station in ``cells``."""
        return device in self.cells or self.network.kind_of(device).rules.placed

    def is_cell(self, station: str, managed_object: str) -> bool:
        """Whether a managed object (``station/cell``, or a path that was read of the device) is such a cell itself."""
        own = self.cells.get(station, frozenset())
        if not managed_object.startswith("/"):
            owner, _, cell = managed_object.partition("/")
            return owner == station and cell in own
        return cell_of(managed_object) in own and not cell_of(parent(managed_object))


def is_disclosed(network: Network, station: str, tenant: str) -> bool:
    """Whether a tenant sees a station, without a whole ``TenantScope``."""
    if station not in network.central_units:
        return any(_reached(network, cell, tenant) for cell in network.cells_by_station.get(station, ()))
    function = network.function_by_id[network.central_units[station]]
    return any(
        _reached(network, cell, tenant) and carries(network, cell.station, function, tenant)
        for served in network.stations_served[function.id]
        for cell in network.cells_by_station[served]
    )


def is_disclosed_cell(network: Network, station: str, managed_object: str, tenant: str) -> bool:
    """Whether a managed object, as a source of alarms names it, is a cell that is shared with a tenant.

    Each step of a path counts, since a source may write anything into one.
    """
    cells = network.cells_by_station.get(station, ())
    return any(managed_object in objects_of(network, cell) and _reached(network, cell, tenant) for cell in cells)


def _reached(network: Network, cell: Cell, tenant: str) -> bool:
    return any(network.reaches(agreement, cell) for agreement in network.agreements_of(tenant))


def tenant_scope(digest: str, network: Network, tenant: str) -> TenantScope:
    """What a tenant sees of the network with this digest: the scope of its agreements, whether in force or not."""
    return _scope(_Version(digest, network), tenant, _all(network, tenant))


def listed_scope(digest: str, network: Network, tenant: str, day: date) -> TenantScope:
    """What a tenant may list of the network on a day: what its agreements share that have not ended.

    Those that begin later are among them: its people prepare for what comes.
    """
    going = (one.id for one in network.agreements_of(tenant) if one.validity.end is None or day <= one.validity.end)
    return _scope(_Version(digest, network), tenant, frozenset(going))


def live_scope(digest: str, network: Network, tenant: str, first: date, last: date | None = None) -> TenantScope:
    """What a tenant sees of states and counts: the same network, and cells by agreements in force alone.

    Args:
        digest: Digest of the network.
        network: The network.
        tenant: The tenant.
        first: The day, or the first of several.
        last: The last of several days; an agreement in force on one of them shares its cells.
    """
    until = last or first
    held = (one for one in network.agreements_of(tenant) if one.validity.holds_within(first, until))
    return _live(_Version(digest, network), tenant, frozenset(one.id for one in held))


@dataclass(frozen=True, slots=True)
class _Version:
    """A network that compares by its digest, which is faster than by content."""

    digest: str
    network: Network = field(compare=False)


def _all(network: Network, tenant: str) -> frozenset[str]:
    return frozenset(one.id for one in network.agreements_of(tenant))


@lru_cache(maxsize=32)
def _scope(version: _Version, tenant: str, sharing: frozenset[str]) -> TenantScope:
    """The network of a tenant, by the agreements that share cells with it there."""
    network = version.network
    agreements = network.agreements_of(tenant)
    shared = [agreement for agreement in agreements if agreement.id in sharing]
    names = {cell.name for agreement in shared for cell in network.cells_of(agreement)}
    cells = tuple(cell for cell in network.cells if cell.name in names)
    stations = {cell.station for cell in cells}
    stations |= set(_units(network, tenant, stations))
    sites = {network.station_by_id[station].site for station in stations}
    regions = {network.site_by_id[site].region for site in sites}
    own = Network(
        header=_listed(network.header),
        regions=tuple(_listed(region) for region in network.regions if region.id in regions),
        sites=tuple(_listed(site) for site in network.sites if site.id in sites),
        stations=tuple(_listed(station) for station in network.stations if station.id in stations),
        cells=tuple(_listed(cell) for cell in cells),
        own_cells=tuple(_listed(one) for one in network.own_cells if one.tenant == tenant),
        functions=tuple(_listed(one) for one in network.functions if one.owner == tenant),
        tenants=tuple(_listed(one) for one in network.tenants if one.id == tenant),
        agreements=tuple(map(_listed, agreements)),
    )
    ids = {station: frozenset(cell.id for cell in found) for station, found in own.cells_by_station.items()}
    return TenantScope(tenant, own, network_digest(own), ids)


@lru_cache(maxsize=64)
def _live(version: _Version, tenant: str, held: frozenset[str]) -> TenantScope:
    """By the agreements that count: they change seldom, and days each day."""
    network = version.network
    seen = _scope(version, tenant, _all(network, tenant))
    if held == {one.id for one in seen.network.agreements}:
        return seen
    found: dict[str, set[str]] = {}
    for agreement in seen.network.agreements:
        for cell in network.cells_of(agreement) if agreement.id in held else ():
            found.setdefault(cell.station, set()).add(cell.id)
    cells = {station: frozenset(ids) for station, ids in found.items()}
    return replace(seen, cells={unit: frozenset() for unit in _units(network, tenant, cells)} | cells)


def _units(network: Network, tenant: str, stations: Iterable[str]) -> Iterator[str]:
    """Central units with their own endpoints that carry a tenant: they hold its core links."""
    for station in stations:
        for unit in network.units_above.get(station, ()):
            if carries(network, station, network.function_by_id[network.central_units[unit]], tenant):
                yield unit


def _listed(noun: N) -> N:
    """A noun with only the fields that are disclosed for its class."""
    return type(noun)(**{name: getattr(noun, name) for name in LISTED[type(noun)]})
