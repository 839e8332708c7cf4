"""Playbooks of runs and their steps on record, on every database."""

from __future__ import annotations

import pytest

from controller.models.equipment import Operation, OperationKind
from controller.models.errors import ConflictError, LeaseLostError, NotFoundError
from controller.models.run import JournalStep, Outcome, Run, RunState, Strategy
from controller.models.step import RunPlaybook, StepRecord, StepState
from controller.ports.store import NewJob, Page, Transition
from controller.store import SqlStore
from tests.support.launch import prepared
from tests.support.records import START, make_change, make_entry, make_plan

USED = RunPlaybook(name="own", digest="d1", text="name: own\n# ñ\n", parameters={"cell": "1", "gently": True})


def start(store: SqlStore, used: RunPlaybook = USED, key: str | None = None, salt: str = "") -> Run:
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


def test_a_run_keeps_its_playbook(store: SqlStore) -> None:
    run, other = start(store), start(store, salt="2")
    assert (run.playbook, run.parameters) == ("d1", USED.parameters)
    assert store.runs.playbook(other.playbook) == USED.text
    assert store.runs.page(Page())[1] == [other, run]
    with pytest.raises(NotFoundError):
        store.runs.playbook("d2")


def test_a_key_is_for_one_playbook_and_its_parameters(store: SqlStore) -> None:
    run = start(store, key="k")
    # Stations moved on since: another plan, the same request.
    assert start(store, key="k", salt="later").id == run.id
    assert store.runs.find_by_key("k", "ana") == run
    assert store.runs.find_by_key("x", "ana") is None
    assert store.runs.find_by_key("k", "tom") is None
    with pytest.raises(ConflictError):
        start(store, USED.model_copy(update={"parameters": {"cell": "2"}}), key="k")


def test_steps_are_kept_in_order_under_the_lease(store: SqlStore) -> None:
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


def test_steps_have_journals_of_their_own(store: SqlStore) -> None:
    start(store)
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    entry = make_entry(claim, 0, JournalStep.OPENED).model_copy(update={"transaction": f"{claim.transaction}.0.1"})
    store.journal.append(entry, claim)
    assert store.journal.find(f"{claim.transaction}.0.1") == [entry]
    assert store.journal.find(claim.transaction) == []
