"""Shipped actions on virtualised functions, and on the stations that live in them."""

from __future__ import annotations

from pydantic import Field

from controller.models.cloud import Count
from controller.models.errors import ConflictError, DeviceError, PlanRefusedError
from controller.models.network import DeviceKind, Noun, StationId
from controller.models.sharing import ActionClass
from controller.nrm.profiles.function import deployment_path, is_stalled, why_not_ready
from controller.plan import moved_change, ready_on, scaled_change
from controller.playbook.actions.configuration import Changed, Nothing
from controller.playbook.language.registry import Context, Proposal, Remarked, Touches, Unmet, action


class Patience(Noun):
    """How long to wait."""

    seconds: float = Field(default=60, ge=0, le=86400, description="Most seconds to wait.")


class Readiness(Noun):
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
    """Where to, or who says it."""

    rebalance: bool = Field(
        default=False,
        description="Whether it goes where a new placement of all functions puts it.",
    )


class Moved(Noun):
    """Where it went."""

    changed: bool = Field(description="Whether anything had to be changed.")
    pool: str = Field(description="The pool that it is on.")
    reason: str = Field(description="Why there.")


class Replicas(Noun):
    """How many."""

    replicas: Count = Field(ge=1, description="Number of replicas.")


@action("await-function", Touches.READS, devices=DeviceKind.FUNCTION)
async def await_function(context: Context, given: Patience) -> Readiness:
    """Wait until the function is ready on its pool, as it may become by itself; say whether it is. It never fails.

    Where its pool does not answer, or its operator gave up, it does not wait.
    """
    end = context.clock.monotonic() + given.seconds
    pause = 1.0
    while True:
        found = await _readiness(context)
        hopeless = not found.answers or found.stalled or context.dry_run
        if found.ready or hopeless or context.clock.monotonic() + pause > end:
            return found
        await context.clock.sleep(pause)
        pause = min(5.0, pause * 1.6)


@action("check-function", Touches.READS, devices=DeviceKind.FUNCTION)
async def check_function(context: Context, _: Nothing) -> Readiness | Unmet:
    """Fail unless the function is ready on its pool."""
    found = await _readiness(context)
    return found if found.ready else Unmet(found.reason)


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


@action("heal-function", Touches.CHANGES, consent=ActionClass.RESTORE, devices=DeviceKind.FUNCTION)
async def heal_function(context: Context, _: Nothing) -> Proposal[Moved]:
    """Bring a function that is not ready to another pool that may carry it and has room; one that is ready stays.

    It comes there as it was applied, must become ready, and then goes from the pool where it was not. From a pool that
    does not answer it can't go: that is left, and goes when the function is healed again once the pool answers.
    """
    ledger, observed, pools = await context.ledger(), await context.read(), await context.on_pools()
    ready = ready_on(context.station, observed, pools)
    if ready:
        pool, reason = next(one for one in pools if one in ready), "it is ready there"
    else:
        choice = await context.another_pool(pools)
        pool, reason = choice.pool, choice.reason
        if not pool:
            raise ConflictError(f"{context.station} is not ready on {', '.join(pools) or 'any pool'}, and {reason}")
    change = moved_change(context.station, observed, ledger, pool, await context.served())
    return Proposal(change, Moved(changed=change is not None, pool=pool, reason=reason))


@action("move-function", Touches.CHANGES, devices=DeviceKind.FUNCTION)
async def move_function(context: Context, given: Destination) -> Proposal[Moved]:
    """Move a function to another pool: it is made there as it was applied, must be ready, then goes from the first.

    If it does not become ready, it goes from the new pool and stays on the first.
    """
    ledger, observed, pools = await context.ledger(), await context.read(), await context.on_pools()
    may = context.network.pools_for[context.station]
    if given.pool is not None and given.pool not in may:
        named = ", ".join(may) or "no pool"
        raise ConflictError(f"{given.pool} may not carry {context.station} by its place; {named} may")
    if given.rebalance:
        choice = await context.rebalanced()
    else:
        choice = await context.another_pool(pools if given.pool is None else [one for one in may if one != given.pool])
    if not choice.pool:
        raise ConflictError(
            f"there is no place for {context.station} on {given.pool or 'another pool'}: {choice.reason}"
        )
    change = moved_change(context.station, observed, ledger, choice.pool, await context.served())
    return Proposal(change, Moved(changed=change is not None, pool=choice.pool, reason=choice.reason))


@action("scale-function", Touches.CHANGES, consent=None, devices=DeviceKind.FUNCTION)
async def scale_function(context: Context, given: Replicas) -> Proposal[Changed]:
    """Give a function another number of replicas on its pool; all of them must be ready.

    Those that stay are not restarted. The network files keep their number: a later plan brings that back.
    """
    ledger, observed = await context.ledger(), await context.read()
    change = scaled_change(context.station, observed, ledger, given.replicas, await context.served())
    return Proposal(change, Changed(changed=change is not None))


@action("configure-station", Touches.CHANGES, consent=ActionClass.RESTORE, devices=DeviceKind.STATION)
async def configure_station(context: Context, _: Nothing) -> Proposal[Changed]:
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
        return Proposal(None, Changed(changed=True), foreseen=due)
    if made.reason:
        raise PlanRefusedError(f"{context.station}: {made.reason}")
    return Proposal(made.change, Changed(changed=made.change is not None))


class Idle(Remarked):
    """No station is left."""

    stations: tuple[str, ...] = Field(description="Stations that name it, all out of service.")


@action("check-function-idle", Touches.NONE, devices=DeviceKind.FUNCTION)
async def check_function_idle(context: Context, _: Nothing) -> Idle | Unmet:
    """Fail while a station that the function serves is in service: decommission it first."""
    stations = context.network.stations_behind(context.station)
    serving = [station for station in stations if await context.in_service(station)]
    if serving:
        more = f" and {len(serving) - 5} more" if len(serving) > 5 else ""
        return Unmet(f"{context.station} serves {', '.join(serving[:5])}{more}, in service still: decommission them")
    return Idle(stations=stations)


FUNCTIONS = (
    await_function,
    check_function,
    heal_function,
    move_function,
    scale_function,
    configure_station,
    check_function_idle,
)
