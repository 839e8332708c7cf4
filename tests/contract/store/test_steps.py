"""Playbooks of runs and their steps on record, on every database."""

from __future__ import annotations

import pytest

from controller.models.equipment import Operation, OperationKind
from controller.models.errors import ConflictError, LeaseLostError, NotFoundError
from controller.models.run import JournalStep, Outcome, Run, RunState, Strategy
from controller.models.step import RunPlaybook, StepRecord, StepState
from controller.store import JobResult, NewJob, Page, Store, Transition
from tests.support.launch import prepared
from tests.support.records import START, make_change, make_entry, make_plan, start_run

USED = RunPlaybook(name="own", digest="d1", text="name: own\n# ñ\n", parameters={"cell": "1", "gently": True})


def start(store: Store, used: RunPlaybook = USED, key: str | None = None, salt: str = "") -> Run:
    plan = make_plan([], salt)
    store.plans.save(plan, "ana")
    run = store.runs.create(prepared(plan, "own", Strategy(), [NewJob(0, "A")], actor="ana", key=key, playbook=used))
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    return store.runs.get(run.id)


def step(run: Run, position: int = 0, *, undo: bool = False) -> StepRecord:
    return StepRecord(
        job=f"{run.id}.0.A",
        position=position,
        undo=undo,
        name="lock",
        action="lock-cell",
        state=StepState.STARTED,
        inputs={"cells": ["1"]},
        change=make_change("A"),
        operations=(Operation(kind=OperationKind.RESET_UNIT, subject="ru-1", since=START, seconds=60),),
        started=START,
    )


def test_a_run_keeps_its_playbook(store: Store) -> None:
    run, other = start(store), start(store, salt="2")
    assert (run.playbook, run.parameters) == ("d1", USED.parameters)
    assert store.runs.playbook(other.playbook) == USED.text
    assert store.runs.page(Page())[1] == [other, run]
    with pytest.raises(NotFoundError):
        store.runs.playbook("d2")


def test_a_key_is_for_one_playbook_and_its_parameters(store: Store) -> None:
    run = start(store, key="k")
    # Stations moved on since: another plan, the same request.
    assert start(store, key="k", salt="later").id == run.id
    assert store.runs.find_by_key("k", "ana") == run
    assert store.runs.find_by_key("x", "ana") is None
    assert store.runs.find_by_key("k", "tom") is None
    with pytest.raises(ConflictError):
        start(store, USED.model_copy(update={"parameters": {"cell": "2"}}), key="k")


def test_steps_are_kept_in_order_under_the_lease(store: Store) -> None:
    run = start(store)
    worker = store.processes.register("w")
    (claim,) = store.claims.take(worker, 1)
    assert claim.change is None
    done = {"state": StepState.DONE, "outcome": Outcome.SUCCEEDED, "finished": START, "output": {"changed": True}}
    rows = [step(run).model_copy(update=done), step(run, undo=True), step(run, 1)]
    for row in (rows[2], step(run), rows[1], rows[0], rows[0]):
        store.steps.write(row, claim)
    assert store.steps.find(claim.job.id) == rows
    (alive,) = store.processes.alive()
    assert store.processes.declare_dead(worker, alive.counter)
    with pytest.raises(LeaseLostError):
        store.steps.write(rows[0], claim)


def test_steps_have_journals_of_their_own(store: Store) -> None:
    start(store)
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    entry = make_entry(claim, 0, JournalStep.OPENED).model_copy(update={"transaction": f"{claim.transaction}.0.1"})
    store.journal.append(entry, claim)
    assert store.journal.find(f"{claim.transaction}.0.1") == [entry]
    assert store.journal.find(claim.transaction) == []


def test_a_station_is_just_being_changed_only_while_a_transaction_of_its_own_is_open(store: Store) -> None:
    run = start(store)
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    at = claim.job.station

    def changing() -> bool:
        return at in store.claims.in_transaction([at, "other"])

    assert store.claims.busy([at]) == {at}
    assert not changing(), "a worker has it, and did nothing yet"
    reading = step(run).model_copy(update={"change": None, "operations": ()})
    store.steps.write(reading, claim)
    assert not changing()
    acts = step(run, 1).model_copy(update={"operations": ()})
    store.steps.write(acts, claim)
    assert not changing(), "nothing was sent yet"
    entry = make_entry(claim, 0).model_copy(update={"transaction": f"{claim.transaction}.{acts.transaction}"})
    store.journal.append(entry, claim)
    assert changing()
    store.claims.release(claim, "its worker stops", keep_transaction=True)
    assert changing()
    (claim,) = store.claims.take(store.processes.register("w2"), 1)
    store.steps.write(acts.model_copy(update={"state": StepState.DONE, "outcome": Outcome.SUCCEEDED}), claim)
    assert not changing()
    store.steps.write(step(run, 2).model_copy(update={"change": None, "operations": (), "name": "soak"}), claim)
    store.claims.release(claim, "soaks", keep_transaction=True)
    assert store.claims.busy([at]) == {at}
    assert not changing(), "it soaks"


@pytest.mark.parametrize("kind", OperationKind)
def test_of_operations_only_those_that_interrupt_are_no_time_to_look(store: Store, kind: OperationKind) -> None:
    run = start(store)
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    operates = step(run).model_copy(update={"change": None, "operations": (Operation(kind=kind, seconds=60),)})
    store.steps.write(operates, claim)
    entry = make_entry(claim, 0, JournalStep.OPERATING)
    store.journal.append(entry.model_copy(update={"transaction": f"{claim.transaction}.{operates.transaction}"}), claim)
    found = store.claims.in_transaction([claim.job.station])
    assert found == ({claim.job.station: kind.restarts} if kind.interrupts else {})
    assert kind.interrupts or not kind.restarts


def test_a_job_without_steps_is_in_its_transaction_until_it_ends(store: Store) -> None:
    start_run(store, ["A"])
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    assert store.claims.in_transaction(["A"]) == {}
    store.journal.append(make_entry(claim, 0), claim)
    assert store.claims.in_transaction(["A"]) == {"A": False}, "no change is a reason why it could not be reached"
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    assert store.claims.in_transaction(["A"]) == {}


def test_what_a_station_carries_by_a_job_under_way_is_known_before_the_ledger_has_it(store: Store) -> None:
    run = start(store)
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    done = {"state": StepState.DONE, "outcome": Outcome.SUCCEEDED, "operations": ()}
    assert store.steps.carried(["A"]) == {}
    store.steps.write(step(run), claim)
    assert store.steps.carried(["A"]) == {}, "nobody knows yet whether it carries it"
    store.steps.write(step(run).model_copy(update=done), claim)
    assert store.steps.carried(["A", "B"]) == {"A": (make_change("A"),)}
    assert store.steps.carried(["B"]) == {}
    store.steps.write(step(run, undo=True).model_copy(update=done), claim)
    assert store.steps.carried(["A"]) == {}, "it was undone"
    store.steps.write(step(run, 1).model_copy(update=done), claim)
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED, gained=make_change("A").gained))
    assert store.steps.carried(["A"]) == {}, "the ledger has it"
