"""Codes that cells of one carrier reuse: physical cell identities (PCI) and PRACH root sequences.

*Collision*: a cell and its neighbour have the same PCI, so that users who receive both decode neither. *Confusion*: two
neighbours of a site have the same PCI, so that its cells don't know which one users report. *Clash*: a cell and its
neighbour have a PRACH root in common, so that each takes preambles for the other as its own. Only cells of equal
carrier and code are compared, so a well-planned network costs little.

Two sites are neighbours on a carrier where their reaches meet (``controller.intent.reach``), and one is among the
nearest of the other. A site without the carrier, whose users measure it all the same, has its widest reach.

Collision and confusion are errors where the files say the reach of both cells, or list them as neighbours; where a
reach is assumed they are warnings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

from controller.intent.findings import Check, Fault, finding
from controller.intent.modulo import modulo_findings
from controller.intent.neighbours import NEAREST, Places, Tile
from controller.intent.reach import DEFAULT_KM, POSSIBLE_KM, Reach, reach_of
from controller.inventory.radio import LIMITS, PrachRoots, prach_roots
from controller.models.facts import Finding, Severity
from controller.models.many import first_names
from controller.models.network import Cell, Network, Rat

_WRONG = {
    Check.PCI_COLLISION: "who hears both can decode neither",
    Check.PCI_CONFUSION: "it can't know which of them its users report",
    Check.PRACH_CLASH: "each takes preambles sent to the other for its own",
}
#: Cells that a finding names.
_NAMED = 3
#: A PCI, or a PRACH root and the length of its sequences.
_Code = tuple[int, int]
#: Whether it is LTE, and the downlink channel: the PCI distinguishes cells within this.
_Carrier = tuple[bool, int]


@dataclass(frozen=True, slots=True)
class _Twin:
    """A cell with the same carrier and code, and its distance."""

    km: float
    cell: Cell
    site: str


def code_findings(network: Network, cells: Sequence[Cell]) -> Iterator[Finding]:
    """One finding for each cell whose PCI collides or confuses, and for each whose PRACH roots clash.

    It names the nearest cell with the same code. One more names the cells of which the files don't say enough to know.
    """
    site_of = {station.id: station.site for station in network.stations if station.site in network.site_by_id}
    placed = [cell for cell in cells if cell.station in site_of]
    places, reaches = Places(network), {cell.name: reach_of(cell) for cell in placed}
    roots_of = {cell.name: taken for cell in placed if (taken := prach_roots(cell)) is not None}
    rooted = [(cell, roots_of[cell.name]) for cell in placed if cell.name in roots_of]
    pcis = _groups(((cell, (0, cell.pci)) for cell in placed), site_of, places, reaches)
    roots = _groups(((cell, (of.length, one)) for cell, of in rooted for one in of.numbers), site_of, places, reaches)
    open_roots: list[tuple[Cell, list[_Twin]]] = []
    if not all(of.exact for of in roots_of.values()):
        open_roots = _groups(
            ((cell, (of.length, one)) for cell, of in rooted for one in of.possible), site_of, places, reaches
        )
    received = {(_carrier(cell), site_of[cell.station]) for cell, _ in (*pcis, *roots, *open_roots)}
    judge = _Judge(places, placed, site_of, received, reaches)
    found: set[str] = set()
    for cell, twins in pcis:
        fault = judge.of_pci(cell, twins)
        if fault is not None:
            found.add(cell.name)
            yield fault.at(cell)
    for cell, fault in _listed(network):
        if cell.name not in found:
            found.add(cell.name)
            yield fault.at(cell)
    clashing: set[str] = set()
    for cell, twins in roots:
        fault = judge.of_roots(cell, roots_of, twins)
        if fault is not None:
            clashing.add(cell.name)
            yield fault.at(cell)
    unknown = [
        cell
        for cell, twins in open_roots
        if cell.name not in clashing and not roots_of[cell.name].exact and judge.of_roots(cell, roots_of, twins)
    ]
    if unknown:
        yield _unchecked(unknown)
    yield from modulo_findings(network, placed, site_of, places, reaches)
    assumed = [
        cell
        for cell, twins in pcis
        if cell.name not in found and any(_may_collide(cell, twin, reaches) for twin in twins)
    ]
    if assumed:
        yield _assumed(assumed)


def _may_collide(cell: Cell, twin: _Twin, reaches: Mapping[str, Reach]) -> bool:
    """Whether cells with one PCI would be neighbours if those of which no file says the reach reached farthest."""
    both = [reaches[name] for name in (cell.name, twin.cell.name)]
    return not all(one.known for one in both) and twin.km <= sum(one.possible for one in both)


def _assumed(cells: Sequence[Cell]) -> Finding:
    """That cells with one PCI were taken for no neighbours by a reach that nobody knows."""
    names = sorted(cell.name for cell in cells)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    text = (
        f"PCIs of {len(names)} cell{'s' * (len(names) > 1)} are also those of others that may be near enough: nobody "
        f"says how far they reach, and {DEFAULT_KM:g} km was assumed ({', '.join(names[:_NAMED])}{more}); give "
        "prach_zcz (on NR with prach_format), or max_tx_power_dbm, antenna_gain_dbi and antenna_height_m"
    )
    return finding(Check.RADIO_UNCHECKED, text, subject=names[0].partition("/")[0])


def _unchecked(cells: Sequence[Cell]) -> Finding:
    """That nobody can tell whether these cells share roots with neighbours."""
    names = sorted(cell.name for cell in cells)
    text = (
        f"PRACH roots of {len(names)} cell{'s' * (len(names) > 1)} were compared by their first root alone: nobody "
        f"says how many they take ({first_names(names)}); give prach_zcz, and of NR cells prach_format"
    )
    return finding(Check.RADIO_UNCHECKED, text, subject=names[0].partition("/")[0])


def _groups(
    codes: Iterable[tuple[Cell, _Code]], site_of: Mapping[str, str], places: Places, reaches: Mapping[str, Reach]
) -> list[tuple[Cell, list[_Twin]]]:
    """Cells with others in reach that have a code in common on the same carrier, nearest first."""
    alike: dict[tuple[_Carrier, _Code], list[Cell]] = defaultdict(list)
    for cell, code in codes:
        alike[_carrier(cell), code].append(cell)
    cells: dict[str, Cell] = {}
    twins_of: dict[str, dict[str, _Twin]] = defaultdict(dict)
    widest = max((reach.km for reach in reaches.values()), default=0.0)
    for group in alike.values():
        for cell, twins in _twins(group, site_of, places, reaches, widest):
            cells[cell.name] = cell
            twins_of[cell.name].update((twin.cell.name, twin) for twin in twins)
    return [
        (cell, sorted(twins_of[name].values(), key=lambda twin: (twin.km, twin.cell.name)))
        for name, cell in cells.items()
    ]


def _listed(network: Network) -> Iterator[tuple[Cell, Fault]]:
    """Faults that relations show at any distance: a listed cell has the PCI of the cell, or of another in its list."""
    for name, relations in network.neighbours_of.items():
        here = network.cell_by_name.get(name)
        named = dict.fromkeys((one.neighbour_station, one.neighbour_cell) for one in relations)
        cells = (network.cell_by_name.get(other) for other in named if other != name)
        others = [there for there in cells if there is not None]
        received = others if here is None else [here, *others]
        # Cells with equal PCIs are few, so most lists need no further check.
        if len({cell.pci for cell in received}) == len(received):
            continue
        alike: dict[tuple[_Carrier, int], list[Cell]] = defaultdict(list)
        for cell in received:
            alike[_carrier(cell), cell.pci].append(cell)
        for twins in (found for found in alike.values() if len(found) > 1):
            collides = here is not None and twins[0] is here
            check = Check.PCI_COLLISION if collides else Check.PCI_CONFUSION
            lists = f"{'/'.join(name)} lists {'it' if collides else 'both'} as neighbours"
            for cell, other in zip(twins, (twins[1], *[twins[0]] * len(twins)), strict=False):
                text = f"PCI {cell.pci} on {_channel(cell)} is also that of {other.name}, and {lists}"
                yield cell, Fault(check, f"{text}: {_WRONG[check]}; give one of them another PCI")


def _twins(
    group: Sequence[Cell], site_of: Mapping[str, str], places: Places, reaches: Mapping[str, Reach], widest: float
) -> Iterator[tuple[Cell, list[_Twin]]]:
    """Cells of equal carrier and code that may have a neighbour in common with others of them; of many, only some."""
    if len(group) < 2:
        return
    from_south = sorted((places.points[site_of[cell.station]][2], cell.name, cell) for cell in group)
    found: list[list[_Twin]] = [[] for _ in from_south]
    for index, (north, _, cell) in enumerate(from_south):
        site = site_of[cell.station]
        for other_index in range(index + 1, len(from_south)):
            other_north, _, other = from_south[other_index]
            if other_north - north > max(4 * widest, 2 * POSSIBLE_KM) or len(found[index]) > NEAREST:
                break
            other_site = site_of[other.station]
            km = places.km(site, other_site)
            here, there = reaches[cell.name], reaches[other.name]
            if km <= max(here.km + there.km + 2 * widest, here.possible + there.possible):
                found[index].append(_Twin(km, other, other_site))
                found[other_index].append(_Twin(km, cell, site))
    yield from ((cell, twins) for (_, _, cell), twins in zip(from_south, found, strict=True) if twins)


def _carrier(cell: Cell) -> _Carrier:
    return cell.rat is Rat.LTE, cell.arfcn_dl


def _channel(cell: Cell) -> str:
    return f"{'EARFCN' if cell.rat is Rat.LTE else 'NR-ARFCN'} {cell.arfcn_dl}"


def _roots(of: PrachRoots) -> str:
    first, *others = of.numbers
    return f"roots {first} to {others[-1]}" if others else f"root {first}"


def _far(km: float) -> str:
    return f"{km:.1f} km away" if km else "at the same site"


class _Judge:
    """Decides whether cells of equal carrier and code are neighbours, or neighbours of one site."""

    def __init__(
        self,
        places: Places,
        cells: Sequence[Cell],
        site_of: Mapping[str, str],
        received: Set[tuple[_Carrier, str]],
        reaches: Mapping[str, Reach],
    ) -> None:
        self._places = places
        self._site_of = site_of
        self._cells = cells
        self._reaches = reaches
        self._widest = max((reach.km for reach in reaches.values()), default=0.0)
        self._received = self._who_receive(received)

    def _who_receive(self, received: Set[tuple[_Carrier, str]]) -> Mapping[tuple[_Carrier, str], set[str]]:
        """Sites with cells that have a site as a neighbour on a carrier, including that site."""
        found: dict[tuple[_Carrier, str], set[str]] = {pair: {pair[1]} for pair in received}
        if not received:
            return found
        reach: dict[str, dict[_Carrier, float]] = defaultdict(dict)
        for cell in self._cells:
            of_site, carrier = reach[self._site_of[cell.station]], _carrier(cell)
            of_site[carrier] = max(of_site.get(carrier, 0.0), self._reaches[cell.name].km)
        for site, own in reach.items():
            near: dict[_Carrier, int] = defaultdict(int)
            farthest = max(own.values())
            for km, other in self._places.around(site, farthest + self._widest):
                for carrier, its in reach[other].items() if other in reach and other != site else ():
                    if km <= own.get(carrier, farthest) + its:
                        near[carrier] += 1
                        if near[carrier] <= NEAREST and (carrier, other) in found:
                            found[carrier, other].add(site)
        return found

    def of_pci(self, cell: Cell, twins: Sequence[_Twin]) -> Fault | None:
        """The fault of a cell's PCI, given its twins, nearest first."""
        carrier, site = _carrier(cell), self._site_of[cell.station]
        for twin in twins:
            text = f"PCI {cell.pci} on {_channel(cell)} is also that of {twin.cell.name}, {_far(twin.km)}"
            here, there = self._received[carrier, site], self._received[carrier, twin.site]
            if twin.site in here or site in there:
                text = f"{text}: {_WRONG[Check.PCI_COLLISION]}; {self._free(carrier, cell, site)}"
                return self._graded(Fault(Check.PCI_COLLISION, text), cell, twin.cell)
            if here & there:
                common = min(here & there, key=lambda one: (self._places.km(site, one), one))
                text += f", and site {common} has both as neighbours: {_WRONG[Check.PCI_CONFUSION]}"
                fault = Fault(Check.PCI_CONFUSION, f"{text}; {self._free(carrier, cell, site)}")
                return self._graded(fault, cell, twin.cell)
        return None

    def _graded(self, fault: Fault, *cells: Cell) -> Fault:
        """The fault, which is a warning where a reach is only assumed."""
        known = all(self._reaches[cell.name].known for cell in cells)
        return fault if known else replace(fault, severity=Severity.WARNING)

    def of_roots(self, cell: Cell, roots: Mapping[str, PrachRoots], twins: Sequence[_Twin]) -> Fault | None:
        """The fault of a cell's PRACH roots, given its twins, nearest first."""
        carrier, site = _carrier(cell), self._site_of[cell.station]
        for twin in twins:
            if twin.site in self._received[carrier, site] or site in self._received[carrier, twin.site]:
                text = f"PRACH {_roots(roots[cell.name])} on {_channel(cell)}, {twin.cell.name}"
                return Fault(
                    Check.PRACH_CLASH,
                    f"{text}, {_far(twin.km)}, has {_roots(roots[twin.cell.name])}: {_WRONG[Check.PRACH_CLASH]}; "
                    "give one of them others",
                )
        return None

    def _free(self, carrier: _Carrier, cell: Cell, site: str) -> str:
        """A free PCI with the same remainder modulo 3, which distinguishes the sectors of a site."""
        km = self._reaches[cell.name].km + 3 * self._widest
        tiles = self._places.tiles_around(site, km)
        used = set().union(*(self._pcis.get((carrier, tile), ()) for tile in tiles))
        free = next((pci for pci in range(cell.pci % 3, LIMITS[cell.rat].pci + 1, 3) if pci not in used), None)
        if free is None:
            return f"no PCI is free within {km:.0f} km: take that whose nearest cell is farthest away"
        return f"free within {km:.0f} km is PCI {free}"

    @cached_property
    def _pcis(self) -> Mapping[tuple[_Carrier, Tile], set[int]]:
        """PCIs by carrier and part of the country."""
        found: dict[tuple[_Carrier, Tile], set[int]] = defaultdict(set)
        for cell in self._cells:
            found[_carrier(cell), self._places.tile(self._site_of[cell.station])].add(cell.pci)
        return found
