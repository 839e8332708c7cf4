"""Health of a pool's nodes and pods, by the network files: which nodes count, and whether the reserve is left. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import reduce
from operator import add

from controller.models.cloud import ClusterState, NodeReady, NodeState, Resources
from controller.models.health import Health
from controller.models.network import Network

#: Resources in words.
_WORDS = {"cpus": "cores", "memory_gb": "memory", "hugepages_gb": "hugepages", "accelerators": "accelerators"}


def with_cluster(
    network: Network, health: Health, before: Health | None, elsewhere: Collection[str] = frozenset()
) -> Health:
    """The health, limited to nodes and functions of the network files.

    Nodes that the files don't name count only while functions are on them: a cluster has others, such as those of its
    control plane. One that the files name and the cluster lacks is absent. A node that is not ready keeps the functions
    that it had, since their pods are gone from it by and by, until they count as on another pool, or run on another
    node of this one.

    Args:
        network: What there should be.
        health: Of a pool, as it was read just now.
        before: As it was seen last.
        elsewhere: Functions that by the record are on another pool now.
    """
    if health.cluster is None or not network.kind_of(health.station).rules.hosts:
        return health
    seen, known = health.cluster, network.function_by_id
    named = {node.id for node in network.nodes_of[health.station]}
    known_before = before.cluster if before and before.cluster else ClusterState()
    last = {node.id: node for node in known_before.nodes}
    settled = _settled_elsewhere(seen, known_before)
    missing = (NodeState(id=node, ready=NodeReady.ABSENT) for node in named - {one.id for one in seen.nodes})
    nodes = [_judged(network, node, last.get(node.id), elsewhere, settled) for node in (*seen.nodes, *missing)]
    ours = sorted((node for node in nodes if node.id in named or node.functions), key=lambda one: one.id)
    cluster = ClusterState(
        nodes=tuple(ours),
        waiting={name: said for name, said in seen.waiting.items() if name in known},
        crashing={name: said for name, said in seen.crashing.items() if name in known},
        crashed={name: at for name, at in seen.crashed.items() if name in known},
        down=tuple(name for name in seen.down if name in known),
        elsewhere=tuple(sorted({name for node in ours for name in node.functions} & set(elsewhere))),
        hardware=seen.hardware and tuple(one for one in seen.hardware if one.node in {node.id for node in ours}),
        ims=seen.ims,
        restarts={name: count for name, count in seen.restarts.items() if name in known},
    )
    return health.model_copy(update={"cluster": cluster, "reserve": _reserve(network, health.station, ours)})


def without_answer(health: Health, elsewhere: Collection[str]) -> Health:
    """Health of a pool that does not answer, with those of its functions that by the record are on another one now."""
    if health.cluster is None:
        return health
    gone = tuple(sorted(set(health.cluster.functions) & set(elsewhere)))
    return health.model_copy(update={"cluster": health.cluster.model_copy(update={"elsewhere": gone})})


def _settled_elsewhere(seen: ClusterState, before: ClusterState) -> frozenset[str]:
    """Functions that came to a node since the last look: they run again, or a pod was placed where they had none."""
    back = {name for name in before.down if name not in seen.down}
    known, now = _hosts(before.nodes), _hosts(node for node in seen.nodes if node.ready is NodeReady.READY)
    return frozenset(name for name in now if name in back or (name not in seen.down and now[name] - known[name]))


def _hosts(nodes: Iterable[NodeState]) -> dict[str, set[str]]:
    """Nodes by the functions with a pod on them."""
    found: dict[str, set[str]] = defaultdict(set)
    for node in nodes:
        for name in node.functions:
            found[name].add(node.id)
    return found


def _judged(
    network: Network,
    node: NodeState,
    before: NodeState | None,
    elsewhere: Collection[str],
    settled: Collection[str],
) -> NodeState:
    lost, had = node.ready is not NodeReady.READY, before.functions if before else ()
    moved = {*before.moved, *(set(had) & set(settled))} if lost and before else set[str]()
    kept = set(had) - set(elsewhere) if lost else set[str]()
    functions = tuple(sorted(({*node.functions, *kept} & network.function_by_id.keys()) - moved))
    packages = {name: network.package_by_id[network.function_by_id[name].package] for name in functions}
    timed = tuple(name for name in functions if packages[name].ptp)
    return node.model_copy(update={"functions": functions, "moved": tuple(sorted(moved)), "timed": timed})


def _reserve(network: Network, pool: str, nodes: Collection[NodeState]) -> str:
    """Why the available nodes do not suffice without those that may fail; empty if they do."""
    spare = network.pool_by_id[pool].spare_nodes
    asked = reduce(add, (node.requested for node in nodes), Resources())
    domains: dict[str, Resources] = {}
    of = {node.id: node.domain for node in network.nodes_of[pool]}
    for node in nodes:
        if node.takes_pods and node.id in of:
            domains[of[node.id]] = domains.get(of[node.id], Resources()) + node.allocatable
    if not spare or not any(asked.model_dump().values()):
        return ""
    short = [name for name in Resources.model_fields if _short(name, asked, domains.values(), spare)]
    words = ", ".join(_WORDS[name] for name in short)
    return f"its reserve of {spare} nodes is used up ({words}): if one fails, functions stay down" if short else ""


def _short(name: str, asked: Resources, there: Collection[Resources], spare: int) -> bool:
    """Whether a resource is short after the largest nodes have failed."""
    amounts: list[float] = sorted(getattr(room, name) for room in there)
    return bool(getattr(asked, name) > sum(amounts[: max(0, len(amounts) - spare)]))
