"""Neighbours: sites so close that users move from one to the other, and listed relations.

Relations that stations make themselves (ANR) are in no file. If a station makes none, users are lost for each relation
that nobody listed, so missing relations are findings there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import islice

from controller.intent.central_units import cu_half, plane_ends
from controller.intent.findings import Check, Fault, finding
from controller.intent.sharing import Placed
from controller.inventory.radio import cell_identity, ssb_next_to
from controller.models.facts import ExternalCell, Finding, Interface, NeighbourFact, PeerFact
from controller.models.network import HOST, Cell, Network, Plmn, Rat, Station
from controller.models.sharing import Plane

#: The largest distance between stations whose users and values are compared.
RADIUS_KM = 10.0
#: The most neighbour sites of a carrier, nearest first: three rings (6, 12, 18) of a hexagonal layout.
NEAREST = 36
_EARTH_KM = 6371.0

_Point = tuple[float, float, float]
Tile = tuple[int, int, int]


class Places:
    """Where sites are, and which are close to each other; the cost for each site does not grow with the network."""

    def __init__(self, network: Network) -> None:
        self.points = {site.id: _point(site.latitude, site.longitude) for site in network.sites}
        self._angles = {site.id: (math.radians(site.latitude), math.radians(site.longitude)) for site in network.sites}

    @cached_property
    def _sites(self) -> Mapping[Tile, list[str]]:
        found: dict[Tile, list[str]] = defaultdict(list)
        for site in self.points:
            found[self.tile(site)].append(site)
        return found

    def around(self, site: str, km: float = RADIUS_KM) -> list[tuple[float, str]]:
        """Sites up to a distance away with that distance, nearest first, including the site itself."""
        near = (other for tile in self.tiles_around(site, km) for other in self._sites.get(tile, ()))
        apart = ((self.km(site, other), other) for other in near)
        return sorted(one for one in apart if one[0] <= km)

    def degrees(self, site: str, other: str) -> float:
        """Direction of another site, clockwise from north."""
        (here, east), (there, beyond) = (self._angles[one] for one in (site, other))
        turn = beyond - east
        across = math.sin(turn) * math.cos(there)
        ahead = math.cos(here) * math.sin(there) - math.sin(here) * math.cos(there) * math.cos(turn)
        return math.degrees(math.atan2(across, ahead)) % 360

    def km(self, one: str, other: str) -> float:
        """Distance between two sites."""
        return math.dist(self.points[one], self.points[other])

    def tile(self, site: str) -> Tile:
        """The cube of space, ``RADIUS_KM`` wide, that a site is in."""
        x, y, z = self.points[site]
        return int(x // RADIUS_KM), int(y // RADIUS_KM), int(z // RADIUS_KM)

    def tiles_around(self, site: str, km: float) -> Iterator[Tile]:
        """Cubes that hold all sites up to a distance, and some that are farther away."""
        reach = range(-math.ceil(km / RADIUS_KM), math.ceil(km / RADIUS_KM) + 1)
        x, y, z = self.tile(site)
        return ((x + dx, y + dy, z + dz) for dx in reach for dy in reach for dz in reach)


def _point(latitude: float, longitude: float) -> _Point:
    """A place as a point in space, in km, so that distances need no special cases for poles and date line."""
    north, east = math.radians(latitude), math.radians(longitude)
    level = _EARTH_KM * math.cos(north)
    return level * math.cos(east), level * math.sin(east), _EARTH_KM * math.sin(north)


def nearest_stations(network: Network, station: str, most: int, places: Places | None = None) -> list[str]:
    """The nearest stations to a station, up to ``RADIUS_KM`` away, those of its own site first; at most ``most``."""
    if not network.has_cells(station):
        return []
    around = (places or Places(network)).around(network.site_of(station))
    near = (name for _, site in around for name in network.stations_at.get(site, ()) if name != station)
    return list(islice(near, most))


# ------------------------------------------------------------------- relations


def neighbour_facts(network: Network, cell: Cell) -> Iterator[NeighbourFact]:
    """Listed relations of a cell, to others of its technology and of the other one."""
    for one in network.neighbours_of.get((cell.station, cell.id), ()):
        there = network.cell_by_name.get((one.neighbour_station, one.neighbour_cell))
        if there is None or there is cell:
            continue
        back = network.neighbours_of.get((there.station, there.id), ()) if there.rat is Rat.LTE else ()
        (here, here_cell), (far, far_cell) = cu_half(network, cell), cu_half(network, there)
        yield NeighbourFact(
            station=here,
            cell=here_cell,
            rat=cell.rat,
            neighbour_station=far,
            neighbour_cell=far_cell,
            neighbour_rat=there.rat,
            neighbour_band=there.band,
            neighbour_ssb=_ssb(there) if there.rat is Rat.NR else None,
            neighbour_tci=_tci(there, network.station_by_id.get(there.station)) if there.rat is Rat.LTE else None,
            handover=one.handover,
            external=None if far == here else _external(network, there, far),
            anchored=cell.rat is Rat.NR
            and any((other.neighbour_station, other.neighbour_cell) == (cell.station, cell.id) for other in back),
        )


def _external(network: Network, cell: Cell, endpoint: str) -> ExternalCell | None:
    """What others have to know of a cell at an endpoint; None if its node has no id, which is an error of its own."""
    station = network.station_by_id.get(endpoint)
    node_id, length = (None, 0) if station is None else station.node_id(cell.rat)
    if station is None or node_id is None:
        return None
    return ExternalCell(
        node_id=node_id,
        node_id_length=length,
        node_plmn=network.node_plmn(station, cell.rat) or cell.primary_plmn,
        local_id=cell.local_id,
        pci=cell.pci,
        arfcn_dl=cell.arfcn_dl,
        arfcn_ul=cell.arfcn_ul,
        primary_plmn=cell.primary_plmn,
    )


def _ssb(cell: Cell) -> int:
    """NR-ARFCN of an NR cell's SSB, or of the SSB that a new cell starts with."""
    return ssb_next_to(cell.arfcn_dl) if cell.ssb_arfcn is None else cell.ssb_arfcn


def _tci(cell: Cell, station: Station | None) -> int | None:
    """ECI and PCI (9 bits) of an LTE cell in one number (TS 28.541 tCI)."""
    identity = None if station is None else cell_identity(cell, station)
    return None if identity is None else (identity << 9) + cell.pci


#: Own technology, interface, other end and its technology, and owner.
_Peer = tuple[Rat, Interface, str, Rat, str]


class PeerEnds:
    """Ends of X2 and Xn of stations, if the files name a VLAN for them: to each station that a relation leads to.

    Both stations have one, whichever lists the other. If a central unit has endpoints of its own, these have the ends
    for NR cells of all its stations, each part for its plane. There is none within a gNB.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._vlans = {Interface.X2: network.header.x2_vlan, Interface.XN: network.header.xn_vlan}
        self._peers: dict[str, dict[_Peer, set[Plane]]] = defaultdict(lambda: defaultdict(set))
        for one in network.neighbours if any(self._vlans.values()) else ():
            here = network.cell_by_name.get((one.station, one.cell))
            there = network.cell_by_name.get((one.neighbour_station, one.neighbour_cell))
            if here is None or there is None or not network.station_by_id.keys() >= {here.station, there.station}:
                continue
            interface = self._interface(here, there, one.handover)
            if interface is not None and self._node(here) != self._node(there):
                user_plane = here.rat is there.rat or network.header.en_dc.over_x2
                self._connect(interface, here, there, frozenset(Plane) if user_plane else frozenset({Plane.CONTROL}))

    def _node(self, cell: Cell) -> tuple[str, bool]:
        """The base station of a cell; LTE cells beside a DU belong to another one."""
        node = self._network.gnb_of(cell.station) if cell.rat is Rat.NR else cell.station
        return node, cell.rat is Rat.NR and node != cell.station

    def _connect(self, interface: Interface, here: Cell, there: Cell, planes: Set[Plane]) -> None:
        """Add an end at each side for each of these planes, except between user planes of two tenants."""
        for near, plane, owner in plane_ends(self._network, here):
            for far, other, its in plane_ends(self._network, there):
                if plane is other and plane in planes and (owner == its or not (owner and its)):
                    whose = owner or its or HOST
                    self._peers[near][here.rat, interface, far, there.rat, whose].add(plane)
                    self._peers[far][there.rat, interface, near, here.rat, whose].add(plane)

    def _interface(self, here: Cell, there: Cell, handover: bool) -> Interface | None:
        """The interface of a relation: X2 for EN-DC and LTE handover, Xn for handover between standalone NR cells."""
        match here.rat, there.rat:
            case Rat.LTE, Rat.NR:
                return Interface.X2
            case Rat.LTE, Rat.LTE:
                return Interface.X2 if handover else None
            case Rat.NR, Rat.NR:
                stations = (self._network.station_by_id[cell.station] for cell in (here, there))
                return Interface.XN if handover and all(map(self._network.is_standalone, stations)) else None
        return None

    def of(self, station: Station) -> Iterator[PeerFact]:
        """Ends of a station, in order."""
        for key, planes in sorted(self._peers.get(station.id, {}).items()):
            rat, interface, peer, peer_rat, owner = key
            if (vlan := self._vlans[interface]) is not None:
                near, far = station.transport_address, self._network.station_by_id[peer].transport_address
                ends = (str(near), vlan, str(far))
                yield PeerFact(station.id, rat, interface, peer, peer_rat, *ends, (owner,), tuple(sorted(planes)))


def neighbour_findings(network: Network, placed: Sequence[Placed]) -> Iterator[Finding]:
    """Relations to unknown cells, or to cells without a common PLMN; and missing relations if stations make none."""
    plmns = {(cell.station, cell.id): shared.plmns for cell, shared, _ in placed} if network.neighbours else {}
    for here, listed in network.neighbours_of.items():
        on_air = plmns.get(here)
        for one in listed:
            there = (one.neighbour_station, one.neighbour_cell)
            others = plmns.get(there)
            if on_air is None or others is None:
                name, lacking = "/".join(there), "/".join(there if others is None else here)
                text = f"neighbour {name} of {'/'.join(here)}: there is no cell {lacking}; nothing is removed by that"
                yield finding(Check.NEIGHBOUR_DANGLING, text, subject=here[0])
            elif on_air is not others and on_air.isdisjoint(others):
                name = "/".join(there)
                text = (
                    f"its neighbour {name} has none of its PLMNs on air: nobody can be handed over; leave the row out"
                )
                yield Fault(Check.NEIGHBOUR_PLMNS, text).at(network.cell_by_name[here])
    if network.header.anr is False:
        yield from _unlisted([cell for cell, _, _ in placed], network)
    yield from _without_anchor(placed, network)


def _without_anchor(placed: Sequence[Placed], network: Network) -> Iterator[Finding]:
    """PLMNs on NR cells that are not standalone, and that are on no LTE cell which lists these."""
    dependent = {station.id for station in network.stations if not network.is_standalone(station)}
    if not dependent:
        return
    on_air = {(cell.station, cell.id): shared.plmns for cell, shared, _ in placed}
    anchored: dict[tuple[str, str], set[Plmn]] = defaultdict(set)
    for one in network.neighbours:
        anchor = network.cell_by_name.get((one.station, one.cell))
        if anchor is not None and anchor.rat is Rat.LTE:
            anchored[one.neighbour_station, one.neighbour_cell] |= on_air[anchor.station, anchor.id]
    for cell, shared, _ in placed:
        lacking = shared.plmns - anchored[cell.station, cell.id] if cell.rat is Rat.NR else ()
        if cell.station in dependent and lacking:
            text = (
                f"it is not standalone, and no LTE cell with {', '.join(sorted(lacking))} lists it: their users never "
                "use it; list it among the neighbours of such cells (EN-DC), or make its station standalone"
            )
            yield Fault(Check.NR_WITHOUT_ANCHOR, text).at(cell)


def _unlisted(cells: Sequence[Cell], network: Network) -> Iterator[Finding]:
    """Relations that ANR would find: the reverse of a relation, and any neighbour at all."""
    ways = {
        (here, (one.neighbour_station, one.neighbour_cell))
        for here, listed in network.neighbours_of.items()
        for one in listed
        if one.handover
    }
    leaving = set()
    for here, there in sorted(ways):
        cell, other = network.cell_by_name.get(here), network.cell_by_name.get(there)
        if cell is None or other is None or cell.rat is not other.rat:
            continue
        leaving.add(here)
        if (there, here) not in ways:
            text = f"users can be handed over to {other.name}, and not back, since ANR is off; list the way back"
            yield Fault(Check.NEIGHBOUR_ONE_WAY, text).at(cell)
    places, at = Places(network), _sites_by_technology(cells, network)
    for cell in cells:
        site = network.station_by_id[cell.station].site if cell.station in network.station_by_id else ""
        if (cell.station, cell.id) in leaving or site not in places.points:
            continue
        near = next((other for _, other in places.around(site) if at[cell.rat].get(other, 0) > (other == site)), None)
        if near is not None:
            text = f"no neighbours are listed and ANR is off, but other {cell.rat} cells are near: list them"
            yield Fault(Check.NEIGHBOUR_MISSING, text).at(cell)


def _sites_by_technology(cells: Sequence[Cell], network: Network) -> Mapping[Rat, Mapping[str, int]]:
    """Number of cells of each site, by technology."""
    found: dict[Rat, dict[str, int]] = {rat: defaultdict(int) for rat in Rat}
    for cell in cells:
        if cell.station in network.station_by_id:
            found[cell.rat][network.station_by_id[cell.station].site] += 1
    return found
