from __future__ import annotations

from dataclasses import replace

import pytest

from controller.models.errors import ConflictError, LeaseLostError
from controller.models.plan import LedgerNode
from controller.models.process import ProcessRole
from controller.models.run import JobState, JournalStep, LedgerEntry, Outcome, Strategy
from controller.models.step import StepRecord, StepState, transaction_of
from controller.ports.clock import VirtualClock
from controller.store import JobResult, Page, Store
from tests.support.records import START, make_change, make_entry, make_network, start_run, stations


def test_a_claim_carries_all_that_a_transaction_needs(store: Store, clock: VirtualClock) -> None:
    run = start_run(store, stations(2))
    worker = store.processes.register("w")
    claims = store.claims.take(worker, 10)
    assert [claim.job.station for claim in claims] == stations(2)
    claim = claims[0]
    assert claim.change == make_change("PE-00000")
    assert (claim.run.id, claim.network_digest) == (run.id, make_network()[0])
    assert (claim.fence, claim.incarnation, claim.recovers) == (1, worker, False)
    assert (claim.job.state, claim.job.attempts, claim.job.started) == (JobState.CLAIMED, 1, clock.now())
    assert claim.job == store.runs.jobs(run.id)[0]
    assert claims[0].transaction != claims[1].transaction
    assert store.claims.find(worker) == claims
    assert store.claims.take(worker, 10) == []


def test_a_claim_is_limited_and_never_exceeds_a_runs_parallel(store: Store) -> None:
    run = start_run(store, stations(5), strategy=Strategy(parallel=3))
    worker, other = store.processes.register("w"), store.processes.register("x")
    first = store.claims.take(worker, 2)
    assert len(first) == 2
    assert len(store.claims.take(other, 10)) == 1
    assert store.claims.take(worker, 10) == []
    store.claims.finish(first[0], JobResult(Outcome.SUCCEEDED))
    assert len(store.claims.take(worker, 10)) == 1
    assert store.runs.get(run.id).counts == {"succeeded": 1, "pending": 4}


def test_runs_take_turns(store: Store) -> None:
    big = start_run(store, stations(50), salt="big")
    small = start_run(store, ["X-1", "X-2"], salt="small")
    claims = store.claims.take(store.processes.register("w"), 5)
    assert [claim.run.id for claim in claims] == [big.id, small.id, big.id, small.id, big.id]


def test_a_device_has_one_writer_and_the_next_run_waits(store: Store) -> None:
    first, second = start_run(store, ["A"], salt="1"), start_run(store, ["A"], salt="2")
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 10)
    assert claim.run.id == first.id
    assert store.claims.take(worker, 10) == []
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    (later,) = store.claims.take(worker, 10)
    assert (later.run.id, later.fence, later.recovers) == (second.id, 2, False)
    assert later.transaction != claim.transaction


def test_jobs_of_later_waves_are_not_claimable(store: Store) -> None:
    start_run(store, stations(4), waves=2)
    assert [claim.job.wave for claim in store.claims.take(store.processes.register("w"), 10)] == [0, 0]


def test_workers_get_fair_portions(store: Store) -> None:
    start_run(store, stations(9))
    store.processes.register("s", ProcessRole.SCHEDULER)
    first, second = store.processes.register("w"), store.processes.register("x")
    mine = store.claims.take(first, 100)
    assert (len(mine), len(store.claims.take(first, 100))) == (5, 0)
    assert len(store.claims.take(second, 2)) == 2
    # The first is done with three of its five, the second with none: four more are shared out by what both have.
    for claim in mine[:3]:
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    assert len(store.claims.take(first, 100)) == 1
    assert len(store.claims.take(second, 100)) == 1
    assert store.processes.declare_dead(second, 0)
    assert len(store.claims.take(first, 100)) == 3


def test_what_waits_at_a_gate_is_no_part_of_a_portion(store: Store) -> None:
    start_run(store, stations(4))
    first, _second = store.processes.register("w"), store.processes.register("x")
    for claim in store.claims.take(first, 100):
        store.gates.arrive(claim, 0)
    assert len(store.claims.take(first, 100)) == 1


def test_a_worker_declared_dead_loses_everything_to_the_next(store: Store) -> None:
    run = start_run(store, ["A"])
    dead, successor = store.processes.register("w"), store.processes.register("w")
    (claim,) = store.claims.take(dead, 10)
    store.journal.append(make_entry(claim, 0), claim)
    store.processes.heartbeat(dead)
    assert not store.processes.declare_dead(dead, 0)
    assert store.processes.declare_dead(dead, 1)
    assert not store.processes.declare_dead(dead, 1)
    assert [incarnation.id for incarnation in store.processes.alive()] == [successor]

    for late in (
        lambda: store.journal.append(make_entry(claim, 1), claim),
        lambda: store.claims.finish(claim, JobResult(Outcome.SUCCEEDED)),
        lambda: store.claims.release(claim, "", keep_transaction=True),
        lambda: store.processes.heartbeat(dead),
        lambda: store.claims.take(dead, 1),
    ):
        with pytest.raises(LeaseLostError):
            late()

    (taken,) = store.claims.take(successor, 10)
    assert (taken.transaction, taken.fence, taken.recovers, taken.job.attempts) == (claim.transaction, 2, True, 2)
    with pytest.raises(LeaseLostError):
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    store.journal.append(make_entry(taken, 1, JournalStep.CANCELLING), taken)
    store.claims.finish(taken, JobResult(Outcome.ROLLED_BACK, "reverted"))
    store.claims.finish(taken, JobResult(Outcome.ROLLED_BACK, "reverted"))  # its answer was lost
    with pytest.raises(LeaseLostError):
        store.claims.finish(claim, JobResult(Outcome.ROLLED_BACK, "reverted"))  # the same, but no act of its own
    assert [entry.step for entry in store.journal.find(claim.transaction)] == [
        JournalStep.OPENED,
        JournalStep.CANCELLING,
        JournalStep.FINISHED,
    ]
    assert store.runs.get(run.id).counts == {"rolled-back": 1}


def test_an_unresolved_transaction_keeps_its_device_for_its_job(store: Store) -> None:
    run = start_run(store, ["A"], salt="1")
    start_run(store, ["A"], salt="2")
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 1)
    store.claims.release(claim, "stopped at a safe point", keep_transaction=True)
    (again,) = store.claims.take(worker, 10)
    assert (again.job.id, again.transaction, again.recovers) == (claim.job.id, claim.transaction, True)
    assert again.job.detail == "stopped at a safe point"
    assert store.processes.declare_dead(worker, 0)
    worker = store.processes.register("w")
    (again,) = store.claims.take(worker, 10)
    store.claims.release(again, "nothing was sent", keep_transaction=False)
    # Whoever had it before, nothing of it is left: it has not begun.
    assert store.runs.jobs(run.id)[0].started is None
    (fresh,) = store.claims.take(worker, 10)
    assert (fresh.transaction == claim.transaction, fresh.recovers, fresh.fence) == (False, False, 4)


def test_stations_that_someone_is_at_or_must_recover_are_leased(store: Store) -> None:
    start_run(store, stations(3))
    first, second, third = store.claims.take(store.processes.register("w"), 10)
    store.claims.finish(first, JobResult(Outcome.SUCCEEDED))
    store.claims.release(second, "", keep_transaction=True)
    assert store.claims.busy([*stations(3), "unknown"]) == {second.job.station, third.job.station}
    assert store.claims.busy(["PE-00000"]) == frozenset()


def test_the_journal_keeps_persist_tokens_and_refuses_what_is_not_its_own(store: Store) -> None:
    start_run(store, stations(2))
    one, two = store.claims.take(store.processes.register("w"), 10)
    entries = [make_entry(one, 0), make_entry(one, 1, JournalStep.COMMITTING, persist="p-1")]
    for entry in entries:
        store.journal.append(entry, one)
        store.journal.append(entry, one)  # its answer was lost
    assert store.journal.find(one.transaction) == entries
    with pytest.raises(ConflictError):
        store.journal.append(make_entry(one, 1, JournalStep.PREPARED), one)
    with pytest.raises(ConflictError):
        store.journal.append(make_entry(one, 2), two)
    assert store.journal.find(two.transaction) == []


def test_finishing_is_one_act(store: Store, clock: VirtualClock) -> None:
    digest = make_network()[0]
    store.devices.adopt(
        "A", [LedgerNode(path="/old", owners=("host",)), LedgerNode(path="/both", owners=("host",))], digest, "ana"
    )
    run = start_run(store, ["A"])
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    clock.pause(60)
    gained = (LedgerNode(path="/new", owners=("bitel", "entel")), LedgerNode(path="/both", owners=("entel",)))
    result = JobResult(Outcome.SUCCEEDED, "on air", gained=gained, lost=("/old", "/never-there"), applied=True)
    store.claims.finish(claim, result)
    store.claims.finish(claim, result)  # its answer was lost
    assert store.ledger.find(["A"]) == {
        "A": {
            "/new": LedgerEntry(station="A", path="/new", owners=("bitel", "entel"), plan=run.plan),
            "/both": LedgerEntry(station="A", path="/both", owners=("entel",), plan=run.plan),
        }
    }
    device = store.devices.find()["A"]
    assert (device.adopted, device.applied) == (claim.job.started, clock.now())
    (job,) = store.runs.jobs(run.id)
    assert (job.state, job.outcome, job.detail, job.finished) == (
        JobState.DONE,
        Outcome.SUCCEEDED,
        "on air",
        clock.now(),
    )
    row = store.audit.page(Page(limit=1))[1][0]
    assert (row.action, row.object, row.detail["outcome"]) == ("job.finished", job.id, "succeeded")
    assert [entry.step for entry in store.journal.find(claim.transaction)] == [JournalStep.FINISHED]
    assert store.audit.verify() is None
    with pytest.raises(LeaseLostError):
        store.claims.finish(claim, JobResult(Outcome.FAILED_SAFE))


def test_a_failed_job_leaves_ledger_and_device_alone(store: Store) -> None:
    start_run(store, ["A"])
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    store.claims.finish(claim, JobResult(Outcome.FAILED_SAFE, "refused"))
    assert store.ledger.find() == {}
    assert store.devices.find() == {}


def test_what_an_ended_job_edited_last_is_known_with_its_change(store: Store) -> None:
    worker, edited = store.processes.register("w"), None
    for salt, steps in enumerate(([JournalStep.READ], [JournalStep.READ, JournalStep.EDITING], [JournalStep.READ])):
        start_run(store, ["A"], salt=str(salt))
        (claim,) = store.claims.take(worker, 10)
        for seq, step in enumerate(steps):
            store.journal.append(make_entry(claim, seq, step), claim)
        assert store.journal.edited_earlier("A") == edited, "of ended jobs only"
        store.claims.finish(claim, JobResult(Outcome.FAILED_SAFE))
        if JournalStep.EDITING in steps:
            edited = claim.change, 0
    assert edited is not None
    assert store.journal.edited_earlier("A") == edited
    assert store.journal.edited_earlier("B") is None


def test_what_an_ended_job_of_a_playbook_edited_last_is_the_change_of_its_step(store: Store) -> None:
    """Each attempt and each undo of a step is a transaction of its own, with a change of its own on record."""
    worker, edited = store.processes.register("w"), None
    acts = [(0, False, 1), (0, False, 2), (1, False, 1), (0, True, 1)]
    for number, (position, undo, attempt) in enumerate(acts):
        start_run(store, ["A"], salt=str(number))
        (claim,) = store.claims.take(worker, 10)
        assert claim.change is not None
        mine = claim.change.model_copy(update={"touched": (f"tenant-{number}",)})
        for at, made in ((position, mine), (position + 1, claim.change)):
            row = StepRecord(
                job=claim.job.id,
                position=at,
                undo=undo,
                name=f"step {at}",
                action="lock-cell",
                state=StepState.STARTED,
                attempt=attempt,
                change=made,
                started=START,
            )
            store.steps.write(row, claim)
        step = replace(claim, transaction=f"{claim.transaction}.{transaction_of(position, attempt, undo=undo)}")
        store.journal.append(make_entry(step, number, JournalStep.EDITING), step)
        assert store.journal.edited_earlier("A") == edited, "of ended jobs only"
        store.claims.finish(claim, JobResult(Outcome.FAILED_SAFE))
        edited = mine, 0
        assert store.journal.edited_earlier("A") == edited


def test_the_change_of_an_attempt_that_is_off_record_is_taken_for_no_other(store: Store) -> None:
    start_run(store, ["A"])
    (claim,) = store.claims.take(store.processes.register("w"), 10)
    row = StepRecord(
        job=claim.job.id, position=0, name="lock", action="lock-cell", state=StepState.STARTED, attempt=2, started=START
    )
    store.steps.write(row.model_copy(update={"change": claim.change}), claim)
    step = replace(claim, transaction=f"{claim.transaction}.{transaction_of(0, 1, undo=False)}")
    store.journal.append(make_entry(step, 0, JournalStep.EDITING), step)
    store.claims.finish(claim, JobResult(Outcome.FAILED_SAFE))
    assert store.journal.edited_earlier("A") is None


def test_sessions_that_may_hold_a_devices_lock_are_known_until_a_job_ends_well_there(store: Store) -> None:
    worker = store.processes.register("w")
    sessions = iter(range(1, 20))

    def job(*steps: JournalStep, outcome: Outcome) -> frozenset[str]:
        start_run(store, ["A"], salt=str(next(sessions)))
        (claim,) = store.claims.take(worker, 10)
        for seq, step in enumerate(steps):
            entry = make_entry(claim, seq, step)
            session = (
                str(next(sessions)) if step is JournalStep.OPENED else store.journal.find(claim.transaction)[-1].session
            )
            store.journal.append(entry.model_copy(update={"session": session}), claim)
        store.claims.finish(claim, JobResult(outcome))
        return store.journal.lock_sessions("A")

    assert store.journal.lock_sessions("A") == frozenset()
    assert job(JournalStep.OPENED, JournalStep.LOCKED, outcome=Outcome.DEFERRED) == {"2"}
    assert job(JournalStep.OPENED, outcome=Outcome.DEFERRED) == {"2", "4"}
    assert job(outcome=Outcome.SUCCEEDED) == {"2", "4"}, "it did not even ask for the lock"
    assert job(JournalStep.OPENED, JournalStep.OPENED, JournalStep.LOCKED, outcome=Outcome.DIVERGED) == {"8"}, (
        "it had the lock itself"
    )
    assert job(JournalStep.OPENED, JournalStep.LOCKED, outcome=Outcome.UNCHANGED) == frozenset()
