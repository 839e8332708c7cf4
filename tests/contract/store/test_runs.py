from __future__ import annotations

from collections.abc import Sequence

import pytest

from controller.models.errors import ConflictError, InputError, NotFoundError
from controller.models.run import Job, JobState, Outcome, Run, RunState, Strategy
from controller.ports.clock import VirtualClock
from controller.store import JobResult, NewJob, Page, Store, Transition
from tests.support.launch import prepared
from tests.support.records import head_of, make_plan, start_run, stations


def test_the_sql_store_is_a_store(store: Store) -> None:
    port: Store = store
    assert port.runs.active() == []


def test_plans_come_back_equal_and_newest_first(store: Store) -> None:
    first, second = make_plan(stations(5), edits=3), make_plan(["B", "A"])
    empty = make_plan([])
    for plan in (first, second, first, empty):
        store.plans.save(plan, "ana")
    assert store.plans.get(first.id) == first
    assert store.plans.get(second.id) == second
    assert store.plans.get(empty.id) == empty
    assert store.plans.page(Page(limit=2)) == (3, [head_of(empty), head_of(second)])
    assert store.plans.page(Page(limit=2, offset=2)) == (3, [head_of(first)])
    with pytest.raises(NotFoundError):
        store.plans.get("000000000000")


def test_a_plan_with_a_taken_id_is_refused(store: Store) -> None:
    plan = make_plan(["A"])
    store.plans.save(plan, "ana")
    with pytest.raises(ConflictError):
        store.plans.save(plan.model_copy(update={"digest": "f" * 64}), "ana")


def test_a_new_run_is_queued_with_waiting_jobs(store: Store) -> None:
    plan = make_plan(stations(3))
    store.plans.save(plan, "ana")
    jobs = [NewJob(1, "PE-00002"), NewJob(1, "PE-00001"), NewJob(0, "PE-00000")]
    run = store.runs.create(prepared(plan, "apply", Strategy(canary=2), jobs, actor="ana", reason="new tenant"))
    assert run == store.runs.get(run.id)
    assert (run.state, run.waves, run.counts) == (RunState.QUEUED, 2, {"pending": 3})
    assert (run.strategy.canary, run.requested_by, run.reason) == (2, "ana", "new tenant")
    assert [(job.wave, job.station, job.state) for job in store.runs.jobs(run.id)] == [
        (0, "PE-00000", JobState.WAITING),
        (1, "PE-00001", JobState.WAITING),
        (1, "PE-00002", JobState.WAITING),
    ]
    assert store.runs.active() == [run.id]


def test_a_run_needs_its_plan_on_record_and_changes_for_its_jobs(store: Store) -> None:
    plan = make_plan(["A"])
    with pytest.raises(NotFoundError):
        store.runs.create(prepared(plan, "apply", Strategy(), [NewJob(0, "A")], actor="ana"))
    store.plans.save(plan, "ana")
    with pytest.raises(InputError, match="nothing on B"):
        store.runs.create(prepared(plan, "apply", Strategy(), [NewJob(0, "B")], actor="ana"))
    assert store.runs.page(Page()) == (0, [])


def test_an_idempotency_key_gives_the_same_run_or_a_conflict(store: Store) -> None:
    plan, other = make_plan(["A"]), make_plan(["B"])
    store.plans.save(plan, "ana")
    store.plans.save(other, "ana")

    def create(of: str) -> Run:
        chosen = plan if of == "A" else other
        jobs = [NewJob(0, of)]
        return store.runs.create(prepared(chosen, "apply", Strategy(), jobs, actor="ana", key="k"))

    assert create("A").id == create("A").id
    with pytest.raises(ConflictError):
        create("B")
    assert store.runs.page(Page())[0] == 1


def test_a_key_is_nobody_elses(store: Store) -> None:
    plan, other = make_plan(["A"]), make_plan(["B"])
    store.plans.save(plan, "ana")
    store.plans.save(other, "ana")

    def create(of: str, cause: str, actor: str, key: str = "alarm:a-1") -> str:
        chosen = plan if of == "A" else other
        made = store.runs.create(
            prepared(chosen, "apply", Strategy(), [NewJob(0, of)], cause=cause, actor=actor, key=key)
        )
        return made.id

    # Whoever takes a key that automation will use, or somebody else's, takes it for themselves only.
    taken = create("A", "person", "ana")
    repair = create("B", "alarm:a-1", "core-link")
    toms = create("B", "person", "tom")
    assert len({taken, repair, toms}) == 3
    assert create("B", "alarm:a-1", "core-link-renamed") == repair, "an alarm has one run a key"
    assert (create("A", "person", "ana"), create("B", "person", "tom")) == (taken, toms)
    assert create("A", "person", "a", key="b c") != create("A", "person", "a.b", key="c")


def test_runs_are_listed_newest_first_by_state(store: Store) -> None:
    runs = [start_run(store, ["A"], salt=str(number)) for number in range(3)]
    store.runs.cancel(runs[1].id, "ana")
    total, listed = store.runs.page(Page(limit=2))
    assert (total, [run.id for run in listed]) == (3, [runs[2].id, runs[1].id])
    total, listed = store.runs.page(Page(), [RunState.CANCELLING])
    assert (total, [run.id for run in listed]) == (1, [runs[1].id])


def test_advance_opens_waves_and_keeps_times(store: Store, clock: VirtualClock) -> None:
    run = start_run(store, stations(4), waves=2)
    assert run.started == clock.now()
    clock.pause(5)
    seen: list[tuple[Run, list[Job]]] = []

    def decide(run: Run, jobs: Sequence[Job]) -> Transition:
        seen.append((run, list(jobs)))
        return Transition(RunState.RUNNING, wave=1, reason="first wave is good")

    transition = store.runs.advance(run.id, decide)
    assert transition is not None
    assert transition.wave == 1
    assert seen == [(run, [job for job in seen[0][1] if job.run == run.id])]
    assert [job.state for job in seen[0][1]] == [JobState.READY] * 2 + [JobState.WAITING] * 2
    assert [job.state for job in store.runs.jobs(run.id)] == [JobState.READY] * 4
    after = store.runs.get(run.id)
    assert (after.wave, after.started) == (1, run.started)


def test_advance_may_decide_nothing(store: Store) -> None:
    run = start_run(store, ["A"])
    before = store.audit.page(Page())[0]
    assert store.runs.advance(run.id, lambda _run, _jobs: None) is None
    assert store.runs.get(run.id) == run
    assert store.audit.page(Page())[0] == before
    with pytest.raises(NotFoundError):
        store.runs.advance("r-none", lambda _run, _jobs: None)


def test_advance_that_raises_changes_nothing(store: Store) -> None:
    run = start_run(store, ["A"])

    def decide(_run: Run, _jobs: Sequence[Job]) -> Transition:
        raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        store.runs.advance(run.id, decide)
    assert store.runs.get(run.id) == run


def test_a_run_does_not_end_with_open_jobs(store: Store) -> None:
    run = start_run(store, ["A"])
    with pytest.raises(ConflictError):
        store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.SUCCEEDED))
    assert store.runs.get(run.id).state is RunState.RUNNING


def test_cancelling_ends_what_was_not_claimed_and_a_terminal_run_stays(store: Store, clock: VirtualClock) -> None:
    run = start_run(store, stations(3), strategy=Strategy(parallel=1))
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 10)
    assert store.runs.cancel(run.id, "ana").state is RunState.CANCELLING
    assert store.claims.take(worker, 10) == []
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.CANCELLING, cancel_rest=True))
    assert store.runs.get(run.id).counts == {"pending": 1, "cancelled": 2}
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.CANCELLED))
    ended = store.runs.get(run.id)
    assert (ended.state, ended.finished) == (RunState.CANCELLED, clock.now())
    assert ended.counts == {"succeeded": 1, "cancelled": 2}
    assert store.runs.cancel(run.id, "ana") == ended
    assert store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING)) is None
    assert store.runs.active() == []


def test_cancelling_spares_a_job_that_must_recover(store: Store) -> None:
    run = start_run(store, stations(2), strategy=Strategy(parallel=1))
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 10)
    store.claims.release(claim, "stopping", keep_transaction=True)
    store.runs.cancel(run.id, "ana")
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.CANCELLING, cancel_rest=True))
    assert (
        store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.CANCELLING, cancel_rest=True)) is None
    )  # nothing but the recovery is left to wait for
    assert [(job.state, job.outcome) for job in store.runs.jobs(run.id)] == [
        (JobState.READY, None),
        (JobState.DONE, Outcome.CANCELLED),
    ]
    (again,) = store.claims.take(worker, 10)
    assert (again.job.id, again.recovers, again.transaction) == (claim.job.id, True, claim.transaction)


def test_a_run_of_nothing_can_end(store: Store) -> None:
    plan = make_plan([])
    store.plans.save(plan, "ana")
    run = store.runs.create(prepared(plan, "apply", Strategy(), [], actor="ana"))
    assert (run.waves, run.counts) == (0, {})
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.SUCCEEDED))
    assert store.runs.get(run.id).state is RunState.SUCCEEDED
