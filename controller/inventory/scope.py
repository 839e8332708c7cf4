"""Which cells the scope of an agreement covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.models.network import Agreement, Cell, Network, Scope


def covers(scope: Scope, cell: Cell, *, site: str, region: str) -> bool:
    """Whether a cell of a station on this site and in this region falls under the scope.

    Validity is not looked at.
    """
    placed = (
        scope.everywhere
        or region in scope.regions
        or site in scope.sites
        or cell.station in scope.stations
        or cell.name in scope.cells
    )
    return placed and (not scope.bands or cell.band in scope.bands) and (not scope.rats or cell.rat in scope.rats)


def cells_in(network: Network, scope: Scope, stations: Iterable[str] | None = None) -> Iterator[Cell]:
    """The cells of a network, or of some of its stations, that fall under a scope, in canonical order."""
    for station in network.cells_by_station if stations is None else stations:
        site = network.station_by_id[station].site
        region = network.site_by_id[site].region
        for cell in network.cells_by_station[station]:
            if covers(scope, cell, site=site, region=region):
                yield cell


def cells_of(network: Network, agreement: Agreement, stations: Iterable[str] | None = None) -> Iterator[Cell]:
    """The cells that an agreement reaches: those in its scope, but for stations that are another tenant's own.

    Args:
        network: Where they are.
        agreement: Its scope counts; its validity is not looked at.
        stations: Only cells of these; None for all of the network.
    """
    for cell in cells_in(network, agreement.scope, stations):
        if network.station_by_id[cell.station].owner in (None, agreement.tenant):
            yield cell
