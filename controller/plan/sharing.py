"""Tenants that share each cell, by the agreements in force and by the ledger (TS 32.130 REQ-NS_GEN-FUN-2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from controller.models.network import Cell, Network, Plmn
from controller.models.run import LedgerEntry
from controller.nrm.profiles import broadcast_plmn, cell_of

#: Ledger entries by station and path.
Ledgers = Mapping[str, Mapping[str, LedgerEntry]]


@dataclass(frozen=True, slots=True)
class CellTenant:
    """One tenant on one cell.

    Attributes:
        agreements: Ids of its agreements in force that reach the cell; none where only the ledger has it there.
        agreed: PLMNs that they put on air, sorted.
        configured: PLMNs of the tenant that the ledger has on the cell, sorted.
    """

    tenant: str
    agreements: tuple[str, ...]
    agreed: tuple[Plmn, ...]
    configured: tuple[Plmn, ...]


@dataclass(frozen=True, slots=True)
class SharedCell:
    """A cell and its tenants, sorted by id."""

    cell: Cell
    tenants: tuple[CellTenant, ...]


def shared_cells(network: Network, as_of: date, stations: Collection[str], ledgers: Ledgers) -> Iterator[SharedCell]:
    """The cells of the stations, in order, each with the tenants that share it.

    Args:
        network: The network, or what a tenant sees of it.
        stations: Ids of the stations whose cells are wanted.
        as_of: The day, in the network's time zone, whose agreements count.
        ledgers: What is ours on these stations; tenants that it has on a cell without an agreement are named as well.
    """
    agreed: dict[str, dict[str, dict[str, tuple[Plmn, ...]]]] = defaultdict(lambda: defaultdict(dict))
    for tenant in network.tenants:
        for agreement in network.agreements_of(tenant.id, as_of):
            for cell in network.cells_of(agreement, stations):
                agreed[cell.name][tenant.id][agreement.id] = agreement.plmns_of(tenant)
    for station in sorted(stations):
        configured = _configured(ledgers.get(station, {}).values())
        for cell in sorted(network.cells_by_station.get(station, ()), key=lambda one: one.id):
            by_agreement, on_record = agreed.get(cell.name, {}), configured[cell.id]
            tenants = (
                CellTenant(
                    tenant=tenant,
                    agreements=tuple(sorted(by_agreement.get(tenant, {}))),
                    agreed=tuple(sorted({plmn for plmns in by_agreement.get(tenant, {}).values() for plmn in plmns})),
                    configured=tuple(sorted(on_record.get(tenant, ()))),
                )
                for tenant in sorted({*by_agreement, *on_record})
            )
            yield SharedCell(cell, tuple(tenants))


def _configured(entries: Iterable[LedgerEntry]) -> dict[str, dict[str, set[Plmn]]]:
    """PLMNs on air by cell and tenant, as the ledger has them."""
    found: dict[str, dict[str, set[Plmn]]] = defaultdict(lambda: defaultdict(set))
    for entry in entries:
        if plmn := broadcast_plmn(entry.path):
            for owner in entry.owners:
                found[cell_of(entry.path)][owner].add(plmn)
    return found
