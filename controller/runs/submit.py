"""Accepting a run: a plan becomes a run with jobs, on record before anything is rung."""

from __future__ import annotations

from collections.abc import Set

from controller.access.roles import may
from controller.models.approval import Contract
from controller.models.errors import ConflictError, PlanRefusedError
from controller.models.people import Permission, Person
from controller.models.plan import Plan
from controller.models.run import PERSON, UNDO, JobState, Run, RunState, Strategy
from controller.ports.queue import Doorbell
from controller.ports.store import Page, Store
from controller.runs.approval.consent import Asked, check_contracts, plan_terms, rejection
from controller.runs.procedures import procedure
from controller.runs.rollout.timers import fitted
from controller.runs.rollout.waves import cut_stages, ranks_in, units_of


def submit(
    store: Store,
    doorbell: Doorbell,
    plan: Plan,
    *,
    actor: str,
    strategy: Strategy,
    procedure_name: str = "apply",
    cause: str = PERSON,
    reason: str = "",
    idempotency_key: str | None = None,
    asker: Person | None = None,
    contracts: tuple[Contract, ...] = (),
    overtake: bool = False,
) -> Run:
    """Accept a run of a plan, under the approvals, windows and notices that it needs (``approval.consent``).

    Args:
        store: The record.
        doorbell: Wakes workers.
        plan: What to do.
        actor: Who asks, for the record.
        strategy: How to go through the stations.
        procedure_name: What is done.
        cause: ``person``, or ``alarm:<id>``; what no person asks for needs standing consents.
        reason: Why.
        idempotency_key: The same key of the same person, or for the same alarm, is the same run.
        asker: The person who asks; that is a yes where the person may approve.
        contracts: Contractual reasons of that person.
        overtake: Whether it may go before a paused run that has yet to change one of its stations.

    Raises:
        PlanRefusedError: The plan is empty, or was rejected.
        ConflictError: A paused run would be overtaken; the plan was made on another network than the current one, or
            the key was used otherwise.
        InputError: A contractual reason is none.
    """
    if plan.is_empty:
        raise PlanRefusedError(f"plan {plan.id} changes nothing: there is nothing to apply")
    digest, network = store.network()
    if cause == PERSON and digest != plan.network_digest:
        raise ConflictError(f"plan {plan.id} was made on an older version of the network files: plan again")
    jobs = procedure(procedure_name).jobs(plan, network, strategy)
    if plan.undoes:
        # It waits for cells and links as long as the run did that it undoes.
        patience = store.run(plan.undoes).strategy.check_timeout
        strategy = strategy.model_copy(update={"check_timeout": max(strategy.check_timeout, patience)})
        # What came last goes first, as where a site is locked only after its neighbours took over.
        waves = {job.station: job.wave for job in store.jobs(plan.undoes)}
        units = units_of(plan, network)
        ranks = ranks_in(plan, network)
        jobs = cut_stages(units, lambda station: -waves[station], strategy, ranks, region_of=network.region_of)
    if no := rejection(store.votes(plan.digest)):
        others = f"; as {no.person} is gone, the yes of another approver of {no.side} takes it back" if no.gone else ""
        raise PlanRefusedError(f"plan {plan.id} was rejected by {no.person} ({no.side}): {no.reason}{others}")
    repair = cause != PERSON
    if not (repair or overtake or (idempotency_key is not None and store.run_of_key(idempotency_key, actor))):
        check_overtaking(store, {job.station for job in jobs})
    asked = Asked(plan.digest, plan.created, automatic=repair, restores=repair)
    terms = plan_terms(network, plan, asked)
    check_contracts(terms, contracts, approver(asker))
    strategy = fitted(strategy, jobs, terms, plan.created)
    run = store.create_run(
        plan,
        UNDO if plan.undoes else procedure_name,
        strategy,
        jobs,
        cause=cause,
        actor=actor,
        reason=reason,
        idempotency_key=idempotency_key,
        terms=terms,
        asker=approver(asker),
        contracts=contracts,
    )
    if cause == PERSON and (run.strategy, run.reason) != (strategy, reason):
        raise ConflictError(f"the idempotency key belongs to run {run.id}, which was asked for otherwise")
    doorbell.ring(run.id)
    return run


def check_overtaking(store: Store, stations: Set[str]) -> None:
    """See that no paused run is overtaken silently: what it has yet to do was planned on the stations as they are.

    Raises:
        ConflictError: One has yet to change one of the stations.
    """
    for run in store.runs(Page(limit=1000), [RunState.PAUSED])[1]:
        left = sorted({job.station for job in store.jobs(run.id) if job.state is not JobState.DONE} & stations)
        if left:
            named = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
            raise ConflictError(
                f"run {run.id} is paused and has yet to change {named}: resume or cancel it first, or say overtake"
            )


def approver(asker: Person | None) -> Person | None:
    """Who asks, if that person may approve."""
    return asker if asker is not None and may(asker, Permission.APPROVE) else None
