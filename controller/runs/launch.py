"""The one way to a run, for all doors: CLI and API, undo, playbooks, rules.

A door hands over a ``RunRequest``: what is to be run, who asks, why, and under which key. Its procedure prepares it
(``Preparation``): plan, jobs in waves, strategy, and the constraints under which it may work. Refusals happen here, in
one place for all doors: guards, a plan that was rejected or made on older network files, a paused run that would be
overtaken, invalid contractual reasons. A prepared run is accepted in one transaction, to which
a door may add its own record (as remediation does); one message after its commit wakes a worker, which begins the run.

``apply`` and ``undo`` (``controller.runs.procedures``) are prepared from a plan that people have read; a playbook
(``controller.playbook.engine.preparation``) from its parameters, and from stations as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar

from controller.access.votes import rejection
from controller.models.errors import ConflictError, InputError, PlanRefusedError
from controller.models.many import first_names
from controller.models.network import Network
from controller.models.plan import Plan
from controller.models.run import UNDO, JobState, Run, RunState
from controller.ports.clock import Clock
from controller.ports.queue import Wakeups
from controller.runs.approval.clearance import earliest_begins
from controller.runs.approval.consent import check_contracts
from controller.runs.planning.planner import Planner
from controller.runs.procedures import Apply, UndoneRun, procedure
from controller.store import AsyncStore, EndedJob, Page, PreparedRun, RunRequest, Store, changed_since, other_request

R = TypeVar("R", bound=Run | None)


class Preparation(Protocol):
    """Prepares runs for requests of one kind."""

    async def prepare(self, request: RunRequest) -> PreparedRun:
        """The prepared run of a request; it may read stations, and changes nothing.

        Raises:
            NotFoundError: There is no such playbook.
            InputError: Parameters are wrong, or no timer or window is long enough.
            PlanRefusedError: There is nothing to do.
        """
        ...

    async def repeats(self, request: RunRequest, known: Run) -> bool:
        """Whether an accepted run is the same as what is requested again."""
        ...

    def check(self, store: Store, new: PreparedRun) -> None:
        """Check, in the transaction that accepts a run, that it was prepared by what is in force.

        Raises:
            ConflictError: It was changed meanwhile.
        """
        ...


class PlanPreparation:
    """Requests to apply a plan, or to undo a run by the plan of its inverses."""

    def __init__(self, store: AsyncStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def prepare(self, request: RunRequest) -> PreparedRun:
        """See ``Preparation``."""
        return await self._prepared(request, self._clock.now())

    async def repeats(self, request: RunRequest, known: Run) -> bool:
        """See ``Preparation``."""
        assert request.plan is not None
        then = await self._prepared(request, known.created)
        return known.plan == request.plan.id and known.strategy == then.strategy

    async def _prepared(self, request: RunRequest, now: datetime) -> PreparedRun:
        assert request.plan is not None
        # Outside of any transaction: a plan for a whole network has thousands of changes.
        network, undone = await self._store.read(_to_prepare, request.plan)
        return await asyncio.to_thread(procedure_of(request.plan).prepare, request, network, now, undone)

    def check(self, store: Store, new: PreparedRun) -> None:
        """See ``Preparation``; a plan never changes."""


class Launcher:
    """Prepares and starts runs."""

    def __init__(self, store: AsyncStore, planner: Planner, wakeups: Wakeups, playbooks: Preparation) -> None:
        self._store = store
        self._planner = planner
        self._wakeups = wakeups
        self._plans = PlanPreparation(store, planner.clock)
        self._playbooks = playbooks

    async def start(self, request: RunRequest) -> Run:
        """Prepare and accept a run; a repeated request with the same key returns the same run.

        Raises:
            ConflictError: As ``prepare``, or the key was used for something else.
            MinkaError: As ``prepare``.
        """
        key = request.key
        if key is not None:
            known = await self._store.runs.find_by_key(key, request.actor)
            if known is not None:
                if known.reason != request.reason or not await self._kind(request).repeats(request, known):
                    raise other_request(known)
                return known
        return await self.accept(await self.prepare(request), lambda store, new: store.runs.create(new))

    async def prepare(self, request: RunRequest) -> PreparedRun:
        """A prepared run that nothing refuses.

        Raises:
            NotFoundError: There is no such playbook.
            InputError: Parameters are wrong, no timer or window is long enough, or a contractual reason is none.
            PlanRefusedError: A guard, a hold or somebody's no refuses it, or there is nothing to do.
            ConflictError: A paused run would be overtaken, or the plan was made on older network files.
        """
        new = await self._kind(request).prepare(request)
        await self._store.read(check, new)
        if new.constraints is None:
            return new
        now = self._planner.clock.now()
        freezes = await self._store.freezes.find(now)
        seconds = new.strategy.timer()
        # Outside of any transaction: each station may have windows of its own.
        begins = await asyncio.to_thread(earliest_begins, new.constraints, freezes, now, seconds)
        return replace(new, begins=begins)

    async def accept(self, new: PreparedRun, record: Callable[[Store, PreparedRun], R]) -> R:
        """Put a prepared run on record, and wake a worker after the commit.

        Args:
            new: The run.
            record: Puts it on record, in one transaction with what the door has to say of it; None for no run.

        Raises:
            ConflictError: Its key was used for something else, or its playbook was changed meanwhile.
        """
        if new.adopts:
            await self._planner.adopt_devices(new.adopts, new.request.actor)
        kind = self._kind(new.request)

        def recorded(store: Store) -> R:
            kind.check(store, new)
            return record(store, new)

        run = await self._store.transaction(recorded)
        if run is not None:
            self._wakeups.wake_workers(run.id)
        return run

    def _kind(self, request: RunRequest) -> Preparation:
        if (request.plan is None) is not bool(request.playbook):
            raise InputError("a run needs either a plan or a playbook")
        return self._plans if request.plan is not None else self._playbooks


def prepare_plan(store: Store, request: RunRequest, now: datetime) -> PreparedRun:
    """The run that applies a plan, as it is asked for now; raises the errors of ``Preparation.prepare``."""
    assert request.plan is not None
    network, undone = _to_prepare(store, request.plan)
    return procedure_of(request.plan).prepare(request, network, now, undone)


def procedure_of(plan: Plan) -> Apply:
    """What applies a plan."""
    return procedure(UNDO if plan.undoes else "apply")


def _to_prepare(store: Store, plan: Plan) -> tuple[Network, UndoneRun | None]:
    """The current network, and the run that a plan takes back."""
    _, network = store.networks.get()
    if not plan.undoes:
        return network, None
    waves = {job.station: job.wave for job in store.runs.jobs(plan.undoes)}
    return network, UndoneRun(store.runs.get(plan.undoes).strategy.check_timeout, waves)


def check(store: Store, new: PreparedRun) -> None:
    """Check that nothing refuses a prepared run; raises the errors of ``Launcher.prepare``."""
    request = new.request
    if new.refused:
        words = f"{new.procedure} is refused: " + "; ".join(new.refused)
        raise PlanRefusedError(words, expect_stations=new.would_expect)
    digest, _ = store.networks.get()
    if digest != new.plan.network_digest:
        raise ConflictError(f"plan {new.plan.id} was made on an older version of the network files: plan again")
    check_undo(store, new.plan)
    check_carried_out(store, new.plan)
    if not (request.automatic or request.overtake):
        check_overtaking(store, {job.station for job in new.jobs})
    if new.constraints is None:
        return
    if no := rejection(store.approvals.votes(new.constraints.subject)):
        others = f"; as {no.person} is gone, the yes of another approver of {no.side} takes it back" if no.gone else ""
        raise PlanRefusedError(f"plan {new.plan.id} was rejected by {no.person} ({no.side}): {no.reason}{others}")
    check_contracts(new.constraints, request.contracts, request.approver)


def check_undo(store: Store, plan: Plan) -> None:
    """Check that no run changed a station after its undo was planned, but for an undo of the same run.

    Each job asks again before its first act.

    Raises:
        ConflictError: One did.
    """
    if not plan.undoes:
        return
    ended: dict[str, list[EndedJob]] = {}
    for one in store.runs.ended_jobs(plan.changes.packed, plan.created):
        if one.changed and one.undoes != plan.undoes:
            ended.setdefault(one.station, []).append(one)
    for station, later in sorted(ended.items()):
        change = plan.changes.on(station)
        if change is not None and (why := changed_since(later, change)):
            raise ConflictError(f"plan {plan.id}: {why} {plan.undoes}")


def check_carried_out(store: Store, plan: Plan) -> None:
    """Check that a plan has anything left to do, before anybody is asked for it or told of it once more.

    It has where a run of it did not change all of its devices, and where a later run changed one, as an undo does.

    Raises:
        ConflictError: The last run that changed each of its devices carried out this plan there.
    """
    ended = (one.as_found() for one in store.runs.ended_jobs(plan.changes.packed, plan.created))
    last = {job.station: job for job in ended if job.changed}
    if not last or last.keys() != plan.changes.packed.keys():
        return
    runs = sorted({job.run for job in last.values()})
    if all(job.outcome.good for job in last.values()) and all(store.runs.get(run).plan == plan.id for run in runs):
        done = "its devices" if len(last) > 1 else first_names(list(last))
        by = f"run {first_names(runs)}"
        raise ConflictError(f"plan {plan.id} was carried out by {by}, and no run changed {done} since: make a new plan")


def check_overtaking(store: Store, stations: Set[str]) -> None:
    """Check that no paused run is overtaken unnoticed: the rest of its plan is based on the stations as they are.

    Raises:
        ConflictError: One has yet to change one of the stations.
    """
    for run in store.runs.page(Page(limit=1000), [RunState.PAUSED])[1]:
        left = sorted({job.station for job in store.runs.jobs(run.id) if job.state is not JobState.DONE} & stations)
        if left:
            raise ConflictError(
                f"run {run.id} is paused and has yet to change {first_names(left)}: resume or cancel it first, or say "
                "overtake"
            )
