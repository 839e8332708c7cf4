"""Own cells of tenants: their tracking areas and identities are in range, and unique for each PLMN."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from controller.intent.findings import Check, Fault, finding
from controller.intent.identities import overlapping_nodes
from controller.intent.sharing import Placed
from controller.inventory.radio import own_problems
from controller.models.facts import Finding
from controller.models.network import Network, OwnCell, Rat

#: A tenant's cells of one technology on one station.
_Node = tuple[str, Rat, str]


def own_cell_findings(network: Network, cells: Sequence[Placed]) -> Iterator[Finding]:
    """Findings about tenants' own cells."""
    if not network.own_cells:
        return
    known = {(cell.station, cell.id): (cell, shared) for cell, shared, _ in cells}
    nodes: dict[_Node, list[OwnCell]] = defaultdict(list)
    for own in sorted(network.own_cells, key=lambda one: (one.station, one.id)):
        tenant, placed = network.tenant_by_id.get(own.tenant), known.get((own.station, own.cell))
        if tenant is None or placed is None:
            missing = f"tenant {own.tenant}" if tenant is None else f"cell {own.station}/{own.cell}"
            text = f"own cell {own.station}/{own.id}: there is no {missing}; it says nothing"
            yield finding(Check.OWN_CELL_DANGLING, text, tenant=own.tenant, subject=own.station)
            continue
        cell, shared = placed
        problems = list(own_problems(own, cell.rat))
        if not problems:
            nodes[own.tenant, cell.rat, own.station].append(own)
        for field, problem, right in problems:
            text = f"{field} {getattr(own, field)} of {own.tenant}: {problem}; right is {right}"
            yield Fault(Check.OWN_CELL_RANGE, text, own.tenant).at(cell)
        if cell.primary_plmn in tenant.plmns:
            text = f"{own.tenant} has the primary PLMN {cell.primary_plmn}, so its TAC and identity are the cell's"
            yield Fault(Check.OWN_CELL_PRIMARY, text, own.tenant).at(cell)
        elif all(broadcast.tenant != own.tenant for broadcast in shared.broadcasts):
            text = f"own cell {own.station}/{own.id}: no agreement in force puts {own.tenant} on the cell; it waits"
            yield finding(Check.OWN_CELL_UNUSED, text, tenant=own.tenant, subject=own.station)
    yield from _within_a_station(nodes)
    yield from _among_stations(network, nodes)


def _within_a_station(nodes: dict[_Node, list[OwnCell]]) -> Iterator[Finding]:
    """A tenant's cells of a station have one node id and different local ids."""
    for (tenant, rat, station), cells in sorted(nodes.items()):
        ids = sorted({(own.node_id, own.node_id_length) for own in cells})
        if len(ids) > 1:
            listed = ", ".join(f"{number} of {length} bits" for number, length in ids)
            text = f"station {station}: {rat} cells of {tenant}'s own have different node ids ({listed}); give them one"
            yield finding(Check.OWN_CELL_CLASH, text, station=station, tenant=tenant)
        elif len({own.local_id for own in cells}) < len(cells):
            text = f"station {station}: {rat} cells of {tenant}'s own have the same local id; give each another"
            yield finding(Check.OWN_CELL_CLASH, text, station=station, tenant=tenant)


def _among_stations(network: Network, nodes: dict[_Node, list[OwnCell]]) -> Iterator[Finding]:
    """Node ids are unique for each PLMN: tenants' own ids, and the host's that carry a PLMN of the tenant."""
    for tenant, rat in sorted({(tenant, rat) for tenant, rat, _ in nodes}):
        planned = [
            (cells[0].node_id, cells[0].node_id_length, station)
            for (who, tech, station), cells in nodes.items()
            if (who, tech) == (tenant, rat)
        ]
        plmns = network.tenant_by_id[tenant].plmns
        hosts = (
            (number, length, station.id)
            for station in network.stations
            if network.node_plmn(station, rat) in plmns and (rat is Rat.LTE or network.is_gnb(station.id))
            for number, length in (station.node_id(rat),)
            if number is not None
        )
        for one, other in overlapping_nodes(rat, (*planned, *hosts)):
            for station, peer in {(one, other), (other, one)}:
                text = f"station {station}: {tenant}'s own {rat} node id clashes with a node id of its PLMN on {peer}"
                yield finding(Check.OWN_CELL_CLASH, text, station=station, tenant=tenant)
