"""Whom an alarm concerns: affected cells, and tenants with an agreement in force on them (TS 32.130). Pure.

If a source names the affected cells (as for a radio unit), these count. Otherwise they follow from the failed object:
for a cell, that cell; for a core link, the cells of its tenants; for a router or function, all cells of the stations
that depend on it; for a pool or its node, those of the affected functions; for a backhaul node, all cells below it. Any
other failed object of a station may affect all of its cells.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import assert_never

from controller.intent.central_units import carried_by, name_at_unit
from controller.intent.folding import identity
from controller.models.alarm import (
    ALARM_LIST_CROWDED,
    BACKHAUL_DOWN,
    CHECK_FAILED,
    CONFIGURATION_DRIFT,
    CORE_NODE_DOWN,
    DEFINITION_LEFT_OUT,
    FUNCTION_DEGRADED,
    HEARTBEAT_LOST,
    HOLDOVER_CAUSES,
    KPI_DEGRADED,
    OTHER_ALERT,
    PORT_DOWN,
    RECORD_DOUBTED,
    REMOTE_END_DOWN,
    RULE_DEMOTED,
    STATE_UNKNOWN,
    SUPPLY_CAUSES,
    TOO_MANY_REPAIRS,
    Alarm,
    AlarmReport,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.network import HOST, PROFILE_RATS, Agreement, Cell, DeviceKind, Network
from controller.nrm.profiles import cell_of, cell_path, link_of, object_class, rat_of
from controller.nrm.tree import LONGEST_KEY, LONGEST_NAME, Path, child, step

#: Probable causes that concern the host alone: faults of a device's management and not of its service; and of a port or
#: replica, whose loss has an alarm of its own if it takes service away.
OF_MANAGEMENT = frozenset(
    {
        ALARM_LIST_CROWDED,
        CHECK_FAILED,
        CONFIGURATION_DRIFT,
        DEFINITION_LEFT_OUT,
        FUNCTION_DEGRADED,
        HEARTBEAT_LOST,
        KPI_DEGRADED,
        PORT_DOWN,
        RECORD_DOUBTED,
        RULE_DEMOTED,
        STATE_UNKNOWN,
        TOO_MANY_REPAIRS,
    }
)


#: Form of a path of the device tree, since alarm sources may send any text.
_PATH = re.compile(r"(?:/[^/\[\],]+\[[^/\[\]]*\])+")


@dataclass(frozen=True, slots=True)
class Impact:
    """Whom a fault concerns.

    Attributes:
        cells: Affected cells, as ``station/cell``, sorted.
        tenants: Affected tenants, each with those of the cells that are shared with it.
    """

    cells: tuple[str, ...] = ()
    tenants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def in_force(network: Network, day: date) -> tuple[Agreement, ...]:
    """Agreements of known tenants that hold on a day."""
    known = network.tenant_by_id
    return tuple(one for one in network.agreements if one.validity.holds_on(day) and one.tenant in known)


class Sharing:
    """Who shares which cell on a day; results are cached.

    Attributes:
        network: The network.
        in_force: Agreements that hold on that day.
    """

    def __init__(self, network: Network, day: date) -> None:
        self.network = network
        self.in_force = in_force(network, day)
        self._known: dict[str, dict[str, frozenset[str]]] = {}
        self._reached: dict[str, frozenset[str]] = {}

    def impact_of(self, about: AlarmReport | Alarm, owners: Collection[str] = ()) -> Impact:
        """Whom a newly reported fault concerns.

        Args:
            about: The alarm.
            owners: Owners of its core link, by the ledger.
        """
        if about.probable_cause in OF_MANAGEMENT:
            return Impact()
        cells = self._cells(about)
        link = link_in(about.object)
        behind = set[str]() if about.station else self._behind(about.object)
        if not link and not about.tenant and not behind:
            return Impact(tuple(sorted(cells)), self._carried(about, cells))
        sides = {about.tenant} if about.tenant else behind or set(owners) - {HOST}
        shared = self.tenants_at(cells)
        tenants = {tenant: shared.get(tenant, ()) for tenant in sorted(sides)}
        return Impact(tuple(sorted({cell for its in tenants.values() for cell in its})), tenants)

    def impact_now(self, alarm: Alarm) -> Impact:
        """Whom a standing alarm concerns: its cells stay the same, but their tenants may have changed.

        Where no cell is known yet, as of an alarm from before the network had its object, they are worked out again.
        """
        if not alarm.cells and alarm.cleared is None and alarm.probable_cause not in OF_MANAGEMENT:
            found = self.impact_of(alarm, alarm.tenants)
            if found.cells or not alarm.tenants:
                return found
        of_core = alarm.object_class is ObjectClass.CORE_NODE
        if of_core or alarm.tenant or link_in(alarm.object) or alarm.probable_cause in OF_MANAGEMENT:
            shared = self.tenants_at(alarm.cells)
            return Impact(alarm.cells, {tenant: shared.get(tenant, ()) for tenant in alarm.tenants})
        return Impact(alarm.cells, self._carried(alarm, alarm.cells))

    def tenants_at(self, cells: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Tenants that share any of these cells (``station/cell``), each with its cells, sorted."""
        found: dict[str, list[str]] = {}
        for name in sorted(cells):
            for tenant in self._tenants(name):
                found.setdefault(tenant, []).append(name)
        return {tenant: tuple(found[tenant]) for tenant in sorted(found)}

    def tells(self, alarm: Alarm, tenant: str) -> bool:
        """Whether a tenant gets notices of an alarm that concerns it: with an agreement in force on what suffers.

        A core node that fails names no cells. All cells of its tenant's agreements may suffer then.
        """
        if alarm.cells or alarm.station:
            return any(tenant in self._tenants(cell) for cell in alarm.cells)
        return any(one.tenant == tenant for one in self.in_force)

    def is_shared(self, device: str, tenant: str) -> bool:
        """Whether a tenant has an agreement in force on a cell through a device; without such cells, on any cell."""
        cells = self.network.cells_through(device) if self.network.kind_of(device).rules.has_cells else ()
        if cells:
            return any(tenant in self._tenants(cell.name) for cell in cells)
        return any(one.tenant == tenant for one in self.in_force)

    def _carried(self, about: AlarmReport | Alarm, cells: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Tenants whose packets go by what failed, with their cells; in a pool, by one of the functions that suffer."""
        network = self.network
        kind = network.kind_of(about.station)
        match kind:
            case DeviceKind.STATION | DeviceKind.ROUTER | DeviceKind.FUNCTION:
                return carried_by(network, about.station, self.tenants_at(cells))
            case DeviceKind.POOL:
                return self._carried_in_pool(about, cells)
            case _:
                assert_never(kind)

    def _carried_in_pool(self, about: AlarmReport | Alarm, cells: Collection[str]) -> dict[str, tuple[str, ...]]:
        network = self.network
        found: dict[str, set[str]] = {}
        for name in about.functions:
            served = network.stations_served.get(name, ())
            shared = self.tenants_at(one for one in cells if one.partition("/")[0] in served)
            for tenant, its in carried_by(network, name, shared).items():
                found.setdefault(tenant, set()).update(its)
        return {tenant: tuple(sorted(found[tenant])) for tenant in sorted(found)}

    def reached_by(self, agreement: Agreement) -> frozenset[str]:
        """Names of the cells that an agreement reaches."""
        if agreement.id not in self._reached:
            self._reached[agreement.id] = frozenset(cell.name for cell in self.network.cells_of(agreement))
        return self._reached[agreement.id]

    def agreements_at(self, cell: str, tenant: str) -> tuple[Agreement, ...]:
        """Agreements under which a tenant shares a cell (``station/cell``)."""
        known = self.network.cell_by_name.get((cell.partition("/")[0], cell.partition("/")[2]))
        of_tenant = (one for one in self.in_force if one.tenant == tenant)
        return tuple(one for one in of_tenant if known is not None and self.network.reaches(one, known))

    def _tenants(self, cell: str) -> frozenset[str]:
        station = cell.partition("/")[0]
        if station not in self._known:
            self._known[station] = {
                one.name: frozenset(a.tenant for a in self.in_force if self.network.reaches(a, one))
                for one in self.network.cells_by_station.get(station, ())
            }
        return self._known[station].get(cell, frozenset())

    def _behind(self, remote_end: str) -> set[str]:
        return {tenant for tenant, _ in self.network.remote_ends.get(remote_end, ())}

    def _cells(self, about: AlarmReport | Alarm) -> set[str]:
        """Names of the affected cells."""
        network, station = self.network, about.station
        if about.probable_cause == OTHER_ALERT and is_no_part(station, about.object, about.object_class):
            return set()
        if about.object_class is ObjectClass.BACKHAUL:
            below = network.devices_below.get(about.object, frozenset()) & network.station_by_id.keys()
            return {cell.name for one in below for cell in network.cells_by_station[one]}
        if not network.kind_of(station).rules.has_cells:
            suffer = {one for name in about.functions for one in network.stations_served.get(name, ())}
            behind = suffer or network.stations_behind(station)
            return {cell.name for one in behind for cell in network.cells_by_station[one]}
        there = network.cells_through(station)
        if named := set(about.cells) & {cell.name for cell in there}:
            return named
        return {cell.name for cell in there if _suffers(cell, station, about.object)}


def _suffers(cell: Cell, station: str, managed_object: str) -> bool:
    """Whether a fault at its station, or at its central unit, affects a cell."""
    path = _path_of(managed_object)
    if inside := cell_of(path):
        return inside == (cell.id if station == cell.station else name_at_unit(cell))
    if link := link_of(path):
        return rat_of(link) is cell.rat
    return managed_object == cell.name or not managed_object.startswith(f"{station}/")


def is_told_with(alarm: Alarm, root: Alarm) -> bool:
    """Whether all tenants that are told of an alarm are told of its root, too.

    Where no cell of a tenant suffers, its agreement may be over, so that it is told of neither.
    """
    if not alarm.tenants:
        return True
    if root.probable_cause in OF_MANAGEMENT:
        return False
    return not alarm.cells or set(alarm.tenants) <= set(root.tenants)


def deadline_of(network: Network, alarm: Alarm) -> datetime | None:
    """Until when a station serves in spite of an alarm, on battery or in holdover; None if the files don't say so.

    Critical means that this time is over (fault 18 of o-ran-fm after fault 17, an empty battery).
    """
    if not network.manages(alarm.station) or alarm.severity is PerceivedSeverity.CRITICAL:
        return None
    hours = None
    if alarm.probable_cause in SUPPLY_CAUSES:
        site = network.site_by_id.get(network.site_of(alarm.station))
        hours = None if site is None else site.battery_hours
    elif alarm.probable_cause in HOLDOVER_CAUSES:
        hours = network.holdover_of(alarm.station)
    return None if hours is None else alarm.raised + timedelta(hours=hours)


def link_in(managed_object: str) -> Path:
    """The core link that an object is or belongs to; empty if it is none."""
    return link_of(_path_of(managed_object))


def core_node_in(about: AlarmReport | Alarm) -> str:
    """The core node that an alarm is about, by the id of the links to it; empty if it is about none."""
    if about.object_class is ObjectClass.CORE_NODE:
        return about.object
    link = link_in(about.object)
    return step(link)[1][0] if link else ""


def _path_of(managed_object: str) -> Path:
    """An object as a path, also if a station names its last step only (``EP_S1C=x``). Empty if it is no node."""
    if len(managed_object) > LONGEST_NAME:
        return ""
    if managed_object.startswith("/"):
        return managed_object if _PATH.fullmatch(managed_object) else ""
    name, _, key = managed_object.partition("=")
    return child("", name, key) if 0 < len(key) <= LONGEST_KEY and name.isidentifier() else ""


def is_no_part(station: str, managed_object: str, of_class: ObjectClass) -> bool:
    """Whether an object of an alert is neither a node nor the station itself, so that nobody knows what it carries.

    The station itself is also a node that has its id, as in ``ManagedElement=PE-CUS-0145``.
    """
    if of_class is not ObjectClass.STATION or managed_object == ObjectClass.STATION.value:
        return False
    path = _path_of(managed_object)
    return not path or step(path)[1][:1] != (station,)


def is_in_network(network: Network, device: str, managed_object: str, cause: str) -> bool:
    """Whether the network files have the object of an alert with a cause from which others follow.

    Of lost mains that is the station as a whole, of the backhaul a node above it, of a core a node or remote end.
    Otherwise it is the device as a whole, a cell of it, or a port of the router. The station as a whole is also the
    node that has its id.
    """
    whole = managed_object == network.device_kinds[device].value or _path_of(managed_object) == child(
        "", "ManagedElement", device
    )
    match cause:
        case _ if cause in SUPPLY_CAUSES:
            return whole
        case _ if cause == BACKHAUL_DOWN:
            return managed_object in network.backhaul_above(device)
        case _ if cause == REMOTE_END_DOWN:
            return managed_object in network.remote_ends
        case _ if cause == CORE_NODE_DOWN:
            return any(managed_object in tenant.far_ends for tenant in network.tenants)
    return whole or managed_object in _ports_of(network, device) or managed_object in _cells_of(network, device)


def real_faults(network: Network | None, reports: Iterable[AlarmReport], causes: Collection[str]) -> frozenset[str]:
    """Identities of the faults of reports that are ``is_real``."""
    return frozenset(identity(one) for one in reports if network is not None and is_real(network, one, causes))


def is_real(network: Network, report: AlarmReport, causes: Collection[str]) -> bool:
    """Whether a report is of one of these causes at an object of the network files, and of nothing else beside."""
    known = report.probable_cause in causes and not report.specific_problem
    return known and is_in_network(network, report.station, report.object, report.probable_cause)


def _ports_of(network: Network, device: str) -> tuple[str | None, ...]:
    """Ports of a router; none of other devices."""
    router = network.router_by_id.get(device)
    return () if router is None else (router.uplink, router.downlink, router.standby)


def _cells_of(network: Network, device: str) -> set[str]:
    """Cells of a station, by name and by path."""
    return {name for cell in network.cells_by_station.get(device, ()) for name in objects_of(network, cell)}


def objects_of(network: Network, cell: Cell) -> tuple[str, ...]:
    """A cell as a managed object: its name, and its path where a profile of its station writes it."""
    profiles = network.profiles_of(cell.station)
    if not any(PROFILE_RATS[one] is cell.rat for one in profiles):
        return (cell.name,)
    return (cell.name, cell_path(profiles, cell.station, cell.id, cell.rat, cell.band))


def object_class_of(network: Network | None, device: str, managed_object: str) -> ObjectClass:
    """Class of the object that an alarm of a device names."""
    if network is not None and not (kind := network.kind_of(device)).rules.has_cells:
        return ObjectClass.PORT if managed_object in _ports_of(network, device) else ObjectClass.of_device(kind)
    if path := _path_of(managed_object):
        return object_class(path)
    return ObjectClass.CELL if managed_object.startswith(f"{device}/") else ObjectClass.STATION
