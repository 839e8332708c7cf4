"""Shipped actions on virtualised functions, and on the stations that live in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from pydantic import Field

from controller.intent.placement import Choice
from controller.models.cloud import Count, NodeName, Resources
from controller.models.equipment import Operation, OperationKind
from controller.models.errors import ConflictError, DeviceError, PlanRefusedError, UnreachableError
from controller.models.many import first_names
from controller.models.network import DeviceKind, Noun, StationId
from controller.models.plan import Change
from controller.models.sharing import ActionClass
from controller.nrm.profiles.function import deployment_path, is_stalled, why_not_ready
from controller.nrm.tree import Observed
from controller.plan import cordoned_change, moved_change, ready_on, reverted_change, scaled_change, serving_on
from controller.playbook.actions.configuration import ChangeOutput, NoInputs
from controller.playbook.language.registry import (
    Context,
    DeviceAccess,
    Proposal,
    Remarks,
    ServiceLoss,
    UnmetCondition,
    action,
)


class Patience(Noun):
    """How long to wait at most."""

    seconds: float = Field(default=60, ge=0, le=86400, description="Most seconds to wait.")


class Readiness(Remarks):
    """Where the function is."""

    ready: bool = Field(description="Whether it is ready on one pool.")
    pools: tuple[str, ...] = Field(description="Pools that it is on by the ledger, the latest first.")
    answers: bool = Field(description="Whether its pool answers.")
    stalled: bool = Field(default=False, description="Whether its operator gave up.")
    reason: str = Field(description="Why it is not ready, as its operator or the pool says; empty where it is.")


class PoolChoice(Noun):
    """Where to."""

    pool: StationId | None = Field(
        default=None, description="The pool, with room; none for the nearest with room other than its present one."
    )


class Destination(PoolChoice):
    """The pool to move to, or how it is found."""

    rebalance: bool = Field(
        default=False,
        description="Whether it goes where a new placement of all functions puts it.",
    )


class Move(Remarks):
    """Where the function runs now, and why."""

    changed: bool = Field(description="Whether anything had to be changed.")
    pool: str = Field(description="The pool that it is on.")
    reason: str = Field(description="Why there.")


class Replicas(Noun):
    """How many."""

    replicas: Count = Field(ge=1, description="Number of replicas.")


@action("await-function", DeviceAccess.READS, devices=DeviceKind.FUNCTION)
async def await_function(context: Context, given: Patience) -> Readiness:
    """Wait until the function is ready on its pool, as it may become by itself; return whether it is. It never fails.

    Where its pool does not answer, or its operator gave up, it does not wait.
    """
    end = context.clock.monotonic() + given.seconds
    pause = 1.0
    while True:
        found = await _readiness(context)
        hopeless = not found.answers or found.stalled
        if context.dry_run and not found.ready:
            return found.model_copy(update={"remark": f"would wait; now: {found.reason}"})
        if found.ready or hopeless or context.clock.monotonic() + pause > end:
            return found
        await context.clock.sleep(pause)
        pause = min(5.0, pause * 1.6)


@action("check-function", DeviceAccess.READS, devices=DeviceKind.FUNCTION)
async def check_function(context: Context, _: NoInputs) -> Readiness | UnmetCondition:
    """Fail unless the function is ready on its pool."""
    found = await _readiness(context)
    if not found.answers:
        raise UnreachableError(found.reason)
    return found if found.ready else UnmetCondition(found.reason)


async def _readiness(context: Context) -> Readiness:
    pools = await context.on_pools()
    try:
        observed = await context.read()
    except DeviceError as error:
        return Readiness(ready=False, pools=pools, answers=False, reason=error.message)
    if not pools:
        return Readiness(ready=False, pools=(), answers=True, reason=f"{context.station} is on no pool")
    if ready_on(context.station, observed, pools[:1]):
        return Readiness(ready=True, pools=pools, answers=True, reason="")
    path = deployment_path(context.station, pools[0])
    reason = f"{context.station} is not ready on {pools[0]}: {why_not_ready(observed, path)}"
    stalled = is_stalled(observed, path)
    return Readiness(ready=False, pools=pools, answers=not observed.unseen(path), stalled=stalled, reason=reason)


async def _healed_on(context: Context, _: NoInputs) -> str:
    observed, pools = await context.read(), await context.on_pools()
    if serving_on(context.station, observed, pools):
        return ""
    return (await context.another_pool(_found_on(context, observed, pools))).pool


def _found_on(context: Context, observed: Observed, pools: Iterable[str]) -> list[str]:
    """Those of the recorded pools that the function is or may be on; after a run that diverged there may be others."""
    at = {pool: deployment_path(context.station, pool) for pool in pools}
    return [pool for pool, path in at.items() if path in observed.state or observed.unseen(path)]


async def _choice(context: Context, given: Destination) -> Choice:
    if given.rebalance:
        return await context.rebalanced()
    if given.pool is None:
        return await context.another_pool(await context.on_pools())
    return await context.another_pool(
        [one for one in context.network.delays.pools_for[context.station] if one != given.pool]
    )


def _move(
    context: Context, observed: Observed, pools: Iterable[str], change: Change | None, pool: str, reason: str
) -> Move:
    """The output of a move, with the pools that do not answer and how the function leaves them later."""
    left = {one: observed.unseen(deployment_path(context.station, one)) for one in pools if one != pool}
    remark = "; ".join(
        f"it stays on {one} too, since that can't be asked: {why.rstrip('.')}; once it can, the alarm function-twice "
        "says so, and heal-function takes it away from there"
        for one, why in left.items()
        if why
    )
    return Move(changed=change is not None, pool=pool, reason=reason, remark=remark)


async def _moved_to(context: Context, given: Destination) -> str:
    return (await _choice(context, given)).pool


@action(
    "heal-function", DeviceAccess.CHANGES, consent=ActionClass.RESTORE, devices=DeviceKind.FUNCTION, brings=_healed_on
)
async def heal_function(context: Context, _: NoInputs) -> Proposal[Move]:
    """Bring a function that serves nowhere to another pool that may carry it and has room; others stay.

    One that serves with some of its replicas stays too: a move would interrupt it. It comes there as it was applied,
    must become ready, and then goes from the pool where it was not. From a pool that does not answer it can't go: that
    is left, and goes when the function is healed again once the pool answers.
    """
    ledger, observed, pools = await context.ledger(), await context.read(), await context.on_pools()
    serving = serving_on(context.station, observed, pools)
    if serving:
        pool, reason = next(one for one in pools if one in serving), "it serves there"
    else:
        choice = await context.another_pool(_found_on(context, observed, pools))
        pool, reason = choice.pool, choice.reason
        if not pool:
            raise ConflictError(f"{context.station} is not ready on {', '.join(pools) or 'any pool'}, and {reason}")
    change = moved_change(context.station, observed, ledger, pool, await context.served())
    return Proposal(change, _move(context, observed, pools, change, pool, reason))


@action("move-function", DeviceAccess.CHANGES, devices=DeviceKind.FUNCTION, brings=_moved_to)
async def move_function(context: Context, given: Destination) -> Proposal[Move]:
    """Move a function to another pool: it is made there as it was applied, must be ready, then goes from the first.

    If it does not become ready, it goes from the new pool and stays on the first.
    """
    ledger, observed = await context.ledger(), await context.read()
    may = context.network.delays.pools_for[context.station]
    if given.pool is not None and given.pool not in may:
        named = ", ".join(may) or "no pool"
        raise ConflictError(f"{given.pool} may not carry {context.station} by its place; {named} may")
    choice = await _choice(context, given)
    if not choice.pool:
        raise ConflictError(
            f"there is no place for {context.station} on {given.pool or 'another pool'}: {choice.reason}"
        )
    change = moved_change(context.station, observed, ledger, choice.pool, await context.served())
    return Proposal(change, _move(context, observed, await context.on_pools(), change, choice.pool, choice.reason))


@action("scale-function", DeviceAccess.CHANGES, consent=None, devices=DeviceKind.FUNCTION)
async def scale_function(context: Context, given: Replicas) -> Proposal[ChangeOutput]:
    """Give a function another number of replicas on its pool; all of them must be ready.

    Those that stay are not restarted. More are refused that the pool has no room for beside its reserve, or that go
    beyond what the tenant bought there. The network files keep their number: a later plan brings that back.
    """
    ledger, observed = await context.ledger(), await context.read()
    deployment = ledger.get(deployment_path(context.station, next(iter(await context.on_pools()), "")))
    more = deployment is not None and given.replicas > int(str(deployment.leaves.get("replicas", "1")))
    if more and (refusal := await context.scaling_refusal(given.replicas)):
        raise ConflictError(f"{context.station} has no room for {given.replicas} replicas on its pool: {refusal}")
    change = scaled_change(context.station, observed, ledger, given.replicas, await context.served())
    return Proposal(change, ChangeOutput(changed=change is not None))


class Lookback(Noun):
    """How far to look back."""

    hours: int = Field(default=24, ge=1, le=720, description="How long ago the release may have changed, in hours.")


async def _if_ready(context: Context, _: Lookback) -> ServiceLoss | None:
    """The service loss of a restart; none if the function is ready nowhere, since it serves nobody then."""
    found = await _readiness(context)
    return None if found.ready or not found.answers else ServiceLoss()


@action("revert-function", DeviceAccess.CHANGES, devices=DeviceKind.FUNCTION, takes=_if_ready)
async def revert_function(context: Context, given: Lookback) -> Proposal[ChangeOutput]:
    """Bring a function back to the release before its present one, as that was applied; it must be ready with it.

    Pool and number of replicas stay. Fails where the release has not changed for that long, or went back already.
    """
    ledger, observed = await context.ledger(), await context.read()
    before = await context.former(context.clock.now() - timedelta(hours=given.hours))
    if not before:
        raise ConflictError(
            f"{context.station} has no former release to go back to: the present one did not come within the last "
            f"{given.hours} hours, or the function went back to it within them"
        )
    change = reverted_change(context.station, observed, ledger, before, await context.served())
    return Proposal(change, ChangeOutput(changed=change is not None))


@action("configure-station", DeviceAccess.CHANGES, consent=ActionClass.RESTORE, devices=DeviceKind.STATION)
async def configure_station(context: Context, _: NoInputs) -> Proposal[ChangeOutput]:
    """Bring a station that lost its configuration, as with its function's pod, back to what was applied there.

    What nothing was applied to yet gets what the network files say. All its cells come on air but those that were
    locked when it was last read. What it carries already stays.
    """
    try:
        made = await context.restoration()
    except DeviceError:
        if not context.dry_run:
            raise
        due = "brings all that was applied, or what the network files say, once its function is ready"
        return Proposal(None, ChangeOutput(changed=True), foreseen=due)
    if made.reason:
        raise PlanRefusedError(f"{context.station}: {made.reason}")
    return Proposal(made.change, ChangeOutput(changed=made.change is not None))


class NodeChoice(Noun):
    """A node of a pool."""

    pool: StationId = Field(description="The pool.")
    node: NodeName = Field(description="The node.")


class Cordon(Noun):
    """A node, and what it becomes."""

    node: NodeName = Field(description="The node.")
    cordoned: bool = Field(default=True, description="Whether it is to take no further pods.")


class Eviction(NodeChoice):
    """What is evicted from where."""

    seconds: float = Field(default=300, gt=0, le=3600, description="Most seconds to wait for the budget, and the end.")


class Replacement(Noun):
    """What takes the place of pods on a node."""

    changed: bool = Field(description="Whether anything had to be changed.")
    evict: bool = Field(description="Whether pods of it are to be evicted from the node now.")
    replicas: int = Field(description="Number of replicas before.")
    reason: str = Field(description="Where it goes, and why.")


@action("cordon-node", DeviceAccess.CHANGES, consent=None, devices=DeviceKind.POOL)
async def cordon_node(context: Context, given: Cordon) -> Proposal[ChangeOutput]:
    """Take a node of the pool out of use, or let pods come to it again: then only as far as Minka took it out.

    Pods that are on it stay. What others cordoned stays so, and so does what drifted at the pool's other nodes. `minka
    undo` of the run takes it back.
    """
    ledger, observed = await context.ledger(), await context.read()
    nodes = [node.id for node in observed.cluster.nodes] if observed.cluster else []
    if given.node not in nodes:
        raise ConflictError(f"{context.station} has no node {given.node}; it has {', '.join(nodes) or 'none'}")
    change = cordoned_change(context.station, observed, ledger, given.node, cordoned=given.cordoned)
    return Proposal(change, ChangeOutput(changed=change is not None))


async def _other_nodes(context: Context, given: NodeChoice) -> list[str] | None:
    """Other nodes of the pool with room for one more pod of the function; None if it has no pod on this node."""
    package = context.network.package_by_id[context.network.function_by_id[context.station].package]
    cluster = await context.cluster(given.pool)
    here = next((node for node in cluster.nodes if node.id == given.node), None)
    if here is None or context.station not in here.functions:
        return None
    asked = Resources(**{name: getattr(package, name) for name in Resources.model_fields})
    return [
        node.id
        for node in cluster.nodes
        if node.id != given.node
        and node.takes_pods
        and not (package.ptp and node.clock is False)
        and not (node.free - asked).lacking
    ]


async def _replacement_pool(context: Context, given: NodeChoice) -> str:
    fits = await _other_nodes(context, given)
    return "" if fits is None or fits else (await context.another_pool(await context.on_pools())).pool


@action("make-beside", DeviceAccess.CHANGES, devices=DeviceKind.FUNCTION, brings=_replacement_pool)
async def make_beside(context: Context, given: NodeChoice) -> Proposal[Replacement]:
    """Make what takes the place of the function's pods on a node, before they go.

    Where another node of the pool has room, that is one replica more; it must be ready. Where none has, the function
    goes to another pool that may carry it and has room, as with `move-function`.
    """
    ledger, observed, pools = await context.ledger(), await context.read(), await context.on_pools()
    fits, path = await _other_nodes(context, given), deployment_path(context.station, given.pool)
    if reason := observed.unseen(path):
        raise UnreachableError(reason)
    replicas = int(str(ledger[path].leaves.get("replicas", "1"))) if path in ledger else 0
    if not replicas or fits is None:
        stays = Replacement(changed=False, evict=False, replicas=replicas, reason=f"it has no pod on {given.node}")
        return Proposal(None, stays)
    if fits:
        change = scaled_change(context.station, observed, ledger, replicas + 1, await context.served())
        reason = f"{', '.join(fits)} of {given.pool} has room for one more"
        return Proposal(change, Replacement(changed=True, evict=True, replicas=replicas, reason=reason))
    choice = await context.another_pool(pools)
    if not choice.pool:
        raise ConflictError(
            f"no other node of {given.pool} has room for {context.station}, nor any other pool: {choice.reason}"
        )
    change = moved_change(context.station, observed, ledger, choice.pool, await context.served())
    reason = f"no other node of {given.pool} has room; it goes to {choice.pool}: {choice.reason}"
    return Proposal(change, Replacement(changed=change is not None, evict=False, replicas=replicas, reason=reason))


@action("evict-pods", DeviceAccess.CHANGES, devices=DeviceKind.FUNCTION)
async def evict_pods(context: Context, given: Eviction) -> Proposal[ChangeOutput]:
    """Evict the function's pods from a node, as its PodDisruptionBudget allows. That they are gone is read back."""
    await context.ledger()
    node = f"{given.pool}/{given.node}"
    if context.dry_run or (await context.equipment()).pods_on(node):
        operation = Operation(kind=OperationKind.EVICT, subject=node, seconds=given.seconds)
        return Proposal(None, ChangeOutput(changed=True), (operation,))
    return Proposal(None, ChangeOutput(changed=False))


class IdleStations(Remarks):
    """Stations that name the function, none of them in service."""

    stations: tuple[str, ...] = Field(description="Stations that name it, all out of service.")


@action("check-function-idle", DeviceAccess.NONE, devices=DeviceKind.FUNCTION)
async def check_function_idle(context: Context, _: NoInputs) -> IdleStations | UnmetCondition:
    """Fail while a station that the function serves is in service: decommission it first."""
    stations = context.network.stations_behind(context.station)
    serving = [station for station in stations if await context.in_service(station)]
    if serving:
        return UnmetCondition(
            f"{context.station} serves {first_names(serving, 5)}, which are still in service: decommission them"
        )
    return IdleStations(stations=stations)


FUNCTIONS = (
    await_function,
    check_function,
    heal_function,
    move_function,
    scale_function,
    revert_function,
    cordon_node,
    make_beside,
    evict_pods,
    configure_station,
    check_function_idle,
)
