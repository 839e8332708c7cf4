"""Gates, decisions and pauses on record."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import pytest

from controller.models.errors import LeaseLostError
from controller.models.run import GateChoice, JobState, JournalStep, Outcome, Policy, Run, RunState, Strategy
from controller.ports.clock import VirtualClock
from controller.store import Claim, JobResult, NewDecision, NewJob, Page, Store, Transition, open_store
from tests.contract.store.test_concurrency import at_once
from tests.support.launch import prepared
from tests.support.records import START, make_entry, make_plan

WAVE, UNIT = Strategy(policy=Policy.WAVE), Strategy(policy=Policy.UNIT)
JOBS = (NewJob(0, "A", "A"), NewJob(0, "B", "A", 1), NewJob(0, "C", "C"), NewJob(1, "D", "D"))


def begin(store: Store, strategy: Strategy, jobs: tuple[NewJob, ...] = JOBS) -> Run:
    """A run whose first wave is open, all of it claimable."""
    plan = make_plan([job.station for job in jobs])
    store.plans.save(plan, "ana")
    run = store.runs.create(prepared(plan, "apply", strategy, jobs, actor="ana"))
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    ready = tuple(job.id for job in store.runs.jobs(run.id) if job.wave == 0)
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, ready=ready))
    return store.runs.get(run.id)


def stand(store: Store, claim: Claim, seq: int = 0) -> bool:
    return store.gates.arrive(claim, 0, make_entry(claim, seq, JournalStep.GATED, "token"))


def decide(store: Store, run: Run, *decisions: NewDecision) -> Transition | None:
    return store.runs.advance(run.id, lambda run, _jobs: Transition(run.state, decisions=decisions), "w-1")


def test_a_wave_that_is_decided_as_a_whole_opens_only_by_what_is_decided(store: Store) -> None:
    plan = make_plan(["A", "B"])
    store.plans.save(plan, "ana")
    jobs = [NewJob(0, "A", "A"), NewJob(0, "B", "A", 1)]
    for strategy, states in ((WAVE, ["waiting", "waiting"]), (Strategy(), ["ready", "waiting"])):
        run = store.runs.create(prepared(plan, "apply", strategy, jobs, actor="ana"))
        store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
        assert [job.state for job in store.runs.jobs(run.id)] == states
        assert [(job.unit, job.rank) for job in store.runs.jobs(run.id)] == [("A", 0), ("A", 1)]


@pytest.mark.parametrize("strategy", [WAVE, UNIT])
def test_the_last_to_stand_learns_that_all_do(store: Store, strategy: Strategy) -> None:
    run = begin(store, strategy)
    one, two, three = store.claims.take(store.processes.register("w"), 10)
    assert [claim.job.station for claim in (one, two, three)] == ["A", "B", "C"]
    assert stand(store, one) is False
    assert stand(store, one) is False  # the same again changes nothing
    assert stand(store, two) is (strategy is UNIT)
    store.claims.finish(three, JobResult(Outcome.DEFERRED))
    assert stand(store, two) is True
    (job, *_) = store.runs.jobs(run.id)
    assert (job.gate, job.gate_until, job.choice) == (0, START, None)
    assert store.journal.find(one.transaction)[-1].step is JournalStep.GATED


def test_a_group_is_decided_once(store: Store, clock: VirtualClock) -> None:
    run = begin(store, UNIT)
    one, *_ = store.claims.take(store.processes.register("w"), 10)
    stand(store, one)
    confirm = NewDecision(0, "A", 0, GateChoice.CONFIRM, "2 prepared")
    assert decide(store, run, confirm) is not None
    assert decide(store, run, NewDecision(0, "A", 0, GateChoice.CANCEL, "too late")) is None
    (decision,) = store.gates.decisions([(run.id, 0), (run.id, 1)])
    assert (decision.unit, decision.choice, decision.by, decision.at) == ("A", GateChoice.CONFIRM, "w-1", clock.now())
    assert [job.choice for job in store.runs.jobs(run.id)] == [GateChoice.CONFIRM, None, None, None]
    (row,) = [row for row in store.audit.page(Page())[1] if row.action.startswith("gate.")]
    assert (row.actor, row.action, row.object, row.detail["unit"]) == ("w-1", "gate.confirm", run.id, "A")
    assert store.audit.verify() is None


def test_whoever_leaves_a_gate_leaves_before_the_decision_or_not_at_all(store: Store) -> None:
    run = begin(store, UNIT)
    one, _, three = store.claims.take(store.processes.register("w"), 10)
    stand(store, one)
    stand(store, three)
    assert store.gates.leave(one, 0) is None
    assert [job.gate for job in store.runs.jobs(run.id)] == [None, None, 0, None]
    decide(store, run, NewDecision(0, "C", 0, GateChoice.CONFIRM))
    decision = store.gates.leave(three, 0)
    assert decision is not None
    assert decision.choice is GateChoice.CONFIRM
    assert store.runs.jobs(run.id)[2].gate == 0


def test_who_lost_the_lease_neither_stands_nor_leaves(store: Store) -> None:
    run = begin(store, UNIT)
    worker = store.processes.register("w")
    one, *_ = store.claims.take(worker, 10)
    stand(store, one)
    assert store.processes.declare_dead(worker, 0)
    for lost in (lambda: stand(store, one, 1), lambda: store.gates.leave(one, 0), lambda: store.gates.arrive(one, 0)):
        with pytest.raises(LeaseLostError):
            lost()
    # It stands there all the same: its device holds what was verified.
    assert store.runs.jobs(run.id)[0].gate == 0
    again, *_ = store.claims.take(store.processes.register("x"), 10)
    assert (again.job.station, again.job.gate, again.recovers) == ("A", 0, True)


def test_what_stands_at_a_gate_leaves_its_place_to_others(store: Store) -> None:
    begin(store, WAVE.model_copy(update={"parallel": 1}))
    worker = store.processes.register("w")
    for _ in "ABC":
        (claim,) = store.claims.take(worker, 10)
        assert store.claims.take(worker, 10) == []
        stand(store, claim)
    assert len(store.claims.find(worker)) == 3


def test_who_can_t_revert_by_itself_goes_after_the_others(store: Store) -> None:
    run = begin(store, WAVE, (NewJob(0, "A", "A"), NewJob(0, "B", "B"), NewJob(0, "R", "R"), NewJob(0, "S", "R", 1)))
    one, two, three, four = store.claims.take(store.processes.register("w"), 10)
    # Where a unit has an order of its own, that holds.
    assert [store.gates.goes_last(claim) for claim in (one, two, three, four)] == [True, True, False, False]
    store.claims.release(one, "goes last", keep_transaction=False, rank=100)
    (job, *_) = store.runs.jobs(run.id)
    assert (job.state, job.rank, job.attempts, job.started) == (JobState.WAITING, 100, 0, None)
    assert store.gates.goes_last(two) is True
    for claim in (three, four):
        stand(store, claim)
    # What goes last too is not waited for.
    assert store.gates.goes_last(two) is False


def test_withdrawn_jobs_are_those_not_begun(store: Store) -> None:
    run = begin(store, UNIT)
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    ids = tuple(job.id for job in store.runs.jobs(run.id)[:2])
    store.runs.advance(run.id, lambda run, _jobs: Transition(run.state, withdrawn=ids, reason="its unit was cancelled"))
    one, two, *_ = store.runs.jobs(run.id)
    assert (one.id, one.state) == (claim.job.id, JobState.CLAIMED)
    assert (two.state, two.outcome, two.detail) == (JobState.DONE, Outcome.WITHDRAWN, "its unit was cancelled")


@pytest.mark.parametrize("strategy", [Strategy(), UNIT, WAVE])
def test_a_pause_puts_back_units_not_begun(store: Store, strategy: Strategy) -> None:
    run = begin(store, strategy)
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 1)
    assert store.runs.pause(run.id, "ana").state is RunState.PAUSED
    assert store.runs.pause(run.id, "ana").state is RunState.PAUSED
    waiting = JobState.WAITING
    third = JobState.READY if strategy is WAVE else waiting
    assert [job.state for job in store.runs.jobs(run.id)] == [JobState.CLAIMED, JobState.READY, third, waiting]
    # What completes a unit that was begun goes on.
    assert [later.job.station for later in store.claims.take(worker, 10)] == (["B", "C"] if strategy is WAVE else ["B"])
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    assert store.runs.resume(run.id, "ana").state is RunState.RUNNING
    assert store.runs.resume(run.id, "ana").state is RunState.RUNNING
    actions = [row.action for row in store.audit.page(Page(limit=100))[1]]
    assert (actions.count("run.pause-requested"), actions.count("run.resumed")) == (1, 1)


def test_a_run_that_was_paused_before_it_began_is_queued_again(store: Store) -> None:
    plan = make_plan(["A"])
    store.plans.save(plan, "ana")
    run = store.runs.create(prepared(plan, "apply", Strategy(), [NewJob(0, "A")], actor="ana"))
    assert store.runs.pause(run.id, "ana").state is RunState.PAUSED
    assert store.claims.take(store.processes.register("w"), 10) == []
    assert store.runs.resume(run.id, "ana").state is RunState.QUEUED
    store.runs.cancel(run.id, "ana")
    assert store.runs.pause(run.id, "ana").state is RunState.CANCELLING


def test_a_decision_and_who_leaves_never_cross(shared_url: str) -> None:
    """Many gates, left and decided at the same moment: each is one or the other."""
    names = [f"S{number}" for number in range(8)]
    jobs = tuple(NewJob(0, name, name) for name in names)
    with closing(open_store(shared_url)) as store:
        run = begin(store, UNIT, jobs)
        claims = store.claims.take(store.processes.register("w"), 10)
        for claim in claims:
            stand(store, claim)

        def race(claims: list[Claim], index: int) -> object:
            claim = claims[index // 2]
            if index % 2:
                return store.gates.leave(claim, 0)
            # As the pure decision does it: only who stands there is confirmed.
            return store.runs.advance(run.id, lambda run, jobs: Transition(run.state, decisions=tuple(
                NewDecision(0, job.unit, 0, GateChoice.CONFIRM)
                for job in jobs if job.unit == claim.job.unit and job.gate is not None and job.choice is None
            )) if any(job.unit == claim.job.unit and job.gate is not None for job in jobs) else None)  # fmt: skip

        left = at_once(2 * len(names), partial(race, claims))[1::2]
        decided = {decision.unit for decision in store.gates.decisions([(run.id, 0)])}
        for claim, decision in zip(claims, left, strict=True):
            stands = next(job.gate for job in store.runs.jobs(run.id) if job.id == claim.job.id) is not None
            assert stands is (decision is not None) is (claim.job.unit in decided)
