"""Groups that were postponed, on record: nothing of them is left, and they wait to begin again."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest

from controller.models.equipment import Operation, OperationKind
from controller.models.errors import LeaseLostError
from controller.models.plan import LedgerNode
from controller.models.run import GateChoice, Job, JobState, JournalStep, Outcome, Policy, RunState
from controller.models.step import StepRecord, StepState
from controller.store import Claim, JobResult, NewDecision, NewJob, Page, Store, Transition, open_store
from tests.contract.store.test_concurrency import at_once
from tests.contract.store.test_gates import UNIT, WAVE, begin, decide, stand
from tests.support.records import START, make_entry

BACK = JobResult(Outcome.WITHDRAWN, "the window of A closed")
LATER = NewDecision(0, "A", 0, GateChoice.POSTPONE, "the window of A closed")


def waits_anew(job: Job) -> bool:
    fresh = (JobState.WAITING, 1, 0, None, None, None, None, None)
    now = (job.state, job.round, job.attempts, job.gate, job.gate_until, job.choice, job.outcome, job.started)
    return now == fresh


def looked(claim: Claim) -> StepRecord:
    return StepRecord(
        job=claim.job.id,
        position=0,
        name="look",
        action="read-state",
        state=StepState.DONE,
        inputs={},
        started=START,
    )


def actions(store: Store, name: str) -> list[str]:
    return [row.object for row in store.audit.page(Page(limit=1000))[1] if row.action == name]


def test_a_job_that_was_taken_back_waits_as_if_it_had_never_begun(store: Store) -> None:
    run = begin(store, UNIT)
    worker = store.processes.register("w")
    one, two, _ = store.claims.take(worker, 10)
    stand(store, one)
    decide(store, run, LATER)
    for _ in range(2):  # the same again changes nothing
        store.claims.finish(one, BACK)
    first, second, *_ = store.runs.jobs(run.id)
    assert waits_anew(first)
    assert first.detail == "the window of A closed"
    # Its mate is not taken back yet, and hears of the decision of its own round.
    assert (second.round, second.choice, second.state) == (0, GateChoice.POSTPONE, JobState.CLAIMED)
    assert not store.claims.busy(["A"])
    assert [row.step for row in store.journal.find(one.transaction)][-1] is JournalStep.FINISHED
    assert (actions(store, "job.postponed"), actions(store, "job.finished")) == ([one.job.id], [])
    assert actions(store, "gate.postpone") == [run.id]
    assert store.runs.get(run.id).counts == {"pending": 4}
    with pytest.raises(LeaseLostError):
        store.journal.append(make_entry(one, 9), one)

    store.claims.finish(two, BACK)
    ready = tuple(job.id for job in store.runs.jobs(run.id)[:2])
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, ready=ready))
    again, _ = store.claims.take(worker, 10)
    assert again.transaction != one.transaction
    assert (again.recovers, again.job.attempts, again.job.started) == (False, 1, store.runs.jobs(run.id)[0].started)
    assert stand(store, again) is False
    confirm = NewDecision(0, "A", 0, GateChoice.CONFIRM, round=1)
    assert decide(store, run, confirm) is not None
    assert decide(store, run, confirm) is None
    assert [(one.round, one.choice) for one in store.gates.decisions([(run.id, 0)])] == [
        (0, GateChoice.POSTPONE), (1, GateChoice.CONFIRM),
    ]  # fmt: skip
    assert [job.choice for job in store.runs.jobs(run.id)[:2]] == [GateChoice.CONFIRM, None]  # who stands there
    store.claims.finish(again, JobResult(Outcome.SUCCEEDED))
    assert store.audit.verify() is None


def test_what_was_not_begun_is_postponed_without_a_worker(store: Store) -> None:
    run = begin(store, UNIT)
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    ids = tuple(job.id for job in store.runs.jobs(run.id)[:2])
    store.runs.advance(run.id, lambda run, _jobs: Transition(run.state, postponed=ids, reason="postponed"))
    one, two, *_ = store.runs.jobs(run.id)
    assert (one.id, one.state, one.round) == (claim.job.id, JobState.CLAIMED, 0)
    assert waits_anew(two)
    (row,) = [row for row in store.audit.page(Page())[1] if row.detail.get("postponed")]
    assert (row.action, row.object, row.detail["postponed"]) == ("run.advanced", run.id, "2")


@pytest.mark.parametrize("result", [
    JobResult(Outcome.DIVERGED, "lost"),
    JobResult(Outcome.FAILED_SAFE, "lost"),
    JobResult(Outcome.WITHDRAWN, "something stays", gained=(LedgerNode(path="/x", owners=("entel",)),)),
])  # fmt: skip
def test_only_who_left_nothing_begins_anew(store: Store, result: JobResult) -> None:
    run = begin(store, UNIT)
    one, *_ = store.claims.take(store.processes.register("w"), 1)
    decide(store, run, LATER)
    store.claims.finish(one, result)
    assert store.runs.jobs(run.id)[0].outcome is result.outcome


def test_what_was_cancelled_ends(store: Store) -> None:
    """Also a unit that was cut from a wave which is postponed later."""
    run = begin(store, WAVE)
    one, *_, three = store.claims.take(store.processes.register("w"), 10)
    decide(store, run, NewDecision(0, "C", 0, GateChoice.CANCEL, "one of it was away"))
    decide(store, run, NewDecision(0, "", 0, GateChoice.POSTPONE, "the window of A closed"))
    for claim in (one, three):
        store.claims.finish(claim, BACK)
    assert [job.outcome for job in store.runs.jobs(run.id)] == [None, None, Outcome.WITHDRAWN, None]


def test_what_was_confirmed_once_is_never_begun_anew(store: Store) -> None:
    run = begin(store, UNIT)
    decide(store, run, NewDecision(0, "A", 0, GateChoice.CONFIRM))
    decide(store, run, NewDecision(0, "A", 2, GateChoice.POSTPONE, "the window of A closed"))
    last = store.gates.decisions([(run.id, 0)])[-1]
    assert (last.gate, last.choice) == (2, GateChoice.CANCEL)
    assert (actions(store, "gate.cancel"), actions(store, "gate.postpone")) == ([run.id], [])


@pytest.mark.parametrize("operated", [False, True])
def test_a_playbook_begins_anew_from_its_first_step_unless_it_operated(store: Store, operated: bool) -> None:
    run = begin(store, UNIT)
    one, *_ = store.claims.take(store.processes.register("w"), 1)
    store.steps.write(looked(one), one)
    decide(store, run, LATER)
    store.claims.finish(one, replace(BACK, operated=operated))
    job = store.runs.jobs(run.id)[0]
    assert (job.outcome, len(store.steps.find(job.id))) == ((Outcome.WITHDRAWN, 1) if operated else (None, 0))
    assert job.operated is operated
    # What it did stays on the audit trail.
    assert actions(store, "step.finished") == [f"{job.id}.0"]


@pytest.mark.parametrize("operated", [False, True])
def test_who_was_away_begins_with_its_wave_from_its_first_step_unless_it_operated(store: Store, operated: bool) -> None:
    run = begin(store, WAVE)
    one, *_ = store.claims.take(store.processes.register("w"), 1)
    store.steps.write(looked(one), one)
    store.claims.finish(one, JobResult(Outcome.DEFERRED, operated=operated))
    store.runs.advance(run.id, lambda run, _jobs: Transition(run.state, postponed=(one.job.id,), reason="postponed"))
    job = store.runs.jobs(run.id)[0]
    assert waits_anew(job) is not operated
    assert (job.outcome, len(store.steps.find(job.id))) == ((Outcome.DEFERRED, 1) if operated else (None, 0))


def test_what_was_sent_stays_with_its_step(store: Store) -> None:
    begin(store, UNIT)
    one, *_ = store.claims.take(store.processes.register("w"), 1)
    restart = Operation(kind=OperationKind.RESET_UNIT, subject="ru-1", since=START, seconds=60)
    row = looked(one).model_copy(update={"sent": (restart,)})
    store.steps.write(row, one)
    assert store.steps.find(one.job.id) == [row]


def test_a_pause_finds_a_group_that_was_postponed_not_begun(store: Store) -> None:
    run = begin(store, UNIT)
    one, two, _ = store.claims.take(store.processes.register("w"), 10)
    decide(store, run, LATER)
    store.claims.finish(one, BACK)
    store.claims.finish(two, JobResult(Outcome.DEFERRED))
    ready = (one.job.id,)
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, ready=ready))
    store.runs.pause(run.id, "ana")
    assert store.runs.jobs(run.id)[0].state is JobState.WAITING


def test_ends_and_decisions_never_cross(shared_url: str) -> None:
    """Each job ends by what was decided before: it waits again, or it is done."""
    names = [f"S{number}" for number in range(8)]
    with closing(open_store(shared_url)) as store:
        run = begin(store, UNIT.model_copy(update={"policy": Policy.UNIT}), tuple(NewJob(0, n, n) for n in names))
        claims = store.claims.take(store.processes.register("w"), 10)

        def race(claims: list[Claim], index: int) -> object:
            claim = claims[index // 2]
            if index % 2:
                return store.claims.finish(claim, BACK)
            return decide(store, run, NewDecision(0, claim.job.unit, 0, GateChoice.POSTPONE))

        at_once(2 * len(names), partial(race, claims))
        for job in store.runs.jobs(run.id):
            assert waits_anew(job) or job.outcome is Outcome.WITHDRAWN, job
        assert len(actions(store, "job.postponed")) + len(actions(store, "job.finished")) == len(names)
        assert not store.claims.busy(names)
