"""Identities and carriers: unique network-wide, within range and band, references that lead somewhere.

The loader of network files checks most of this with file and line. This second check is deliberate: it is the defence
in depth for networks that come from elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from controller.intent.findings import Check, Fault, finding
from controller.inventory.bands import BANDS, carrier_problems
from controller.models.facts import Finding
from controller.models.network import Cell, Network, Rat, Snssai, Station, Tenant

#: Bits of the identity that node and local id share: ECI (TS 36.413 §9.2.1.38), NCI (TS 38.413 §9.3.1.7).
IDENTITY_BITS = {Rat.LTE: 28, Rat.NR: 36}


def identity_findings(network: Network, cells: Sequence[Cell]) -> Iterator[Finding]:
    """Clashing node and cell identities, cells without a node, stations without a site."""
    yield from _node_id_clashes(network.stations, Rat.LTE, lambda s: (s.enb_id, s.enb_id_length))
    yield from _node_id_clashes(network.stations, Rat.NR, lambda s: (s.gnb_id, s.gnb_id_length))
    yield from _cell_clashes(cells)
    for station in network.stations:
        if station.site not in network.site_by_id:
            text = f"station {station.id}: there is no site {station.site}"
            yield finding(Check.STATION_DANGLING, text, station=station.id)
    for cell in cells:
        if cell.station not in network.station_by_id:
            yield Fault(Check.STATION_DANGLING, f"there is no station {cell.station}").at(cell)


def tenant_findings(tenants: Iterable[Tenant]) -> Iterator[Finding]:
    """What tenants use in common although it should tell them apart: slices and VLANs."""
    slices: dict[Snssai, list[str]] = defaultdict(list)
    vlans: dict[int, list[str]] = defaultdict(list)
    for tenant in sorted(tenants, key=lambda t: t.id):
        vlans[tenant.core.vlan].append(tenant.id)
        for slice_ in set(tenant.slices):
            slices[slice_].append(tenant.id)
    for slice_, users in slices.items():
        if len(users) > 1:
            text = f"{' and '.join(users)} use the same slice {slice_}: their NR counters cannot be told apart"
            yield finding(Check.SLICE_USED_TWICE, text, tenant=users[0])
    for vlan, users in vlans.items():
        if len(users) > 1:
            text = f"{' and '.join(users)} use the same VLAN {vlan}: their core traffic is not kept apart"
            yield finding(Check.VLAN_USED_TWICE, text, tenant=users[0])


def _node_id_clashes(
    stations: Iterable[Station], rat: Rat, node_id: Callable[[Station], tuple[int | None, int]]
) -> Iterator[Finding]:
    """Stations whose cell identities would fall into each other's range, which ids of different length can, too."""
    ranges: list[tuple[int, int, str]] = []
    for station in stations:
        number, length = node_id(station)
        if number is not None:
            free = IDENTITY_BITS[rat] - length
            ranges.append((number << free, (number + 1) << free, station.id))
    ranges.sort()
    name = "eNB" if rat is Rat.LTE else "gNB"
    widest = (0, 0, "")
    for current in ranges:
        if current[0] < widest[1]:
            one, other = widest[2], current[2]
            for station_id, peer in ((one, other), (other, one)):
                text = f"station {station_id}: its {name} id clashes with that of station {peer}"
                yield finding(Check.NODE_ID_CLASH, text, station=station_id)
        widest = max(widest, current, key=lambda bounds: bounds[1])


def _cell_clashes(cells: Iterable[Cell]) -> Iterator[Finding]:
    by_local_id: dict[tuple[str, Rat, int], list[Cell]] = defaultdict(list)
    by_name: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        by_local_id[cell.station, cell.rat, cell.local_id].append(cell)
        by_name[cell.station, cell.id].append(cell)
    for same_name in by_name.values():
        if len(same_name) > 1:
            yield Fault(Check.CELL_ID_CLASH, f"{len(same_name)} cells have this id").at(same_name[0])
    for same in by_local_id.values():
        for cell in same:
            others = ", ".join(sorted({other.id for other in same} - {cell.id}))
            if others:
                yield Fault(Check.CELL_ID_CLASH, f"local id {cell.local_id} is also that of {others}").at(cell)


# ----------------------------------------------------------------------- radio


#: Physical cell identities: TS 36.211 §6.11, TS 38.211 §7.4.2.
_MAX_PCI = {Rat.LTE: 503, Rat.NR: 1007}

#: cellLocalId: TS 28.658 (8 bits), TS 28.541 §4.4.1 (14 bits).
_MAX_LOCAL_ID = {Rat.LTE: 255, Rat.NR: 16383}

#: Tracking area codes: 16 bits in LTE, 24 in NR. TS 23.003 §19.4.2.3 keeps two LTE codes for no tracking area.
_MAX_TAC = {Rat.LTE: 0xFFFF, Rat.NR: 0xFFFFFF}
_RESERVED_LTE_TACS = (0x0000, 0xFFFE)


def radio_faults(cell: Cell, station: Station) -> Iterator[Fault]:
    """What is wrong with a cell regardless of who uses it."""
    yield from _identity_faults(cell, station)
    if cell.pci > _MAX_PCI[cell.rat]:
        yield Fault(Check.PCI_RANGE, f"PCI {cell.pci}; {cell.rat} has 0 to {_MAX_PCI[cell.rat]}")
    if cell.tac > _MAX_TAC[cell.rat]:
        yield Fault(Check.TAC_RANGE, f"TAC {cell.tac}; {cell.rat} has at most {_MAX_TAC[cell.rat]}")
    if cell.rat is Rat.LTE and cell.tac in _RESERVED_LTE_TACS:
        yield Fault(Check.TAC_RANGE, f"TAC {cell.tac} is reserved in LTE")
    band = BANDS.get(cell.band)
    if band is None:
        yield Fault(Check.CARRIER_BAND, f"band {cell.band} is unknown; known are {', '.join(BANDS)}")
    else:
        for field, problem, right in carrier_problems(cell, band):
            yield Fault(Check.CARRIER_BAND, f"{field} {getattr(cell, field)}: {problem}; right is {right}")


def _identity_faults(cell: Cell, station: Station) -> Iterator[Fault]:
    lte = cell.rat is Rat.LTE
    node_id, length = (station.enb_id, station.enb_id_length) if lte else (station.gnb_id, station.gnb_id_length)
    if node_id is None:
        text = f"an {cell.rat} cell, but station {station.id} has no {'enb_id' if lte else 'gnb_id'}"
        yield Fault(Check.NODE_ID_MISSING, text)
    most: int = min(_MAX_LOCAL_ID[cell.rat], 2 ** (IDENTITY_BITS[cell.rat] - length) - 1)
    if cell.local_id > most:
        text = f"local_id {cell.local_id}; with a node id of {length} bits an {cell.rat} cell has 0 to {most}"
        yield Fault(Check.LOCAL_ID_RANGE, text)
