"""Whose turn it is among runs on the same stations, and which of them are begun together, on every database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.models.approval import PartyWindows
from controller.models.run import GateChoice, Outcome, Policy, Run, RunState, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.ports.clock import VirtualClock
from controller.store import JobResult, NewDecision, NewJob, Store, Transition
from tests.contract.store.test_approvals import FREE, WAITS, constraints, say, start
from tests.support.launch import prepared
from tests.support.records import make_plan


def test_sides_take_turns_before_runs_do(store: Store) -> None:
    big = [start(store, *(f"E{n}-{m}" for m in range(20)), subject=f"e{n}") for n in range(3)]
    other = start(store, "B1", "B2", "B3", subject="b", side="bitel")
    claims = store.claims.take(store.processes.register("w"), 6)
    assert [claim.run.id for claim in claims] == [big[0].id, other.id, big[1].id, other.id, big[2].id, other.id]


def test_whoever_waits_for_a_device_gets_it_next(store: Store) -> None:
    """However many jobs a side has, one of another side waits for no more than what is under way."""
    start(store, *(f"S{n}" for n in range(30)), subject="e")
    small = start(store, "S0", "S7", subject="b", side="bitel")
    worker = store.processes.register("w")
    first = store.claims.take(worker, 4)
    assert {claim.job.station for claim in first if claim.run.id == small.id} == {"S7"}
    assert "S0" in {claim.job.station for claim in first}
    for claim in first:
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    assert small.id in {claim.run.id for claim in store.claims.take(worker, 2)}


def together(
    store: Store, *stations: str, subject: str, policy: Policy = Policy.WAVE, waves: int = 1, units: bool = False
) -> Run:
    """A run whose stations of a wave are decided together; nothing of it is cleared yet.

    All of it is one unit, or each station is one of its own if ``units``.
    """
    plan = make_plan(stations, subject)
    store.plans.save(plan, "ana")
    return store.runs.create(
        prepared(
            plan,
            "apply",
            Strategy(policy=policy),
            [NewJob(n * waves // len(stations), one, "" if units else stations[0]) for n, one in enumerate(stations)],
            actor="ana",
            constraints=constraints(*stations, subject=subject),
        )
    )


def open_wave(store: Store, run: Run) -> None:
    """Open the first wave, all of it claimable at once."""
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    ready = tuple(job.id for job in store.runs.jobs(run.id) if job.wave == 0)
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, ready=ready))


def subject_of(store: Store, run: Run) -> str:
    """What people approve of a run: each has a subject of its own."""
    standing = store.approvals.standing(run.id)
    assert standing is not None
    return standing.constraints.subject


def waits(store: Store, run: Run) -> bool:
    return any("decided together" in reason for reason in store.runs.get(run.id).waits)


def test_groups_that_share_a_station_are_not_under_way_at_once(store: Store) -> None:
    """Each would hold what the other waits for."""
    one = together(store, "A", "B", subject="one")
    other = together(store, "B", "C", subject="other", policy=Policy.UNIT)
    apart = together(store, "D", "E", subject="apart")
    single = start(store, "A", subject="single")
    say(store, FREE)
    assert [waits(store, run) for run in (one, other, apart, single)] == [False, True, False, False]
    assert set(store.runs.get(other.id).waits) == {f"run {one.id} works on B and others that are decided together"}
    open_wave(store, one)
    worker = store.processes.register("w")
    for claim in store.claims.take(worker, 10):
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    say(store, FREE)
    assert not waits(store, other)


def test_who_was_postponed_keeps_nobody(store: Store) -> None:
    """Until its next window, or for as long as a hold stands."""
    one = together(store, "A", "B", subject="one", policy=Policy.UNIT)
    mine = subject_of(store, one)
    other = together(store, "B", "C", subject="other")
    say(store, FREE)
    open_wave(store, one)
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    choice = NewDecision(0, "A", 0, GateChoice.POSTPONE)
    store.runs.advance(one.id, lambda run, _jobs: Transition(run.state, decisions=(choice,)))
    store.claims.finish(claim, JobResult(Outcome.WITHDRAWN))
    store.runs.advance(one.id, lambda run, jobs: Transition(run.state, postponed=(jobs[1].id,)))
    say(store, FREE)
    assert [waits(store, run) for run in (one, other)] == [False, True]  # its turn is the first still
    store.approvals.reassess(
        lambda standing: {"A": WAITS if standing.constraints.subject == mine else FREE, "B": FREE, "C": FREE}, {}
    )
    assert [waits(store, run) for run in (one, other)] == [False, False]


def test_units_that_begin_anew_wait_each_for_themselves(store: Store) -> None:
    """One of them was away, say, and keeps nobody; the other one may begin at any moment, or has begun."""
    one = together(store, "A", "B", subject="one", policy=Policy.UNIT, units=True)
    mine = subject_of(store, one)
    others = [together(store, "B", "C", subject="b"), together(store, "A", "D", subject="a")]
    say(store, FREE)
    open_wave(store, one)
    worker = store.processes.register("w")
    for claim in store.claims.take(worker, 2):
        choice = NewDecision(0, claim.job.unit, 0, GateChoice.POSTPONE)
        store.runs.advance(one.id, lambda run, _jobs, new=choice: Transition(run.state, decisions=(new,)))  # type: ignore[misc]
        store.claims.finish(claim, JobResult(Outcome.WITHDRAWN))
    said = {"A": WAITS, "B": FREE}
    for _ in range(2):
        store.approvals.reassess(
            lambda standing: said if standing.constraints.subject == mine else dict.fromkeys("ABCD", FREE), {}
        )
        assert [waits(store, run) for run in (one, *others)] == [False, True, False]
        store.runs.advance(one.id, lambda run, jobs: Transition(run.state, ready=(jobs[1].id,)))
        store.claims.take(worker, 1)


@pytest.mark.parametrize("policy", list(Policy))
def test_what_is_decided_together_is_begun_together(store: Store, policy: Policy) -> None:
    plan = make_plan(["A", "B", "C"])
    store.plans.save(plan, "ana")
    bound = constraints("A", "B", "C")
    window = (MaintenanceWindow.model_validate({"start": "01:00", "end": "05:00"}),)
    group = bound.groups[0].model_copy(update={"windows": (PartyWindows(windows=window),)})
    jobs = [NewJob(0, "A", "U"), NewJob(0, "B", "U"), NewJob(0, "C", "C")]
    run = store.runs.create(prepared(
        plan, "apply", Strategy(policy=policy), jobs, actor="ana",
        constraints=bound.model_copy(update={"groups": (group,)}),
    ))  # fmt: skip

    def begun() -> frozenset[str]:
        standing = store.approvals.standing(run.id)
        assert standing is not None
        return standing.begun

    open_wave(store, run)
    assert begun() == frozenset()
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    assert begun() == frozenset({Policy.STATION: "", Policy.UNIT: "C", Policy.WAVE: "ABC"}[policy])
    choice = NewDecision(0, "" if policy is Policy.WAVE else claim.job.unit, 0, GateChoice.POSTPONE)
    store.runs.advance(run.id, lambda run, _jobs: Transition(run.state, decisions=(choice,)))
    store.claims.finish(claim, JobResult(Outcome.WITHDRAWN))
    assert begun() == frozenset()


def test_who_may_not_begin_keeps_nobody(store: Store) -> None:
    one, other = together(store, "A", "B", subject="one"), together(store, "B", "A", subject="other")
    mine = subject_of(store, one)
    store.approvals.reassess(
        lambda standing: {"A": WAITS if standing.constraints.subject == mine else FREE, "B": FREE}, {}
    )
    assert [waits(store, run) for run in (one, other)] == [False, False]
    open_wave(store, other)
    assert len(store.claims.take(store.processes.register("w"), 1)) == 1
    say(store, FREE)
    assert [waits(store, run) for run in (one, other)] == [True, False]


def test_the_next_wave_waits_before_it_is_opened(store: Store) -> None:
    one = together(store, "A", "B", subject="one", waves=2)
    mine = subject_of(store, one)
    other = together(store, "B", subject="other")
    open_wave(store, one)
    open_wave(store, other)
    worker = store.processes.register("w")
    store.approvals.reassess(
        lambda standing: {"A": FREE, "B": WAITS if standing.constraints.subject == mine else FREE}, {}
    )
    assert {claim.job.station for claim in store.claims.take(worker, 10)} == {"A", "B"}
    say(store, FREE)
    assert {job.station: bool(job.blocked) for job in store.runs.jobs(one.id)} == {"A": False, "B": True}


def test_only_who_waits_for_a_worker_counts_as_waiting_for_one(store: Store, clock: VirtualClock) -> None:
    """Else people are called when a run waits for its window."""

    def age() -> float:
        return store.status.figures()["minka_oldest_claimable_job_age_seconds"][()]

    def passes(seconds: float) -> float:
        clock.pause(seconds)
        return age()

    start(store, "A", subject="one")
    start(store, "A", subject="other")
    say(store, WAITS)
    assert passes(3600) == 0.0
    say(store, FREE)
    assert passes(5) == 5.0
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 10)
    assert passes(60) == 0.0  # the other one waits for the device
    store.claims.release(claim, "asks a person", keep_transaction=True, until=clock.now() + timedelta(seconds=600))
    assert passes(60) == 0.0
    assert passes(600) == 60.0
    assert store.processes.declare_dead(worker, 0)
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    assert age() > 600.0
