"""Jobs whose devices were away, on record: they wait to be tried again, for as long as their run is patient."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.models.approval import PartyWindows
from controller.models.errors import LeaseLostError
from controller.models.run import INSIDE, GateChoice, JobState, Outcome, Policy, Run, RunState, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.models.step import StepRecord, StepState
from controller.ports.clock import VirtualClock
from controller.runs.approval.clearance import clearances
from controller.store import JobResult, NewDecision, NewJob, Page, Soak, Store, Transition
from tests.contract.store.test_approvals import FREE, constraints, say
from tests.contract.store.test_gates import decide, stand
from tests.support.launch import prepared
from tests.support.records import START, make_entry, make_plan

AWAY = JobResult(Outcome.DEFERRED, "A: no route")


def begin(store: Store, policy: Policy = Policy.STATION, *, unit: bool = False) -> Run:
    """Two stations of one wave, and one of the next; patient for two minutes."""
    plan = make_plan(["A", "B", "C"])
    store.plans.save(plan, "ana")
    jobs = [NewJob(0, "A", "U" if unit else ""), NewJob(0, "B", "U" if unit else ""), NewJob(1, "C")]
    strategy = Strategy(policy=policy, patience=120)
    bound = constraints("A", "B", "C")
    window = (MaintenanceWindow.model_validate({"start": "01:00", "end": "00:59"}),)
    group = bound.groups[0].model_copy(update={"windows": (PartyWindows(windows=window),)})
    run = store.runs.create(prepared(
        plan, "apply", strategy, jobs, actor="ana", constraints=bound.model_copy(update={"groups": (group,)})
    ))  # fmt: skip
    say(store, FREE)
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    ready = tuple(job.id for job in store.runs.jobs(run.id)[:2])
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, ready=ready))
    return run


def look(store: Store, clock: VirtualClock) -> None:
    store.approvals.reassess(lambda standing: clearances(standing, clock.now()), {})


def test_a_job_whose_device_is_away_waits_as_if_it_had_never_begun(store: Store, clock: VirtualClock) -> None:
    run = begin(store)
    worker = store.processes.register("w")
    one, _ = store.claims.take(worker, 10)
    since = clock.now()
    for _ in range(2):  # the same again changes nothing
        store.claims.finish(one, AWAY)
    job = store.runs.jobs(run.id)[0]
    assert (job.state, job.round, job.attempts, job.outcome) == (JobState.WAITING, 1, 0, None)
    assert (job.started, job.detail, job.deferred) == (None, "A: no route", since)
    assert job.blocked == "could not be reached or was busy"
    assert not store.claims.busy(["A"])
    with pytest.raises(LeaseLostError):
        store.journal.append(make_entry(one, 9), one)
    rows = [row for row in store.audit.page(Page(limit=1000))[1] if row.object == job.id]
    assert [(row.action, row.detail["outcome"]) for row in rows] == [("job.postponed", "deferred")]
    assert store.status.figures()["minka_jobs_away"] == {(): 1.0}

    look(store, clock)
    assert store.runs.jobs(run.id)[0].blocked.startswith("could not be reached or was busy, tried again ")
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, ready=(job.id,)))
    clock.pause(59)
    look(store, clock)
    assert store.claims.take(worker, 10) == []
    clock.pause(1)
    look(store, clock)
    (again,) = store.claims.take(worker, 10)
    assert (again.recovers, again.job.deferred) == (False, since)
    assert again.transaction != one.transaction

    clock.pause(61)  # patience has run out
    store.claims.finish(again, AWAY)
    job = store.runs.jobs(run.id)[0]
    assert (job.state, job.outcome, job.deferred) == (JobState.DONE, Outcome.DEFERRED, since)
    assert store.status.figures()["minka_jobs_away"] == {(): 0.0}
    assert store.audit.verify() is None


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.DEFERRED])
def test_only_who_was_away_is_tried_again(store: Store, outcome: Outcome) -> None:
    run = begin(store)
    one, _ = store.claims.take(store.processes.register("w"), 10)
    store.claims.finish(one, JobResult(outcome))
    assert store.runs.jobs(run.id)[0].outcome is outcome


@pytest.mark.parametrize("operated", [False, True])
def test_a_playbook_is_tried_from_its_first_step_unless_it_operated(store: Store, operated: bool) -> None:
    run = begin(store)
    one, _ = store.claims.take(store.processes.register("w"), 10)
    row = StepRecord(
        job=one.job.id, position=0, name="look", action="read-state", state=StepState.DONE, inputs={}, started=START
    )
    store.steps.write(row, one)
    store.claims.finish(one, replace(AWAY, operated=operated))
    job = store.runs.jobs(run.id)[0]
    assert (job.outcome, len(store.steps.find(job.id))) == ((Outcome.DEFERRED, 1) if operated else (None, 0))


@pytest.mark.parametrize("unit", [False, True])
def test_its_wave_stands_without_it_and_its_unit(store: Store, unit: bool) -> None:
    begin(store, unit=unit)
    one, two = store.claims.take(store.processes.register("w"), 10)
    assert store.gates.soak(two, 5) == Soak(2, "")
    store.claims.finish(one, AWAY)
    assert store.gates.soak(two, 5) == Soak(0 if unit else 1, "")


def test_a_unit_does_not_hurry_who_was_away_and_a_wave_does(store: Store, clock: VirtualClock) -> None:
    worker = store.processes.register("w")
    for policy, unit in ((Policy.UNIT, "U"), (Policy.WAVE, "")):
        run = begin(store, policy, unit=True)
        one, two = store.claims.take(worker, 10)
        store.claims.finish(one, AWAY)
        decide(store, run, NewDecision(0, unit, 0, GateChoice.POSTPONE, "A was away"))
        look(store, clock)
        assert bool(store.runs.jobs(run.id)[0].blocked) is (policy is Policy.UNIT)
        store.claims.finish(two, JobResult(Outcome.WITHDRAWN))
        store.runs.cancel(run.id, "ana")
        store.runs.advance(run.id, lambda run, _jobs: Transition(run.state, cancel_rest=True))


def test_who_follows_later_keeps_nobody_at_the_gate(store: Store) -> None:
    begin(store, Policy.WAVE)
    one, two = store.claims.take(store.processes.register("w"), 10)
    assert store.gates.goes_last(two)
    store.claims.finish(one, AWAY)
    assert not store.gates.goes_last(two)
    assert stand(store, two)


def test_what_was_cancelled_is_so_for_who_follows(store: Store, clock: VirtualClock) -> None:
    run = begin(store, Policy.WAVE)
    one, _ = store.claims.take(store.processes.register("w"), 10)
    store.claims.finish(one, AWAY)
    decide(store, run, NewDecision(0, "", 0, GateChoice.CANCEL, "B ended failed-safe"))
    assert store.runs.jobs(run.id)[0].choice is GateChoice.CANCEL


def test_a_window_that_binds_what_was_begun_binds_who_follows(store: Store, clock: VirtualClock) -> None:
    """Also when a later wave is open by then."""
    run = begin(store, Policy.WAVE)
    worker = store.processes.register("w")
    one, two = store.claims.take(worker, 10)
    store.claims.finish(one, AWAY)
    store.claims.finish(two, JobResult(Outcome.SUCCEEDED))
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=1, ready=(one.job.id,)))
    standing = store.approvals.standing(run.id)
    assert standing is not None
    assert standing.away == {"A": clock.now() + timedelta(seconds=60)}
    clock.pause(60)
    look(store, clock)
    assert [claim.job.station for claim in store.claims.take(worker, 10)] == ["A"]
    standing = store.approvals.standing(run.id)
    assert standing is not None
    assert not standing.away
    assert standing.begun == {"A", "B"}


def test_a_station_is_owed_what_its_function_took(store: Store) -> None:
    """It is claimable in a cancelled run, and nothing but a hold keeps it, once its function was begun."""
    plan = make_plan(["A", "B", "C"])
    store.plans.save(plan, "ana")
    jobs = [NewJob(0, "A", "U"), NewJob(0, "B", "U", max(INSIDE)), NewJob(0, "C", "V", max(INSIDE))]
    bound = constraints("A", "B", "C")
    run = store.runs.create(prepared(plan, "apply", Strategy(canary=0), jobs, actor="ana", constraints=bound))
    say(store, FREE)
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))

    def look() -> frozenset[str]:
        store.approvals.reassess(lambda standing: clearances(standing, START), {})
        standing = store.approvals.standing(run.id)
        assert standing is not None
        return standing.owed

    assert look() == frozenset()
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 10)
    assert look() == {"B"}
    store.runs.cancel(run.id, "ana")
    function, mine, _ = store.runs.jobs(run.id)
    assert store.runs.mates(mine) == [function, mine]
    spared = Transition(RunState.CANCELLING, cancel_rest=True, spared=(mine.id,), ready=())
    store.runs.advance(run.id, lambda _run, _jobs: spared)
    assert [job.outcome for job in store.runs.jobs(run.id)] == [None, None, Outcome.CANCELLED]
    store.claims.finish(claim, JobResult(Outcome.ROLLED_BACK))
    assert look() == {"B"}
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.CANCELLING, ready=(mine.id,)))
    (again,) = store.claims.take(worker, 10)
    assert again.job.id == mine.id
    assert look() == frozenset()
