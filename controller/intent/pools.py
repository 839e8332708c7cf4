"""Pools: what each owner of functions may take of one, so that none starves another.

A share is as large as all functions of its owner that may run there, and one more replica of the largest, which an
upgrade starts before it stops another. It follows from the network files alone: where functions run changes no quota.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from controller.models.cloud import Function, FunctionKind, Package
from controller.models.facts import PoolFact, PoolShareFact
from controller.models.network import HOST, Network

#: Who gives way where a pool is too small: what serves cells goes before what serves other functions.
_PRIORITIES = {
    FunctionKind.VBBU: 1000,
    FunctionKind.VDU: 1000,
    FunctionKind.VCU_CP: 900,
    FunctionKind.VCU_UP: 800,
    FunctionKind.GATEWAY: 700,
}
_Use = tuple[Function, Package]


def pool_facts(network: Network, pools: Iterable[str]) -> dict[str, PoolFact]:
    """Facts of pools, by id."""
    uses = _uses(network)
    return {pool: _fact(pool, uses.get(pool, {})) for pool in sorted(pools)}


def _uses(network: Network) -> dict[str, dict[str, list[_Use]]]:
    """Functions that may run on each pool, by owner, with their packages."""
    found: dict[str, dict[str, list[_Use]]] = defaultdict(lambda: defaultdict(list))
    for function in network.functions:
        for pool in network.pools_for[function.id]:
            found[pool][function.side].append((function, network.package_by_id[function.package]))
    return found


def _fact(pool: str, uses: dict[str, list[_Use]]) -> PoolFact:
    owners = sorted(uses)
    shares = tuple(_share(owner, uses[owner], owners) for owner in owners)
    kinds = sorted({package.kind for used in uses.values() for _, package in used})
    return PoolFact(pool, shares, tuple((kind.value, _PRIORITIES[kind]) for kind in kinds))


def _share(owner: str, used: Sequence[_Use], owners: Sequence[str]) -> PoolShareFact:
    def most(part: str) -> int:
        sizes = [(function.replicas, int(getattr(package, part))) for function, package in used]
        return sum(replicas * size for replicas, size in sizes) + max(size for _, size in sizes)

    return PoolShareFact(
        owner=owner,
        cpus=most("cpus"),
        memory_gb=most("memory_gb"),
        hugepages_gb=most("hugepages_gb"),
        accelerators=most("accelerators"),
        functions=len(used),
        # Functions of the host serve those of tenants, and are served by them: F1 and E1 lead from one to the other.
        reached_by=tuple(owners) if owner == HOST else tuple(sorted({HOST, owner})),
        owners=(owner,),
    )
