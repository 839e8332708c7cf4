"""Where functions run by the ledger, and which pools take no more by the record: queries for placement."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from controller.intent.placement import OPEN, Closures
from controller.models.alarm import POOL_FULL, UNREACHABLE
from controller.models.cloud import ClusterState
from controller.models.ended_job import EVER
from controller.models.network import Network
from controller.models.plan import Change
from controller.models.run import Holds
from controller.plan import latest_first, pools_of, replicas_in
from controller.store.store import Store


def running_on(store: Store, functions: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Pools of functions by the ledger, by function; the one that each came to last is first.

    A pool that did not answer when its function moved stays in the ledger until it answers.
    """
    found = {name: pools for name, paths in store.ledger.paths(functions).items() if (pools := pools_of(paths))}
    changes: dict[str, list[Change]] = {name: [] for name, pools in found.items() if len(pools) > 1}
    for job in store.runs.ended_jobs(changes, EVER) if changes else ():
        changes[job.station] += job.changes
    return found | {name: latest_first(found[name], made) for name, made in changes.items()}


def replicas_of(store: Store, functions: Iterable[str]) -> dict[str, int]:
    """Replicas that functions were applied with, by the ledger; those on no pool are absent."""
    return {name: count for name, nodes in store.ledger.find(functions).items() if (count := replicas_in(nodes))}


def closures_now(store: Store, network: Network, now: datetime) -> Closures:
    """Pools that take no further functions: away, full, short of nodes, under a hold or in a freeze."""
    pools = network.pool_by_id
    if not pools:
        return OPEN
    healths, holds, standing = store.healths.find(pools), Holds(store.holds.find(now)), store.alarms.standing(pools)
    silent = {one.station: "it does not answer" for one in standing if one.probable_cause == UNREACHABLE}
    silent |= {pool: health.silence for pool, health in healths.items() if not health.reachable}
    held = {pool: hold.words for pool in pools if (hold := holds.on(pool, pools[pool].site or "")) is not None}
    full = {one.station for one in standing if one.probable_cause == POOL_FULL}
    clusters = {pool: one.cluster for pool, one in healths.items() if one.cluster is not None and pool not in silent}
    short = {pool: words for pool, cluster in clusters.items() if (words := _short_of_nodes(network, pool, cluster))}
    closed = dict.fromkeys(full, "its nodes take no further pods") | silent | held
    freezes = (one for one in store.freezes.find(now) if one.begins <= now < one.ends and not one.warning)
    frozen = {one.target: f"{one.name} until {one.ends:%Y-%m-%d %H:%M} UTC" for one in freezes}
    return Closures(closed, fixed={*silent, *held}, frozen=frozen, short=short)


def _short_of_nodes(network: Network, pool: str, cluster: ClusterState) -> str:
    """How many nodes of a pool take no pods, if more than its reserve; empty if not."""
    taking = {node.id for node in cluster.nodes if node.takes_pods}
    lacking = [node for node in network.nodes_of[pool] if node.id not in taking]
    if len({node.domain for node in lacking}) <= network.pool_by_id[pool].spare_nodes:
        return ""
    return f"{len(lacking)} of its {len(network.nodes_of[pool])} nodes take no pods"
