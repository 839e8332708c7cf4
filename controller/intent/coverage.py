"""Which agreements cover which cell.

The criteria of place of a scope (``everywhere``, ``regions``, ``sites``, ``stations``,
``cells``) are alternatives: a cell lies in the scope if any of them names it. ``bands`` and
``rats`` then restrict: where they are given, the cell's must be among them, even if the
scope names the cell itself. A station that is a tenant's own is reached by its owner's agreements only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from controller.intent.grants import Grant
from controller.models.network import Cell, Network, Scope

#: Positions of cells in a list of cells.
_Positions = Iterable[int]


class _Places:
    """Positions of cells by what a scope can name."""

    def __init__(self, network: Network, cells: Sequence[Cell]) -> None:
        self.cells = cells
        self.by_station: dict[str, list[int]] = defaultdict(list)
        self.by_site: dict[str, list[int]] = defaultdict(list)
        self.by_region: dict[str, list[int]] = defaultdict(list)
        self.by_name: dict[str, list[int]] = defaultdict(list)
        for position, cell in enumerate(cells):
            self.by_station[cell.station].append(position)
            self.by_name[f"{cell.station}/{cell.id}"].append(position)
        for station in network.stations:
            positions = self.by_station.get(station.id, [])
            self.by_site[station.site] += positions
            site = network.site_by_id.get(station.site)
            if site is not None:
                self.by_region[site.region] += positions

    def matching(self, scope: Scope) -> list[int]:
        """Positions of the cells in a scope."""
        bands, rats = frozenset(scope.bands), frozenset(scope.rats)
        return [
            position
            for position in self._placed(scope)
            if (not bands or self.cells[position].band in bands) and (not rats or self.cells[position].rat in rats)
        ]

    def _placed(self, scope: Scope) -> _Positions:
        if scope.everywhere:
            return range(len(self.cells))
        placed: set[int] = set()
        for index, names in (
            (self.by_region, scope.regions),
            (self.by_site, scope.sites),
            (self.by_station, scope.stations),
            (self.by_name, scope.cells),
        ):
            for name in names:
                placed.update(index.get(name, ()))
        return placed


def cover(network: Network, cells: Sequence[Cell], grants: Sequence[Grant]) -> list[tuple[int, ...]]:
    """For each cell the positions in ``grants`` of those that cover it, ascending."""
    places = _Places(network, cells)
    owners = {station.id: station.owner for station in network.stations if station.owner is not None}
    covering: list[list[int]] = [[] for _ in cells]
    for number, grant in enumerate(grants):
        for position in places.matching(grant.scope):
            if owners.get(cells[position].station, grant.tenant) == grant.tenant:
                covering[position].append(number)
    return [tuple(numbers) for numbers in covering]
