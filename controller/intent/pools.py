"""Pools: how much of a pool each owner of functions may take, so that none starves another.

A tenant's share of cores is what it bought there by agreements in force: cores, and functions as such that may run
there. The host's share is the sum of its functions that may run there. Agreements sell no memory, hugepages or
accelerators: of these a share has what all functions of the owner take that may run there. Each share has room for one
more replica of the largest function, since an upgrade starts a new one before it stops another.

A share does not depend on where functions run, with one exception: running functions keep their room when an agreement
ends. Otherwise a restarted pod would be refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from controller.intent.placement import bought, sold
from controller.models.cloud import Function, FunctionKind, Package
from controller.models.facts import PoolFact, PoolShareFact
from controller.models.network import HOST, Network

#: Priorities if a pool is too small: functions that serve cells go before those that serve other functions.
_PRIORITIES = {
    FunctionKind.VBBU: 1000,
    FunctionKind.VDU: 1000,
    FunctionKind.VCU_CP: 900,
    FunctionKind.VCU_UP: 800,
    FunctionKind.GATEWAY: 700,
}
_Use = tuple[Function, Package]


def pool_facts(
    network: Network, as_of: date, pools: Iterable[str], running: Mapping[str, Collection[str]]
) -> dict[str, PoolFact]:
    """Facts of pools, by id.

    Args:
        network: The network as loaded.
        as_of: The day whose agreements count.
        pools: The wanted pools.
        running: Pools that functions run on, by function.
    """
    uses, cores, own = _uses(network), sold(network, as_of), bought(network, as_of)
    facts = {}
    for pool in sorted(pools):
        here = {name for name, where in running.items() if pool in where}
        bought_there = {tenant: one.cores for tenant, one in cores.get(pool, {}).items()}
        facts[pool] = _fact(pool, uses.get(pool, {}), bought_there, own, here)
    return facts


def _uses(network: Network) -> dict[str, dict[str, list[_Use]]]:
    """Functions that may run on each pool, by owner, with their packages."""
    found: dict[str, dict[str, list[_Use]]] = defaultdict(lambda: defaultdict(list))
    for function in network.functions:
        for pool in network.delays.pools_for[function.id]:
            found[pool][function.side].append((function, network.package_by_id[function.package]))
    return found


def _fact(
    pool: str, uses: Mapping[str, Sequence[_Use]], cores: Mapping[str, int], own: Collection[str], here: Collection[str]
) -> PoolFact:
    shares = []
    for owner, used in sorted(uses.items()):
        as_such = [one for one in used if owner == HOST or one[0].id in own]
        running = [one for one in used if one[0].id in here]
        taken = max(cores.get(owner, 0) + _all_of("cpus", as_such), _all_of("cpus", running))
        shares.append(_share(owner, used, taken, sorted(uses)))
    kinds = sorted({package.kind for used in uses.values() for _, package in used})
    return PoolFact(pool, tuple(shares), tuple((kind.value, _PRIORITIES[kind]) for kind in kinds))


def _all_of(part: str, used: Iterable[_Use]) -> int:
    """Resources that all replicas of some functions take."""
    return sum(function.replicas * int(getattr(package, part)) for function, package in used)


def _share(owner: str, used: Sequence[_Use], cores: int, owners: Sequence[str]) -> PoolShareFact:
    def one_more(part: str) -> int:
        return max(int(getattr(package, part)) for _, package in used)

    def most(part: str) -> int:
        return _all_of(part, used) + one_more(part)

    return PoolShareFact(
        owner=owner,
        cpus=cores + one_more("cpus"),
        memory_gb=most("memory_gb"),
        hugepages_gb=most("hugepages_gb"),
        accelerators=most("accelerators"),
        functions=len(used),
        # Functions of the host and of tenants serve each other: F1 and E1 lead from one to the other.
        reached_by=tuple(owners) if owner == HOST else tuple(sorted({HOST, owner})),
        owners=(owner,),
    )
