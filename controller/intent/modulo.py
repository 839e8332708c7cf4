"""Remainders of PCIs that neighbours on one carrier have in common, by gravity.

Signals of cells that users receive equally well disturb each other where their PCIs have a remainder in common:

- modulo 3: the primary synchronisation signal (TS 36.211 §6.11.1, TS 38.211 §7.4.2.2), and on LTE the places of the
  reference signals of cells with two antenna ports or more (TS 36.211 §6.10.1.2): a warning;
- modulo 4, on NR: the reference signals of the broadcast channel (TS 38.211 §7.4.1.4.2): an information;
- modulo 30: the sequences of reference signals in the uplink (TS 36.211 §5.5.1.3, TS 38.211 §5.2.2): an information,
  since there are more neighbours than remainders.

Users receive two cells equally well that stand at one site, are listed as neighbours, or face each other: each points
less than 60 degrees aside from the other, which is at one of the nearest sites in reach. Where files don't say where
cells point, those of the nearest site are compared modulo 30 only, and it is said that the rest was not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from controller.intent.findings import Check, Fault, finding
from controller.intent.neighbours import Places
from controller.intent.reach import Reach
from controller.models.facts import Finding
from controller.models.network import Cell, Network, Rat

#: Sites around one whose cells may face it: the first ring of a hexagonal layout.
_RING = 6
#: Half of what a sector covers, in degrees.
_ASIDE = 60
#: Gravest first: what the remainders disturb.
_DISTURBED = {
    (Check.PCI_MOD_3, 3): "they disturb each other's synchronisation signals",
    (Check.PCI_MOD_4, 4): "they disturb each other's broadcast channel",
    (Check.PCI_MOD_30, 30): "their users disturb each other's reference signals",
}
_Carrier = tuple[bool, int]


class _Pair(NamedTuple):
    """Two cells, the first by name, and how they stand to each other."""

    one: Cell
    other: Cell
    how: str


def modulo_findings(
    network: Network, cells: Sequence[Cell], site_of: Mapping[str, str], places: Places, reaches: Mapping[str, Reach]
) -> Iterator[Finding]:
    """One finding for each pair of cells, the gravest; one more if it is not known whether cells face each other."""
    by_site: dict[str, dict[_Carrier, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        by_site[site_of[cell.station]][_carrier(cell)].append(cell)
    strong = {_named(pair): pair for pair in (*_of_one_site(by_site), *_listed(network, site_of))}
    open_cells: set[str] = set()
    weak: dict[tuple[str, str], _Pair] = {}
    for pair, known in _around(by_site, places, reaches):
        (strong if known else weak).setdefault(_named(pair), pair)
    for pair in strong.values():
        if fault := _fault(pair, (3, 4) if pair.one.rat is Rat.NR else (3,)):
            yield fault.at(pair.one)
    for name in weak.keys() - strong.keys():
        if fault := _fault(weak[name], (30,)):
            yield fault.at(weak[name].one)
        elif weak[name].one.pci != weak[name].other.pci and (weak[name].one.pci - weak[name].other.pci) % 3 == 0:
            open_cells.update(name)
    if open_cells:
        text = (
            f"PCIs of {len(open_cells)} cells (as {min(open_cells)}) were not compared modulo 3 with those of the "
            "nearest site: nobody says whether they face each other; give antenna_azimuth_deg"
        )
        yield finding(Check.RADIO_UNCHECKED, text, subject=min(open_cells).partition("/")[0])


def _carrier(cell: Cell) -> _Carrier:
    return cell.rat is Rat.LTE, cell.arfcn_dl


def _named(pair: _Pair) -> tuple[str, str]:
    return pair.one.name, pair.other.name


def _pair(one: Cell, other: Cell, how: str) -> _Pair:
    first, second = sorted((one, other), key=lambda cell: cell.name)
    return _Pair(first, second, how)


def _fault(pair: _Pair, moduli: Sequence[int]) -> Fault | None:
    apart = pair.one.pci - pair.other.pci
    if apart == 0:
        return None  # a collision, which is said elsewhere
    for (check, modulus), what in _DISTURBED.items():
        if modulus in moduli and apart % modulus == 0:
            too = ", and modulo 30" if modulus == 3 and apart % 30 == 0 else ""
            text = (
                f"PCI {pair.one.pci} and PCI {pair.other.pci} of {pair.other.name}, {pair.how}, are equal modulo "
                f"{modulus}{too}: {what}; give one of them another PCI"
            )
            return Fault(check, text)
    return None


def _of_one_site(by_site: Mapping[str, Mapping[_Carrier, Sequence[Cell]]]) -> Iterator[_Pair]:
    for carriers in by_site.values():
        for found in carriers.values():
            for index, cell in enumerate(found):
                yield from (_pair(cell, other, "at the same site") for other in found[index + 1 :])


def _listed(network: Network, site_of: Mapping[str, str]) -> Iterator[_Pair]:
    for one in network.neighbours:
        here = network.cell_by_name.get((one.station, one.cell))
        there = network.cell_by_name.get((one.neighbour_station, one.neighbour_cell))
        if here is None or there is None or here is there or not site_of.keys() >= {here.station, there.station}:
            continue
        if _carrier(here) == _carrier(there):
            yield _pair(here, there, "listed as its neighbour")


def _around(
    by_site: Mapping[str, Mapping[_Carrier, Sequence[Cell]]],
    places: Places,
    reaches: Mapping[str, Reach],
) -> Iterator[tuple[_Pair, bool]]:
    """Pairs of cells that face each other, and those of nearest sites of which it is not known whether they do."""
    reach = {
        site: {carrier: max(reaches[cell.name].km for cell in found) for carrier, found in carriers.items()}
        for site, carriers in by_site.items()
    }
    widest = max((km for own in reach.values() for km in own.values()), default=0.0)
    for site, carriers in by_site.items():
        rank: dict[_Carrier, int] = defaultdict(int)
        for km, other in places.around(site, max(reach[site].values()) + widest):
            if other == site or other not in by_site:
                continue
            for carrier in carriers.keys() & by_site[other].keys():
                if rank[carrier] < _RING and km <= reach[site][carrier] + reach[other][carrier]:
                    rank[carrier] += 1
                    yield from _between(
                        carriers[carrier], by_site[other][carrier], km, places.degrees(site, other), rank[carrier] == 1
                    )
            if all(rank[carrier] >= _RING for carrier in carriers):
                break


def _between(
    here: Sequence[Cell], there: Sequence[Cell], km: float, degrees: float, nearest: bool
) -> Iterator[tuple[_Pair, bool]]:
    for cell in here:
        for other in there:
            if cell.antenna_azimuth_deg is None or other.antenna_azimuth_deg is None:
                if nearest:
                    yield _pair(cell, other, f"{km:.1f} km away"), False
            elif _points(cell.antenna_azimuth_deg, degrees) and _points(other.antenna_azimuth_deg, degrees + 180):
                yield _pair(cell, other, f"{km:.1f} km away, which faces it"), True


def _points(azimuth: float, degrees: float) -> bool:
    """Whether a cell with an azimuth points in a direction."""
    return abs((azimuth - degrees + 180) % 360 - 180) < _ASIDE
