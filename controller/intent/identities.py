"""Identities and carriers: unique in the network, within range and band, with valid references.

The loader of network files checks most of this with file and line. This second check is deliberate, for networks that
come from elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from controller.intent.findings import Check, Fault, finding
from controller.intent.sharing import CellSharing
from controller.inventory.radio import BANDS, LIMITS, carrier_problems, code_problems, planned_problems, raster_is_open
from controller.models.facts import Finding
from controller.models.network import Cell, Network, Rat, Snssai, Station


def unchecked_findings(cells: Sequence[Cell]) -> Iterator[Finding]:
    """Checks of carriers that were not made since the files leave out what they need: rasters by band, and the EIRP."""
    limited = [cell.name for cell in cells if cell.max_eirp_dbm is not None and _eirp(cell) is None]
    if limited:
        text = (
            f"the EIRP of {min(limited)} ({len(limited)} in all) was not checked against max_eirp_dbm: give "
            "max_tx_power_dbm and antenna_gain_dbi"
        )
        yield finding(Check.RADIO_UNCHECKED, text, subject=_station_of(limited))
    unknown: dict[str, list[str]] = defaultdict(list)
    for cell in cells:
        band = BANDS.get(cell.band)
        if band is not None and band.rat is cell.rat and raster_is_open(cell, band):
            unknown[cell.band].append(cell.name)
    for name, names in sorted(unknown.items()):
        text = (
            f"channels in {name}, as of {min(names)} ({len(names)} in all), were not checked against the raster of "
            "30 kHz: nobody says which subcarrier spacing they use; give scs_khz"
        )
        yield finding(Check.RADIO_UNCHECKED, text, subject=_station_of(names))


def _station_of(cells: Sequence[str]) -> str:
    """The station of the first of these cells, which findings about many of them name."""
    return min(cells).partition("/")[0]


def identity_findings(network: Network, cells: Sequence[Cell]) -> Iterator[Finding]:
    """Clashing node and cell identities, cells without a node, stations without a site or without cells."""
    yield from _node_id_clashes(network.stations, Rat.LTE)
    # A gNB with several endpoints is represented by the first of them.
    yield from _node_id_clashes((one for one in network.stations if network.is_gnb(one.id)), Rat.NR)
    yield from _cell_clashes(network, cells)
    for station in network.stations:
        if station.site not in network.site_by_id:
            text = f"station {station.id}: there is no site {station.site}"
            yield finding(Check.STATION_DANGLING, text, station=station.id)
    for cell in cells:
        if cell.station not in network.station_by_id:
            yield Fault(Check.STATION_DANGLING, f"there is no station {cell.station}").at(cell)
    yield from _without_cells(network)


def _without_cells(network: Network) -> Iterator[Finding]:
    """Stations of which no cell is known, so that nothing would be planned for them and nobody would learn why.

    A warning, since a station may be in the files before its radio is planned. Endpoints of central units have none.
    """
    found = "it has no cells" if network.cells else "neither it nor any other station has cells, as of cells.csv"
    for station in network.stations:
        if station.id not in network.central_units and not network.cells_by_station[station.id]:
            text = f"station {station.id}: {found}, so nothing is planned for it; give its cells, or take it out"
            yield finding(Check.STATION_WITHOUT_CELLS, text, station=station.id)


def node_plmn_findings(
    network: Network, station: Station, cells: Sequence[tuple[Cell, CellSharing]]
) -> Iterator[Finding]:
    """Faults of the PLMNs in a station's global ids: none is set, or it is not served there."""
    for rat in sorted(station.rats) if cells else ():
        plmn = network.node_plmn(station, rat)
        node, field = ("eNB", "enb_plmn") if rat is Rat.LTE else ("gNB", "gnb_plmn")
        if plmn is None:
            primaries = ", ".join(sorted({cell.primary_plmn for cell, _ in cells}))
            text = f"its cells have the primary PLMNs {primaries}: name {field}, or the network's host_plmn"
            text = f"station {station.id}: no PLMN of its global {node} id; {text}"
            yield finding(Check.NODE_PLMN_MISSING, text, station=station.id)
            continue
        served = [shared.plmns | {cell.primary_plmn} for cell, shared in cells if cell.rat is rat]
        if served and plmn != network.header.host_plmn and not any(plmn in plmns for plmns in served):
            text = (
                f"station {station.id}: PLMN {plmn} of its global {node} id is neither the host's nor on air in its "
                f"{rat} cells; correct {field}"
            )
            yield finding(Check.NODE_PLMN_FOREIGN, text, station=station.id)


def tenant_findings(network: Network) -> Iterator[tuple[Finding, frozenset[str]]]:
    """Slices and VLANs that several tenants use although these must distinguish tenants; with their stations."""
    slices: dict[Snssai, list[str]] = defaultdict(list)
    vlans: dict[int, list[str]] = defaultdict(list)
    for tenant in sorted(network.tenants, key=lambda t: t.id):
        vlans[tenant.core.vlan].append(tenant.id)
        for slice_ in set(tenant.slices):
            slices[slice_].append(tenant.id)
    for slice_, users in slices.items():
        if len(users) > 1:
            text = f"{' and '.join(users)} use the same slice {slice_}: their NR counters cannot be distinguished"
            yield finding(Check.SLICE_USED_TWICE, text, tenant=users[0]), _stations_of(network, users)
    between_stations = {network.header.x2_vlan: "X2", network.header.xn_vlan: "Xn"}
    for vlan, users in vlans.items():
        if len(users) > 1:
            text = f"{' and '.join(users)} use the same VLAN {vlan}: their core traffic is not kept apart"
            yield finding(Check.VLAN_USED_TWICE, text, tenant=users[0]), _stations_of(network, users)
        if vlan in between_stations:
            text = f"{users[0]} uses VLAN {vlan}, which is that of {between_stations[vlan]} between stations"
            yield finding(Check.VLAN_USED_TWICE, text, tenant=users[0]), _stations_of(network, users[:1])


def _stations_of(network: Network, tenants: Iterable[str]) -> frozenset[str]:
    """Stations in the places of all agreements of these tenants."""
    held = (one for tenant in tenants for one in network.agreements_of(tenant))
    return frozenset(station for one in held for station in network.in_places_of(one.scope))


def _node_id_clashes(stations: Iterable[Station], rat: Rat) -> Iterator[Finding]:
    """Stations whose node ids clash."""
    name = "eNB" if rat is Rat.LTE else "gNB"
    ids = ((*station.node_id(rat), station.id) for station in stations)
    nodes = ((number, length, station) for number, length, station in ids if number is not None)
    for one, other in overlapping_nodes(rat, nodes):
        for station_id, peer in ((one, other), (other, one)):
            text = f"station {station_id}: its {name} id clashes with that of station {peer}"
            yield finding(Check.NODE_ID_CLASH, text, station=station_id)


def overlapping_nodes(rat: Rat, nodes: Iterable[tuple[int, int, str]]) -> Iterator[tuple[str, str]]:
    """Pairs of nodes whose ranges of cell identities overlap, also with ids of different length.

    Args:
        rat: Their technology.
        nodes: Node id, its length in bits, and a name.
    """
    bits = LIMITS[rat].identity_bits
    ranges = sorted((number << bits - length, (number + 1) << bits - length, name) for number, length, name in nodes)
    widest = (0, 0, "")
    for current in ranges:
        if current[0] < widest[1]:
            yield widest[2], current[2]
        widest = max(widest, current, key=lambda bounds: bounds[1])


def _cell_clashes(network: Network, cells: Iterable[Cell]) -> Iterator[Finding]:
    by_local_id: dict[tuple[str, Rat, int], list[Cell]] = defaultdict(list)
    by_name: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        node = network.gnb_of(cell.station) if cell.rat is Rat.NR else cell.station
        by_local_id[node, cell.rat, cell.local_id].append(cell)
        by_name[cell.station, cell.id].append(cell)
    for same_name in by_name.values():
        if len(same_name) > 1:
            yield Fault(Check.CELL_ID_CLASH, f"{len(same_name)} cells have this id").at(same_name[0])
    for same in by_local_id.values():
        for cell in same:
            others = ", ".join(sorted({_named(other, cell) for other in same if other is not cell} - {cell.id}))
            if others:
                yield Fault(Check.CELL_ID_CLASH, f"local id {cell.local_id} is also that of {others}").at(cell)


def _named(cell: Cell, beside: Cell) -> str:
    return cell.id if cell.station == beside.station else cell.name


# ----------------------------------------------------------------------- radio


def _eirp(cell: Cell) -> float | None:
    """EIRP of a cell at full power in dBm; None if the files don't say enough."""
    power, gain = cell.max_tx_power_dbm, cell.antenna_gain_dbi
    return None if power is None or gain is None else power + gain


#: Checks of a cell's own fields.
_RANGES = {"local_id": Check.LOCAL_ID_RANGE, "pci": Check.PCI_RANGE, "tac": Check.TAC_RANGE}


def radio_faults(cell: Cell, station: Station) -> Iterator[Fault]:
    """Faults of a cell that do not depend on its tenants."""
    if station.node_id(cell.rat)[0] is None:
        name = "enb_id" if cell.rat is Rat.LTE else "gnb_id"
        yield Fault(Check.NODE_ID_MISSING, f"an {cell.rat} cell, but station {station.id} has no {name}")
    for field, problem, right in code_problems(cell, station):
        yield Fault(_RANGES[field], f"{field} {getattr(cell, field)}: {problem}; right is {right}")
    eirp, licensed = _eirp(cell), cell.max_eirp_dbm
    if licensed is not None and eirp is not None and eirp > licensed:
        text = f"its EIRP of {eirp:g} dBm exceeds the {licensed:g} dBm of the licence"
        yield Fault(Check.EIRP_LICENCE, f"{text}; lower max_tx_power_dbm by {eirp - licensed:g} dB")
    band = BANDS.get(cell.band)
    if band is None:
        yield Fault(Check.CARRIER_BAND, f"band {cell.band} is unknown; known are {', '.join(BANDS)}")
    else:
        for field, problem, right in (*carrier_problems(cell, band), *planned_problems(cell)):
            yield Fault(Check.CARRIER_BAND, f"{field} {getattr(cell, field)}: {problem}; right is {right}")
