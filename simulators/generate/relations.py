"""Neighbour relations that planners list; the others are left to the stations themselves (ANR).

Listed are a mast's nearest neighbour, both ways, so that users of thin networks are handed over before ANR has learned
anything, and the anchors of NR that is not standalone: LTE cells of the same mast that point the same way.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from simulators.generate.layout import Area, Mast
from simulators.generate.radio import CellRow

#: How far a neighbour is at most.
_RADIUS_KM = 10.0
#: Side of the tiles of the map in degrees, which is more than that anywhere in Peru.
_TILE = 0.1


@dataclass(frozen=True)
class NeighbourRow:
    """A row of neighbours.csv."""

    station: str
    cell: str
    neighbour_station: str
    neighbour_cell: str
    handover: str


def relations(planned: Sequence[Area], cells: Mapping[str, Sequence[CellRow]]) -> list[NeighbourRow]:
    """The listed relations of a whole network, by cell.

    Args:
        planned: All tracking areas.
        cells: Cells by station, each station's coverage carrier first.
    """
    masts = [mast for area in planned for mast in area.masts]
    stations: dict[str, list[str]] = defaultdict(list)
    dependent = set()
    for base in (base for area in planned for base in area.bases):
        stations[base.mast.id].append(base.id)
        if not base.standalone:
            dependent.add(base.id)
    on = {mast.id: [cell for station in stations[mast.id] for cell in cells[station]] for mast in masts}
    rows = {row for rat in ("LTE", "NR") for row in _handovers(masts, {m: _first(on[m], rat) for m in on})}
    rows |= {row for found in on.values() for row in _anchors(found, dependent)}
    return sorted(rows, key=lambda row: (row.station, row.cell, row.neighbour_station, row.neighbour_cell))


def _first(cells: Sequence[CellRow], rat: str) -> list[CellRow]:
    """The sectors of a mast's first carrier of a technology."""
    first = next((cell for cell in cells if cell.rat == rat), None)
    return [cell for cell in cells if first and (cell.station, cell.band) == (first.station, first.band)]


def _handovers(masts: Sequence[Mast], sectors: Mapping[str, Sequence[CellRow]]) -> Iterator[NeighbourRow]:
    """Relations, both ways, between sectors of nearest masts that point at each other, and differ in PCI modulo 3."""
    tiles: dict[tuple[int, int], list[Mast]] = defaultdict(list)
    for mast in masts:
        if sectors[mast.id]:
            tiles[_tile(mast)].append(mast)
    for mast in (mast for found in tiles.values() for mast in found):
        row, column = _tile(mast)
        near = [
            (mast.km_to(other), other.id, other)
            for north in (-1, 0, 1)
            for east in (-1, 0, 1)
            for other in tiles.get((row + north, column + east), ())
            if other is not mast
        ]
        if near and (nearest := min(near))[0] <= _RADIUS_KM:
            here = _towards(mast, nearest[2], sectors[mast.id])
            differing = [cell for cell in sectors[nearest[1]] if (cell.pci - here.pci) % 3]
            there = _towards(nearest[2], mast, differing or sectors[nearest[1]])
            yield NeighbourRow(here.station, here.id, there.station, there.id, "true")
            yield NeighbourRow(there.station, there.id, here.station, here.id, "true")


def _tile(mast: Mast) -> tuple[int, int]:
    return math.floor(mast.latitude / _TILE), math.floor(mast.longitude / _TILE)


def _towards(mast: Mast, other: Mast, sectors: Sequence[CellRow]) -> CellRow:
    """The sector that points at another mast, most of all."""
    east = (other.longitude - mast.longitude) * math.cos(math.radians(mast.latitude))
    degrees = math.degrees(math.atan2(east, other.latitude - mast.latitude))
    return min(sectors, key=lambda cell: abs((cell.antenna_azimuth_deg - degrees + 180) % 360 - 180))


def _anchors(cells: Sequence[CellRow], dependent: set[str]) -> Iterator[NeighbourRow]:
    """From each LTE cell of a mast to the NR cell of its sector that needs an anchor; nobody is handed over there."""
    for there in cells:
        if there.rat == "NR" and there.station in dependent:
            for here in cells:
                if here.rat == "LTE" and _sector(here) == _sector(there):
                    yield NeighbourRow(here.station, here.id, there.station, there.id, "false")


def _sector(cell: CellRow) -> str:
    return cell.id.rpartition("-")[2]
