"""Functions and pools: where each function runs and why, and what lost nodes would cost."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from controller.access.disclosure import TenantFunction
from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, cut, listing
from controller.api.views import CallerView, FunctionView
from controller.assurance.health import wrongs
from controller.intent.packing import Size
from controller.intent.placement import Choice, NodeLoss, PoolUse, SideUse, lower_bound, place, worst_losses
from controller.inventory.selectors import select
from controller.inventory.source import unknown
from controller.models.cloud import ClusterState, Node, Pool, PoolPlace
from controller.models.errors import InputError, NotFoundError
from controller.models.health import Health
from controller.models.people import Permission, Person
from controller.store.placements import closures_now, replicas_of, running_on

router = Router(prefix="/v1", tags=["functions"])


class PoolView(Body):
    """A pool, and how much of it functions use: those that run, and those that are placed there and start later.

    Attributes:
        capacity: Resources without the reserve: cores, GiB of memory, GiB of hugepages, accelerators.
        used: Resources that functions use.
        sides: Parts of the host and of each tenant that bought some of it, or has functions there.
        uplink_gbps: Gbit/s of its links to the transport network, if known.
        nodes: Its nodes by the network files.
        answers: Whether it answered the last read.
        seen: When the pool was read last; None if it never was.
        cluster: Its nodes and pods then; None if it was never read.
        silence: Why it can't be read now, in a few words; empty if it is read.
        said: The full reason, with what would be right.
        wrong: Probable causes of faults of the pool and its nodes.
        closed: Why it takes no new functions, or only some; empty if it is open.
    """

    pool: str
    where: PoolPlace
    region: str
    site: str | None
    spare_nodes: int
    capacity: Size
    used: Size
    sides: dict[str, SideUse]
    uplink_gbps: int | None
    functions: tuple[str, ...]
    nodes: tuple[Node, ...]
    answers: bool
    seen: AwareDatetime | None
    cluster: ClusterState | None
    silence: str
    said: str
    wrong: tuple[str, ...]
    closed: str

    @classmethod
    def of(cls, pool: Pool, use: PoolUse, nodes: tuple[Node, ...], health: Health | None, closed: str) -> PoolView:
        """A pool by its use, and as read last."""
        return cls(
            pool=pool.id,
            where=pool.where,
            region=pool.region,
            site=pool.site,
            spare_nodes=pool.spare_nodes,
            capacity=use.capacity,
            used=use.used,
            sides=dict(use.sides),
            uplink_gbps=pool.uplink_gbps,
            functions=use.functions,
            nodes=nodes,
            answers=health is not None and health.reachable,
            seen=health and health.read,
            cluster=_as_seen(health) if health else None,
            silence=health.silence if health and not health.reachable else "",
            said=health.said if health and not health.reachable else "",
            wrong=tuple(sorted({cause for _, cause in wrongs(health)})) if health else (),
            closed=closed,
        )


def _as_seen(health: Health) -> ClusterState | None:
    """The last reading of a pool, without containers that crashed some time ago and run well since."""
    cluster = health.cluster
    return cluster and cluster.model_copy(update={"crashing": cluster.crashing_at(health.at)})


class PlacementView(Body):
    """Where functions would go.

    Attributes:
        cost_us: Sum of latencies from pools to the sites of stations, in µs. A CU on an edge pool counts as much more
            for each station as it bears, and twice that on the pool of a site; a function without a place counts
            ten seconds.
        bound_us: Lower bound of the cost of any placement, if requested.
        moves: Functions that run on another pool.
        starts: Functions that run nowhere yet.
        unplaced: Functions without a place.
        losses: The worst loss of service if nodes are lost, by pool, if requested.
    """

    cost_us: int
    bound_us: int | None
    functions: int
    moves: tuple[Choice, ...]
    starts: tuple[Choice, ...]
    unplaced: tuple[Choice, ...]
    losses: tuple[NodeLoss, ...]


@router.get("/functions")
def functions(
    seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)], selector: str = "function=*"
) -> Listing[FunctionView | TenantFunction]:
    """Functions by selector, by id: where each runs, where it would go and why; a tenant sees its own."""
    network = seen.network()[1]
    chosen = select(network, selector)
    if other := next((one for one in chosen if not network.kind_of(one).rules.placed), ""):
        raise InputError(
            f"selector {selector!r} chooses {other}, which is not a function: add function=*, as in region=x,function=*"
        )
    asked = chosen[paging.offset : paging.offset + paging.limit]
    return listing(len(chosen), seen.functions(asked), paging)


@router.get("/functions/{function}")
def function(
    function: str, seen: CallerView, _: Annotated[Person, needs(Permission.READ)]
) -> FunctionView | TenantFunction:
    """One function."""
    known = seen.network()[1].function_by_id
    if function not in known:
        raise NotFoundError(unknown("function", function, known))
    return seen.functions([function])[0]


@router.get("/pools")
def pools(backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]) -> Listing[PoolView]:
    """Pools, and how much of each is used, sold and free."""
    return cut(_pools(backend), paging)


@router.get("/pools/{pool}")
def pool(pool: str, backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> PoolView:
    """One pool."""
    known = {one.pool: one for one in _pools(backend)}
    if pool not in known:
        raise NotFoundError(unknown("pool", pool, known))
    return known[pool]


def _pools(backend: Backend) -> list[PoolView]:
    _, network = backend.store.networks.get()
    now, running = backend.clock.now(), running_on(backend.store, network.function_by_id)
    closures = closures_now(backend.store, network, now)
    placed = place(network, network.day(now), running, closures, applied=replicas_of(backend.store, running))
    seen = backend.store.healths.find(network.pool_by_id)
    return [
        PoolView.of(one, placed.pools[one.id], network.nodes_of[one.id], seen.get(one.id), closures.words(one))
        for one in network.pools
    ]


@router.get("/placement")
def placement(
    backend: Backend,
    _: Annotated[Person, needs(Permission.OVERSEE)],
    rebalance: Annotated[bool, Query(description="Also move functions that run where they may.")] = False,
    fail: Annotated[
        int, Query(ge=0, le=3, description="Show what the loss of this many nodes of a pool would cost.")
    ] = 0,
    bound: Annotated[
        bool, Query(description="Show how far the placement may be from the best one; takes seconds.")
    ] = False,
) -> PlacementView:
    """Where functions would go, and why. Changes nothing."""
    _digest, network = backend.store.networks.get()
    now, running = backend.clock.now(), running_on(backend.store, network.function_by_id)
    day, applied = network.day(now), replicas_of(backend.store, running)
    closures = closures_now(backend.store, network, now)
    found = place(network, day, running, closures, rebalance=rebalance, applied=applied)
    return PlacementView(
        cost_us=found.cost_us,
        bound_us=lower_bound(network, day) if bound else None,
        functions=len(found.choices),
        moves=found.moves,
        starts=tuple(one for name, one in found.choices.items() if one.pool and name not in running),
        unplaced=found.unplaced,
        losses=worst_losses(network, day, fail, running, applied) if fail else (),
    )
