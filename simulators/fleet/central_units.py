"""The effect of central units with their own endpoints on the DUs below them.

A DU has a cell on air while F1-C is up and its control plane has the cell. A tenant's users attach by the links of the
control plane to the AMFs, and send by the links to the UPFs of a user plane that F1-U and E1 lead to and that has their
PLMN. An interface is up while both ends are there, name each other's address in the same VLAN, and packets get through.
Shares of RRC hold as the control plane has them, those of DRB as the user planes do; what a cell's central half counts,
the control plane counts, and volumes each user plane, of all its cells together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from simulators.datastore import Config, Path
from simulators.equipment.configuration import ConfiguredCell, cells_of, ends_of, halves_of_cells, plmns_of_user_plane
from simulators.equipment.radio import CentralUnitState, CorePaths
from simulators.fleet.transport import Transport
from simulators.network import SimulatedNetwork, StationRecord
from simulators.station import Station


class _Part:
    """A part of a gNB: a DU, or a part of its central unit; its configuration is evaluated once."""

    def __init__(self, record: StationRecord, station: Station) -> None:
        self.record = record
        self.station = station
        self._of: Config | None = None
        self._ends: dict[str, dict[tuple[str, str], set[str]]] = {}
        self.cells: Mapping[str, frozenset[str]] = {}
        self.halves: Mapping[str, Path] = {}
        self.plmns: frozenset[str] = frozenset()

    def read(self) -> _Part:
        """Evaluate its present configuration."""
        config = self.station.running
        if config is not self._of:
            self._of, self._ends = config, {}
            for interface in ("EP_F1C", "EP_F1U", "EP_E1"):
                vlans = self._ends[interface] = {}
                for near, vlan, far in ends_of(config, interface):
                    vlans.setdefault((near, far), set()).add(vlan)
            halves = halves_of_cells(config) if self.record.unit else {}
            self.cells = {cell: plmns for cell, (_, plmns) in halves.items()}
            self.halves = {cell: path for cell, (path, _) in halves.items()}
            self.plmns = plmns_of_user_plane(config) if self.record.unit else frozenset()
        return self

    def reaches(self, interface: str, other: _Part, transport: Transport) -> bool:
        """Whether an interface to another part is up."""
        if self.station.equipment.down or other.station.equipment.down:
            return False
        here, there = self._vlans_to(other, interface), other._vlans_to(self, interface)
        return bool(here & there) and transport.connects(self.record, other.record)

    def _vlans_to(self, other: _Part, interface: str) -> set[str]:
        way = (self.record.transport_address, other.record.transport_address)
        return self.read()._ends[interface].get(way, set())


class CentralUnit:
    """The central unit of one DU."""

    def __init__(
        self,
        du: _Part,
        control: Iterable[_Part],
        user: Iterable[_Part],
        transport: Transport,
        tenants: Mapping[str, str],
    ) -> None:
        self._du = du
        self._control = tuple(control)
        self._user = tuple(user)
        self._transport = transport
        self._tenants = tenants

    def serves(self, cell: ConfiguredCell) -> bool:
        """Whether the control plane has a cell, and F1-C to it is up."""
        return any(cell.local_id in one.read().cells for one in self._reached("EP_F1C"))

    def paths(self) -> CorePaths:
        """The paths over the central unit to the cores."""
        signalling = set()
        users = []
        stations = False
        for control in self._reached("EP_F1C"):
            plmns = control.read().cells
            cells = (cell for cell in cells_of(self._du.station.running) if cell.local_id in plmns)
            known = self._known({plmn for cell in cells for plmn in plmns[cell.local_id or ""]})
            above = control.station.equipment.radio.paths
            signalling |= {one for one in above.signalling if one[1] in known}
            stations |= above.stations
            for user in self._reached("EP_F1U"):
                if user.reaches("EP_E1", control, self._transport):
                    carried = self._known(user.read().plmns)
                    links = user.station.equipment.radio.paths.users
                    users += [one for one in links if one.link.tenant in carried & known]
        return CorePaths(frozenset(signalling), tuple(users), stations)

    def configuration(self) -> CentralUnitState:
        """Its configuration."""
        control = next((one.read() for one in self._reached("EP_F1C")), None)
        users = tuple(one.station.running for one in self._reached("EP_F1U"))
        if control is None:
            return CentralUnitState(users=users)
        return CentralUnitState(control.station.running, control.halves, users)

    def _reached(self, interface: str) -> list[_Part]:
        parts = self._control if interface == "EP_F1C" else self._user
        return [one for one in parts if self._du.reaches(interface, one, self._transport)]

    def _known(self, plmns: Iterable[str]) -> set[str]:
        return {self._tenants[plmn] for plmn in plmns if plmn in self._tenants}


def connect(network: SimulatedNetwork, stations: Mapping[str, Station], transport: Transport) -> None:
    """Connect DUs to their central units, where these run in the same fleet."""
    tenants = {plmn: core.tenant for core in network.cores for plmn in core.plmns}
    parts = {record.id: _Part(record, stations[record.id]) for record in network.stations if record.id in stations}
    units = {record.functions[0]: record for record in network.stations if record.unit}
    below: dict[str, list[Station]] = defaultdict(list)
    for name, part in parts.items():
        above = [units[function] for function in part.record.functions if function in units]
        if part.record.unit or not above or not all(one.id in parts for one in above):
            continue
        control = [parts[one.id] for one in above if one.unit == "vcu-cp"]
        user = [parts[one.id] for one in above if one.unit == "vcu-up"]
        part.station.equipment.central = CentralUnit(part, control, user, transport, tenants)
        for one in above:
            below[one.id].append(stations[name])
            above_it, counted = stations[one.id].equipment.performance, part.station.equipment.performance
            if one.unit == "vcu-cp":
                above_it.below = (*above_it.below, counted)
            else:
                above_it.carried = (*above_it.carried, counted)

    def changed(unit: str) -> None:
        for station in below[unit]:
            station.equipment.radio.refresh()

    for unit in below:
        stations[unit].equipment.followers = (*stations[unit].equipment.followers, changed)
