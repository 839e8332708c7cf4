"""Which tenants a change takes out of which cells for good: its own PLMNs there, or all core links that carry them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from controller.models.facts import Owners
from controller.models.scalars import HOST, Plmn, Rat
from controller.nrm.profiles import (
    administrative_state,
    broadcast_plmn,
    broadcast_rat,
    cell_of,
    cells,
    is_link,
    rat_of,
)
from controller.nrm.tree import Path, Tree


def withdrawn(before: Tree, after: Tree, owners: Mapping[Path, Owners]) -> dict[str, tuple[str, ...]]:
    """Cells in which each tenant loses a PLMN for good, by tenant, both sorted.

    A PLMN leaves a cell where no entry there broadcasts it any more; without core links of its radio technology a
    tenant leaves all of its cells. A cell that is locked before and after serves nobody, so nobody loses it.

    Args:
        before: The station as it is.
        after: The station after all phases.
        owners: Owners of the nodes that are ours, before or after.
    """
    gone = before.keys() - after.keys()
    if not gone:
        return {}
    stays = set(_broadcast(after, owners))
    unlinked = _linked(before, owners) - _linked(after, owners, HOST)
    unlocked = _unlocked(before) | _unlocked(after)
    found: dict[str, set[str]] = defaultdict(set)
    for one in _broadcast(before, owners):
        tenant, cell, _, rat = one
        if cell in unlocked and (one not in stays or (tenant, rat) in unlinked):
            found[tenant].add(cell)
    return {tenant: tuple(sorted(found[tenant])) for tenant in sorted(found)}


def _broadcast(tree: Tree, owners: Mapping[Path, Owners]) -> Iterator[tuple[str, str, Plmn, Rat | None]]:
    """Tenant, cell, PLMN and radio technology of each PLMN of a tenant on air."""
    for path in tree:
        if path in owners and (plmn := broadcast_plmn(path)):
            rat = broadcast_rat(path)
            yield from ((tenant, cell_of(path), plmn, rat) for tenant in owners[path] if tenant != HOST)


def _linked(tree: Tree, owners: Mapping[Path, Owners], *shared: str) -> set[tuple[str, Rat | None]]:
    """Tenants with core links, by radio technology; a link of one of ``shared`` serves each tenant."""
    links = [(rat_of(path), owners[path]) for path in tree if path in owners and is_link(path)]
    everybody = {tenant for found in owners.values() for tenant in found} - {HOST}
    served = ((everybody if {*shared} & {*found} else {*found} - {HOST}, rat) for rat, found in links)
    return {(tenant, rat) for tenants, rat in served for tenant in tenants}


def _unlocked(tree: Tree) -> set[str]:
    return {entry.cell for entry in cells(tree) if administrative_state(tree, entry.path) == "UNLOCKED"}
